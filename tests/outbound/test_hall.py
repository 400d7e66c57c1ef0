"""What the dialler is told of the floor: who is there for whom, and how queues are that may take agents from campaigns."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from acd.dialer.blending import Counts
from acd.domain import events as ev
from acd.domain.blending import Blend, Limits
from acd.domain.definition import EntryPoint, FloorDefinition
from acd.outbound.hall import Hall
from acd.outbound.words import Seat
from core.test_campaign_lines import Floored, floor_with


def blended() -> FloorDefinition:
    floor = floor_with()
    sales = replace(floor.queues["sales"], max_length=None, blend=Blend(recall=Limits(waiting=3)))
    return replace(
        floor,
        queues=MappingProxyType({**floor.queues, "sales": sales}),
        entry_points=MappingProxyType({"555": EntryPoint("555", "sales")}),
    )


def arrive(floored: Floored, n: int) -> None:
    at = floored.clock.now.utc
    floored.tell(ev.CallArrived(at, "pbx", f"1.{n}", f"PJSIP/in-{n}", f"1.{n}", "555", variables={}))


def test_seats_say_which_queues_may_take_them() -> None:
    floored = Floored(blended(), "ann", "bob", "eve")
    at = floored.clock.now.utc
    # What sales and the campaign need bob has not, and eve serves neither
    assert Hall(floored.floor).seats() == (Seat("ann", ("win",), "idle", at, ("sales",)),)
    assert Hall(Floored(floor_with(), "ann").floor).seats() == (Seat("ann", ("win",), "idle", at),)


def test_counts_of_a_queue_are_those_of_its_own_callers() -> None:
    floored = Floored(blended(), "ann")
    hall, clock = Hall(floored.floor), floored.clock
    assert hall.counts(clock.now.utc) == {"sales": Counts(wait_s=0.0)}
    floored.tell(ev.AgentRequested(clock.now.utc, "ann", ev.AgentAction.PAUSE))
    for n in range(3):
        clock.s = 10.0 * n
        arrive(floored, n)
    clock.s = 35.0
    (found,) = hall.counts(clock.now.utc).values()
    # Nobody is at work, so nobody can say how long it takes; two have waited more than the 20 s of the service level
    assert (found.waiting, found.late, found.wait_s) == (3, 2, None)
    floored.tell(ev.CallEnded(clock.now.utc, "pbx", "1.0"))
    assert hall.counts(clock.now.utc)["sales"] == Counts(2, 1, None, 0, 0, 1)
    floored.tell(ev.AgentRequested(clock.now.utc, "ann", ev.AgentAction.RESUME))
    found = hall.counts(clock.now.utc)["sales"]
    assert found.waiting == 1
    assert found.wait_s is not None
    assert found.wait_s > 0.0
