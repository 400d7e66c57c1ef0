"""Calls cut into their stays in queues: a call that overflows or is passed on is in several, one after another.

A stay begins when the call comes into a queue, the first time or again, and also in the same one after a conversation. It
is answered when somebody talks with the caller there, and is over when the next one begins or the call ends. Who is joined
into a conversation that goes on enters no queue by that.

Most calls are in one queue once, and their own row says all of their stay; only the others are made from their segments.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from acd.domain.states import CallOutcome, SegmentKind
from acd.domain.values import valueclass
from acd.reports.ask import Ask
from acd.reports.sql import lasted
from acd.store.facts import PASSED_ON
from acd.store.tables import calls, segments
from acd.store.times import UtcTime

LONGEST_S = 7 * 86_400.0
"""So long before and after the range a call is looked at that reaches into it or out of it: none lasts longer."""

WAITING = (SegmentKind.ENTERED, SegmentKind.WAITED, SegmentKind.OFFERED, SegmentKind.RANG)
TALK = (SegmentKind.TALKED, SegmentKind.CONFERENCED)
"""What counts as talk time."""
HELD = (SegmentKind.HELD, SegmentKind.CONSULTED)
"""What counts as hold time."""
TALKING = (*TALK, *HELD)
AMID = (*HELD, SegmentKind.CONFERENCED)
"""What interrupts the talk of a conversation, in the order of the index."""
ESCALATED, TRANSFERRED, JOINED, OVERFLOWED, MOVED = PASSED_ON
BY_HAND = (ESCALATED, TRANSFERRED, JOINED)
"""How somebody passes a call on within our queues."""

_OWN = ("call", "node", "client", "did", "queue", "agent")


@valueclass(frozen=True, slots=True)
class Line:
    """The segments, wrap-ups apart, of calls that were in several queues or waited again. ``rows`` has a row each:
    call, serial, kind, queue, agent and offer (after a conversation: of whoever had it), started_at, ended_at,
    outcome. ``stay`` counts the call's stays from 1; ``waits`` and ``begins`` (a stay) are 0 or 1, and so are
    ``waited`` of the segment before (null: there is none) and ``then_begins`` of the next; ``then_queue`` is the
    next one's."""

    rows: sa.CTE


def reached(ask: Ask) -> list[sa.ColumnElement[bool]]:
    """The calls that were there in the period, as far as a database finds them by time."""
    begin = ask.period.from_s
    return [
        sa.or_(
            sa.and_(calls.c.entered_at >= begin, calls.c.entered_at < ask.period.to_s),
            sa.and_(
                calls.c.entered_at >= begin - LONGEST_S, calls.c.entered_at < begin, calls.c.ended_at >= begin
            ),
            sa.and_(calls.c.entered_at < ask.period.to_s, calls.c.ended_at.is_(None)),
        )
    ]  # fmt: skip


def moved() -> sa.ColumnElement[int]:
    """Of ``calls``: 0 if the call's sums say that it had one stay, else 1 (null where a sum is missing is no sign of one).
    PostgreSQL expects few rows of a value of what it cannot see through, and many of any other: that is how it is."""
    c = calls.c
    return sa.case((sa.and_(c.ended_at.is_not(None), c.passages == 0, c.rewait_us == 0), 0), else_=1)


def several(where: list[sa.ColumnElement[bool]]) -> sa.CTE:
    """The ids (``call``) of the calls ``where`` that may have had more than one stay; all others had one."""
    found = sa.select(calls.c.call).where(*where, moved() == 1)
    return found.cte("several").prefix_with("MATERIALIZED", dialect="postgresql")


def line_of(chosen: sa.CTE) -> Line:
    """What happened to the calls of ``several``, cut into stays."""
    s = segments.c
    waits = sa.case((s.kind.in_(WAITING), 1), else_=0)
    names = ("call", "serial", "kind", "queue", "agent", "offer", "started_at", "ended_at", "outcome")
    window: Any = {"partition_by": s.call, "order_by": s.serial}

    def had(name: str) -> sa.ColumnElement[Any]:
        """A caller may be passed on when the agent was heard leaving before."""
        return sa.case((s.kind == SegmentKind.AFTER, sa.func.lag(s[name]).over(**window)), else_=s[name]).label(name)

    seen = (
        sa.select(
            *(had(name) if name in ("agent", "offer") else s[name] for name in names),
            waits.label("waits"),
            sa.func.lag(waits).over(**window).label("waited"),
            sa.func.lag(s.queue).over(**window).label("queue_before"),
        )
        .join_from(chosen, segments, s.call == chosen.c.call)
        .where(s.kind != SegmentKind.WRAPPED)
        .subquery("seen")
    )
    of = seen.c
    again = sa.and_(of.waits == 1, sa.or_(of.waited == 0, of.queue.is_distinct_from(of.queue_before)))
    begins = sa.case((of.waited.is_(None), 1), (again, 1), else_=0)
    marked = sa.select(*(of[name] for name in names), of.waits, of.waited, begins.label("begins"))
    m = marked.subquery("marked").c
    window = {"partition_by": m.call, "order_by": m.serial}
    counted = sa.select(
        *(m[name] for name in names), m.waits, m.waited, m.begins,
        sa.func.sum(m.begins).over(**window, rows=(None, 0)).label("stay"),
        sa.func.lead(m.begins).over(**window).label("then_begins"),
        sa.func.lead(m.queue).over(**window).label("then_queue"),
    )  # fmt: skip
    return Line(counted.cte("line"))


def last_of(column: sa.ColumnElement[Any], *kinds: SegmentKind) -> sa.ScalarSelect[Any]:
    """A column of the last segment, wrap-ups apart, of a row of ``calls``; the last of ``kinds``, if any are given."""
    s = segments.c
    which = s.kind.in_(kinds) if kinds else s.kind != SegmentKind.WRAPPED
    last = sa.select(column).where(s.call == calls.c.call, which).order_by(s.serial.desc()).limit(1)
    return last.correlate(calls).scalar_subquery()


def was_own() -> sa.ColumnElement[bool]:
    """Of ``calls``: whether it was an agent's own call, in whose place he joined his caller. It ended as transferred."""
    c = calls.c
    perhaps = sa.and_(c.outcome == CallOutcome.TRANSFERRED.value, c.target.like("call %"))
    # Not EXISTS, for which PostgreSQL might read every segment
    return sa.case((perhaps, sa.func.coalesce(last_of(segments.c.outcome), "") == JOINED), else_=sa.false())


def _stays_of(line: Line) -> sa.Subquery:
    """A row a stay: call, stay, queue, agent (who answered), entered_at, answered_at, until, wait_us, last (how its last
    segment ended); 0 or 1: followed (by another), handed_on (in a conversation, within our queues)."""
    of = line.rows.c
    talks = of.kind.in_(TALKING)
    ends = sa.or_(of.then_begins.is_(None), of.then_begins == 1)
    answers = sa.and_(talks, sa.or_(of.waited.is_(None), of.waited == 1))
    return (
        sa.select(
            of.call,
            of.stay,
            sa.func.min(of.queue).filter(of.begins == 1).label("queue"),
            sa.func.min(of.agent).filter(answers).label("agent"),
            sa.func.min(of.started_at, type_=UtcTime()).label("entered_at"),
            sa.func.min(of.started_at, type_=UtcTime()).filter(talks).label("answered_at"),
            sa.func.max(of.ended_at, type_=UtcTime()).label("until"),
            sa.cast(sa.func.sum(lasted(of.started_at, of.ended_at)).filter(of.waits == 1), sa.BigInteger).label(
                "wait_us"
            ),
            sa.func.max(sa.func.coalesce(of.then_begins, 0)).label("followed"),
            sa.func.max(of.outcome).filter(ends).label("last"),
            sa.func.max(
                sa.case((sa.and_(of.waits == 0, of.then_begins.is_not(None), of.outcome.in_(BY_HAND)), 1), else_=0)
            ).label("handed_on"),
        )
        .group_by(of.call, of.stay)
        .subquery("stayed")
    )


def _outcome_of_call() -> sa.ColumnElement[Any]:
    """How the call ended where nobody answered: a queue did not do what somebody did by hand."""
    by_hand = sa.and_(calls.c.outcome == CallOutcome.OVERFLOWED, calls.c.ended_by == "agent")
    return sa.case((by_hand, CallOutcome.TRANSFERRED.value), else_=calls.c.outcome)


def stays(ask: Ask) -> sa.Subquery:
    """The stays that began in the period, with columns as a call has them: call, node, client, did, queue, agent (who
    answered), entered_at, answered_at, ended_at (null: it is not over), wait_us, outcome (a CallOutcome: `transferred` if
    somebody passed the call on, `overflowed` if the queue did)."""
    chosen = several(reached(ask))
    single = (
        sa.select(
            *(calls.c[name] for name in _OWN),
            calls.c.entered_at, calls.c.answered_at, calls.c.ended_at, _outcome_of_call().label("outcome"), calls.c.wait_us,
        )
        .where(*ask.in_period(calls.c.entered_at), moved() != 1)
    )  # fmt: skip
    of = _stays_of(line_of(chosen)).c
    over = sa.or_(of.followed == 1, calls.c.ended_at.is_not(None))
    passed_on, sent_on = CallOutcome.TRANSFERRED.value, CallOutcome.OVERFLOWED.value
    outcome = sa.case(
        (sa.or_(of.handed_on == 1, sa.and_(of.followed == 1, of.last.in_(BY_HAND))), passed_on),
        (of.followed == 1, sent_on),
        # An agent's own call, in whose place he joined his caller: nobody here passed anybody on
        (sa.and_(of.answered_at.is_not(None), of.last == JOINED), CallOutcome.ANSWERED.value),
        (of.answered_at.is_not(None), calls.c.outcome),
        (sa.or_(calls.c.answered_at.is_(None), calls.c.outcome == CallOutcome.LOST_TRACK), _outcome_of_call()),
        # It was answered in a queue before, and its own outcome is about that
        (of.last.in_(BY_HAND), passed_on),
        (of.last == CallOutcome.FALLBACK, CallOutcome.FALLBACK.value),
        (sa.and_(calls.c.ended_by == "caller", calls.c.outcome == CallOutcome.ANSWERED), CallOutcome.ABANDONED.value),
        else_=sent_on,
    )
    pieces = (
        sa.select(
            calls.c.call, calls.c.node, calls.c.client, calls.c.did, of.queue, of.agent,
            of.entered_at, of.answered_at,
            sa.case((of.followed == 1, of.until), else_=calls.c.ended_at).label("ended_at"),
            outcome.label("outcome"),
            sa.case((over, of.wait_us)).label("wait_us"),
        )
        .join(calls, calls.c.call == of.call)
        .where(*ask.in_period(of.entered_at))
    )  # fmt: skip
    return sa.union_all(single, pieces).subquery("stays")
