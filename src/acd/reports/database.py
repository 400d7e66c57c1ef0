"""The records, opened for reading only: one transaction a report, so that its parts agree with each other while calls
come in.

Queries are answered as far as the database has followed: the service brings records into it once a second. Nothing here
knows a report.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import NullPool
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from acd.domain.errors import ReportError, StoreError
from acd.reports.cuts import Cuts
from acd.store.location import Location, first_line, locate
from acd.store.schema import check, missing
from acd.store.times import UtcTime, to_text
from acd.store.unreadable import Unreadable, tolerant

CHUNK = 2_000
"""Rows fetched at a time when they are streamed."""

LINES_MAX = 200_000
"""A report that gathers its lines has no more of them."""


class Database:
    """One connection in one transaction that cannot write."""

    def __init__(self, connection: sa.Connection, location: Location) -> None:
        self._connection, self._location = connection, location
        self.is_postgres = connection.dialect.name == "postgresql"
        self._laid_out = itertools.count()

    def rows(self, statement: sa.Executable) -> list[Any]:
        """All rows. Raises ReportError beyond LINES_MAX, StoreError if the database fails."""
        try:
            rows = self._connection.execute(statement).fetchmany(LINES_MAX + 1)
        except (SQLAlchemyError, OSError) as error:
            raise self._failed(error) from error
        if len(rows) > LINES_MAX:
            raise ReportError(f"that are more than {LINES_MAX} lines: take a shorter range, fewer --by, or filters")
        return list(rows)

    def one(self, statement: sa.Executable) -> Any:
        """The only row."""
        (row,) = self.rows(statement)
        return row

    def stream(self, statement: sa.Executable) -> Iterator[Any]:
        """Row by row, a few at a time in memory."""
        try:
            result = self._connection.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(statement)
            yield from result.yield_per(CHUNK)
        except (SQLAlchemyError, OSError) as error:
            raise self._failed(error) from error

    def lay_out(self, cuts: Cuts) -> sa.FromClause:
        """SQLite: the pieces of ``cuts`` as a table to join with: begins (its key) and ends, as times are written, and
        part (the group)."""
        name = f"piece{next(self._laid_out)}"
        # TEMP lies in a file of its own, not in the records
        self._connection.exec_driver_sql(
            f"CREATE TEMP TABLE {name} (begins TEXT PRIMARY KEY, ends TEXT, part INTEGER) WITHOUT ROWID"
        )
        self._connection.exec_driver_sql(
            f"INSERT INTO {name} (begins, ends, part) VALUES (?, ?, ?)",
            [(to_text(begin), to_text(end), part) for begin, end, part in cuts.pieces()],
        )
        return sa.table(
            name, sa.column("begins", UtcTime()), sa.column("ends", UtcTime()), sa.column("part", sa.Integer)
        )

    def readable(self, value: Any, where: str) -> Any:
        """A value of a column of JSON. Raises StoreError, naming ``where`` it stands, if it is none."""
        if isinstance(value, Unreadable):
            raise StoreError(f"the records in {self._location} cannot be read: {where}: malformed JSON")
        return value

    def _failed(self, error: BaseException) -> StoreError:
        text = first_line(error)
        if not self.is_postgres and "disk is full" in text:
            # It only reads: what has no room is what it sorts
            text = "there is no room for what SQLite sorts on the way; SQLITE_TMPDIR names another directory for it"
        return StoreError(f"the records in {self._location} cannot be read: {text}")


@contextmanager
def open_database(url: str) -> Iterator[Database]:
    """The database at ``url``. Raises StoreError if it cannot be read, SchemaError (saying what to run) unless its schema
    is the one this acd knows."""
    location = locate(url)
    if location.path is not None and not location.path.exists():
        raise missing(location)
    engine = _engine(location)
    try:
        with _connected(engine, location) as connection:
            # What fails behind this is said by whoever reads, or has nothing to do with the database
            yield Database(connection, location)
    finally:
        engine.dispose()


@contextmanager
def _connected(engine: sa.Engine, location: Location) -> Iterator[sa.Connection]:
    try:
        connection = engine.connect()
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"{location}: {first_line(error)}") from error
    with connection:
        try:
            check(connection, location)
            connection.rollback()
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"{location}: {first_line(error)}") from error
        yield connection


def _engine(location: Location) -> sa.Engine:
    if location.path is None:
        arguments: dict[str, Any] = {"application_name": "acd report", "connect_timeout": 5}
        if "options" not in location.url.query:
            # Percentiles are sorts; what does not fit goes to disk. Some calls' segments are found sooner by their index
            # than by reading all, which it does not believe of a table of 7 GB while a page out of turn counts four
            arguments["options"] = (
                "-c default_transaction_read_only=on -c work_mem=128MB -c jit=off -c random_page_cost=1.1"
            )
        return sa.create_engine(
            location.url, poolclass=NullPool, connect_args=arguments, isolation_level="REPEATABLE READ"
        )
    uri = URL.create(
        "sqlite+pysqlite", database=f"file:{quote(str(location.path))}", query={"mode": "ro", "uri": "true"}
    )
    engine = sa.create_engine(
        uri, poolclass=NullPool, connect_args={"timeout": 5.0, "uri": True}, json_deserializer=tolerant
    )
    # Python's sqlite3 begins no transaction for a query, so two of them would see two states
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine
