"""How values stand in files: numbers as numbers, moments as local time with its offset, nothing where there is nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from acd.reports.model import Column, Kind
from acd.store.times import to_datetime

Item = TypeVar("Item")
TICK = 1000
"""Rows between two reports of progress."""


def moment(at: float | None, zone: ZoneInfo) -> str | None:
    """``2026-11-21T10:15:03.250000+01:00``."""
    return None if at is None else to_datetime(at).astimezone(zone).isoformat()


def makers(columns: tuple[Column, ...], zone: ZoneInfo) -> list[Callable[[Any], Any] | None]:
    """What turns each column's values into what a text file has; None: they stay."""

    def local(at: float | None) -> str | None:
        return moment(at, zone)

    return [local if column.kind is Kind.MOMENT else None for column in columns]


def ticking(items: Iterator[Item], tick: Callable[[int], None]) -> Iterator[Item]:
    """The same items; ``tick`` is told how many there were, now and then."""
    done = 0
    while some := list(islice(items, TICK)):
        yield from some
        done += len(some)
        tick(done)
