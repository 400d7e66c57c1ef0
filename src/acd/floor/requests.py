"""What agents ask for: log in, log out, pause, resume; also in mid-call, when it takes effect after the call. And what is
asked for calls: to go to another queue, a supervisor's say, or out of our hands; or to have other attributes.

Every request with a name gets one Reply, sent once what follows from it is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acd.domain.attributes import fault_of
from acd.domain.commands import MarkCall, Reply
from acd.domain.events import AgentAction, AgentEngaged, AgentRequested, CallAction, CallRequested
from acd.domain.instant import Instant
from acd.domain.states import PAUSE_DEFAULT, AgentState, CallState
from acd.floor import arrivals, conversation, lasting, line
from acd.floor.calls import Call
from acd.routing.roster import PENDING_LOGOUT, PENDING_PAUSE, Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

_ON_A_CALL = (AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING)


def handle(floor: Floor, event: AgentRequested, now: Instant) -> None:
    """Carry out, note for later, or refuse; and answer."""
    agent = floor.roster.find(event.agent)
    if agent is None:
        ok, message = False, f"there is no agent {event.agent!r}"
    elif agent.name in floor.leaving:
        ok, message = False, f"agent {agent.name} is no longer defined, and is logged out after the call"
    elif event.action is AgentAction.LOGIN:
        ok, message = _login(floor, agent, event, now)
    elif event.action is AgentAction.LOGOUT:
        ok, message = _logout(floor, agent, event, now)
    elif event.action is AgentAction.PAUSE:
        ok, message = _pause(floor, agent, event, now)
    else:
        ok, message = _resume(floor, agent, event, now)
    if event.request is not None:
        data: dict[str, Any] = {}
        if agent is not None:
            data = {"agent": agent.name, "state": str(agent.state), "pending": agent.pending}
            if agent.line is not None:
                data["line"] = str(agent.line.stage)
        floor.command(Reply(event.request, ok, message, data))


def engage(floor: Floor, event: AgentEngaged, now: Instant) -> None:
    """Offer an agent nothing for a while, or something again; and answer."""
    agent = floor.roster.find(event.agent)
    ok, message = False, f"there is no agent {event.agent!r}"
    if agent is not None and event.what is None:
        ok, message = True, "is free"
        if agent.state is AgentState.PREVIEW:
            _disengage(floor, agent, event.at, now, "agent_free")
    elif agent is not None:
        why = None if agent.state is AgentState.PREVIEW else agent.why_not
        ok, message = why is None, why or event.what or ""
        if why is None and (agent.state, agent.reason) != (AgentState.PREVIEW, event.what):
            floor.roster.enter(agent, AgentState.PREVIEW, event.at, now, reason=event.what)
    if event.request is not None:
        data = {} if agent is None else {"agent": agent.name, "state": str(agent.state)}
        floor.command(Reply(event.request, ok, message, data))


def _disengage(floor: Floor, agent: Agent, at: float, now: Instant, trigger: str) -> None:
    floor.roster.enter(agent, AgentState.AVAILABLE, at, now, keep_idle=True)
    floor.agent_freed(agent, at, now, trigger)


def _login(floor: Floor, agent: Agent, event: AgentRequested, now: Instant) -> tuple[bool, str]:
    arrives = event.phone is not None or agent.state is AgentState.LOGGED_OUT
    chosen = None
    if event.phone is not None:
        chosen = floor.roster.device(event.phone)
        if chosen is None:
            return False, f"{event.phone!r} is no phone: write TECHNOLOGY/NAME such as PJSIP/1001"
        if agent.state in _ON_A_CALL and chosen not in agent.devices:
            return False, "is on a call; the phone can be changed after it"
    for phone in (chosen,) if chosen is not None else agent.definition.phones if arrives else ():
        # Two agents on one phone would be two calls on one phone
        for other in floor.roster.by_device.get(phone, ()):
            if other is not agent and other.state is not AgentState.LOGGED_OUT and phone in other.devices:
                return False, f"phone {phone} is in use by agent {other.name}"
    if agent.state in _ON_A_CALL:
        floor.roster.intend(agent, None)
        return True, "already logged in, on a call"
    before = agent.devices
    if arrives:
        floor.roster.use_phone(agent, chosen)
        if agent.devices[:1] != before[:1]:
            lasting.moved(floor, agent, event.at, now)
        floor.reach.review_agent(agent)
        floor.roster.review(agent)
    if agent.state is not AgentState.LOGGED_OUT:
        floor.roster.intend(agent, None)
        floor.agent_freed(agent, event.at, now, "agent_login")
        where = f", from now on at {', '.join(agent.devices)}" if agent.devices != before else ""
        return True, f"already logged in{where}" + lasting.wanted(floor, agent, event.channel, now)
    floor.roster.intend(agent, None)
    return True, "logged in" + _comes(floor, agent, event, now, "agent_login")


def _comes(floor: Floor, agent: Agent, event: AgentRequested, now: Instant, trigger: str) -> str:
    """``agent`` is at work from now on, or once he has the line that he is to have; then what is done about that."""
    floor.roster.enter(agent, AgentState.AVAILABLE, event.at, now)
    if agent.state is not AgentState.AVAILABLE:
        return lasting.wanted(floor, agent, event.channel, now)
    line.agent_came(floor, agent, event.at, now)
    floor.agent_freed(agent, event.at, now, trigger)
    return ""


def _logout(floor: Floor, agent: Agent, event: AgentRequested, now: Instant) -> tuple[bool, str]:
    if agent.state is AgentState.LOGGED_OUT:
        return True, "already logged out"
    if agent.state in _ON_A_CALL:
        floor.roster.intend(agent, PENDING_LOGOUT)
        return True, "logs out after the call"
    floor.roster.intend(agent, None)
    if agent.state is AgentState.WRAP_UP:
        floor.finish_wrap_up(agent, event.at, now)
    floor.log_out(agent, event.at, now)
    return True, "logged out"


def _pause(floor: Floor, agent: Agent, event: AgentRequested, now: Instant) -> tuple[bool, str]:
    reasons = floor.definition.pause_reasons
    # Whoever gives no reason may pause, whatever the operator calls his reasons
    reason = event.reason or PAUSE_DEFAULT
    if event.reason is not None and reason not in reasons:
        return False, f"there is no pause reason {reason!r}; there are {', '.join(reasons)}"
    if agent.state is AgentState.LOGGED_OUT:
        return False, "is not logged in"
    if agent.state in _ON_A_CALL:
        floor.roster.intend(agent, PENDING_PAUSE + reason)
        return True, f"pauses ({reason}) after the call"
    if agent.state is AgentState.PAUSED and agent.reason == reason:
        return True, f"already paused ({reason})"
    floor.roster.intend(agent, None)
    if agent.state is AgentState.WRAP_UP:
        floor.finish_wrap_up(agent, event.at, now)
    floor.roster.enter(agent, AgentState.PAUSED, event.at, now, reason=reason)
    return True, f"paused ({reason})"


def _resume(floor: Floor, agent: Agent, event: AgentRequested, now: Instant) -> tuple[bool, str]:
    if agent.state is AgentState.LOGGED_OUT:
        return False, "is not logged in"
    if agent.pending is not None:
        floor.roster.intend(agent, None)
        return True, "stays available after the call"
    wanted = lasting.wanted(floor, agent, event.channel, now)
    if wanted:
        return True, "has no line" + wanted
    if agent.state in (AgentState.PAUSED, AgentState.WRAP_UP):
        floor.finish_wrap_up(agent, event.at, now)
        wanted = _comes(floor, agent, event, now, "agent_resumed")
        return True, "has no line" + wanted if wanted else "available"
    if agent.state is AgentState.PREVIEW:
        _disengage(floor, agent, event.at, now, "agent_resumed")
        return True, "available"
    return True, "nothing to resume"


def handle_call(floor: Floor, event: CallRequested, now: Instant) -> None:
    """Carry out or refuse what is asked for a call; and answer."""
    call = floor.calls.get(event.call)
    if call is None:
        ok, message = False, f"there is no live call {event.call!r}"
    elif event.action is CallAction.ESCALATE:
        ok, message = _to_queue(floor, call, event.queue or call.queue.escalation, "escalated", event, now)
    elif event.action is CallAction.TRANSFER:
        ok, message = _transfer(floor, call, event, now)
    else:
        ok, message = _set_attributes(floor, call, event, now)
    if event.request is not None:
        data = {} if call is None else {"call": call.call, "queue": call.queue.name, "state": str(call.state)}
        floor.command(Reply(event.request, ok, message, data))


def _transfer(floor: Floor, call: Call, event: CallRequested, now: Instant) -> tuple[bool, str]:
    if event.to is None:
        return _to_queue(floor, call, event.queue, "transferred", event, now)
    if event.queue is not None:
        return False, "say a queue or a place in the dialplan, not both"
    wrong = _cannot_be_moved(floor, call)
    if wrong:
        return False, wrong
    conversation.send_away(floor, call, event.to, event.at, now)
    return True, f"is sent to {line.describe(event.to)}"


def _cannot_be_moved(floor: Floor, call: Call) -> str:
    """Why nobody can move the caller now; empty if somebody can."""
    if call.state not in (CallState.WAITING, CallState.TALKING) or call.going:
        return f"is {call.state}: only who waits or talks can be passed on"
    return "" if floor.is_synced(call.node) else f"node {call.node} is not connected"


def _to_queue(
    floor: Floor, call: Call, target: str | None, how: str, event: CallRequested, now: Instant
) -> tuple[bool, str]:
    if target is None and how == "transferred":
        return False, "say to which queue, or to which place in the dialplan"
    if target is None:
        return False, f"queue {call.queue.name} names no escalation; say which queue"
    queue = floor.definition.queues.get(target)
    if queue is None:
        return False, f"there is no queue {target!r}"
    wrong = _cannot_be_moved(floor, call)
    if wrong:
        return False, wrong
    if call.state is CallState.TALKING:
        if not line.is_open(floor, queue, now.utc):
            return False, f"queue {queue.name} is closed"
        conversation.pass_on(floor, call, queue, event.at, now, how)
    elif queue.name == call.queue.name:
        return False, f"waits in queue {queue.name} already"
    else:
        waited_s = round(max(0.0, event.at - call.place.joined_at), 3)
        floor.ledger.decide(call, event.at, how, {"from": call.queue.name, "to": queue.name, "waited_s": waited_s})
        floor.forecast.left(call, event.at, gave_up=False)
        line.move(floor, call, queue, event.at, now, how)
    if call.call not in floor.calls:
        return True, f"went to queue {queue.name}, which sent it on"
    return True, f"waits in queue {call.queue.name}" if call.offer is None else f"is offered in queue {call.queue.name}"


def _set_attributes(floor: Floor, call: Call, event: CallRequested, now: Instant) -> tuple[bool, str]:
    for name, value in event.attributes.items():
        wrong = fault_of(name, value)
        if wrong:
            return False, f"attribute {name[:40]!r} {wrong}"
    call.place = call.place.with_attributes(event.attributes)
    call.attributes = arrivals.attributes_of(floor, call.did, call.caller_number, call.place)
    floor.ledger.decide(call, event.at, "attributes", {name: str(value) for name, value in event.attributes.items()})
    if call.state is CallState.WAITING and not call.going and floor.is_synced(call.node):
        floor.command(MarkCall(call.node, call.channel, call.call, call.place.encode(), call.queue.hold))
        floor.call_waits(call, event.at, now, "attributes")
        line.review_waiting(floor, call, event.at, now)
    return True, "set"
