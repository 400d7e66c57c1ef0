"""The fake floor behind a real server in a thread of its own, for tests of its clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from click.testing import Result
from fakefloor import FakeFloor, FakeRecords

from acd.api import ApiServer, make_app
from acd.api.campaigns import CampaignsPort
from acd.api.desk import DeskPort

Run = Callable[..., Result]


@dataclass
class Service:
    """A running service: its fakes, to look at and to change, and its socket."""

    floor: FakeFloor
    records: FakeRecords
    socket: Path


def serve_in_thread(
    floor: FakeFloor,
    records: FakeRecords,
    socket: Path,
    desk: DeskPort | None = None,
    campaigns: CampaignsPort | None = None,
) -> Callable[[], None]:
    """Serve until the returned function is called."""
    loop = asyncio.new_event_loop()
    server = ApiServer(make_app(floor, records, version="9.9", desk=desk, campaigns=campaigns), socket)
    up = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(server.start())
        up.set()
        loop.run_forever()
        loop.run_until_complete(server.close())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(10)

    def stop() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        assert not thread.is_alive()

    return stop
