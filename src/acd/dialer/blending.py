"""Whether a queue needs the agents whom it shares with campaigns. Pure: what is seen of the queue and the time in, how it
stands out.

A queue is at one of three levels. It rises at once, when one of its limits is passed, and falls when all of them have been
kept with something to spare for ``hold_s`` on end: a service level of 5 points more (halfway to 100 % at most), half the
wait, half as many callers. So what moves about a limit does not move agents with it.

The service level is that of the last while, counting callers who have waited too long already as missed, and is not judged
before five callers were served or lost in it.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum
from typing import Final

from acd.domain.blending import Blend, Limits
from acd.domain.values import valueclass

JUDGED_CALLS: Final = 5
_SPARE: Final = 0.05
_SAMPLES: Final = 60


class Level(IntEnum):
    """``RESERVE``: some of its agents are kept from campaigns; ``RECALL``: all of them."""

    CALM = 0
    RESERVE = 1
    RECALL = 2

    @property
    def word(self) -> str:
        """For people and metrics."""
        return self.name.lower()


@valueclass(frozen=True, slots=True)
class Counts:
    """Of a queue. ``waiting``: now, ``late`` of them for longer than its service level allows; ``wait_s``: what somebody who
    called now would wait, if anything is known. ``answered``, ``in_time``, ``abandoned``: since any one moment."""

    waiting: int = 0
    late: int = 0
    wait_s: float | None = None
    answered: int = 0
    in_time: int = 0
    abandoned: int = 0


@valueclass(frozen=True, slots=True)
class Seen:
    """What is judged: callers waiting, the estimated wait, the service level (``None``: too few calls)."""

    waiting: int
    wait_s: float | None
    service_level: float | None


@valueclass(frozen=True, slots=True)
class Standing:
    """How a queue stands since ``since_s``, and ``why``, in a sentence. ``well_s``: since when it has been well enough for a
    lower level."""

    level: Level = Level.CALM
    since_s: float = -math.inf
    why: str = ""
    well_s: float | None = None


class Recently:
    """The service level of the last ``over_s``, from counts that only grow."""

    def __init__(self, over_s: float) -> None:
        self.over_s = over_s
        self._samples: deque[tuple[float, Counts]] = deque()

    def seen(self, counts: Counts, now_s: float) -> Seen:
        """Take counts in; times must not go back."""
        samples = self._samples
        if not samples or now_s - samples[-1][0] >= self.over_s / _SAMPLES:
            samples.append((now_s, counts))
        while len(samples) > 1 and samples[1][0] <= now_s - self.over_s:
            samples.popleft()
        begun = samples[0][1]
        in_time = counts.in_time - begun.in_time
        all_of_them = counts.answered - begun.answered + counts.abandoned - begun.abandoned + counts.late
        level = in_time / all_of_them if all_of_them >= JUDGED_CALLS else None
        return Seen(counts.waiting, counts.wait_s, level)


def judge(blend: Blend, seen: Seen, before: Standing, now_s: float) -> Standing:
    """How the queue stands now."""
    level, why = _level(blend, seen, spare=False)
    if level > before.level:
        return Standing(level, now_s, why)
    if level == before.level:
        return Standing(level, before.since_s, why or before.why)
    down_to, _ = _level(blend, seen, spare=True)
    if down_to >= before.level:
        return Standing(before.level, before.since_s, before.why)
    well_s = now_s if before.well_s is None else before.well_s
    if now_s - well_s < blend.hold_s:
        return Standing(before.level, before.since_s, before.why, well_s)
    return Standing(down_to, now_s, _level(blend, seen, spare=down_to > level)[1])


def kept(blend: Blend, standing: Standing, agents: int) -> int:
    """How many of a queue's ``agents`` campaigns do without."""
    if standing.level is Level.RECALL:
        return agents
    if standing.level is Level.RESERVE:
        return min(agents, max(blend.agents, math.ceil(blend.share * agents - 1e-9)))
    return 0


def _level(blend: Blend, seen: Seen, *, spare: bool) -> tuple[Level, str]:
    if blend.recall is not None:
        why = _beyond(blend.recall, seen, spare=spare)
        if why:
            return Level.RECALL, why
    if blend.reserve is not None:
        why = _beyond(blend.reserve, seen, spare=spare)
        if why or not blend.reserve.any:
            return Level.RESERVE, why or "always so many"
    return Level.CALM, ""


def _beyond(limits: Limits, seen: Seen, *, spare: bool) -> str:
    """Which limit is passed, in words; with ``spare``, which one is not kept with something to spare."""
    if limits.waiting is not None:
        most = (limits.waiting - 1) // 2 if spare else limits.waiting - 1
        if seen.waiting > most:
            return f"{seen.waiting} waiting, {limits.waiting} being too many"
    longest_s = limits.wait_s if limits.wait_s is None or not spare else limits.wait_s / 2
    if longest_s is not None and seen.wait_s is not None and seen.wait_s >= longest_s:
        return f"somebody who called now would wait {seen.wait_s:.0f} s, of {limits.wait_s:g} s"
    if limits.below is not None and seen.service_level is not None:
        least = min(limits.below + _SPARE, (1.0 + limits.below) / 2.0) if spare else limits.below
        if seen.service_level < least:
            return f"its service level is {seen.service_level:.0%}, its aim {limits.below:.0%}"
    return ""
