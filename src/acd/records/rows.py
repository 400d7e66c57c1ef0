"""Rows as the rules see them: plain tuples, times in whole microseconds since 1970 so that equal means equal.

Also the column type by which they are read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from acd.store.times import to_datetime, to_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000


class CallRow(NamedTuple):
    """What the rules ask of a call."""

    call: str
    node: str
    channel: str
    linkedid: str
    entered_at: int
    answered_at: int | None
    agent: str | None
    ended_at: int | None
    outcome: str | None
    ended_by: str | None
    target: str | None
    from_call: str | None
    wait_us: int | None
    rewait_us: int | None
    talk_us: int | None
    hold_us: int | None
    after_us: int | None
    wrap_us: int | None
    offers: int | None
    ronas: int | None
    talks: int | None
    passages: int | None
    queue: str
    cause: int | None


class SegmentRow(NamedTuple):
    """One stretch of a call."""

    call: str
    serial: int
    kind: str
    agent: str | None
    offer: str | None
    started_at: int
    ended_at: int | None
    outcome: str | None
    target: str | None
    queue: str | None


class IntervalRow(NamedTuple):
    """One stretch of an agent's time."""

    serial: int
    started_at: int
    ended_at: int | None
    state: str
    reason: str | None
    call: str | None


@lru_cache(maxsize=8192)
def _second_us(text: str) -> int:
    return (datetime.fromisoformat(text + "+00:00") - _EPOCH) // _MICROSECOND


NO_TIME = 0
"""What is read where no time stands, which somebody else's tool may have written into SQLite."""


class Micros(TypeDecorator[int]):
    """A column of times as whole microseconds. For reading, and for comparing with such. What is no time is NO_TIME."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(sa.TIMESTAMP(timezone=True) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        utc_s = value / SECOND_US
        return to_datetime(utc_s) if dialect.name == "postgresql" else to_text(utc_s)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return (value - _EPOCH) // _MICROSECOND
        try:
            # Fixed width: 2026-11-21T17:58:31.123456Z
            return _second_us(value[:19]) + int(value[20:26])
        except (ValueError, TypeError):
            return NO_TIME


def columns(table: sa.Table, row: type[NamedTuple]) -> list[sa.ColumnElement[Any]]:
    """The columns of ``row`` in its order, times as microseconds."""
    found: list[sa.ColumnElement[Any]] = []
    for name in row._fields:
        column = table.c[name]
        found.append(sa.type_coerce(column, Micros).label(name) if name.endswith("_at") else column)
    return found
