"""Ledgers window by window, against whom attempts reached when."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from acd.records.ledger_rules import People, Terms, WindowRow, ledger_violations

BERLIN, AUCKLAND, HONOLULU = (ZoneInfo(name) for name in ("Europe/Berlin", "Pacific/Auckland", "Pacific/Honolulu"))


def us(day: int, hour: int, minute: int = 0, zone: ZoneInfo = BERLIN, month: int = 3) -> int:
    return int(datetime(2026, month, day, hour, minute, tzinfo=zone).timestamp()) * 1_000_000


def day(of: int, answered: float, abandoned: float = 0.0, month: int = 3, **more: float) -> WindowRow:
    figures = {"misjudged": 0.0, "unknown": 0.0, **more}
    return WindowRow("spring", "day", datetime(2026, month, of, tzinfo=UTC).toordinal(), answered, abandoned, **figures)


def reached(*at: int, spans: tuple[str, ...] = ("day",), zones: tuple[ZoneInfo, ...] | None = (BERLIN,)) -> People:
    people = People(Terms(zones, frozenset(spans)))
    for one in at:
        people.take(one, one + 60_000_000, sure=True, abandoned=False)
    return people


def wrong(people: People, *rows: WindowRow) -> list[str]:
    windows: dict[str, list[WindowRow]] = {}
    for row in rows:
        windows.setdefault(row.window, []).append(row)
    return [
        one.message.removeprefix("the ledger of campaign spring ")
        for one in ledger_violations("spring", people, windows)
    ]


def test_a_day_that_has_what_another_lacks_is_named_with_it() -> None:
    people = reached(us(2, 10), us(2, 11), us(3, 10))
    assert wrong(people, day(2, 2), day(3, 1)) == []
    assert wrong(people, day(2, 1), day(3, 2)) == [
        "for day 2026-03-03 has counted 2 people, and attempts reached 1 in it at most",
        "for day 2026-03-02 has counted 1 people, and attempts reached 2 in it",
    ]


def test_a_window_that_is_not_there_has_counted_nobody() -> None:
    people = reached(us(2, 10), us(3, 10), us(4, 10))
    assert wrong(people, day(2, 1), day(4, 1)) == [
        "by day has counted 2 people, and attempts reached 3",
        "for day 2026-03-03 has counted 0 people, and attempts reached 1 in it",
    ]


def test_days_and_months_are_those_of_the_campaigns_zone() -> None:
    """One moment, 1 April in Auckland and 31 March in Honolulu."""
    at = us(31, 20, zone=HONOLULU)
    march, april = (WindowRow("spring", "month", 2026 * 12 + n, 1.0, 0.0, 0.0, 0.0) for n in (3, 4))
    for zone, right, other in ((HONOLULU, day(31, 1), day(1, 1, month=4)), (AUCKLAND, day(1, 1, month=4), day(31, 1))):
        assert wrong(reached(at, zones=(zone,)), right) == []
        assert len(wrong(reached(at, zones=(zone,)), other)) == 2
    for zone, right, other in ((HONOLULU, march, april), (AUCKLAND, april, march)):
        assert wrong(reached(at, zones=(zone,), spans=("month",)), right) == []
        assert len(wrong(reached(at, zones=(zone,), spans=("month",)), other)) == 2
    assert "for month 2026-04 " in wrong(reached(at, zones=(HONOLULU,), spans=("month",)), april)[0]


def test_where_the_zone_is_not_known_it_may_be_any() -> None:
    at = us(2, 12)
    for people in (reached(at, zones=None), reached(at, zones=(AUCKLAND, HONOLULU))):
        assert wrong(people, day(2, 1)) == []
        assert wrong(people, day(3, 1)) == []
        assert len(wrong(people, day(4, 1))) == 1


def test_somebody_at_the_edge_of_two_windows_is_of_either() -> None:
    for row in (day(2, 1), day(3, 1)):
        assert wrong(reached(us(2, 23, 30)), row) == []
        assert wrong(reached(us(2, 23, 59)), row) == []
    assert len(wrong(reached(us(2, 22, 30)), day(3, 1))) == 2
    assert len(wrong(reached(us(3, 0, 1)), day(2, 1))) == 2


def test_a_long_conversation_is_of_the_day_it_began_on_or_ended() -> None:
    people = People(Terms((BERLIN,), frozenset({"day"})))
    people.take(us(2, 20), us(3, 9), sure=True, abandoned=False)
    for own in (2, 3):
        assert wrong(people, day(own, 1)) == []
    assert len(wrong(people, day(4, 1))) == 1


def test_who_was_abandoned_was_so_in_the_window() -> None:
    people = reached(us(2, 10), us(3, 10))
    people.take(us(2, 12), us(2, 12, 1), sure=True, abandoned=True)
    assert wrong(people, day(2, 2, 1), day(3, 1)) == []
    assert wrong(people, day(2, 2), day(3, 1, 1)) == [
        "for day 2026-03-02 has counted 0 abandoned, and 1 attempts were in it"
    ]


def test_a_kind_that_came_later_counts_its_first_window_in_part() -> None:
    people = reached(us(2, 10), us(3, 10), us(3, 12), us(4, 10), us(4, 11), spans=())
    assert wrong(people, day(3, 1), day(4, 2)) == []
    assert wrong(people, day(3, 1), day(4, 1)) == [
        "for day 2026-03-04 has counted 1 people, and attempts reached 2 in it"
    ]
    assert wrong(people, day(3, 3), day(4, 2)) == [
        "for day 2026-03-03 has counted 3 people, and attempts reached 2 in it at most"
    ]


def test_who_is_not_settled_may_be_counted_twice_from_then_on_or_not_at_all() -> None:
    people = reached(us(2, 10))
    people.take(us(3, 10), None, sure=False, abandoned=False)
    people.take(us(2, 10), us(4, 10), sure=False, abandoned=True)
    assert wrong(people, day(2, 1)) == []
    assert wrong(people, day(2, 3), day(9, 2)) == []
    assert wrong(people, day(2, 4)) == ["for day 2026-03-02 has counted 4 people, and attempts reached 3 in it at most"]
    assert wrong(people, day(2, 1), day(9, 3)) == [
        "for day 2026-03-09 has counted 3 people, and attempts reached 2 in it at most"
    ]


def test_fractions_for_machine_detection_add_up() -> None:
    share = 0.05 / 0.95
    people = reached(*(us(2, 10, minute) for minute in range(30)))
    answered = misjudged = 0.0
    for _ in range(30):
        answered, misjudged = answered + 1 + share, misjudged + share
    assert wrong(people, day(2, answered, misjudged=misjudged)) == []
    assert len(wrong(people, day(2, answered - 1, misjudged=misjudged))) == 2


def test_a_key_that_is_no_day_is_named_as_it_is() -> None:
    row = WindowRow("spring", "day", -5, 1.0, 2.0, 0.0, 0.0)
    assert wrong(reached(us(2, 10)), row)[0] == "for day no. -5 counts 2 of 1 as abandoned"
