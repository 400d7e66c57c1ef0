"""``python -m acd.lab.bench.routing``: what one event costs the matcher, explanations included.

Times are CPU time of this thread, so that other programs count less; what reading that clock takes is taken off. Floors
that are compared are measured in turn, several times over, and the median counts: neither a lucky run nor a bad one.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from math import inf
from statistics import median
from typing import Any, Final

import click

from acd.domain.definition import AGENT_SELECTIONS, CALL_SELECTIONS
from acd.engine.heap import keep_what_there_is
from acd.lab.bench.routing_floor import Case, MadeUpFloor
from acd.lab.bench.statistics import percentile

AGENTS: Final = (100, 1_000, 10_000)
WAITING: Final = (0, 10_000)
TYPES: Final = (10, 500)
P99_MAX_US: Final = 50.0
GROWTH_MAX: Final = 2.0
EVENTS_MIN_PER_S: Final = 100_000.0
PARTS: Final = ("sizes", "policies")
WARM_CYCLES: Final = 200
"""Before each run."""

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


class Bench:
    """One case: its floor, warmed up, and the figures of every run so far."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._floor = MadeUpFloor(case)
        self._runs: list[dict[str, Row]] = []
        # As ``acd serve`` does once its floor is known
        keep_what_there_is()
        # Until every agent has been met, so that nothing is worked out for the first time
        for _ in range(max(case.agents, 1_000)):
            self._floor.cycle()

    def run(self, events: int) -> None:
        """Measure so many events more, after some that do not count: another floor's may be all that is in the caches."""
        off_us, times_ns = clock_us(), self._floor.times_ns
        for _ in range(WARM_CYCLES):
            self._floor.cycle()
        times_ns.clear()
        while sum(map(len, times_ns.values())) < events:
            for _ in range(100):
                self._floor.cycle()
        kinds = {kind: [max(0.0, ns / 1e3 - off_us) for ns in times] for kind, times in times_ns.items()}
        self._runs.append({kind: figures(times) for kind, times in kinds.items()})
        self._runs[-1][""] = figures([us for times in kinds.values() for us in times])

    def row(self) -> Row:
        """Of each figure the median over the runs; ``runs``: the figures of all events, run by run."""
        kinds = {kind for run in self._runs for kind in run}
        by_kind = {kind: middle([run[kind] for run in self._runs if kind in run]) for kind in sorted(kinds)}
        return {**asdict(self.case), **by_kind.pop(""), "by_kind": by_kind, "runs": [run[""] for run in self._runs]}


def measure(cases: Iterable[Case], events: int, repeats: int) -> list[Row]:
    """The figures of ``cases``, measured in turn ``repeats`` times over: what else the machine does meets all alike."""
    benches = [Bench(case) for case in cases]
    for _ in range(repeats):
        for bench in benches:
            bench.run(events)
    rows = [bench.row() for bench in benches]
    del bench, benches
    gc.unfreeze()
    gc.collect()
    return rows


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


def middle(runs: list[Row]) -> Row:
    """The median of each figure over runs."""
    return {name: median(run[name] for run in runs) for name in runs[0]}


def clock_us() -> float:
    """What reading the clock adds to a measurement, us: the least of many."""
    read = time.thread_time_ns
    return min(-read() + read() for _ in range(10_000)) / 1e3


def targets(rows: Iterable[Row]) -> Row:
    """Each target with the worst value over ``rows``, its limit, and whether it is met.

    ``growth``: of the 99th percentile from the fewest to the most agents, all else equal; ``growth_mean``: of the mean.
    Each is the median over the runs, of which both sizes had one right after the other.
    """
    rows = list(rows)
    same: dict[tuple[Any, ...], dict[int, Row]] = {}
    for row in rows:
        same.setdefault(_but_agents(row), {})[row["agents"]] = row
    pairs = [(some[min(some)], some[max(some)]) for some in same.values() if len(some) > 1]
    found = {
        "p99_us": _target(max(row["p99_us"] for row in rows), most=P99_MAX_US),
        "events_per_s": _target(min(row["events_per_s"] for row in rows), least=EVENTS_MIN_PER_S),
    }
    for name, figure in (("growth", "p99_us"), ("growth_mean", "mean_us")) if pairs else ():
        found[name] = _target(max(_growth(small, big, figure) for small, big in pairs), most=GROWTH_MAX)
    return found


def _but_agents(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is equal where only the number of agents differs."""
    return tuple(row[name] for name in ("waiting", "types", "agent_selection", "call_selection", "spread"))


def _growth(small: Row, big: Row, figure: str) -> float:
    runs = zip(small["runs"], big["runs"], strict=True)
    return float(median(after[figure] / before[figure] for before, after in runs))


def _target(value: float, *, most: float = inf, least: float = -inf) -> Row:
    return {"value": value, "limit": most if least == -inf else least, "met": least <= value <= most}


def document(
    events: int, repeats: int, parts: Collection[str] = PARTS, tell: Callable[[Row], None] | None = None
) -> Row:
    """All results: of each part its ``rows`` (``tell`` is told each as it comes) and ``targets``."""
    results: Row = {"python": platform.python_version(), "machine": platform.machine()}
    for part, cases in (("sizes", sizes()), ("policies", policies())):
        rows: list[Row] = []
        # Those that are compared take turns
        for _, some in groupby(cases if part in parts else (), key=lambda case: _but_agents(asdict(case))):
            found = measure(some, events, repeats)
            rows += found
            if tell is not None:
                for row in found:
                    tell(row)
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
    "--repeats", type=click.IntRange(1, 100), default=5, show_default=True, help="Runs a case: the median counts."
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
