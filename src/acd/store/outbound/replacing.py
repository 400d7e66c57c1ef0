"""A list that takes the place of itself: who is in both keeps what has become of him. Functions within the caller's
transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from acd.store.outbound import optouts
from acd.store.outbound.bulk import among, locked, pieces
from acd.store.outbound.contacts import EDITABLE, NewContact, State, judge_anew, judged, renumber
from acd.store.outbound.tables import attempts, callbacks, contact_numbers, contacts


def brought_before(connection: sa.Connection, ids: Sequence[int], imported: int) -> set[int]:
    """Which of these contacts another import has brought, or a person."""
    found: set[int] = set()
    other = contacts.c["import"].is_(None) | (contacts.c["import"] != imported)
    for some in pieces(ids):
        query = sa.select(contacts.c.contact).where(among(connection, contacts.c.contact, some), other)
        found.update(connection.execute(query).scalars())
    return found


def take_over(connection: sa.Connection, contact: int, imported: int) -> None:
    """Let a contact be one of this import."""
    connection.execute(sa.update(contacts).where(contacts.c.contact == contact).values({"import": imported}))


def carry(connection: sa.Connection, rows: Mapping[int, NewContact], imported: int, now: float) -> None:
    """Let contacts be those of this import: known is what their rows say, and nothing else; their work, attempts, promises,
    and which numbers are nobody's stay. Numbers stay also while one is dialled, or about to be."""
    if not rows:
        return
    states: dict[int, str] = {}
    refused: list[int] = []
    for some in pieces(list(rows)):
        query = sa.select(contacts.c.contact, contacts.c.state, contacts.c.refused)
        query = query.where(among(connection, contacts.c.contact, some))
        found = connection.execute(locked(connection, query)).all()
        states |= {row.contact: row.state for row in found}
        refused += [row.contact for row in found if row.refused is not None]
    before = judged(connection, refused)
    renumber(connection, {one: row.numbers for one, row in rows.items() if states.get(one) != State.IN_FLIGHT})
    known = {name: sa.bindparam(f"new_{name}", type_=contacts.c[name].type) for name in EDITABLE}
    always = {"import": imported, "changed_at": now}
    change = sa.update(contacts).where(contacts.c.contact == sa.bindparam("this")).values(**known, **always)
    connection.execute(change, [{"this": one, **_said(row)} for one, row in rows.items()])
    judge_anew(connection, [one for one, is_now in judged(connection, refused).items() if is_now != before[one]], now)


def _said(row: NewContact) -> dict[str, object]:
    best_from, best_to = row.best or (None, None)
    more = {"best_from": best_from, "best_to": best_to, "fields": dict(row.fields)}
    return {f"new_{name}": more[name] if name in more else getattr(row, name) for name in EDITABLE}


def take_away(connection: sa.Connection, ids: Sequence[int], now: float) -> tuple[int, int]:
    """Take contacts away, also those that are claimed ahead, which are not dialled then; those in a call are blocked. How
    many went, and how many were blocked."""
    gone = busy = 0
    for some in pieces(ids):
        there = sa.select(contacts.c.contact).where(among(connection, contacts.c.contact, some))
        mine = list(connection.execute(locked(connection, there)).scalars())
        # Asked once they are locked: an attempt is recorded with its contact locked, too
        open_ones = sa.select(attempts.c.contact).where(
            among(connection, attempts.c.contact, mine), attempts.c.ended_at.is_(None)
        )
        called = set(connection.execute(open_ones).scalars())
        optouts.block(connection, sorted(called), now)
        free = [one for one in mine if one not in called]
        for table in (contact_numbers, callbacks, contacts):
            connection.execute(sa.delete(table).where(among(connection, table.c.contact, free)))
        gone, busy = gone + len(free), busy + len(called)
    return gone, busy
