"""What the floor promises between any two events, checked by plain counting and searching."""

from __future__ import annotations

from collections.abc import Mapping

from acd.domain.attributes import Value
from acd.domain.definition import AgentDefinition
from acd.domain.instant import Instant
from acd.domain.requirement import ANYONE, Requirement
from acd.domain.states import AgentState, CallState
from acd.floor import Floor
from acd.floor.calls import Call

ON_A_CALL = (AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING)

Rank = tuple[float, int]


def is_indexed(floor: Floor, call: Call) -> bool:
    """Whether this call is to be found by whoever becomes free."""
    return call.state is CallState.WAITING and not call.going and floor.is_synced(call.node)


def rank(floor: Floor, call: Call) -> Rank:
    """Who joined first, every step of priority being worth some seconds of waiting, unless it is first come first served."""
    step_s = 0.0 if floor.definition.call_selection == "fcfs" else floor.definition.ageing_s
    return call.place.joined_at - call.place.priority * step_s, call.place.serial


def need(floor: Floor, queue: str, stage: int = 0, attributes: Mapping[str, Value] | None = None) -> Requirement:
    """What a stage of a queue asks for."""
    stages = floor.definition.queues[queue].stages
    return stages[stage].expression.bind(attributes or {}, floor.definition.skills) if stages else ANYONE


def eligible(floor: Floor, agent: str, queue: str, at: float, wanted: Requirement | None = None) -> bool:
    """The rule, said once more: a member of the queue with the skills that are asked for."""
    definition = floor.roster.agents[agent].definition
    return queue in definition.queues and (wanted or need(floor, queue)).admits(definition.skills_at(at))


def may_take(floor: Floor, agent: str, call: Call, at: float) -> bool:
    """Whether ``agent`` may take a waiting call now."""
    if agent in call.excluded:
        return False
    if call.kept_for is not None:
        return agent == call.kept_for
    return eligible(floor, agent, call.queue.name, at, need(floor, call.queue.name, call.stage, call.attributes))


def wish(call: Call) -> str:
    """For what and whom a call waits."""
    return f"{call.requirement.text} {call.kept_for} {sorted(call.excluded)}"


def waiting_in_order(floor: Floor) -> dict[str, tuple[str, str, Rank]]:
    """Who waits in which queue, for what and whom, with which rank."""
    return {c.call: (c.queue.name, wish(c), rank(floor, c)) for c in floor.calls.values() if is_indexed(floor, c)}


def check_order(floor: Floor, waited: dict[str, tuple[str, str, Rank]], offered: str) -> None:
    """Nobody who waited in the same queue for the same before the event, and still waits there, had a better rank."""
    if offered not in waited:
        return
    queue, wanted, chosen = waited[offered]
    call = floor.calls.get(offered)
    if call is None or call.queue.name != queue or wish(call) != wanted:
        return
    for name, before in waiting_in_order(floor).items():
        if waited.get(name) == before and before[:2] == (queue, wanted):
            # Who joined at the same moment may reach the next stage a rounding later
            same = abs(chosen[0] - before[2][0]) < 0.001
            assert chosen < before[2] or same, f"{offered} was served before {name}"


def check_promises(floor: Floor, now: Instant) -> None:
    """Everything."""
    check_bindings(floor)
    check_reach(floor)
    check_deadlines(floor)
    edges = (agent.definition.next_skill_change(now.utc - 0.001) for agent in floor.roster.agents.values())
    if not any(edge is not None and edge < now.utc + 0.001 for edge in edges):
        # At the very moment when a skill begins or ends, its timer fires a rounding earlier or later
        check_match(floor, now.utc)
        check_waiting(floor, now.utc)
        check_counts(floor, now.utc)


def check_bindings(floor: Floor) -> None:
    """Nobody is on two calls, no call with two agents, and nobody is bound to what does not exist."""
    bound: dict[str, str] = {}
    for identity, offer in floor.offers.items():
        for agent in offer.agents:
            assert agent not in bound, f"{agent} is in two offers"
            bound[agent] = identity
        call = floor.calls[offer.call]
        assert (call.offer, call.agent) == (identity, offer.agent)
        assert call.state is (CallState.TALKING if offer.answered else CallState.OFFERED)
        if not offer.answered and floor.is_synced(call.node):
            armed = any(kind in ("offer", "first:offer") and key == identity for _, _, kind, key in floor._timers)
            assert armed, f"{identity} would ring for ever"
    for call in floor.calls.values():
        # Where the database was emptied, an offer may have the number of one that Asterisk had before, and that is over
        mine = call.offer in floor.offers and floor.offers[call.offer].call == call.call
        assert (call.state in (CallState.OFFERED, CallState.TALKING)) == mine, call
        assert call.state is not CallState.ENDED
        assert floor.by_channel[call.node, call.channel] is call
        check_stretch(floor, call)
        if call.going:
            assert any(kind in ("going", "first:going") and key == call.call for _, _, kind, key in floor._timers), call
    assert len(floor.by_channel) == len(floor.calls)
    for agent in floor.roster.agents.values():
        if agent.name in bound:
            assert agent.state in ON_A_CALL, agent
            assert agent.offer == bound[agent.name]
        elif agent.state in ON_A_CALL:
            # only a remembered call whose node was not yet looked at explains that
            assert agent.call in floor.memory or not any(floor.nodes.values()), agent
        assert (agent.name in floor.wraps) <= (agent.state is AgentState.WRAP_UP), agent


STRETCHES = {
    CallState.WAITING: ("waited",),
    CallState.OFFERED: ("offered", "rang"),
    CallState.TALKING: ("talked", "held", "consulted", "conferenced"),
    CallState.AFTER: ("after",),
}


def check_stretch(floor: Floor, call: Call) -> None:
    """The open segment says what the call does."""
    assert call.segment is not None, call
    assert call.segment_kind in STRETCHES[call.state], call
    if call.state is CallState.TALKING:
        together = any(one.up and one.parted and not one.on_hold for one in call.consults.values())
        if call.on_hold:
            assert call.segment_kind == ("consulted" if call.consults else "held"), call
        elif call.together is None:
            assert call.segment_kind == ("conferenced" if together else "talked"), call
        else:
            assert together, call
            assert call.segment_kind != "conferenced", call
            due = call.together.due_mono
            assert any((kind, key, mono) == ("conference", call.call, due) for mono, _, kind, key in floor._timers), (
                call
            )
    else:
        assert (call.on_hold, call.consults, call.together) == (False, {}, None), call
    lasting = {agent for agent, exclusion in call.excluded.items() if exclusion.until_mono is None}
    assert lasting == {agent for agent, _ in call.place.barred}, call


def futures_of(agent: AgentDefinition, at: float) -> list[dict[str, int]]:
    """What an agent is good at now and whenever that changes."""
    found = [agent.skills_at(at)]
    while (change := agent.next_skill_change(at)) is not None:
        at = change
        found.append(agent.skills_at(at))
    return found


def check_waiting(floor: Floor, at: float) -> None:
    """Whoever waits waits by the stage that is in force, in a queue that takes him, for somebody who could ever come."""
    for call in (call for call in floor.calls.values() if is_indexed(floor, call)):
        queue, agents = floor.definition.queues[call.queue.name], floor.roster.agents
        assert call.queue is queue
        assert not queue.closed, f"waits in a closed queue: {call}"
        waited_s = at - call.place.queue_joined_at
        if call.kept_for is not None:
            assert agents[call.kept_for].state is not AgentState.LOGGED_OUT, f"kept for somebody who has gone: {call}"
            assert any(waited_s < preferred.limit_s + 0.001 for preferred in queue.preferred), f"kept too long: {call}"
            continue
        begun = [sum(stage.after_s <= waited_s + d for stage in queue.stages) - 1 for d in (-0.001, 0.001)]
        assert call.stage in (max(0, stage) for stage in begun), f"in stage {call.stage} after {waited_s}: {call}"
        needs = [need(floor, queue.name, n, call.attributes) for n in range(call.stage, max(1, len(queue.stages)))]
        members = [agent for agent in agents.values() if queue.name in agent.definition.queues]
        futures = [skills for agent in members for skills in futures_of(agent.definition, at)]
        hoped = any(n.admits(skills) for n in needs for skills in futures)
        others = [a for a in members if a.name not in call.excluded]
        other = any(n.admits(skills) for n in needs for a in others for skills in futures_of(a.definition, at))
        assert other or not call.excluded, f"nobody else could ever take it: {call}"
        able = [a for a in members if any(n.admits(a.definition.skills_at(at)) for n in needs)]
        assert hoped or not members, f"nobody ever can: {call}"
        there = any(agent.state is not AgentState.LOGGED_OUT for agent in able)
        assert there or queue.on_nobody is None, f"nobody is there: {call}"


def check_reach(floor: Floor) -> None:
    """Whoever is behind an address that is left alone is not offered calls, and nobody else is passed over for that."""
    open_groups = {group["group"]: group["probe"] for group in floor.reach.open_groups(0.0)}
    for agent in floor.roster.agents.values():
        groups = {floor.reach.group_of(device) for device in agent.devices}
        group = groups.pop() if len(groups) == 1 else None
        left_alone = group in open_groups and open_groups[group] != agent.devices[0]
        assert (agent.cut_off is not None) == left_alone, f"{agent.name}: {agent.cut_off}, {open_groups}"


def check_match(floor: Floor, at: float) -> None:
    """No eligible agent is free while a call waits, and the matcher finds what a plain search finds."""
    matcher = floor.matcher
    free = [agent for agent in floor.roster.agents.values() if agent.why_not is None]
    waiting = [call for call in floor.calls.values() if is_indexed(floor, call)]
    for call in floor.calls.values():
        assert matcher.is_waiting(call.call) == is_indexed(floor, call), f"forgotten, or left in the index: {call}"
    assert matcher.waiting_count == len(waiting)
    for agent in floor.roster.agents.values():
        assert matcher.is_free(agent.name) == (agent.why_not is None), agent
    for call in waiting:
        for agent in free:
            assert not may_take(floor, agent.name, call, at), f"{agent.name} is free, {call.call} waits"
    now = max((call.place.joined_at for call in floor.calls.values()), default=0.0) + 1.0
    for name, queue in floor.definition.queues.items():
        if queue.agent_selection == "longest_idle":
            able = [((a.idle_since, a.serial), a.name) for a in free if eligible(floor, a.name, name, at)]
            assert matcher.agents_for(name, need(floor, name), 3) == [name for _, name in sorted(able)[:3]]
    for agent in free:
        assert matcher.call_for(agent.name, now) is None
    assert matcher.next_pair(now) is None


def check_counts(floor: Floor, at: float) -> None:
    """The running counts equal plain counts."""
    for name in floor.definition.queues:
        plain: dict[str, int] = {}
        for agent in floor.roster.agents.values():
            if eligible(floor, agent.name, name, at) and agent.why_not is not None:
                plain[agent.why_not] = plain.get(agent.why_not, 0) + 1
        assert floor.matcher.candidates(name, need(floor, name)).blocked == plain
    for state in AgentState:
        assert floor.roster.by_state[state] == sum(a.state is state for a in floor.roster.agents.values())


def check_deadlines(floor: Floor) -> None:
    """The next deadline is never late."""
    wanted = [a.until_mono for a in floor.roster.agents.values() if a.state is AgentState.WRAP_UP]
    wanted += [a.cool_until_mono for a in floor.roster.agents.values()]
    wanted += [c.max_wait_mono for c in floor.calls.values() if not c.overflow_due]
    wanted += [c.stage_mono for c in floor.calls.values() if is_indexed(floor, c)]
    real = [mono for mono in wanted if mono is not None]
    if real:
        deadline = floor.next_deadline()
        assert deadline is not None
        assert deadline <= min(real)
