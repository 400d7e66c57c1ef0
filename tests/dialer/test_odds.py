"""Sums of unlike coins: the quick distributions against the exact one, built coin by coin."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
from dialerkit import distribution, nobody_left
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer.odds import NOTHING, Moments, at_most, coin, counts, none_left

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
    assert at_most(value, *moments) == pytest.approx(exact, abs=0.003)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.floats(0.05, 0.5), max_size=8),
    st.lists(st.floats(0.02, 0.3), min_size=2, max_size=20),
)
def test_what_is_said_to_happen_hardly_ever_does(spare: int, frees: list[float], answers: list[float]) -> None:
    """Far out, where the ledger asks: 6 in 10,000 are 15 at most."""
    said = none_left(spare, list(accumulate(counts(total(frees)))), total(answers))
    assert said > 0.0006 or nobody_left(spare, frees, answers) < 0.0015
