"""``acd audit``: who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from acd.cli import text as say
from acd.cli.call import Moment
from acd.cli.client import connect
from acd.cli.console import cell, emit_table, make_console, make_table
from acd.cli.context import NotRunningError, common_options, options, print_json
from acd.cli.explain import said, words
from acd.domain.errors import ConfigurationError


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

    The running service is asked; where none answers, the database that acd.toml names is read, unless --socket says which
    service is meant.
    """
    given = options()
    asked = {"since": since, "until": until, "who": who, "action": action, "limit": limit}
    try:
        with connect(given) as client:
            body = client.get("/v1/audit", **asked)
    except NotRunningError as error:
        if given.socket is not None:
            raise
        body = _kept(asked, error)
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


def _kept(asked: Mapping[str, Any], no_service: NotRunningError) -> dict[str, Any]:
    """What the service would answer, from the database."""
    from acd.cli.databaseurl import database_url
    from acd.cli.masking import masks
    from acd.config import ProblemsError
    from acd.domain.numbers import masked
    from acd.store.beside import reading
    from acd.store.history import entries

    try:
        url, mask = database_url(), masks(None, without=False)
    except ProblemsError as error:
        raise NotRunningError(f"{no_service}\nnor can the database be read: {error}") from error
    except ConfigurationError:
        raise no_service from None
    with reading(url, lenient=True) as connection, connection.begin():
        body = {"audit": [dict(row._mapping) for row in connection.execute(entries(**asked))]}
    if not options().json:
        click.echo("acd: no service answers: this is what the database holds", err=True)
    return masked(body) if mask else body


def _told(detail: Any) -> str:
    if not isinstance(detail, dict):
        return said(detail)
    return ", ".join(f"{words(str(key))} {said(value)}" for key, value in detail.items())
