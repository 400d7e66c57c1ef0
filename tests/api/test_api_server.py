"""The places the application is served at, and what reaches them that is not HTTP."""

# ruff: noqa: ASYNC240

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from pathlib import Path

import aiohttp
import pytest
import uvloop
from fakefloor import FakeFloor, FakeRecords

from acd.api import ApiServer, make_app
from acd.api.app import COUNTS
from acd.domain.errors import ConfigurationError


def new_server(path: Path, tcp: tuple[str, int] | None = None) -> ApiServer:
    return ApiServer(make_app(FakeFloor(), FakeRecords(), version="9.9"), path, tcp=tcp)


async def raw(path: Path, data: bytes) -> bytes:
    """What the server says to these bytes until it closes (nothing, if it closes with much of them unread)."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_only_the_owner_may_reach_the_socket(server: ApiServer, socket_path: Path) -> None:
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700


async def test_the_mode_does_not_depend_on_the_umask(socket_path: Path) -> None:
    old = os.umask(0)
    server = new_server(socket_path)
    try:
        await server.start()
    finally:
        os.umask(old)
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    await server.close()
    assert not socket_path.exists()


async def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server = new_server(tmp_path / "acd.sock")
    await server.start()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    await server.close()


async def test_a_socket_of_the_dead_is_replaced(socket_path: Path) -> None:
    socket_path.parent.mkdir()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(socket_path))
    dead.close()
    server = new_server(socket_path)
    await server.start()
    assert b" 200 " in await raw(socket_path, b"GET /health HTTP/1.0\r\n\r\n")
    await server.close()


async def test_the_socket_of_the_living_is_left_alone(server: ApiServer, socket_path: Path) -> None:
    second = new_server(socket_path)
    with pytest.raises(ConfigurationError, match="another acd serves at"):
        await second.start()
    await second.close()
    assert b" 200 " in await raw(socket_path, b"GET /health HTTP/1.0\r\n\r\n")


async def test_the_socket_of_a_stranger_is_left_alone(socket_path: Path) -> None:
    socket_path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(socket_path))
        stranger.listen()
        with pytest.raises(ConfigurationError, match="another service answers at"):
            await new_server(socket_path).start()
        assert socket_path.exists()


async def test_a_file_in_the_way_is_left_alone(socket_path: Path) -> None:
    socket_path.parent.mkdir()
    socket_path.write_text("precious")
    with pytest.raises(ConfigurationError, match="is not a socket"):
        await new_server(socket_path).start()
    assert socket_path.read_text() == "precious"


async def test_a_place_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="longer than 107 bytes"):
        await new_server(tmp_path / ("x" * 120) / "acd.sock").start()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot listen at .*file"):
        await new_server(tmp_path / "file" / "run" / "acd.sock").start()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigurationError, match="writable by everybody"):
        await new_server(tmp_path / "open" / "acd.sock").start()


async def test_a_failed_start_leaves_nothing(socket_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match=r"cannot listen at 127\.0\.0\.1:\d+: "):
            await new_server(socket_path, ("127.0.0.1", taken.getsockname()[1])).start()
    assert not socket_path.exists()
    again = new_server(socket_path)
    await again.start()
    await again.close()
    await again.close()


async def test_tcp_has_the_probes_and_nothing_else(server: ApiServer) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.tcp_port}") as tcp:
        statuses = {}
        for path in ("/health", "/metrics", "/v1/status", "/v1/agents/anna"):
            async with tcp.get(path) as response:
                statuses[path] = response.status
        async with tcp.post("/v1/agents/anna/pause") as response:
            statuses["pause"] = response.status
        async with tcp.post("/health") as response:
            statuses["post"] = response.status
    assert statuses == {
        "/health": 200, "/metrics": 200, "/v1/status": 404, "/v1/agents/anna": 404,
        "pause": 404, "post": 405,
    }  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
async def test_tcp_beyond_loopback_is_refused(socket_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="only a loopback address"):
        await new_server(socket_path, (host, 0)).start()
    assert not socket_path.exists()


GARBAGE = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "half a line": b"GARBAGE\r\n\r\n",
    "bytes that are not UTF-8 in a header name": b"GET / HTTP/1.1\r\nHost: a\r\nX-\xff\xfe: 1\r\n\r\n",
    "a line of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header of 100 kB": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "a thousand headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n",
    "two lengths": b"POST /v1/agents/anna/pause HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a negative length": b"POST /v1/agents/anna/pause HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    "length and chunks": (
        b"POST /v1/agents/anna/pause HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_is_answered_counted_and_survived(server: ApiServer, socket_path: Path, name: str) -> None:
    answer = await raw(socket_path, GARBAGE[name])
    if len(GARBAGE[name]) < 50_000 or answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 400 "), answer[:200]
        error = json.loads(body)["error"]
        assert error["kind"] == "bad_request"
        assert len(error["message"]) < 300
    metrics = await raw(socket_path, b"GET /metrics HTTP/1.0\r\n\r\n")
    assert b"\nacd_http_malformed_total 1.0\n" in metrics


async def test_a_broken_body_is_400(server: ApiServer, socket_path: Path) -> None:
    head = b"POST /v1/agents/anna/pause HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    answer = await raw(socket_path, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert b" 400 " in answer.splitlines()[0], answer


async def test_bytes_that_are_not_utf8_in_a_value_are_survived(server: ApiServer, socket_path: Path) -> None:
    request = b"GET /v1/queues/\xff\xfe HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-A: \xff\r\n\r\n"
    answer = await raw(socket_path, request)
    assert answer.split(b" ")[1] in (b"400", b"404")
    assert b" 200 " in await raw(socket_path, b"GET /health HTTP/1.0\r\n\r\n")


async def test_a_body_that_never_comes_is_408(
    server: ApiServer, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acd.api.parameters.BODY_TIMEOUT_S", 0.05)
    head = b"POST /v1/agents/anna/pause HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{"
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    writer.write(head)
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_the_silent_are_turned_away(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acd.api.server.FIRST_REQUEST_TIMEOUT_S", 0.05)
    app = make_app(FakeFloor(), FakeRecords(), version="9.9")
    server = ApiServer(app, socket_path)
    await server.start()
    assert await raw(socket_path, b"GET /health HT") == b""
    assert app[COUNTS].turned_away.labels("silent")._value.get() == 1
    await server.close()


async def test_connections_have_a_bound(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acd.api.server.CONNECTIONS_MAX", 3)
    app = make_app(FakeFloor(), FakeRecords(), version="9.9")
    server = ApiServer(app, socket_path)
    await server.start()
    held = []
    for _ in range(3):
        reader, writer = await asyncio.open_unix_connection(str(socket_path))
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 200 " in await reader.readline()
        held.append(writer)
    assert await raw(socket_path, b"") == b""
    assert app[COUNTS].turned_away.labels("too_many")._value.get() == 1
    for writer in held:
        writer.close()
        await writer.wait_closed()
    await server.close()


async def test_close_lets_a_request_in_progress_end(socket_path: Path) -> None:
    floor = FakeFloor()
    floor.hang = asyncio.Event()
    server = ApiServer(make_app(floor, FakeRecords(), version="9.9"), socket_path)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    writer.write(b"POST /v1/agents/bert/pause HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    entered = asyncio.Event()
    original = floor.hang.wait

    async def wait() -> bool:
        entered.set()
        return await original()

    floor.hang.wait = wait  # type: ignore[method-assign, assignment]
    await asyncio.wait_for(entered.wait(), 5)
    closing = asyncio.ensure_future(server.close())
    floor.hang.set()
    await asyncio.wait_for(closing, 5)
    assert b" 200 " in await reader.readline()
    writer.close()


def test_it_serves_on_uvloop_too(socket_path: Path) -> None:
    async def live() -> None:
        server = new_server(socket_path, ("127.0.0.1", 0))
        await server.start()
        assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
        assert b" 200 " in await raw(socket_path, b"GET /health HTTP/1.0\r\n\r\n")
        assert b" 400 " in await raw(socket_path, GARBAGE["half a line"])
        with pytest.raises(ConfigurationError, match="another acd serves at"):
            await new_server(socket_path).start()
        await server.close()
        assert not socket_path.exists()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())
