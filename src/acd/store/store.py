"""The store as others see it: opening, closing, and the two halves behind one name."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from acd.domain.errors import MisuseError, StoreError
from acd.domain.ports import Memory
from acd.domain.records import Record
from acd.store import memory, schema
from acd.store.alone import PREFIX, Lives, SettlingBackend, begun
from acd.store.away import is_away
from acd.store.backend import UnavailableError
from acd.store.history import History
from acd.store.location import first_line, locate
from acd.store.options import StoreOptions
from acd.store.reader import Reader
from acd.store.sealing import without_number
from acd.store.spill import Spill
from acd.store.standing import AgentsKept, Served
from acd.store.writer import Writer

log = logging.getLogger(__name__)

Callers = tuple[tuple[str, str], ...]
"""As Memory.callers."""


class Store:
    """StorePort on ``url``'s database, its spill in ``spill_dir`` (``state_dir/spill``); ``records`` is the RecordsPort.

    ``sealed`` makes of a caller's number what is kept in its place; then no name is kept either. Making one does nothing
    yet. Raises ConfigurationError on a URL that cannot be used.
    """

    def __init__(
        self,
        url: str,
        state_dir: Path,
        options: StoreOptions | None = None,
        *,
        spill_dir: Path | None = None,
        sealed: Callable[[str], str] | None = None,
    ) -> None:
        self._options = options or StoreOptions()
        self._location = locate(url)
        self._spill_dir = spill_dir or state_dir / "spill"
        self._epoch_file = state_dir / "epoch"
        self._writer: Writer | None = None
        self._callbacks: list[Callable[[int], Any]] = []
        self._epoch = 0
        self._sealed = sealed
        self.alone = ""
        """Why this life began without the database, if it did."""
        self._lives = Lives(self._spill_dir)
        self._served = Served(state_dir, str(self._location))
        self._agents = AgentsKept(state_dir)
        self._on_return: Callable[[Callers], Any] | None = None
        self._returning: asyncio.Task[None] | None = None
        engine = self._location.async_engine(readers=self._options.readers, query_s=self._options.query_s)
        self.records = Reader(engine, str(self._location), self.flush, sealed)
        self.history = History(engine, str(self._location), self.flush)

    async def open(self, *, on_return: Callable[[Callers], Any] | None = None) -> Memory:
        """StorePort.open. Raises SchemaError (run what it says), or StoreError if the database is away or the spill
        directory belongs to another process; nothing was changed then but what the spill brought in.

        ``on_return``: begin also while the database is away, if this state directory has served with it before; ``alone``
        says why then. Remembered is what stands beside the service, records stay in the spill, and when the database is
        back and has everything, ``on_return`` is called with whom callers talked to last (Memory.callers).
        """
        if self._writer is not None:
            raise MisuseError("the store is open already")
        self.alone, self._on_return = "", on_return
        try:
            await self._check()
            writer = self._new_writer()
            try:
                await writer.prepare()
                remembered = await self._remember()
            except BaseException:
                await writer.close()
                raise
        except UnavailableError as error:
            if on_return is None or not is_away(error.__cause__):
                raise
            writer, remembered = await self._begin_alone(str(error))
        else:
            # All that was in the spill is in the database
            await asyncio.to_thread(self._lives.clear)
            await asyncio.to_thread(self._served.note)
        for callback in self._callbacks:
            writer.on_durable(callback)
        writer.start(alone=self.alone)
        self._agents.start(remembered.agents)
        self._writer = writer
        return remembered

    async def drain(self) -> None:
        """Bring into the database what a life that is over left in the spill, and begin none: nothing else is written, in
        the database or beside it. Raises SchemaError, and StoreError if the database is away or the spill directory
        belongs to another process."""
        if self._writer is not None:
            raise MisuseError("the store is open already")
        if not self._spill_dir.is_dir():
            return
        await self._check()
        writer = self._new_writer()
        try:
            await writer.prepare()
            await asyncio.to_thread(self._lives.clear)
        finally:
            await writer.close()

    def _new_writer(self, prefix: str = "") -> Writer:
        backend = SettlingBackend(self._location.backend(), self._lives, self._location, self._check)
        spill = Spill(self._spill_dir, self._options.spill_limit_bytes)
        return Writer(backend, spill, self._options, prefix=prefix, on_return=self._returned)

    async def _begin_alone(self, why: str) -> tuple[Writer, Memory]:
        """Raises StoreError."""
        if not self._served.before():
            raise StoreError(
                f"{why} (a service that has not had this database before, from this state directory, does not begin "
                "without it)"
            )
        at = time.time()
        writer = self._new_writer(PREFIX)
        try:
            left = await writer.prepare_alone()
            known = self._agents.read()
            for name, agent in left.agents.items():
                if name not in known or known[name].since <= agent.since:
                    known[name] = agent
            # Numbers are given anew, and put behind those in the database when it is back
            agents = tuple(replace(known[name], serial=0) for name in sorted(known))
            calls, wraps = left.calls(self._options.open_calls_max), left.wraps()
            self._epoch = await asyncio.to_thread(self._served.draw)
            life = begun(writer.name, self._epoch, at, agents, (call.call for call in calls), wraps)
            await asyncio.to_thread(self._lives.keep, life)
        except OSError as error:
            await writer.close()
            raise StoreError(f"{why}; and nothing can be kept beside the service either: {error}") from error
        except BaseException:
            await writer.close()
            raise
        self.alone = why
        log.error("the database is away: this life begins without it, as %d (%s)", self._epoch, why)
        return writer, Memory(self._epoch, agents, calls, wraps)

    def _returned(self) -> None:
        if self.alone:
            self._returning = asyncio.get_running_loop().create_task(self._catch_up(), name="store-catch-up")

    async def _catch_up(self) -> None:
        """The database is back after a start without it."""
        why, self.alone = self.alone, ""
        engine = self._location.async_engine()
        try:
            await asyncio.to_thread(self._served.note)
            async with asyncio.timeout(self._options.query_s), engine.connect() as connection:
                since = time.time() - self._options.callers_s
                callers = await memory.remember_callers(connection, self._options.callers_max, since, self._sealed)
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            self.alone = why
            log.warning("whom callers talked to last could not be read: %s", first_line(error))
            return
        finally:
            await engine.dispose()
        if self._on_return is not None:
            self._on_return(callers)

    async def _check(self) -> None:
        if self._location.path is not None and not self._location.path.exists():
            raise schema.missing(self._location)
        engine = self._location.async_engine()
        try:
            async with asyncio.timeout(self._options.connect_s), engine.connect() as connection:
                await connection.run_sync(schema.check, self._location)
        except TimeoutError as error:
            raise UnavailableError(f"{self._location} did not answer within {self._options.connect_s:g} s") from error
        except (SQLAlchemyError, OSError) as error:
            raise UnavailableError(f"{self._location}: {first_line(error)}") from error
        finally:
            await engine.dispose()

    async def _remember(self) -> Memory:
        engine = self._location.async_engine()
        try:
            async with engine.connect() as connection:
                self._epoch = await memory.next_epoch(connection, self._last_epoch())
                self._keep_epoch()
                agents = await memory.remember_agents(connection)
                wraps = await memory.remember_wraps(connection)
                calls, more = await memory.remember_calls(connection, self._options.open_calls_max)
                since = time.time() - self._options.callers_s
                most = self._options.callers_max
                callers = await memory.remember_callers(connection, most, since, self._sealed)
        except (SQLAlchemyError, OSError) as error:
            raise UnavailableError(f"{self._location}: {first_line(error)}") from error
        finally:
            await engine.dispose()
        if more:
            log.warning("%d older calls that never ended are left as they are", more)
        return Memory(self._epoch, agents, calls, wraps, callers)

    def _last_epoch(self) -> int:
        """The last epoch used from this state directory, whatever has become of the database since: an id is never
        given twice, although the database was lost or put back from a copy."""
        try:
            return int(self._epoch_file.read_text())
        except (OSError, ValueError):
            return 0

    def _keep_epoch(self) -> None:
        fresh = self._epoch_file.with_suffix(".new")
        try:
            fresh.write_text(f"{self._epoch}\n")
            fresh.replace(self._epoch_file)
        except OSError as error:
            log.warning("%s could not be written: %s", self._epoch_file, error)

    def write(self, records: Sequence[Record], *, soon: bool = False, age_s: float = 0.0) -> int:
        """StorePort.write; ``soon`` if somebody waits until the database has these (or, if it is away, the spill).
        Raises MisuseError if the store is not open."""
        if self._sealed is not None:
            records = [without_number(record, self._sealed) for record in records]
        ticket = self._open_writer().write(records, soon=soon, age_s=age_s)
        self._agents.note(records)
        return ticket

    async def flush(self) -> bool:
        """Have everything written so far in the database, where others see it. Takes milliseconds; False when the
        database is away, or has not taken it within ``patience_s``. Never raises for the database's sake."""
        return self._writer is not None and await self._writer.flush(self._options.patience_s)

    def durable(self, ticket: int) -> bool:
        """StorePort.durable. Stays False for a ticket whose records were dropped."""
        return self._writer is not None and self._writer.durable(ticket)

    def on_durable(self, callback: Callable[[int], Any]) -> None:
        """StorePort.on_durable; tickets dropped, or held in memory alone because nothing takes records, are passed too, so
        that nobody waits for ever: ``durable`` tells."""
        self._callbacks.append(callback)
        if self._writer is not None:
            self._writer.on_durable(callback)

    def state(self) -> dict[str, Any]:
        """StorePort.state ("closed" before ``open`` and after ``close``), and ``spilled_bytes``, ``held``, ``dropped``
        (records), ``refused`` (rows), ``damaged`` (lines), ``batches``, ``replayed`` (batches, as ``spilled``),
        ``behind`` (durable records not yet in the database), ``transactions``."""
        if self._writer is None:
            return {"state": "closed", "spilled": 0, "lag_ms": 0.0, "written": 0, "detail": "the store is not open"}
        return self._writer.state()

    async def close(self) -> None:
        """StorePort.close. The records not even the spill took by then are lost, counted and logged."""
        writer, self._writer = self._writer, None
        if self._returning is not None:
            self._returning.cancel()
        if writer is not None:
            await self._agents.close()
            await writer.close()
            if writer.state()["state"] == "ok":
                await asyncio.to_thread(self._lives.clear)
                await self._end()
        await self.records.close()

    async def _end(self) -> None:
        engine = self._location.async_engine()
        try:
            async with asyncio.timeout(self._options.patience_s), engine.connect() as connection:
                await memory.end_epoch(connection, self._epoch)
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            log.warning("the end of epoch %d could not be noted: %s", self._epoch, first_line(error))
        finally:
            with suppress(SQLAlchemyError):
                await engine.dispose()

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise MisuseError("the store is not open")
        return self._writer
