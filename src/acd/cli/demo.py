"""``acd demo``: shows the lab's demonstration live and ends with its summary."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.terminal_theme import DIMMED_MONOKAI

from acd.cli import floorview
from acd.cli import text as say
from acd.cli.console import emit, make_console
from acd.cli.context import Failure, common_options, options, print_json
from acd.cli.floorview import Floor
from acd.cli.status import one_line
from acd.lab.asterisk import find_program
from acd.lab.demo import Demo, Looks, floor
from acd.lab.parts import ASTERISK, SIPP, ensure
from acd.lab.progress import ProgressLine


@click.command()
@common_options
@click.option("--seconds", type=click.FloatRange(5, 86_400), default=60, show_default=True, help="How long to call.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/demo"), show_default=True, help="Files.")
@click.option("--picture", type=click.Path(path_type=Path), help="Save the busiest moment as an SVG.")
@click.option("--asterisk", type=click.Path(path_type=Path), help="An Asterisk binary instead of the lab's own.")
def demo(seconds: float, out: Path, picture: Path | None, asterisk: Path | None) -> None:
    """A small call centre at work on this machine: Asterisk, phones, callers, a campaign that dials, and the live table.

    Needs no root and touches nothing outside --out and the lab's cache. Ctrl-C ends it cleanly.
    """
    began = time.monotonic()
    progress = ProgressLine()
    try:
        if asterisk is None:
            ensure(ASTERISK, None, progress)
        ensure(SIPP, None, progress)
    finally:
        progress.clear()
    out.mkdir(parents=True, exist_ok=True)
    show = Demo(out, seconds, program=find_program(None, asterisk))
    asyncio.run(_run(show, began))
    summary = show.summary()
    if picture is not None and show.busiest is not None:
        _draw(show.busiest, picture)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    if options().json:
        print_json(summary)
    else:
        _print(summary, out / "summary.json")
    if show.interrupted:
        raise Failure("interrupted; everything that was started is stopped", 130, as_json=options().json)
    if summary["lost"]:
        raise Failure(f"{summary['lost']} dialogs were lost: see {out}", as_json=options().json)


async def _run(show: Demo, began: float) -> None:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        if not options().json:
            click.echo(f"Starting Asterisk, {len(floor()['agents'])} phones and acd ...")
        async with show:
            if not options().json:
                click.echo(f"First call after {time.monotonic() - began:.1f} s; calling for {show.seconds:g} s.")
            await _show(show)
    except asyncio.CancelledError:
        task.uncancel()
        show.interrupted = True


async def _show(show: Demo) -> None:
    console = make_console(options())
    if options().json:
        async for _ in show.run():
            pass
    elif not console.is_terminal:
        last = 0.0
        async for seen in show.run():
            if time.monotonic() - last >= 1.0:
                last = time.monotonic()
                click.echo(f"{one_line(_floor(seen))} {_dialled_line(seen)}".rstrip())
    else:
        with Live(console=console, screen=True, auto_refresh=False, transient=True) as screen:
            async for seen in show.run():
                width, height = console.size
                view = floorview.render(_floor(seen), console, width=width, height=height)
                screen.update(view, refresh=True)


def _draw(seen: Looks, path: Path) -> None:
    """The live table as a picture."""
    console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(floorview.render(_floor(seen), console, width=104, height=34))
    drawn = console.export_svg(title="acd demo", theme=DIMMED_MONOKAI)
    # Its web font would be fetched from elsewhere by whoever looks at the picture
    path.write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL))


def _floor(seen: Looks) -> Floor:
    return Floor(seen.status, seen.queues, seen.agents, seen.campaigns)


def _dialled_line(seen: Looks) -> str:
    """Campaigns in one line, beside the floor's."""
    return " ".join(
        f"{one['name']}: dialled={floorview.dialled(one)} answered={one['outcomes'].get('answered', 0)} "
        f"abandoned={one['outcomes'].get('abandoned', 0)} lines={floorview.lines_of(one)} "
        f"utilisation={say.percent(one['utilisation'])}"
        for one in seen.campaigns
    )


def _print(summary: dict[str, Any], path: Path) -> None:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.1%}"

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} s"

    table = Table(title="Summary", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, text in (
        ("calls offered", str(summary["offered"])),
        ("answered", str(summary["answered"])),
        ("abandoned by their callers", str(summary["abandoned"])),
        ("lost (must be 0)", str(summary["lost"])),
        ("service level (10 s)", percent(summary["service_level"])),
        ("average speed of answer", seconds(summary["asa_s"])),
        ("average handling time", seconds(summary["aht_s"])),
        ("occupancy", percent(summary["occupancy"])),
        ("dialled by the campaign", str(summary["outbound"]["attempts"])),
        ("answered and put through", str(summary["outbound"]["answered"])),
        (f"abandoned (cap {percent(summary['outbound']['cap'])})", _abandoned(summary["outbound"])),
        ("its agents' utilisation", percent(summary["outbound"]["utilisation"])),
    ):
        table.add_row(label, text)
    emit(make_console(options()), table)
    click.echo(f"also in {path}")


def _abandoned(outbound: dict[str, Any]) -> str:
    share = outbound["abandonment"]
    return str(outbound["abandoned"]) if share is None else f"{outbound['abandoned']} ({share:.1%})"
