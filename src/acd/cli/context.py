"""What every command shares: the global options, wherever on the line they stand, the exit codes, and how to fail.

Imported by every command at once, so only click and the domain's errors may be imported here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from acd.cli.text import clean_lines
from acd.domain.errors import AcdError, ConfigurationError, RefusedError, UnknownNameError

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_RUNNING, EXIT_UNKNOWN_NAME, EXIT_REFUSED = 1, 2, 3, 4, 5

EXIT_CODES = """\
Exit codes: 0 done; 1 failed, or problems were found; 2 wrong usage; 3 the service is not running or cannot be
reached; 4 no queue, agent or call of that name; 5 refused in the present state."""


@dataclass
class Options:
    """The global options. ``config`` and ``socket`` are None unless given on the line."""

    config: Path | None = None
    socket: Path | None = None
    json: bool = False
    no_color: bool = False
    mask_numbers: bool = False


class NotRunningError(AcdError):
    """The service cannot be reached at its socket; the message says what to do."""


class Failure(click.ClickException):
    """Ends the command with ``exit_code`` and a message (as JSON with ``--json``) on standard error."""

    def __init__(
        self,
        message: str,
        exit_code: int = EXIT_FAILED,
        *,
        kind: str = "failed",
        nearest: str | None = None,
        as_json: bool,
        problems: Sequence[Any] = (),
    ) -> None:
        super().__init__(message)
        self.problems = list(problems)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance too
        self.kind, self.nearest, self.as_json = kind, nearest, as_json

    @classmethod
    def of(cls, error: AcdError, *, as_json: bool) -> Failure:
        """The failure an error of ours means."""
        code, kind, nearest = EXIT_FAILED, "failed", None
        if isinstance(error, NotRunningError):
            code, kind = EXIT_NOT_RUNNING, "not_running"
        elif isinstance(error, UnknownNameError):
            code, kind, nearest = EXIT_UNKNOWN_NAME, "unknown_name", error.nearest
        elif isinstance(error, RefusedError):
            code, kind = EXIT_REFUSED, "refused"
        problems: list[Any] = []
        if isinstance(error, ConfigurationError):
            # Those that have a place say it in parts
            problems = [one.as_json() for one in getattr(error, "found", ())] or list(error.problems)
        return cls(str(error), code, kind=kind, nearest=nearest, as_json=as_json, problems=problems)

    def show(self, file: Any = None) -> None:
        if self.as_json:
            body: dict[str, Any] = {"kind": self.kind, "message": self.message, "nearest": self.nearest}
            if self.problems:
                body["problems"] = self.problems
            body = {"error": body}
            click.echo(json.dumps(body), err=True)
        else:
            click.echo(f"acd: {clean_lines(self.message)}", err=True)


def options(ctx: click.Context | None = None) -> Options:
    """The global options of the running command."""
    return (ctx or click.get_current_context()).ensure_object(Options)


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Write what was really given into the shared options: the one nearest to the end of the line wins."""
    shared = options(ctx)
    if param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
        setattr(shared, param.name, value)


Command = TypeVar("Command", bound=Callable[..., Any])


def common_options(command: Command) -> Command:
    """``--config``, ``--socket``, ``--json`` and ``--no-color`` for a command or group; read them with `options`."""
    at_root: dict[str, Any] = {"expose_value": False, "callback": _store}
    path = click.Path(path_type=Path)
    # Known before --version is answered, wherever it stands
    as_json: dict[str, Any] = {"is_flag": True, "is_eager": True, **at_root}
    for decorate in (
        click.option("--no-color", is_flag=True, help="No colours (so does NO_COLOR in the environment).", **at_root),
        click.option("--json", "json", help="JSON instead of tables.", **as_json),
        click.option("--socket", type=path, metavar="PATH", help="The service's socket (ACD_HTTP__SOCKET).", **at_root),
        click.option("--config", type=path, metavar="PATH", help="acd.toml (ACD_CONFIG).", **at_root),
    ):
        command = decorate(command)
    return command


def mask_option(command: Command) -> Command:
    """``--mask-numbers`` for a command that asks the service, which then masks them."""
    text = "Callers' numbers as +49171•••4567, and no names nor notes."
    asked: dict[str, Any] = {"is_flag": True, "expose_value": False, "callback": _store}
    return click.option("--mask-numbers", help=text, **asked)(command)


def print_json(value: Any) -> None:
    """Indented ASCII JSON on standard output (so nothing in it can reach a terminal as a control character)."""
    click.echo(json.dumps(value, indent=2))


def safe_streams() -> None:
    """Let what the locale cannot encode be escaped instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
