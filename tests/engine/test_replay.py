"""A journal replays to the same commands and records, byte for byte; what differs, and what is broken, is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import Life, nonsensical, walked, written
from world import FLOOR

from acd.domain.records import DecisionMade
from acd.domain.states import AgentState
from acd.engine.journal_lines import JournalError, chain, parts_in, seal, unseal
from acd.engine.journal_reader import CLOSED, DAMAGED, STOPPED, UNFINISHED, Recording
from acd.engine.replay import Story, replay
from acd.floor import Floor, Step

SEEDS = st.integers(0, 2**32)


def identical(path: Path, life: Life) -> Recording:
    recording = Recording(path)
    outcome = replay(recording)
    assert outcome.difference is None
    assert outcome.events == len(life.turns)
    return recording


@settings(deadline=None, max_examples=100)
@given(seed=SEEDS, steps=st.integers(0, 250), outputs=st.booleans())
def test_any_walk_is_replayed(tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int, outputs: bool) -> None:
    for life in walked(seed, steps):
        directory = tmp_path_factory.mktemp("journal")
        recording = identical(written(life, directory, outputs=outputs), life)
        assert recording.ended == CLOSED
        assert (recording.header.epoch, recording.header.revision) == (life.floor.epoch, "rev1")


@settings(deadline=None, max_examples=50)
@given(seed=SEEDS, events=st.integers(1, 300))
def test_any_nonsense_is_replayed(tmp_path_factory: pytest.TempPathFactory, seed: int, events: int) -> None:
    life = nonsensical(seed, events)
    identical(written(life, tmp_path_factory.mktemp("journal")), life)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, steps=st.integers(20, 120), every=st.integers(3, 40))
def test_any_part_can_be_replayed_by_itself(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int, every: int
) -> None:
    for life in walked(seed, steps, every):
        directory = tmp_path_factory.mktemp("journal")
        written(life, directory, max_mb=0.0)
        parts = parts_in(directory)
        assert [part.number for part in parts] == list(range(1, len(life.states) + 2))
        for part in parts:
            outcome = replay(Recording(part.path))
            assert outcome.difference is None
            assert outcome.events == len(life.turns) - (part.number - 1) * every


def a_life(seed: int = 4, steps: int = 80) -> Life:
    """One in which a good deal happens."""
    life = max(walked(seed, steps), key=lambda life: len(life.turns))
    assert len(life.turns) > 50
    return life


def test_another_process_with_other_hashes_decides_the_same(tmp_path: Path) -> None:
    """What hangs on the order of a set of texts differs from process to process."""
    path = written(a_life(), tmp_path)
    code = (
        "import sys; from pathlib import Path; from acd.engine.journal_reader import Recording;"
        "from acd.engine.replay import replay; o = replay(Recording(Path(sys.argv[1])));"
        "print(o.events, o.difference)"
    )
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True)
        assert done.stdout.split() == [str(len(a_life().turns)), "None"], done.stderr


def test_what_a_failing_handler_had_done_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the engine: the event costs what came after the defect, and the replay agrees as long as it fails alike."""
    life = a_life()
    victim = next(i for i, turn in enumerate(life.turns) if len(turn[2].commands) > 1)
    event, now, step, _ = life.turns[victim]
    life.turns[victim] = (event, now, Step(step.records[:1], ()), "KeyError")
    real = Floor.handle

    def handle(self: Floor, asked: Any, at: Any) -> Step:
        result = real(self, asked, at)
        if asked == event and at == now:
            self._records, self._commands = list(result.records[:1]), []
            raise KeyError("a defect")
        return result

    path = written(life, tmp_path)
    outcome = replay(Recording(path))
    assert outcome.difference is not None
    assert outcome.difference.n == victim
    monkeypatch.setattr(Floor, "handle", handle)
    identical(path, life)


# -- what differs ------------------------------------------------------------------------------------------------------


def differing(life: Life, directory: Path, outputs: bool) -> tuple[int, Any]:
    """Replay a journal on whose floor another agent was the longest idle once."""
    for n, (event, now, step, failed) in enumerate(life.turns):
        commands = step.commands
        if any(hasattr(command, "agent") for command in commands):
            index = next(i for i, command in enumerate(commands) if hasattr(command, "agent"))
            changed = (*commands[:index], replace(commands[index], agent="zoe"), *commands[index + 1 :])
            life.turns[n] = (event, now, Step(step.records, changed), failed)
            return n, replay(Recording(written(life, directory, outputs=outputs))).difference
    raise AssertionError("nobody was offered anything")


def test_the_first_difference_is_shown_with_its_event(tmp_path: Path) -> None:
    life = a_life()
    n, difference = differing(life, tmp_path, outputs=True)
    assert difference.n == n
    assert difference.at == life.turns[n][1].utc
    assert difference.event["_"] == type(life.turns[n][0]).__name__
    assert difference.where.startswith("commands[")
    assert difference.where.endswith("].agent")
    assert difference.recorded == "zoe"
    assert difference.replayed in FLOOR.agents


def test_without_outputs_the_event_is_known_and_what_comes_now(tmp_path: Path) -> None:
    n, difference = differing(a_life(), tmp_path, outputs=False)
    assert (difference.n, difference.where, difference.recorded) == (n, None, None)
    assert difference.replayed["commands"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda out: out["records"].append({"_": "CallMoved", "call": "c", "queue": "q"}), "records[{n}]"),
        (lambda out: out["records"].pop(), "records[{last}]"),
        (lambda out: out.update(failed="KeyError"), "failed"),
        (lambda out: out["records"].reverse(), "records[0]"),
    ],
    ids=["one more", "one less", "failed then", "another order"],
)
def test_what_is_missing_or_in_another_order_is_a_difference(tmp_path: Path, change: Any, where: str) -> None:
    life = a_life()
    path = written(life, tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    digest = ""
    for index, line in enumerate(lines):
        value = unseal(line)
        assert value is not None
        if "event" in value and len(value["out"]["records"]) > 3:
            count = len(value["out"]["records"])
            change(value["out"])
            value["digest"] = chain(digest, json.dumps(value["out"], separators=(",", ":")))
            lines[index] = seal(json.dumps(value, separators=(",", ":")))
            break
        digest = value.get("digest", digest)
    path.write_bytes(b"".join(lines))
    difference = replay(Recording(path)).difference
    assert difference is not None
    assert difference.where == where.format(n=count, last=count - 1)


def test_another_floor_decides_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay is of the program as it is now: a change of a rule shows."""
    path = written(a_life(), tmp_path)
    monkeypatch.setattr("acd.floor.core.OFFER_GRACE_S", 1_000.0)
    monkeypatch.setattr("acd.routing.index.Matcher.agents_for", lambda self, queue, requirement, count=1: [])
    assert replay(Recording(path)).difference is not None


def test_until(tmp_path: Path) -> None:
    life = a_life()
    until = life.turns[len(life.turns) // 2][1].utc
    expected = sum(turn[1].utc <= until for turn in life.turns)
    outcome = replay(Recording(written(life, tmp_path)), until=until)
    assert outcome.events == expected
    assert outcome.last_at is not None
    assert outcome.last_at <= until


# -- how it ends -------------------------------------------------------------------------------------------------------


def test_a_killed_process_leaves_half_a_line_and_the_rest_is_replayed(tmp_path: Path) -> None:
    life = a_life()
    path = written(life, tmp_path, end=False)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for size in (last + 1, last + 20, len(whole) - 1):
        path.write_bytes(whole[:size])
        recording = Recording(path)
        outcome = replay(recording)
        assert (outcome.difference, outcome.events) == (None, len(life.turns) - 1)
        assert recording.ended == UNFINISHED
        assert "torn" in recording.detail
    path.write_bytes(whole[:last])
    recording = Recording(path)
    assert replay(recording).events == len(life.turns) - 1
    assert recording.ended == UNFINISHED
    assert "torn" not in recording.detail


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Wherever it is, everything before it is replayed and nothing after it is trusted."""
    life = a_life()
    directory = tmp_path_factory.mktemp("journal")
    path = written(life, directory)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(content.index(b"\n") + 1, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    line = path.read_bytes()[:at].count(b"\n")
    recording = Recording(path)
    outcome = replay(recording)
    assert outcome.difference is None
    assert recording.ended in (DAMAGED, UNFINISHED)
    assert outcome.events in (line - 1, line - 2)


def test_a_missing_event_or_part_is_found(tmp_path: Path) -> None:
    life = walked(4, 80, every=10)[0]
    written(life, tmp_path, max_mb=0.0)
    parts = parts_in(tmp_path)
    assert len(parts) > 3
    parts[2].path.rename(tmp_path / "elsewhere")
    recording = Recording(parts[0].path)
    assert replay(recording).events == 20
    assert (recording.ended, recording.detail) == (DAMAGED, "part 3 is missing")
    lines = parts[1].path.read_bytes().splitlines(keepends=True)
    parts[1].path.write_bytes(b"".join([*lines[:4], *lines[5:]]))
    recording = Recording(parts[0].path)
    assert replay(recording).events == 13
    assert recording.ended == DAMAGED
    assert "event 13 is missing" in recording.detail


def test_a_part_that_does_not_follow_is_found(tmp_path: Path) -> None:
    """A part of the same name, of another life."""
    for seed, name in ((4, "a"), (5, "b")):
        written(walked(seed, 80, every=10)[0], tmp_path / name, max_mb=0.0)
    mine, others = parts_in(tmp_path / "a"), parts_in(tmp_path / "b")
    mine[1].path.write_bytes(others[1].path.read_bytes())
    recording = Recording(mine[0].path)
    replay(recording)
    assert recording.ended == DAMAGED
    assert "does not continue" in recording.detail


def test_a_part_without_checkpoint_takes_the_one_before_it(tmp_path: Path) -> None:
    life = walked(4, 80, every=10)[0]
    life.states[20] = None  # type: ignore[assignment]
    written(life, tmp_path, max_mb=0.0)
    parts = parts_in(tmp_path)
    assert Recording(parts[2].path).header.part == 2
    identical(parts[0].path, life)
    parts[1].path.unlink()
    with pytest.raises(JournalError, match="the part before it is gone"):
        Recording(parts[2].path)
    parts[0].path.unlink()
    assert Recording(tmp_path).header.part == 4, "the earliest that can be replayed"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no journal"),
        (b"\x00\xff\n", "is no journal"),
        (b'{"journal":1}\n', "is no journal"),
        (seal('{"end":"closed","n":0,"why":""}'), "is no journal"),
        (seal('{"journal":99,"acd":"9.9"}'), "was written by acd 9.9 in a form"),
        (seal('{"journal":1,"acd":"9.9"}'), "is not understood: KeyError"),
        (seal('{"journal":1,"acd":"9.9","checkpoint":"%%","definition":{}}'), "is not understood"),
        (seal('{"journal":1,"acd":"9.9","checkpoint":null,"definition":{"_":"X"}}'), "The floor in"),
    ],
)
def test_what_is_no_journal_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=f"(?i){message}"):
        Recording(path)


def test_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="holds no journal"):
        Recording(tmp_path)
    with pytest.raises(JournalError, match=r"cannot be read|does not exist"):
        Recording(tmp_path / "nowhere")
    with pytest.raises(JournalError, match=r"cannot be read|does not exist"):
        Recording(tmp_path / "acd-20261121T140500.000000Z-e1-p0001.jsonl")


def test_an_event_of_a_newer_acd_is_told(tmp_path: Path) -> None:
    path = written(a_life(), tmp_path, end=False)
    n = len(a_life().turns)
    line = f'{{"n":{n},"now":[1.0,2.0],"event":{{"_":"MoonRisen","at":1.0}},"digest":""}}'
    path.write_bytes(path.read_bytes() + seal(line))
    with pytest.raises(JournalError, match=r"line \d+: the event is not understood by this acd: .*MoonRisen"):
        replay(Recording(path))


def test_a_stopped_journal_says_why(tmp_path: Path) -> None:
    path = written(a_life(), tmp_path, end=False)
    path.write_bytes(path.read_bytes() + seal('{"end":"stopped","n":9,"why":"No space left"}'))
    recording = Recording(path)
    replay(recording)
    assert (recording.ended, recording.detail) == (STOPPED, "No space left")


def test_a_line_that_is_sealed_and_no_line_of_a_journal() -> None:
    """Nobody who writes journals has sealed it: damaged, however it is made."""
    for text in ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", '{"n":}', "{x}"):
        assert unseal(seal(text)) is None
    assert unseal(seal('{"n":1}')) == {"n": 1}


# -- one call's story --------------------------------------------------------------------------------------------------


def test_the_story_names_every_agent_as_he_was(tmp_path: Path) -> None:
    """Against what the live floor counted: as many by reason as there are names, and the longest idle was chosen."""
    life = a_life(seed=11, steps=200)
    path = written(life, tmp_path)
    decisions = [r for t in life.turns for r in t[2].records if isinstance(r, DecisionMade)]
    offered = [d for d in decisions if d.kind == "offered"]
    assert len(offered) > 3
    for call in {d.call for d in offered}:
        story = Story(call)
        assert replay(Recording(path), story=story).difference is None
        found = {serial: rows for step in story.steps for serial, rows in step["candidates"].items()}
        for decision in (d for d in decisions if d.call == call and d.kind in ("offered", "waits")):
            rows = found[decision.serial]
            assert {row["agent"] for row in rows} == set(FLOOR.agents)
            busy: dict[str, int] = {}
            for row in rows:
                if row["fit"] == "busy":
                    busy[row["why"]] = busy.get(row["why"], 0) + 1
            assert busy == decision.detail["passed_over"]
            chosen = [row["agent"] for row in rows if row["fit"] == "chosen"]
            free = [row["agent"] for row in rows if row["fit"] == "free"]
            rung = decision.detail.get("agents", [decision.agent])
            assert chosen == (rung if decision.kind == "offered" else [])
            if decision.kind == "offered":
                assert rows[0]["agent"] == decision.detail["chosen"]["agent"]
                assert rows[0]["idle_s"] == decision.detail["chosen"]["idle_s"]
                best = [one["agent"] for one in decision.detail["best"]]
                assert best == [*chosen, *free][: len(best)]
        written_down = [r for s in story.steps for r in s["records"]]
        assert len(written_down) == sum(getattr(r, "call", None) == call for t in life.turns for r in t[2].records)


def test_the_floor_of_then_can_be_looked_at(tmp_path: Path) -> None:
    life = a_life()
    outcome = replay(Recording(written(life, tmp_path)))
    assert set(outcome.floor.calls) == set(life.floor.calls)
    states = {name: agent.state for name, agent in outcome.floor.roster.agents.items()}
    assert states == {name: agent.state for name, agent in life.floor.roster.agents.items()}
    assert set(states.values()) - {AgentState.LOGGED_OUT}, "somebody is there"
