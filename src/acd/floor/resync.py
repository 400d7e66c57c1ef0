"""Belief meets Asterisk: memory at the start of a life, and comparison with what a node says exists.

Asterisk wins on what exists; the database knows when things began and what agents had asked for. A running comparison
leaves alone whatever was touched while it was taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.domain import events as ev
from acd.domain.definition import QueueDefinition
from acd.domain.events import Phase, SeenCall
from acd.domain.instant import Instant
from acd.domain.place import Place
from acd.domain.records import CallClosed, CallOpened, SegmentClosed
from acd.domain.states import AgentState, CallOutcome, CallState, OfferOutcome, SegmentKind
from acd.floor.calls import Call, Offer
from acd.routing.roster import Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

_ON_A_CALL = (AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING)
_KINDS = {
    Phase.HELD: (SegmentKind.WAITED,),
    Phase.OFFERING: (SegmentKind.OFFERED,),
    Phase.RINGING: (SegmentKind.RANG,),
    Phase.TALKING: (SegmentKind.TALKED,),
}


def memory_restored(floor: Floor, event: ev.MemoryRestored, now: Instant) -> None:
    """Agents are at once what they were; calls are kept aside until their node says whether they still exist."""
    for call in event.calls:
        floor.memory[call.call] = call
    for wrap in event.wraps:
        if wrap.agent is not None:
            floor.wraps[wrap.agent] = (wrap.call, wrap.serial, wrap.started_at, wrap.queue)
    for memory in event.agents:
        agent = floor.roster.restore(memory, now)
        if agent is None:
            floor.drift("agent_gone", f"agent {memory.agent} is remembered and no longer defined")
        elif agent.state is AgentState.WRAP_UP:
            agent.until_mono = agent.until_mono if agent.until_mono is not None else now.mono
            floor.timer(agent.until_mono, "wrap_up", agent.name)
        elif agent.state in _ON_A_CALL:
            agent.call = memory.call
    for name, (call_id, serial, started_at, _) in list(floor.wraps.items()):
        known = floor.roster.agents.get(name)
        if known is None or known.state is not AgentState.WRAP_UP:
            del floor.wraps[name]
            floor.emit(SegmentClosed(call_id, serial, max(event.at, started_at), "restart"))


def node_resynced(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """Compare and correct; then match everything that may now be matched, in serving order."""
    first = not floor.is_synced(event.node)
    known_alive: set[str] = set()
    if event.restarted:
        _close_all(floor, event, now)
    for seen in event.calls:
        known_alive.add(seen.channel)
        if seen.phase is Phase.ELSEWHERE:
            _gone_elsewhere(floor, event, seen, now)
            continue
        call = floor.by_channel.get((event.node, seen.channel))
        if call is None:
            _adopt(floor, event, seen, now)
        elif call.touched_at <= event.at - event.margin_s:
            _correct(floor, event, seen, call, now)
    for call in [c for c in floor.calls.values() if c.node == event.node]:
        if call.channel not in known_alive and call.touched_at <= event.at - event.margin_s:
            floor.drift("call_gone", f"call {call.call} no longer exists on {event.node}")
            _lose(floor, call, event.at, now)
    _forget(floor, event, now)
    floor.nodes[event.node] = True
    floor.lost_at.pop(event.node, None)
    for device, state in event.phones.items():
        freed = floor.roster.phone_changed(device, state)
        if not first:
            for agent in freed:
                floor.agent_freed(agent, event.at, now, "phone_free")
    if first:
        _start_serving(floor, event, now)


def take_up(
    floor: Floor,
    source: SeenCall | ev.CallArrived,
    identity: str,
    place: Place,
    queue: QueueDefinition,
    now: Instant,
    *,
    node: str | None = None,
    kinds: tuple[SegmentKind, ...] = (SegmentKind.WAITED,),
    at: float | None = None,
    offer: str | None = None,
    agent: str | None = None,
) -> Call:
    """Make a call of an earlier life ours again, with its id, place and numbering."""
    at = source.at if at is None and isinstance(source, ev.CallArrived) else (at or now.utc)
    call = Call(
        call=identity,
        node=source.node if isinstance(source, ev.CallArrived) else str(node),
        channel=source.channel,
        channel_name=source.channel_name,
        linkedid=source.linkedid,
        did=source.did,
        caller_number=source.caller_number,
        caller_name=source.caller_name,
        place=place,
        queue=queue,
        call_class=floor.call_class_of(queue),
        offer=offer,
        agent=agent,
        segment_at=place.entered_at,
        touched_at=now.utc,
    )
    floor.register(call)
    memory = floor.memory.pop(identity, None)
    goes_on = False
    if memory is not None:
        call.did, call.caller_number, call.caller_name = memory.did, memory.caller_number, memory.caller_name
        goes_on = floor.ledger.resume(call, memory, kinds, at)
    else:
        floor.emit(
            CallOpened(
                call=identity,
                node=call.node,
                channel=call.channel,
                linkedid=call.linkedid,
                did=call.did,
                caller_number=call.caller_number,
                caller_name=call.caller_name,
                queue=queue.name,
                priority=place.priority,
                entered_at=place.entered_at,
            )
        )
        # Numbers that an unwritten earlier life may have used are left free
        call.next_segment = call.next_decision = 500
        floor.ledger.turn(call, SegmentKind.ENTERED, place.entered_at)
    floor.arm_max_wait(call, now)
    if not goes_on:
        floor.ledger.turn(call, kinds[0], at, "restart")
    return call


def _adopt(floor: Floor, event: ev.NodeResynced, seen: SeenCall, now: Instant) -> None:
    place, identity = seen.place, seen.call
    queue = floor.definition.queues.get(place.queue) if place is not None else None
    if place is None or identity is None or queue is None or identity in floor.calls:
        # It has not registered yet (its own AGI request is on the way), or its queue is gone: the hold loop brings it
        return
    agent = floor.roster.agents.get(seen.agent or "")
    phase = seen.phase
    offer = seen.offer
    if phase is not Phase.HELD and (agent is None or offer is None or not _may_take(floor, agent.name, identity)):
        floor.drift("adopt_unbound", f"call {identity} is {phase} without an agent we know")
        if phase is Phase.TALKING:
            return
        phase = Phase.HELD
    held = phase is Phase.HELD
    call = take_up(
        floor,
        seen,
        identity,
        place,
        queue,
        now,
        node=event.node,
        kinds=_KINDS[phase],
        at=event.at,
        offer=None if held else offer,
        agent=None if held or agent is None else agent.name,
    )
    floor.ledger.decide(call, event.at, "adopted", {"phase": phase, "queue": queue.name})
    if held or agent is None or offer is None:
        return
    floor.offers[offer] = Offer(
        offer, identity, agent.name, call.segment_at, rang=phase is not Phase.OFFERING, answered=phase is Phase.TALKING
    )
    call.become(CallState.TALKING if phase is Phase.TALKING else CallState.OFFERED)
    state = {
        Phase.OFFERING: AgentState.RESERVED,
        Phase.RINGING: AgentState.RINGING,
        Phase.TALKING: AgentState.TALKING,
    }[phase]
    _bring(floor, agent, state, call, event.at, now)
    if phase is Phase.TALKING:
        call.max_wait_mono, call.talked = None, True
        if call.answered_at is None:
            call.answered_at = call.segment_at
    else:
        floor.timer(now.mono + queue.ring_timeout_s + 5.0, "offer", offer)


def _bring(floor: Floor, agent: Agent, state: AgentState, call: Call, at: float, now: Instant) -> None:
    """Bring an agent to the state in which his call was found, by legal transitions; without one if he is there."""
    if agent.state is AgentState.WRAP_UP:
        floor.finish_wrap_up(agent, at, now)
    if agent.state is state or (agent.state is AgentState.RINGING and state is AgentState.RESERVED):
        agent.call, agent.offer = call.call, call.offer
        return
    path = [state]
    if state is AgentState.RINGING and agent.state is not AgentState.RESERVED:
        path.insert(0, AgentState.RESERVED)
    if agent.state is AgentState.TALKING:
        path.insert(0, AgentState.AVAILABLE)
    for step in path:
        floor.roster.enter(agent, step, at, now, call=call.call, offer=call.offer)


def _may_take(floor: Floor, agent: str, call: str) -> bool:
    """Nobody is on two calls: an agent already bound to another live offer is not bound again."""
    return all(offer.agent != agent or offer.call == call for offer in floor.offers.values())


def _correct(floor: Floor, event: ev.NodeResynced, seen: SeenCall, call: Call, now: Instant) -> None:
    """One call we know: does what we believe of it agree with what is seen?"""
    offer = floor.offers.get(call.offer) if call.offer is not None else None
    if call.state is CallState.OFFERED and offer is not None:
        if seen.phase is Phase.TALKING and seen.offer == offer.offer:
            floor.drift("answer_unheard", f"call {call.call} talks with {offer.agent}")
            floor.answer(offer, event.at, now)
        elif seen.phase is Phase.HELD:
            floor.drift("offer_unheard", f"offer {offer.offer} of call {call.call} is over")
            floor.fail_offer(offer, OfferOutcome.LOST_TRACK, "found on hold", event.at, now)
    elif call.state is CallState.TALKING and seen.phase is Phase.HELD:
        floor.drift("talk_end_unheard", f"call {call.call} is back on hold")
        floor.end_call(call, CallOutcome.ANSWERED, "unknown", None, event.at, now)
    elif call.state is CallState.WAITING and seen.phase is Phase.TALKING:
        floor.drift("talk_unheard", f"call {call.call} talks, and should wait")
        floor.end_call(call, CallOutcome.LOST_TRACK, "unknown", None, event.at, now)
        _adopt(floor, event, seen, now)


def _gone_elsewhere(floor: Floor, event: ev.NodeResynced, seen: SeenCall, now: Instant) -> None:
    call = floor.by_channel.get((event.node, seen.channel))
    if call is not None and call.touched_at <= event.at - event.margin_s and call.state is not CallState.AFTER:
        floor.drift("call_elsewhere", f"call {call.call} has left our contexts")
        outcome = CallOutcome.TRANSFERRED if call.talked else CallOutcome.FALLBACK
        floor.end_call(call, outcome, "unknown", None, event.at, now)


def _lose(floor: Floor, call: Call, at: float, now: Instant) -> None:
    if call.talked:
        outcome = CallOutcome.ANSWERED
    else:
        outcome = CallOutcome.LOST_TRACK
        floor.counts[call.queue.name].lost_track += 1
    floor.end_call(call, outcome, "unknown", None, at, now)


def _close_all(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """Asterisk restarted: its calls ended when it was lost, at the latest."""
    at = min(event.at, floor.lost_at.get(event.node, event.at))
    for call in [c for c in floor.calls.values() if c.node == event.node and c.touched_at <= event.at]:
        _lose(floor, call, at, now)


def _forget(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """Close remembered calls that no longer exist, and free agents whose remembered call is not there."""
    for memory in [m for m in floor.memory.values() if m.node == event.node]:
        del floor.memory[memory.call]
        for segment in memory.open_segments:
            if segment.kind != SegmentKind.WRAPPED:
                ended_at = max(event.at, segment.started_at)
                floor.emit(SegmentClosed(memory.call, segment.serial, ended_at, "restart"))
        outcome = CallOutcome.ANSWERED if memory.answered_at is not None else CallOutcome.LOST_TRACK
        floor.emit(CallClosed(memory.call, max(event.at, memory.entered_at), outcome, "unknown", None, None))
    bound = {offer.agent for offer in floor.offers.values()}
    for agent in floor.roster.agents.values():
        waits_for_other_node = agent.call is not None and agent.call in floor.memory
        if agent.state in _ON_A_CALL and agent.name not in bound and not waits_for_other_node:
            floor.drift("agent_stuck", f"agent {agent.name} was {agent.state} without a call")
            if agent.pending is not None:
                floor.settle_pending(agent, event.at, now)
            else:
                floor.roster.enter(agent, AgentState.AVAILABLE, event.at, now)


def _start_serving(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """Index every waiting call first, then serve in order, so that the oldest gets the first agent."""
    waiting = sorted(
        (c for c in floor.calls.values() if c.node == event.node and c.state is CallState.WAITING),
        key=lambda c: c.rank,
    )
    for call in waiting:
        floor.matcher.wait(call.call, call.call_class, call.rank)
    for call in waiting:
        if floor.matcher.is_waiting(call.call):
            agent = floor.matcher.agent_for(call.call)
            if agent is not None:
                floor.offer(call, floor.roster.agents[agent], event.at, now, "resync")
