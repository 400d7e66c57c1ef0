"""A clock that jumps while campaigns dial: nobody is called whom the law forbids, nobody twice, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acd.domain.campaigns import AttemptOutcome, Mode
from acd.domain.instant import Instant
from acd.domain.states import AgentState
from acd.outbound import views
from outbound.dialkit import UTC_0, World, campaign, terms

DAY_S = 86_400.0
TEN_TO_NOON = replace(campaign().rules.hours, week=(((600, 720),),) * 7)


class JumpyWorld(World):
    """Its clock shows ``off_s`` more than the truth. Steps of time that never go back go on as ever."""

    off_s = 0.0

    @property
    def now(self) -> Instant:
        return Instant(1_000.0 + self.s, UTC_0 + self.s + self.off_s)

    def place(self, command: Any) -> None:
        hour = (self.now.utc % DAY_S) / 3_600.0
        assert 10.0 <= hour < 12.0, f"somebody was called at {hour:.2f}"
        super().place(command)


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.POWER, Mode.PREDICTIVE])
@pytest.mark.parametrize("jump_s", [12 * 3_600.0, DAY_S, -3_600.0, -90.0])
def test_a_clock_that_jumps_while_lines_ring_and_people_talk(mode: Mode, jump_s: float) -> None:
    rules = replace(campaign().rules, hours=TEN_TO_NOON)
    world = JumpyWorld(terms(campaign(mode=mode, rules=rules, ratio=2.0)), agents=8, contacts=600, answers=0.5)
    world.run(60.0)
    before = len(world.placed)
    assert before > 10
    world.off_s = jump_s
    world.run(63.0)
    # What was durable before may be on its way
    jumped = len(world.placed)
    world.run(100.0)
    why = views.explain(world.core, "win", world.now)["why"][0]["what"]
    if jump_s == DAY_S:
        assert len(world.placed) > jumped, "the same hour of another day"
    else:
        assert len(world.placed) == jumped
        assert why == ("gate:hours" if jump_s > 0 else "clock")
    world.off_s = 0.0
    dialled = len(world.placed)
    world.run(300.0)
    if jump_s < 0:
        assert len(world.placed) > dialled, "it has caught up"
    else:
        assert len(world.placed) == dialled, "what happened by then is still to come"
        assert views.explain(world.core, "win", world.now)["why"][0]["what"] == "clock"
    world.stop()
    outcomes = list(world.kept.outcomes.values())
    assert outcomes.count(AttemptOutcome.ANSWERED) == world.truth["served"]
    assert max(world.by_contact.values()) <= campaign().attempts
    answered, charged = world.charged() if jump_s != DAY_S else (world.truth["answered"], world.truth["abandoned"])
    assert (answered, charged) >= (world.truth["answered"], world.truth["abandoned"])


def test_a_clock_that_went_back_is_told_with_how_far() -> None:
    world = JumpyWorld(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2)
    world.run(10.0)
    world.off_s = -3_600.0
    world.run(20.0)
    (first, *_) = views.explain(world.core, "win", world.now)["why"]
    assert first["what"] == "clock"
    assert "3590 s" in first["detail"]


def test_a_clock_set_back_by_less_than_a_second_has_nobody_dialled_as_if_for_the_first_time() -> None:
    """Two contacts have one number; the clock is stepped after they were read, and before the first is dialled."""
    rules = replace(campaign().rules, number_day=1)
    world = JumpyWorld(
        terms(campaign(mode=Mode.PROGRESSIVE, rules=rules)), agents=1, contacts=2, answers=0.0, others=("busy",)
    )
    first, second = world.kept.rows.values()
    second.contact = replace(second.contact, numbers=first.contact.numbers)
    world.agents["a0"] = (AgentState.TALKING, 0.0, "")
    world.off_s = 60.0
    world.core.runners["win"].let_go()
    world.run(0.6)
    assert all(one.read_s > UTC_0 + 59.0 for one in world.core.runners["win"].ready.values())
    world.off_s = 59.1
    world.agents["a0"] = (AgentState.AVAILABLE, 0.6, "")
    world.look()
    world.run(30.0)
    assert len(world.placed) == 1
    assert "number_day" in world.core.runners["win"].refusals
