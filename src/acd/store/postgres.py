"""Batches into PostgreSQL: one round trip and one commit, a statement a batch and one for the calls' facts.

The statement of a batch is a fence and one data-modifying WITH query an operation, fed by unnest() from one array a
column. The fence moves the writer's last batch number on and everything else happens only if it moved, so a batch that
is replayed, or finished late by a server that was frozen, takes effect once. Nothing here decides what to do when it is
away.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor

from acd.store import facts
from acd.store.backend import Breather, UnavailableError, UnstorableError, dumps
from acd.store.operations import BY_NAME, OPERATIONS, Batch, Operation, Row

_VALUES_A_SLICE = 1000
_ARRAYS = {"text": "text[]", "int": "int[]", "time": "float8[]", "json": "text[]"}
_VALUES = {"text": "p.{}", "int": "p.{}", "time": "to_timestamp(p.{})", "json": "p.{}::json"}

_SESSION = """
SET application_name = 'acd';
SET plan_cache_mode = force_generic_plan;  -- planning each time would cost several times the execution
SET jit = off;
SET enable_seqscan = off;                  -- a plan made while a table is small must not scan it when it is large
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET statement_timeout = '30s';
"""

_FENCE = (
    "fence AS (INSERT INTO writers AS t (writer, batch) VALUES ($1, $2::bigint) ON CONFLICT (writer) "
    "DO UPDATE SET batch = excluded.batch WHERE t.batch < excluded.batch RETURNING 1)"
)

# Data exceptions, integrity violations, program limits: trying again will not help.
_REFUSALS = ("22", "23", "54")


def _from(operation: Operation, first: int) -> str:
    arrays = ", ".join(f"${first + n}::{_ARRAYS[operation.kind(name)]}" for n, name in enumerate(operation.columns))
    return f"unnest({arrays}) AS p ({', '.join(operation.columns)})"


def _value(operation: Operation, name: str) -> str:
    return _VALUES[operation.kind(name)].format(name)


def _part(operation: Operation, first: int) -> str:
    table, rows = operation.table.name, _from(operation, first)
    moved = "EXISTS (SELECT FROM fence)"
    if operation.verb == "put":
        changes = ", ".join(
            f"{name} = coalesce(excluded.{name}, t.{name})" if name in operation.kept else f"{name} = excluded.{name}"
            for name in operation.values
        )
        unless = f" WHERE excluded.{operation.newer} >= t.{operation.newer}" if operation.newer else ""
        return (
            f"INSERT INTO {table} AS t ({', '.join(operation.columns)}) "
            f"SELECT {', '.join(_value(operation, name) for name in operation.columns)} FROM {rows} WHERE {moved} "
            f"ON CONFLICT ({', '.join(operation.keys)}) DO UPDATE SET {changes}{unless}"
        )
    if operation.verb == "patch":
        changes = ", ".join(
            f"{name} = coalesce({_value(operation, name)}, t.{name})"
            if name in operation.kept
            else f"{name} = {_value(operation, name)}"
            for name in operation.values
        )
        which = " AND ".join(f"t.{name} = p.{name}" for name in operation.keys)
        return f"UPDATE {table} AS t SET {changes} FROM {rows} WHERE {which} AND {moved}"
    owner, serial = operation.keys
    (end,) = operation.values
    return (
        f"UPDATE {table} AS t SET {end} = {_value(operation, end)} FROM {rows} WHERE t.{owner} = p.{owner} "
        f"AND t.{end} IS NULL AND t.{serial} = (SELECT max(b.{serial}) FROM {table} AS b WHERE b.{owner} = p.{owner} "
        f"AND b.{serial} < p.{serial}) AND {moved}"
    )


def statement() -> str:
    """The whole statement: $1 the writer, $2 the batch's number, then one array a column of every operation."""
    parts, place = [_FENCE], 3
    for operation in OPERATIONS:
        parts.append(f"do_{operation.name} AS ({_part(operation, place)})")
        place += len(operation.columns)
    return f"WITH {', '.join(parts)} SELECT count(*) FROM fence"


_STATEMENT = statement()
_WRITES = (
    f"LOCK TABLE {', '.join(['writers', *sorted({o.table.name for o in OPERATIONS})])} IN ROW EXCLUSIVE MODE; "
    "UPDATE writers SET batch = batch WHERE writer = ''"
)
_FACTS, _WRAPS = facts.postgres_statement(), facts.postgres_wraps()
_EMPTY = {operation.name: ["{}"] * len(operation.columns) for operation in OPERATIONS}
_DETAILS = {
    operation.name: frozenset(n for n, name in enumerate(operation.columns) if operation.kind(name) == "json")
    for operation in OPERATIONS
}


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array(values: Sequence[Any]) -> str:
    """Texts, numbers and None as a PostgreSQL array literal. A JSON list is one, but for its brackets and for escapes,
    which mean something else in JSON; the C encoder is several times as fast as quoting value by value."""
    text = dumps(values)
    return "{" + (text[1:-1] if "\\" not in text else ",".join(map(_quoted, values))) + "}"


def _json(value: Any, keeps: bool) -> str | None:
    """A value as JSON; None stays null where it means that nothing is to change."""
    return None if value is None and keeps else dumps(value)


async def _columns(name: str, rows: Sequence[Row], breather: Breather) -> list[str]:
    details, keeps, columns = _DETAILS[name], bool(BY_NAME[name].kept), []
    for n, values in enumerate(zip(*rows, strict=True)):
        pieces = []
        for start in range(0, len(values), _VALUES_A_SLICE):
            piece: Sequence[Any] = values[start : start + _VALUES_A_SLICE]
            pieces.append(array([_json(value, keeps) for value in piece] if n in details else piece))
            await breather.rest()
        columns.append(pieces[0] if len(pieces) == 1 else "{" + ",".join(piece[1:-1] for piece in pieces) + "}")
    return columns


async def encode(batch: Batch) -> list[str]:
    """The statement's parameters. Raises UnstorableError."""
    breather, parameters = Breather(), [batch.writer, str(batch.number)]
    try:
        for operation in OPERATIONS:
            rows = batch.rows.get(operation.name)
            parameters += await _columns(operation.name, rows, breather) if rows else _EMPTY[operation.name]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnstorableError(f"a record cannot be stored: {error}") from error
    return parameters


class PostgresBackend:
    """The writing connection to a PostgreSQL server. ``arguments`` are psycopg.connect's; ``name`` is for messages."""

    def __init__(self, arguments: Mapping[str, Any], name: str) -> None:
        self._arguments = dict(arguments)
        self._name = name
        self._connection: AsyncConnection[Any] | None = None
        self._cut = False
        self._touched = facts.Touched()

    async def connect(self, within_s: float) -> None:
        await self.close()
        try:
            async with asyncio.timeout(within_s):
                connection = await AsyncConnection.connect(
                    **self._arguments, autocommit=True, cursor_factory=AsyncRawCursor
                )
                try:
                    await connection.execute(_SESSION, prepare=False)
                except BaseException:
                    await connection.close()
                    raise
        except TimeoutError as error:
            raise UnavailableError(f"{self._name} did not accept a connection within {within_s:g} s") from error
        except (psycopg.Error, OSError) as error:
            raise UnavailableError(f"{self._name}: {_first_line(error)}") from error
        self._connection = connection

    async def prove(self, within_s: float) -> None:
        if self._connection is None:
            await self.connect(within_s)
        assert self._connection is not None
        self._cut = False
        watchdog = asyncio.get_running_loop().call_later(within_s, self._cut_line, self._connection)
        try:
            # Refused by a standby and a server that is read-only; not to be had while somebody keeps a table to himself
            async with self._connection.transaction():
                await self._connection.execute(_WRITES, prepare=False)
        except (psycopg.Error, OSError) as error:
            raise await self._away(error, within_s) from error
        finally:
            watchdog.cancel()

    async def apply(self, batches: Sequence[Batch], within_s: float) -> None:
        if self._connection is None:
            await self.connect(within_s)
        assert self._connection is not None
        encoded = [(_STATEMENT, await encode(batch)) for batch in batches]
        # A statement sees nothing of what is done within it, and these are sums over what all of them did
        for sql, calls in zip((_FACTS, _WRAPS), self._touched.of(batches), strict=True):
            if calls:
                encoded.append((sql, [array(calls)]))
        self._cut = False
        # Cancelling a query asks the server, which may be frozen; cutting the line needs nobody's help.
        watchdog = asyncio.get_running_loop().call_later(within_s, self._cut_line, self._connection)
        try:
            await self._execute(self._connection, encoded)
        except UnicodeError as error:
            raise UnstorableError(f"a record cannot be stored: {error}") from error
        except (psycopg.Error, OSError) as error:
            if not self._cut and _is_refusal(error):
                raise UnstorableError(f"{self._name} refused a record: {_first_line(error)}") from error
            raise await self._away(error, within_s) from error
        finally:
            watchdog.cancel()

    async def _away(self, error: Exception, within_s: float) -> UnavailableError:
        await self.close()
        what = f"did not answer within {within_s:g} s" if self._cut else _first_line(error)
        return UnavailableError(f"{self._name}: {what}")

    async def _execute(self, connection: AsyncConnection[Any], encoded: Sequence[tuple[str, Sequence[str]]]) -> None:
        if len(encoded) == 1:
            await connection.execute(*encoded[0], prepare=True)
            return
        async with connection.pipeline(), connection.transaction():
            for sql, parameters in encoded:
                await connection.execute(sql, parameters, prepare=True)

    def abort(self) -> None:
        if self._connection is not None:
            self._cut_line(self._connection)

    def _cut_line(self, connection: AsyncConnection[Any]) -> None:
        self._cut = True
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


def _is_refusal(error: BaseException) -> bool:
    if not isinstance(error, psycopg.Error):
        return False
    return isinstance(error, psycopg.DataError) or (error.sqlstate or "")[:2] in _REFUSALS


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
