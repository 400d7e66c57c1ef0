"""``acd sim``: try a floor against callers who do not exist. Composes configuration, simulation and what is shown."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acd.cli.context import common_options, options, print_json
from acd.cli.sim_dialer import dialer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


@click.group()
@common_options
def sim() -> None:
    """Try a floor in virtual time, against callers and agents who do not exist.

    The very floor that `acd serve` runs decides; hours pass in seconds. Scenarios are YAML files: a floor as in
    floor.yaml, who calls and how often, how agents behave, what fails, for how long.
    """


sim.add_command(dialer)


@sim.command("list")
@common_options
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
def list_scenarios(folder: Path | None) -> None:
    """List the sample scenarios, or those in FOLDER."""
    from acd.cli import text as say
    from acd.cli.console import cell, emit, make_console, make_table
    from acd.cli.sim_scenario import load_scenario, samples_folder, scenario_files
    from acd.domain.errors import ConfigurationError

    rows: list[dict[str, Any]] = []
    for path in scenario_files(folder or samples_folder()):
        row: dict[str, Any] = {"name": path.stem, "file": str(path)}
        try:
            scenario = load_scenario(path).scenario
            row |= {
                "description": scenario.description,
                "agents": sum(len(group.members) for group in scenario.agents),
                "queues": len(scenario.definition.queues),
                "length_s": scenario.length_s,
                "replications": scenario.replications,
                "problems": [],
            }
        except ConfigurationError as error:
            row |= {"description": "", "agents": None, "queues": None, "length_s": None, "replications": None}
            row["problems"] = error.problems
        rows.append(row)
    given = options()
    if given.json:
        print_json(rows)
        return
    table = make_table([("name", "left"), ("agents", "right"), ("length", "right"), ("", "left")])
    for row in rows:
        length = "" if row["length_s"] is None else say.duration(row["length_s"])
        bad = f"cannot be run: {row['problems'][0]}" if row["problems"] else ""
        agents = "" if row["agents"] is None else str(row["agents"])
        table.add_row(cell(row["name"]), agents, length, cell(bad or row["description"], "red" if bad else ""))
    emit(make_console(given), table)


@sim.command()
@common_options
@click.argument("scenario")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of all chance.")
@click.option("--replications", type=click.IntRange(1, 10_000), metavar="N", help="Independent runs (else the file's).")
@click.option("--length", metavar="TIME", help="Of each run, such as 2h (else the file's).")
@click.option(
    "--confidence", type=click.FloatRange(0.5, 0.9999), default=0.95, show_default=True, help="Of the intervals."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write results.json and pictures here.")
def run(
    scenario: str, seed: int, replications: int | None, length: str | None, confidence: float, out: Path | None
) -> None:
    """Run SCENARIO: a file, or the name of a sample (see `acd sim list`).

    The same scenario and seed give the same calls, the same decisions and so the same digest, on any machine; a run that
    went wrong is repeated by its seed. Figures come with confidence intervals, as value +-half-width.

    \b
    Examples:
      acd sim run erlang-c --seed 7
      acd sim run my-floor.yaml --replications 10 --out build/sim
      acd --json sim run a-day | jq .total.service_level
    """
    from acd.cli import sim_files, sim_plots, sim_report
    from acd.cli.sim_scenario import find_scenario, load_scenario
    from acd.sim import simulate

    loaded = load_scenario(find_scenario(scenario))
    given = options()
    for warning in loaded.warnings:
        click.echo(str(warning), err=True)
    chosen = loaded.scenario if length is None else _lengthened(loaded.scenario, length)
    pictures = out is not None and sim_files.ready(out)
    began, began_cpu = time.perf_counter(), time.process_time()
    with _progress(f"{chosen.name}, seed {seed}") as told:
        results = simulate(chosen, seed, replications=replications, confidence=confidence, progress=told)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    body = results.as_json() | {
        "took_s": round(took_s, 3),
        "cpu_s": round(cpu_s, 3),
        "calls_per_cpu_minute": round(60 * results.calls / cpu_s) if cpu_s > 0 else None,
    }
    if given.json:
        print_json(body)
    else:
        sim_report.show(results, took_s, given)
    if out is not None:
        draw = (lambda folder: sim_plots.draw(results, folder)) if pictures else None
        sim_files.write(out / "results.json", body, draw, indent=2, quiet=given.json)


def _lengthened(scenario: Any, text: str) -> Any:
    from dataclasses import replace

    from acd.config.fields import seconds_of

    length_s = seconds_of(text)
    if length_s is None or length_s <= scenario.warm_up_s:
        message = (
            f"--length {text!r} must be a duration such as 2h, longer than the warm-up of {scenario.warm_up_s:g} s"
        )
        raise click.BadParameter(message)
    return replace(scenario, length_s=length_s)


def _progress(label: str) -> AbstractContextManager[Callable[[float], None] | None]:
    """A bar on a terminal's standard error, else nothing."""
    from acd.cli.sim_report import bar

    return bar(label) if not options().json else nullcontext(None)
