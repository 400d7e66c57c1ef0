"""What machine detection found, and what agents say of it, counted by the database. A function within the caller's
transaction; it only reads."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from acd.domain.campaigns import AttemptOutcome
from acd.domain.detection import Detected
from acd.store.outbound.tables import attempts

_MACHINE = "machine"
_PEOPLE = (AttemptOutcome.ANSWERED.value, AttemptOutcome.ABANDONED.value, AttemptOutcome.OPTED_OUT.value)


def detected(
    connection: sa.Connection, campaign: str, since: float, until: float, machine_words: Collection[str] = ()
) -> Detected:
    """Of attempts committed from ``since`` to before ``until`` (UTC s). ``machine_words``: what agents call a machine; where
    that is not known, outcomes tell."""
    a = attempts.c
    found_machine, through = a.verdict == _MACHINE, a.call.is_not(None)
    audited = sa.and_(found_machine, through)
    said = sa.and_(audited, a.said.is_not(None))
    # The word counts: the outcome of windows that are over is not changed any more
    machine = a.said.in_(sorted(machine_words)) if machine_words else a.outcome == _MACHINE
    counts = (
        sa.and_(found_machine, ~through),
        audited,
        said,
        sa.and_(said, ~machine),
        sa.and_(a.verdict != _MACHINE, a.outcome.in_(_PEOPLE)),
    )
    mine = a.campaign == campaign, a.committed_at >= since, a.committed_at < until, a.verdict.is_not(None)
    query = sa.select(*(sa.func.coalesce(sa.func.sum(sa.case((one, 1), else_=0)), 0) for one in counts))
    return Detected(*(int(many) for many in connection.execute(query.where(*mine)).one()))
