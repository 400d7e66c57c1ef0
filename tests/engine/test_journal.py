"""The journal as the engine uses it: off the loop, bounded, private, and silent after one alarm when it cannot go on."""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from floorkit import UTC_0, Clock
from lives import nonsensical
from world import FLOOR

from acd.domain import events as ev
from acd.domain.commands import RaiseAlarm
from acd.domain.events import AgentAction
from acd.engine import journal as journal_module
from acd.engine import journal_writer
from acd.engine.journal import Journal, JournalError, JournalOptions
from acd.engine.journal_lines import parts_in
from acd.engine.journal_reader import CLOSED, STOPPED, UNFINISHED, Recording
from acd.engine.replay import replay
from acd.floor import Floor, Step

WAIT_S = 10.0


class Live:
    """A floor that is journalled, and the alarms that were raised."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.clock = Clock()
        self.floor = Floor(FLOOR, epoch=1, started_at=UTC_0)
        self.alarms: list[RaiseAlarm] = []
        self.alarmed = threading.Event()
        self.journal = Journal(self.floor, JournalOptions(directory, **options), alarm=self._alarm)
        self.calls = 0

    def _alarm(self, alarm: RaiseAlarm) -> None:
        self.alarms.append(alarm)
        self.alarmed.set()

    def happens(self, event: ev.Event) -> None:
        now = self.clock.now
        self.journal.note(event, now, self.floor.handle(event, now))

    def call(self) -> None:
        """One call comes, and its caller gives up."""
        self.calls += 1
        self.clock.s += 1.0
        channel = f"c{self.calls}"
        self.happens(ev.CallArrived(self.clock.now.utc, "east", channel, "PJSIP/x", channel, "1"))
        self.happens(ev.CallEnded(self.clock.now.utc, "east", channel))


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Live]]:
    monkeypatch.setattr(journal_module, "POLL_S", 0.001)
    made: list[Live] = []

    def new(**options: Any) -> Live:
        live = Live(options.pop("directory", tmp_path / "journal"), **options)
        made.append(live)
        live.journal.open()
        return live

    yield new
    for live in made:
        live.journal.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for what the journal's thread does."""
    pause = threading.Event()
    for _ in range(int(WAIT_S * 1000)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError(f"did not happen within {WAIT_S} s")


def test_what_was_noted_is_replayed(make: Callable[..., Live], tmp_path: Path) -> None:
    live = make()
    for _ in range(200):
        live.call()
    live.journal.close()
    state = live.journal.state()
    assert (state["state"], state["events"], state["waiting"], state["detail"]) == ("closed", 400, 0, "")
    recording = Recording(tmp_path / "journal")
    outcome = replay(recording)
    assert (outcome.difference, outcome.events, recording.ended) == (None, 400, CLOSED)
    assert str(recording.parts[0].path) == state["file"]
    assert live.alarms == []


def test_it_is_written_while_the_life_goes_on(make: Callable[..., Live], tmp_path: Path) -> None:
    live = make()
    live.call()
    until(lambda: live.journal.state()["events"] == 2)
    recording = Recording(tmp_path / "journal")
    until(lambda: replay(recording).events == 2)
    assert recording.ended == UNFINISHED
    assert live.journal.state()["state"] == "writing"


def test_nobody_else_can_read_it(make: Callable[..., Live], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(max_mb=0.0, directory=tmp_path / "deep" / "journal")
    finally:
        os.umask(before)
    directory = tmp_path / "deep" / "journal"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = list(directory.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_parts_are_rotated_and_the_oldest_deleted(make: Callable[..., Live], tmp_path: Path) -> None:
    live = make(max_mb=0.02, keep=3)
    first = Path(live.journal.state()["file"])

    def rotated() -> bool:
        live.call()
        return "p0006" in live.journal.state()["file"]

    until(rotated)
    live.journal.close()
    assert live.journal.state()["state"] == "closed"
    parts = parts_in(tmp_path / "journal")
    assert len(parts) == 3
    assert not first.exists()
    assert parts[0].number > 1
    recording = Recording(tmp_path / "journal")
    outcome = replay(recording)
    assert (outcome.difference, recording.ended) == (None, CLOSED)
    assert outcome.events + recording.header.n == 2 * live.calls
    assert all(part.path.stat().st_size < 200_000 for part in parts)


def test_older_lives_are_deleted_first(make: Callable[..., Live], tmp_path: Path) -> None:
    lives = []
    for _ in range(5):
        live = make(keep=2)
        live.call()
        live.journal.close()
        lives.append(live.journal.state()["file"])
    assert sorted(str(part.path) for part in parts_in(tmp_path / "journal")) == lives[-2:]
    assert Recording(tmp_path / "journal").parts[0].path == Path(lives[-1])


def test_only_one_service_writes_in_a_directory(make: Callable[..., Live], tmp_path: Path) -> None:
    first = make()
    with pytest.raises(JournalError, match="another acd writes its journal"):
        make()
    first.journal.close()
    make()


def test_a_directory_that_cannot_be_used_is_told(make: Callable[..., Live], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written in"):
        make(directory=tmp_path / "file")
    with pytest.raises(JournalError, match="cannot be written in"):
        make(directory=tmp_path / "file" / "below")


def test_on_a_full_disk_it_stops_with_one_alarm(
    make: Callable[..., Live], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = make()
    for _ in range(50):
        live.call()
    until(lambda: replay(Recording(Path(live.journal.state()["file"]))).events == 100)
    free = 1_000

    def write(file: int, data: bytes) -> int:
        nonlocal free
        if not free:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(file, data[: min(free, 700)])
        free -= written
        return written

    real = os.write
    monkeypatch.setattr(journal_writer.os, "write", write)
    for _ in range(50):
        live.call()
    assert live.alarmed.wait(WAIT_S)
    for _ in range(50):
        live.call()
    live.journal.close()
    assert [alarm.kind for alarm in live.alarms] == ["journal_stopped"]
    assert "No space left" in live.alarms[0].detail
    state = live.journal.state()
    assert (state["state"], state["waiting"]) == ("stopped", 0)
    assert "No space left" in state["detail"]
    path = Path(state["file"])
    assert path.read_bytes().endswith(b"}\n"), "no half a line is left"
    recording = Recording(path)
    outcome = replay(recording)
    assert outcome.difference is None
    assert 100 <= outcome.events < 200
    assert recording.ended == UNFINISHED


def test_when_the_queue_overflows_it_stops_with_one_alarm(
    make: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, holding = threading.Event(), threading.Event()
    real = journal_writer.JournalWriter.add

    def slow(self: Any, *turn: Any) -> None:
        holding.set()
        assert held.wait(WAIT_S)
        real(self, *turn)

    monkeypatch.setattr(journal_writer.JournalWriter, "add", slow)
    monkeypatch.setattr(journal_module, "WAITING_LIMIT", 100)
    live = make()
    live.call()
    assert holding.wait(WAIT_S)
    for _ in range(100):
        live.call()
    assert live.journal.state()["waiting"] <= 100
    held.set()
    assert live.alarmed.wait(WAIT_S)
    live.journal.close()
    assert len(live.alarms) == 1
    assert "more than 100 events waited" in live.alarms[0].detail
    recording = Recording(Path(live.journal.state()["file"]))
    outcome = replay(recording)
    assert (outcome.difference, recording.ended) == (None, STOPPED)
    assert outcome.events in (100, 101, 102)
    assert "the disk is too slow" in recording.detail


def test_what_has_no_form_in_json_costs_the_journal_and_nothing_else(make: Callable[..., Live]) -> None:
    live = make()
    live.call()
    live.journal.note(ev.DeadlinePassed(object()), live.clock.now, Step((), ()))  # type: ignore[arg-type]
    assert live.alarmed.wait(WAIT_S)
    live.call()
    live.journal.close()
    assert "object cannot be written" in live.alarms[0].detail
    assert replay(Recording(Path(live.journal.state()["file"]))).events == 2


def test_a_life_that_needs_more_parts_than_may_be_kept_ends_its_journal(
    make: Callable[..., Live], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Without checkpoints every part is needed: better a whole beginning than a middle nobody can replay."""

    def refuse(floor: Floor) -> bytes:
        raise JournalError("the floor's state cannot be written: a defect")

    monkeypatch.setattr(journal_module, "freeze", refuse)
    live = make(max_mb=0.02, keep=2)

    def stopped() -> bool:
        live.call()
        return live.alarmed.is_set()

    with caplog.at_level(logging.WARNING):
        until(stopped)
    live.journal.close()
    assert "3 parts of 0.02 MB are needed to replay this life, and [journal] keep allows 2" in live.alarms[0].detail
    assert "needs the one before it to be replayed" in caplog.text
    recording = Recording(tmp_path / "journal" / min(os.listdir(tmp_path / "journal")))
    assert recording.header.part == 1
    assert replay(recording).difference is None
    assert recording.ended == STOPPED


def test_a_loop_that_has_ended_is_no_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(alarm: RaiseAlarm) -> None:
        raise RuntimeError("Event loop is closed")

    monkeypatch.setattr(journal_writer.JournalWriter, "flush", lambda self: 1 / 0 if self.events else None)
    live = Live(tmp_path)
    journal = Journal(live.floor, JournalOptions(tmp_path), alarm=gone)
    journal.open()
    journal.note(ev.DeadlinePassed(UTC_0), live.clock.now, Step((), ()))
    journal.close()
    assert "nobody could be told" in caplog.text
    assert journal.state()["state"] == "stopped"


def test_before_and_after_nothing_is_noted(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.call()
    live.journal.open()
    live.journal.close()
    live.call()
    live.journal.close()
    state = live.journal.state()
    assert (state["events"], state["waiting"], state["state"]) == (0, 0, "closed")


def test_a_defect_in_the_floor_is_noted_by_its_class(make: Callable[..., Live]) -> None:
    live = make()
    live.happens(ev.AgentRequested(UTC_0, "ann", AgentAction.LOGIN))
    live.journal.note(ev.DeadlinePassed(UTC_0), live.clock.now, Step((), ()), KeyError("at 0x7f00"))
    live.journal.close()
    text = Path(live.journal.state()["file"]).read_text()
    assert '"failed":"KeyError"' in text
    assert "0x7f00" not in text


@pytest.mark.parametrize("seed", range(5))
def test_a_whole_life_in_the_thread(tmp_path: Path, seed: int) -> None:
    life = nonsensical(seed, 300)
    floor = Floor(FLOOR, epoch=1, started_at=1_700_000_000.0)
    journal = Journal(floor, JournalOptions(tmp_path), alarm=lambda alarm: None)
    journal.open()
    for event, now, _, _ in life.turns:
        journal.note(event, now, floor.handle(event, now))
    journal.close()
    outcome = replay(Recording(tmp_path))
    assert (outcome.difference, outcome.events) == (None, 300)
