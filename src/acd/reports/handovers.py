"""Conversations that ended by the agent's passing the caller on: to a queue of ours, into a call of his own, or out of our
hands. By what the call says of its end, not what the stretch does: a transfer may be heard of after the agent has left.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from acd.domain.states import CallOutcome, SegmentKind
from acd.reports.ask import Ask
from acd.reports.stays import BY_HAND, JOINED, LONGEST_S, line_of, moved, reached, several
from acd.store.tables import calls, segments
from acd.store.times import UtcTime


def handovers(ask: Ask) -> sa.Subquery:
    """A row each: agent, started_at (of the conversation, which may lie outside the period)."""
    return sa.union_all(_of_one_stay(ask), _of_several(ask)).subquery("handovers")


def _of_one_stay(ask: Ask) -> sa.Select[Any]:
    """The calls in one queue once that left us: their own row says it all."""
    c = calls.c
    where = [
        c.entered_at >= ask.period.from_s - LONGEST_S, *ask.in_period(c.answered_at), c.ended_at.is_not(None),
        c.outcome == CallOutcome.TRANSFERRED.value, moved() == 0,
    ]  # fmt: skip
    if ask.filters.agent:
        where.append(c.agent.in_(ask.filters.agent))
    return sa.select(c.agent, c.answered_at.label("started_at")).where(c.entered_at < ask.period.to_s, *where)


def _of_several(ask: Ask) -> sa.Select[Any]:
    where = reached(ask)
    if ask.filters.agent:
        s = segments.c
        theirs = (s.agent.in_(ask.filters.agent), s.kind == SegmentKind.TALKED, *ask.in_period(s.started_at))
        where.append(calls.c.call.in_(sa.select(s.call).where(*theirs)))
    of = line_of(several(where)).rows.c
    talk_begins = sa.case((of.kind == SegmentKind.TALKED, of.started_at))
    began = sa.func.min(talk_begins, type_=UtcTime()).over(partition_by=(of.call, of.agent, of.offer))
    along = (
        sa.select(of.call, of.agent, of.outcome, of.waits, of.then_begins, began.label("started_at"))
        .subquery("along")
        .c
    )
    within = sa.and_(
        along.outcome.in_(BY_HAND),
        sa.or_(along.then_begins == 1, sa.and_(along.outcome == JOINED, along.then_begins == 0)),
    )
    # An agent's own call, in whose place he joined his caller, ends as joined
    out = sa.and_(
        along.then_begins.is_(None), calls.c.ended_at.is_not(None), calls.c.outcome == CallOutcome.TRANSFERRED.value,
        sa.func.coalesce(along.outcome, "") != JOINED,
    )  # fmt: skip
    return (
        sa.select(along.agent, along.started_at)
        .join_from(along.call.table, calls, calls.c.call == along.call)
        .where(along.waits == 0, sa.or_(within, out))
    )
