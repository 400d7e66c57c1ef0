"""Where a period is cut into intervals of the local calendar, exact through every change of clocks.

An interval begins whenever the local clock comes to a multiple of its length, and (below a day) whenever the clock is
changed: a day of 25 hours has 25 hourly intervals, and where clocks move by half an hour the hour between is cut in two.
So no interval is ambiguous, and two moments are in one interval if the clock shows the same date, the same multiple and
the same offset from UTC for both. Pure: the zone is an argument.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from acd.domain.errors import ReportError
from acd.domain.values import valueclass
from acd.reports.moments import Period

INTERVALS_MAX = 40_000
"""More borders than that are refused: a year of quarter hours is 35,040."""

_STEPS_S = {"15min": 900, "30min": 1800, "hour": 3600}
UNITS = ("15min", "30min", "hour", "day", "week", "month", "weekday", "hour_of_day")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LOOK_S = 3 * 3600
"""Clocks are not changed twice within that time."""


@valueclass(frozen=True, slots=True)
class Cuts:
    """``borders``: where each piece begins, rising, the first at the period's beginning; the last ends at ``end``.
    ``groups[n]``: the place in ``labels`` of what piece ``n`` belongs to (several pieces may: all Mondays). A label is one
    text a unit; labels are in the order in which they are to be shown."""

    borders: tuple[float, ...]
    end: float
    groups: tuple[int, ...]
    labels: tuple[tuple[str, ...], ...]

    def group_at(self, at: float) -> int:
        """The group of a moment within the period."""
        return self.groups[bisect_right(self.borders, at) - 1]

    def pieces(self) -> Iterator[tuple[float, float, int]]:
        """(begin, end, group) of each piece."""
        return zip(self.borders, (*self.borders[1:], self.end), self.groups, strict=True)


def changes(period: Period, zone: ZoneInfo) -> list[int]:
    """The whole UTC seconds within the period at which the offset from UTC changes."""
    found = []
    at, last = int(period.from_s), int(period.to_s) + 1
    offset = _offset(at, zone)
    while at < last:
        ahead = min(at + _LOOK_S, last)
        after = _offset(ahead, zone)
        if after != offset:
            low, high = at, ahead
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(middle, zone) == offset else (low, middle)
            if period.from_s < high < period.to_s:
                found.append(high)
        at, offset = ahead, after
    return found


def _offset(at: float, zone: ZoneInfo) -> timedelta:
    return zone.utcoffset(datetime.fromtimestamp(at, zone)) or timedelta()


def _step_s(units: Sequence[str]) -> int:
    """Every border lies on a multiple of this on the local clock, or on a change of it."""
    steps = [_STEPS_S.get(unit, 3600 if unit == "hour_of_day" else 86_400) for unit in units]
    return min(steps)


def _candidates(period: Period, zone: ZoneInfo, step_s: int) -> Iterator[float]:
    """Rising; every border is among them."""
    edges = [period.from_s, *map(float, changes(period, zone)), period.to_s]
    for begin, end in pairwise(edges):
        yield begin
        ahead_s = int(_offset(begin, zone).total_seconds())
        at = ((int(begin) + ahead_s) // step_s + 1) * step_s - ahead_s
        while at < end:
            if at > begin:
                yield float(at)
            at += step_s


class _Namer:
    """Names what a moment belongs to, by unit."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def name(self, at: float, unit: str) -> str:
        local = datetime.fromtimestamp(at, self._zone)
        if unit in _STEPS_S:
            return datetime.fromtimestamp(self._begin(at, _STEPS_S[unit]), self._zone).isoformat(timespec="minutes")
        if unit == "day":
            return local.date().isoformat()
        if unit == "week":
            year, week, _ = local.isocalendar()
            return f"{year}-W{week:02}"
        if unit == "month":
            return f"{local:%Y-%m}"
        if unit == "weekday":
            return WEEKDAYS[local.weekday()]
        return f"{local:%H}"

    def _begin(self, at: float, step_s: int) -> float:
        """Where the interval that ``at`` is in begins, were it not cut by the period."""
        ahead_s = int(_offset(at, self._zone).total_seconds())
        floor = (int(at) + ahead_s) // step_s * step_s - ahead_s
        moved = changes(Period(floor, at + 1), self._zone)
        return float(moved[-1]) if moved and moved[-1] <= at else float(floor)


def order(text: str, unit: str) -> str | float:
    """What sorts labels of a unit: as time goes by, days of the week from Monday."""
    if unit == "weekday":
        return float(WEEKDAYS.index(text))
    return datetime.fromisoformat(text).timestamp() if unit in _STEPS_S else text


def cut(period: Period, zone: ZoneInfo, units: Sequence[str]) -> Cuts:
    """Cut ``period`` by one or more of UNITS. Raises ReportError if that makes more than INTERVALS_MAX."""
    step_s = _step_s(units)
    count = int((period.to_s - period.from_s) // step_s)
    if count > INTERVALS_MAX:
        finest = min(units, key=lambda unit: _step_s([unit]))
        raise ReportError(
            f"by {finest} that are {count} intervals, and at most {INTERVALS_MAX} can be told apart: take a shorter "
            "range or longer intervals"
        )
    namer = _Namer(zone)
    borders: list[float] = []
    found: list[tuple[str, ...]] = []
    for at in _candidates(period, zone, step_s):
        label = tuple(namer.name(at, unit) for unit in units)
        if not found or found[-1] != label:
            borders.append(at)
            found.append(label)
    labels = sorted(set(found), key=lambda label: tuple(map(order, label, units)))
    place = {label: n for n, label in enumerate(labels)}
    return Cuts(tuple(borders), period.to_s, tuple(place[label] for label in found), tuple(labels))


def shown(label: str, unit: str, zone: ZoneInfo) -> str:
    """A label as people read it: the date with its day of the week, the time of day; with the offset from UTC on days on
    which clocks are changed, for there a time of day may come twice or not at all."""
    if unit in _STEPS_S:
        at = datetime.fromisoformat(label)
        text = at.strftime("%a %Y-%m-%d %H:%M")
        midnight = datetime(at.year, at.month, at.day, tzinfo=zone)
        following = (at.replace(tzinfo=None) + timedelta(days=1)).date()
        end = datetime(following.year, following.month, following.day, tzinfo=zone, fold=1)
        return text if midnight.utcoffset() == end.utcoffset() else f"{text} {offset_of(at)}"
    if unit == "day":
        return datetime.fromisoformat(label).replace(tzinfo=UTC).strftime("%a %Y-%m-%d")
    return f"{label}:00" if unit == "hour_of_day" else label


def offset_of(at: datetime) -> str:
    """Of an aware time: ``+02:00``."""
    return at.isoformat()[-6:]


def comes_twice(at: datetime) -> bool:
    """Whether the clock shows this time (aware, of a ZoneInfo) twice."""
    return at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
