"""A random walk over everything that can change, with the matcher and its brute force side by side."""

from __future__ import annotations

import random
from typing import Any

from routing_brute import BruteMatcher

from acd.domain.definition import AGENT_SELECTIONS, CALL_SELECTIONS, SelectionWeights
from acd.domain.requirement import ANYONE, NOBODY, Requirement, SkillIn, all_of, any_of
from acd.routing.index import Matcher
from acd.routing.policies import CallSelection, QueuePolicy

SKILLS = tuple("abcdef")
LEVELS = (0, 1, 20, 50, 77, 100)


def requirement(r: random.Random, depth: int = 0) -> Requirement:
    """Any requirement; the same ones come again and again."""
    if depth == 0 and r.random() < 0.1:
        return r.choice([ANYONE, NOBODY])
    if r.random() < 0.6 or depth > 2:
        low = r.choice([-1, 0, 1, 20, 50, 60, 99, 100])
        high = r.choice([100, 100, r.randint(max(low, 0), 100)])
        return ANYONE if (low, high) == (-1, 100) else SkillIn(r.choice(SKILLS), low, high)
    return r.choice([all_of, any_of])([requirement(r, depth + 1) for _ in range(r.randint(2, 3))])


def policy(r: random.Random) -> QueuePolicy:
    """Any policy of a queue; values that are often equal, so that scores tie."""
    weights = SelectionWeights(r.choice([0, 1, 0.5]), r.choice([0, 0.33, 2]), r.choice([0, 5.0]), r.choice([0, 0.01]))
    return QueuePolicy(
        agent_selection=r.choice(AGENT_SELECTIONS),
        weights=r.choice([None, weights]),
        weight=r.choice([1.0, 1.0, 2.0, 0.1]),
        ratio=r.choice([None, 0.2, 0.5]),
        cost=r.choice([1.0, 3.0]),
        service_rate=r.choice([1.0, 0.01]),
    )


class Walk:
    """Both matchers, asked and told the same; an answer that differs fails with everything needed to see why."""

    def __init__(self, seed: int, *, agents: int, calls: int, queues: int, kinds: int, preferences: bool) -> None:
        self.r = random.Random(seed)
        self.quick, self.brute = Matcher(), BruteMatcher()
        self.agents = [f"a{n}" for n in range(agents)]
        self.calls = [f"c{n}" for n in range(calls)]
        self.queues = [f"q{n}" for n in range(queues)]
        self.kinds = [requirement(self.r) for _ in range(kinds)]
        self.preferences = preferences
        self.now, self.events, self.matched = 1_000.0, 0, 0
        for queue in self.queues:
            self.both("set_queue", queue, policy(self.r))

    def both(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Tell or ask both."""
        one, other = getattr(self.quick, name)(*args, **kwargs), getattr(self.brute, name)(*args, **kwargs)
        assert one == other, f"event {self.events}: {name}{args}{kwargs or ''}: quick {one}, brute force {other}"
        return one

    def step(self) -> None:
        """One change, and some questions."""
        self.events += 1
        self.now += self.r.choice([0.0, 1.0, 0.25, 7.0])
        self.change()
        self.ask()

    # -- changes -----------------------------------------------------------------------------------------------------

    def change(self) -> None:
        r, known = self.r, self.brute.agents
        agent, call, queue = r.choice(self.agents), r.choice(self.calls), r.choice(self.queues)
        dice = r.random()
        if agent not in known or dice < 0.06:
            self.define(agent)
        elif queue not in self.brute.queues or dice < 0.09:
            self.both("set_queue", queue, policy(r))
        elif dice < 0.105:
            assert set(self.quick.remove_agent(agent)) == set(self.brute.remove_agent(agent))
        elif dice < 0.11:
            self.both("remove_queue", queue)
        elif dice < 0.12:
            self.select()
        elif dice < 0.32:
            idle_since = self.now - r.choice([0.0, 0.0, 5.0, 100.0, 5_000.0, 700_000.0])
            self.both(
                "free", agent, idle_since=idle_since, serial=r.randint(0, 2), occupied_s=r.choice([0.0, 10.0, 200.0])
            )
        elif dice < 0.43:
            self.both("unfree", agent, r.choice(["TALKING", "WRAP_UP", "PAUSED (lunch)"]))
        elif dice < 0.8:
            kind = r.choice(self.kinds) if r.random() < 0.9 else requirement(r)
            self.both("wait", call, queue, kind, **self.place())
        elif dice < 0.83:
            self.both("hold_for", call, agent, queue, **self.place())
        elif dice < 0.93:
            self.both("unwait", call)
        else:
            self.both("offered", agent, queue)

    def define(self, agent: str) -> None:
        r = self.r
        skills = {skill: r.choice(LEVELS) for skill in r.sample(SKILLS, r.randint(0, 4))}
        queues = r.sample(self.queues, r.randint(0, len(self.queues)))
        preference = [0, 0, 1, 3] if self.preferences else [0]
        self.both("set_agent", agent, skills, {queue: r.choice(preference) for queue in queues})

    def select(self) -> None:
        r = self.r
        chosen = CallSelection(
            r.choice(CALL_SELECTIONS), r.choice([30.0, 60.0]), r.choice([0.0, 30.0]), r.choice([0.0, 600.0])
        )
        self.both("set_call_selection", chosen)

    def place(self) -> dict[str, Any]:
        r = self.r
        return {
            "joined_at": self.now - r.choice([0.0, 0.0, 20.0, 300.0]),
            "serial": self.events,
            "priority": r.choice([0, 0, 0, 1, 5]),
            "threshold_s": r.choice([0.0, 20.0]),
        }

    # -- questions ---------------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Who is next, from all sides; every other time the pair that is next is matched."""
        r, brute = self.r, self.brute
        pair = self.both("next_pair", self.now)
        for agent in self.some(sorted(brute.agents), 3):
            self.both("call_for", agent, self.now)
            self.both("held_for", agent)
        for call in self.some(sorted(brute.calls), 2):
            self.both("agents_for_call", call, 5)
            self.both("position", call)
            agent = r.choice([None, *sorted(brute.agents)])
            who = None if agent is None else brute.agents[agent]
            score = brute.score(brute.calls[call], who, self.now)
            assert self.quick.call_score(call, agent, self.now).score == score
        for queue in self.some(sorted(brute.queues), 1):
            kind = r.choice(self.kinds)
            self.both("agents_for", queue, kind, 4)
            self.both("candidates", queue, kind)
            self.both("length", queue)
            self.both("head", queue)
        assert self.quick.waiting_count == len(brute.calls)
        if pair is not None and r.random() < 0.5:
            self.matched += 1
            self.both("unwait", pair[0])
            self.both("unfree", pair[1], "RESERVED")

    def some(self, names: list[str], count: int) -> list[str]:
        return self.r.sample(names, min(count, len(names)))
