"""A bar for what goes through many records, on standard error; plain lines, few of them, where that is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from acd.cli.context import options

PLAIN_S = 10.0
"""Between two plain lines, and before the first."""


@contextmanager
def progress(
    what: str, *, plain: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, int], None]]:
    """Gives a function that takes how many are done, of how many; the bar appears at its first call. ``plain``: where no
    terminal is, a line every `PLAIN_S` tells it, unless JSON was asked for."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    lines = plain and not console.is_terminal and not options().json
    told_at = clock()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None, visible=False)

        def tell(done: int, total: int) -> None:
            nonlocal told_at
            bar.update(task, completed=done, total=total, visible=True)
            if lines and clock() - told_at >= PLAIN_S:
                told_at = clock()
                share = f" ({done / total:.0%})" if total else ""
                click.echo(f"acd: {what}: {done} of {total}{share}", err=True)

        yield tell
