"""Words for time, and where a period is cut, through every kind of change of clocks."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from acd.cli.report_values import moment, range_text
from acd.domain.errors import ReportError
from acd.reports.cuts import UNITS, cut, shown
from acd.reports.model import Heading, Report
from acd.reports.moments import Period, begin_of, find_zone, machine_zone, period, span

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 14, 5, 30, tzinfo=BERLIN).timestamp()


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("word", "begin", "end"),
    [
        ("today", "2026-11-22", "2026-11-23"),
        ("yesterday", "2026-11-21", "2026-11-22"),
        ("-7d", "2026-11-15", "2026-11-16"),
        ("-2w", "2026-11-08", "2026-11-09"),
        ("this-week", "2026-11-16", "2026-11-23"),
        ("last-week", "2026-11-09", "2026-11-16"),
        ("this-month", "2026-11-01", "2026-12-01"),
        ("last-month", "2026-10-01", "2026-11-01"),
        ("last-year", "2025-01-01", "2026-01-01"),
        ("2026-11", "2026-11-01", "2026-12-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2026-W47", "2026-11-16", "2026-11-23"),
        ("2026", "2026-01-01", "2027-01-01"),
        ("2026-02-28", "2026-02-28", "2026-03-01"),
        ("2026-11-21 14:05", "2026-11-21 14:05", "2026-11-21 14:05"),
        ("2026-11-21T14:05:07", "2026-11-21 14:05:07", "2026-11-21 14:05:07"),
        ("2026-11-21T13:05Z", "2026-11-21 14:05", "2026-11-21 14:05"),
        ("-4h", "2026-11-22 10:05:30", "2026-11-22 10:05:30"),
        ("now", "2026-11-22 14:05:30", "2026-11-22 14:05:30"),
    ],
)
def test_words(word: str, begin: str, end: str) -> None:
    assert span(word, BERLIN, NOW) == Period(at(begin), at(end))


def test_a_range_goes_from_a_beginning_to_an_end() -> None:
    assert period("2026-11-01", "2026-11-30", BERLIN, NOW) == Period(at("2026-11-01"), at("2026-12-01"))
    assert period("-7d", None, BERLIN, NOW) == Period(at("2026-11-15"), NOW)
    assert period(None, None, BERLIN, NOW) == Period(at("2026-11-22"), NOW)
    assert period(None, None, BERLIN, NOW, on="yesterday") == Period(at("2026-11-21"), at("2026-11-22"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("yesterdy", None), "'yesterdy' is no time (nearest: yesterday)"),
        (("2026-02-30", None), "'2026-02-30' is no time that there is"),
        (("2026-W54", None), "is no time that there is"),
        (("2026-11-21 25:00", None), "is no time that there is"),
        (("1066", None), "outside the years"),
        (("-99999w", None), "outside the years"),
        (("0000", None), "is no time that there is"),
        (("2026-12-24", None), "in the future"),
        (("yesterday", "-3d"), "ends before it begins"),
        (("now", None), "is empty"),
        (("2026-11-01\x1b[2J", None), "is no time"),
    ],
)  # fmt: skip
def test_nonsense_is_named(given: tuple[str, str | None], said: str) -> None:
    with pytest.raises(ReportError) as found:
        period(*given, BERLIN, NOW)
    assert said in str(found.value)


def test_on_stands_for_both() -> None:
    with pytest.raises(ReportError, match="--on stands for --from and --to"):
        period("today", None, BERLIN, NOW, on="today")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("Europe/Berln", "Europe/Berlin"), ("berlin", "Europe/Berlin"), ("new york", "America/New_York"),
     ("../../etc/passwd", None), ("", None)],
)  # fmt: skip
def test_an_unknown_zone_names_the_nearest(name: str, nearest: str | None) -> None:
    with pytest.raises(ReportError) as found:
        find_zone(name)
    assert (f"nearest: {nearest}" if nearest else "write one such as") in str(found.value)


def test_the_machine_says_its_zone(tmp_path: Path) -> None:
    zoneinfo = tmp_path / "zoneinfo" / "Asia"
    zoneinfo.mkdir(parents=True)
    (zoneinfo / "Kolkata").touch()
    link = tmp_path / "localtime"
    link.symlink_to(zoneinfo / "Kolkata")
    assert machine_zone({}, link).key == "Asia/Kolkata"
    assert machine_zone({"TZ": ":Europe/Berlin"}, link).key == "Europe/Berlin"
    assert machine_zone({"TZ": "nonsense"}, tmp_path / "none").key == "UTC"


def test_a_day_begins_with_its_first_moment() -> None:
    beirut = ZoneInfo("Asia/Beirut")
    day = date(2026, 3, 29)  # 00:00 is jumped over
    assert datetime.fromtimestamp(begin_of(day, beirut), beirut).isoformat() == "2026-03-29T01:00:00+03:00"
    assert datetime.fromtimestamp(begin_of(day, beirut) - 1, beirut).date() < day
    havana = ZoneInfo("America/Havana")
    day = date(2026, 11, 1)  # 00:00 comes twice
    assert datetime.fromtimestamp(begin_of(day, havana), havana).isoformat() == "2026-11-01T00:00:00-04:00"


@pytest.mark.parametrize(
    ("zone", "day", "hours", "pieces"),
    [
        ("Europe/Berlin", "2026-03-29", 23, 23),
        ("Europe/Berlin", "2026-10-25", 25, 25),
        ("America/New_York", "2026-03-08", 23, 23),
        ("America/New_York", "2026-11-01", 25, 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5, 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5, 24),
        ("Asia/Kolkata", "2026-10-25", 24, 24),
        ("Asia/Beirut", "2026-03-29", 23, 23),
    ],
)
def test_days_are_as_long_as_they_are(zone: str, day: str, hours: float, pieces: int) -> None:
    where = ZoneInfo(zone)
    whole = span(day, where, NOW)
    assert (whole.to_s - whole.from_s) / 3600 == hours
    assert len(cut(whole, where, ["hour"]).borders) == pieces
    assert len(cut(whole, where, ["day"]).borders) == 1
    assert len(set(cut(whole, where, ["15min"]).labels)) == hours * 4


def test_where_clocks_move_by_half_an_hour_the_hour_is_cut_in_two() -> None:
    where = ZoneInfo("Australia/Lord_Howe")
    cuts = cut(span("2026-04-05", where, NOW), where, ["hour"])
    assert [label for (label,) in cuts.labels][:4] == [
        "2026-04-05T00:00+11:00", "2026-04-05T01:00+11:00", "2026-04-05T01:30+10:30", "2026-04-05T02:00+10:30",
    ]  # fmt: skip
    lengths = [end - begin for begin, end, _ in cuts.pieces()]
    assert lengths[:4] == [3600, 3600, 1800, 3600]


def test_intervals_that_come_again_are_one_row() -> None:
    cuts = cut(Period(at("2026-11-02"), at("2026-11-16")), BERLIN, ["weekday"])
    assert [label for (label,) in cuts.labels] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert len(cuts.borders) == 14
    assert cuts.group_at(at("2026-11-09 12:00")) == 0


def test_a_cut_period_keeps_the_names_of_whole_intervals() -> None:
    cuts = cut(Period(at("2026-11-21 10:20"), at("2026-11-21 11:10")), BERLIN, ["30min", "month"])
    assert cuts.labels == (
        ("2026-11-21T10:00+01:00", "2026-11"),
        ("2026-11-21T10:30+01:00", "2026-11"),
        ("2026-11-21T11:00+01:00", "2026-11"),
    )
    assert cuts.borders[0] == at("2026-11-21 10:20")


def test_too_many_intervals_are_refused() -> None:
    with pytest.raises(ReportError, match=r"by 15min that are 175296 intervals, and at most 40000"):
        cut(Period(at("2021-01-01"), at("2026-01-01")), BERLIN, ["15min", "day"])
    assert len(cut(Period(at("2025-01-01"), at("2026-01-01")), BERLIN, ["15min"]).borders) == 35_040


def test_every_unit_is_shown_to_people() -> None:
    cuts = {
        unit: cut(Period(at("2026-11-21 10:20"), at("2026-11-21 10:25")), BERLIN, [unit]).labels[0][0] for unit in UNITS
    }
    assert {unit: shown(label, unit, BERLIN) for unit, label in cuts.items()} == {
        "15min": "Sat 2026-11-21 10:15", "30min": "Sat 2026-11-21 10:00", "hour": "Sat 2026-11-21 10:00",
        "day": "Sat 2026-11-21", "week": "2026-W47", "month": "2026-11", "weekday": "Sat", "hour_of_day": "10:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "day", "names"),
    [
        ("Europe/Berlin", "2026-10-25", ["01:00 +02:00", "02:00 +02:00", "02:00 +01:00", "03:00 +01:00"]),
        ("Europe/Berlin", "2026-03-29", ["01:00 +01:00", "03:00 +02:00", "04:00 +02:00", "05:00 +02:00"]),
        ("Australia/Lord_Howe", "2026-04-05", ["01:00 +11:00", "01:30 +10:30", "02:00 +10:30", "03:00 +10:30"]),
        ("America/Havana", "2026-11-01", ["00:00 -05:00", "01:00 -05:00", "02:00 -05:00", "03:00 -05:00"]),
        ("Asia/Beirut", "2026-03-29", ["02:00 +03:00", "03:00 +03:00", "04:00 +03:00", "05:00 +03:00"]),
        ("Europe/Berlin", "2026-10-26", ["01:00", "02:00", "03:00", "04:00"]),
        ("Europe/Berlin", "2026-10-24", ["01:00", "02:00", "03:00", "04:00"]),
    ],
)
def test_hours_of_a_day_on_which_clocks_are_changed_are_told_apart(zone: str, day: str, names: list[str]) -> None:
    where = ZoneInfo(zone)
    labels = [text for (text,) in cut(span(day, where, NOW), where, ["hour"]).labels]
    people = [shown(text, "hour", where) for text in labels]
    assert len(set(people)) == len(people)
    assert [name.split(" ", 2)[2] for name in people[1:5]] == names


def test_a_time_that_comes_twice_has_its_offset() -> None:
    assert moment(at("2026-10-25 02:30"), BERLIN) == "2026-10-25 02:30:00 +02:00"
    assert moment(at("2026-10-25 02:30") + 3600, BERLIN) == "2026-10-25 02:30:00 +01:00"
    assert moment(at("2026-10-25 03:30"), BERLIN) == "2026-10-25 03:30:00"
    heading = Heading("x", "X", at("2026-10-25 02:15"), at("2026-10-25 02:15") + 3600, "Europe/Berlin", NOW)
    assert range_text(Report(heading, (), [])) == (
        "Sun 2026-10-25 02:15 +02:00 to Sun 2026-10-25 02:15 +01:00, Europe/Berlin"
    )
