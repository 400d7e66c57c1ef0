"""What is read off a running world: how many wait and talk, what agents have worked, how much more came than expected."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from acd.domain.events import Phase
from acd.domain.states import AT_WORK, AgentState
from acd.sim.book import Look
from acd.sim.scenario import Scenario

if TYPE_CHECKING:
    from acd.sim.world import World

LOOKS = 240
"""How often the floor is looked at for the picture of a run."""

_ABSENT = (AgentState.LOGGED_OUT, AgentState.PAUSED)


def expected_luck_s(scenario: Scenario, batches: int) -> list[float]:
    """Minus the seconds of talk that the callers of each batch bring on average: with what they bring added, their luck."""
    length_s = (scenario.length_s - scenario.warm_up_s) / batches
    edges = [scenario.warm_up_s + length_s * edge for edge in range(batches + 1)]
    return [
        -math.fsum(callers.arrivals.expected(start, end) * callers.talk.mean_s for callers in scenario.callers)
        for start, end in pairwise(edges)
    ]


def plan(world: World, progress: Callable[[float], None] | None) -> None:
    """Plan every look and every end of a batch."""
    marks: dict[str, tuple[float, float]] = {}
    for batch in range(world.batches + 1):
        at_s = world.scenario.warm_up_s + batch * world.batch_s
        world.plan(at_s, lambda batch: _batch_ends(world, marks, batch), batch)
    for look in range(LOOKS + 1):
        world.plan(world.scenario.length_s * look / LOOKS, lambda _: _look(world, progress), None)


def _look(world: World, progress: Callable[[float], None] | None) -> None:
    waiting = sum(caller.phase is not Phase.TALKING for caller in world.callers.values())
    present = len(world.people) - world.floor.roster.by_state[AgentState.LOGGED_OUT]
    world.looks.append(Look(world.at_s, waiting, len(world.callers) - waiting, present))
    if progress is not None:
        progress(min(1.0, world.at_s / world.scenario.length_s))


def _batch_ends(world: World, marks: dict[str, tuple[float, float]], batch: int) -> None:
    """Note what every agent has worked since the batch before."""
    for name, row in world.agents.items():
        agent = world.floor.roster.agents[name]
        running_s = world.now.utc - agent.since
        work_s = agent.counts.work_s() + (running_s if agent.state in AT_WORK else 0.0)
        present_s = agent.counts.present_s() + (0.0 if agent.state in _ABSENT else running_s)
        before = marks.get(name)
        if before is not None:
            row.work_s.append(work_s - before[0])
            row.present_s.append(present_s - before[1])
        marks[name] = work_s, present_s
    if batch == world.batches:
        world.closing = True
