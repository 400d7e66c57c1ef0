"""A floor's state as bytes: it goes on as if nothing had been, and nothing but a floor comes out of them."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from collections import Counter
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest
from floorkit import UTC_0, Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import EVERYTHING, nonsensical
from world import FLOOR

from acd.config.floor import parse_floor
from acd.config.problems import Problems
from acd.domain import events as ev
from acd.domain.definition import FloorDefinition
from acd.domain.events import AgentAction
from acd.domain.expression import ANYONE, AllOf
from acd.engine.checkpoint import freeze, thaw
from acd.engine.codec import decode, encode
from acd.engine.journal_lines import JournalError
from acd.floor import Floor


def fresh() -> Floor:
    return Floor(FLOOR, epoch=1, started_at=UTC_0)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), before=st.integers(0, 150), after=st.integers(1, 100))
def test_a_thawed_floor_goes_on_as_the_frozen_one(seed: int, before: int, after: int) -> None:
    life = nonsensical(seed, before + after)
    floor = fresh()
    for event, now, _, _ in life.turns[:before]:
        floor.handle(event, now)
    state = freeze(floor)
    other = fresh()
    thaw(other, state)
    for event, now, step, _ in life.turns[before:]:
        assert repr(other.handle(event, now)) == repr(step)
    assert floor.handle(life.turns[before][0], life.turns[before][1]) == life.turns[before][2], "not disturbed by it"


def test_what_is_one_thing_stays_one_thing() -> None:
    floor, clock = fresh(), Clock()
    floor.handle(ev.NodeResynced(UTC_0, "east", (), {}), clock.now)
    floor.handle(ev.AgentRequested(UTC_0, "ann", AgentAction.LOGIN), clock.now)
    floor.handle(ev.CallArrived(UTC_0, "east", "c1", "PJSIP/c1", "l1", "1"), clock.now)
    other = fresh()
    thaw(other, freeze(floor))
    (call,) = other.calls.values()
    assert other.by_channel["east", "c1"] is call
    assert call.queue is FLOOR.queues["sales"]
    agent = other.roster.agents["ann"]
    assert agent.definition is FLOOR.agents["ann"]
    assert agent.call == call.call
    assert other.roster.by_number["101"] is agent
    assert other.definition is FLOOR
    # Callbacks lead to the new floor, not to the old one
    step = other.handle(ev.AgentRang(UTC_0, call.offer or ""), clock.now)
    assert len(step.records) == 3


def test_what_is_of_another_definition_is_kept_whole() -> None:
    """Somebody's definition changed while he was on a call: what he had is not what the new definition says."""
    floor = fresh()
    old = replace(FLOOR.agents["ann"], skills=MappingProxyType({"english": 1}))
    floor.roster.agents["ann"].definition = old
    other = fresh()
    thaw(other, freeze(floor))
    assert other.roster.agents["ann"].definition == old


def test_what_the_definition_holds_is_the_definitions_own() -> None:
    """Also what is deep in it, and in a process that read the definition from the journal."""
    floor = Floor(parse_floor(EVERYTHING, Problems("floor.yaml")).definition, epoch=1, started_at=UTC_0)
    queue = floor.definition.queues["service"]
    need = queue.stages[0].expression.bind({"language": "german", "tier": "gold"}, floor.definition.skills)
    assert isinstance(need, AllOf)
    floor.nodes = {"x": (queue, queue.stages[1], queue.weights, floor.definition.hours["office"], need, ANYONE)}  # type: ignore
    definition = decode(FloorDefinition, json.loads(encode(floor.definition)))
    other = Floor(definition, epoch=1, started_at=UTC_0)
    thaw(other, freeze(floor))
    theirs = definition.queues["service"]
    found: Any = other.nodes["x"]
    assert found[0] is theirs
    assert found[1] is theirs.stages[1]
    assert found[2] is theirs.weights
    assert found[3] is definition.hours["office"]
    assert found[4:] == (need, ANYONE)
    assert hash(found[4]) == hash(need)
    assert other.definition is definition


@pytest.mark.parametrize(
    "value", [lambda: None, open, (x for x in ""), os, object().__str__], ids=lambda value: type(value).__name__
)
def test_what_cannot_be_written_is_told(value: Any) -> None:
    floor = fresh()
    floor.nodes = {"east": True, "west": value}
    with pytest.raises(JournalError, match=r"state|may not hold"):
        thaw(fresh(), freeze(floor))


class Trap:
    """Runs something when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


TRAPS = [
    Trap(os.system, "true"),
    Trap(eval, "1"),
    Trap(subprocess.Popen, ["true"]),
    Trap(__import__, "os"),
    Trap(getattr, Floor, "__init__"),
    Trap(getattr, "text", "format"),
    Trap(getattr, Counter(), "__class__"),
    Trap(partial, eval),
    Trap(type, "X", (), {}),
    Trap(freeze, None),
    Trap(pickle.loads, b""),
    Trap(Trap, 1),
]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.reduced[0].__name__)
def test_nothing_but_a_floor_comes_out(trap: Trap) -> None:
    with pytest.raises(JournalError):
        thaw(fresh(), pickle.dumps({"calls": trap}))


@pytest.mark.parametrize("state", [b"", b"x", b"\x80\x05.", pickle.dumps(7), pickle.dumps({})[:-2]])
def test_damaged_bytes_are_told(state: bytes) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        thaw(fresh(), state)
