"""Opening hours: weekly ranges in a time zone, and days that differ. Pure: the moment is an argument.

A time means the first moment when the clock on the wall has come to it: one that comes twice is the first of the two, one
that is left out is the moment the clocks are changed. ``24:00`` is the midnight at the end of the day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo

from acd.domain.values import valueclass

Range = tuple[int, int]
"""From, until: minutes after midnight by the clock on the wall, 0 <= from < until <= 1440."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 1440


@valueclass(frozen=True, slots=True)
class OpeningHours:
    """``week``: seven tuples of ranges, Monday first; ``exceptions``: those of a date instead, none = closed all day.

    Ranges of a day are in order and do not overlap.
    """

    time_zone: tzinfo
    week: tuple[tuple[Range, ...], ...]
    exceptions: Mapping[date, tuple[Range, ...]]

    def is_open(self, at: float) -> bool:
        """Whether it is open at UTC second ``at``."""
        today = self._date(at)
        return any(start <= at < end for start, end in self._around(today))

    def next_change(self, at: float) -> float | None:
        """The first UTC second after ``at`` when it opens or closes; ``None`` if it never does."""
        now_open, today = self.is_open(at), self._date(at)
        # the week repeats, so what does not change in nine days changes on a special day, if ever
        days = {today + timedelta(days=n) for n in range(-1, 9)}
        days |= {day + timedelta(days=n) for day in self.exceptions if day >= today for n in (-1, 0, 1)}
        edges = {edge for day in days for interval in self._intervals(day) for edge in interval}
        return next((edge for edge in sorted(edges) if edge > at and self.is_open(edge) is not now_open), None)

    def _date(self, at: float) -> date:
        return datetime.fromtimestamp(at, self.time_zone).date()

    def _around(self, day: date) -> Iterator[tuple[float, float]]:
        # a change of clocks can carry the end of a range past midnight
        for n in (-1, 0, 1):
            yield from self._intervals(day + timedelta(days=n))

    def _intervals(self, day: date) -> Iterator[tuple[float, float]]:
        """The day's ranges in UTC seconds."""
        for start, end in self.exceptions.get(day, self.week[day.weekday()]):
            yield self._utc(day, start), self._utc(day, end)

    def _utc(self, day: date, minutes: int) -> float:
        naive = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - made aware next
        wall = naive.replace(tzinfo=self.time_zone)
        late = wall.astimezone(UTC)
        if late.astimezone(self.time_zone).replace(tzinfo=None) != naive:
            return self._change_between(wall.replace(fold=1).astimezone(UTC).timestamp(), late.timestamp())
        return late.timestamp()

    def _change_between(self, before: float, after: float) -> float:
        """The UTC second when the clocks are put forward, ``before`` < it <= ``after``."""
        low, high = int(before), int(after)
        old = self._offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == old else (low, middle)
        return float(high)

    def _offset(self, at: float) -> timedelta | None:
        return datetime.fromtimestamp(at, self.time_zone).utcoffset()
