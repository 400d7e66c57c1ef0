"""Conversations of all agents at once, on PostgreSQL: from the calls' own sums as far as these tell, else from segments.

A call with one conversation that began and ended within one interval says with its sums all that its segments would, and
most do. So segments are read for the others, by their calls, and for offers, of which only few rows matter.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from acd.domain.states import OfferOutcome, SegmentKind
from acd.reports.ask import Ask
from acd.reports.cuts import UNITS, Cuts
from acd.reports.database import Database
from acd.reports.intervals import part_of
from acd.reports.sql import lasted
from acd.reports.stays import HELD, LONGEST_S, TALK, TALKING
from acd.store.tables import agents, calls, segments

_FINE = frozenset({"15min", "30min", "hour", "hour_of_day"})


def is_coarse(ask: Ask) -> bool:
    """Whether few calls are in two intervals."""
    return not _FINE.intersection(name for name in ask.by if name in UNITS)


def of_everybody(database: Database, ask: Ask, cuts: Cuts | None, *, by_agent: bool) -> list[sa.Select[Any]]:
    """Statements that give sums by ``part`` and perhaps ``agent``, some of them each; equal keys add up: talk_us, hold_us,
    wrap_us, conversations; ronas, declines."""
    found = (_one_each(database, ask, cuts), _others(database, ask, cuts), _outcomes(database, ask, cuts))
    return [_known(one.subquery("of_agents"), by_agent=by_agent) for one in found]


def _known(sums: sa.Subquery, *, by_agent: bool) -> sa.Select[Any]:
    """Of agents that there are; joined behind the adding up, for there are fewer rows."""
    groups = [sums.c[name] for name in ("agent", "part") if name in sums.c and (name != "agent" or by_agent)]
    added = [
        sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger).label(column.name)
        for column in sums.c
        if column.name not in ("agent", "part")
    ]
    return sa.select(*groups, *added).join_from(sums, agents, agents.c.agent == sums.c.agent).group_by(*groups)


def _part(database: Database, cuts: Cuts | None, at: sa.ColumnElement[Any]) -> list[sa.ColumnElement[Any]]:
    """The interval of a moment, if there are any. On PostgreSQL that takes no table."""
    return [] if cuts is None else [part_of(database, cuts, calls, at)[1].label("part")]


def _entered(ask: Ask) -> sa.ColumnElement[bool]:
    return sa.and_(calls.c.entered_at >= ask.period.from_s - LONGEST_S, calls.c.entered_at < ask.period.to_s)


def _tells(database: Database, ask: Ask, cuts: Cuts | None) -> sa.ColumnElement[bool]:
    """Whether a call's own sums tell of its only conversation, all of it in one interval."""
    c = calls.c
    begun, ended = _part(database, cuts, c.answered_at), _part(database, cuts, c.ended_at)
    return sa.and_(
        c.talks == 1, c.talk_us.is_not(None), c.hold_us.is_not(None), c.wrap_us.is_not(None),
        *ask.in_period(c.answered_at), c.ended_at < ask.period.to_s,
        *(one == other for one, other in zip(begun, ended, strict=True)),
    )  # fmt: skip


def _one_each(database: Database, ask: Ask, cuts: Cuts | None) -> sa.Select[Any]:
    """Calls that tell by themselves."""
    c = calls.c
    part = _part(database, cuts, c.answered_at)
    rows = sa.select(c.agent, *part, c.talk_us, c.hold_us, c.wrap_us).where(_entered(ask), _tells(database, ask, cuts))
    one = rows.subquery("one").c
    groups = [one[name] for name in ("agent", "part") if name in one]
    sums = [sa.func.sum(one[name]).label(name) for name in ("talk_us", "hold_us", "wrap_us")]
    return sa.select(*groups, *sums, sa.func.count().label("conversations")).group_by(*groups)


def _others(database: Database, ask: Ask, cuts: Cuts | None) -> sa.Select[Any]:
    """Segments of the other calls: several conversations, across a border, not over, or without sums."""
    c, s = calls.c, segments.c
    reaches = sa.and_(
        c.entered_at < ask.period.to_s, c.answered_at.is_not(None),
        sa.or_(c.ended_at.is_(None), sa.and_(_entered(ask), c.ended_at >= ask.period.from_s)),
    )  # fmt: skip
    # PostgreSQL expects few of what it cannot see through, and then looks for segments call by call
    told = sa.case((_tells(database, ask, cuts), 1), else_=0)
    nth = sa.func.row_number().over(partition_by=(s.call, s.kind, s.agent, s.offer), order_by=s.serial)
    kinds = (*TALKING, SegmentKind.WRAPPED)
    rows = (
        sa.select(
            s.agent, s.kind, s.started_at, lasted(s.started_at, s.ended_at).label("length"), nth.label("nth"),
        )
        .join_from(calls, segments, s.call == c.call)
        .where(reaches, told == 0, s.kind.in_(kinds), s.agent.is_not(None))
    ).subquery("rows")  # fmt: skip
    r = rows.c
    part = _part(database, cuts, r.started_at)
    stretch = (
        sa.select(r.agent, *part, r.kind, r.length, r.nth).where(*ask.in_period(r.started_at)).subquery("stretch").c
    )
    groups = [stretch[name] for name in ("agent", "part") if name in stretch]

    def total(*of: SegmentKind) -> sa.ColumnElement[Any]:
        return sa.func.sum(stretch.length).filter(stretch.kind.in_(of))

    begins = sa.and_(stretch.kind == SegmentKind.TALKED, stretch.nth == 1)
    return sa.select(
        *groups,
        total(*TALK).label("talk_us"),
        total(*HELD).label("hold_us"),
        total(SegmentKind.WRAPPED).label("wrap_us"),
        sa.func.count().filter(begins).label("conversations"),
    ).group_by(*groups)


def _outcomes(database: Database, ask: Ask, cuts: Cuts | None) -> sa.Select[Any]:
    """How offers ended, where that counts."""
    s = segments.c
    rang = s.kind.in_((SegmentKind.OFFERED, SegmentKind.RANG))
    counts = {
        "ronas": sa.and_(rang, s.outcome == OfferOutcome.NO_ANSWER),
        "declines": sa.and_(rang, s.outcome == OfferOutcome.DECLINED),
    }
    part = _part(database, cuts, s.started_at)
    rows = (
        sa.select(s.agent, *part, *(sa.case((sign, 1), else_=0).label(name) for name, sign in counts.items()))
        .where(
            *ask.in_period(s.started_at), s.agent.is_not(None),
            s.outcome.in_((OfferOutcome.NO_ANSWER, OfferOutcome.DECLINED)),
        )
        .subquery("ended")
    ).c  # fmt: skip
    groups = [rows[name] for name in ("agent", "part") if name in rows]
    return sa.select(*groups, *(sa.func.sum(rows[name]).label(name) for name in counts)).group_by(*groups)
