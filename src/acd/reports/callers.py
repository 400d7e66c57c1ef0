"""Callers who called more than once: abandoned calls and whether the caller was reached since, and calls that made
another one necessary. A number is a caller; calls without one, or with it withheld, cannot be told apart and are left
out of what is judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from acd.domain.numbers import WITHHELD
from acd.domain.states import CallOutcome, SegmentKind
from acd.reports import keys
from acd.reports.ask import Ask
from acd.reports.cuts import UNITS, cut
from acd.reports.database import Database
from acd.reports.intervals import part_of
from acd.reports.model import Column, Kind, Row, ratio, seconds
from acd.reports.sql import lasted, micros
from acd.reports.stays import TALKING, WAITING
from acd.store.tables import calls, segments
from acd.store.times import UtcTime

DAY_US = 86_400_000_000

ABANDONED = (
    Column("entered", "ENTERED", Kind.MOMENT, "when the call entered"),
    Column("number", "NUMBER", Kind.TEXT, "the caller's"),
    Column("name", "NAME", Kind.TEXT, "the caller's"),
    Column("queue", "QUEUE", Kind.TEXT, "where the caller gave up"),
    Column("wait_s", "WAITED", Kind.SECONDS, "until the caller hung up"),
    Column("short", "SHORT", Kind.FLAG, "waited less than --short"),
    Column("after_talk", "HAD TALKED", Kind.FLAG, "gave up in a queue into which the call came after a conversation"),
    Column("tries", "TRIES SINCE", Kind.COUNT, "later calls from the number; none where it is withheld"),
    Column("reached", "REACHED", Kind.FLAG, "a later call from the number was answered; none: withheld"),
    Column("reached_by", "REACHED BY", Kind.TEXT, "by whom"),
    Column("reached_after_s", "AFTER", Kind.SECONDS, "from hanging up to being answered"),
    Column("reached_at", "REACHED AT", Kind.MOMENT, "when that call was answered"),
    Column("did", "DID", Kind.TEXT, "the number that was dialled"),
    Column("client", "CLIENT", Kind.TEXT, "for whom"),
    Column("call", "CALL", Kind.TEXT, "its id"),
)
REACHED = next(n for n, column in enumerate(ABANDONED) if column.name == "reached")
"""Where that stands in a row."""


def _known_number(ask: Ask, number: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.func.lower(number).not_in((*WITHHELD, *sorted(ask.withheld)))


def _segment(*columns: Any) -> sa.Select[Any]:
    return sa.select(*columns).where(segments.c.call == calls.c.call).correlate(calls)


def _gave_up_again() -> sa.ColumnElement[bool]:
    """Of ``calls``: the caller had talked, waited again, and hung up."""
    s = segments.c
    last = _segment(s.kind).where(s.kind != SegmentKind.WRAPPED).order_by(s.serial.desc()).limit(1).scalar_subquery()
    waited = sa.and_(
        calls.c.outcome == CallOutcome.ANSWERED.value, calls.c.ended_by == "caller", calls.c.rewait_us > 0
    )  # fmt: skip
    return sa.and_(waited, last.in_(WAITING))


def _waited_again_us() -> sa.ColumnElement[Any]:
    """Of ``calls``: how long the caller waited after the last conversation."""
    s = segments.c
    talked = _segment(sa.func.max(s.ended_at, type_=UtcTime())).where(s.kind.in_((*TALKING, SegmentKind.AFTER)))
    return lasted(talked.scalar_subquery(), calls.c.ended_at)


def abandoned(database: Database, ask: Ask) -> list[Row]:
    """The abandoned calls, the latest first, each with what became of its caller up to now."""
    later = calls.alias("later")
    of_the_same = (
        later.c.caller_number == calls.c.caller_number,
        sa.func.coalesce(later.c.client, "") == sa.func.coalesce(calls.c.client, ""),
        later.c.entered_at > calls.c.entered_at,
    )
    tries = sa.select(sa.func.count()).where(*of_the_same).correlate(calls).scalar_subquery()
    first = (
        sa.select(later.c.call)
        .where(*of_the_same, later.c.answered_at.is_not(None))
        .order_by(later.c.answered_at, later.c.call)
        .limit(1)
        .correlate(calls)
        .scalar_subquery()
    )
    known = _known_number(ask, calls.c.caller_number)
    talked = calls.c.answered_at.is_not(None)
    one = (
        sa.select(
            calls, sa.case((talked, _waited_again_us()), else_=calls.c.wait_us).label("waited_us"),
            known.label("known"), sa.case((known, tries)).label("tries"), sa.case((known, first)).label("reached_in")
        )
        .where(
            *ask.in_period(calls.c.entered_at), *ask.filters.of_calls(), calls.c.ended_at.is_not(None),
            sa.or_(sa.and_(calls.c.outcome == CallOutcome.ABANDONED.value, ~talked), _gave_up_again()),
        )
        .subquery("one")
    )  # fmt: skip
    reached = calls.alias("reached")
    statement = (
        sa.select(one, reached.c.answered_at.label("reached_at"), reached.c.agent.label("reached_by"))
        .select_from(one.outerjoin(reached, reached.c.call == one.c.reached_in))
        .order_by(one.c.entered_at.desc(), one.c.call.desc())
    )
    return [_abandoned_row(row, ask) for row in database.rows(statement)]


def _abandoned_row(row: Any, ask: Ask) -> Row:
    short = None if row.waited_us is None else row.waited_us < round(ask.short_s * 1_000_000)
    after = None
    if row.reached_at is not None:
        after = (round(row.reached_at * 1_000_000) - round(row.ended_at * 1_000_000)) / 1_000_000
    return (
        row.entered_at, row.caller_number, row.caller_name, row.queue, seconds(row.waited_us), short,
        row.answered_at is not None, row.tries,
        row.reached_in is not None if row.known else None, row.reached_by, after, row.reached_at, row.did, row.client,
        row.call,
    )  # fmt: skip


REPEAT = (
    Column("answered", "ANSWERED", Kind.COUNT, "answered calls that are over"),
    Column("judged", "JUDGED", Kind.COUNT, "of these, with a number, and long enough ago to tell"),
    Column("repeated", "REPEATED", Kind.COUNT, "of these, followed by another call of the number within --within days"),
    Column("first_contact_rate", "FIRST CONTACT", Kind.SHARE, "1 - repeated / judged"),
    Column("repeat_after_s", "AFTER", Kind.SECONDS, "mean time from a repeated call's beginning to the next"),
)


def repeat(database: Database, ask: Ask) -> tuple[tuple[Column, ...], list[Row], Row]:
    """(columns, rows, total) of answered calls and whether another one of the same number (for the same client) followed."""
    cuts = cut(ask.period, ask.zone, ask.units) if ask.units else None
    within_us = ask.within_days * DAY_US
    others = [name for name in ask.by if name not in UNITS]
    following = (
        sa.func.lead(calls.c.entered_at)
        .over(
            partition_by=[calls.c.caller_number, sa.func.coalesce(calls.c.client, "")],
            order_by=[calls.c.entered_at, calls.c.call],
        )
        .label("following")
    )
    needed = {"call", "entered_at", "answered_at", "ended_at", "caller_number", "queue", "agent", "client", "did"}
    needed.update(name for name in others if name != "skill")
    every = (
        sa.select(*(calls.c[name] for name in sorted(needed)), following)
        .where(
            calls.c.entered_at >= ask.period.from_s,
            calls.c.entered_at < ask.period.to_s + ask.within_days * 86_400 + 1,
        )
        .subquery("every")
    )
    source: sa.FromClause = every
    asked: Any = None
    if "skill" in others:
        source, asked = keys.with_requirement(source, every, is_postgres=database.is_postgres)
    picked: list[Any] = [(asked if name == "skill" else every.c[name]).label(f"by_{name}") for name in others]
    if cuts is not None:
        source, part = part_of(database, cuts, source, every.c.entered_at)
        picked.append(part.label("part"))
    gap = micros(every.c.following) - micros(every.c.entered_at)
    judged = sa.and_(
        _known_number(ask, every.c.caller_number), every.c.entered_at <= ask.now - ask.within_days * 86_400
    )
    where = [
        *ask.in_period(every.c.entered_at), every.c.answered_at.is_not(None), every.c.ended_at.is_not(None),
        *(every.c[name].in_(values) for name, values in ask.filters.given()),
    ]  # fmt: skip
    one = sa.select(*picked, judged.label("judged"), gap.label("gap")).select_from(source).where(*where).subquery("one")
    repeated = sa.and_(one.c.judged, one.c.gap <= within_us)
    groups = [one.c[column.name] for column in picked]
    statement = sa.select(
        *groups,
        sa.func.count().label("answered"),
        sa.func.count().filter(one.c.judged).label("judged"),
        sa.func.count().filter(repeated).label("repeated"),
        sa.func.sum(one.c.gap).filter(repeated).label("gaps_us"),
    ).group_by(*groups)
    found: dict[tuple[Any, ...], tuple[int, int, int, int]] = defaultdict(lambda: (0, 0, 0, 0))
    for row in database.rows(statement):
        values = row._mapping
        labels = cuts.labels[values["part"]] if cuts is not None else ()
        key = keys.in_order(ask, labels, tuple(values[f"by_{name}"] for name in others))
        found[key] = (row.answered, row.judged, row.repeated, int(row.gaps_us or 0))
    if cuts is not None and not others:
        for label in cuts.labels:
            found.setdefault(label, (0, 0, 0, 0))
    total = tuple(map(sum, zip(*found.values(), strict=True))) if found else (0, 0, 0, 0)
    groups_of = keys.by_skills(ask.by, found)
    rows = [(*key, *_repeat_figures(groups_of[key])) for key in sorted(groups_of, key=keys.sort_key(ask.by))]
    columns = (*(keys.column_of(name) if name in UNITS else keys.OF_CALLS[name] for name in ask.by), *REPEAT)
    return columns, rows, (*(None for _ in ask.by), *_repeat_figures(total))


def _repeat_figures(sums: Sequence[int]) -> Row:
    answered, judged, repeated, gaps_us = sums
    first = ratio(judged - repeated, judged)
    return answered, judged, repeated, first, gaps_us / repeated / 1_000_000 if repeated else None
