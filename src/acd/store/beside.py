"""Connections for work on the database beside a running service: long looks that hold nobody up, and short changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from acd.domain.errors import StoreError
from acd.store.location import first_line, locate
from acd.store.schema import check, missing


@contextmanager
def reading(url: str, *, lenient: bool = False) -> Iterator[sa.Connection]:
    """A connection that cannot write, to a database with the schema this acd needs. ``with connection.begin()`` is one
    look at everything. ``lenient``: what is no JSON is read as Unreadable. Raises SchemaError, StoreError."""
    with _connected(url, write=False, lenient=lenient) as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def writing(url: str, *, lenient: bool = False) -> Iterator[sa.Connection]:
    """Likewise, to change what is there: keep transactions short, for the service writes too."""
    with _connected(url, write=True, lenient=lenient) as connection:
        yield connection


@contextmanager
def _connected(url: str, *, write: bool, lenient: bool) -> Iterator[sa.Connection]:
    location = locate(url)
    if location.path is not None and not location.path.exists():
        raise missing(location)
    engine = location.bulk_engine(write=write, lenient=lenient)
    try:
        with engine.connect() as connection:
            check(connection, location)
            connection.rollback()
            yield connection
    except SQLAlchemyError as error:
        raise StoreError(f"{location}: {first_line(error)}") from error
    finally:
        engine.dispose()
