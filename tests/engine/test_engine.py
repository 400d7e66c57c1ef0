"""The engine: one event after the other, answers once they are durable, and a life that can be replayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from enginekit import FakeExecutor, FakeStore
from floorkit import UTC_0, Clock, define

from acd.asterisk.ami.protocol import GATHER_S
from acd.domain import events as ev
from acd.domain.commands import Command, HoldCall, RaiseAlarm, Reply, SendCall
from acd.domain.events import AgentAction, CallAction
from acd.domain.instant import Instant
from acd.domain.records import CallMoved
from acd.engine import Engine
from acd.engine import engine as engine_module
from acd.engine.journal import Journal, JournalOptions
from acd.engine.journal_reader import CLOSED, Recording
from acd.engine.replay import replay
from acd.floor import Floor, Step
from acd.store.options import StoreOptions

FLOOR = define("queue main\nagent ann 101 main\ndid 1 main\nfallback dialplan:operator,s")
MOVED = (CallMoved("c", "main"),)


class Scripted(Floor):
    """A floor of which the test says what it gives for requests; a ``boom`` channel makes it fail half-way."""

    def __init__(self) -> None:
        super().__init__(FLOOR, epoch=1, started_at=UTC_0)
        self.seen: list[tuple[ev.Event, Instant]] = []
        self.saw = asyncio.Event()
        self.give: Callable[[Any], Step] | None = None

    def handle(self, event: ev.Event, now: Instant) -> Step:
        self.seen.append((event, now))
        self.saw.set()
        if self.give is not None and hasattr(event, "request"):
            return self.give(event)
        step = super().handle(event, now)
        if getattr(event, "channel", "") == "boom":
            raise ValueError("a defect")
        return step


class Bench:
    """An engine, and everything it is wired to."""

    def __init__(self, journal: Path | None = None) -> None:
        self.clock = Clock()
        self.floor = Scripted()
        self.store, self.executor = FakeStore(), FakeExecutor()
        self.overflows = 0
        self.alarms: list[RaiseAlarm] = []
        self.journal = (
            None if journal is None else Journal(self.floor, JournalOptions(journal), alarm=self.alarms.append)
        )
        if self.journal is not None:
            self.journal.open()
        self.engine = Engine(
            self.floor,
            self.store,
            self.executor,
            clock=lambda: self.clock.now,
            on_overflow=self._overflow,
            journal=self.journal,
        )

    def _overflow(self) -> None:
        self.overflows += 1

    def arrives(self, channel: str) -> None:
        self.engine.submit(ev.CallArrived(self.clock.now.utc, "east", channel, "PJSIP/x", channel, "1"))

    async def close(self) -> None:
        self.engine.close()
        if self.journal is not None:
            await asyncio.to_thread(self.journal.close)


async def handled(bench: Bench, events: int) -> None:
    """Let the loop run until so many events were handled."""
    async with asyncio.timeout(10):
        while len(bench.floor.seen) < events:
            bench.floor.saw.clear()
            await bench.floor.saw.wait()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.close()


async def test_a_life_is_journalled_with_the_moment_each_event_was_handled_at(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal")
    bench.engine.submit(ev.NodeResynced(bench.clock.now.utc, "east", (), {}))
    for number in range(20):
        bench.clock.s += 1.25
        bench.arrives(f"c{number}")
        await handled(bench, number + 2)
    bench.engine.submit(ev.AgentRequested(bench.clock.now.utc, "ann", AgentAction.LOGIN))
    await handled(bench, 22)
    await bench.close()
    recording = Recording(tmp_path / "journal")
    outcome = replay(recording)
    assert (outcome.difference, outcome.events, recording.ended) == (None, 22, CLOSED)
    assert [(noted.event, noted.now) for noted in Recording(tmp_path / "journal").events()] == bench.floor.seen
    assert outcome.floor.calls.keys() == bench.floor.calls.keys()
    assert bench.alarms == []


async def test_an_event_that_fails_is_journalled_as_such_and_what_it_did_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal")
    bench.engine.submit(ev.NodeResynced(bench.clock.now.utc, "east", (), {}))
    bench.arrives("boom")
    bench.arrives("after")
    await handled(bench, 3)
    assert set(bench.engine.alarms) == {"floor_error"}
    assert bench.engine.counters["events_failed"] == 1
    held = [command.channel for command in bench.executor.executed if isinstance(command, HoldCall)]
    assert held == ["boom", "after"]
    await bench.close()
    noted = list(Recording(tmp_path / "journal").events())
    assert [one.out.get("failed") for one in noted if one.out is not None] == [None, "ValueError", None]


async def test_a_command_that_cannot_be_carried_out_takes_nobodys_turn(bench: Bench) -> None:
    broken = bench.executor.execute

    def execute(commands: Sequence[Command]) -> None:
        if any(getattr(command, "channel", "") == "c1" for command in commands):
            raise ValueError("a defect")
        broken(commands)

    bench.executor.execute = execute  # type: ignore[method-assign]
    bench.engine.submit(ev.NodeResynced(bench.clock.now.utc, "east", (), {}))
    for channel in ("c1", "c2"):
        bench.arrives(channel)
    await handled(bench, 3)
    assert [getattr(command, "channel", "") for command in bench.executor.executed][-1] == "c2"
    assert bench.engine.counters["commands_failed"] >= 1
    assert "command_failed" in bench.engine.alarms


async def test_a_caller_has_his_answer_before_his_records_are_written(bench: Bench) -> None:
    bench.engine.submit(ev.NodeResynced(bench.clock.now.utc, "east", (), {}))
    await handled(bench, 1)
    before, written = len(bench.store.written), list[int]()
    bench.executor.told = lambda: written.append(len(bench.store.written))
    bench.arrives("c1")
    await handled(bench, 2)
    assert written == [before]
    assert len(bench.store.written) == before + 1


async def test_it_is_told_when_callers_wait(bench: Bench) -> None:
    """Whoever may be free for them is perhaps in what was left unread, at whichever node."""
    told = list[int]()
    bench.engine.callers_wait = lambda: told.append(bench.floor.matcher.waiting_count)
    bench.engine.submit(ev.NodeResynced(bench.clock.now.utc, "east", (), {}))
    await handled(bench, 1)
    assert told == []
    bench.arrives("c1")
    await handled(bench, 2)
    await asyncio.sleep(0)
    assert told == [1]
    bench.engine.submit(ev.CallEnded(bench.clock.now.utc, "east", "c1"))
    await handled(bench, 3)
    await asyncio.sleep(0)
    assert told == [1]


def test_events_that_we_leave_unread_are_credited_with_all_of_it() -> None:
    assert GATHER_S <= engine_module.MAX_AGE_S
    assert StoreOptions().pace_s > GATHER_S + 0.01, "and are durable as soon as others"


@pytest.mark.parametrize(
    ("late_s", "age_s"), [(0.0, 0.0), (0.02, 0.02), (3600.0, engine_module.MAX_AGE_S), (-5.0, 0.0)]
)
async def test_records_are_as_old_as_their_event(bench: Bench, late_s: float, age_s: float) -> None:
    bench.engine.submit(ev.CallArrived(bench.clock.now.utc - late_s, "east", "c1", "PJSIP/x", "c1", "1"))
    await handled(bench, 1)
    assert bench.store.ages[-1] == pytest.approx(age_s, abs=1e-6)


async def test_an_answer_waits_until_what_it_says_is_durable(bench: Bench) -> None:
    bench.floor.give = lambda event: Step(MOVED, (Reply(event.request, True, "done", {"n": 1}),))
    asked = asyncio.ensure_future(bench.engine.request("ann", AgentAction.PAUSE, reason="lunch"))
    await handled(bench, 1)
    assert bench.store.soon == [True]
    assert not asked.done()
    bench.store.settle()
    answer = await asked
    assert (answer.ok, answer.message, answer.data) == (True, "done", {"n": 1})
    event = bench.floor.seen[0][0]
    assert event == ev.AgentRequested(UTC_0, "ann", AgentAction.PAUSE, "lunch", None, "r1")


async def test_what_could_not_be_recorded_is_no_success(bench: Bench) -> None:
    bench.floor.give = lambda event: Step(MOVED, (Reply(event.request, True, "done", {}),))
    asked = asyncio.ensure_future(bench.engine.request("ann", AgentAction.LOGIN))
    await handled(bench, 1)
    bench.store.lost.add(1)
    bench.store.settle()
    answer = await asked
    assert not answer.ok
    assert "was done, and could not be recorded" in answer.message


async def test_calls_and_the_floor_itself_are_asked_for_likewise(bench: Bench) -> None:
    bench.floor.give = lambda event: Step((), (Reply(event.request, True, type(event).__name__, {}),))
    engine, other = bench.engine, define("queue main\nqueue more\nagent ann 101 main")
    assert (await engine.request_call("c7", CallAction.ESCALATE, queue="more")).message == "CallRequested"
    await engine.request_call("c7", CallAction.SET_ATTRIBUTES, attributes={"tier": "gold", "n": 2})
    assert (await engine.edit_floor(other)).message == "FloorEdited"
    assert [event for event, _ in bench.floor.seen] == [
        ev.CallRequested(UTC_0, "c7", CallAction.ESCALATE, "more", {}, "r1"),
        ev.CallRequested(UTC_0, "c7", CallAction.SET_ATTRIBUTES, None, {"tier": "gold", "n": 2}, "r2"),
        ev.FloorEdited(UTC_0, other, "r3"),
    ]


async def test_whoever_asks_for_what_fails_is_told_so_at_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: ev.Event) -> Step:
        raise ValueError("a defect")

    bench.floor.give = fail
    secret = define("queue main\nagent ann 101 main")
    answer = await bench.engine.edit_floor(secret)
    assert (answer.ok, answer.message) == (False, "could not be handled: a defect in acd, its log tells more")
    # A floor is long, and has the hashes of PINs in it
    assert "FloorEdited(at=1700000000.0, request='r1')" in caplog.text
    assert "PJSIP/101" not in caplog.text


async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "ANSWER_WITHIN_S", 0.01)
    bench.floor.give = lambda event: Step(MOVED, (Reply(event.request, True, "too late", {}),))
    with pytest.raises(TimeoutError):
        await bench.engine.request("ann", AgentAction.LOGIN)
    # Nobody is there any more to hear it
    bench.store.settle()


async def test_a_full_inbox_drops_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "INBOX_LIMIT", 3)
    for number in range(5):
        bench.arrives(f"c{number}")
    assert bench.overflows == 2
    assert bench.engine.counters["inbox_overflow"] == 2
    assert bench.engine.alarms["inbox_overflow"].count == 2
    await handled(bench, 3)
    assert len(bench.floor.calls) == 3


async def test_an_alarm_that_is_over_stays_and_says_so_until_the_next(bench: Bench) -> None:
    kinds = ("records_full", "no_route")
    for kind in kinds:
        bench.engine.alarm(RaiseAlarm(kind, "the disk"))
    bench.engine.over("records_full")
    bench.engine.over("never_raised")
    told = bench.engine.alarms
    assert [told[kind].over_at is not None for kind in kinds] == [True, False]
    bench.engine.alarm(RaiseAlarm("records_full", "the disk"))
    assert [(told[kind].over_at, told[kind].count) for kind in kinds] == [(None, 2), (None, 1)]
    assert set(told) == set(kinds)


async def test_who_cannot_be_served_is_sent_away_in_order(bench: Bench) -> None:
    bench.engine.submit(ev.CallArrived(UTC_0, "east", "x", "PJSIP/x", "x", "999"))
    await handled(bench, 1)
    (command,) = bench.executor.executed
    assert isinstance(command, SendCall)
    assert set(bench.engine.alarms) == {"unknown_did"}
