"""The table a log is written to, in the database of the records, with how far it has come: both in one transaction.

`append` may fail at any moment and be tried again: whether the transaction took effect is told by the writer's name in it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from acd.domain.errors import ConfigurationError, RefusedError
from acd.domain.values import valueclass
from acd.queuelog.lines import NONE, Line, field
from acd.queuelog.places import HOLD_S, Trail, Written
from acd.store.beside import writing
from acd.store.loglines import SUPERSEDED
from acd.store.tables import queue_log, queue_log_place

_DATA = 5
_AT_ONCE = 2000
_ONLY = 1


class SupersededError(Exception):
    """Records that a log was made of may be gone: take the table up anew."""


@valueclass(frozen=True, slots=True)
class _Place:
    """All lines behind ``upto`` have ids above ``last_id``."""

    upto: float
    last_id: int


@valueclass(frozen=True, slots=True)
class _Batch:
    """One transaction. ``old`` and ``new``: the writer's name before and behind it."""

    lines: list[Line]
    here: _Place
    again: _Place
    old: str
    new: str


class LogTable:
    """The table ``queue_log`` of a database, whose only writer this becomes. ``upto`` is the time to go on from, None for a
    log that begins: then `begin` says it. ``masked``: its lines have numbers masked; ``member``: how agents are called.

    Raises ConfigurationError if those that are there are otherwise, SchemaError, StoreError.
    """

    def __init__(self, url: str, hold_s: float = HOLD_S, *, masked: bool = False, member: str = "") -> None:
        self._url, self._hold_s, self._member = url, hold_s, member
        self.holds_back = True
        self._numbers = "masked" if masked else "plain"
        self._me, self._count = secrets.token_hex(8), 0
        self._writer = self._me
        self._written = Written()
        self._trail: Trail[_Place] | None = None
        self._last = _Place(0.0, 0)
        self._pending: _Batch | None = None
        self.upto: float | None = None
        with writing(url) as connection, connection.begin():
            self._take_up(connection)

    def _take_up(self, connection: sa.Connection) -> None:
        # The one that writes now waits for this, and then finds that it is not the writer any more
        connection.execute(sa.update(queue_log_place).values(writer=self._writer))
        row = connection.execute(sa.select(queue_log_place)).first()
        if row is None:
            return
        if row.numbers != self._numbers:
            option = "--mask-numbers" if row.numbers == "masked" else "--no-mask-numbers"
            how = "masked" if row.numbers == "masked" else "as they are"
            raise ConfigurationError(
                f"the table queue_log has been written with callers' numbers {how}, and goes on so with {option}: to change "
                "that, have it made anew with --anew"
            )
        if row.member != self._member:
            raise ConfigurationError(
                f"the table queue_log calls agents {row.member!r}, and goes on so with --member {row.member!r}: to change "
                "that, have it made anew with --anew"
            )
        again = _Place(row.again_from, row.again_behind)
        self.upto, self._trail, self._last = row.again_from, Trail(again, self._hold_s), _Place(row.upto, row.last_id)
        behind = sa.select(queue_log).where(queue_log.c.id > row.again_behind)
        for found in connection.execution_options(yield_per=_AT_ONCE).execute(behind):
            texts = (str(int(found.time)), found.callid, found.queuename, found.agent, found.event)
            self._written.add("|".join(texts))

    def begin(self, upto: float) -> None:
        """The log begins: all up to that time is no part of it. Raises StoreError, RefusedError if it has begun already."""
        here = self._last = _Place(upto, 0)
        row = {"place": _ONLY, "writer": self._writer, "numbers": self._numbers, "member": self._member}
        row |= _values(here, here)
        with writing(self._url) as connection, connection.begin():
            if connection.execute(sa.select(queue_log_place)).first() is not None:
                raise RefusedError("another program has begun to write the table queue_log")
            connection.execute(sa.insert(queue_log_place).values(row))
        self.upto, self._trail = upto, Trail(here, self._hold_s)

    def append(self, lines: Iterable[Line], upto: float, now: float) -> int:
        """Write lines, and that all up to ``upto`` are there; how many were new. ``now``: any clock in seconds that goes on
        evenly. What cannot be written is kept: `flush` tries again, and nothing else may be appended before.

        Raises StoreError, RefusedError if another program has become the writer, SupersededError."""
        assert self._trail is not None
        assert self._pending is None
        fresh = self._written.fresh(lines, upto)
        here = _Place(upto, self._last.last_id + len(fresh))
        moved = self._trail.advance(here, now, settled=self._written.settled(upto))
        if fresh or moved or here != self._last:
            self._count += 1
            new = f"{self._me}.{self._count}"
            self._pending = _Batch(fresh, here, self._trail.kept, self._writer, new)
            self.flush()
        return len(fresh)

    def flush(self) -> int:
        """Write what could not be written, if anything; how many lines. Raises as `append`."""
        batch = self._pending
        if batch is None:
            return 0
        with writing(self._url) as connection, connection.begin():
            mine = sa.update(queue_log_place).where(queue_log_place.c.writer == batch.old)
            if connection.execute(mine.values(writer=batch.new, **_values(batch.here, batch.again))).rowcount:
                first = batch.here.last_id - len(batch.lines) + 1
                for start in range(0, len(batch.lines), _AT_ONCE):
                    rows = [
                        _row(first + start + n, line) for n, line in enumerate(batch.lines[start : start + _AT_ONCE])
                    ]
                    connection.execute(sa.insert(queue_log), rows)
            else:
                self._not_mine(connection.execute(sa.select(queue_log_place.c.writer)).scalar(), batch)
        self._pending, self._writer, self._last = None, batch.new, batch.here
        return len(batch.lines)

    @staticmethod
    def _not_mine(writer: str | None, batch: _Batch) -> None:
        """Fine if the transaction took effect after all."""
        if writer == SUPERSEDED:
            raise SupersededError
        if writer != batch.new:
            raise RefusedError("another program writes the table queue_log now: nothing was lost, and this one ends")


def clear(url: str) -> None:
    """Take all lines away, and how far they went. Raises SchemaError, StoreError."""
    with writing(url) as connection, connection.begin():
        connection.execute(sa.delete(queue_log_place))
        connection.execute(sa.delete(queue_log))


def _values(here: _Place, again: _Place) -> dict[str, Any]:
    return {"upto": here.upto, "last_id": here.last_id, "again_from": again.upto, "again_behind": again.last_id}


def _row(number: int, line: Line) -> dict[str, Any]:
    data = {f"data{n + 1}": field(line.data[n]) if n < len(line.data) else "" for n in range(_DATA)}
    texts = {"callid": line.uniqueid, "queuename": line.queue, "agent": line.agent}
    named = {name: field(value or NONE) for name, value in texts.items()}
    return {"id": number, "time": line.at, **named, "event": line.event, **data}
