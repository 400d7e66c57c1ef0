"""When calls come: so many in each hour of each day, more on Mondays and before noon. Pure; times are whole microseconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random

HOUR_US = 3_600_000_000

WEEKDAYS = (1.15, 1.05, 1.0, 1.0, 0.95, 0.4, 0.2)
"""Monday to Sunday."""
HOURS = (*[0.0] * 7, 0.35, 0.8, 1.15, 1.3, 1.2, 0.9, 0.95, 1.1, 1.1, 0.95, 0.7, 0.45, 0.25, *[0.0] * 4)
"""From midnight on. Before seven and after eight in the evening nobody is there, and nobody calls."""
_SEASON = 0.1


def weight_of(day: date) -> float:
    """How busy a day is, compared with a Wednesday in spring."""
    return WEEKDAYS[day.weekday()] * (
        1 + _SEASON * (1 if day.month in (1, 11, 12) else -1 if day.month in (7, 8) else 0)
    )


def days_from(first: date, count: int) -> Iterator[date]:
    """``count`` days."""
    return (first + timedelta(days=n) for n in range(count))


def midnight_us(day: date) -> int:
    """The beginning of a day (UTC)."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def hourly(calls: int, first: date, days: int) -> Iterator[tuple[date, list[int]]]:
    """Each day with its calls by hour; all together are exactly ``calls``."""
    whole = sum(weight_of(day) for day in days_from(first, days)) * sum(HOURS)
    passed, given = 0.0, 0
    for day in days_from(first, days):
        of_day, counts = weight_of(day), []
        for hour in HOURS:
            passed += of_day * hour
            upto = round(calls * passed / whole)
            counts.append(upto - given)
            given = upto
        yield day, counts


def arrivals_us(counts: list[int], chance: Random) -> Iterator[int]:
    """The times of a day's calls, after midnight and in order."""
    for hour, count in enumerate(counts):
        yield from sorted(int((hour + chance.random()) * HOUR_US) for _ in range(count))
