"""Arrivals: which queue a caller enters and with which attributes, who asks again, and whom no queue takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.attributes import MAX_ATTRIBUTES, Value
from acd.domain.definition import HangUp, QueueDefinition, ToDialplan, ToQueue
from acd.domain.instant import Instant
from acd.domain.lives import began_alone
from acd.domain.place import Place
from acd.domain.states import AgentState, CallOutcome, CallState, SegmentKind
from acd.floor import callers, exclusion, lasting, line, resync, together
from acd.floor.calls import Call

if TYPE_CHECKING:
    from acd.floor.core import Floor

_SAME_S = 0.001
"""Times of one entry that were written down on different ways differ by less."""


def call_arrived(floor: Floor, event: ev.CallArrived, now: Instant) -> None:
    """A channel asks where to go: a new caller, one we know, or one of an earlier life."""
    known = floor.by_channel.get((event.node, event.channel))
    if known is not None:
        if _arrived_again(floor, known, event.at, now):
            return
    elif resync.return_of(floor, event, now) or _sent_already(floor, event):
        return
    if floor.unrecorded and event.call is None:
        _turn_away(floor, event)
        return
    ours = event.campaign is not None and event.campaign in floor.definition.campaigns
    own = floor.definition.queues.get(event.campaign or "") if ours else None
    home = (own, own.priority) if own is not None else entry(floor, event.did, event.caller_number)
    if home is None:
        _unrouted(floor, event)
        return
    queue, priority = home
    identity = floor.new_id()
    # A channel is one call at a time: what was on it before ended before, though the dialplan was faster
    ended = floor.ended.get((event.node, event.channel))
    ended_at, from_call = (known.segment_at, known.call) if known is not None else ended or (event.at, None)
    if known is None and event.call is not None and began_alone(floor.epoch):
        # He was a call of a life that this one knows nothing of, and which ended when it began at the latest
        ended_at = now.utc
    entered_at = max(event.at, ended_at)
    place = Place(queue.name, priority, entered_at, floor.serial_of(), now.utc, entered_at)
    old = event.place
    if known is None and old is not None and abs(old.entered_at - event.at) < _SAME_S:
        # He asks again from where he waits, and nothing is known of his call: a new one, at his old place
        queue = floor.definition.queues.get(old.queue, queue)
        place = replace(old, queue=queue.name, entered_at=entered_at)
    elif event.variables:
        place = place.with_attributes(event.variables)
    call = Call(
        call=identity,
        node=event.node,
        channel=event.channel,
        channel_name=event.channel_name,
        linkedid=event.linkedid,
        did=event.did,
        caller_number=event.caller_number,
        caller_name=event.caller_name,
        place=place,
        queue=queue,
        attributes=attributes_of(floor, event.did, event.caller_number, place),
        segment_at=entered_at,
        sent_by=known.call if known is not None else None,
        touched_at=now.utc,
        asked_at=event.asked_at or event.at,
    )
    exclusion.remember(call)
    floor.register(call)
    floor.emit_opened(call, from_call)
    floor.ledger.turn(call, SegmentKind.ENTERED, entered_at)
    floor.arm_max_wait(call, now)
    floor.counts[queue.name].offered += 1
    if event.agent is None or not _joins(floor, call, event, now):
        line.settle(floor, call, now.utc, now, "call_arrived", fresh=True)


def _sent_already(floor: Floor, event: ev.CallArrived) -> bool:
    """He was sent on, and this question is older, or he never got the answer: the same answer again does no harm. Who has
    come back since has entered anew."""
    command, asked_at = floor.sent.get((event.node, event.channel), (None, 0.0))
    if command is None or event.call not in (None, command.call):
        return False
    if abs((event.asked_at or event.at) - asked_at) >= _SAME_S:
        return False
    floor.command(command)
    return True


def _joins(floor: Floor, call: Call, event: ev.CallArrived, now: Instant) -> bool:
    """The agent who had this line dialled is on the line: it is his. False if he is not there any more."""
    agent = floor.roster.agents.get(event.agent or "")
    if agent is None or agent.state is not AgentState.PREVIEW or call.queue.name not in agent.definition.queues:
        return False
    if not event.leg and lasting.own_line(agent, call) is None:
        return False
    line.aim(floor, call, now.utc, now)
    call.kept_for = None
    floor.offer(call, [agent], now.utc, now, "dialled", leg=event.leg, leg_name=event.leg_name)
    return True


def entry(floor: Floor, did: str, caller: str) -> tuple[QueueDefinition, int] | None:
    """The queue that calls to ``did`` enter, and the priority they have there; None if they are to be sent away."""
    definition = floor.definition
    found = definition.entry_points.get(did) or definition.entry_points.get("*")
    known = definition.known_caller(caller)
    more = 0 if known is None else known.priority
    if found is not None:
        queue = definition.queues[found.queue]
        return queue, queue.priority + found.priority + more
    if isinstance(definition.fallback, ToQueue):
        queue = definition.queues[definition.fallback.queue]
        _unknown_did(floor, did, f"queue {queue.name}")
        return queue, queue.priority + more
    return None


def rehome(floor: Floor, call: Call, at: float, now: Instant) -> bool:
    """A waiting call whose queue was removed goes where its DID leads now, with its rank, or to the fallback. False if
    its queue is still there. Who is said to be gone, or cannot be moved now, is asked about again when he waits again."""
    if call.queue.name in floor.definition.queues:
        return False
    floor.matcher.unwait(call.call)
    if call.going or not floor.is_synced(call.node):
        return True
    home = entry(floor, call.did, call.caller_number)
    floor.forecast.left(call, at, gave_up=False)
    if home is None:
        fallback, to = _fallback(floor, call.did)
        floor.ledger.decide(call, at, "moved", {"from": call.queue.name, "to": to, "cause": "removed"})
        floor.send_away(call, fallback)
        floor.end_call(call, CallOutcome.FALLBACK, "system", None, at, now, target=to)
    else:
        floor.ledger.decide(call, at, "moved", {"from": call.queue.name, "to": home[0].name, "cause": "removed"})
        line.move(floor, call, home[0], at, now, "moved")
    return True


def attributes_of(floor: Floor, did: str, caller: str, place: Place) -> dict[str, Value]:
    """What expressions may ask of a call: of its entry point, of its caller's history and of him if he is known, and what
    was set on it. Of the same name the later counts."""
    definition = floor.definition
    called = place.queue in definition.campaigns
    found = None if called else definition.entry_points.get(did) or definition.entry_points.get("*")
    known, last_agent = definition.known_caller(caller), callers.last_agent(floor, caller)
    attributes: dict[str, Value] = {
        "did": did[:200],
        "number": caller[:200],
        "known": known is not None,
        "returning": last_agent is not None,
        "last_agent": last_agent or "",
    }
    attributes |= found.attributes if found is not None else {}
    attributes |= known.attributes if known is not None else {}
    attributes |= place.attributes
    return dict(list(attributes.items())[:MAX_ATTRIBUTES])


def _arrived_again(floor: Floor, call: Call, entered_at: float, now: Instant) -> bool:
    """A channel we know asks again (the dialplan thought us away). True if it was answered as what it is."""
    call.touched_at = now.utc
    if call.going:
        floor.stays(call, now.utc, now)
        if call.state is not CallState.WAITING:
            return True
    if call.state is CallState.WAITING:
        floor.command(do.HoldCall(call.node, call.channel, call.call, call.place.encode(), call.queue.hold))
        return True
    if call.state is CallState.OFFERED and call.offer is not None:
        offer = floor.offers[call.offer]
        if entered_at <= max(offer.made_at, call.place.entered_at + _SAME_S):
            # Perhaps our Redirect and its question crossed: the same offer again is harmless either way
            floor.command(floor.offer_command(call))
            return True
        # He has entered anew since it was made: only who has answered can have sent him, and that is still to be told
        floor.drift("answer_unheard", f"call {call.call} has talked with {offer.agent} and is back")
        if offer.others:
            together.choose(floor, offer, "", entered_at, now)
        floor.answer(offer, entered_at, now)
    # It talked and is back, sent by the agent's phone: the old call is over, a new one begins
    at = entered_at if entered_at > call.segment_at else now.utc
    floor.end_call(call, CallOutcome.TRANSFERRED, "agent", None, at, now)
    return False


def records_filled(floor: Floor, event: ev.RecordsFilled) -> None:
    """From now on new callers are turned away, or taken again. Who waits or talks stays."""
    floor.unrecorded = event.full


def _turn_away(floor: Floor, event: ev.CallArrived) -> None:
    """The operator would rather have a caller go elsewhere than a call without a record."""
    floor.unrouted += 1
    destination = floor.definition.fallback
    if isinstance(destination, ToQueue):
        destination = HangUp()
    floor.command(do.SendCall(event.node, event.channel, floor.new_id(), destination))


def _unknown_did(floor: Floor, did: str, to: str) -> None:
    floor.command(do.RaiseAlarm("unknown_did", f"no entry point for DID {did!r}: sent to {to}"))


def _unrouted(floor: Floor, event: ev.CallArrived) -> None:
    floor.unrouted += 1
    identity = floor.new_id()
    floor.emit(
        rec.CallOpened(
            call=identity,
            node=event.node,
            channel=event.channel,
            linkedid=event.linkedid,
            did=event.did,
            caller_number=event.caller_number,
            caller_name=event.caller_name,
            queue="",
            priority=0,
            entered_at=event.at,
        )
    )
    target = send_to_fallback(floor, event.node, event.channel, identity, event.did)
    floor.emit(rec.CallClosed(identity, event.at, CallOutcome.FALLBACK, "system", None, target))


def _fallback(floor: Floor, did: str) -> tuple[ToDialplan | HangUp, str]:
    """Where a caller goes whom no queue takes, also in the dialplan's words; somebody is told."""
    destination = floor.definition.fallback
    assert not isinstance(destination, ToQueue), "a fallback that is a queue takes the call as an entry point does"
    to = line.describe(destination)
    _unknown_did(floor, did, to)
    return destination, to


def send_to_fallback(floor: Floor, node: str, channel: str, call: str, did: str) -> str:
    """Send away a caller whom no queue takes; where to, in the dialplan's words."""
    destination, to = _fallback(floor, did)
    floor.command(do.SendCall(node, channel, call, destination))
    return to
