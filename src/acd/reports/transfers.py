"""Where calls were passed on to, and what became of them: out of our queues, by agents and by queues without an answer; and
from queue to queue."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from acd.domain.states import CallOutcome
from acd.reports import keys
from acd.reports.ask import Ask
from acd.reports.cuts import UNITS, cut
from acd.reports.database import Database
from acd.reports.intervals import part_of
from acd.reports.model import Column, Kind, Row, mean_s
from acd.reports.sql import lasted
from acd.reports.stays import (
    ESCALATED,
    JOINED,
    MOVED,
    TALK,
    TALKING,
    TRANSFERRED,
    WAITING,
    last_of,
    line_of,
    moved,
    several,
    was_own,
)
from acd.store.tables import calls, segments

BY_AGENT = "by the agent"
OUT = {
    CallOutcome.TRANSFERRED.value: BY_AGENT,
    CallOutcome.OVERFLOWED.value: "by the queue",
    CallOutcome.FALLBACK.value: "fallback",
}
"""How a call left us, by its outcome."""
OVERFLOW = "overflow to a queue"
WITHIN = {
    ESCALATED: "escalated",
    TRANSFERRED: "transferred to a queue",
    JOINED: "joined",
    MOVED: "queue removed",
}
"""How a call came into another queue of ours, by what ended its segment; else it was OVERFLOW."""
KEYS = {
    "kind": Column(
        "kind", "PASSED ON", Kind.TEXT,
        f"out of our hands: {', '.join(OUT.values())}; within our queues: {', '.join((*WITHIN.values(), OVERFLOW))}",
    ),
    "target": Column("target", "TO", Kind.TEXT, "where to, as far as it was seen"),
    **{name: keys.OF_CALLS[name] for name in ("client", "did", "skill")},
    "queue": Column("queue", "QUEUE", Kind.TEXT, "the queue it was in"),
    "agent": Column("agent", "AGENT", Kind.TEXT, "with whom the caller talked; none: he waited"),
}  # fmt: skip
FIGURES = (
    Column("transfers", "TIMES", Kind.COUNT, "how often calls were passed on"),
    Column("came_back", "CAME BACK", Kind.COUNT, "of these, the caller came into a queue of ours by it"),
    Column("answered_again", "ANSWERED", Kind.COUNT, "of these, answered there"),
    Column("talk_s", "TALK BEFORE", Kind.SECONDS, "mean talk before it"),
    Column("wait_s", "WAIT BEFORE", Kind.SECONDS, "mean wait before it, in all queues"),
)


def _out(ask: Ask) -> sa.Select[Any]:
    """The calls that left us. An agent's own call, in whose place he joined his caller, did not."""
    again = calls.alias("again")
    # One call of ours continues another's channel at most once, but records may be damaged
    went_on = (
        sa.select(
            again.c.from_call, sa.func.max(sa.case((again.c.answered_at.is_not(None), 1), else_=0)).label("answered")
        )
        .where(again.c.from_call.is_not(None), again.c.entered_at >= ask.period.from_s)
        .group_by(again.c.from_call)
        .subquery("went_on")
    )
    by_hand = sa.and_(calls.c.outcome == CallOutcome.OVERFLOWED, calls.c.ended_by == "agent")
    # Most were in one queue once, and their own row says with whom the caller talked, if with anybody
    waits = sa.and_(moved() == 1, last_of(segments.c.kind).in_(WAITING))
    by_queue = sa.and_(calls.c.outcome == CallOutcome.TRANSFERRED, calls.c.ended_by != "agent", waits)
    fell_back = sa.and_(by_queue, last_of(segments.c.outcome) == CallOutcome.FALLBACK)
    kind = sa.case(
        (by_hand, BY_AGENT), (fell_back, OUT[CallOutcome.FALLBACK]), (by_queue, OUT[CallOutcome.OVERFLOWED]),
        *((calls.c.outcome == name, word) for name, word in OUT.items()),
    )  # fmt: skip
    agent = sa.case((moved() == 0, calls.c.agent), (~waits, last_of(segments.c.agent, *TALKING)))
    return (
        sa.select(
            kind.label("kind"), agent.label("agent"),
            *(calls.c[name] for name in ("target", "queue", "call", "client", "did", "entered_at", "talk_us")),
            (calls.c.wait_us + calls.c.rewait_us).label("wait_us"),
            sa.case((went_on.c.from_call.is_not(None), 1), else_=0).label("back"),
            sa.func.coalesce(went_on.c.answered, 0).label("answered"),
        )
        .outerjoin(went_on, went_on.c.from_call == calls.c.call)
        .where(
            *ask.in_period(calls.c.entered_at), calls.c.ended_at.is_not(None), calls.c.outcome.in_(OUT),
            ~was_own(),
        )
    )  # fmt: skip


def _within(ask: Ask) -> sa.Select[Any]:
    """How often calls came from queue to queue."""
    line = line_of(several(ask.in_period(calls.c.entered_at))).rows
    of = line.c
    talks, length = of.kind.in_(TALKING), lasted(of.started_at, of.ended_at)

    def before(*counted: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        """So long in all, up to the end of the segment."""
        total = sa.func.sum(sa.case((sa.and_(*counted), length), else_=0))
        return total.over(partition_by=of.call, order_by=of.serial, rows=(None, 0))

    along = sa.select(
        of.call, of.queue, of.stay, of.outcome, of.then_begins, of.then_queue,
        sa.case((of.waits == 0, of.agent)).label("agent"),
        before(of.kind.in_(TALK)).label("talk_us"), before(of.waits == 1).label("wait_us"),
    ).subquery("along").c  # fmt: skip
    answered = sa.select(of.call, of.stay).where(talks).distinct().subquery("answered").c
    joined = sa.and_(along.outcome == JOINED, along.then_begins.is_not(None))
    kind = sa.case(*((along.outcome == name, word) for name, word in WITHIN.items()), else_=OVERFLOW)
    there = sa.and_(answered.call == along.call, answered.stay == along.stay + along.then_begins)
    return (
        sa.select(
            kind.label("kind"), along.agent, (sa.literal("queue ") + along.then_queue).label("target"), along.queue,
            calls.c.call, calls.c.client, calls.c.did, calls.c.entered_at, along.talk_us, along.wait_us,
            sa.literal(1).label("back"),
            sa.case((answered.call.is_not(None), 1), else_=0).label("answered"),
        )
        .join_from(along.call.table, calls, calls.c.call == along.call)
        .outerjoin(answered.call.table, there)
        .where(sa.or_(along.then_begins == 1, joined))
    )  # fmt: skip


def transfers(database: Database, ask: Ask) -> tuple[tuple[Column, ...], list[Row], Row]:
    """(columns, rows, total)."""
    cuts = cut(ask.period, ask.zone, ask.units) if ask.units else None
    others = [name for name in ask.by if name not in UNITS]
    rows = sa.union_all(_out(ask), _within(ask)).subquery("passed")
    source: sa.FromClause = rows
    asked: Any = None
    if "skill" in others:
        source, asked = keys.with_requirement(source, rows, is_postgres=database.is_postgres)
    picked: list[Any] = [(asked if name == "skill" else rows.c[name]).label(f"by_{name}") for name in others]
    if cuts is not None:
        source, part = part_of(database, cuts, source, rows.c.entered_at)
        picked.append(part.label("part"))
    names = [column.name for column in picked]
    picked += [rows.c[name] for name in ("talk_us", "wait_us", "back", "answered")]
    one = sa.select(*picked).select_from(source).where(*ask.filters.of(rows)).subquery("one")
    groups = [one.c[name] for name in names]
    statement = sa.select(
        *groups,
        sa.func.count().label("transfers"),
        sa.func.sum(one.c.back).label("back"),
        sa.func.sum(one.c.answered).label("answered"),
        sa.func.sum(one.c.talk_us).label("talk_us"),
        sa.func.sum(one.c.wait_us).label("wait_us"),
    ).group_by(*groups)
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 5)
    for row in database.rows(statement):
        values = row._mapping
        labels = cuts.labels[values["part"]] if cuts is not None else ()
        key = keys.in_order(ask, labels, tuple(values[f"by_{name}"] for name in others))
        found[key] = [int(values[name] or 0) for name in ("transfers", "back", "answered", "talk_us", "wait_us")]
    total = [sum(column) for column in zip(*found.values(), strict=True)] or [0] * 5
    groups_of = keys.by_skills(ask.by, found)
    made = [(*key, *_figures(groups_of[key])) for key in sorted(groups_of, key=keys.sort_key(ask.by))]
    columns = (*(keys.column_of(name) if name in UNITS else KEYS[name] for name in ask.by), *FIGURES)
    return columns, made, (*(None for _ in ask.by), *_figures(total))


def _figures(sums: list[int]) -> Row:
    count, back, answered, talk_us, wait_us = sums
    return count, back, answered, mean_s(talk_us, count), mean_s(wait_us, count)
