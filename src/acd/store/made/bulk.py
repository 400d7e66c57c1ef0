"""Many made-up records into a database that nobody uses, in one transaction: an interruption leaves what was there.

PostgreSQL takes COPY, SQLite executemany. Where the tables were empty, indexes are dropped before and made afterwards,
which takes half the time. Refuses a database that a service has open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, Protocol
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, DropIndex

from acd.domain.errors import RefusedError, StoreError
from acd.store import schema
from acd.store.location import Location, first_line, locate
from acd.store.made.calls import COLUMNS, Maker
from acd.store.made.people import Row
from acd.store.tables import is_made, metadata

_AT_ONCE = 50_000
_SERVICE = "acd"
"""By which name the service's writing connection is known to PostgreSQL."""

OnProgress = Callable[[int, int], None]


class _Into(Protocol):
    """A database in the middle of the one transaction."""

    def is_empty(self) -> bool: ...

    def execute(self, statement: str) -> None: ...

    def put(self, table: str, rows: Sequence[Row]) -> None: ...


def generate(
    url: str, calls: int, days: int, seed: int, first: date, *, add: Callable[[], bool], on_progress: OnProgress
) -> dict[str, int]:
    """Fill ``url``'s database; the rows put into each table. ``add`` is asked whether a database that has records shall
    get more. Raises RefusedError (in use, or not to be added to), SchemaError, StoreError; nothing was changed then."""
    location = locate(url)
    _check(location)
    counts = dict.fromkeys(COLUMNS, 0)
    dialect: Dialect = (sqlite if location.path is not None else postgresql).dialect()
    with _sqlite(location) if location.path is not None else _postgres(location) as into:
        empty = into.is_empty()
        if not empty and not add():
            raise RefusedError("the database has records already; nothing was changed")
        indexes = _indexes(dialect) if empty else []
        for index in indexes:
            into.execute(str(DropIndex(index).compile(dialect=dialect)))
        maker = Maker(calls, days, seed, first)

        def take(rows: dict[str, list[Row]]) -> None:
            for name, some in rows.items():
                if some:
                    into.put(name, some)
                    counts[name] += len(some)
            on_progress(maker.made, calls)

        maker.parts(_AT_ONCE, take)
        for index in indexes:
            into.execute(str(CreateIndex(index).compile(dialect=dialect)))
        into.execute("ANALYZE")
    return counts


def _indexes(dialect: Dialect) -> list[sa.Index]:
    return [
        index
        for name in COLUMNS
        for index in sorted(metadata.tables[name].indexes, key=lambda index: str(index.name))
        if is_made(index, dialect.name)
    ]


def _check(location: Location) -> None:
    if location.path is not None and not location.path.exists():
        raise schema.missing(location)
    engine = location.engine()
    try:
        with engine.connect() as connection:
            schema.check(connection, location)
    except SQLAlchemyError as error:
        raise StoreError(f"{location}: {first_line(error)}") from error
    finally:
        engine.dispose()


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def is_empty(self) -> bool:
        return not any(self._connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() for name in COLUMNS)

    def execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def put(self, table: str, rows: Sequence[Row]) -> None:
        columns = COLUMNS[table]
        places = ", ".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO {table} ({_quoted(columns)}) VALUES ({places})", rows)


@contextmanager
def _sqlite(location: Location) -> Iterator[_Into]:
    connection = sqlite3.connect(
        f"file:{quote(str(location.path))}?mode=rw", uri=True, isolation_level=None, timeout=2.0
    )
    try:
        # A journal can be changed only by who has the file for himself
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            if mode != "delete":
                raise sqlite3.OperationalError("somebody has it open")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise RefusedError(f"{location} is in use ({error}): stop the service first") from error
        yield _Sqlite(connection)
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        raise RefusedError(f"{location} has calls of this seed already; nothing was changed ({error})") from error
    except sqlite3.Error as error:
        raise StoreError(f"{location}: {error}; nothing was changed") from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.close()


class _Postgres:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection, self._empty = connection, False

    def is_empty(self) -> bool:
        tables = " UNION ALL ".join(f"(SELECT 1 FROM {name} LIMIT 1)" for name in COLUMNS)
        self._empty = self._connection.execute(tables).fetchone() is None
        if self._empty:
            # Rows put into a table of this transaction need not be looked at again by VACUUM
            self.execute(f"TRUNCATE {', '.join(COLUMNS)}")
        return self._empty

    def execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def put(self, table: str, rows: Sequence[Row]) -> None:
        columns = COLUMNS[table]
        # What is made here holds neither tabs nor backslashes, nor the word None
        line = "\t".join(["%s"] * len(columns)) + "\n"
        how = "NULL 'None', FREEZE" if self._empty else "NULL 'None'"
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({_quoted(columns)}) FROM STDIN WITH ({how})") as copy,
        ):
            for start in range(0, len(rows), 1000):
                copy.write("".join([line % row for row in rows[start : start + 1000]]))


@contextmanager
def _postgres(location: Location) -> Iterator[_Into]:
    args, kwargs = location.url.get_dialect()().create_connect_args(location.url)
    try:
        with psycopg.connect(*args, **{**kwargs, "application_name": "acd records"}) as connection:
            held = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s",
                [_SERVICE],
            ).fetchone()
            if held is not None and held[0]:
                raise RefusedError(f"{location} is in use by a running service: stop it first")
            connection.execute("SET LOCAL lock_timeout = '2s'")
            connection.execute(f"LOCK TABLE {', '.join(COLUMNS)} IN ACCESS EXCLUSIVE MODE")
            yield _Postgres(connection)
    except psycopg.errors.LockNotAvailable as error:
        raise RefusedError(f"{location} is in use: stop what reads or writes it first") from error
    except psycopg.errors.IntegrityError as error:
        raise RefusedError(f"{location} has calls of this seed already; nothing was changed") from error
    except psycopg.Error as error:
        raise StoreError(f"{location}: {first_line(error)}; nothing was changed") from error
