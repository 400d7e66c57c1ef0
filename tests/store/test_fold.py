"""Folding against the slow and obvious reference, on random records in random batches."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storekit import Database, Reference

from acd.domain import records as words
from acd.domain.records import (
    AgentIntentChanged,
    AgentStateChanged,
    Audited,
    CallAnnotated,
    CallAnswered,
    CallClosed,
    CallMoved,
    CallOpened,
    CallTargeted,
    DecisionMade,
    Record,
    RevisionLoaded,
    SegmentClosed,
    SegmentOpened,
)
from acd.domain.states import AgentState, CallOutcome, SegmentKind
from acd.store.batches import Run, folded
from acd.store.fold import Stage
from acd.store.location import locate
from acd.store.operations import OPERATIONS, Batch

names = st.sampled_from(["a", "b"])
maybe = st.sampled_from([None, "x", "y"])
times = st.integers(1, 99).map(float) | st.integers(1_789_999_999_000_000, 1_790_086_400_999_999).map(
    lambda us: us / 1_000_000
)
endings = st.sampled_from([None, "no_answer", "answered"])
serials = st.integers(0, 2)


def any_record() -> st.SearchStrategy[Record]:
    """Records in no sensible order at all: ends before beginnings, twice, of what never was."""
    texts = st.sampled_from(["1", "2"])
    opened = st.builds(
        CallOpened,
        names,
        texts,
        texts,
        texts,
        texts,
        texts,
        texts,
        st.sampled_from(["q", "r"]),
        st.integers(0, 2),
        times,
    )
    state = st.builds(
        AgentStateChanged,
        names,
        st.just(0),
        times,
        st.sampled_from(AgentState),
        maybe,
        maybe,
        times,
        maybe,
        maybe,
        st.none() | times,
    )
    return st.one_of(
        opened,
        st.builds(CallMoved, names, st.sampled_from(["s", "t"])),
        st.builds(CallAnswered, names, st.sampled_from(["m", "n"]), times),
        st.builds(
            CallClosed,
            names,
            times,
            st.sampled_from(CallOutcome),
            st.just("caller"),
            st.sampled_from([None, 16]),
            maybe,
        ),
        st.builds(CallTargeted, names, st.sampled_from(["x", "y"])),
        st.builds(SegmentOpened, names, serials, st.sampled_from(SegmentKind), times, maybe, maybe, maybe),
        st.builds(SegmentClosed, names, serials, times, endings),
        st.builds(
            DecisionMade, names, serials, times, st.just("offer"), maybe, maybe, st.just("r"), st.just({"k": [1]})
        ),
        state,
        st.builds(AgentIntentChanged, names, maybe, maybe),
    )


@st.composite
def batches_of_records(draw: st.DrawFn) -> list[list[Record]]:
    """Records cut into batches. An agent's serials repeat and leave gaps, but never go back: nobody writes that."""
    serial = {"a": 0, "b": 0}
    batches = []
    for batch in draw(st.lists(st.lists(any_record(), max_size=12), min_size=1, max_size=5)):
        made: list[Record] = []
        for record in batch:
            if isinstance(record, AgentStateChanged):
                serial[record.agent] += draw(st.sampled_from([1, 1, 1, 0, 3]))
                fields = {name: getattr(record, name) for name in AgentStateChanged.__dataclass_fields__}
                record = AgentStateChanged(**{**fields, "serial": serial[record.agent]})
            made.append(record)
        batches.append(made)
    return batches


def stages_of(records: list[Record]) -> list[Stage]:
    stages = [Stage()]
    for record in records:
        if not stages[-1].add(record):
            stages.append(Stage())
            assert stages[-1].add(record)
    return stages


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches_of_records())
def test_folding_changes_nothing(database: Database, batches: list[list[Record]]) -> None:
    database.empty()
    reference = Reference()

    async def store() -> None:
        backend, number = locate(database.url).backend(), 0
        await backend.connect(5.0)
        for records in batches:
            reference.add_all(records)
            together = []
            for stage in stages_of(records):
                number += 1
                together.append(Batch("w", number, stage.rows()))
            await backend.apply(together, 5.0)
        await backend.close()

    asyncio.run(store())
    assert database.contents() == reference.contents()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches_of_records(), st.integers(0, 60))
def test_cut_in_another_way_or_finished_late_it_is_the_same(
    database: Database, batches: list[list[Record]], known: int
) -> None:
    """Lines of the spill up to ``known`` were replayed; then the transaction over all of them, long given up, is
    finished by the server; then the rest of the replay follows."""
    database.empty()
    reference = Reference()
    runs, first = [], 1
    for records in filter(None, batches):
        reference.add_all(records)
        runs.append(Run(first, records))
        first = runs[-1].last + 1
    if not runs:
        return

    async def store() -> None:
        backend = locate(database.url).backend()
        await backend.connect(5.0)
        lines = [await folded("w", [run]) for run in runs]
        for batches in lines[:known]:
            await backend.apply(batches, 5.0)
        await backend.apply(await folded("w", runs), 5.0)
        for batches in lines:
            await backend.apply(batches, 5.0)
        await backend.close()

    known = known % len(runs)
    asyncio.run(store())
    assert database.contents() == reference.contents()


def test_a_whole_stretch_becomes_one_row() -> None:
    (stage,) = stages_of(
        [
            SegmentOpened("c", 0, SegmentKind.WAITED, 1.0, "q"),
            SegmentClosed("c", 0, 2.0, "answered"),
            AgentStateChanged("ann", 4, 1.0, AgentState.RESERVED, None, "c", 0.0, None, None, None),
            AgentStateChanged("ann", 5, 2.0, AgentState.TALKING, None, "c", 0.0, None, None, None),
        ]
    )
    rows = stage.rows()
    assert rows["segments"] == [["c", 0, "waited", "q", None, None, 1.0, 2.0, "answered", None]]
    assert rows["agent_states"][0][:4] == ["ann", 4, 1.0, 2.0]
    assert rows["agent_states_end"] == [["ann", 4, 1.0]]
    assert len(rows["agents"]) == 1
    assert "segments_patch" not in rows


def test_a_row_has_its_operations_columns() -> None:
    kinds: list[Record] = [
        CallOpened("n", "", "", "", "", "", "", "", 0, 1.0),
        CallMoved("p", "q"),
        SegmentOpened("n", 0, SegmentKind.WAITED, 1.0),
        SegmentClosed("p", 0, 1.0),
        DecisionMade("n", 0, 1.0, "", None, None, "", {}),
        AgentStateChanged("n", 0, 1.0, AgentState.PAUSED, None, None, 1.0, None, None, None),
        AgentIntentChanged("p", None),
        CallAnnotated("s", "sale", tags=("vip",)),
        RevisionLoaded("r1", 1.0, "ops", {}),
        Audited("e1", 1.0, "ops", "looked", "n", {}),
    ]
    (stage,) = stages_of(kinds)
    rows: dict[str, list[list[Any]]] = stage.rows()
    assert set(rows) == {operation.name for operation in OPERATIONS}
    for operation in OPERATIONS:
        assert len(rows[operation.name][0]) == len(operation.columns), operation.name


KINDS = [
    kind for kind in vars(words).values() if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_record_can_be_stored(kind: type[Record]) -> None:
    values = {
        "call": "c", "serial": 0, "kind": SegmentKind.WAITED, "state": AgentState.PAUSED, "outcome": CallOutcome.ANSWERED
    }  # fmt: skip
    fields = {name: values.get(name, "1") for name in kind.__dataclass_fields__}  # type: ignore[attr-defined]
    assert Stage().add(kind(**fields))


def test_the_store_needs_no_other_room() -> None:
    source = Path(words.__file__).parents[1] / "store"
    for path in source.glob("*.py"):
        for room in ("floor", "routing", "engine", "config", "lab", "cli", "api", "asterisk"):
            assert f"acd.{room}" not in path.read_text(), path


def test_what_is_said_of_a_call_adds_up() -> None:
    """Later words count, an empty one takes away, what is not mentioned stays."""
    (stage,) = stages_of(
        [
            CallAnnotated("c", disposition="sale", notes="a\0b", tags=("x",)),
            CallAnnotated("c", disposition="", recording="c.wav"),
            CallAnnotated("c", tags=()),
        ]
    )
    assert stage.rows() == {"calls_said": [["c", "", "a\N{REPLACEMENT CHARACTER}b", [], "c.wav"]]}
    # PostgreSQL takes a stage as one statement, which changes a row but once
    said = CallAnnotated("n", "sale")
    for other in (
        CallOpened("n", "", "", "", "", "", "", "", 0, 1.0),
        CallMoved("n", "q"),
        CallAnswered("n", "a", 1.0),
    ):
        assert len(stages_of([said, other])) == len(stages_of([other, said])) == 2
