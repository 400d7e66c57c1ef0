"""Why a call was offered to whom, why it waits, and why an agent has no call now. JSON-able details; nothing is changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from acd.floor import exclusion
from acd.floor.calls import Call
from acd.routing.index import Prospect
from acd.routing.roster import Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

BEST = 3
"""So many of the next best agents are written down; everybody by name is the journal's business."""


def explain_offer(floor: Floor, call: Call, agents: list[Agent], at: float, trigger: str) -> dict[str, Any]:
    """Before the agents' states change: the stage in force, the candidates, and what spoke for the chosen ones."""
    queue, need, roster = call.queue, call.requirement, floor.roster.agents
    chosen = agents[0]
    detail: dict[str, Any] = {
        "rule": queue.agent_selection,
        "trigger": trigger,
        "queue": queue.name,
        "requirement": need.text,
        "call_wait_s": round(at - (call.place.queue_joined_at if call.talked else call.place.joined_at), 3),
        "chosen": _agent(chosen, at, need.skills),
    }
    if len(queue.stages) > 1:
        detail["stage"], detail["stage_after_s"] = call.stage, queue.stages[call.stage].after_s
    if len(agents) > 1:
        detail["agents"] = [agent.name for agent in agents]
    if call.kept_for is not None:
        detail["preferred"] = call.kept_for
    else:
        best = floor.matcher.agents_for(queue.name, exclusion.wanted(call, need), BEST)
        detail["best"] = [{"agent": n, "idle_s": round(max(0.0, at - roster[n].idle_since), 3)} for n in best]
    if floor.matcher.is_waiting(call.call):
        score = floor.matcher.call_score(call.call, chosen.name, at)
        detail["call_score"] = {name: round(value, 3) for name, value in score._asdict().items() if value}
    detail |= _candidates(floor, call)
    return detail


def explain_wait(floor: Floor, call: Call, at: float) -> None:
    """Write down why nobody takes ``call`` at once."""
    detail: dict[str, Any] = {
        "queue": call.queue.name,
        "requirement": call.requirement.text,
        **_candidates(floor, call),
        "waiting": floor.matcher.waiting_count,
    }
    if call.kept_for is not None:
        detail["preferred"] = call.kept_for
    if not floor.is_synced(call.node):
        detail["node"] = f"{call.node} is not connected"
    floor.ledger.decide(call, at, "waits", detail)


def _candidates(floor: Floor, call: Call) -> dict[str, Any]:
    found = floor.matcher.candidates(call.queue.name, exclusion.wanted(call, call.requirement))
    counted = {"members": found.members, "able": found.able, "free": found.free, "passed_over": found.blocked}
    excluded = {
        name: reason
        for name, reason in exclusion.reasons(call).items()
        if (agent := floor.roster.agents.get(name)) is not None and call.queue.name in agent.definition.queues
    }
    return {**counted, "excluded": excluded} if excluded else counted


def _agent(agent: Agent, at: float, skills: frozenset[str]) -> dict[str, Any]:
    return {
        "agent": agent.name,
        "idle_s": round(max(0.0, at - agent.idle_since), 3),
        "work_today_s": round(agent.counts.work_today_s, 3),
        "skills": {
            skill: agent.definition.skills[skill] for skill in sorted(skills) if skill in agent.definition.skills
        },
    }


def explain_agent(floor: Floor, agent: Agent) -> dict[str, Any]:
    """Why ``agent`` has no call now: his own state, and each kind of waiting calls with what keeps him from it."""
    why = agent.why_not
    return {
        "agent": agent.name,
        "state": str(agent.state),
        "reason": agent.reason,
        "since": agent.since,
        "why_not": why,
        "phone": str(agent.phone_state),
        "breaker": agent.cut_off,
        "call": agent.call,
        "prospects": [_prospect(agent, prospect) for prospect in floor.matcher.prospects(agent.name)],
        "held_for": floor.matcher.held_for(agent.name),
        "revision": floor.definition.revision,
    }


def _prospect(agent: Agent, prospect: Prospect) -> dict[str, Any]:
    shown = dict(prospect._asdict())
    if not shown["why_not"] and re.search(rf"\bnot agent {re.escape(agent.name)}(?![\w-])", prospect.requirement):
        shown["why_not"] = "does not get these calls again"
    return shown
