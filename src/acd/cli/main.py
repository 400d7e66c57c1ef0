"""The command ``acd``: its sub-commands by name, each imported only when it is used, so that ``--help`` is quick.

What commands do is in their own modules; how an error becomes a message and an exit code, in `lazy`.
"""

from __future__ import annotations

import click

from acd import __version__
from acd.cli.context import EXIT_CODES, common_options, options, print_json, safe_streams
from acd.cli.lazy import LazyGroup
from acd.cli.output import watched_output

#: Sub-command: (module, attribute, one line of help).
COMMANDS: dict[str, tuple[str, str, str]] = {
    "serve": ("acd.cli.serve", "serve", "Run the service."),
    "check": ("acd.cli.check", "check", "Read acd.toml and floor.yaml and tell everything that is wrong."),
    "init": ("acd.cli.init", "init", "Write annotated sample files into a directory."),
    "status": ("acd.cli.status", "status", "The whole floor at a glance; --watch keeps it live."),
    "queue": ("acd.cli.queue", "queue", "List queues, show one."),
    "agent": ("acd.cli.agent", "agent", "List and show agents, log them in and out; why one has no call."),
    "call": ("acd.cli.call", "call", "List and show calls, explain why one went where it went, pass it on."),
    "campaign": ("acd.cli.campaign", "campaign", "What is dialled: start, stop, watch, explain, account for it."),
    "list": ("acd.cli.lists", "lists", "Lists of contacts: import files, show, account for every row."),
    "contact": ("acd.cli.contact", "contact", "One contact: show, find, add, edit, promise a callback."),
    "dnc": ("acd.cli.dnc", "dnc", "Numbers that are not to be called: import, add, remove, check."),
    "report": ("acd.cli.report", "report", "Service levels, agents, abandoned calls...: tables, CSV, Parquet, HTML."),
    "floor": ("acd.cli.floor", "floor", "Which floor.yaml is in force; put a changed one into force."),
    "replay": ("acd.cli.replay", "replay", "Repeat a recorded life, to see that it comes out the same."),
    "sim": ("acd.cli.sim", "sim", "Try a floor in virtual time, with callers who do not exist."),
    "person": ("acd.cli.person", "person", "What the records hold of a person, told or taken away."),
    "audit": ("acd.cli.audit", "audit", "Who changed what."),
    "records": ("acd.cli.records", "records", "Look after the records in the database."),
    "queue-log": ("acd.cli.queuelog", "queue_log", "The records in the format of Asterisk's queue_log."),
    "db": ("acd.cli.db", "db", "Bring the database's schema up to date."),
    "demo": ("acd.cli.demo", "demo", "A small call centre at work on this machine, with real calls."),
    "lab": ("acd.lab.commands", "lab", "A private Asterisk with phones and callers, without root."),
}


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    if options(ctx).json:
        print_json({"version": __version__})
    else:
        click.echo(f"acd, version {__version__}")
    ctx.exit()


@click.group(cls=LazyGroup, table=COMMANDS, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
@click.option("--version", is_flag=True, expose_value=False, callback=_version, help="Show the version and exit.")
def cli() -> None:
    """acd sits beside Asterisk and turns it into a call centre.

    Global options may stand before or after the sub-command.
    """


def main() -> None:
    """The entry point of the ``acd`` program."""
    safe_streams()
    with watched_output():
        cli(prog_name="acd")
