"""``acd call``: finished and running calls, one of them as a timeline, why it went where it went, and what may be asked
about one that is running."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.annotate import COMMANDS, said_of
from acd.cli.client import connect, segment
from acd.cli.console import OUTCOME_STYLES, cell, emit, emit_table, make_console, make_table
from acd.cli.context import common_options, mask_option, options, print_json
from acd.cli.explain import explained
from acd.cli.timeline import still_waits, timeline
from acd.domain.direction import Direction
from acd.domain.states import CallOutcome

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Moment(click.ParamType[float]):
    """A point in time: ``90s``, ``1h``, ``1h30m``, ``2d`` ago; ``14:05`` today; ``2026-11-21[ 14:05[:30]]`` local."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        parts = _AGO.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            ago_s = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
            return max(time.time() - ago_s, 0.0)
        try:
            if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text, re.ASCII):
                text = f"{datetime.now().astimezone():%Y-%m-%d} {text.zfill(len(text) + (text[1] == ':'))}"
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: write 90s, 1h30m, 2d (ago), 14:05 or 2026-11-21 14:05", param, ctx)


@click.group()
@common_options
def call() -> None:
    """List and show calls, explain why one went where it went; pass a running one on, or tell more about it."""


@call.command("list")
@common_options
@mask_option
@click.option("--live", is_flag=True, help="The calls on the floor now.")
@click.option("--since", type=Moment(), help="From this time on: 1h (ago), 14:05, 2026-11-21.")
@click.option("--until", type=Moment(), help="Up to this time.")
@click.option("--queue", help="Of this queue.")
@click.option("--agent", help="Of this agent (name or number).")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in CallOutcome]), help="That ended so.")
@click.option("--number", help="From this caller's number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
def list_calls(
    live: bool,
    since: float | None,
    until: float | None,
    queue: str | None,
    agent: str | None,
    outcome: str | None,
    number: str | None,
    limit: int,
) -> None:
    """Calls, the latest first; with --live, those on the floor now."""
    given = options()
    if live and (since is not None or until is not None or outcome is not None):
        raise click.UsageError("--live goes with --queue, --agent, --number and --limit only")
    with connect(given) as client:
        body = client.get(
            "/v1/calls", live=1 if live else None, since=since, until=until, queue=queue, agent=agent,
            outcome=outcome, number=number, limit=limit,
        )  # fmt: skip
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    table = _live_table(body["calls"]) if live else _table(body["calls"])
    emit_table(console, table, "no calls")
    if len(body["calls"]) == limit:
        click.echo(f"acd: there may be more than these {limit}: raise --limit or narrow it down", err=True)


def _table(calls: list[dict[str, Any]]) -> Any:
    table = make_table(
        [("CALL", "left"), ("ENTERED", "left"), ("NUMBER", "left"), ("NAME", "left"), ("DID", "left"), ("QUEUE", "left"),
         ("OUTCOME", "left"), ("AGENT", "left"), ("WAIT", "right"), ("TALK", "right"), ("LENGTH", "right")]
    )  # fmt: skip
    for row in calls:
        table.add_row(
            cell(row["call"]), cell(say.moment(row["entered_at"])), cell(_number(row)),
            cell(row["caller_name"]), cell(row["did"]), cell(row["queue"]),
            cell(row["outcome"] or "running", OUTCOME_STYLES.get(row["outcome"] or "", "cyan")), cell(row["agent"]),
            say.duration(row["wait_s"]), say.duration(row["talk_s"]), say.duration(row["length_s"]),
        )  # fmt: skip
    return table


def _live_table(calls: list[dict[str, Any]]) -> Any:
    table = make_table(
        [("CALL", "left"), ("STATE", "left"), ("QUEUE", "left"), ("#", "right"), ("WAIT", "right"), ("TALK", "right"),
         ("NUMBER", "left"), ("NAME", "left"), ("AGENT", "left"), ("NODE", "left")]
    )  # fmt: skip
    for live in calls:
        table.add_row(
            cell(live["call"]), cell(live["state"].lower()), cell(live["queue"]),
            "" if live["position"] is None else str(live["position"]), say.duration(live["wait_s"]),
            say.duration(live["talk_s"] or None), cell(_number(live)), cell(live["caller_name"]),
            cell(live["agent"]), cell(live["node"]),
        )  # fmt: skip
    return table


def _number(row: dict[str, Any]) -> str:
    """The other party's: ``to +4930...`` if that was dialled."""
    number = str(row["caller_number"])
    return f"to {number}" if row.get("direction") == Direction.OUTBOUND else number


def heading(body: dict[str, Any]) -> Text:
    """``Call ID  from NUMBER "NAME" to DID, queue QUEUE, entered WHEN``; of one that was dialled ``to NUMBER "NAME"
    (campaign NAME, showing DID)``."""
    about = body["call"] or body["live"] or {}
    text = Text("Call ", style="bold")
    text.append(say.clean(about.get("call")), style="bold")
    dialled = about.get("direction") == Direction.OUTBOUND
    number = say.clean(about.get("caller_number")) or "a number unknown"
    text.append(f"  {'to' if dialled else 'from'} {number}", style="default")
    if about.get("caller_name"):
        text.append(f' "{say.clean(about["caller_name"])}"', style="default")
    did, queue = say.clean(about.get("did")), say.clean(about.get("queue"))
    if dialled:
        campaign = say.clean(about.get("campaign"))
        text.append(f" ({f'campaign {campaign}, ' if campaign else ''}showing {did})", style="default")
        text.append("" if campaign == queue else f", queue {queue}", style="default")
    else:
        text.append(f" to {did}, queue {queue}", style="default")
    text.append(f", entered {say.moment(about.get('entered_at'))}", style="default")
    return text


@call.command()
@common_options
@mask_option
@click.argument("ident", metavar="ID")
def show(ident: str) -> None:
    """One call: how it went, stretch by stretch."""
    given = options()
    with connect(given) as client:
        body = client.get(f"/v1/calls/{segment(ident)}")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    emit(console, heading(body), *said_of(body["call"]))
    emit(console, *timeline(body, console))


@call.command()
@common_options
@mask_option
@click.argument("ident", metavar="ID")
def explain(ident: str) -> None:
    """Why a call went where it went: every decision, who was considered, and why not the others."""
    given = options()
    with connect(given) as client:
        body = client.get(f"/v1/calls/{segment(ident)}/explain")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    if body["call"] or body["live"]:
        emit(console, heading(body), *still_waits(body["live"]))
    emit(console, *explained(body["decisions"]))


def _ask(ident: str, what: str, wish: dict[str, Any]) -> None:
    """Send the request and print what came of it."""
    given = options()
    with connect(given) as client:
        answer = client.post(f"/v1/calls/{segment(ident)}/{what}", wish)
    if given.json:
        print_json(answer)
    else:
        click.echo(f"{say.clean(ident)}: {say.clean(answer['message'])}")


@call.command()
@common_options
@click.option("--queue", "--to", "queue", metavar="QUEUE", help="To this queue, if not the one its queue escalates to.")
@click.argument("ident", metavar="ID")
def escalate(ident: str, queue: str | None) -> None:
    """Pass a call that waits or talks on to a queue of supervisors, with its history and its place.

    Who talks hears music and waits again; the agent wraps up and is not offered the call again.
    """
    _ask(ident, "escalate", {} if queue is None else {"queue": queue})


@call.command()
@common_options
@click.option("--queue", metavar="QUEUE", help="To this queue, with its history and its place.")
@click.option("--to", "place", metavar="PLACE", help="To a number, or to CONTEXT,EXTEN[,PRIORITY] in the dialplan.")
@click.argument("ident", metavar="ID")
def transfer(ident: str, queue: str | None, place: str | None) -> None:
    """Send a call that waits or talks to another queue, or out of our hands.

    A number alone is looked up in the context acd-transfer of your dialplan. If the dialplan has no such place, nothing
    happens.
    """
    if (queue is None) is (place is None):
        raise click.UsageError("say --queue QUEUE or --to PLACE, where the call is to go")
    _ask(ident, "transfer", {"queue": queue} if queue is not None else {"to": place})


@call.command("set")
@common_options
@click.argument("ident", metavar="ID")
@click.argument("attributes", metavar="NAME=VALUE...", nargs=-1, required=True)
def set_attributes(ident: str, attributes: tuple[str, ...]) -> None:
    """Give a running call attributes, which what its queue needs may depend on (call.NAME in floor.yaml).

    A value is a text; one that is written as a number also compares as one. What has another name stays.
    """
    wish: dict[str, str] = {}
    for text in attributes:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{text!r} is no attribute: write NAME=VALUE, such as tier=gold")
        if name in wish:
            raise click.UsageError(f"{name!r} is given more than once")
        wish[name] = value
    _ask(ident, "attributes", {"attributes": wish})


for _command in COMMANDS:
    call.add_command(_command)
