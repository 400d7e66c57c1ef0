"""Offers that ring phones of several agents at once."""

from __future__ import annotations

from typing import Any

from simkit import calls, floor, group, played, scenario

from acd.sim.chance import Fixed, Sample
from acd.sim.world import World


def run(agents: int, rings: int, *callers: Any, habits: dict[str, Any]) -> World:
    definition = floor(agents, queues={"q": {"ring_agents": rings}})
    return played(scenario(definition, *callers, agents=(group(definition, **habits),)))


def fates(world: World) -> list[tuple[str, float]]:
    return [(row.fate.name, round(row.wait_s, 6)) for row in world.book]


def test_the_first_to_answer_has_the_caller_and_the_other_is_free_for_the_next() -> None:
    world = run(2, 2, calls(0.0, 5.0, talk_s=60.0), habits={"answers": Fixed(3.0)})
    assert fates(world) == [("ANSWERED", 3.0), ("ANSWERED", 3.0)]
    assert [world.agents[name].calls for name in ("a1", "a2")] == [1, 1]
    assert not world.drift


def test_a_caller_who_came_while_all_rang_is_taken_by_who_did_not_answer_the_first() -> None:
    world = run(2, 2, calls(0.0, 1.0, talk_s=60.0), habits={"answers": Fixed(3.0)})
    assert fates(world) == [("ANSWERED", 3.0), ("ANSWERED", 5.0)]


def test_nobody_answers_and_each_is_paused_until_he_returns() -> None:
    world = run(2, 2, calls(0.0, talk_s=10.0, patience=Fixed(50.0)), habits={"misses": 1.0, "returns": Fixed(100.0)})
    assert fates(world) == [("ABANDONED", 50.0)]
    assert [world.floor.roster.agents[name].counts.rona for name in ("a1", "a2")] == [1, 1]
    assert not world.drift


def test_a_caller_who_gives_up_leaves_all_phones_at_rest() -> None:
    world = run(3, 3, calls(0.0, 4.0, talk_s=10.0, patience=Sample((2.0,))), habits={"answers": Fixed(5.0)})
    assert fates(world) == [("ABANDONED", 2.0), ("ABANDONED", 2.0)]
    assert all(person.caller is None for person in world.people.values())
    assert not world.drift
