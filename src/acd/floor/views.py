"""The floor as people see it: JSON-able dictionaries, made on demand, changing nothing. Shapes: ``domain.ports``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from acd.domain.instant import Instant
from acd.domain.states import AT_WORK, AgentState, CallState, SegmentKind
from acd.floor import exclusion, lasting
from acd.floor.calls import Call
from acd.floor.core import Floor
from acd.floor.explain import explain_agent, wanted_by
from acd.floor.line import describe, is_open
from acd.routing.estimates import WaitEstimate
from acd.routing.roster import Agent
from acd.routing.statistics import QueueCounts


def _round(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def _waiting(floor: Floor) -> list[Call]:
    """Calls no agent has answered yet, in the serving order of each queue."""
    waiting = [c for c in floor.calls.values() if c.state in (CallState.WAITING, CallState.OFFERED)]
    head_start_s = floor.matcher.selection.head_start_s

    def key(call: Call) -> tuple[float, int]:
        place = call.place
        return place.joined_at - head_start_s(place.priority, call.queue.service_level_s), place.serial

    return sorted(waiting, key=key)


def status(floor: Floor, now: float) -> dict[str, Any]:
    """Totals over all queues and agents."""
    total = QueueCounts()
    for counts in floor.counts.values():
        total.add(counts)
    waiting = _waiting(floor)
    agents = floor.roster.agents.values()
    work = sum(a.counts.work_s() + _current_s(a, now, work=True) for a in agents)
    present = sum(a.counts.present_s() + _current_s(a, now, work=False) for a in agents)
    return {
        "now": now,
        "started_at": floor.started_at,
        "revision": floor.definition.revision,
        "epoch": floor.epoch,
        "queues": len(floor.definition.queues),
        "waiting": len(waiting),
        "longest_wait_s": round(max((now - c.place.joined_at for c in waiting), default=0.0), 3),
        "talking": sum(c.state is CallState.TALKING for c in floor.calls.values()),
        "agents": {str(state): floor.roster.by_state[state] for state in AgentState},
        "phones": dict(Counter(str(agent.phone_state) for agent in agents)),
        "unrouted": floor.unrouted,
        "turning_away": floor.unrecorded,
        **_counts(total),
        "occupancy": _round(min(1.0, work / present) if present > 0 else None, 4),
    }


def _counts(counts: QueueCounts) -> dict[str, Any]:
    return {
        "offered": counts.offered,
        "answered": counts.answered,
        "abandoned": counts.abandoned,
        "overflowed": counts.overflowed,
        "transferred": counts.transferred,
        "lost_track": counts.lost_track,
        "service_level": _round(counts.service_level, 4),
        "asa_s": _round(counts.asa_s),
        "aht_s": _round(counts.aht_s),
    }


def _current_s(agent: Agent, now: float, *, work: bool) -> float:
    """The running interval's share of work (or of presence)."""
    absent = agent.state in (AgentState.LOGGED_OUT, AgentState.PAUSED)
    counts = agent.state in AT_WORK if work else not absent
    return max(0.0, now - agent.since) if counts else 0.0


def queues(floor: Floor, now: float) -> list[dict[str, Any]]:
    """All queues, by name."""
    waiting: dict[str, list[Call]] = {}
    talking: Counter[str] = Counter()
    for call in floor.calls.values():
        if call.state in (CallState.WAITING, CallState.OFFERED):
            waiting.setdefault(call.queue.name, []).append(call)
        talking[call.queue.name] += call.state is CallState.TALKING
    members: dict[str, Counter[str]] = {name: Counter() for name in floor.definition.queues}
    cut_off: Counter[str] = Counter()
    for agent in floor.roster.agents.values():
        for name in agent.definition.queues:
            stages = floor.definition.queues[name].stages if name in members else ()
            if name in members and (
                not stages or any(stage.expression.could_admit(agent.definition.skills) for stage in stages)
            ):
                members[name][str(agent.state)] += 1
                cut_off[name] += agent.state is AgentState.AVAILABLE and agent.cut_off is not None
    rows = []
    for name, queue in sorted(floor.definition.queues.items()):
        calls_here = waiting.get(name, [])
        overflow = queue.overflow
        rows.append(
            {
                "name": name,
                "agent_selection": queue.agent_selection,
                "stages": [{"after_s": stage.after_s, "needs": stage.expression.text} for stage in queue.stages],
                "open": is_open(floor, queue, now),
                "max_length": queue.max_length,
                "ring_timeout_s": queue.ring_timeout_s,
                "wrap_up_s": queue.wrap_up_s,
                "max_wait_s": queue.max_wait_s,
                "overflow": describe(overflow),
                "service_level_s": queue.service_level_s,
                "priority": queue.priority,
                "waiting": len(calls_here),
                "longest_wait_s": round(max((now - c.place.joined_at for c in calls_here), default=0.0), 3),
                "talking": talking[name],
                "agents": dict(members[name]),
                "cut_off": cut_off[name],
                "expected_wait": _expected(floor.forecast.expect(floor, queue, floor.matcher.length(name), now)),
                "estimates": floor.forecast.accuracy(name),
                **_counts(floor.counts[name]),
            }
        )
    return rows


def _expected(found: WaitEstimate | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "wait_s": round(found.wait_s, 1),
        "low_s": round(found.low_s, 1),
        "high_s": round(found.high_s, 1),
        "method": found.method,
    }


def agent_explanation(floor: Floor, name: str) -> dict[str, Any]:
    """Why an agent has no call now."""
    return explain_agent(floor, floor.roster.agents[name])


def queue(floor: Floor, name: str, now: Instant) -> dict[str, Any]:
    """One queue with its calls in serving order and its members."""
    row = next(q for q in queues(floor, now.utc) if q["name"] == name)
    row["calls"] = [c for c in calls(floor, now.utc) if c["queue"] == name]
    row["members"] = [agent_row for agent_row in agents(floor, now) if name in agent_row["queues"]]
    return row


def agents(floor: Floor, now: Instant) -> list[dict[str, Any]]:
    """All agents, by name."""
    return [_agent(a, now) for a in sorted(floor.roster.agents.values(), key=lambda a: a.name)]


def agent(floor: Floor, name: str, now: Instant) -> dict[str, Any]:
    """One agent."""
    return _agent(floor.roster.agents[name], now)


def _agent(agent: Agent, now: Instant) -> dict[str, Any]:
    work = agent.counts.work_s() + _current_s(agent, now.utc, work=True)
    present = agent.counts.present_s() + _current_s(agent, now.utc, work=False)
    cool = agent.cool_until_mono
    return {
        "name": agent.name,
        "display_name": agent.definition.display_name or agent.name,
        "number": agent.definition.number,
        "state": str(agent.state),
        "reason": agent.reason,
        "since": agent.since,
        "in_state_s": round(max(0.0, now.utc - agent.since), 3) if agent.since else None,
        "phone_state": str(agent.phone_state),
        "phones": {device: str(agent.phones.get(device, "IDLE")) for device in agent.devices},
        "line": lasting.view(agent),
        "queues": list(agent.definition.queues),
        "skills": dict(agent.definition.skills),
        "call": agent.call,
        "pending": agent.pending,
        "cut_off": agent.cut_off,
        "cool_down_s": None if cool is None else round(max(0.0, cool - now.mono), 3),
        "calls_taken": agent.counts.calls_taken,
        "rona": agent.counts.rona,
        "occupancy": _round(min(1.0, work / present) if present > 0 else None, 4),
    }


def calls(floor: Floor, now: float) -> list[dict[str, Any]]:
    """All live calls: first those not yet answered, in serving order, then the others by entry."""
    waiting = _waiting(floor)
    position: dict[str, int] = {}
    seen: Counter[str] = Counter()
    for call in waiting:
        seen[call.queue.name] += 1
        position[call.call] = seen[call.queue.name]
    others = [c for c in floor.calls.values() if c.call not in position]
    others.sort(key=lambda c: c.place.entered_at)
    return [_call(floor, c, now, position.get(c.call)) for c in [*waiting, *others]]


def _call(floor: Floor, call: Call, now: float, position: int | None) -> dict[str, Any]:
    waits = call.state in (CallState.WAITING, CallState.OFFERED)
    # Who has talked and waits again, waits anew
    wait_since = call.place.queue_joined_at if waits and call.talked else call.place.joined_at
    wait_until = now if waits or call.answered_at is None else call.answered_at
    talking = call.state is CallState.TALKING
    return {
        "call": call.call,
        "state": str(call.state),
        "queue": call.queue.name,
        "did": call.did,
        "caller_number": call.caller_number,
        "caller_name": call.caller_name,
        "entered_at": call.place.entered_at,
        "wait_s": round(max(0.0, wait_until - wait_since), 3),
        "talk_s": round(max(0.0, now - call.talk_at), 3) if talking else None,
        "on_hold": call.on_hold,
        "consults": next((consult.target for consult in call.consults.values()), None),
        "conference": call.segment_kind is SegmentKind.CONFERENCED,
        "excluded": exclusion.reasons(call),
        "priority": call.place.priority,
        "position": position,
        "requirement": wanted_by(call),
        "stage": call.stage,
        "preferred": call.kept_for,
        "attributes": dict(call.attributes),
        "expected_wait": _expected(floor.forecast.expect_more(floor, call, now)),
        "agent": call.agent,
        "offer": call.offer,
        "node": call.node,
        "channel": call.channel_name,
        "linkedid": call.linkedid,
    }
