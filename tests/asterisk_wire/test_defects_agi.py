"""The defects of panoramisk 1.4 in FastAGI that matter here, one test each: stock has it, ours has not.

Where stock's behaviour is an endless loop, the test shows the cause instead of waiting for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import panoramisk.fast_agi
import pytest
from agi_fakes import AgiCall, header

from acd.asterisk.agi.request import AgiClosedError, AgiRequest
from acd.asterisk.agi.server import FastAgiServer


class SpinningReader:
    """A stream at its end, which gives up for the reader after a thousand empty reads."""

    reads = 0

    async def read(self, _: int) -> bytes:
        self.reads += 1
        if self.reads > 1000:
            raise RuntimeError("spins")
        return b""


async def test_defect_12_agi_client_that_connects_and_closes(agi: FastAgiServer) -> None:
    stock_app = panoramisk.fast_agi.Application(loop=asyncio.get_running_loop())
    with pytest.raises(RuntimeError, match="spins"):
        await stock_app.handler(SpinningReader(), None)

    port = await agi.start("127.0.0.1", 0)
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
    witnessed = asyncio.Event()
    agi.add_route("next", lambda request: witnessed.set())
    call = await AgiCall.open(port, header("next"))
    await asyncio.wait_for(witnessed.wait(), 5)
    await call.ended()
    await agi.close(grace_s=5)
    assert agi.counters.probes == 20


async def stock_reply(wire: bytes, commands: int = 1) -> list[dict[str, Any]]:
    reader = asyncio.StreamReader()
    reader.feed_data(wire)
    reader.feed_eof()

    class Writer:
        def write(self, _: bytes) -> None: ...
        async def drain(self) -> None: ...

    request = panoramisk.fast_agi.Request(None, {}, reader, Writer())
    return [await request.send_command("NOOP") for _ in range(commands)]


async def test_defect_13_agi_replies_shift_and_reading_has_no_bounds(agi: FastAgiServer) -> None:
    usage = b"520-Invalid command syntax.  Proper usage follows:\nUsage: X\n more\n520 End of proper usage.\n"
    with pytest.raises(ValueError):
        await stock_reply(b"")  # EOF in mid-command
    assert "error" in (await stock_reply(b"HANGUP\n200 result=1\n"))[0]
    with pytest.raises(ValueError):  # the rest of the usage is taken for the next reply
        await stock_reply(usage + b"200 result=7\n", 2)
    assert (await stock_reply(b"200 result= (timeout)\n"))[0]["result"] == ("", "")

    outcomes: list[Any] = []

    async def handler(request: AgiRequest) -> None:
        outcomes.append((request.path, request.query))
        outcomes.extend([await request.command(verb) for verb in ("WAIT FOR DIGIT", "EXEC", "GET DATA", "NOOP")])
        outcomes.append(request.hung_up)
        try:
            await request.command("ANSWER")
        except AgiClosedError as error:
            outcomes.append(type(error))
            raise

    agi.add_route("inbound", handler)
    port = await agi.start("127.0.0.1", 0)
    call = await AgiCall.open(port, header("inbound?queue=sales&x=%20"))
    for reply in (b"HANGUP\n200 result=1\n", usage, b"200 result= (timeout)\n", b"200 result=-1 endpos=960\n"):
        await call.command()
        call.raw(reply)
    await call.command()
    call.eof()
    await call.ended()
    assert outcomes[0] == ("inbound", {"queue": "sales", "x": " "})
    assert [(reply.code, reply.result, reply.value, reply.endpos) for reply in outcomes[1:5]] == [
        (200, "1", None, None),
        (520, "", None, None),
        (200, "", "timeout", None),
        (200, "-1", None, 960),
    ]
    assert outcomes[5:] == [True, AgiClosedError]

    silent = await AgiCall.open(port, b"agi_network: yes\n")
    await silent.ended()
    endless = await AgiCall.open(port, b"agi_network: yes\nagi_x: " + b"x" * 1_000_000)
    await endless.ended()
    assert (agi.counters.header_timeouts, agi.counters.malformed, agi.counters.ended_early) == (1, 1, 1)


async def test_defect_13_agi_cancellation_is_not_swallowed(agi: FastAgiServer) -> None:
    async def cancelled(request: Any) -> None:
        raise asyncio.CancelledError

    async def stock_run() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(header("x"))
        app = panoramisk.fast_agi.Application(loop=asyncio.get_running_loop())
        app.add_route("x", cancelled)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await app.handler(reader, writer)

    port = await agi.start("127.0.0.1", 0)
    await stock_run()  # returns as if nothing had happened

    entered, freed = asyncio.Event(), asyncio.Event()

    async def waits(request: AgiRequest) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            freed.set()

    agi.add_route("waits", waits)
    await AgiCall.open(port, header("waits"))
    await entered.wait()
    (session,) = [task for task in agi._tasks if not task.done()][-1:]
    session.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session
    assert freed.is_set()


async def test_defect_14_plain_function_as_route(agi: FastAgiServer) -> None:
    stock_app = panoramisk.fast_agi.Application(loop=asyncio.get_running_loop())
    with pytest.raises(AttributeError):
        stock_app.add_route("plain", lambda request: None)

    served = asyncio.Event()
    agi.add_route("plain", lambda request: served.set())
    port = await agi.start("127.0.0.1", 0)
    await AgiCall.open(port, header("plain"))
    await asyncio.wait_for(served.wait(), 5)
