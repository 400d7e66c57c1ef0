"""What is over its time goes once a day while ``acd serve`` runs: in a thread, at a moment of its own, restarts or not."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from acd.domain.errors import AcdError
from acd.records.listed import Sealed
from acd.records.retention import DAY_S, Policy, Retention, StoppedError, Taken

log = logging.getLogger(__name__)

FIRST_S = 60.0
JITTER_S = 3600.0
AGAIN_S = 3600.0
"""After a failure."""
WHO = "service"


class RetentionJob:
    """Runs retention once a day from ``start`` to ``stop``. When it ran last stands in ``state_dir/retention``."""

    def __init__(
        self,
        url: str,
        policy: Policy,
        recordings: Path,
        state_dir: Path,
        *,
        spill: Path | None = None,
        sealed: Sealed | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._url, self._policy, self._recordings = url, policy, recordings
        self._spill, self._sealed = spill, sealed
        self._file = state_dir / "retention"
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._stopping = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._running: asyncio.Future[Taken] | None = None

    def start(self) -> None:
        """Begin to wait for the next time; nothing happens where nothing may ever go."""
        if self._policy.limits(0.0):
            self._task = asyncio.get_running_loop().create_task(self._keep_on(), name="retention")

    async def stop(self) -> None:
        """End; a run ends after the transaction it is in."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._running is not None:
            with suppress(StoppedError, AcdError):
                await self._running

    def next_in_s(self) -> float:
        """How long until the next run: a day after the last one, never at once, never at a round moment."""
        try:
            last = float(self._file.read_text())
        except (OSError, ValueError):
            last = 0.0
        # A clock that was set back must not put it off for ever
        waits = min(max(last + DAY_S - self._clock(), 0.0), DAY_S)
        return max(waits, FIRST_S) + self._jitter() * JITTER_S

    async def _keep_on(self) -> None:
        while True:
            await self._sleep(self.next_in_s())
            try:
                self._running = asyncio.ensure_future(asyncio.to_thread(self._run))
                taken = await asyncio.shield(self._running)
            except StoppedError:
                return
            except AcdError as error:
                log.warning("what is over its time could not be taken away, it is tried again: %s", error)
                await self._sleep(AGAIN_S)
            else:
                log.info("retention: %s", ", ".join(f"{kind} {rows}" for kind, rows in taken.rows.items()))
                if taken.undeleted:
                    log.warning("%d recordings, or files of the spill, could not be deleted", taken.undeleted)

    def _run(self) -> Taken:
        taken = Retention(
            *(self._url, self._policy, self._recordings),
            now=self._clock(),
            spill=self._spill,
            sealed=self._sealed,
            rest=self._stopping.wait,
        ).run(WHO)
        try:
            self._file.write_text(f"{self._clock():.0f}\n")
        except OSError as error:
            log.warning("%s could not be written: %s", self._file, error)
        return taken
