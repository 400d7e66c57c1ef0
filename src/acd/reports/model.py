"""What a report is made of: columns that say what their values are, rows, a total. No SQL and no layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from acd.domain.values import valueclass

Row = tuple[Any, ...]


class Kind(StrEnum):
    """What a column's values are. Whatever the kind, None is "there is none": shown as nothing, never as 0."""

    TEXT = "text"
    INTERVAL = "interval"
    """A stretch of the calendar by its name, as `cuts` writes it."""
    COUNT = "count"
    SHARE = "share"
    """0 to 1."""
    SECONDS = "seconds"
    MOMENT = "moment"
    """UTC seconds."""
    FLAG = "flag"


@valueclass(frozen=True, slots=True)
class Column:
    """``name`` is for programs (units last), ``title`` for people's tables, ``meaning`` one line of explanation."""

    name: str
    title: str
    kind: Kind
    meaning: str = ""


@valueclass(frozen=True, slots=True)
class Heading:
    """What a report is about. Times in UTC seconds; ``settings`` are what it went by (thresholds and the like)."""

    report: str
    title: str
    from_s: float
    to_s: float
    zone: str
    made_at: float
    by: tuple[str, ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Report:
    """A report. The first ``keys`` columns say what a row is about, the others are figures. ``total`` has as many values
    as a row (its keys are None), or is None where a sum means nothing. ``rows`` can be gone through once only when
    ``streamed``. ``notes`` are what a reader must know to read it right."""

    heading: Heading
    columns: tuple[Column, ...]
    rows: Iterable[Row]
    keys: int = 0
    total: Row | None = None
    notes: list[str] = field(default_factory=list)
    streamed: bool = False
    expected: int | None = None
    """About how many rows a streamed report has, for a progress bar."""
    taken: dict[str, float] = field(default_factory=dict)
    """What retention took of the range: kind (``calls``, ``agent_states``...) -> UTC seconds before which it is gone."""

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def at(self, name: str) -> int:
        """The place of a column."""
        return next(n for n, column in enumerate(self.columns) if column.name == name)


def seconds(us: int | None) -> float | None:
    """Whole microseconds as seconds."""
    return None if us is None else us / 1_000_000


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, and None where nothing can be said: there was nothing to divide by."""
    return part / whole if whole else None


def mean_s(sum_us: int | None, count: int) -> float | None:
    """The mean of ``count`` lengths that add up to ``sum_us`` microseconds."""
    return None if sum_us is None or not count else sum_us / count / 1_000_000
