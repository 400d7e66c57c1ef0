"""``acd dnc``: who is not to be called, beside a running service: every attempt asks for it once more."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import cell, emit, emit_table, make_console, make_table
from acd.cli.context import EXIT_FAILED, common_options, options, print_json
from acd.cli.dialled import Ahead, Place, Region, audited, made, read_number, read_numbers
from acd.cli.lazy import LazyGroup
from acd.cli.progress import progress
from acd.domain.errors import ConfigurationError
from acd.lists.donotcall import Bad, How, Report, open_file, read_entries, run
from acd.records.trail import me, write_now
from acd.store.outbound import donotcall
from acd.store.outbound.donotcall import ALL, ERASED, Entry

SHOWN = 20
NOTE_MAX = 200


class Scope(click.ParamType[str]):
    """For whom an entry holds."""

    name = "scope"

    def __init__(self, *, erased: bool = False) -> None:
        self._erased = erased

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        kind, colon, name = text.partition(":")
        good = colon and kind in ("client", "campaign") and 0 < len(name) <= 100 and name.isprintable()
        if text == ERASED and not self._erased:
            self.fail("only acd person erase makes entries of the scope erased", param, ctx)
        if text not in (ALL, ERASED) and not good:
            near = get_close_matches(kind, (ALL, "client", "campaign"), 1)
            hint = f" (nearest: {near[0]})" if near else ""
            self.fail(f"{value!r} is no scope{hint}: write all, client:NAME or campaign:NAME", param, ctx)
        return text


_region = click.option("--region", type=Region(), metavar="DE", help="Of numbers without +.  [default: country_code's]")
_scope = click.option(
    "--scope", type=Scope(), default=ALL, show_default=True, help="For whom it holds: all, client:NAME, campaign:NAME."
)
_reason = click.option("--reason", default="", metavar="TEXT", help="Why; kept with the entry.")
_until = click.option("--until", type=Ahead(), help="Not for ever: 90d, 2027-11-21.")


@click.group(cls=LazyGroup, table={name: ("acd.cli.dnc", attribute, text) for name, attribute, text in (
    ("import", "import_file", "Take all numbers of a file."),
    ("add", "add", "One number more."),
    ("remove", "remove", "Take a number's entries away."),
    ("check", "check", "Whether a number may be called."),
    ("list", "list_entries", "How many there are, or which."),
)})  # fmt: skip
@common_options
def dnc() -> None:
    """Numbers that are not to be called.

    An entry holds from the moment it is stored, for campaigns that run as well. With numbers = "hashed" in [records],
    numbers are kept as hashes. `check` ends with exit code 1 for a number that is not to be called.
    """


@click.command("import")
@common_options
@click.argument("file", type=click.Path(path_type=Path))
@_region
@click.option("--column", metavar="NAME", help="The column with numbers, or its place from 1.  [default: by its name]")
@click.option("--delimiter", metavar="CHAR", help="Between cells; tab is a word for it.  [default: found out]")
@click.option("--encoding", help="utf-8, cp1252...  [default: found out]")
@_scope
@click.option("--source", metavar="TEXT", help="Where they are from.  [default: the file's name]")
@_reason
@_until
@click.option("--own-hashes", is_flag=True, help="hmac:... in the file is of this installation's own key.")
@click.option("--bad", "bad_file", type=click.Path(path_type=Path, dir_okay=False), help="All bad lines into this CSV.")
def import_file(
    file: Path, region: str | None, column: str | None, delimiter: str | None, encoding: str | None, scope: str,
    source: str | None, reason: str, until: float | None, own_hashes: bool, bad_file: Path | None,
) -> None:  # fmt: skip
    """Take the numbers of FILE: a number a line, or CSV with a column of them.

    A number is plain, or 64 hex digits: the SHA-256 of its E.164 text with the +. One that begins with its country's code
    without + or 00, and is a number with it and without, is taken as both. Lines that are neither are told by number, and
    all others are taken. The same file once more changes nothing. Exit code 1 if lines were bad.
    """
    given = options()
    place = Place()
    place.check_scope(scope)
    tab = delimiter is not None and delimiter.casefold() in ("tab", "\\t")
    how = How(region or place.country, column, encoding, "\t" if tab else delimiter, own_hashes)
    with progress("looking") as tell:
        opened = open_file(file, how, tell)
    whence, now, by = say.clean(source or file.name, NOTE_MAX), time.time(), me()

    def entry(found: str) -> Entry:
        text = place.kept(found) if found.startswith("+") else found
        return Entry(text, scope, whence, say.clean(reason, NOTE_MAX), now, by, until)

    report, shown, complete = Report(), list[Bad](), False
    try:
        with _bad_lines(bad_file) as write, progress("bytes read") as tell:

            def bad(one: Bad) -> None:
                shown.extend([one] if len(shown) < SHOWN else [])
                write(one)

            run(place.url, opened, entry, place.seal.of, bad=bad, tell=tell, report=report)
            complete = True
    finally:
        # Also of one that was cut off: what it has done stays
        detail = {"file": say.clean(file.name), "digest": opened.source.digest[:16], "complete": complete}
        figures = {key: value for key, value in asdict(report).items() if key != "reasons"}
        write_now(place.url, made("dnc_imported", scope, detail | figures))
    if given.json:
        read = {"encoding": opened.source.encoding, "encoding_strays": opened.source.stray}
        body = {"scope": scope, "source": whence, **asdict(report), "read": read}
        print_json({**body, "bad_lines": [one._asdict() for one in shown]})
    else:
        console = make_console(given)
        figures_told = (report.rows, report.numbers, report.hashed, report.added, report.bad)
        table = make_table(
            [("ROWS", "right"), ("NUMBERS", "right"), ("HASHED", "right"), ("NEW", "right"), ("BAD LINES", "right")]
        )
        table.add_row(*map(str, figures_told))
        emit_table(console, table, "")
        if report.both:
            told = f"{say.counted(report.both, 'number')} without + may begin with the country's code or not"
            emit(console, Text(f"{told}: both readings are listed", style="yellow"))
        if opened.source.strays:
            emit(console, Text(opened.source.strays, style="yellow"))
        if shown:
            table = make_table([("LINE", "right"), ("REASON", "left"), ("DETAIL", "left"), ("TEXT", "left")])
            for one in shown:
                table.add_row(str(one.line), cell(one.reason.replace("_", " ")), cell(one.detail), cell(one.text))
            emit_table(console, table, "")
        if report.bad > len(shown):
            emit(console, Text(f"and {report.bad - len(shown)} more: --bad FILE.csv writes them all", style="yellow"))
    if report.bad:
        raise click.exceptions.Exit(EXIT_FAILED)


@contextmanager
def _bad_lines(path: Path | None) -> Iterator[Callable[[Bad], None]]:
    """Where bad lines are written; cells that a spreadsheet would take for formulas have an apostrophe before them."""
    if path is None:
        yield lambda one: None
        return
    from acd.domain.cells import harmless

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    with open(handle, "w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "reason", "detail", "text"))
        yield lambda one: writer.writerow((one.line, *map(harmless, one[1:])))


@click.command()
@common_options
@click.argument("number")
@_region
@_scope
@_reason
@_until
def add(number: str, region: str | None, scope: str, reason: str, until: float | None) -> None:
    """NUMBER (or the SHA-256 of one) is not to be called from now on.

    One that begins with its country's code without + or 00, and is a number with it and without, is listed as both.
    """
    given = options()
    place = Place()
    place.check_scope(scope)
    texts = read_entries(number, region or place.country)
    if isinstance(texts, tuple):
        raise ConfigurationError(f"{number[:60]!r} cannot be used: {texts[1]}")
    kept = [place.kept(text) if text.startswith("+") else text for text in texts]
    what = (scope, "command", say.clean(reason, NOTE_MAX), time.time(), me(), until)
    entries = [Entry(one, *what) for one in kept]
    changed = []
    with place.change() as connection:
        donotcall.check_seal(connection, place.seal.of)
        for text, one in zip(texts, entries, strict=True):
            changed.append(donotcall.add(connection, [one], place.seal.of))
            audited(connection, "dnc_added", place.seal.of(text) if text.startswith("+") else text, {"scope": scope})
    if given.json:
        print_json({**asdict(entries[0]), "new": any(changed), "numbers": kept})
        return
    for text, new in zip(texts, changed, strict=True):
        click.echo(f"{say.clean(text)} is not to be called ({scope}){'' if new else ': it was there'}")


@click.command()
@common_options
@click.argument("number")
@_region
@click.option("--scope", type=Scope(erased=True), help="Only there.  [default: every scope]")
@_reason
def remove(number: str, region: str | None, scope: str | None, reason: str) -> None:
    """Take the entries of NUMBER away, those of its hashes too: it may be called again."""
    given = options()
    place = Place()
    found = read_number(number, region or place.country).number
    with place.change() as connection:
        donotcall.check_seal(connection, place.seal.of)
        count = donotcall.remove(connection, found, None if scope is None else [scope], place.seal.of)
        if count:
            detail = {"scope": scope or "every", "entries": count, "reason": say.clean(reason, NOTE_MAX)}
            audited(connection, "dnc_removed", place.seal.of(found), detail)
    if given.json:
        print_json({"number": found, "entries": count})
    else:
        click.echo(f"{say.counted(count, 'entry', 'entries')} of {found} taken away")
    if not count:
        raise click.exceptions.Exit(EXIT_FAILED)


@click.command()
@common_options
@click.argument("number")
@_region
@click.option("--client", help="As a campaign of this client would be told.")
@click.option("--campaign", help="As this campaign would be told.")
def check(number: str, region: str | None, client: str | None, campaign: str | None) -> None:
    """Whether NUMBER may be called, as far as this list goes: exit code 0 if it may, 1 if not.

    Without --client and --campaign every entry counts, of whatever scope. Of a NUMBER that can be read as two, both count.
    """
    given = options()
    place = Place()
    numbers, now = read_numbers(number, region or place.country), time.time()
    with place.look() as connection:
        donotcall.check_seal(connection, place.seal.of)
        entries = [entry for one in numbers for entry in donotcall.held(connection, one, place.seal.of)]
    if client or campaign:
        scopes = donotcall.scopes_of(campaign, client)
        entries = [one for one in entries if one.scope in scopes]
    holding = [one for one in entries if one.until is None or one.until > now]
    if given.json:
        told = {"number": numbers[0], "numbers": numbers, "listed": bool(holding)}
        print_json({**told, "entries": [asdict(one) for one in entries]})
    else:
        none = f"neither {' nor '.join(numbers)} is listed" if len(numbers) > 1 else f"{numbers[0]} is not listed"
        emit_table(make_console(given), _table(entries, now), none)
    if holding:
        raise click.exceptions.Exit(EXIT_FAILED)


@click.command("list")
@common_options
@click.option("--scope", type=Scope(erased=True), help="The entries of this scope instead of the figures.")
@click.option("--all", "every", is_flag=True, help="The entries of all scopes.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many entries."
)
def list_entries(scope: str | None, every: bool, limit: int) -> None:
    """How many entries there are, by scope; or which, with --scope or --all."""
    given = options()
    place, now = Place(), time.time()
    with place.look() as connection:
        if scope is None and not every:
            counts = donotcall.counts(connection, now)
            entries = None
        else:
            entries = donotcall.listed(connection, scope=scope, limit=limit + 1)
    if entries is None:
        if given.json:
            print_json({"scopes": counts})
            return
        table = make_table([("SCOPE", "left"), ("ENTRIES", "right"), ("HASHED", "right"), ("OVER", "right")])
        for name, row in counts.items():
            table.add_row(cell(name), str(row["entries"]), str(row["hashed"]), str(row["over"]))
        emit_table(make_console(given), table, "nobody is listed")
        return
    more = len(entries) > limit
    if given.json:
        print_json({"entries": [asdict(one) for one in entries[:limit]], "more": more})
        return
    emit_table(make_console(given), _table(entries[:limit], now), "nobody is listed")
    if more:
        click.echo(f"acd: there are more than these {limit}", err=True)


def _table(entries: list[Entry], now: float) -> Any:
    table = make_table(
        [("NUMBER", "left"), ("SCOPE", "left"), ("FROM", "left"), ("REASON", "left"), ("ADDED", "left"), ("BY", "left"),
         ("UNTIL", "left")]
    )  # fmt: skip
    for one in entries:
        over = " (over)" if one.until is not None and one.until <= now else ""
        table.add_row(
            cell(one.number), cell(one.scope), cell(one.source), cell(one.reason), cell(say.moment(one.added_at)),
            cell(one.added_by), cell(f"{say.moment(one.until)}{over}" or "for ever"),
        )  # fmt: skip
    return table
