"""Orders of agents against a sorted list, and what they are made of."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.routing import orders
from acd.routing.crew import Agent, Crew
from acd.routing.line import SLACK, Line
from acd.routing.selection import by_idle


def crew_of(count: int) -> tuple[Crew, list[Agent]]:
    crew = Crew()
    return crew, [crew.hire(f"a{n:04d}")[0] for n in range(count)]


def mask_of(agents: list[Agent]) -> int:
    return sum(agent.bit for agent in agents)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("block", [8, orders.BLOCK])
def test_against_a_sorted_list(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "BLOCK", block)
    r = random.Random(seed)
    crew, everybody = crew_of(700)
    order = orders.AgentOrder(crew, by_idle)
    inside: list[Agent] = []
    for step in range(4_000):
        agent = r.choice(everybody)
        # Grows and shrinks by turns, so that blocks are split and joined
        grows = step // 1_000 % 2 == 0
        if agent in inside:
            if r.random() < (0.1 if grows else 0.9):
                order.remove(agent)
                inside.remove(agent)
        elif r.random() < (0.9 if grows else 0.1):
            agent.idle_since, agent.serial = float(r.randint(0, 50)), r.randint(0, 3)
            order.add(agent)
            inside.append(agent)
        wanted = r.sample(inside, min(len(inside), r.choice([0, 1, 5, 100])))
        best = sorted(wanted, key=by_idle)[:3]
        assert order.first(mask_of(wanted), 3) == best
        assert order.first(mask_of(wanted), 3, many=True) == best
        for known in (by_idle(agent) for agent in best[:1]):
            assert order.first(mask_of(wanted), 3, start=known) == best
            assert order.first(mask_of(wanted), 3, many=True, start=known) == best
        if step % 100 == 0:
            assert list(order) == sorted(inside, key=by_idle)
            assert order.first(mask_of(inside), 1_000) == sorted(inside, key=by_idle)


def test_what_is_known_of_the_first_holds_until_somebody_comes_before_him() -> None:
    """Even where all who stood there have left in between."""
    crew, (ann, bob, cas) = crew_of(3)
    order = orders.AgentOrder(crew, by_idle)
    ann.idle_since, bob.idle_since, cas.idle_since = 5.0, 9.0, 7.0
    order.add(ann)
    known = order.since
    order.add(bob)
    order.remove(ann)
    order.remove(bob)
    assert order.since is known
    order.add(cas)
    assert order.since is not known
    known = order.since
    bob.idle_since = 9.5
    order.add(bob)
    assert order.since is known


def test_blocks_keep_their_size() -> None:
    """However agents come and go, there are no more blocks than the agents fill, but for a constant."""
    crew, everybody = crew_of(3_000)
    order = orders.AgentOrder(crew, by_idle)
    for number, agent in enumerate(everybody):
        agent.idle_since = float(number)
        order.add(agent)
    assert max(len(block.keys) for block in order._blocks) <= 2 * orders.BLOCK
    random.Random(3).shuffle(everybody)
    for agent in everybody[100:]:
        order.remove(agent)
    # Two neighbours that would fit into one block are one, unless neither has lost enough to be looked at
    assert len(order._blocks) <= 2 * (100 // (orders.BLOCK // 4) + 1)
    for agent in everybody[:100]:
        order.remove(agent)
    assert list(order) == []
    assert len(order._blocks) == 1
    assert order.first(0) == []


lines = st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=300)


@settings(max_examples=200)
@given(lines)
def test_a_line_against_a_sorted_list(changes: list[tuple[bool, int]]) -> None:
    line, plain = Line(), []
    for comes, number in changes:
        key = (float(number % 10), number, f"c{number}")
        if key in plain:
            first = min(plain) == key
            plain.remove(key)
            assert line.remove(key) is first
        elif comes:
            assert line.add(key) is (key < min(plain, default=(99.0, 0, "")))
            plain.append(key)
        assert list(line) == sorted(plain)
        assert len(line) == len(plain)
        assert line.before((5.0, 15, "")) == sum(other < (5.0, 15, "") for other in plain)
        if plain:
            assert line.first == min(plain)


def test_a_line_forgets_those_who_left() -> None:
    line = Line((float(n), n, f"c{n}") for n in range(1_000))
    for n in range(1_000, 20_000):
        line.remove(line.first)
        line.add((float(n), n, f"c{n}"))
    assert len(line._keys) <= 2 * 1_000 + SLACK
    assert [key[1] for key in line] == list(range(19_000, 20_000))
