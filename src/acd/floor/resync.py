"""Belief meets Asterisk: memory at the start of a life, and comparison with what a node says exists.

Asterisk wins on what exists; the database knows when things began and what agents had asked for. A running comparison
leaves alone whatever was touched while it was taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.definition import QueueDefinition
from acd.domain.events import Phase, SeenCall
from acd.domain.instant import Instant
from acd.domain.lives import began_alone
from acd.domain.place import Place
from acd.domain.records import AgentStateChanged, CallClosed, CallMoved, SegmentClosed
from acd.domain.states import AgentState, CallOutcome, CallState, OfferOutcome, SegmentKind
from acd.floor import arrivals, callers, consultation, conversation, exclusion, lasting, line, together
from acd.floor.calls import TALK_KINDS, Call, Offer
from acd.floor.recognition import remembered_as, waits_again, whose_place
from acd.routing.roster import Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

_ON_A_CALL = (AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING)
_KINDS = {
    Phase.HELD: (SegmentKind.WAITED,),
    Phase.OFFERING: (SegmentKind.OFFERED,),
    Phase.RINGING: (SegmentKind.RANG,),
    Phase.TALKING: TALK_KINDS,
}


_STATES = {
    Phase.OFFERING: AgentState.RESERVED,
    Phase.RINGING: AgentState.RINGING,
    Phase.TALKING: AgentState.TALKING,
}


def memory_restored(floor: Floor, event: ev.MemoryRestored, now: Instant) -> None:
    """Agents are at once what they were; calls are kept aside until their node says whether they still exist."""
    # Whoever has talked since is known better
    floor.last_agents = {**dict(event.callers), **floor.last_agents}
    for call in event.calls:
        if call.call not in floor.calls:
            floor.memory[call.call] = call
    for memory in event.agents:
        known = floor.roster.agents.get(memory.agent)
        if known is None:
            _log_out_the_gone(floor, event, memory)
        elif known.offer is None:
            agent = floor.roster.restore(memory, now)
            if agent.state is AgentState.WRAP_UP:
                longest_s = max((queue.wrap_up_s for queue in floor.definition.queues.values()), default=0.0)
                until_mono = agent.until_mono if agent.until_mono is not None else now.mono
                # It may have been dated by a clock that was ahead
                agent.until_mono = min(until_mono, now.mono + longest_s)
                floor.timer(agent.until_mono, "wrap_up", agent.name)
            elif agent.state is AgentState.PREVIEW:
                # Whoever showed him a contact gives it back at a start
                floor.roster.enter(agent, AgentState.AVAILABLE, event.at, now, keep_idle=True)
                if agent.line is not None:
                    agent.line.tries = 0  # he was at work: if his line is gone, it is called for again
    for wrap in event.wraps:
        owner = floor.roster.agents.get(wrap.agent or "")
        if owner is not None and owner.state is AgentState.WRAP_UP and owner.name not in floor.wraps:
            floor.wraps[owner.name] = (wrap.call, wrap.serial, wrap.started_at, wrap.queue)
        else:
            floor.emit(SegmentClosed(wrap.call, wrap.serial, max(event.at, wrap.started_at), "restart"))


def _log_out_the_gone(floor: Floor, event: ev.MemoryRestored, memory: ev.AgentMemory) -> None:
    """Whoever is no longer defined is logged out, so that his last interval ends."""
    if memory.state is AgentState.LOGGED_OUT:
        floor.roster.remember_gone(memory.agent, memory.serial, memory.since)
        return
    at = max(event.at, memory.since)
    floor.roster.remember_gone(memory.agent, memory.serial + 1, at)
    floor.drift("agent_gone", f"agent {memory.agent} is remembered as {memory.state} and no longer defined")
    floor.emit(
        AgentStateChanged(
            agent=memory.agent,
            serial=memory.serial + 1,
            at=at,
            state=AgentState.LOGGED_OUT,
            reason=None,
            call=None,
            idle_since=memory.idle_since,
            phone=None,
            pending=None,
            until=None,
        )
    )


def node_resynced(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """Compare and correct while nothing is matched; then serve whatever may now be served, in serving order."""
    first = not floor.is_synced(event.node)
    floor.comparing = True
    stood = {call.call for call in floor.calls.values() if floor.matcher.is_waiting(call.call)}
    try:
        lasting.seen(floor, event, now)
        _compare(floor, event, now)
        _forget(floor, event, now)
        floor.nodes[event.node] = True
        floor.lost_at.pop(event.node, None)
        lasting.missed(floor, event, now)
        if floor.reach.learn(event.hosts):
            for agent in floor.roster.agents.values():
                floor.reach.review_agent(agent)
                floor.roster.review(agent)
        for device, state in event.phones.items():
            floor.roster.phone_changed(device, state)
    finally:
        floor.comparing = False
    here = [call for call in floor.calls.values() if call.node == event.node]
    for call in here:
        if call.state is CallState.WAITING and not call.going:
            if not floor.matcher.is_waiting(call.call) and not arrivals.rehome(floor, call, now.utc, now):
                line.stand(floor, call, now.utc, now)
        elif first and call.state is CallState.OFFERED:
            floor.arm_offer(call, now)
    floor.serve(now.utc, now, "resync")
    for call in here:
        if call.overflow_due and call.state is CallState.WAITING and not call.going:
            floor.overflow(call, now.utc, now)
        elif call.call not in stood:
            line.review_waiting(floor, call, now.utc, now)


def _compare(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    before = event.at - event.margin_s
    alive = {seen.channel for seen in event.calls}
    if event.restarted:
        _close_all(floor, event, alive, now)
    here = [memory for memory in floor.memory.values() if memory.node == event.node]
    remembered = {memory.channel: memory for memory in here}
    places = {memory.call: memory for memory in here}
    places |= {segment.offer: memory for memory in here for segment in memory.open_segments if segment.offer}
    for seen in event.calls:
        call, memory = floor.by_channel.get((event.node, seen.channel)), remembered.get(seen.channel)
        if seen.phase is Phase.ASKING:
            # A call that we know is left alone: the question and its answer say what becomes of it
            if call is not None or memory is None or memory.call not in floor.memory:
                continue
            if not _is_told(seen, memory):
                _come_anew(floor, memory, seen.entered_at or event.at, event.at)
                continue
            seen = replace(seen, phase=Phase.HELD)
        if call is None:
            # A look that is older than the call's end revives nobody
            if floor.ended.get((event.node, seen.channel), _NEVER)[0] <= before:
                for place in (seen.call, seen.offer) if memory is not None else ():
                    seen = _as_remembered(floor, event, seen, memory, places.get(place or ""), alive)
                _adopt(floor, event, seen, now)
                _other_calls(floor, event, seen, now)
        elif call.touched_at <= before:
            other = whose_place(floor, seen, call, alive)
            if other is not None:
                floor.drift("join_unheard", f"the caller of call {call.call} stands in the place of call {other.call}")
                conversation.join(floor, call, other, event.at, now)
            else:
                _correct(floor, event, seen, call, now)
            _other_calls(floor, event, seen, now)
            if call.state in (CallState.WAITING, CallState.OFFERED, CallState.TALKING):
                _mark(floor, seen, call)
    for call in [c for c in floor.calls.values() if c.node == event.node]:
        if call.channel not in alive and call.touched_at <= before:
            floor.drift("call_gone", f"call {call.call} no longer exists on {event.node}")
            _lose(floor, call, event.at, now)


def _as_remembered(
    floor: Floor,
    event: ev.NodeResynced,
    seen: SeenCall,
    memory: ev.CallMemory | None,
    other: ev.CallMemory | None,
    alive: set[str],
) -> SeenCall:
    """A channel that bears the name or the offer of another call, whose own channel is gone: its caller was put in the
    other one's place. He is who he was, and the other call is over."""
    if memory is None or other is None or other is memory or other.channel in alive:
        return seen
    if memory.call in floor.memory and other.call in floor.memory:
        _close_remembered(
            floor, other, CallOutcome.TRANSFERRED, "agent", event.at, f"call {memory.call}", closing="joined"
        )
        return replace(seen, call=memory.call)
    return seen


def return_of(floor: Floor, event: ev.CallArrived, now: Instant) -> bool:
    """A caller of an earlier life asks before his node was compared: he is taken up with his id, place and numbering.
    False if he is not remembered."""
    memory = None if floor.is_synced(event.node) else remembered_as(floor, event)
    if memory is None:
        return False
    if memory.call != event.call or event.place is None:
        _come_anew(floor, memory, event.at, now.utc)
        return False
    if memory.answered_at is not None and not waits_again(memory, event.place):
        _close_remembered(floor, memory, CallOutcome.ANSWERED, "unknown", now.utc, None)
        return False
    home = _home(floor, event.place, memory, event.did, event.caller_number, now.utc, now)
    if home is None:
        return False
    place, queue = home
    call = take_up(floor, event, memory.call, place, queue, now, node=event.node, at=now.utc)
    line.settle(floor, call, now.utc, now, "call_arrived", fresh=True)
    return True


def _is_told(seen: SeenCall, memory: ev.CallMemory) -> bool:
    """Whether a remembered caller who is about to leave the place of the question has heard the answer already."""
    told = seen.call == memory.call and seen.place is not None
    return told and seen.entered_at < memory.entered_at + _SAME_S


def _come_anew(floor: Floor, memory: ev.CallMemory, entered_at: float, at: float) -> None:
    """A remembered caller asks where to go as if nobody knew him: he has come back by a way of his own, or what he was told
    when he came never arrived. Either way his call was over when he came (``entered_at``), and he says the rest himself."""
    answered = memory.answered_at is not None
    if answered and entered_at <= max([memory.entered_at, *(s.started_at for s in memory.open_segments)]):
        entered_at = at
    outcome = CallOutcome.ANSWERED if answered else CallOutcome.LOST_TRACK
    _close_remembered(floor, memory, outcome, "unknown", min(entered_at, at), None)


def take_up(
    floor: Floor,
    source: SeenCall | ev.CallArrived,
    identity: str,
    place: Place,
    queue: QueueDefinition,
    now: Instant,
    *,
    node: str,
    at: float,
    kinds: tuple[SegmentKind, ...] = (SegmentKind.WAITED,),
    offer: str | None = None,
    agent: str | None = None,
) -> Call:
    """Make a call ours that began before we looked. A remembered one goes on with its numbering and its open segment,
    if that is one of ``kinds``; any other is opened as ``identity``."""
    memory = floor.memory.pop(identity, None)
    number, name = callers.identity(floor, source, memory)
    call = Call(
        call=identity,
        node=node,
        channel=source.channel,
        channel_name=source.channel_name,
        linkedid=source.linkedid,
        did=source.did if memory is None else memory.did,
        caller_number=number,
        caller_name=name,
        place=place,
        queue=queue,
        attributes=arrivals.attributes_of(floor, source.did if memory is None else memory.did, number, place),
        offer=offer,
        agent=agent,
        segment_at=place.entered_at,
        touched_at=now.utc,
    )
    exclusion.remember(call)
    floor.register(call)
    if memory is None or memory.answered_at is None:
        floor.counts[queue.name].offered += 1
    goes_on = False
    if memory is None:
        floor.emit_opened(call)
        floor.ledger.turn(call, SegmentKind.ENTERED, place.entered_at)
    else:
        goes_on = floor.ledger.resume(call, memory, kinds, at)
        if memory.queue != queue.name:
            floor.emit(CallMoved(identity, queue.name))
    floor.arm_max_wait(call, now)
    if not goes_on:
        floor.ledger.turn(call, kinds[0], at, "restart")
    return call


def _home(
    floor: Floor, place: Place | None, memory: ev.CallMemory | None, did: str, number: str, at: float, now: Instant
) -> tuple[Place, QueueDefinition] | None:
    """Where a caller belongs: his own place; or, if that cannot be read or its queue is gone, the queue that his DID
    enters now, without loss of rank. None if no queue takes him."""
    queue = floor.definition.queues.get(place.queue) if place is not None else None
    entered_at = memory.entered_at if memory is not None else min(place.entered_at if place is not None else at, at)
    if place is not None and queue is not None:
        joined_at, queue_joined_at = min(place.joined_at, at), min(place.queue_joined_at, at)
        return replace(place, joined_at=joined_at, queue_joined_at=queue_joined_at, entered_at=entered_at), queue
    entry = arrivals.entry(floor, memory.did if memory is not None else did, number)
    if entry is None:
        return None
    queue, priority = entry
    joined_at = entered_at if place is None else min(place.joined_at, at)
    return Place(queue.name, priority, joined_at, floor.serial_of(), now.utc, entered_at), queue


_NEVER = (float("-inf"), "")
_SAME_S = 0.001
"""Times of one entry that were written down on different ways differ by less."""


def _adopt(floor: Floor, event: ev.NodeResynced, seen: SeenCall, now: Instant) -> None:
    """A caller's channel that we do not know: go on with its call if that is remembered, else open a new one. An id
    that nobody remembers is never used again: its call may have ended, and a call ends once."""
    if seen.call is None or seen.phase is Phase.ELSEWHERE:
        # Not registered yet (its own question is on the way), or no longer ours
        return
    was = seen.call
    memory = floor.memory.get(was)
    if memory is not None and memory.node != event.node:
        memory = None
    if (
        memory is not None
        and memory.answered_at is not None
        and seen.phase is Phase.HELD
        and not waits_again(memory, seen.place)
    ):
        _close_remembered(floor, memory, CallOutcome.ANSWERED, "unknown", event.at, None)
        memory = None
        if seen.place is not None:
            again = replace(seen.place, joined_at=event.at, queue_joined_at=event.at, entered_at=event.at)
            seen = replace(seen, place=again)
    home = _home(floor, seen.place, memory, seen.did, seen.caller_number, event.at, now)
    if home is None:
        if seen.phase is Phase.HELD:
            did = seen.did if memory is None else memory.did
            target = arrivals.send_to_fallback(floor, event.node, seen.channel, was, did)
            if memory is not None:
                _close_remembered(floor, memory, CallOutcome.FALLBACK, "system", event.at, target)
        return
    place, queue = home
    phase, agent = seen.phase, _agent_of(floor, seen)
    if phase is not Phase.HELD and not _may_bind(floor, agent, seen.offer):
        floor.drift("adopt_unbound", f"call {seen.call} is {phase} without an agent we know to be free for it")
        if phase is Phase.TALKING:
            return
        phase = Phase.HELD
    held = phase is Phase.HELD
    identity = was if memory is not None else floor.new_id()
    if memory is None and ((event.node, seen.channel) in floor.ended or began_alone(floor.epoch)):
        # What was on the channel before is a call of its own, and ended when this life began at the latest
        place = replace(place, entered_at=event.at, serial=floor.serial_of())
    call = take_up(
        floor,
        seen,
        identity,
        place,
        queue,
        now,
        node=event.node,
        at=event.at,
        kinds=_KINDS[phase],
        offer=None if held else seen.offer,
        agent=None if held or agent is None else agent.name,
    )
    told: dict[str, Any] = {"phase": phase, "queue": queue.name, "was": was}
    if not held and agent is not None and (besides := _rung_besides(floor, call, agent)):
        told["agents"] = [agent.name, *(other.name for other in besides)]
    floor.ledger.decide(call, event.at, "adopted", told)
    _mark(floor, seen, call)
    if not held and agent is not None:
        _bind(floor, call, agent, phase, event.at, now)


def _mark(floor: Floor, seen: SeenCall, call: Call) -> None:
    """Write on the channel who the call is and where it stands, if anything else stands there: the next life reads it."""
    offer = floor.offers.get(call.offer or "")
    let_go = offer is not None and offer.several and seen.offer == offer.offer and seen.agent not in offer.agents
    if let_go or seen.call != call.call or seen.place is None or seen.place.encode() != call.place.encode():
        agent = offer.agent if let_go and offer is not None else ""
        place = call.place.encode()
        floor.command(do.MarkCall(call.node, call.channel, call.call, place, call.queue.hold, agent))


def _may_bind(floor: Floor, agent: Agent | None, offer: str | None) -> bool:
    """Nobody is on two calls, and no offer is made twice."""
    return agent is not None and offer is not None and offer not in floor.offers and agent.offer not in floor.offers


def _agent_of(floor: Floor, seen: SeenCall) -> Agent | None:
    """Whose phone is seen: of several who were rung, the one who answered may be another than the offer's first."""
    agent = floor.roster.agents.get(seen.agent or "")
    device = floor.roster.device(seen.agent_device) if seen.agent_device else None
    if seen.phase is Phase.TALKING and device is not None and (agent is None or device not in agent.devices):
        there = [o for o in floor.roster.by_device.get(device, ()) if o.state in _ON_A_CALL and device in o.devices]
        # Joined by a colleague and not yet written down, he is remembered on the colleague's own call
        return next((other for other in there if other.call == seen.call), there[0] if len(there) == 1 else agent)
    return agent


def _rung_besides(floor: Floor, call: Call, agent: Agent) -> tuple[Agent, ...]:
    """Who, as remembered, is rung by the offer of ``call`` besides ``agent``."""
    return tuple(
        other
        for other in floor.roster.agents.values()
        if other is not agent
        and other.state in (AgentState.RESERVED, AgentState.RINGING)
        and other.call == call.call
        and other.offer not in floor.offers
    )


def _bind(floor: Floor, call: Call, agent: Agent, phase: Phase, at: float, now: Instant) -> None:
    """Believe what is seen: ``call`` is offered to, rings at or talks with ``agent``. Its segment is already open."""
    assert call.offer is not None
    talks = phase is Phase.TALKING
    floor.matcher.unwait(call.call)
    others = () if talks or call.queue.ring_agents == 1 else _rung_besides(floor, call, agent)
    floor.offers[call.offer] = Offer(
        call.offer,
        call.call,
        agent.name,
        call.segment_at,
        rang=phase is not Phase.OFFERING,
        answered=talks,
        others=tuple(other.name for other in others),
        several=bool(others),
    )
    call.become(CallState.TALKING if talks else CallState.OFFERED)
    call.going = False
    for one in (agent, *others):
        _bring(floor, one, _STATES[phase], call, at, now)
    if talks:
        consultation.taken_up(call)
        floor.talks(call, agent, call.segment_at)
    else:
        floor.arm_offer(call, now)


def _bring(floor: Floor, agent: Agent, state: AgentState, call: Call, at: float, now: Instant) -> None:
    """Bring an agent to the state in which his call was found, by legal transitions; without one if he is there."""
    if agent.state is AgentState.WRAP_UP:
        floor.finish_wrap_up(agent, at, now)
    if agent.state is state and agent.call == call.call:
        agent.offer = call.offer
        return
    if agent.state is AgentState.TALKING or (agent.state in _ON_A_CALL and state is not AgentState.TALKING):
        floor.roster.enter(agent, AgentState.AVAILABLE, at, now, keep_idle=True)
    if state is AgentState.RINGING:
        floor.roster.enter(agent, AgentState.RESERVED, at, now, call=call.call, offer=call.offer)
    floor.roster.enter(agent, state, at, now, call=call.call, offer=call.offer)


def _correct(floor: Floor, event: ev.NodeResynced, seen: SeenCall, call: Call, now: Instant) -> None:
    """One call we know: does what we believe of it agree with what is seen?"""
    if seen.phase is Phase.ELSEWHERE:
        if call.state is not CallState.AFTER:
            floor.drift("call_elsewhere", f"call {call.call} has left our contexts")
            # In a context of ours he is on his way out: nobody has sent him anywhere
            gone = CallOutcome.TRANSFERRED if seen.target else CallOutcome.ANSWERED
            outcome = gone if call.talked else CallOutcome.FALLBACK
            floor.end_call(call, outcome, "unknown", None, event.at, now, target=seen.target or None)
        return
    offer = floor.offers.get(call.offer or "")
    if call.state is CallState.OFFERED and offer is not None:
        if seen.phase is Phase.HELD:
            floor.drift("offer_unheard", f"offer {offer.offer} of call {call.call} is over")
            floor.fail_offer(offer, OfferOutcome.LOST_TRACK, "found on hold", event.at, now)
        elif seen.offer == offer.offer:
            if seen.phase is Phase.TALKING:
                floor.drift("answer_unheard", f"call {call.call} talks with {offer.agent}")
                if offer.others:
                    together.choose(floor, offer, seen.agent_device or "", event.at, now)
                floor.answer(offer, event.at, now)
            elif seen.phase is Phase.RINGING and not offer.rang:
                floor.rang(offer, event.at, now)
        else:
            # Ours never took effect, and the one before it, given up, still stands
            due, call.overflow_due = call.overflow_due, False
            floor.fail_offer(offer, OfferOutcome.LOST_TRACK, f"found in offer {seen.offer}", event.at, now)
            call.overflow_due = due
            _rebind(floor, event, seen, call, now)
    elif call.state in (CallState.TALKING, CallState.AFTER) and (seen.phase is Phase.HELD or seen.offer != call.offer):
        floor.drift("talk_end_unheard", f"the conversation of call {call.call} is over, and its caller is {seen.phase}")
        floor.end_call(call, CallOutcome.ANSWERED, "unknown", None, event.at, now)
        place = replace(call.place, joined_at=event.at, queue_joined_at=event.at)
        _adopt(floor, event, replace(seen, place=place), now)
    elif call.state is CallState.WAITING:
        if seen.phase is Phase.HELD:
            call.going = False
        else:
            _rebind(floor, event, seen, call, now)


def _other_calls(floor: Floor, event: ev.NodeResynced, seen: SeenCall, now: Instant) -> None:
    """What else the phone of an agent who talks does. Behind a trunk its calls cannot be told from others'."""
    call = floor.by_channel.get((event.node, seen.channel))
    if call is None or call.state is not CallState.TALKING or seen.offer != call.offer or seen.consults is None:
        return
    if seen.agent_device in floor.roster.agents[call.agent or ""].devices:
        consultation.look(floor, call, seen.consults, event.at, now)


def _rebind(floor: Floor, event: ev.NodeResynced, seen: SeenCall, call: Call, now: Instant) -> None:
    """A call that should wait is in an offer that was given up, or never heard of: believe it, if the agent allows."""
    agent = floor.roster.agents.get(seen.agent or "")
    floor.drift("offer_unknown", f"call {call.call} should wait and is {seen.phase} with {seen.agent or 'nobody'}")
    if agent is not None and _may_bind(floor, agent, seen.offer):
        call.offer, call.agent, call.touched_at = seen.offer, agent.name, now.utc
        floor.ledger.turn(call, _KINDS[seen.phase][0], event.at, "resync")
        _bind(floor, call, agent, seen.phase, event.at, now)
    elif seen.phase is Phase.TALKING:
        # With somebody we do not know or believe elsewhere: at least nobody pulls the caller out of it
        floor.end_call(call, CallOutcome.LOST_TRACK, "unknown", None, event.at, now)


def _lose(floor: Floor, call: Call, at: float, now: Instant) -> None:
    outcome = CallOutcome.ANSWERED if call.talked else CallOutcome.LOST_TRACK
    floor.end_call(call, outcome, "unknown", None, at, now)


def _close_all(floor: Floor, event: ev.NodeResynced, alive: set[str], now: Instant) -> None:
    """Asterisk restarted: its calls ended when it was lost, at the latest. Who has called since is in the look."""
    at = min(event.at, floor.lost_at.get(event.node, event.at))
    for call in [c for c in floor.calls.values() if c.node == event.node and c.touched_at <= event.at]:
        if call.channel not in alive:
            _lose(floor, call, at, now)


def _close_remembered(
    floor: Floor,
    memory: ev.CallMemory,
    outcome: CallOutcome,
    by: str,
    at: float,
    target: str | None,
    closing: str = "restart",
) -> None:
    del floor.memory[memory.call]
    ended_at = max([at, memory.entered_at, *(s.started_at for s in memory.open_segments)])
    for segment in memory.open_segments:
        if segment.kind != SegmentKind.WRAPPED:
            floor.emit(SegmentClosed(memory.call, segment.serial, ended_at, closing))
    floor.emit(CallClosed(memory.call, ended_at, outcome, by, None, target))
    floor.note_end(memory.node, memory.channel, ended_at, memory.call)


def _forget(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """Close remembered calls that no longer exist, and free agents whose remembered call is not there."""
    elsewhere = {seen.call: seen.target for seen in event.calls if seen.phase is Phase.ELSEWHERE}
    for memory in [m for m in floor.memory.values() if m.node == event.node]:
        answered = memory.answered_at is not None
        outcome = CallOutcome.ANSWERED if answered else CallOutcome.LOST_TRACK
        target = elsewhere.get(memory.call)
        if target is not None and not answered:
            outcome = CallOutcome.FALLBACK
        elif target:
            outcome = CallOutcome.TRANSFERRED
        _close_remembered(floor, memory, outcome, "unknown", event.at, target or None)
    bound = {agent for offer in floor.offers.values() for agent in offer.agents}
    for agent in list(floor.roster.agents.values()):
        waits_for_other_node = agent.call is not None and agent.call in floor.memory
        if agent.state in _ON_A_CALL and agent.name not in bound and not waits_for_other_node:
            floor.drift("agent_stuck", f"agent {agent.name} was {agent.state} without a call")
            if agent.pending is not None:
                floor.settle_pending(agent, event.at, now)
            else:
                floor.roster.enter(agent, AgentState.AVAILABLE, event.at, now)
