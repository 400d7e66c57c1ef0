"""Whether the records keep their rules, over a whole database or those of a time: read in pieces, each of them one look
at everything it compares, so that a running service is neither held up nor misread.

Memory is bounded by what is under way at one moment, not by what there is. Which rules there are: ``violation.RULES``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from acd.domain.errors import StoreError
from acd.domain.outbound import ATTEMPT
from acd.domain.states import AgentState, CallOutcome, SegmentKind
from acd.records.agent_rules import AgentCheck
from acd.records.call_rules import CONVERSATION, WITH_AGENT, call_violations, open_violations
from acd.records.causes import lacks_cause, no_cause
from acd.records.horizon import Horizon, horizon
from acd.records.rows import SECOND_US, CallRow, IntervalRow, Micros, SegmentRow, columns
from acd.records.unreadable_rows import unreadable_rows
from acd.records.verify_attempts import attempts_wrong, unattempted
from acd.records.verify_contacts import contacts_wrong
from acd.records.verify_ledgers import ledgers_wrong
from acd.records.verify_open import looked_again
from acd.records.violation import Violation
from acd.records.word_rules import QueuesNamed, word_violations
from acd.store.beside import reading
from acd.store.tables import agent_states, agents, calls, decisions, revisions, segments

PIECE = 1000
"""Calls looked at together."""
FETCH = 2000
BEFORE_US = 86_400 * SECOND_US
"""So long before a time that is asked for do conversations begin that reach into it."""
SUCCESSOR_US = 60 * SECOND_US
"""So long after a call that was transferred back to us has its successor come."""
JOINED_US = 60 * SECOND_US
"""So long before or after one that was joined to another does the other end."""

Progress = Callable[[str, int, int], None]
"""Told what is looked at (``calls``, ``channels``, ``agents``, ``attempts``), how many are done and how many there are."""


@dataclass(slots=True)
class Verified:
    """What was looked at. ``violations`` says what was found wrong, by rule."""

    calls: int = 0
    segments: int = 0
    agents: int = 0
    intervals: int = 0
    attempts: int = 0
    violations: dict[str, int] = field(default_factory=dict)


class Verifier:
    """Looks a database over. ``since``/``until`` (UTC s): only calls that entered then, and what agents did then.

    ``finished``: nothing may be under way, as when a service has stopped after its last call.
    """

    def __init__(
        self,
        url: str,
        *,
        since: float | None = None,
        until: float | None = None,
        finished: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._url, self._finished = url, finished
        self._since = None if since is None else round(since * SECOND_US)
        self._until = None if until is None else round(until * SECOND_US)
        self._progress = progress or (lambda what, done, total: None)
        self.seen = Verified()
        self._queues = QueuesNamed(None)
        self._half: list[str] = []
        """Calls that last, as far as they are written."""

    def violations(self) -> Iterator[Violation]:
        """Everything that is wrong, as it is found. Raises SchemaError, StoreError."""
        try:
            with reading(self._url, lenient=True) as connection:
                with connection.begin():
                    known = horizon(connection)
                for found in self._all(connection, known):
                    self.seen.violations[found.rule] = self.seen.violations.get(found.rule, 0) + 1
                    yield found
        except ValueError as error:
            raise StoreError(f"the database holds what is no record of acd's: {error}") from error

    def _all(self, connection: sa.Connection, known: Horizon) -> Iterator[Violation]:
        self._queues = QueuesNamed(self._configured_since(connection))
        self._half = []
        # First, for a time that is none makes what follows say more of the same row
        yield from unreadable_rows(connection, self._window, whole=self._whole)
        yield from self._calls(connection, known)
        yield from looked_again(connection, self._half)
        yield from self._undefined(connection)
        yield from self._channels(connection)
        yield from self._wraps(connection)
        yield from self._agents(connection, known)
        yield from self._attempts(connection, known)

    # -- calls -------------------------------------------------------------------------------------------------------

    def _window(self, column: sa.Column[Any]) -> list[sa.ColumnElement[bool]]:
        at = sa.type_coerce(column, Micros)
        found = [at >= self._since] if self._since is not None else []
        return [*found, at < self._until] if self._until is not None else found

    def _calls(self, connection: sa.Connection, known: Horizon) -> Iterator[Violation]:
        with connection.begin():
            wanted = sa.select(sa.func.count()).select_from(calls).where(*self._window(calls.c.entered_at))
            total = connection.execute(wanted).scalar_one()
        after: CallRow | None = None
        while True:
            with connection.begin():
                piece = self._piece(connection, after)
                found = list(self._of_piece(connection, piece, after, known))
            yield from found
            self.seen.calls += len(piece)
            self._progress("calls", self.seen.calls, max(total, self.seen.calls))
            if len(piece) < PIECE:
                return
            after = piece[-1]

    @property
    def _whole(self) -> bool:
        return self._since is None and self._until is None

    def _piece(self, connection: sa.Connection, after: CallRow | None) -> list[CallRow]:
        """The next calls: by their id for the whole database, so that nothing between them is missed; of a time, by when
        they entered."""
        query = sa.select(*columns(calls, CallRow)).limit(PIECE)
        if self._whole:
            query = query.order_by(calls.c.call)
            query = query if after is None else query.where(calls.c.call > after.call)
        else:
            query = query.where(*self._window(calls.c.entered_at)).order_by(calls.c.entered_at, calls.c.call)
            if after is not None:
                here = sa.tuple_(sa.type_coerce(calls.c.entered_at, Micros), calls.c.call)
                query = query.where(here > sa.tuple_(sa.literal(after.entered_at, Micros), sa.literal(after.call)))
        return [CallRow._make(row) for row in connection.execute(query)]

    def _of_piece(
        self, connection: sa.Connection, piece: Sequence[CallRow], after: CallRow | None, known: Horizon
    ) -> Iterator[Violation]:
        of = {call.call: call for call in piece}
        explained: dict[str, dict[str, frozenset[str]]] = {}
        for name, told in groupby(self._offered(connection, piece, after), lambda row: row[0]):
            if name in of:
                offers: dict[str, frozenset[str]] = {}
                explained[name] = offers
                for _, offer, agents in told:
                    if offer:
                        offers[offer] = offers.get(offer, frozenset()) | agents
            elif known.decisions is None and known.calls is None:
                yield Violation("orphan", f"decisions of {name}, which is no call", name)
        seen: set[str] = set()
        query = self._beside(segments, sa.select(*columns(segments, SegmentRow)), piece, after)
        rows = map(SegmentRow._make, _streamed(connection, query.order_by(segments.c.call, segments.c.serial)))
        for name, grouped in groupby(rows, lambda row: row.call):
            if name not in of:
                yield Violation("orphan", f"stretches of {name}, which is no call", name)
                continue
            mine = list(grouped)
            self.seen.segments += len(mine)
            seen.add(name)
            yield from self._of_call(of[name], mine, explained.get(name, {}), known)
        for name in of.keys() - seen:
            yield from self._of_call(of[name], (), {}, known)
        yield from self._sources(connection, piece, known)
        yield from unattempted(connection, {one.channel: one.call for one in piece if ATTEMPT.fullmatch(one.channel)})
        yield from self._causes(connection, [one for one in piece if lacks_cause(one)])

    def _causes(self, connection: sa.Connection, piece: Sequence[CallRow]) -> Iterator[Violation]:
        """Of calls without a cause, those that somebody hung up after a conversation of which nothing else was heard."""
        for call in piece:
            assert call.ended_at is not None
            line = sa.select(segments.c.kind).where(segments.c.call == call.call, segments.c.kind != "wrapped")
            last = connection.execute(line.order_by(segments.c.serial.desc()).limit(1)).scalar()
            # An agent who joins two calls ends one of them, whose channel goes without a word
            ended = sa.type_coerce(calls.c.ended_at, Micros)
            around = ended.between(call.ended_at - JOINED_US, call.ended_at + JOINED_US)
            early = sa.type_coerce(calls.c.entered_at, Micros) >= call.ended_at - BEFORE_US
            joined = sa.select(calls.c.call).where(calls.c.outcome == CallOutcome.TRANSFERRED, around, early)
            if last == SegmentKind.AFTER and connection.execute(joined.limit(1)).first() is None:
                yield no_cause(call)

    def _of_call(
        self, call: CallRow, mine: Sequence[SegmentRow], explained: dict[str, frozenset[str]], known: Horizon
    ) -> Iterator[Violation]:
        gone = known.decisions is not None and call.entered_at < known.decisions
        self._queues.note(call, mine)
        yield from call_violations(call, mine, None if gone else explained, finished=self._finished)
        yield from word_violations(call, mine)
        if call.ended_at is None and any(open_violations(call, mine)):
            self._half.append(call.call)

    def _beside(
        self, table: sa.Table, query: sa.Select[*tuple[Any, ...]], piece: Sequence[CallRow], after: CallRow | None
    ) -> sa.Select[*tuple[Any, ...]]:
        """What belongs to the calls of the piece; over the whole database, also what lies between them."""
        if not self._whole:
            return query.where(table.c.call.in_([call.call for call in piece]))
        if after is not None:
            query = query.where(table.c.call > after.call)
        return query.where(table.c.call <= piece[-1].call) if len(piece) == PIECE else query

    def _offered(
        self, connection: sa.Connection, piece: Sequence[CallRow], after: CallRow | None
    ) -> Iterator[tuple[str, str | None, frozenset[str]]]:
        # An offer of an earlier life whose own explanation was not yet durable when it was killed is adopted
        several = sa.cast(decisions.c.detail, sa.Text).like('%"agents"%')
        detail = sa.case((several, decisions.c.detail), else_=sa.null())
        query = sa.select(
            decisions.c.call,
            sa.case((decisions.c.kind.in_(("offered", "adopted", "joined")), decisions.c.offer), else_=sa.null()),
            sa.type_coerce(detail, sa.JSON),
        )
        query = self._beside(decisions, query, piece, after).order_by(decisions.c.call, decisions.c.serial)
        for call, offer, told in _streamed(connection, query):
            names = told.get("agents", ()) if isinstance(told, dict) else ()
            yield call, offer, frozenset(name for name in names if isinstance(name, str))

    def _sources(self, connection: sa.Connection, piece: Sequence[CallRow], known: Horizon) -> Iterator[Violation]:
        """Calls that came from calls."""
        children = [call for call in piece if call.from_call is not None]
        if not children:
            return
        wanted = sa.select(*columns(calls, CallRow)).where(calls.c.call.in_({call.from_call for call in children}))
        sources = {row.call: row for row in map(CallRow._make, connection.execute(wanted))}
        for call in children:
            source = sources.get(call.from_call or "")
            if source is None:
                if known.calls is None:
                    yield _from_call(call, "which is no call")
                continue
            if source.channel != call.channel and source.linkedid != call.linkedid:
                yield _from_call(call, "which was on another channel and is not linked to it")
            if source.ended_at is None or source.ended_at > call.entered_at:
                yield _from_call(call, "which was not over by then")

    # -- queues ------------------------------------------------------------------------------------------------------

    def _configured_since(self, connection: sa.Connection) -> int | None:
        with connection.begin():
            return connection.execute(sa.select(sa.func.min(sa.type_coerce(revisions.c.loaded_at, Micros)))).scalar()

    def _undefined(self, connection: sa.Connection) -> Iterator[Violation]:
        query = sa.select(revisions.c.detail).order_by(revisions.c.loaded_at.desc())
        with connection.begin():
            rows = connection.execution_options(yield_per=1).execute(query)
            with rows:
                details = (detail for (detail,) in rows if isinstance(detail, dict))
                yield from self._queues.violations(details)

    # -- channels ----------------------------------------------------------------------------------------------------

    def _channels(self, connection: sa.Connection) -> Iterator[Violation]:
        """In the order of their entry, with what is under way at that moment kept."""
        with connection.begin():
            query = sa.select(*columns(calls, CallRow)).where(*self._window(calls.c.entered_at))
            rows = _streamed(connection, query.order_by(calls.c.entered_at, calls.c.call))
            busy: dict[tuple[str, str], CallRow] = {}
            unexplained: dict[str, CallRow] = {}
            for number, row in enumerate(map(CallRow._make, rows)):
                before = busy.get((row.node, row.channel))
                if before is not None and before.ended_at is not None and row.entered_at < before.ended_at:
                    yield Violation(
                        "channel",
                        f"channel {row.channel} is in calls {before.call} and {row.call} at the same time",
                        row.call,
                    )
                busy[row.node, row.channel] = row
                if row.from_call is not None:
                    unexplained.pop(row.from_call, None)
                if row.outcome == CallOutcome.TRANSFERRED and not row.target:
                    unexplained[row.call] = row
                if number % PIECE == 0:
                    busy = {
                        key: one for key, one in busy.items() if one.ended_at is None or one.ended_at > row.entered_at
                    }
                    late = [one for one in unexplained.values() if _over_since(one, row.entered_at, SUCCESSOR_US)]
                    for one in late:
                        del unexplained[one.call]
                        yield _no_target(one)
                    self._progress("channels", number, max(self.seen.calls, number))
            yield from map(_no_target, unexplained.values())

    # -- agents ------------------------------------------------------------------------------------------------------

    def _wraps(self, connection: sa.Connection) -> Iterator[Violation]:
        in_it = sa.and_(
            agents.c.agent == segments.c.agent,
            agents.c.call == segments.c.call,
            agents.c.state == AgentState.WRAP_UP.value,
        )
        # Written out, not bound, so that it is the condition of the index
        still = sa.text("segments.kind = 'wrapped' AND segments.ended_at IS NULL")
        query = sa.select(segments.c.call, segments.c.agent).where(still, ~sa.exists().where(in_it))
        with connection.begin():
            for call, agent in _streamed(connection, query):
                yield Violation("wrap", f"the wrap-up of {agent} after call {call} never ended", call, agent)

    def _agents(self, connection: sa.Connection, known: Horizon) -> Iterator[Violation]:
        with connection.begin():
            names = sorted({name for column in _AGENTS for name in _distinct(connection, column)})
        for number, name in enumerate(names, 1):
            yield from self._agent(connection, name, known)
            self.seen.agents += 1
            self._progress("agents", number, len(names))

    def _attempts(self, connection: sa.Connection, known: Horizon) -> Iterator[Violation]:
        def tell(done: int) -> None:
            self.seen.attempts = done
            self._progress("attempts", done, done)

        yield from attempts_wrong(connection, self._since, self._until, known.calls, tell)
        if self._whole:
            yield from contacts_wrong(connection)
            yield from ledgers_wrong(connection)

    def _agent(self, connection: sa.Connection, name: str, known: Horizon) -> list[Violation]:
        early = None if self._since is None else self._since - BEFORE_US
        with connection.begin():
            latest = sa.select(sa.type_coerce(agent_states.c.started_at, Micros)).where(agent_states.c.agent == name)
            last = connection.execute(latest.order_by(agent_states.c.serial.desc()).limit(1)).scalar()
            row = connection.execute(sa.select(agents.c.serial, agents.c.state).where(agents.c.agent == name)).first()
            check = AgentCheck(
                name,
                None if row is None else (row.serial, row.state),
                self._until is None,
                self._finished,
                known.of_conversations(self._since),
            )
            intervals = sa.select(*columns(agent_states, IntervalRow)).where(agent_states.c.agent == name)
            # Written out: what a partial index is on must be seen by the planner
            kinds = sa.text(f"kind IN ({', '.join(f'{kind.value!r}' for kind in _ON_CALL)})")
            stretches = sa.select(*columns(segments, SegmentRow)).where(segments.c.agent == name, kinds)
            for table, began in ((agent_states, "intervals"), (segments, "stretches")):
                at = sa.type_coerce(table.c.started_at, Micros)
                since = early
                if began == "intervals" and early is not None and last is not None:
                    # The one in force is looked at however long ago it began
                    since = min(early, last)
                limits = [at >= since] if since is not None else []
                limits += [at < self._until] if self._until is not None else []
                if began == "intervals":
                    intervals = intervals.where(*limits)
                else:
                    stretches = stretches.where(*limits)
            mine = _streamed(connection, intervals.order_by(agent_states.c.serial))
            theirs = _streamed(connection, stretches.order_by(segments.c.started_at))
            with closing(mine), closing(theirs):
                return check.compare(self._counted(mine), map(SegmentRow._make, theirs))

    def _counted(self, rows: Iterator[Any]) -> Iterator[IntervalRow]:
        for row in rows:
            self.seen.intervals += 1
            yield IntervalRow._make(row)


_ON_CALL = sorted(WITH_AGENT | CONVERSATION)
_AGENTS = (agents.c.agent, agent_states.c.agent, segments.c.agent)


def _streamed(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> Generator[Any, None, None]:
    """Rows as they are needed, few of them in memory."""
    with connection.execution_options(yield_per=FETCH).execute(query) as result:
        yield from result


def _distinct(connection: sa.Connection, column: sa.Column[Any]) -> Iterator[str]:
    """The values of a column that an index begins with, one step of the index each."""
    last: str | None = connection.execute(sa.select(sa.func.min(column)).where(column.is_not(None))).scalar()
    while last is not None:
        yield last
        last = connection.execute(sa.select(sa.func.min(column)).where(column > last)).scalar()


def _from_call(call: CallRow, why: str) -> Violation:
    return Violation("from_call", f"call {call.call} came from {call.from_call}, {why}", call.call)


def _no_target(call: CallRow) -> Violation:
    return Violation("target", f"call {call.call} was transferred, and neither says where to nor came back", call.call)


def _over_since(call: CallRow, now: int, for_us: int) -> bool:
    return call.ended_at is not None and call.ended_at + for_us < now
