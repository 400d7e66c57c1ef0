"""What people said in a call: not to be called again. Functions within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from acd.domain.values import valueclass
from acd.store.outbound import donotcall
from acd.store.outbound.bulk import pieces
from acd.store.outbound.contacts import UNREFUSED, State, rows_of
from acd.store.outbound.donotcall import Entry, Sealed
from acd.store.outbound.tables import IS_OPEN, attempts, callbacks, contacts

HEARD_IN = "attempt:"
"""How the source of an entry begins that somebody asked for in a call; the attempt follows."""


@valueclass(frozen=True, slots=True)
class OptOut:
    """Heard in an attempt, or after it, at UTC second ``at``. ``number``: E.164 or its hash; empty, it is the attempt's.
    ``scope`` of the entry; empty, all."""

    attempt: str
    number: str
    scope: str
    at: float


def note(connection: sa.Connection, heard: Sequence[OptOut], sealed: Sealed, *, hashed: bool = False) -> None:
    """Put the numbers on the do-not-call list, with the others that the contacts have, and dial the contacts no more,
    whatever was planned or promised, also those whose attempt is settled. ``hashed``: numbers are kept as hashes here."""
    made: dict[str, sa.Row[tuple[str, int, str]]] = {}
    for some in pieces([one.attempt for one in heard]):
        query = sa.select(attempts.c.attempt, attempts.c.contact, attempts.c.number).where(attempts.c.attempt.in_(some))
        made |= {row.attempt: row for row in connection.execute(query)}
    people = rows_of(connection, [row.contact for row in made.values()])
    own = {row["contact"]: [each["number"] for each in row["numbers"]] for row in people}
    entries, ids, latest = [], [], 0.0
    for one in heard:
        row = made.get(one.attempt)
        number = one.number or (row.number if row is not None else "")
        if row is not None:
            ids.append(row.contact)
            latest = max(latest, one.at)
        said = (one.scope or donotcall.ALL, HEARD_IN + one.attempt, "opted out", one.at, "service")
        every = dict.fromkeys(filter(None, (number, *(own.get(row.contact, ()) if row is not None else ()))))
        entries += [Entry(sealed(each) if hashed and each.startswith("+") else each, *said) for each in every]
    donotcall.add(connection, entries, sealed)
    block(connection, ids, latest)


def block(connection: sa.Connection, ids: Sequence[int], now: float) -> None:
    """Dial contacts no more who do not want it. An attempt in flight is settled as ever; the contact stays as it is made
    here. What was promised is taken back."""
    none = {"due_at": None, "position": None, "claimed_epoch": None, "claimed_at": None, "callback": None, **UNREFUSED}
    for some in pieces(ids):
        values = {"state": State.BLOCKED, "callback_agent": None, **none}
        connection.execute(sa.update(contacts).where(contacts.c.contact.in_(some)).values(values))
        promised = callbacks.c.contact.in_(some), sa.text(IS_OPEN)
        connection.execute(sa.update(callbacks).where(*promised).values(ended_at=now, outcome="cancelled"))
