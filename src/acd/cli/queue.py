"""``acd queue``: the queues, and one of them with who waits in it and who serves it."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.client import connect, segment
from acd.cli.console import cell, emit, emit_table, make_console, make_table, wait_style
from acd.cli.context import common_options, options, print_json
from acd.cli.explain import said, words
from acd.cli.floorview import AGENT_COLUMNS, QUEUE_COLUMNS, fitted
from acd.domain.states import CallState


@click.group()
@common_options
def queue() -> None:
    """List queues, show one."""


@queue.command("list")
@common_options
def list_queues() -> None:
    """All queues with their figures."""
    given = options()
    with connect(given) as client:
        body = client.get("/v1/queues")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    width = console.width if console.is_terminal else None
    emit_table(console, fitted(QUEUE_COLUMNS, body["queues"], width), "no queues")


@queue.command()
@common_options
@click.argument("name")
def show(name: str) -> None:
    """One queue: its rules, its callers in the order they will be served, its agents."""
    given = options()
    with connect(given) as client:
        body = client.get(f"/v1/queues/{segment(name)}")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    width = console.width if console.is_terminal else None
    emit(console, Text(say.clean(body["name"]), style="bold"))
    for label, value in rules(body):
        emit(console, Text(f"  {label:<16}", style="dim").append(say.clean(value), style="default"))
    emit(console, "")
    emit_table(console, fitted(QUEUE_COLUMNS[1:], [body], width), "")
    emit(console, "")
    table = make_table(
        [("#", "right"), ("CALL", "left"), ("STATE", "left"), ("WAIT", "right"), ("NUMBER", "left"), ("NAME", "left"),
         ("PRIO", "right"), ("AGENT", "left")]
    )  # fmt: skip
    for call in body["calls"]:
        waits = call["state"] in (CallState.WAITING, CallState.OFFERED)
        table.add_row(
            "" if call["position"] is None else str(call["position"]),
            cell(call["call"]),
            cell(call["state"].lower()),
            Text(
                say.duration(call["wait_s"]), style=wait_style(call["wait_s"], body["service_level_s"]) if waits else ""
            ),
            cell(call["caller_number"]),
            cell(call["caller_name"]),
            str(call["priority"]),
            cell(call["agent"]),
        )
    emit_table(console, table, "nobody waits")
    emit(console, "")
    emit_table(console, fitted(AGENT_COLUMNS, body["members"], width), "no agent serves this queue")


_SHOWN = frozenset(
    {
        *(
            "name",
            "agent_selection",
            "stages",
            "ring_timeout_s",
            "wrap_up_s",
            "max_wait_s",
            "expected_wait",
            "estimates",
        ),
        *(
            "overflow",
            "service_level_s",
            "priority",
            "waiting",
            "longest_wait_s",
            "talking",
            "agents",
            "cut_off",
            "calls",
            "members",
        ),
        *(
            "offered",
            "answered",
            "abandoned",
            "overflowed",
            "transferred",
            "lost_track",
            "service_level",
            "asa_s",
            "aht_s",
        ),
    }
)
"""What has a place of its own on the screen."""


def rules(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The queue's rules in words, and whatever else the service says of it."""
    longest, stages = body["max_wait_s"], body.get("stages")
    if stages:
        needs = [(f"needs{_from(stage)}", said(stage["needs"])) for stage in stages]
    else:
        needs = [("needs", "no skill")]
    return [
        ("strategy", words(body["agent_selection"])),
        *needs,
        ("rings for", f"{body['ring_timeout_s']:g} s"),
        ("wrap-up", f"{body['wrap_up_s']:g} s"),
        ("waits at most", f"{longest:g} s, then {body['overflow']}" if longest is not None else "for ever"),
        ("service level", f"answered within {body['service_level_s']:g} s"),
        ("priority", str(body["priority"])),
        *_forecast(body),
        *((words(key), said(value)) for key, value in body.items() if key not in _SHOWN and value is not None),
    ]


def _forecast(body: dict[str, Any]) -> list[tuple[str, str]]:
    """What a caller who found nobody free now would wait, and how right such estimates were of late."""
    expected, accuracy = body.get("expected_wait"), body.get("estimates") or {}
    if expected is None:
        rows = [("expected wait", "unknown: nobody is there, or nothing was measured yet")]
    else:
        low, high = say.average(expected["low_s"]), say.average(expected["high_s"])
        rows = [("expected wait", f"{say.average(expected['wait_s'])}, likely {low} to {high}, if nobody is free")]
    error, held = accuracy.get("relative_error"), accuracy.get("held")
    if error is not None and held is not None:
        measured = say.counted(accuracy["measured"], "wait")
        said_of = (
            f"off by {say.percent(error)}, {say.percent(held)} within the range, of {measured} by {accuracy['method']}"
        )
        rows.append(("estimates were", said_of.replace("_", " ")))
    return rows


def _from(stage: dict[str, Any]) -> str:
    return f" from {stage['after_s']:g} s" if stage.get("after_s") else ""
