"""Agents whom a queue keeps from campaigns: nobody is dialled for them, whoever has answered is served, and it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer.blending import Counts
from acd.domain.blending import Blend, Limits
from acd.domain.campaigns import Mode
from acd.outbound import views
from acd.outbound.blending import Blending
from acd.outbound.words import Seat
from outbound.dialkit import UTC_0, World, campaign, terms

RECALL = {"support": Blend(recall=Limits(waiting=3), hold_s=30.0)}
BAD, WELL = {"support": Counts(waiting=3)}, {"support": Counts()}


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.POWER, Mode.PREDICTIVE])
@pytest.mark.parametrize("seed", [1, 2])
def test_while_agents_are_recalled_nobody_is_dialled_and_who_answers_is_served(mode: Mode, seed: int) -> None:
    world = World(terms(campaign(mode=mode, ratio=2.0)), agents=8, seed=seed, contacts=900, answers=0.7, blends=RECALL)
    world.inbound = WELL
    meanwhile = 0
    for begins_s in (100.0, 200.0, 300.0):
        world.run(begins_s)
        dialled, served = len(world.placed), world.truth["served"]
        world.inbound = BAD
        # What is being committed at this moment may still be dialled
        world.run(begins_s + 0.1)
        assert len(world.placed) - dialled <= 8
        dialled = len(world.placed)
        world.run(begins_s + 50.0)
        assert len(world.placed) == dialled
        meanwhile += world.truth["served"] - served
        world.inbound = WELL
        world.run(begins_s + 75.0)
        assert len(world.placed) == dialled, "it has not held for long enough"
    world.run(400.0)
    assert len(world.placed) > dialled
    assert meanwhile, "who had been called before is served"
    assert mode is not Mode.PROGRESSIVE or not world.truth["abandoned"]
    world.stop()


def test_a_reserve_makes_the_supply_smaller() -> None:
    blends = {"support": Blend(Limits(), 3)}
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=5, blends=blends)
    world.inbound = WELL
    most = 0
    for s in range(1, 200):
        world.run(float(s))
        most = max(most, len(world.lines))
    assert most == 2
    status = views.status(world.core, "win", world.now)
    assert status["inbound"]["support"]["kept"] == 3
    told = [one for one in views.explain(world.core, "win", world.now)["why"] if one["what"] == "inbound:reserve"]
    assert told == [{"what": "inbound:reserve", "detail": "3 agents are reserved for queue support: always so many"}]
    world.stop()


def test_of_a_queue_that_is_not_told_of_nothing_new_is_known() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), blends=RECALL)
    world.inbound = BAD
    world.run(20.0)
    assert not world.placed
    assert views.status(world.core, "win", world.now)["because"] == "inbound:recall"
    world.inbound = {}
    world.run(100.0)
    assert not world.placed


stages = st.sampled_from(["idle", "talking", "wrapping"])
names = st.sampled_from(["one", "two"])


@settings(max_examples=200)
@given(
    st.lists(st.tuples(stages, st.sets(names)), max_size=8),
    st.fixed_dictionaries({"one": st.integers(0, 4), "two": st.integers(0, 4)}),
    st.integers(0, 4),
)
def test_campaigns_have_whom_no_queue_keeps(
    given: list[tuple[str, set[str]]], waiting: dict[str, int], reserved: int
) -> None:
    seats = [
        Seat(f"a{n}", ("win",), stage, UTC_0 + n, tuple(sorted(queues)))  # type: ignore[arg-type]
        for n, (stage, queues) in enumerate(given)
    ]
    blend = Blend(Limits(waiting=1), reserved, 0.0, Limits(waiting=3))
    blending = Blending()
    blending.define({"one": blend, "two": replace(blend, agents=1)})
    left = blending.keep(seats, {name: Counts(count) for name, count in waiting.items()}, 0.0)
    assert set(left) <= set(seats)
    gone = {seat.agent for seat in seats} - {seat.agent for seat in left}
    assert gone == blending.kept["one"] | blending.kept["two"]
    for name, count in waiting.items():
        own = [seat for seat in seats if name in seat.queues]
        wanted = len(own) if count >= 3 else min(len(own), reserved if name == "one" else 1) if count else 0
        assert len(blending.kept[name]) == wanted
        assert blending.kept[name] <= {seat.agent for seat in own}
    # Nobody idle is left to dial for while somebody busy is kept in his place
    if not waiting["two"] and 0 < waiting["one"] < 3:
        idle = [seat for seat in left if seat.stage == "idle" and "one" in seat.queues]
        busy = [seat for seat in seats if seat.agent in gone and seat.stage != "idle"]
        assert not (idle and busy)
