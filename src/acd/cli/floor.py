"""``acd floor``: which floor.yaml is in force, what a reload would change, and the reload, while calls wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.client import FloorFileError, connect
from acd.cli.console import emit, make_console
from acd.cli.context import EXIT_FAILED, Options, common_options, options, print_json
from acd.cli.explain import said, words
from acd.cli.revisions import revisions

NAMES_MAX = 20
"""Of one kind in one part; --json has them all."""
_LINE_MAX = 1000
_SIGNS = (("removed", "-", "red"), ("added", "+", "green"))


@click.group()
@common_options
def floor() -> None:
    """The floor.yaml in force, what a changed one would change, and putting it into force.

    Whoever waits or talks stays; every call goes on by the new floor.
    """


floor.add_command(revisions)


@floor.command()
@common_options
def show() -> None:
    """What is in force, and since when."""
    given = options()
    with connect(given) as client:
        body = client.get("/v1/floor")
    if given.json:
        print_json(body)
        return
    if body["reloads"]:
        since = f"instead of {say.clean(body['previous'])}; {say.counted(body['reloads'], 'reload')} since the start"
    else:
        since = "the start of the service"
    lines = [
        ("in force", f"since {say.moment(body['since'])}, {since}"),
        ("file", say.clean(body["file"])),
        ("queues", str(body["queues"])),
        ("agents", str(body["agents"])),
        ("entry points", str(body["entry_points"])),
        ("known callers", str(body["callers"])),
        ("skills", say.clean(", ".join(body["skills"]), _LINE_MAX) or "none"),
        ("pause reasons", say.clean(", ".join(body["pause_reasons"]), _LINE_MAX)),
    ]
    console = make_console(given)
    emit(console, Text("revision ", style="dim").append(say.clean(body["revision"]), style="bold default"))
    emit(console, *(Text(f"  {label:<13}  ", style="dim").append(value, style="default") for label, value in lines))


@floor.command()
@common_options
def diff() -> None:
    """What a reload would change.

    Exit code 1 if the file cannot be used; then all that is wrong with it is shown.
    """
    given = options()
    with connect(given) as client:
        try:
            body = client.get("/v1/floor/diff")
        except FloorFileError as error:
            _refused(error, given)
    if given.json:
        print_json(body)
        return
    if body["new_revision"] == body["revision"]:
        text = f"{say.clean(body['file'])} is as it is in force, revision {say.clean(body['revision'])}"
    else:
        text = f"{say.clean(body['file'])} has revision {say.clean(body['new_revision'])}, in force is "
        text += f"{say.clean(body['revision'])}: {say.clean(body['summary'])}"
    emit(make_console(given), *_warned(body), Text(text, style="bold"), *changed(body["changes"]))


@floor.command()
@common_options
def reload() -> None:
    """Put floor.yaml as it is now into force, while calls wait.

    If anything is wrong with it all of that is shown, the exit code is 1, and nothing changes. SIGHUP to the service does
    the same.
    """
    given = options()
    with connect(given) as client:
        try:
            body = client.post("/v1/floor/reload", {})
        except FloorFileError as error:
            _refused(error, given)
    if given.json:
        print_json(body)
        return
    emit(make_console(given), *_warned(body), *changed(body["changes"]), Text(say.clean(body["message"]), style="bold"))


def _refused(error: FloorFileError, given: Options) -> NoReturn:
    """Show all that is wrong with the file, and end."""
    if given.json:
        print_json({"ok": False, "message": str(error), "problems": error.problems})
    else:
        lines = [line for problem in error.problems for line in _problem(problem)]
        emit(make_console(given), *lines, Text(say.clean(error, _LINE_MAX), style="bold"))
    raise click.exceptions.Exit(EXIT_FAILED)


def _warned(body: Mapping[str, Any]) -> Iterator[Text]:
    for warning in body["warnings"]:
        yield from _problem(warning)


def _problem(problem: Mapping[str, Any]) -> Iterator[Text]:
    """A problem of the file with its place, and below it the text it speaks of."""
    place = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem.get(key) is not None)
    is_error = problem.get("severity") == "error"
    text = f"{place}: {'' if is_error else 'warning: '}{problem.get('message')}"
    yield Text(say.clean(text, _LINE_MAX), style="red" if is_error else "yellow")
    for line in problem.get("excerpt") or ():
        yield Text(f"    {say.clean(line, _LINE_MAX)}", style="dim")


def changed(changes: Mapping[str, Any]) -> Iterator[Text]:
    """The changes of a floor, part by part."""
    for part, found in changes.items():
        if part == "settings":
            lines = list(_fields(found, "  "))
        else:
            lines = [line for kind, sign, style in _SIGNS for line in _names(found.get(kind, ()), sign, style)]
            lines += list(_edited(found.get("changed", {})))
        if lines:
            yield Text(words(part), style="bold")
            yield from lines


def _names(names: list[str], sign: str, style: str) -> Iterator[Text]:
    for name in names[:NAMES_MAX]:
        yield Text(f"  {sign} {say.clean(name)}", style=style)
    if len(names) > NAMES_MAX:
        yield Text(f"  {sign} and {len(names) - NAMES_MAX} more", style=style)


def _edited(things: Mapping[str, Mapping[str, Any]]) -> Iterator[Text]:
    for name, fields in list(things.items())[:NAMES_MAX]:
        yield Text(f"  ~ {say.clean(name)}", style="yellow")
        yield from _fields(fields, "      ")
    if len(things) > NAMES_MAX:
        yield Text(f"  ~ and {len(things) - NAMES_MAX} more", style="yellow")


def _fields(fields: Mapping[str, Any], indent: str) -> Iterator[Text]:
    for field, change in fields.items():
        old, new = change["from"], change["to"]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            told = ", ".join(
                f"{words(key)} {_one(old.get(key))} -> {_one(new.get(key))}"
                for key in [*old, *(key for key in new if key not in old)]
                if old.get(key) != new.get(key) or (key in old) != (key in new)
            )
            told = told or "in another order"
        else:
            told = f"{_one(old)} -> {_one(new)}"
        yield Text(f"{indent}{words(field)}: {say.clean(told, _LINE_MAX)}")


def _one(value: Any) -> str:
    return "none" if value is None or value == [] else said(value)
