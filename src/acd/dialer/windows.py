"""When a person may be called: calling hours and public holidays, on every clock that may hang where the person is.

A moment is allowed when the clock on each of these walls shows a permitted time: an hour that comes twice is judged by
what the clock shows both times, one that is left out never comes. The next permitted moment is worked out from the
edges of the ranges and the changes of clocks, not by stepping through minutes. Pure: holidays come from a function
handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

from acd.domain.dialrules import CallingHours
from acd.domain.hours import OpeningHours, Range
from acd.domain.values import valueclass

Holidays = Callable[[date], bool]
"""Whether a date is a public holiday at the place called."""
RangesOf = Callable[[date], Sequence[Range]]
"""The ranges of a date, in minutes after midnight, in order and apart."""

DAY_S: Final = 86_400
HORIZON_DAYS: Final = 400
"""How far ahead a permitted moment is looked for: a year with all its holidays, and some."""
_EPOCH: Final = date(1970, 1, 1).toordinal()
_PROBES: Final = 4
"""Clocks are changed at most once in a quarter of a day."""


@valueclass(frozen=True, slots=True)
class Wall:
    """One clock, and what may be done by it."""

    zone: tzinfo
    ranges_of: RangesOf

    def allows(self, at_s: float) -> bool:
        """Whether UTC second ``at_s`` lies within a range, by what the clock shows."""
        shown = datetime.fromtimestamp(math.floor(at_s), self.zone)
        second = shown.hour * 3_600 + shown.minute * 60 + shown.second
        return any(start * 60 <= second < end * 60 for start, end in self.ranges_of(shown.date()))


def calling_ranges(hours: CallingHours, holidays: Holidays) -> RangesOf:
    """The ranges of a date at a place with these holidays."""

    def ranges_of(day: date) -> Sequence[Range]:
        if hours.holiday is not None and holidays(day):
            return hours.holiday
        ranges: Sequence[Range] = hours.week[day.weekday()]
        special = hours.special.get(f"{day.month:02}-{day.day:02}") if hours.special else None
        if special is not None:
            ranges = both(ranges, special)
        if hours.eve is not None and day < date.max and holidays(day + timedelta(days=1)):
            ranges = both(ranges, hours.eve)
        return ranges

    return ranges_of


def schedule_ranges(schedule: OpeningHours) -> RangesOf:
    """The ranges of a date by a campaign's own hours."""
    return lambda day: schedule.exceptions.get(day, schedule.week[day.weekday()])


def both(one: Sequence[Range], other: Sequence[Range]) -> tuple[Range, ...]:
    """The minutes that lie in both, as ranges."""
    found = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return tuple(sorted((start, end) for start, end in found if start < end))


def closed_by(hours: CallingHours, holidays: Holidays, zone: tzinfo, at_s: float) -> Literal["holiday", "hours"]:
    """Of a moment that is not allowed: whether it is so for a holiday alone."""
    shown = datetime.fromtimestamp(at_s, zone)
    if hours.holiday is None or not holidays(shown.date()):
        return "hours"
    usual = Wall(zone, calling_ranges(hours, lambda day: False))
    return "holiday" if usual.allows(at_s) else "hours"


def next_allowed(walls: Sequence[Wall], from_s: float) -> float | None:
    """The first UTC second from ``from_s`` on that every wall allows; ``None`` if none does within `HORIZON_DAYS`."""
    streams = [_open(wall, from_s) for wall in walls]
    at_s = from_s
    current: list[tuple[float, float] | None] = [next(stream, None) for stream in streams]
    while True:
        moved = False
        for index, stream in enumerate(streams):
            span = current[index]
            while span is not None and span[1] <= at_s:
                span = next(stream, None)
            current[index] = span
            if span is None:
                return None
            if span[0] > at_s:
                at_s, moved = span[0], True
        if not moved:
            return at_s


def _open(wall: Wall, from_s: float) -> Iterator[tuple[float, float]]:
    """Spans of UTC seconds that the wall allows, in order, from the one that ends after ``from_s`` on."""
    first = int(from_s // DAY_S)
    for utc_day in range(first, first + HORIZON_DAYS):
        for begins_s, ends_s, offset_s in _offsets(wall.zone, utc_day):
            for number in range((begins_s + offset_s) // DAY_S, (ends_s + offset_s - 1) // DAY_S + 1):
                midnight_s = number * DAY_S - offset_s
                for start, end in wall.ranges_of(date.fromordinal(_EPOCH + number)):
                    opens_s, closes_s = max(begins_s, midnight_s + start * 60), min(ends_s, midnight_s + end * 60)
                    if opens_s < closes_s and closes_s > from_s:
                        yield opens_s, closes_s


@lru_cache(maxsize=8_192)
def _offsets(zone: tzinfo, utc_day: int) -> tuple[tuple[int, int, int], ...]:
    """(from, until, offset) in seconds for the parts of a UTC day between changes of the clock."""
    marks = [utc_day * DAY_S + DAY_S * n // _PROBES for n in range(_PROBES + 1)]
    edges = [marks[0]]
    for low, high in pairwise(marks):
        if _offset(zone, low) != _offset(zone, high):
            edges.append(_change(zone, low, high))
    edges.append(marks[-1])
    return tuple((begins, ends, _offset(zone, begins)) for begins, ends in pairwise(edges) if begins < ends)


def _change(zone: tzinfo, low: int, high: int) -> int:
    """The first second, ``low`` < it <= ``high``, with the offset of ``high``."""
    old = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == old else (low, middle)
    return high


def _offset(zone: tzinfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def welcome(best: tuple[int, int] | None, zone: tzinfo, at_s: float) -> bool:
    """Whether the clock there shows a time at which the person likes to be called; ``best`` may go through midnight."""
    if best is None:
        return True
    shown = datetime.fromtimestamp(at_s, zone)
    minute, (start, end) = shown.hour * 60 + shown.minute, best
    return start <= minute < end if start < end else minute >= start or minute < end
