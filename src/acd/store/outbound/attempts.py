"""Attempts: committed before anything is dialled, settled exactly once, and what is known of those before.

`record` is one transaction with the claim's mark and the ledger; it asks do-not-call, what was promised and what is known
of the contact once more, so that an opt-out, a promise and a change count from the moment they are stored. `settle` is one
transaction with what becomes of the contact and of the promise, the opt-out if there was one, and the ledger: done twice,
it does nothing the second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from acd.domain.campaigns import AttemptOutcome, Contact, GivenUp
from acd.domain.errors import MisuseError
from acd.domain.values import valueclass
from acd.store.outbound import donotcall, optouts, work
from acd.store.outbound.bulk import insert_many, pieces
from acd.store.outbound.campaigns import Window, save_ledger
from acd.store.outbound.contacts import JUDGED, Judged, NumberState, State, judged_of, judged_row
from acd.store.outbound.donotcall import Entry, Sealed
from acd.store.outbound.tables import GIVEN_UP, IS_IN_FLIGHT, IS_OPEN, attempts, callbacks, contact_numbers, contacts

_COLUMNS = (
    "attempt", "campaign", "list", "contact", "position", "number", "mode", "caller_id", "trunk", "node", "callback",
    "committed_at", "facts",
)  # fmt: skip
_DEAD = frozenset({AttemptOutcome.INVALID, AttemptOutcome.FAX})
_UNREACHED = frozenset({AttemptOutcome.FAILED, AttemptOutcome.CONGESTION, AttemptOutcome.WITHDRAWN})
"""Nothing has rung, wherever the call was lost."""


@valueclass(frozen=True, slots=True)
class Attempt:
    """One that is about to be made. ``number``: E.164; ``facts``: what the gate saw, JSON-able; ``client``: whose
    do-not-call list holds, too; ``judged``: the contact as the gate saw it."""

    attempt: str
    campaign: str
    contact: int
    number: str
    mode: str
    caller_id: str
    trunk: str
    node: str
    callback: int | None = None
    client: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    judged: Contact | None = None


@valueclass(frozen=True, slots=True)
class Recorded:
    """``recorded``: the ids of attempts that may be dialled now. ``do_not_call``: attempts that may not, for their numbers
    are not to be called since. ``unclaimed``: attempts at contacts that this life does not hold, or no more. ``changed``:
    attempts at contacts that are not what the gate judged any more, and were given back."""

    recorded: tuple[str, ...]
    do_not_call: tuple[str, ...] = ()
    unclaimed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@valueclass(frozen=True, slots=True)
class Again:
    """The contact is due again, at ``number`` (None: its first)."""

    due_at: float
    number: str | None = None


@valueclass(frozen=True, slots=True)
class Over:
    """The contact is not dialled again: DONE or BLOCKED."""

    state: State = State.DONE


@valueclass(frozen=True, slots=True)
class Settled:
    """What an attempt came to. ``after``: what becomes of the contact; None: it stays in flight, for another attempt
    follows at once. ``opt_out``: the scope of the do-not-call entry that it makes. ``given_up``: why it was hung up before
    anybody answered."""

    attempt: str
    outcome: AttemptOutcome
    ended_at: float
    after: Again | Over | None
    dialled_at: float | None = None
    rang_at: float | None = None
    answered_at: float | None = None
    cause: int | None = None
    call: str | None = None
    agent: str | None = None
    opt_out: str | None = None
    message: str | None = None
    verdict: str | None = None
    given_up: GivenUp | None = None


@valueclass(frozen=True, slots=True)
class Seen:
    """An attempt of before."""

    attempt: str
    campaign: str
    contact: int
    number: str
    committed_at: float
    outcome: str | None
    list: str = ""
    ended_at: float | None = None


@dataclass(slots=True)
class History:
    """What is known of a contact and a number, by whatever campaign: the attempts since the asked-for time, oldest first
    and without those that were never dialled, and when the last abandonment was and the last conversation with an agent,
    however long ago. ``of_person``: attempts at the contact's numbers, made at the same person as another contact."""

    of_contact: list[Seen] = field(default_factory=list)
    of_number: list[Seen] = field(default_factory=list)
    of_person: list[Seen] = field(default_factory=list)
    abandoned_at: float | None = None
    served_at: float | None = None


def record(
    connection: sa.Connection,
    made: Sequence[Attempt],
    epoch: int,
    now: float,
    sealed: Sealed,
    *,
    hashed: bool = False,
    ledgers: Mapping[str, Sequence[Window]] | None = None,
) -> Recorded:
    """Make attempts durable before they are dialled, in this transaction, with their campaigns' ``ledgers`` as they are
    with these lines in flight. Whoever is not to be called is blocked, and whoever is not what was judged given back.
    ``hashed``: numbers are kept as hashes here."""
    lists, places, now_known = _held(connection, made, epoch)
    mine = [one for one in made if one.contact in now_known]
    returned = work.return_changed(connection, {one.contact: one.callback for one in mine}, now)
    mine = [one for one in mine if one.contact not in returned]
    changed = {one.attempt: one.contact for one in mine if _is_other(one, now_known[one.contact])}
    work.release(connection, list(changed.values()), epoch)
    mine = [one for one in mine if (one.contact, one.number) in places and one.attempt not in changed]
    held = {*changed, *(one.attempt for one in mine)}
    unclaimed = tuple(one.attempt for one in made if one.attempt not in held)
    numbers: dict[int, list[str]] = {}
    for contact, number in places:
        numbers.setdefault(contact, []).append(number)
    refused = _refused(connection, mine, numbers, sealed, now)
    if refused:
        ids = [one.contact for one in mine if one.attempt in refused]
        blocked: dict[str, Any] = {"state": State.BLOCKED, "claimed_epoch": None, "claimed_at": None, "callback": None}
        blocked |= {"refused": "do_not_call", "refused_at": now}
        connection.execute(
            sa.update(contacts).where(contacts.c.contact.in_(ids)).values(blocked | {"callback_agent": None})
        )
        promised = callbacks.c.contact.in_(ids), sa.text(IS_OPEN)
        connection.execute(sa.update(callbacks).where(*promised).values(ended_at=now, outcome="missed"))
    good = [one for one in mine if one.attempt not in refused]
    rows = [
        (
            one.attempt, one.campaign, lists[one.contact], one.contact, places[one.contact, one.number],
            sealed(one.number) if hashed else one.number, one.mode, one.caller_id, one.trunk, one.node, one.callback, now,
            dict(one.facts),
        )
        for one in good
    ]  # fmt: skip
    insert_many(connection, attempts, _COLUMNS, rows)
    for some in pieces([one.contact for one in good]):
        tried = {"attempts": contacts.c.attempts + 1, "last_at": now, "last_outcome": None}
        connection.execute(sa.update(contacts).where(contacts.c.contact.in_(some)).values(tried))
    for campaign, windows in (ledgers or {}).items():
        save_ledger(connection, campaign, windows, now)
    return Recorded(tuple(one.attempt for one in good), tuple(refused), unclaimed, tuple(changed))


def _is_other(one: Attempt, known: Judged) -> bool:
    return one.judged is not None and judged_of(one.judged) != known


def _held(
    connection: sa.Connection, made: Sequence[Attempt], epoch: int
) -> tuple[dict[int, str], dict[tuple[int, str], int], dict[int, Judged]]:
    """Of contacts that this life has claimed: their lists, the places of their numbers, and what is to be judged."""
    ids = [one.contact for one in made]
    if len(set(ids)) != len(ids):
        raise MisuseError("two attempts at one contact at once")
    lists: dict[int, str] = {}
    places: dict[tuple[int, str], int] = {}
    known: dict[int, Judged] = {}
    for some in pieces(ids):
        mine = contacts.c.contact.in_(some), contacts.c.claimed_epoch == epoch, sa.text(IS_IN_FLIGHT)
        columns = (contacts.c[name] for name in ("contact", "list", *JUDGED))
        query = sa.select(*columns).where(*mine)
        if connection.dialect.name == "postgresql":
            query = query.with_for_update()
        rows = {row.contact: row for row in connection.execute(query)}
        lists |= {contact: row.list for contact, row in rows.items()}
        own: dict[int, list[sa.Row[Any]]] = {contact: [] for contact in rows}
        numbers = sa.select(contact_numbers).where(contact_numbers.c.contact.in_(some))
        for row in connection.execute(numbers.order_by(contact_numbers.c.position.desc())):
            if row.contact in own:
                places[row.contact, row.number] = row.position
                own[row.contact].append(row)
        known |= {contact: judged_row(row, reversed(own[contact])) for contact, row in rows.items()}
    busy: set[int] = set()
    for some in pieces(ids):
        query = sa.select(attempts.c.contact).where(attempts.c.contact.in_(some), attempts.c.ended_at.is_(None))
        busy.update(connection.execute(query).scalars())
    free = {key: place for key, place in places.items() if key[0] not in busy}
    return lists, free, {contact: judged for contact, judged in known.items() if contact not in busy}


def _refused(
    connection: sa.Connection,
    mine: Sequence[Attempt],
    numbers: Mapping[int, Sequence[str]],
    sealed: Sealed,
    now: float,
) -> list[str]:
    by_scopes: dict[tuple[str, ...], list[Attempt]] = {}
    for one in mine:
        by_scopes.setdefault(donotcall.scopes_of(one.campaign, one.client), []).append(one)
    refused: list[str] = []
    for scopes, some in by_scopes.items():
        people = [(one.number, numbers[one.contact]) for one in some]
        kept = donotcall.barred(connection, people, scopes, sealed, now)
        refused += [one.attempt for one, why in zip(some, kept, strict=True) if why]
    return refused


def progress(connection: sa.Connection, attempt: str, /, **at: float | str) -> bool:
    """Note ``dialled_at``, ``rang_at``, ``answered_at`` (UTC s), ``call``, ``agent``, ``said`` of one that is in flight;
    whether it was."""
    mine = attempts.c.attempt == attempt, sa.text(IS_OPEN)
    return connection.execute(sa.update(attempts).where(*mine).values(at)).rowcount == 1


def settle(
    connection: sa.Connection,
    ended: Sequence[Settled],
    sealed: Sealed,
    *,
    hashed: bool = False,
    ledgers: Mapping[str, Sequence[Window]] | None = None,
    by: str = "service",
) -> tuple[str, ...]:
    """Note what attempts came to, in this transaction, with their campaigns' ``ledgers`` as they are then (the caller's
    figures, whatever was settled before). The ids of those that were open until now."""
    settled: list[str] = []
    latest = 0.0
    for one in ended:
        latest = max(latest, one.ended_at)
        if _close(connection, one):
            settled.append(one.attempt)
            _follow(connection, one, sealed, hashed=hashed, by=by)
    for campaign, windows in (ledgers or {}).items():
        save_ledger(connection, campaign, windows, latest)
    return tuple(settled)


def _close(connection: sa.Connection, one: Settled) -> bool:
    later = ("dialled_at", "rang_at", "answered_at", "cause", "call", "agent", "message", "verdict")
    known = {name: value for name in later if (value := getattr(one, name)) is not None}
    mine = attempts.c.attempt == one.attempt, sa.text(IS_OPEN)
    values = {**known, "ended_at": one.ended_at, "outcome": one.outcome.value}
    if one.given_up is not None:
        facts = connection.execute(sa.select(attempts.c.facts).where(*mine)).scalar_one_or_none()
        values["facts"] = {**(facts or {}), GIVEN_UP: one.given_up.value}
    return connection.execute(sa.update(attempts).where(*mine).values(values)).rowcount == 1


def _follow(connection: sa.Connection, one: Settled, sealed: Sealed, *, hashed: bool, by: str) -> None:
    names = ("contact", "position", "campaign", "number", "callback", "dialled_at")
    columns = (attempts.c[name] for name in names)
    made = connection.execute(sa.select(*columns).where(attempts.c.attempt == one.attempt)).one()
    here = contact_numbers.c.contact == made.contact
    if one.outcome in _DEAD:
        place = here, contact_numbers.c.position == made.position
        connection.execute(sa.update(contact_numbers).where(*place).values(state=NumberState.BAD))
    if one.opt_out is not None:
        entry = Entry(made.number, one.opt_out, f"attempt:{one.attempt}", "opted out", one.ended_at, by)
        donotcall.add(connection, [entry], sealed)
    mine = contacts.c.contact == made.contact
    said: dict[str, Any] = {"last_outcome": one.outcome.value}
    if one.outcome is AttemptOutcome.OPTED_OUT:
        optouts.block(connection, [made.contact], one.ended_at)
    elif one.after is not None:
        after = _after(connection, one, one.after, made)
        free = {"claimed_epoch": None, "claimed_at": None, "position": None, **after}
        connection.execute(sa.update(contacts).where(mine & sa.text(IS_IN_FLIGHT)).values(free))
    connection.execute(sa.update(contacts).where(mine).values(said))


def _after(connection: sa.Connection, one: Settled, after: Again | Over, made: Any) -> dict[str, Any]:
    promised = sa.select(callbacks).where(callbacks.c.contact == made.contact, sa.text(IS_OPEN)).order_by("due_at")
    callback = connection.execute(promised.limit(1)).first()
    if callback is not None:
        # What was promised comes before what the rules would do, unless it was this very call
        own, due_at, outcome = callback.callback == made.callback, callback.due_at, None
        if own and _rang(one, made):
            outcome = "kept"
        elif own and isinstance(after, Again):
            due_at = max(due_at, after.due_at)
        elif own:
            outcome = "missed"
        if outcome is None and callback.until is not None and callback.until <= max(due_at, one.ended_at):
            outcome = "missed"
        if outcome is None:
            state = {"state": State.DUE, "due_at": due_at}
            return {**state, "callback": callback.callback, "callback_agent": callback.agent}
        values = {"ended_at": one.ended_at, "outcome": outcome, "attempt": one.attempt if own else None}
        mine = callbacks.c.callback == callback.callback
        connection.execute(sa.update(callbacks).where(mine).values(values))
    none = {"callback": None, "callback_agent": None}
    if isinstance(after, Over):
        return {"state": after.state, "due_at": None, **none}
    position = None
    if after.number is not None:
        here = contact_numbers.c.contact == made.contact, contact_numbers.c.number == after.number
        position = connection.execute(sa.select(sa.func.min(contact_numbers.c.position)).where(*here)).scalar()
    return {"state": State.DUE, "due_at": after.due_at, "position": position, **none}


def _rang(one: Settled, made: Any) -> bool:
    """Whether it may have: who was left to himself may have been reached."""
    if one.outcome is AttemptOutcome.UNKNOWN:
        return True
    return made.dialled_at is not None and one.outcome not in _UNREACHED


def in_flight(connection: sa.Connection) -> list[dict[str, Any]]:
    """Every attempt that is not settled, by whichever life it was committed: what a start must clear up."""
    query = sa.select(attempts).where(sa.text(IS_OPEN)).order_by(attempts.c.attempt)
    return [dict(row._mapping) for row in connection.execute(query)]


def histories(
    connection: sa.Connection,
    pairs: Sequence[tuple[int, str]],
    since: float,
    sealed: Sealed,
    own: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> dict[tuple[int, str], History]:
    """What the gate asks of contacts and the numbers (E.164) that are to be dialled. Numbers are known again whether they
    were kept as they are or as hashes. ``own``: all numbers of the contacts, where people are to be known again by them."""
    found: dict[tuple[int, str], History] = {pair: History() for pair in pairs}
    by_contact: dict[int, list[History]] = {}
    by_number: dict[str, list[History]] = {}
    for pair, history in found.items():
        by_contact.setdefault(pair[0], []).append(history)
        for form in (pair[1], sealed(pair[1])):
            by_number.setdefault(form, []).append(history)
    for some in pieces(list(by_contact)):
        for seen in _seen(connection, attempts.c.contact.in_(some), since):
            for history in by_contact[seen.contact]:
                history.of_contact.append(seen)
    for texts in pieces(list(by_number)):
        for seen in _seen(connection, attempts.c.number.in_(texts), since):
            for history in by_number[seen.number]:
                history.of_number.append(seen)
    by_person = {contact: list(mine) for contact, mine in by_contact.items()}
    for contact, seen in _of_same_people(connection, own, since, sealed):
        mine = by_contact.get(contact, [])
        for history in mine:
            history.of_person.append(seen)
        by_person.setdefault(seen.contact, []).extend(mine)
    _last(connection, attempts.c.contact, by_person)
    _last(connection, attempts.c.number, by_number)
    return found


def _of_same_people(
    connection: sa.Connection, own: Mapping[int, Sequence[str]], since: float, sealed: Sealed
) -> list[tuple[int, Seen]]:
    """Of contacts, attempts at their numbers that were made as another one's: of one with the same first number, by which
    lists know people again, or of one that is gone, for a list may have been taken away and imported anew."""
    holders: dict[str, list[int]] = {}
    for contact, numbers in own.items():
        for number in numbers:
            for form in (number, sealed(number)):
                holders.setdefault(form, []).append(contact)
    found: list[tuple[int, Seen]] = []
    for texts in pieces(list(holders)):
        for seen in _seen(connection, attempts.c.number.in_(texts), since):
            found += [(contact, seen) for contact in holders[seen.number] if contact != seen.contact]
    first: dict[int, str] = {}
    for some in pieces(list({one for contact, seen in found for one in (contact, seen.contact)})):
        query = sa.select(contact_numbers.c.contact, contact_numbers.c.number)
        query = query.where(contact_numbers.c.contact.in_(some), contact_numbers.c.position == 0)
        first |= {row.contact: row.number for row in connection.execute(query)}
    return [
        (contact, seen) for contact, seen in found if first.get(seen.contact, first.get(contact)) == first.get(contact)
    ]


def _seen(connection: sa.Connection, which: sa.ColumnElement[bool], since: float) -> list[Seen]:
    columns = (attempts.c[one.name] for one in fields(Seen))
    tried = sa.or_(attempts.c.outcome.is_(None), attempts.c.outcome != AttemptOutcome.WITHDRAWN.value)
    query = sa.select(*columns).where(which, attempts.c.committed_at >= since, tried).order_by(attempts.c.committed_at)
    return [Seen(*row) for row in connection.execute(query)]


def _last(connection: sa.Connection, column: sa.Column[Any], of: Mapping[Any, Sequence[History]]) -> None:
    ends = {
        AttemptOutcome.ABANDONED.value: "abandoned_at",
        # Whoever nobody followed to his end may have answered and met nobody; the ledger is charged for it, too
        AttemptOutcome.UNKNOWN.value: "abandoned_at",
        AttemptOutcome.ANSWERED.value: "served_at",
    }
    for some in pieces(list(of)):
        query = sa.select(column, attempts.c.outcome, sa.func.max(attempts.c.ended_at).label("at"))
        query = query.where(column.in_(some), attempts.c.outcome.in_(ends)).group_by(column, attempts.c.outcome)
        for key, outcome, at in connection.execute(query):
            for history in of[key]:
                before = getattr(history, ends[outcome])
                setattr(history, ends[outcome], at if before is None else max(before, at))


def made_of(connection: sa.Connection, contact: int, limit: int = 100) -> list[dict[str, Any]]:
    """A contact's attempts, the latest first."""
    query = (
        sa.select(attempts).where(attempts.c.contact == contact).order_by(attempts.c.committed_at.desc()).limit(limit)
    )
    return [dict(row._mapping) for row in connection.execute(query)]
