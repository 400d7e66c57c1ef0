"""What a start needs of the database: a new epoch, the agents' states, the calls that were open. Read once, at start."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, Table, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from acd.domain.errors import StoreError
from acd.domain.events import AgentMemory, CallMemory, SegmentMemory
from acd.domain.lives import ALONE_FIRST
from acd.domain.states import AgentState
from acd.store.sealing import is_sealed
from acd.store.tables import agents, calls, decisions, epochs, segments

_ATTEMPTS = 5
# A subquery, not a join: SQLite would join from the other side and read every segment there is.
_OPEN = select(calls.c.call).where(calls.c.ended_at.is_(None))


async def next_epoch(connection: AsyncConnection, after: int = 0) -> int:
    """Take the next epoch, durably; one beyond ``after``, too. Raises StoreError when there are none left."""
    for _ in range(_ATTEMPTS):
        counted = select(func.max(epochs.c.epoch)).where(epochs.c.epoch < ALONE_FIRST)
        last = (await connection.execute(counted)).scalar()
        epoch = max(int(last or 0), after) + 1
        if epoch >= ALONE_FIRST:
            raise StoreError(f"epoch {ALONE_FIRST - 1} was the last: archive the database and begin a new one")
        row = {"epoch": epoch, "started_at": time.time(), "host": platform.node(), "pid": os.getpid()}
        try:
            await connection.execute(insert(epochs).values(row))
            await connection.commit()
        except IntegrityError:
            # Another start took it at the same moment.
            await connection.rollback()
        else:
            return epoch
    raise StoreError("no epoch could be taken: how many acd use this database?")


async def end_epoch(connection: AsyncConnection, epoch: int) -> None:
    """Note that a life ended in good order."""
    await connection.execute(update(epochs).where(epochs.c.epoch == epoch).values(stopped_at=time.time()))
    await connection.commit()


async def remember_agents(connection: AsyncConnection) -> tuple[AgentMemory, ...]:
    """Every agent's state in force."""
    rows = await connection.execute(select(agents).order_by(agents.c.agent))
    return tuple(
        AgentMemory(
            agent=row.agent,
            state=AgentState(row.state),
            reason=row.reason,
            since=row.since,
            idle_since=row.idle_since,
            serial=row.serial,
            phone=row.phone,
            pending=row.pending,
            until=row.until,
            call=row.call,
        )
        for row in rows
    )


async def remember_calls(connection: AsyncConnection, at_most: int) -> tuple[tuple[CallMemory, ...], int]:
    """The newest ``at_most`` open calls in the order they entered, and how many more there are.

    Everything is asked in four queries over the open calls, however many there are.
    """
    is_open = calls.c.ended_at.is_(None)
    newest = select(calls).where(is_open).order_by(calls.c.entered_at.desc(), calls.c.call.desc()).limit(at_most + 1)
    found = list(await connection.execute(newest))
    more = 0
    if len(found) > at_most:
        total = (await connection.execute(select(func.count()).select_from(calls).where(is_open))).scalar_one()
        found, more = found[:at_most], int(total) - at_most
    open_segments: dict[str, list[SegmentMemory]] = defaultdict(list)
    rows = await connection.execute(
        select(segments)
        .where(segments.c.call.in_(_OPEN), segments.c.ended_at.is_(None))
        .order_by(segments.c.call, segments.c.serial)
    )
    for row in rows:
        open_segments[row.call].append(_segment(row))
    next_segment = await _next_serials(connection, segments)
    next_decision = await _next_serials(connection, decisions)
    return (
        tuple(
            _call(row, next_segment.get(row.call, 0), next_decision.get(row.call, 0), open_segments.get(row.call, []))
            for row in reversed(found)
        ),
        more,
    )


async def remember_wraps(connection: AsyncConnection) -> tuple[SegmentMemory, ...]:
    """Every wrap-up that has not ended, whether or not its call has."""
    # Written out, not bound, so that it is the condition of the index.
    wrapping = text("kind = 'wrapped' AND ended_at IS NULL")
    rows = await connection.execute(select(segments).where(wrapping).order_by(segments.c.call, segments.c.serial))
    return tuple(_segment(row) for row in rows)


async def remember_callers(
    connection: AsyncConnection, at_most: int, since: float, sealed: Callable[[str], str] | None = None
) -> tuple[tuple[str, str], ...]:
    """Who talked to whom in the newest ``at_most`` answered calls entered after ``since`` (UTC s): number and agent, the
    latest last, each number once. ``sealed``: hashed numbers, also of those kept before there were any."""
    talked = calls.c.agent.is_not(None) & (calls.c.caller_number != "") & (calls.c.entered_at > since)
    newest = (
        select(calls.c.caller_number, calls.c.agent)
        .where(talked)
        .order_by(calls.c.entered_at.desc(), calls.c.call.desc())
        .limit(at_most)
    )
    found: dict[str, str] = {}
    for number, agent in await connection.execute(newest):
        found.setdefault(number if sealed is None or is_sealed(number) else sealed(number), agent)
    return tuple(reversed(found.items()))


def _segment(row: Row[Any]) -> SegmentMemory:
    return SegmentMemory(row.call, row.serial, row.kind, row.started_at, row.queue, row.agent, row.offer)


async def _next_serials(connection: AsyncConnection, of: Table) -> dict[str, int]:
    query = select(of.c.call, func.max(of.c.serial)).where(of.c.call.in_(_OPEN)).group_by(of.c.call)
    return {call: last + 1 for call, last in await connection.execute(query)}


def _call(row: Row[Any], next_segment: int, next_decision: int, of: list[SegmentMemory]) -> CallMemory:
    return CallMemory(
        call=row.call,
        node=row.node,
        channel=row.channel,
        linkedid=row.linkedid,
        did=row.did,
        caller_number=row.caller_number,
        caller_name=row.caller_name,
        queue=row.queue,
        entered_at=row.entered_at,
        answered_at=row.answered_at,
        agent=row.agent,
        next_segment=next_segment,
        next_decision=next_decision,
        open_segments=tuple(of),
    )
