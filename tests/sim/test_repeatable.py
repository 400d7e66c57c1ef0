"""The same seed, the same run: on any day, in any process, and whoever else calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from simkit import calls, floor, group, per_minute, sample, scenario

from acd.domain.commands import HoldCall, ReportDrift
from acd.sim import Scenario, simulate
from acd.sim.chance import Exponential, Fixed, LogNormal
from acd.sim.digest import Digest, digest_of
from acd.sim.scenario import AgentGroup
from acd.sim.world import World


def busy(**more: object) -> Scenario:
    definition = floor(4, queues={"q": {"wrap_up_s": 4.0, "ring_timeout_s": 8.0}})
    callers = per_minute(6.0, LogNormal(30.0, 0.9), patience=Exponential(60.0))
    habits = group(definition, answers=Exponential(4.0), misses=0.02, declines=0.02)
    return replace(scenario(definition, callers, length_s=3_600.0, agents=(habits,)), **more)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_run_and_another_another() -> None:
    first, again, other = (simulate(busy(), seed) for seed in (7, 7, 8))
    assert first.as_json() == again.as_json()
    assert first.digest != other.digest
    assert first.calls != other.calls


def test_replications_are_runs_of_their_own_and_the_first_stays_the_first() -> None:
    one, three = simulate(busy(), 7), simulate(busy(), 7, replications=3)
    assert three.digests[0] == one.digest
    assert len(set(three.digests)) == 3
    assert three.digest == digest_of(list(three.digests)) != three.digests[0]
    assert (one.batches, three.batches) == (20, 21)
    assert three.total.callers > 2 * one.total.callers


@pytest.mark.parametrize("name", ["a-day", "dead-site", "connection-lost"])
def test_another_process_with_another_hash_seed_decides_the_same(name: str) -> None:
    code = (
        "import json, sys; from simkit import sample; from acd.sim import simulate; from dataclasses import replace\n"
        f"print(json.dumps(simulate(replace(sample({name!r}), length_s=5400.0), 3).as_json()))"
    )
    found = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.path.dirname(__file__)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60, env=environment
        )
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert found[0]["digest"] == simulate(replace(sample(name), length_s=5400.0), 3).digest


def arrived(what: Scenario) -> list[tuple[float, float]]:
    """When callers came and for how long they would talk, of each of them."""
    world, found = World(what, 7), []
    handle = world.floor.handle

    def noting(event: object, now: object) -> object:
        if type(event).__name__ == "CallArrived":
            caller = world.callers[event.channel]  # type: ignore[attr-defined]
            if caller.source == 0:
                found.append((caller.arrived_s, caller.talk_s))
        return handle(event, now)  # type: ignore[arg-type]

    world.floor.handle = noting  # type: ignore[method-assign,assignment]
    world.run()
    return [row for row in found if row[0] < 3_600.0]


def test_a_change_in_one_place_leaves_chance_elsewhere_as_it_was() -> None:
    plain = busy()
    usual = arrived(plain)
    assert len(usual) > 200
    (callers,), (habits,) = plain.callers, plain.agents
    more_callers = (callers, per_minute(3.0, Fixed(10.0), name="more"))
    lazy = replace(habits, answers=Exponential(7.0), misses=0.3)
    half = AgentGroup("half", habits.members[:2])
    assert arrived(replace(plain, callers=more_callers)) == usual
    assert arrived(replace(plain, agents=(lazy,))) == usual
    assert arrived(replace(plain, agents=(half, replace(habits, members=habits.members[2:])))) == usual
    assert arrived(replace(plain, callers=(replace(callers, patience=Exponential(5.0)),))) == usual
    other_talk = arrived(replace(plain, callers=(replace(callers, talk=Fixed(20.0)),)))
    assert [at for at, _ in other_talk] == [at for at, _ in usual]
    assert {talk for _, talk in other_talk} == {20.0}


def test_the_digest_is_of_every_command_its_time_and_the_order() -> None:
    def of(*taken: tuple[float, object]) -> str:
        digest = Digest()
        for at_s, command in taken:
            digest.take(at_s, command)  # type: ignore[arg-type]
        return digest.text()

    hold, other = HoldCall("n", "c", "1", "p", None), HoldCall("n", "c", "2", "p", None)
    drift = ReportDrift("kind", "detail")
    assert of((1.0, hold)) == of((1.0, hold))
    digests = [of(), of((1.0, hold)), of((2.0, hold)), of((1.0, other)), of((1.0, hold), (1.0, drift))]
    digests.append(of((1.0, drift), (1.0, hold)))
    assert len(set(digests)) == len(digests)


def test_progress_goes_from_nothing_to_all_over_the_replications() -> None:
    told: list[float] = []
    simulate(scenario(floor(1), calls(1.0)), 1, replications=2, progress=told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
