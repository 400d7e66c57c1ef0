"""A manager interface that does as a test tells it, and a witness that notes what a session reports.

Real sockets on ports the system chooses; no Asterisk and no sleeping: a test waits for what it wants to see.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from acd.asterisk.ami.keeper import AmiTimings
from acd.asterisk.ami.messages import Message
from acd.asterisk.ami.session import AmiSession

Fields = dict[str, str]
Answer = Callable[["Line", Fields], Awaitable[None] | None]

BOOTED = {"Event": "FullyBooted", "Privilege": "system,all", "Uptime": "7", "LastReload": "7", "Status": "Fully Booted"}
QUICK = AmiTimings(
    ping_interval_s=0.05,
    silence_limit_s=0.2,
    connect_timeout_s=0.5,
    action_timeout_s=0.5,
    backoff_min_s=0.01,
    backoff_max_s=0.05,
    auth_pause_s=0.3,
)
CALM = AmiTimings(backoff_min_s=0.01, backoff_max_s=0.05)
"""quick to reconnect, otherwise as in production: for tests in which pings would only disturb"""


class Line:
    """One connection to the fake, as its answers see it."""

    def __init__(self, fake: FakeAmi, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.fake, self.reader, self.writer = fake, reader, writer

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def say(self, *headers: tuple[str, str], **more: str) -> None:
        lines = [f"{name}: {value}" for name, value in (*headers, *more.items())]
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    def reply(self, fields: Fields, response: str = "Success", **more: str) -> None:
        self.say(("Response", response), ("ActionID", fields["ActionID"]), *more.items())

    def hang_up(self) -> None:
        self.writer.transport.abort()


class FakeAmi:
    """``answers``: action name -> what to do; Login and Ping are answered as Asterisk does unless named there."""

    def __init__(self, *, booted: bool = True, greeting: bytes = b"Asterisk Call Manager/9.0.0\r\n") -> None:
        self.answers: dict[str, Answer] = {}
        self.received: list[Fields] = []
        self.lines: list[Line] = []
        self.connections = 0
        self.booted, self.greeting = booted, greeting
        self.port = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[str] = []
        self._server: asyncio.Server | None = None

    async def start(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> FakeAmi:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, ssl=tls, limit=2**24)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for line in self.lines:
            line.hang_up()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        assert not self._broken, f"the fake itself failed: {self._broken}"

    def names(self) -> list[str]:
        """Actions received so far, pings left out."""
        return [fields["Action"] for fields in self.received if fields["Action"] != "Ping"]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at whenever the fake received something or lost somebody."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(condition)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        line = Line(self, reader, writer)
        self.lines.append(line)
        task = asyncio.create_task(self._serve(line))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broken.append(repr(task.exception()))

    async def _serve(self, line: Line) -> None:
        line.raw(self.greeting)
        await self._notify()
        try:
            while True:
                block = await line.reader.readuntil(b"\r\n\r\n")
                pairs = [text.split(": ", 1) for text in block.decode().strip().split("\r\n")]
                fields: Fields = dict(pairs)
                self.received.append(fields)
                answer = self.answers.get(fields["Action"], getattr(self, "_on_" + fields["Action"].lower(), None))
                result = answer(line, fields) if answer is not None else line.reply(fields)
                if result is not None:
                    await result
                await self._notify()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            if line in self.lines:
                self.lines.remove(line)
            line.writer.close()
            await self._notify()

    def _on_login(self, line: Line, fields: Fields) -> None:
        line.reply(fields, Message="Authentication accepted")
        if self.booted and fields["Events"] != "off":
            line.say(*BOOTED.items())

    def _on_logoff(self, line: Line, fields: Fields) -> None:
        line.say(Response="Goodbye", Message="Thanks for all the fish.")
        line.writer.close()

    def _on_ping(self, line: Line, fields: Fields) -> None:
        line.reply(fields, Ping="Pong")


class Witness:
    """Collects what a session tells its owner, and waits for it."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()

    def note(self, kind: str, what: Any) -> None:
        self.log.append((kind, what))
        self._changed.set()

    def on_event(self, message: Message) -> None:
        self.note("event", message)

    def on_up(self, message: Message) -> None:
        self.note("up", message)

    def on_down(self, reason: str) -> None:
        self.note("down", reason)

    def of(self, kind: str) -> list[Any]:
        return [what for noted, what in self.log if noted == kind]

    async def until(self, kind: str, count: int = 1) -> Any:
        """Wait for the ``count``-th note of that kind and return it."""
        async with asyncio.timeout(10):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)[count - 1]


def make_session(fake_port: int, witness: Witness, **changes: Any) -> AmiSession:
    settings: dict[str, Any] = {
        "name": "lab",
        "host": "127.0.0.1",
        "port": fake_port,
        "username": "acd",
        "secret": "sesame",
        "on_event": witness.on_event,
        "on_up": witness.on_up,
        "on_down": witness.on_down,
        "timings": CALM,
        "rng": random.Random(1),
    }
    return AmiSession(**(settings | changes))
