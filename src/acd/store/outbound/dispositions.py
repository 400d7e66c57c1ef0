"""What agents say of attempts that are over, and what follows for the contact. Functions within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from acd.domain.campaigns import AttemptOutcome
from acd.domain.values import valueclass
from acd.store.outbound.attempts import Again, Over
from acd.store.outbound.contacts import UNREFUSED, NumberState, State
from acd.store.outbound.tables import IS_OPEN, attempts, callbacks, contact_numbers, contacts

_REVISED = (AttemptOutcome.ANSWERED.value, AttemptOutcome.MACHINE.value)


@valueclass(frozen=True, slots=True)
class Said:
    """``outcome``: what the attempt came to after all; ``after``: what becomes of the contact, None: nothing; ``bad``: the
    number is not the contact's; ``good``: it is after all."""

    attempt: str
    word: str
    outcome: AttemptOutcome | None = None
    after: Again | Over | None = None
    bad: bool = False
    good: bool = False


def note(connection: sa.Connection, said: Sequence[Said]) -> None:
    """Note it. A contact that was tried since, is in a call, was promised a call or is blocked stays as it is; one that is
    claimed ahead is not dialled by that claim."""
    for one in said:
        mine = attempts.c.attempt == one.attempt
        connection.execute(sa.update(attempts).where(mine).values(said=one.word or None))
        names = ("contact", "position", "outcome", "committed_at", "ended_at")
        made = connection.execute(sa.select(*(attempts.c[name] for name in names)).where(mine)).first()
        if made is None or made.ended_at is None:
            continue
        if one.outcome is not None and made.outcome in _REVISED:
            connection.execute(sa.update(attempts).where(mine).values(outcome=one.outcome.value))
        if one.bad or one.good:
            place = contact_numbers.c.contact == made.contact, contact_numbers.c.position == made.position
            state = NumberState.BAD if one.bad else NumberState.OK
            connection.execute(sa.update(contact_numbers).where(*place).values(state=state))
        _follow(connection, one, made)


def _follow(connection: sa.Connection, one: Said, made: Any) -> None:
    mine = contacts.c.contact == made.contact
    row = connection.execute(sa.select(contacts.c.state, contacts.c.last_at).where(mine)).first()
    if row is None or (row.last_at is not None and row.last_at > made.committed_at):
        return
    if one.outcome is not None and made.outcome in _REVISED:
        connection.execute(sa.update(contacts).where(mine).values(last_outcome=one.outcome.value))
    promised = sa.select(callbacks.c.callback).where(callbacks.c.contact == made.contact, sa.text(IS_OPEN)).limit(1)
    in_call = sa.select(attempts.c.attempt).where(attempts.c.contact == made.contact, attempts.c.ended_at.is_(None))
    kept = row.state == State.BLOCKED or any(
        connection.execute(asked).first() for asked in (promised, in_call.limit(1))
    )
    if one.after is None or kept:
        return
    free: dict[str, Any] = {"claimed_epoch": None, "claimed_at": None, "due_at": None, "position": None}
    free |= UNREFUSED
    if isinstance(one.after, Over):
        free["state"] = one.after.state
    else:
        free |= {"state": State.DUE, "due_at": one.after.due_at}
        if one.after.number is not None:
            here = contact_numbers.c.contact == made.contact, contact_numbers.c.number == one.after.number
            free["position"] = connection.execute(
                sa.select(sa.func.min(contact_numbers.c.position)).where(*here)
            ).scalar()
    connection.execute(sa.update(contacts).where(mine).values(free))
