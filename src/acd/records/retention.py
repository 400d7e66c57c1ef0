"""How long what is kept: what is over its time goes, in short transactions with rests between them, so that the service
goes on writing. Nothing goes that no number of days was given for, and nothing of a call that is under way.

Statistics stay: callers go by their numbers, names and notes alone; calls and their figures go only as ``calls``, attempts
never. Lines that the spill set aside because nobody could read or store them may hold a call with its caller: they go as
soon as either would (``set_aside``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import field, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from acd.domain.errors import MisuseError
from acd.domain.numbers import replaced
from acd.domain.values import valueclass
from acd.records import listed
from acd.records.horizon import ACTION, LATEST, kept_from
from acd.records.mentions import ERASED
from acd.records.recordings import remove_recording
from acd.records.traces import set_aside_before
from acd.records.trail import entry, insert
from acd.store import loglines
from acd.store.beside import reading, writing
from acd.store.tables import agent_states, agents, audit, calls, decisions, segments

KINDS = ("calls", "decisions", "agent_states", "callers")
"""Of what a run says from when on it is whole: rules and reports ask for it."""
SET_ASIDE = "set_aside"
"""What the spill set aside, which nobody set days for."""
PIECE = 500
"""Calls, or rows, in one transaction."""
REST_MIN_S, REST_MAX_S = 0.005, 0.5
MARGIN_S = 7 * 86_400.0
"""So long before the last run's limit are explanations looked for that were kept then, for their call went on."""
DAY_S = 86_400.0


@valueclass(frozen=True, slots=True)
class Policy:
    """After how many days what goes; None: never."""

    recordings: int | None = None
    notes: int | None = None
    callers: int | None = None
    decisions: int | None = None
    calls: int | None = None
    agent_states: int | None = None
    lists: int | None = None
    audit: int | None = None

    def days(self) -> dict[str, int]:
        """Kind -> days, for what was set, in the order in which it goes; the spill's files last."""
        given = {one.name: days for one in fields(self) if (days := getattr(self, one.name)) is not None}
        held = [given[kind] for kind in ("calls", "callers") if kind in given]
        return {**given, SET_ASIDE: min(held)} if held else given

    def limits(self, now: float) -> dict[str, float]:
        """Kind -> UTC s before which it goes."""
        return {kind: now - count * DAY_S for kind, count in self.days().items()}


@valueclass(frozen=True, slots=True)
class Taken:
    """What went, or would go: rows (or files) by kind, of ``lists`` also by part, and how many recordings, or files of the
    spill, could not be deleted."""

    rows: dict[str, int]
    undeleted: int = 0
    parts: dict[str, int] = field(default_factory=dict)


class StoppedError(Exception):
    """Somebody wants the run to end; what was done so far is whole."""


class Retention:
    """One look or one run over a database. ``rest(seconds)`` is called between transactions: true ends the run.
    ``spill``: where lines were set aside; ``sealed`` makes the keyed hash of a number, without which no run takes ``lists``.
    """

    def __init__(
        self,
        url: str,
        policy: Policy,
        recordings: Path,
        *,
        now: float,
        spill: Path | None = None,
        sealed: listed.Sealed | None = None,
        rest: Callable[[float], bool] | None = None,
        progress: Callable[[str, int], None] | None = None,
    ) -> None:
        self._url, self._recordings, self._now = url, recordings, now
        self._spill, self._sealed = spill, sealed
        self.limits = policy.limits(now)
        if spill is None:
            self.limits.pop(SET_ASIDE, None)
        self._rest = rest or _sleep
        self._progress = progress or (lambda kind, done: None)
        self._undeleted = 0
        self._parts: dict[str, int] = {}

    # -- looking -----------------------------------------------------------------------------------------------------

    def due(self) -> Taken:
        """What a run would take away now. Raises SchemaError, StoreError."""
        with reading(self._url) as connection, connection.begin():
            rows = {kind: self._count(connection, kind, limit) for kind, limit in self.limits.items()}
        return Taken(rows, parts=self._parts)

    def _count(self, connection: sa.Connection, kind: str, limit: float) -> int:
        if kind == "lists":
            self._parts = listed.count(connection, limit)
            return sum(self._parts.values())
        if kind == SET_ASIDE:
            return len(self._files(limit))
        if kind == "agent_states":
            query = sa.select(sa.func.count()).select_from(agent_states).where(*_over_states(limit))
        elif kind == "audit":
            query = sa.select(sa.func.count()).select_from(audit).where(audit.c.at < limit)
        elif kind == "decisions":
            of_old = sa.select(calls.c.call).where(*_over(limit))
            query = sa.select(sa.func.count()).select_from(decisions).where(decisions.c.call.in_(of_old))
        else:
            query = sa.select(sa.func.count()).select_from(calls).where(*_over(limit), *_HAS[kind])
        return int(connection.execute(query).scalar_one())

    # -- running -----------------------------------------------------------------------------------------------------

    def run(self, who: str) -> Taken:
        """Take away what is over its time. An entry of the audit log says so beforehand, and afterwards how much. Raises
        SchemaError, StoreError, StoppedError."""
        if not self.limits:
            return Taken({})
        if "lists" in self.limits:
            if self._sealed is None:
                raise MisuseError("a run that takes lists needs the key of numbers")
            self._parts = dict.fromkeys(listed.PARTS, 0)
        with writing(self._url) as connection:
            made, start = self._begin(connection, who)
            rows = dict.fromkeys(self.limits, 0)
            outcome = "stopped"
            try:
                for kind, limit in self.limits.items():
                    for count in self._pieces(connection, kind, limit, start):
                        rows[kind] += count
                        self._progress(kind, rows[kind])
                outcome = "done"
            finally:
                detail = {**made.detail, "rows": rows, "undeleted": self._undeleted, "outcome": outcome}
                if self._parts:
                    detail["parts"] = self._parts
                with connection.begin():
                    connection.execute(sa.update(audit).where(audit.c.entry == made.entry).values(detail=detail))
        return Taken(rows, self._undeleted, self._parts)

    def _begin(self, connection: sa.Connection, who: str) -> tuple[Any, float]:
        """The entry that says from when on the records are whole; and from when on explanations may be left."""
        with connection.begin():
            before = kept_from(connection.execute(LATEST).scalar())
            kinds = [kind for kind in KINDS if kind in before or kind in self.limits]
            kept = {kind: max(of[kind] for of in (before, self.limits) if kind in of) for kind in kinds}
            made = entry(
                who, ACTION, "records", {"kept_from": kept, "limits": self.limits, "outcome": "begun"}, self._now
            )
            insert(connection, made)
        return made, before["decisions"] - MARGIN_S if "decisions" in before else 0.0

    def _pieces(self, connection: sa.Connection, kind: str, limit: float, start: float) -> Iterator[int]:
        """Take away piece by piece; the rows of each."""
        if kind == "agent_states":
            yield from self._states(connection, limit)
            return
        if kind == "audit":
            yield from self._entries(connection, limit)
            return
        if kind == "lists":
            yield from self._lists(connection, limit)
            return
        if kind == SET_ASIDE:
            yield self._remove_files(limit)
            return
        after: tuple[float, str] | None = None
        has = _HAS[kind]
        since = max(start, 0.0) if kind == "decisions" else 0.0
        while True:
            began = time.monotonic()
            with connection.begin():
                query = sa.select(calls.c.call, calls.c.entered_at, calls.c.recording).where(*_over(limit), *has)
                query = query.where(calls.c.entered_at >= since) if since else query
                if after is not None:
                    here = sa.tuple_(calls.c.entered_at, calls.c.call)
                    at = sa.literal(after[0], calls.c.entered_at.type)
                    query = query.where(here > sa.tuple_(at, sa.literal(after[1])))
                found = connection.execute(query.order_by(calls.c.entered_at, calls.c.call).limit(PIECE)).all()
                taken = self._take(connection, kind, found)
            if found:
                yield taken
                after = (found[-1].entered_at, found[-1].call)
            if len(found) < PIECE:
                return
            self._breathe(began)

    def _take(self, connection: sa.Connection, kind: str, found: Any) -> int:
        names = [row.call for row in found]
        if not names:
            return 0
        mine = calls.c.call.in_(names)
        if kind in ("recordings", "calls"):
            kept = {row.call for row in found if row.recording and not self._delete(row.recording)}
            if kind == "recordings":
                gone = [name for name in names if name not in kept]
                connection.execute(sa.update(calls).where(calls.c.call.in_(gone)).values(recording=None))
                return len(gone)
            loglines.remove_calls(connection, names)
            for table in (segments, decisions):
                connection.execute(sa.delete(table).where(table.c.call.in_(names)))
            return connection.execute(sa.delete(calls).where(mine)).rowcount
        if kind == "decisions":
            return connection.execute(sa.delete(decisions).where(decisions.c.call.in_(names))).rowcount
        if kind == "notes":
            return connection.execute(sa.update(calls).where(mine).values(notes=None)).rowcount
        anonymise(connection, names)
        return len(names)

    def _delete(self, name: str) -> bool:
        if remove_recording(self._recordings, name):
            return True
        self._undeleted += 1
        return False

    def _states(self, connection: sa.Connection, limit: float) -> Iterator[int]:
        with connection.begin():
            names = list(connection.execute(sa.select(agents.c.agent).order_by(agents.c.agent)).scalars())
        for name in names:
            while True:
                began = time.monotonic()
                with connection.begin():
                    over = sa.select(agent_states.c.serial).where(agent_states.c.agent == name, *_over_states(limit))
                    serials = list(connection.execute(over.order_by(agent_states.c.serial).limit(PIECE)).scalars())
                    if serials:
                        mine = (agent_states.c.agent == name) & (agent_states.c.serial <= serials[-1])
                        connection.execute(sa.delete(agent_states).where(mine))
                if serials:
                    yield len(serials)
                    self._breathe(began)
                if len(serials) < PIECE:
                    break
        while True:
            began = time.monotonic()
            with connection.begin():
                if loglines.remove_agents(connection, limit, PIECE) < PIECE:
                    return
            self._breathe(began)

    def _entries(self, connection: sa.Connection, limit: float) -> Iterator[int]:
        while True:
            began = time.monotonic()
            with connection.begin():
                query = sa.select(audit.c.entry).where(audit.c.at < limit).limit(PIECE)
                names = list(connection.execute(query).scalars())
                connection.execute(sa.delete(audit).where(audit.c.entry.in_(names)))
            yield len(names)
            if len(names) < PIECE:
                return
            self._breathe(began)

    def _lists(self, connection: sa.Connection, limit: float) -> Iterator[int]:
        began = time.monotonic()
        for part, count in self._parts_of_lists(connection, limit):
            self._parts[part] += count
            if count:
                yield count
                self._breathe(began)
            began = time.monotonic()

    def _parts_of_lists(self, connection: sa.Connection, limit: float) -> Iterator[tuple[str, int]]:
        assert self._sealed is not None
        with connection.begin():
            # Once: a list that is worked from now on is changed contact by contact
            idle = listed.idle(connection, limit)
        contact: int | None = 0
        while contact is not None:
            with connection.begin():
                count, contact = listed.take_contacts(connection, limit, idle, contact, PIECE)
            yield "contacts", count
        count = PIECE
        while count == PIECE:
            with connection.begin():
                count = listed.take_rejects(connection, limit, PIECE)
            yield "rejects", count
        attempt: str | None = ""
        while attempt is not None:
            with connection.begin():
                count, attempt = listed.seal_attempts(connection, limit, attempt, PIECE, self._sealed)
            yield "attempts", count

    def _files(self, limit: float) -> list[Path]:
        return [] if self._spill is None else set_aside_before(self._spill, limit)

    def _remove_files(self, limit: float) -> int:
        gone = [remove_recording(path.parent, path.name) for path in self._files(limit)]
        self._undeleted += gone.count(False)
        return gone.count(True)

    def _breathe(self, began: float) -> None:
        """As long a rest as the transaction took: others want the database and the disk, too."""
        if self._rest(min(max(time.monotonic() - began, REST_MIN_S), REST_MAX_S)):
            raise StoppedError


def anonymise(connection: sa.Connection, names: list[str]) -> None:
    """Take from these calls who called, also where it was said of them; everything that is counted stays."""
    blank = {"caller_number": "", "caller_name": "", "notes": None}
    connection.execute(sa.update(calls).where(calls.c.call.in_(names)).values(blank))
    loglines.hide_callers(connection, names, "")
    said = calls.c.disposition.is_not(None) | calls.c.tags.is_not(None)
    query = sa.select(calls.c.call, calls.c.disposition, calls.c.tags).where(calls.c.call.in_(names), said)
    for row in connection.execute(query).all():
        disposition = None if row.disposition is None else replaced(row.disposition, _erased)
        tags = None if row.tags is None else [replaced(tag, _erased) for tag in row.tags]
        if (disposition, tags) != (row.disposition, row.tags):
            changed = sa.update(calls).where(calls.c.call == row.call).values(disposition=disposition, tags=tags)
            connection.execute(changed)
    given = decisions.c.call.in_(names) & (decisions.c.kind == "attributes")
    connection.execute(sa.update(decisions).where(given).values(detail={}))


def _erased(_: str) -> str:
    return ERASED


_HAS: dict[str, tuple[sa.ColumnElement[bool], ...]] = {
    "calls": (),
    "decisions": (sa.exists().where(decisions.c.call == calls.c.call),),
    "recordings": (calls.c.recording.is_not(None), calls.c.recording != ""),
    "notes": (calls.c.notes.is_not(None),),
    "callers": ((calls.c.caller_number != "") | (calls.c.caller_name != "") | calls.c.notes.is_not(None),),
}
"""What a call has that goes by this kind."""


def _over(limit: float) -> tuple[sa.ColumnElement[bool], ...]:
    return calls.c.entered_at < limit, calls.c.ended_at.is_not(None)


def _over_states(limit: float) -> tuple[sa.ColumnElement[bool], ...]:
    return agent_states.c.started_at < limit, agent_states.c.ended_at < limit


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
