"""Who is not to be called: looked up for many numbers at once, added to, and taken from. Functions within the caller's
transaction.

An entry holds a number as it is, or a hash in its place: ``hmac:`` made with this installation's key, or ``sha256:`` of the
E.164 text, as registers hand them out. A look-up asks for all three, so it does not matter which was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from acd.domain.errors import RefusedError, StoreError
from acd.domain.values import valueclass
from acd.store.outbound.bulk import among, insert_many, pieces, take
from acd.store.outbound.tables import counters, do_not_call
from acd.store.sealing import PREFIX

ALL = "all"
ERASED = "erased"
"""The scope of those who were erased: by their hash alone, so that the next list does not bring them back."""
SHA256 = "sha256:"
OPTED_OUT = ("attempt:", "contact:")
"""What the sources of entries begin with that the person asked for, in a call or of an agent."""
_COLUMNS = ("number", "scope", "source", "reason", "added_at", "added_by", "until", "seal")

Sealed = Callable[[str], str]
"""Makes ``hmac:...`` of a number (E.164)."""


@valueclass(frozen=True, slots=True)
class Entry:
    """One that is not to be called. ``number``: E.164, ``hmac:...`` or ``sha256:...``; ``until``: None, for ever."""

    number: str
    scope: str
    source: str
    reason: str
    added_at: float
    added_by: str
    until: float | None = None


def scopes_of(campaign: str | None = None, client: str | None = None) -> tuple[str, ...]:
    """The scopes that hold for a campaign of a client."""
    own = ((f"client:{client}", client), (f"campaign:{campaign}", campaign))
    return (ALL, ERASED, *(scope for scope, name in own if name))


def sha256_of(number: str) -> str:
    """What stands for a number (E.164) that was handed over as its SHA-256."""
    return SHA256 + sha256(number.encode()).hexdigest()


def seal_of(sealed: Sealed) -> str:
    """Which key ``sealed`` has: equal keys, equal texts, and nothing of the key in it."""
    return sealed("+0")[len(PREFIX) :][:12]


def check_seal(connection: sa.Connection, sealed: Sealed) -> None:
    """Raise StoreError if there are entries made with another key: they would never be found, and the people behind them
    be called."""
    query = sa.select(do_not_call.c.seal).where(do_not_call.c.seal.is_not(None), do_not_call.c.seal != seal_of(sealed))
    if connection.execute(query.limit(1)).first() is not None:
        raise StoreError(
            "the do-not-call list has hashed numbers made with another key than the number.key of the state directory, "
            "which cannot be recognised: put the right key back before anybody is dialled"
        )


def look_up(
    connection: sa.Connection, numbers: Sequence[str], scopes: Sequence[str], sealed: Sealed, now: float
) -> dict[str, list[Entry]]:
    """Which of these numbers (E.164) are not to be called, and why; ``scopes`` as `scopes_of`."""
    forms: dict[str, str] = {}
    for number in numbers:
        forms |= {number: number, sealed(number): number, sha256_of(number): number}
    found: dict[str, list[Entry]] = {}
    for some in pieces(list(forms)):
        query = sa.select(do_not_call).where(do_not_call.c.number.in_(some), do_not_call.c.scope.in_(scopes))
        for row in connection.execute(query):
            if row.until is None or row.until > now:
                found.setdefault(forms[row.number], []).append(_entry(row))
    return found


def barred(
    connection: sa.Connection,
    people: Sequence[tuple[str, Sequence[str]]],
    scopes: Sequence[str],
    sealed: Sealed,
    now: float,
) -> list[tuple[str, ...]]:
    """What keeps each of these people from being called, empty if nothing does: the number (E.164) that is to be dialled
    stands on a list, or one of all that the person has does because the person said so."""
    every = list({number for dialled, own in people for number in (dialled, *own)})
    found = look_up(connection, every, scopes, sealed, now)
    kept: list[tuple[str, ...]] = []
    for dialled, own in people:
        here = {entry.scope for entry in found.get(dialled, ())}
        said = {entry.scope for number in own for entry in found.get(number, ()) if is_opt_out(entry)}
        kept.append((*sorted(here), *sorted(f"{scope} by the person's other number" for scope in said - here)))
    return kept


def is_opt_out(entry: Entry) -> bool:
    """Whether a person asked for it, who is meant with every number; others list numbers."""
    return entry.source.startswith(OPTED_OUT)


def held(connection: sa.Connection, number: str, sealed: Sealed) -> list[Entry]:
    """Every entry of a number, of whatever scope, expired ones too."""
    forms = (number, sealed(number), sha256_of(number))
    query = sa.select(do_not_call).where(do_not_call.c.number.in_(forms)).order_by(do_not_call.c.scope)
    return [_entry(row) for row in connection.execute(query)]


def _entry(row: Any) -> Entry:
    return Entry(row.number, row.scope, row.source, row.reason, row.added_at, row.added_by, row.until)


def add(connection: sa.Connection, entries: Sequence[Entry], sealed: Sealed) -> int:
    """Add entries. One that is there stays, but never ends earlier than the new one, and is from then on what a person said
    if the new one is. How many are new or longer."""
    changed = 0
    seal = seal_of(sealed)
    latest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        key = (entry.number, entry.scope)
        if key not in latest or _longer(entry.until, latest[key].until):
            latest[key] = entry
    for some in pieces(list(latest.values())):
        known = _known(connection, some)
        fresh = [one for one in some if (one.number, one.scope) not in known]
        rows = (
            (one.number, one.scope, one.source, one.reason, one.added_at, one.added_by, one.until,
             seal if one.number.startswith(PREFIX) else None)
            for one in fresh
        )  # fmt: skip
        insert_many(connection, do_not_call, _COLUMNS, rows, ignore=True)
        changed += len(fresh)
        for one in some:
            if (one.number, one.scope) not in known:
                continue
            before = known[one.number, one.scope]
            new: dict[str, Any] = {}
            if _longer(one.until, before.until):
                new["until"] = one.until
                if before.until is not None and before.until <= one.added_at:
                    # Who was permitted in between was not dialled wrongly
                    new["added_at"] = one.added_at
                changed += 1
            if is_opt_out(one) and not before.source.startswith(OPTED_OUT):
                new |= {"source": one.source, "reason": one.reason, "added_by": one.added_by}
            if new:
                here = do_not_call.c.number == one.number, do_not_call.c.scope == one.scope
                connection.execute(sa.update(do_not_call).where(*here).values(new))
    return changed


def keep_away(connection: sa.Connection, number: str, sealed: Sealed, now: float, by: str) -> None:
    """Remember of an erased person's number (E.164) the keyed hash, for `erased`."""
    add(connection, [Entry(sealed(number), ERASED, "erasure", "", now, by)], sealed)
    take(connection, ERASED)


def erased(connection: sa.Connection, numbers: Sequence[str], sealed: Sealed) -> dict[str, float]:
    """Which of these numbers (E.164) are of people who were erased, and when. Hashes are made only where there are any."""
    if connection.execute(sa.select(counters.c.last).where(counters.c.name == ERASED)).first() is None:
        return {}
    check_seal(connection, sealed)
    forms = {sealed(number): number for number in numbers}
    found: dict[str, float] = {}
    for some in pieces(list(forms)):
        here = among(connection, do_not_call.c.number, some), do_not_call.c.scope == ERASED
        for row in connection.execute(sa.select(do_not_call.c.number, do_not_call.c.added_at).where(*here)):
            found[forms[row.number]] = row.added_at
    return found


def let_back(
    connection: sa.Connection, numbers: Sequence[str], consent_at: float | None, sealed: Sealed, *, allow: bool, so: str
) -> None:
    """Have people with these numbers (E.164) known again who were erased, if it is said (``allow``) or they have consented
    since; nothing of the erasure is kept then. Raises RefusedError, with ``so``: how it is said."""
    gone = erased(connection, numbers, sealed)
    if gone and not allow and (consent_at is None or consent_at <= max(gone.values())):
        raise RefusedError(f"who has {next(iter(gone))} was erased: {so}")
    for number in gone:
        remove(connection, number, [ERASED], sealed)


def _known(connection: sa.Connection, some: Sequence[Entry]) -> Mapping[tuple[str, str], sa.Row[Any]]:
    query = sa.select(*(do_not_call.c[name] for name in ("number", "scope", "until", "source")))
    query = query.where(do_not_call.c.number.in_([one.number for one in some]))
    return {(row.number, row.scope): row for row in connection.execute(query)}


def _longer(one: float | None, than: float | None) -> bool:
    return than is not None and (one is None or one > than)


def remove(connection: sa.Connection, number: str, scopes: Sequence[str] | None, sealed: Sealed) -> int:
    """Take the entries of a number away, of all scopes if none are given. How many there were."""
    forms = (number, sealed(number), sha256_of(number))
    mine = sa.delete(do_not_call).where(do_not_call.c.number.in_(forms))
    if scopes is not None:
        mine = mine.where(do_not_call.c.scope.in_(scopes))
    return connection.execute(mine).rowcount


def seal_up(connection: sa.Connection, number: str, sealed: Sealed) -> int:
    """Keep the keyed hash in a number's place, and in that of its SHA-256, which anybody can try numbers against: it stays
    uncalled, and is told to nobody. How many entries had them."""
    hidden = sealed(number)
    own = [entry for entry in held(connection, number, sealed) if entry.number != hidden]
    connection.execute(sa.delete(do_not_call).where(do_not_call.c.number.in_([one.number for one in own])))
    again = [Entry(hidden, one.scope, one.source, one.reason, one.added_at, one.added_by, one.until) for one in own]
    add(connection, again, sealed)
    return len(own)


def listed(
    connection: sa.Connection, *, after: tuple[str, str] | None = None, scope: str | None = None, limit: int = 1000
) -> list[Entry]:
    """Entries by number and scope, a page at a time."""
    query = sa.select(do_not_call).order_by(do_not_call.c.number, do_not_call.c.scope).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(do_not_call.c.number, do_not_call.c.scope) > sa.tuple_(*map(sa.literal, after)))
    if scope is not None:
        query = query.where(do_not_call.c.scope == scope)
    return [_entry(row) for row in connection.execute(query)]


def counts(connection: sa.Connection, now: float) -> dict[str, dict[str, int]]:
    """By scope: how many entries there are, how many of them are over, how many are hashes."""
    over = sa.case((do_not_call.c.until <= now, 1), else_=0)
    hashed = sa.case((do_not_call.c.number.startswith("+"), 0), else_=1)
    query = sa.select(do_not_call.c.scope, sa.func.count(), sa.func.sum(over), sa.func.sum(hashed))
    found = sorted(connection.execute(query.group_by(do_not_call.c.scope)).all(), key=lambda row: str(row[0]))
    return {scope: {"entries": many, "over": int(gone), "hashed": int(hidden)} for scope, many, gone, hidden in found}
