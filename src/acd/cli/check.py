"""``acd check``: read acd.toml and floor.yaml and tell everything that is wrong, each with file, line and column."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import emit, make_console
from acd.cli.context import EXIT_FAILED, common_options, options, print_json

if TYPE_CHECKING:
    from acd.config import LoadedFloor, LoadedSettings, Problem

_LINE_LENGTH_MAX = 1000


@click.command()
@common_options
def check() -> None:
    """Read acd.toml and floor.yaml and tell everything that is wrong.

    Nothing is started and nothing is changed. Exit code 1 if acd could not run with them; warnings alone give 0.
    """
    from acd.config import find_config

    given = options()
    config = find_config(given.config)
    settings, problems = _settings(config)
    problems += _missing_group(config, settings)
    floor_file = settings.settings.floor.file if settings else floor_file_of(config)
    floor, floor_problems = _floor(floor_file)
    problems += floor_problems
    between = _between(floor_file, settings, floor)
    problems += between
    if given.json:
        print_json(_report(config, floor_file, settings, floor, problems))
    else:
        emit(make_console(given), *_lines(config, floor_file, settings, floor, problems))
    if settings is None or floor is None or between:
        raise click.exceptions.Exit(EXIT_FAILED)


def _settings(config: Path) -> tuple[LoadedSettings | None, list[Problem]]:
    from acd.config import ProblemsError, load_settings

    try:
        loaded = load_settings(config)
    except ProblemsError as error:
        return None, list(error.found)
    return loaded, list(loaded.warnings)


def _missing_group(config: Path, settings: LoadedSettings | None) -> list[Problem]:
    """A warning if the group of operators is none of this machine's, which may not be the one that acd is to run on."""
    from acd.cli.masking import is_group
    from acd.config import Problem

    group = settings.settings.records.operators if settings else None
    if group is None or is_group(group):
        return []
    message = f"records.operators: this machine has no group {group!r}: nobody on it is an operator"
    return [Problem(str(config), None, None, message, "warning")]


def _floor(floor_file: Path) -> tuple[LoadedFloor | None, list[Problem]]:
    from acd.config import ProblemsError, load_floor

    try:
        loaded = load_floor(floor_file)
    except ProblemsError as error:
        return None, list(error.found)
    return loaded, list(loaded.warnings)


def _between(floor_file: Path, settings: LoadedSettings | None, floor: LoadedFloor | None) -> list[Problem]:
    """What is wrong between two files that are right by themselves, and today."""
    if floor is None:
        return []
    from acd.config import Problem
    from acd.config.campaign_reader import unknown_nodes
    from acd.config.floor_checks import too_many_nodes
    from acd.config.trunk_reader import not_verified_yet

    said = not_verified_yet(floor.definition, time.time())
    if settings is not None:
        said += unknown_nodes(floor.definition, settings.settings.asterisk)
        said += too_many_nodes(floor.definition, settings.settings.asterisk)
    return [Problem(str(floor_file), None, None, message) for message in said]


def _notes(settings: LoadedSettings | None, floor: LoadedFloor | None) -> list[str]:
    """What no file here can tell, and has to be so elsewhere."""
    from acd.config.floor_checks import lasting_lines

    agents = lasting_lines(floor.definition) if floor is not None else []
    if settings is None or not agents:
        return []
    users = ", ".join(sorted({node.call_user for node in settings.settings.asterisk.values()}))
    who = f"{say.counted(len(agents), 'agent')} with a lasting line"
    need = f"Asterisk's manager user {users} needs write = call,originate (manager_acd.conf) to call their phones"
    return [f"{who}: {need}; acd says so when it runs if that is missing"]


def floor_file_of(config: Path) -> Path:
    """Where the floor would be if acd.toml were right: its mistakes must not hide those of the floor."""
    try:
        named = tomllib.loads(config.read_text(encoding="utf-8"))["floor"]["file"]
    except (OSError, ValueError, KeyError, TypeError):
        named = None
    return config.absolute().parent / (named if isinstance(named, str) and named else "floor.yaml")


def _report(
    config: Path,
    floor_file: Path,
    settings: LoadedSettings | None,
    floor: LoadedFloor | None,
    problems: list[Problem],
) -> dict[str, Any]:
    """``{"ok", "config", "floor", "revision", "nodes", "queues", "agents", "entry_points", "campaigns",
    "problems": [...], "notes": [text]}``."""
    definition = floor.definition if floor else None
    return {
        "ok": settings is not None and floor is not None and not any(p.severity == "error" for p in problems),
        "config": str(config),
        "floor": str(floor_file),
        "revision": definition.revision if definition else None,
        "nodes": sorted(settings.settings.asterisk) if settings else None,
        "queues": len(definition.queues) - len(definition.campaigns) if definition else None,
        "agents": len(definition.agents) if definition else None,
        "entry_points": len(definition.entry_points) if definition else None,
        "campaigns": len(definition.campaigns) if definition else None,
        "problems": [problem.as_json() for problem in problems],
        "notes": _notes(settings, floor),
    }


def _lines(
    config: Path,
    floor_file: Path,
    settings: LoadedSettings | None,
    floor: LoadedFloor | None,
    problems: list[Problem],
) -> list[Text]:
    lines = [line for problem in problems for line in _said(problem)]
    if settings is not None:
        nodes = ", ".join(f"{name} ({node.host})" for name, node in settings.settings.asterisk.items())
        lines.append(Text(f"{say.clean(config)}: good: {say.clean(nodes)}", style="green"))
    if floor is not None and not any(one.severity == "error" and one.file == str(floor_file) for one in problems):
        what = floor.definition
        counted = [
            say.counted(len(what.queues) - len(what.campaigns), "queue"),
            say.counted(len(what.agents), "agent"),
            say.counted(len(what.entry_points), "entry point"),
        ]
        if what.campaigns:
            counted.append(say.counted(len(what.campaigns), "campaign"))
        counts = ", ".join(counted)
        lines.append(Text(f"{say.clean(floor_file)}: good: {counts}; revision {what.revision}", style="green"))
    lines += [Text(f"note: {say.clean(note, _LINE_LENGTH_MAX)}", style="dim") for note in _notes(settings, floor)]
    errors = sum(problem.severity == "error" for problem in problems)
    if problems:
        warnings = say.counted(len(problems) - errors, "warning")
        lines.append(Text(f"{say.counted(errors, 'error')}, {warnings}", style="bold"))
    return lines


def _said(problem: Problem) -> list[Text]:
    """The problem, and below it the text it speaks of with a caret under the character."""
    said = Text(say.clean(problem, _LINE_LENGTH_MAX), style="red" if problem.severity == "error" else "yellow")
    return [said, *(Text(f"    {say.clean(line, _LINE_LENGTH_MAX)}", style="dim") for line in problem.excerpt)]
