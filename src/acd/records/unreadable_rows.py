"""Rows with a column of JSON that holds none. Only SQLite keeps such; PostgreSQL takes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from acd.records.violation import Violation
from acd.store.outbound.tables import attempts
from acd.store.tables import calls, decisions, metadata
from acd.store.unreadable import Unreadable

FETCH = 2000
Window = Callable[[sa.Column[Any]], list[sa.ColumnElement[bool]]]
TIMES = {calls.name: calls.c.entered_at, decisions.name: decisions.c.at, attempts.name: attempts.c.committed_at}
"""Table -> by which time its rows belong to a part of the records; others are looked at with the whole alone."""


def unreadable_rows(connection: sa.Connection, window: Window, *, whole: bool) -> Iterator[Violation]:
    """What cannot be read, row by row, by a lenient connection; one look for each column."""
    if connection.dialect.name != "sqlite":
        return
    for table in metadata.sorted_tables:
        at = TIMES.get(table.name)
        if at is None and not whole:
            continue
        keys = list(table.primary_key)
        for column in (column for column in table.c if isinstance(column.type, sa.JSON)):
            text = sa.type_coerce(column, sa.Text)
            query = sa.select(*keys, column).where(text.is_not(None), sa.func.json_valid(text) == 0)
            if at is not None:
                query = query.where(*window(at))
            with connection.begin():
                for row in connection.execution_options(yield_per=FETCH).execute(query):
                    if not isinstance(row[-1], Unreadable):
                        continue
                    where = ", ".join(f"{key.name} {value}" for key, value in zip(keys, row[:-1], strict=True))
                    message = f"{column.name} of {where} in table {table.name} is malformed JSON"
                    yield Violation("word", message, row._mapping.get("call"))
