"""One turn of the service's dialling as one transaction: what was learnt, what attempts came to, contacts given back, and
the attempts that are dialled next; and contacts claimed with all that is to be known of them. Functions within the caller's
transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import field, fields

import sqlalchemy as sa

from acd.domain.campaigns import AttemptOutcome, Contact
from acd.domain.values import valueclass
from acd.store.outbound import attempts as of
from acd.store.outbound import contacts, dispositions, donotcall, optouts, work
from acd.store.outbound.attempts import Attempt, History, Recorded, Settled
from acd.store.outbound.bulk import pieces, seconds_between
from acd.store.outbound.campaigns import Window, save_ledger
from acd.store.outbound.contacts import State, judged_of
from acd.store.outbound.dispositions import Said
from acd.store.outbound.donotcall import Sealed
from acd.store.outbound.optouts import OptOut
from acd.store.outbound.tables import attempts
from acd.store.outbound.work import Claimed, Kind, Refused

_NO_PERSON = (AttemptOutcome.MACHINE.value, AttemptOutcome.FAX.value)
_NO_CALL = (AttemptOutcome.FAILED.value, AttemptOutcome.WITHDRAWN.value)
"""Unless it was dialled."""


@valueclass(frozen=True, slots=True)
class Turn:
    """In the order in which it is done. ``progress``: of attempts in flight, as `attempts.progress`; ``releases``: contact
    and until when (None: as it was); ``blocks``: contact and what it is then; ``refused``: of these two, whom the gate
    refused, and the contact as it saw it; ``ledgers`` as they are afterwards."""

    progress: Sequence[tuple[str, Mapping[str, float | str]]] = ()
    opt_outs: Sequence[OptOut] = ()
    ended: Sequence[Settled] = ()
    said: Sequence[Said] = ()
    releases: Sequence[tuple[int, float | None]] = ()
    blocks: Sequence[tuple[int, State]] = ()
    made: Sequence[Attempt] = ()
    ledgers: Mapping[str, Sequence[Window]] = field(default_factory=dict)
    refused: Mapping[int, tuple[Refused, Contact]] = field(default_factory=dict)


def take(
    connection: sa.Connection, turn: Turn, epoch: int, now: float, sealed: Sealed, *, hashed: bool = False
) -> Recorded:
    """Make a turn durable; which of its attempts may be dialled."""
    # What a server that was frozen still does of a turn that was given up is over before this one looks
    _hold(connection, turn)
    for attempt, known in turn.progress:
        of.progress(connection, attempt, **known)
    optouts.note(connection, turn.opt_outs, sealed, hashed=hashed)
    of.settle(connection, turn.ended, sealed, hashed=hashed)
    dispositions.note(connection, turn.said)
    anew, why = _changed(connection, turn), {contact: said for contact, (said, _) in turn.refused.items()}
    until: defaultdict[tuple[float | None, Refused | None], list[int]] = defaultdict(list)
    for contact, due_at in turn.releases:
        until[(None, None) if contact in anew else (due_at, why.get(contact))].append(contact)
    until[None, None] += [contact for contact, _ in turn.blocks if contact in anew]
    for (due_at, said), ids in until.items():
        work.release(connection, ids, epoch, due_at, said)
    states: defaultdict[tuple[State, Refused | None], list[int]] = defaultdict(list)
    for contact, state in turn.blocks:
        if contact not in anew:
            states[state, why.get(contact)].append(contact)
    for (state, said), ids in states.items():
        work.block(connection, ids, epoch, now, state, said)
    recorded = of.record(connection, turn.made, epoch, now, sealed, hashed=hashed) if turn.made else Recorded(())
    for campaign, windows in turn.ledgers.items():
        save_ledger(connection, campaign, windows, now)
    return recorded


def _changed(connection: sa.Connection, turn: Turn) -> set[int]:
    """Contacts that the gate refused, and that are not what it judged any more: it has to look again."""
    if not turn.refused:
        return set()
    known = contacts.judged(connection, list(turn.refused))
    return {one for one, (_, judged) in turn.refused.items() if one in known and known[one] != judged_of(judged)}


def _hold(connection: sa.Connection, turn: Turn) -> None:
    """All contacts that the turn is about."""
    if connection.dialect.name == "postgresql":
        ids = {contact for contact, _ in (*turn.releases, *turn.blocks)} | {one.contact for one in turn.made}
        for some in pieces([*(one.attempt for one in turn.ended), *(one.attempt for one in turn.said)]):
            ids.update(connection.execute(sa.select(attempts.c.contact).where(attempts.c.attempt.in_(some))).scalars())
        contacts.hold(connection, list(ids))


@valueclass(frozen=True, slots=True)
class Known:
    """A contact that was claimed, with what is known of it and of the number to be dialled. ``barred``: what keeps it from
    being called."""

    claimed: Claimed
    history: History
    barred: tuple[str, ...]


def claim(
    connection: sa.Connection,
    lists: Sequence[str],
    wanted: Mapping[Kind, int],
    now: float,
    epoch: int,
    sealed: Sealed,
    *,
    agents: Sequence[str] = (),
    scopes: Sequence[str] = (),
    search: work.Search | None = None,
) -> list[Known]:
    """`work.claim` with what the gate asks of each contact: nobody is claimed of whom that cannot be read. ``scopes``: of
    do-not-call."""
    taken = work.claim(connection, lists, wanted, now, epoch, agents=agents, search=search)
    if not taken:
        return []
    own = {one.contact.contact: [each.number for each in one.contact.numbers] for one in taken}
    histories = of.histories(connection, [(one.contact.contact, one.number) for one in taken], 0.0, sealed, own)
    people = [(one.number, [own.number for own in one.contact.numbers]) for one in taken]
    barred = donotcall.barred(connection, people, scopes, sealed, now)
    return [Known(one, histories[one.contact.contact, one.number], why) for one, why in zip(taken, barred, strict=True)]


@valueclass(frozen=True, slots=True)
class Open:
    """An attempt that nobody has settled, with its contact as `contacts.rows_of` (None: it is no longer there)."""

    attempt: str
    campaign: str
    contact: int
    position: int
    number: str
    node: str
    trunk: str
    committed_at: float
    answered_at: float | None
    agent: str | None
    row: Mapping[str, object] | None
    outcome: str | None = None
    said: str | None = None


def left_open(connection: sa.Connection) -> list[Open]:
    """What earlier lives left in flight."""
    made = of.in_flight(connection)
    ids = [one["contact"] for one in made]
    rows = {row["contact"]: row for some in pieces(ids) for row in contacts.rows_of(connection, some)}
    names = (
        "attempt",
        "campaign",
        "contact",
        "position",
        "number",
        "node",
        "trunk",
        "committed_at",
        "answered_at",
        "agent",
        "said",
    )
    return [Open(**{name: one[name] for name in names}, row=rows.get(one["contact"])) for one in made]


def past(connection: sa.Connection, attempt: str) -> Open | None:
    """An attempt whatever it came to, or None if there is none."""
    row = connection.execute(sa.select(attempts).where(attempts.c.attempt == attempt)).first()
    if row is None:
        return None
    known = contacts.rows_of(connection, [row.contact])
    names = (one.name for one in fields(Open) if one.name != "row")
    return Open(**{name: getattr(row, name) for name in names}, row=known[0] if known else None)


def latest(connection: sa.Connection) -> float | None:
    """When the last attempt that was ever made was committed. Ids do not tell: a life begun without the database has a
    number above those after it."""
    return connection.execute(sa.select(sa.func.max(attempts.c.committed_at))).scalar()


def calls_since(connection: sa.Connection, since: float, short_s: float) -> tuple[int, int]:
    """Calls placed since then, of all campaigns, and how many of them were answered for no longer than so, not answered at
    all, or by a mailbox. An attempt that was never dialled is no call."""
    length = seconds_between(connection, attempts.c.answered_at, attempts.c.ended_at)
    unanswered = sa.or_(attempts.c.answered_at.is_(None), attempts.c.outcome.in_(_NO_PERSON))
    short = sa.and_(attempts.c.ended_at.is_not(None), sa.or_(unanswered, length <= short_s + 0.001))
    placed = sa.or_(
        attempts.c.dialled_at.is_not(None), attempts.c.outcome.is_(None), attempts.c.outcome.not_in(_NO_CALL)
    )
    query = sa.select(sa.func.count(), sa.func.sum(sa.case((short, 1), else_=0)))
    many, few = connection.execute(query.where(attempts.c.committed_at >= since, placed)).one()
    return int(many), int(few or 0)
