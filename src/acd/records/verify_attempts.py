"""Whether attempts obey their rules, with their contacts, calls and do-not-call.

Attempts are read in one look, contact by contact; memory holds a piece of them. Which rules there are:
``attempt_rules.RULES``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa

from acd.records.attempt_rules import (
    AttemptRow,
    ContactRow,
    EntryRow,
    ReachedRow,
    attempt_violations,
    contact_violations,
    uncalled_violations,
)
from acd.records.rows import Micros
from acd.records.violation import Violation
from acd.store.outbound.bulk import pieces
from acd.store.outbound.donotcall import sha256_of
from acd.store.outbound.tables import attempts, contacts, do_not_call
from acd.store.tables import calls, epochs

FETCH = 1000
AT_ONE_CONTACT = 1000
"""Attempts at one contact that are compared; no rule of the gate permits as many."""

_OURS = re.compile(r"[0-9]{14}", re.ASCII)
"""A call's id as the service gives it: the life, and a number that rises with every call."""

Progress = Callable[[int], None]


def attempts_wrong(
    connection: sa.Connection, since: int | None, until: int | None, calls_from: int | None, progress: Progress
) -> Iterator[Violation]:
    """What is wrong with the attempts committed from ``since`` to before ``until`` (microseconds; None: all) and with their
    contacts. ``calls_from``: calls from before may have been taken away."""
    at = sa.type_coerce(attempts.c.committed_at, Micros)
    limits = [at >= since] if since is not None else []
    limits += [at < until] if until is not None else []
    whole = not limits
    query = sa.select(*_columns(attempts, AttemptRow)).where(*limits)
    query = query.order_by(attempts.c.contact, attempts.c.committed_at, attempts.c.attempt)
    with connection.begin():
        done = 0
        with connection.execution_options(yield_per=FETCH).execute(query) as rows:
            stream = (AttemptRow._make(row) for row in rows)
            for some in _contact_by_contact(stream):
                yield from _piece(connection, some, whole, calls_from)
                done += len(some)
                progress(done)
        if whole:
            untried = ~sa.exists().where(attempts.c.contact == contacts.c.contact)
            lost = sa.select(*_columns(contacts, ContactRow)).where(contacts.c.attempts > 0, untried)
            with connection.execution_options(yield_per=FETCH).execute(lost.order_by(contacts.c.contact)) as rows:
                for row in rows:
                    yield from contact_violations(ContactRow._make(row), [], whole=True)


def _contact_by_contact(rows: Iterator[AttemptRow]) -> Iterator[list[AttemptRow]]:
    """Pieces of some FETCH rows, none of which ends amid a contact."""
    piece: list[AttemptRow] = []
    for _, group in groupby(rows, lambda row: row.contact):
        for count, row in enumerate(group):
            if count and count % AT_ONE_CONTACT == 0:
                yield piece
                piece = []
            piece.append(row)
        if len(piece) >= FETCH:
            yield piece
            piece = []
    if piece:
        yield piece


def _piece(
    connection: sa.Connection, made: Sequence[AttemptRow], whole: bool, calls_from: int | None
) -> Iterator[Violation]:
    reached = _by(connection, calls, ReachedRow, "call", {row.call for row in made if row.call is not None})
    awaited = _awaited(connection, {row.call for row in made if row.call is not None} - reached.keys())
    known = _by(connection, contacts, ContactRow, "contact", {row.contact for row in made})
    forms = {form: row.number for row in made for form in _forms(row.number)}
    entries: defaultdict[str, list[EntryRow]] = defaultdict(list)
    for some in pieces(list(forms)):
        query = sa.select(*_columns(do_not_call, EntryRow)).where(do_not_call.c.number.in_(some))
        for entry in map(EntryRow._make, connection.execute(query)):
            entries[forms[entry.number]].append(entry)
    for row in made:
        gone = row.call in awaited or (calls_from is not None and row.committed_at < calls_from)
        yield from attempt_violations(row, reached.get(row.call), calls_gone=gone)
        yield from uncalled_violations(row, entries.get(row.number, ()))
    for contact, group in groupby(made, lambda row: row.contact):
        mine = list(group)
        yield from contact_violations(known.get(contact), mine, whole=whole and len(mine) < AT_ONE_CONTACT)


def _awaited(connection: sa.Connection, missing: Iterable[str]) -> set[str]:
    """Of calls that are not there, those that are still to become durable, or were lost when their life was killed. Attempts
    and calls are written one beside the other, calls in their order: a later one of that life, or the life's end in order,
    tells that it should be there."""
    found: set[str] = set()
    for call in missing:
        if _OURS.fullmatch(call) is None:
            continue
        life = call[:6]
        stopped = sa.select(epochs.c.stopped_at).where(epochs.c.epoch == int(life))
        later = sa.select(calls.c.call).where(calls.c.call > call, calls.c.call <= f"{life}99999999").limit(1)
        if connection.execute(stopped).scalar() is None and connection.execute(later).first() is None:
            found.add(call)
    return found


def _forms(number: str) -> tuple[str, ...]:
    """What may stand for a number on do-not-call, as far as that can be told without the key of hashes."""
    return (number, sha256_of(number)) if number.startswith("+") else (number,)


def _by(connection: sa.Connection, table: sa.Table, row: type[Any], key: str, wanted: Iterable[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for some in pieces(list(wanted)):
        query = sa.select(*_columns(table, row)).where(table.c[key].in_(some))
        found |= {getattr(one, key): one for one in map(row._make, connection.execute(query))}
    return found


def _columns(table: sa.Table, row: type[NamedTuple]) -> list[sa.ColumnElement[Any]]:
    names = row._fields
    times = {name for name in names if name.endswith("_at") or name == "until"}
    return [sa.type_coerce(table.c[name], Micros).label(name) if name in times else table.c[name] for name in names]


# -- calls on channels of attempts -----------------------------------------------------------------------------------


def unattempted(connection: sa.Connection, channels: dict[str, str]) -> Iterator[Violation]:
    """Calls (by channel) on channels that have the form of an attempt, and are none."""
    known: set[str] = set()
    for some in pieces(list(channels)):
        known.update(connection.execute(sa.select(attempts.c.attempt).where(attempts.c.attempt.in_(some))).scalars())
    for channel in sorted(channels.keys() - known):
        call = channels[channel]
        yield Violation("reached", f"call {call} is on the channel of attempt {channel}, which there is not", call)
