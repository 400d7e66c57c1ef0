"""What goes wrong in a simulated world: phones that cannot be reached, and a connection that is lost and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.domain.events import NodeLost, NodeResynced, Phase, SeenCall
from acd.domain.place import Place
from acd.domain.states import PhoneState
from acd.sim.people import Caller, Person
from acd.sim.scenario import NODE, ConnectionLost, Fault, PhonesFail

if TYPE_CHECKING:
    from acd.sim.world import World


def begins(world: World, fault: Fault) -> None:
    """From now on it is wrong."""
    if isinstance(fault, PhonesFail):
        for name in fault.agents:
            person = world.people[name]
            person.fault = "reported" if fault.reported else fault.how
            if fault.reported and person.caller is None:
                world.phones(person, PhoneState.UNREACHABLE)
    elif isinstance(fault, ConnectionLost):
        world.connected = False
        world.tell(NodeLost(world.now.utc, NODE))
    else:
        raise AssertionError(f"nobody makes {fault!r} happen")


def ends(world: World, fault: Fault) -> None:
    """From now on it is as before."""
    if isinstance(fault, PhonesFail):
        for name in fault.agents:
            person = world.people[name]
            was_reported, person.fault = person.fault == "reported", None
            if was_reported and person.caller is None:
                world.phones(person, PhoneState.IDLE)
    else:
        world.connected = True
        world.tell(look(world))


def look(world: World) -> NodeResynced:
    """What is there, as a fresh manager connection would find it."""
    seen = tuple(_seen(caller) for caller in world.callers.values())
    phones = {phone: _state(person) for person in world.people.values() for phone in person.phones}
    return NodeResynced(world.now.utc, NODE, seen, phones)


def _seen(caller: Caller) -> SeenCall:
    return SeenCall(
        channel=caller.channel,
        channel_name=f"SIM/{caller.channel}",
        linkedid=caller.channel,
        phase=caller.phase or Phase.ELSEWHERE,
        call=caller.call,
        place=Place.decode(caller.place),
        offer=caller.offer,
        agent=None if caller.offer is None or caller.ringing is None else caller.ringing.name,
        did=caller.did,
        caller_number=caller.number,
    )


def _state(person: Person) -> PhoneState:
    if person.caller is None:
        return person.resting_state()
    return PhoneState.BUSY if person.caller.phase is Phase.TALKING else PhoneState.RINGING
