"""``acd records``: what may be done with the records in the database. Its commands, each imported when it is used."""

from __future__ import annotations

import click

from acd.cli.context import common_options
from acd.cli.lazy import LazyGroup

#: Sub-command: (module, attribute, one line of help).
COMMANDS: dict[str, tuple[str, str, str]] = {
    "retention": ("acd.cli.records_retention", "retention", "What is over its time, and taking it away."),
    "verify": ("acd.cli.records_verify", "verify", "Prove that the records keep their rules."),
    "generate": ("acd.cli.records_generate", "generate", "Fill a database with calls that never were."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
@common_options
def records() -> None:
    """Check and look after the records in the database.

    The database is the one that acd.toml names.
    """
