"""Watches over the records' durable place: an alarm before it is full, what the operator chose when it is, and an alarm
for what could be neither read nor stored and was set aside.

A look a second; the floor hears only of changes, and only where it is to turn callers away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from acd.domain.commands import RaiseAlarm
from acd.domain.events import Event, RecordsFilled

log = logging.getLogger(__name__)

NEAR = 0.8
"""Of the spill: from here on somebody should know."""

_ASIDE = {
    "damaged": "lines of the spill that nobody can read, {} so far: what stood in them is in no record; they were set aside "
    "there (*.damaged)",
    "refused": "rows that the database does not take, {} so far: they are in no record; see the log, and *refused.jsonl in "
    "the spill",
}
"""Count of the store -> what an alarm says of it. Such an alarm stands until the next start."""


class RecordsWatch:
    """``state`` is the store's (StorePort.state); ``limit_bytes`` bounds the spill. ``turn_away``: the floor is told when
    nothing can be recorded any more, and when it can again; otherwise calls go on without records."""

    def __init__(
        self,
        state: Callable[[], dict[str, Any]],
        limit_bytes: int,
        *,
        submit: Callable[[Event], None],
        alarm: Callable[[RaiseAlarm], None],
        over: Callable[[str], None],
        clock: Callable[[], float],
        turn_away: bool,
        every_s: float = 1.0,
    ) -> None:
        self._state, self._limit, self._every_s = state, limit_bytes, every_s
        self._submit, self._alarm, self._over, self._clock = submit, alarm, over, clock
        self._turn_away = turn_away
        self._full = self._near = False
        self._unfit = ""
        self._aside = dict.fromkeys(_ASIDE, 0)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, inside the event loop."""
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.look()
        self.start()

    def look(self) -> None:
        """Compare with the last look, and tell what changed."""
        state = self._state()
        full = state["state"] == "full"
        near = full or state.get("spilled_bytes", 0) >= NEAR * self._limit
        why = state.get("detail") or "the database is away"
        if near and not self._near and not full:
            used = state["spilled_bytes"]
            share = f"{used / self._limit:.0%} of the spill ({_mb(used)} of {_mb(self._limit)} MB)"
            self._alarm(RaiseAlarm("records_nearly_full", f"{share}: {why}"))
        elif self._near and not near:
            self._over("records_nearly_full")
        if full and not self._full:
            what = "new callers are turned away" if self._turn_away else "calls go on without records"
            self._alarm(RaiseAlarm("records_full", f"{what}: {why}"))
        elif self._full and not full:
            log.warning("calls are recorded again")
            self._over("records_full")
        if full != self._full and self._turn_away:
            self._submit(RecordsFilled(self._clock(), full))
        unfit = state.get("unfit", "")
        if unfit and unfit != self._unfit:
            self._alarm(RaiseAlarm("database_refused", f"records stay in the spill, calls go on: {unfit}"))
        elif self._unfit and not unfit:
            self._over("database_refused")
        self._full, self._near, self._unfit = full, near, unfit
        self._look_aside(state)

    def _look_aside(self, state: dict[str, Any]) -> None:
        for name, what in _ASIDE.items():
            count = state.get(name, 0)
            if count > self._aside[name]:
                self._aside[name] = count
                self._alarm(RaiseAlarm(f"records_{name}", what.format(count)))


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}".removesuffix(".0")
