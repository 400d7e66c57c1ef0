"""What callers, agents and phones do to the floor, moment by moment, in runs small enough to be worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from simkit import HangUp, ToQueue, calls, floor, group, played, scenario

from acd.domain.commands import Command
from acd.domain.definition import FloorDefinition
from acd.domain.values import valueclass
from acd.sim.book import Fate
from acd.sim.chance import Fixed, Sample
from acd.sim.scenario import AgentGroup, ConnectionLost, PhonesFail, Shift
from acd.sim.world import SimulationError, World

Row = tuple[str, float]


def fates(world: World) -> list[Row]:
    """(fate, wait in seconds) of every counted caller, in the order in which they were done with."""
    return [(row.fate.name, round(row.wait_s, 6)) for row in world.book]


def run(definition: FloorDefinition, *callers: Any, habits: dict[str, Any] | None = None, **more: Any) -> World:
    return played(scenario(definition, *callers, agents=(group(definition, **(habits or {})),), **more))


def test_one_agent_takes_one_caller_after_the_other() -> None:
    world = run(floor(1), calls(0.0, 4.0, 5.0, 60.0, talk_s=10.0))
    assert fates(world) == [("ANSWERED", 0.0), ("ANSWERED", 6.0), ("ANSWERED", 15.0), ("ANSWERED", 0.0)]
    assert [row.held for row in world.book] == [False, True, True, False]
    assert world.agents["a1"].calls == 4
    assert sum(world.agents["a1"].work_s) == pytest.approx(40.0)
    assert sum(world.agents["a1"].present_s) == pytest.approx(600.0)


def test_wrap_up_belongs_to_the_queue_and_keeps_the_agent_busy() -> None:
    world = run(floor(1, queues={"q": {"wrap_up_s": 5.0}}), calls(0.0, 1.0, talk_s=10.0))
    assert fates(world) == [("ANSWERED", 0.0), ("ANSWERED", 14.0)]
    assert sum(world.agents["a1"].work_s) == pytest.approx(30.0)


def test_a_caller_who_waits_gives_up_when_his_patience_ends() -> None:
    world = run(floor(1), calls(0.0, 1.0, 2.0, talk_s=30.0, patience=Fixed(20.0)))
    assert fates(world) == [("ANSWERED", 0.0), ("ABANDONED", 20.0), ("ABANDONED", 20.0)]


def test_a_caller_may_give_up_while_the_phone_rings_and_frees_the_agent() -> None:
    world = run(floor(1), calls(0.0, 1.0, talk_s=5.0, patience=Fixed(6.0)), habits={"answers": Fixed(4.0)})
    # The second is offered at 9, rings, and hangs up at 7: before that
    assert fates(world) == [("ANSWERED", 4.0), ("ABANDONED", 6.0)]
    world = run(floor(1), calls(0.0, 20.0, talk_s=5.0, patience=Sample((3.0,))), habits={"answers": Fixed(4.0)})
    assert fates(world) == [("ABANDONED", 3.0), ("ABANDONED", 3.0)]
    assert world.agents["a1"].calls == 0


def test_a_caller_may_hang_up_at_the_very_moment_at_which_an_agent_becomes_free() -> None:
    """The floor, told of both at once, commands something for a channel that is gone."""
    world = run(floor(1, queues={"q": {"wrap_up_s": 5.0}}), calls(0.0, 7.0, 8.0, talk_s=10.0, patience=Fixed(8.0)))
    assert fates(world) == [("ANSWERED", 0.0), ("ABANDONED", 8.0), ("ANSWERED", 7.0)]
    assert world.agents["a1"].calls == 2


def test_nobody_answers_and_the_next_agent_is_rung() -> None:
    definition = floor(2, queues={"q": {"ring_timeout_s": 12.0}})
    deaf = AgentGroup("deaf", ("a1",), misses=1.0, returns=Fixed(30.0))
    good = AgentGroup("good", ("a2",), answers=Fixed(2.0))
    world = played(scenario(definition, calls(0.0, 13.0, 50.0, talk_s=3.0), agents=(deaf, good)))
    # a1 rings in vain for 12 s, is paused until 42, and then again is the longest idle
    assert fates(world) == [("ANSWERED", 14.0), ("ANSWERED", 6.0), ("ANSWERED", 2.0)]
    assert (world.agents["a1"].calls, world.agents["a2"].calls) == (0, 3)


def test_declining_takes_effect_at_once_and_pauses() -> None:
    definition = floor(2)
    shy = AgentGroup("shy", ("a1",), declines=1.0, answers=Fixed(1.0), returns=Fixed(1000.0))
    world = played(scenario(definition, calls(0.0, talk_s=3.0), agents=(shy, AgentGroup("good", ("a2",)))))
    assert fates(world) == [("ANSWERED", 1.0)]
    assert next(iter(world.book)).held


@pytest.mark.parametrize("how", ["unreachable", "congestion"])
def test_phones_that_fail_at_once_are_passed_over(how: Any) -> None:
    definition = floor(2)
    fault = PhonesFail(("a1",), 0.0, 300.0, how)
    world = played(scenario(definition, calls(1.0, 2.0, 400.0, 401.0, talk_s=20.0), faults=(fault,)))
    assert fates(world)[0] == ("ANSWERED", 0.0)
    assert world.agents["a2"].calls + world.agents["a1"].calls == 4
    assert world.agents["a1"].calls >= 1
    assert fates(world)[1] == ("ANSWERED", 19.0)


def test_phones_known_to_be_unreachable_are_not_tried() -> None:
    definition = floor(2)
    fault = PhonesFail(("a1",), 0.0, 300.0, reported=True)
    world = played(scenario(definition, calls(1.0, 2.0, talk_s=20.0), faults=(fault,)))
    assert fates(world) == [("ANSWERED", 0.0), ("ANSWERED", 19.0)]
    assert [row.held for row in world.book] == [False, True]


def test_silent_phones_ring_into_the_void_until_the_ring_timeout() -> None:
    definition = floor(2, queues={"q": {"ring_timeout_s": 12.0}})
    fault = PhonesFail(("a1",), 0.0, 300.0, "silent")
    world = played(scenario(definition, calls(1.0, talk_s=20.0), faults=(fault,)))
    assert fates(world) == [("ANSWERED", 12.0)]


def test_lines_are_counted_and_one_more_is_busy() -> None:
    world = run(floor(1), calls(0.0, 1.0, 2.0, 12.0, talk_s=10.0), lines=2)
    assert sorted(fates(world)) == [("ANSWERED", 0.0), ("ANSWERED", 8.0), ("ANSWERED", 9.0), ("BLOCKED", 0.0)]
    assert world.floor.counts["q"].offered == 3


def test_the_waiting_room_is_counted_over_all_queues() -> None:
    definition = floor(1, queues={"q": {}, "p": {}})
    world = run(definition, calls(0.0, 1.0, 2.5, talk_s=10.0), calls(2.0, 3.0, did="p", name="more"), waiting_room=2)
    assert fates(world).count(("REFUSED", 0.0)) == 2
    assert [row.fate for row in world.book].count(Fate.ANSWERED) == 3
    assert run(floor(1), calls(0.0, 1.0), waiting_room=0).book.queues == ("q",)


def test_overflow_to_another_queue_and_out_of_the_house() -> None:
    queues = {"q": {"max_wait_s": 5.0, "overflow": ToQueue("p")}, "p": {"max_wait_s": 7.0, "overflow": HangUp()}}
    world = run(floor(1, queues=queues), calls(0.0, 1.0, talk_s=100.0))
    assert fates(world) == [("ANSWERED", 0.0), ("SENT_AWAY", 12.0)]
    assert [world.book.queues[row.queue] for row in world.book] == ["q", "p"]


def test_shifts_log_agents_in_and_out_after_their_call() -> None:
    shifts = (Shift(10.0, 20.0), Shift(100.0))
    world = run(floor(1), calls(0.0, 15.0, 40.0, talk_s=8.0), habits={"shifts": shifts})
    assert fates(world) == [("ANSWERED", 10.0), ("ANSWERED", 3.0), ("ANSWERED", 60.0)]
    # From 10 until the second call is over at 26, and from 100 to the end at 600
    assert sum(world.agents["a1"].present_s) == pytest.approx(516.0)


def test_whoever_can_never_be_served_is_said_to_be_stuck() -> None:
    world = World(
        scenario(floor(1), calls(5.0), agents=(AgentGroup("all", ("a1",), shifts=(Shift(0.0, 1.0),)),)), 1
    ).run()
    assert fates(world) == [("STUCK", 595.0)]


def test_only_callers_between_warm_up_and_end_count_and_all_of_these_are_seen_to_their_end() -> None:
    more = {"warm_up_s": 100.0, "length_s": 200.0}
    world = run(floor(1), calls(10.0, 99.0, 100.0, 199.9, 200.0, 250.0, talk_s=30.0), **more)
    assert len(world.book) == 2
    assert fates(world) == [("ANSWERED", 29.0), ("ANSWERED", 0.0)]


def test_the_floors_own_counts_agree() -> None:
    queues = {"q": {"max_wait_s": 30.0, "overflow": HangUp(), "wrap_up_s": 3.0}}
    at = [float(second * 7 % 400) for second in range(60)]
    world = run(
        floor(2, queues=queues),
        calls(*sorted(at), talk_s=14.0, patience=Sample((5.0, 20.0, 90.0))),
        habits={"answers": Sample((1.0, 4.0)), "misses": 0.1, "declines": 0.1},
    )
    counts, seen = world.floor.counts["q"], [row.fate for row in world.book]
    assert counts.offered == len(seen) == 60
    assert counts.answered == seen.count(Fate.ANSWERED) > 0
    assert counts.abandoned == seen.count(Fate.ABANDONED) > 0
    assert counts.overflowed == seen.count(Fate.SENT_AWAY) > 0
    waited_s = sum(row.wait_s for row in world.book if row.fate is Fate.ANSWERED)
    assert counts.wait_sum_s == pytest.approx(waited_s, abs=1e-3)
    assert counts.answered_in_time == sum(row.in_time for row in world.book)
    assert not world.drift


def test_a_lost_connection_is_made_up_for() -> None:
    definition = floor(2)
    at = [float(second) for second in range(0, 300, 9)]
    lost = ConnectionLost(100.0, 60.0)
    world = played(
        scenario(definition, calls(*at, talk_s=12.0, patience=Fixed(80.0)), faults=(lost,), agents=(
            group(definition, answers=Fixed(3.0)),
        ))
    )  # fmt: skip
    assert len(world.book) == len(at)
    assert Fate.STUCK not in {row.fate for row in world.book}
    assert world.drift["call_gone"] + world.drift["talk_end_unheard"] > 0
    # Nobody could be offered a call while it was lost, and those who waited then were served after it
    waits = [row.wait_s for row in world.book if row.fate is Fate.ANSWERED]
    assert max(waits) > 40.0
    states = {str(agent.state) for agent in world.floor.roster.agents.values()}
    assert states == {"AVAILABLE"}


def test_a_flood_that_nobody_can_serve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acd.sim.world.LIVE_LIMIT", 5)
    with pytest.raises(SimulationError, match=r"after 5 s more than 5 callers.*patience"):
        run(floor(1), calls(*map(float, range(20)), talk_s=1000.0))


def test_a_command_that_nobody_carries_out_raises() -> None:
    @valueclass(frozen=True, slots=True)
    class Sing(Command):
        """Nobody does."""

    world = World(scenario(floor(1), calls(1.0)), 1)
    handle = world.floor.handle

    class Singing:
        def __init__(self, step: Any) -> None:
            self.commands = (*step.commands, Sing())

    world.floor.handle = lambda event, now: Singing(handle(event, now))  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(AssertionError, match=r"nobody carries out .*Sing"):
        world.run()
