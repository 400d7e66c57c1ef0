"""What must hold on SQLite and PostgreSQL alike. Collected by test_store_sqlite.py and test_store_postgres.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from storekit import DIRECT, QUICK, Database, Reference, new_store, settled, until, write_all

from acd.domain.errors import MisuseError, SchemaError
from acd.domain.events import AgentMemory, CallMemory, SegmentMemory
from acd.domain.records import (
    AgentIntentChanged,
    AgentStateChanged,
    Audited,
    CallAnnotated,
    CallAnswered,
    CallClosed,
    CallMoved,
    CallOpened,
    DecisionMade,
    Record,
    RevisionLoaded,
    SegmentClosed,
    SegmentOpened,
)
from acd.domain.states import AgentState, CallOutcome, SegmentKind
from acd.store import Store, StoreOptions, writer
from acd.store.backend import Backend
from acd.store.beside import writing
from acd.store.fold import Stage
from acd.store.generated import START, Traffic
from acd.store.location import locate
from acd.store.operations import Batch
from acd.store.outbound.tables import attempts
from acd.store.tables import agent_states, agents, audit, calls, decisions, epochs, revisions, segments, writers

T = START


def opened(call: str, at: float = T, **changes: Any) -> CallOpened:
    values: dict[str, Any] = {
        "node": "pbx1",
        "channel": "179.1",
        "linkedid": "179.1",
        "did": "100",
        "caller_number": "+491711",
        "caller_name": "Ann",
        "queue": "sales",
        "priority": 0,
        **changes,
    }
    return CallOpened(call=call, entered_at=at, **values)


# --- a call's life --------------------------------------------------------------------------------------------------


async def test_a_call_reads_back_as_it_was_written(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    await write_all(store, Traffic().call(T))
    (row,) = await store.records.calls()
    assert (row["call"], row["caller_name"], row["agent"]) == ("c000000000", "Bär, Jürgen", "agent0000")
    assert (row["outcome"], row["ended_by"], row["cause"], row["target"]) == ("answered", "caller", 16, None)
    assert (row["entered_at"], row["answered_at"], row["ended_at"]) == (T, T + 6, T + 66.5)
    assert (row["wait_s"], row["talk_s"], row["length_s"]) == (6.0, 60.5, 66.5)
    whole = await store.records.call("c000000000")
    assert whole is not None
    assert {**row, "segments": whole["segments"]} == whole
    told = [(s["serial"], s["kind"], s["length_s"], s["outcome"]) for s in whole["segments"]]
    assert told == [
        (0, "entered", 0.01, None),
        (1, "waited", 3.99, None),
        (2, "offered", 0.1, None),
        (3, "rang", 1.9, "answered"),
        (4, "talked", 60.5, None),
        (5, "wrapped", 10.0, None),
    ]
    (decision,) = await store.records.decisions("c000000000")
    assert (decision["serial"], decision["at"], decision["kind"]) == (0, T + 4, "offer")
    assert decision["detail"]["best"][0] == {"agent": "agent0000", "idle_s": 12.5, "score": 1.0}
    assert await store.records.call("nobody") is None
    assert await store.records.decisions("nobody") == []
    await store.close()


async def test_a_call_that_was_dialled_is_told_as_such(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    ids = {"came": "1179.1", "called": "00000100000001", "older": "00000100000002"}
    await write_all(store, [[opened(name, channel=channel)] for name, channel in ids.items()])
    row = {
        "attempt": ids["called"], "campaign": "win", "list": "spring", "contact": 1, "position": 0, "number": "+1",
        "mode": "power", "caller_id": "+2", "trunk": "t", "node": "a", "committed_at": 1.0, "facts": {},
    }  # fmt: skip
    with writing(database.url) as connection, connection.begin():
        connection.execute(sa.insert(attempts), row)
    told = {row["call"]: (row["direction"], row["campaign"]) for row in await store.records.calls()}
    assert told == {"came": ("inbound", None), "called": ("outbound", "win"), "older": ("outbound", None)}
    for name in ids:
        whole = await store.records.call(name)
        assert whole is not None
        assert (whole["direction"], whole["campaign"]) == told[name]
    await store.close()


async def test_each_record_in_a_batch_of_its_own_gives_the_same_rows(database: Database, tmp_path: Path) -> None:
    steps = [step for _ in range(3) for step in Traffic(agents=2).call(T)]
    store = new_store(database, tmp_path)
    await store.open()
    await write_all(store, [list(chain.from_iterable(steps))])
    together = database.contents()
    assert store.state()["batches"] == 1
    database.empty()
    for record in chain.from_iterable(steps):
        await settled(store, store.write([record], soon=True))
    assert database.contents() == together
    assert store.state()["batches"] > 50
    await store.close()


async def test_times_are_not_known_before_they_are(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    steps = list(Traffic().call(T))

    async def after(step: Sequence[Record]) -> tuple[Any, ...]:
        await write_all(store, [step])
        (row,) = await store.records.calls()
        return row["wait_s"], row["talk_s"], row["length_s"]

    assert await after(steps[0]) == (None, None, None)
    assert await after(steps[1]) == (None, None, None)
    assert await after(steps[2]) == (None, None, None)
    assert await after(steps[3]) == (6.0, None, None)
    assert await after(steps[4]) == (6.0, 60.5, 66.5)
    await store.close()


async def test_an_abandoned_call_has_talked_for_no_time(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    end = CallClosed("a", T + 9.25, CallOutcome.ABANDONED, "caller", None)
    waited = SegmentOpened("a", 0, SegmentKind.WAITED, T, "sales")
    await write_all(store, [[opened("a"), waited], [SegmentClosed("a", 0, T + 9.25), end]])
    (row,) = await store.records.calls()
    assert (row["wait_s"], row["talk_s"], row["length_s"]) == (9.25, 0.0, 9.25)
    await store.close()


async def test_calls_are_found_by_what_people_ask_for(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    first = [opened("a", T, caller_number="1"), opened("b", T + 1, queue="help"), opened("c", T + 2)]
    await write_all(
        store, [first, [CallMoved("c", "help"), CallClosed("a", T + 3, CallOutcome.OVERFLOWED, "system", 16, "x")]]
    )
    ask = store.records.calls

    async def names(**wanted: Any) -> str:
        return "".join(row["call"] for row in await ask(**wanted))

    assert await names() == "cba"
    assert await names(limit=2) == "cb"
    assert await names(since=T + 1) == "cb"
    assert await names(until=T + 1) == "a"
    assert await names(queue="help") == "cb"
    assert await names(queue="help", until=T + 2) == "b"
    assert await names(outcome="overflowed") == "a"
    assert await names(number="1") == "a"
    assert await names(agent="nobody") == ""
    with pytest.raises(MisuseError, match="limit"):
        await ask(limit=0)
    await store.close()


# --- memory ---------------------------------------------------------------------------------------------------------


async def test_a_start_remembers_agents_and_open_calls(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    assert (await store.open()).epoch == 1
    steps = [
        [opened("late", T + 5, queue="help"), SegmentOpened("late", 0, SegmentKind.WAITED, T + 5, "help")],
        [opened("early"), SegmentOpened("early", 0, SegmentKind.ENTERED, T), SegmentClosed("early", 0, T + 1)],
        [SegmentOpened("early", 1, SegmentKind.OFFERED, T + 1, "sales", "ann", "o1")],
        [DecisionMade("early", n, T + n, "offer", "ann", "o1", "r", {}) for n in range(3)],
        [opened("over"), CallClosed("over", T + 2, CallOutcome.ANSWERED, "agent", 16)],
        [SegmentOpened("over", 0, SegmentKind.WRAPPED, T + 2, "sales", "bob")],
        [AgentStateChanged("ann", 0, T, AgentState.AVAILABLE, None, None, T, "PJSIP/ann", None, None)],
        [AgentStateChanged("ann", 1, T + 1, AgentState.RESERVED, None, "early", T, "PJSIP/ann", None, None)],
        [AgentIntentChanged("ann", "pause:lunch", "PJSIP/desk")],
        [AgentStateChanged("bob", 7, T + 2, AgentState.PAUSED, "rona", None, T - 60, None, None, T + 30)],
    ]
    await write_all(store, steps)
    await store.close()
    again = new_store(database, tmp_path)
    memory = await again.open()
    await again.close()
    wrap = SegmentMemory("over", 0, "wrapped", T + 2, "sales", "bob", None)
    offer = SegmentMemory("early", 1, "offered", T + 1, "sales", "ann", "o1")
    wait = SegmentMemory("late", 0, "waited", T + 5, "help", None, None)
    common = ("pbx1", "179.1", "179.1", "100", "+491711", "Ann")
    assert memory.epoch == 2
    assert memory.wraps == (wrap,)
    assert memory.calls == (
        CallMemory("early", *common, "sales", T, None, None, 2, 3, (offer,)),
        CallMemory("late", *common, "help", T + 5, None, None, 1, 0, (wait,)),
    )
    assert memory.agents == (
        AgentMemory("ann", AgentState.RESERVED, None, T + 1, T, 1, "PJSIP/desk", "pause:lunch", None, "early"),
        AgentMemory("bob", AgentState.PAUSED, "rona", T + 2, T - 60, 7, None, None, T + 30, None),
    )


async def test_a_start_remembers_who_talked_to_whom(database: Database, tmp_path: Path) -> None:
    """The latest conversation of each number; nobody of too long ago, and no more calls are read than agreed."""
    store = new_store(database, tmp_path)
    await store.open()
    talks = [("1", "ann", 0), ("2", "bob", 1), ("1", "cid", 2), ("", "ann", 3), ("3", None, 4), ("4", "dan", 900)]
    steps: list[list[Record]] = []
    for n, (number, agent, at) in enumerate(talks):
        step: list[Record] = [replace(opened(f"c{n}", T + at), caller_number=number)]
        steps.append([*step, CallAnswered(f"c{n}", agent, T + at + 0.5)] if agent else step)
    await write_all(store, steps)
    await store.close()

    async def remembered(at_most: int = 100, age_s: float = 1e9) -> tuple[tuple[str, str], ...]:
        again = Store(database.url, tmp_path, StoreOptions(callers_max=at_most, callers_s=age_s))
        memory = await again.open()
        await again.close()
        return memory.callers

    assert await remembered() == (("2", "bob"), ("1", "cid"), ("4", "dan"))
    assert await remembered(at_most=2) == (("1", "cid"), ("4", "dan"))
    assert await remembered(age_s=time.time() - T - 450.0) == (("4", "dan"),)


async def test_thousands_of_calls_that_never_ended_are_bounded(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    steps = [
        [opened(f"c{n:05d}", T + n), SegmentOpened(f"c{n:05d}", 0, SegmentKind.WAITED, T + n)] for n in range(3000)
    ]
    await write_all(store, steps)
    await store.close()
    again = Store(database.url, tmp_path, type(QUICK)(open_calls_max=1000))
    memory = await again.open()
    await again.close()
    assert [call.call for call in memory.calls] == [f"c{n:05d}" for n in range(2000, 3000)]
    assert all(len(call.open_segments) == 1 for call in memory.calls)
    assert "2000 older calls that never ended" in caplog.text


async def test_every_start_has_an_epoch_of_its_own(database: Database, tmp_path: Path) -> None:
    stores = [new_store(database, tmp_path / str(n)) for n in range(4)]
    taken = [memory.epoch for memory in await asyncio.gather(*(store.open() for store in stores))]
    assert sorted(taken) == [1, 2, 3, 4]
    await stores[0].close()
    rows = {row["epoch"]: row for row in database.rows(epochs)}
    assert [epoch for epoch, row in rows.items() if row["stopped_at"] is not None] == [taken[0]]
    for store in stores[1:]:
        await store.close()


async def test_epochs_run_out_before_they_grow_too_long(database: Database, tmp_path: Path) -> None:
    start = "1970-01-01T00:00:00.000000Z"
    database.execute(f"INSERT INTO epochs (epoch, started_at, host, pid) VALUES (899998, '{start}', 'h', 1)")
    last = new_store(database, tmp_path)
    assert (await last.open()).epoch == 899_999
    await last.close()
    with pytest.raises(Exception, match="899999 was the last"):
        await new_store(database, tmp_path).open()


# --- tickets --------------------------------------------------------------------------------------------------------


async def test_tickets_grow_by_one_and_become_durable_in_order(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    heard: list[int] = []
    with pytest.raises(MisuseError):
        store.write([opened("a")])

    def fails(_: int) -> None:
        raise RuntimeError("a listener's own trouble")

    store.on_durable(fails)
    store.on_durable(heard.append)
    await store.open()
    assert await store.flush()
    tickets = [store.write([opened(f"c{n}")]) for n in range(5)]
    assert tickets == [1, 2, 3, 4, 5]
    assert not store.durable(1)
    assert store.write([]) == 6
    await settled(store, 6)
    assert heard == sorted(set(heard))
    assert heard[-1] == 6
    assert all(store.durable(ticket) for ticket in range(1, 7))
    assert not store.durable(7)
    assert await store.flush()
    assert len(database.rows(calls)) == 5
    await store.close()
    with pytest.raises(MisuseError):
        store.write([])


async def test_closing_makes_the_last_records_durable(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    for n in range(5000):
        store.write([opened(f"c{n:04d}")])
    await store.close()
    assert len(database.rows(calls)) == 5000


async def test_somebody_who_waits_is_not_kept(database: Database, tmp_path: Path, options: StoreOptions) -> None:
    store = Store(database.url, tmp_path, replace(options, pace_s=3600.0, database_pace_s=3600.0))
    await store.open()
    await settled(store, store.write([opened("first")], soon=True))
    later = store.write([opened("second")])
    await settled(store, store.write([opened("third")], soon=True))
    assert store.durable(later)
    # To them it means the database, not only the spill.
    assert [row["call"] for row in database.rows(calls)] == ["first", "second", "third"]
    await settled(store, store.write([], soon=True))
    await store.close()


async def test_the_loop_goes_on_while_a_large_batch_is_prepared(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a turn after 64 records, if a millisecond has gone by: here always."""
    monkeypatch.setattr("acd.store.backend._SLICE_S", -1.0)
    prepared: list[tuple[int, int]] = []
    fold = writer.folded

    async def folded(name: str, runs: Sequence[Any], *more: Any) -> list[Any]:
        turns, others = 0, True

        async def turn() -> None:
            nonlocal turns
            while others:
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.create_task(turn())
        found = await fold(name, runs, *more)
        others = False
        await turning
        prepared.append((sum(len(run.records) for run in runs), turns))
        return found

    monkeypatch.setattr(writer, "folded", folded)
    store = Store(database.url, tmp_path, type(QUICK)(batch_max=20_000))
    await store.open()
    for call in range(500):
        for step in Traffic(prefix=f"c{call}-").call(T):
            ticket = store.write(step)
    await settled(store, ticket)
    records, turns = max(prepared)
    assert records > 2_000
    assert turns >= records // 64
    await store.close()


# --- what strangers send --------------------------------------------------------------------------------------------

HOSTILE = [
    "\0",
    "a\0b",
    "\ud800 lone",
    "\x1b[31m",
    'O\'Brien "the" \\ {,} NULL',
    "null",
    "NULL",
    "",
    " ",
    "line\r\nfeed\ttab",
    "\\n \\u0000 \\",
    "😀 é ß 漢字",
    "{}",
    '"',
    "\u2028\u0085\xa0",
    "x" * 1_000_000,
    "漢" * 5000,
]


async def test_any_caller_can_be_stored(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    for n, text in enumerate(HOSTILE):
        store.write([opened(f"c{n:02d}", caller_name=text, caller_number=text, did=text)])
    await settled(store, len(HOSTILE))
    rows = await store.records.calls()
    assert len(rows) == len(HOSTILE)
    for row, text in zip(reversed(rows), HOSTILE, strict=True):
        assert row["caller_name"] == row["did"] == row["caller_number"]
        kept = text[:500].replace("\0", "\ufffd").replace("\ud800", "\ufffd")
        assert row["caller_name"].replace("\ufffd\ufffd\ufffd", "\ufffd") == kept
    assert store.state()["refused"] == 0
    await store.close()


async def test_a_value_no_database_takes_is_bent_and_its_neighbours_are_not(
    database: Database, tmp_path: Path, options: StoreOptions
) -> None:
    store = new_store(database, tmp_path, options)
    await store.open()
    loop: list[Any] = []
    loop.append(loop)
    strange = {"nan": float("nan"), "set": {1}, "nul": "\0", "lone": "\ud800", 5: ("x", None), "deep": loop}
    ticket = store.write(
        [
            opened("before", T),
            opened("nan", float("nan")),
            opened("far", T, priority=2**80, node="pbx\0\ud800"),
            DecisionMade("before", 0, T, "offer", None, None, "r", strange),
            opened("after", T + 1, caller_name="unharmed"),
        ]
    )
    await settled(store, ticket)
    await settled(store, store.write([opened("next")]))
    assert await store.flush()
    rows = {row["call"]: row for row in database.rows(calls)}
    assert sorted(rows) == ["after", "before", "far", "nan", "next"]
    assert (rows["after"]["caller_name"], rows["after"]["entered_at"]) == ("unharmed", T + 1)
    assert (rows["nan"]["entered_at"], rows["far"]["priority"], rows["far"]["node"][:4]) == (
        0.0,
        2**31 - 1,
        "pbx\ufffd",
    )
    (decision,) = database.rows(decisions)
    assert decision["detail"]["nan"] is None
    assert decision["detail"]["set"] == [1]
    assert decision["detail"]["5"] == ["x", None]
    assert store.state()["state"] == "ok"
    await store.close()


# --- exactly once ---------------------------------------------------------------------------------------------------


def batch(number: int, *records: Record, writer: str = "w") -> Batch:
    stage = Stage()
    assert all(stage.add(record) for record in records)
    return Batch(writer, number, stage.rows())


@pytest.fixture
async def backend(database: Database) -> Any:
    backend: Backend = locate(database.url).backend()
    await backend.connect(5.0)
    yield backend
    await backend.close()


async def test_a_batch_takes_effect_once(database: Database, backend: Backend) -> None:
    first = batch(1, opened("a", queue="one"))
    second = batch(2, CallMoved("a", "two"))
    await backend.apply([first], 5.0)
    await backend.apply([first, second], 5.0)
    # A thawed server finishing the first one now must not bring the old queue back.
    await backend.apply([first], 5.0)
    await backend.apply([batch(2, CallMoved("a", "three"))], 5.0)
    assert [row["queue"] for row in database.rows(calls)] == ["two"]
    assert database.rows(writers) == [{"writer": "w", "batch": 2}]
    await backend.apply([batch(1, CallMoved("a", "four"), writer="next life")], 5.0)
    assert [row["queue"] for row in database.rows(calls)] == ["four"]


async def test_a_transaction_is_whole_or_not_at_all(database: Database, backend: Backend) -> None:
    bad = batch(2, opened("b"))
    bad.rows["calls"][0][0] = None
    with pytest.raises(Exception, match="refused"):
        await backend.apply([batch(1, opened("a")), bad], 5.0)
    assert database.rows(calls) == []
    assert database.rows(writers) == []
    await backend.apply([batch(1, opened("a"))], 5.0)
    assert len(database.rows(calls)) == 1


async def test_agents_intervals_leave_no_gap_and_do_not_overlap(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    states = list(AgentState)
    tickets = [
        store.write([AgentStateChanged("ann", n, T + n, states[n % 7], None, None, T, None, None, None)])
        for n in range(100)
    ]
    await settled(store, tickets[-1])
    # The ones between were lost; the last that is known still ends where the next begins.
    await write_all(
        store, [[AgentStateChanged("ann", 150, T + 150, AgentState.PAUSED, "x", None, T, None, None, None)]]
    )
    rows = database.rows(agent_states)
    assert [row["ended_at"] for row in rows] == [row["started_at"] for row in rows[1:]] + [None]
    (now,) = database.rows(agents)
    assert (now["serial"], now["state"], now["since"]) == (150, "PAUSED", T + 150)
    await store.close()


async def test_the_reference_agrees_with_a_whole_day(database: Database, tmp_path: Path, options: StoreOptions) -> None:
    store, reference, traffic = new_store(database, tmp_path, options), Reference(), Traffic(agents=7)
    await store.open()
    under_way = [traffic.call() for _ in range(40)]
    while under_way:
        for call in list(under_way):
            step = next(call, None)
            if step is None:
                under_way.remove(call)
                continue
            reference.add_all(step)
            store.write(step)
        await asyncio.sleep(0)
    await store.close()
    assert database.contents() == reference.contents()


# --- schema ---------------------------------------------------------------------------------------------------------


async def test_an_empty_database_is_refused_with_the_command(empty_database: Database, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="run `acd db upgrade`"):
        await new_store(empty_database, tmp_path / "state").open()
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "db").exists()


async def test_what_comes_faster_than_the_database_goes_to_the_spill(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(database.url, tmp_path, replace(DIRECT, batch_max=10, held_max=2000))
    await store.open()
    tickets = [store.write([opened(f"c{n:04d}")]) for n in range(1900)]
    await settled(store, tickets[-1])
    assert "records come faster than the database takes them" in caplog.text
    await until(lambda: store.state()["state"] == "ok")
    assert store.state()["replayed"] > 0
    assert store.state()["dropped"] == 0
    await store.close()
    assert len(database.rows(calls)) == 1900


async def test_a_segment_turns_out_to_be_anothers(database: Database, tmp_path: Path) -> None:
    """Whether its begin was written before or goes in the same batch; the next one stays whose it is."""
    store = new_store(database, tmp_path)
    await store.open()
    first = SegmentOpened("c1", 0, SegmentKind.RANG, T, "sales", "anna", "o1")
    second = SegmentOpened("c1", 1, SegmentKind.RANG, T + 1, "sales", "anna", "o2")
    await write_all(
        store,
        [
            [opened("c1"), first],
            [SegmentClosed("c1", 0, T + 1, "answered", agent="bob"), second],
            [SegmentClosed("c1", 1, T + 2, "answered")],
            [opened("c2"), replace(first, call="c2"), SegmentClosed("c2", 0, T + 1, "answered", agent="carla")],
        ],
    )
    await store.close()
    found = [(row["call"], row["serial"], row["agent"]) for row in database.rows(segments)]
    assert sorted(found) == [("c1", 0, "bob"), ("c1", 1, "anna"), ("c2", 0, "carla")]


# --- what people say ------------------------------------------------------------------------------------------------


async def test_what_is_said_of_a_call_is_kept_beside_it(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    await write_all(
        store,
        [
            [
                opened("c1", client="acme", from_call="c0"),
                SegmentOpened("c1", 0, SegmentKind.CONSULTED, T, target="602"),
            ],
            [CallAnnotated("c1", "sale", "line one\nline two", ("vip", "späť"))],
            [CallAnnotated("c1", notes="x" * 20_000), CallAnnotated("c1", disposition="", recording="c1.wav")],
            [SegmentClosed("c1", 0, T + 1, target="603")],
            [CallAnnotated("nobody", "sale")],
        ],
    )
    await store.close()
    (row,) = database.rows(calls)
    assert (row["client"], row["from_call"]) == ("acme", "c0")
    assert (row["disposition"], len(row["notes"]), row["tags"], row["recording"]) == (
        "",
        10_000,
        ["vip", "späť"],
        "c1.wav",
    )
    assert [(s["kind"], s["target"]) for s in database.rows(segments)] == [("consulted", "603")]


async def test_revisions_and_the_audit_are_kept(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    loaded = RevisionLoaded("r1", T, "ops\0", {"queues": ["sales"]})
    looked = Audited("e1", T, "ops", "looked", "+49171", {"rows": 3})
    await write_all(store, [[loaded, looked], [loaded, looked], [replace(loaded, at=T + 1)]])
    await store.close()
    assert [(row["revision"], row["loaded_at"], row["detail"]) for row in database.rows(revisions)] == [
        ("r1", T, {"queues": ["sales"]}),
        ("r1", T + 1, {"queues": ["sales"]}),
    ]
    (row,) = database.rows(audit)
    assert row == {"entry": "e1", "at": T, "who": "ops", "action": "looked", "subject": "+49171", "detail": {"rows": 3}}
