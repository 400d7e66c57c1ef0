"""Confidence intervals: their ingredients against tables, and that they hold the truth as often as they say."""

from __future__ import annotations

import math
from random import Random

import pytest

from acd.sim.estimates import Estimate, gini, lag, percentile, ratio, student_t


@pytest.mark.parametrize(
    ("confidence", "freedom", "t"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.30265),
        (0.95, 3, 3.18245),
        (0.95, 19, 2.09302),
        (0.99, 4, 4.60409),
        (0.99, 19, 2.86093),
        (0.90, 7, 1.89458),
        (0.95, 1000, 1.96234),
    ],
)
def test_students_t(confidence: float, freedom: int, t: float) -> None:
    assert student_t(confidence, freedom) == pytest.approx(t, abs=1e-5 * t)


def test_nonsense_is_refused() -> None:
    for confidence, freedom in ((1.0, 5), (0.0, 5), (0.5, 0)):
        with pytest.raises(ValueError):
            student_t(confidence, freedom)


def test_a_ratio_of_sums_is_no_mean_of_ratios() -> None:
    found = ratio([1.0, 30.0], [10.0, 100.0], 0.95)
    assert found is not None
    assert found.value == pytest.approx(31 / 110)
    assert ratio([1.0], [0.0], 0.95) is None
    assert ratio([], [], 0.95) is None
    assert ratio([1.0], [4.0], 0.95) == Estimate(0.25, None)


def test_without_batches_nothing_is_excluded() -> None:
    unknown = Estimate(0.25, None)
    assert unknown.holds(1e9)
    assert (unknown.low, unknown.high) == (-math.inf, math.inf)
    assert not Estimate(0.25, 0.1).holds(0.4)


@pytest.mark.parametrize("adjusted", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(adjusted: bool) -> None:
    """600 experiments of 20 batches: at 95 % confidence 570 hold it, give or take four standard errors."""
    r, held, widths = Random(5), 0, 0.0
    for _ in range(600):
        luck = [r.gauss(0.0, 1.0) for _ in range(20)]
        counts = [100.0 + 5 * x + r.gauss(0.0, 5.0) for x in luck]
        sums = [2.0 * count + 30 * x + r.gauss(0.0, 10.0) for count, x in zip(counts, luck, strict=True)]
        found = ratio(sums, counts, 0.95, luck if adjusted else None)
        assert found is not None
        assert found.half_width is not None
        held += found.holds(2.0)
        widths += found.half_width / 600
    assert 570 - 22 <= held <= 570 + 22
    # What luck explains is taken off: sqrt(30^2 + 10^2) against 10
    assert widths == pytest.approx(0.0484 if adjusted else 0.148, rel=0.1)


def test_luck_that_never_varies_explains_nothing() -> None:
    assert ratio([1.0, 2.0, 3.0, 5.0], [4.0] * 4, 0.95, [0.0] * 4) == ratio([1.0, 2.0, 3.0, 5.0], [4.0] * 4, 0.95)


def test_lag_tells_batches_that_hang_together() -> None:
    r = Random(3)
    free = [r.gauss(0.0, 1.0) for _ in range(2_000)]
    tied, last = [], 0.0
    for step in free:
        last = 0.8 * last + step
        tied.append(last)
    ones = [1.0] * len(free)
    assert lag(free, ones) == pytest.approx(0.0, abs=0.09)
    assert lag(tied, ones) == pytest.approx(0.8, abs=0.06)
    assert lag([1.0, 2.0], [1.0, 1.0]) is None
    assert lag([1.0] * 5, [1.0] * 5) is None


def test_gini() -> None:
    assert gini([3.0, 3.0, 3.0]) == pytest.approx(0.0)
    assert gini([0.0, 0.0, 0.0, 1.0]) == pytest.approx(0.75)
    assert gini([1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.25)
    assert gini([]) == gini([0.0, 0.0]) == 0.0


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (0, 1, 50, 90, 99, 100)] == [1.0, 1.0, 50.0, 90.0, 99.0, 100.0]
    assert percentile([], 50) is None
