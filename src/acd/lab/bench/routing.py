"""``python -m acd.lab.bench.routing``: what one event costs the matcher, explanations included.

Times are CPU time of this thread, so that other programs hardly count; what reading that clock takes is taken off.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from math import inf
from typing import Any, Final

import click

from acd.domain.definition import AGENT_SELECTIONS, CALL_SELECTIONS
from acd.lab.bench.routing_floor import Case, MadeUpFloor
from acd.lab.bench.statistics import percentile

AGENTS: Final = (100, 1_000, 10_000)
WAITING: Final = (0, 10_000)
TYPES: Final = (10, 500)
P99_MAX_US: Final = 50.0
GROWTH_MAX: Final = 2.0
EVENTS_MIN_PER_S: Final = 100_000.0
PARTS: Final = ("sizes", "policies")

Row = dict[str, Any]


def sizes() -> list[Case]:
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
    # Until every agent has been met, so that nothing is worked out for the first time
    for _ in range(max(case.agents, 1_000)):
        floor.cycle()
    off_us = clock_us()
    gc.collect()
    runs: list[dict[str, Row]] = []
    for _ in range(repeats):
        floor.times_ns.clear()
        while sum(map(len, floor.times_ns.values())) < events:
            for _ in range(100):
                floor.cycle()
        kinds = {kind: [max(0.0, ns / 1e3 - off_us) for ns in times] for kind, times in floor.times_ns.items()}
        runs.append({kind: figures(times) for kind, times in kinds.items()})
        runs[-1][""] = figures([us for times in kinds.values() for us in times])
    best = {kind: least([run[kind] for run in runs if kind in run]) for kind in runs[0]}
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


def targets(rows: Iterable[Row]) -> Row:
    """Each target with the worst value over ``rows``, its limit, and whether it is met.

    ``growth``: of the 99th percentile from the fewest to the most agents, all else equal; ``growth_mean``: of the mean.
    """
    rows = list(rows)
    same: dict[tuple[Any, ...], dict[int, Row]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("waiting", "types", "agent_selection", "call_selection", "spread"))
        same.setdefault(key, {})[row["agents"]] = row
    pairs = [(some[min(some)], some[max(some)]) for some in same.values() if len(some) > 1]
    found = {
        "p99_us": _target(max(row["p99_us"] for row in rows), most=P99_MAX_US),
        "events_per_s": _target(min(row["events_per_s"] for row in rows), least=EVENTS_MIN_PER_S),
    }
    for name, figure in (("growth", "p99_us"), ("growth_mean", "mean_us")) if pairs else ():
        found[name] = _target(max(big[figure] / small[figure] for small, big in pairs), most=GROWTH_MAX)
    return found


def _target(value: float, *, most: float = inf, least: float = -inf) -> Row:
    return {"value": value, "limit": most if least == -inf else least, "met": least <= value <= most}


def document(
    events: int, repeats: int, parts: Collection[str] = PARTS, tell: Callable[[Row], None] | None = None
) -> Row:
    """All results: of each part its ``rows`` (``tell`` is told each as it comes) and ``targets``."""
    results: Row = {"python": platform.python_version(), "machine": platform.machine()}
    for part, cases in (("sizes", sizes()), ("policies", policies())):
        rows: list[Row] = []
        for case in cases if part in parts else ():
            rows.append(measure(case, events, repeats))
            if tell is not None:
                tell(rows[-1])
        if rows:
            results[part] = {"rows": rows, "targets": targets(rows)}
    return results


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
@click.option("--events", type=click.IntRange(100), default=20_000, show_default=True, help="Events a run.")
@click.option(
    "--repeats", type=click.IntRange(1, 100), default=5, show_default=True, help="Runs a case: the best counts."
)
@click.option("--kinds", is_flag=True, help="Show every kind of event, too.")
@click.option("--only", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part.")
def main(as_json: bool, events: int, repeats: int, kinds: bool, parts: tuple[str, ...]) -> None:
    """Measure the matcher: 100 to 10,000 agents, 0 and 10,000 waiting calls, 10 and 500 kinds of requirement; and all
    policies at the largest size."""

    def tell(row: Row) -> None:
        click.echo(line(row), err=as_json)
        for kind, some in sorted(row["by_kind"].items()) if kinds else ():
            click.echo(f"{kind:>23}{line({**row, **some})[23:]}", err=as_json)

    click.echo(HEADER, err=as_json)
    results = document(events, repeats, parts or PARTS, tell)
    for part in PARTS:
        for name, target in results[part]["targets"].items() if part in results else ():
            said = "met" if target["met"] else "missed"
            click.echo(f"{part}: {name} {target['value']:,.2f} (limit {target['limit']:,g}): {said}", err=as_json)
    if as_json:
        sys.stdout.write(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(prog_name="python -m acd.lab.bench.routing")
