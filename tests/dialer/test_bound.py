"""The exact limit of the Markov case: known values, the simulation, and a dumb way to the same numbers."""

from __future__ import annotations

import pytest

from acd.sim.dialing.bound import limit, progressive, steady
from acd.sim.dialing.hall import Hall
from acd.sim.dialing.scene import markov
from acd.sim.dialing.suite import EXACT, PROGRESSIVE, dialler, figures


@pytest.mark.parametrize(
    ("agents", "answer_rate", "known"),
    [
        (5, 0.15, 0.758),
        (5, 0.3, 0.811),
        (5, 0.6, 0.871),
        (10, 0.15, 0.824),
        (10, 0.3, 0.847),
        (10, 0.6, 0.883),
    ],
)
def test_known_limits(agents: int, answer_rate: float, known: float) -> None:
    """Linear programs over all states gave these."""
    assert limit(agents, answer_rate).utilisation == pytest.approx(known, abs=6e-4)


def test_the_optimum_never_dials_while_all_are_busy_and_its_ratio_is_not_constant() -> None:
    assert limit(10, 0.3).fill[:4:-1] == (0, 1, 3, 6, 9, 12)


def test_progressive_is_known_for_any_number_of_agents() -> None:
    for agents in (1, 4, 9):
        fill = [agents - busy for busy in range(agents + 1)]
        busy, abandoned = steady(agents, 0.3, 0.1, fill)
        assert busy == pytest.approx(progressive(0.3, 0.1)) == pytest.approx(0.75)
        assert abandoned == pytest.approx(0.0, abs=1e-12)


def test_steady_equals_the_stationary_distribution_found_by_stepping() -> None:
    """The same chain, state by state, stepped until it stands still."""
    agents, p, ring, fill = 3, 0.3, 0.1, (9, 6, 3, 1)
    states = [(b, k) for b in range(agents + 1) for k in range(fill[0] + 1)]
    share = dict.fromkeys(states, 0.0)
    share[0, fill[0]] = 1.0
    step = 1.0 / (agents + fill[0] / ring)
    busy = answered = abandoned = 0.0
    for _ in range(6_000):
        after = dict.fromkeys(states, 0.0)
        for (b, k), weight in share.items():
            if weight < 1e-15:
                continue
            moves = [(b * step, b - 1, k)] if b else []
            if k:
                moves += [(k / ring * p * step, min(agents, b + 1), k - 1), (k / ring * (1 - p) * step, b, k - 1)]
            for chance, to_b, to_k in moves:
                after[to_b, max(to_k, fill[to_b])] += weight * chance
            after[b, k] += weight * (1 - sum(chance for chance, _, _ in moves))
        share = after
    for (b, k), weight in share.items():
        busy += weight * b / agents
        answered += weight * k / ring * p
        abandoned += weight * k / ring * p * (b == agents)
    found = steady(agents, p, ring, fill)
    assert found[0] == pytest.approx(busy, abs=1e-6)
    assert found[1] == pytest.approx(abandoned / answered, abs=1e-6)


@pytest.mark.parametrize("contender", [PROGRESSIVE, EXACT])
def test_the_simulation_comes_to_what_is_known(contender: str) -> None:
    scene = markov(10, 0.3)
    hall = Hall(scene, 3, 0, dialler(contender, scene))
    found = figures(contender, [[hall.run(number) for number in range(12)]], 0, scene.cap)
    known = (0.75, 0.0) if contender == PROGRESSIVE else limit(10, 0.3).steady
    assert found.utilisation.half_width is not None
    assert found.utilisation.half_width < 0.008
    assert found.utilisation.value == pytest.approx(known[0], abs=1.5 * found.utilisation.half_width)
    assert found.abandonment.value == pytest.approx(known[1], abs=0.004)
