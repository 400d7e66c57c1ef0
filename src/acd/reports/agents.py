"""What agents did: the time in each state, cut at the borders of intervals; and their conversations, from segments, so
that a transferred call's time goes to whoever had it.

State time belongs to the interval in which it passed, a conversation to that in which it began. A state that still lasts
counts up to now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import sqlalchemy as sa

from acd.domain.states import AT_WORK, AgentState, OfferOutcome, SegmentKind
from acd.domain.values import valueclass
from acd.reports import keys
from acd.reports.ask import Ask
from acd.reports.conversations import is_coarse, of_everybody
from acd.reports.cuts import UNITS, cut
from acd.reports.database import Database
from acd.reports.handovers import handovers
from acd.reports.intervals import part_of, split
from acd.reports.model import Column, Kind, Row, mean_s, ratio, seconds
from acd.reports.sql import earlier, lasted, later
from acd.reports.stays import AMID, HELD, TALK
from acd.store.tables import agent_states, agents, segments
from acd.store.times import UtcTime

Sums = dict[str, int]

_STATES = {state: f"{state.value.lower()}_us" for state in AgentState}
_WORK = tuple(_STATES[state] for state in AT_WORK)
_READY = (*_WORK, _STATES[AgentState.AVAILABLE], _STATES[AgentState.RESERVED])
_PAUSED = _STATES[AgentState.PAUSED]

AGENT = Column("agent", "AGENT", Kind.TEXT, "who")
STATE = Column("state", "STATE", Kind.TEXT, "what the agent did")
REASON = Column("reason", "REASON", Kind.TEXT, "why paused; of a preview: shown, dialling")
HAVE = {
    "queue": Column("queue", "QUEUE", Kind.TEXT, "whose agents; who serves several counts for each"),
    "skill": Column("skill", "SKILL", Kind.TEXT, "who has it; who has several counts for each"),
}
"""What agents have, by which their time can be told."""


@valueclass(frozen=True, slots=True)
class Figure:
    """A column made of sums."""

    column: Column
    of: Callable[[Sums], Any]


def _total(sums: Sums, names: Sequence[str]) -> int:
    return sum(sums[name] for name in names)


def _time(name: str, title: str, meaning: str, *of: str) -> Figure:
    return Figure(Column(name, title, Kind.SECONDS, meaning), lambda sums: seconds(_total(sums, of)))


def _count(name: str, title: str, meaning: str) -> Figure:
    return Figure(Column(name, title, Kind.COUNT, meaning), lambda sums: sums[name])


def _mean(name: str, title: str, meaning: str, *of: str) -> Figure:
    column = Column(name, title, Kind.SECONDS, meaning)
    return Figure(column, lambda sums: mean_s(_total(sums, of), sums["conversations"]))


def _share(name: str, title: str, meaning: str, part: Sequence[str], whole: Sequence[str]) -> Figure:
    column = Column(name, title, Kind.SHARE, meaning)
    return Figure(column, lambda sums: ratio(_total(sums, part), _total(sums, whole)))


_ALL = (
    _time("logged_in_s", "LOGGED IN", "in any state but logged out", *_READY, _PAUSED),
    _time("available_s", "AVAILABLE", "wanted calls and had none", _STATES[AgentState.AVAILABLE]),
    _time("preview_s", "PREVIEW", "a contact was shown, or somebody dialled for him", _STATES[AgentState.PREVIEW]),
    _time("reserved_s", "RESERVED", "a call was on its way", _STATES[AgentState.RESERVED]),
    _time("ringing_s", "RINGING", "the phone rang", _STATES[AgentState.RINGING]),
    _time("talking_s", "TALKING", "with a caller, hold and consultation included", _STATES[AgentState.TALKING]),
    _time("wrap_up_s", "WRAP-UP", "after a call", _STATES[AgentState.WRAP_UP]),
    _time("paused_s", "PAUSED", "logged in and not to be called; by reason: acd report states", _PAUSED),
    _share("occupancy", "OCCUPANCY", "(preview + ringing + talking + wrap-up) / (logged in - paused)", _WORK, _READY),
    _share("shrinkage", "SHRINKAGE", "paused / logged in", (_PAUSED,), (*_READY, _PAUSED)),
    _count("conversations", "CALLS", "conversations that began"),
    _mean("aht_s", "AHT", "(talk + hold + wrap-up) / conversations", "talk_us", "hold_us", "wrap_us"),
    _mean("talk_s", "TALK", "mean talk of a conversation", "talk_us"),
    _mean("hold_s", "HOLD", "mean hold and consultation of a conversation", "hold_us"),
    _mean("wrap_s", "WRAP", "mean wrap-up of a conversation", "wrap_us"),
    _count("ronas", "RONA", "offers that rang and were not answered"),
    _count("declines", "DECLINED", "offers that were declined"),
    _count("transfers", "TRANSFERS", "conversations that ended by passing the caller on"),
)
FIGURES: dict[str, Figure] = {figure.column.name: figure for figure in _ALL}
DEFAULT = (
    *("logged_in_s", "occupancy", "shrinkage", "paused_s", "conversations", "aht_s", "talk_s", "hold_s", "wrap_s"),
    *("ronas", "declines", "transfers"),
)

TIMES = tuple(figure.column.name for figure in _ALL[:10])
"""Of all figures those that are made of time in states alone."""
TIMES_DEFAULT = ("logged_in_s", "occupancy", "shrinkage", "available_s", "talking_s", "wrap_up_s", "paused_s")

_COUNTED = ("talk_us", "hold_us", "wrap_us", "conversations", "ronas", "declines", "transfers")


def _nothing() -> Sums:
    return dict.fromkeys((*_STATES.values(), *_COUNTED), 0)


class Intervals:
    """What the period is cut into, if it is."""

    def __init__(self, database: Database, ask: Ask) -> None:
        self._database, self._ask = database, ask
        self.cuts = cut(ask.period, ask.zone, ask.units) if ask.units else None

    def labels(self, row: Any) -> tuple[str, ...]:
        """Of a row with a column part."""
        return self.cuts.labels[row.part] if self.cuts is not None else ()

    def states(self, *by: str) -> Iterator[Any]:
        """Rows of microseconds (``us``) of states by part, ``state`` and ``by`` (columns of agent_states); several of the
        same keys add up."""
        ask = self._ask
        end_s = min(ask.period.to_s, max(ask.now, ask.period.from_s))
        if not self._database.is_postgres or ask.filters.agent:
            found = [self._spent(states_within(self._database, ask, end_s), end_s, by)]
        else:
            found = [self._spent(states_in_force(ask), end_s, by), self._spent_begun(end_s, by)]
        for statement in found:
            yield from self._database.rows(statement)

    def _spent_begun(self, end_s: float, by: Sequence[str]) -> sa.Select[Any]:
        """Of everybody's states that began within the period, on PostgreSQL."""
        if self.cuts is not None and "agent" not in by:
            return self._spent(states_begun(self._ask, end_s), end_s, by)
        # Whether there is such an agent is asked of the sums: of every row it takes as long as adding it
        sums = self._spent(states_begun(self._ask, end_s, known=False), end_s, tuple({*by, "agent"})).subquery("sums")
        groups = [column for column in sums.c if column.name in (*by, "state", "part")]
        total = sa.cast(sa.func.sum(sums.c.us), sa.BigInteger).label("us")
        return sa.select(*groups, total).join_from(sums, agents, agents.c.agent == sums.c.agent).group_by(*groups)

    def _spent(self, within: Within, end_s: float, by: Sequence[str]) -> sa.Select[Any]:
        last = sa.literal(end_s, UtcTime())
        begins = later(within.c.started_at, sa.literal(self._ask.period.from_s, UtcTime()), type_=UtcTime())
        ends = earlier(sa.func.coalesce(within.c.ended_at, last), last, type_=UtcTime())
        keys_of = [*(within.c[name] for name in by), within.c.state]
        if self.cuts is None:
            found = [sa.select(*keys_of, lasted(begins, ends).label("length")).select_from(within.source)]
        else:
            found = [
                sa.select(*keys_of, one.part.label("part"), lasted(one.begins, one.ends).label("length"))
                .select_from(one.source)
                .where(*one.where)
                for one in split(self._database, self.cuts, within.source, begins, ends)
            ]
        rows = sa.union_all(*(one.where(begins < ends) for one in found)).subquery("spent")
        groups = [column for column in rows.c if column.name != "length"]
        return sa.select(*groups, sa.func.sum(rows.c.length).label("us")).group_by(*groups)

    def conversations(self, *, by_agent: bool) -> Iterator[Any]:
        """Rows with some of _COUNTED, by part and perhaps agent; several of the same keys add up."""
        database, ask = self._database, self._ask
        if database.is_postgres and not ask.filters.agent and is_coarse(ask):
            found = of_everybody(database, ask, self.cuts, by_agent=by_agent)
        else:
            found = [self._stretches(by_agent=by_agent), self._resumed(by_agent=by_agent)]
        passed_on = self._of_agents(handovers(ask), by_agent)
        found.append(self._grouped(passed_on, sa.func.count().label("transfers")))
        for statement in found:
            yield from database.rows(statement)

    def _stretches(self, *, by_agent: bool) -> sa.Select[Any]:
        """What segments say of agents, by part and perhaps agent: the sums of _COUNTED; ``conversations`` with those that
        only went on (`resumed`)."""
        s = segments.c
        rows = self._of_agents(segments, by_agent, s.kind, s.outcome, lasted(s.started_at, s.ended_at).label("length"))
        r = rows.c
        rang = r.kind.in_((SegmentKind.OFFERED, SegmentKind.RANG))

        def total(*kinds: SegmentKind) -> sa.ColumnElement[Any]:
            return sa.func.coalesce(sa.func.sum(r.length).filter(r.kind.in_(kinds)), 0)

        def count(where: Any) -> sa.ColumnElement[Any]:
            return sa.func.count().filter(where)

        return self._grouped(
            rows,
            total(*TALK).label("talk_us"),
            total(*HELD).label("hold_us"),
            total(SegmentKind.WRAPPED).label("wrap_us"),
            count(r.kind == SegmentKind.TALKED).label("conversations"),
            count(sa.and_(rang, r.outcome == OfferOutcome.NO_ANSWER)).label("ronas"),
            count(sa.and_(rang, r.outcome == OfferOutcome.DECLINED)).label("declines"),
        )

    def _resumed(self, *, by_agent: bool) -> sa.Select[Any]:
        """How often an agent talked on in a conversation that had begun, as so many ``conversations`` less, by part and
        perhaps agent. A hold, consultation or conference of the agent's ends when he does, so only calls with such a one
        are looked at."""
        held, talk = segments.alias("held").c, segments.alias("talk").c
        # As in the index, word for word: SQLite uses it for nothing else
        kinds: sa.ColumnElement[Any] = sa.literal_column("('" + "', '".join(AMID) + "')")
        where = [held.kind.op("IN")(kinds), *self._ask.in_period(held.ended_at)]
        if self._ask.filters.agent:
            where.append(held.agent.in_(self._ask.filters.agent))
        calls_held = sa.select(held.call).where(*where).distinct().subquery("calls_held")
        nth = sa.func.row_number().over(partition_by=(talk.call, talk.agent, talk.offer), order_by=talk.serial)
        talks = (
            sa.select(talk.agent, talk.started_at, nth.label("nth"))
            .join_from(calls_held, talk.call.table, talk.call == calls_held.c.call)
            .where(talk.kind == SegmentKind.TALKED)
            .subquery("talks")
        )
        rows = self._of_agents(talks, by_agent, where=[talks.c.nth > 1])
        return self._grouped(rows, (-sa.func.count()).label("conversations"))

    def _of_agents(
        self, of: sa.FromClause, by_agent: bool, *columns: sa.ColumnElement[Any], where: Sequence[Any] = ()
    ) -> sa.Subquery:
        """Of rows with ``agent`` and ``started_at`` those of agents, that began in the period: by_agent, by_part (as far as
        they tell rows apart) and ``columns``."""
        picked: list[Any] = [of.c.agent.label("by_agent")] if by_agent else []
        source: sa.FromClause = agents.join(of, of.c.agent == agents.c.agent)
        if self.cuts is not None:
            source, part = part_of(self._database, self.cuts, source, of.c.started_at)
            picked.append(part.label("by_part"))
        within = [*where, *self._ask.in_period(of.c.started_at)]
        if self._ask.filters.agent:
            within.append(agents.c.agent.in_(self._ask.filters.agent))
        picked = [*picked, *columns] or [of.c.started_at]
        return sa.select(*picked).select_from(source).where(*within).subquery("stretch")

    @staticmethod
    def _grouped(rows: sa.Subquery, *sums: Any) -> sa.Select[Any]:
        groups = [rows.c[name] for name in ("by_agent", "by_part") if name in rows.c]
        named = [column.label(column.name.removeprefix("by_")) for column in groups]
        # A count of rows names no column of theirs
        return sa.select(*named, *sums).select_from(rows).group_by(*groups)


@valueclass(frozen=True, slots=True)
class Within:
    """States of agents that may reach into a period: ``c`` are their columns, as in agent_states."""

    source: sa.FromClause
    c: Any


def states_within(database: Database, ask: Ask, end_s: float) -> Within:
    """The states up to ``end_s``, found by agent: the one in force at the period's beginning, and those that began within
    it. An agent's states follow each other without a gap, so nothing else reaches into it."""
    begin, end = sa.literal(ask.period.from_s, UtcTime()), sa.literal(end_s, UtcTime())
    before = agent_states.alias("before")
    in_force = (
        sa.select(sa.func.max(before.c.started_at))
        .where(before.c.agent == agents.c.agent, before.c.started_at <= begin)
        .correlate(agents)
        .scalar_subquery()
    )
    known = sa.select(agents.c.agent, sa.func.coalesce(in_force, begin, type_=UtcTime()).label("since"))
    if ask.filters.agent:
        known = known.where(agents.c.agent.in_(ask.filters.agent))
    # Once for each agent, not for each state
    begun = known.cte("begun").prefix_with("MATERIALIZED", dialect="postgresql")
    s = agent_states
    reach = sa.and_(s.c.agent == begun.c.agent, s.c.started_at >= begun.c.since, s.c.started_at < end)
    if not database.is_postgres:
        return Within(begun.join(s, reach), s.c)
    # OFFSET 0 keeps the planner from reading the whole table for what the index gives agent by agent
    mine = sa.select(s).where(reach).correlate(begun).offset(sa.literal_column("0")).lateral("mine")
    return Within(begun.join(mine, sa.true()), mine.c)


def states_begun(ask: Ask, end_s: float, *, known: bool = True) -> Within:
    """The states that began within the period, up to ``end_s``, found by time on the whole table; ``known``: of agents that
    there are."""
    s = agent_states.c
    rows = sa.select(agent_states).where(s.started_at >= ask.period.from_s, s.started_at < end_s).subquery("begun")
    return Within(rows.join(agents, agents.c.agent == rows.c.agent) if known else rows, rows.c)


def states_in_force(ask: Ask) -> Within:
    """PostgreSQL: of each agent the latest states that began before the period."""
    before, s = agent_states.alias("before"), agent_states
    latest = (
        sa.select(sa.func.max(before.c.started_at))
        .where(before.c.agent == agents.c.agent, before.c.started_at < ask.period.from_s)
        .correlate(agents)
        .scalar_subquery()
    )
    known = sa.select(agents.c.agent, latest.label("since")).cte("known").prefix_with("MATERIALIZED")
    reach = sa.and_(s.c.agent == known.c.agent, s.c.started_at == known.c.since)
    # OFFSET 0 keeps the planner from reading the whole table for what the index gives agent by agent
    mine = sa.select(s).where(reach).correlate(known).offset(sa.literal_column("0")).lateral("mine")
    return Within(known.join(mine, sa.true()), mine.c)


def figures(database: Database, ask: Ask, names: Sequence[str]) -> tuple[tuple[Column, ...], list[Row], Row]:
    """(columns, rows, total) by agent and intervals: state time and conversations."""
    intervals = Intervals(database, ask)
    by = ["agent"] if "agent" in ask.by else []
    groups: dict[tuple[Any, ...], Sums] = defaultdict(_nothing)

    def key(row: Any) -> tuple[Any, ...]:
        return keys.in_order(ask, intervals.labels(row), (row.agent,) if by else ())

    for row in intervals.states(*by):
        groups[key(row)][_STATES[AgentState(row.state)]] += int(row.us)
    for row in intervals.conversations(by_agent=bool(by)):
        sums = groups[key(row)]
        for name in _COUNTED:
            sums[name] += int(row._mapping.get(name) or 0)
    total = _nothing()
    for sums in groups.values():
        for name, value in sums.items():
            total[name] += value
    return _told(intervals, ask, groups, total, names, {"agent": AGENT})


def _told(
    intervals: Intervals,
    ask: Ask,
    groups: dict[tuple[Any, ...], Sums],
    total: Sums,
    names: Sequence[str],
    of: Mapping[str, Column],
) -> tuple[tuple[Column, ...], list[Row], Row]:
    """The figures ``names`` of sums by ``ask.by``; ``of``: the columns of keys that are no intervals. Where there are none,
    intervals in which nothing was have a row, too."""
    if intervals.cuts is not None and len(ask.units) == len(ask.by):
        for labels in intervals.cuts.labels:
            groups.setdefault(labels, _nothing())
    chosen = [FIGURES[name] for name in names]
    rows = [
        (*found, *(figure.of(groups[found]) for figure in chosen))
        for found in sorted(groups, key=keys.sort_key(ask.by))
    ]
    columns = (*(keys.column_of(name) if name in UNITS else of[name] for name in ask.by), *(f.column for f in chosen))
    return columns, rows, (*(None for _ in ask.by), *(figure.of(total) for figure in chosen))


def staffing(database: Database, ask: Ask, names: Sequence[str]) -> tuple[tuple[Column, ...], list[Row], Row]:
    """(columns, rows, total) by queue, skill and intervals: time in states of the agents who have it. The total counts
    everybody once."""
    intervals = Intervals(database, ask)
    kinds = [name for name in ask.by if name in HAVE]
    groups: dict[tuple[Any, ...], Sums] = defaultdict(_nothing)
    total = _nothing()
    for row in intervals.states("agent"):
        name, us = _STATES[AgentState(row.state)], int(row.us)
        total[name] += us
        for values in product(*(ask.agents_have.get(kind, {}).get(row.agent) or (None,) for kind in kinds)):
            groups[keys.in_order(ask, intervals.labels(row), values)][name] += us
    return _told(intervals, ask, groups, total, names, HAVE)


def states(database: Database, ask: Ask) -> tuple[tuple[Column, ...], list[Row], Row | None]:
    """(columns, rows, no total): time by whatever of agent, state, reason and intervals is asked for, with its share of the
    time the agents were logged in."""
    intervals = Intervals(database, ask)
    wanted = ("agent", "state", "reason")
    by = [name for name in ("agent", "reason") if name in ask.by]
    groups: dict[tuple[Any, ...], int] = defaultdict(int)
    logged_in: dict[tuple[Any, ...], int] = defaultdict(int)
    others = [name for name in ask.by if name in wanted]
    for row in intervals.states(*by):
        if row.state == AgentState.LOGGED_OUT and "state" not in ask.by:
            continue
        values = row._mapping
        labels, who = intervals.labels(row), values.get("agent")
        key = keys.in_order(ask, labels, tuple(values[name] for name in others))
        groups[key] += int(row.us)
        if row.state != AgentState.LOGGED_OUT:
            logged_in[(*labels, who)] += int(row.us)
    place = ask.by.index("agent") if "agent" in ask.by else None
    state_at = ask.by.index("state") if "state" in ask.by else None
    rows: list[Row] = []
    for key in sorted(groups, key=keys.sort_key(ask.by)):
        labels = tuple(value for name, value in zip(ask.by, key, strict=True) if name in UNITS)
        whole = logged_in[(*labels, None if place is None else key[place])]
        out = state_at is not None and key[state_at] == AgentState.LOGGED_OUT
        rows.append((*key, groups[key] / 1_000_000, None if out else ratio(groups[key], whole)))
    of = {"agent": AGENT, "state": STATE, "reason": REASON}
    columns = (
        *(keys.column_of(name) if name in UNITS else of[name] for name in ask.by),
        Column("time_s", "TIME", Kind.SECONDS, "in this state"),
        Column("share", "OF LOGGED IN", Kind.SHARE, "of the time logged in"),
    )
    return columns, rows, None
