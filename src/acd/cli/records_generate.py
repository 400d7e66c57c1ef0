"""``acd records generate``: a database full of calls that never were, to try reports and volumes on."""

from __future__ import annotations

import sys
import time
from datetime import date, datetime, timedelta

import click

from acd.cli.context import common_options, options, print_json

YEARS_MAX = 10


@click.command()
@common_options
@click.option("--calls", type=click.IntRange(1, 100_000_000), required=True, help="How many.")
@click.option(
    "--days", type=click.IntRange(1, 366 * YEARS_MAX), default=30, show_default=True, help="On so many days in a row."
)
@click.option("--seed", type=click.IntRange(0, 999_999), default=1, show_default=True, help="Another, and other calls.")
@click.option(
    "--from",
    "first",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The first day (UTC). [default: so that yesterday is the last]",
)
@click.option("--url", help="Into this database instead of the configured one.")
@click.option("--yes", is_flag=True, help="Do not ask before adding to records that are there.")
def generate(calls: int, days: int, seed: int, first: datetime | None, url: str | None, yes: bool) -> None:
    """Fill a database with calls that never were.

    Six queues that ask for skills and a campaign, a floor of agents as large as the calls need, callers who call again,
    give up, overflow, are missed, held, escalated and passed on; more of them on Mondays and before noon. The campaign's
    lists, contacts, attempts and ledger are made as well. All rules of the records hold for them (`acd records verify`),
    and the same --calls, --days, --seed and --from make the same records. Their ids begin with gSEED-.

    For a database of its own: one that a service has open is refused.
    """
    from acd.cli.databaseurl import database_url
    from acd.cli.progress import progress
    from acd.store.made.bulk import generate

    given = options()
    begin = first.date() if first is not None else datetime.now().astimezone().date() - timedelta(days=days)
    if begin < date(1971, 1, 1):
        raise click.BadParameter("not before 1971", param_hint="--from")

    def add() -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            return False
        return click.confirm("The database has records. Add made-up ones to them", err=True)

    since = time.monotonic()
    with progress("calls") as tell:
        counts = generate(url or database_url(), calls, days, seed, begin, add=add, on_progress=tell)
    took_s = time.monotonic() - since
    if given.json:
        print_json({"rows": counts, "first_day": begin.isoformat(), "days": days, "seconds": round(took_s, 3)})
        return
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
    click.echo(f"{rows}, from {begin} on, in {took_s:,.1f} s")
