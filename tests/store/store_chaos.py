"""The database goes away in every way it can: nothing acknowledged may be missing afterwards, nothing be there twice.
Collected by test_chaos_sqlite.py and test_chaos_postgres.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_cases import opened
from storekit import QUICK, Database, Reference, new_store, settled, until

from acd.domain.errors import StoreError
from acd.domain.records import CallClosed
from acd.domain.states import CallOutcome
from acd.store import Store, StoreOptions
from acd.store.generated import Traffic
from acd.store.tables import calls, epochs

HERE = Path(__file__).resolve().parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every way this database has of being away."""
    if "way" in metafunc.fixturenames:
        module = metafunc.module
        metafunc.parametrize("way", module.WAYS)


async def play(store: Store, reference: Reference, traffic: Traffic, calls_made: int) -> int:
    """Calls beside each other; the last ticket."""
    ticket, under_way = 0, [traffic.call() for _ in range(calls_made)]
    while under_way:
        for call in list(under_way):
            step = next(call, None)
            if step is None:
                under_way.remove(call)
                continue
            reference.add_all(step)
            ticket = store.write(step)
        await asyncio.sleep(0)
    return ticket


async def test_records_outlive_a_database_that_is_away(
    database: Database, tmp_path: Path, way: str, options: StoreOptions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store, reference, traffic = new_store(database, tmp_path, options), Reference(), Traffic(agents=9)
    await store.open()
    await settled(store, await play(store, reference, traffic, 20))
    loop = asyncio.get_running_loop()
    away = database.away[way]()
    await asyncio.to_thread(away.__enter__)
    try:
        began = loop.time()
        ticket = await play(store, reference, traffic, 20)
        await settled(store, ticket, 5.0)
        await until(lambda: store.state()["state"] == "spilling", 5.0)
        noticed_s = loop.time() - began
        assert store.state()["spilled"] > 0
        assert store.state()["detail"]
        # Later records do not wait for a database known to be away.
        began = loop.time()
        await settled(store, await play(store, reference, traffic, 5), 5.0)
        assert loop.time() - began < QUICK.patience_s
        assert noticed_s < 3 * QUICK.patience_s
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    await play(store, reference, traffic, 5)
    await until(lambda: store.state()["state"] == "ok", 30.0)
    await settled(store, await play(store, reference, traffic, 5))
    assert store.state()["dropped"] == store.state()["refused"] == store.state()["damaged"] == 0
    await store.close()
    assert list((tmp_path / "spill").iterdir()) == [tmp_path / "spill" / "lock"]
    assert database.contents() == reference.contents()
    assert "records stay in the spill from now on" in caplog.text
    assert "the database is back" in caplog.text


async def test_it_goes_away_again_and_again(
    database: Database, tmp_path: Path, way: str, options: StoreOptions
) -> None:
    store, reference, traffic = new_store(database, tmp_path, options), Reference(), Traffic(agents=9)
    await store.open()
    for _ in range(3):
        away = database.away[way]()
        await asyncio.to_thread(away.__enter__)
        try:
            await settled(store, await play(store, reference, traffic, 5), 10.0)
        finally:
            await asyncio.to_thread(away.__exit__, None, None, None)
        # Not waiting for the replay's end: the next time falls into the middle of it.
        await settled(store, await play(store, reference, traffic, 5), 10.0)
    await until(lambda: store.state()["state"] == "ok", 30.0)
    await store.close()
    assert database.contents() == reference.contents()


async def test_the_next_life_brings_in_what_the_last_one_spilled(
    database: Database, tmp_path: Path, way: str, options: StoreOptions
) -> None:
    store, reference, traffic = new_store(database, tmp_path, options), Reference(), Traffic(agents=9)
    await store.open()
    away = database.away[way]()
    await asyncio.to_thread(away.__enter__)
    try:
        reference.add(opened("waiting"))
        store.write([opened("waiting")])
        await settled(store, await play(store, reference, traffic, 10), 10.0)
        await asyncio.wait_for(store.close(), 10.0)
        if not database.url.startswith("sqlite"):
            with pytest.raises(StoreError, match=re.compile("within|refused|closed|failed", re.I)):
                await new_store(database, tmp_path, StoreOptions(connect_s=0.5)).open()
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    segments = list((tmp_path / "spill").glob("spill-*.jsonl"))
    assert segments
    assert all(segment.stat().st_mode & 0o777 == 0o600 for segment in segments)
    again = new_store(database, tmp_path)
    memory = await again.open()
    assert [call.call for call in memory.calls] == ["waiting"]
    assert memory.epoch == 2
    assert again.state()["replayed"] > 0
    await again.close()
    assert database.contents() == reference.contents()
    assert [row["stopped_at"] is None for row in database.rows(epochs)] == [True, False]


async def test_a_time_that_is_none_costs_no_call_whether_stored_or_spilled(
    database: Database, tmp_path: Path, way: str
) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    await settled(store, store.write([opened("nan", float("nan")), opened("inf", float("inf")), opened("next")]))
    assert await store.flush()
    away = database.away[way]()
    await asyncio.to_thread(away.__enter__)
    try:
        await settled(store, store.write([opened("nan2", float("nan")), opened("inf2", float("inf")), opened("next2")]))
        await asyncio.wait_for(store.close(), 10.0)
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    later = new_store(database, tmp_path)
    await later.open()
    await later.close()
    rows = {row["call"]: row["entered_at"] for row in database.rows(calls)}
    assert set(rows) == {"nan", "inf", "next", "nan2", "inf2", "next2"}
    assert rows["nan"] == rows["nan2"] == 0.0
    assert rows["inf"] == rows["inf2"]


async def test_a_damaged_spill_is_set_aside_and_the_rest_replayed(
    database: Database, tmp_path: Path, options: StoreOptions, caplog: pytest.LogCaptureFixture
) -> None:
    way = next(iter(database.away))
    store, reference = new_store(database, tmp_path, options), Reference()
    await store.open()
    away = database.away[way]()
    await asyncio.to_thread(away.__enter__)
    try:
        for n in range(10):
            reference.add(opened(f"c{n}"))
            await settled(store, store.write([opened(f"c{n}")]))
        await store.close()
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    (segment,) = (tmp_path / "spill").glob("spill-*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    hurt = next(n for n, line in enumerate(lines) if b'"c4"' in line)
    lines[hurt] = lines[hurt].replace(b"sales", b"salEs")
    segment.write_bytes(b"".join(lines)[:-40])
    again = new_store(database, tmp_path)
    await again.open()
    assert again.state()["damaged"] == 2
    await again.close()
    left = [row["call"] for row in database.rows(calls)]
    assert left == [f"c{n}" for n in range(10) if n not in (4, 9)]
    aside = segment.with_name(segment.name + ".damaged")
    assert aside.read_bytes().splitlines()[0] == lines[hurt].rstrip(b"\n")
    assert aside.stat().st_mode & 0o777 == 0o600
    assert not segment.exists()
    assert "damaged lines" in caplog.text


async def test_only_a_full_spill_and_a_full_memory_drop_and_only_the_newest(
    database: Database, tmp_path: Path, options: StoreOptions, caplog: pytest.LogCaptureFixture
) -> None:
    way = next(iter(database.away))
    small = replace(options, pace_s=0.0, patience_s=0.3, retry_min_s=0.05, spill_limit_bytes=30_000, held_max=2000)
    store = new_store(database, tmp_path, small)
    heard: list[int] = []
    store.on_durable(heard.append)
    await store.open()
    away = database.away[way]()
    await asyncio.to_thread(away.__enter__)
    tickets: dict[int, int] = {}
    try:
        n = 0
        while store.state()["dropped"] < 10:
            tickets[n] = store.write([opened(f"c{n:05d}")])
            n += 1
            await asyncio.sleep(0.0005)
            assert n < 20_000
        assert store.state()["state"] == "full"
        assert store.state()["spilled_bytes"] <= 30_000
        assert not store.durable(tickets[n - 1])
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    await until(lambda: store.state()["state"] == "ok")
    tickets[n] = store.write([opened(f"c{n:05d}")])
    await settled(store, tickets[n])
    assert heard[-1] == tickets[n]
    dropped = store.state()["dropped"]
    lost = [number for number, ticket in tickets.items() if not store.durable(ticket)]
    assert len(lost) == dropped
    assert lost == list(range(lost[0], lost[0] + dropped))
    assert "the newest records are dropped, " in caplog.text
    await store.close()
    assert [int(row["call"][1:]) for row in database.rows(calls)] == sorted(set(tickets) - set(lost))


def start_victim(
    database: Database, state: Path, prefix: str, durable_in: str, database_pace_s: float
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "victim.py"), database.url, str(state), prefix, durable_in, str(database_pace_s)],
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(victim: subprocess.Popen[str], at: dict[int, Callable[[], object]]) -> list[str]:
    """Read acknowledgements to the end; do what ``at`` says once there are that many."""
    assert victim.stdout is not None
    lines = []
    for line in victim.stdout:
        lines.append(line)
        at.get(len(lines), lambda: None)()
    victim.wait()
    return [line.strip() for line in lines if line.endswith("\n")]


async def test_kill_9_at_any_moment_loses_nothing_acknowledged(
    database: Database, tmp_path: Path, options: StoreOptions
) -> None:
    seed = int(os.environ.get("ACD_SEED", "0")) or random.SystemRandom().randrange(10**6)
    print(f"ACD_SEED={seed}")
    chance = random.Random(seed)
    way = next(iter(database.away))
    for life in range(4):
        # In the one most of what is acknowledged is in no database yet, in the other some of it is.
        pace_s = 3600.0 if life < 2 else 0.02
        victim = start_victim(database, tmp_path, f"l{life}-", options.durable_in, pace_s)
        count = chance.randrange(1, 400)
        at: dict[int, Callable[[], object]] = {count: victim.kill}
        away = None
        if life % 2:
            # Without the spill, the acknowledgements between are the database's, or already the spill's.
            away = database.away[way]()
            at = {count: away.__enter__, count + chance.randrange(1, 400): victim.kill}
        told = await asyncio.to_thread(acknowledged, victim, at)
        if away is not None:
            await asyncio.to_thread(away.__exit__, None, None, None)
        assert told, f"the victim never began; seed {seed}"
        await look_after(database, tmp_path, told, life, seed)


async def look_after(database: Database, tmp_path: Path, told: list[str], life: int, seed: int) -> None:
    """The next life after a killed one: all that was told is there, and what is open is remembered."""
    store = new_store(database, tmp_path)
    memory = await store.open()
    assert memory.epoch == 2 * life + 2
    rows = {row["call"]: row for row in database.rows(calls)}
    for what in told:
        call, _, fact = what.partition(" ")
        assert call in rows, f"{what}: seed {seed}"
        assert fact == "opened" or rows[call]["ended_at"] is not None, f"{what}: seed {seed}"
    await store.close()
    assert [call.call for call in memory.calls] == [
        call
        for call, row in sorted(rows.items(), key=lambda item: (item[1]["entered_at"], item[0]))
        if row["ended_at"] is None
    ]


async def test_an_end_that_nobody_began_is_no_trouble(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    await settled(store, store.write([CallClosed("never seen", 5.0, CallOutcome.ANSWERED, "agent", 16)]))
    assert database.rows(calls) == []
    await store.close()


async def test_two_services_do_not_share_a_spill(database: Database, tmp_path: Path) -> None:
    first, second = new_store(database, tmp_path), new_store(database, tmp_path)
    await first.open()
    with pytest.raises(StoreError, match="another acd uses"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_closing_is_bounded_with_the_database_away(database: Database, tmp_path: Path, way: str) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    away = database.away[way]()
    await asyncio.to_thread(away.__enter__)
    try:
        store.write([opened("last")])
        loop = asyncio.get_running_loop()
        began = loop.time()
        await store.close()
        assert loop.time() - began < 5.0
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    again: Any = new_store(database, tmp_path)
    memory = await again.open()
    assert [call.call for call in memory.calls] == ["last"]
    await again.close()
