"""The contacts to be dialled next: taken by one life of the service, given back, and found again after a crash.

A claim reads a range of an index for each kind of work and list, however many contacts there are, and marks what it takes in
the same transaction: on SQLite it is alone in it, on PostgreSQL it passes over rows that another one holds. A claimed
contact bears the epoch of the life that took it; a later life gives back what an earlier one took and never committed an
attempt for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from acd.domain.campaigns import Contact
from acd.domain.values import valueclass
from acd.store.outbound import contacts as of
from acd.store.outbound.bulk import IN_MAX, pieces
from acd.store.outbound.contacts import State
from acd.store.outbound.tables import (
    IS_AGENT_CALLBACK,
    IS_IN_FLIGHT,
    IS_NEW,
    IS_OPEN,
    IS_QUEUE_CALLBACK,
    IS_RETRY,
    attempts,
    callbacks,
    contact_numbers,
    contacts,
    lists,
)


class Kind(StrEnum):
    """Of work, in the order in which it is taken."""

    CALLBACK = "callback"
    QUEUE_CALLBACK = "queue_callback"
    RETRY = "retry"
    NEW = "new"


_IS = {Kind.CALLBACK: IS_AGENT_CALLBACK, Kind.QUEUE_CALLBACK: IS_QUEUE_CALLBACK, Kind.RETRY: IS_RETRY, Kind.NEW: IS_NEW}


BY_RULES: Final = (
    *("hours", "holiday", "schedule", "number_day", "number_week", "contact_day", "contact_week"),
    *("cool_down", "short_calls", "consent"),
)
"""Of the gate's words, those for which it puts a contact off by figures that can be edited."""
CLOCK_S: Final = 1.0
"""How far clocks may be apart."""
SEARCHED: Final = 1000
SEARCHED_MOST: Final = 2000
"""New contacts looked at together, and in one claim, where some are passed over."""


class Refused(NamedTuple):
    """The gate's word for why a contact is put off or blocked, and when it said so."""

    reason: str
    at: float


@valueclass(frozen=True, slots=True)
class Claimed:
    """One contact to dial. ``number``: the one whose turn it is (E.164); ``due_at``: since when (new ones: None);
    ``order``: its rank; ``agent``: whom a personal callback was promised to; ``note``: what for."""

    contact: Contact
    kind: Kind
    number: str
    due_at: float | None
    order: int
    attempts: int
    last_outcome: str | None
    last_at: float | None
    callback: int | None = None
    agent: str | None = None
    note: str = ""


class Home(NamedTuple):
    """What tells where a new contact is. ``number``: the one whose turn it is (None: it has none), ``number_zone``: its
    own."""

    zone: str | None
    country: str | None
    region: str | None
    number: str | None
    number_zone: str | None


@dataclass(slots=True)
class Search:
    """How new contacts are looked for where some are passed over, and stay new. ``passes``: whether one is, by where he is;
    ``past``: by list, the rank and number of the one they come after. Told by `claim`: ``reached``: how far it has come, and
    ``more``: whether it has stopped before the end."""

    passes: Callable[[Home], bool]
    past: Mapping[str, tuple[int, int]]
    reached: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    more: bool = False


def claim(
    connection: sa.Connection,
    lists: Sequence[str],
    wanted: Mapping[Kind, int],
    now: float,
    epoch: int,
    *,
    agents: Sequence[str] = (),
    search: Search | None = None,
) -> list[Claimed]:
    """Take up to so many contacts of each kind that are due, from ``lists``: callbacks and retries by the time they have
    been due, new ones by list, rank and number. Personal callbacks are those of ``agents``. A contact without a number left
    is blocked and not given, and a promise that it is too late for is missed."""
    if not lists:
        return []
    if wanted.get(Kind.CALLBACK, 0) > 0 or wanted.get(Kind.QUEUE_CALLBACK, 0) > 0:
        _miss_late(connection, now)
    kinds: dict[int, Kind] = {}
    for kind in Kind:
        if kind is Kind.NEW and search is not None:
            kinds |= dict.fromkeys(_searched(connection, lists, wanted.get(kind, 0), search), kind)
        elif wanted.get(kind, 0) > 0:
            kinds |= dict.fromkeys(_next(connection, kind, lists, wanted[kind], now, agents), kind)
    if not kinds:
        return []
    ids = list(kinds)
    mark = {"state": State.IN_FLIGHT, "claimed_epoch": epoch, "claimed_at": now, **of.UNREFUSED}
    for some in pieces(ids):
        connection.execute(sa.update(contacts).where(contacts.c.contact.in_(some)).values(mark))
    promised = _promised(connection, ids)
    taken, empty = [], []
    for row in of.rows_of(connection, ids):
        contact = of.contact_of(row)
        asked_for, note = promised.get(row["callback"], (None, ""))
        number = _number(row, contact, asked_for)
        if number is None:
            empty.append(contact.contact)
            continue
        kind = kinds[contact.contact]
        more = {"callback": row["callback"], "agent": row["callback_agent"], "note": note}
        last = {"attempts": row["attempts"], "last_outcome": row["last_outcome"], "last_at": row["last_at"]}
        taken.append(Claimed(contact, kind, number, row["due_at"], row["rank"], **last, **more))
    for some in pieces(empty):
        _end(connection, some, now, State.BLOCKED)
    return taken


@valueclass(frozen=True, slots=True)
class Outlook:
    """What becomes of lists of which nothing is due: when the next contact is (UTC s; None: none ever), and which of them
    are not there."""

    due_at: float | None = None
    missing: tuple[str, ...] = ()


def outlook(connection: sa.Connection, names: Sequence[str]) -> Outlook:
    """What is to come of these lists."""
    if not names:
        return Outlook()
    known = set(connection.execute(sa.select(lists.c.list).where(lists.c.list.in_(names))).scalars())
    due: list[float] = []
    for name in names:
        for kind in (Kind.RETRY, Kind.QUEUE_CALLBACK, Kind.CALLBACK):
            query = sa.select(contacts.c.due_at).where(sa.text(_IS[kind]), contacts.c.list == name)
            due += connection.execute(query.order_by(contacts.c.due_at).limit(1)).scalars()
    return Outlook(min(due, default=None), tuple(name for name in names if name not in known))


def _next(
    connection: sa.Connection, kind: Kind, lists: Sequence[str], most: int, now: float, agents: Sequence[str]
) -> list[int]:
    """Contacts of a kind in their order."""
    is_kind = sa.text(_IS[kind])
    if kind is Kind.NEW:
        found: list[int] = []
        for name in lists:
            if len(found) < most:
                query = sa.select(contacts.c.contact).where(is_kind, contacts.c.list == name)
                query = query.order_by(contacts.c.rank, contacts.c.contact).limit(most - len(found))
                found += connection.execute(_unheld(connection, query)).scalars()
        return found
    # One range each, so that no list is sorted for the sake of its first few
    ranges: list[tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]]
    if kind is Kind.CALLBACK:
        ranges = [(contacts.c.callback_agent == agent, contacts.c.list.in_(lists)) for agent in agents]
    else:
        ranges = [(contacts.c.list == name, sa.true()) for name in lists]
    due: list[tuple[float, int]] = []
    for first, second in ranges:
        query = sa.select(contacts.c.contact, contacts.c.due_at).where(is_kind, first, second, contacts.c.due_at <= now)
        query = query.order_by(contacts.c.due_at, contacts.c.contact).limit(most)
        due += [(row.due_at, row.contact) for row in connection.execute(_unheld(connection, query))]
    return [contact for _, contact in sorted(due)[:most]]


def _searched(connection: sa.Connection, lists: Sequence[str], most: int, search: Search) -> list[int]:
    """New contacts that are not passed over, of ``SEARCHED_MOST`` that are looked at."""
    found: list[int] = []
    reached = {name: search.past[name] for name in lists if name in search.past}
    left = SEARCHED_MOST if most > 0 else 0
    for name in lists:
        while len(found) < most and left > 0:
            page = min(left, SEARCHED)
            rows = list(connection.execute(_homes(name, reached.get(name), page)))
            good: list[int] = []
            for row in rows:
                reached[name] = row.rank, row.contact
                if not search.passes(Home(*row[2:])):
                    good.append(row.contact)
                    if len(found) + len(good) == most:
                        break
            if good:
                mine = sa.select(contacts.c.contact).where(contacts.c.contact.in_(good), sa.text(IS_NEW))
                mine = mine.order_by(contacts.c.rank, contacts.c.contact)
                found += connection.execute(_unheld(connection, mine)).scalars()
            left -= len(rows)
            if len(rows) < page:
                break
    search.reached, search.more = reached, left <= 0 < most
    return found


def _homes(name: str, past: tuple[int, int] | None, most: int) -> sa.Select[Any]:
    columns = ("rank", "contact", "zone", "country", "region", "position")
    new = sa.select(*(contacts.c[one] for one in columns)).where(sa.text(IS_NEW), contacts.c.list == name)
    if past is not None:
        new = new.where(sa.tuple_(contacts.c.rank, contacts.c.contact) > sa.tuple_(*map(sa.literal, past)))
    some = new.order_by(contacts.c.rank, contacts.c.contact).limit(most).subquery()
    numbers = contact_numbers
    at = sa.func.coalesce(some.c.position, 0)
    turn = sa.and_(numbers.c.contact == some.c.contact, numbers.c.position == at, numbers.c.state == of.NumberState.OK)
    query = sa.select(*(some.c[one] for one in columns[:-1]), numbers.c.number, numbers.c.zone)
    return query.outerjoin_from(some, numbers, turn).order_by(some.c.rank, some.c.contact)


def _unheld(connection: sa.Connection, query: sa.Select[Any]) -> sa.Select[Any]:
    if connection.dialect.name == "postgresql":
        return query.with_for_update(skip_locked=True)
    return query


def _promised(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[str | None, str]]:
    """Of callbacks, at which number they were asked for, if at one, and what for."""
    found: dict[int, tuple[str | None, str]] = {}
    for some in pieces(ids):
        query = sa.select(callbacks.c.callback, callbacks.c.number, callbacks.c.note)
        query = query.where(callbacks.c.contact.in_(some), sa.text(IS_OPEN))
        found |= {row.callback: (row.number, row.note) for row in connection.execute(query)}
    return found


def _number(row: Mapping[str, Any], contact: Contact, asked_for: str | None) -> str | None:
    good = [one.number for one in contact.numbers]
    if asked_for in good:
        return asked_for
    at = [one["number"] for one in row["numbers"] if one["position"] == row["position"]]
    return at[0] if at and at[0] in good else next(iter(good), None)


def release(
    connection: sa.Connection,
    ids: Sequence[int],
    epoch: int,
    due_at: float | None = None,
    refused: Refused | None = None,
) -> int:
    """Give contacts back that were claimed by this life and have no attempt open: as they were, or, where the gate refused
    them until then, due at ``due_at``, but for what was promised meanwhile. How many."""
    count = 0
    for some in pieces(ids):
        mine = contacts.c.contact.in_(some), contacts.c.claimed_epoch == epoch, sa.text(IS_IN_FLIGHT), ~_has_attempt()
        count += connection.execute(sa.update(contacts).where(*mine).values(_back(due_at, refused))).rowcount
    return count


def block(
    connection: sa.Connection,
    ids: Sequence[int],
    epoch: int,
    now: float,
    state: State = State.BLOCKED,
    refused: Refused | None = None,
) -> int:
    """Dial contacts no more that this life claimed, for the gate refused them for good: callbacks promised to them are
    missed. How many."""
    count = 0
    for some in pieces(ids):
        mine = contacts.c.contact.in_(some), contacts.c.claimed_epoch == epoch, sa.text(IS_IN_FLIGHT), ~_has_attempt()
        ended = list(connection.execute(sa.select(contacts.c.contact).where(*mine)).scalars())
        _end(connection, ended, now, state, refused)
        count += len(ended)
    return count


def judge_anew(connection: sa.Connection, lists: Sequence[str], now: float, *, rules: bool, most: int = IN_MAX) -> int:
    """Have the gate look again at contacts of ``lists`` that it put off: by rules, if ``rules`` have changed, and by a clock
    that was ahead. At most so many of each list and kind; how many."""
    why = contacts.c.refused_at > now + CLOCK_S
    if rules:
        why |= contacts.c.refused.in_(BY_RULES)
    count = 0
    for name in lists:
        for kind in (Kind.RETRY, Kind.QUEUE_CALLBACK, Kind.CALLBACK):
            query = sa.select(contacts.c.contact).where(sa.text(_IS[kind]), contacts.c.list == name)
            query = query.where(contacts.c.due_at > now, contacts.c.refused.is_not(None), why)
            ids = list(connection.execute(_unheld(connection, query.limit(most))).scalars())
            mine = sa.update(contacts).where(contacts.c.contact.in_(ids))
            connection.execute(mine.values({"due_at": now, **of.UNREFUSED}))
            count += len(ids)
    return count


def unblock(connection: sa.Connection, of_list: str, after: int, *, most: int = IN_MAX) -> int | None:
    """Rules have changed: have the gate look again at contacts of a list that it blocked by what is known of them. Looks at
    so many from the one that comes ``after``; the last one it has looked at, None: there are no more."""
    page = sa.select(contacts.c.contact, contacts.c.state, contacts.c.refused)
    page = page.where(contacts.c.list == of_list, contacts.c.contact > after)
    rows = list(connection.execute(page.order_by(contacts.c.contact).limit(most)))
    ids = [row.contact for row in rows if row.state == State.BLOCKED and row.refused in of.CORRECTABLE]
    mine = contacts.c.contact.in_(ids), contacts.c.state == State.BLOCKED, contacts.c.refused.in_(of.CORRECTABLE)
    connection.execute(sa.update(contacts).where(*mine).values({**_back(None), **of.UNREFUSED}))
    return rows[-1].contact if rows else None


def _end(
    connection: sa.Connection, ids: Sequence[int], now: float, state: State, refused: Refused | None = None
) -> None:
    """Dial contacts no more; callbacks promised to them are missed."""
    none: dict[str, Any] = {"claimed_epoch": None, "claimed_at": None, "callback": None, "callback_agent": None}
    none |= of.UNREFUSED if refused is None else {"refused": refused.reason, "refused_at": refused.at}
    connection.execute(sa.update(contacts).where(contacts.c.contact.in_(ids)).values(state=state, **none))
    promised = callbacks.c.contact.in_(ids), sa.text(IS_OPEN)
    connection.execute(sa.update(callbacks).where(*promised).values(ended_at=now, outcome="missed"))


def _miss_late(connection: sa.Connection, now: float) -> None:
    """What was promised until a time that has passed is not done any more."""
    late = sa.select(callbacks.c.contact).where(sa.text(IS_OPEN), callbacks.c.due_at <= now, callbacks.c.until <= now)
    ids = list(connection.execute(late.limit(IN_MAX)).scalars())
    if ids:
        mine = contacts.c.contact.in_(ids), contacts.c.state == State.DUE, contacts.c.callback.is_not(None)
        free = list(connection.execute(_unheld(connection, sa.select(contacts.c.contact).where(*mine))).scalars())
        _end(connection, free, now, State.DONE)


def return_changed(connection: sa.Connection, taken: Mapping[int, int | None], now: float) -> set[int]:
    """Of contacts that this life has claimed (contact -> the callback they were claimed for), give back those that were
    promised something else since, or nothing any more, or until a time that has passed; which."""
    changed: set[int] = set()
    ended: dict[State, list[int]] = {State.DUE: [], State.DONE: []}
    late: list[int] = []
    for some in pieces(list(taken)):
        columns = (contacts.c.contact, contacts.c.callback, callbacks.c.until)
        known = sa.select(*columns).outerjoin_from(contacts, callbacks, contacts.c.callback == callbacks.c.callback)
        for row in connection.execute(known.where(contacts.c.contact.in_(some))):
            if row.callback != taken[row.contact]:
                ended[State.DONE if row.callback is None else State.DUE].append(row.contact)
            elif row.until is not None and row.until <= now:
                late.append(row.contact)
    for state, ids in ended.items():
        for some in pieces(ids):
            free: dict[str, Any] = {"state": state, "claimed_epoch": None, "claimed_at": None}
            if state is State.DONE:
                free["due_at"] = None
            connection.execute(sa.update(contacts).where(contacts.c.contact.in_(some)).values(free))
        changed.update(ids)
    for some in pieces(late):
        _end(connection, some, now, State.DONE)
    return changed | set(late)


def recover(connection: sa.Connection, epoch: int) -> int:
    """Give back what lives other than ``epoch`` claimed and never committed an attempt for. How many."""
    theirs = sa.text(IS_IN_FLIGHT), contacts.c.claimed_epoch != epoch, ~_has_attempt()
    return connection.execute(sa.update(contacts).where(*theirs).values(_back(None))).rowcount


def give_back(connection: sa.Connection, epoch: int, held: Collection[int]) -> int:
    """Give back what ``epoch`` claimed and knows nothing of, the answer to a claim having been lost: all but ``held`` and
    those with an attempt open. How many."""
    query = sa.select(contacts.c.contact).where(sa.text(IS_IN_FLIGHT), contacts.c.claimed_epoch == epoch)
    return release(connection, [one for one in connection.execute(query).scalars() if one not in held], epoch)


def _has_attempt() -> sa.ColumnElement[bool]:
    return sa.exists().where(attempts.c.contact == contacts.c.contact, attempts.c.ended_at.is_(None))


def _back(due_at: float | None, refused: Refused | None = None) -> dict[str, Any]:
    back: dict[str, Any] = {"claimed_epoch": None, "claimed_at": None}
    if due_at is None:
        return back | {"state": sa.case((contacts.c.due_at.is_(None), "new"), else_="due")}
    # Due later than it was claimed: promised since, and put off by what was known before
    promised = contacts.c.due_at > contacts.c.claimed_at
    why = of.UNREFUSED if refused is None else {"refused": refused.reason, "refused_at": refused.at}
    put_off = {"due_at": due_at, **why}
    stays = {"due_at": contacts.c.due_at, **of.UNREFUSED}
    cases = {
        name: sa.case((promised, stays[name]), else_=sa.bindparam(None, put_off[name], contacts.c[name].type))
        for name in put_off
    }
    return back | {"state": "due", **cases}
