"""``acd floor revisions``: which configurations were in force, what each was, and what one has that another has not."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.client import Client, connect, segment
from acd.cli.console import cell, emit, emit_table, make_console, make_table
from acd.cli.context import common_options, options, print_json


@click.group(invoke_without_command=True)
@common_options
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.pass_context
def revisions(ctx: click.Context, limit: int) -> None:
    """Which configurations of the floor were in force, the latest first."""
    if ctx.invoked_subcommand is not None:
        return
    given = options()
    with connect(given) as client:
        body = client.get("/v1/floor/revisions", limit=limit)
    if given.json:
        print_json(body)
        return
    table = make_table([("REVISION", "left"), ("IN FORCE FROM", "left"), ("BECAUSE OF", "left")])
    for row in body["revisions"]:
        table.add_row(cell(row["revision"]), cell(say.moment(row["loaded_at"])), cell(row["who"]))
    emit_table(make_console(given), table, "none")


def _fetch(client: Client, revision: str) -> dict[str, Any]:
    return client.get(f"/v1/floor/revisions/{segment(revision)}")


@revisions.command("show")
@common_options
@click.argument("revision")
def show_revision(revision: str) -> None:
    """The whole definition of REVISION, as JSON: without PINs, known callers by hashed numbers."""
    from acd.cli.revisiondetail import plain

    with connect(options()) as client:
        body = _fetch(client, revision)
    detail = body.pop("detail")
    print_json({**body, "definition": plain(detail)})


@revisions.command("diff")
@common_options
@click.argument("old")
@click.argument("new")
def diff_revisions(old: str, new: str) -> None:
    """What NEW has that OLD has not, and the other way round."""
    from acd.cli.floor import changed
    from acd.cli.floordiff import differences, summary
    from acd.cli.revisiondetail import definition_of

    given = options()
    with connect(given) as client:
        before, after = (definition_of(_fetch(client, name)["detail"]) for name in (old, new))
    changes = differences(before, after)
    told = summary(changes) or ("nothing" if old == new else "nothing but the order of things, or PINs")
    if given.json:
        print_json({"revision": old, "new_revision": new, "changes": changes, "summary": told})
        return
    text = f"from {say.clean(old)} to {say.clean(new)}: {told}"
    emit(make_console(given), Text(text, style="bold"), *changed(changes))
