"""``python -m acd.lab.bench.records``: what it costs to make calls durable, on SQLite and on a private PostgreSQL.

Each measurement is a process of its own (``python -m acd.store.measure``), which has a processor clock of its own and
keeps this room free of the store. Here is only which measurements there are, and what they are held against.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from acd.domain.errors import AcdError, LabError
from acd.domain.values import valueclass
from acd.lab.bench.results import Target, machine
from acd.lab.paths import make_dir
from acd.lab.postgres import LabPostgres

DATABASES = ("sqlite", "postgresql")
PLACES = ("log", "database")
RATES = (25.0, 140.0)
P99_MAX_MS = 100.0
CALLS_A_S_MIN = {"sqlite": 500.0, "postgresql": 2000.0}


@valueclass(frozen=True, slots=True)
class Case:
    """Calls at ``rate`` a second for ``seconds``, or ``calls`` of them as fast as they are taken."""

    database: str
    durable_in: str
    rate: float | None = None
    seconds: float = 10.0
    calls: int = 20_000

    def arguments(self) -> list[str]:
        often = ["--calls", str(self.calls)]
        if self.rate is not None:
            often = ["--rate", str(self.rate), "--seconds", str(self.seconds)]
        return [*often, "--durable-in", self.durable_in]


def cases(*, short: bool) -> Iterator[Case]:
    """Everything that is measured, in turn."""
    seconds, calls = (2.0, 1000) if short else (10.0, 20_000)
    for database in DATABASES:
        for rate in RATES:
            for durable_in in PLACES:
                yield Case(database, durable_in, rate, seconds)
        yield Case(database, "log", None, calls=calls)


def measure(case: Case, url: str, state_dir: Path, server: int | None = None) -> dict[str, Any]:
    """One row: the case, and what ``acd.store.measure`` prints. ``server`` is the id of the database's process. Raises
    LabError."""
    # The address holds a password, which everybody may read on a command line.
    command = [sys.executable, "-m", "acd.store.measure", "-", str(state_dir), *case.arguments()]
    if server is not None:
        command += ["--server", str(server)]
    done = subprocess.run(command, input=url, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise LabError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    row: dict[str, Any] = {"database": case.database, "durable_in": case.durable_in, **json.loads(done.stdout)}
    return row


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    """What was promised, and what was measured."""
    found = []
    for database in DATABASES:
        mine = [row for row in rows if row["database"] == database and row["durable_in"] == "log"]
        for row in mine:
            if row.get("rate") == max(RATES):
                name = f"{database}: p99 until durable at {row['rate']:g} calls/s"
                found.append(Target(name, row["durable_p99_ms"], P99_MAX_MS, unit="ms"))
            if "in_database_a_s" in row:
                name = f"{database}: calls stored at full speed"
                found.append(Target(name, row["in_database_a_s"], CALLS_A_S_MIN[database], True, "/s"))
    return found


@contextmanager
def _server(directory: Path) -> Iterator[LabPostgres]:
    server = LabPostgres(directory, die_with_parent=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        shutil.rmtree(directory, ignore_errors=True)


def run(directory: Path, *, short: bool, say: Console) -> dict[str, Any]:
    """``{"machine", "rows": [...], "targets": [{"name", "value", "bound", "met"}]}``. Leaves nothing in ``directory``."""
    rows: list[dict[str, Any]] = []
    before = machine()
    with _server(make_dir(directory / "postgres")) as server:
        for number, case in enumerate(cases(short=short)):
            work = make_dir(directory / f"case-{number}")
            try:
                sqlite = case.database == "sqlite"
                url = f"sqlite:///{work}/acd.db" if sqlite else server.create_database(f"case{number}")
                rows.append(measure(case, url, work / "state", None if sqlite else server.pid))
            finally:
                shutil.rmtree(work)
            say.print(_line(rows[-1]), highlight=False)
    held = [
        {"name": t.name, "value": t.value, "bound": t.bound, "at_least": t.at_least, "unit": t.unit, "met": t.met}
        for t in targets(rows)
    ]
    return {"machine": before, "rows": rows, "targets": held}


def _line(row: Mapping[str, Any]) -> str:
    often = f"{row['rate']:g} calls/s" if "rate" in row else f"{row['calls']} calls at once"
    theirs = f" and {row['server_ms_a_call']:.3f} ms of the server's" if row.get("server_ms_a_call") else ""
    fast = f", {row['in_database_a_s']:g} calls/s stored" if "in_database_a_s" in row else ""
    return (
        f"{row['database']:>10}  durable in the {row['durable_in']:<8}  {often:<20} "
        f"{row['cpu_ms_a_call']:.3f} ms of processor a call{theirs}, p99 {row['durable_p99_ms']:g} ms{fast}"
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else to standard output.")
@click.option("--short", is_flag=True, help="Seconds instead of minutes; the figures are then only a sign of life.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/bench/records"),
    show_default=True,
    help="Where the databases are made: on the disk that is meant.",
)
def main(as_json: bool, short: bool, directory: Path) -> None:
    """Measure what a call's records cost: processor time, time until durable, calls a second."""
    console = Console(stderr=as_json, soft_wrap=True)
    try:
        found = run(directory.absolute(), short=short, say=console)
    except (AcdError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found))
        return
    table = Table("Target", "measured", "promised", "met")
    for target in found["targets"]:
        sign = "≥" if target["at_least"] else "≤"
        promised = f"{sign} {target['bound']:g} {target['unit']}"
        table.add_row(target["name"], f"{target['value']:g}", promised, "yes" if target["met"] else "no")
    console.print(table)


if __name__ == "__main__":
    main(prog_name="python -m acd.lab.bench.records")
