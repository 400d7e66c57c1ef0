"""A campaign whose people meet no agent, one after another, rests: the agents' phones are dead, or slow."""

from __future__ import annotations

import pytest

from acd.domain.campaigns import CampaignState, Mode
from acd.outbound import views
from acd.outbound import words as say
from outbound.dialkit import World, campaign, terms


def dead(agents: int, mode: Mode = Mode.PROGRESSIVE) -> World:
    """Phones that answer 5 s after their 2 s are over."""
    return World(terms(campaign(mode=mode)), contacts=2_000, agents=agents, answers=1.0, connect_delay_s=5.0)


@pytest.mark.parametrize(("agents", "most"), [(3, 8), (12, 24)])
def test_after_as_many_people_as_agents_it_rests_and_then_tries_with_one_line(agents: int, most: int) -> None:
    world = dead(agents)
    while "agents_unreachable" not in world.alarms:
        assert world.s < 400.0
        world.run(world.s + 1.0)
    met_none = world.truth["answered"]
    assert max(5, agents) <= met_none <= most
    told = views.explain(world.core, "win", world.now)["why"]
    assert told[0]["what"] == "gate:ledger"
    assert told[0]["detail"].endswith("people who answered met no agent in time: do the agents' phones answer?")
    # Every rest is twice as long as the last, and costs one person
    world.run(world.s + 1_000.0)
    assert 2 <= world.truth["answered"] - met_none <= agents + 6
    assert world.core.counters["campaign_rests"] >= 4


def test_whom_a_crash_has_left_alone_says_nothing_of_the_agents_phones() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), contacts=200, agents=12, answers=1.0, connect_delay_s=5.0)
    while len(world.waiting) + len(world.talking) < 8:
        world.run(world.s + 0.1)
    world.crash()
    world.run(world.s + 2.5)
    world.begin()
    world.run(world.s + 1.0)
    runner = world.core.runners["win"]
    assert runner.unmet < 5
    assert runner.rests == 0


def test_who_is_served_ends_it() -> None:
    world = dead(3)
    world.run(400.0)
    assert world.core.runners["win"].rests
    world.connect_delay_s = 0.2
    world.run(1_600.0)
    runner = world.core.runners["win"]
    assert (runner.unmet, runner.rests) == (0, 0)
    assert world.truth["served"] > 10


def test_nor_does_it_wait_where_somebody_starts_it_anew() -> None:
    world = dead(3)
    world.run(400.0)
    world.connect_delay_s = 0.2
    for state in (CampaignState.STOPPED, CampaignState.RUNNING):
        world.tell(say.StateSet("win", state, "anna", ""))
    served = world.truth["served"]
    world.run(world.s + 40.0)
    assert world.truth["served"] >= served + 3


@pytest.mark.parametrize("seed", range(1, 5))
def test_chance_does_not_rest_a_campaign(seed: int) -> None:
    world = World(terms(campaign(mode=Mode.POWER, ratio=2.5)), seed=seed, contacts=2_000, agents=8, answers=0.5)
    world.run(1_200.0)
    assert world.core.counters["campaign_rests"] == 0
    assert world.truth["abandoned"] > 0
