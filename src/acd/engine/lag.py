"""The lag monitor: says how late the event loop is, so that nothing blocks it unnoticed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

log = logging.getLogger(__name__)


class LagMonitor:
    """Measures every ``interval_s`` how late a timer fires; keeps the last ``keep`` samples (s)."""

    def __init__(self, *, interval_s: float = 0.1, keep: int = 600, warn_s: float = 0.25) -> None:
        self._interval_s = interval_s
        self._warn_s = warn_s
        self._samples: deque[float] = deque(maxlen=keep)
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin, inside the event loop to be watched."""
        self._due = time.monotonic() + self._interval_s
        self._handle = asyncio.get_running_loop().call_later(self._interval_s, self._tick)

    def stop(self) -> None:
        """Stop measuring."""
        if self._handle is not None:
            self._handle.cancel()

    def _tick(self) -> None:
        lag = max(0.0, time.monotonic() - self._due)
        self._samples.append(lag)
        if lag > self._warn_s:
            log.warning("the event loop was held up for %.0f ms", lag * 1000)
        self.start()

    def summary_ms(self) -> dict[str, float]:
        """``{"p99", "max"}`` in ms over the last minute."""
        if not self._samples:
            return {"p99": 0.0, "max": 0.0}
        ordered = sorted(self._samples)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        return {"p99": round(p99 * 1000, 2), "max": round(ordered[-1] * 1000, 2)}
