"""``python -m acd.lab.bench --out build/bench``: run, show, write down. See ``--help``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from acd import __version__
from acd.domain.errors import AcdError
from acd.lab.asterisk import find_program
from acd.lab.bench import plots, results, table
from acd.lab.bench.cases import Bench, Row, turns
from acd.lab.bench.contenders import CONTENDERS, Contender, by_key
from acd.lab.bench.plan import CASES, HELD, Plan
from acd.lab.bench.stand import Parts, as_json
from acd.lab.parts import SIPP, ensure
from acd.lab.progress import ProgressLine

_SHOWN = (
    *("setup_p50_ms", "setup_p99_ms", "asterisk_ms", "controller_ms", "makespan_s", "gap_p50_ms", "held", "lost"),
    *("ready_s", "rebuild_s", "events_per_s"),
    *("utilisation", "utilisation_simulated", "abandonment", "abandonment_simulated", "faults"),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("build/bench"), show_default=True)
@click.option("--short", is_flag=True, help="Minutes instead of most of an hour: one round, smaller sizes.")
@click.option("--only", "cases", multiple=True, type=click.Choice(CASES), help="Only this case; may be repeated.")
@click.option(
    "--contender", "keys", multiple=True, type=click.Choice([c.key for c in CONTENDERS]), help="Only this contender."
)
@click.option("--rounds", type=click.IntRange(1, 100), help="How often each turn is repeated.")
@click.option("--shared-pbx", is_flag=True, help="Leave all manager events on, as for a PBX with other programs.")
@click.option("--markdown", is_flag=True, help="Measure nothing: print the tables of OUT/results.json as Markdown.")
def main(
    out: Path,
    short: bool,
    cases: tuple[str, ...],
    keys: tuple[str, ...],
    rounds: int | None,
    shared_pbx: bool,
    markdown: bool,
) -> None:
    """Measure bare Dial, app_queue and acd in turn on one private Asterisk, and acd's start and rebuild.

    Results go to OUT/results.json and pictures beside it. Machines differ and are noisy: compare contenders within one
    run. While it measures, nothing else should run on this machine.
    """
    try:
        if markdown:
            sys.stdout.write(table.markdown(json.loads((out / "results.json").read_text())))
            return
        plan = Plan().short() if short else Plan()
        plan = replace(plan, shared_pbx=shared_pbx, rounds=plan.rounds if rounds is None else rounds)
        _measure(out, plan, cases or CASES, [by_key(key) for key in keys] or list(CONTENDERS))
    except (AcdError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _measure(out: Path, plan: Plan, cases: Sequence[str], contenders: Sequence[Contender]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    line = ProgressLine()
    parts = Parts(find_program(progress=line), ensure(SIPP, progress=line))
    line.clear()
    began_at, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    before = results.machine()
    rows: list[Row] = []

    def write() -> dict[str, Any]:
        """After every turn, so that a run that is broken off has not been for nothing."""
        found = results.document(
            rows,
            began_at=began_at,
            took_s=time.monotonic() - began,
            command=_command(),
            machine=before,
            versions={"acd": __version__, **as_json(parts)},
            plan={**asdict(plan), "held": HELD.format(limit=plan.highest_p99_ms)},
        )
        text = json.dumps(found, indent=1, ensure_ascii=False)
        fresh = out / ".results.json"
        fresh.write_text(text + "\n", encoding="utf-8")
        fresh.replace(out / "results.json")
        return found

    columns = (
        SpinnerColumn(),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=turns(plan, cases, contenders))

        async def run() -> None:
            bench = Bench(out, parts, plan, lambda text: progress.update(task, description=text))
            async for row in bench.rows(cases, contenders):
                rows.append(row)
                write()
                progress.console.print(_line(row), highlight=False)
                progress.advance(task)

        asyncio.run(run())
    found = write()
    for shown in table.rich_tables(found):
        console.print()
        console.print(shown)
    if (others := results.others_cores(found)) > results.OTHERS_CORES_MAX:
        text = f"Other programs kept {others:.2f} processors busy meanwhile: run it again on a machine of its own."
        console.print(text, style="red")
    for file in (out / "results.json", *plots.draw(found, out)):
        console.print(f"wrote {file}", highlight=False)


def _line(row: Row) -> str:
    """A row in one line, as it comes."""
    sizes = [f"{row['agents']} agents"] if "agents" in row else []
    sizes += [f"{row['rate']:g}/s"] if "rate" in row else []
    figures = [f"{name} {row[name]}" for name in _SHOWN if row.get(name) is not None]
    return f"{row['case']:>9} {row['contender']:<11} {', '.join(sizes):<18} {'  '.join(figures)}"


def _command() -> str:
    """What repeats this run."""
    return " ".join(["python -m acd.lab.bench", *sys.argv[1:]])


if __name__ == "__main__":
    main(prog_name="python -m acd.lab.bench")
