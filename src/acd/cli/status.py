"""``acd status``: the floor once, or live. Fetching, pacing and leaving; how it looks is `floorview`'s matter."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click
from rich.live import Live

from acd.cli import floorview
from acd.cli import text as say
from acd.cli.client import Client, ServiceError, connect
from acd.cli.console import emit, make_console
from acd.cli.context import NotRunningError, common_options, options, print_json
from acd.cli.floorview import Floor
from acd.domain.errors import AcdError

INTERVAL_S = 0.25
PIPED_INTERVAL_S = 1.0
#: Watching may take at most this share of the service's time.
BUSY_SHARE_MAX = 0.1
WATCH_TIMEOUT_S = 5.0


def fetch(client: Client) -> Floor:
    """The floor as the service sees it now."""
    status = client.get("/v1/status")
    return Floor(status, client.get("/v1/queues")["queues"], client.get("/v1/agents")["agents"], _campaigns(client))


def _campaigns(client: Client) -> list[dict[str, Any]]:
    """Those of the floor; none while the service cannot say, for which it has an alarm."""
    try:
        return list(client.get("/v1/campaigns")["campaigns"])
    except ServiceError:
        return []


def as_json(floor: Floor) -> dict[str, Any]:
    """``campaigns`` is left out of a floor without any."""
    found = {"status": floor.status, "queues": floor.queues, "agents": floor.agents}
    return found | ({"campaigns": floor.campaigns} if floor.campaigns else {})


def one_line(floor: Floor) -> str:
    """The floor in one line, for logs and pipes."""
    status = floor.status
    agents = " ".join(f"{state.lower()}={count}" for state, count in status["agents"].items() if count)
    campaigns = "".join(
        f" {say.clean(one['name'])}={one['state']},lines={floorview.lines_of(one)},answered={one['ledger']['answered']:g},"
        f"abandoned={one['ledger']['charged']:g}"
        for one in floor.campaigns
    )
    return (
        f"{say.moment(status['now'])} waiting={status['waiting']} longest_s={status['longest_wait_s'] or 0:.0f} "
        f"talking={status['talking']} level={say.percent(status['service_level'])} offered={status['offered']} "
        f"answered={status['answered']} abandoned={status['abandoned']} {agents}{campaigns}"
    )


@click.command()
@common_options
@click.option("--watch", "-w", is_flag=True, help="Stay, and keep it live (Ctrl-C leaves).")
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), metavar="S", help="Seconds between two looks with --watch."
)
def status(watch: bool, interval: float | None) -> None:
    """The whole floor at a glance.

    Waits are red beyond the queue's service-level threshold, yellow from half of it. Service levels are green from
    80 %, red below 60 %. Campaigns show what they have dialled since the service began; ABAND is the share of people who
    answered and met nobody, in the legal window with the least room, red above its CAP. Piped, --watch prints a line a
    second (with --json, an object a line).
    """
    given = options()
    console = make_console(given)
    with connect(given, timeout_s=WATCH_TIMEOUT_S) as client:
        floor = fetch(client)
        if not watch:
            if given.json:
                print_json(as_json(floor))
            else:
                emit(console, floorview.render(floor, console, width=console.width if console.is_terminal else None))
            return
        with _leaving_politely():
            if given.json or not console.is_terminal:
                _watch_lines(client, floor, interval or PIPED_INTERVAL_S, in_json=given.json)
            screen = Live(console=console, screen=True, auto_refresh=False, transient=True)
            with screen:
                for seen, note in looks(client, floor, interval or INTERVAL_S):
                    width, height = console.size
                    screen.update(floorview.render(seen, console, width=width, height=height, note=note), refresh=True)


def looks(client: Client, floor: Floor, interval_s: float) -> Iterator[tuple[Floor, str]]:
    """The floor again and again, for ever. While the service is away: the last one, and a note that says so."""
    lost_at: float | None = None
    cost_s = 0.0
    note = ""
    while True:
        yield floor, note
        time.sleep(max(interval_s, cost_s / BUSY_SHARE_MAX))
        began = time.monotonic()
        try:
            floor, lost_at, note = fetch(client), None, ""
            cost_s = time.monotonic() - began
        except AcdError as error:
            lost_at = lost_at or began
            cost_s = 0.0
            what = "no answer" if isinstance(error, NotRunningError) else str(error)[:60]
            note = f"{what} for {say.duration(time.monotonic() - lost_at)}; as it was at"


def _watch_lines(client: Client, floor: Floor, interval_s: float, *, in_json: bool) -> NoReturn:
    """A line each time; what is not known because the service is away is not printed again."""
    for seen, note in looks(client, floor, interval_s):
        if note:
            click.echo(f"acd: {note} {say.clock(seen.status['now'])}", err=True)
        elif in_json:
            click.echo(json.dumps(as_json(seen)))
        else:
            click.echo(one_line(seen))
    raise AssertionError("looks never ends")


@contextmanager
def _leaving_politely() -> Iterator[None]:
    """Ctrl-C and SIGTERM end watching without a word, and the screen is given back first."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
