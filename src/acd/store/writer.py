"""Records go in at once, are durable some ten milliseconds later, and outlive a database that is away.

One task takes what has gathered, folds it and appends it to the spill; a second one, the carrier, brings it from there
into the database. Where the spill takes nothing (or is no durable place, by ``durable_in``) each batch goes into the
database itself. What neither takes is held in memory, and nobody waits for it any more; only when that is full too are
the newest records dropped, counted and logged. The event loop never waits for a disk. SQL and file formats live
elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from acd.domain.errors import MisuseError, StoreError
from acd.domain.records import Record
from acd.store.backend import Backend, UnavailableError
from acd.store.batches import Run, folded, line
from acd.store.carrier import Carrier
from acd.store.leftover import Leftover
from acd.store.operations import Batch
from acd.store.options import StoreOptions
from acd.store.spill import Mark, Spill, SpillFullError
from acd.store.thread import WorkThread
from acd.store.tickets import Tickets

log = logging.getLogger(__name__)

_TELL_EVERY_S = 10.0
_FADES = 0.95
"""What is left of a slow commit's influence on the pace with each one that follows."""


class Writer:
    """Makes records durable. Everything but ``state`` belongs to the event loop's thread."""

    def __init__(
        self,
        backend: Backend,
        spill: Spill,
        options: StoreOptions,
        *,
        prefix: str = "",
        on_return: Callable[[], None] | None = None,
    ) -> None:
        self._spill, self._options = spill, options
        # Never used before, so a batch of ours cannot be taken for one of an earlier life.
        self.name = prefix + os.urandom(8).hex()
        self._records: list[Record] = []
        self._since = 0.0
        """When what the oldest of them tells of happened."""
        self._timer: asyncio.TimerHandle | None = None
        self._takes_s = 0.0
        """What a commit may be expected to take: the longest of the last few."""
        self._taken = 0
        """Records taken out of ``_records`` so far: the number of the last."""
        self._tickets = Tickets()
        self._told_at: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._due = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._stuck = ""
        """Why neither the spill nor the database takes anything, if so."""
        self._memory_only = False
        """Neither of them took the records that are next, so nobody knows when they will be durable."""
        self._releasing: asyncio.Handle | None = None
        self._without_spill = ""
        """Why records go into the database at once although ``durable_in`` says otherwise, if so."""
        self._try_spill_at = -math.inf
        self._order = asyncio.Lock()
        self._disk = WorkThread("acd-spill")
        self._carrier = Carrier(
            backend,
            spill,
            options,
            self.name,
            order=self._order,
            on_disk=self._disk.submit,
            tell=self._tell,
            settled=self._settle,
        )
        self._carrier.on_return = on_return
        self._counts = {"written": 0, "batches": 0, "dropped": 0}

    # -- the port ----------------------------------------------------------------------------------------------------

    def write(self, records: Sequence[Record], *, soon: bool = False, age_s: float = 0.0) -> int:
        """Queue records; returns their ticket. ``soon``: somebody waits until the database has them (or, if it is away,
        the spill), so do not gather more. ``age_s``: what they tell of was so long ago. Raises MisuseError before ``start``
        and after ``close``."""
        if self._task is None or self._stopping:
            raise MisuseError("the store is not open")
        now = asyncio.get_running_loop().time()
        fits = len(self._records) + len(records) <= self._options.held_max
        if fits and (not self._records or now - age_s < self._since):
            self._since = now - age_s
            if self._timer is not None:
                self._arm()
        ticket = self._tickets.give(len(records) if fits else 0, now, soon=soon)
        if fits:
            self._records.extend(records)
        else:
            self._drop(len(records))
        self._wake.set()
        if soon:
            self._carrier.want(self._tickets.accepted)
        if soon or len(self._records) >= self._options.batch_max:
            self._due.set()
        if self._memory_only and self._releasing is None:
            # Whoever writes may note only after this that he waits for the ticket
            self._releasing = asyncio.get_running_loop().call_soon(self._release)
        return ticket

    def durable(self, ticket: int) -> bool:
        """Whether all of the ticket's records are in the spill or the database."""
        return self._tickets.durable(ticket)

    def on_durable(self, callback: Callable[[int], Any]) -> None:
        """``callback(ticket)`` whenever everything up to ``ticket`` is settled: durable, dropped, or held in memory alone,
        from where it may become durable (``durable`` tells)."""
        self._tickets.listen(callback)

    async def flush(self, within_s: float) -> bool:
        """Bring everything written so far into the database now. False where that is not possible ``within_s``."""
        upto = self._tickets.accepted
        if upto <= self._carrier.stored:
            return True
        if self._carrier.spilling or self._task is None or self._stopping:
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append((upto, waiter))
        self._carrier.want(upto)
        if self._records:
            self._due.set()
        await asyncio.wait({waiter}, timeout=within_s)
        waiter.cancel()
        return upto <= self._carrier.stored

    def state(self) -> dict[str, Any]:
        """StorePort.state, with every count this writer keeps."""
        carrier, spilling = self._carrier, self._carrier.spilling
        full = self._stuck or len(self._records) >= self._options.held_max
        state = "full" if full else "spilling" if spilling else "ok"
        lag_s, oldest_at = self._tickets.lag_s, self._tickets.oldest_at()
        if oldest_at is not None and self._task is not None and not self._task.done():
            lag_s = max(lag_s if state == "ok" else 0.0, self._task.get_loop().time() - oldest_at)
        return {
            "state": state,
            "spilled": self._spill.batches if spilling else 0,
            "spilled_bytes": self._spill.size_bytes if spilling else 0,
            "held": len(self._records),
            "behind": carrier.safe - carrier.stored,
            "lag_ms": round(lag_s * 1000, 3),
            "detail": self._stuck or carrier.detail or self._without_spill,
            "unfit": carrier.unfit,
            **self._counts,
            **carrier.counts,
        }

    # -- life --------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Lock and read the spill, connect, bring into the database what an earlier life left. Raises StoreError."""
        await self._disk.submit(self._spill.open)
        await self._carrier.prepare()

    async def prepare_alone(self) -> Leftover:
        """Lock and read the spill, for a start without the database: what can be remembered from it. Raises StoreError."""
        await self._disk.submit(self._spill.open)
        try:
            return await self._disk.submit(self._remember)
        except OSError as error:
            raise StoreError(f"the spill cannot be read: {error}") from error

    def _remember(self) -> Leftover:
        found = Leftover()
        for batch in self._spill.left():
            found.add(batch)
        return found

    def start(self, *, alone: str = "") -> None:
        """Begin to commit. ``alone``: why the database is away."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="store-writer")
        self._carrier.start()
        if alone:
            self._carrier.begin_spilling(alone)

    async def close(self) -> None:
        """Make everything durable that can be, and stop. Bounded by a few times ``patience_s``."""
        self._stopping = True
        self._wake.set()
        self._due.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=4 * self._options.patience_s + 1)
            if not self._task.done():
                self._task.cancel()
                lost = self._tickets.accepted - self._carrier.safe
                log.error("%d records could not be made durable before the end", lost)
            await asyncio.gather(self._task, return_exceptions=True)
        await self._carrier.close()
        self._settle()
        if not self._disk.late:
            await self._disk.submit(self._spill.close)
        self._disk.close()

    # -- taking ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            if not self._records:
                self._settle()
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
                self._carrier.counts["refused"] += 1
                self._settle(lost=True)

    async def _pace(self) -> None:
        """Wait for more until the first record can be durable after ``pace_s``, as things go lately; unless enough has
        gathered or somebody waits."""
        now = asyncio.get_running_loop().time()
        if self._due_at() > now and len(self._records) < self._options.batch_max and not self._stopping:
            self._arm()
            try:
                await self._due.wait()
            finally:
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
        self._due.clear()

    def _due_at(self) -> float:
        return self._since + self._options.pace_s - self._takes_s

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._due_at(), self._due.set)

    async def _commit(self) -> None:
        limit = self._options.batch_max
        run = Run(self._taken + 1, self._records[:limit])
        self._records = self._records[limit:]
        begin = asyncio.get_running_loop().time()
        self._taken = run.last
        batches = await folded(self.name, [run], self._refuse)
        await self._make_durable(run, batches)
        self._counts["written"] += len(run.records)
        self._counts["batches"] += 1
        self._takes_s = max(asyncio.get_running_loop().time() - begin, _FADES * self._takes_s)
        self._settle()

    def _refuse(self, record: Record, error: Exception) -> None:
        log.error("a record cannot be stored: %r", record, exc_info=error)
        self._carrier.counts["refused"] += 1

    def _settle(self, *, lost: bool = False) -> None:
        carrier = self._carrier
        safe = self._taken if lost else carrier.safe
        stored = safe if lost or carrier.spilling else carrier.stored
        self._tickets.settle(safe, stored, asyncio.get_running_loop().time(), lost=lost)
        for upto, waiter in self._flushes:
            if (upto <= carrier.stored or carrier.spilling) and not waiter.done():
                waiter.set_result(None)
        self._flushes = [flush for flush in self._flushes if not flush[1].done()]

    def _release(self) -> None:
        self._releasing = None
        if self._memory_only:
            self._tickets.release()

    def _drop(self, count: int) -> None:
        self._counts["dropped"] += count
        why = self._stuck or "more than the store can hold"
        self._tell(logging.CRITICAL, "the newest records are dropped, %d so far: %s", self._counts["dropped"], why)
        self._tickets.lose(self._tickets.last, self._tickets.last)

    def _tell(self, level: int, what: str, *details: object) -> None:
        """Log what may happen many times a second, but not that often."""
        now = asyncio.get_running_loop().time()
        if now - self._told_at.get(what, -math.inf) >= _TELL_EVERY_S:
            self._told_at[what] = now
            log.log(level, what, *details)

    # -- finding a durable place -------------------------------------------------------------------------------------

    async def _make_durable(self, run: Run, batches: Sequence[Batch]) -> None:
        lines: list[bytes] | None = None
        while True:
            async with self._order:
                self._overflow()
                if self._spill_is_next():
                    try:
                        lines = lines or [await line(batch) for batch in batches]
                        run.mark = await self._append(lines)
                    except (OSError, SpillFullError) as error:
                        self._do_without_spill(str(error))
                    else:
                        self._stuck = self._without_spill = ""
                        self._memory_only = False
                        self._carrier.add(run)
                        return
                if not self._carrier.spilling:
                    try:
                        await self._carrier.store_now(run)
                    except UnavailableError as error:
                        self._carrier.begin_spilling(str(error))
                        continue
                    self._stuck = ""
                    self._memory_only = False
                    return
            # Neither takes it. The lock is free meanwhile, so that a database that is back can be declared so.
            await asyncio.sleep(self._options.retry_min_s)

    def _overflow(self) -> None:
        """Memory is the last resort, not the next one. (Where the spill takes nothing, the database may.)"""
        crowded = len(self._records) > self._options.held_max // 2 and self._options.durable_in == "database"
        if crowded and not self._carrier.spilling and not self._stuck:
            self._carrier.begin_spilling("records come faster than the database takes them")

    def _spill_is_next(self) -> bool:
        """Whether to try the spill before the database."""
        if self._carrier.spilling:
            return True
        return self._options.durable_in == "log" and asyncio.get_running_loop().time() >= self._try_spill_at

    def _do_without_spill(self, why: str) -> None:
        self._try_spill_at = asyncio.get_running_loop().time() + self._options.retry_max_s
        if self._carrier.spilling:
            self._tell(logging.CRITICAL, "records are held in memory only: %s", why)
            self._stuck = why
            if not self._memory_only:
                self._memory_only = True
                self._tickets.release()
        else:
            self._tell(logging.ERROR, "records go into the database at once, for the spill takes none: %s", why)
            self._without_spill = why

    async def _append(self, lines: Sequence[bytes]) -> Mark:
        """Into the spill, in its thread; a disk that hangs is not waited for. Raises OSError, SpillFullError."""
        try:
            return await self._disk.within(self._options.patience_s, self._spill.append, lines)
        except TimeoutError as error:
            # What it still writes is a batch that is stored elsewhere then: a replay passes over it.
            raise OSError(f"the spill's disk did not answer within {self._options.patience_s:g} s") from error
