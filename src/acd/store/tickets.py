"""Tickets: which writes are settled. Counts records; knows neither disks nor databases."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

_LOST_RANGES_MAX = 1000


@dataclass(slots=True)
class _Mark:
    """A write that is not settled yet, or several without records of their own."""

    upto: int
    """Records accepted up to its end."""
    ticket: int
    at: float
    soon: bool


class Tickets:
    """Tickets grow by one a write and are settled in that order. Times are the event loop's."""

    def __init__(self) -> None:
        self.accepted = 0
        """Records so far; the number of the last."""
        self.last = 0
        self.settled = 0
        self.lag_s = 0.0
        """How long the last that was settled took."""
        self._told = 0
        """The last of which those who listen heard."""
        self._marks: deque[_Mark] = deque()
        self._lost: deque[list[int]] = deque(maxlen=_LOST_RANGES_MAX)
        self._callbacks: list[Callable[[int], Any]] = []

    def give(self, records: int, now: float, *, soon: bool) -> int:
        """A ticket for that many more records."""
        self.last += 1
        self.accepted += records
        newest = self._marks[-1] if self._marks else None
        if newest is not None and newest.upto == self.accepted and newest.soon >= soon:
            # Nothing of this one is waited for by itself; while everything is dropped the marks must not pile up.
            newest.ticket = self.last
        else:
            self._marks.append(_Mark(self.accepted, self.last, now, soon))
        return self.last

    def listen(self, callback: Callable[[int], Any]) -> None:
        self._callbacks.append(callback)

    def durable(self, ticket: int) -> bool:
        return ticket <= self.settled and not any(first <= ticket <= last for first, last in self._lost)

    def oldest_at(self) -> float | None:
        """When the oldest that is not settled was written."""
        return self._marks[0].at if self._marks else None

    def settle(self, safe: int, stored: int, now: float, *, lost: bool = False) -> None:
        """Records up to ``safe`` are durable, and up to ``stored`` also where those who wait need them. ``lost``:
        they are not, and will not be."""
        settled, marks = self.settled, self._marks
        first_at: float | None = None
        while marks and marks[0].upto <= (stored if marks[0].soon else safe):
            mark = marks.popleft()
            settled, first_at = mark.ticket, mark.at if first_at is None else first_at
        if first_at is not None:
            self.lag_s = now - first_at
        if settled == self.settled:
            return
        if lost:
            self.lose(self.settled + 1, settled)
        self.settled = settled
        self._tell(settled)

    def release(self) -> None:
        """Nobody knows when those that are not settled will be: whoever waits hears of them now, and of each once."""
        self._tell(self.last)

    def _tell(self, upto: int) -> None:
        if upto <= self._told:
            return
        self._told = upto
        for callback in self._callbacks:
            try:
                callback(upto)
            except Exception:
                log.exception("a listener for durable records failed")

    def lose(self, first: int, last: int) -> None:
        """The records of these tickets are gone: they are never durable."""
        if self._lost and self._lost[-1][1] == first - 1:
            self._lost[-1][1] = last
        else:
            self._lost.append([first, last])
