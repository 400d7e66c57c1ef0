"""The engine: takes events in order, lets the floor decide, makes records durable, hands commands on.

One event is processed to its end before the next; there are no locks. Work is done in slices so that the event loop
stays free for the wire. Commands that wait for durability are kept in order until the store's ticket is durable.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from acd.domain.attributes import Value
from acd.domain.commands import ChannelCommand, Command, LineCommand, RaiseAlarm, Reply, ReportDrift, SendCall
from acd.domain.definition import FloorDefinition, ToDialplan
from acd.domain.events import (
    AgentAction,
    AgentEngaged,
    AgentRequested,
    CallAction,
    CallerForgotten,
    CallRequested,
    DeadlinePassed,
    Event,
    FloorEdited,
)
from acd.domain.instant import Instant
from acd.domain.ports import Answer, Executor, StorePort
from acd.domain.records import Record
from acd.engine.journal import Journal
from acd.floor import Floor, Step

log = logging.getLogger(__name__)

INBOX_LIMIT = 100_000
SLICE_S = 0.005
MAX_ALARMS = 100
MAX_AGE_S = 0.08
"""So late at most are events by our own doing (`acd.asterisk.ami.protocol.GATHER_S`). Whose time is older is of another
clock, or tells of what happened while nobody listened."""
ANSWER_WITHIN_S = 10.0


def system_clock() -> Instant:
    """The machine's clocks."""
    return Instant(time.monotonic(), time.time())


@dataclass(slots=True)
class Alarm:
    """One kind of thing a person should know, folded: the last detail and how often. ``over_at``: since when it is so no
    more."""

    kind: str
    detail: str
    at: float
    count: int = 1
    over_at: float | None = None


class Engine:
    """Runs a floor. Make and use it inside one event loop. ``on_overflow`` is told when events had to be dropped.

    ``journal``, open before the first event, is told every event and what came of it.
    """

    def __init__(
        self,
        floor: Floor,
        store: StorePort,
        executor: Executor,
        *,
        clock: Callable[[], Instant] = system_clock,
        on_overflow: Callable[[], None] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.floor = floor
        self.clock = clock
        self.counters: Counter[str] = Counter()
        self.drift: Counter[str] = Counter()
        self.alarms: dict[str, Alarm] = {}
        self.watchers: list[Callable[[Sequence[Record]], None]] = []
        """told the records of every step; they change nothing and never raise"""
        self.callers_wait: Callable[[], None] = lambda: None
        """called after each turn at whose end callers wait: whatever may bring them an agent is to be read at once"""
        self._store = store
        self._executor = executor
        self._on_overflow = on_overflow
        self._journal = journal
        self._inbox: deque[Event] = deque()
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._replies: dict[str, asyncio.Future[Answer]] = {}
        self._requests = itertools.count(1)
        self._undurable: deque[tuple[int, Command]] = deque()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        store.on_durable(self._durable)

    # -- inbox -------------------------------------------------------------------------------------------------------

    def submit(self, event: Event) -> None:
        """Put an event at the end of the inbox. Bounded: on overflow the event is dropped and a resync asked for."""
        if len(self._inbox) >= INBOX_LIMIT:
            self.counters["inbox_overflow"] += 1
            self.alarm(RaiseAlarm("inbox_overflow", f"more than {INBOX_LIMIT} events wait; some were dropped"))
            if self._on_overflow is not None:
                self._on_overflow()
            return
        self._inbox.append(event)
        if not self._scheduled and not self._closed:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        inbox, until = self._inbox, time.monotonic() + SLICE_S
        while inbox and not self._closed:
            self._process(inbox.popleft())
            if time.monotonic() > until and inbox:
                self._scheduled = True
                self._loop.call_soon(self._drain)
                break
        if self.floor.matcher.waiting_count:
            self.callers_wait()
        self._arm()

    def _process(self, event: Event) -> None:
        self.counters["events"] += 1
        now = self.clock()
        failed: Exception | None = None
        try:
            step = self.floor.handle(event, now)
        except Exception as error:
            # A defect of ours must not stop everyone's calls; the reconciler mends what this event would have changed
            failed = error
            self.counters["events_failed"] += 1
            log.exception("the floor could not handle %r", event)
            self.alarm(RaiseAlarm("floor_error", f"{type(event).__name__} could not be handled; see the log"))
            step = self.floor.salvage()
        if self._journal is not None:
            self._journal.note(event, now, step, failed)
        self._carry_out(step, min(max(now.utc - event.at, 0.0), MAX_AGE_S))
        if failed is not None:
            self._apologise(event)

    def _carry_out(self, step: Step, age_s: float) -> None:
        awaited, others, channel_commands = [], [], []
        for command in step.commands:
            if command.after_durable and step.records:
                awaited.append(command)
            elif isinstance(command, ChannelCommand | SendCall | LineCommand):
                channel_commands.append(command)
            else:
                others.append(command)
        # First what a caller waits for
        if channel_commands:
            self._execute(channel_commands)
        if step.records:
            ticket = self._store.write(step.records, soon=bool(awaited), age_s=age_s)
            for watcher in self.watchers:
                watcher(step.records)
            self._undurable.extend((ticket, command) for command in awaited)
        for command in others:
            self._dispatch(command)

    def _execute(self, commands: Sequence[Command]) -> None:
        """One that cannot be carried out must not take the others' turn; what it was for is found amiss by the next look."""
        for command in commands:
            try:
                self._executor.execute((command,))
            except Exception:
                self.counters["commands_failed"] += 1
                log.exception("could not carry out %r", command)
                what = f"{type(command).__name__} could not be carried out; see the log"
                self.alarm(RaiseAlarm("command_failed", what))

    def _apologise(self, event: Event) -> None:
        """Whoever asked for what could not be handled need not wait for an answer that may never come."""
        request: str | None = getattr(event, "request", None)
        if request is not None and not any(isinstance(c, Reply) and c.request == request for _, c in self._undurable):
            self._dispatch(Reply(request, False, "could not be handled: a defect in acd, its log tells more", {}))

    def _durable(self, ticket: int) -> None:
        while self._undurable and self._undurable[0][0] <= ticket:
            settled, command = self._undurable.popleft()
            if isinstance(command, Reply) and not self._store.durable(settled):
                command = self._unrecorded(command)
            self._dispatch(command)

    def _unrecorded(self, reply: Reply) -> Reply:
        """What was done without a record of it, or none yet. While nothing takes records that is how acd serves."""
        state, away = self._store.state(), "the database and the spill are both full or away"
        if reply.ok and state["state"] == "full":
            return replace(reply, message=f"{reply.message}, but not yet on record: {state.get('detail') or away}")
        why = f"was done, and could not be recorded: {away}"
        return replace(reply, ok=False, message=f"{reply.message}; this {why}")

    def _dispatch(self, command: Command) -> None:
        match command:
            case Reply(request, ok, message, data):
                future = self._replies.pop(request, None)
                if future is not None and not future.done():
                    future.set_result(Answer(ok, message, data))
            case ReportDrift(kind, detail):
                self.drift[kind] += 1
                log.warning("drift: %s: %s", kind, detail)
            case RaiseAlarm():
                self.alarm(command)
            case ChannelCommand() | SendCall() | LineCommand():
                self._execute((command,))
            case _:
                raise AssertionError(f"nobody carries out {command!r}")

    # -- timer -------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        deadline = self.floor.next_deadline()
        if deadline is None or self._closed:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        # The loop's clock may have another origin than the floor's
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - self.clock().mono), self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self.submit(DeadlinePassed(self.clock().utc))

    # -- for people --------------------------------------------------------------------------------------------------

    async def request(
        self,
        agent: str,
        action: AgentAction,
        *,
        reason: str | None = None,
        phone: str | None = None,
        channel: str = "",
    ) -> Answer:
        """Ask the floor on behalf of an agent; the answer comes once what follows is durable. ``channel``: the call on
        which he asks himself. Raises TimeoutError."""
        return await self._ask(lambda at, name: AgentRequested(at, agent, action, reason, phone, name, channel))

    async def engage(self, agent: str, what: str | None) -> Answer:
        """Keep an agent free of calls while he does ``what``, or no longer, as ``request`` does for an agent."""
        return await self._ask(lambda at, name: AgentEngaged(at, agent, what, name))

    async def request_call(
        self,
        call: str,
        action: CallAction,
        *,
        queue: str | None = None,
        attributes: Mapping[str, Value] | None = None,
        to: ToDialplan | None = None,
    ) -> Answer:
        """Ask the floor for something about a call, as ``request`` does for an agent."""
        return await self._ask(lambda at, name: CallRequested(at, call, action, queue, attributes or {}, name, to))

    async def edit_floor(self, definition: FloorDefinition) -> Answer:
        """Let the floor be as in ``definition`` from now on, as ``request`` does for an agent."""
        return await self._ask(lambda at, name: FloorEdited(at, definition, name))

    async def forget_caller(self, numbers: tuple[str, ...]) -> Answer:
        """Let the floor forget a caller remembered by one of ``numbers``, as ``request`` does for an agent."""
        return await self._ask(lambda at, name: CallerForgotten(at, numbers, name))

    async def _ask(self, event: Callable[[float, str], Event]) -> Answer:
        """Submit ``event(at, request)`` and wait for the Reply of that name."""
        request = f"r{next(self._requests)}"
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._replies[request] = future
        self.submit(event(self.clock().utc, request))
        try:
            return await asyncio.wait_for(future, ANSWER_WITHIN_S)
        finally:
            self._replies.pop(request, None)

    def alarm(self, alarm: RaiseAlarm) -> None:
        """Note an alarm; the same kind is folded, and logged again only when its detail changes or it was over."""
        known = self.alarms.get(alarm.kind)
        if known is None or known.detail != alarm.detail or known.over_at is not None:
            log.error("alarm: %s: %s", alarm.kind, alarm.detail)
        if known is None:
            if len(self.alarms) < MAX_ALARMS:
                self.alarms[alarm.kind] = Alarm(alarm.kind, alarm.detail, self.clock().utc)
        else:
            known.detail, known.at, known.count = alarm.detail, self.clock().utc, known.count + 1
            known.over_at = None

    def over(self, kind: str) -> None:
        """What an alarm of this kind told of, if there was one, is over: it stays, and says so."""
        known = self.alarms.get(kind)
        if known is not None and known.over_at is None:
            log.warning("over: %s", kind)
            known.over_at = self.clock().utc

    def close(self) -> None:
        """Handle nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for future in self._replies.values():
            future.cancel()
