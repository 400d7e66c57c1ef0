"""What goes of lists when their time is over: contacts that are not dialled any more, rows that became none, and the numbers
of attempts at people who are no longer there. Functions within the caller's transaction.

A contact's time runs from its last attempt and the last change made to it, once its work is over: it is done or blocked, or
nobody works its list, which means that for as long nothing was dialled, brought or changed in it and nothing of it is due.
Attempts stay, and so does what is counted: in the number's place stands its keyed hash, by which the gate knows it again
when it stands in another list. Do-not-call is no list, and the ledger of abandonments is of no person: neither is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from acd.store.outbound import contacts as of_contacts
from acd.store.outbound.contacts import State
from acd.store.outbound.tables import attempts, callbacks, contacts, list_imports, list_rejects, lists

PARTS = ("contacts", "rejects", "attempts")
_OVER = (State.DONE.value, State.BLOCKED.value)

Sealed = Callable[[str], str]
"""Makes ``hmac:...`` of a number."""


def idle(connection: sa.Connection, limit: float) -> list[str]:
    """Lists that nobody has worked since ``limit`` (UTC s)."""
    busy = sa.or_(
        contacts.c.state == State.IN_FLIGHT,
        contacts.c.changed_at >= limit,
        contacts.c.last_at >= limit,
        sa.and_(contacts.c.state == State.DUE, contacts.c.due_at >= limit),
    )
    brought = sa.or_(list_imports.c.started_at >= limit, list_imports.c.ended_at >= limit)
    query = sa.select(lists.c.list).where(
        lists.c.made_at < limit,
        ~sa.exists().where(list_imports.c.list == lists.c.list, brought),
        ~sa.exists().where(contacts.c.list == lists.c.list, busy),
    )
    return list(connection.execute(query.order_by(lists.c.list)).scalars())


def count(connection: sa.Connection, limit: float) -> dict[str, int]:
    """What would go now: one number for each of PARTS."""
    going = _contacts_over(limit, idle(connection, limit))
    gone = sa.or_(~_has_contact(), sa.exists().where(contacts.c.contact == attempts.c.contact, *going))
    asked = {
        "contacts": sa.select(sa.func.count()).select_from(contacts).where(*going),
        "rejects": sa.select(sa.func.count()).select_from(list_rejects).where(_rejects_over(limit)),
        "attempts": sa.select(sa.func.count()).select_from(attempts).where(*_attempts_over(limit), gone),
    }
    return {part: int(connection.execute(asked[part]).scalar_one()) for part in PARTS}


def take_contacts(
    connection: sa.Connection, limit: float, idle_lists: Sequence[str], after: int, most: int
) -> tuple[int, int | None]:
    """Take away up to so many contacts behind ``after``, with their numbers and callbacks: how many went, and the last one
    that was looked at (None: no more are left)."""
    query = sa.select(contacts.c.contact).where(*_contacts_over(limit, idle_lists))
    query = query.where(contacts.c.contact > after).order_by(contacts.c.contact).limit(most)
    if connection.dialect.name == "postgresql":
        # Who is claimed or edited meanwhile is looked at again another day
        query = query.with_for_update(skip_locked=True)
    found = list(connection.execute(query).scalars())
    return of_contacts.remove(connection, found), found[-1] if len(found) == most else None


def take_rejects(connection: sa.Connection, limit: float, most: int) -> int:
    """Take away up to so many rows that became no contact: how many went. How many there were stays with the import."""
    query = sa.select(list_rejects.c["import"], list_rejects.c.row).where(_rejects_over(limit)).limit(most)
    found = [tuple(row) for row in connection.execute(query)]
    if not found:
        return 0
    key = sa.tuple_(list_rejects.c["import"], list_rejects.c.row)
    return connection.execute(sa.delete(list_rejects).where(key.in_(found))).rowcount


def seal_attempts(
    connection: sa.Connection, limit: float, after: str, most: int, sealed: Sealed
) -> tuple[int, str | None]:
    """Put the keyed hash in the place of the numbers of up to so many attempts behind ``after`` whose contacts are gone: how
    many, and the last one (None: no more are left)."""
    query = sa.select(attempts.c.attempt, attempts.c.number).where(*_attempts_over(limit), ~_has_contact())
    found = connection.execute(query.where(attempts.c.attempt > after).order_by(attempts.c.attempt).limit(most)).all()
    if found:
        hidden = sa.update(attempts).where(attempts.c.attempt == sa.bindparam("of")).values(number=sa.bindparam("seal"))
        connection.execute(hidden, [{"of": row.attempt, "seal": sealed(row.number)} for row in found])
    return len(found), found[-1].attempt if len(found) == most else None


def _contacts_over(limit: float, idle_lists: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    promised = sa.exists().where(
        callbacks.c.contact == contacts.c.contact, callbacks.c.ended_at.is_(None), callbacks.c.due_at >= limit
    )
    return (
        contacts.c.state.in_(_OVER) | contacts.c.list.in_(idle_lists),
        contacts.c.state != State.IN_FLIGHT,
        contacts.c.contact.not_in(of_contacts.in_calls()),
        contacts.c.changed_at < limit,
        contacts.c.last_at.is_(None) | (contacts.c.last_at < limit),
        ~promised,
    )


def _rejects_over(limit: float) -> sa.ColumnElement[bool]:
    old = sa.select(list_imports.c["import"]).where(
        list_imports.c.started_at < limit, list_imports.c.ended_at.is_(None) | (list_imports.c.ended_at < limit)
    )
    return list_rejects.c["import"].in_(old)


def _attempts_over(limit: float) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        attempts.c.committed_at < limit,
        attempts.c.ended_at.is_not(None),
        attempts.c.number.startswith("+", autoescape=True),
    )


def _has_contact() -> sa.ColumnElement[bool]:
    return sa.exists().where(contacts.c.contact == attempts.c.contact)
