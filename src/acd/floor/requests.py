"""What agents ask for: log in, log out, pause, resume; also in mid-call, when it takes effect after the call.

Every request with a name gets one Reply, sent once what follows from it is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.domain.commands import Reply
from acd.domain.events import AgentAction, AgentRequested
from acd.domain.instant import Instant
from acd.domain.states import PAUSE_DEFAULT, AgentState
from acd.routing.roster import PENDING_LOGOUT, PENDING_PAUSE, Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

_ON_A_CALL = (AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING)


def handle(floor: Floor, event: AgentRequested, now: Instant) -> None:
    """Carry out, note for later, or refuse; and answer."""
    agent = floor.roster.find(event.agent)
    if agent is None:
        ok, message = False, f"there is no agent {event.agent!r}"
    elif event.action is AgentAction.LOGIN:
        ok, message = _login(floor, agent, event, now)
    elif event.action is AgentAction.LOGOUT:
        ok, message = _logout(floor, agent, event, now)
    elif event.action is AgentAction.PAUSE:
        ok, message = _pause(floor, agent, event, now)
    else:
        ok, message = _resume(floor, agent, event, now)
    if event.request is not None:
        data = {} if agent is None else {"agent": agent.name, "state": str(agent.state), "pending": agent.pending}
        floor.command(Reply(event.request, ok, message, data))


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
    if arrives:
        floor.roster.use_phone(agent, chosen)
    if agent.state is not AgentState.LOGGED_OUT:
        floor.roster.intend(agent, None)
        floor.agent_freed(agent, event.at, now, "agent_login")
        return True, "already logged in"
    floor.roster.intend(agent, None)
    floor.roster.enter(agent, AgentState.AVAILABLE, event.at, now)
    floor.agent_freed(agent, event.at, now, "agent_login")
    return True, "logged in"


def _logout(floor: Floor, agent: Agent, event: AgentRequested, now: Instant) -> tuple[bool, str]:
    if agent.state is AgentState.LOGGED_OUT:
        return True, "already logged out"
    if agent.state in _ON_A_CALL:
        floor.roster.intend(agent, PENDING_LOGOUT)
        return True, "logs out after the call"
    floor.roster.intend(agent, None)
    if agent.state is AgentState.WRAP_UP:
        floor.finish_wrap_up(agent, event.at, now)
    floor.roster.enter(agent, AgentState.LOGGED_OUT, event.at, now)
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
    if agent.state in (AgentState.PAUSED, AgentState.WRAP_UP):
        floor.finish_wrap_up(agent, event.at, now)
        floor.roster.enter(agent, AgentState.AVAILABLE, event.at, now)
        floor.agent_freed(agent, event.at, now, "agent_resumed")
        return True, "available"
    return True, "nothing to resume"
