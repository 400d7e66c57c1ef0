"""``python -m acd.lab.bench.simulation``: how many simulated calls a minute of computing gets through, and what costs most.

The very floor of production decides, explanations and all. Times are CPU time of this thread, so that other programs
hardly count; of several runs the best, as they only ever make it slower.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any, Final

import click

from acd.domain.definition import AgentDefinition, EntryPoint, FloorDefinition, QueueDefinition, Stage
from acd.domain.expression import parse
from acd.sim import Scenario, simulate
from acd.sim.arrivals import Poisson
from acd.sim.chance import Exponential, Gamma, LogNormal
from acd.sim.scenario import AgentGroup, Callers
from acd.sim.world import World

CALLS_MIN_PER_MINUTE: Final = 100_000
TALK_S: Final = 180.0
WRAP_UP_S: Final = 20.0
OCCUPANCY: Final = 0.9

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A floor of ``agents`` in ``queues``, each agent with ``skills`` of as many as there are queues."""

    agents: int
    queues: int
    skills: int


CASES: Final = (Case(50, 1, 1), Case(200, 12, 3), Case(1_000, 50, 5))


def made(case: Case, calls: int) -> Scenario:
    """About ``calls`` calls to a floor that is busy for nine tenths, with stages that relax, patience and missed calls."""
    names = [f"s{number}" for number in range(case.queues)]
    queues = {
        f"q{number}": QueueDefinition(
            f"q{number}",
            stages=(
                Stage(0.0, parse(f"{name} >= 60", names)),
                Stage(15.0, parse(f"{name} >= 30", names)),
            ),
            wrap_up_s=WRAP_UP_S,
            max_wait_s=600.0,
        )
        for number, name in enumerate(names)
    }
    agents = {}
    for number in range(case.agents):
        mine = [(number + step) % case.queues for step in range(case.skills)]
        agents[f"a{number}"] = AgentDefinition(
            f"a{number}",
            str(10_000 + number),
            (f"SIM/{number}",),
            tuple(f"q{skill}" for skill in mine),
            {names[skill]: 100 - 20 * rank for rank, skill in enumerate(mine)},
        )
    entries = {str(number): EntryPoint(str(number), f"q{number}") for number in range(case.queues)}
    definition = FloorDefinition(queues, agents, entries, skills=tuple(names), revision="bench")
    per_s = OCCUPANCY * case.agents / (TALK_S + WRAP_UP_S + 4.0)
    callers = tuple(
        Callers(
            name, str(number), Poisson.steady(per_s / case.queues), LogNormal(TALK_S, 0.8), patience=Exponential(120.0)
        )
        for number, name in enumerate(names)
    )
    habits = AgentGroup("all", tuple(agents), answers=Gamma(4.0, 0.5), misses=0.005, declines=0.002)
    return Scenario("bench", definition, callers, (habits,), length_s=calls / per_s)


def measure(case: Case, calls: int, rounds: int) -> Row:
    """The figures of one case."""
    scenario = made(case, calls)
    best: Row = {}
    for _ in range(rounds):
        gc.collect()
        began = time.thread_time()
        results = simulate(scenario, 1)
        took_s = time.thread_time() - began
        if not best or took_s < best["cpu_s"]:
            best = {
                **asdict(case),
                "calls": results.calls,
                "events": results.events,
                "cpu_s": took_s,
                "calls_per_minute": 60 * results.calls / took_s,
                "us_per_call": 1e6 * took_s / results.calls,
                "us_per_event": 1e6 * took_s / results.events,
                "service_level": results.total.figures["service_level"].value,
                "digest": results.digest,
            }
    return best | costs(scenario)


def costs(scenario: Scenario) -> Row:
    """What the floor takes of a call, by kind of event: (events a call, us an event) of one more, timed run."""
    world = World(scenario, 1)
    handle, spent, count = world.floor.handle, defaultdict[str, int](int), defaultdict[str, int](int)

    def timed(event: Any, now: Any) -> Any:
        began = time.thread_time_ns()
        step = handle(event, now)
        kind = type(event).__name__
        spent[kind] += time.thread_time_ns() - began
        count[kind] += 1
        return step

    world.floor.handle = timed  # type: ignore[method-assign]
    off_ns = _clock_ns()
    world.run()
    calls = world.callers_seen
    kinds = {
        kind: {"per_call": count[kind] / calls, "us": max(0.0, (spent[kind] / count[kind] - off_ns) / 1e3)}
        for kind in sorted(spent, key=lambda kind: -spent[kind])
    }
    return {"floor_us_per_call": sum(found["per_call"] * found["us"] for found in kinds.values()), "by_event": kinds}


def _clock_ns() -> float:
    """What reading the clock twice takes."""
    began = time.thread_time_ns()
    for _ in range(10_000):
        time.thread_time_ns()
    return (time.thread_time_ns() - began) / 10_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@click.option("--calls", type=click.IntRange(100, 10_000_000), default=10_000, show_default=True, help="Of each case.")
@click.option("--rounds", type=click.IntRange(1, 100), default=2, show_default=True, help="The best of so many counts.")
@click.option("--agents", type=int, multiple=True, help="Only the cases with so many agents; may be repeated.")
def main(as_json: bool, calls: int, rounds: int, agents: tuple[int, ...]) -> None:
    """Measure simulated calls a minute of computing on one core, and what every kind of event costs the floor.

    Exit code 1 if any case stays below the target of 100,000 calls a minute.
    """
    rows = [measure(case, calls, rounds) for case in CASES if not agents or case.agents in agents]
    slowest = min((row["calls_per_minute"] for row in rows), default=0.0)
    if as_json:
        body = {
            "target_calls_per_minute": CALLS_MIN_PER_MINUTE,
            "reached": slowest >= CALLS_MIN_PER_MINUTE,
            "python": platform.python_version(),
            "rows": rows,
        }
        click.echo(json.dumps(body, indent=1))
    else:
        for row in rows:
            click.echo(_told(row))
    sys.exit(0 if slowest >= CALLS_MIN_PER_MINUTE else 1)


def _told(row: Row) -> str:
    head = (
        f"{row['agents']:,} agents, {row['queues']} queues: {row['calls_per_minute']:,.0f} calls a minute, "
        f"{row['us_per_call']:.0f} us a call, of which the floor {row['floor_us_per_call']:.0f}"
    )
    parts = [
        f"  {kind:<20} {found['per_call']:6.3f} a call  {found['us']:7.1f} us"
        for kind, found in row["by_event"].items()
    ]
    return "\n".join([head, *parts])


if __name__ == "__main__":
    main(prog_name="python -m acd.lab.bench.simulation")
