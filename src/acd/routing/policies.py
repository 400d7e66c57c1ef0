"""How waiting calls are compared, and which agent is taken: plain values, and the one formula behind all members.

Every call selection is a member of one family, affine in the time waited::

    score(call, agent, now) = bias(queue) + rate(queue) * (waited_s + head_start_s(call) + preference * preference_s)

The highest score is served; of equal scores, who joined (less his head start) first, then the serial, then the name.

    selection   rate                       head start                                  bias
    fcfs        weight                     0                                           0
    priority    weight                     priority * ageing_s                         0
    deadline    1                          priority * ageing_s - threshold_s           0
    cmu         cost * service rate        priority * ageing_s                         0
    ratio       1 / ageing_s               priority * ageing_s                         Q - share * (Q of all queues)

``deadline`` is thus minus the time left to the queue's threshold; ``cmu`` the generalised c-mu rule for a cost that grows
with the square of the wait (Mandelbaum & Stolyar 2004); ``ratio`` the fixed queue ratio (Gurvich & Whitt 2009), where
one call too many in line is worth ``ageing_s`` seconds of waiting, so that nobody starves. ``fcfs`` knows no priorities.
No state, no agents, no calls here.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from acd.domain.definition import (
    AGENT_SELECTIONS,
    CALL_SELECTIONS,
    FloorDefinition,
    QueueDefinition,
    SelectionWeights,
)
from acd.domain.errors import MisuseError
from acd.domain.values import valueclass

WEIGHTED_STEPS: Final = 10
"""Weighted scores of agents are compared in whole tenths, so that they can be added exactly."""
WEIGHT_DIGITS: Final = 8
"""Binary digits after the point of the weight of proficiency, in steps."""


@valueclass(frozen=True, slots=True)
class QueuePolicy:
    """What one queue says of matching.

    ``weight`` among queues (above 0); ``ratio``: its share of all waiting calls (0-1; ``None``: what the others leave,
    shared equally); ``cost`` of waiting, and ``service_rate``: the calls that one agent serves a second (the c and the mu
    of c-mu; only their proportions among queues count). Raises MisuseError for what is out of range.
    """

    agent_selection: str = "longest_idle"
    weights: SelectionWeights | None = None
    weight: float = 1.0
    ratio: float | None = None
    cost: float = 1.0
    service_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.agent_selection not in AGENT_SELECTIONS:
            raise MisuseError(
                f"{self.agent_selection!r} is no agent selection: use one of {', '.join(AGENT_SELECTIONS)}"
            )
        for name in ("weight", "cost", "service_rate"):
            if not 0.0 < getattr(self, name) < 1e9:
                raise MisuseError(f"{name} of a queue must be above 0 (and below 1e9), not {getattr(self, name)}")
        if self.ratio is not None and not 0.0 <= self.ratio <= 1.0:
            raise MisuseError(f"ratio of a queue must lie within 0 to 1, not {self.ratio}")
        for name in ("idle", "proficiency", "skills", "occupied"):
            if not 0.0 <= getattr(self.agent_weights, name) <= 1e6:
                raise MisuseError(f"weight {name} must lie within 0 to 1e6, not {getattr(self.agent_weights, name)}")

    @property
    def agent_weights(self) -> SelectionWeights:
        """The weights in force: the given ones or the defaults."""
        return self.weights or SelectionWeights()

    @classmethod
    def of(cls, queue: QueueDefinition, service_rate: float = 1.0) -> QueuePolicy:
        """The policy of a defined queue. ``service_rate``: calls a second that one agent serves, as measured."""
        return cls(queue.agent_selection, queue.weights, queue.weight, queue.ratio, queue.cost, service_rate)


@valueclass(frozen=True, slots=True)
class CallSelection:
    """How waiting calls are compared, all over the floor; ``kind`` is one of CALL_SELECTIONS.

    ``ageing_s``: what one step of priority (for ``ratio`` also: one call too many) is worth in seconds of waiting.
    ``preference_s``: what one step of an agent's preference for a queue is worth. ``held_s``: by how much a call that is
    held for one agent comes first with him; finite, so that those nobody is held for do not starve.
    Raises MisuseError for what is out of range.
    """

    kind: str = "priority"
    ageing_s: float = 60.0
    preference_s: float = 30.0
    held_s: float = 600.0

    def __post_init__(self) -> None:
        if self.kind not in CALL_SELECTIONS:
            raise MisuseError(f"{self.kind!r} is no call selection: use one of {', '.join(CALL_SELECTIONS)}")
        for name in ("ageing_s", "preference_s", "held_s"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0.0):
                raise MisuseError(f"{name} must be 0 or more seconds, not {value}")
        if self.kind == "ratio" and self.ageing_s <= 0.0:
            raise MisuseError("call selection ratio needs ageing_s above 0: what one call too many is worth in waiting")

    @classmethod
    def of(cls, floor: FloorDefinition) -> CallSelection:
        """The call selection of a defined floor."""
        return cls(floor.call_selection, floor.ageing_s, floor.preference_s)

    def head_start_s(self, priority: int, threshold_s: float) -> float:
        """How much longer than it did a call counts as having waited. ``threshold_s``: its queue's service level."""
        if self.kind == "fcfs":
            return 0.0
        if self.kind == "deadline":
            return priority * self.ageing_s - threshold_s
        return priority * self.ageing_s

    def rate(self, policy: QueuePolicy) -> float:
        """What one second of waiting in a queue of ``policy`` adds to the score."""
        if self.kind == "deadline":
            return 1.0
        if self.kind == "cmu":
            return policy.cost * policy.service_rate
        if self.kind == "ratio":
            return 1.0 / self.ageing_s
        return policy.weight

    @property
    def biased(self) -> bool:
        """Whether the lengths of queues count besides waiting."""
        return self.kind == "ratio"


def score(bias: float, rate: float, now: float, key_s: float, bonus_s: float) -> float:
    """The score of a call. ``key_s``: when it joined less its head start, UTC s; ``bonus_s``: preference and hold.

    Written once: equal arguments give equal floats, and a smaller ``key_s`` never gives a lower score.
    """
    return bias + rate * (now - key_s + bonus_s)


def shares(ratios: dict[str, float | None]) -> dict[str, float]:
    """The target share of every queue: as given; the others share equally what is left (nothing, if it is overdrawn)."""
    given = sum(ratio for ratio in ratios.values() if ratio is not None)
    without = sum(ratio is None for ratio in ratios.values())
    rest = max(0.0, 1.0 - given) / without if without else 0.0
    return {queue: rest if ratio is None else ratio for queue, ratio in ratios.items()}


def standing(weights: SelectionWeights, idle_since: float, skills: int, occupied_s: float) -> int:
    """Minus the weighted score of an agent but for ``idle * now`` (the same for all) and his proficiency, in steps."""
    return round(WEIGHTED_STEPS * (weights.idle * idle_since + weights.skills * skills + weights.occupied * occupied_s))


def point_factor(weights: SelectionWeights) -> int:
    """The weight of proficiency, such that ``points * point_factor >> WEIGHT_DIGITS`` is what points add, in steps."""
    return round(WEIGHTED_STEPS * weights.proficiency * (1 << WEIGHT_DIGITS))
