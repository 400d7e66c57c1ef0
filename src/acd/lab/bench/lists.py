"""``python -m acd.lab.bench.lists``: how fast ``acd list import`` takes a list, on SQLite and on a private PostgreSQL.

The import is the command itself, in a process of its own; rows a second are by the clock of the wall, the processor's time
is that of all its processes. Of the rows 2 % hold no number, and 3 % a number that was there before.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from acd.domain.errors import AcdError, LabError
from acd.lab.bench.results import Target, machine
from acd.lab.paths import make_dir
from acd.lab.postgres import LabPostgres

DATABASES = ("sqlite", "postgresql")
ROWS, ROWS_SHORT = 1_000_000, 2_000
ROWS_A_S_MIN = ROWS / 120
_HEAD = "Kundennummer;Vorname;Nachname;Mobil;Telefon;Festnetz;Zeitzone;Land;Sprache;Einwilligung;Straße;PLZ;Ort;Betrag"
_FIRST = ("Jürgen", "Anna", "Björn", "Zoë", "Élodie", "Thomas", "Søren", "Ümit", "Łukasz", "Petra")
_LAST = ("Müller", "Schmidt", "Groß", "Lefèvre", "Öztürk", "Meyer", "Jäger", "Weiß", "Hoffmann")
_AREAS = ("30", "40", "89", "69", "221", "211", "711", "351", "6221", "7531", "4331")
_MOBILES = ("0151", "0152", "0157", "0160", "0162", "0163", "0170", "0171", "0172", "0173", "0175", "0177")
_BAD = ("", "unbekannt", "0171 XXXXXXX", "112", "030 1", "0171 1234567 / 0172 1234567", "12", "4,91711E+11")
_FLOOR = (
    'queues: {main: {}}\nagents: {ann: {number: 101, phones: [PJSIP/101], queues: [main]}}\nentry_points: {"1": main}\n'
)


def lines(rows: int, seed: int = 1) -> Iterator[str]:
    """A list of Germans, with their numbers in every spelling."""
    chance = random.Random(seed)
    before: list[tuple[str, str, str]] = []
    yield _HEAD
    for row in range(rows):
        drawn = chance.random()
        if drawn < 0.02:
            numbers = (chance.choice(_BAD), "", "")
        elif drawn < 0.05 and before:
            numbers = chance.choice(before)
        else:
            count = chance.choice((1, 1, 2, 3))
            mobile = _mobile(chance) if count == 3 or chance.random() < 0.7 else ""
            numbers = (mobile, _fixed(chance) if count > 1 or not mobile else "", _fixed(chance) if count > 2 else "")
            if len(before) < 50_000:
                before.append(numbers)
        zone, country = chance.choice(("", "Europe/Berlin")), chance.choice(("", "DE"))
        yield ";".join((
            f"K{seed}-{row:08}", chance.choice(_FIRST), chance.choice(_LAST), *numbers, zone, country, "de",
            f"{chance.randrange(1, 29):02}.{chance.randrange(1, 13):02}.2025", f"Lange Straße {chance.randrange(200)}",
            f"{chance.randrange(1000, 99_999):05}", "Köln", f"{chance.randrange(10, 9999)},{chance.randrange(100):02}",
        ))  # fmt: skip


def _mobile(chance: random.Random) -> str:
    code, rest = chance.choice(_MOBILES), f"{chance.randrange(10**7):07}"
    rest += str(chance.randrange(10)) if code[:3] == "015" else ""
    forms = (f"{code} {rest}", f"{code}/{rest}", f"+49 {code[1:]} {rest[:3]} {rest[3:]}", f"0049{code[1:]}{rest}")
    return chance.choice(forms)


def _fixed(chance: random.Random) -> str:
    area = chance.choice(_AREAS)
    rest = str(chance.randrange(2 * 10 ** (9 - len(area)), 10 ** (10 - len(area))))
    return chance.choice(
        (f"0{area} {rest}", f"0{area}/{rest[:3]} {rest[3:]}", f"+49 (0){area} {rest}", f"(0{area}) {rest}")
    )


def measure(url: str, folder: Path, file: Path, rows: int, jobs: int) -> dict[str, Any]:
    """One row of figures. ``peak_mb``: of the largest process. Raises LabError."""
    (folder / "floor.yaml").write_text(_FLOOR)
    config = folder / "acd.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n[database]\nurl = "{url}"\n'
        f'[service]\nstate_dir = "{folder}/state"\n[records]\ncountry_code = "49"\n'
    )
    _acd(config, "db", "upgrade")
    began = time.monotonic()
    said, used = _acd(config, "--json", "list", "import", str(file), "--list", "bench", "--jobs", str(jobs))
    took_s = time.monotonic() - began
    found = json.loads(said)
    if found["rows"] != rows:
        raise LabError(f"of {rows} rows {found['rows']} were read")
    return {
        "rows": rows, "jobs": jobs, "rows_a_s": round(rows / took_s), "took_s": round(took_s, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2), "peak_mb": used.ru_maxrss // 1024,
        **{name: found[name] for name in ("imported", "duplicates", "rejected")},
    }  # fmt: skip


def _acd(config: Path, *arguments: str) -> tuple[str, Any]:
    command = [sys.executable, "-m", "acd", "--config", str(config), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # Either says little: a document, or a sentence
        said, fault = process.stdout.read(), process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise LabError(f"acd {' '.join(arguments)} ended with {process.returncode}: {fault.strip()[-2000:]}")
    return said, used


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    """What was promised, and what was measured."""
    return [
        Target(f"rows of a list imported, {row['database']}", row["rows_a_s"], ROWS_A_S_MIN, True, "rows/s")
        for row in rows
    ]


def run(directory: Path, rows: int, jobs: int, say: Console) -> dict[str, Any]:
    """``{"machine", "rows", "targets"}``. Leaves nothing in ``directory``."""
    before, found = machine(), []
    work = make_dir(directory / "lists")
    server = LabPostgres(make_dir(work / "postgres"), die_with_parent=True)
    try:
        file = work / "list.csv"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(f"{line}\r\n" for line in lines(rows))
        for database in DATABASES:
            folder = make_dir(work / database)
            if database == "postgresql":
                server.start()
            url = f"sqlite:///{folder}/acd.db" if database == "sqlite" else server.create_database("lists")
            found.append({"database": database, **measure(url, folder, file, rows, jobs)})
            say.print(
                "{database:>10}  {rows_a_s:,} rows/s: {rows:,} in {took_s:g} s, {cpu_s:g} s of processor, {peak_mb} MB"
                .format(**found[-1]), highlight=False,
            )  # fmt: skip
    finally:
        server.remove()
        shutil.rmtree(work, ignore_errors=True)
    held = [
        {"name": t.name, "value": t.value, "bound": t.bound, "at_least": t.at_least, "unit": t.unit, "met": t.met}
        for t in targets(found)
    ]
    return {"machine": before, "rows": found, "targets": held}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else to standard output.")
@click.option("--short", is_flag=True, help="A few rows; the figures are then only a sign of life.")
@click.option("--rows", type=click.IntRange(100), help="So many rows.  [default: a million]")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="As acd list import --jobs.")
@click.option(
    "--dir", "directory", type=click.Path(file_okay=False, path_type=Path), default=Path("build/bench"),
    show_default=True, help="Where the databases are made: on the disk that is meant.",
)  # fmt: skip
def main(as_json: bool, short: bool, rows: int | None, jobs: int, directory: Path) -> None:
    """Measure how many rows of a list are imported a second."""
    console = Console(stderr=as_json, soft_wrap=True)
    try:
        found = run(directory.absolute(), rows or (ROWS_SHORT if short else ROWS), jobs, console)
    except (AcdError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found))


if __name__ == "__main__":
    main(prog_name="python -m acd.lab.bench.lists")
