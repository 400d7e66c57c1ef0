"""The matcher: the rule of eligibility as a table, its heads and masks, and all of it against a plain search."""

from __future__ import annotations

import random

import pytest

from acd.domain.definition import SkillRequirement
from acd.routing.matching import (
    AgentClassKey,
    CallClassKey,
    CallRank,
    IdleKey,
    Matcher,
    agent_class_key,
    bits,
    judge,
)


def agent(queues: str, **skills: int) -> AgentClassKey:
    return agent_class_key(tuple(queues.split()), skills)


def call(queue: str, **minima: int) -> CallClassKey:
    return queue, tuple(SkillRequirement(skill, minimum) for skill, minimum in minima.items())


RULE = [
    (agent("sales"), call("sales"), ""),
    (agent("sales help"), call("help"), ""),
    (agent("sales"), call("help"), "not in the queue"),
    (agent(""), call("sales"), "not in the queue"),
    (agent("sales", english=50), call("sales", english=50), ""),
    (agent("sales", english=49), call("sales", english=50), "lacks skill english >= 50"),
    (agent("sales"), call("sales", english=0), "lacks skill english >= 0"),
    (agent("sales", english=0), call("sales", english=0), ""),
    (agent("sales", english=100), call("sales", english=50, linux=1), "lacks skill linux >= 1"),
    (agent("sales", english=100, linux=1), call("sales", english=50, linux=1), ""),
    (agent("help", english=100), call("sales", english=50), "not in the queue"),
]


@pytest.mark.parametrize(("who", "what", "reason"), RULE)
def test_the_rule(who: AgentClassKey, what: CallClassKey, reason: str) -> None:
    verdict = judge(who, what)
    assert (verdict.eligible, verdict.reason) == (not reason, reason)


def test_agents_are_of_one_class_whatever_the_order_of_queues_and_skills() -> None:
    assert agent_class_key(("a", "b"), {"x": 1, "y": 2}) == agent_class_key(("b", "a"), {"y": 2, "x": 1})
    assert agent("a", x=1) != agent("a", x=2)


def test_classes_are_made_once() -> None:
    matcher = Matcher()
    first, second = matcher.agent_class(agent("a")), matcher.agent_class(agent("b"))
    assert [first, second, matcher.agent_class(agent("a"))] == [0, 1, 0]
    assert [matcher.call_class(call("a")), matcher.call_class(call("b")), matcher.call_class(call("a"))] == [0, 1, 0]


@pytest.mark.parametrize("calls_first", [True, False])
def test_it_does_not_matter_which_class_came_first(calls_first: bool) -> None:
    matcher = Matcher()
    who, what = [agent("a"), agent("a b", x=5), agent("b")], [call("a"), call("b", x=5), call("c")]
    if calls_first:
        [matcher.call_class(key) for key in what]
    [matcher.agent_class(key) for key in who]
    [matcher.call_class(key) for key in what]
    assert [list(matcher.serves(n)) for n in range(3)] == [[0], [0, 1], []]
    assert [matcher.eligible_agent_classes(n) for n in range(3)] == [0b011, 0b010, 0]


def test_a_class_of_calls_made_late_finds_who_is_free_already() -> None:
    matcher = Matcher()
    matcher.free("ann", matcher.agent_class(agent("a")), (5.0, 1))
    matcher.free("bob", matcher.agent_class(agent("a b")), (7.0, 1))
    late = matcher.call_class(call("b"))
    assert matcher.longest_idle(late) == "bob"
    matcher.wait("c1", late, (0, 1.0, 1))
    assert matcher.next_pair() == ("c1", "bob")
    matcher.unfree("bob")
    assert matcher.next_pair() is None
    assert matcher.longest_idle(late) is None


def test_bits() -> None:
    assert list(bits(0)) == []
    assert list(bits(0b101001)) == [0, 3, 5]
    assert list(bits(1 << 300)) == [300]


@pytest.fixture
def sales() -> tuple[Matcher, int, int]:
    """A matcher with one class of agents and one of calls that match."""
    matcher = Matcher()
    calls = matcher.call_class(call("sales"))
    return matcher, matcher.agent_class(agent("sales")), calls


def test_longest_idle_and_ties(sales: tuple[Matcher, int, int]) -> None:
    matcher, agents, calls = sales
    for name, key in [("late", (9.0, 1)), ("tie2", (5.0, 2)), ("tie1", (5.0, 1))]:
        matcher.free(name, agents, key)
    assert matcher.best_idle(calls, 5) == ["tie1", "tie2", "late"]
    assert matcher.best_idle(calls, 2) == ["tie1", "tie2"]
    assert matcher.best_idle(calls, 0) == []
    matcher.unfree("tie1")
    assert matcher.longest_idle(calls) == "tie2"
    assert matcher.is_free("tie2")
    assert not matcher.is_free("tie1")


def test_rank_is_priority_then_time_then_serial(sales: tuple[Matcher, int, int]) -> None:
    matcher, agents, calls = sales
    for name, rank in [("c1", (0, 1.0, 1)), ("c2", (-5, 9.0, 4)), ("c3", (-5, 9.0, 3)), ("c4", (-5, 8.0, 9))]:
        matcher.wait(name, calls, rank)
    matcher.free("ann", agents, (0.0, 0))
    served = []
    while (pair := matcher.next_pair()) is not None:
        assert matcher.call_for("ann") == pair[0]
        served.append(pair[0])
        matcher.unwait(pair[0])
    assert served == ["c4", "c3", "c2", "c1"]


def test_who_goes_and_comes_back_stands_where_he_belongs(sales: tuple[Matcher, int, int]) -> None:
    matcher, agents, calls = sales
    matcher.wait("c1", calls, (0, 1.0, 1))
    matcher.wait("c2", calls, (0, 2.0, 2))
    matcher.unwait("c1")
    matcher.free("ann", agents, (0.0, 0))
    assert matcher.call_for("ann") == "c2"
    matcher.wait("c1", calls, (0, 1.0, 1))
    assert matcher.call_for("ann") == "c1"
    matcher.unfree("ann")
    matcher.free("bob", agents, (3.0, 1))
    matcher.free("ann", agents, (7.0, 2))
    assert matcher.longest_idle(calls) == "bob"


def test_a_call_waits_in_one_class_only(sales: tuple[Matcher, int, int]) -> None:
    matcher, agents, calls = sales
    other = matcher.call_class(call("help"))
    matcher.wait("c1", calls, (0, 1.0, 1))
    matcher.wait("c1", other, (0, 1.0, 1))
    matcher.free("ann", agents, (0.0, 0))
    assert matcher.call_for("ann") is None
    assert matcher.waiting_count == 1


def test_leaving_twice_is_harmless(sales: tuple[Matcher, int, int]) -> None:
    matcher, agents, calls = sales
    matcher.free("ann", agents, (0.0, 0))
    matcher.wait("c1", calls, (0, 1.0, 1))
    for _ in range(2):
        matcher.unfree("ann")
        matcher.unwait("c1")
    assert not matcher.is_waiting("c1")
    assert matcher.next_pair() is None


def test_what_is_stale_is_bounded(sales: tuple[Matcher, int, int]) -> None:
    """An agent who comes and goes a hundred thousand times, behind one who is never called, leaves no trail."""
    matcher, agents, calls = sales
    matcher.free("first", agents, (0.0, 0))
    for n in range(100_000):
        matcher.free("ann", agents, (1.0 + n, n))
        matcher.unfree("ann")
    assert max(len(heap.heap) for heap in matcher._idle) < 200
    assert matcher.longest_idle(calls) == "first"


class Dumb:
    """The same by plain search."""

    def __init__(self) -> None:
        self.free: dict[str, tuple[AgentClassKey, IdleKey]] = {}
        self.waits: dict[str, tuple[CallClassKey, CallRank]] = {}

    def best_idle(self, what: CallClassKey) -> list[str]:
        able = [(key, name) for name, (who, key) in self.free.items() if judge(who, what).eligible]
        return [name for _, name in sorted(able)]

    def call_for(self, who: AgentClassKey) -> str | None:
        able = [(rank, name) for name, (what, rank) in self.waits.items() if judge(who, what).eligible]
        return min(able)[1] if able else None

    def next_pair(self) -> tuple[str, str] | None:
        for _, name, what in sorted((rank, name, what) for name, (what, rank) in self.waits.items()):
            idle = self.best_idle(what)
            if idle:
                return name, idle[0]
        return None


@pytest.mark.parametrize("seed", range(30))
def test_it_finds_what_a_plain_search_finds(seed: int) -> None:
    r = random.Random(seed)
    queues, skills = "abcd", "xyz"
    matcher, dumb = Matcher(), Dumb()
    whos = [
        agent_class_key(tuple(r.sample(queues, r.randint(0, 3))), {s: r.randint(0, 3) for s in r.sample(skills, 2)})
        for _ in range(8)
    ]
    whats = [
        call(r.choice(queues), **{s: r.randint(0, 3) for s in r.sample(skills, r.randint(0, 2))}) for _ in range(8)
    ]
    for step in range(400):
        name = f"{r.choice('AC')}{r.randint(0, 12)}"
        if name in dumb.free:
            del dumb.free[name]
            matcher.unfree(name)
        elif name in dumb.waits:
            del dumb.waits[name]
            matcher.unwait(name)
        elif name[0] == "A":
            who, key = r.choice(whos), (float(r.randint(0, 5)), step)
            dumb.free[name] = who, key
            matcher.free(name, matcher.agent_class(who), key)
        else:
            what, rank = r.choice(whats), (r.randint(-1, 0), float(r.randint(0, 5)), step)
            dumb.waits[name] = what, rank
            matcher.wait(name, matcher.call_class(what), rank)
        assert matcher.next_pair() == dumb.next_pair()
        for what in whats:
            assert matcher.best_idle(matcher.call_class(what), 3) == dumb.best_idle(what)[:3]
        for free, (who, _) in dumb.free.items():
            assert matcher.call_for(free) == dumb.call_for(who)
        for waiting, (what, _) in dumb.waits.items():
            assert matcher.agent_for(waiting) == next(iter(dumb.best_idle(what)), None)
        assert matcher.waiting_count == len(dumb.waits)
