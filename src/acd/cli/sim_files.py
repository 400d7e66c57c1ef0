"""What a simulation leaves in a folder: its results, and pictures where matplotlib is installed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acd.cli import text as say
from acd.cli.context import Failure, options

if TYPE_CHECKING:
    from acd.cli.sim_dialer_runs import Kept

_NO_PICTURES = "matplotlib {}, so all is written but the pictures: `pip install matplotlib` for those"


def ready(folder: Path) -> bool:
    """Make the folder before anything runs for hours; whether pictures can be drawn, and if not, say so. Raises Failure if
    nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _cannot(folder, error) from error
    if find_spec("matplotlib") is not None:
        return True
    click.echo(f"acd: {_NO_PICTURES.format('is not installed')}", err=True)
    return False


def kept_runs(folder: Path, *, fresh: bool) -> Kept:
    """Runs of the dialler's suite that were done before, in the folder of the results. Raises Failure."""
    from acd.cli.sim_dialer_runs import Kept

    try:
        return Kept(folder, fresh=fresh)
    except OSError as error:
        raise _cannot(folder, error) from error


def write(file: Path, body: Any, draw: Callable[[Path], Sequence[Path]] | None, *, indent: int, quiet: bool) -> None:
    """The results, and the pictures beside them that ``draw`` makes in a folder. Raises Failure."""
    written = [file]
    try:
        file.write_text(json.dumps(body, indent=indent) + "\n", encoding="utf-8")
        if draw is not None:
            written += draw(file.parent)
    except OSError as error:
        raise _cannot(file.parent, error) from error
    except ImportError as error:
        click.echo(f"acd: {_NO_PICTURES.format(f'cannot be used ({say.clean(error)})')}", err=True)
    if not quiet:
        for path in written:
            click.echo(f"wrote {path}")


def _cannot(folder: Path, error: OSError) -> Failure:
    return Failure(f"cannot write to {folder}: {error.strerror}", as_json=options().json)
