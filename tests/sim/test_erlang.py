"""The formulas against published values, against sums written down plainly, and where numbers grow large."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from acd.routing.erlang import (
    ErlangA,
    ErlangC,
    FiniteQueue,
    agents_for,
    erlang_b,
    erlang_c,
    halfin_whitt,
    load_at_blocking,
    quality_for,
    square_root_staffing,
)


@pytest.mark.parametrize(
    ("servers", "load", "blocked"), [(5, 3, 0.1100543), (10, 5, 0.0183846), (10, 7.5, 0.0995437), (20, 12, 0.0097956)]
)
def test_erlang_b(servers: int, load: float, blocked: float) -> None:
    assert erlang_b(servers, load) == pytest.approx(blocked, abs=5e-8)


@pytest.mark.parametrize(
    ("servers", "load"),
    [(5, 1.8752), (10, 5.5294), (20, 13.9974), (30, 23.0623), (50, 41.9327), (100, 90.7939), (300, 292.1159)],
)
def test_the_load_that_loses_three_per_cent(servers: int, load: float) -> None:
    assert load_at_blocking(servers, 0.03) == pytest.approx(load, abs=5e-5)


@pytest.mark.parametrize(
    ("servers", "load", "waits"), [(10, 8, 0.409180), (20, 16, 0.256078), (55, 50, 0.384547), (100, 95, 0.506457)]
)
def test_erlang_c(servers: int, load: float, waits: float) -> None:
    assert erlang_c(servers, load) == pytest.approx(waits, abs=5e-7)


def test_a_hundred_calls_in_half_an_hour() -> None:
    queue = ErlangC(14, 100 / 1800, 180.0)
    assert queue.p_wait == pytest.approx(0.174132, abs=5e-7)
    assert queue.service_level(20) == pytest.approx(0.888350, abs=5e-7)
    assert queue.occupancy == pytest.approx(0.7143, abs=5e-5)
    assert queue.mean_wait_s == pytest.approx(7.84, abs=5e-3)


def test_fifty_agents_without_and_with_impatience() -> None:
    patient = ErlangC(50, 48 / 60, 60.0)
    assert patient.p_wait == pytest.approx(0.694456, abs=5e-7)
    assert patient.mean_wait_of_delayed_s == pytest.approx(30.0)
    assert patient.mean_wait_s == pytest.approx(20.83, abs=5e-3)
    two_minutes = ErlangA(50, 48 / 60, 60.0, 120.0)
    assert two_minutes.p_wait == pytest.approx(0.46777, abs=5e-6)
    assert two_minutes.p_abandon == pytest.approx(0.03091, abs=5e-6)
    assert two_minutes.mean_wait_s == pytest.approx(3.71, abs=5e-3)
    assert two_minutes.occupancy == pytest.approx(0.9303, abs=5e-5)
    one_minute = ErlangA(50, 48 / 60, 60.0, 60.0)
    assert one_minute.p_wait == pytest.approx(0.40540, abs=5e-6)
    assert one_minute.p_abandon == pytest.approx(0.03942, abs=5e-6)


def test_more_calls_than_agents_can_take() -> None:
    queue = ErlangA(50, 55 / 60, 60.0, 120.0)
    assert queue.p_wait == pytest.approx(0.86623, abs=5e-6)
    assert queue.p_abandon == pytest.approx(0.10208, abs=5e-6)
    assert queue.occupancy == pytest.approx(0.98771, abs=5e-6)


def test_a_waiting_room_of_thirty() -> None:
    queue = FiniteQueue(90, 30, 8.4 / 60, 600.0)
    assert queue.load == pytest.approx(84.0)
    assert queue.p_block == pytest.approx(0.003643, abs=5e-7)
    assert queue.mean_wait_s / 60 == pytest.approx(0.4500, abs=5e-5)
    assert queue.p_wait == pytest.approx(0.3783, abs=5e-5)
    assert queue.service_level(30.0) == pytest.approx(0.7329, abs=5e-5)


# -- against the definitions, in exact fractions -----------------------------------------------------------------------


def birth_and_death(up: list[Fraction], down: list[Fraction]) -> list[Fraction]:
    """Stationary shares of states 0..n from the rates between neighbours."""
    weights = [Fraction(1)]
    for rise, fall in zip(up, down, strict=True):
        weights.append(weights[-1] * rise / fall)
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize(("agents", "places", "load"), [(1, 0, 2), (3, 4, 2), (4, 9, 4), (2, 6, 11), (7, 1, 5)])
def test_a_bounded_queue_equals_its_definition(agents: int, places: int, load: int) -> None:
    handle_s = 30.0
    states = agents + places
    shares = birth_and_death([Fraction(load)] * states, [Fraction(min(n, agents)) for n in range(1, states + 1)])
    queue = FiniteQueue(agents, places, load / handle_s, handle_s)
    assert queue.p_block == pytest.approx(float(shares[-1]), rel=1e-12)
    assert queue.p_wait == pytest.approx(float(sum(shares[agents:-1])), rel=1e-12, abs=1e-15)
    assert queue.mean_queue == pytest.approx(float(sum((n - agents) * p for n, p in enumerate(shares) if n > agents)))
    assert queue.occupancy == pytest.approx(float(sum(min(n, agents) * p for n, p in enumerate(shares)) / agents))
    assert queue.service_level(0.0) == pytest.approx(float(sum(shares[:agents]) / (1 - shares[-1])))
    assert queue.service_level(1e6) == pytest.approx(1.0)
    if places == 0:
        assert queue.p_block == pytest.approx(erlang_b(agents, load), rel=1e-12)


@pytest.mark.parametrize(("agents", "load", "patience"), [(1, 2, 1), (3, 2, 4), (4, 9, 2), (6, 6, 1)])
def test_impatience_equals_its_definition(agents: int, load: int, patience: int) -> None:
    handle_s, states = 30.0, 160
    leaving = [Fraction(min(n, agents)) + Fraction(max(0, n - agents), patience) for n in range(1, states + 1)]
    shares = birth_and_death([Fraction(load)] * states, leaving)
    queue = ErlangA(agents, load / handle_s, handle_s, patience * handle_s)
    waiting = sum((n - agents) * p for n, p in enumerate(shares) if n > agents)
    assert queue.p_wait == pytest.approx(float(sum(shares[agents:])), rel=1e-12)
    assert queue.mean_queue == pytest.approx(float(waiting), rel=1e-12)
    assert queue.p_abandon == pytest.approx(float(waiting / patience / load), rel=1e-12)
    assert queue.occupancy == pytest.approx(float(sum(min(n, agents) * p for n, p in enumerate(shares)) / agents))
    assert queue.service_level(0.0) == pytest.approx(1 - queue.p_wait)
    assert queue.service_level(1e6) == pytest.approx(1 - queue.p_abandon)
    for threshold in (0.1, 1.0, 3.0):
        plain = float(sum(shares[:agents])) + sum(
            float(shares[agents + ahead]) * answered_in_time(agents, patience, ahead, threshold) for ahead in range(30)
        )
        assert queue.service_level(threshold * handle_s) == pytest.approx(plain, abs=1.5e-3)


def answered_in_time(agents: int, patience: float, ahead: int, threshold: float, steps: int = 400) -> float:
    """Served within ``threshold`` and not gone before, with ``ahead`` callers ahead: small steps in time, nothing else.

    ``at[n]``: the chance that he is still there with n callers ahead of him.
    """
    step = threshold / steps
    at = [0.0] * ahead + [1.0]
    served = 0.0
    for _ in range(steps):
        served += at[0] * agents * step
        moved = [at[n + 1] * (agents + (n + 1) / patience) * step if n < ahead else 0.0 for n in range(ahead + 1)]
        at = [
            value * (1 - (agents + (n + 1) / patience) * step) + gained
            for n, (value, gained) in enumerate(zip(at, moved, strict=True))
        ]
    return served


# -- large and small ---------------------------------------------------------------------------------------------------


def test_nothing_overflows_or_cancels_where_numbers_are_large() -> None:
    # For load = servers, B is about sqrt(2 / (pi n))
    assert erlang_b(1_000_000, 1_000_000.0) == pytest.approx(math.sqrt(2 / (math.pi * 1e6)), rel=1e-3)
    assert erlang_c(10_000, 10_000 - 100.0) == pytest.approx(halfin_whitt(1.0), abs=3e-3)
    assert erlang_b(10_000, 1.0) == 0.0
    flooded = ErlangA(5, 10.0, 60.0, 600.0)
    assert flooded.p_abandon == pytest.approx(1 - 5 / 600)
    assert flooded.mean_wait_s == pytest.approx(600 * (1 - 5 / 600))
    assert FiniteQueue(5, 1_000, 10.0, 60.0).p_block == pytest.approx(1 - 5 / 600)
    idle = ErlangA(2_000, 1.0, 60.0, 10.0)
    assert (idle.p_wait, idle.mean_wait_s, idle.service_level(1.0)) == (0.0, 0.0, 1.0)
    assert FiniteQueue(2_000, 10, 10.0, 60.0).service_level(1.0) == 1.0


def test_without_impatience_erlang_a_is_erlang_c() -> None:
    endless = ErlangA(14, 100 / 1800, 180.0, 1e12)
    patient = ErlangC(14, 100 / 1800, 180.0)
    assert endless.p_wait == pytest.approx(patient.p_wait, rel=1e-6)
    assert endless.mean_wait_s == pytest.approx(patient.mean_wait_s, rel=1e-6)
    assert endless.service_level(20.0) == pytest.approx(patient.service_level(20.0), rel=1e-6)


def test_staffing() -> None:
    assert [square_root_staffing(100.0, quality) for quality in (0.0, 0.5, 1.0, 2.0)] == [100, 105, 110, 120]
    assert square_root_staffing(0.0, 1.0) == 0
    assert halfin_whitt(quality_for(0.2)) == pytest.approx(0.2)
    assert halfin_whitt(0.0) == 1.0
    # 80 % within 20 s: the first number of agents that does it, and not one fewer
    needed = agents_for(100 / 1800, 180.0, service_level=0.8, threshold_s=20.0)
    assert ErlangC(needed, 100 / 1800, 180.0).service_level(20.0) >= 0.8
    assert ErlangC(needed - 1, 100 / 1800, 180.0).service_level(20.0) < 0.8
    assert agents_for(0.001, 10.0, service_level=0.5, threshold_s=20.0) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: erlang_b(-1, 1.0),
        lambda: erlang_b(1, math.nan),
        lambda: load_at_blocking(0, 0.1),
        lambda: load_at_blocking(3, 1.0),
        lambda: ErlangC(10, 1.0, 10.0),
        lambda: ErlangC(0, 1.0, 10.0),
        lambda: ErlangA(1, 1.0, 1.0, 0.0),
        lambda: ErlangA(1, 1e9, 1.0, 1e9).p_wait,
        lambda: FiniteQueue(1, -1, 1.0, 1.0),
        lambda: quality_for(1.0),
        lambda: square_root_staffing(-1.0, 1.0),
        lambda: agents_for(1.0, 1.0, service_level=1.0, threshold_s=1.0),
    ],
)
def test_nonsense_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError):
        wrong()  # type: ignore[operator]


def test_a_load_of_nothing_and_no_server() -> None:
    assert (erlang_b(0, 0.0), erlang_b(0, 3.0), erlang_b(4, 0.0)) == (1.0, 1.0, 0.0)
    assert erlang_c(3, 3.0) == 1.0
    assert FiniteQueue(3, 2, 0.01, 1.0).service_level(0.0) == pytest.approx(1.0, abs=1e-5)
