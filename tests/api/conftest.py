"""A fake floor behind a real server at a real Unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from fakefloor import FakeFloor, FakeRecords

from acd.api import ApiServer, make_app


@pytest.fixture
def floor() -> FakeFloor:
    return FakeFloor()


@pytest.fixture
def records() -> FakeRecords:
    return FakeRecords()


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "acd.sock"


@pytest.fixture
async def server(floor: FakeFloor, records: FakeRecords, socket_path: Path) -> AsyncIterator[ApiServer]:
    app = make_app(floor, records, version="9.9", counters=lambda: {"spill_replays": 2})
    server = ApiServer(app, socket_path, tcp=("127.0.0.1", 0))
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def http(server: ApiServer, socket_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(socket_path))
    async with aiohttp.ClientSession("http://acd", connector=connector) as session:
        yield session
