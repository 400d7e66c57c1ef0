"""Where the database is: URLs as people write them, and the engines made from them. Nothing here runs a query."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import NullPool
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass
from acd.store.backend import Backend
from acd.store.postgres import PostgresBackend
from acd.store.sqlite import SqliteBackend
from acd.store.unreadable import tolerant

_BUSY_S = 5.0
_BULK_BUSY_S = 60.0


@valueclass(frozen=True, slots=True)
class Location:
    """A database. ``path`` is set for SQLite only; ``str()`` is fit to show (no password)."""

    url: URL
    path: Path | None

    def __str__(self) -> str:
        return str(self.path) if self.path else self.url.set(drivername="postgresql").render_as_string()

    def backend(self) -> Backend:
        """A connection for the writer, not yet made."""
        if self.path is not None:
            return SqliteBackend(self.path)
        args, kwargs = self.url.get_dialect()().create_connect_args(self.url)
        conninfo = {"conninfo": args[0]} if args else {}
        return PostgresBackend({**conninfo, **kwargs}, str(self))

    def async_engine(self, *, readers: int = 0, query_s: float = 30.0) -> AsyncEngine:
        """An engine for short work, or (``readers`` > 0) one with that many connections that cannot write."""
        pool: dict[str, Any] = {"poolclass": NullPool}
        if readers:
            # Queries wait in line rather than take what calls need.
            pool = {"pool_size": readers, "max_overflow": 0, "pool_timeout": query_s, "pool_pre_ping": True}
        if self.path is None:
            options = f"-c statement_timeout={int(query_s * 1000)}"
            options += " -c default_transaction_read_only=on" if readers else ""
            arguments = {"application_name": "acd reader" if readers else "acd", "connect_timeout": 5}
            if "options" not in self.url.query:
                arguments["options"] = options
            return create_async_engine(self.url, connect_args=arguments, **pool)
        engine = _sqlite_engine(self.path, {"timeout": _BUSY_S, "uri": True}, pool)
        sa.event.listen(engine.sync_engine, "connect", _query_only if readers else _writing)
        if readers:
            _keep_to_file(engine, self.path)
        return engine

    def outbound_engine(self, *, connections: int, query_s: float) -> AsyncEngine:
        """An engine that reads and writes in short transactions, from the service, with that many connections. With the
        execution option ``reads`` a transaction keeps nobody from writing, and may not write itself."""
        pool: dict[str, Any] = {"pool_size": connections, "max_overflow": 0, "pool_timeout": query_s}
        if self.path is None:
            arguments: dict[str, Any] = {"application_name": "acd dialling", "connect_timeout": 5}
            if "options" not in self.url.query:
                arguments["options"] = f"-c statement_timeout={int(query_s * 1000)}"
            return create_async_engine(self.url, connect_args=arguments, pool_pre_ping=True, **pool)
        arguments = {"timeout": query_s, "uri": True, "isolation_level": None}
        engine = _sqlite_engine(self.path, arguments, pool)
        sa.event.listen(engine.sync_engine, "connect", _writing)
        sa.event.listen(engine.sync_engine, "begin", _begin)
        _keep_to_file(engine, self.path)
        return engine

    def engine(self) -> sa.Engine:
        """A synchronous engine, for migrations."""
        if self.path is None:
            return sa.create_engine(self.url, poolclass=NullPool, connect_args={"connect_timeout": 5})
        engine = sa.create_engine(
            _uri(self.path).set(drivername="sqlite+pysqlite"),
            poolclass=NullPool,
            connect_args={"timeout": _BUSY_S, "uri": True},
        )
        sa.event.listen(engine, "connect", _writing)
        # Python's sqlite3 would not put a change of tables into a transaction.
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def bulk_engine(self, *, write: bool = False, lenient: bool = False) -> sa.Engine:
        """A synchronous engine for long work beside a running service: no limit on a query's time, a patient wait for a
        lock, and, unless ``write``, connections that cannot write. ``lenient``: what is no JSON is read as Unreadable."""
        if self.path is None:
            mode = "off" if write else "on"
            options = {} if "options" in self.url.query else {"options": f"-c default_transaction_read_only={mode}"}
            arguments = {"application_name": "acd records", "connect_timeout": 5, **options}
            return sa.create_engine(self.url, poolclass=NullPool, connect_args=arguments)
        engine = sa.create_engine(
            _uri(self.path).set(drivername="sqlite+pysqlite"),
            poolclass=NullPool,
            connect_args={"timeout": _BULK_BUSY_S, "uri": True, "isolation_level": None},
            json_deserializer=tolerant if lenient else None,
        )
        sa.event.listen(engine, "connect", _bulk_writing if write else _query_only)
        # Python's sqlite3 would begin no transaction for what only reads
        begin = "BEGIN IMMEDIATE" if write else "BEGIN"
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def create(self) -> None:
        """Make the SQLite file, empty and for our eyes only, if there is none. A server's database must exist."""
        if self.path is None or self.path.exists():
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ConfigurationError(f"[database] url: {self.path} cannot be made: {error.strerror}") from error


def locate(url: str) -> Location:
    """Understand a URL. Raises ConfigurationError on one that names no SQLite file and no PostgreSQL database."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise ConfigurationError(
            "[database] url is no database URL: write sqlite:////var/lib/acd/acd.db or postgresql://user@host/name"
        ) from error
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise ConfigurationError("[database] url: SQLite needs a file, such as sqlite:////var/lib/acd/acd.db")
        return Location(parsed, Path(parsed.database).absolute())
    if kind in ("postgresql", "postgres"):
        if not parsed.database:
            raise ConfigurationError("[database] url: name the database, as in postgresql://user@host/acd")
        return Location(parsed.set(drivername="postgresql+psycopg"), None)
    raise ConfigurationError(f"[database] url: {kind} is neither sqlite nor postgresql")


def _uri(path: Path) -> URL:
    # mode=rw: a missing file is an error, not a new and empty database.
    return URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"})


def _sqlite_engine(path: Path, arguments: dict[str, Any], pool: dict[str, Any]) -> AsyncEngine:
    uri = _uri(path)

    def try_first(*_: Any) -> None:
        # A thread of aiosqlite's whose connection failed says so once more later, to a loop that may be closed by then
        await_only(asyncio.to_thread(_open_and_close, uri))

    engine = create_async_engine(uri.set(drivername="sqlite+aiosqlite"), connect_args=arguments, **pool)
    sa.event.listen(engine.sync_engine, "do_connect", try_first)
    return engine


def _keep_to_file(engine: AsyncEngine, path: Path) -> None:
    """Use no pooled connection to a file that was removed or replaced since: it would take commits into nowhere."""

    def connected(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _identity(path)

    def checked_out(_: Any, record: ConnectionPoolEntry, __: Any) -> None:
        if record.info.get("file") != _identity(path):
            raise DisconnectionError(f"{path} was removed or replaced")

    sa.event.listen(engine.sync_engine, "connect", connected)
    sa.event.listen(engine.sync_engine, "checkout", checked_out)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open_and_close(uri: URL) -> None:
    sqlite3.connect(f"{uri.database}?mode=rw", uri=True).close()


def _writing(connection: Any, _: Any) -> None:
    _pragmas(connection, "foreign_keys = ON", "synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    # Two that read and then write would fail rather than wait for each other
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _bulk_writing(connection: Any, _: Any) -> None:
    # What is taken away must not be read from the file either
    _pragmas(connection, "foreign_keys = ON", "synchronous = FULL", "secure_delete = ON")


def _query_only(connection: Any, _: Any) -> None:
    _pragmas(connection, "query_only = ON")


def _pragmas(connection: Any, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def first_line(error: BaseException) -> str:
    """What a database said, short enough for a message."""
    said = getattr(error, "orig", None) or error
    return (str(said).strip() or type(said).__name__).splitlines()[0]
