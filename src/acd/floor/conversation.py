"""The end of a conversation, and the ways on from it.

A conversation ends when the agent leaves the bridge. Its caller then goes on his way out (AFTER), waits again in another
queue (one call, with one conversation more), is sent to a place in the dialplan, or takes the place of the agent's own
call to a colleague.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.definition import QueueDefinition, ToDialplan
from acd.domain.instant import Instant
from acd.domain.states import AgentState, CallOutcome, CallState, OfferOutcome, SegmentKind
from acd.floor import arrivals, consultation, exclusion, line, worth
from acd.floor.calls import Call, Offer

if TYPE_CHECKING:
    from acd.floor.core import Floor

# -- the end of the talk -----------------------------------------------------------------------------------------------


def talk_ended(floor: Floor, event: ev.TalkEnded, now: Instant) -> None:
    """The agent has left the bridge."""
    offer = floor.offers.get(event.offer)
    if offer is not None and offer.answered:
        end_talk(floor, offer, event.by, event.at, now)


def end_talk(floor: Floor, offer: Offer, by: str, at: float, now: Instant) -> None:
    """The conversation is over: wrap-up begins, the call is on its way out."""
    call = floor.calls[offer.call]
    call.become(CallState.AFTER)
    call.talk_ended_by, call.touched_at = by, now.utc
    consultation.settle(floor, call, at)
    consultation.over(call)
    _count_talk(floor, call, at)
    call.talk_segment = call.segment
    at = floor.ledger.turn(call, SegmentKind.AFTER, at, by)
    _agent_done(floor, call, offer, call.queue, at, now)


def _agent_done(floor: Floor, call: Call, offer: Offer, queue: QueueDefinition, at: float, now: Instant) -> None:
    """``offer``, made when the call was in ``queue``, is over for its agent: wrap-up, or whatever comes next."""
    del floor.offers[offer.offer]
    agent = floor.roster.agents[offer.agent]
    floor.forecast.handled(queue.name, max(0.0, at - offer.made_at) + queue.wrap_up_s)
    worth.handled(floor, queue.name)
    if queue.wrap_up_s <= 0:
        floor.work_over(agent, at, now)
        return
    serial = call.next_segment
    call.next_segment += 1
    floor.wraps[agent.name] = (call.call, serial, at, queue.name)
    floor.emit(rec.SegmentOpened(call.call, serial, SegmentKind.WRAPPED, at, queue.name, agent.name, offer.offer))
    # Not longer than from now on, whatever a clock that was ahead has dated it
    until = min(now.mono_of(at + queue.wrap_up_s), now.mono + queue.wrap_up_s)
    floor.roster.enter(agent, AgentState.WRAP_UP, at, now, call=call.call, until_mono=until)
    floor.timer(until, "wrap_up", agent.name)


def _count_talk(floor: Floor, call: Call, at: float) -> None:
    counts = floor.counts[call.queue.name]
    counts.talks += 1
    counts.talk_sum_s += max(0.0, at - call.talk_at)


# -- the ways on -------------------------------------------------------------------------------------------------------


def pass_on(floor: Floor, call: Call, queue: QueueDefinition, at: float, now: Instant, how: str) -> None:
    """The caller of a conversation waits again, in ``queue``: the same call, with its history and rank. The agent wraps
    up, and does not get it again. ``how``: ``escalated`` or ``transferred``."""
    offer, before, agent = _leave(floor, call, at), call.queue, call.agent
    talked_s = round(max(0.0, at - call.talk_at), 3)
    floor.ledger.decide(call, at, how, {"from": before.name, "to": queue.name, "talked_s": talked_s})
    if agent is not None:
        exclusion.exclude(floor, call, agent, how, now)
    _wait_again(call, queue, now)
    at = floor.ledger.turn(call, SegmentKind.WAITED, at, how)
    call.place = replace(call.place, queue=queue.name, queue_joined_at=at)
    if offer is not None:
        _agent_done(floor, call, offer, before, at, now)
    floor.counts[queue.name].offered += 1
    if queue.name != before.name:
        floor.emit(rec.CallMoved(call.call, queue.name))
    floor.arm_max_wait(call, now)
    line.settle(floor, call, at, now, how, fresh=True)


def _leave(floor: Floor, call: Call, at: float) -> Offer | None:
    """The conversation of ``call`` ends: its offer, whose agent is still to be let go; None if that has happened."""
    if call.state is CallState.AFTER:
        return None
    assert call.offer is not None
    consultation.settle(floor, call, at)
    _count_talk(floor, call, at)
    return floor.offers[call.offer]


def _wait_again(call: Call, queue: QueueDefinition, now: Instant) -> None:
    call.become(CallState.WAITING)
    call.queue, call.stage, call.kept_for, call.hops, call.needed = queue, 0, None, 0, None
    call.offer = call.agent = call.talk_ended_by = call.talk_segment = None
    consultation.over(call)
    call.unanswered, call.touched_at = True, now.utc


def send_away(floor: Floor, call: Call, to: ToDialplan, at: float, now: Instant) -> None:
    """Somebody sends the caller to a place in the dialplan: the call is over for us."""
    target = line.describe(to)
    floor.ledger.decide(call, at, "transferred", {"from": call.queue.name, "to": target})
    floor.send_away(call, to)
    outcome = CallOutcome.TRANSFERRED if call.talked else CallOutcome.OVERFLOWED
    floor.end_call(call, outcome, "agent", None, at, now, target=target)


def call_transferred(floor: Floor, event: ev.CallTransferred, now: Instant) -> None:
    """The agent's phone has sent the caller out of our contexts."""
    call = floor.by_channel.get((event.node, event.channel))
    if call is None:
        return
    sent_by, call.sent_by = call.sent_by, None
    of_this = call.state in _WITH_AGENT and event.offer in (None, call.offer)
    if of_this:
        if call.state is CallState.AFTER:
            floor.ledger.passed_on(call)
        floor.end_call(call, CallOutcome.TRANSFERRED, "agent", None, event.at, now, target=event.target or None)
    elif sent_by is not None and event.target:
        # The dialplan was faster than the word of the transfer: it is that of the call before
        floor.emit(rec.CallTargeted(sent_by, event.target))


def call_joined(floor: Floor, event: ev.CallJoined, now: Instant) -> None:
    """The agent's phone joined two calls of ours: the caller of the one stands in the place of the other's."""
    call = floor.by_channel.get((event.node, event.channel))
    other = floor.by_channel.get((event.node, event.into))
    if call is other:
        return
    joins = call is not None and other is not None and call.state in _WITH_AGENT
    if joins and other is not None and call is not None and other.state in JOINABLE:
        join(floor, call, other, event.at, now)
        return
    if other is not None:
        floor.caller_gone(other, None, event.at, now)
    elif call is not None and call.state in _WITH_AGENT and call.queue.name in floor.definition.queues:
        # We had sent that one on, which has found nobody there: at least nobody is lost
        pass_on(floor, call, call.queue, event.at, now, "transferred")
        return
    if call is not None and call.state in _WITH_AGENT:
        target = "another call" if other is None else f"call {other.call}"
        floor.end_call(call, CallOutcome.TRANSFERRED, "agent", None, event.at, now, target=target)


_WITH_AGENT = (CallState.TALKING, CallState.AFTER)
"""What his caller is doing when an agent passes him on. AFTER, if the agent was heard leaving before it was heard why."""
JOINABLE = (CallState.WAITING, CallState.OFFERED, CallState.TALKING)
"""What an agent's own call may be doing when he joins his caller with it."""


def join(floor: Floor, call: Call, other: Call, at: float, now: Instant) -> None:
    """The caller of ``call`` takes the place of the caller of ``other``, who was his agent: he waits, is offered or talks
    where ``other`` did. ``other`` is over; whoever it was offered to or talked with goes on with ``call``."""
    offer, theirs = _leave(floor, call, at), floor.offers.get(other.offer or "")
    before, queue, state, agent = call.queue, other.queue, other.state, call.agent
    freed: tuple[str, ...] = ()
    floor.matcher.unwait(other.call)
    if theirs is not None and not theirs.rang and not theirs.answered:
        # Perhaps it has found nobody on the other channel any more: another is made, to this one
        del floor.offers[theirs.offer]
        freed = theirs.agents
        for name in freed:
            floor.release(theirs, name, OfferOutcome.CALLER_GONE, at, now)
        theirs = None
    detail: dict[str, Any] = {"from": before.name, "to": queue.name, "call": other.call, "found": str(state)}
    if theirs is not None and theirs.others:
        detail["agents"] = list(theirs.agents)
    _close_consult(floor, other, call, at, now)
    _wait_again(call, queue, now)
    call.agent, call.offer = (theirs.agent, theirs.offer) if theirs is not None else (None, None)
    kind = SegmentKind.WAITED
    if theirs is not None:
        at = max(at, *(floor.roster.agents[name].since for name in theirs.agents))
        kind = SegmentKind.TALKED if theirs.answered else SegmentKind.RANG
    at = floor.ledger.turn(call, kind, at, "joined")
    call.place = replace(call.place, queue=queue.name, queue_joined_at=at)
    floor.ledger.decide(call, at, "joined", detail)
    if queue.name != before.name:
        floor.emit(rec.CallMoved(call.call, queue.name))
    if agent is not None:
        exclusion.exclude(floor, call, agent, "transferred", now)
    if theirs is not None:
        _take_over(floor, call, theirs, at, now)
        if theirs.answered:
            consultation.taken_over(floor, call, other, at, now)
    if offer is not None:
        _agent_done(floor, call, offer, before, at, now)
    if theirs is None:
        floor.arm_max_wait(call, now)
        if not arrivals.rehome(floor, call, at, now):
            # What was under way to the other channel has found nobody there: said again, to this one
            line.settle(floor, call, at, now, "joined", fresh=True)
        floor.agents_freed(freed, at, now, "joined")
    else:
        mark = do.MarkCall(call.node, call.channel, call.call, call.place.encode(), queue.hold, theirs.agent)
        floor.command(mark)


def _take_over(floor: Floor, call: Call, theirs: Offer, at: float, now: Instant) -> None:
    """Whoever was bound to the other call is bound to ``call``."""
    theirs.call, talks = call.call, theirs.answered
    call.become(CallState.OFFERED)
    for name in theirs.agents:
        agent = floor.roster.agents[name]
        agent.call = call.call
        if talks:
            floor.roster.enter(agent, AgentState.TALKING, at, now, call=call.call, offer=theirs.offer)
    if talks:
        call.become(CallState.TALKING)
        call.unanswered = False  # the queue has counted the agent's own call as answered
        floor.talks(call, floor.roster.agents[theirs.agent], at)


def _close_consult(floor: Floor, other: Call, call: Call, at: float, now: Instant) -> None:
    """The agent's own call to a colleague is over, and nobody wraps up after it: the conversation goes on."""
    if other.state is CallState.TALKING:
        _count_talk(floor, other, at)
    else:
        floor.forecast.left(other, at, gave_up=False)
    floor.close(other, CallOutcome.TRANSFERRED, "agent", None, at, now, target=f"call {call.call}", closing="joined")
