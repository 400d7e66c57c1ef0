"""Logging for a wire that strangers can reach: one line a kind and interval, with a count of what was held back.

Only that. What is worth saying, and at which level, is the caller's matter; the counters of a session or server are
the place for exact figures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

_MAX_KINDS = 256


class QuietLog:
    """Wraps a logger; ``say`` lets the first message of a kind through and counts the rest until the interval is over.

    ``interval_s`` is the quiet time of one kind in seconds; ``clock`` is a monotonic clock in seconds. At most 256
    kinds are told apart, so that a kind made from a peer's bytes cannot grow the table: later ones share one.
    """

    def __init__(
        self, log: logging.Logger, *, interval_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._interval_s = interval_s
        self._clock = clock
        self._kinds: dict[str, tuple[float, int]] = {}

    def say(self, level: int, kind: str, text: str, *args: object, exc: BaseException | None = None) -> bool:
        """Log ``text % args`` unless this kind spoke less than ``interval_s`` ago. True when a line was written."""
        if kind not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            kind = "(other kinds)"
        now = self._clock()
        spoke_at, held_back = self._kinds.get(kind, (float("-inf"), 0))
        if now - spoke_at < self._interval_s:
            self._kinds[kind] = (spoke_at, held_back + 1)
            return False
        self._kinds[kind] = (now, 0)
        if held_back:
            text, args = text + " (%d more like this since %.0f s)", (*args, held_back, now - spoke_at)
        self._log.log(level, text, *args, exc_info=exc)
        return True
