"""A TCP connection between the service and Asterisk that can be listened to and silenced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Between:
    """Listens on ``port`` of 127.0.0.1 and passes on to ``target``.

    Between ``fall_silent`` and ``speak`` it is a network that has lost its way: what is sent is gone for good, and
    neither side learns that the other has closed. ``heard`` is all that the far side said and that was passed on. What the
    near side says comes ``late_s`` seconds late.
    """

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.heard = bytearray()
        self.late_s = 0.0
        self._silent = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._bereft: set[asyncio.StreamWriter] = set()

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
            for writer in self._writers:
                writer.transport.abort()

    def fall_silent(self) -> None:
        """Swallow everything from now on."""
        self._silent = True

    def speak(self) -> None:
        """Pass on again. Whose other side has gone meanwhile is told so, as a machine tells what it knows nothing of."""
        self._silent = False
        for writer in self._bereft:
            writer.transport.abort()
        self._bereft.clear()

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
                if heard is None and self.late_s:
                    await asyncio.sleep(self.late_s)
                if not self._silent and not sink.is_closing():
                    if heard is not None:
                        heard += data
                    sink.write(data)
        if self._silent:
            self._bereft.add(sink)
        else:
            sink.close()
