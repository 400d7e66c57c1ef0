"""One contact that a person wants called now, by number. Functions within the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from acd.domain.dialable import NOWHERE, Dialable, Fault, dialable
from acd.domain.errors import RefusedError
from acd.store.outbound import contacts as of
from acd.store.outbound import donotcall, listed
from acd.store.outbound.contacts import NewContact, NewNumber, State
from acd.store.outbound.donotcall import Sealed
from acd.store.outbound.tables import attempts, callbacks, contact_numbers, contacts
from acd.store.outbound.work import Claimed, Kind

_SAY_SO = "--allow-erased (API: allow_erased) has them dialled, and known again"
_WHY_NOT = {
    State.IN_FLIGHT: "is being dialled, or about to be",
    State.DONE: "is done with: `acd contact edit {} --state new` has it dialled anew",
    State.BLOCKED: "is not to be dialled: `acd contact show {}` says why",
}


def claim_number(
    connection: sa.Connection,
    number: str,
    lists: Sequence[str],
    own: str,
    by: str,
    now: float,
    epoch: int,
    sealed: Sealed,
    *,
    ours: Collection[int] = (),
    allow_erased: bool = False,
) -> tuple[Claimed, bool]:
    """Take the contact of ``lists`` that has ``number`` (E.164); without one, a new one in the list ``own``, which is made
    if there is none; and whether he is new. ``ours``: contacts that this life (``epoch``) has claimed ahead and lets go of.
    Raises RefusedError for who may not be dialled by his state, and for who was erased: unless he has consented since, or
    it is said (``allow_erased``)."""
    every = (*lists, own)
    rows = [row for row in of.rows_of(connection, of.by_number(connection, number)) if row["list"] in every]
    consent_at = max((row["consent_at"] for row in rows if row["consent_at"] is not None), default=None)
    donotcall.let_back(connection, [number], consent_at, sealed, allow=allow_erased, so=_SAY_SO)
    is_new = not rows
    if is_new:
        listed.create(connection, own, by, now, description="numbers that agents dialled themselves")
        first = of.add(connection, own, [_made(number)], now)
        rows = of.rows_of(connection, [first])
    mine_ahead = [row for row in rows if row["contact"] in ours and row["claimed_epoch"] == epoch]
    ready = mine_ahead or [row for row in rows if row["state"] not in _WHY_NOT]
    if not ready:
        row = rows[0]
        why = _WHY_NOT[State(row["state"])].format(row["contact"])
        raise RefusedError(f"contact {row['contact']} of list {row['list']} {why}")
    row = ready[0]
    mine = contacts.c.contact == row["contact"], contacts.c.state == row["state"]
    mark = {"state": State.IN_FLIGHT, "claimed_epoch": epoch, "claimed_at": now, **of.UNREFUSED}
    if not connection.execute(sa.update(contacts).where(*mine).values(mark)).rowcount:
        raise RefusedError(f"contact {row['contact']} of list {row['list']} {_WHY_NOT[State.IN_FLIGHT]}")
    contact = of.contact_of(row)
    if number not in {one.number for one in contact.numbers}:
        raise RefusedError(f"{number} of contact {contact.contact} was found to be nobody's")
    last = {"attempts": row["attempts"], "last_outcome": row["last_outcome"], "last_at": row["last_at"]}
    return Claimed(contact, Kind.NEW, number, None, row["rank"], callback=row["callback"], **last), is_new


def forget(connection: sa.Connection, contact: int, epoch: int) -> None:
    """Take away who was made to be dialled by this life, and was not dialled. Whoever was given back since stays."""
    mine = contacts.c.contact == contact, contacts.c.state == State.IN_FLIGHT, contacts.c.claimed_epoch == epoch
    tried = sa.exists().where(attempts.c.contact == contact)
    gone = sa.delete(contacts).where(*mine, contacts.c.attempts == 0, ~tried)
    if connection.execute(gone).rowcount:
        for table in (contact_numbers, callbacks):
            connection.execute(sa.delete(table).where(table.c.contact == contact))


def _made(number: str) -> NewContact:
    """A contact of whom nothing but the number is known, and so where the person is, as in a list that is imported."""
    found = dialable(number, allow=frozenset({Fault.PREMIUM}))
    if not isinstance(found, Dialable):
        return NewContact([NewNumber(number)])
    made = NewContact([NewNumber(found.number, of.KINDS.get(found.kind, "other"), found.zone)])
    made.country = found.country if found.country != NOWHERE else None
    return made
