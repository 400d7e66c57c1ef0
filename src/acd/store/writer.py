"""Group commit: records go in at once, become durable a few milliseconds later, and outlive a database that is away.

One task takes what has gathered, folds it, and stores it in one transaction; where the database does not take it within
``patience_s``, the batch goes to the spill, and so does everything after it until a second task has brought the spill
back in order. What neither takes is held in memory; only when that is full too are the newest records dropped, counted
and logged. The event loop never waits for a disk. SQL and file formats live elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from acd.domain.errors import MisuseError
from acd.domain.records import Record
from acd.store.backend import Backend, Breather, UnavailableError, UnstorableError, dumps
from acd.store.fold import Stage
from acd.store.operations import BY_NAME, Batch, Row
from acd.store.options import StoreOptions
from acd.store.spill import Piece, Spill, SpillFullError, payload
from acd.store.text import forced

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_ROWS_A_SLICE = 64
_LOST_RANGES_MAX = 1000
_TELL_EVERY_S = 10.0
_REFUSED_FILE = "refused.jsonl"


class Writer:
    """Makes records durable. Everything but ``state`` belongs to the event loop's thread."""

    def __init__(self, backend: Backend, spill: Spill, options: StoreOptions) -> None:
        self._backend, self._spill, self._options = backend, spill, options
        # Never used before, so a batch of ours cannot be taken for one of an earlier life.
        self._name = os.urandom(8).hex()
        self._number = 0
        self._records: list[Record] = []
        self._taken = 0
        """Records taken out of ``_records`` so far; ``_marks`` count on from there."""
        self._marks: deque[tuple[int, int, float]] = deque()
        """(records written up to its end, ticket, loop time) of each write that is not settled yet."""
        self._accepted = 0
        self._ticket = 0
        self._settled = 0
        self._told_at: dict[str, float] = {}
        self._lost: deque[list[int]] = deque(maxlen=_LOST_RANGES_MAX)
        self._callbacks: list[Callable[[int], Any]] = []
        self._wake = asyncio.Event()
        self._due = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._return: asyncio.Task[None] | None = None
        self._spilling = False
        self._stuck = ""
        """Why not even the spill takes anything, if so."""
        self._order = asyncio.Lock()
        """Held while a batch finds its way, and while the spill's end is declared reached: nothing may overtake."""
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="acd-spill")
        self._detail = ""
        self._lag_s = 0.0
        self._last_start = -math.inf
        self.counts = {"written": 0, "batches": 0, "dropped": 0, "refused": 0, "damaged": 0, "replayed": 0}

    # -- the port ----------------------------------------------------------------------------------------------------

    def write(self, records: Sequence[Record], *, soon: bool = False) -> int:
        """Queue records; returns their ticket. ``soon``: somebody waits for them, so do not gather more. Raises
        MisuseError before ``start`` and after ``close``."""
        if self._task is None or self._stopping:
            raise MisuseError("the store is not open")
        self._ticket += 1
        if records and len(self._records) + len(records) > self._options.held_max:
            self._drop(len(records))
        elif records:
            self._records.extend(records)
            self._accepted += len(records)
        if self._marks and self._marks[-1][0] == self._accepted:
            # Nothing of this one is waited for by itself; while everything is dropped the marks must not pile up.
            self._marks[-1] = (self._accepted, self._ticket, self._marks[-1][2])
        else:
            self._marks.append((self._accepted, self._ticket, asyncio.get_running_loop().time()))
        self._wake.set()
        if soon or len(self._records) >= self._options.batch_max:
            self._due.set()
        return self._ticket

    def durable(self, ticket: int) -> bool:
        """Whether all of the ticket's records are in the database or the spill."""
        return ticket <= self._settled and not any(first <= ticket <= last for first, last in self._lost)

    def on_durable(self, callback: Callable[[int], Any]) -> None:
        """``callback(ticket)`` whenever everything up to ``ticket`` is settled: durable, or dropped (``durable`` tells)."""
        self._callbacks.append(callback)

    def state(self) -> dict[str, Any]:
        """StorePort.state, with every count this writer keeps."""
        full = self._stuck or len(self._records) >= self._options.held_max
        state = "full" if full else "spilling" if self._spilling else "ok"
        lag_s = self._lag_s
        if self._marks and self._task is not None and not self._task.done():
            lag_s = max(lag_s if state == "ok" else 0.0, self._task.get_loop().time() - self._marks[0][2])
        return {
            "state": state,
            "spilled": self._spill.batches,
            "spilled_bytes": self._spill.size_bytes,
            "held": len(self._records),
            "lag_ms": round(lag_s * 1000, 3),
            "detail": self._stuck or self._detail,
            **self.counts,
        }

    # -- life --------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Lock and read the spill, connect, bring into the database what an earlier life left. Raises StoreError."""
        await self._on_disk(self._spill.open)
        await self._backend.connect(self._options.connect_s)
        if self._spill.batches:
            log.warning("%d batches of an earlier life are in the spill: replaying them", self._spill.batches)
        while not self._spill.drained:
            await self._replay_piece()

    def start(self) -> None:
        """Begin to commit."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="store-writer")

    async def close(self) -> None:
        """Make everything durable that can be, and stop. Bounded by a few times ``patience_s``."""
        self._stopping = True
        self._wake.set()
        self._due.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=4 * self._options.patience_s + 1)
            if not self._task.done():
                self._task.cancel()
                log.error("%d records could not be made durable before the end", self._accepted - self._taken)
            await asyncio.gather(self._task, return_exceptions=True)
        if self._return is not None:
            # It stops by itself between two pieces; what hangs in the database is cut off.
            await asyncio.wait({self._return}, timeout=self._options.patience_s)
            self._backend.abort()
            await asyncio.wait({self._return}, timeout=self._options.patience_s)
            self._return.cancel()
            await asyncio.gather(self._return, return_exceptions=True)
        await self._backend.close()
        self._spill.close()
        self._disk.shutdown(wait=False)

    # -- taking and folding ------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            if not self._records:
                self._settle(self._taken)
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._pace()
            try:
                await self._commit()
            except Exception:
                # A defect of ours must not end the records of every later call.
                log.exception("a batch of records was lost to a defect")
                self._stuck = self._stuck or "a defect, see the log"
                self.counts["refused"] += 1
                self._settle(self._taken, lost=True)

    async def _pace(self) -> None:
        """Commits begin at least ``pace_s`` apart, unless enough has gathered; the first after a pause begins at once."""
        loop = asyncio.get_running_loop()
        wait_s = self._last_start + self._options.pace_s - loop.time()
        if wait_s > 0 and len(self._records) < self._options.batch_max and not self._stopping:
            timer = loop.call_later(wait_s, self._due.set)
            await self._due.wait()
            timer.cancel()
        self._due.clear()
        self._last_start = loop.time()

    async def _commit(self) -> None:
        limit = self._options.batch_max
        records, self._records = self._records[:limit], self._records[limit:]
        self._taken += len(records)
        batches = await self._fold(records)
        if batches:
            await self._make_durable(batches)
        self.counts["written"] += len(records)
        self.counts["batches"] += 1
        self._settle(self._taken)

    async def _fold(self, records: Sequence[Record]) -> list[Batch]:
        stages, breather = [Stage()], Breather()
        for start in range(0, len(records), _ROWS_A_SLICE):
            for record in records[start : start + _ROWS_A_SLICE]:
                try:
                    if not stages[-1].add(record):
                        stages.append(Stage())
                        stages[-1].add(record)
                except Exception:
                    log.exception("a record cannot be stored: %r", record)
                    self.counts["refused"] += 1
            await breather.rest()
        batches = []
        for stage in stages:
            if rows := stage.rows():
                self._number += 1
                batches.append(Batch(self._name, self._number, rows))
        return batches

    def _settle(self, taken: int, lost: bool = False) -> None:
        settled, marks = self._settled, self._marks
        now = asyncio.get_running_loop().time()
        first_at: float | None = None
        while marks and marks[0][0] <= taken:
            _, settled, at = marks.popleft()
            first_at = at if first_at is None else first_at
        if first_at is not None:
            self._lag_s = now - first_at
        if settled == self._settled:
            return
        if lost:
            self._lose(self._settled + 1, settled)
        self._settled = settled
        for callback in self._callbacks:
            try:
                callback(settled)
            except Exception:
                log.exception("a listener for durable records failed")

    def _drop(self, count: int) -> None:
        self.counts["dropped"] += count
        why = self._stuck or "more than the store can hold"
        self._tell(logging.CRITICAL, "the newest records are dropped, %d so far: %s", self.counts["dropped"], why)
        self._lose(self._ticket, self._ticket)

    def _lose(self, first: int, last: int) -> None:
        if self._lost and self._lost[-1][1] == first - 1:
            self._lost[-1][1] = last
        else:
            self._lost.append([first, last])

    def _tell(self, level: int, what: str, *details: object) -> None:
        """Log what may happen many times a second, but not that often."""
        now = asyncio.get_running_loop().time()
        if now - self._told_at.get(what, -math.inf) >= _TELL_EVERY_S:
            self._told_at[what] = now
            log.log(level, what, *details)

    # -- finding a durable place -------------------------------------------------------------------------------------

    async def _make_durable(self, batches: list[Batch]) -> None:
        lines: list[bytes] | None = None
        while True:
            async with self._order:
                crowded = len(self._records) > self._options.held_max // 2
                if crowded and not self._spilling and not self._stuck:
                    # Memory is the last resort, not the next one. (Where the spill took nothing, the database may.)
                    self._begin_spilling("records come faster than the database takes them")
                if not self._spilling:
                    try:
                        await self._store(batches, self._options.patience_s)
                    except UnavailableError as error:
                        self._begin_spilling(str(error))
                    else:
                        self._stuck = ""
                        return
                try:
                    lines = lines or [await _line(batch) for batch in batches]
                    await self._on_disk(self._spill.append, lines)
                except (OSError, SpillFullError) as error:
                    self._tell(logging.CRITICAL, "records are held in memory only: %s", error)
                    self._stuck = str(error)
                else:
                    self._stuck = ""
                    return
            # Neither takes it. The lock is free meanwhile, so that a database that is back can be declared so.
            await asyncio.sleep(self._options.retry_min_s)

    async def _store(self, batches: Sequence[Batch], within_s: float) -> None:
        """Into the database, bending or setting aside what it will never take. Raises UnavailableError."""
        try:
            await self._backend.apply(batches, within_s)
            return
        except UnstorableError as error:
            log.error("%s; trying batch by batch, with what is wrong replaced", error)
        for batch in batches:
            try:
                await self._backend.apply([batch], within_s)
            except UnstorableError:
                try:
                    await self._backend.apply([_bent(batch)], within_s)
                except UnstorableError as error:
                    await self._refuse(batch, error)

    async def _refuse(self, batch: Batch, error: UnstorableError) -> None:
        self.counts["refused"] += batch.count()
        line = await _line(_bent(batch))
        try:
            path = await self._on_disk(self._spill.set_aside, [line], _REFUSED_FILE)
            log.error("%d rows no database takes were set aside in %s: %s", batch.count(), path, error)
        except OSError as failure:
            log.error("%d rows no database takes are lost (%s): %s", batch.count(), failure, error)

    async def _on_disk(self, work: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    # -- the way back ------------------------------------------------------------------------------------------------

    def _begin_spilling(self, why: str) -> None:
        self._tell(logging.ERROR, "records go to the spill from now on: %s", why)
        self._spilling, self._detail = True, why
        self._return = asyncio.get_running_loop().create_task(self._come_back(), name="store-replay")

    async def _come_back(self) -> None:
        wait_s = self._options.retry_min_s
        while not self._stopping:
            await asyncio.sleep(wait_s)
            try:
                await self._backend.connect(self._options.patience_s)
                await self._replay()
            except (UnavailableError, OSError) as error:
                self._detail = str(error)
                wait_s = min(wait_s * 2, self._options.retry_max_s)
            except Exception as error:
                log.exception("replaying the spill failed")
                self._detail = f"replaying the spill failed: {error}"
                wait_s = self._options.retry_max_s
            else:
                return

    async def _replay(self) -> None:
        while not self._stopping:
            while not self._spill.drained:
                await self._replay_piece()
            async with self._order:
                if self._spill.drained:
                    self._tell(logging.WARNING, "the database is back, and everything in it")
                    self._spilling, self._detail = False, ""
                    return

    async def _replay_piece(self) -> None:
        piece: Piece = await self._on_disk(self._spill.read, self._options.replay_bytes)
        if piece.batches:
            await self._store(piece.batches, self._options.replay_s)
        await self._on_disk(self._spill.taken, piece)
        self.counts["replayed"] += len(piece.batches)
        self.counts["damaged"] += len(piece.damaged)


async def _line(batch: Batch) -> bytes:
    try:
        return payload(batch, await _rows_as_json(batch.rows))
    except (TypeError, ValueError, RecursionError):
        bent = _bent(batch)
        return payload(bent, await _rows_as_json(bent.rows))


async def _rows_as_json(by_name: dict[str, list[Row]]) -> dict[str, str]:
    breather, texts = Breather(), {}
    for name, rows in by_name.items():
        slices = []
        for start in range(0, len(rows), _ROWS_A_SLICE):
            slices.append(dumps(rows[start : start + _ROWS_A_SLICE])[1:-1])
            await breather.rest()
        texts[name] = f"[{','.join(slices)}]"
    return texts


def _bent(batch: Batch) -> Batch:
    rows = {
        name: [
            [
                forced(value, BY_NAME[name].kind(column))
                for value, column in zip(row, BY_NAME[name].columns, strict=True)
            ]
            for row in of
        ]
        for name, of in batch.rows.items()
    }
    return Batch(batch.writer, batch.number, rows)
