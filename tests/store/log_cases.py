"""The spill as the first durable place: what is durable when, what the database gets when, and what holds when either
fails. Collected by test_log_sqlite.py and test_log_postgres.py.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_cases import T, opened
from store_chaos import play
from storekit import QUICK, Database, Reference, new_store, settled, until

from acd.domain.records import CallMoved, SegmentClosed, SegmentOpened
from acd.domain.states import SegmentKind
from acd.store import Store
from acd.store.backend import UnavailableError
from acd.store.generated import Traffic
from acd.store.location import locate
from acd.store.operations import Batch
from acd.store.tables import calls, segments, writers

LATER = replace(QUICK, database_pace_s=3600.0)
"""The database gets nothing unless it is asked for."""


@pytest.fixture
def applied(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[list[Batch]]:
    """Every transaction that took effect."""
    made: list[list[Batch]] = []
    of = type(locate(database.url).backend())
    apply = of.apply

    async def noting(self: Any, batches: Sequence[Batch], within_s: float) -> None:
        await apply(self, batches, within_s)
        made.append(list(batches))

    monkeypatch.setattr(of, "apply", noting)
    return made


def no_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether the spill's disk is full."""
    full = False
    sync = os.fdatasync

    def fdatasync(file: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    def set_full(now: bool) -> None:
        nonlocal full
        full = now

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return set_full


async def test_records_are_durable_before_the_database_has_them(database: Database, tmp_path: Path) -> None:
    store, reference, traffic = new_store(database, tmp_path, LATER), Reference(), Traffic(agents=5)
    await store.open()
    await settled(store, await play(store, reference, traffic, 10))
    assert (store.state()["state"], store.state()["behind"]) == ("ok", 210)
    assert database.rows(calls) == []
    assert await store.flush()
    assert store.state()["behind"] == 0
    assert database.contents() == reference.contents()
    await store.close()


async def test_what_begins_and_ends_between_two_transactions_is_one_insert(
    database: Database, tmp_path: Path, applied: list[list[Batch]]
) -> None:
    store = new_store(database, tmp_path, LATER)
    await store.open()
    steps = list(Traffic().call(T))
    for step in steps:
        await settled(store, store.write(step))
    assert store.state()["batches"] == len(steps)
    assert applied == []
    assert await store.flush()
    ((batch,),) = applied
    assert {name: len(rows) for name, rows in batch.rows.items()} == {
        "calls": 1, "segments": 6, "decisions": 1, "agent_states": 5, "agent_states_end": 1, "agents": 1
    }  # fmt: skip
    assert database.rows(writers)[-1]["batch"] == sum(map(len, steps))
    await store.close()


async def test_the_database_follows_by_itself_and_the_spill_is_let_go_of(
    database: Database, tmp_path: Path, applied: list[list[Batch]]
) -> None:
    store, reference, traffic = new_store(database, tmp_path), Reference(), Traffic(agents=5)
    await store.open()
    # The file stays, and holds no batch.
    segment = tmp_path / "spill" / "spill-00000001.jsonl"
    for _ in range(5):
        await settled(store, await play(store, reference, traffic, 10))
        await until(lambda: store.state()["behind"] == 0)
        await until(lambda: segment.read_bytes().count(b"\n") == 1)
    assert database.contents() == reference.contents()
    await store.close()
    assert list((tmp_path / "spill").iterdir()) == [tmp_path / "spill" / "lock"]
    assert len(applied) >= 5


async def test_whoever_asks_sees_what_was_written_just_now(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path, replace(LATER, pace_s=3600.0))
    await store.open()
    assert await store.flush(), "there is nothing, so it is everywhere"
    for n in range(5):
        store.write([opened(f"c{n}", T + n)])
        assert [row["call"] for row in await store.records.calls()] == [f"c{k}" for k in range(n, -1, -1)]
    store.write([SegmentOpened("c0", 0, SegmentKind.WAITED, T)])
    whole = await store.records.call("c0")
    assert whole is not None
    assert len(whole["segments"]) == 1
    assert store.state()["transactions"] == 6
    await store.records.decisions("c0")
    assert store.state()["transactions"] == 6, "what is there already needs no transaction"
    await store.close()
    assert not await store.flush()


@pytest.mark.parametrize("amid", [True, False], ids=["the writer waits already", "in one go"])
async def test_what_happened_long_ago_waits_no_longer(database: Database, tmp_path: Path, amid: bool) -> None:
    store = new_store(database, tmp_path, replace(LATER, pace_s=3600.0))
    await store.open()
    first = store.write([opened("c1")])
    for _ in range(5 if amid else 0):
        await asyncio.sleep(0)
    store.write([opened("c2")], age_s=60.0)
    assert not store.durable(first)
    last = store.write([opened("c3")], age_s=3600.0)
    await settled(store, last)
    assert store.durable(first)
    await store.close()


async def test_many_who_ask_at_once_share_a_transaction(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path, LATER)
    await store.open()
    for n in range(50):
        store.write([opened(f"c{n}")])
    assert all(await asyncio.gather(*(store.flush() for _ in range(50))))
    assert store.state()["transactions"] == 1
    await store.close()


async def test_asking_is_bounded_with_the_database_away(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path, LATER)
    await store.open()
    away = database.away[next(iter(database.away))]()
    await asyncio.to_thread(away.__enter__)
    try:
        store.write([opened("a")])
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert not await store.flush()
        assert loop.time() - began < 3 * LATER.patience_s
        await until(lambda: store.state()["state"] == "spilling")
        began = loop.time()
        assert not await store.flush()
        assert loop.time() - began < 0.1
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    await until(lambda: store.state()["state"] == "ok")
    assert await store.flush()
    assert len(database.rows(calls)) == 1
    await store.close()


async def test_somebody_who_waits_holds_up_only_the_order(database: Database, tmp_path: Path) -> None:
    """With the database away they are told once the spill is all there is; tickets stay in order."""
    store = new_store(database, tmp_path, LATER)
    heard: list[int] = []
    store.on_durable(heard.append)
    await store.open()
    # Where it says nothing at all, not where it says no.
    away = database.away["frozen" if "frozen" in database.away else "locked"]()
    await asyncio.to_thread(away.__enter__)
    try:
        first = store.write([opened("a")])
        waited = store.write([opened("b")], soon=True)
        last = store.write([opened("c")])
        await settled(store, first)
        assert not store.durable(waited)
        await settled(store, last, 3 * LATER.patience_s)
        assert store.durable(waited)
        assert store.state()["state"] == "spilling"
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    # Nobody is forgotten over the return of the database.
    n = 0
    while store.state()["state"] != "ok" or n < 10:
        await settled(store, store.write([opened(f"d{n}")], soon=True), 10.0)
        n += 1
    assert heard == sorted(heard)
    await store.close()


# --- the spill fails ------------------------------------------------------------------------------------------------


async def test_without_a_spill_the_database_gets_everything_at_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_full = no_disk(monkeypatch)
    store, reference, traffic = new_store(database, tmp_path, LATER), Reference(), Traffic(agents=5)
    await store.open()
    # Some are in the spill only when it fails: they come first.
    await settled(store, await play(store, reference, traffic, 5))
    assert database.rows(calls) == []
    set_full(True)
    await settled(store, await play(store, reference, traffic, 5))
    assert store.state()["state"] == "ok"
    assert "No space left" in store.state()["detail"]
    assert "records go into the database at once" in caplog.text
    assert store.state()["behind"] == 0
    assert database.contents() == reference.contents()
    set_full(False)

    async def with_spill() -> bool:
        await settled(store, await play(store, reference, traffic, 1))
        return bool(store.state()["detail"] == "" and store.state()["behind"] > 0)

    async with asyncio.timeout(10):
        while not await with_spill():
            pass
    await store.close()
    assert store.state()["state"] == "closed"
    assert database.contents() == reference.contents()


async def test_a_spill_at_its_bound_is_relieved_by_the_database(database: Database, tmp_path: Path) -> None:
    small = replace(LATER, spill_limit_bytes=30_000)
    store, reference, traffic = new_store(database, tmp_path, small), Reference(), Traffic(agents=5)
    await store.open()
    for _ in range(30):
        await settled(store, await play(store, reference, traffic, 3))
        assert store.state()["state"] == "ok"
    size = sum(path.stat().st_size for path in (tmp_path / "spill").iterdir())
    assert size <= 30_000
    assert store.state()["transactions"] > 1
    await store.close()
    assert database.contents() == reference.contents()


async def test_a_disk_that_hangs_is_not_waited_for(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thawed, hangs = threading.Event(), threading.Event()
    sync = os.fdatasync

    def fdatasync(file: int) -> None:
        if hangs.is_set():
            assert thawed.wait(30.0)
        sync(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    store, reference, traffic = new_store(database, tmp_path, LATER), Reference(), Traffic(agents=5)
    await store.open()
    await settled(store, await play(store, reference, traffic, 5))
    hangs.set()
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await settled(store, await play(store, reference, traffic, 5), 5.0)
        assert loop.time() - began < 3 * LATER.patience_s
        assert database.contents() == reference.contents()
        assert "did not answer" in store.state()["detail"]
        for _ in range(5):
            await settled(store, await play(store, reference, traffic, 2), 5.0)
        assert database.contents() == reference.contents()
    finally:
        thawed.set()

    async def with_spill() -> bool:
        await settled(store, await play(store, reference, traffic, 1))
        return bool(store.state()["behind"] > 0)

    async with asyncio.timeout(10):
        while not await with_spill():
            pass
    await store.close()
    assert database.contents() == reference.contents()


async def test_nobody_waits_for_what_is_in_memory_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_full, store, heard = no_disk(monkeypatch), new_store(database, tmp_path), list[int]()
    store.on_durable(heard.append)
    await store.open()
    away = database.away[next(iter(database.away))]()
    await asyncio.to_thread(away.__enter__)
    set_full(True)
    try:
        tickets = [store.write([opened("a")], soon=True)]
        await until(lambda: tickets[0] in heard)
        tickets += [store.write([opened(call)], soon=True) for call in ("b", "c")]
        assert heard == tickets[:1], "who writes may note only then that he waits"
        await asyncio.sleep(0)
        assert heard == [tickets[0], tickets[2]]
        assert not any(store.durable(ticket) for ticket in tickets)
    finally:
        await asyncio.to_thread(away.__exit__, None, None, None)
    set_full(False)
    await settled(store, tickets[-1])
    last = store.write([opened("d")], soon=True)
    await asyncio.sleep(0)
    assert heard == [tickets[0], tickets[2]], "what follows is waited for again"
    await settled(store, last)
    assert heard[-1] == last
    await until(lambda: store.state()["state"] == "ok")
    await store.close()
    assert [row["call"] for row in database.rows(calls)] == ["a", "b", "c", "d"]


async def test_with_both_away_records_wait_in_memory_and_go_where_it_ends_first(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_full = no_disk(monkeypatch)
    store, reference, traffic = new_store(database, tmp_path, LATER), Reference(), Traffic(agents=5)
    await store.open()
    for spill_first in (True, False):
        away = database.away[next(iter(database.away))]()
        await settled(store, await play(store, reference, traffic, 2))
        await asyncio.to_thread(away.__enter__)
        set_full(True)
        try:
            ticket = await play(store, reference, traffic, 5)
            await until(lambda: store.state()["state"] == "full")
            assert not store.durable(ticket)
            if spill_first:
                set_full(False)
                await settled(store, ticket)
                assert store.state()["state"] == "spilling"
        finally:
            await asyncio.to_thread(away.__exit__, None, None, None)
        await settled(store, ticket)
        set_full(False)
        await until(lambda: store.state()["state"] == "ok")
    assert store.state()["dropped"] == store.state()["refused"] == 0
    await store.close()
    assert database.contents() == reference.contents()


# --- the database fails ---------------------------------------------------------------------------------------------


async def test_a_transaction_of_unknown_outcome_takes_effect_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was committed and nobody heard of it: the replay, cut in another way, changes nothing."""
    of = type(locate(database.url).backend())
    apply, unheard = of.apply, 0

    async def failing(self: Any, batches: Sequence[Batch], within_s: float) -> None:
        nonlocal unheard
        await apply(self, batches, within_s)
        if len({batch.writer for batch in batches}) == 1 and unheard < 3:
            unheard += 1
            raise UnavailableError("nobody heard of it")

    monkeypatch.setattr(of, "apply", failing)
    store = new_store(database, tmp_path)
    await store.open()
    for n in range(20):
        name = f"c{n}"
        await settled(store, store.write([opened(name, queue="one"), SegmentOpened(name, 0, SegmentKind.WAITED, T)]))
        await settled(store, store.write([SegmentClosed(name, 0, T + n), CallMoved(name, "two")]))
        await settled(store, store.write([CallMoved(name, f"q{n}")]))
    await until(lambda: store.state()["state"] == "ok" and store.state()["behind"] == 0)
    assert unheard == 3
    assert [row["queue"] for row in database.rows(calls)] == [f"q{n}" for n in sorted(range(20), key=lambda n: f"c{n}")]
    assert len(database.rows(segments)) == 20
    await store.close()


async def test_a_database_that_is_too_slow_gets_it_from_the_spill(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits for it in memory is bounded, although it never says no."""
    of = type(locate(database.url).backend())
    apply, free = of.apply, asyncio.Event()

    async def slow(self: Any, batches: Sequence[Batch], within_s: float) -> None:
        await free.wait()
        await apply(self, batches, within_s)

    monkeypatch.setattr(of, "apply", slow)
    slow_options = replace(QUICK, held_max=400, batch_max=50, database_batch_max=100)
    store, reference, traffic = Store(database.url, tmp_path, slow_options), Reference(), Traffic(agents=9)
    await store.open()
    for _ in range(20):
        await settled(store, await play(store, reference, traffic, 2))
    assert store.state()["state"] == "spilling"
    assert "records come faster than the database takes them" in caplog.text
    free.set()
    await until(lambda: store.state()["state"] == "ok")
    assert store.state()["replayed"] > 0
    assert store.state()["dropped"] == 0
    await store.close()
    assert database.contents() == reference.contents()


async def test_a_batch_that_is_one_row_no_database_takes_is_set_aside(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = new_store(database, tmp_path, LATER)
    await store.open()
    for n in range(10):
        # No name may be null, and there is nothing to put in its place.
        call: Any = None if n == 4 else f"c{n}"
        await settled(store, store.write([opened(call)]))
    assert await store.flush()
    assert [row["call"] for row in database.rows(calls)] == [f"c{n}" for n in range(10) if n != 4]
    assert store.state()["refused"] == 1
    assert (tmp_path / "spill" / "refused.jsonl").read_bytes().count(b"\n") == 1
    assert "set aside" in caplog.text
    await store.close()


async def test_a_row_no_database_takes_costs_none_of_its_batch(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path, LATER)
    await store.open()
    calls_of: list[Any] = [None if n == 4 else f"c{n}" for n in range(10)]
    await settled(store, store.write([opened(call) for call in calls_of]))
    assert await store.flush()
    assert [row["call"] for row in database.rows(calls)] == [f"c{n}" for n in range(10) if n != 4]
    assert store.state()["refused"] == 1
    aside = (tmp_path / "spill" / "refused.jsonl").read_text()
    assert aside.count("\n") == 1
    assert '"c3"' not in aside
    await store.close()


async def test_a_defect_on_the_way_does_not_hold_up_the_rest(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = type(locate(database.url).backend())
    apply = of.apply

    async def defective(self: Any, batches: Sequence[Batch], within_s: float) -> None:
        if any("c4" in str(batch.rows) for batch in batches):
            raise KeyError("a defect")
        await apply(self, batches, within_s)

    monkeypatch.setattr(of, "apply", defective)
    store = new_store(database, tmp_path, LATER)
    await store.open()
    for n in range(10):
        await settled(store, store.write([opened(f"c{n}")]))
    assert await store.flush()
    assert [row["call"] for row in database.rows(calls)] == [f"c{n}" for n in range(10) if n != 4]
    assert store.state()["refused"] == 1
    await store.close()
