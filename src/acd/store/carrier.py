"""The way into the database: what the spill made durable goes there in few and large transactions.

One task takes the runs of records that have gathered since its last transaction, folds all of them together and stores
them under the number of the last record, so that the same records, read back from the spill, are passed over. When the
database does not take them within ``patience_s`` they are forgotten here, for they are in the spill; a second task
brings that back, in order and in pieces, once the database has returned. Knows nothing of tickets.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from acd.store.backend import Backend, UnavailableError, UnfitError, UnstorableError
from acd.store.batches import Run, bent, folded, line, parted
from acd.store.operations import Batch
from acd.store.options import StoreOptions
from acd.store.spill import Piece, Spill

log = logging.getLogger(__name__)

_REFUSED_FILE = "refused.jsonl"


class Tell(Protocol):
    """Logs what may happen many times a second, but not that often."""

    def __call__(self, level: int, what: str, *details: object) -> None: ...


class Carrier:
    """Brings records into the database. Belongs to the event loop's thread; ``on_disk`` runs work in the spill's.

    ``order`` is held while a run finds its durable place, and while the spill's end is declared reached: nothing may
    overtake. ``settled`` is called whenever ``safe`` or ``stored`` may have moved.
    """

    def __init__(
        self,
        backend: Backend,
        spill: Spill,
        options: StoreOptions,
        name: str,
        *,
        order: asyncio.Lock,
        on_disk: Callable[..., asyncio.Future[Any]],
        tell: Tell,
        settled: Callable[[], None],
    ) -> None:
        self._backend, self._spill, self._options, self._name = backend, spill, options, name
        self._order, self._on_disk, self._tell, self._settled = order, on_disk, tell, settled
        self.spilling = False
        """The database is away: what comes stays in the spill."""
        self.detail = ""
        self.unfit = ""
        """Why the database that answers is not to be written to, if so."""
        self.on_return: Callable[[], None] | None = None
        """Called when the database was away and has everything again."""
        self.safe = 0
        """The number of the last record that is durable; ``stored``: that is in the database."""
        self.stored = 0
        self.counts = {"transactions": 0, "replayed": 0, "refused": 0, "damaged": 0}
        self._waiting: deque[Run] = deque()
        self._count = 0
        """Records in ``_waiting``."""
        self._since = 0.0
        """When its first run came."""
        self._wanted: deque[int] = deque()
        """Numbers of records somebody waits for."""
        self._turn = asyncio.Lock()
        """Held by whoever uses the backend."""
        self._wake = asyncio.Event()
        self._closing = False
        self._releasing: asyncio.Future[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._return: asyncio.Task[None] | None = None

    # -- life --------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Connect, and bring into the database what an earlier life left in the spill. Raises StoreError."""
        await self._backend.connect(self._options.connect_s)
        if self._spill.batches:
            log.warning(
                "%d batches of an earlier life are in the spill: the database gets what it lacks", self._spill.batches
            )
        while not self._spill.drained:
            await self._replay_piece()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="store-carrier")

    async def close(self) -> None:
        """A last transaction, if the database lets us; what it does not take stays in the spill. Bounded by a few times
        ``patience_s``."""
        self._closing = True
        self._wake.set()
        for task, within_s in ((self._task, 2 * self._options.patience_s), (self._return, self._options.patience_s)):
            if task is not None:
                # Both stop by themselves between two transactions; what hangs in the database is cut off.
                await asyncio.wait({task}, timeout=within_s)
                if not task.done():
                    self._backend.abort()
                    await asyncio.wait({task}, timeout=self._options.patience_s)
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._backend.close()

    # -- the steady state --------------------------------------------------------------------------------------------

    def add(self, run: Run) -> None:
        """The run is durable in the spill."""
        self.safe = run.last
        if self.spilling:
            self._met(run.last)
            return
        if not self._waiting:
            self._since = asyncio.get_running_loop().time()
        self._waiting.append(run)
        self._count += len(run.records)
        if self._count > self._options.held_max // 2:
            self.begin_spilling("records come faster than the database takes them")
        elif len(self._waiting) == 1 or self._is_due(self._since):
            self._wake.set()

    def want(self, number: int) -> None:
        """Somebody waits for the records up to this number: begin a transaction as soon as they are durable."""
        self._met(self.stored)
        if number > self.stored and not (self._wanted and self._wanted[-1] >= number):
            self._wanted.append(number)
            self._wake.set()

    def _met(self, upto: int) -> None:
        while self._wanted and self._wanted[0] <= upto:
            self._wanted.popleft()

    async def store_now(self, run: Run) -> None:
        """Store a run that is in no spill, behind all that waits. Raises UnavailableError."""
        async with self._turn:
            if self.spilling:
                raise UnavailableError(self.detail)
            runs = [*self._waiting, run]
            self._waiting.clear()
            self._count = 0
            await self._carry(runs)

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._until_due()
            async with self._turn:
                runs = self._take()
                if not runs:
                    continue
                try:
                    await self._carry(runs)
                except UnavailableError as error:
                    self.begin_spilling(str(error))
                except Exception as error:
                    # All of them are in the spill, whose batches are smaller and are tried one by one.
                    log.exception("records could not be brought into the database")
                    self.begin_spilling(f"a defect, see the log: {error}")

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and not self._is_due(loop.time()):
            self._wake.clear()
            timer = loop.call_at(self._since + self._options.database_pace_s, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    def _is_due(self, now: float) -> bool:
        self._met(self.stored)
        return (
            self._closing
            or self._count >= self._options.database_batch_max
            or now >= self._since + self._options.database_pace_s
            or bool(self._wanted and self._wanted[0] <= self._waiting[-1].last)
        )

    def _take(self) -> list[Run]:
        runs, count = [], 0
        while self._waiting and count < self._options.database_batch_max:
            run = self._waiting.popleft()
            runs.append(run)
            count += len(run.records)
        self._count -= count
        self._since = asyncio.get_running_loop().time()
        return runs

    async def _carry(self, runs: Sequence[Run]) -> None:
        """One transaction. Raises UnavailableError."""
        batches = await folded(self._name, runs)
        if batches:
            try:
                await self._backend.apply(batches, self._options.patience_s)
            except UnavailableError:
                raise
            except Exception as error:
                _complain(error)
                # A run for itself has the number it has in the spill, and takes fewer others with it if it is refused.
                for run in runs:
                    await self._store_each(await folded(self._name, [run]), self._options.patience_s)
            self.counts["transactions"] += 1
        self.stored = runs[-1].last
        self.safe = max(self.safe, self.stored)
        self._settled()
        marks = [run.mark for run in runs if run.mark is not None]
        if marks:
            # In its turn, after what was given to the disk before. Not waited for: it may hang, and the database does not.
            self._releasing = self._on_disk(self._spill.release, marks[-1])

    async def _store(self, batches: Sequence[Batch], within_s: float) -> None:
        """Into the database, bending or setting aside what it will never take. Raises UnavailableError."""
        try:
            await self._backend.apply(batches, within_s)
        except UnavailableError:
            raise
        except Exception as error:
            _complain(error)
            await self._store_each(batches, within_s)

    async def _store_each(self, batches: Sequence[Batch], within_s: float) -> None:
        for batch in batches:
            try:
                await self._backend.apply([batch], within_s)
            except UnavailableError:
                raise
            except Exception:
                await self._store_forced(bent(batch), within_s)

    async def _store_forced(self, batch: Batch, within_s: float) -> None:
        """The whole of it, or all but the rows that lack something, or nothing of it."""
        fit, unfit = parted(batch)
        try:
            if fit.rows:
                await self._backend.apply([fit], within_s)
        except UnavailableError:
            raise
        except Exception as error:
            await self._refuse(batch, error)
        else:
            if unfit.rows:
                await self._refuse(unfit, "they lack what every row of their table has")

    async def _refuse(self, batch: Batch, why: Exception | str) -> None:
        self.counts["refused"] += batch.count()
        aside = await line(batch)
        try:
            path = await self._on_disk(self._spill.set_aside, [aside], _REFUSED_FILE)
            log.error("%d rows no database takes were set aside in %s: %s", batch.count(), path, why)
        except OSError as failure:
            log.error("%d rows no database takes are lost (%s): %s", batch.count(), failure, why)

    # -- the way back ------------------------------------------------------------------------------------------------

    def begin_spilling(self, why: str) -> None:
        """Leave what is in the spill there, and everything that follows, until all of it was brought back."""
        self._waiting.clear()
        self._count = 0
        self._met(self.safe)
        self.detail = why
        if not self.spilling:
            self._tell(logging.ERROR, "records stay in the spill from now on: %s", why)
            self.spilling = True
            self._return = asyncio.get_running_loop().create_task(self._come_back(), name="store-replay")
            self._settled()

    async def _come_back(self) -> None:
        wait_s = self._options.retry_min_s
        while not self._closing:
            await asyncio.sleep(wait_s)
            try:
                async with self._turn:
                    await self._backend.connect(self._options.patience_s)
                    # Where the spill is drained already no replay would show it
                    await self._backend.prove(self._options.patience_s)
                await self._replay()
            except (UnavailableError, OSError) as error:
                self.detail = str(error)
                self.unfit = str(error) if isinstance(error, UnfitError) else ""
                if self.unfit:
                    self._tell(logging.CRITICAL, "records stay in the spill: %s", self.unfit)
                wait_s = min(wait_s * 2, self._options.retry_max_s)
            except Exception as error:
                log.exception("replaying the spill failed")
                self.detail = f"replaying the spill failed: {error}"
                wait_s = self._options.retry_max_s
            else:
                return

    async def _replay(self) -> None:
        while not self._closing:
            while not self._spill.drained:
                async with self._turn:
                    await self._replay_piece()
                if self._closing:
                    return
            async with self._order:
                if self._spill.drained:
                    self._tell(logging.WARNING, "the database is back, and everything in it")
                    self.spilling, self.detail, self.unfit, self.stored = False, "", "", self.safe
                    break
        else:
            return
        if self.on_return is not None:
            self.on_return()

    async def _replay_piece(self) -> None:
        piece: Piece = await self._on_disk(self._spill.read, self._options.replay_bytes)
        if piece.batches:
            await self._store(piece.batches, self._options.replay_s)
        await self._on_disk(self._spill.taken, piece)
        self.counts["replayed"] += len(piece.batches)
        self.counts["damaged"] += len(piece.damaged)


def _complain(error: Exception) -> None:
    """Of records a database will not take; what is no refusal is a defect of ours, which must not hold up the rest."""
    known = error if not isinstance(error, UnstorableError) else None
    log.error("%s; trying batch by batch, with what is wrong replaced", error, exc_info=known)
