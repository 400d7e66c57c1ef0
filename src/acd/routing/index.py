"""The matcher: who may take what, who is free, who waits, and the next match; exact at every moment.

Between events **no free agent is eligible for a waiting call**, calls held for one agent excepted: the caller of this
index keeps that up by asking after each event. Every change takes effect with the next question, whoever waits. Ids are
strings; nothing of channels, clocks or states is known here. Theory of operation, figures and proofs: docs/routing.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress
from math import inf
from operator import attrgetter
from typing import Any, Final, NamedTuple

from acd.domain.definition import SelectionWeights
from acd.domain.requirement import Requirement
from acd.routing.board import Board
from acd.routing.crew import Agent
from acd.routing.lanes import OWN_LANES_MAX, CallClass, Candidates, Lane, Queue
from acd.routing.line import CallKey
from acd.routing.policies import score

NOT_IN: Final = "not in the queue"
"""Why an agent may not serve a call of a queue that he is not in."""
_mask_of: Final = attrgetter("mask")


class CallScore(NamedTuple):
    """What a call's score is made of: ``bias + rate * (waited_s + head_start_s + preference_s + held_s)``."""

    score: float
    bias: float
    rate: float
    waited_s: float
    head_start_s: float
    preference_s: float
    held_s: float


class Prospect(NamedTuple):
    """A kind of waiting calls as one agent sees it; ``why_not`` is empty if he may serve it. ``kept_for``: the agent for
    whom alone they wait, whatever they would ask of others; empty if for nobody."""

    queue: str
    requirement: str
    waiting: int
    why_not: str
    kept_for: str = ""


_USUAL: Final = SelectionWeights()


def _points(who: Agent, requirement: Requirement) -> int:
    points, skills = 0, who.skills
    for skill in requirement.skills:
        points += skills.get(skill, 0)
    return points


class Matcher(Board):
    """The questions. See docs/routing.md for what to call when. ``now``: UTC s.

    Raises UnknownNameError for an agent, queue or call that was not set or does not wait.
    """

    # -- a call wants an agent ---------------------------------------------------------------------------------------

    def agents_for(self, queue: str, requirement: Requirement, count: int = 1) -> list[str]:
        """The best ``count`` free agents, best first, for a call of ``queue`` that needs ``requirement``."""
        if self._crew.stale:
            self._settle()
        return [who.name for who in self._best_agents(self._class(self._queue(queue), requirement), count)]

    def agents_for_call(self, call: str, count: int = 1) -> list[str]:
        """The same for a waiting call; of a held one the agent it is held for, if he is free."""
        if self._crew.stale:
            self._settle()
        entry = self._waiting(call)
        if entry.call_class is not None:
            return [who.name for who in self._best_agents(entry.call_class, count)]
        return [entry.agent.name] if entry.agent is not None and entry.agent.is_free and count > 0 else []

    def _best_agents(self, call_class: CallClass, count: int) -> list[Agent]:
        known = self._ranked
        if known is not None and known[0] is call_class and known[1] >= count:
            return known[2][:count]
        wanted = call_class.mask & self._crew.free
        if count < 1:
            return []
        index = wanted.bit_length() - 1
        if index < 0:
            found = []
        elif wanted == 1 << index:
            found = [self._crew.by_bit[index]]
        else:
            self._selections.settle()
            found = call_class.queue.selection.ranked(call_class, wanted, count)
        self._ranked = call_class, count, found
        return found

    # -- an agent wants a call ---------------------------------------------------------------------------------------

    def call_for(self, agent: str, now: float) -> str | None:
        """The waiting call of the highest score that ``agent``, free or not, may serve."""
        if self._crew.stale:
            self._settle()
        who = self._crew.agent(agent)
        if who.layout != self._lanes.layout:
            self._lay_out(who)
        octet, low, best_s, best = who.octet, who.low, -inf, None
        for lane, bonus_s, bonuses_s in who.lanes:
            keys = lane.keys
            if not keys:
                continue
            bias, rate = 0.0 if lane.biased is None else self._bias(lane), lane.rate
            # What ``score`` says, term by term: calling it is dearer than the sum
            if bias + rate * (now - keys[0][0] + bonus_s) < best_s:
                continue
            if bonuses_s is not None:
                best_s, best = self._best_preferred(lane, who, now, bonus_s, bonuses_s, best_s, best)
                continue
            # Heads come by key, so the first that he may serve is the best of the lane
            start, rows = octet * lane.width, lane.rows
            for key, column in zip(keys, lane.columns):  # noqa: B905  # as many columns as keys
                if rows[start + column] & low:
                    mine = bias + rate * (now - key[0] + bonus_s)
                    if mine > best_s or (mine == best_s and (best is None or key < best)):
                        best_s, best = mine, key
                    break
        if who.held:
            best_s, best = self._best_held(who, now, best_s, best, preferred=True)
        if best is None:
            self._selections.settle()
            return None
        return best[2]

    def _lay_out(self, who: Agent) -> None:
        """Work out which lanes hold calls that ``who`` may serve, and what his preferences are worth in each."""
        queues = {self._queues[name]: self._preference_s(who, name) for name in who.queues if name in self._queues}
        if len(who.queues) <= OWN_LANES_MAX or self.selection.biased:
            who.lanes = tuple(queue.own_lane(bonus_s) for queue, bonus_s in queues.items())
        else:
            bonuses_s: dict[Lane, dict[Queue, float]] = {}
            for queue, bonus_s in queues.items():
                assert queue.common is not None, "there is somebody of many queues, so queues share lanes"
                bonuses_s.setdefault(queue.common, {})[queue] = bonus_s
            who.lanes = tuple(
                (lane, max(some.values()), some if len(set(some.values())) > 1 else None)
                for lane, some in bonuses_s.items()
            )
        who.layout = self._lanes.layout

    def _best_preferred(
        self,
        lane: Lane,
        who: Agent,
        now: float,
        bonus_max_s: float,
        bonuses_s: Mapping[Queue, float],
        best_s: float,
        best: CallKey | None,
    ) -> tuple[float, CallKey | None]:
        """The better one of ``best`` and the best call of ``lane``, of whose queues ``who`` prefers some to others.

        The first head that he may serve need not be the best; but those matter only as far down as the highest of his
        preferences could lift a call.
        """
        bias, rate = self._bias(lane), lane.rate
        start = who.octet * lane.width
        flag_at = lane.rows[start : start + lane.width].__getitem__
        for head in compress(lane.heads, map(who.low.__and__, map(flag_at, lane.columns))):
            key = head.line.first
            if score(bias, rate, now, key[0], bonus_max_s) < best_s:
                break
            bonus_s = bonuses_s[head.queue]
            mine = score(bias, rate, now, key[0], bonus_s)
            if mine > best_s or (mine == best_s and (best is None or key < best)):
                best_s, best = mine, key
            if bonus_s == bonus_max_s:
                break
        return best_s, best

    def _best_held(
        self, who: Agent, now: float, best_s: float, best: CallKey | None, *, preferred: bool
    ) -> tuple[float, CallKey | None]:
        """The better one of ``best`` and the best call that is held for ``who``."""
        for name, line in who.held.items():
            queue, key = self._queues[name], line.first
            bonus_s = self.selection.held_s + (self._preference_s(who, name) if preferred else 0.0)
            mine = score(self._bias(queue.lane), queue.lane.rate, now, key[0], bonus_s)
            if mine > best_s or (mine == best_s and (best is None or key < best)):
                best_s, best = mine, key
        return best_s, best

    def _preference_s(self, who: Agent, queue: str) -> float:
        return who.queues.get(queue, 0) * self.selection.preference_s

    def _bias(self, lane: Lane) -> float:
        queue = lane.biased
        return 0.0 if queue is None else queue.waiting - queue.share * len(self._calls)

    # -- both at once ------------------------------------------------------------------------------------------------

    def next_pair(self, now: float) -> tuple[str, str] | None:
        """The call of the highest score (whoever serves it, so without preferences) of all those with a free eligible
        agent, and the best of its agents. None between events: there is something to match while there is a pair."""
        if self._crew.stale:
            self._settle()
        free = self._crew.free
        best_s, best, best_class = -inf, None, None
        for lane in (queue.lane for queue in self._queues.values()) if free else ():
            head = next(compress(lane.heads, map(free.__and__, map(_mask_of, lane.heads))), None)
            if head is not None:
                key = head.line.first
                mine = score(self._bias(lane), lane.rate, now, key[0], 0.0)
                if mine > best_s or (mine == best_s and (best is None or key < best)):
                    best_s, best, best_class = mine, key, head
        agent: Agent | None = None
        waited_for = self._held_mask & free
        while waited_for:
            who = self._crew.of_bit(waited_for)
            waited_for ^= who.bit
            mine, key_held = self._best_held(who, now, best_s, best, preferred=False)
            if key_held is not best:
                best_s, best, agent = mine, key_held, who
        if best is None:
            return None
        if agent is None:
            assert best_class is not None, "what is not held is of a class"
            agent = self._best_agents(best_class, 1)[0]
        return best[2], agent.name

    # -- explanations ------------------------------------------------------------------------------------------------

    def candidates(self, queue: str, requirement: Requirement) -> Candidates:
        """How many agents there are for a call of ``queue`` that needs ``requirement``, and what keeps the others."""
        if self._crew.stale:
            self._settle()
        return self._candidates(self._class(self._queue(queue), requirement))

    def candidates_for_call(self, call: str) -> Candidates | None:
        """The same for a waiting call; None for one that is held for one agent."""
        if self._crew.stale:
            self._settle()
        call_class = self._waiting(call).call_class
        return None if call_class is None else self._candidates(call_class)

    def _candidates(self, call_class: CallClass) -> Candidates:
        known = self._counted
        if known is not None and known[0] is call_class:
            return known[1]
        mask, size, crew = call_class.mask, call_class.size, self._crew
        ranked = self._ranked
        if ranked is not None and ranked[0] is call_class and len(ranked[2]) < ranked[1]:
            free = len(ranked[2])  # as many were not to be had
        else:
            wanted = mask & crew.free
            free = wanted.bit_count() if wanted else 0
        rest, reasons = size - free, crew.reasons
        blocked: dict[str, int] = {}
        left = len(reasons)
        for reason, those in reasons.items():
            if not rest:
                break
            left -= 1
            # Everybody is free or kept by one reason, so who is left is kept by the last
            if not left:
                blocked[reason] = rest
            elif here := mask & those:
                blocked[reason] = count = here.bit_count()
                rest -= count
        found = Candidates(call_class.queue.members, size, free, blocked)
        self._counted = call_class, found
        return found

    def everyone_for(self, queue: str, requirement: Requirement) -> dict[str, str]:
        """Every member of ``queue`` and why he cannot be offered a call that needs ``requirement``; empty if he can.
        Costs as much as there are agents: for people, not for every event."""
        self._queue(queue)
        return {
            who.name: requirement.why_not(who.skills) or ("" if who.is_free else who.reason)
            for who in self._crew.agents.values()
            if queue in who.queues
        }

    def skills_of(self, agent: str) -> Mapping[str, int]:
        """The skills that ``agent`` has now."""
        return self._crew.agent(agent).skills

    def terms(self, agent: str, queue: str, requirement: Requirement, now: float) -> dict[str, Any]:
        """What the agent selection of ``queue`` compares of a free ``agent``: ``{"agent", "idle_s"}`` and, by selection,
        ``points``, ``skill_count``, ``offers_ago`` (None: never offered one of the queue) or ``occupied_s``; of weighted
        ones all but the last offer, as far as their weights are above 0, and ``score``, the weighted sum."""
        return self._terms(self._crew.agent(agent), self._queue(queue), requirement, now)

    def best_terms(self, queue: str, requirement: Requirement, count: int, now: float) -> list[dict[str, Any]]:
        """The ``terms`` of each of ``agents_for(queue, requirement, count)``, best first."""
        if self._crew.stale:
            self._settle()
        of = self._queue(queue)
        best = self._best_agents(self._class(of, requirement), count)
        return [self._terms(who, of, requirement, now) for who in best]

    def _terms(self, who: Agent, of: Queue, requirement: Requirement, now: float) -> dict[str, Any]:
        idle_s = now - who.idle_since
        if idle_s < 0.0:
            idle_s = 0.0
        # To the millisecond, as ``round`` does at three times the price
        found: dict[str, Any] = {"agent": who.name, "idle_s": (1000.0 * idle_s + 0.5) // 1.0 / 1000.0}
        kind = of.policy.agent_selection
        if kind == "longest_idle":
            return found
        if kind == "least_occupied":
            found["occupied_s"] = (1000.0 * who.occupied_s + 0.5) // 1.0 / 1000.0
        elif kind == "most_proficient":
            found["points"] = _points(who, requirement)
        elif kind == "least_skilled":
            found["skill_count"] = len(who.skills)
        elif kind == "round_robin":
            last = of.offered.get(who.name)
            found["offers_ago"] = None if last is None else self._offers - last
        else:
            weights = of.policy.weights or _USUAL
            score = weights.idle * idle_s
            if weights.proficiency:
                found["points"] = points = _points(who, requirement)
                score += weights.proficiency * points
            if weights.skills:
                found["skill_count"] = count = len(who.skills)
                score -= weights.skills * count
            if weights.occupied:
                found["occupied_s"] = (1000.0 * who.occupied_s + 0.5) // 1.0 / 1000.0
                score -= weights.occupied * who.occupied_s
            found["score"] = (10.0 * score + 0.5) // 1.0 / 10.0
        return found

    def why_not(self, agent: str, queue: str, requirement: Requirement) -> str:
        """Why ``agent``, were he free, may not serve a call of ``queue`` that needs ``requirement``; empty if he may."""
        who = self._crew.agent(agent)
        return requirement.why_not(who.skills) if queue in who.queues else NOT_IN

    def prospects(self, agent: str) -> list[Prospect]:
        """All kinds of waiting calls, most calls first, and why ``agent`` may not serve them. For people."""
        found = [
            Prospect(c.queue.name, c.requirement.text, len(c.line), self.why_not(agent, c.queue.name, c.requirement))
            for c in self._classes()
            if c.line
        ]
        mine = self._crew.agent(agent)
        for who in self._crew.of_bits(self._held_mask):
            for queue, line in who.held.items():
                kept = "" if who is mine else f"kept for {who.name} alone"
                found.append(Prospect(queue, "", len(line), kept if queue in mine.queues else NOT_IN, who.name))
        return sorted(found, key=lambda prospect: (-prospect.waiting, prospect))

    def call_score(self, call: str, agent: str | None, now: float) -> CallScore:
        """What the score of a waiting call is made of when ``agent`` is free; None: whoever serves it."""
        entry, selection = self._waiting(call), self.selection
        queue = entry.queue
        lane, rate = queue.lane, queue.lane.rate
        preference_s = 0.0
        if agent is not None and (steps := self._crew.agent(agent).queues.get(queue.name)):
            preference_s = steps * selection.preference_s
        held_s = selection.held_s if entry.agent is not None else 0.0
        bias = 0.0 if lane.biased is None else self._bias(lane)
        start_s, joined_at = entry.key[0], entry.joined_at
        total = score(bias, rate, now, start_s, preference_s + held_s)
        return CallScore(total, bias, rate, now - joined_at, entry.head_start_s, preference_s, held_s)

    def held_for(self, agent: str) -> list[str]:
        """The calls that wait for ``agent`` alone, first in line first."""
        keys = [key for line in self._crew.agent(agent).held.values() for key in line]
        return [key[2] for key in sorted(keys)]

    # -- lines -------------------------------------------------------------------------------------------------------

    def position(self, call: str) -> int:
        """How many calls of the same queue are before ``call``."""
        entry = self._waiting(call)
        return entry.queue.before(entry.key)

    def length(self, queue: str) -> int:
        """How many calls wait in ``queue``, held ones too."""
        return self._queue(queue).waiting

    def head(self, queue: str) -> str | None:
        """The call that is first in line in ``queue``."""
        first = self._queue(queue).first()
        return None if first is None else first[2]

    def joined_at(self, call: str) -> float:
        """Since when ``call`` has been waiting, UTC s."""
        return self._waiting(call).joined_at
