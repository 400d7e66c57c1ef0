"""Finished and running calls, read from connections of their own so that a query never holds up the writer.

Waiting and talking times are sums of segments in whole microseconds, never differences of other columns: after a
transfer only the segments know. Nothing here writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.domain.direction import Direction
from acd.domain.errors import MisuseError
from acd.domain.states import SegmentKind
from acd.store.looks import Looks
from acd.store.outbound.tables import attempts
from acd.store.tables import calls, decisions, segments

LIMIT_MAX = 10_000
_IN_MAX = 500
_BEFORE_TALK = frozenset({SegmentKind.ENTERED, SegmentKind.WAITED, SegmentKind.OFFERED, SegmentKind.RANG})


def length_s(started_at: float, ended_at: float | None) -> float | None:
    """Between two times, exact to the microsecond; None while it lasts."""
    return None if ended_at is None else _us(started_at, ended_at) / 1_000_000


def _us(started_at: float, ended_at: float) -> int:
    return round(ended_at * 1_000_000) - round(started_at * 1_000_000)


def _total_s(of: Sequence[Any], kinds: Iterable[str], over: bool) -> float | None:
    """The summed length of the segments of these kinds; None if one still lasts, or none began and one still may."""
    mine = [segment for segment in of if segment.kind in kinds]
    if any(segment.ended_at is None for segment in mine) or not (mine or over):
        return None
    return sum(_us(segment.started_at, segment.ended_at) for segment in mine) / 1_000_000


def _call(row: Any, of: Sequence[Any], dialled: Mapping[str, str]) -> dict[str, Any]:
    """``dialled``: attempt -> its campaign."""
    over = row.ended_at is not None
    # A call that was passed on waits again, which is no part of how long it took to be answered
    first_talk = next((n for n, segment in enumerate(of) if segment.kind == SegmentKind.TALKED), len(of))
    return {
        **row._mapping,
        "direction": Direction.of(row.channel).value,
        "campaign": dialled.get(row.channel),
        "wait_s": _total_s(of[:first_talk], _BEFORE_TALK, over),
        "talk_s": _total_s(of, (SegmentKind.TALKED, SegmentKind.CONFERENCED), over),
        "length_s": length_s(row.entered_at, row.ended_at),
    }


def _segment(row: Any) -> dict[str, Any]:
    return {
        "serial": row.serial,
        "kind": row.kind,
        "queue": row.queue,
        "agent": row.agent,
        "offer": row.offer,
        "target": row.target,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "length_s": length_s(row.started_at, row.ended_at),
        "outcome": row.outcome,
    }


class Reader:
    """RecordsPort on an engine that cannot write. Every method raises StoreError when the database is away or slow.

    ``fresh`` as of Looks. ``sealed`` makes of a number what is kept in its place.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        name: str,
        fresh: Callable[[], Awaitable[object]] | None = None,
        sealed: Callable[[str], str] | None = None,
    ) -> None:
        self._engine, self._sealed = engine, sealed
        self._looks = Looks(engine, name, fresh)

    async def calls(
        self,
        *,
        limit: int = 50,
        since: float | None = None,
        until: float | None = None,
        queue: str | None = None,
        agent: str | None = None,
        outcome: str | None = None,
        number: str | None = None,
    ) -> list[dict[str, Any]]:
        """The newest ``limit`` (at most LIMIT_MAX) calls that entered in [``since``, ``until``), newest first.
        ``number`` is the caller's, in full."""
        if not 1 <= limit <= LIMIT_MAX:
            raise MisuseError(f"limit must be between 1 and {LIMIT_MAX}, not {limit}")
        wanted: list[ColumnElement[bool]] = []
        if since is not None:
            wanted.append(calls.c.entered_at >= since)
        if until is not None:
            wanted.append(calls.c.entered_at < until)
        columns = ((calls.c.queue, queue), (calls.c.agent, agent), (calls.c.outcome, outcome))
        wanted += [column == value for column, value in columns if value is not None]
        if number is not None:
            kept = [number] if self._sealed is None else [number, self._sealed(number)]
            wanted.append(calls.c.caller_number.in_(kept))
        newest = select(calls).where(*wanted).order_by(calls.c.entered_at.desc(), calls.c.call.desc()).limit(limit)

        async def found(connection: AsyncConnection) -> list[dict[str, Any]]:
            rows = list(await connection.execute(newest))
            of = await _segments(connection, [row.call for row in rows])
            dialled = await _campaigns(connection, [row.channel for row in rows])
            return [_call(row, of[row.call], dialled) for row in rows]

        return await self._looks.look(found)

    async def call(self, call: str) -> dict[str, Any] | None:
        """One call with its segments, or None."""

        async def found(connection: AsyncConnection) -> dict[str, Any] | None:
            row = (await connection.execute(select(calls).where(calls.c.call == call))).first()
            of = await _segments(connection, [call])
            dialled = await _campaigns(connection, [] if row is None else [row.channel])
            if row is None:
                return None
            return {**_call(row, of[call], dialled), "segments": [_segment(segment) for segment in of[call]]}

        return await self._looks.look(found)

    async def decisions(self, call: str) -> list[dict[str, Any]]:
        """What was decided on a call, in order."""
        query = select(*(c for c in decisions.c if c.name != "call")).where(decisions.c.call == call)

        async def found(connection: AsyncConnection) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in await connection.execute(query.order_by(decisions.c.serial))]

        return await self._looks.look(found)

    async def close(self) -> None:
        """Let the connections go."""
        await self._engine.dispose()


async def _segments(connection: AsyncConnection, of: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for start in range(0, len(of), _IN_MAX):
        some = segments.c.call.in_(of[start : start + _IN_MAX])
        for row in await connection.execute(select(segments).where(some).order_by(segments.c.call, segments.c.serial)):
            found[row.call].append(row)
    return found


async def _campaigns(connection: AsyncConnection, channels: Sequence[str]) -> dict[str, str]:
    """Those of these channels that were dialled, and by which campaign, as long as their attempts are kept."""
    ids = [channel for channel in channels if Direction.of(channel) is Direction.OUTBOUND]
    found: dict[str, str] = {}
    for start in range(0, len(ids), _IN_MAX):
        some = attempts.c.attempt.in_(ids[start : start + _IN_MAX])
        query = select(attempts.c.attempt, attempts.c.campaign).where(some)
        found |= {row.attempt: row.campaign for row in await connection.execute(query)}
    return found
