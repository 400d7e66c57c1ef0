"""A campaign whose people meet no agent, one after another, rests: the agents' phones are dead, or slow."""

from __future__ import annotations

import pytest

from acd.domain import outbound as wire
from acd.domain.campaigns import CampaignState, Mode
from acd.domain.states import AgentState
from acd.outbound import views
from acd.outbound import words as say
from acd.outbound.aloft import _in_vain
from acd.outbound.runner import Runner
from outbound.dialkit import NODE, UTC_0, Person, World, campaign, terms


def dead(agents: int, mode: Mode = Mode.PROGRESSIVE) -> World:
    """Phones that answer 5 s after their 2 s are over."""
    return World(terms(campaign(mode=mode)), contacts=2_000, agents=agents, answers=1.0, connect_delay_s=5.0)


@pytest.mark.parametrize(("agents", "most"), [(1, 2), (2, 2), (3, 3), (12, 12)])
def test_after_three_people_for_three_phones_it_rests_and_then_tries_with_one_line(agents: int, most: int) -> None:
    world = dead(agents)
    while "agents_unreachable" not in world.alarms:
        assert world.s < 400.0
        world.run(world.s + 1.0)
    met_none = world.truth["answered"]
    assert min(max(2, agents), 3) <= met_none <= most
    told = views.explain(world.core, "win", world.now)["why"]
    assert told[0]["what"] == "gate:ledger"
    assert told[0]["detail"].endswith("people who answered met no agent in time: do the agents' phones answer?")
    # Every rest is twice as long as the last, and costs one person
    world.run(world.s + 1_000.0)
    assert 2 <= world.truth["answered"] - met_none <= agents + 6
    assert world.core.counters["campaign_rests"] >= 4


@pytest.mark.parametrize(("agents", "most"), [(12, 6), (100, 16)])
def test_phones_that_die_amid_a_shift_cost_three_people_and_those_who_are_being_called(agents: int, most: int) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), contacts=4_000, agents=agents)
    world.run(400.0)
    before, world.connect_delay_s = world.core.counters["attempts_abandoned"], 5.0
    while "agents_unreachable" not in world.alarms:
        assert world.s < 500.0
        world.run(world.s + 0.5)
    assert world.core.counters["attempts_abandoned"] - before <= 4
    world.run(world.s + 29.0)
    assert world.core.counters["attempts_abandoned"] - before <= most
    assert world.core.runners["win"].rests == 1, "whose line rang already does not lengthen it"


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize(("agents", "slow"), [(4, 1), (12, 2)])
def test_a_phone_or_two_do_not_rest_a_campaign(agents: int, slow: int, seed: int) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), contacts=4_000, agents=agents, seed=seed)
    world.slow = frozenset(f"a{n}" for n in range(slow))
    world.run(1_500.0)
    assert world.core.counters["campaign_rests"] == 0
    assert world.core.counters["attempts_abandoned"] > 5


@pytest.mark.parametrize(
    ("agents", "silent", "vain"),
    [
        ("a", ["a"], False),
        ("a", ["a", "a"], True),
        ("ab", ["a", "a"], False),
        ("", ["a", "b"], True),
        ("abcde", ["a", "a", "a", "a"], False),
        ("abcde", ["abcde"], False),
        ("abcde", ["abc", "ab"], False),
        ("abcde", ["a", "b", "a"], False),
        ("abcde", ["a", "b", "c"], True),
        ("de", ["a", "b", "c"], True),
    ],
)
def test_phones_are_given_up_by_how_many_were_called_for_how_many_people(
    agents: str, silent: list[str], vain: bool
) -> None:
    """``silent``: for each person, whose phones were called."""
    runner = Runner(terms(campaign()), UTC_0)
    runner.seats, runner.present = frozenset(agents), len(agents)
    runner.silent, runner.unmet = [frozenset(one) for one in silent], len(silent)
    assert _in_vain(runner) is vain


def test_a_phone_that_was_answered_for_anybody_is_not_dead() -> None:
    world = dead(12)
    runner = world.core.runners["win"]
    runner.silent = [frozenset({"a1"}), frozenset({"a1", "a2"})]
    world.tell(say.AgentTurned("a1", UTC_0, AgentState.TALKING, "a call of a queue"))
    assert runner.silent == [frozenset({"a2"})]


def test_whom_a_crash_has_left_alone_says_nothing_of_the_agents_phones() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), contacts=200, agents=12, answers=0.0, others=("nobody",))
    while len(world.lines) < 12:
        world.run(world.s + 0.1)
    world.crash()
    world._state_of = lambda attempt: wire.SeenState.MESSAGE  # type: ignore[method-assign]
    world.begin()
    runner = world.core.runners["win"]
    assert runner.book.ledger.counts[0].abandoned == 12.0
    assert (runner.unmet, runner.rests) == (0, 0)


def leaving(world: World, after_s: float, *, key: bool) -> None:
    """Whoever answers from now on goes after so long, by the opt-out key or without it."""
    answers = world._answers

    def go(attempt: str) -> None:
        if key and attempt in world.lines:
            world.tell(wire.AttemptOptedOut(world.now.utc, NODE, attempt, "9"), look=False)
        world._gone(attempt, None, 16, answered=True)

    def answered(attempt: str, person: Person) -> None:
        answers(attempt, person)
        world.after(after_s, lambda: go(attempt))

    world._answers = answered  # type: ignore[method-assign]


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("agents", [1, 3])
@pytest.mark.parametrize("after_s", [0.32, 1.5])
def test_who_leaves_by_himself_in_time_says_nothing_of_the_agents_phones(
    after_s: float, agents: int, *, key: bool
) -> None:
    world = dead(agents)
    leaving(world, after_s, key=key)
    world.run(200.0)
    assert world.truth["answered"] > 10
    assert "agents_unreachable" not in world.alarms
    runner = world.core.runners["win"]
    assert (runner.unmet, runner.silent, runner.rests) == (0, [], 0)
    # The law charges the key all the same
    assert (runner.book.ledger.counts[0].abandoned > 10) is key


def test_nor_does_he_end_the_row_of_those_who_met_nobody() -> None:
    world = dead(3)
    runner = world.core.runners["win"]
    while not runner.unmet:
        world.run(world.s + 0.1)
    leaving(world, 0.3, key=True)
    world.run(world.s + 6.0)
    before, silent = runner.unmet, list(runner.silent)
    assert 1 <= before <= 2
    opted_out = world.core.counters["opted_out"]
    world.run(world.s + 60.0)
    assert world.core.counters["opted_out"] > opted_out
    assert (runner.unmet, runner.silent) == (before, silent)


def test_who_presses_the_key_when_an_agent_should_have_been_there_counts() -> None:
    world = dead(3)
    leaving(world, 2.05, key=True)
    while "agents_unreachable" not in world.alarms:
        assert world.s < 400.0
        world.run(world.s + 1.0)


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
