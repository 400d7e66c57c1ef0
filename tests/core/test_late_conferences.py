"""Conferences that are told of in one go, as after a connection that stood still: they count as long as they lasted."""

from __future__ import annotations

import pytest
from floorkit import UTC_0, Clock, define

from acd.domain import events as ev
from acd.domain.commands import OfferCall
from acd.domain.events import AgentAction, CallAction
from acd.domain.records import SegmentOpened
from acd.floor import Floor

FLOOR = """
queue sales wrap=0
queue tech wrap=0
agent ann 101 sales
did 1 sales
"""


class Told:
    """Ann has the caller on hold and 602 on the line; what comes now comes all at once, ``at`` its own time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.floor = Floor(define(FLOOR), epoch=1, started_at=UTC_0)
        self.offer = ""
        self.began: list[tuple[str, float]] = []
        self.tell(ev.NodeResynced(UTC_0, "pbx", (), {}))
        self.tell(ev.AgentRequested(UTC_0, "ann", AgentAction.LOGIN))
        self.tell(ev.CallArrived(UTC_0, "pbx", "c", "PJSIP/c", "c", "1"))
        (self.call,) = self.floor.calls
        for event in (
            ev.AgentAnswered(UTC_0, self.offer),
            ev.CallHeld(UTC_0 + 1, self.offer),
            ev.ConsultBegan(UTC_0 + 2, self.offer, "602", "s"),
            ev.ConsultChanged(UTC_0 + 3, self.offer, "s"),
        ):
            self.tell(event)
        self.clock.s = 60.0
        self.began.clear()

    def tell(self, event: ev.Event) -> None:
        step = self.floor.handle(event, self.clock.now)
        self.offer = next((one.offer for one in step.commands if isinstance(one, OfferCall)), self.offer)
        opened = [one for one in step.records if isinstance(one, SegmentOpened)]
        self.began += [(str(one.kind), round(one.started_at - UTC_0, 3)) for one in opened]


@pytest.mark.parametrize(("lasts_s", "is_one"), [(0.9, False), (1.0, True), (30.0, True)])
def test_a_conference_is_one_if_it_lasted_a_second(lasts_s: float, is_one: bool) -> None:
    conference = [("conferenced", 10.0)] if is_one else []
    end = 10.0 + lasts_s
    for kind, event in (
        ("after", lambda told: ev.TalkEnded(UTC_0 + end, told.offer, "agent")),
        ("waited", lambda told: ev.CallRequested(UTC_0 + end, told.call, CallAction.TRANSFER, "tech")),
        ("held", lambda told: ev.CallHeld(UTC_0 + end, told.offer)),
        ("talked", lambda told: ev.ConsultEnded(UTC_0 + end, told.offer, "s")),
    ):
        told = Told()
        told.tell(ev.CallRetrieved(UTC_0 + 10, told.offer))
        assert told.began == []
        told.tell(event(told))
        then = [(kind, end)]
        if kind == "held":
            # He was not away, as far as anybody can say; and she still talks to the other
            then = [("consulted", end)] if is_one else []
        elif kind == "talked" and not is_one:
            then = [("talked", 10.0)]
        assert told.began == [*conference, *then], kind
