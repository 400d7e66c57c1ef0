"""The database as a queue_log needs it: calls as they enter, what is new of those that last, agents' new intervals.

Reads only, through an index each, a few thousand rows at a time. What a row means is told by `story` and `people`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from acd.domain.errors import StoreError
from acd.domain.states import CallOutcome, SegmentKind
from acd.queuelog.story import MISSED
from acd.store import schema
from acd.store.location import first_line, locate
from acd.store.tables import agent_states, agents, calls, decisions, epochs, revisions, segments

PAGE = 1000
_IN_MAX = 500
_LONGEST_S = 86_400.0
"""How long before a time a call may have begun that lasted until then and has ended since."""

Row = sa.RowMapping
Parts = dict[str, tuple[list[Row], list[Row]]]
"""By call: its segments but wrap-ups, its decisions that matter."""

_CALL = (
    *(calls.c.call, calls.c.channel, calls.c.did, calls.c.caller_number, calls.c.caller_name, calls.c.queue),
    *(calls.c.priority, calls.c.entered_at, calls.c.ended_at, calls.c.outcome, calls.c.ended_by, calls.c.target),
)
_SEGMENT = tuple(
    segments.c[name]
    for name in ("call", "serial", "kind", "queue", "agent", "offer", "started_at", "ended_at", "outcome")
)
_STATE = tuple(agent_states.c[name] for name in ("agent", "serial", "started_at", "state", "reason"))


class Source:
    """A database of records, read-only. Every method raises StoreError when it is away, SchemaError when it is not ours."""

    def __init__(self, url: str) -> None:
        self._location = locate(url)
        self._engine = self._location.bulk_engine()
        self._checked = False

    @contextmanager
    def look(self) -> Iterator[Look]:
        """One look: all that is read within is of one moment, as far as the database gives that."""
        if self._location.path is not None and not self._location.path.exists():
            raise schema.missing(self._location)
        try:
            with self._engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    if not self._checked:
                        schema.check(connection, self._location)
                        self._checked = True
                    yield Look(connection)
        except SQLAlchemyError as error:
            raise StoreError(f"{self._location}: {first_line(error)}") from error
        except ValueError as error:
            raise StoreError(f"{self._location} holds what is no record of acd's: {error}") from error

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


class Look:
    """Queries within one look."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def _rows(self, query: sa.Select[Any]) -> list[Row]:
        return list(self._connection.execute(query).mappings())

    # -- calls -------------------------------------------------------------------------------------------------------

    def page(self, after: tuple[float, str | None], upto: float) -> list[Row]:
        """The next PAGE calls that entered behind ``after`` (a time, and a call of that time or None for all of them) and
        not after ``upto``, in the order of entry."""
        at, call = after
        behind = calls.c.entered_at > at
        if call is not None:
            behind = sa.or_(behind, sa.and_(calls.c.entered_at == at, calls.c.call > call))
        wanted = sa.select(*_CALL).where(calls.c.entered_at >= at, behind, calls.c.entered_at <= upto)
        return self._rows(wanted.order_by(calls.c.entered_at, calls.c.call).limit(PAGE))

    def under_way(self, at: float) -> list[Row]:
        """The calls that were waiting or talking at ``at``."""
        lasted = sa.and_(calls.c.entered_at > at - _LONGEST_S, calls.c.ended_at > at)
        return self._rows(
            sa.select(*_CALL)
            .where(calls.c.entered_at <= at, sa.or_(lasted, calls.c.ended_at.is_(None)))
            .order_by(calls.c.entered_at, calls.c.call)
        )

    def open(self) -> list[str]:
        """The calls that have not ended."""
        return list(self._connection.execute(sa.select(calls.c.call).where(calls.c.ended_at.is_(None))).scalars())

    def entered_since(self, at: float) -> list[str]:
        """The calls that entered at ``at`` or later."""
        return list(self._connection.execute(sa.select(calls.c.call).where(calls.c.entered_at >= at)).scalars())

    def newest(self) -> float:
        """When the last call entered; 0 without any."""
        found: float | None = self._connection.execute(sa.select(sa.func.max(calls.c.entered_at))).scalar()
        return found or 0.0

    def rows_of(self, of: Iterable[str]) -> list[Row]:
        """These calls, in the order in which they entered."""
        found = [row for some in _some(of) for row in self._rows(sa.select(*_CALL).where(calls.c.call.in_(some)))]
        return sorted(found, key=lambda row: (row["entered_at"], row["call"]))

    def parts(self, of: Sequence[Row]) -> Parts:
        """What belongs to these calls."""
        found: Parts = {row["call"]: ([], []) for row in of}
        for some in _some(found):
            line = sa.select(*_SEGMENT).where(segments.c.call.in_(some), segments.c.kind != SegmentKind.WRAPPED.value)
            for row in self._rows(line.order_by(segments.c.call, segments.c.serial)):
                found[row["call"]][0].append(row)
        told = [call["call"] for call in of if _needs_decisions(call, found[call["call"]][0])]
        for some in _some(told):
            kinds = ("overflowed", "escalated", "transferred", "offered", "let_go")
            why = sa.select(decisions.c.call, decisions.c.at, decisions.c.kind, decisions.c.offer, decisions.c.detail)
            why = why.where(decisions.c.call.in_(some), decisions.c.kind.in_(kinds))
            for row in self._rows(why.order_by(decisions.c.call, decisions.c.serial)):
                found[row["call"]][1].append(row)
        return found

    # -- agents ------------------------------------------------------------------------------------------------------

    def in_force(self, at: float) -> list[Row]:
        """Each agent's interval at ``at``."""
        began = (
            sa.select(sa.func.max(agent_states.c.serial))
            .where(agent_states.c.agent == agents.c.agent, agent_states.c.started_at <= at)
            .correlate(agents)
            .scalar_subquery()
        )
        return self._rows(
            sa.select(*_STATE)
            .join(agents, agents.c.agent == agent_states.c.agent)
            .where(agent_states.c.serial == began)
        )

    def intervals(self, after: float, upto: float) -> list[Row]:
        """The intervals that began after ``after`` and not after ``upto``, in the order of time."""
        mine = sa.select(*_STATE).where(
            agent_states.c.agent == agents.c.agent,
            agent_states.c.started_at > after,
            agent_states.c.started_at <= upto,
        )
        if self._connection.dialect.name == "postgresql":
            # Agent by agent, since only with an agent is there an index; left to itself it reads the whole table
            of = mine.correlate(agents).lateral("mine")
            query = sa.select(of).select_from(agents.join(of, sa.true()))
            return self._rows(query.order_by(of.c.started_at, of.c.agent, of.c.serial))
        query = mine.select_from(agents.join(agent_states, agents.c.agent == agent_states.c.agent))
        return self._rows(query.order_by(agent_states.c.started_at, agent_states.c.agent, agent_states.c.serial))

    def next_after(self, at: float, end: float) -> float | None:
        """When anything happens first behind ``at`` and before ``end``; None: nothing does."""
        own = sa.select(sa.func.min(agent_states.c.started_at)).where(
            agent_states.c.agent == agents.c.agent, agent_states.c.started_at > at, agent_states.c.started_at < end
        )
        firsts = [
            sa.select(sa.func.min(column)).where(column > at, column < end)
            for column in (calls.c.entered_at, revisions.c.loaded_at, epochs.c.started_at)
        ]
        # Agent by agent, for which there is an index
        firsts.append(sa.select(own.correlate(agents).scalar_subquery()).select_from(agents))
        found = [one for query in firsts for one in self._connection.execute(query).scalars() if one is not None]
        return min(found, default=None)

    def serials(self) -> dict[str, int]:
        """The serial of each agent's interval in force."""
        return {row["agent"]: row["serial"] for row in self._rows(sa.select(agents.c.agent, agents.c.serial))}

    def intervals_behind(self, serials: Mapping[str, int]) -> list[Row]:
        """Each of these agents' intervals behind the given serial, in the order of time."""
        found: list[Row] = []
        for some in _some(serials):
            behind = [sa.and_(agent_states.c.agent == name, agent_states.c.serial > serials[name]) for name in some]
            found += self._rows(sa.select(*_STATE).where(sa.or_(*behind)))
        return sorted(found, key=lambda row: (row["started_at"], row["agent"], row["serial"]))

    # -- the service -------------------------------------------------------------------------------------------------

    def starts(self, after: float, upto: float) -> list[float]:
        """When the service was started."""
        query = sa.select(epochs.c.started_at).where(epochs.c.started_at > after, epochs.c.started_at <= upto)
        return list(self._connection.execute(query.order_by(epochs.c.started_at)).scalars())

    def revisions(self, after: float, upto: float) -> list[Row]:
        """The configurations that came into force, with their detail; the first one also if it did before."""
        of = sa.select(revisions.c.revision, revisions.c.loaded_at, revisions.c.detail)
        last = of.where(revisions.c.loaded_at <= after).order_by(revisions.c.loaded_at.desc()).limit(1)
        new = of.where(revisions.c.loaded_at > after, revisions.c.loaded_at <= upto)
        return [*self._rows(last), *self._rows(new.order_by(revisions.c.loaded_at))]


def _needs_decisions(call: Row, line: Sequence[Row]) -> bool:
    """Whether it left a queue, or rang where nobody answered: only then do its decisions matter, which are large."""
    queues = {segment["queue"] for segment in line}
    missed = any(segment["outcome"] in MISSED for segment in line)
    sent_on = call["outcome"] == CallOutcome.OVERFLOWED or call["ended_by"] == "system"
    return missed or len(queues) > 1 or sent_on


def _some(names: Iterable[str]) -> Iterator[list[str]]:
    every = list(names)
    return (every[start : start + _IN_MAX] for start in range(0, len(every), _IN_MAX))
