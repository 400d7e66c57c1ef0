"""Whether somebody works with a database, asked before what nobody may look on at."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from acd.domain.errors import RefusedError, StoreError
from acd.store.location import Location, first_line

LINGERS_S = 2.0
"""So long may a connection that was closed still be seen."""
_STEP_S = 0.05
_OF_SERVICE = ("acd", "acd reader", "acd dialling")
"""By which names the service's connections are known to PostgreSQL."""


def refuse_occupied(location: Location) -> None:
    """Raise RefusedError while a service has the database open (SQLite: while anybody has). Raises StoreError if it cannot
    be asked."""
    until = time.monotonic() + LINGERS_S
    while _is_occupied(location):
        if time.monotonic() >= until:
            raise RefusedError(f"{location} is in use: stop the service first; nothing was changed")
        time.sleep(_STEP_S)


def _is_occupied(location: Location) -> bool:
    return _postgres(location) if location.path is None else _sqlite(location.path)


def _sqlite(path: Path) -> bool:
    address = f"file:{quote(str(path))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=0.0)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            try:
                # A journal can be changed only by who has the file for himself
                (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
                return bool(mode != "delete")
            except sqlite3.OperationalError:
                return True
            finally:
                with suppress(sqlite3.OperationalError):
                    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error


def _postgres(location: Location) -> bool:
    engine = location.engine()
    names = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name IN :names"
    ).bindparams(sa.bindparam("names", expanding=True))
    try:
        with engine.connect() as connection:
            return bool(connection.execute(names, {"names": list(_OF_SERVICE)}).scalar_one())
    except SQLAlchemyError as error:
        raise StoreError(f"{location}: {first_line(error)}") from error
    finally:
        engine.dispose()
