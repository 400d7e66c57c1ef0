"""An agent's day, state by state, without a gap: where the records say nothing, a row says so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from acd.reports.agents import REASON, states_within
from acd.reports.ask import Ask
from acd.reports.database import Database
from acd.reports.model import Column, Kind, Row
from acd.store.tables import agents

NOT_RECORDED = "not recorded"
COLUMNS = (
    Column("agent", "AGENT", Kind.TEXT, "who"),
    Column("from", "FROM", Kind.MOMENT, "when the state began, or the range"),
    Column("to", "TO", Kind.MOMENT, "when it ended, or the range; now where it lasts"),
    Column("state", "STATE", Kind.TEXT, f"the state; {NOT_RECORDED!r} where there is no record"),
    REASON,
    Column("length_s", "LENGTH", Kind.SECONDS, "within the range"),
    Column("call", "CALL", Kind.TEXT, "the call it was about"),
)


def timeline(database: Database, ask: Ask) -> list[Row]:
    """The rows, agent after agent; their lengths add up to the range (up to now) for each."""
    end_s = min(ask.period.to_s, ask.now)
    within = states_within(database, ask, end_s)
    columns = [within.c[name] for name in ("agent", "started_at", "ended_at", "state", "reason", "call")]
    rows = database.rows(sa.select(*columns).select_from(within.source).order_by(within.c.agent, within.c.serial))
    of_agent = {agent: list(mine) for agent, mine in groupby(rows, key=lambda row: row.agent)}
    if ask.filters.agent:
        everybody = list(ask.filters.agent)
    else:
        everybody = [row.agent for row in database.rows(sa.select(agents.c.agent))]
    return [row for agent in sorted(everybody) for row in _of(agent, of_agent.get(agent, []), ask.period.from_s, end_s)]


def _of(agent: str, rows: list[Any], begin_s: float, end_s: float) -> Iterator[Row]:
    at = begin_s
    for row in rows:
        start = max(row.started_at, begin_s)
        stop = end_s if row.ended_at is None else min(row.ended_at, end_s)
        if start > at:
            yield _row(agent, at, start, NOT_RECORDED, None, None)
        if stop > start:
            yield _row(agent, start, stop, row.state, row.reason, row.call)
            at = stop
    if at < end_s:
        yield _row(agent, at, end_s, NOT_RECORDED, None, None)


def _row(agent: str, begin: float, end: float, state: str, reason: str | None, call: str | None) -> Row:
    length_us = round(end * 1_000_000) - round(begin * 1_000_000)
    return agent, begin, end, state, reason, length_us / 1_000_000, call
