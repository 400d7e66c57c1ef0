"""UTC seconds on the Python side, what a person can read and sort in SQL on the database's side.

PostgreSQL keeps TIMESTAMPTZ, SQLite fixed-width text such as ``2026-11-21T17:58:31.123456Z``. Both keep microseconds, and
a time that is a whole number of microseconds comes back as the very same float. Nothing here knows a table.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=1024)
def _second(whole_s: int) -> str:
    # Neighbouring rows share their second, and formatting the calendar part is four fifths of the work.
    return (_EPOCH + timedelta(seconds=whole_s)).isoformat()[:19]


def to_text(utc_s: float) -> str:
    """UTC seconds to sortable ISO-8601 with microseconds and Z. Raises ValueError or OverflowError on NaN, infinity
    and years outside 1 to 9999."""
    whole_s, us = divmod(round(utc_s * 1_000_000), 1_000_000)
    return f"{_second(whole_s)}.{us:06d}Z"


def from_text(text: str) -> float:
    """The reverse of ``to_text``."""
    return from_datetime(datetime.fromisoformat(text))


def to_datetime(utc_s: float) -> datetime:
    """UTC seconds to an aware datetime."""
    return _EPOCH + timedelta(microseconds=round(utc_s * 1_000_000))


def from_datetime(moment: datetime) -> float:
    """An aware datetime to UTC seconds. Counted in whole microseconds: ``timestamp()`` would round twice."""
    return ((moment - _EPOCH) // _MICROSECOND) / 1_000_000


class UtcTime(TypeDecorator[float]):
    """A column of UTC seconds (float in Python)."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: float | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return to_datetime(value) if dialect.name == "postgresql" else to_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        if value is None:
            return None
        return from_datetime(value) if isinstance(value, datetime) else from_text(value)
