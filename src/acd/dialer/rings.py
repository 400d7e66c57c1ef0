"""When lines are answered, and how often: two distributions over ring age and one answer rate a segment of the list.

Of a line that has rung for a: P(a person answers by a + u) = p (G(a+u) - G(a)) / (p (1 - G(a)) + (1-p) (1 - M(a))), where
G is the distribution of the age at which people answer, M of the age at which everything else ends (busy, machine, nobody)
and p the answer rate. The shapes change slowly, the rate within the hour: so they are learned apart. The rate is a Beta
estimate that fades with time, that of a segment shrunk to the campaign's, that of the campaign to its longer memory.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from acd.domain.values import valueclass

BIN_S = 0.5
BINS = 240
"""Two minutes; what rings longer counts as two minutes old."""
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""The quantiles of the age at which people answer, at which a decision looks ahead."""
SEGMENTS_MAX = 1_000
BREAK_S = 3_600.0
"""After so long without a line, what was learned before tells little of what comes: it is another morning."""
_OVER_A_BREAK = 600.0
"""Lines that count for no more than so many after a break, and fade from there."""
_SCALE_MAX = 1e12


@valueclass(frozen=True, slots=True)
class RingCurve:
    """``answered[i]``: share of people who answer who have done so by i half seconds; ``over[i]``: of all other lines,
    those that have ended. ``looks``: the quantiles of the first, in half seconds."""

    answered: tuple[float, ...]
    over: tuple[float, ...]
    looks: tuple[int, ...]

    def answers(self, rate: float, age: int, within: int) -> float:
        """P(a person answers within ``within`` half seconds | it has rung ``age`` half seconds)."""
        here = self.answered[min(age, BINS)]
        left = rate * (1.0 - here) + (1.0 - rate) * (1.0 - self.over[min(age, BINS)])
        if left <= 1e-12:
            return 0.0
        return min(1.0, rate * (self.answered[min(age + within, BINS)] - here) / left)


@dataclass(slots=True)
class Rings:
    """Ages at which lines were answered by people, and at which they ended otherwise; old ones fade. Until lines tell,
    people answer after ``prior_s`` on average, the rest ends after ``prior_over_s``."""

    prior_s: float = 12.0
    prior_over_s: float = 25.0
    fade: float = 0.9995
    people: list[float] = field(default_factory=lambda: [0.0] * BINS)
    others: list[float] = field(default_factory=lambda: [0.0] * BINS)
    weight: float = 1.0
    seen: int = 0

    def observe(self, ring_s: float, *, person: bool) -> None:
        """A line that ended after ringing for ``ring_s``."""
        if not ring_s >= 0:
            raise ValueError(f"a line cannot ring for {ring_s} s")
        (self.people if person else self.others)[min(BINS - 1, int(ring_s / BIN_S))] += self.weight
        self.weight /= self.fade
        self.seen += 1
        if self.weight > _SCALE_MAX:
            for counts in (self.people, self.others):
                counts[:] = [count / self.weight for count in counts]
            self.weight = 1.0

    def curve(self) -> RingCurve:
        """The two distributions as they are known now."""
        prior = [0.0] * BINS
        for index in range(BINS):
            # Rises, then falls: nobody answers at once, few after half a minute
            at = (index + 0.5) * BIN_S
            prior[index] = at * math.exp(-2.0 * at / self.prior_s)
        answered = _distribution(self.people, prior, 8.0 * self.weight)
        lost = [0.0] * BINS
        lost[min(BINS - 1, int(self.prior_over_s / BIN_S))] = 1.0
        over = _distribution(self.others, lost, 8.0 * self.weight)
        looks = tuple(max(1, next(i for i, share in enumerate(answered) if share >= at)) for at in SHARES)
        return RingCurve(answered, over, looks)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes this of again."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Rings:
        """Of what `as_json` gave. Raises ValueError when it does not fit these bins."""
        if len(saved["people"]) != BINS or len(saved["others"]) != BINS:
            raise ValueError(f"saved rings have {len(saved['people'])} bins, not {BINS}")
        return cls(**{**saved, "people": list(saved["people"]), "others": list(saved["others"])})


def _distribution(counts: list[float], prior: list[float], prior_weight: float) -> tuple[float, ...]:
    whole = math.fsum(prior)
    mixed = [count + prior_weight * share / whole for count, share in zip(counts, prior, strict=True)]
    upto = list(accumulate(mixed, initial=0.0))
    return tuple(min(1.0, value / upto[-1]) for value in upto)


@dataclass(slots=True)
class _Tally:
    """Lines that ended and people among them, fading with time."""

    lines: float = 0.0
    people: float = 0.0
    at_s: float = 0.0
    fresh: int = 0
    """lines since the last break"""

    def faded(self, now_s: float, memory_s: float) -> tuple[float, float]:
        gap_s = max(0.0, now_s - self.at_s)
        left = math.exp(-gap_s / memory_s)
        if gap_s > BREAK_S and self.lines > _OVER_A_BREAK:
            left *= _OVER_A_BREAK / self.lines
        return self.lines * left, self.people * left

    def add(self, now_s: float, memory_s: float, person: bool) -> None:
        lines, people = self.faded(now_s, memory_s)
        self.fresh = self.lately(now_s) + 1
        self.lines, self.people = lines + 1.0, people + person
        self.at_s = max(self.at_s, now_s)

    def lately(self, now_s: float) -> int:
        return self.fresh if now_s - self.at_s <= BREAK_S else 0

    def as_json(self) -> list[float]:
        return [self.lines, self.people, self.at_s, self.fresh]


@dataclass(slots=True)
class AnswerRate:
    """Which share of lines a person answers. ``memory_s`` and ``memory_min_lines``: what the campaign remembers (the longer
    of the two); ``long_s``: its longer memory; ``shrink``: lines that the longer memory, and the campaign towards a
    segment, count as."""

    prior: float = 0.3
    prior_lines: float = 20.0
    memory_s: float = 900.0
    long_s: float = 14_400.0
    shrink: float = 150.0
    campaign: _Tally = field(default_factory=_Tally)
    long: _Tally = field(default_factory=_Tally)
    segments: OrderedDict[str, _Tally] = field(default_factory=OrderedDict)

    def observe(self, now_s: float, segment: str, *, person: bool) -> None:
        """A line that ended."""
        self.campaign.add(now_s, self.memory_s, person)
        self.long.add(now_s, self.long_s, person)
        if segment:
            tally = self.segments.setdefault(segment, _Tally())
            self.segments.move_to_end(segment)
            tally.add(now_s, self.memory_s, person)
            if len(self.segments) > SEGMENTS_MAX:
                self.segments.popitem(last=False)

    def rate(self, now_s: float, segment: str = "") -> tuple[float, float]:
        """The answer rate, 0.001 to 0.999, and the lines it rests on."""
        lines, people = self.long.faded(now_s, self.long_s)
        value = (people + self.prior * self.prior_lines) / (lines + self.prior_lines)
        rests_on = min(lines + self.prior_lines, self.shrink)
        levels = [self.campaign]
        if segment and segment in self.segments:
            levels.append(self.segments[segment])
        for tally in levels:
            lines, people = tally.faded(now_s, self.memory_s)
            value = (people + value * rests_on) / (lines + rests_on)
            rests_on = lines + rests_on
            if tally is self.campaign:
                known, rests_on = rests_on, min(rests_on, self.shrink)
            else:
                known = rests_on
        return min(0.999, max(0.001, value)), known

    def lately(self, now_s: float, segments: Iterable[str]) -> int:
        """Lines that have ended since the last break: of the campaign, or of the one of these segments that has fewest."""
        told = [self.campaign.lately(now_s)]
        for segment in segments:
            tally = self.segments.get(segment)
            if segment:
                told.append(0 if tally is None else tally.lately(now_s))
        return min(told)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes this of again."""
        return {
            "settings": [self.prior, self.prior_lines, self.memory_s, self.long_s, self.shrink],
            "campaign": self.campaign.as_json(),
            "long": self.long.as_json(),
            "segments": [[name, *tally.as_json()] for name, tally in self.segments.items()],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> AnswerRate:
        """Of what `as_json` gave."""
        rate = cls(*saved["settings"])
        rate.campaign, rate.long = _Tally(*saved["campaign"]), _Tally(*saved["long"])
        rate.segments = OrderedDict((name, _Tally(*rest)) for name, *rest in saved["segments"])
        return rate
