"""Whether contacts in flight are claimed, and callbacks are somebody's: the database is asked for what is wrong.

A contact is in flight from its claim on, so it may have no attempt yet, or none any more. Of those that a life of the
service left so, the next one gives back all before it dials anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from acd.records.attempt_rules import IN_FLIGHT
from acd.records.rows import SECOND_US, Micros
from acd.records.violation import Violation
from acd.store.outbound.tables import IS_IN_FLIGHT, attempts, callbacks, contacts

FETCH = 1000
CLOCKS_US = 60 * SECOND_US
"""The clocks of two lives may be so far apart."""
OUTCOMES = ("kept", "cancelled", "replaced", "missed")
"""How a callback ends."""


def contacts_wrong(connection: sa.Connection) -> Iterator[Violation]:
    """What is wrong with the claims of all contacts, and with what was promised to them: one look."""
    with connection.begin():
        yield from _claims(connection)
        yield from _left_behind(connection)
        yield from _callbacks(connection)
        yield from _promised(connection)
        yield from _called_back(connection)


def _rows(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> Iterator[Any]:
    with connection.execution_options(yield_per=FETCH).execute(query) as rows:
        yield from rows


def _claims(connection: sa.Connection) -> Iterator[Violation]:
    in_flight, claimed = contacts.c.state == IN_FLIGHT, contacts.c.claimed_epoch.is_not(None)
    query = sa.select(contacts.c.contact, contacts.c.state, contacts.c.claimed_epoch)
    query = query.where(sa.or_(in_flight & ~claimed, ~in_flight & claimed)).order_by(contacts.c.contact)
    for contact, state, epoch in _rows(connection, query):
        said = "and no life has claimed it" if epoch is None else f"and claimed by life {epoch}"
        yield Violation("contact", f"contact {contact} is {state}, {said}")


def _left_behind(connection: sa.Connection) -> Iterator[Violation]:
    """Contacts in flight without an attempt in flight whose life is over, for another one has dialled since."""
    claimed = sa.select(contacts.c.claimed_epoch).where(sa.text(IS_IN_FLIGHT), contacts.c.claimed_epoch.is_not(None))
    for epoch in sorted(connection.execute(claimed.distinct()).scalars()):
        dialled = sa.select(sa.type_coerce(sa.func.max(attempts.c.committed_at), Micros))
        latest = connection.execute(dialled.where(attempts.c.attempt > f"{epoch:06d}99999999")).scalar()
        if latest is None:
            continue
        query = sa.select(contacts.c.contact).where(
            sa.text(IS_IN_FLIGHT),
            contacts.c.claimed_epoch == epoch,
            sa.type_coerce(contacts.c.claimed_at, Micros) < latest - CLOCKS_US,
            ~sa.exists().where(attempts.c.contact == contacts.c.contact, attempts.c.ended_at.is_(None)),
        )
        for (contact,) in _rows(connection, query.order_by(contacts.c.contact)):
            said = f"is in flight for life {epoch}, has no attempt in flight, and a later life has dialled since"
            yield Violation("contact", f"contact {contact} {said}")


def _callbacks(connection: sa.Connection) -> Iterator[Violation]:
    """Each by itself, with its contact and the attempt that kept it."""
    columns = ("callback", "contact", "attempt", "ended_at", "outcome")
    query = (
        sa.select(*(callbacks.c[name] for name in columns), contacts.c.contact, attempts.c.contact)
        .select_from(callbacks)
        .outerjoin(contacts, contacts.c.contact == callbacks.c.contact)
        .outerjoin(attempts, attempts.c.attempt == callbacks.c.attempt)
        .where(
            sa.or_(
                contacts.c.contact.is_(None),
                callbacks.c.attempt.is_not(None) & attempts.c.contact.is_distinct_from(callbacks.c.contact),
                callbacks.c.ended_at.is_(None) & callbacks.c.outcome.is_not(None),
                callbacks.c.ended_at.is_not(None) & callbacks.c.outcome.is_(None),
                callbacks.c.outcome.not_in(OUTCOMES),
                (callbacks.c.outcome == "kept") & callbacks.c.attempt.is_(None),
            )
        )
    )
    for callback, contact, attempt, ended_at, outcome, there, attempted in _rows(
        connection, query.order_by(callbacks.c.callback)
    ):
        if there is None:
            yield _wrong(callback, f"is of contact {contact}, which there is not")
        if attempt is not None and attempted != contact:
            of = "which there is not" if attempted is None else f"which was at contact {attempted}, not {contact}"
            yield _wrong(callback, f"names attempt {attempt}, {of}")
        if (ended_at is None) != (outcome is None):
            yield _wrong(callback, "is over, and does not say how" if outcome is None else f"is open, and {outcome}")
        if outcome is not None and outcome not in OUTCOMES:
            yield Violation("word", f"callback {callback} ended as {outcome!r}")
        if outcome == "kept" and attempt is None:
            yield _wrong(callback, "was kept, and no attempt has kept it")


def _promised(connection: sa.Connection) -> Iterator[Violation]:
    """Contacts that wait for a callback, and callbacks that are open: they name each other."""
    its_own = callbacks.c.contact == contacts.c.contact, callbacks.c.ended_at.is_(None)
    query = (
        sa.select(contacts.c.contact, contacts.c.callback)
        .outerjoin_from(contacts, callbacks, sa.and_(callbacks.c.callback == contacts.c.callback, *its_own))
        .where(
            contacts.c.callback.is_not(None),
            sa.or_(callbacks.c.callback.is_(None), callbacks.c.agent.is_distinct_from(contacts.c.callback_agent)),
        )
    )
    for contact, callback in _rows(connection, query.order_by(contacts.c.contact)):
        yield _wrong(callback, f"is what contact {contact} waits for, and is not open for it, or another agent's")
    query = (
        sa.select(contacts.c.contact, callbacks.c.callback)
        .join_from(callbacks, contacts, contacts.c.contact == callbacks.c.contact)
        .where(callbacks.c.ended_at.is_(None), contacts.c.callback.is_distinct_from(callbacks.c.callback))
    )
    for contact, callback in _rows(connection, query.order_by(callbacks.c.callback)):
        yield _wrong(callback, f"is open, and contact {contact} does not wait for it")


def _called_back(connection: sa.Connection) -> Iterator[Violation]:
    """Attempts that were made for a callback. Those of a contact go with it alone."""
    query = (
        sa.select(attempts.c.attempt, attempts.c.callback)
        .join_from(attempts, contacts, contacts.c.contact == attempts.c.contact)
        .outerjoin(
            callbacks,
            sa.and_(callbacks.c.callback == attempts.c.callback, callbacks.c.contact == attempts.c.contact),
        )
        .where(attempts.c.callback.is_not(None), callbacks.c.callback.is_(None))
    )
    for attempt, callback in _rows(connection, query.order_by(attempts.c.attempt)):
        yield _wrong(callback, f"is what attempt {attempt} was made for, and there is none such of its contact")


def _wrong(callback: int, message: str) -> Violation:
    return Violation("callback", f"callback {callback} {message}")
