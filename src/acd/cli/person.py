"""``acd person``: what the records hold of somebody, told to him or taken away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.client import connect
from acd.cli.console import cell, emit, make_console, make_table
from acd.cli.context import EXIT_FAILED, NotRunningError, Options, common_options, options, print_json
from acd.cli.databaseurl import loaded_settings, numbering_of
from acd.cli.progress import progress
from acd.config.load import LoadedSettings
from acd.domain.errors import ConfigurationError, RefusedError

COVERED = (
    (
        "calls, segments, decisions, revisions, audit, and what dialling keeps: lists, contacts, attempts, do-not-call, "
        "callbacks, campaigns (every table that may hold a number)"
    ),
    "recordings in [records] recordings",
    "the spill, and what it set aside (*.damaged, *refused.jsonl)",
    "the journal of [journal]",
)
NOT_COVERED = (
    "floor.yaml, logs, backups, Asterisk's own records, and files that were exported before",
    "with PostgreSQL: its files and write-ahead log, until they are used again",
)


@click.group()
@common_options
def person() -> None:
    """What the records hold of a person, known by a telephone number.

    Any spelling of the number does; with country_code in [records], also the national one. On the service's machine, as
    the service's user.
    """


class _Work:
    """What both commands need: the person in the configured database."""

    def __init__(self, number: str, loaded: LoadedSettings, tell: Any) -> None:
        from acd.records.mentions import Mention
        from acd.records.person import Person
        from acd.records.seal import load_seal

        settings = loaded.settings
        assert settings.database.url is not None, "filled in by load_settings"
        assert settings.records.recordings is not None, "filled in by load_settings"
        assert settings.database.spill_dir is not None, "filled in by load_settings"
        self.url = settings.database.url.get_secret_value()
        self.spill = settings.database.spill_dir
        self.state_dir = settings.service.state_dir
        journal = settings.journal.directory
        self.journal = None if journal is None else loaded.path.parent / journal
        self.seal = load_seal(self.state_dir, numbering_of(settings.records))
        self.hashed = settings.records.numbers == "hashed"
        try:
            Mention(number, self.seal.numbering)
        except ConfigurationError as error:
            raise click.BadParameter(str(error), param_hint="NUMBER") from None
        self.person = Person(self.url, number, self.seal, settings.records.recordings, tell)


@contextmanager
def _work(number: str) -> Iterator[_Work]:
    loaded = loaded_settings()
    with progress("looking") as tell:
        yield _Work(number, loaded, lambda what, done, total: tell(done, total))


@person.command()
@common_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A folder to be made, or FILE.zip.  [default: person-TIME.zip]",
)
@click.argument("number")
def export(number: str, output: Path | None) -> None:
    """Everything that is known of NUMBER, as files that only this user may read.

    Calls with their notes, stretches and explanations, contacts with their callbacks and attempts, rows of lists,
    do-not-call, where else the number is mentioned, and the sound.
    """
    from acd.records.export import README, Target
    from acd.records.trail import entry, me, write_now

    given = options()
    path = output or Path(f"person-{time.strftime('%Y%m%d-%H%M%S')}.zip")
    with _work(number) as work, Target(path) as target:
        found = work.person.find()
        counts = found.counts()
        target.text("README.txt", README)
        target.lines("calls.jsonl", work.person.calls(found))
        target.lines("dialling.jsonl", work.person.dialled(found))
        target.lines("mentions.jsonl", work.person.others(found))
        sound = 0
        for call, source in work.person.sound(found):
            target.copy(call, source)
            sound += 1
        body = {"number": number, "at": time.time(), "looked_in": COVERED, "not_in": NOT_COVERED, "found": counts}
        target.lines("person.json", [body | {"recordings": sound}])
        target.finish()
    write_now(work.url, entry(me(), "person_exported", work.person.sealed, {"found": counts}))
    if given.json:
        print_json({"file": str(path), "found": counts, "recordings": sound})
        return
    emit(make_console(given), _table("FOUND", counts), Text(f"written to {say.clean(path)}", style="bold"))


@person.command()
@common_options
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--keep-away/--no-keep-away", default=None,
    help="Keep the number's hash, so that no list brings the person back.  [default: for who was to be called]",
)  # fmt: skip
@click.argument("number")
def erase(number: str, dry_run: bool, yes: bool, keep_away: bool | None) -> None:
    """Take away for good who called from NUMBER, or was to be called; calls, attempts and figures stay.

    Numbers, names, notes and sound of the person's calls go, contacts go whole with all their numbers and callbacks, and the
    number goes wherever else it is mentioned: in every table, in what the spill has set aside, and in journals, whose parts
    go whole. A running service forgets the person first. Do-not-call stays, as a hash.
    Exit code 1 if something is left, and it is said what; 5 while the person is on the phone or being dialled.

    Of who was to be called the number's keyed hash is kept: rows of later lists with it are turned away as erased, unless
    they bring a consent given since, or --allow-erased is said. With --no-keep-away nothing is kept, and the next list may
    bring the person back.
    """
    from acd.records.contacted import refuse
    from acd.records.traces import clean_database, clean_journal, clean_spill
    from acd.records.trail import me

    given = options()
    with _work(number) as work:
        found = work.person.find()
    mention = work.person.mention
    if dry_run:
        counts = work.person.would_go(found) | {
            "lines set aside": clean_spill(work.spill, mention, dry_run=True),
            "parts of the journal": clean_journal(work.journal, mention, keep=None, dry_run=True),
        }
        busy = (
            [f"being dialled: {', '.join(found.in_flight[:5])}; nothing goes until that is over"]
            if found.in_flight
            else []
        )
        _report(given, "WOULD GO", counts, busy, {"dry_run": True})
        return
    refuse(found.in_flight)
    if not yes:
        what = f"{say.counted(len(found.own), 'call')}, {say.counted(len(found.dialling['contacts']), 'contact')}"
        click.confirm(
            f"Take away for good who is behind {what}, and every mention of the number?", abort=True, err=True
        )
    served = _forget(given, f"+{mention.canonical}")
    if served is None:
        asyncio.run(_drain(work))
    elif served["live"]:
        names = ", ".join(map(str, served["live"][:5]))
        raise RefusedError(f"this person is on the phone (call {names}): try again when the call is over")
    with _work(number) as work:
        # Once more: what was on the way is in the database now
        found = work.person.find()
        called = bool(found.dialling["contacts"] or found.dialling["attempts"])
        kept_away = called if keep_away is None else keep_away
        done = work.person.erase(found, me(), keep_away=kept_away)
    done["lines set aside"] = clean_spill(work.spill, mention, dry_run=False)
    keep = Path(served["journal"]) if served is not None and served["journal"] else None
    done["parts of the journal"] = clean_journal(work.journal, mention, keep=keep, dry_run=False)
    compacted, residue = clean_database(work.url, found.numbers)
    left = []
    if done["undeleted"]:
        left.append(f"{say.counted(done['undeleted'], 'recording')} could not be deleted")
    if served is not None and served["configured"]:
        left.append("floor.yaml names the number under callers: take it out, reload, and erase again for the journal")
    if found.live:
        left.append(f"calls {', '.join(found.live[:5])} have not ended, as far as the records know")
    if residue:
        left.append("the number can still be read from the database's file, though no row holds it")
    _report(given, "GONE", done, left, {"dry_run": False, "compacted": compacted, "kept_away": kept_away})
    if left:
        raise click.exceptions.Exit(EXIT_FAILED)


def _forget(given: Options, number: str) -> dict[str, Any] | None:
    """Have the running service forget the person; None if none runs."""
    try:
        with connect(given) as client:
            return client.post("/v1/persons/forget", {"number": number})
    except NotRunningError:
        return None


async def _drain(work: _Work) -> None:
    """What a service that is gone left in its spill goes into the database first, and who opted out. Raises StoreError, also
    if a service that cannot be reached still writes there."""
    from acd.outbound.storing import drain
    from acd.store import Store
    from acd.store.outbound.outbound import Outbound

    store = Store(work.url, work.state_dir, spill_dir=work.spill)
    try:
        await store.drain()
    finally:
        await store.close()
    outbound = Outbound(work.url, work.seal.of, hashed=work.hashed)
    try:
        await drain(work.spill, outbound, time.time())
    finally:
        await outbound.close()


def _table(title: str, counts: dict[str, int]) -> Any:
    """What there is some of; JSON has the zeros, too."""
    table = make_table([("WHAT", "left"), (title, "right")])
    for what, count in counts.items():
        if count:
            table.add_row(cell(what), f"{count:,}")
    return table if any(counts.values()) else Text("There is nothing of this number.")


def _report(given: Options, title: str, counts: dict[str, int], left: list[str], more: dict[str, Any]) -> None:
    if given.json:
        print_json({**more, "rows": counts, "left": left, "covered": COVERED, "not_covered": NOT_COVERED})
        return
    emit(
        make_console(given),
        _table(title, counts),
        *(Text(say.clean(text, 1000), style="bold red") for text in left),
        Text(f"Not covered: {'; '.join(NOT_COVERED)}.", style="dim"),
    )
