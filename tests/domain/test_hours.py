"""Opening hours, by hand around changes of clocks, and against a minute-by-minute reading of the clock on the wall."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.domain.hours import OpeningHours, Range

BERLIN = ZoneInfo("Europe/Berlin")
NINE_TO_FIVE: tuple[Range, ...] = ((540, 1020),)
WEEK = (NINE_TO_FIVE,) * 5 + ((), ())


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def said(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def hours(week: tuple[tuple[Range, ...], ...] = WEEK, zone: str = "Europe/Berlin", **exceptions: Any) -> OpeningHours:
    days = {date.fromisoformat(day.removeprefix("d").replace("_", "-")): ranges for day, ranges in exceptions.items()}
    return OpeningHours(ZoneInfo(zone), week, days)


@pytest.mark.parametrize(
    ("at", "is_open", "change"),
    [
        ("2026-01-05 07:59:59", False, "2026-01-05 08:00"),  # a Monday in winter: UTC+1
        ("2026-01-05 08:00", True, "2026-01-05 16:00"),
        ("2026-01-05 15:59:59", True, "2026-01-05 16:00"),
        ("2026-01-05 16:00", False, "2026-01-06 08:00"),
        ("2026-01-09 16:00", False, "2026-01-12 08:00"),  # over the week-end
        ("2026-07-06 07:00", True, "2026-07-06 15:00"),  # summer: UTC+2
        ("2026-03-27 20:00", False, "2026-03-30 07:00"),  # the clocks change in between
        ("2026-10-23 20:00", False, "2026-10-26 08:00"),
    ],
)
def test_the_week(at: str, is_open: bool, change: str) -> None:
    assert hours().is_open(utc(at)) is is_open
    assert said(hours().next_change(utc(at))) == change


def test_special_days() -> None:
    some = hours(d2026_01_05=(), d2026_01_10=((600, 720), (780, 840)))
    assert not some.is_open(utc("2026-01-05 09:00"))
    assert said(some.next_change(utc("2026-01-05 09:00"))) == "2026-01-06 08:00"
    assert [some.is_open(utc(f"2026-01-10 {at}")) for at in ("09:00", "11:00", "12:00")] == [True, False, True]


def test_never_and_always() -> None:
    always, never = ((0, 1440),), ()
    for week, is_open in ((always, True), (never, False)):
        plain = hours((week,) * 7)
        assert plain.is_open(utc("2026-03-29 01:30")) is is_open
        assert plain.next_change(utc("2026-03-25 00:00")) is None
    special = hours((always,) * 7, d2031_05_01=())
    assert said(special.next_change(utc("2026-01-01"))) == "2031-04-30 22:00"
    assert said(special.next_change(utc("2031-05-01"))) == "2031-05-01 22:00"
    assert special.next_change(utc("2031-05-02")) is None


def test_through_midnight() -> None:
    night = hours((((0, 360), (1320, 1440)),) * 7)
    assert said(night.next_change(utc("2026-01-05 21:30"))) == "2026-01-06 05:00"
    assert night.is_open(utc("2026-01-05 23:00"))


def test_times_that_do_not_exist_or_come_twice() -> None:
    # 2026-03-29 02:00 -> 03:00 in Berlin, at 01:00 UTC; 2026-10-25 03:00 -> 02:00, at 01:00 UTC
    early = hours((((150, 240),),) * 7)  # 02:30-04:00
    assert said(early.next_change(utc("2026-03-28 12:00"))) == "2026-03-29 01:00"
    assert said(early.next_change(utc("2026-03-29 01:00"))) == "2026-03-29 02:00"
    assert said(early.next_change(utc("2026-10-24 12:00"))) == "2026-10-25 00:30"
    assert said(early.next_change(utc("2026-10-25 00:30"))) == "2026-10-25 03:00"


def test_clocks_that_change_at_midnight() -> None:
    # Santiago, 2026-09-06: 00:00 does not exist, it is 01:00 at once (04:00 UTC)
    until = hours((((0, 90), (1380, 1440)),) * 7, zone="America/Santiago")
    assert said(until.next_change(utc("2026-09-06 03:30"))) == "2026-09-06 04:30"
    within = hours((((15, 60), (1380, 1440)),) * 7, zone="America/Santiago")
    assert said(within.next_change(utc("2026-09-06 03:30"))) == "2026-09-06 04:00"
    assert not within.is_open(utc("2026-09-06 04:00"))
    assert said(within.next_change(utc("2026-09-06 04:00"))) == "2026-09-07 02:00"


ranges = st.lists(st.integers(0, 96), max_size=6, unique=True).map(
    lambda marks: tuple((a * 15, b * 15) for a, b in zip(sorted(marks)[::2], sorted(marks)[1::2], strict=False))
)
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])


@given(
    st.tuples(*([ranges] * 7)),
    zones,
    st.dictionaries(st.integers(0, 12), ranges, max_size=3),
    st.sampled_from(["2026-03-20", "2026-04-01", "2026-10-01", "2026-10-25", "2026-11-01", "2026-06-01"]),
    st.integers(0, 2 * 1440),
)
@settings(max_examples=120, deadline=None)
def test_like_a_clock_on_the_wall(
    week: tuple[tuple[Range, ...], ...], zone: str, special: dict[int, tuple[Range, ...]], start: str, offset: int
) -> None:
    first = date.fromisoformat(start)
    some = OpeningHours(ZoneInfo(zone), week, {first + timedelta(days=n): what for n, what in special.items()})
    began = utc(start) + 60 * offset

    def by_the_wall(at: float) -> bool | None:
        wall = datetime.fromtimestamp(at, ZoneInfo(zone))
        near = [datetime.fromtimestamp(at + 3600 * n, ZoneInfo(zone)).utcoffset() for n in (-30, 30)]
        if near[0] != near[1]:
            return None  # about a change of clocks the hand-written cases decide
        minutes = wall.hour * 60 + wall.minute
        ranges_of_day = some.exceptions.get(wall.date(), some.week[wall.weekday()])
        return any(a <= minutes < b for a, b in ranges_of_day)

    now_open = some.is_open(began)
    assert by_the_wall(began) in (now_open, None)
    change = some.next_change(began)
    steps = int(((change or began + 9 * 86_400) - began) // 900)
    for n in range(min(steps, 900)):
        at = began + 900 * n
        assert some.is_open(at) is now_open
        assert by_the_wall(at) in (now_open, None)
    if change is not None:
        assert some.is_open(change) is not now_open
        assert some.is_open(change - 1) is now_open
