"""Chance: one stream of random numbers for every purpose, and the distributions that are drawn from them.

Every stream is made from the seed and its own name, so a change in one (another distribution, one agent more) leaves
what all the others draw as it was: two policies meet the very same callers. No arrivals, no floor.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from random import Random
from typing import Protocol

from acd.domain.values import valueclass

Draw = Callable[[], float]


@valueclass(frozen=True, slots=True)
class Streams:
    """The streams of one replication of one seed."""

    seed: int
    replication: int

    def stream(self, name: str) -> Random:
        """A fresh stream; the same name always gives the same numbers."""
        # Seeding by a text hashes it with SHA-512: equal everywhere, and no two names are near each other
        return Random(f"{self.seed}/{self.replication}/{name}")


class Distribution(Protocol):
    """Lengths of time, in seconds, never negative."""

    @property
    def mean_s(self) -> float: ...

    def drawn_from(self, stream: Random) -> Draw:
        """What gives the next value at each call, from ``stream``."""
        ...


@valueclass(frozen=True, slots=True)
class Fixed:
    """Always the same."""

    value_s: float

    @property
    def mean_s(self) -> float:
        return self.value_s

    def drawn_from(self, stream: Random) -> Draw:
        value = self.value_s
        return lambda: value


@valueclass(frozen=True, slots=True)
class Exponential:
    """Without memory: what queueing formulas assume."""

    mean_s: float

    def drawn_from(self, stream: Random) -> Draw:
        mean, uniform, log = self.mean_s, stream.random, math.log
        return lambda: -log(1.0 - uniform()) * mean


@valueclass(frozen=True, slots=True)
class Uniform:
    """Anything from ``least_s`` to ``most_s``, equally likely."""

    least_s: float
    most_s: float

    @property
    def mean_s(self) -> float:
        return (self.least_s + self.most_s) / 2

    def drawn_from(self, stream: Random) -> Draw:
        least, width, uniform = self.least_s, self.most_s - self.least_s, stream.random
        return lambda: least + width * uniform()


@valueclass(frozen=True, slots=True)
class LogNormal:
    """What handling times mostly look like (Brown et al. 2005). ``cv`` is standard deviation / mean."""

    mean_s: float
    cv: float

    def drawn_from(self, stream: Random) -> Draw:
        variance = math.log(1.0 + self.cv * self.cv)
        middle, spread = math.log(self.mean_s) - variance / 2, math.sqrt(variance)
        gauss, exp = stream.gauss, math.exp
        return lambda: exp(gauss(middle, spread))


@valueclass(frozen=True, slots=True)
class Gamma:
    """Between fixed and exponential when ``cv`` < 1 (Erlang-k: cv = 1/sqrt k), more uneven when above."""

    mean_s: float
    cv: float

    def drawn_from(self, stream: Random) -> Draw:
        shape, variate = 1.0 / (self.cv * self.cv), stream.gammavariate
        scale = self.mean_s / shape
        return lambda: variate(shape, scale)


@valueclass(frozen=True, slots=True)
class Weibull:
    """Patience: with ``shape`` < 1 those who have waited long wait on, above 1 they tire."""

    mean_s: float
    shape: float

    def drawn_from(self, stream: Random) -> Draw:
        scale, power = self.mean_s / math.gamma(1.0 + 1.0 / self.shape), 1.0 / self.shape
        uniform, log = stream.random, math.log
        return lambda: scale * (-log(1.0 - uniform())) ** power


@valueclass(frozen=True, slots=True)
class Sample:
    """One of the values, equally likely: what was measured."""

    values_s: tuple[float, ...]

    @property
    def mean_s(self) -> float:
        return math.fsum(self.values_s) / len(self.values_s)

    def drawn_from(self, stream: Random) -> Draw:
        values, count, uniform = self.values_s, len(self.values_s), stream.random
        return lambda: values[int(uniform() * count)]


@valueclass(frozen=True, slots=True)
class Mixture:
    """Of several kinds, each with its weight."""

    parts: tuple[tuple[float, Distribution], ...]

    @property
    def mean_s(self) -> float:
        total = math.fsum(weight for weight, _ in self.parts)
        return math.fsum(weight * part.mean_s for weight, part in self.parts) / total

    def drawn_from(self, stream: Random) -> Draw:
        draws = [part.drawn_from(stream) for _, part in self.parts]
        pick = _picker([weight for weight, _ in self.parts], stream)
        return lambda: draws[pick()]()


@valueclass(frozen=True, slots=True)
class Choice:
    """Texts with weights: attributes of calls, numbers of callers."""

    weights: Mapping[str, float]

    def drawn_from(self, stream: Random) -> Callable[[], str]:
        """What gives the next text at each call."""
        texts = list(self.weights)
        if len(texts) == 1:
            return lambda: texts[0]
        pick = _picker(list(self.weights.values()), stream)
        return lambda: texts[pick()]


def _picker(weights: list[float], stream: Random) -> Callable[[], int]:
    """What gives the number of one of ``weights`` at each call."""
    upto = list(accumulate(weights))
    total, last, uniform = upto[-1], len(upto) - 1, stream.random
    return lambda: min(last, bisect_right(upto, uniform() * total))
