"""``python -m acd.lab.bench.dialer``: what one decision of the predictive pacer costs, statistics learned, reasons included.

Times are CPU time of this thread, so that other programs hardly count; what reading that clock takes is taken off.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from random import Random
from typing import Any, Final

import click

from acd.dialer import Busy, Ledger, Line, Predictive, Rule, Statistics, Supply
from acd.lab.bench.routing import clock_us
from acd.lab.bench.statistics import percentile

AGENTS: Final = (5, 30, 100, 300, 1_000)
RATES: Final = (0.15, 0.3, 0.6)
P99_MAX_US: Final = 1_000.0
"""At 300 agents."""
_NOW_S = 1_700_000_000.0


def learned(rate: float, chance: Random) -> Statistics:
    """Of some thousand calls, of agents who differ."""
    statistics = Statistics()
    for number in range(3_000):
        person = chance.random() < rate
        at_s = _NOW_S - 3_000 + number
        statistics.line_ended(at_s, 3.0 + chance.expovariate(1 / 9.0) if person else 25.0, person=person)
        if person:
            agent = f"a{chance.randrange(40)}"
            pace = 0.7 if agent < "a2" else 1.1
            statistics.stage_ended("talk", agent, pace * chance.expovariate(1 / 120.0))
            statistics.stage_ended("wrap", agent, chance.gammavariate(4.0, 7.5))
    return statistics


def supply(agents: int, rate: float, chance: Random) -> Supply:
    """A busy moment: three in a hundred idle, a quarter of the others in wrap-up, lines as they would ring."""
    idle = sum(chance.random() < 0.03 for _ in range(agents))
    busy = [Busy(f"a{number}", _NOW_S - chance.expovariate(1 / 90.0)) for number in range(agents - idle)]
    wrapping = len(busy) // 4
    ringing = round(agents / 150.0 / rate * 22.0)
    return Supply(
        idle,
        0,
        tuple(busy[wrapping:]),
        tuple(busy[:wrapping]),
        tuple(Line(_NOW_S - chance.uniform(0.0, 25.0)) for _ in range(ringing)),
    )


def measure(agents: int, rate: float, decisions: int) -> dict[str, Any]:
    """``publish_us``: the first decision after statistics were published anew, which makes the tables."""
    chance = Random(f"{agents}/{rate}")
    statistics, pacer = learned(rate, chance), Predictive()
    ledger = Ledger((Rule("day", 0.03),), _NOW_S - 3_600)
    for _ in range(5_000):
        ledger.answered(_NOW_S)
    supplies = [supply(agents, rate, chance) for _ in range(200)]
    clock = time.thread_time_ns
    off_us = clock_us()
    began = clock()
    pacer.decide(supplies[0], statistics, ledger, _NOW_S)
    publish_us = (clock() - began) / 1e3
    gc.collect()
    times = []
    for number in range(decisions):
        given = supplies[number % len(supplies)]
        began = clock()
        pacer.decide(given, statistics, ledger, _NOW_S)
        times.append(max(0.0, (clock() - began) / 1e3 - off_us))
    return {
        "agents": agents,
        "answer_rate": rate,
        "decisions": decisions,
        "mean_us": sum(times) / len(times),
        "p50_us": percentile(times, 50),
        "p99_us": percentile(times, 99),
        "publish_us": publish_us,
    }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON; the table goes to standard error.")
@click.option("--decisions", type=click.IntRange(100), default=4_000, show_default=True, help="A size.")
def main(as_json: bool, decisions: int) -> None:
    """Measure one decision of the predictive pacer, from 5 to 1,000 agents."""
    click.echo(f"{'agents':>7} {'answer rate':>11} {'mean us':>8} {'p50':>7} {'p99':>7} {'publish':>8}", err=as_json)
    rows = []
    for agents in AGENTS:
        for rate in RATES:
            row = measure(agents, rate, decisions)
            rows.append(row)
            figures = f"{row['mean_us']:>8.0f} {row['p50_us']:>7.0f} {row['p99_us']:>7.0f} {row['publish_us']:>8.0f}"
            click.echo(f"{agents:>7,} {rate:>11g} {figures}", err=as_json)
    worst = max(row["p99_us"] for row in rows if row["agents"] == 300)
    said = "met" if worst <= P99_MAX_US else "missed"
    click.echo(f"p99 at 300 agents: {worst:,.0f} us (limit {P99_MAX_US:,.0f}): {said}", err=as_json)
    if as_json:
        sys.stdout.write(
            json.dumps({"python": platform.python_version(), "rows": rows, "met": said == "met"}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main(prog_name="python -m acd.lab.bench.dialer")
