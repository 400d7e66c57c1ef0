"""The simulated floor against exact values: Erlang B, C and A, the bounded queue, and the skills of Wallace and Whitt.

Every figure must hold the known value within its 99 % interval, and the interval must be narrow enough to tell the right
model from a wrong one. Seeds are fixed, so a test that passes keeps passing until a decision of the floor changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import pytest
from simkit import sample

from acd.routing.erlang import ErlangA, ErlangC, FiniteQueue, erlang_b
from acd.sim import Results, simulate
from acd.sim.estimates import Estimate

CONFIDENCE = 0.99


@dataclass(frozen=True)
class Known:
    """A figure of all callers (``occupancy``: of the agents), its exact value, and how wide its interval may be."""

    figure: str
    value: float
    half_width: float


@lru_cache(maxsize=4)
def run_of(scenario: str, seed: int = 1) -> Results:
    return simulate(sample(scenario), seed, confidence=CONFIDENCE)


def figure_of(results: Results, name: str) -> Estimate:
    if name == "occupancy":
        (group,) = results.groups.values()
        assert group.adjusted is not None
        return group.adjusted
    return results.total.adjusted[name]


def check(scenario: str, *known: Known, seed: int = 1) -> None:
    results = run_of(scenario, seed)
    assert not results.drift
    assert not results.alarms
    assert results.total.stuck == 0
    for entry in known:
        found = figure_of(results, entry.figure)
        said = f"{scenario}, seed {seed}: {entry.figure} is {found.value:.5f} +-{found.half_width:.5f}, known {entry.value}"
        assert found.holds(entry.value), said
        assert found.half_width is not None
        assert found.half_width <= entry.half_width, f"{said}: too wide to prove anything"


def test_erlang_b_by_trunks() -> None:
    """All callers who get a line get an agent at once."""
    blocked = erlang_b(10, 7.5)
    assert blocked == pytest.approx(0.0995437, abs=5e-8)
    check(
        "erlang-b",
        Known("blocked", blocked, 0.01),
        Known("waited", 0.0, 0.0),
        Known("occupancy", 7.5 * (1 - blocked) / 10, 0.008),
    )


def test_erlang_b_by_a_queue_in_which_nobody_may_wait() -> None:
    check("no-waiting", Known("blocked", 0.0995437, 0.01), Known("waited", 0.0, 0.0), Known("wait_s", 0.0, 0.0))


def test_erlang_c() -> None:
    exact = ErlangC(10, 8 / 60, 60.0)
    check(
        "erlang-c",
        Known("waited", 0.409180, 0.025),
        Known("wait_s", exact.mean_wait_s, 3.0),
        Known("delayed_s", exact.mean_wait_of_delayed_s, 6.0),
        Known("service_level", exact.service_level(20.0), 0.035),
        Known("occupancy", 0.8, 0.006),
    )


def test_a_hundred_calls_in_half_an_hour() -> None:
    check(
        "half-hour",
        Known("waited", 0.174132, 0.025),
        Known("service_level", 0.888350, 0.02),
        Known("asa_s", 7.84, 2.0),
        Known("occupancy", 0.7143, 0.005),
    )


def test_fifty_agents_near_their_limit() -> None:
    check(
        "patient",
        Known("waited", 0.694456, 0.09),
        Known("delayed_s", 30.0, 16.0),
        Known("wait_s", 20.83, 14.0),
        Known("occupancy", 0.96, 0.012),
    )


def test_erlang_a() -> None:
    check(
        "impatient",
        Known("waited", 0.46777, 0.04),
        Known("abandoned", 0.03091, 0.006),
        Known("wait_s", 3.71, 0.9),
        Known("occupancy", 0.9303, 0.008),
    )


def test_erlang_a_with_more_work_than_agents() -> None:
    exact = ErlangA(50, 55 / 60, 60.0, 120.0)
    check(
        "overload",
        Known("waited", 0.86623, 0.035),
        Known("abandoned", 0.10208, 0.011),
        Known("wait_s", exact.mean_wait_s, 1.2),
        Known("service_level", exact.service_level(20.0), 0.06),
        Known("occupancy", 0.98771, 0.005),
    )


def test_a_waiting_room_of_thirty() -> None:
    exact = FiniteQueue(90, 30, 8.4 / 60, 600.0)
    check(
        "waiting-room",
        Known("blocked", 0.003643, 0.006),
        Known("wait_s", exact.mean_wait_s, 13.0),
        Known("waited", 0.3783, 0.1),
        Known("service_level", 0.7329, 0.1),
    )


@pytest.mark.parametrize(
    ("skills", "blocked", "wait_min"), [(1, 0.0385, 2.45), (2, 0.0041, 0.591), (3, 0.0036, 0.481), (6, 0.0038, 0.451)]
)
def test_two_skills_do_almost_as_well_as_all(skills: int, blocked: float, wait_min: float) -> None:
    """Wallace and Whitt 2005; the known waits are simulated themselves, to 0.025 min."""
    results = run_of(f"skills-{skills}")
    turned_away, wait_s = results.total.adjusted["blocked"], results.total.adjusted["wait_s"]
    assert turned_away.holds(blocked), turned_away
    assert wait_s.low - 1.5 <= wait_min * 60 <= wait_s.high + 1.5, wait_s
    assert turned_away.half_width is not None
    assert wait_s.half_width is not None
    assert turned_away.half_width < (0.015 if skills == 1 else 0.004)
    assert wait_s.half_width < (20.0 if skills == 1 else 13.0)


def test_six_skills_are_one_queue_of_ninety_agents_with_thirty_places() -> None:
    """When everybody can do everything, six types of calls are one: M/M/90/30, whose values are exact."""
    exact = FiniteQueue(90, 30, 8.4 / 60, 600.0)
    results = run_of("skills-6")
    for name, value in (
        ("blocked", exact.p_block),
        ("waited", exact.p_wait),
        ("wait_s", exact.mean_wait_s),
        ("service_level", exact.service_level(30.0)),
    ):
        assert results.total.adjusted[name].holds(value), (name, results.total.adjusted[name], value)


def test_one_line_more_is_noticed() -> None:
    """A test that cannot fail is none: the wrong model lies outside."""
    results = simulate(replace(sample("erlang-b"), lines=11), 1, confidence=CONFIDENCE)
    assert not results.total.adjusted["blocked"].holds(erlang_b(10, 7.5))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Forty runs, their batches long against a conversation; at 90 % confidence 36 hold it, give or take 3 x 1.9."""
    short = replace(sample("erlang-b"), length_s=9_000.0, batches=8)
    runs = [simulate(short, seed, confidence=0.9).total for seed in range(40)]
    for figures in ([run.figures for run in runs], [run.adjusted for run in runs]):
        held = sum(found["blocked"].holds(erlang_b(10, 7.5)) for found in figures)
        assert 31 <= held <= 40
    widths = [(run.adjusted["blocked"].half_width, run.figures["blocked"].half_width) for run in runs]
    assert sum(adjusted for adjusted, _ in widths if adjusted) < 0.9 * sum(plain for _, plain in widths if plain)
