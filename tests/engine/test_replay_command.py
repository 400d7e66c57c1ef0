"""``acd replay``: what a person and a program are told, and the exit codes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from floorkit import UTC_0, Clock, define
from lives import Life, walked, written

from acd.cli.main import COMMANDS, cli
from acd.domain import events as ev
from acd.domain.commands import OfferCall
from acd.domain.events import AgentAction
from acd.domain.states import OfferOutcome
from acd.floor import Floor, Step

DEFINITION = define(
    """
    queue sales needs=english:50
    agent ann 101 sales english=90
    agent bob 102 sales english=80
    agent cid 103 sales english=10
    agent dan 104 sales english=70
    did 1 sales
    """
)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "replay", ("acd.cli.replay", "replay", "Replay a journal."))
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def acd(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["replay", *map(str, arguments)], prog_name="acd")


def story_life() -> Life:
    """Ann and Bob are there, Dan is at lunch; a call is offered to Ann, who does not answer, then to Bob, who does."""
    life, clock = Life(Floor(DEFINITION, epoch=1, started_at=UTC_0)), Clock()

    def happens(cls: type, *arguments: object, **more: object) -> Step:
        clock.s += 1.0
        event = cls(clock.now.utc, *arguments, **more)
        step = life.floor.handle(event, clock.now)
        life.turns.append((event, clock.now, step, None))
        return step

    def offer(step: Step) -> str:
        return next(command.offer for command in step.commands if isinstance(command, OfferCall))

    happens(ev.NodeResynced, "east", (), {})
    for agent in ("ann", "bob", "cid", "dan"):
        happens(ev.AgentRequested, agent, AgentAction.LOGIN)
    happens(ev.AgentRequested, "dan", AgentAction.PAUSE, "lunch")
    offered = offer(happens(ev.CallArrived, "east", "c1", "PJSIP/x", "c1", "1", "0123", "Eve \x1b[31m"))
    happens(ev.AgentRang, offered)
    offered = offer(happens(ev.OfferFailed, offered, OfferOutcome.NO_ANSWER))
    happens(ev.AgentAnswered, offered, "leg")
    happens(ev.CallEnded, "east", "c1", 16)
    return life


@pytest.fixture
def life() -> Life:
    return story_life()


@pytest.fixture
def journal(tmp_path: Path, life: Life) -> Path:
    return written(life, tmp_path)


def call_of(life: Life) -> str:
    return next(c.call for turn in life.turns for c in turn[2].commands if isinstance(c, OfferCall))


def test_identical(journal: Path, life: Life) -> None:
    for path in (journal, journal.parent):
        result = acd(path)
        assert result.exit_code == 0, result.output
        commands = sum(len(turn[2].commands) for turn in life.turns)
        records = sum(len(turn[2].records) for turn in life.turns)
        assert (
            f"11 events, 2023-11-14 22:13:21 to 2023-11-14 22:13:31\nidentical: {commands} commands and {records}"
            in (result.stdout)
        )
        assert "the journal is closed" in result.stdout
        assert "written by" not in result.stdout


def test_identical_as_json(journal: Path) -> None:
    body = json.loads(acd(journal, "--json").stdout)
    assert (body["identical"], body["difference"], body["events"]) == (True, None, 11)
    assert (body["ended"], body["detail"], body["floor"], body["story"]) == ("closed", "", None, None)
    assert (body["epoch"], body["revision"], body["from_checkpoint"]) == (1, "rev1", False)


def otherwise(life: Life) -> Life:
    """As if somebody else had been rung then."""
    for n, (event, now, step, failed) in enumerate(life.turns):
        if isinstance(event, ev.CallArrived):
            changed = tuple(replace(c, agent="dan") if isinstance(c, OfferCall) else c for c in step.commands)
            life.turns[n] = (event, now, Step(step.records, changed), failed)
    return life


def test_a_difference_is_told_with_its_event_and_both_sides(tmp_path: Path, life: Life) -> None:
    path = written(otherwise(life), tmp_path)
    result = acd(path)
    assert result.exit_code == 1
    assert "7 events" in result.stdout
    assert "DIFFERS at event 6, 2023-11-14 22:13:27" in result.stdout
    assert "event     CallArrived(at=1700000007.0, node=east, channel=c1" in result.stdout
    assert "at        commands[0].agent\n    recorded  dan\n    now       ann\n" in result.stdout
    assert "the journal is" not in result.stdout
    result = acd(path, "--json")
    assert result.exit_code == 1
    difference = json.loads(result.stdout)["difference"]
    assert (difference["n"], difference["where"]) == (6, "commands[0].agent")
    assert (difference["recorded"], difference["replayed"]) == ("dan", "ann")
    assert difference["event"]["_"] == "CallArrived"


def test_a_difference_in_a_journal_of_digests(tmp_path: Path, life: Life) -> None:
    result = acd(written(otherwise(life), tmp_path, outputs=False))
    assert result.exit_code == 1
    assert "the journal holds digests alone" in result.stdout
    assert "now       (commands=[OfferCall(node=east, channel=c1" in result.stdout


def test_another_version_is_said(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acd.cli.replay.__version__", "9.9")
    assert "this is 9.9" in acd(journal).stdout


def test_torn_and_damaged(journal: Path) -> None:
    content = journal.read_bytes()
    journal.write_bytes(content[: content.rindex(b'{"end"') - 30])
    result = acd(journal)
    assert result.exit_code == 0
    assert "10 events" in result.stdout
    assert "the journal is unfinished: the process was killed, or still runs; its last line is torn" in result.stdout
    lines = content.splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:5], b"rubbish\n", *lines[6:]]))
    result = acd(journal)
    assert result.exit_code == 1
    assert f"the journal is damaged: {journal.name}, line 6 was changed after it was written" in result.stdout
    assert "identical" in result.stdout, "what could be read"
    assert acd(journal, "--until", "2023-11-14 22:13:23").exit_code == 0, "nothing damaged was met"


def test_what_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    for path in (tmp_path, tmp_path / "x", tmp_path / "nowhere"):
        result = acd(path)
        assert result.exit_code == 1
        assert result.stderr.startswith("acd: ")
        assert "Traceback" not in result.output
    assert json.loads(acd("--json", tmp_path).stderr)["error"]["kind"] == "failed"


def test_until_shows_the_floor_of_then(journal: Path) -> None:
    result = acd(journal, "--until", "2023-11-14 22:13:30")
    assert result.exit_code == 0
    assert "10 events" in result.stdout
    assert "the floor at 2023-11-14 22:13:30: 0 waiting, 1 talking; agents: 1 available, 1 talking, 2 paused" in (
        result.stdout
    )
    assert "the journal is" not in result.stdout
    body = json.loads(acd(journal, "--until", "2023-11-14 22:13:30", "--json").stdout)
    assert (body["ended"], body["floor"]["talking"]) == (None, 1)
    assert "0 events" in acd(journal, "--until", "2020-01-01").stdout


def test_a_call_with_everyone_by_name(journal: Path, life: Life) -> None:
    result = acd(journal, "--call", call_of(life))
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "22:13:27.000  event 6: CallArrived(" in text
    first, second = text.split("offered to ann")[1].split("offered to bob")
    assert "ann  chosen, idle 5.0 s\n" in first
    assert "bob  free, idle 4.0 s\n" in first
    assert "dan  could not then: PAUSED (lunch)\n" in first
    assert "cid  may not serve it: needs english >= 50, has 10\n" in first
    assert first.index("ann  chosen") < first.index("bob  free") < first.index("dan  could") < first.index("cid  may")
    assert "bob  chosen, idle 6.0 s\n" in second
    assert "ann  could not then: PAUSED (rona)\n" in second
    assert "\x1b" not in text, "what a caller calls himself is not obeyed"
    assert "-> OfferCall(" in text
    assert "CallClosed(" in text
    assert "the offer to ann failed: no answer" in text


def test_a_call_as_json(journal: Path, life: Life) -> None:
    steps: list[dict[str, Any]] = json.loads(acd(journal, "--call", call_of(life), "--json").stdout)["story"]
    assert [step["event"]["_"] for step in steps] == [
        "CallArrived", "AgentRang", "OfferFailed", "AgentAnswered", "CallEnded",
    ]  # fmt: skip
    assert [row["fit"] for row in steps[0]["candidates"]["0"]] == ["chosen", "free", "busy", "unfit"]
    assert steps[0]["candidates"]["0"][3] == {
        "agent": "cid", "fit": "unfit", "why": "needs english >= 50, has 10", "idle_s": None,
    }  # fmt: skip


def test_a_call_that_is_not_in_it(journal: Path) -> None:
    result = acd(journal, "--call", "000001")
    assert result.exit_code == 4
    assert "there is no call named '000001'" in result.stderr


def test_from_a_checkpoint(tmp_path: Path) -> None:
    life = walked(4, 80, every=25)[0]
    written(life, tmp_path, max_mb=0.0)
    later = sorted(tmp_path.glob("*-p0002.jsonl"))[0]
    result = acd(later)
    assert result.exit_code == 0, result.output
    assert "begins with part 2 and the floor's state at its begin" in result.stdout
    assert f"{len(life.turns) - 25} events" in result.stdout
