"""Agents of calls that never were: their shifts, breaks and states, each agent's intervals end to end.

Times are whole microseconds after the midnight of the day; rows have the order of `STATE_COLUMNS` and `AGENT_COLUMNS`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import Any

from acd.domain.states import PAUSE_RONA, AgentState
from acd.store.made.calendar import HOUR_US

STATE_COLUMNS = ("agent", "serial", "started_at", "ended_at", "state", "reason", "call")
AGENT_COLUMNS = ("agent", "serial", "state", "reason", "call", "since", "idle_since", "phone")
SHIFTS_H = ((6.95, 15.5), (9.5, 18.0), (12.0, 20.2))
BREAK_US = HOUR_US // 2

_DAY_S = 86_400
_CLOCK = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}." for s in range(_DAY_S)]

Row = tuple[Any, ...]


class Clock:
    """Microseconds after midnight as the text both databases take. A quarter of the work of `times.to_text`."""

    def __init__(self, day: str, next_day: str) -> None:
        self._day, self._next_day = f"{day}T", f"{next_day}T"

    def text(self, us: int) -> str:
        second, rest = divmod(us, 1_000_000)
        if second < _DAY_S:
            return f"{self._day}{_CLOCK[second]}{rest:06d}Z"
        return f"{self._next_day}{_CLOCK[second - _DAY_S]}{rest:06d}Z"


@dataclass(slots=True)
class Worker:
    """One agent. ``began`` and ``idle_since`` are texts; shift and break are of the day."""

    name: str
    phone: str
    serial: int = 0
    began: str = ""
    state: AgentState = AgentState.LOGGED_OUT
    reason: str | None = None
    call: str | None = None
    idle_since: str = ""
    login_us: int = 0
    logout_us: int = 0
    break_us: int = 0

    def row(self) -> Row:
        """His row of the table of agents."""
        return (
            self.name,
            self.serial,
            str(self.state),
            self.reason,
            self.call,
            self.began,
            self.idle_since,
            self.phone,
        )


@dataclass
class Crew:
    """The agents of one queue. ``intervals`` takes every interval as it ends."""

    workers: list[Worker]
    intervals: list[Row]
    _free: list[tuple[int, int]] = field(default_factory=list)
    """When each who is on duty is free, and his number: the longest idle first."""
    _clock: Clock = field(default_factory=lambda: Clock("1970-01-01", "1970-01-02"))

    def begin_day(self, clock: Clock, busy: float, chance: Random) -> None:
        """Who works today, from when to when. ``busy``: the share of them that is needed."""
        self._clock = clock
        on_duty = chance.sample(self.workers, max(1, min(len(self.workers), round(len(self.workers) * busy))))
        self._free = []
        numbers = {worker.name: n for n, worker in enumerate(self.workers)}
        for n, worker in enumerate(sorted(on_duty, key=lambda worker: numbers[worker.name])):
            begin, end = SHIFTS_H[n % len(SHIFTS_H)]
            worker.login_us = int((begin + chance.random() * 0.05) * HOUR_US)
            worker.logout_us = int((end + chance.random() * 0.1) * HOUR_US)
            worker.break_us = int((begin + 3 + 2 * chance.random()) * HOUR_US)
            self.enter(worker, AgentState.AVAILABLE, worker.login_us)
            self.free(worker, worker.login_us, numbers[worker.name])

    def end_day(self) -> None:
        """Everybody goes home, after a break that is still due."""
        while self.take(1 << 62) is not None:
            raise AssertionError("nobody stays for ever")

    def enter(
        self, worker: Worker, state: AgentState, at: int, reason: str | None = None, call: str | None = None
    ) -> None:
        """The next interval begins."""
        text = self._clock.text(at)
        self.intervals.append(
            (worker.name, worker.serial, worker.began, text, str(worker.state), worker.reason, worker.call)
        )
        worker.serial += 1
        worker.began, worker.state, worker.reason, worker.call = text, state, reason, call
        if state is AgentState.AVAILABLE:
            worker.idle_since = text

    def free(self, worker: Worker, at: int, number: int) -> None:
        """From ``at`` on he may have a call."""
        heapq.heappush(self._free, (at, number))

    def take(self, at: int) -> tuple[int, int, Worker] | None:
        """Who has been free the longest at ``at``, or is the next: when he is, his number, and himself. Breaks and ends of
        shifts that come before are carried out. None: nobody is left today."""
        while self._free:
            free_at, number = heapq.heappop(self._free)
            worker, from_us = self.workers[number], max(at, free_at)
            if worker.break_us and worker.break_us <= min(from_us, worker.logout_us):
                begin, worker.break_us = max(worker.break_us, free_at), 0
                self.enter(worker, AgentState.PAUSED, begin, "lunch")
                self.enter(worker, AgentState.AVAILABLE, begin + BREAK_US)
                self.free(worker, begin + BREAK_US, number)
            elif worker.logout_us <= from_us:
                self.enter(worker, AgentState.LOGGED_OUT, max(worker.logout_us, free_at))
            else:
                return from_us, number, worker
        return None

    def misses(self, worker: Worker, at: int, number: int, chance: Random) -> None:
        """He did not answer, and is back after some minutes."""
        self.enter(worker, AgentState.PAUSED, at, PAUSE_RONA)
        back = at + int((60 + 240 * chance.random()) * 1_000_000)
        self.enter(worker, AgentState.AVAILABLE, back)
        self.free(worker, back, number)
