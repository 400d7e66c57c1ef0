"""How long agents talk and wrap up, learned: hazards over bins of age, and what is left at a given age.

Bins are a second wide for the first minute and grow by a twelfth from there. Calls broken off count for what they lasted
(censored observations: Kaplan and Meier 1958). Old observations fade: each new one weighs ``1/fade`` as much as the one
before. Until calls tell, an exponential prior speaks, as if some calls had been seen.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

LONGEST_S = 2_400
"""Whatever lasts longer is taken to be this old."""


def _edges() -> tuple[int, ...]:
    edges = list(range(61))
    while edges[-1] < LONGEST_S:
        edges.append(min(LONGEST_S, edges[-1] + max(2, edges[-1] // 12)))
    return tuple(edges)


EDGES = _edges()
BINS = len(EDGES) - 1
BIN_OF = tuple(min(BINS - 1, bisect_right(EDGES, second) - 1) for second in range(LONGEST_S + 1))
"""The bin of an age in whole seconds."""
_WIDTHS = tuple(float(after - before) for before, after in pairwise(EDGES))
_SCALE_MAX = 1e12
_STAYS_LEAST = 1e-6
"""So that nobody's future is divided by nothing."""


@dataclass(slots=True)
class Durations:
    """Observed lengths of one stage of many calls. ``prior_s``: the mean assumed, as if seen ``prior_calls`` times."""

    prior_s: float
    prior_calls: float = 5.0
    fade: float = 0.9995
    ended: list[float] = field(default_factory=lambda: [0.0] * BINS)
    censored: list[float] = field(default_factory=lambda: [0.0] * BINS)
    weight: float = 1.0
    seen: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.prior_s < math.inf or self.prior_calls <= 0:
            raise ValueError(f"a prior needs a positive mean and weight, not {self.prior_s} s and {self.prior_calls}")

    def observe(self, length_s: float, *, ended: bool = True) -> None:
        """A stage that lasted ``length_s``; not ``ended``: it was broken off by something else (a log-out)."""
        if not length_s >= 0:
            raise ValueError(f"a stage cannot last {length_s} s")
        (self.ended if ended else self.censored)[BIN_OF[int(min(length_s, LONGEST_S))]] += self.weight
        self.weight /= self.fade
        self.seen += 1
        if self.weight > _SCALE_MAX:
            for counts in (self.ended, self.censored):
                counts[:] = [count / self.weight for count in counts]
            self.weight = 1.0

    @property
    def mean_s(self) -> float:
        """The mean of those that ended, prior included."""
        middle = map(lambda edge, width: edge + width / 2, EDGES, _WIDTHS)
        total = math.fsum(n * at for n, at in zip(self.ended, middle, strict=False)) / self.weight
        return (total + self.prior_s * self.prior_calls) / (math.fsum(self.ended) / self.weight + self.prior_calls)

    def curve(self) -> tuple[float, ...]:
        """P(it lasts longer than s), for every whole second s from 0 to LONGEST_S. Never reaches 0."""
        unit = self.weight
        # As many calls as the prior stands for, fading out with age as the prior says
        reached = math.fsum(self.ended) + math.fsum(self.censored)
        prior_open = self.prior_calls * unit
        steps: list[float] = []
        for width, over, left in zip(_WIDTHS, self.ended, self.censored, strict=True):
            stays = math.exp(-width / self.prior_s)
            # Who is still on has been at risk for half a bin, on average
            ends = (over + prior_open * (1.0 - stays)) / (max(0.0, reached - left / 2) + prior_open)
            steps.extend([max(_STAYS_LEAST, 1.0 - ends) ** (1.0 / width)] * int(width))
            reached -= over + left
            prior_open = max(0.02 * self.prior_calls * unit, prior_open * stays)
        return tuple(accumulate(steps, lambda survived, step: survived * step, initial=1.0))

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes this of again."""
        return {
            "prior_s": self.prior_s,
            "prior_calls": self.prior_calls,
            "fade": self.fade,
            "ended": self.ended,
            "censored": self.censored,
            "weight": self.weight,
            "seen": self.seen,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Durations:
        """Of what `as_json` gave. Raises ValueError when it does not fit these bins."""
        kept = {**saved, "ended": list(saved["ended"]), "censored": list(saved["censored"])}
        if len(kept["ended"]) != BINS or len(kept["censored"]) != BINS:
            raise ValueError(f"saved durations have {len(kept['ended'])} bins, not {BINS}")
        return cls(**kept)


def exponential(mean_s: float) -> tuple[float, ...]:
    """The curve that is known before any call: no memory."""
    return tuple(math.exp(-second / mean_s) for second in range(LONGEST_S + 1))


def ends_within(curve: Sequence[float], age_s: int, horizon_s: int, stretch: float = 1.0) -> float:
    """P(it ends within ``horizon_s`` | it has lasted ``age_s``), for somebody who takes ``stretch`` times as long."""
    here = curve[min(LONGEST_S, int(age_s / stretch))]
    later = curve[min(LONGEST_S, int((age_s + horizon_s) / stretch))]
    return 1.0 - later / here if here > 0 else 1.0
