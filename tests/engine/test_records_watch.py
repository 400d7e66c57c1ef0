"""Before nothing can be recorded somebody knows; what happens then is the operator's choice."""

from __future__ import annotations

from typing import Any

from acd.domain.commands import RaiseAlarm
from acd.domain.events import Event, RecordsFilled
from acd.engine import RecordsWatch


class Place:
    """A store that says what it is told to."""

    def __init__(self, *, turn_away: bool) -> None:
        self.now: dict[str, Any] = {"state": "ok"}
        self.alarms: list[RaiseAlarm] = []
        self.events: list[Event] = []
        self.watch = RecordsWatch(
            lambda: self.now,
            1000,
            submit=self.events.append,
            alarm=self.alarms.append,
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
    assert "no route" in place.alarms[0].detail
    place.looks("ok")
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
    assert place.events == []
