"""``acd db``: the database's schema. What the versions are and how they are reached is the store's matter."""

from __future__ import annotations

import click

from acd.cli import text as say
from acd.cli.context import EXIT_FAILED, EXIT_USAGE, Failure, common_options, options, print_json


@click.group()
@common_options
def db() -> None:
    """Bring the database's schema up to date.

    The database is the one that acd.toml names.
    """


def _url() -> str:
    """The configured database. Raises ConfigurationError."""
    from acd.cli.databaseurl import database_url

    return database_url()


class _Steps:
    """Tells each step as it is done, and keeps them for --json."""

    def __init__(self, *, aloud: bool) -> None:
        self._aloud, self.done = aloud, list[dict[str, str]]()

    def __call__(self, revision: str, what: str) -> None:
        self.done.append({"revision": revision, "what": what})
        if self._aloud:
            click.echo(f"{say.clean(revision)}: {say.clean(what)}")


def _audit(url: str, action: str, steps: _Steps) -> None:
    """Make an entry of the steps done, where there is an audit log of the kind this acd knows."""
    from acd.records.trail import entry, me, write_now
    from acd.store import current, head

    if steps.done and current(url) == head():
        write_now(url, entry(me(), action, "database", {"steps": [step["revision"] for step in steps.done]}))


def _report(url: str, steps: _Steps, *, nothing: str) -> None:
    from acd.store import current, head

    now = current(url)
    if options().json:
        print_json({"revision": now, "head": head(), "steps": steps.done})
    elif steps.done:
        click.echo(f"the schema is at {now or 'nothing: the database is empty'}")
    else:
        click.echo(nothing.format(now))


@db.command()
@common_options
@click.option("--revision", default="head", show_default=True, help="Up to this one.")
def upgrade(revision: str) -> None:
    """Bring the schema up to date; an empty or missing database is made."""
    from acd.cli.progress import progress
    from acd.store import upgrade

    if not revision.strip():
        raise click.UsageError('--revision is empty: name one, or "head"')
    url, steps = _url(), _Steps(aloud=not options().json)
    with progress("sums of calls") as tell:
        upgrade(url, revision, steps, tell)
    _audit(url, "db_upgrade", steps)
    _report(url, steps, nothing="nothing to do: the schema is at {}")


@db.command()
@common_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("revision")
def downgrade(revision: str, yes: bool) -> None:
    """Take the schema back to REVISION ("base" drops every table). Records go with what is dropped.

    Refused while a service has the database open.
    """
    from acd.store import downgrade
    from acd.store.schema import check_downgrade

    if not revision.strip():
        raise click.UsageError('REVISION is empty: name one, or "base"')
    url, steps = _url(), _Steps(aloud=not options().json)
    check_downgrade(url, revision)
    if not yes and options().json:
        message = f"records may be lost for good: with --json nobody is asked, say --yes to go back to {revision}"
        raise Failure(message, EXIT_USAGE, kind="usage", as_json=True)
    if not yes:
        click.confirm(f"Take the schema back to {revision}? Records may be lost for good", abort=True, err=True)
    downgrade(url, revision, steps)
    _audit(url, "db_downgrade", steps)
    _report(url, steps, nothing="nothing to do: the schema is at {}")


@db.command()
@common_options
def current() -> None:
    """The schema's revision, and the one this acd needs. Exit code 1 if they differ."""
    from acd.store import current, head
    from acd.store.schema import advice

    found, needed = current(_url()), head()
    if options().json:
        print_json({"revision": found, "head": needed})
    else:
        told = advice(found)
        click.echo(say.clean(found or "empty") + (f" ({told})" if told else ""))
    if found != needed:
        raise click.exceptions.Exit(EXIT_FAILED)
