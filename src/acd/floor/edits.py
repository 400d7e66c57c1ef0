"""Changes while calls wait: another definition, skills that begin or end to be valid, an agent who goes.

Whatever changes takes effect at once: waiting calls are aimed anew, agents judged anew, and then whatever can be matched
is matched. What is under way (a ringing phone, a conversation) goes on by the rules it began with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.domain.commands import Reply
from acd.domain.definition import FloorDefinition
from acd.domain.errors import MisuseError
from acd.domain.events import FloorEdited
from acd.domain.instant import Instant
from acd.domain.states import AgentState, CallState
from acd.floor import arrivals, lasting, line, worth
from acd.floor.calls import Call
from acd.floor.reach import Reach
from acd.routing.policies import CallSelection
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
    try:
        worth.judge(new)
    except MisuseError as error:
        # Nothing has been changed yet
        if event.request is not None:
            floor.command(Reply(event.request, False, str(error), {"revision": old.revision}))
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
    for call in floor.calls.values():
        _under_new_rules(floor, old, call, event.at, now)
    for gone in [name for name in old.queues if name not in new.queues]:
        floor.matcher.remove_queue(gone)
        del floor.policies[gone]
    floor.forecast.keep(set(new.queues))
    arm_skill_changes(floor, now)
    floor.serve(event.at, now, "edited")
    # Only now: whoever waited in a queue that is still there comes before those who are new in it
    waiting = [call for call in floor.calls.values() if call.state is CallState.WAITING]
    homeless: list[Call] = []
    for call in sorted(waiting, key=lambda call: (call.place.joined_at, call.place.serial)):
        if arrivals.rehome(floor, call, event.at, now):
            homeless.append(call)
        else:
            line.review_waiting(floor, call, event.at, now)
    _reply(floor, event, f"revision {new.revision or 'unnamed'} is in force", _fate(floor, homeless))


def _fate(floor: Floor, homeless: list[Call]) -> str:
    """What became of the waiting calls of removed queues."""
    sent_away = sum(call.state is CallState.ENDED for call in homeless)
    moved = sum(call.state is not CallState.ENDED and call.queue.name in floor.definition.queues for call in homeless)
    told = [f"{moved} moved to where their numbers lead now"] * (moved > 0)
    told += [f"{sent_away} sent to the fallback, for no entry point takes them"] * (sent_away > 0)
    return f"waiting calls of removed queues: {', '.join(told)}" if told else ""


def _reply(floor: Floor, event: FloorEdited, message: str, more: str = "") -> None:
    if event.request is not None:
        message += f"; {more}" if more else ""
        floor.command(Reply(event.request, True, message, {"revision": floor.definition.revision, "calls": more}))


def _edit_queues(floor: Floor, old: FloorDefinition, new: FloorDefinition) -> None:
    selection = CallSelection.of(new)
    if selection != CallSelection.of(old):
        floor.matcher.set_call_selection(selection)
    for name, queue in new.queues.items():
        floor.counts.setdefault(name, QueueCounts())
        worth.put(floor, queue)


def _edit_agents(floor: Floor, old: FloorDefinition, new: FloorDefinition, at: float, now: Instant) -> None:
    roster = floor.roster
    # In the definition's order: a set's would differ from process to process, and so would a replay
    for name in [name for name in old.agents if name not in new.agents]:
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
        if known is not None and name in floor.leaving:
            floor.leaving.discard(name)
            roster.intend(known, None)
        if known is None:
            roster.add(definition, at)
        elif known.definition != definition:
            before = known.line
            roster.redefine(known, definition, at)
            lasting.follow(floor, known, before, at, now)


def _dismiss(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    if agent.state is AgentState.WRAP_UP:
        floor.finish_wrap_up(agent, at, now)
    lasting.end(floor, agent)
    if agent.state is not AgentState.LOGGED_OUT:
        floor.roster.intend(agent, None)
        floor.roster.enter(agent, AgentState.LOGGED_OUT, at, now)
    floor.roster.remove(agent)


def _under_new_rules(floor: Floor, old: FloorDefinition, call: Call, at: float, now: Instant) -> None:
    """Bring one call under the rules in force now, if its queue is still there."""
    call.attributes = arrivals.attributes_of(floor, call.did, call.caller_number, call.place)
    queue, before = floor.definition.queues.get(call.queue.name), old.queues.get(call.queue.name)
    if queue is None:
        return
    call.queue = queue
    if (before is None or queue.max_wait_s != before.max_wait_s) and call.state in (
        CallState.WAITING,
        CallState.OFFERED,
    ):
        floor.arm_max_wait(call, now)
    if call.state is CallState.WAITING and not call.going:
        if before is None or queue.stages != before.stages:
            call.stage = 0
        line.stand(floor, call, at, now)


def agent_went(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    """``agent`` has logged out."""
    leaves = agent.name in floor.leaving
    if leaves:
        floor.leaving.discard(agent.name)
        kept = floor.roster.remove(agent)
    else:
        kept = floor.matcher.held_for(agent.name)
    for call in [floor.calls[name] for name in kept]:
        floor.call_waits(call, at, now, "preferred_gone")
        line.review_waiting(floor, call, at, now)
    # Who is gone for good is missed in every queue, who has logged out where callers wait only while somebody is there
    queues = (floor.definition.queues.get(name) for name in agent.definition.queues)
    missed = {queue.name for queue in queues if queue is not None and (leaves or queue.on_nobody is not None)}
    if missed:
        for call in [call for call in floor.calls.values() if call.queue.name in missed]:
            line.review_waiting(floor, call, at, now)


def arm_skill_changes(floor: Floor, now: Instant) -> None:
    """Arm, for every agent, the next moment at which some skill of his begins or ends to be valid."""
    floor.skills_due.clear()
    for agent in floor.roster.agents.values():
        _arm_skill_change(floor, agent, now)


def _arm_skill_change(floor: Floor, agent: Agent, now: Instant) -> None:
    change_at = agent.definition.next_skill_change(now.utc)
    if change_at is not None:
        floor.skills_due[agent.name] = due = now.mono_of(change_at)
        floor.timer(due, "skills", agent.name)


def skills_change(floor: Floor, name: str, mono: float, at: float, now: Instant) -> None:
    """A skill of agent ``name`` begins or ends to be valid, if ``mono`` is when that was last expected."""
    agent = floor.roster.agents.get(name)
    if agent is None or floor.skills_due.get(name) != mono:
        return
    del floor.skills_due[name]
    floor.roster.describe(agent, now.utc)
    _arm_skill_change(floor, agent, now)
    floor.serve(at, now, "skills_changed")
    for call in [call for call in floor.calls.values() if call.queue.name in agent.definition.queues]:
        line.review_waiting(floor, call, at, now)
