"""``python -m acd.lab.bench.routing``: what one event costs the matcher, explanations included.

Times are CPU time of this thread, so that other programs hardly count; what reading that clock takes is taken off.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import click

from acd.domain.definition import AGENT_SELECTIONS, CALL_SELECTIONS
from acd.lab.bench.routing_floor import Case, MadeUpFloor
from acd.lab.bench.statistics import percentile, ratio

AGENTS: Final = (100, 1_000, 10_000)
WAITING: Final = (0, 10_000)
TYPES: Final = (10, 500)
P99_MAX_US: Final = 50.0
GROWTH_MAX: Final = 2.0
EVENTS_MIN_PER_S: Final = 100_000.0

Row = dict[str, Any]


def grid() -> list[Case]:
    """Every size, with the policies that are the default."""
    return [Case(agents, waiting, types) for types in TYPES for waiting in WAITING for agents in AGENTS]


def policies() -> list[Case]:
    """Every other policy, at the largest size."""
    largest = [(AGENTS[-1], waiting, TYPES[-1]) for waiting in WAITING]
    agent = [
        Case(*size, agent_selection=kind) for kind in AGENT_SELECTIONS if kind != "longest_idle" for size in largest
    ]
    call = [Case(*size, call_selection=kind, spread=True) for kind in CALL_SELECTIONS for size in largest]
    return agent + call


def measure(case: Case, events: int, repeats: int) -> Row:
    """The figures of ``case``: of ``repeats`` runs on one floor the best, as other programs only ever make it slower."""
    floor = MadeUpFloor(case)
    off_us = clock_us()
    gc.collect()
    runs = []
    for _ in range(repeats + 1):
        floor.times_ns.clear()
        while sum(map(len, floor.times_ns.values())) < events:
            for _ in range(100):
                floor.cycle()
        kinds = {kind: [max(0.0, ns / 1e3 - off_us) for ns in times] for kind, times in floor.times_ns.items()}
        runs.append(
            {kind: figures(times) for kind, times in kinds.items()}
            | {"": figures([us for times in kinds.values() for us in times])}
        )
    # The first run warms up: every kind of call has come at least once
    best = {kind: least([run[kind] for run in runs[1:] if kind in run]) for kind in runs[1]}
    return {**asdict(case), **best.pop(""), "by_kind": best}


def figures(times_us: list[float]) -> Row:
    """What is told of some events."""
    return {
        "events": len(times_us),
        "mean_us": sum(times_us) / len(times_us),
        "p50_us": percentile(times_us, 50),
        "p99_us": percentile(times_us, 99),
        "max_us": max(times_us),
        "events_per_s": 1e6 * len(times_us) / max(sum(times_us), 1e-9),
    }


def least(runs: list[Row]) -> Row:
    """The best of each figure over runs."""
    return {name: (max if name.startswith("events") else min)(run[name] for run in runs) for name in runs[0]}


def clock_us() -> float:
    """What reading the clock adds to a measurement, us: the least of many."""
    read = time.thread_time_ns
    return min(-read() + read() for _ in range(10_000)) / 1e3


def verdicts(rows: Iterable[Row]) -> Row:
    """The worst of each target over ``rows``, and whether all are met. Growth: from the fewest to the most agents."""
    rows = list(rows)
    same: dict[tuple[Any, ...], dict[int, Row]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("waiting", "types", "agent_selection", "call_selection", "spread"))
        same.setdefault(key, {})[row["agents"]] = row
    pairs = [(some[min(some)], some[max(some)]) for some in same.values() if len(some) > 1]
    found = {
        "p99_us": max(row["p99_us"] for row in rows),
        "events_per_s": min(row["events_per_s"] for row in rows),
        "growth_mean": max((ratio(b["mean_us"], a["mean_us"]) or 0.0 for a, b in pairs), default=None),
        "growth_p99": max((ratio(b["p99_us"], a["p99_us"]) or 0.0 for a, b in pairs), default=None),
    }
    growth = max(found["growth_mean"] or 0.0, found["growth_p99"] or 0.0)
    met = found["p99_us"] < P99_MAX_US and growth <= GROWTH_MAX and found["events_per_s"] >= EVENTS_MIN_PER_S
    return {**found, "met": met}


def line(row: Mapping[str, Any]) -> str:
    """One row for people."""
    policy = f"{row['agent_selection']}, {row['call_selection']}{', spread' if row['spread'] else ''}"
    sizes = f"{row['agents']:>7,} {row['waiting']:>8,} {row['types']:>6,}"
    times = f"{row['mean_us']:>7.1f} {row['p50_us']:>6.1f} {row['p99_us']:>6.1f} {row['max_us']:>8.0f}"
    return f"{sizes} {times} {row['events_per_s']:>10,.0f}  {policy}"


HEADER: Final = (
    f"{'agents':>7} {'waiting':>8} {'types':>6} {'mean us':>7} {'p50':>6} {'p99':>6} {'max':>8} {'events/s':>10}"
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON; the table goes to standard error.")
@click.option("--events", type=click.IntRange(100), default=30_000, show_default=True, help="Events a run.")
@click.option(
    "--repeats", type=click.IntRange(1, 100), default=3, show_default=True, help="Runs a case; the best counts."
)
@click.option("--kinds", is_flag=True, help="Show every kind of event, too.")
@click.option("--only", type=click.Choice(["grid", "policies"]), help="Only the sizes, or only the other policies.")
def main(as_json: bool, events: int, repeats: int, kinds: bool, only: str | None) -> None:
    """Measure the matcher: 100 to 10,000 agents, 0 and 10,000 waiting calls, 10 and 500 requirement types."""
    results: Row = {"grid": [], "policies": []}
    click.echo(HEADER, err=as_json)
    for name, cases in (("grid", grid()), ("policies", policies())):
        for case in cases if only in (None, name) else ():
            row = measure(case, events, repeats)
            results[name].append(row)
            click.echo(line(row), err=as_json)
            for kind, some in sorted(row["by_kind"].items()) if kinds else ():
                click.echo(f"{kind:>22} " + line({**row, **some})[23:64], err=as_json)
        if results[name]:
            results[f"{name}_targets"] = verdicts(results[name])
            click.echo(f"{name}: {results[f'{name}_targets']}", err=as_json)
    results["machine"] = {"python": platform.python_version(), "processor": platform.machine()}
    if as_json:
        sys.stdout.write(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(prog_name="python -m acd.lab.bench.routing")
