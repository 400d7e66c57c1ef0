"""``acd records``: what may be done with the records in the database. Its commands, each imported when it is used."""

from __future__ import annotations

from importlib import import_module

import click

from acd.cli.context import common_options

#: Sub-command: (module, attribute, one line of help).
COMMANDS: dict[str, tuple[str, str, str]] = {
    "retention": ("acd.cli.records_retention", "retention", "What is over its time, and taking it away."),
    "verify": ("acd.cli.records_verify", "verify", "Prove that the records keep their rules."),
    "generate": ("acd.cli.records_generate", "generate", "Fill a database with calls that never were."),
}


class RecordsGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=RecordsGroup)
@common_options
def records() -> None:
    """Check and look after the records in the database.

    The database is the one that acd.toml names.
    """
