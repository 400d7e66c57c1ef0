"""``acd sim dialer``: judge the pacing of outbound calls against the field and the exact limit, and show what came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acd.cli.context import common_options, options, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.synchronize import Event as EventType

    from acd.cli.sim_dialer_runs import Kept
    from acd.sim.dialing.hall import Day
    from acd.sim.dialing.suite import Run, Verdict

SHORT_SEEDS, LONG_SEEDS = 2, 10
SEEDS_MAX, PROCESSES_MAX = 1_000, 256


@click.command()
@common_options
@click.option("--short", "form", flag_value="short", default="short", help="Up to 30 agents, two seeds (the default).")
@click.option("--long", "form", flag_value="long", help="Every case up to 300 agents, ten seeds: hours.")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case; may be repeated (see --list).")
@click.option("--agents", "sizes", multiple=True, type=click.IntRange(1, 1_000), help="Only with so many agents.")
@click.option("--rate", "rates", multiple=True, type=click.FloatRange(0.02, 0.95), help="Only at this answer rate.")
@click.option("--seed", type=click.IntRange(0, 2**62), default=1, show_default=True, help="The first seed.")
@click.option("--seeds", type=click.IntRange(1, SEEDS_MAX), metavar="N", help="How many (2; with --long 10).")
@click.option(
    "--processes", type=click.IntRange(1, PROCESSES_MAX), metavar="N", help="At once (as many as there are processors)."
)
@click.option("--fresh", is_flag=True, help="Run again what was run before; what is kept stays.")
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("build/bench"), show_default=True
)
@click.option("--list", "listed", is_flag=True, help="Name the cases and end.")
def dialer(
    form: str,
    cases: tuple[str, ...],
    sizes: tuple[int, ...],
    rates: tuple[float, ...],
    seed: int,
    seeds: int | None,
    processes: int | None,
    fresh: bool,
    out: Path,
    listed: bool,
) -> None:
    """Judge the pacers in virtual time: utilisation of agents against people abandoned.

    The predictive pacer runs against progressive dialling, fixed ratios, re-implementations of open-source dialers and,
    where everything is exponential, the exact optimum. All meet the same contacts seed by seed. Ours learns from nothing
    and has to keep the cap at the end of every simulated day; the others get their best setting in hindsight, once among
    those that keep the same rule, once among those that keep the cap on average.

    Each run that is done is kept in dialer.runs.jsonl beside the results, so that the same command goes on where it was
    interrupted. What other code found is not taken. The file only grows: delete it when it is no longer wanted.

    \b
    Examples:
      acd sim dialer --case b --agents 10 --rate 0.3
      acd sim dialer --long --seeds 3 -o build/bench
    """
    from acd.sim.dialing.scene import CASES
    from acd.sim.dialing.suite import Cell, contenders, long_form, short_form

    given = options()
    if listed:
        from acd.cli import sim_dialer_report

        sim_dialer_report.show_cases(given)
        return
    for case in cases:
        if case not in CASES:
            raise click.BadParameter(_unknown(case, list(CASES)), param_hint="--case")
    chosen = cases or tuple(CASES)
    cells = long_form(chosen) if form == "long" else short_form(chosen)
    if sizes or rates:
        agents, shares = sizes or sorted({c.agents for c in cells}), rates or sorted({c.answer_rate for c in cells})
        cells = [Cell(case, number, share) for case in chosen for share in shares for number in agents]
    from acd.cli import sim_dialer_plots, sim_files
    from acd.sim.dialing.suite import Run

    count = seeds or (LONG_SEEDS if form == "long" else SHORT_SEEDS)
    runs = [Run(cell, name, seed + n) for cell in cells for name in contenders(cell) for n in range(count)]
    pictures = sim_files.ready(out)
    kept = sim_files.kept_runs(out, fresh=fresh)
    verdicts = _judged(cells, runs, processes or os.cpu_count() or 1, kept)
    body: dict[str, Any] = {
        "form": form,
        "seeds": [seed + number for number in range(count)],
        "command": _command(form, cases, sizes, rates, seed, seeds),
        "cells": [verdict.as_json() for verdict in verdicts],
    }
    if given.json:
        print_json(body)
    else:
        from acd.cli import sim_dialer_report

        sim_dialer_report.show(verdicts, count, given)
    draw = (lambda folder: sim_dialer_plots.draw(verdicts, folder)) if pictures else None
    sim_files.write(out / "dialer.json", body, draw, indent=1, quiet=given.json)


def _unknown(case: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(case, known, 1)
    hint = f" (nearest: {near[0]})" if near else ""
    return f"there is no case named {case!r}{hint}; there are {', '.join(known)}"


def _command(
    form: str, cases: Sequence[str], sizes: Sequence[int], rates: Sequence[float], seed: int, seeds: int | None
) -> str:
    """What repeats this."""
    words = ["acd sim dialer", f"--{form}"]
    words += [f"--case {case}" for case in cases]
    words += [f"--agents {size}" for size in sizes]
    words += [f"--rate {rate:g}" for rate in rates]
    words += [f"--seed {seed}"]
    words += [f"--seeds {seeds}"] if seeds else []
    return " ".join(words)


def _judged(cells: Sequence[Any], runs: Sequence[Run], processes: int, kept: Kept) -> list[Verdict]:
    from acd.cli.sim_report import bar
    from acd.sim.dialing.suite import judge

    days: dict[Run, list[Day]] = {run: found for run in runs if (found := kept.find(run)) is not None}
    if days:
        click.echo(f"acd: {len(days)} of {len(runs)} runs were done before", err=True)
    # What costs most is begun first, so that no process is left with it at the end
    order = sorted((run for run in runs if run not in days), key=lambda run: -_weight(run))
    total, done = sum(map(_weight, order)), 0.0
    with bar(f"{len(cells)} cells, {len(order)} runs") as told, kept.adding() as keep:
        try:
            for run, found in _all(order, processes) if order else ():
                days[run] = found
                keep(run, found)
                done += _weight(run)
                if told is not None:
                    told(done / total)
        except KeyboardInterrupt:
            click.echo(
                f"acd: {len(days)} of {len(runs)} runs are in {kept.file}: the same command goes on there", err=True
            )
            raise
    verdicts = []
    for cell in cells:
        by_name: dict[str, list[list[Day]]] = {}
        for run in runs:
            if run.cell == cell:
                by_name.setdefault(run.contender, []).append(days[run])
        verdicts.append(judge(cell, by_name))
    return verdicts


def _weight(run: Run) -> float:
    """What a run costs, roughly."""
    from acd.sim.dialing.suite import OURS

    scene = run.cell.scene
    events = run.cell.agents / run.cell.answer_rate
    looks = 60_000 + 600 * events if run.contender == OURS else 10_000 + 80 * events
    return (scene.days + scene.warm_days) * looks


def _all(runs: Sequence[Run], processes: int) -> Any:
    """(run, its days), as soon as each is done; begun in the order of ``runs``."""
    if processes == 1:
        for run in runs:
            yield run, days_of(run)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import Event

    given_up = Event()
    with ProcessPoolExecutor(processes, initializer=_work_for, initargs=(os.getpid(), given_up)) as pool:
        try:
            asked = {pool.submit(days_of, run): run for run in runs}
            for done in as_completed(asked):
                yield asked.pop(done), done.result()
        except BaseException:
            given_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _work_for(parent: int, given_up: EventType) -> None:
    """A process that runs: an interruption is its parent's to tell of; then, or when the parent is gone, it goes at once: a
    run may take minutes."""
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent and not given_up.wait(1.0):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def days_of(run: Run) -> list[Day]:
    """What a process does."""
    return run.days()
