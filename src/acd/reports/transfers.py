"""Where calls were passed on to, and what became of them: by agents amid a conversation, and by queues without an answer."""

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
from acd.store.tables import calls

KINDS = {
    CallOutcome.TRANSFERRED.value: "by the agent",
    CallOutcome.OVERFLOWED.value: "by the queue",
    CallOutcome.FALLBACK.value: "fallback",
}
KEYS = {
    "kind": Column("kind", "PASSED ON", Kind.TEXT, "by the agent, by the queue (unanswered) or to the fallback"),
    "target": Column("target", "TO", Kind.TEXT, "where to, as far as it was seen"),
    **{name: keys.OF_CALLS[name] for name in ("queue", "agent", "client", "did")},
}
FIGURES = (
    Column("transfers", "CALLS", Kind.COUNT, "calls that were passed on"),
    Column("came_back", "CAME BACK", Kind.COUNT, "of these, the caller came into a queue of ours again by it"),
    Column("answered_again", "ANSWERED", Kind.COUNT, "of those that came back, answered there"),
    Column("talk_s", "TALK BEFORE", Kind.SECONDS, "mean talk before it"),
    Column("wait_s", "WAIT BEFORE", Kind.SECONDS, "mean wait before it"),
)


def transfers(database: Database, ask: Ask) -> tuple[tuple[Column, ...], list[Row], Row]:
    """(columns, rows, total)."""
    cuts = cut(ask.period, ask.zone, ask.units) if ask.units else None
    others = [name for name in ask.by if name not in UNITS]
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
    source: sa.FromClause = calls.outerjoin(went_on, went_on.c.from_call == calls.c.call)
    kind = sa.case(KINDS, value=calls.c.outcome)
    picked: list[Any] = [(kind if name == "kind" else calls.c[name]).label(f"by_{name}") for name in others]
    if cuts is not None:
        source, part = part_of(database, cuts, source, calls.c.entered_at)
        picked.append(part.label("part"))
    names = [column.name for column in picked]
    picked += [calls.c.talk_us, calls.c.wait_us, went_on.c.from_call.label("back"), went_on.c.answered]
    where = [
        *ask.in_period(calls.c.entered_at), *ask.filters.of_calls(), calls.c.ended_at.is_not(None),
        calls.c.outcome.in_(KINDS),
    ]  # fmt: skip
    one = sa.select(*picked).select_from(source).where(*where).subquery("one")
    groups = [one.c[name] for name in names]
    statement = sa.select(
        *groups,
        sa.func.count().label("transfers"),
        sa.func.count(one.c.back).label("back"),
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
    rows = [(*key, *_figures(found[key])) for key in sorted(found, key=keys.sort_key(ask.by))]
    columns = (*(keys.column_of(name) if name in UNITS else KEYS[name] for name in ask.by), *FIGURES)
    return columns, rows, (*(None for _ in ask.by), *_figures(total))


def _figures(sums: list[int]) -> Row:
    count, back, answered, talk_us, wait_us = sums
    return count, back, answered, mean_s(talk_us, count), mean_s(wait_us, count)
