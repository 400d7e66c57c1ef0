"""What the floor promises between any two events, checked by plain counting and searching."""

from __future__ import annotations

from collections.abc import Mapping

from acd.domain.attributes import Value
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
    """Who joined first, every step of priority being worth some seconds of waiting."""
    return call.place.joined_at - call.place.priority * floor.definition.ageing_s, call.place.serial


def need(floor: Floor, queue: str, stage: int = 0, attributes: Mapping[str, Value] | None = None) -> Requirement:
    """What a stage of a queue asks for."""
    stages = floor.definition.queues[queue].stages
    return stages[stage].expression.bind(attributes or {}, floor.definition.skills) if stages else ANYONE


def eligible(floor: Floor, agent: str, queue: str, wanted: Requirement | None = None) -> bool:
    """The rule, said once more: a member of the queue with the skills that are asked for."""
    definition = floor.definition.agents[agent]
    return queue in definition.queues and (wanted or need(floor, queue)).admits(definition.skills)


def may_take(floor: Floor, agent: str, call: Call) -> bool:
    """Whether ``agent`` may take a waiting call now."""
    if call.kept_for is not None:
        return agent == call.kept_for
    return eligible(floor, agent, call.queue.name, need(floor, call.queue.name, call.stage, call.attributes))


def waiting_in_order(floor: Floor) -> dict[str, tuple[str, str, Rank]]:
    """Who waits in which queue, for what and whom, with which rank."""
    return {
        c.call: (c.queue.name, f"{c.requirement.text} {c.kept_for}", rank(floor, c))
        for c in floor.calls.values()
        if is_indexed(floor, c)
    }


def check_order(floor: Floor, waited: dict[str, tuple[str, str, Rank]], offered: str) -> None:
    """Nobody who waited in the same queue for the same before the event, and still waits there, had a better rank."""
    if offered not in waited:
        return
    queue, wanted, chosen = waited[offered]
    call = floor.calls.get(offered)
    if call is None or call.queue.name != queue:
        return
    for name, before in waiting_in_order(floor).items():
        if waited.get(name) == before and before[:2] == (queue, wanted):
            assert chosen < before[2], f"{offered} was served before {name}"


def check_promises(floor: Floor) -> None:
    """Everything."""
    check_bindings(floor)
    check_match(floor)
    check_counts(floor)
    check_deadlines(floor)


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
            armed = any(kind == "offer" and key == identity for _, _, kind, key in floor._timers)
            assert armed, f"{identity} would ring for ever"
    for call in floor.calls.values():
        assert (call.state in (CallState.OFFERED, CallState.TALKING)) == (call.offer in floor.offers), call
        assert call.state is not CallState.ENDED
        assert floor.by_channel[call.node, call.channel] is call
        if call.going:
            assert any(kind == "going" and key == call.call for _, _, kind, key in floor._timers), call
    assert len(floor.by_channel) == len(floor.calls)
    for agent in floor.roster.agents.values():
        if agent.name in bound:
            assert agent.state in ON_A_CALL, agent
            assert agent.offer == bound[agent.name]
        elif agent.state in ON_A_CALL:
            # only a remembered call whose node was not yet looked at explains that
            assert agent.call in floor.memory or not any(floor.nodes.values()), agent
        assert (agent.name in floor.wraps) <= (agent.state is AgentState.WRAP_UP), agent


def check_match(floor: Floor) -> None:
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
            assert not may_take(floor, agent.name, call), f"{agent.name} is free, {call.call} waits"
    now = max((call.place.joined_at for call in floor.calls.values()), default=0.0) + 1.0
    for name, queue in floor.definition.queues.items():
        if queue.agent_selection == "longest_idle":
            able = [((a.idle_since, a.serial), a.name) for a in free if eligible(floor, a.name, name)]
            assert matcher.agents_for(name, need(floor, name), 3) == [name for _, name in sorted(able)[:3]]
    for agent in free:
        assert matcher.call_for(agent.name, now) is None
    assert matcher.next_pair(now) is None


def check_counts(floor: Floor) -> None:
    """The running counts equal plain counts."""
    for name in floor.definition.queues:
        plain: dict[str, int] = {}
        for agent in floor.roster.agents.values():
            if eligible(floor, agent.name, name) and agent.why_not is not None:
                plain[agent.why_not] = plain.get(agent.why_not, 0) + 1
        assert floor.matcher.candidates(name, need(floor, name)).blocked == plain
    for state in AgentState:
        assert floor.roster.by_state[state] == sum(a.state is state for a in floor.roster.agents.values())


def check_deadlines(floor: Floor) -> None:
    """The next deadline is never late."""
    wanted = [a.until_mono for a in floor.roster.agents.values() if a.state is AgentState.WRAP_UP]
    wanted += [a.cool_until_mono for a in floor.roster.agents.values()]
    wanted += [c.max_wait_mono for c in floor.calls.values() if not c.overflow_due]
    real = [mono for mono in wanted if mono is not None]
    if real:
        deadline = floor.next_deadline()
        assert deadline is not None
        assert deadline <= min(real)
