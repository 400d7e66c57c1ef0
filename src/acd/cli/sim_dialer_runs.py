"""Runs of the dialler's suite that are done: kept beside its results, so that hours are not lost to an interruption.

A run is a pure function of its scene, contender, seed and the code, so what was found once holds as long as those do. A line
of JSON a run, added and never taken away; of lines of one run the last counts, and what is no run is passed over.
"""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, fields
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import click

from acd.sim.dialing.hall import Day
from acd.sim.dialing.suite import Run, learns

FILE = "dialer.runs.jsonl"
_CODE = ("acd.dialer", "acd.domain", "acd.routing", "acd.sim")
"""Packages that a run's days are worked out by."""
_FIELDS = len(fields(Day))


class Kept:
    """Runs found before, and those added. ``fresh``: the former are not taken. Raises OSError."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self.file = folder / FILE
        if self.file.exists() and not self.file.is_file():
            raise OSError(errno.EINVAL, f"{FILE} is no file")
        self._days = {} if fresh else dict(_read(self.file))

    def find(self, run: Run) -> list[Day] | None:
        """Its days, if it was run before."""
        days, scene = self._days.get(_key(run)), run.cell.scene
        many = scene.days + (scene.warm_days if learns(run.contender) else 0)
        return days if days is not None and len(days) == many else None

    @contextmanager
    def adding(self) -> Iterator[Callable[[Run, Sequence[Day]], None]]:
        """What keeps a run's days when it is called. What cannot be written is said once: hours of work go on."""
        with ExitStack() as stack:
            try:
                # Whole lines at once, at the end whoever else writes; a line that was torn is ended first
                out = stack.enter_context(self.file.open("ab", buffering=0))
                if _is_torn(self.file):
                    out.write(b"\n")
            except OSError as error:
                self._cannot(error)
                yield lambda run, days: None
                return
            full = False

            def add(run: Run, days: Sequence[Day]) -> None:
                nonlocal full
                if full:
                    return
                try:
                    out.write(_line(_key(run), days).encode())
                except OSError as error:
                    full = True
                    self._cannot(error)

            yield add

    def _cannot(self, error: OSError) -> None:
        click.echo(f"acd: runs are not kept in {self.file}: {error.strerror}", err=True)


def _is_torn(file: Path) -> bool:
    with file.open("rb") as read:
        if not read.seek(0, 2):
            return False
        read.seek(-1, 2)
        return read.read(1) != b"\n"


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
    mine = code()[:12]
    for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            said = json.loads(line)
            if isinstance(said, dict) and str(said["run"]).startswith(mine):
                yield said["run"], [_day(day) for day in said["days"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue


def _day(said: Any) -> Day:
    """Raises ValueError or TypeError on what is no day."""
    if not isinstance(said, list) or len(said) != _FIELDS:
        raise ValueError("no day")
    for value in said:
        if isinstance(value, (bool, str)) or not 0 <= value < math.inf:
            raise ValueError("no day")
    return Day(*said)
