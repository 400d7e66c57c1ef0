"""Sums of unlike coins: the quick distributions against the exact one, built coin by coin."""

from __future__ import annotations

import math

import pytest
from dialerkit import distribution, nobody_left
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer.odds import NOTHING, Moments, at_most, coin, counts, missing, none_left, shortfall

chances = st.lists(st.floats(0.001, 0.999), max_size=14)


def total(coins: list[float]) -> Moments:
    found = NOTHING
    for chance in coins:
        found = found.plus(coin(chance))
    return found


@pytest.mark.parametrize(("number", "chance"), [(1, 0.3), (7, 0.5), (40, 0.02), (12, 0.9)])
def test_equal_coins_are_binomial(number: int, chance: float) -> None:
    shares = counts(total([chance] * number))
    for hits in range(min(len(shares), number + 1)):
        expected = math.comb(number, hits) * chance**hits * (1 - chance) ** (number - hits)
        assert shares[hits] == pytest.approx(expected, abs=1e-7)


@settings(max_examples=100, deadline=None)
@given(chances)
def test_a_distribution_has_the_mean_of_its_coins(coins: list[float]) -> None:
    shares = counts(total(coins))
    assert math.fsum(shares) == pytest.approx(1.0)
    assert min(shares) >= 0
    # The number of coins is not whole, so the last is cut off: by less than one coin
    assert math.fsum(i * share for i, share in enumerate(shares)) == pytest.approx(sum(coins), abs=0.35)


@settings(max_examples=100, deadline=None)
@given(st.integers(-3, 6), st.lists(st.floats(0.01, 0.3), max_size=10), st.lists(st.floats(0.05, 0.6), max_size=12))
def test_nobody_left_is_near_the_exact_chance(start: int, frees: list[float], answers: list[float]) -> None:
    upto = [math.fsum(counts(total(frees))[: i + 1]) for i in range(len(counts(total(frees))))]
    assert none_left(start, upto, total(answers)) == pytest.approx(nobody_left(start, frees, answers), abs=0.06)


def test_nobody_left_known_values() -> None:
    """One agent, two lines at 0.3: nobody is left unless no one answers."""
    assert none_left(1, [1.0], total([0.3, 0.3])) == pytest.approx(1 - 0.7**2)
    assert none_left(2, [1.0], total([0.3, 0.3])) == pytest.approx(0.3**2)
    assert none_left(3, [1.0], total([0.3, 0.3])) == 0.0
    assert none_left(0, [0.4, 1.0], NOTHING) == pytest.approx(0.4), "nobody idle, one comes free with 0.6"
    assert none_left(-1, [0.4, 1.0], NOTHING) == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.05, 0.95), min_size=40, max_size=80), st.integers(-2, 2))
def test_many_coins_are_nearly_normal(coins: list[float], shift: int) -> None:
    moments = total(coins)
    value = round(moments.mean + shift * math.sqrt(moments.variance))
    exact = math.fsum(distribution(coins)[: max(0, value + 1)])
    assert at_most(value, moments) == pytest.approx(exact, abs=0.003)


@settings(max_examples=80, deadline=None)
@given(st.integers(-2, 4), st.lists(st.floats(0.1, 0.4), max_size=6), st.lists(st.floats(0.1, 0.5), max_size=10))
def test_missing_is_the_mean_beyond_the_agents(start: int, frees: list[float], answers: list[float]) -> None:
    mean, variance = missing(start, counts(total(frees)), total(answers))
    free, answered = distribution(frees), distribution(answers)
    exact = math.fsum(
        f * a * max(0, j - i - start) for i, f in enumerate(free) for j, a in enumerate(answered)
    )  # fmt: skip
    assert mean == pytest.approx(exact, abs=0.25)
    assert variance >= 0


def test_missing_known_value() -> None:
    """One agent, two lines at 0.5: one is missing when both answer."""
    mean, variance = missing(1, [1.0], total([0.5, 0.5]))
    assert mean == pytest.approx(0.25)
    assert variance == pytest.approx(0.25 * 0.75)


def test_shortfall_of_a_normal() -> None:
    """E max(0, -X) of a standard normal is 1 / sqrt(2 pi), its second moment a half."""
    mean, variance = shortfall(Moments(0.0, 1.0, 0.0))
    assert mean == pytest.approx(0.3989423)
    assert variance == pytest.approx(0.5 - 0.3989423**2)
    assert shortfall(Moments(-2.0, 0.0, 0.0)) == (2.0, 0.0)
