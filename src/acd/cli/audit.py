"""``acd audit``: who changed what."""

from __future__ import annotations

from typing import Any

import click

from acd.cli import text as say
from acd.cli.call import Moment
from acd.cli.client import connect
from acd.cli.console import cell, emit_table, make_console, make_table
from acd.cli.context import common_options, options, print_json
from acd.cli.explain import said, words


@click.command()
@common_options
@click.option("--since", type=Moment(), help="From this time on: 1h (ago), 14:05, 2026-11-21.")
@click.option("--until", type=Moment(), help="Up to this time.")
@click.option("--who", help="By this one: user:anna, phone:PJSIP/1001, or a kind: user, phone, signal.")
@click.option("--action", help="This action: agent_login, or all of a kind: agent, call, floor, person.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
def audit(since: float | None, until: float | None, who: str | None, action: str | None, limit: int) -> None:
    """Who changed what, the latest first.

    Agents logged in, out and paused, calls escalated, transferred and told more about, floors reloaded, records kept no
    longer, persons told what is known of them or forgotten, schemas upgraded.
    """
    given = options()
    with connect(given) as client:
        body = client.get("/v1/audit", since=since, until=until, who=who, action=action, limit=limit)
    if given.json:
        print_json(body)
        return
    table = make_table([("AT", "left"), ("WHO", "left"), ("ACTION", "left"), ("SUBJECT", "left"), ("DETAIL", "left")])
    for row in body["audit"]:
        table.add_row(
            cell(say.moment(row["at"])), cell(row["who"]), cell(words(row["action"])), cell(row["subject"]),
            cell(_told(row["detail"])),
        )  # fmt: skip
    emit_table(make_console(given), table, "nothing")
    if len(body["audit"]) == limit:
        click.echo(f"acd: there may be more than these {limit}: raise --limit or narrow it down", err=True)


def _told(detail: Any) -> str:
    if not isinstance(detail, dict):
        return said(detail)
    return ", ".join(f"{words(str(key))} {said(value)}" for key, value in detail.items())
