"""Batches into SQLite: one hop to one thread a transaction. The event loop never waits for the disk.

The journal is a WAL with synchronous=FULL: a commit is on the disk, not only beyond the reach of kill -9. With NORMAL a
power cut could take back what the spill has been let go of. Nothing here decides what to do when the database is away.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from acd.store import facts
from acd.store.backend import Breather, UnavailableError, UnstorableError, dumps
from acd.store.operations import BY_NAME, OPERATIONS, Batch, Operation, Row
from acd.store.thread import WorkThread
from acd.store.times import to_text

_T = TypeVar("_T")
_ROWS_A_SLICE = 64
_LAST_WAIT_S = 3.0
_BUSY_MAX_S = 1.0
"""For a lock somebody else holds: nothing can end this wait from outside, so it is short and begun anew."""
_FENCE = (
    "INSERT INTO writers (writer, batch) VALUES (?, ?) ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch "
    "WHERE batch < excluded.batch"
)
_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
_ENCODING_ERRORS = (TypeError, ValueError, OverflowError, RecursionError)

Encoded = tuple[str, int, list[tuple[str, list[tuple[Any, ...]]]]]


def statement(operation: Operation) -> str:
    """The statement for one row; ``?n`` is the row's nth value."""
    table, place = operation.table.name, {name: f"?{n}" for n, name in enumerate(operation.columns, 1)}
    if operation.verb == "put":
        changes = ", ".join(
            f"{name} = coalesce(excluded.{name}, {table}.{name})"
            if name in operation.kept
            else f"{name} = excluded.{name}"
            for name in operation.values
        )
        unless = f" WHERE excluded.{operation.newer} >= {table}.{operation.newer}" if operation.newer else ""
        return (
            f"INSERT INTO {table} ({', '.join(operation.columns)}) VALUES ({', '.join(place.values())}) "
            f"ON CONFLICT ({', '.join(operation.keys)}) DO UPDATE SET {changes}{unless}"
        )
    if operation.verb == "patch":
        changes = ", ".join(
            f"{name} = coalesce({place[name]}, {name})" if name in operation.kept else f"{name} = {place[name]}"
            for name in operation.values
        )
        which = " AND ".join(f"{name} = {place[name]}" for name in operation.keys)
        return f"UPDATE {table} SET {changes} WHERE {which}"
    owner, serial = operation.keys
    (end,) = operation.values
    return (
        f"UPDATE {table} SET {end} = {place[end]} WHERE {owner} = {place[owner]} AND {end} IS NULL AND {serial} = "
        f"(SELECT max({serial}) FROM {table} WHERE {owner} = {place[owner]} AND {serial} < {place[serial]})"
    )


_STATEMENTS = {operation.name: statement(operation) for operation in OPERATIONS}
_FACTS, _WRAPS = facts.sqlite_statement(), facts.sqlite_wraps()
_TIMES = {
    operation.name: tuple(n for n, name in enumerate(operation.columns) if operation.kind(name) == "time")
    for operation in OPERATIONS
}
_DETAILS = {
    operation.name: tuple(n for n, name in enumerate(operation.columns) if operation.kind(name) == "json")
    for operation in OPERATIONS
}


def _encode_rows(name: str, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    times, details, keeps = _TIMES[name], _DETAILS[name], bool(BY_NAME[name].kept)
    encoded = []
    for row in rows:
        values = list(row)
        for n in times:
            if values[n] is not None:
                values[n] = to_text(values[n])
        for n in details:
            if values[n] is not None or not keeps:
                values[n] = dumps(values[n])
        encoded.append(tuple(values))
    return encoded


async def encode(batch: Batch, touched: facts.Touched) -> Encoded:
    """A batch as (statement, rows) pairs. Raises UnstorableError."""
    breather, parts = Breather(), []
    try:
        for name, rows in batch.rows.items():
            encoded: list[tuple[Any, ...]] = []
            for start in range(0, len(rows), _ROWS_A_SLICE):
                encoded += _encode_rows(name, rows[start : start + _ROWS_A_SLICE])
                await breather.rest()
            parts.append((_STATEMENTS[name], encoded))
        for sql, calls in zip((_FACTS, _WRAPS), touched.of([batch]), strict=True):
            if calls:
                parts.append((sql, [(call,) for call in calls]))
    except _ENCODING_ERRORS as error:
        raise UnstorableError(f"a record cannot be stored: {error}") from error
    return batch.writer, batch.number, parts


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection for writing, without Python's own transaction handling. Never makes a database."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw", uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # A page that changes in every batch is copied back once a checkpoint: few and large ones cost a third less.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(
                f"the journal is {mode}, not a WAL: is this file system shared or read-only?"
            )
    except BaseException:
        connection.close()
        raise
    return connection


class SqliteBackend:
    """The writing connection to a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = WorkThread("acd-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._busy_s = 0.0
        self._file = (0, 0)
        self._touched = facts.Touched()

    async def connect(self, within_s: float) -> None:
        await self._in_thread(lambda: self._reconnect(within_s), within_s)

    async def prove(self, within_s: float) -> None:
        await self._in_thread(lambda: self._prove(within_s), within_s)

    async def apply(self, batches: Sequence[Batch], within_s: float) -> None:
        encoded = [await encode(batch, self._touched) for batch in batches]
        await self._in_thread(lambda: self._apply(encoded, within_s), within_s)

    def abort(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    async def close(self) -> None:
        # A thread that hangs in the disk is left to the process's end; nothing in it was promised.
        await asyncio.wait({self._thread.submit(self._disconnect)}, timeout=_LAST_WAIT_S)
        self._thread.close()

    async def _in_thread(self, work: Callable[[], _T], within_s: float) -> _T:
        # A thread stuck in the disk cannot be stopped; to start another would let two write at once.
        still = " still" if self._thread.late else ""
        try:
            return await self._thread.within(within_s * 1.25, work)
        except TimeoutError as error:
            raise UnavailableError(f"{self._path}{still} does not answer within {within_s:g} s") from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _reconnect(self, within_s: float) -> None:
        try:
            self._disconnect()
            busy_s = min(within_s, _BUSY_MAX_S)
            self._connection, self._busy_s = connect(self._path, busy_s), busy_s
            found = self._path.stat()
            self._file = (found.st_dev, found.st_ino)
        except (sqlite3.Error, OSError) as error:
            raise UnavailableError(f"{self._path}: {error}") from error

    def _check_file(self) -> None:
        """A file that was removed or replaced would take commits into nowhere."""
        try:
            now = self._path.stat()
        except OSError as error:
            self._disconnect()
            raise UnavailableError(
                f"{self._path} is gone: {error.strerror}; put it back, or run `acd db upgrade`"
            ) from error
        if self._connection is not None and (now.st_dev, now.st_ino) != self._file:
            self._disconnect()

    def _begin(self, within_s: float) -> sqlite3.Connection:
        """A connection that waits for locks no longer than that."""
        self._check_file()
        if self._connection is None:
            self._reconnect(within_s)
        connection = self._connection
        assert connection is not None
        try:
            busy_s = min(within_s, _BUSY_MAX_S)
            if busy_s != self._busy_s:
                connection.execute(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")
                self._busy_s = busy_s
        except sqlite3.Error as error:
            raise UnavailableError(f"{self._path}: {error}") from error
        return connection

    def _prove(self, within_s: float) -> None:
        connection = self._begin(within_s)
        try:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            # As it is: the page is written all the same, which needs the lock and room on the disk
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(connection)
            raise UnavailableError(f"{self._path}: {error}") from error

    def _apply(self, encoded: Sequence[Encoded], within_s: float) -> None:
        connection = self._begin(within_s)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for writer, number, parts in encoded:
                if connection.execute(_FENCE, (writer, number)).rowcount != 1:
                    continue
                for sql, rows in parts:
                    connection.executemany(sql, rows)
            connection.execute("COMMIT")
        except (*_REFUSALS, *_ENCODING_ERRORS) as error:
            self._roll_back(connection)
            raise UnstorableError(f"{self._path} refused a record: {error}") from error
        except sqlite3.Error as error:
            self._roll_back(connection)
            raise UnavailableError(f"{self._path}: {error}") from error

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()
