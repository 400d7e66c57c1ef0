"""Lives that began while the database was away: what they could not know is settled when their first records reach it.

Such a life counts each agent's states from 1, and knows only the calls of former lives that began in the spill. When its
first batch comes to the database, after everything that lay in the spill before it, it is seen once and written down
beside the spill how far each agent's numbering had come; whatever stood open and was unknown to the life is closed as of
its beginning. From then on its rows are numbered on, and none of an agent's is dated before the latest that the database
had of him: what the life began with may be older than that, and what follows from it (a wrap-up that was over, say) as
well. A file of the life keeps all that, so that it is done once and in one way, whoever is killed in between.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import platform
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from acd.domain.errors import SchemaError
from acd.domain.events import AgentMemory
from acd.domain.states import AgentState, CallOutcome
from acd.domain.values import valueclass
from acd.store import memory
from acd.store.backend import Backend, UnavailableError, UnfitError, UnstorableError
from acd.store.location import Location, first_line
from acd.store.operations import BY_NAME, Batch, Row
from acd.store.standing import read_file, write_file
from acd.store.tables import agents, calls, epochs, segments

log = logging.getLogger(__name__)

PREFIX = "alone-"
"""Of the names of such lives' writers."""
SETTLE_S = 30.0
_NUMBERED = {
    name: tuple(BY_NAME[name].columns.index(column) for column in columns)
    for name, columns in {
        "agent_states": ("started_at", "ended_at"),
        "agent_states_end": ("ended_at",),
        "agents": ("since",),
    }.items()
}
"""Operations whose rows are keyed by an agent and, behind it, the number of a state; and where in them it stands since when
or until when that lasts."""
_IN_CALL = (AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING)
_CLOSING = "restart"
_NAMED = 50
"""Agents that a log line names."""


@dataclass(slots=True)
class Life:
    """One of them. ``agents``: state, reason and call with which each began who was not logged out; ``wrapping``: until when
    those in a wrap-up were to stay in it; ``calls`` and ``wraps`` (call, serial): what it took over. ``bases``: by how much
    each agent's numbers are higher in the database; ``floors``: before when no state of his is dated; ``rows``: what was
    closed; all three None until it is settled."""

    writer: str
    epoch: int
    started_at: float
    agents: dict[str, list[str | None]]
    calls: list[str]
    wraps: list[list[Any]]
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)
    wrapping: dict[str, float] = field(default_factory=dict)
    bases: dict[str, int] | None = None
    floors: dict[str, float] | None = None
    rows: dict[str, list[Row]] | None = None


class Lives:
    """Their files in the spill's ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, Life] = {}

    def _path(self, writer: str) -> Path:
        return self._directory / f"life-{writer}.json"

    def keep(self, life: Life) -> None:
        """Write it down, on the disk. Raises OSError."""
        write_file(self._path(life.writer), asdict(life))
        self._known[life.writer] = life

    def of(self, writer: str) -> Life:
        """Raises UnstorableError if its file is lost: nobody could say which numbers its rows have."""
        if writer not in self._known:
            found = read_file(self._path(writer))
            try:
                self._known[writer] = Life(**found)
            except TypeError as error:
                raise UnstorableError(
                    f"{self._path(writer)} is lost or damaged, and with it its rows' numbers"
                ) from error
        return self._known[writer]

    def clear(self) -> None:
        """Nothing of any of them is in the spill any more."""
        for path in self._directory.glob(f"life-{PREFIX}*.json"):
            path.unlink(missing_ok=True)
        self._known.clear()


def begun(writer: str, epoch: int, at: float, who: Iterable[AgentMemory], own: Iterable[str], wraps: Any) -> Life:
    """A new life that starts with these agents, calls and wrap-ups."""
    agents = list(who)
    states = {one.agent: [one.state.value, one.reason, one.call] for one in agents}
    wrapping = {one.agent: one.until for one in agents if one.state is AgentState.WRAP_UP and one.until is not None}
    taken = [[wrap.call, wrap.serial] for wrap in wraps]
    return Life(writer, epoch, at, states, list(own), taken, wrapping=wrapping)


class SettlingBackend:
    """A backend that settles such lives, and numbers their rows on; everything else goes through as it is. ``check`` raises
    SchemaError if the database has not the schema it should have, and UnavailableError."""

    def __init__(self, inner: Backend, lives: Lives, location: Location, check: Callable[[], Awaitable[None]]) -> None:
        self._inner, self._lives, self._location, self._check = inner, lives, location, check
        self._settled: set[str] = set()
        self._unkept: dict[str, bool] = {}
        """How it was settled is not written down yet; whether that was said."""

    async def connect(self, within_s: float) -> None:
        """Backend.connect; raises UnfitError, too."""
        await self._inner.connect(within_s)
        try:
            await self._check()
        except SchemaError as error:
            raise UnfitError(str(error)) from error

    async def prove(self, within_s: float) -> None:
        await self._inner.prove(within_s)

    async def apply(self, batches: Sequence[Batch], within_s: float) -> None:
        if not any(batch.writer.startswith(PREFIX) for batch in batches):
            await self._inner.apply(batches, within_s)
            return
        ready: list[Batch] = []
        for batch in batches:
            if batch.writer.startswith(PREFIX):
                life = self._lives.of(batch.writer)
                if batch.writer not in self._settled:
                    if ready:
                        await self._inner.apply(ready, within_s)
                        ready = []
                    await self._settle(life)
                elif batch.writer in self._unkept:
                    await self._keep(life)
                batch = numbered(batch, life.bases or {}, life.floors or {})
            ready.append(batch)
        await self._inner.apply(ready, within_s)

    async def _settle(self, life: Life) -> None:
        if life.rows is None:
            found = await self._found(life)
            life.bases, life.floors, life.rows = found.bases, found.floors, found.rows
            self._unkept[life.writer] = False
        if life.writer in self._unkept:
            await self._keep(life)
        await self._inner.apply([Batch(life.writer, 0, life.rows)], SETTLE_S)
        self._settled.add(life.writer)
        log.warning(
            "life %d began without the database: %d calls and %d stretches that were open before were closed as of then",
            *(life.epoch, len(life.rows.get("calls_patch", ())), len(life.rows.get("segments_patch", ()))),
        )
        if others := life.rows.get("agent_states"):
            log.warning(
                "life %d knew %d agents otherwise than the database, who are as of its beginning what it took them for: %s",
                *(life.epoch, len(others), ", ".join(f"{row[0]} {row[4]}" for row in others[:_NAMED])),
            )

    async def _keep(self, life: Life) -> None:
        """Before anything of it is in the database. A disk that takes nothing does not hold up the records: then it is
        tried again with each batch."""
        try:
            await asyncio.to_thread(self._lives.keep, life)
        except OSError as error:
            if not self._unkept[life.writer]:
                self._unkept[life.writer] = True
                log.error(
                    "how life %d was settled cannot be written down: %s (killed before it can, its agents' states are "
                    "numbered with gaps)",
                    *(life.epoch, error),
                )
        else:
            del self._unkept[life.writer]

    async def _found(self, life: Life) -> Settlement:
        engine = self._location.async_engine()
        try:
            async with asyncio.timeout(SETTLE_S), engine.connect() as connection:
                await _take_epoch(connection, life)
                return await settlement(connection, life)
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            raise UnavailableError(f"{self._location}: {first_line(error)}") from error
        finally:
            await engine.dispose()

    def abort(self) -> None:
        self._inner.abort()

    async def close(self) -> None:
        await self._inner.close()


def numbered(batch: Batch, bases: Mapping[str, int], floors: Mapping[str, float]) -> Batch:
    """The batch with agents' states numbered as in the database, and none dated before what is there."""
    rows = {
        name: [_placed(name, row, bases.get(row[0], 0), floors.get(row[0])) for row in of] if name in _NUMBERED else of
        for name, of in batch.rows.items()
    }
    return Batch(batch.writer, batch.number, rows)


def _placed(name: str, row: Row, base: int, floor: float | None) -> Row:
    placed = [row[0], row[1] + base, *row[2:]]
    if floor is not None:
        for n in _NUMBERED[name]:
            if placed[n] is not None and placed[n] < floor:
                placed[n] = floor
    return placed


async def _take_epoch(connection: AsyncConnection, life: Life) -> None:
    """Note the life's number. Raises UnfitError if another life has it: its calls would be taken for that one's."""
    known = (await connection.execute(select(epochs).where(epochs.c.epoch == life.epoch))).first()
    if known is None:
        row = {"epoch": life.epoch, "started_at": life.started_at, "host": life.host, "pid": life.pid}
        await connection.execute(insert(epochs).values(row))
        await connection.commit()
    elif (known.host, known.pid) != (life.host, life.pid) or abs(known.started_at - life.started_at) > 0.001:
        raise UnfitError(f"the database knows another life {life.epoch}, of {known.host}: nothing was brought into it")


@valueclass(frozen=True, slots=True)
class Settlement:
    """``bases`` and ``floors`` as of Life; rows by operation that close what the life did not know."""

    bases: dict[str, int]
    floors: dict[str, float]
    rows: dict[str, list[Row]]


async def settlement(connection: AsyncConnection, life: Life) -> Settlement:
    """What makes the life's rows follow those that are in the database."""
    at, known = life.started_at, set(life.calls)
    taken_over = {(call, serial) for call, serial in life.wraps}
    is_open = calls.c.ended_at.is_(None) & (calls.c.entered_at < at)
    query = select(calls.c.call, calls.c.entered_at, calls.c.answered_at).where(is_open).order_by(calls.c.call)
    lost = {row.call: row for row in await connection.execute(query) if row.call not in known}
    ends = {call: max(at, row.entered_at) for call, row in lost.items()}
    open_ones = select(segments.c.call, segments.c.serial, segments.c.started_at).where(
        segments.c.ended_at.is_(None),
        segments.c.call.in_(select(calls.c.call).where(is_open)),
        segments.c.kind != "wrapped",
    )
    found = [row for row in await connection.execute(open_ones) if row.call in lost]
    for row in found:
        ends[row.call] = max(ends[row.call], row.started_at)
    wraps = [
        wrap
        for wrap in await memory.remember_wraps(connection)
        if (wrap.call, wrap.serial) not in taken_over and wrap.started_at < at
    ]
    rows: dict[str, list[Row]] = {
        "calls_patch": [
            [call, None, None, None, ends[call], _outcome(row.answered_at), "unknown", None, None]
            for call, row in lost.items()
        ],
        "segments_patch": [
            *([row.call, row.serial, ends[row.call], _CLOSING, None, None] for row in found),
            *([wrap.call, wrap.serial, max(at, wrap.started_at), _CLOSING, None, None] for wrap in wraps),
        ],
        **{name: [] for name in _NUMBERED},
    }
    bases: dict[str, int] = {}
    floors: dict[str, float] = {}
    for row in await connection.execute(select(agents).order_by(agents.c.agent)):
        began = life.agents.get(row.agent, [AgentState.LOGGED_OUT.value, None, None])
        bases[row.agent], floors[row.agent] = row.serial, row.since
        if began == [row.state, row.reason, row.call] or began[0] == row.state == AgentState.LOGGED_OUT:
            continue
        # Since when it was otherwise than the database knows, nobody can say
        floors[row.agent] = since = max(at, row.since)
        if began[0] in _IN_CALL or life.wrapping.get(row.agent, math.inf) <= since:
            # The life's own first row of him says what came of that
            continue
        bases[row.agent] = serial = row.serial + 1
        phone = None if began[0] == AgentState.LOGGED_OUT else row.phone
        until = life.wrapping.get(row.agent)
        rows["agent_states_end"].append([row.agent, serial, since])
        rows["agent_states"].append([row.agent, serial, since, None, *began])
        rows["agents"].append([row.agent, serial, *began, since, row.idle_since, phone, None, until])
    return Settlement(bases, floors, {name: of for name, of in rows.items() if of})


def _outcome(answered_at: float | None) -> str:
    return (CallOutcome.LOST_TRACK if answered_at is None else CallOutcome.ANSWERED).value
