"""A TCP connection between the service and Asterisk that can be listened to, silenced and cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Between:
    """Listens on ``port`` of 127.0.0.1 and passes on to ``target``.

    While ``silent`` nothing is passed on and nothing is closed, as on a network that has lost its way: what is sent
    meanwhile is gone for good. ``heard`` is all that the far side said.
    """

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.silent = False
        self.heard = bytearray()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Between]:
        """Open on entry, every connection closed at the end."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            self.cut()

    def cut(self) -> None:
        """Close every connection, as a switch that restarts."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, sink, heard in ((reader, far_writer, None), (far_reader, writer, self.heard)):
            task = asyncio.create_task(self._pass_on(source, sink, heard))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, heard: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if not self.silent:
                    if heard is not None:
                        heard += data
                    sink.write(data)
        if not self.silent:
            sink.close()
