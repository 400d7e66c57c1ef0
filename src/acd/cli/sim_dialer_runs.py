"""Runs of the dialler's suite that are done: kept beside its results, so that hours are not lost to an interruption.

A run is a pure function of its scene, contender, seed and the code, so what was found once holds as long as those do. A line
of JSON a run; a line that was torn is no run, and lines of other code are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import click

from acd.sim.dialing.hall import Day
from acd.sim.dialing.suite import Run

FILE = "dialer.runs.jsonl"
_CODE = ("acd.dialer", "acd.domain", "acd.routing", "acd.sim")
"""Packages that a run's days are worked out by."""
_FIELDS = len(fields(Day))


class Kept:
    """Runs found before, and those added. ``fresh``: forget the former."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._file = folder / FILE
        self._days = {} if fresh else dict(_read(self._file))
        self._full = False
        kept = "".join(_line(key, days) for key, days in self._days.items())
        if self._file.exists() and kept != self._file.read_text(encoding="utf-8", errors="replace"):
            beside = self._file.with_suffix(".new")
            beside.write_text(kept, encoding="utf-8")
            beside.replace(self._file)

    def find(self, run: Run) -> list[Day] | None:
        """Its days, if it was run before."""
        return self._days.get(_key(run))

    @contextmanager
    def adding(self) -> Iterator[Any]:
        """What keeps a run's days when it is called. What cannot be written is said once: hours of work go on."""
        with self._file.open("ab", buffering=0) as out:

            def add(run: Run, days: Sequence[Day]) -> None:
                if self._full:
                    return
                try:
                    out.write(_line(_key(run), days).encode())
                except OSError as error:
                    self._full = True
                    click.echo(f"acd: runs are no longer kept in {self._file}: {error.strerror}", err=True)

            yield add


def _key(run: Run) -> str:
    said = f"{code()}\n{run.cell.scene!r}\n{run.contender}\n{run.seed}"
    return (
        f"{code()[:12]} {run.cell.case} {run.cell.agents} {run.cell.answer_rate:g}, {run.contender}, {run.seed} "
        + (sha256(said.encode()).hexdigest()[:24])
    )


@cache
def code() -> str:
    """What tells one state of the code from another."""
    found = sha256()
    for package in _CODE:
        for path, content in sorted(_sources(files(package), package)):
            found.update(f"{path}\n{len(content)}\n".encode() + content)
    return found.hexdigest()


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, path)
        elif entry.name.endswith(".py"):
            yield path, entry.read_bytes()


def _line(key: str, days: Sequence[Day]) -> str:
    return json.dumps({"run": key, "days": [astuple(day) for day in days]}) + "\n"


def _read(file: Path) -> Iterator[tuple[str, list[Day]]]:
    """Of this code alone. Raises OSError."""
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            said = json.loads(line)
            key, days = said["run"], said["days"]
            if key.startswith(code()[:12]) and all(len(day) == _FIELDS for day in days):
                yield key, [Day(*day) for day in days]
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
