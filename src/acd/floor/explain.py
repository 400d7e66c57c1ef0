"""Why a call was offered to whom, why it waits, and why an agent has no call now. JSON-able details; nothing is changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from acd.domain.definition import SelectionWeights
from acd.domain.requirement import NOBODY, Requirement
from acd.floor import exclusion, lasting
from acd.floor.calls import Call
from acd.routing.index import Prospect
from acd.routing.roster import PENDING_LOGOUT, Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

_USUAL = SelectionWeights()
_WEIGHTS = ("idle", "proficiency", "skills", "occupied")
BEST = 3
"""So many of the next best agents are written down; everybody by name is the journal's business."""


def explain_offer(floor: Floor, call: Call, agents: list[Agent], at: float, trigger: str) -> dict[str, Any]:
    """Before the agents' states change: the stage in force, the candidates, and what spoke for the chosen ones."""
    queue, need = call.queue, call.requirement
    chosen = agents[0]
    best: list[dict[str, Any]] = []
    if call.kept_for is None:
        best = floor.matcher.best_terms(queue.name, exclusion.wanted(call, need), BEST, at)
    terms = next((found for found in best if found["agent"] == chosen.name), None)
    if terms is None:
        terms = floor.matcher.terms(chosen.name, queue.name, need, at)
    detail: dict[str, Any] = {
        "rule": queue.agent_selection if call.kept_for is None else "preferred",
        "trigger": trigger,
        "queue": queue.name,
        "call_wait_s": round(at - (call.place.queue_joined_at if call.talked else call.place.joined_at), 3),
        "chosen": _agent(floor, chosen, terms, need),
    }
    if call.kept_for is None:
        detail["requirement"] = wanted_by(call)
        if len(queue.stages) > 1:
            detail["stage"], detail["stage_after_s"] = call.stage, queue.stages[call.stage].after_s
    if len(agents) > 1:
        detail["agents"] = [agent.name for agent in agents]
    if call.kept_for is None:
        if queue.agent_selection == "weighted":
            weights = queue.weights or _USUAL
            detail["weights"] = {name: weight for name in _WEIGHTS if (weight := getattr(weights, name))}
        detail["best"] = best
    if floor.matcher.is_waiting(call.call):
        score = floor.matcher.call_score(call.call, chosen.name, at)
        detail["call_score"] = {name: round(value, 3) for name, value in score._asdict().items() if value}
    detail |= _for_whom(floor, call, at)
    return detail


def explain_wait(floor: Floor, call: Call, at: float) -> None:
    """Write down why nobody takes ``call`` at once."""
    waiting = floor.matcher.waiting_count + (not floor.matcher.is_waiting(call.call))
    detail: dict[str, Any] = {"queue": call.queue.name, **_for_whom(floor, call, at), "waiting": waiting}
    if call.kept_for is None:
        detail["requirement"] = wanted_by(call)
        expected = floor.forecast.expect(floor, call.queue, floor.matcher.length(call.queue.name), at)
        if expected is not None:
            detail["expected_wait_s"] = round(expected.wait_s, 1)
    if not floor.is_synced(call.node):
        detail["node"] = f"{call.node} is not connected"
    floor.ledger.decide(call, at, "waits", detail)


def wanted_by(call: Call) -> str:
    """What the stage in force asks for; as the operator wrote it if nothing is left of that with this call's attributes."""
    if call.requirement != NOBODY:
        return call.requirement.text
    expression = call.queue.stages[call.stage].expression
    missing = [f"call.{name}" for name in expression.attributes if name not in call.attributes]
    given = [f"call.{name}" for name in expression.attributes if name in call.attributes]
    why = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(given)} as given"] * bool(given)
    return f"{expression.text}, {' and '.join(why)}" if why else expression.text


def _for_whom(floor: Floor, call: Call, at: float) -> dict[str, Any]:
    """Who may take ``call``: one agent alone, as he is now, or how many of how many."""
    detail: dict[str, Any] = {"skipped": dict(call.skipped)} if call.skipped else {}
    if call.kept_for is None:
        return detail | _candidates(floor, call)
    agent = floor.roster.agents[call.kept_for]
    return detail | {"preferred": agent.name, "preferred_as": call.kept_as, "preferred_state": agent.why_not or "free"}


def _candidates(floor: Floor, call: Call) -> dict[str, Any]:
    found = floor.matcher.candidates(call.queue.name, exclusion.wanted(call, call.requirement))
    counted = {"members": found.members, "able": found.able, "free": found.free, "passed_over": found.blocked}
    excluded = {
        name: reason
        for name, reason in exclusion.reasons(call).items()
        if (agent := floor.roster.agents.get(name)) is not None and call.queue.name in agent.definition.queues
    }
    return {**counted, "excluded": excluded} if excluded else counted


def _agent(floor: Floor, agent: Agent, terms: dict[str, Any], need: Requirement) -> dict[str, Any]:
    has = floor.matcher.skills_of(agent.name)
    return {
        **terms,
        "work_today_s": round(agent.counts.work_today_s, 3),
        "skills": {skill: has[skill] for skill in sorted(need.skills) if skill in has},
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
        "line": lasting.view(agent),
        "breaker": agent.cut_off,
        "call": agent.call,
        "pending": PENDING_LOGOUT if agent.name in floor.leaving else agent.pending,
        "prospects": [_prospect(agent, prospect) for prospect in floor.matcher.prospects(agent.name)],
        "held_for": floor.matcher.held_for(agent.name),
        "revision": floor.definition.revision,
    }


def _prospect(agent: Agent, prospect: Prospect) -> dict[str, Any]:
    shown = dict(prospect._asdict())
    if not shown["why_not"] and re.search(rf"\bnot agent {re.escape(agent.name)}(?![\w-])", prospect.requirement):
        shown["why_not"] = "does not get these calls again"
    return shown
