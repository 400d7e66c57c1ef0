"""What becomes of a queue_log's lines when the records they were made of go. Functions within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from acd.store.tables import calls, queue_log, queue_log_place

NONE = "NONE"
"""The call of a line that is of none."""
SUPERSEDED = "superseded"
"""In the place of a writer: what it has read may be there no more."""


def _of(names: Iterable[str]) -> sa.ColumnElement[bool]:
    return queue_log.c.callid.in_(sa.select(calls.c.channel).where(calls.c.call.in_(list(names))))


def hide_callers(connection: sa.Connection, names: Iterable[str], instead: str) -> None:
    """Put ``instead`` in the place of these calls' numbers."""
    theirs = sa.update(queue_log).where(_of(names), queue_log.c.event == "ENTERQUEUE", queue_log.c.data2 != instead)
    connection.execute(theirs.values(data2=instead))


def remove_calls(connection: sa.Connection, names: Iterable[str]) -> None:
    """Take away the lines of calls, before these go themselves."""
    connection.execute(sa.delete(queue_log).where(_of(names)))


def remove_agents(connection: sa.Connection, before: float, limit: int) -> int:
    """Take away ``limit`` lines, or fewer, that are of no call and older than ``before`` (UTC s); how many."""
    over = sa.select(queue_log.c.id).where(queue_log.c.callid == NONE, queue_log.c.time < before)
    oldest = over.order_by(queue_log.c.time).limit(limit)
    return connection.execute(sa.delete(queue_log).where(queue_log.c.id.in_(oldest))).rowcount


def supersede(connection: sa.Connection) -> None:
    """Have whoever writes the lines read everything anew before it writes on."""
    connection.execute(sa.update(queue_log_place).values(writer=SUPERSEDED))
