"""How likely it is that more people have answered than agents are free: sums of unlike coins.

X = agents who come free - people who answer, each an independent coin. Few coins: both sums as binomial distributions with
their mean and variance (Ehm 1991, "Binomial approximation to the Poisson binomial distribution"). Many: the normal
distribution corrected for skewness and whole numbers, the refined normal approximation of Hong 2013, "On computing the
distribution function for the Poisson binomial distribution" (after Volkova 1996). Numbers in, numbers out.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

_ROOT_2 = math.sqrt(2.0)
_ROOT_2_PI = math.sqrt(2.0 * math.pi)
_SURE = 1e-9
"""A variance below this is none."""


class Moments(NamedTuple):
    """Mean, variance and third central moment: of a sum, the sums of its parts'."""

    mean: float
    variance: float
    third: float

    def plus(self, other: Moments, times: float = 1.0) -> Moments:
        """The sum of this and ``times`` independent others."""
        return Moments(
            self.mean + times * other.mean,
            self.variance + times * other.variance,
            self.third + times * other.third,
        )


NOTHING = Moments(0.0, 0.0, 0.0)


def coin(chance: float) -> Moments:
    """Of one that is 1 with ``chance``, else 0."""
    variance = chance * (1.0 - chance)
    return Moments(chance, variance, variance * (1.0 - 2.0 * chance))


def at_most(value: float, mean: float, variance: float, third: float) -> float:
    """P(X <= value) for a whole-numbered X with these moments, ``value`` whole."""
    if variance < _SURE:
        return 1.0 if mean < value + 0.5 else 0.0
    deviation = math.sqrt(variance)
    z = (value + 0.5 - mean) / deviation
    height = math.exp(-0.5 * z * z) / _ROOT_2_PI if -38.0 < z < 38.0 else 0.0
    refined = 0.5 * math.erfc(-z / _ROOT_2) + third / (6.0 * variance * deviation) * (1.0 - z * z) * height
    return 1.0 if refined > 1.0 else 0.0 if refined < 0.0 else refined


def counts(of: Moments) -> list[float]:
    """P(0), P(1), ... of a sum of unlike coins: the binomial distribution with its mean and variance (Ehm 1991), whose
    number of coins need not be whole."""
    if of.mean < _SURE:
        return [1.0]
    ratio = max(_SURE, 1.0 - of.variance / of.mean)
    coins = of.mean / ratio
    odds = ratio / max(_SURE, 1.0 - ratio)
    share = math.exp(coins * math.log1p(-min(ratio, 1.0 - _SURE)))
    shares = [share]
    total, number = share, 0
    while number < coins and (number < of.mean or share > 1e-9):
        share *= (coins - number) / (number + 1) * odds
        shares.append(share)
        total += share
        number += 1
    return [share / total for share in shares]


def none_left(start: int, upto: Sequence[float], answers: Moments) -> float:
    """P(``start`` + F - A <= 0), F with the distribution function ``upto``."""
    if start > 0:
        shares = counts(answers)[start:]
    else:
        shares = counts(answers)
        upto = upto[-start:] or [1.0]
    sure = math.fsum(shares[len(upto) :])
    return min(1.0, math.fsum(map(operator.mul, shares, upto)) + sure)
