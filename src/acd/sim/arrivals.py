"""When callers call: processes that give one moment after the other, each from one stream. Seconds from the start."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Protocol

from acd.domain.values import valueclass
from acd.sim.chance import Distribution

NextArrival = Callable[[], float]
"""The next moment at each call, never earlier than the one before; infinity when there is none."""


class Arrivals(Protocol):
    """A process of arrivals."""

    def drawn_from(self, stream: Random) -> NextArrival:
        """What gives the next moment at each call."""
        ...

    def expected(self, start_s: float, end_s: float) -> float:
        """How many come between two moments, on average."""
        ...


@valueclass(frozen=True, slots=True)
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

    def expected(self, start_s: float, end_s: float) -> float:
        return self._until(end_s) - self._until(start_s)

    def _until(self, at_s: float) -> float:
        whole = 0.0
        if self.period_s is not None:
            periods, at_s = divmod(at_s, self.period_s)
            whole = periods * self._in_one(self.period_s)
        return whole + self._in_one(at_s)

    def _in_one(self, at_s: float) -> float:
        ends = [start for start, _ in self.pieces[1:]] + [math.inf]
        pieces = zip(self.pieces, ends, strict=True)
        return math.fsum(rate * max(0.0, min(at_s, end) - start) for (start, rate), end in pieces)


@valueclass(frozen=True, slots=True)
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

    def expected(self, start_s: float, end_s: float) -> float:
        return (end_s - start_s) / self.gap.mean_s


@valueclass(frozen=True, slots=True)
class Listed:
    """Exactly these moments, in order."""

    times_s: tuple[float, ...]

    def drawn_from(self, stream: Random) -> NextArrival:
        left = iter(self.times_s)
        return lambda: next(left, math.inf)

    def expected(self, start_s: float, end_s: float) -> float:
        return float(sum(start_s <= at < end_s for at in self.times_s))
