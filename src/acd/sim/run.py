"""Runs a scenario's replications one after the other and adds up what came of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from acd.sim.digest import digest_of
from acd.sim.results import CONFIDENCE, Results, Tally, group_line
from acd.sim.scenario import Scenario
from acd.sim.world import World

Progress = Callable[[float], None]


def simulate(
    scenario: Scenario,
    seed: int,
    *,
    replications: int | None = None,
    confidence: float = CONFIDENCE,
    progress: Progress | None = None,
) -> Results:
    """Run ``scenario`` with ``seed``: the same two give the same results and the same digest, always.

    ``replications`` overrides the scenario's. ``progress`` is told the share that is done. Raises SimulationError when a
    run cannot go on.
    """
    if replications is not None:
        scenario = replace(scenario, replications=replications)
    count = scenario.replications
    # A batch of every replication at least, or intervals would say less than is known
    batches = max(1, math.ceil(scenario.batches / count))
    worlds = []
    for number in range(count):
        part = None if progress is None else _part_of(progress, number, count)
        worlds.append(World(scenario, seed, number, batches).run(part))
    return _results(scenario, seed, worlds, batches, confidence)


def _part_of(progress: Progress, number: int, count: int) -> Progress:
    return lambda share: progress((number + share) / count)


def _results(scenario: Scenario, seed: int, worlds: list[World], batches: int, confidence: float) -> Results:
    count = batches * len(worlds)
    total = Tally(count)
    by_source = [Tally(count) for _ in scenario.callers]
    # The last is for those who never reached a queue
    by_queue = [Tally(count) for _ in range(len(scenario.definition.queues) + 1)]
    drift: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    for number, world in enumerate(worlds):
        drift.update(world.drift)
        alarms.update(world.alarms)
        for row in world.book:
            batch = number * batches + row.batch
            total.add(row, batch)
            by_source[row.source].add(row, batch)
            by_queue[row.queue].add(row, batch)
    luck_s = [value for world in worlds for value in world.luck_s]
    digests = tuple(world.digest.text() for world in worlds)
    named = zip(scenario.definition.queues, by_queue[:-1], strict=True)
    return Results(
        scenario=scenario.name,
        description=scenario.description,
        revision=scenario.definition.revision,
        seed=seed,
        replications=len(worlds),
        batches=count,
        length_s=scenario.length_s,
        warm_up_s=scenario.warm_up_s,
        confidence=confidence,
        digest=digest_of(list(digests)),
        digests=digests,
        calls=sum(world.callers_seen for world in worlds),
        events=sum(world.events for world in worlds),
        total=total.line(confidence, luck_s),
        callers={
            callers.name: tally.line(confidence, luck_s)
            for callers, tally in zip(scenario.callers, by_source, strict=True)
        },
        queues={name: tally.line(confidence, luck_s) for name, tally in named},
        groups={
            group.name: group_line(
                [[world.agents[name] for name in group.members] for world in worlds], confidence, luck_s
            )
            for group in scenario.agents
        },
        drift=drift,
        alarms=alarms,
        looks=tuple(worlds[0].looks),
        waits_s=tuple(sorted(total.waits_s)),
    )
