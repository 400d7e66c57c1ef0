"""Rows with a column that holds what it cannot: no JSON, no time (only SQLite keeps such; PostgreSQL takes none), or tags
that are no list of words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from acd.records.violation import Violation
from acd.store.outbound.tables import attempts
from acd.store.tables import calls, decisions, metadata, segments
from acd.store.times import UtcTime
from acd.store.unreadable import Unreadable

FETCH = 2000
SHOWN = 40
"""Characters of what is no time."""
Window = Callable[[sa.Column[Any]], list[sa.ColumnElement[bool]]]
TIMES = {
    calls.name: calls.c.entered_at,
    segments.name: segments.c.started_at,
    decisions.name: decisions.c.at,
    attempts.name: attempts.c.committed_at,
}
"""Table -> by which time its rows belong to a part of the records; others are looked at with the whole alone."""

_SHAPE = "dddd-[01]d-[0-3]dT[0-2]d:[0-5]d:[0-5]d.ddddddZ".replace("d", "[0-9]")
_COMMON = ("?????0[1-9]-[0-2][1-8]T[01]*", "?????1[0-2]-[0-2][1-8]T[01]*")
"""Months, days and hours that there always are."""


def unreadable_rows(connection: sa.Connection, window: Window, *, whole: bool) -> Iterator[Violation]:
    """What cannot be read, row by row, by a lenient connection; one look for each column."""
    if connection.dialect.name == "sqlite":
        for table in metadata.sorted_tables:
            at = TIMES.get(table.name)
            if at is not None or whole:
                for column in table.c:
                    yield from _of_column(connection, table, column, [] if at is None else window(at))
    yield from _tags(connection, window)


def _of_column(
    connection: sa.Connection, table: sa.Table, column: sa.Column[Any], within: list[sa.ColumnElement[bool]]
) -> Iterator[Violation]:
    text = sa.type_coerce(column, sa.Text)
    if isinstance(column.type, sa.JSON):
        wrong, what = sa.func.json_valid(text) == 0, "malformed JSON"
    elif isinstance(column.type, UtcTime):
        wrong, what = _is_no_time(text), "no time"
    else:
        return
    keys = [sa.type_coerce(key, sa.Text) if isinstance(key.type, UtcTime) else key for key in table.primary_key]
    names = [key.name for key in table.primary_key]
    call = table.c.get("call", sa.null())
    query = sa.select(call.label("of_call"), *keys, text).where(text.is_not(None), wrong, *within)
    with connection.begin():
        for row in connection.execution_options(yield_per=FETCH).execute(query):
            where = ", ".join(f"{name} {value}" for name, value in zip(names, row[1:-1], strict=True))
            said = f": {str(row[-1])[:SHOWN]!r}" if what == "no time" else ""
            yield Violation("word", f"{column.name} of {where} in table {table.name} is {what}{said}", row[0])


def _is_no_time(text: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Not as ``times.to_text`` writes it. Patterns say so of most; the others SQLite is to reckon with, which makes another
    of a day that there is not (of seconds alone, for it rounds fractions)."""
    seconds = sa.func.substr(text, 1, 19)
    same = sa.func.strftime("%Y-%m-%dT%H:%M:%S", seconds, "+0 days").is_not_distinct_from(seconds)
    common = sa.or_(*(text.op("GLOB")(pattern) for pattern in _COMMON))
    return sa.not_(sa.and_(text.op("GLOB")(_SHAPE), sa.or_(common, same)))


def _tags(connection: sa.Connection, window: Window) -> Iterator[Violation]:
    within = window(calls.c.entered_at)
    query = sa.select(calls.c.call, calls.c.tags).where(sa.cast(calls.c.tags, sa.Text).is_not(None), *within)
    with connection.begin():
        for call, tags in connection.execution_options(yield_per=FETCH).execute(query):
            is_list = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
            if tags is not None and not is_list and not isinstance(tags, Unreadable):
                yield Violation("word", f"call {call} has tags that are no list of words", call)
