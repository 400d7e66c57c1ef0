"""``acd replay``: a recorded life once more, in a fresh floor, to see that it decides the same, and why it decided so.

Works on files alone; a running service is neither needed nor disturbed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from acd import __version__
from acd.cli import text as say
from acd.cli.call import Moment
from acd.cli.console import emit, make_console
from acd.cli.context import EXIT_FAILED, common_options, options, print_json
from acd.cli.explain import explained
from acd.domain.errors import UnknownNameError

if TYPE_CHECKING:
    from acd.engine.journal_reader import Recording
    from acd.engine.replay import Difference, Outcome, Story

_INDENT = "    "
_LONG = 2_000
_FITS = {
    "chosen": ("chosen", "green"),
    "free": ("free", ""),
    "busy": ("could not then", "dim"),
    "unfit": ("may not serve it", "dim"),
}


@click.command()
@common_options
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("--until", type=Moment(), help="Stop before the first event after this time; show the floor of then.")
@click.option("--call", "ident", metavar="ID", help="Tell the story of one call, with every agent at each decision.")
def replay(journal: Path, until: float | None, ident: str | None) -> None:
    """Feed a journal to a fresh floor and compare what it decides with what was decided.

    JOURNAL is one file of it, or the directory: then the latest life of the service. Exit code 1 if anything comes out
    otherwise, which is shown, or if the journal is damaged.
    """
    from acd.engine.journal_reader import DAMAGED, Recording
    from acd.engine.replay import Story
    from acd.engine.replay import replay as run

    given = options()
    recording = Recording(journal)
    story = None if ident is None else Story(ident)
    outcome = run(recording, until=float("inf") if until is None else until, story=story)
    stopped_early = outcome.difference is not None or until is not None
    ended = None if stopped_early and recording.ended != DAMAGED else recording.ended
    if given.json:
        print_json(_report(recording, outcome, ended, until, story))
    else:
        emit(make_console(given), *_lines(recording, outcome, ended, until, story))
    if outcome.difference is not None or ended == DAMAGED:
        raise click.exceptions.Exit(EXIT_FAILED)
    if story is not None and not story.steps:
        raise UnknownNameError("call", story.call)


def _report(
    recording: Recording, outcome: Outcome, ended: str | None, until: float | None, story: Story | None
) -> dict[str, Any]:
    """``{"life", "acd", "epoch", "revision", "from_checkpoint", "events", "commands", "records", "first_at", "last_at",
    "identical", "difference", "ended", "detail", "floor", "story"}``."""
    head = recording.header
    return {
        "life": head.life,
        "acd": head.acd,
        "epoch": head.epoch,
        "revision": head.revision,
        "from_checkpoint": head.checkpoint is not None,
        "events": outcome.events,
        "commands": outcome.commands,
        "records": outcome.records,
        "first_at": outcome.first_at,
        "last_at": outcome.last_at,
        "identical": outcome.difference is None,
        "difference": None if outcome.difference is None else asdict(outcome.difference),
        "ended": ended,
        "detail": recording.detail if ended else "",
        "floor": _floor_then(outcome, until),
        "story": None if story is None else story.steps,
    }


def _floor_then(outcome: Outcome, until: float | None) -> dict[str, Any] | None:
    from acd.floor import views

    if until is None or outcome.last_at is None:
        return None
    return views.status(outcome.floor, until)


def _lines(
    recording: Recording, outcome: Outcome, ended: str | None, until: float | None, story: Story | None
) -> Iterator[Text]:
    head = recording.header
    yield Text(
        f"life {say.clean(head.life)}: epoch {head.epoch}, floor {say.clean(head.revision)}, acd {say.clean(head.acd)}"
    )
    if head.acd != __version__:
        yield Text(f"written by acd {say.clean(head.acd)}; this is {__version__}", style="yellow")
    if head.checkpoint is not None:
        yield Text(f"begins with part {head.part} and the floor's state at its begin")
    if story is not None:
        yield from _story(story)
        yield Text("")
    span = f", {say.moment(outcome.first_at)} to {say.moment(outcome.last_at)}" if outcome.events else ""
    yield Text(f"{say.counted(outcome.events, 'event')}{span}")
    if outcome.difference is not None:
        yield from _differs(outcome.difference, head.acd)
    elif outcome.events:
        given = f"{say.counted(outcome.commands, 'command')} and {say.counted(outcome.records, 'record')}"
        yield Text(f"identical: {given}", style="green")
    if ended is not None:
        style = {"closed": "", "unfinished": "yellow"}.get(ended, "red")
        yield Text(
            f"the journal is {ended}" + (f": {say.clean(recording.detail, _LONG)}" if recording.detail else ""), style
        )
    then = _floor_then(outcome, until)
    if then is not None:
        agents = ", ".join(f"{count} {state.lower()}" for state, count in then["agents"].items() if count)
        yield Text(
            f"the floor at {say.moment(until)}: {then['waiting']} waiting, {then['talking']} talking; agents: {agents}"
        )


def _differs(difference: Difference, acd: str) -> Iterator[Text]:
    yield Text(f"DIFFERS at event {difference.n}, {say.moment(difference.at)}", style="bold red")
    yield Text(f"{_INDENT}event     {_compact(difference.event)}")
    if difference.where is None:
        yield Text(f"{_INDENT}the journal holds digests alone, so what was given then is not known")
    else:
        yield Text(f"{_INDENT}at        {say.clean(difference.where)}")
        yield Text(f"{_INDENT}recorded  {_compact(difference.recorded)}")
    yield Text(f"{_INDENT}now       {_compact(difference.replayed)}")
    if acd != __version__:
        yield Text(f"{_INDENT}acd {say.clean(acd)} and acd {__version__} may differ on purpose: see the changelog")


def _story(story: Story) -> Iterator[Text]:
    for step in story.steps:
        yield Text("")
        yield Text(f"{say.clock(step['at'], 3)}  event {step['n']}: {_compact(step['event'])}", style="bold")
        for record in step["records"]:
            if record["_"] == "DecisionMade":
                yield from (Text(_INDENT) + line for line in explained([record]) if line.plain)
                yield from _candidates(step["candidates"].get(record["serial"], []))
            else:
                yield Text(f"{_INDENT}{_compact(record)}", style="dim")
        for command in step["commands"]:
            yield Text(f"{_INDENT}-> {_compact(command)}", style="cyan")


def _candidates(rows: list[dict[str, Any]]) -> Iterator[Text]:
    for row in rows:
        word, style = _FITS[row["fit"]]
        why = f": {say.clean(row['why'])}" if row["why"] else ""
        idle = "" if row["idle_s"] is None else f", idle {say.exact(row['idle_s'])}"
        yield Text(f"{_INDENT * 2}{say.clean(row['agent'])}  {word}{why}{idle}", style=style)


def _compact(value: Any) -> str:
    """A recorded thing on one harmless line: its class, then what is not empty."""
    if isinstance(value, Mapping):
        inner = [
            f"{name}={_compact(one)}" for name, one in value.items() if name != "_" and one not in (None, "", [], {})
        ]
        return say.clean(f"{value.get('_', '')}({', '.join(inner)})", _LONG)
    if isinstance(value, list):
        return say.clean(f"[{', '.join(map(_compact, value))}]", _LONG)
    return "nothing" if value is None else say.clean(value, _LONG)
