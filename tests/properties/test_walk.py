"""The floor in its world, on seeded random walks: a hundred times more steps than Hypothesis takes in the same time.

The seed stands in the test's name. ``ACD_WALKS=20000`` walks on; ``ACD_WALK_FROM`` says from which seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from world import FAILURES, NODES, OF_A_PHONE, PARTS, PHONES, World

from acd.domain.events import AgentAction, Phase
from acd.domain.states import PhoneState

BATCH = 20
WALKS = int(os.environ.get("ACD_WALKS", "200"))
FIRST = int(os.environ.get("ACD_WALK_FROM", "0"))

Moves = list[tuple[float, Callable[[], None]]]


def moves(world: World, r: random.Random, faults: float, edits: float | None = None) -> Moves:
    """What can happen now, with how often it does. ``faults``, ``edits``: 0 none, 1 all the time; ``edits`` None:
    nor does anybody ask anything for a call."""

    def node() -> str:
        return r.choice(NODES)

    found: Moves = [
        (10, lambda: world.arrive(node(), r.choice("112349"), r.randint(1, 2))),
        (5, lambda: request(world, r)),
        (3, world.all_log_in),
        (2, lambda: world.agent_previews(r.choice(["ann", "bob", "cid"]), r.choice(["shown", "dialling", None]))),
        (3, lambda: world.phone_changes(node(), r.choice(PHONES), r.choice([PhoneState.IDLE, *PhoneState]))),
        (6, world.everything_arrives),
        (12, lambda: world.deliver(node(), r.randint(1, 8))),
        (12, lambda: world.execute(node(), r.randint(1, 8))),
        (8, lambda: world.time_passes(r.choice([0.001, 0.5, 2.0, 7.0, 11.0, 26.0, 70.0]))),
        (1, lambda: world.time_jumps(r.choice([1.0, 15.0, 100.0]))),
        (2, world.connection_comes_up),
        (2, world.commit),
        (1, lambda: world.running_comparison(node(), r.choice([0.0, 3.0]))),
        (1, world.compare),
        (faults, lambda: world.connection_breaks(node())),
        (faults / 2, lambda: world.asterisk_restarts(node(), r.random() < 0.5)),
        (faults / 2, lambda: world.controller_is_killed(r.random() < 0.5)),
        (faults / 2, lambda: world.harm_events(node(), r.choice(["lose", "double", "swap"]))),
        (faults / 3, lambda: world.lose_a_command(node())),
    ]
    if edits is not None:
        found.append((edits, lambda: world.floor_is_edited(r.randrange(1_000), r.choice(PARTS))))
    if world.slow_look is None:
        found.append((2, lambda: world.slow_look_is_taken(node())))
    else:
        found.append((4, world.slow_look_arrives))
    if world.has(*Phase, None):
        found.append((4, world.caller_hangs_up))
    if world.has(Phase.HELD):
        found += [(1, world.caller_asks_again), (1, world.caller_takes_the_fallback)]
    if edits is not None and world.has(*Phase):
        found += [(2, lambda: world.call_is_escalated(r.choice([None, "vip", "help"])))]
        found += [(2, lambda: world.call_is_transferred(r.choice(["vip", "tech", "help", "outside"])))]
        found += [(2, world.call_is_given_attributes)]
    if world.has(Phase.OFFERING):
        found.append((10, world.phone_rings))
    if world.has(Phase.OFFERING, Phase.RINGING):
        found += [(10, world.agent_answers), (6, lambda: world.offer_fails(r.choice(FAILURES)))]
    if world.has_several():
        found.append((6, lambda: world.one_of_several_fails(r.choice(OF_A_PHONE))))
    if world.has(Phase.TALKING):
        found += [
            (8, world.agent_hangs_up),
            (1, lambda: world.agent_transfers(r.choice(["blind", "attended"]))),
            (1, world.agent_sends_caller_back),
            (2, lambda: world.agent_transfers_back(r.choice("124"))),
            (4, world.agent_holds),
            (3, lambda: world.agent_consults(r.choice("124"))),
            (2, world.agent_holds_his_own_call),
        ]
    if world.has_joinable():
        found.append((4, world.agent_joins))
    return found


def request(world: World, r: random.Random) -> None:
    """An agent asks for something, sensible or not."""
    agent = r.choice(["ann", "bob", "cid", "104", "nobody"])
    action = r.choice([AgentAction.LOGIN, AgentAction.LOGIN, *AgentAction])
    reason = r.choice([None, "lunch", "nonsense"])
    phone = r.choice([None] * 6 + list(PHONES))
    world.agent_asks(agent, action, reason, phone, r.random() < 0.5)


def walk(seed: int) -> None:
    """One life of the world."""
    r = random.Random(seed)
    world = World()
    world.choose = r.randrange
    faults, edits = r.choice([0.0, 0.3, 1.0]), r.choice([0.0, 0.4, 1.0])
    world.begin(r.choice(["both", "both", "east", "none"]), r.random() < 0.8, r.choice([0, r.randrange(1, 1_000)]))
    for _ in range(r.choice([60, 200])):
        weights, acts = zip(*moves(world, r, faults, edits), strict=True)
        r.choices(acts, weights)[0]()
    world.end()


@pytest.mark.parametrize("first", range(FIRST, FIRST + WALKS, BATCH))
def test_walks(first: int) -> None:
    for seed in range(first, first + BATCH):
        try:
            walk(seed)
        except Exception as error:
            error.add_note(f"walk({seed}) repeats it")
            raise
