"""What a queue takes from the campaigns that share its agents: when some are reserved for its callers, when all recalled."""

from __future__ import annotations

from acd.domain.values import valueclass

OVER_S = 600.0
HOLD_S = 60.0
"""Where the operator says nothing."""


@valueclass(frozen=True, slots=True)
class Limits:
    """Beyond any of these a queue needs its agents: a service level ``below`` this share (of the last while), an estimated
    wait of ``wait_s`` for somebody who called now, so many callers ``waiting``. ``None``: not looked at."""

    below: float | None = None
    wait_s: float | None = None
    waiting: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return self.below is not None or self.wait_s is not None or self.waiting is not None


@valueclass(frozen=True, slots=True)
class Blend:
    """Of one queue. ``agents`` and ``share``: how many of its agents, and what share of them, campaigns do without while it
    is beyond ``reserve``, always if that has no limit; beyond ``recall`` they do without all. ``None``: never.
    ``over_s``: the while by which the service level is judged; ``hold_s``: how long a queue must have been well before
    agents are given back."""

    reserve: Limits | None = None
    agents: int = 0
    share: float = 0.0
    recall: Limits | None = None
    over_s: float = OVER_S
    hold_s: float = HOLD_S
