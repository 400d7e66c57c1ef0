"""When callers call: processes that give one moment after the other, each from one stream. Seconds from the start."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from acd.sim.chance import Distribution

NextArrival = Callable[[], float]
"""The next moment at each call, never earlier than the one before; infinity when there is none."""


class Arrivals(Protocol):
    """A process of arrivals."""

    def drawn_from(self, stream: Random) -> NextArrival:
        """What gives the next moment at each call."""
        ...


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent callers. ``pieces``: (from s, calls/s), the first from 0, in order; with ``period_s`` they repeat."""

    pieces: tuple[tuple[float, float], ...]
    period_s: float | None = None

    @classmethod
    def steady(cls, per_s: float) -> Poisson:
        """At the same rate for ever."""
        return cls(((0.0, per_s),))

    def drawn_from(self, stream: Random) -> NextArrival:
        uniform, log = stream.random, math.log
        now = 0.0
        if len(self.pieces) == 1:
            rate = self.pieces[0][1]
            if rate <= 0.0:
                return lambda: math.inf

            def steady() -> float:
                nonlocal now
                now -= log(1.0 - uniform()) / rate
                return now

            return steady
        ends = [start for start, _ in self.pieces[1:]] + [self.period_s or math.inf]
        rates = [rate for _, rate in self.pieces]
        if not any(rates):
            return lambda: math.inf
        index, base = 0, 0.0

        def stepped() -> float:
            """One exponential a call, spent on the area under the rate: the same callers come sooner or later."""
            nonlocal now, index, base
            left = -log(1.0 - uniform())
            while now < math.inf:
                end = base + ends[index]
                room = (end - now) * rates[index] if rates[index] else 0.0
                if left <= room and rates[index]:
                    now += left / rates[index]
                    return now
                left -= room
                now = end
                index += 1
                if index == len(rates):
                    index, base = 0, end
            return math.inf

        return stepped


@dataclass(frozen=True, slots=True)
class Renewal:
    """Gaps of one distribution: fixed ones are a metronome, uneven ones come in bunches."""

    gap: Distribution

    def drawn_from(self, stream: Random) -> NextArrival:
        draw, now = self.gap.drawn_from(stream), 0.0

        def following() -> float:
            nonlocal now
            now += draw()
            return now

        return following


@dataclass(frozen=True, slots=True)
class Listed:
    """Exactly these moments, in order."""

    times_s: tuple[float, ...]

    def drawn_from(self, stream: Random) -> NextArrival:
        left = iter(self.times_s)
        return lambda: next(left, math.inf)
