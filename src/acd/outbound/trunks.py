"""What a trunk bears, and what Asterisk does: lines in use, calls started, rests after failures, and back-pressure.

A trunk that answers congestion several times in a row is left alone, longer each time, until a call gets through: after a
rest one line goes first, and the others when it has rung or was answered. A node
has a window of originations under way: it grows by one each time all of them were taken quickly, and is halved when one
took long or was refused, so that the rate follows what Asterisk manages. Pure; times are seconds of any one clock, given.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from acd.dialer.gate import TrunkState
from acd.domain.campaigns import AttemptOutcome, Trunk

OVERLOADED: Final = frozenset({34, 38, 41, 42, 44, 47})
"""Q.850 causes by which a network says that it can take no more now."""
_FAILED: Final = frozenset({AttemptOutcome.CONGESTION, AttemptOutcome.FAILED, AttemptOutcome.WITHDRAWN})
FAILURES: Final = 3
"""So many in a row, and the trunk rests."""
REST_S: Final = 5.0
REST_MOST_S: Final = 300.0
SLOW_S: Final = 1.0
"""An origination that takes longer than this to be taken says that Asterisk is overloaded."""
WINDOW_MOST: Final = 200.0
_WINDOW_FIRST: Final = 4.0
SETUP_FIRST_S: Final = 4.0
SETUP_MOST_S: Final = 10.0
"""From the dialling to the first ring: of a trunk that nothing was heard of yet, and what is granted at most."""
_SETUPS: Final = 50


@dataclass(slots=True)
class TrunkUse:
    """One trunk. ``started_s``: of the last calls, in order; ``setups_s``: how long the last took until they rang;
    ``probe``: the attempt that went first after a rest, and of which nothing was heard yet; ``why``: in words, what it
    failed with when it began to rest."""

    lines: int = 0
    started_s: deque[float] = field(default_factory=lambda: deque(maxlen=1_000))
    failures: int = 0
    rests: int = 0
    rests_until_s: float | None = None
    rested: int = 0
    """how often it was left alone, ever"""
    setups_s: deque[float] = field(default_factory=lambda: deque(maxlen=_SETUPS))
    probe: str | None = None
    why: str = ""

    def state(self) -> TrunkState:
        """As the gate wants it."""
        return TrunkState(self.lines, tuple(self.started_s), self.rests_until_s)

    def room(self, trunk: Trunk, now_s: float) -> int:
        """How many calls it takes at this moment."""
        if self.rests_until_s is not None and now_s < self.rests_until_s:
            return 0
        most = max(1, int(trunk.calls_per_s))
        span_s = most / trunk.calls_per_s
        recent = sum(at > now_s - span_s for at in self.started_s)
        if self.rests:
            most = min(most, recent + (self.probe is None))
        return max(0, min(trunk.lines - self.lines, most - recent))

    def began(self, attempt: str, now_s: float) -> None:
        """One more is dialled, which ``lines`` counts already."""
        self.started_s.append(now_s)
        if self.rests and self.probe is None:
            self.probe = attempt

    def rang(self, after_s: float) -> None:
        """A line rings, so long after it was dialled."""
        self.setups_s.append(max(0.0, after_s))
        self.got_through()

    @property
    def setup_s(self) -> float:
        """What a line is granted until it rings: half as much again as the slowest of the last ones took. Asterisk counts
        from the dialling, the law from the first ring."""
        return min(SETUP_MOST_S, 0.2 + 1.5 * max(self.setups_s)) if self.setups_s else SETUP_FIRST_S

    def ended(self, attempt: str) -> None:
        """Its line is free again."""
        self.lines = max(0, self.lines - 1)
        if attempt == self.probe:
            self.probe = None

    def came_to(self, outcome: AttemptOutcome | None, cause: int | None, now_s: float) -> bool:
        """What a call over it came to; whether it begins to rest. After a rest a single failure begins the next one."""
        failed = outcome in _FAILED or (outcome is None and cause in OVERLOADED)
        if not failed:
            self.got_through()
            return False
        self.failures += 1
        resting = self.rests_until_s is not None and now_s < self.rests_until_s
        if resting or (self.failures < FAILURES and not self.rests):
            return False
        self.rests_until_s = now_s + min(REST_MOST_S, REST_S * 2.0**self.rests)
        self.rests = min(self.rests + 1, 16)
        self.rested += 1
        self.failures, self.probe = 0, None
        return True

    def got_through(self) -> None:
        """The other end was reached, whatever it said: the trunk works."""
        self.failures = self.rests = 0
        self.rests_until_s = self.probe = None
        self.why = ""


@dataclass(slots=True)
class Pressure:
    """One node. ``under_way``: originations sent and not yet taken. ``window``: how many of them there may be."""

    up: bool = False
    window: float = _WINDOW_FIRST
    under_way: int = 0
    response_s: float = 0.0
    slow: int = 0
    _fast: int = 0
    _eased_s: float = float("-inf")

    def room(self) -> int:
        """How many more may be sent."""
        return max(0, int(self.window) - self.under_way) if self.up else 0

    def sent(self) -> None:
        """One more is under way."""
        self.under_way += 1

    def taken(self, took_s: float, now_s: float) -> None:
        """One has been taken by Asterisk, after so long."""
        self.under_way = max(0, self.under_way - 1)
        self.response_s += (took_s - self.response_s) / 8.0
        if took_s > SLOW_S:
            self.ease(now_s)
            return
        self._fast += 1
        if self._fast >= self.window:
            self._fast = 0
            self.window = min(WINDOW_MOST, self.window + 1.0)

    def refused(self, now_s: float) -> None:
        """One was not taken at all."""
        self.under_way = max(0, self.under_way - 1)
        self.ease(now_s)

    def ease(self, now_s: float) -> None:
        """Fewer at once; what a burst of slow ones says counts once."""
        self.slow += 1
        self._fast = 0
        if now_s - self._eased_s >= SLOW_S:
            self._eased_s = now_s
            self.window = max(1.0, self.window / 2.0)

    def lost(self) -> None:
        """The connection is gone: begin anew, carefully."""
        self.up, self.under_way, self.window, self._fast = False, 0, _WINDOW_FIRST, 0
