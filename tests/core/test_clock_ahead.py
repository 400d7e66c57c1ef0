"""A clock that was ahead and went back: what it dated stays so, but nobody waits for it to come true."""

from __future__ import annotations

import pytest
from floorkit import UTC_0, Clock, define

from acd.domain import events as ev
from acd.domain.events import AgentAction, AgentMemory
from acd.domain.instant import Instant
from acd.domain.states import AgentState
from acd.floor import Floor

FLOOR = define("queue sales wrap=10\nagent ann 101 sales\ndid 1 sales")
AHEAD_S = 36_000.0


class Day:
    def __init__(self) -> None:
        self.clock, self.ahead_s = Clock(), 0.0
        self.floor = Floor(FLOOR, epoch=1, started_at=UTC_0)
        self.tell(ev.NodeResynced(UTC_0, "pbx", (), {}))

    @property
    def now(self) -> Instant:
        now = self.clock.now
        return Instant(now.mono, now.utc + self.ahead_s)

    def tell(self, event: ev.Event) -> None:
        object.__setattr__(event, "at", self.now.utc)
        self.floor.handle(event, self.now)

    @property
    def ann(self) -> AgentState:
        return self.floor.roster.agents["ann"].state


def test_a_wrap_up_lasts_no_longer_than_it_is_to_last() -> None:
    day = Day()
    day.ahead_s = AHEAD_S
    day.tell(ev.AgentRequested(0.0, "ann", AgentAction.LOGIN))
    day.ahead_s = 0.0
    day.clock.s = 20.0
    day.tell(ev.CallArrived(0.0, "pbx", "c1", "PJSIP/x", "c1", "1"))
    (offer,) = day.floor.offers
    day.tell(ev.AgentAnswered(0.0, offer))
    day.clock.s = 50.0
    day.tell(ev.CallEnded(0.0, "pbx", "c1"))
    assert day.ann is AgentState.WRAP_UP
    day.clock.s = 59.0
    day.tell(ev.DeadlinePassed(0.0))
    assert day.ann is AgentState.WRAP_UP
    day.clock.s = 60.0
    day.tell(ev.DeadlinePassed(0.0))
    assert day.ann is AgentState.AVAILABLE


@pytest.mark.parametrize(("until_s", "over_s"), [(AHEAD_S, 10.0), (4.0, 4.0)])
def test_nor_after_a_restart(until_s: float, over_s: float) -> None:
    day = Day()
    since_s = UTC_0 + until_s - 10.0
    memory = AgentMemory("ann", AgentState.WRAP_UP, None, since_s, since_s, 7, until=UTC_0 + until_s)
    day.tell(ev.MemoryRestored(0.0, (memory,), ()))
    assert day.ann is AgentState.WRAP_UP
    day.clock.s = over_s - 0.5
    day.tell(ev.DeadlinePassed(0.0))
    assert day.ann is AgentState.WRAP_UP
    day.clock.s = over_s
    day.tell(ev.DeadlinePassed(0.0))
    assert day.ann is AgentState.AVAILABLE
