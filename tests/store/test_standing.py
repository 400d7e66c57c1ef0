"""What stands beside the service of its agents."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from storekit import until

from acd.domain.records import AgentStateChanged
from acd.domain.states import AgentState
from acd.store import standing
from acd.store.standing import AgentsKept

T = 1_790_000_000.0


def state(agent: str, serial: int, state: AgentState) -> AgentStateChanged:
    return AgentStateChanged(agent, serial, T + serial, state, None, None, T + serial, None, None, None)


def written(state_dir: Path) -> list[tuple[str, str]]:
    path = state_dir / "agents.json"
    return [(row["agent"], row["state"]) for row in json.loads(path.read_text())] if path.exists() else []


async def test_a_change_is_written_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "SOON_S", 0.02)
    kept = AgentsKept(tmp_path)
    kept.start(())
    await until((tmp_path / "agents.json").exists)
    kept.note([state("ann", 1, AgentState.AVAILABLE), state("bob", 1, AgentState.AVAILABLE)])
    await until(lambda: len(written(tmp_path)) == 2)
    kept.note([state("bob", 2, AgentState.LOGGED_OUT)])
    await until(lambda: written(tmp_path) == [("ann", "AVAILABLE")])
    kept.note([state("ann", 2, AgentState.PAUSED)])
    await kept.close()
    assert written(tmp_path) == [("ann", "PAUSED")]
    assert {one.state for one in kept.read().values()} == {AgentState.PAUSED}


async def test_many_changes_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []

    def counted(path: Path, body: list[object], *, force: bool = True) -> None:
        writes.append(len(body))

    monkeypatch.setattr(standing, "write_file", counted)
    delays: list[float] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later
    monkeypatch.setattr(
        loop, "call_later", lambda delay, *what: (delays.append(delay), later(0.0 if delay <= 10 else delay, *what))[1]
    )
    kept = AgentsKept(tmp_path)
    kept.start(())
    await until(lambda: len(writes) == 1)
    await until(lambda: kept._writing is not None and kept._writing.done())
    delays.clear()
    for serial in range(1, 200):
        kept.note([state(f"a{serial % 10}", serial, AgentState.AVAILABLE)])
    assert delays == [standing.SOON_S]
    await until(lambda: len(writes) == 2)
    assert writes == [0, 10]
    await kept.close()


async def test_a_disk_that_takes_nothing_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, body: object, *, force: bool = True) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(standing, "write_file", full)
    kept = AgentsKept(tmp_path)
    kept.start(())
    await until(lambda: "could not be written" in caplog.text)
    await until(lambda: kept._writing is not None and kept._writing.done())
    loop = asyncio.get_running_loop()
    before = loop.time()
    kept.note([state("ann", 1, AgentState.AVAILABLE)])
    assert kept._timer is not None
    assert kept._timer.when() - before == pytest.approx(standing.LATEST_S, abs=1.0)
    await kept.close()
