"""Contacts and their numbers: made, found, changed, taken away. Functions within the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from acd.domain.campaigns import Contact, ContactNumber
from acd.domain.dialable import Kind
from acd.domain.errors import RefusedError, UnknownNameError
from acd.store.outbound.bulk import among, insert_many, locked, pieces, take
from acd.store.outbound.tables import attempts, callbacks, contact_numbers, contacts


class State(StrEnum):
    """Of a contact's work."""

    NEW = "new"
    DUE = "due"
    IN_FLIGHT = "in_flight"
    DONE = "done"
    BLOCKED = "blocked"


class NumberState(StrEnum):
    """Of a number."""

    OK = "ok"
    BAD = "bad"


KINDS: Final = {Kind.MOBILE: "mobile", Kind.FIXED: "landline", Kind.VOIP: "voip"}
"""A number's kind as contacts have it, by what sort of line its digits tell; else ``other``."""


CORRECTABLE: Final = ("consent", "place_unknown")
"""Of the gate's words, those for which it blocks a contact by what is known of the contact itself."""
UNREFUSED: Final[Mapping[str, None]] = {"refused": None, "refused_at": None}

CLAIMED: Final = "is being dialled, or about to be: pause its campaign, or try again in a minute"
"""Of a contact that a campaign has at hand."""


class NewNumber(NamedTuple):
    """``number``: E.164; ``kind``: as ContactNumber's; ``zone``: None where several are possible."""

    number: str
    kind: str = "other"
    zone: str | None = None
    extension: str = ""


@dataclass(slots=True)
class NewContact:
    """A contact to be; fields as those of Contact. ``rank``: lower ones are dialled earlier."""

    numbers: Sequence[NewNumber]
    key: str = ""
    name: str = ""
    zone: str | None = None
    country: str | None = None
    region: str | None = None
    language: str | None = None
    consent_at: float | None = None
    consent_until: float | None = None
    customer_until: float | None = None
    best: tuple[int, int] | None = None
    rank: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)
    line: int = 0
    """Of the file it came from."""


_COLUMNS = (
    "contact", "list", "import", "key", "name", "zone", "country", "region", "language", "consent_at", "consent_until",
    "customer_until", "best_from", "best_to", "fields", "changed_at", "rank", "state", "attempts",
)  # fmt: skip
_NUMBER_COLUMNS = ("contact", "position", "number", "kind", "zone", "extension", "state")
WORK = ("state", "due_at", "position", "callback", "callback_agent", "attempts", "last_at", "last_outcome")
EDITABLE = (
    "key", "name", "zone", "country", "region", "language", "consent_at", "consent_until", "customer_until", "best_from",
    "best_to", "fields", "rank",
)  # fmt: skip

_UPDATED: Final = (
    "key", "name", "zone", "country", "region", "language", "consent_at", "consent_until", "customer_until", "rank",
)  # fmt: skip
"""What a row may change of a contact that is there; what it leaves out stays."""


def add(
    connection: sa.Connection, of_list: str, found: Sequence[NewContact], now: float, *, imported: int | None = None
) -> int:
    """Insert contacts; the first one's number, the others' follow it."""
    first = take(connection, "contacts", len(found))
    rows = (
        (
            number, of_list, imported, one.key, one.name, one.zone, one.country, one.region, one.language, one.consent_at,
            one.consent_until, one.customer_until, *(one.best or (None, None)), dict(one.fields), now, one.rank, "new", 0,
        )
        for number, one in enumerate(found, first)
    )  # fmt: skip
    insert_many(connection, contacts, _COLUMNS, rows)
    numbers = ((contact, *row) for contact, one in enumerate(found, first) for row in _number_rows(one.numbers))
    insert_many(connection, contact_numbers, _NUMBER_COLUMNS, numbers)
    return first


def _number_rows(numbers: Iterable[NewNumber]) -> Iterable[tuple[Any, ...]]:
    return ((place, one.number, one.kind, one.zone, one.extension, "ok") for place, one in enumerate(numbers))


def taken_numbers(
    connection: sa.Connection, numbers: Sequence[str], lists: Sequence[str]
) -> dict[str, tuple[int, str, str]]:
    """Which of these numbers a contact of these lists has: number -> (contact, list, state), the first one, if it
    can be of the first list."""
    found: dict[str, tuple[int, str, str]] = {}
    for some in pieces(numbers):
        # Two questions, each of an index: a join would be begun from the list's side, which is all of it
        asked = among(connection, contact_numbers.c.number, some)
        has = sa.select(contact_numbers.c.contact, contact_numbers.c.number).where(asked)
        holders = connection.execute(has.order_by(contact_numbers.c.contact.desc())).all()
        known: dict[int, Any] = {}
        for ids in pieces(list({row.contact for row in holders})):
            mine = among(connection, contacts.c.contact, ids)
            query = sa.select(contacts.c.contact, contacts.c.list, contacts.c.state).where(mine)
            known |= {row.contact: row for row in connection.execute(query) if row.list in lists}
        for row in holders:
            if row.contact in known:
                here = known[row.contact]
                if row.number not in found or here.list == lists[0] or found[row.number][1] != lists[0]:
                    found[row.number] = (row.contact, here.list, here.state)
    return found


def taken_keys(connection: sa.Connection, keys: Sequence[str], of_list: str) -> dict[str, int]:
    """Which of these keys a contact of the list has: key -> contact."""
    found: dict[str, int] = {}
    for some in pieces(keys):
        query = sa.select(contacts.c.key, contacts.c.contact).where(
            contacts.c.list == of_list, among(connection, contacts.c.key, some), sa.text("key <> ''")
        )
        for row in connection.execute(query):
            found[row.key] = min(row.contact, found.get(row.key, row.contact))
    return found


def rows_of(connection: sa.Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Everything kept of contacts, with their ``"numbers"``, in the order of ``ids``; those that are not there are left
    out."""
    found: dict[int, dict[str, Any]] = {}
    for some in pieces(ids):
        for row in connection.execute(sa.select(contacts).where(contacts.c.contact.in_(some))):
            found[row.contact] = {**row._mapping, "numbers": []}
        query = sa.select(contact_numbers).where(contact_numbers.c.contact.in_(some))
        for row in connection.execute(query.order_by(contact_numbers.c.contact, contact_numbers.c.position)):
            if row.contact in found:
                found[row.contact]["numbers"].append({key: row._mapping[key] for key in _NUMBER_COLUMNS[1:]})
    return [found[one] for one in ids if one in found]


def contact_of(row: Mapping[str, Any]) -> Contact:
    """A row of `rows_of` as the dialler knows it, without numbers that are nobody's."""
    numbers = tuple(
        ContactNumber(one["number"], one["kind"], one["zone"], one["extension"])
        for one in row["numbers"]
        if one["state"] != NumberState.BAD
    )
    best = None if row["best_from"] is None or row["best_to"] is None else (row["best_from"], row["best_to"])
    same = ("contact", "list", "key", "name", "zone", "country", "region", "language")
    times = ("consent_at", "consent_until", "customer_until")
    return Contact(**{name: row[name] for name in (*same, *times)}, numbers=numbers, best=best, fields=row["fields"])


Judged = tuple[object, ...]
"""What the gate judges a contact by, as far as it stands with the contact itself."""
JUDGED: Final = ("zone", "country", "region", "consent_at", "consent_until", "customer_until", "best_from", "best_to")


def judged_of(contact: Contact) -> Judged:
    """Of one as the dialler knows it."""
    best = contact.best if contact.best is not None else (None, None)
    own = tuple((one.number, one.kind, one.zone) for one in contact.numbers)
    return (*(getattr(contact, name) for name in JUDGED[:-2]), *best, own)


def judged_row(row: sa.Row[Any], numbers: Iterable[sa.Row[Any]]) -> Judged:
    """Of one as it is kept: a row with `JUDGED`, and its numbers in their order."""
    best = (row.best_from, row.best_to) if row.best_from is not None and row.best_to is not None else (None, None)
    own = tuple((one.number, one.kind, one.zone) for one in numbers if one.state != NumberState.BAD)
    return (*(getattr(row, name) for name in JUDGED[:-2]), *best, own)


def by_number(connection: sa.Connection, number: str, limit: int = 100) -> list[int]:
    """Contacts that have a number (E.164), the latest first."""
    query = sa.select(contact_numbers.c.contact).where(contact_numbers.c.number == number).distinct()
    return list(connection.execute(query.order_by(contact_numbers.c.contact.desc()).limit(limit)).scalars())


def one(connection: sa.Connection, contact: int) -> dict[str, Any]:
    """Everything kept of a contact, as `rows_of`. Raises UnknownNameError."""
    rows = rows_of(connection, [contact])
    if not rows:
        raise UnknownNameError("contact", str(contact))
    return rows[0]


def judged(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Judged]:
    """What the gate would judge these contacts by now."""
    found: dict[int, Judged] = {}
    for some in pieces(ids):
        here = among(connection, contact_numbers.c.contact, some)
        own: defaultdict[int, list[sa.Row[Any]]] = defaultdict(list)
        for row in connection.execute(sa.select(contact_numbers).where(here).order_by(contact_numbers.c.position)):
            own[row.contact].append(row)
        columns = (contacts.c[name] for name in ("contact", *JUDGED))
        for row in connection.execute(sa.select(*columns).where(among(connection, contacts.c.contact, some))):
            found[row.contact] = judged_row(row, own[row.contact])
    return found


def judge_anew(connection: sa.Connection, ids: Sequence[int], now: float) -> None:
    """What is known of these contacts has changed: the gate has another look at those that it put off, or blocked by what
    was known of them."""
    for some in pieces(ids):
        mine = among(connection, contacts.c.contact, some), contacts.c.refused.is_not(None)
        put_off = contacts.c.state == State.DUE, contacts.c.due_at > now
        connection.execute(sa.update(contacts).where(*mine, *put_off).values({"due_at": now, **UNREFUSED}))
        blocked = contacts.c.state == State.BLOCKED, contacts.c.refused.in_(CORRECTABLE)
        state = sa.case((contacts.c.due_at.is_(None), "new"), else_="due")
        connection.execute(sa.update(contacts).where(*mine, *blocked).values({"state": state, **UNREFUSED}))


def edit(connection: sa.Connection, contact: int, changes: Mapping[str, Any], now: float) -> None:
    """Change what is known of a contact (EDITABLE); what the gate said of it by that is asked anew. Raises
    UnknownNameError."""
    _change(connection, contact, changes, now)
    if not set(changes).isdisjoint(JUDGED):
        judge_anew(connection, [contact], now)


def _change(connection: sa.Connection, contact: int, changes: Mapping[str, Any], now: float) -> None:
    assert set(changes) <= set(EDITABLE)
    values = {**changes, "changed_at": now}
    if not connection.execute(sa.update(contacts).where(contacts.c.contact == contact).values(values)).rowcount:
        raise UnknownNameError("contact", str(contact))


def updated(known: NewContact, one: NewContact) -> NewContact:
    """`update_from`, of a contact that is still to be."""
    said = {name: value for name in (*_UPDATED, "best") if (value := getattr(one, name)) not in (None, "")}
    return replace(known, **said, numbers=one.numbers, fields={**known.fields, **one.fields}, line=one.line)


def update_from(connection: sa.Connection, contact: int, one: NewContact, now: float) -> None:
    """Give a contact what a row of a list says now; what the row leaves out stays. Numbers stay while it is being dialled,
    and its work is not touched."""
    connection.execute(_locked(connection, contact))
    known = rows_of(connection, [contact])[0]
    changes = {name: value for name in _UPDATED if (value := getattr(one, name)) not in (None, "")}
    if one.best is not None:
        changes |= {"best_from": one.best[0], "best_to": one.best[1]}
    _change(connection, contact, {**changes, "fields": {**known["fields"], **one.fields}}, now)
    if known["state"] != State.IN_FLIGHT:
        renumber(connection, {contact: one.numbers})
    before = judged_of(contact_of(known))
    if known["refused"] is not None and judged(connection, [contact])[contact] != before:
        judge_anew(connection, [contact], now)


def renumber(connection: sa.Connection, numbers: Mapping[int, Sequence[NewNumber]]) -> None:
    """Give contacts that are not being dialled the numbers that a list has of them. Those that were found to be nobody's
    stay so, and the turn stays with the number that has it, wherever it stands now."""
    rows: list[tuple[Any, ...]] = []
    for some in pieces(list(numbers)):
        for known in rows_of(connection, some):
            contact, new = known["contact"], numbers[known["contact"]]
            bad = {one["number"] for one in known["numbers"] if one["state"] == NumberState.BAD}
            turn = {one["number"] for one in known["numbers"] if one["position"] == known["position"]}
            rows += (
                (contact, *row[:-1], NumberState.BAD if one.number in bad else NumberState.OK)
                for one, row in zip(new, _number_rows(new), strict=True)
            )
            place = next((at for at, one in enumerate(new) if one.number in turn), None)
            if place != known["position"]:
                mine = contacts.c.contact == contact
                connection.execute(sa.update(contacts).where(mine).values(position=place))
        connection.execute(sa.delete(contact_numbers).where(among(connection, contact_numbers.c.contact, some)))
    insert_many(connection, contact_numbers, _NUMBER_COLUMNS, rows)


def set_numbers(connection: sa.Connection, contact: int, numbers: Sequence[NewNumber], now: float) -> None:
    """Give a contact these numbers, in this order, in place of those it has. Raises UnknownNameError, RefusedError."""
    state = connection.execute(_locked(connection, contact)).scalar_one_or_none()
    if state is None:
        raise UnknownNameError("contact", str(contact))
    if state == State.IN_FLIGHT:
        raise RefusedError(f"contact {contact} {CLAIMED}")
    connection.execute(sa.delete(contact_numbers).where(contact_numbers.c.contact == contact))
    insert_many(connection, contact_numbers, _NUMBER_COLUMNS, ((contact, *row) for row in _number_rows(numbers)))
    connection.execute(sa.update(contacts).where(contacts.c.contact == contact).values(changed_at=now, position=None))
    judge_anew(connection, [contact], now)


def set_state(connection: sa.Connection, contact: int, state: State, now: float, due_at: float | None = None) -> None:
    """Have a contact dialled anew (NEW), at ``due_at`` (DUE), or no more (DONE, BLOCKED): then an open callback ends.
    Raises UnknownNameError, RefusedError while it is being dialled."""
    was = connection.execute(_locked(connection, contact)).scalar_one_or_none()
    if was is None:
        raise UnknownNameError("contact", str(contact))
    if was == State.IN_FLIGHT:
        raise RefusedError(f"contact {contact} {CLAIMED}")
    mine = callbacks.c.contact == contact, callbacks.c.ended_at.is_(None)
    connection.execute(sa.update(callbacks).where(*mine).values(ended_at=now, outcome="cancelled"))
    values = {
        "state": state,
        "due_at": due_at,
        "callback": None,
        "callback_agent": None,
        "changed_at": now,
        **UNREFUSED,
    }
    connection.execute(sa.update(contacts).where(contacts.c.contact == contact).values(values))


def hold(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Keep these contacts as they are until the transaction's end; whoever is changing them is waited for. In one order for
    all, so that two who hold many do not wait for each other."""
    if connection.dialect.name == "postgresql":
        for some in pieces(sorted(ids)):
            query = sa.select(contacts.c.contact).where(among(connection, contacts.c.contact, some))
            connection.execute(query.order_by(contacts.c.contact).with_for_update()).all()


def _locked(connection: sa.Connection, contact: int) -> sa.Select[Any]:
    return locked(connection, sa.select(contacts.c.state).where(contacts.c.contact == contact))


def move(connection: sa.Connection, ids: Sequence[int], to: str, now: float) -> int:
    """Move contacts into another list, with their history; those being dialled stay. How many went."""
    count = 0
    for some in pieces(ids):
        mine = contacts.c.contact.in_(some), contacts.c.state != State.IN_FLIGHT
        moved = sa.update(contacts).where(*mine).values(list=to, changed_at=now)
        count += connection.execute(moved).rowcount
    return count


def remove(connection: sa.Connection, ids: Sequence[int]) -> int:
    """Take contacts away with their numbers and callbacks, but for those being dialled, also if they were blocked amid it;
    attempts stay. How many went."""
    count = 0
    for some in pieces(ids):
        free = sa.select(contacts.c.contact).where(contacts.c.contact.in_(some), contacts.c.state != State.IN_FLIGHT)
        mine = list(connection.execute(locked(connection, free.order_by(contacts.c.contact))).scalars())
        # Asked once they are locked: an attempt is recorded with its contact locked, too
        called = set(connection.execute(in_calls().where(attempts.c.contact.in_(mine))).scalars())
        gone = [one for one in mine if one not in called]
        for table in (contact_numbers, callbacks):
            connection.execute(sa.delete(table).where(table.c.contact.in_(gone)))
        count += connection.execute(sa.delete(contacts).where(contacts.c.contact.in_(gone))).rowcount
    return count


def in_calls() -> sa.Select[tuple[int]]:
    """The contacts of attempts that have not ended."""
    return sa.select(attempts.c.contact).where(attempts.c.ended_at.is_(None))


def busy(connection: sa.Connection, of_list: str) -> int:
    """How many contacts of a list are being dialled, with those who were blocked amid it."""
    dialled = (contacts.c.state == State.IN_FLIGHT) | contacts.c.contact.in_(in_calls())
    query = sa.select(sa.func.count()).select_from(contacts).where(contacts.c.list == of_list, dialled)
    return int(connection.execute(query).scalar_one())


def counts(connection: sa.Connection, of_list: str) -> dict[str, int]:
    """How many contacts of a list are in each state."""
    query = sa.select(contacts.c.state, sa.func.count()).where(contacts.c.list == of_list).group_by(contacts.c.state)
    found: defaultdict[str, int] = defaultdict(int)
    for state, number in connection.execute(query):
        found[state] = number
    return {state.value: found[state.value] for state in State}
