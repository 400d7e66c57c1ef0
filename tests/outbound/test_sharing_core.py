"""Campaigns that share agents, in virtual time: an agent is promised to one line, whichever campaign's it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acd.dialer.gate import Terms
from acd.dialer.rules import PROFILES
from acd.domain.campaigns import Mode
from acd.outbound.sharing import Part, Sharing
from acd.outbound.words import Seat
from outbound.dialkit import World, campaign, terms

BOTH = [(Mode.PROGRESSIVE, Mode.PROGRESSIVE), (Mode.PROGRESSIVE, Mode.PREDICTIVE), (Mode.POWER, Mode.PREDICTIVE)]


@pytest.mark.parametrize("modes", BOTH, ids=["progressive", "progressive and predictive", "power and predictive"])
@pytest.mark.parametrize("seed", range(1, 9))
def test_with_no_room_for_abandonments_campaigns_that_share_agents_abandon_nobody(
    modes: tuple[Mode, Mode], seed: int
) -> None:
    """The first 34 answers of a window allow none: every line has an agent of its own."""
    one, other = (campaign(name, mode=mode, ratio=2.0) for name, mode in zip(("win", "keep"), modes, strict=True))
    world = World(terms(one), terms(other), agents=4, seed=seed, answers=0.9, contacts=200)
    while world.truth["answered"] < 30:
        world.run(world.s + 1.0)
    assert world.truth["abandoned"] == 0
    assert {world.kept.attempts[attempt].campaign for attempt in world.placed} == {"win", "keep"}
    assert PROFILES["us"].rules.cap * 30 < 1


def test_reading_contacts_anew_gives_no_agent_away() -> None:
    """Once a minute a campaign has no contact at hand for a moment; one that comes after it is not dialled for meanwhile."""
    first, later = campaign("win", mode=Mode.PROGRESSIVE, priority=9), campaign("keep", mode=Mode.PROGRESSIVE)
    world = World(terms(first), terms(later), agents=3, answers=0.0, others=("nobody",), contacts=2_000)
    world.run(400.0)
    assert {world.kept.attempts[attempt].campaign for attempt in world.placed} == {"win"}
    assert len(world.placed) > 40


def seats(*names: str, stage: Any = "idle", lines: tuple[str, ...] = ("x", "y")) -> list[Seat]:
    return [Seat(name, lines, stage, 0.0) for name in names]


def of(found: Any) -> dict[str, list[str]]:
    return {name: sorted(seat.agent for seat in one.seats) for name, one in found.items()}


def test_who_talks_is_no_agent_for_a_line_in_flight() -> None:
    sharing = Sharing()
    alone = [Part("x", 0, 1.0, True, 4, 4), Part("y", 0, 1.0, False, 0)]
    assert of(sharing.among(seats("a", "b", "c", "d"), alone, {}))["x"] == ["a", "b", "c", "d"]
    # One of the four was answered, three ring on; now y wants to dial, too
    parts = [Part("x", 0, 1.0, True, 3, 3), Part("y", 0, 1.0, True, 0)]
    there = [*seats("a", stage="talking"), *seats("b", "c", "d")]
    assert of(sharing.among(there, parts, {"a": "x"})) == {"x": ["a", "b", "c", "d"], "y": []}


def test_an_agent_who_was_held_for_another_s_line_is_replaced() -> None:
    sharing = Sharing()
    sharing.among(seats("a", "b", "c", "d"), [Part("x", 0, 1.0, True, 0), Part("y", 0, 1.0, True, 0)], {})
    owned = sharing.owner("a")
    other = "x" if owned == "y" else "y"
    mine = [name for name in "abcd" if sharing.owner(name) == owned]
    # Both campaigns have a line for each of theirs; the other's call took one of ours, whose line still rings
    parts = [Part(str(owned), 0, 1.0, True, 2, 2), Part(other, 0, 1.0, True, 1, 1)]
    found = of(sharing.among(seats(*"abcd"), parts, {mine[0]: other}))
    assert mine[0] in found[other]
    idle = {name: [one for one in some if one != mine[0]] for name, some in found.items()}
    assert (len(idle[str(owned)]), len(idle[other])) == (2, 1)


def test_nobody_is_taken_from_a_line_to_be_given_to_another() -> None:
    sharing = Sharing()
    parts = [Part("x", 1, 1.0, True, 3, 3), Part("y", 0, 1.0, True, 2, 2)]
    sharing.among(seats("a", "b", lines=("y",)), parts, {})
    found = of(sharing.among([*seats("a", "b"), *seats("c", lines=("x",))], parts, {}))
    assert found == {"x": ["c"], "y": ["a", "b"]}


def test_a_campaign_whose_trunk_rests_keeps_no_agents_from_others() -> None:
    """Though it comes first."""
    first, other = campaign("win", mode=Mode.PROGRESSIVE, priority=9), campaign("keep", mode=Mode.PROGRESSIVE)
    dead = terms(first)
    dead = Terms(dead.campaign, replace(dead.trunk, name="dead"), dead.caller_ids, None)
    world = World(dead, terms(other), agents=4, answers=0.5, others=("busy",))
    use = world.core.trunks["dead"]
    use.rests_until_s, use.rests = world.now.mono + 300.0, 6
    world.run(120.0)
    made = [world.kept.attempts[attempt].campaign for attempt in world.placed]
    assert made.count("keep") > 8
    # It is given its agents back when its trunk has rested
    use.rests_until_s, use.rests = world.now.mono, 0
    before = len(world.placed)
    world.run(240.0)
    made = [world.kept.attempts[attempt].campaign for attempt in list(world.placed)[before:]]
    assert made.count("win") > made.count("keep")
