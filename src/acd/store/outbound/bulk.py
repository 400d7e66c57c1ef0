"""Many rows at once, and numbers that are given out once: what differs between the two databases.

PostgreSQL takes rows by COPY, SQLite by one prepared statement: each several times as fast as statements of SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy import JSON, Table
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from acd.store.backend import dumps
from acd.store.outbound.tables import counters
from acd.store.times import UtcTime, to_datetime, to_text

_CACHE_KB = 65_536
IN_MAX = 1000
"""Values in one question."""

_T = TypeVar("_T")


def expect_many(connection: sa.Connection) -> None:
    """Before many rows, outside a transaction: room for the indexes' pages, which SQLite would else read and write again for
    every few rows once a table has grown."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE_KB}")
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 4000")
        connection.rollback()


def among(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """That a column has one of these values, which are one parameter: a thousand would cost more to write into the question
    than to be answered."""
    if connection.dialect.name == "sqlite":
        return column.in_(sa.select(sa.func.json_each(dumps(list(values))).table_valued("value").c.value))
    return column == sa.any_(sa.bindparam(None, list(values), type_=ARRAY(column.type)))


def locked(connection: sa.Connection, query: sa.Select[Any]) -> sa.Select[Any]:
    """A question whose rows stay as they are until the transaction's end. SQLite has but one that writes anyway."""
    return query.with_for_update() if connection.dialect.name == "postgresql" else query


def pieces(values: Sequence[_T], most: int = IN_MAX) -> Iterator[Sequence[_T]]:
    """The values, so many at a time."""
    for start in range(0, len(values), most):
        yield values[start : start + most]


def take(connection: sa.Connection, name: str, count: int = 1) -> int:
    """The first of ``count`` numbers that nobody else has, or had. Others wait for this transaction's end."""
    if not count:
        return 0
    query = sa.text(
        "INSERT INTO counters (name, last) VALUES (:name, :count) ON CONFLICT (name) "
        "DO UPDATE SET last = counters.last + :count RETURNING last"
    ).columns(counters.c.last)
    return int(connection.execute(query, {"name": name, "count": count}).scalar_one()) - count + 1


def insert_many(
    connection: sa.Connection,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    ignore: bool = False,
) -> None:
    """Insert rows; times are UTC s, JSON anything that is. ``ignore``: rows whose key is there change nothing."""
    is_sqlite = connection.dialect.name == "sqlite"
    makers = [(place, make) for place, name in enumerate(columns) if (make := _maker(table, name, is_sqlite))]
    encoded = (_encoded(row, makers) for row in rows)
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(name) for name in columns)
    if is_sqlite:
        verb = "INSERT OR IGNORE" if ignore else "INSERT"
        values = list(encoded)
        if values:
            marks = ", ".join("?" * len(columns))
            connection.exec_driver_sql(f"{verb} INTO {quote(table.name)} ({names}) VALUES ({marks})", values)
        return
    raw: Any = connection.connection.driver_connection
    target = quote(table.name)
    if ignore:
        target = "incoming_rows"
        connection.exec_driver_sql(
            f"CREATE TEMP TABLE {target} ON COMMIT DROP AS SELECT {names} FROM {quote(table.name)} LIMIT 0"
        )
    copied = f"COPY {target} ({names}) FROM STDIN"
    try:
        if iscoroutinefunction(raw.commit):
            await_only(_copy(raw, copied, encoded))
        else:
            with raw.cursor() as cursor, cursor.copy(copied) as copy:
                for row in encoded:
                    copy.write_row(row)
    except psycopg.Error as error:
        # As any other statement's, which SQLAlchemy would have executed
        gone = connection.dialect.is_disconnect(error, raw, None)  # type: ignore[arg-type]
        if gone:
            connection.invalidate(error)
        raise DBAPIError.instance(copied, None, error, psycopg.Error, connection_invalidated=gone) from error
    if ignore:
        connection.exec_driver_sql(
            f"INSERT INTO {quote(table.name)} ({names}) SELECT {names} FROM {target} ON CONFLICT DO NOTHING"
        )
        connection.exec_driver_sql(f"DROP TABLE {target}")


def seconds_between(connection: sa.Connection, earlier: sa.ColumnElement[Any], later: sa.ColumnElement[Any]) -> Any:
    """How long it was from one time to another, as the database reckons it: on SQLite to a tenth of a millisecond."""
    if connection.dialect.name == "postgresql":
        moment = sa.DateTime(timezone=True)
        return sa.func.extract("epoch", sa.type_coerce(later, moment) - sa.type_coerce(earlier, moment))
    return (sa.func.julianday(later) - sa.func.julianday(earlier)) * 86_400.0


async def _copy(raw: Any, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """The same on a connection of the event loop's."""
    async with raw.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)


def _maker(table: Table, name: str, is_sqlite: bool) -> Callable[[Any], Any] | None:
    kind = table.c[name].type
    if isinstance(kind, UtcTime):
        return to_text if is_sqlite else to_datetime
    return dumps if isinstance(kind, JSON) else None


def _encoded(row: Sequence[Any], makers: Sequence[tuple[int, Callable[[Any], Any]]]) -> tuple[Any, ...]:
    values = list(row)
    for place, make in makers:
        if values[place] is not None:
            values[place] = make(values[place])
    return tuple(values)
