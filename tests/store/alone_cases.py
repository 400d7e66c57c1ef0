"""Starts while the database is away, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from store_cases import opened
from storekit import QUICK, Database, settled, until

from acd.domain.errors import StoreError
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
