"""``acd list``: lists of contacts, read from files, looked at and taken away, beside a running service."""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import cell, emit, emit_table, make_console, make_table
from acd.cli.context import Failure, Options, common_options, options, print_json
from acd.cli.dialled import Place, audited, made, plain, region_option
from acd.cli.lazy import LazyGroup
from acd.cli.progress import progress
from acd.domain.errors import ConfigurationError, RefusedError, UnknownNameError

if TYPE_CHECKING:
    from acd.lists.importing import Opened, Report

PIECE = 2000


@click.group("list", cls=LazyGroup, table={name: ("acd.cli.lists", attribute, text) for name, attribute, text in (
    ("import", "import_file", "Read a file into a list, which is made if there is none."),
    ("list", "list_lists", "All lists, and how far their contacts are."),
    ("show", "show", "One list: its contacts by state, its imports."),
    ("rejects", "rejects", "Rows of an import that became no contact, and why."),
    ("delete", "delete", "Take a list away with its contacts."),
)})  # fmt: skip
@common_options
def lists() -> None:
    """Lists of contacts for campaigns.

    They are kept in the database that acd.toml names; the service may run or not. Numbers that must not be called: acd dnc.
    """


@click.command("import")
@common_options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--list", "name", required=True, metavar="NAME", help="Into this list; a new one is made.")
@region_option
@click.option(
    "--map", "said", multiple=True, metavar="WHAT=COLUMN,...", help="What columns are: number=Phone,mobile=Handy,name=Name."
)  # fmt: skip
@click.option("--no-header", is_flag=True, help="The first row is a contact; columns are 1, 2...: --map number=2.")
@click.option("--delimiter", metavar="CHAR", help="Between cells; tab is a word for it.  [default: found out]")
@click.option("--encoding", help="utf-8, cp1252...  [default: found out]")
@click.option(
    "--duplicates", type=click.Choice(["skip", "keep", "update"]), default="skip", show_default=True,
    help="Rows whose first number or key the list has: leave out, take all the same, or renew that contact.",
)  # fmt: skip
@click.option(
    "--across", type=click.Choice(["keep", "skip", "move"]), default="keep", show_default=True,
    help="Rows whose number another list of the client has: take, leave out, or move that contact here.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Contacts that the file does not hold go; the others keep their work.")
@click.option("--premium", is_flag=True, help="Take premium-rate numbers, too.")
@click.option(
    "--allow-erased", is_flag=True, help="Take people who were erased since (acd person erase): they have come back."
)
@click.option("--client", help="Of a new list: for whom it is dialled.")
@click.option("--description", default="", help="Of a new list.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes for large files.")
@click.option("--dry-run", is_flag=True, help="Only say what the file is and how it would be read.")
@click.option("--yes", is_flag=True, help="Do not ask before --replace.")
def import_file(
    file: Path, name: str, region: str | None, said: tuple[str, ...], no_header: bool, delimiter: str | None,
    encoding: str | None, duplicates: Any, across: Any, replace: bool, premium: bool, allow_erased: bool, client: str | None,
    description: str, jobs: int, dry_run: bool, yes: bool,
) -> None:  # fmt: skip
    """Read FILE (CSV, in any usual encoding) into a list.

    Columns are known by their names in several languages, or by --map: number, mobile, work, landline, other, key, name,
    first_name, last_name, zone, country, region, language, consent_at, consent_until, customer_until, best, rank. All
    others stay with the contact as fields. Every row becomes a contact, is a duplicate, or is turned away and kept with
    the reason: acd list rejects NAME.

    An import that was cut off goes on where it stopped when it is begun again in the same way.
    """
    from acd.lists.columns import said_of
    from acd.lists.importing import How, check_name, open_file, run, shared_with
    from acd.records.trail import me, write_now
    from acd.store.outbound import listed

    given = options()
    place = Place()
    check_name(name)
    pairs = tuple(said_of(said))
    client, description = client and plain(client), plain(description)
    with place.look() as connection:
        there: dict[str, Any] | None = None
        with suppress(UnknownNameError):
            there = listed.get(connection, name)
    if there is not None and client is not None and there["client"] != client:
        raise RefusedError(f"list {name} is dialled for {there['client'] or 'no client'}, not for {client}")
    country = region or (there["country"] if there is not None else None) or place.country
    tab = delimiter is not None and delimiter.casefold() in ("tab", "\\t")
    how = How(
        country, encoding, "\t" if tab else delimiter, not no_header, pairs, within=duplicates, across=across,
        premium=premium, replace=replace, allow_erased=allow_erased,
    )  # fmt: skip
    with progress("looking", plain=True) as tell:
        opened = open_file(file, how, tell)
    if dry_run:
        _show_dry(given, opened)
        return
    if replace and there is not None and not yes:
        click.confirm(f"Take away the contacts of {name} that are not from this import?", abort=True, err=True)
    report: Report | None = None
    try:
        with progress("bytes read", plain=True) as tell:
            report = run(
                place.url, opened, name, me(), client=client, description=description, sealed=place.seal.of,
                jobs=jobs, tell=tell,
            )  # fmt: skip
    except KeyboardInterrupt:
        raise Failure(
            "the import was cut off: what it has done stays, and the same command goes on where it stopped",
            as_json=given.json,
        ) from None
    finally:
        # Also of one that was cut off: what it has done stays
        detail: dict[str, Any] = {"file": say.clean(file.name), "digest": opened.source.digest[:16]}
        detail |= {"complete": report is not None}
        if report is not None:
            detail |= {**report.figures(), "removed": report.removed, "updated": report.updated, "moved": report.moved}
            detail |= {"carried": report.carried, "in_calls": report.in_calls}
        write_now(place.url, made("list_imported", name, detail))
    shared = {one: shared_with(place.url, report, name, lists) for one, lists in place.beside(name).items()}
    _show_report(given, name, there is None, opened, report, {one: count for one, count in shared.items() if count})


def _how_read(opened: Opened) -> dict[str, Any]:
    source = opened.source
    return {
        "encoding": source.encoding, "encoding_guessed": source.guessed, "encoding_strays": source.stray,
        "delimiter": opened.delimiter, "region": opened.how.country,
        "columns": [
            {"name": one.name, "is": (f"number ({one.kind})" if one.kind else one.place) or "field"}
            for one in opened.columns.columns
        ],
    }  # fmt: skip


def _read_as(found: Mapping[str, Any]) -> Text:
    columns = ", ".join(f"{say.clean(one['name'], 60)}: {one['is']}" for one in found["columns"][:30])
    guess = " (guessed)" if found["encoding_guessed"] else ""
    region = found["region"] or "no country"
    return Text(f"{found['encoding']}{guess}, cells between {found['delimiter']!r}, {region}; {columns}", style="dim")


def _tell_strays(console: Any, opened: Opened) -> None:
    if opened.source.strays:
        emit(console, Text(opened.source.strays, style="yellow"))


def _show_dry(given: Options, opened: Opened) -> None:
    from acd.lists.importing import look_only

    report, good, bad = look_only(opened)
    read = _how_read(opened)
    if given.json:
        sample = [
            {"line": one.line, "name": one.name, "numbers": [each.number for each in one.numbers]} for one in good
        ]
        turned = [{"line": one.line, "reason": one.reason, "detail": one.detail} for one in bad]
        figures = {"rows": report.rows, "contacts": report.imported, "rejected": report.rejected}
        print_json({"dry_run": True, "read": read, **figures, "reasons": report.reasons, "first": sample,
                    "first_rejected": turned})  # fmt: skip
        return
    console = make_console(given)
    table = make_table([("LINE", "right"), ("NAME", "left"), ("NUMBERS", "left")])
    for one in good:
        table.add_row(str(one.line), cell(one.name), cell(", ".join(each.number for each in one.numbers)))
    emit(console, _read_as(read))
    _tell_strays(console, opened)
    emit_table(console, table, "no row would become a contact")
    table = make_table([("LINE", "right"), ("TURNED AWAY FOR", "left"), ("", "left")])
    for turned_away in bad:
        table.add_row(str(turned_away.line), cell(turned_away.reason), cell(turned_away.detail))
    emit_table(console, table, "no row would be turned away")
    rows = say.counted(report.rows, "row")
    emit(
        console,
        f"{rows}: {report.imported} contacts but for duplicates, {report.rejected} turned away; nothing was done",
    )


def _show_report(
    given: Options, name: str, new: bool, opened: Opened, report: Report, shared: Mapping[str, int]
) -> None:
    """``shared``: by campaign, how many of the import's contacts stand in another of its lists, too."""
    more = {key: getattr(report, key) for key in ("updated", "moved", "carried", "removed", "in_calls", "resumed")}
    if given.json:
        body = {"list": name, "new": new, "import": report.imported_as, **report.figures(), **more}
        print_json({**body, "shared": dict(shared), "reasons": report.reasons, "read": _how_read(opened)})
        return
    console = make_console(given)
    emit(console, _read_as(_how_read(opened)))
    _tell_strays(console, opened)
    table = make_table([("ROWS", "right"), ("IMPORTED", "right"), ("DUPLICATES", "right"), ("TURNED AWAY", "right")])
    table.add_row(*map(str, (report.rows, report.imported, report.duplicates, report.rejected)))
    emit_table(console, table, "")
    words = {
        "in_calls": "not removed but blocked, being in calls",
        "carried": "carried over with what has become of them",
    }
    told = [f"{count} {words.get(key, key)}" for key, count in more.items() if count]
    # Duplicates that have changed a contact were taken
    not_taken = {**report.reasons, "duplicate": report.reasons.get("duplicate", 0) - report.updated - report.moved}
    reasons = [f"{reason.replace('_', ' ')} {count}" for reason, count in not_taken.items() if count > 0]
    if told:
        emit(console, Text(", ".join(told)))
    if reasons:
        emit(console, Text(f"not taken: {', '.join(reasons)} (acd list rejects {name})", style="yellow"))
    for campaign, count in shared.items():
        also = f"{say.counted(count, 'contact')} stand in another list of campaign {say.clean(campaign)}, too"
        emit(console, Text(f"{also}: whom it has reached as one of them it does not call as the other", style="yellow"))
    emit(console, Text(f"list {name}{', which is new' if new else ''}", style="bold"))


@click.command("list")
@common_options
def list_lists() -> None:
    """All lists, and how far their contacts are."""
    from acd.store.outbound import listed

    given = options()
    with Place().look() as connection:
        rows = listed.every(connection)
    if given.json:
        print_json({"lists": rows})
        return
    table = make_table(
        [("LIST", "left"), ("CLIENT", "left"), ("REGION", "left"), ("CONTACTS", "right"), ("NEW", "right"),
         ("DUE", "right"), ("IN FLIGHT", "right"), ("DONE", "right"), ("BLOCKED", "right"), ("MADE", "left")]
    )  # fmt: skip
    for row in rows:
        states = row["contacts"]
        figures = (sum(states.values()), *(states[state] for state in ("new", "due", "in_flight", "done", "blocked")))
        table.add_row(
            cell(row["list"]), cell(row["client"]), cell(row["country"]), *map(str, figures),
            cell(say.moment(row["made_at"])),
        )  # fmt: skip
    emit_table(make_console(given), table, "no lists: acd list import FILE --list NAME")


@click.command()
@common_options
@click.argument("name")
def show(name: str) -> None:
    """One list: its contacts by state, its imports."""
    from acd.store.outbound import contacts, listed

    given = options()
    place = Place()
    with place.look() as connection:
        row = listed.get(connection, name)
        states = contacts.counts(connection, name)
        imports = listed.imports(connection, name)
    dialled_by = place.campaigns_of(name)
    if given.json:
        print_json({**row, "contacts": states, "imports": imports, "campaigns": dialled_by})
        return
    console = make_console(given)
    told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.items() if count)
    emit(console, Text(say.clean(name), style="bold"))
    for label, value in (
        ("contacts", f"{sum(states.values())}: {told}" if told else "none"),
        ("client", row["client"] or "none"),
        ("region", row["country"] or "none"),
        ("description", row["description"]),
        ("campaigns", ", ".join(dialled_by) or "none of floor.yaml"),
        ("made", f"{say.moment(row['made_at'])} by {row['made_by']}"),
    ):
        emit(console, Text(f"  {label:<12}", style="dim").append(say.clean(value), style="default"))
    table = make_table(
        [("IMPORT", "right"), ("FILE", "left"), ("ROWS", "right"), ("IMPORTED", "right"), ("DUPLICATES", "right"),
         ("TURNED AWAY", "right"), ("BEGUN", "left"), ("ENDED", "left"), ("BY", "left")]
    )  # fmt: skip
    for one in imports:
        figures = (one["rows"], one["imported"], one["duplicates"], one["rejected"])
        table.add_row(
            str(one["import"]), cell(one["source"]), *map(str, figures), cell(say.moment(one["started_at"])),
            cell(say.moment(one["ended_at"]) or "cut off: begin it again"), cell(one["started_by"]),
        )  # fmt: skip
    emit_table(console, table, "nothing was imported")


@click.command()
@common_options
@click.argument("name")
@click.option("--import", "imported", type=int, metavar="N", help="Of this import.  [default: the latest]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many, shown.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="All of them, as CSV, into this file."
)
def rejects(name: str, imported: int | None, limit: int, output: Path | None) -> None:
    """Rows of an import that became no contact, and why.

    The file can be mended and imported in the same way as the first: it has the list's own columns, and behind them
    acd_line, acd_reason and acd_detail, which an import passes over, as it does the apostrophes before cells that a
    spreadsheet would take for formulas. Of longer cells 200 characters are kept; acd_detail says so. Only you may read it.
    """
    from acd.lists.importing import head_of, rejects_of

    given = options()
    url = Place().url
    rows = rejects_of(url, name, imported)
    if output is not None:
        count = _write_rejects(head_of(url, name, imported), rows, output)
        if given.json:
            print_json({"file": str(output), "rows": count})
        else:
            click.echo(f"{say.counted(count, 'row')} written to {say.clean(output)}", err=True)
        return
    shown = list(islice(rows, limit + 1))
    more = len(shown) > limit
    if given.json:
        print_json({"list": name, "rejects": shown[:limit], "more": more})
        return
    table = make_table([("LINE", "right"), ("REASON", "left"), ("DETAIL", "left"), ("ROW", "left")])
    for row in shown[:limit]:
        cells = " | ".join(map(str, row["cells"]))
        table.add_row(str(row["line"]), cell(row["reason"].replace("_", " ")), cell(row["detail"]), cell(cells))
    emit_table(make_console(given), table, "every row became a contact")
    if more:
        click.echo("acd: there are more: -o FILE.csv writes them all", err=True)


def _write_rejects(head: list[str], rows: Iterator[dict[str, Any]], output: Path) -> int:
    """Whole or not at all."""
    from acd.domain.cells import harmless
    from acd.lists.columns import OURS

    count = 0
    first = next(rows, None)
    try:
        handle, fresh = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        try:
            with open(handle, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow((*map(harmless, head), *OURS))
                while first is not None:
                    told = first["reason"], first["detail"] + _cut(first["cells"], head)
                    own = map(harmless, _under(head, [str(one) for one in first["cells"]]))
                    writer.writerow((*own, first["line"], *map(harmless, told)))
                    count += 1
                    first = next(rows, None)
            os.replace(fresh, output)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}") from error
    return count


def _under(head: Sequence[str], cells: list[str]) -> list[str]:
    """A cell a column. What a row has beyond its columns stays in the last of them."""
    own = [*cells, *[""] * (len(head) - len(cells))]
    return [*own[: len(head) - 1], ", ".join(filter(None, own[len(head) - 1 :]))]


def _cut(cells: Sequence[Any], head: Sequence[str]) -> str:
    """What is not kept of a row, if anything may not be."""
    from acd.lists.prepare import CELLS_KEPT_MAX
    from acd.store.outbound.listed import CELL_KEPT_MAX

    cut = [head[place] for place, one in enumerate(cells[: len(head)]) if len(str(one)) >= CELL_KEPT_MAX]
    if len(cells) >= CELLS_KEPT_MAX < len(head):
        return f"; only the first {CELLS_KEPT_MAX} cells of the row are kept: take the others from the file"
    return f"; cut at {CELL_KEPT_MAX} characters, take it from the file: {', '.join(cut)}" if cut else ""


@click.command()
@common_options
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Take a list away with its contacts, imports and rejected rows.

    Attempts that were made stay in the records. Refused while any of its contacts is being dialled.
    """
    from acd.store.beside import writing
    from acd.store.outbound import contacts, listed

    given = options()
    place = Place()
    with place.look() as connection:
        listed.get(connection, name)
        total, busy = sum(contacts.counts(connection, name).values()), contacts.busy(connection, name)
    if busy:
        raise RefusedError(_busy(name, busy))
    if not yes:
        dialled_by = place.campaigns_of(name)
        also = f", which campaign {', '.join(dialled_by)} dials" if dialled_by else ""
        click.confirm(f"Take away list {name}{also}, with {say.counted(total, 'contact')}?", abort=True, err=True)
    removed = 0
    with progress("contacts") as tell, writing(place.url) as connection:
        after, ids = 0, [0]
        while ids:
            began = time.monotonic()
            with connection.begin():
                ids = listed.page(connection, name, after, PIECE)
                removed += contacts.remove(connection, ids)
            after = ids[-1] if ids else after
            tell(removed, total)
            # The service writes, too
            time.sleep(min((time.monotonic() - began) / 4, 0.02))
        with connection.begin():
            left = sum(contacts.counts(connection, name).values())
            if not left:
                listed.drop(connection, name)
            audited(connection, "list_deleted", name, {"contacts": removed, "left": left})
    if left:
        raise RefusedError(f"{say.counted(removed, 'contact')} went; {_busy(name, left)}")
    if given.json:
        print_json({"list": name, "contacts": removed})
        return
    click.echo(f"list {name} is gone, with {say.counted(removed, 'contact')}")


def _busy(name: str, count: int) -> str:
    return (
        f"{say.counted(count, 'contact')} of {name} are being dialled now: pause its campaign and try again in a minute"
    )
