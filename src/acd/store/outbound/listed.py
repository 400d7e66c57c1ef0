"""Lists of contacts and the imports that filled them. Functions within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa

from acd.domain.errors import UnknownNameError
from acd.store.outbound import contacts as of
from acd.store.outbound.bulk import insert_many, take
from acd.store.outbound.tables import contacts, list_imports, list_rejects, lists

CELL_KEPT_MAX = 200
"""Characters of each cell of a rejected row that are kept."""
FIGURES = ("rows", "imported", "duplicates", "rejected")


def create(
    connection: sa.Connection,
    name: str,
    by: str,
    now: float,
    *,
    description: str = "",
    client: str | None = None,
    country: str | None = None,
) -> bool:
    """Make a list unless there is one of that name; whether it is new."""
    known = sa.select(lists.c.list).where(lists.c.list == name)
    if connection.execute(known).first() is not None:
        return False
    row = {
        "list": name,
        "description": description,
        "client": client,
        "country": country,
        "made_at": now,
        "made_by": by,
    }
    connection.execute(sa.insert(lists).values(row))
    return True


def describe(connection: sa.Connection, name: str, changes: Mapping[str, str | None]) -> None:
    """Change a list's ``description``, ``client`` or ``country``. Raises UnknownNameError."""
    get(connection, name)
    if changes:
        connection.execute(sa.update(lists).where(lists.c.list == name).values(dict(changes)))


def get(connection: sa.Connection, name: str) -> dict[str, Any]:
    """One list. Raises UnknownNameError with the nearest name."""
    row = connection.execute(sa.select(lists).where(lists.c.list == name)).first()
    if row is None:
        known = list(connection.execute(sa.select(lists.c.list)).scalars())
        raise UnknownNameError("list", name, next(iter(get_close_matches(name, known, 1)), None))
    return dict(row._mapping)


def every(connection: sa.Connection) -> list[dict[str, Any]]:
    """All lists, each with ``"contacts"`` by state."""
    # In the same order on both databases, whatever the server's language
    rows = connection.execute(sa.select(lists))
    found = sorted((dict(row._mapping) for row in rows), key=lambda row: str(row["list"]))
    blank = {state.value: 0 for state in of.State}
    counted: dict[str, dict[str, int]] = {row["list"]: dict(blank) for row in found}
    query = sa.select(contacts.c.list, contacts.c.state, sa.func.count()).group_by(contacts.c.list, contacts.c.state)
    for name, state, count in connection.execute(query):
        counted.setdefault(name, dict(blank))[state] = count
    return [{**row, "contacts": counted[row["list"]]} for row in found]


def of_client(connection: sa.Connection, client: str | None, but: str) -> list[str]:
    """The other lists of a client; without one, those of none."""
    same = lists.c.client.is_(None) if client is None else lists.c.client == client
    return list(connection.execute(sa.select(lists.c.list).where(same, lists.c.list != but)).scalars())


def page(connection: sa.Connection, name: str, after: int, limit: int, state: str | None = None) -> list[int]:
    """Contacts of a list, in the order of their numbers."""
    query = sa.select(contacts.c.contact).where(contacts.c.list == name, contacts.c.contact > after)
    if state is not None:
        query = query.where(contacts.c.state == state)
    return list(connection.execute(query.order_by(contacts.c.contact).limit(limit)).scalars())


def others_than(connection: sa.Connection, name: str, imported: int, after: int, limit: int) -> list[int]:
    """Contacts of a list that another import brought, or a person, in the order of their numbers."""
    other = contacts.c["import"].is_(None) | (contacts.c["import"] != imported)
    query = sa.select(contacts.c.contact).where(contacts.c.list == name, other, contacts.c.contact > after)
    return list(connection.execute(query.order_by(contacts.c.contact).limit(limit)).scalars())


def holds(connection: sa.Connection, name: str, imported: int) -> bool:
    """Whether a list has any contact that an import brought, or found there."""
    mine = contacts.c.list == name, contacts.c["import"] == imported
    with connection.begin():
        return connection.execute(sa.select(contacts.c.contact).where(*mine).limit(1)).first() is not None


def drop(connection: sa.Connection, name: str) -> None:
    """Take a list away that has no contacts any more, with its imports and their rejects."""
    own = sa.select(list_imports.c["import"]).where(list_imports.c.list == name)
    connection.execute(sa.delete(list_rejects).where(list_rejects.c["import"].in_(own)))
    connection.execute(sa.delete(list_imports).where(list_imports.c.list == name))
    connection.execute(sa.delete(lists).where(lists.c.list == name))


def begin(
    connection: sa.Connection, name: str, source: str, digest: str, how: Mapping[str, Any], by: str, now: float
) -> dict[str, Any]:
    """The import of a file: the one that was begun with it in the same way and never ended, else a new one."""
    same = list_imports.c.list == name, list_imports.c.digest == digest, list_imports.c.ended_at.is_(None)
    query = sa.select(list_imports).where(*same).order_by(list_imports.c["import"].desc())
    for found in connection.execute(query):
        if found.how == how:
            return dict(found._mapping)
    row = {
        "import": take(connection, "imports"), "list": name, "source": source, "digest": digest, "how": dict(how),
        "started_at": now, "started_by": by, **dict.fromkeys(FIGURES, 0),
    }  # fmt: skip
    connection.execute(sa.insert(list_imports).values(row))
    return {**row, "ended_at": None}


def advance(connection: sa.Connection, imported: int, figures: Mapping[str, int], before: int) -> bool:
    """Note how far an import has come. False: it is not where the caller left it (``before`` rows), for another process
    goes on with it."""
    mine = list_imports.c["import"] == imported, list_imports.c.rows == before, list_imports.c.ended_at.is_(None)
    return connection.execute(sa.update(list_imports).where(*mine).values(dict(figures))).rowcount == 1


def end(connection: sa.Connection, imported: int, now: float) -> None:
    """An import is complete."""
    connection.execute(sa.update(list_imports).where(list_imports.c["import"] == imported).values(ended_at=now))


def reject(connection: sa.Connection, rows: Iterable[tuple[int, int, int, str, str, Sequence[str]]]) -> None:
    """Keep rows that became no contact: (import, row, line, reason, detail, cells)."""
    insert_many(connection, list_rejects, ("import", "row", "line", "reason", "detail", "cells"), rows)


def imports(connection: sa.Connection, name: str) -> list[dict[str, Any]]:
    """A list's imports, the latest first."""
    query = sa.select(list_imports).where(list_imports.c.list == name).order_by(list_imports.c["import"].desc())
    return [dict(row._mapping) for row in connection.execute(query)]


def rejects(connection: sa.Connection, imported: int, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
    """Rows of an import that became no contact, in their order: ``{"row", "line", "reason", "detail", "cells"}``."""
    mine = list_rejects.c["import"] == imported, list_rejects.c.row > after
    query = sa.select(list_rejects).where(*mine).order_by(list_rejects.c.row).limit(limit)
    return [dict(row._mapping) for row in connection.execute(query)]


def reasons(connection: sa.Connection, imported: int) -> dict[str, int]:
    """How many rows of an import were turned away for which reason, the most frequent first."""
    query = sa.select(list_rejects.c.reason, sa.func.count()).where(list_rejects.c["import"] == imported)
    found = connection.execute(query.group_by(list_rejects.c.reason)).all()
    return {row[0]: row[1] for row in sorted(found, key=lambda one: (-one[1], one[0]))}
