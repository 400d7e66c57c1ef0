"""How sure a simulated figure is: ratios over batches with Student's t, and how evenly work was shared.

A figure is a ratio of sums (waiting seconds per call, calls answered per call offered). Over B batches of equal length
its half-width is t * s / (mean denominator * sqrt B), s the spread of numerator - ratio * denominator: the classical
ratio estimator (Law, Simulation Modeling and Analysis, chapter 9). Honest if batches are long compared with busy spells:
``lag`` tells. Numbers in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Estimate:
    """A figure and its confidence half-width (None with fewer than two batches)."""

    value: float
    half_width: float | None

    @property
    def low(self) -> float:
        """The lower end; minus infinity when nothing is known."""
        return -math.inf if self.half_width is None else self.value - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return math.inf if self.half_width is None else self.value + self.half_width

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies within."""
        return self.low <= value <= self.high


def ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    confidence: float,
    luck: Sequence[float] | None = None,
) -> Estimate | None:
    """Sum of ``numerators`` / sum of ``denominators``, a pair a batch; None when there is nothing to divide by.

    ``luck``: something known to be 0 on average that goes with the figure, such as the work that came in a batch beyond
    what was to be expected. What it explains is taken off, value and half-width alike (a control variate: Lavenberg and
    Welch 1981): callers who happened to talk for long do not make the model look slow.
    """
    total = math.fsum(denominators)
    if total <= 0:
        return None
    value, count = math.fsum(numerators) / total, len(denominators)
    if count < 2:
        return Estimate(value, None)
    errors = [above - value * below for above, below in zip(numerators, denominators, strict=True)]
    if luck is not None and count > 3:
        mean = math.fsum(luck) / count
        power = math.fsum((x - mean) ** 2 for x in luck)
        if power > 0:
            slope = math.fsum((x - mean) * error for x, error in zip(luck, errors, strict=True)) / power
            left = math.fsum((error - slope * (x - mean)) ** 2 for x, error in zip(luck, errors, strict=True))
            spread = math.sqrt(left / (count - 2) * (1 / count + mean * mean / power))
            half_width = student_t(confidence, count - 2) * spread * count / total
            return Estimate(value - slope * mean * count / total, half_width)
    spread = math.sqrt(math.fsum(error * error for error in errors) / (count - 1))
    return Estimate(value, student_t(confidence, count - 1) * spread * math.sqrt(count) / total)


def lag(numerators: Sequence[float], denominators: Sequence[float]) -> float | None:
    """The correlation of a batch with the next, -1..1: far above 0, batches are too short. None where it means nothing."""
    total = math.fsum(denominators)
    if len(denominators) < 3 or total <= 0:
        return None
    value = math.fsum(numerators) / total
    errors = [above - value * below for above, below in zip(numerators, denominators, strict=True)]
    power = math.fsum(error * error for error in errors)
    if power == 0:
        return None
    return math.fsum(one * two for one, two in pairwise(errors)) / power


@lru_cache(maxsize=64)
def student_t(confidence: float, freedom: int) -> float:
    """t such that a variable of ``freedom`` degrees (1 or more) lies within +-t with probability ``confidence``."""
    if not 0 < confidence < 1 or freedom < 1:
        raise ValueError(f"confidence between 0 and 1 and at least 1 degree, not {confidence} and {freedom}")
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        low, high = high, high * 2
    while low < (middle := (low + high) / 2) < high:
        if _within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return high


def _within(t: float, freedom: int) -> float:
    """P(-t < T < t), exact for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for n in range(3 if odd else 2, freedom - 1, 2):
        term *= square * (n - 1) / n
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def gini(shares: Sequence[float]) -> float:
    """0: all alike; towards 1: one has everything."""
    ordered = sorted(shares)
    total = math.fsum(ordered)
    if total <= 0:
        return 0.0
    count = len(ordered)
    return math.fsum((2 * rank - count - 1) * share for rank, share in enumerate(ordered, 1)) / (count * total)


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Nearest rank in values that are in order; None for none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
