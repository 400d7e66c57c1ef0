"""``acd queue-log``: the records in Asterisk's own format, for programs that read that."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acd.cli.call import Moment
from acd.cli.context import Failure, common_options, options, print_json
from acd.cli.masking import HELP as MASK_HELP
from acd.cli.masking import masks
from acd.cli.queuelog_follow import Course, Printed, counted, print_lines
from acd.domain.definition import FloorDefinition
from acd.domain.errors import AcdError

if TYPE_CHECKING:
    from acd.queuelog.export import Members
    from acd.queuelog.people import Member

MEMBER = "{agent}"


@click.group()
@common_options
def queue_log() -> None:
    """The records as Asterisk's queue_log, for QueueMetrics, Asternic and scripts that read that."""


@queue_log.command()
@common_options
@click.option("--from", "since", type=Moment(), help="From this time on: 2d (ago), 14:05, 2026-11-21.")
@click.option("--to", "until", type=Moment(), help="Up to this time. [default: now]")
@click.option("--follow", is_flag=True, help="Go on, and append what happens, until interrupted.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="With --follow: look so often (s).",
)
@click.option(
    "--member", default=MEMBER, show_default=True,
    help="How agents are called: {agent}, {number} and {phone} stand for what floor.yaml says.",
)  # fmt: skip
@click.option("--group", is_flag=True, help="Let the file's group read it (0640); else its owner alone may (0600).")
@click.option("--mask-numbers/--no-mask-numbers", default=None, help=MASK_HELP)
@click.option("--url", help="Of this database instead of the configured one.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def export(
    since: float | None,
    until: float | None,
    follow: bool,
    interval: float,
    member: str,
    group: bool,
    mask_numbers: bool | None,
    url: str | None,
    file: Path,
) -> None:
    """Write the log of a time to FILE (- for standard output), in the format of queue_log.

    With --follow, FILE grows as things happen, a few seconds behind. FILE.position says how far it has come, so the
    command may be stopped, killed and started again: every line is written once. FILE may be moved away (logrotate); a new
    one is begun. A FILE with numbers as they are is not gone on with masked, nor the other way round.

    What differs from app_queue's own log is in docs/records.md.
    """
    from acd.queuelog.export import Log
    from acd.queuelog.source import Source
    from acd.queuelog.target import LogFile

    if follow and until is not None:
        raise click.UsageError("--follow goes on: leave --to out")
    if since is None and not follow:
        raise click.UsageError("from which time on? Give --from")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from must be before --to")
    mode = 0o640 if group else 0o600
    members = _members(member)
    mask = masks(mask_numbers, without=url is not None)
    source = Source(url or _url())
    try:
        if follow:
            begin = time.time() if since is None else since
            course = Course(lambda at: Log(source, members, at, mask=mask), begin, interval)
            target = Printed() if file == Path("-") else LogFile(file, mode=mode, masked=mask)
            with closing(target), suppress(KeyboardInterrupt):
                course.run(target)
            return
        assert since is not None
        # A log of up to 14:00 does not begin with what happens then
        log = Log(source, members, since - 1e-6, mask=mask)
        end = time.time() if until is None else min(until - 1e-6, time.time())
        pieces = counted(log.pieces(end), since)
        count = _write(itertools.chain.from_iterable(lines for lines, _ in pieces), file, mode)
    finally:
        source.close()
    if options().json and file != Path("-"):
        print_json({"lines": count, "file": str(file)})
    elif file != Path("-"):
        click.echo(f"{count:,} lines in {file}")


@queue_log.command()
@common_options
@click.option("--from", "since", type=Moment(), help="A table that begins: from this time on. [default: all there is]")
@click.option("--once", is_flag=True, help="End when all there is has been written (for cron).")
@click.option(
    "--interval", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Look so often (s)."
)  # fmt: skip
@click.option("--member", default=MEMBER, show_default=True, help="How agents are called, as in export.")
@click.option("--mask-numbers/--no-mask-numbers", default=None, help=MASK_HELP)
@click.option("--anew", is_flag=True, help="Take away the lines that are there, and make them anew.")
@click.option("--url", help="In this database instead of the configured one.")
def table(
    since: float | None,
    once: bool,
    interval: float,
    member: str,
    mask_numbers: bool | None,
    anew: bool,
    url: str | None,
) -> None:
    """Fill the table queue_log of acd's database, and keep it filled, until interrupted.

    It has the columns that Asterisk's own has by realtime (id, time, callid, queuename, agent, event, data1 to data5), for
    programs that read those by SQL. The database knows how far it goes, so the command may be stopped, killed and started
    again: every line is there once. One program at a time fills it; a second takes over from the first.

    Reading it needs no more than SELECT on queue_log.
    """
    from acd.queuelog.export import Log
    from acd.queuelog.source import Source
    from acd.queuelog.table import LogTable, SupersededError, clear

    where = url or _url()
    members = _members(member)
    mask = masks(mask_numbers, without=url is not None)
    if anew:
        clear(where)
    source = Source(where)
    course = Course(lambda at: Log(source, members, at, mask=mask), since or 0.0, interval, once)
    with closing(source), suppress(KeyboardInterrupt):
        while True:
            try:
                course.run(LogTable(where, masked=mask, member=member))
            except SupersededError:
                # A person was erased meanwhile: what has been read of him is not to be written
                continue
            break
    if options().json:
        print_json({"lines": course.written})
    else:
        click.echo(f"{course.written:,} new lines in queue_log")


def _url() -> str:
    from acd.cli.databaseurl import database_url

    return database_url()


def _members(template: str) -> Members:
    """Who the agents are. Raises UsageError on a template with unknown names."""
    from acd.cli.databaseurl import loaded_settings
    from acd.cli.revisiondetail import definition_of
    from acd.config import load_floor
    from acd.queuelog.export import Members

    def understand(detail: Mapping[str, Any]) -> Mapping[str, Member]:
        return members_of(definition_of(detail), template)

    try:
        template.format(agent="", number="", phone="")
    except (LookupError, ValueError, AttributeError) as error:
        raise click.UsageError(f"--member {template!r}: only {{agent}}, {{number}} and {{phone}} are known") from error
    try:
        present = members_of(load_floor(loaded_settings(database=False).settings.floor.file).definition, template)
    except AcdError:
        # A log may be written where there is no floor; what the database kept of it is then all that is known
        present = {}
    return Members(present, understand)


def members_of(definition: FloorDefinition, template: str) -> dict[str, Member]:
    """The agents of a configuration as members of queues."""
    from acd.queuelog.people import Member

    return {
        agent.name: Member(
            template.format(agent=agent.name, number=agent.number, phone=(*agent.phones, "")[0]), agent.queues
        )
        for agent in definition.agents.values()
    }


def _write(lines: Iterable[Any], file: Path, mode: int) -> int:
    """All lines into a new file, which is there in full or not at all."""
    if file == Path("-"):
        return print_lines(iter(lines))
    if file.exists() or file.is_symlink():
        raise Failure(f"{file} is there already: name another, or go on with it by --follow", as_json=options().json)
    part = file.with_name(file.name + ".part")
    count = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        part.unlink(missing_ok=True)
        with open(os.open(part, flags, mode), "w", encoding="utf-8", errors="replace") as into:
            for line in lines:
                into.write(f"{line}\n")
                count += 1
        part.replace(file)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}", as_json=options().json) from error
    finally:
        part.unlink(missing_ok=True)
    return count
