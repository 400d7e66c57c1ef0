"""``acd report``: one command a report of the catalogue, with the options that mean something to it.

It reads the database itself, and only reads, so it works beside the service and without it. What the reports are is
`acd.reports`' business; here words become questions, and answers pages.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from acd.cli import text as say
from acd.cli.console import cell, emit_table, make_console, make_table
from acd.cli.context import EXIT_USAGE, Failure, common_options, options, print_json
from acd.cli.masking import mask_parameter, masks
from acd.domain.errors import AcdError, ConfigurationError, ReportError, UnknownNameError
from acd.reports import catalogue
from acd.reports.ask import SERVICE_LEVEL_S, SHORT_S, WITHIN_DAYS, Ask, Filters, nearest
from acd.reports.catalogue import REPORTS, Definition
from acd.reports.measures import MEASURES
from acd.reports.model import Report

if TYPE_CHECKING:
    from acd.domain.definition import FloorDefinition
    from acd.reports.database import Database

FORMATS = ("table", "json", "csv", "parquet", "html")
SUFFIXES = {".json": "json", ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".html": "html", ".htm": "html",
            ".txt": "table"}  # fmt: skip

EPILOG = """\
Times: today, yesterday, this-week, last-week, this-month, last-month, this-year, last-year; -7d, -2w (whole days ago),
-4h, -30m; 2026-11-21, "2026-11-21 14:05", 2026-W47, 2026-11, 2026. --from takes the beginning of what a word names,
--to its end, so --from 2026-11-01 --to 2026-11-30 is all of November; --on is both. Without any: today.
Formulas: docs/reports.md."""


@dataclass(frozen=True)
class Floor:
    """What floor.yaml tells reports: names by kind, each queue's service level, and the zone of its opening hours; or
    ``problem``, why it cannot be read."""

    names: dict[str, frozenset[str]]
    thresholds_s: dict[str, float]
    zone: str | None
    problem: str | None = None
    definition: FloorDefinition | None = None


_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """Seconds: ``20``, ``20s``, ``1m30s``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = self.seconds(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: write 20s, 1m30s or 1h", param, ctx)
        return found

    @classmethod
    def seconds(cls, text: str) -> float | None:
        """None for what is no duration of up to a day."""
        if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text, re.ASCII):
            text += "s"
        parts = re.findall(r"(\d{1,6}(?:\.\d{1,3})?)([smh])", text, re.ASCII)
        total = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
        return total if parts and "".join(map("".join, parts)) == text and total <= 86_400 else None


class Reports(click.Group):
    """The commands are the reports; an unknown one is answered with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["list", *REPORTS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in REPORTS:
            return _command(REPORTS[cmd_name])
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=known, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Reports"):
            formatter.write_dl([("list", "All reports, what they can be told apart by, and their columns.")])
            formatter.write_dl([(name, definition.about) for name, definition in REPORTS.items()])


@click.group(cls=Reports, epilog=EPILOG)
@common_options
def report() -> None:
    """Reports on calls, queues and agents, from the records in the database.

    acd report NAME --help says what each can do.

    \b
    acd report service --on yesterday --by 30min
    acd report agents --from this-month --by agent,week
    acd report abandoned -o today.csv
    acd report heatmap --on 2026-11 --columns service_level -o november.html
    """


@report.command("list")
@common_options
def list_reports() -> None:
    """All reports, what they can be told apart by, and their columns."""
    if options().json:
        print_json(
            {
                name: {
                    "title": d.title, "about": d.about, "by": list(d.by), "by_default": list(d.by_default),
                    "columns": {column.name: column.meaning for column in d.columns}, "options": sorted(d.options),
                }
                for name, d in REPORTS.items()
            }
        )  # fmt: skip
        return
    table = make_table([("REPORT", "left"), ("WHAT", "left"), ("BY", "left"), ("OR BY", "left")])
    for name, d in REPORTS.items():
        rest = [key for key in d.by if key not in d.by_default]
        table.add_row(cell(name, "bold"), cell(d.about), cell(",".join(d.by_default)), cell(" ".join(rest)))
    emit_table(make_console(options()), table, "no reports")


_FILTERS = {
    "queue": "Only of this queue.",
    "agent": "Only of this agent.",
    "client": "Only of this client.",
    "did": "Only to this number.",
}


def _parameters(definition: Definition) -> list[click.Parameter]:
    """The options of a report's command."""
    made: list[click.Parameter] = [
        click.Option(["--from", "since"], metavar="TIME", help="From the beginning of this time on.  [default: today]"),
        click.Option(["--to", "until"], metavar="TIME", help="To the end of this time.  [default: now]"),
        click.Option(["--on"], metavar="TIME", help="All of it: --on yesterday, --on 2026-11."),
        click.Option(["--zone"], metavar="ZONE", help="Europe/Berlin.  [default: the opening hours', this machine's]"),
    ]
    if definition.by:
        default = ",".join(definition.by_default)
        made.append(click.Option(["--by"], metavar="NAME,...", help=f"What tells rows apart.  [default: {default}]"))
    if definition.columns:
        made.append(
            click.Option(["--columns"], metavar="NAME,...", multiple=True, help="Which columns, in this order.")
        )
    made += [
        click.Option([f"--{name}"], multiple=True, metavar=name.upper(), help=f"{text} May be given again.")
        for name, text in _FILTERS.items()
        if name in definition.options
    ]
    if "threshold" in definition.options:
        made.append(
            click.Option(
                ["--threshold"],
                multiple=True,
                metavar="[QUEUE=]TIME",
                help="In time is what is answered within this.  [default: floor.yaml's service_level]",
            )
        )
    if "short" in definition.options:
        made.append(
            click.Option(["--short"], type=Duration(), default=SHORT_S, help="A short abandoned call.  [default: 5s]")
        )
    if "within" in definition.options:
        made.append(
            click.Option(
                ["--within"],
                type=click.IntRange(1, 90),
                default=WITHIN_DAYS,
                metavar="DAYS",
                show_default=True,
                help="Another call within so many days is a repetition.",
            )
        )
    return [
        *made,
        click.Option(["--format", "kind"], type=click.Choice(FORMATS), help="[default: by -o's ending, or table]"),
        click.Option(
            ["-o", "--output"], type=click.Path(path_type=Path, dir_okay=True, allow_dash=True), metavar="FILE",
            help="Write a file (0600) instead of the screen.",
        ),
        mask_parameter(),
        click.Option(["--url"], help="Of this database instead of the configured one."),
    ]  # fmt: skip


def _command(definition: Definition) -> click.Command:
    def run(**given: Any) -> None:
        try:
            _run(definition, **given)
        except ReportError as error:
            raise Failure(str(error), EXIT_USAGE, kind="usage", as_json=options().json) from error

    command = click.Command(definition.name, callback=run, params=_parameters(definition), help=_help(definition))
    command.epilog = _columns_help(definition) + EPILOG
    return common_options(command)


def _help(definition: Definition) -> str:
    return f"{definition.about}" + (f"\n\nBy: {', '.join(definition.by)}; or all." if definition.by else "")


def _columns_help(definition: Definition) -> str:
    if not definition.columns:
        return ""
    _, default = catalogue.checked(definition, (), ())
    lines = [
        f"  {column.name + ('*' if column.name in default else ''):<20} {column.meaning}"
        for column in definition.columns
    ]
    shown = " (* are shown by default)" if definition.columns_default else ""
    return "\b\nColumns" + shown + ":\n" + "\n".join(lines) + "\n\n"


def _run(
    definition: Definition,
    *,
    since: str | None,
    until: str | None,
    on: str | None,
    zone: str | None,
    kind: str | None,
    output: Path | None,
    url: str | None,
    mask_numbers: bool | None = None,
    by: str | None = None,
    columns: tuple[str, ...] = (),
    threshold: tuple[str, ...] = (),
    short: float = SHORT_S,
    within: int = WITHIN_DAYS,
    **filters: tuple[str, ...],
) -> None:
    from acd.reports.database import open_database
    from acd.reports.masking import masked
    from acd.reports.moments import find_zone, machine_zone, period
    from acd.reports.names import check_names

    output = None if output is not None and str(output) == "-" else output
    shape = _format(kind, output)
    now = time.time()
    mask = masks(mask_numbers, without=url is not None)
    floor = _floor()
    where = find_zone(zone) if zone is not None else find_zone(floor.zone) if floor.zone else machine_zone()
    thresholds_s, threshold_s = _thresholds(threshold, floor)
    ask = Ask(
        period(since, until, where, now, on=on),
        where,
        now,
        by=_names(by),
        columns=tuple(name for text in columns for name in _names(text)),
        filters=Filters(**{name: tuple(dict.fromkeys(values)) for name, values in filters.items()}),
        thresholds_s=thresholds_s,
        threshold_s=threshold_s,
        short_s=short,
        within_days=within,
        withheld=_withheld(),
    )
    try:
        shown = catalogue.checked(definition, ask.by, ask.columns)[1]
    except UnknownNameError as error:
        raise Failure(str(error), EXIT_USAGE, kind="usage", nearest=error.nearest, as_json=options().json) from error
    with open_database(url or _configured()) as database:
        if definition.staffed:
            ask = replace(ask, agents_have=_agents_have(database, ask.period.to_s, floor))
        check_names(database, ask.filters, floor.names)
        judged = [queue for queue, equals, _ in (text.rpartition("=") for text in threshold) if equals]
        check_names(database, Filters(queue=tuple(judged)), floor.names)
        made = catalogue.make(database, definition, ask)
        if (
            floor.problem is not None
            and url is None
            and _goes_by_floor(definition, shown, threshold, ask.filters.queue)
        ):
            said = f"the threshold is {SERVICE_LEVEL_S:g} s where --threshold does not say"
            click.echo(f"acd: floor.yaml cannot be read, so {said}: {floor.problem}", err=True)
        _write(masked(made) if mask else made, shape, output)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _format(kind: str | None, output: Path | None) -> str:
    from acd.reports.files import check_place

    if output is not None:
        check_place(output)
    if kind is not None:
        return kind
    if options().json:
        return "json"
    if output is None:
        return "table"
    ending = output.suffix.lower()
    if ending not in SUFFIXES:
        what = f"ends in {ending}, which says no format" if ending else "has no ending that says a format"
        near = nearest(ending, SUFFIXES)
        hint = f" (nearest: {near})" if near else ""
        raise ReportError(f"{say.clean(output.name)} {what}{hint}: one of {', '.join(SUFFIXES)}, or add --format")
    return SUFFIXES[ending]


def _configured() -> str:
    from acd.cli.databaseurl import database_url

    return database_url()


def _floor() -> Floor:
    """What floor.yaml says; nothing but why, where it cannot be read."""
    from acd.cli.databaseurl import loaded_settings
    from acd.config.floor import load_floor

    try:
        definition = load_floor(loaded_settings(database=False).settings.floor.file).definition
    except ConfigurationError as error:
        return Floor({}, {}, None, say.clean(str(error).splitlines()[0]))
    zones = {str(hours.time_zone) for hours in definition.hours.values()}
    return Floor(
        {
            "queue": frozenset(definition.queues),
            "agent": frozenset(definition.agents),
            "did": frozenset(definition.entry_points),
        },
        {name: queue.service_level_s for name, queue in definition.queues.items()},
        zones.pop() if len(zones) == 1 else None,
        definition=definition,
    )


def _agents_have(database: Database, until: float, floor: Floor) -> dict[str, dict[str, tuple[str, ...]]]:
    """Which queues and skills each agent had, by the configuration in force at the end; else by floor.yaml, if it can be
    read."""
    from acd.cli.revisiondetail import definition_of
    from acd.store.tables import revisions

    latest = revisions.select().where(revisions.c.loaded_at < until).order_by(revisions.c.loaded_at.desc()).limit(1)
    found = floor.definition
    with suppress(AcdError):
        found = next((definition_of(row.detail) for row in database.rows(latest)), found)
    if found is None:
        return {}
    return {
        "queue": {agent.name: agent.queues for agent in found.agents.values()},
        "skill": {agent.name: tuple(sorted(agent.skills)) for agent in found.agents.values()},
    }


def _goes_by_floor(definition: Definition, shown: Sequence[str], given: Sequence[str], queues: Sequence[str]) -> bool:
    """Whether a figure that is shown depends on a queue's threshold in floor.yaml: none was ``given`` for all queues, nor
    one for each of the only ``queues``."""
    judged = {queue if equals else "" for queue, equals, _ in (text.rpartition("=") for text in given)}
    told = "" in judged or (bool(queues) and judged.issuperset(queues))
    by_threshold = (name in MEASURES and "in_time" in MEASURES[name].needs for name in shown)
    return "threshold" in definition.options and not told and any(by_threshold)


def _withheld() -> frozenset[str]:
    """What stands for withheld numbers in records that hashed them; nothing where there is no key to know it by."""
    from acd.cli.databaseurl import loaded_settings, numbering_of
    from acd.records.seal import found_seal

    try:
        settings = loaded_settings(database=False).settings
    except ConfigurationError:
        return frozenset()
    seal = found_seal(settings.service.state_dir, numbering_of(settings.records))
    return frozenset() if seal is None else seal.withheld()


def _thresholds(given: tuple[str, ...], floor: Floor) -> tuple[dict[str, float], float]:
    """Each queue's, and that of all others: floor.yaml's, unless something else is wanted."""
    by_queue, others_s = dict(floor.thresholds_s), SERVICE_LEVEL_S
    for text in given:
        queue, equals, length = text.rpartition("=")
        found = Duration.seconds(length)
        if found is None:
            raise click.BadParameter(f"{text!r}: write 20s, or QUEUE=20s", param_hint="--threshold")
        if not equals:
            by_queue, others_s = {}, found
    for text in given:
        queue, equals, length = text.rpartition("=")
        if equals:
            by_queue[queue] = Duration.seconds(length) or 0.0
    return by_queue, others_s


def _write(report: Report, shape: str, output: Path | None) -> None:
    """Onto the screen or into a file, with a bar for what takes long."""
    if shape == "table" and output is None:
        from acd.cli.report_table import show

        show(report, make_console(options()))
        return
    if shape == "parquet" and output is None and sys.stdout.isatty():
        raise ReportError("Parquet is nothing for a screen: name a file with -o")
    with _progress(report) as tick:
        if output is None:
            try:
                _write_to(report, shape, sys.stdout.buffer, tick)
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                # Whoever reads has seen enough; nothing is left to flush into the pipe at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            from acd.reports.files import new_file

            with new_file(output) as file:
                _write_to(report, shape, file, tick)
            click.echo(f"acd: {say.clean(output)}", err=True)


def _write_to(report: Report, shape: str, file: BinaryIO, tick: Callable[[int], None]) -> None:
    if shape == "html":
        from acd.cli.report_html import page

        file.write(page(report).encode())
    elif shape == "table":
        import io

        from rich.console import Console

        from acd.cli.console import PIPE_WIDTH
        from acd.cli.report_table import show

        text = io.StringIO()
        show(
            report, Console(file=text, width=PIPE_WIDTH, color_system=None, markup=False, emoji=False, highlight=False)
        )
        file.write(text.getvalue().encode())
    else:
        from acd.reports.formats import WRITERS

        WRITERS[shape](report, file, tick)


@contextmanager
def _progress(report: Report) -> Iterator[Callable[[int], None]]:
    if not report.streamed or not report.expected:
        yield lambda done: None
        return
    from acd.cli.progress import progress

    total = report.expected
    with progress(report.heading.title) as tell:
        yield lambda done: tell(done, total)
