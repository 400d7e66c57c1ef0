"""How far a log has come, and from where it would be taken up: every line once, whatever ends the program between two.

A log is taken up some way back (``HOLD_S``), made anew from there and compared with what was written since: so a record that
was behind others when it became durable is not missed, and no line is written twice. Pure.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from acd.queuelog.lines import NONE, Line

HOLD_S = 600.0
"""A record may become durable so much later than younger ones, by its own time and by the time of whoever looks."""
_CHECKPOINTS_S = 10.0


class Place(Protocol):
    """Where a log was when all lines up to ``upto`` (UTC s) had been written."""

    @property
    def upto(self) -> float:
        """That time."""


P = TypeVar("P", bound=Place)


class Trail(Generic[P]):
    """The places a log passed. ``kept`` is the one to take it up from: it follows at a distance of ``hold_s``."""

    def __init__(self, kept: P, hold_s: float = HOLD_S) -> None:
        self.kept = kept
        self._hold_s = hold_s
        self._ahead: deque[tuple[P, list[float]]] = deque()
        """Places that come after the kept one; each with the moment at which the log had come far enough behind it."""

    def advance(self, here: P, now: float, *, settled: bool) -> bool:
        """The log is ``here``; whether the kept place has changed. ``now``: any clock in seconds that goes on evenly.
        ``settled``: no line is written already that is still to come."""
        if settled:
            newest = self._ahead[-1][0].upto if self._ahead else self.kept.upto
            if here.upto >= newest + min(_CHECKPOINTS_S, self._hold_s):
                self._ahead.append((here, []))
        before = self.kept
        for place, passed in self._ahead:
            if not passed and here.upto >= place.upto + self._hold_s:
                passed.append(now)
        while self._ahead and self._ahead[0][1] and now >= self._ahead[0][1][0] + self._hold_s:
            self.kept = self._ahead.popleft()[0]
        return self.kept != before


class Written:
    """Lines that were written behind the place a log is taken up from, and will come once more."""

    def __init__(self) -> None:
        self._there: Counter[str] = Counter()
        self._upto = -math.inf

    def add(self, text: str) -> None:
        """One of them, as it was written."""
        self._there[identity(text)] += 1
        with suppress(ValueError):
            self._upto = max(self._upto, int(text.partition("|")[0]) + 1.0)

    def fresh(self, lines: Iterable[Line], upto: float) -> list[Line]:
        """Those of the next lines, up to ``upto``, that are not there yet."""
        found = []
        for line in lines:
            whose = identity(str(line)) if self._there else ""
            if whose and self._there[whose] > 0:
                self._there[whose] -= 1
            else:
                found.append(line)
        if self.settled(upto):
            self._there.clear()
        return found

    def settled(self, upto: float) -> bool:
        """Whether all that was there has come, once all up to ``upto`` has."""
        return upto >= self._upto


def identity(text: str) -> str:
    """What a line tells of, without what may be told otherwise if a record becomes known later, such as places in line."""
    at, uniqueid, queue, agent, event = [*text.split("|", 5), "", "", "", "", ""][:5]
    return "|".join((at, uniqueid, queue, agent if uniqueid == NONE else "", event))
