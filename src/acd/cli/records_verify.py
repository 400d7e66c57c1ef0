"""``acd records verify``: whether the records keep their rules."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from acd.cli import text as say
from acd.cli.call import Moment
from acd.cli.console import cell, emit, make_console, make_table
from acd.cli.context import EXIT_FAILED, common_options, options, print_json
from acd.cli.databaseurl import database_url

SHOWN = 100


def bars(what: Console | None) -> Progress:
    """Progress on standard error, where a person looks on."""
    return Progress(
        TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=what or Console(stderr=True), transient=True,
    )  # fmt: skip


@click.command()
@common_options
@click.option(
    "--from", "since", type=Moment(), help="Only of calls that entered from this time on: 2d (ago), 2026-11-21."
)
@click.option("--to", "until", type=Moment(), help="Only up to this time.")
@click.option("--finished", is_flag=True, help="Nothing may be under way: a call that has not ended is wrong, too.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=SHOWN, show_default=True, help="Show so many at most."
)
@click.option("--rules", is_flag=True, help="Only say which rules there are.")
def verify(since: float | None, until: float | None, finished: bool, limit: int, rules: bool) -> None:
    """Prove that the records keep their rules.

    Every call of the database, every stretch of it, every agent's time, every attempt to call somebody and what counts
    them: whether they add up to the microsecond and tell the same. It may run beside the service. Exit code 1 if anything
    is wrong.
    """
    from acd.records import attempt_rules, violation
    from acd.records.verify import Verifier

    given = options()
    if rules:
        _show_rules(violation.RULES | attempt_rules.RULES)
        return
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from must be before --to")
    shown: list[dict[str, object]] = []
    with bars(None) if sys.stderr.isatty() else nullcontext() as progress:
        tasks: dict[str, object] = {}

        def tell(what: str, done: int, total: int) -> None:
            if progress is not None:
                task = tasks.setdefault(what, progress.add_task(what, total=total))
                progress.update(task, completed=done, total=total)  # type: ignore[arg-type]

        verifier = Verifier(database_url(), since=since, until=until, finished=finished, progress=tell)
        for found in verifier.violations():
            if len(shown) < limit:
                shown.append(found.as_json())
    seen = verifier.seen
    wrong = sum(seen.violations.values())
    if given.json:
        print_json(
            {
                "calls": seen.calls,
                "segments": seen.segments,
                "agents": seen.agents,
                "intervals": seen.intervals,
                "attempts": seen.attempts,
                "wrong": wrong,
                "by_rule": dict(sorted(seen.violations.items())),
                "violations": shown,
            }
        )
    else:
        console = make_console(given)
        if shown:
            table = make_table([("RULE", "left"), ("CALL", "left"), ("WHAT IS WRONG", "left")])
            for one in shown:
                table.add_row(cell(one["rule"], "red"), cell(one["call"]), Text(say.clean(one["message"], 1000)))
            emit(console, table)
        if wrong > len(shown):
            emit(console, Text(f"and {wrong - len(shown)} more: raise --limit", style="red"))
        looked = f"{say.counted(seen.calls, 'call')} with {say.counted(seen.segments, 'stretch', 'stretches')}, "
        looked += f"{say.counted(seen.agents, 'agent')} with {say.counted(seen.intervals, 'interval')}"
        looked += f", {say.counted(seen.attempts, 'attempt')}: " if seen.attempts else ": "
        verdict = f"{say.counted(wrong, 'violation')} of the rules" if wrong else "all rules hold"
        emit(console, Text(looked + verdict, style="bold red" if wrong else "bold green"))
    if wrong:
        raise click.exceptions.Exit(EXIT_FAILED)


def _show_rules(rules: dict[str, str]) -> None:
    given = options()
    if given.json:
        print_json({"rules": rules})
        return
    table = make_table([("RULE", "left"), ("SAYS THAT", "left")])
    for word, meaning in rules.items():
        table.add_row(word, meaning)
    emit(make_console(given), table)
