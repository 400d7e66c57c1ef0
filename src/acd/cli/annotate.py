"""``acd call note``, ``disposition`` and ``tag``: what people say of a call, while it lasts or afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.client import connect, segment
from acd.cli.context import common_options, options, print_json

NOTES_READ_MAX = 100_000
_FOLLOWS = {
    "done": "the contact is done",
    "again": "the contact is called again later",
    "wrong_number": "the contact is not called at that number any more",
    "opt_out": "the contact is not called any more",
    "machine": "it counts as a machine",
}
_MINUS = "\0-"
"""Stands for the minus of a tag, so that it is not taken for that of an option."""


def _send(ident: str, wish: dict[str, Any]) -> None:
    given = options()
    with connect(given) as client:
        answer = client.post(f"/v1/calls/{segment(ident)}/annotations", wish)
    if given.json:
        print_json(answer)
        return
    lines = list(said_of(answer))
    for line in lines or [Text("  nothing is said of it")]:
        click.echo(f"{say.clean(ident)}: {line.plain.strip()}")
    if answer.get("effect"):
        click.echo(f"{say.clean(ident)}: {_FOLLOWS[answer['effect']]}")


@click.command()
@common_options
@click.option("--append", is_flag=True, help="Below the notes there are, not in their place.")
@click.argument("ident", metavar="ID")
@click.argument("text")
def note(ident: str, text: str, append: bool) -> None:
    """Write notes on a call: TEXT, or what is read if TEXT is -. An empty TEXT takes them away."""
    if text == "-":
        text = sys.stdin.read(NOTES_READ_MAX)
        text = text.removesuffix("\n")
    _send(ident, {"notes": text, "append": append})


@click.command()
@common_options
@click.argument("ident", metavar="ID")
@click.argument("word")
def disposition(ident: str, word: str) -> None:
    """Say what a call came to, in one of the words that floor.yaml has for its queue. An empty WORD takes it away.

    What a campaign's word means for whom was called follows at once: the contact is done, called again later, at its next
    number, or never; or it was a machine.
    """
    _send(ident, {"disposition": word})


class TagCommand(click.Command):
    """Takes ``-old`` as a tag to be removed, not as options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        kept = [_MINUS + arg[1:] if len(arg) > 2 and arg[0] == "-" and arg[1] != "-" else arg for arg in args]
        return super().parse_args(ctx, kept)


@click.command(cls=TagCommand)
@common_options
@click.argument("ident", metavar="ID")
@click.argument("tags", metavar="+TAG|-TAG...", nargs=-1, required=True)
def tag(ident: str, tags: tuple[str, ...]) -> None:
    """Put tags on a call (+vip) and take them off (-old)."""
    add, remove = [], []
    for text in tags:
        if text.startswith("+"):
            add.append(text[1:])
        elif text.startswith(_MINUS):
            remove.append(text[len(_MINUS) :])
        else:
            raise click.UsageError(f"{text!r}: write +{text} to put it on, -{text} to take it off")
    _send(ident, {"tags": {"add": add, "remove": remove}})


def said_of(row: Mapping[str, Any] | None) -> Iterator[Text]:
    """What is said of a call, a line each, for a row of the records."""
    if row is None:
        return
    if row.get("disposition"):
        yield Text("  came to ").append(say.clean(row["disposition"]), style="bold")
    if row.get("tags"):
        yield Text("  tags ").append(say.clean(", ".join(map(str, row["tags"])), 2000), style="cyan")
    for number, line in enumerate(str(row.get("notes") or "").splitlines()):
        yield Text("  notes " if number == 0 else "        ", style="default").append(say.clean(line, 10_000))
    if row.get("recording"):
        yield Text("  recording ").append(say.clean(row["recording"]))


COMMANDS = (note, disposition, tag)
