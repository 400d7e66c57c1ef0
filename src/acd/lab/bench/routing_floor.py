"""A made-up floor for ``acd.lab.bench.routing``: agents, queues, calls, and what happens on it, event by event.

What an event does with the matcher is what the floor does, question for question, and nothing else: each decision takes
its counts by reason, the best three with their terms, and the score. Sizes, seeds and mix are fixed, so that two runs ask
the same questions.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time_ns
from typing import Final, ParamSpec, TypeVar

from acd.domain.definition import SelectionWeights
from acd.domain.requirement import Requirement, all_of, any_of, at_least
from acd.routing.index import Matcher
from acd.routing.policies import CallSelection, QueuePolicy

SKILLS: Final = tuple(f"s{n}" for n in range(60))
QUEUES_MAX: Final = 50
WEIGHTS: Final = SelectionWeights(idle=1.0, proficiency=0.5, skills=5.0, occupied=0.01)
LEAVES_EVERY, RELAXED_EVERY, EDITED_EVERY = 20, 10, 1_000
"""In so many cycles (one caller comes, one conversation runs its course) one caller leaves, one is relaxed, one skill of
one agent is edited."""

P = ParamSpec("P")
T = TypeVar("T")

BEST: Final = 3
"""So many are asked for, as the floor does for its explanations."""


@dataclass(frozen=True)
class Case:
    """One size, and the policies it is measured with. ``spread``: weights among queues differ, and so do preferences."""

    agents: int
    waiting: int
    types: int
    agent_selection: str = "longest_idle"
    call_selection: str = "priority"
    spread: bool = False


class MadeUpFloor:
    """The floor of one case, in steady state. ``times_ns``: the CPU time of every event so far, by kind."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.times_ns: dict[str, list[int]] = defaultdict(list)
        self._r = random.Random(20)
        self._clock_s = 1_700_000_000.0
        self._cycle = 0
        self._calls = 0
        self._queues = [f"q{n}" for n in range(min(case.types, QUEUES_MAX))]
        self._types = [(self._queues[n % len(self._queues)], self._requirement()) for n in range(case.types)]
        self._matcher = m = Matcher(CallSelection(case.call_selection))
        for n, queue in enumerate(self._queues):
            weight = 1.0 + n % 5 if case.spread else 1.0
            m.set_queue(queue, QueuePolicy(case.agent_selection, WEIGHTS, weight, service_rate=1.0 + n % 3))
        self._skills: dict[str, dict[str, int]] = {}
        self._serves: dict[str, dict[str, int]] = {}
        self._type_of: dict[str, int] = {}  # of every waiting call
        self._line: deque[str] = deque()  # waiting calls, and some that wait no more
        self._ringing: deque[str] = deque()
        self._talking: deque[str] = deque()
        for n in range(case.agents):
            self._hire(f"a{n}")
        self._fill()

    def _requirement(self) -> Requirement:
        """One to three terms, as operators write them."""
        a, b, c = (at_least(skill, 10 * self._r.randint(1, 5)) for skill in self._r.sample(SKILLS, 3))
        return self._r.choice([a, all_of([a, b]), any_of([a, b]), all_of([a, any_of([b, c])])])

    def _hire(self, name: str) -> None:
        """Skills and queues such that everybody can serve somebody, and no two are alike."""
        r = self._r
        queue, requirement = r.choice(self._types)
        self._skills[name] = {skill: r.randint(1, 100) for skill in r.sample(SKILLS, 12)}
        self._skills[name] |= {skill: r.randint(50, 100) for skill in sorted(requirement.skills)}
        queues = sorted({queue, *r.sample(self._queues, min(4, len(self._queues)))})
        self._serves[name] = {queue: r.randrange(3) if self.case.spread else 0 for queue in queues}
        self._matcher.set_agent(name, self._skills[name], self._serves[name])

    def _fill(self) -> None:
        """One in twenty is away. Of the others everybody is busy and ``waiting`` calls wait; or half are, and none does."""
        m, r, case = self._matcher, self._r, self.case
        names = list(self._skills)
        r.shuffle(names)
        for n, name in enumerate(names):
            if n % 20 == 7:
                m.unfree(name, r.choice(["LOGGED_OUT", "PAUSED (lunch)", "PAUSED (rona)", "phone UNREACHABLE"]))
            elif case.waiting or n % 2:
                self._talking.append(name)
                m.unfree(name, r.choice(["TALKING", "TALKING", "TALKING", "WRAP_UP"]))
            else:
                m.free(name, idle_since=self._now(), occupied_s=float(r.randrange(20_000)))
        # Under load somebody hangs up in every cycle; else as many as answer, so that half of all stay idle
        self._busy = 0 if case.waiting else len(self._talking)
        for _ in range(case.waiting):
            call, number = self._caller()
            queue, requirement = self._types[number]
            m.wait(call, queue, requirement, joined_at=self._now(), serial=self._calls, threshold_s=20.0)
            self._type_of[call] = number
            self._line.append(call)

    def _now(self) -> float:
        """Every event takes 10 ms, so that callers wait for some minutes."""
        self._clock_s += 0.01
        return self._clock_s

    def _caller(self) -> tuple[str, int]:
        self._calls += 1
        return f"{self._calls:014d}", self._r.randrange(self.case.types)

    # -- what happens ------------------------------------------------------------------------------------------------

    def cycle(self) -> None:
        """One caller comes, and one conversation runs its course: some five events."""
        self._cycle += 1
        self._arrives()
        if self.case.waiting and self._cycle % LEAVES_EVERY == 0:
            self._arrives()
            self._leaves()
        if self._cycle % RELAXED_EVERY == 0:
            self._relaxed()
        if self._cycle % EDITED_EVERY == 0:
            self._edited()
        if self._ringing:
            name = self._ringing.popleft()
            self._timed("phone rings", self._matcher.unfree, name, "RINGING")
            self._timed("agent answers", self._matcher.unfree, name, "TALKING")
            self._talking.append(name)
        if len(self._talking) > self._busy:
            name = self._talking.popleft()
            self._timed("wrap-up begins", self._matcher.unfree, name, "WRAP_UP")
            self._freed(name)

    def _timed(self, kind: str, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        before = thread_time_ns()
        result = do(*args, **kwargs)
        self.times_ns[kind].append(thread_time_ns() - before)
        return result

    def _arrives(self) -> None:
        call, number = self._caller()
        queue, requirement = self._types[number]
        agent = self._timed("call arrives", self._arrive, call, queue, requirement, self._now())
        if agent is not None:
            self._ringing.append(agent)
        else:
            self._type_of[call] = number
            self._line.append(call)

    def _arrive(self, call: str, queue: str, requirement: Requirement, now: float) -> str | None:
        m = self._matcher
        best = m.agents_for(queue, requirement, BEST)[:1]
        if best:
            self._offer(call, queue, requirement, best[0], now)
            return best[0]
        m.candidates(queue, requirement)  # whether there is anybody at all
        m.candidates(queue, requirement)  # why it waits
        priority = 5 if self._calls % 50 == 0 else 0
        m.wait(call, queue, requirement, joined_at=now, serial=self._calls, priority=priority, threshold_s=20.0)
        return None

    def _offer(self, call: str, queue: str, requirement: Requirement, agent: str, now: float) -> None:
        """Explain the offer, and make it."""
        m = self._matcher
        best = m.best_terms(queue, requirement, BEST, now)
        assert best[0]["agent"] == agent
        m.skills_of(agent)
        if m.is_waiting(call):
            m.call_score(call, agent, now)
        m.candidates(queue, requirement)
        m.unwait(call)
        m.offered(agent, queue)
        m.unfree(agent, "RESERVED")

    def _freed(self, name: str) -> None:
        now = self._now()
        call = self._timed("agent freed", self._free, name, now)
        if call is not None:
            del self._type_of[call]
            self._ringing.append(name)

    def _free(self, name: str, now: float) -> str | None:
        m = self._matcher
        m.free(name, idle_since=now, serial=self._cycle, occupied_s=now % 20_000)
        call = m.call_for(name, now)
        if call is not None:
            queue, requirement = self._types[self._type_of[call]]
            self._offer(call, queue, requirement, name, now)
        return call

    def _somebody(self) -> str | None:
        """Somebody who waits."""
        self._line.rotate(-self._r.randrange(100))
        while self._line and self._line[0] not in self._type_of:
            self._line.popleft()
        return self._line[0] if self._line else None

    def _leaves(self) -> None:
        call = self._somebody()
        if call is not None:
            self._timed("caller leaves", self._matcher.unwait, call)
            del self._type_of[call]

    def _relaxed(self) -> None:
        """The next stage asks for something else."""
        call = self._somebody()
        if call is not None:
            number = (self._type_of[call] + len(self._queues)) % self.case.types
            queue, requirement = self._types[number]
            agent = self._timed("requirement relaxed", self._relax, call, queue, requirement)
            self._type_of[call] = number
            if agent is not None:
                del self._type_of[call]
                self._ringing.append(agent)

    def _relax(self, call: str, queue: str, requirement: Requirement) -> str | None:
        m = self._matcher
        m.wait(call, queue, requirement, joined_at=m.joined_at(call), serial=int(call), threshold_s=20.0)
        best = m.agents_for(queue, requirement, BEST)[:1]
        if not best:
            m.candidates(queue, requirement)  # whether there is anybody at all
            return None
        self._offer(call, queue, requirement, best[0], self._now())
        return best[0]

    def _edited(self) -> None:
        """An agent gets another proficiency, and if he is free a call that he may serve now."""
        name = self._r.choice(list(self._skills))
        skills = self._skills[name]
        skills[self._r.choice(list(skills))] = self._r.randint(1, 100)
        call = self._timed("skill edited", self._edit, name, self._now())
        if call is not None:
            self._matcher.unwait(call)
            self._matcher.offered(name, self._types[self._type_of.pop(call)][0])
            self._matcher.unfree(name, "RESERVED")
            self._ringing.append(name)

    def _edit(self, name: str, now: float) -> str | None:
        self._matcher.set_agent(name, self._skills[name], self._serves[name])
        return self._matcher.call_for(name, now) if self._matcher.is_free(name) else None
