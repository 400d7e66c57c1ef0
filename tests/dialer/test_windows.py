"""Calling windows in zones: the next permitted moment against a walk through every minute, and known changes of clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from gatekit import at
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer import publicdays
from acd.dialer.publicdays import known, prepare, public_holidays
from acd.dialer.windows import Wall, both, calling_ranges, closed_by, next_allowed, welcome
from acd.domain.dialrules import CallingHours
from acd.domain.hours import Range

#: Half and quarter hours, changes at midnight, in the south, by half an hour, a day left out, none at all.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "America/Asuncion",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Pacific/Chatham",
    "UTC",
)
CHANGES = [
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC),
    datetime(2026, 3, 8, 10, tzinfo=UTC),
    datetime(2026, 3, 28, 22, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 9, tzinfo=UTC),
]
minutes = st.one_of(st.integers(0, 1_440), st.sampled_from([0, 60, 90, 120, 150, 180, 1_410, 1_440]))


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Range, ...]:
    edges = sorted(draw(st.lists(minutes, max_size=4, unique=True)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


weeks = st.tuples(*[ranges()] * 7)
moments = st.builds(
    lambda change, minute, part: change.timestamp() + 60 * minute + part,
    st.sampled_from(CHANGES),
    st.integers(-2_000, 2_000),
    st.sampled_from([0.0, 0.5, 30.0, 59.999]),
)


def obvious(walls: Sequence[Wall], at_s: float, days: int) -> float | None:
    """Every whole minute, one after another, the very moment before. All zones here change by whole minutes."""
    tried = [at_s, *(60.0 * minute for minute in range(int(at_s // 60) + 1, int(at_s // 60) + days * 1_440))]
    return next((moment for moment in tried if all(wall.allows(moment) for wall in walls)), None)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(ZONES), min_size=1, max_size=3), weeks, st.sets(st.integers(-3, 3)), moments)
def test_the_next_moment_is_the_first_that_a_walk_finds(
    names: list[str], week: tuple[tuple[Range, ...], ...], off: set[int], at_s: float
) -> None:
    free = {datetime.fromtimestamp(at_s, UTC).date() + timedelta(days=n) for n in off}
    hours = CallingHours(week, holiday=(), eve=((0, 900),))
    walls = [Wall(ZoneInfo(name), calling_ranges(hours, free.__contains__)) for name in names]
    found, walked = next_allowed(walls, at_s), obvious(walls, at_s, 4)
    if walked is not None or (found is not None and found < at_s + 3.9 * 86_400):
        assert found == walked


def test_an_hour_that_comes_twice_is_judged_by_the_wall_both_times() -> None:
    wall = Wall(ZoneInfo("Europe/Berlin"), lambda day: ((150, 480),))
    second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    assert wall.allows(second), "half past two, the first time"
    assert not wall.allows(second + 1_800), "two o'clock again"
    assert next_allowed([wall], second + 1_800) == second + 3_600


def test_an_hour_that_is_left_out_never_comes() -> None:
    wall = Wall(ZoneInfo("Europe/Berlin"), lambda day: ((120, 180),))
    assert next_allowed([wall], at("2026-03-28T03:00")) == at("2026-03-30T02:00")


def test_a_day_that_is_left_out_is_passed_over() -> None:
    wall = Wall(ZoneInfo("Pacific/Apia"), lambda day: ((540, 600),) if day == date(2011, 12, 30) else ())
    assert next_allowed([wall], at("2011-12-28T00:00", "Pacific/Apia")) is None


def test_what_never_opens_ends() -> None:
    wall = Wall(ZoneInfo("UTC"), lambda day: ())
    assert next_allowed([wall], 0.0) is None


def test_a_holiday_is_told_from_closing_time() -> None:
    hours = CallingHours((((480, 1_200),),) * 7, holiday=())
    zone = ZoneInfo("UTC")
    noon = datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()
    assert closed_by(hours, lambda day: True, zone, noon) == "holiday"
    assert closed_by(hours, lambda day: True, zone, noon + 9 * 3_600) == "hours"
    assert closed_by(hours, lambda day: False, zone, noon) == "hours"


def test_ranges_in_common() -> None:
    assert both(((0, 100), (200, 300)), ((50, 250),)) == ((50, 100), (200, 250))
    assert both(((0, 100),), ((100, 200),)) == ()


@pytest.mark.parametrize(
    ("best", "welcome_at_noon"), [(None, True), ((600, 720), False), ((720, 721), True), ((1_200, 780), True)]
)
def test_best_times_may_go_through_midnight(best: tuple[int, int] | None, welcome_at_noon: bool) -> None:
    assert welcome(best, ZoneInfo("UTC"), datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()) is welcome_at_noon


# -- public holidays ---------------------------------------------------------------------------------------------------


def test_holidays_of_countries_and_their_regions() -> None:
    assumption = date(2026, 8, 15)
    assert public_holidays("de", "by")(assumption)
    assert not public_holidays("DE", "BE")(assumption)
    assert public_holidays("DE", None)(assumption), "somewhere in Germany it is one"
    assert public_holidays("DE", "nowhere")(assumption)
    assert public_holidays("IT", None)(date(2026, 6, 2))
    assert not public_holidays("IT", None)(date(2026, 1, 29)), "a town's saint"
    assert public_holidays("IT", "RM")(date(2026, 6, 29)), "unless the town is named"
    assert public_holidays("DE", "BB")(date(2026, 10, 31))
    assert not public_holidays("DE", "BY")(date(2026, 10, 31))
    assert not public_holidays(None, None)(date(2026, 12, 25))
    assert not public_holidays("XX", "../..")(date(2026, 12, 25))
    assert (known("DE"), known("XX")) == (True, False)


def test_what_was_prepared_is_not_worked_out_again() -> None:
    prepare("PT", None, 2031)
    before = publicdays._days.cache_info().misses
    assert public_holidays("PT", None)(date(2031, 4, 25))
    assert public_holidays("PT", None)(date(2032, 4, 25))
    assert publicdays._days.cache_info().misses == before
    prepare(None, None, 2031)
    assert publicdays._days.cache_info().misses == before


@pytest.mark.parametrize(
    ("country", "day"),
    [
        ("US", date(2026, 7, 4)),
        ("GB", date(2026, 12, 25)),
        ("CA", date(2026, 7, 1)),
        ("NL", date(2026, 4, 27)),
        ("PL", date(2026, 11, 11)),
        ("BR", date(2026, 9, 7)),
    ],
)
def test_holidays_are_known_wherever_there_is_a_profile(country: str, day: date) -> None:
    assert public_holidays(country, None)(day)
