"""The matcher again by obvious loops over everything: what the quick one is compared with. Slow on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from acd.domain.definition import SelectionWeights
from acd.domain.requirement import Requirement
from acd.routing.policies import CallSelection, QueuePolicy


@dataclass
class BruteAgent:
    name: str
    skills: Mapping[str, int]
    queues: Mapping[str, int]
    free: bool = False
    reason: str = "unknown"
    idle_since: float = 0.0
    serial: int = 0
    occupied_s: float = 0.0


@dataclass
class BruteCall:
    name: str
    queue: str
    requirement: Requirement | None
    agent: str | None
    joined_at: float
    serial: int
    priority: int
    threshold_s: float


@dataclass
class BruteMatcher:
    selection: CallSelection = field(default_factory=CallSelection)
    agents: dict[str, BruteAgent] = field(default_factory=dict)
    queues: dict[str, QueuePolicy] = field(default_factory=dict)
    calls: dict[str, BruteCall] = field(default_factory=dict)
    offers: dict[tuple[str, str], int] = field(default_factory=dict)
    offer: int = 0

    # -- changes -----------------------------------------------------------------------------------------------------

    def set_agent(self, agent: str, skills: Mapping[str, int], queues: Mapping[str, int]) -> None:
        old = self.agents.get(agent)
        for queue in (old.queues if old else {}).keys() - queues.keys():
            self.offers.pop((queue, agent), None)
        self.agents[agent] = replace(old or BruteAgent(agent, {}, {}), skills=dict(skills), queues=dict(queues))

    def remove_agent(self, agent: str) -> list[str]:
        gone = self.agents.pop(agent)
        for queue in gone.queues:
            self.offers.pop((queue, agent), None)
        return self._drop([call for call in self.calls.values() if call.agent == agent])

    def free(self, agent: str, *, idle_since: float, serial: int = 0, occupied_s: float = 0.0) -> None:
        who = self.agents[agent]
        who.free, who.idle_since, who.serial, who.occupied_s = True, idle_since, serial, occupied_s

    def unfree(self, agent: str, reason: str = "unknown") -> None:
        self.agents[agent].free, self.agents[agent].reason = False, reason

    def offered(self, agent: str, queue: str) -> None:
        if queue in self.agents[agent].queues:
            self.offer += 1
            self.offers[queue, agent] = self.offer

    def set_queue(self, queue: str, policy: QueuePolicy) -> None:
        self.queues[queue] = policy

    def remove_queue(self, queue: str) -> list[str]:
        gone = self._drop(sorted((c for c in self.calls.values() if c.queue == queue), key=self.key))
        del self.queues[queue]
        self.offers = {(q, agent): offer for (q, agent), offer in self.offers.items() if q != queue}
        return gone

    def set_call_selection(self, selection: CallSelection) -> None:
        self.selection = selection

    def wait(self, call: str, queue: str, requirement: Requirement, **how: Any) -> None:
        self.calls[call] = BruteCall(call, queue, requirement, None, **how)

    def hold_for(self, call: str, agent: str, queue: str, **how: Any) -> None:
        self.calls[call] = BruteCall(call, queue, None, agent, **how)

    def unwait(self, call: str) -> None:
        self.calls.pop(call, None)

    def _drop(self, calls: list[BruteCall]) -> list[str]:
        for call in calls:
            del self.calls[call.name]
        return [call.name for call in calls]

    # -- the rules ---------------------------------------------------------------------------------------------------

    def serves(self, who: BruteAgent, call: BruteCall) -> bool:
        if call.requirement is None:
            return who.name == call.agent
        return call.queue in who.queues and call.requirement.admits(who.skills)

    def head_start_s(self, call: BruteCall) -> float:
        kind, ageing_s = self.selection.kind, self.selection.ageing_s
        if kind == "fcfs":
            return 0.0
        return call.priority * ageing_s - call.threshold_s if kind == "deadline" else call.priority * ageing_s

    def key(self, call: BruteCall) -> tuple[float, int, str]:
        return call.joined_at - self.head_start_s(call), call.serial, call.name

    def share(self, queue: str) -> float:
        given = [policy.ratio for policy in self.queues.values() if policy.ratio is not None]
        own = self.queues[queue].ratio
        return max(0.0, 1.0 - sum(given)) / (len(self.queues) - len(given)) if own is None else own

    def score(self, call: BruteCall, who: BruteAgent | None, now: float) -> float:
        policy = self.queues[call.queue]
        bonus_s = 0.0 if who is None else who.queues.get(call.queue, 0) * self.selection.preference_s
        if call.requirement is None:
            bonus_s = self.selection.held_s + bonus_s
        waited_s = now - self.key(call)[0] + bonus_s
        kind = self.selection.kind
        if kind == "deadline":
            return waited_s
        if kind == "cmu":
            return policy.cost * policy.service_rate * waited_s
        if kind == "ratio":
            length = sum(other.queue == call.queue for other in self.calls.values())
            return length - self.share(call.queue) * len(self.calls) + (1.0 / self.selection.ageing_s) * waited_s
        return policy.weight * waited_s

    def best_call(self, calls: list[BruteCall], who: BruteAgent | None, now: float) -> BruteCall | None:
        return min(calls, key=lambda call: (-self.score(call, who, now), self.key(call)), default=None)

    def rank(self, who: BruteAgent, queue: str, requirement: Requirement) -> tuple[Any, ...]:
        policy = self.queues[queue]
        idle = (who.idle_since, who.serial, who.name)
        points = sum(who.skills.get(skill, 0) for skill in requirement.skills)
        if policy.agent_selection == "least_occupied":
            return who.occupied_s, *idle
        if policy.agent_selection == "most_proficient":
            return -points, *idle
        if policy.agent_selection == "least_skilled":
            return len(who.skills), *idle
        if policy.agent_selection == "round_robin":
            return self.offers.get((queue, who.name), 0), who.name
        if policy.agent_selection == "weighted":
            weights = policy.weights or SelectionWeights()
            stands = weights.idle * who.idle_since + weights.skills * len(who.skills)
            stands += weights.occupied * who.occupied_s
            worth = points * round(10 * weights.proficiency * 256) // 256
            return round(10 * stands) - worth, *idle
        return idle

    # -- the questions -----------------------------------------------------------------------------------------------

    def agents_for(self, queue: str, requirement: Requirement, count: int = 1) -> list[str]:
        able = [w for w in self.agents.values() if w.free and queue in w.queues and requirement.admits(w.skills)]
        return [w.name for w in sorted(able, key=lambda who: self.rank(who, queue, requirement))][:count]

    def agents_for_call(self, call: str, count: int = 1) -> list[str]:
        entry = self.calls[call]
        if entry.requirement is None:
            return [entry.agent] if entry.agent is not None and self.agents[entry.agent].free else []
        return self.agents_for(entry.queue, entry.requirement, count)

    def call_for(self, agent: str, now: float) -> str | None:
        who = self.agents[agent]
        best = self.best_call([call for call in self.calls.values() if self.serves(who, call)], who, now)
        return best.name if best else None

    def next_pair(self, now: float) -> tuple[str, str] | None:
        free = [who for who in self.agents.values() if who.free]
        best = self.best_call([c for c in self.calls.values() if any(self.serves(w, c) for w in free)], None, now)
        return (best.name, self.agents_for_call(best.name)[0]) if best else None

    def candidates(self, queue: str, requirement: Requirement) -> tuple[int, int, int, dict[str, int]]:
        members = [who for who in self.agents.values() if queue in who.queues]
        able = [who for who in members if requirement.admits(who.skills)]
        blocked = Counter(who.reason for who in able if not who.free)
        return len(members), len(able), sum(who.free for who in able), dict(blocked)

    def position(self, call: str) -> int:
        mine = self.calls[call]
        return sum(self.key(c) < self.key(mine) for c in self.calls.values() if c.queue == mine.queue)

    def length(self, queue: str) -> int:
        return sum(call.queue == queue for call in self.calls.values())

    def held_for(self, agent: str) -> list[str]:
        return [call.name for call in sorted(self.calls.values(), key=self.key) if call.agent == agent]

    def head(self, queue: str) -> str | None:
        first = min((call for call in self.calls.values() if call.queue == queue), key=self.key, default=None)
        return first.name if first else None
