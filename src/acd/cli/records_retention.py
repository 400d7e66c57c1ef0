"""``acd records retention``: what is over its time, and taking it away."""

from __future__ import annotations

import time

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import emit, emit_table, make_console, make_table
from acd.cli.context import EXIT_FAILED, common_options, options, print_json
from acd.cli.databaseurl import loaded_settings, numbering_of, policy_of
from acd.cli.progress import progress

_WHAT = {
    "recordings": "files with calls' sound",
    "notes": "what was noted of calls",
    "callers": "calls' numbers, names and notes; calls and figures stay",
    "decisions": "explanations",
    "calls": "calls whole, with stretches, explanations and sound",
    "agent_states": "agents' intervals",
    "lists": "contacts whose work is over, rows that became none, numbers of their attempts",
    "audit": "entries of the audit log",
    "set_aside": "files of lines that the spill set aside, as soon as calls or callers go",
}
_PARTS = {
    "contacts": ("contact", "contacts"),
    "rejects": ("rejected row", "rejected rows"),
    "attempts": ("number of an attempt", "numbers of attempts"),
}


@click.command()
@common_options
@click.option("--dry-run", is_flag=True, help="Only say what would go, which is also done without --run.")
@click.option("--run", is_flag=True, help="Take it away now. The service does so once a day by itself.")
def retention(dry_run: bool, run: bool) -> None:
    """What is over the time that [retention] in acd.toml gives it.

    Nothing goes that no number of days was set for, and nothing of a call that is under way. With --run it goes for good,
    little by little, beside the service. Exit code 1 if sound, or a file of the spill, could not be deleted.
    """
    from acd.records.retention import Retention
    from acd.records.seal import load_seal
    from acd.records.trail import me

    if dry_run and run:
        raise click.UsageError("--dry-run and --run do not go together")
    given, settings = options(), loaded_settings().settings
    assert settings.database.url is not None, "filled in by load_settings"
    assert settings.records.recordings is not None, "filled in by load_settings"
    policy = policy_of(settings.retention)
    days = policy.days()
    url, folder = settings.database.url.get_secret_value(), settings.records.recordings
    spill = settings.database.spill_dir
    looked = Retention(url, policy, folder, now=time.time(), spill=spill)
    taken = looked.due()
    if run:
        total = sum(taken.rows.values())
        lists = policy.lists is not None
        sealed = load_seal(settings.service.state_dir, numbering_of(settings.records)).of if lists else None
        with progress("taking away") as tell:
            done: dict[str, int] = {}

            def step(kind: str, rows: int) -> None:
                done[kind] = rows
                tell(min(sum(done.values()), total), total)

            taking = Retention(url, policy, folder, now=time.time(), spill=spill, sealed=sealed, progress=step)
            taken = taking.run(me())
    if given.json:
        print_json(
            {
                "run": run,
                "undeleted": taken.undeleted,
                "kinds": [
                    {"kind": kind, "days": days[kind], "before": limit, "rows": taken.rows.get(kind, 0)}
                    | ({"parts": taken.parts} if kind == "lists" else {})
                    for kind, limit in looked.limits.items()
                ],
            }
        )
    else:
        table = make_table(
            [
                ("KIND", "left"),
                ("DAYS", "right"),
                ("BEFORE", "left"),
                ("GONE" if run else "WOULD GO", "right"),
                ("", "left"),
            ]
        )
        for kind, limit in looked.limits.items():
            what = _WHAT[kind]
            if kind == "lists" and taken.rows.get(kind):
                what = ", ".join(say.counted(many, *_PARTS[part]) for part, many in taken.parts.items() if many)
            rows = str(taken.rows.get(kind, 0))
            table.add_row(kind.replace("_", " "), str(days[kind]), say.moment(limit), rows, Text(what, style="dim"))
        emit_table(make_console(given), table, "nothing ever goes: [retention] in acd.toml sets no days")
        if taken.undeleted:
            text = (
                f"{say.counted(taken.undeleted, 'file')} could not be deleted: not in {folder} or {spill}, or not ours"
            )
            emit(make_console(given), Text(text, style="bold red"))
    if taken.undeleted:
        raise click.exceptions.Exit(EXIT_FAILED)
