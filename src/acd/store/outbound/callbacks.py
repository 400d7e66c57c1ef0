"""Promises to call again. A contact has at most one that is open: a new one replaces it. Functions within the caller's
transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from acd.domain.errors import RefusedError, UnknownNameError
from acd.store.outbound.bulk import locked, take
from acd.store.outbound.contacts import UNREFUSED, State
from acd.store.outbound.tables import IS_OPEN, attempts, callbacks, contact_numbers, contacts


def promise(
    connection: sa.Connection,
    contact: int,
    due_at: float,
    by: str,
    now: float,
    *,
    agent: str | None = None,
    campaign: str | None = None,
    number: str | None = None,
    until: float | None = None,
    note: str = "",
) -> int:
    """Call a contact at ``due_at`` (UTC s), by ``agent`` or, without one, by whoever serves the queue; its number. A contact
    that was done is dialled again for it. While it is being dialled, the promise holds from that attempt's end. Raises
    UnknownNameError, RefusedError (``number`` is none of the contact's)."""
    query = sa.select(contacts.c.list, contacts.c.state).where(contacts.c.contact == contact)
    found = connection.execute(query.with_for_update() if connection.dialect.name == "postgresql" else query).first()
    if found is None:
        raise UnknownNameError("contact", str(contact))
    if number is not None:
        here = contact_numbers.c.contact == contact, contact_numbers.c.number == number
        if connection.execute(sa.select(contact_numbers.c.position).where(*here)).first() is None:
            raise RefusedError(f"{number} is no number of contact {contact}")
    mine = callbacks.c.contact == contact, sa.text(IS_OPEN)
    connection.execute(sa.update(callbacks).where(*mine).values(ended_at=now, outcome="replaced"))
    made = take(connection, "callbacks")
    row = {
        "callback": made, "contact": contact, "list": found.list, "campaign": campaign, "agent": agent, "number": number,
        "due_at": due_at, "until": until, "note": note, "made_at": now, "made_by": by,
    }  # fmt: skip
    connection.execute(sa.insert(callbacks).values(row))
    values: dict[str, Any] = {"callback": made, "callback_agent": agent, "due_at": due_at, "changed_at": now}
    values |= UNREFUSED
    if found.state != State.IN_FLIGHT:
        values["state"] = State.DUE
    connection.execute(sa.update(contacts).where(contacts.c.contact == contact).values(values))
    return made


def cancel(connection: sa.Connection, contact: int, now: float) -> bool:
    """Take back what was promised to a contact; it is done then, unless it is being dialled. Whether there was anything."""
    mine = callbacks.c.contact == contact, sa.text(IS_OPEN)
    here = contacts.c.contact == contact
    connection.execute(locked(connection, sa.select(contacts.c.state).where(here)))
    ended = connection.execute(sa.update(callbacks).where(*mine).values(ended_at=now, outcome="cancelled")).rowcount
    if ended:
        none = {"callback": None, "callback_agent": None, "changed_at": now}
        connection.execute(sa.update(contacts).where(here).values(none))
        # Claimed ahead, it is not dialled by that claim
        called = sa.exists().where(attempts.c.contact == contact, attempts.c.ended_at.is_(None))
        free = here & ((contacts.c.state == State.DUE) | ((contacts.c.state == State.IN_FLIGHT) & ~called))
        done = {"state": State.DONE, "due_at": None, "claimed_epoch": None, "claimed_at": None}
        connection.execute(sa.update(contacts).where(free).values(done))
    return ended > 0


def open_ones(
    connection: sa.Connection, *, agent: str | None = None, until: float | None = None, limit: int = 1000
) -> list[dict[str, Any]]:
    """Promises not yet kept, the earliest first."""
    query = sa.select(callbacks).where(sa.text(IS_OPEN)).order_by(callbacks.c.due_at, callbacks.c.callback).limit(limit)
    if agent is not None:
        query = query.where(callbacks.c.agent == agent)
    if until is not None:
        query = query.where(callbacks.c.due_at <= until)
    return [dict(row._mapping) for row in connection.execute(query)]


def of_contact(connection: sa.Connection, contact: int) -> list[dict[str, Any]]:
    """Every promise made to a contact, the latest first."""
    query = sa.select(callbacks).where(callbacks.c.contact == contact).order_by(callbacks.c.callback.desc())
    return [dict(row._mapping) for row in connection.execute(query)]
