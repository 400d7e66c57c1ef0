"""Before nothing can be recorded somebody knows; what happens then is the operator's choice."""

from __future__ import annotations

from typing import Any

from acd.domain.commands import RaiseAlarm
from acd.domain.events import Event, RecordsFilled
from acd.engine import RecordsWatch


class Place:
    """A store that says what it is told to."""

    def __init__(self, *, turn_away: bool, limit_bytes: int = 1000) -> None:
        self.now: dict[str, Any] = {"state": "ok"}
        self.alarms: list[RaiseAlarm] = []
        self.events: list[Event] = []
        self.over: list[str] = []
        self.watch = RecordsWatch(
            lambda: self.now,
            limit_bytes,
            submit=self.events.append,
            alarm=self.alarms.append,
            over=self.over.append,
            clock=lambda: 7.0,
            turn_away=turn_away,
        )

    def looks(self, state: str, spilled_bytes: int = 0) -> None:
        self.now = {"state": state, "spilled_bytes": spilled_bytes, "detail": "no route"}
        self.watch.look()


def test_an_alarm_comes_once_at_four_fifths() -> None:
    place = Place(turn_away=True)
    place.looks("spilling", 799)
    assert place.alarms == []
    for spilled in (800, 900, 990):
        place.looks("spilling", spilled)
    assert [alarm.kind for alarm in place.alarms] == ["records_nearly_full"]
    assert place.alarms[0].detail == "80% of the spill (0 of 0 MB): no route"
    assert place.over == []
    place.looks("ok")
    assert place.over == ["records_nearly_full"]
    place.looks("spilling", 850)
    assert len(place.alarms) == 2
    assert place.events == []


def test_the_floor_hears_when_it_is_full_and_when_it_is_over() -> None:
    place = Place(turn_away=True)
    for state in ("spilling", "full", "full", "spilling", "ok", "full"):
        place.looks(state, 1000)
    assert place.events == [RecordsFilled(7.0, True), RecordsFilled(7.0, False), RecordsFilled(7.0, True)]
    assert [alarm.kind for alarm in place.alarms] == ["records_nearly_full", "records_full", "records_full"]
    assert "turned away" in place.alarms[1].detail
    assert place.over == ["records_full"]


def test_calls_go_on_without_records_where_that_was_chosen() -> None:
    place = Place(turn_away=False)
    place.looks("full")
    place.looks("ok")
    assert place.events == []
    assert "go on without records" in place.alarms[0].detail


def test_a_database_that_must_not_be_written_to_is_told_once() -> None:
    place = Place(turn_away=True)
    for unfit in ("", "newer", "newer", "", "newer"):
        place.now = {"state": "spilling", "spilled_bytes": 0, "detail": unfit, "unfit": unfit}
        place.watch.look()
    assert [(alarm.kind, "newer" in alarm.detail) for alarm in place.alarms] == [("database_refused", True)] * 2
    assert place.over == ["database_refused"]
    assert place.events == []


def test_sizes_are_told_as_exactly_as_they_differ() -> None:
    place = Place(turn_away=True, limit_bytes=1_048_576)
    place.looks("spilling", 840_000)
    assert place.alarms[0].detail == "80% of the spill (0.8 of 1 MB): no route"
    large = Place(turn_away=True, limit_bytes=2_000_000_000)
    large.looks("spilling", 1_650_000_000)
    assert large.alarms[0].detail == "82% of the spill (1,650 of 2,000 MB): no route"


def test_what_was_set_aside_is_told_each_time_it_grows() -> None:
    place = Place(turn_away=True)
    for damaged, refused in ((2, 0), (2, 0), (3, 1), (3, 1)):
        place.now = {"state": "ok", "damaged": damaged, "refused": refused}
        place.watch.look()
    told = [(alarm.kind, alarm.detail.partition(" so far")[0][-1]) for alarm in place.alarms]
    assert told == [("records_damaged", "2"), ("records_damaged", "3"), ("records_refused", "1")]
    assert place.over == []
