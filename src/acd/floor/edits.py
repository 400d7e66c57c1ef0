"""Changes while calls wait: another definition, skills that begin or end to be valid, an agent who goes.

Whatever changes takes effect at once: waiting calls are aimed anew, agents judged anew, and then whatever can be matched
is matched. What is under way (a ringing phone, a conversation) goes on by the rules it began with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.domain.commands import Reply
from acd.domain.definition import Cause, FloorDefinition
from acd.domain.events import FloorEdited
from acd.domain.instant import Instant
from acd.domain.states import AgentState, CallState
from acd.floor import arrivals, line
from acd.floor.calls import Call
from acd.floor.reach import Reach
from acd.routing.policies import CallSelection, QueuePolicy
from acd.routing.roster import PENDING_LOGOUT, Agent
from acd.routing.statistics import QueueCounts

if TYPE_CHECKING:
    from acd.floor.core import Floor


def floor_edited(floor: Floor, event: FloorEdited, now: Instant) -> None:
    """Put another definition in force. Removed agents are logged out, those on a call after it; calls of removed queues
    go where their DID leads now, with their rank."""
    old, new = floor.definition, event.definition
    if new == old:
        _reply(floor, event, "nothing has changed")
        return
    floor.definition = new
    floor.ledger.revision = new.revision
    floor.comparing = True
    try:
        _edit_queues(floor, old, new)
        _edit_agents(floor, old, new, event.at, now)
        if new.breaker != old.breaker:
            hosts, floor.reach = floor.reach, Reach(new.breaker)
            floor.reach.take_over(hosts)
        for agent in floor.roster.agents.values():
            floor.reach.review_agent(agent)
            floor.roster.review(agent)
    finally:
        floor.comparing = False
    for call in list(floor.calls.values()):
        _rehome(floor, call, event.at, now)
    for gone in old.queues.keys() - new.queues.keys():
        floor.matcher.remove_queue(gone)
    floor.forecast.keep(set(new.queues))
    arm_skill_changes(floor, now)
    floor.serve(event.at, now, "edited")
    for call in [c for c in floor.calls.values() if c.state is CallState.WAITING]:
        review_waiting(floor, call, event.at, now)
    _reply(floor, event, f"revision {new.revision or 'unnamed'} is in force")


def _reply(floor: Floor, event: FloorEdited, message: str) -> None:
    if event.request is not None:
        floor.command(Reply(event.request, True, message, {"revision": floor.definition.revision}))


def _edit_queues(floor: Floor, old: FloorDefinition, new: FloorDefinition) -> None:
    selection = CallSelection.of(new)
    if selection != CallSelection.of(old):
        floor.matcher.set_call_selection(selection)
    for name, queue in new.queues.items():
        floor.counts.setdefault(name, QueueCounts())
        before = old.queues.get(name)
        if before is None or QueuePolicy.of(before) != QueuePolicy.of(queue):
            floor.matcher.set_queue(name, QueuePolicy.of(queue))


def _edit_agents(floor: Floor, old: FloorDefinition, new: FloorDefinition, at: float, now: Instant) -> None:
    roster = floor.roster
    for name in old.agents.keys() - new.agents.keys():
        agent = roster.agents.get(name)
        if agent is None:
            continue
        if agent.state in (AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING):
            # He finishes what he is in; nothing else is offered to him
            roster.intend(agent, PENDING_LOGOUT)
            floor.leaving.add(name)
            continue
        _dismiss(floor, agent, at, now)
    for name, definition in new.agents.items():
        known = roster.agents.get(name)
        floor.leaving.discard(name)
        if known is None:
            roster.add(definition, at)
        elif known.definition != definition:
            roster.redefine(known, definition, at)


def _dismiss(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    if agent.state is AgentState.WRAP_UP:
        floor.finish_wrap_up(agent, at, now)
    if agent.state is not AgentState.LOGGED_OUT:
        floor.roster.intend(agent, None)
        floor.roster.enter(agent, AgentState.LOGGED_OUT, at, now)
    for call in floor.roster.remove(agent):
        floor.calls[call].kept_for = None


def _rehome(floor: Floor, call: Call, at: float, now: Instant) -> None:
    """Bring one call under the rules in force now."""
    queue = floor.definition.queues.get(call.queue.name)
    call.attributes = arrivals.attributes_of(floor, call.did, call.caller_number, call.place)
    if queue is None:
        if call.state is not CallState.WAITING:
            return  # goes on by the rules it began with
        home = arrivals.entry(floor, call.did, call.caller_number)
        if home is None:
            floor.matcher.unwait(call.call)
            if not call.going and floor.is_synced(call.node):
                line.leave(floor, call, Cause.CLOSED, at, now)
            return
        line.move(floor, call, home[0], at, now, "moved")
        return
    changed_wait = queue.max_wait_s != call.queue.max_wait_s
    call.queue = queue
    if changed_wait and not call.talked:
        floor.arm_max_wait(call, now)
    if call.state is CallState.WAITING and not call.going:
        # Stages and preferred agents may be others: from the first on
        call.stage, call.kept_for = 0, None
        line.stand(floor, call, at, now)


def review_waiting(floor: Floor, call: Call, at: float, now: Instant) -> None:
    """Send a waiting call on whose queue no longer takes it: closed, nobody there, or nobody who ever could."""
    if call.going or not floor.matcher.is_waiting(call.call):
        return
    cause = None
    if call.queue.closed:
        cause = Cause.CLOSED
    elif call.queue.on_nobody is not None and line.nobody_there(floor, call):
        cause = Cause.NOBODY
    elif line.is_hopeless(floor, call, now):
        cause = Cause.UNSATISFIABLE
    if cause is not None:
        line.leave(floor, call, cause, at, now)


def agent_went(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    """``agent`` has logged out."""
    if agent.name in floor.leaving:
        floor.leaving.discard(agent.name)
        kept = floor.roster.remove(agent)
    else:
        kept = floor.matcher.held_for(agent.name)
    for name in kept:
        call = floor.calls[name]
        if call.state is CallState.WAITING and not call.going:
            floor.call_waits(call, at, now, "preferred_gone")
    queues = [floor.definition.queues.get(name) for name in agent.definition.queues]
    empty = {queue.name for queue in queues if queue is not None and queue.on_nobody is not None}
    if empty:
        for call in list(floor.calls.values()):
            if call.state is CallState.WAITING and call.queue.name in empty:
                review_waiting(floor, call, at, now)


def arm_skill_changes(floor: Floor, now: Instant) -> None:
    """Arm the next moment at which some skill begins or ends to be valid."""
    for agent in floor.roster.agents.values():
        change_at = agent.definition.next_skill_change(now.utc)
        if change_at is not None:
            floor.timer(now.mono_of(change_at), "skills", agent.name)


def skills_change(floor: Floor, name: str, at: float, now: Instant) -> None:
    """A skill of agent ``name`` begins or ends to be valid."""
    agent = floor.roster.agents.get(name)
    if agent is None:
        return
    floor.roster.describe(agent, now.utc)
    change_at = agent.definition.next_skill_change(now.utc)
    if change_at is not None:
        floor.timer(now.mono_of(change_at), "skills", name)
    floor.serve(at, now, "skills_changed")
    for call in list(floor.calls.values()):
        if call.state is CallState.WAITING and call.queue.name in agent.definition.queues:
            review_waiting(floor, call, at, now)
