"""Starts while the database is away, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from store_cases import opened
from storekit import QUICK, Database, settled, until

from acd.domain.errors import StoreError
from acd.domain.events import AgentMemory
from acd.domain.lives import ALONE_FIRST
from acd.domain.records import (
    AgentStateChanged,
    CallAnswered,
    CallClosed,
    CallMoved,
    DecisionMade,
    Record,
    SegmentClosed,
    SegmentOpened,
)
from acd.domain.states import AgentState, CallOutcome, OfferOutcome, SegmentKind
from acd.records.verify import Verifier
from acd.store import Store, location
from acd.store.alone import Life, Lives
from acd.store.backend import Backend, UnavailableError
from acd.store.location import Location
from acd.store.operations import Batch
from acd.store.tables import REVISION, agent_states, agents, calls, epochs, segments, writers

T = 1_790_000_000.0
PATIENT = replace(QUICK, connect_s=2.0)

S = SegmentKind
A = AgentState


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is locked is not waited for for seconds."""
    monkeypatch.setattr(location, "_BUSY_S", 0.1)


@asynccontextmanager
async def away(database: Database) -> AsyncIterator[None]:
    way = database.away["stopped" if "stopped" in database.away else "locked"]()
    await asyncio.to_thread(way.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(way.__exit__, None, None, None)


def store_of(database: Database, state_dir: Path) -> Store:
    return Store(database.url, state_dir, PATIENT)


def state(agent: str, serial: int, at: float, state: AgentState, call: str | None = None) -> AgentStateChanged:
    return AgentStateChanged(agent, serial, at, state, None, call, at, "PJSIP/1", None, None)


def talk(call: str, agent: str, at: float, offer: str, first_serial: int) -> list[Record]:
    """A call from its entry to a conversation that goes on."""
    return [
        opened(call, at, channel=call, linkedid=call),
        SegmentOpened(call, 0, S.ENTERED, at, "sales"),
        SegmentClosed(call, 0, at + 1),
        SegmentOpened(call, 1, S.OFFERED, at + 1, "sales", agent, offer),
        DecisionMade(call, 0, at + 1, "offered", agent, offer, "r1", {}),
        state(agent, first_serial, at + 1, A.RESERVED, call),
        SegmentClosed(call, 1, at + 2, OfferOutcome.ANSWERED),
        SegmentOpened(call, 2, S.TALKED, at + 2, "sales", agent, offer),
        CallAnswered(call, agent, at + 2),
        state(agent, first_serial + 1, at + 2, A.TALKING, call),
    ]


def hang_up(call: str, agent: str, at: float, serial: int) -> list[Record]:
    return [
        SegmentClosed(call, 2, at),
        CallClosed(call, at, CallOutcome.ANSWERED, "caller", 16),
        state(agent, serial, at, A.AVAILABLE),
    ]


def violations(database: Database) -> list[str]:
    return [str(one) for one in Verifier(database.url).violations()]


async def first_life(database: Database, tmp_path: Path) -> None:
    """Leaves: ann talking, bob available, a call that waits, an agent nobody defines any more."""
    store = store_of(database, tmp_path)
    await store.open()
    steps: list[Record] = [state(name, 1, T, A.AVAILABLE) for name in ("ann", "bob", "cid")]
    steps += talk("old-talk", "ann", T + 10, "o1", 2)
    steps += [opened("old-wait", T + 20), SegmentOpened("old-wait", 0, S.ENTERED, T + 20, "sales")]
    store.write([*steps, state("cid", 2, T + 30, A.LOGGED_OUT)])
    await store.close()


async def test_a_life_without_the_database_is_in_it_when_it_is_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lives begin without it, one after the other; what was open before them ends where they begin, once."""
    await first_life(database, tmp_path)
    monkeypatch.setattr("time.time", lambda: T + 100)
    before = (tmp_path / "agents.json").read_text()
    back: list[object] = []
    async with away(database):
        second = store_of(database, tmp_path)
        memory = await second.open(on_return=back.append)
        assert second.alone
        assert memory.epoch >= ALONE_FIRST
        assert {(one.agent, one.state, one.serial) for one in memory.agents} == {
            ("ann", A.TALKING, 0),
            ("bob", A.AVAILABLE, 0),
        }
        assert memory.calls == ()
        await settled(
            second,
            second.write(
                [
                    state("ann", 1, T + 101, A.AVAILABLE),
                    *talk("new-talk", "bob", T + 110, "o2", 1),
                    state("cid", 1, T + 112, A.AVAILABLE),
                    opened("new-wait", T + 120, channel="w"),
                    SegmentOpened("new-wait", 0, S.ENTERED, T + 120, "sales"),
                ]
            ),
        )
        assert second.state()["state"] == "spilling"
        await second.close()

        # As when it was killed: what the spill knows of agents is newer than what stands beside it
        (tmp_path / "agents.json").write_text(before)
        third = store_of(database, tmp_path)
        monkeypatch.setattr("time.time", lambda: T + 200)
        memory = await third.open(on_return=back.append)
        assert {(one.agent, one.state) for one in memory.agents} == {
            ("ann", A.AVAILABLE),
            ("bob", A.TALKING),
            ("cid", A.AVAILABLE),
        }
        found = {call.call: call for call in memory.calls}
        assert set(found) == {"new-talk", "new-wait"}
        assert (found["new-talk"].next_segment, found["new-talk"].next_decision) == (3, 1)
        assert [(one.serial, one.kind) for one in found["new-talk"].open_segments] == [(2, "talked")]
        assert found["new-talk"].answered_at == T + 112
        third.write(hang_up("new-talk", "bob", T + 210, 1))
        assert back == []
    await until(lambda: third.state()["state"] == "ok" and bool(back))
    assert back == [(("+491711", "bob"),)] or back == [(("+491711", "ann"),)]
    # Numbered on as before, also where nothing lies in the spill any more
    await settled(third, third.write([state("bob", 2, T + 220, A.LOGGED_OUT)], soon=True))
    closed = [
        SegmentClosed("new-wait", 0, T + 230),
        CallClosed("new-wait", T + 230, CallOutcome.ABANDONED, "caller", 16),
        state("ann", 1, T + 230, A.LOGGED_OUT),
        state("cid", 1, T + 230, A.LOGGED_OUT),
    ]
    await settled(third, third.write(closed, soon=True))
    await third.close()
    rows = {row["call"]: row for row in database.rows(calls)}
    assert {call: (row["outcome"], row["ended_at"]) for call, row in rows.items()} == {
        "old-talk": ("answered", T + 100),
        "old-wait": ("lost_track", T + 100),
        "new-talk": ("answered", T + 210),
        "new-wait": ("abandoned", T + 230),
    }
    assert [row["wait_us"] is None for row in rows.values()] == [False] * 4
    assert {row["call"] for row in database.rows(segments) if row["outcome"] == "restart"} == {"old-talk", "old-wait"}
    numbers = {}
    for row in database.rows(agent_states):
        numbers.setdefault(row["agent"], []).append((row["serial"], row["state"]))
    assert numbers == {
        "ann": [(1, "AVAILABLE"), (2, "RESERVED"), (3, "TALKING"), (4, "AVAILABLE"), (5, "LOGGED_OUT")],
        "bob": [(1, "AVAILABLE"), (2, "RESERVED"), (3, "TALKING"), (4, "AVAILABLE"), (5, "LOGGED_OUT")],
        "cid": [(1, "AVAILABLE"), (2, "LOGGED_OUT"), (3, "AVAILABLE"), (4, "LOGGED_OUT")],
    }
    assert violations(database) == []
    assert [row["epoch"] >= ALONE_FIRST for row in database.rows(epochs)] == [False, True, True]
    assert list((tmp_path / "spill").glob("life-*")) == []
    # A later life counts on from the last one that had counted
    again = store_of(database, tmp_path)
    assert (await again.open()).epoch == 2
    await again.close()


async def test_what_was_settled_is_settled_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before it could let go of what is in the database: the next start does not number it anew."""
    await first_life(database, tmp_path)
    async with away(database):
        second = store_of(database, tmp_path)
        await second.open(on_return=lambda callers: None)
        await settled(second, second.write([state("bob", 1, T + 50, A.LOGGED_OUT)]))
        (path,) = (tmp_path / "spill").glob("spill-*")
        first_line = path.read_bytes()
        await settled(second, second.write([state("bob", 2, T + 60, A.AVAILABLE)]))
        await second.close()
    (life,) = (tmp_path / "spill").glob("life-*")
    lines = {path: path.read_bytes()}
    # The first of two lines had come to the database
    path.write_bytes(first_line)
    monkeypatch.setattr("acd.store.alone.Lives.clear", lambda lives: None)
    third = store_of(database, tmp_path)
    await third.open()
    await third.close()
    assert '"bases":{' in life.read_text()
    stretches = database.rows(segments)
    bob = [row["state"] for row in database.rows(agent_states) if row["agent"] == "bob"]
    assert bob == ["AVAILABLE", "LOGGED_OUT"]
    for path, data in lines.items():
        path.write_bytes(data)
    fourth = store_of(database, tmp_path)
    await fourth.open()
    assert fourth.state()["replayed"] > 0
    assert fourth.state()["refused"] == 0
    await fourth.close()
    bob = [row["state"] for row in database.rows(agent_states) if row["agent"] == "bob"]
    assert bob == ["AVAILABLE", "LOGGED_OUT", "AVAILABLE"]
    assert database.rows(segments) == stretches
    assert violations(database) == []


async def test_rows_whose_numbers_nobody_knows_are_set_aside(database: Database, tmp_path: Path) -> None:
    await first_life(database, tmp_path)
    async with away(database):
        second = store_of(database, tmp_path)
        await second.open(on_return=lambda callers: None)
        await settled(second, second.write([state("bob", 1, T + 50, A.LOGGED_OUT)]))
        await second.close()
    (life,) = (tmp_path / "spill").glob("life-*")
    life.unlink()
    third = store_of(database, tmp_path)
    await third.open()
    await third.close()
    assert [row["state"] for row in database.rows(agent_states) if row["agent"] == "bob"] == ["AVAILABLE"]
    assert "bob" in (tmp_path / "spill" / "refused.jsonl").read_text()


async def test_a_newer_schema_is_refused_and_nothing_is_lost(database: Database, tmp_path: Path) -> None:
    await first_life(database, tmp_path)
    async with away(database):
        second = store_of(database, tmp_path)
        await second.open(on_return=lambda callers: None)
        await settled(second, second.write([opened("kept", T + 50)]))
        await second.close()
    before = database.rows(writers)
    third = store_of(database, tmp_path)
    async with away(database):
        await third.open(on_return=lambda callers: None)
    await until(lambda: third.state()["state"] == "ok")
    database.execute("UPDATE alembic_version SET version_num = 'acd_9999'")
    async with away(database):
        await settled(third, third.write([opened("later", T + 60)], soon=True))
        assert third.state()["state"] == "spilling"
    await until(lambda: "newer acd" in third.state()["unfit"])
    await settled(third, third.write([CallMoved("later", "other")], soon=True))
    assert {row["call"] for row in database.rows(calls)} == {"old-talk", "old-wait", "kept"}
    assert len(database.rows(writers)) > len(before)
    database.execute(f"UPDATE alembic_version SET version_num = '{REVISION}'")
    await until(lambda: third.state()["state"] == "ok")
    assert third.state()["unfit"] == ""
    await third.close()
    assert {row["call"]: row["queue"] for row in database.rows(calls)}["later"] == "other"


async def test_two_lives_of_one_number_are_not_mixed(database: Database, tmp_path: Path) -> None:
    """Another machine may have drawn the same number."""
    await first_life(database, tmp_path)
    async with away(database):
        second = store_of(database, tmp_path)
        epoch = (await second.open(on_return=lambda callers: None)).epoch
        await settled(second, second.write([opened("kept", T + 50)]))
        await second.close()
    start = "1970-01-01T00:00:00.000000Z"
    database.execute(f"INSERT INTO epochs (epoch, started_at, host, pid) VALUES ({epoch}, '{start}', 'other', 1)")
    with pytest.raises(StoreError, match=f"another life {epoch}, of other"):
        await store_of(database, tmp_path).open()
    assert "kept" not in {row["call"] for row in database.rows(calls)}
    assert list((tmp_path / "spill").glob("spill-*"))


async def test_only_who_had_this_database_begins_without_it(database: Database, tmp_path: Path) -> None:
    async with away(database):
        with pytest.raises(StoreError, match="has not had this database before"):
            await store_of(database, tmp_path).open(on_return=lambda callers: None)
        assert not (tmp_path / "served.json").exists()


async def test_agents_are_kept_beside_the_service(database: Database, tmp_path: Path) -> None:
    """Also those who do nothing; nobody who is logged out, and no caller."""
    await first_life(database, tmp_path)
    text = (tmp_path / "agents.json").read_text()
    assert "ann" in text
    assert "cid" not in text
    assert "491711" not in text
    assert (tmp_path / "agents.json").stat().st_mode & 0o777 == 0o600
    second = store_of(database, tmp_path)
    memory = await second.open()
    assert next(one for one in memory.agents if one.agent == "bob").serial == 1
    await second.close()
    assert (tmp_path / "agents.json").read_text() == text
    assert {row["agent"] for row in database.rows(agents)} == {"ann", "bob", "cid"}


async def test_wrap_ups_that_nobody_knows_end_and_those_in_the_spill_go_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrapping(call: str, agent: str, at: float, offer: str, first_serial: int) -> list[Record]:
        return [
            *talk(call, agent, at, offer, first_serial),
            SegmentClosed(call, 2, at + 5),
            SegmentOpened(call, 3, S.WRAPPED, at + 5, "sales", agent, offer),
            CallClosed(call, at + 5, CallOutcome.ANSWERED, "caller", 16),
            state(agent, first_serial + 2, at + 5, A.WRAP_UP, call),
        ]

    first = store_of(database, tmp_path)
    await first.open()
    first.write([state("ann", 1, T, A.AVAILABLE), *wrapping("one", "ann", T + 10, "o1", 2)])
    await first.close()
    monkeypatch.setattr("time.time", lambda: T + 100)
    async with away(database):
        second = store_of(database, tmp_path)
        memory = await second.open(on_return=lambda callers: None)
        assert [(one.agent, one.state) for one in memory.agents] == [("ann", A.WRAP_UP)]
        assert memory.wraps == ()
        second.write(
            [
                state("ann", 1, T + 101, A.AVAILABLE),
                state("bob", 1, T + 101, A.AVAILABLE),
                *wrapping("two", "bob", T + 110, "o2", 2),
            ]
        )
        await second.close()
        monkeypatch.setattr("time.time", lambda: T + 200)
        third = store_of(database, tmp_path)
        memory = await third.open(on_return=lambda callers: None)
        assert [(one.call, one.serial, one.agent) for one in memory.wraps] == [("two", 3, "bob")]
        assert memory.calls == ()
        third.write([SegmentClosed("two", 3, T + 210), state("bob", 1, T + 210, A.AVAILABLE)])
    await until(lambda: third.state()["state"] == "ok")
    await third.close()
    ends = {
        (row["call"], row["outcome"]): row["ended_at"] for row in database.rows(segments) if row["kind"] == "wrapped"
    }
    assert ends == {("one", "restart"): T + 100, ("two", None): T + 210}
    assert [row["wrap_us"] for row in database.rows(calls)] == [85_000_000, 95_000_000]
    assert violations(database) == []


async def test_who_is_otherwise_than_the_database_knows_is_so_from_the_beginning(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept beside the service may be older or newer than what the database had, or lost."""
    await first_life(database, tmp_path)
    kept = [row for row in json.loads((tmp_path / "agents.json").read_text()) if row["agent"] != "ann"]
    bob = next(row for row in kept if row["agent"] == "bob")
    (tmp_path / "agents.json").write_text(json.dumps([{**bob, "state": "PAUSED", "reason": "lunch"}]))
    monkeypatch.setattr("time.time", lambda: T + 100)
    async with away(database):
        second = store_of(database, tmp_path)
        memory = await second.open(on_return=lambda callers: None)
        assert [(one.agent, one.state, one.reason) for one in memory.agents] == [("bob", A.PAUSED, "lunch")]
        second.write([state("bob", 1, T + 150, A.AVAILABLE)])
    await until(lambda: second.state()["state"] == "ok")
    await second.close()
    found: dict[str, list[tuple[str, float]]] = {}
    for row in database.rows(agent_states):
        found.setdefault(row["agent"], []).append((row["state"], row["started_at"] - T))
    assert found["bob"] == [("AVAILABLE", 0), ("PAUSED", 100), ("AVAILABLE", 150)]
    assert found["ann"][-2:] == [("TALKING", 12), ("LOGGED_OUT", 100)]
    assert found["cid"][-1] == ("LOGGED_OUT", 30)
    assert violations(database) == []


async def test_what_another_machine_took_up_meanwhile_is_left_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await first_life(database, tmp_path / "here")
    monkeypatch.setattr("time.time", lambda: T + 100)
    async with away(database):
        second = store_of(database, tmp_path / "here")
        await second.open(on_return=lambda callers: None)
        await settled(second, second.write([opened("ours", T + 110)]))
        await second.close()
    other = store_of(database, tmp_path / "there")
    await other.open()
    await settled(other, other.write([opened("theirs", T + 120)], soon=True))
    await other.close()
    third = store_of(database, tmp_path / "here")
    memory = await third.open()
    assert [call.call for call in memory.calls] == ["ours", "theirs"]
    await third.close()


async def killed(store: Store, state_dir: Path) -> Path:
    """What stands beside the service when it is killed now, for the next life; ``store`` comes to its end elsewhere."""
    left = state_dir.with_name(f"{state_dir.name}-")
    shutil.copytree(state_dir, left)
    await store.close()
    return left


def wrap_up(agent: str, serial: int, at: float, until_at: float) -> AgentStateChanged:
    return replace(state(agent, serial, at, A.WRAP_UP, "gone"), until=until_at)


def intervals(database: Database, agent: str) -> list[tuple[int, str, float, float | None]]:
    return [
        (row["serial"], row["state"], row["started_at"] - T, row["ended_at"] and row["ended_at"] - T)
        for row in database.rows(agent_states)
        if row["agent"] == agent
    ]


async def test_lives_in_a_row_do_not_date_states_before_what_the_database_knows(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The database comes back for a while, and what stands beside the service is older than what it was given then: a
    wrap-up that was over long ago, and somebody who had not logged in yet."""
    at = tmp_path / "1"
    at.mkdir()
    first = store_of(database, at)
    await first.open()
    first.write([state("ann", 1, T, A.AVAILABLE), wrap_up("ann", 2, T + 10, T + 11)])
    await first.close()
    old = (at / "agents.json").read_text()
    monkeypatch.setattr("time.time", lambda: T + 15)
    async with away(database):
        second = store_of(database, at)
        (began,) = (await second.open(on_return=lambda callers: None)).agents
        assert (began.state, began.since, began.until) == (A.WRAP_UP, T + 10, T + 11)
        # Its end is told as of then, though the life began later
        await settled(second, second.write([state("ann", 1, T + 11, A.AVAILABLE)]))
    await until(lambda: second.state()["state"] == "ok")
    since = [state("ann", 2, T + 30, A.PAUSED), state("bob", 1, T + 30, A.AVAILABLE)]
    await settled(second, second.write([replace(since[0], reason="lunch"), since[1]], soon=True))
    await until(lambda: second.state()["behind"] == 0)
    async with away(database):
        at = await killed(second, at)
        for path in (at / "spill").glob("spill-*"):
            path.unlink()
        (at / "agents.json").write_text(old)
        monkeypatch.setattr("time.time", lambda: T + 40)
        third = store_of(database, at)
        (began,) = (await third.open(on_return=lambda callers: None)).agents
        assert began.state is A.WRAP_UP
        await settled(third, third.write([state("ann", 1, T + 11, A.AVAILABLE)]))
        at = await killed(third, at)
        monkeypatch.setattr("time.time", lambda: T + 50)
        # And once more, with the one before in the spill, and what stands beside the service as old as ever
        (at / "agents.json").write_text(old)
        fourth = store_of(database, at)
        (began,) = (await fourth.open(on_return=lambda callers: None)).agents
        assert began.state is A.AVAILABLE
        fourth.write([wrap_up("ann", 1, T + 60, T + 61), state("bob", 1, T + 62, A.AVAILABLE)])
    await until(lambda: fourth.state()["state"] == "ok")
    await fourth.close()
    assert intervals(database, "ann") == [
        (1, "AVAILABLE", 0, 10),
        (2, "WRAP_UP", 10, 11),
        (3, "AVAILABLE", 11, 30),
        (4, "PAUSED", 30, 40),
        (5, "AVAILABLE", 40, 60),
        (6, "WRAP_UP", 60, None),
    ]
    assert intervals(database, "bob") == [
        (1, "AVAILABLE", 30, 40),
        (2, "LOGGED_OUT", 40, 62),
        (3, "AVAILABLE", 62, None),
    ]
    assert violations(database) == []
    assert (
        "knew 1 agents otherwise than the database, who are as of its beginning what it took them for: bob LOGGED_OUT"
        in (caplog.text)
    )


async def test_a_wrap_up_that_goes_on_is_as_of_the_beginning(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store_of(database, tmp_path)
    await first.open()
    first.write([state("ann", 1, T, A.AVAILABLE), wrap_up("ann", 2, T + 10, T + 50)])
    await first.close()
    database.execute("UPDATE agents SET state = 'AVAILABLE', call = NULL WHERE agent = 'ann'")
    monkeypatch.setattr("time.time", lambda: T + 20)
    async with away(database):
        second = store_of(database, tmp_path)
        await second.open(on_return=lambda callers: None)
        second.write([state("bob", 1, T + 21, A.AVAILABLE)])
    await until(lambda: second.state()["state"] == "ok")
    assert intervals(database, "ann")[1:] == [(2, "WRAP_UP", 10, 20), (3, "WRAP_UP", 20, None)]
    assert [row["until"] for row in database.rows(agents) if row["agent"] == "ann"] == [T + 50]
    await settled(second, second.write([state("ann", 1, T + 50, A.AVAILABLE)]))
    await second.close()
    assert intervals(database, "ann")[2:] == [(3, "WRAP_UP", 20, 50), (4, "AVAILABLE", 50, None)]


async def test_what_another_machine_wrote_of_agents_meanwhile_is_not_overlapped(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    await first_life(database, here)
    monkeypatch.setattr("time.time", lambda: T + 100)
    async with away(database):
        second = store_of(database, here)
        await second.open(on_return=lambda callers: None)
        hung_up = [state("ann", 1, T + 101, A.AVAILABLE), state("bob", 1, T + 110, A.AVAILABLE)]
        await settled(second, second.write([*hung_up, state("bob", 2, T + 300, A.LOGGED_OUT)]))
        await second.close()
    other = store_of(database, tmp_path / "there")
    await other.open()
    other.write([state("ann", 4, T + 200, A.AVAILABLE), state("bob", 2, T + 200, A.LOGGED_OUT)])
    await other.close()
    third = store_of(database, here)
    await third.open()
    await third.close()
    assert intervals(database, "ann")[3:] == [(4, "AVAILABLE", 200, 200), (5, "AVAILABLE", 200, None)]
    assert [one[1:] for one in intervals(database, "bob")] == [
        ("AVAILABLE", 0, 200),
        ("LOGGED_OUT", 200, 200),
        ("AVAILABLE", 200, 200),
        ("AVAILABLE", 200, 300),
        ("LOGGED_OUT", 300, None),
    ]


@contextmanager
def cut_after(monkeypatch: pytest.MonkeyPatch, had: set[tuple[str, int]], more: int) -> Iterator[None]:
    """The database takes so many more batches than those it had."""
    backend, limit = Location.backend, len(had) + more

    def cut(self: Location) -> Backend:
        made = backend(self)
        apply = made.apply

        async def one_by_one(of: Sequence[Batch], within_s: float) -> None:
            for batch in of:
                if len(had | {(batch.writer, batch.number)}) > limit:
                    raise UnavailableError("cut off")
                await apply([batch], within_s)
                had.add((batch.writer, batch.number))

        made.apply = one_by_one  # type: ignore[method-assign]
        return made

    with monkeypatch.context() as patch:
        patch.setattr(Location, "backend", cut)
        yield


async def lives_in_a_row(database: Database, at: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four of them, all killed; the first begins with what was no longer so."""
    await first_life(database, at)
    kept = json.loads((at / "agents.json").read_text())
    bob = next(row for row in kept if row["agent"] == "bob")
    bob |= {"state": "WRAP_UP", "call": "gone", "since": T - 5, "until": T - 4}
    stale = json.dumps(kept)
    async with away(database):
        for began in (T + 100, T + 200, T + 300, T + 400):
            monkeypatch.setattr("time.time", lambda began=began: began)
            (at / "agents.json").write_text(stale)
            store = store_of(database, at)
            known = {one.agent: one for one in (await store.open(on_return=lambda callers: None)).agents}
            was_until = known["bob"].until
            assert was_until is not None
            await settled(store, store.write([state("bob", 1, was_until, A.AVAILABLE)]))
            if began == T + 100:
                await settled(store, store.write([state("ann", 1, began + 1, A.AVAILABLE)]))
            await settled(store, store.write([wrap_up("bob", 2, began + 10, began + 20)]))
            at = await killed(store, at)
    return at


def check_lives_in_a_row(database: Database) -> None:
    assert intervals(database, "bob") == [
        (1, "AVAILABLE", 0, 100),
        (2, "AVAILABLE", 100, 110),
        (3, "WRAP_UP", 110, 120),
        (4, "AVAILABLE", 120, 210),
        (5, "WRAP_UP", 210, 220),
        (6, "AVAILABLE", 220, 310),
        (7, "WRAP_UP", 310, 320),
        (8, "AVAILABLE", 320, 410),
        (9, "WRAP_UP", 410, None),
    ]
    assert intervals(database, "ann")[2:] == [(3, "TALKING", 12, 101), (4, "AVAILABLE", 101, None)]
    assert violations(database) == []


async def test_killed_anywhere_while_several_lives_are_settled(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every time with one batch more in the database: settlements, and what follows them."""
    at = await lives_in_a_row(database, tmp_path / "1", monkeypatch)
    had: set[tuple[str, int]] = set()
    cuts, whole = 0, False
    while not whole:
        store = store_of(database, at)
        with cut_after(monkeypatch, had, min(cuts, 1)), suppress(UnavailableError):
            await store.open()
            whole = True
        cuts += 1
    await store.close()
    # Nine batches and four settlements
    assert (cuts, len(had)) == (14, 13)
    check_lives_in_a_row(database)


async def test_a_settlement_that_could_not_be_written_down_is_when_it_can(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = await lives_in_a_row(database, tmp_path / "1", monkeypatch)
    keep, tried, kept = Lives.keep, list[str](), list[str]()

    def full_at_first(self: Lives, life: Life) -> None:
        tried.append(life.writer)
        if tried.count(life.writer) == 1:
            raise OSError("No space left on device")
        keep(self, life)
        kept.append(life.writer)

    monkeypatch.setattr(Lives, "keep", full_at_first)
    store = store_of(database, at)
    await store.open()
    await store.close()
    assert store.state()["state"] == "closed"
    assert len(set(tried)) == len(kept) == 4
    assert not list((at / "spill").glob("refused*"))
    check_lives_in_a_row(database)


@pytest.mark.parametrize("seed", range(4))
async def test_any_lives_in_a_row_leave_lawful_states(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Agents who do as they like, in lives with the database and without it, killed at any time; what stands beside the
    service is of any time before."""
    luck = random.Random(seed)
    at, now = tmp_path / "1", T
    monkeypatch.setattr("time.time", lambda: now)
    at.mkdir()
    first = store_of(database, at)
    await first.open()
    await first.close()
    kept = ["[]"]
    for _ in range(6):
        store = store_of(database, at)
        alone = luck.random() < 0.75
        async with away(database) if alone else nullcontext():
            memory = await store.open(on_return=lambda callers: None)
            agents_now = {one.agent: one for one in memory.agents}
            await settled(store, store.write(_pass(luck, agents_now, now, now)))
            for _ in range(luck.randrange(4)):
                before, now = now, now + luck.random() * 10
                await settled(store, store.write(_pass(luck, agents_now, before, now)))
                kept.append(json.dumps([asdict(one) for one in agents_now.values() if one.state is not A.LOGGED_OUT]))
        if luck.random() < 0.5:
            await until(lambda store=store: store.state()["state"] == "ok" and store.state()["behind"] == 0)  # type: ignore[misc]
            await settled(store, store.write(_pass(luck, agents_now, now, now + 1), soon=True))
        async with away(database):
            at = await killed(store, at)
        now += 1 + luck.random() * 5
        (at / "agents.json").write_text(luck.choice(kept[-4:]))
    last = store_of(database, at)
    await last.open()
    await last.close()
    assert violations(database) == []
    assert len(database.rows(agent_states)) > 10


def _pass(luck: random.Random, known: dict[str, AgentMemory], before: float, now: float) -> list[Record]:
    """What agents do until then, as the floor tells it: a wrap-up that is over ends when it was to end."""
    done: list[Record] = []

    def enter(agent: str, at: float, to: AgentState, until_at: float | None = None) -> None:
        was = known.get(agent)
        serial, since = (was.serial, was.since) if was is not None else (0, 0.0)
        at = max(at, since)
        reason = "x" if to is A.PAUSED else None
        call = "gone" if to is A.WRAP_UP else None
        one = AgentStateChanged(agent, serial + 1, at, to, reason, call, at, None, None, until_at)
        known[agent] = AgentMemory(agent, to, reason, at, at, serial + 1, None, None, until_at, call)
        done.append(one)

    for agent in ("ann", "bob", "cid"):
        was = known.get(agent)
        if was is not None and was.state is A.WRAP_UP and (was.until or now) <= now:
            enter(agent, was.until or now, A.AVAILABLE)
        if now > before and luck.random() < 0.7:
            at = before + luck.random() * (now - before)
            others = [
                to for to in (A.AVAILABLE, A.PAUSED, A.WRAP_UP, A.LOGGED_OUT) if was is None or to is not was.state
            ]
            enter(agent, at, luck.choice(others), at + luck.random() * 6)
    return done
