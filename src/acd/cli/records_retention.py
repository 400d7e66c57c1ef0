"""``acd records retention``: what is over its time, and taking it away."""

from __future__ import annotations

import time

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import emit, emit_table, make_console, make_table
from acd.cli.context import EXIT_FAILED, common_options, options, print_json
from acd.cli.databaseurl import loaded_settings, policy_of
from acd.cli.progress import progress

_WHAT = {
    "recordings": "files with calls' sound",
    "notes": "what was noted of calls",
    "callers": "calls' numbers, names and notes; calls and figures stay",
    "decisions": "explanations",
    "calls": "calls whole, with stretches, explanations and sound",
    "agent_states": "agents' intervals",
    "audit": "entries of the audit log",
}


@click.command()
@common_options
@click.option("--dry-run", is_flag=True, help="Only say what would go, which is also done without --run.")
@click.option("--run", is_flag=True, help="Take it away now. The service does so once a day by itself.")
def retention(dry_run: bool, run: bool) -> None:
    """What is over the time that [retention] in acd.toml gives it.

    Nothing goes that no number of days was set for, and nothing of a call that is under way. With --run it goes for good,
    little by little, beside the service. Exit code 1 if sound could not be deleted.
    """
    from acd.records.retention import Retention
    from acd.records.trail import me

    if dry_run and run:
        raise click.UsageError("--dry-run and --run do not go together")
    given, settings = options(), loaded_settings().settings
    assert settings.database.url is not None, "filled in by load_settings"
    assert settings.records.recordings is not None, "filled in by load_settings"
    policy = policy_of(settings.retention)
    url, folder = settings.database.url.get_secret_value(), settings.records.recordings
    looked = Retention(url, policy, folder, now=time.time())
    taken = looked.due()
    if run:
        total = sum(taken.rows.values())
        with progress("taking away") as tell:
            done: dict[str, int] = {}

            def step(kind: str, rows: int) -> None:
                done[kind] = rows
                tell(min(sum(done.values()), total), total)

            taken = Retention(url, policy, folder, now=time.time(), progress=step).run(me())
    if given.json:
        print_json(
            {
                "run": run,
                "undeleted": taken.undeleted,
                "kinds": [
                    {"kind": kind, "days": getattr(policy, kind), "before": limit, "rows": taken.rows.get(kind, 0)}
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
            days, rows = str(getattr(policy, kind)), str(taken.rows.get(kind, 0))
            table.add_row(kind.replace("_", " "), days, say.moment(limit), rows, Text(_WHAT[kind], style="dim"))
        emit_table(make_console(given), table, "nothing ever goes: [retention] in acd.toml sets no days")
        if taken.undeleted:
            text = f"{say.counted(taken.undeleted, 'recording')} could not be deleted: not in {folder}, or not ours"
            emit(make_console(given), Text(text, style="bold red"))
    if taken.undeleted:
        raise click.exceptions.Exit(EXIT_FAILED)
