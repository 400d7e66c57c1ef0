"""The facts of calls, which must be right after every batch. Collected by test_facts_sqlite.py and
test_facts_postgres.py; test_fold.py holds them against the reference in every order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storekit import QUICK, Database, new_store, settled

from acd.domain.records import CallClosed, CallMoved, CallOpened, Record, SegmentClosed, SegmentOpened
from acd.domain.states import CallOutcome, SegmentKind
from acd.store.backend import Backend
from acd.store.batches import Run, folded
from acd.store.facts import FACTS
from acd.store.location import locate
from acd.store.tables import calls

T = 1_790_000_000.000001
"""The odd microsecond is one that a fraction of a day does not hold."""

K = SegmentKind
LINE: tuple[tuple[SegmentKind, float, str | None, str | None, str | None], ...] = (
    (K.ENTERED, 0.25, None, None, None),
    (K.WAITED, 3.5, None, None, None),
    (K.OFFERED, 0.125, "o1", "ann", None),
    (K.RANG, 15.0, "o1", "ann", "no_answer"),
    (K.OFFERED, 0.5, "o2", "bob", "no_answer"),
    (K.WAITED, 2.0, None, None, None),
    (K.OFFERED, 0.125, "o3", "ann", None),
    (K.RANG, 4.0, "o3", "ann", "answered"),
    (K.TALKED, 30.000003, "o3", "ann", None),
    (K.HELD, 8.0, "o3", "ann", None),
    (K.TALKED, 10.0, "o3", "ann", None),
    (K.CONSULTED, 5.0, "o3", "ann", None),
    (K.CONFERENCED, 7.5, "o3", "ann", None),
    (K.TALKED, 1.0, "o3", "ann", "transfer"),
    (K.WAITED, 6.0, None, None, None),
    (K.RANG, 3.0, "o4", "cem", "answered"),
    (K.TALKED, 86_400.0, "o4", "cem", "caller"),
    (K.AFTER, 0.000001, None, None, None),
)
"""A call's segments: kind, length, offer, agent, outcome."""

EXPECTED = {
    "wait_us": 25_500_000,
    "rewait_us": 9_000_000,
    "talk_us": 86_448_500_003,
    "hold_us": 13_000_000,
    "after_us": 1,
    "offers": 4,
    "ronas": 2,
    "talks": 2,
    "passages": 0,
}


def whole_call() -> tuple[list[Record], list[Record]]:
    """The records of a call up to its end, and those of its two wrap-ups."""
    records: list[Record] = [CallOpened("c", "pbx1", "1.1", "1.1", "100", "+49", "Ann", "sales", 0, T)]
    at, talks = T, list[tuple[str | None, str | None, float]]()
    for serial, (kind, length, offer, agent, outcome) in enumerate(LINE):
        records.append(SegmentOpened("c", serial, kind, at, "sales", agent, offer))
        at = round(at * 1_000_000 + length * 1_000_000) / 1_000_000
        records.append(SegmentClosed("c", serial, at, outcome))
        if kind is K.TALKED and outcome is not None:
            talks.append((offer, agent, at))
    wraps: list[Record] = []
    for serial, (offer, agent, began) in enumerate(talks, len(LINE)):
        records.append(SegmentOpened("c", serial, K.WRAPPED, began, "sales", agent, offer))
        wraps.append(SegmentClosed("c", serial, began + 10 + serial))
    records.append(CallClosed("c", at, CallOutcome.ANSWERED, "caller", 16))
    return records, wraps


def facts(database: Database) -> dict[str, Any]:
    (row,) = database.rows(calls)
    return {name: row[name] for name in FACTS}


async def apply(backend: Backend, first: int, records: Sequence[Record]) -> int:
    await backend.apply(await folded("w", [Run(first, records)]), 5.0)
    return first + len(records)


async def test_a_call_of_every_kind_of_segment_adds_up_in_any_batches(database: Database) -> None:
    records, wraps = whole_call()
    for size in (1, 3, 7, len(records)):
        database.empty()
        backend = locate(database.url).backend()
        number = 1
        for start in range(0, len(records), size):
            if start:
                assert facts(database) == dict.fromkeys(FACTS)
            number = await apply(backend, number, records[start : start + size])
        assert facts(database) == {**EXPECTED, "wrap_us": None}
        number = await apply(backend, number, wraps[1:])
        assert facts(database) == {**EXPECTED, "wrap_us": None}
        await apply(backend, number, wraps[:1])
        assert facts(database) == {**EXPECTED, "wrap_us": (28 + 29) * 1_000_000}
        # As when a replay brings what is there
        await apply(backend, 1, records)
        assert facts(database) == {**EXPECTED, "wrap_us": (28 + 29) * 1_000_000}
        await backend.close()


async def test_a_wrap_up_that_ends_makes_its_own_sum_and_no_other(database: Database) -> None:
    """All others were made when the call ended. Where its beginning is not known any more, all are made."""
    records, wraps = whole_call()
    for forgotten in (False, True):
        database.empty()
        backend = locate(database.url).backend()
        number = await apply(backend, 1, records)
        database.execute("UPDATE calls SET talk_us = 7")
        if forgotten:
            await backend.close()
            backend = locate(database.url).backend()
        number = await apply(backend, number, wraps[:1])
        assert facts(database) == {**EXPECTED, "wrap_us": None, "talk_us": EXPECTED["talk_us"] if forgotten else 7}
        number = await apply(backend, number, wraps[1:])
        assert facts(database)["wrap_us"] == (28 + 29) * 1_000_000
        more = [SegmentOpened("c", 60, K.AFTER, T + 90_000, "sales")]
        number = await apply(backend, number, more)
        number = await apply(backend, number, [SegmentClosed("c", 60, T + 90_002)])
        assert facts(database)["after_us"] == 2_000_001
        database.execute("DELETE FROM segments WHERE serial = 60")
        # Told again, it is no wrap-up whose beginning is known
        await apply(backend, number, wraps[1:])
        assert facts(database) == {**EXPECTED, "wrap_us": (28 + 29) * 1_000_000}
        await backend.close()


async def test_a_call_that_goes_on_after_its_end_is_counted_anew(database: Database, tmp_path: Path) -> None:
    """A life ends the call with the restart; the caller was there all the time, and the next one ends it again."""
    records, wraps = whole_call()
    await_end = [*records, *wraps]
    for life, after in enumerate(([], [SegmentOpened("c", 40, K.AFTER, T + 90_000, "sales")])):
        store = new_store(database, tmp_path, QUICK)
        await store.open()
        ticket = store.write([*await_end, *after], soon=True)
        await settled(store, ticket)
        await store.close()
        assert facts(database)["after_us"] == (None if life else 1)
    store = new_store(database, tmp_path, QUICK)
    await store.open()
    closing: list[Record] = [
        SegmentClosed("c", 40, T + 90_002),
        CallClosed("c", T + 90_002, CallOutcome.ANSWERED, "unknown", None),
    ]
    await settled(store, store.write(closing, soon=True))
    await store.close()
    assert facts(database) == {**EXPECTED, "after_us": 2_000_001, "wrap_us": 57_000_000}


async def test_a_call_that_was_passed_on_is_shown_with_the_same_wait(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path, QUICK)
    await store.open()
    await settled(store, store.write(whole_call()[0], soon=True))
    shown = await store.records.call("c")
    await store.close()
    assert shown is not None
    assert round(shown["wait_s"] * 1_000_000) == facts(database)["wait_us"] == EXPECTED["wait_us"]


async def test_a_call_nobody_answered_has_zeros(database: Database) -> None:
    # Close to the next second, where a database that rounds would be a second off
    began = 1_790_000_000.999999
    backend = locate(database.url).backend()
    await apply(
        backend,
        1,
        [
            CallOpened("c", "pbx1", "1.1", "1.1", "100", "+49", "Ann", "sales", 0, began),
            SegmentOpened("c", 0, K.WAITED, began, "sales"),
            SegmentClosed("c", 0, began + 60.5),
            CallClosed("c", began + 60.5, CallOutcome.ABANDONED, "caller", 16),
        ],
    )
    await backend.close()
    assert facts(database) == {**dict.fromkeys(FACTS, 0), "wait_us": 60_500_000}


async def test_passages_tell_a_call_of_one_queue_from_others(database: Database) -> None:
    """Whatever was in another queue than the call is now, and whatever ended by its being passed on."""
    lines: dict[str, tuple[str, list[tuple[SegmentKind, str | None, str | None]], int]] = {
        "one": ("a", [(K.WAITED, "a", None), (K.TALKED, "a", "caller"), (K.WRAPPED, "a", None)], 0),
        "over": ("b", [(K.WAITED, "a", "overflowed"), (K.WAITED, "b", "abandoned")], 1),
        "back": ("a", [(K.WAITED, "a", "moved"), (K.WAITED, "b", "overflowed"), (K.WAITED, "a", None)], 2),
        "out": ("a", [(K.WAITED, "a", None), (K.TALKED, "a", "transferred")], 1),
        "rang": ("b", [(K.RANG, "a", "no_answer"), (K.WAITED, "b", None), (K.WRAPPED, "a", None)], 2),
        "none": ("a", [(K.WAITED, None, None)], 1),
    }
    backend = locate(database.url).backend()
    number = 1
    for call, (queue, line, _) in lines.items():
        records: list[Record] = [CallOpened(call, "pbx1", call, call, "100", "+49", "Ann", "a", 0, T)]
        for serial, (kind, where, outcome) in enumerate(line):
            records.append(SegmentOpened(call, serial, kind, T + serial, where, None, None))
            records.append(SegmentClosed(call, serial, T + serial + 1, outcome))
        records.append(CallMoved(call, queue))
        records.append(CallClosed(call, T + len(line), CallOutcome.ABANDONED, "caller", 16))
        number = await apply(backend, number, records)
    await backend.close()
    assert {row["call"]: row["passages"] for row in database.rows(calls)} == {
        call: n for call, (_, _, n) in lines.items()
    }
