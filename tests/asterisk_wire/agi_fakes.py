"""Asterisk's side of a FastAGI connection, as a test plays it."""

from __future__ import annotations

import asyncio
import contextlib


def header(script: str | None, **more: str) -> bytes:
    """A whole AGI header as Asterisk 22 sends it, with ``more`` in place of or behind the usual lines."""
    values = {
        "agi_network": "yes",
        "agi_network_script": script,
        "agi_request": f"agi://127.0.0.1/{script}",
        "agi_channel": "PJSIP/trunk-00000001",
        "agi_language": "en",
        "agi_type": "PJSIP",
        "agi_uniqueid": "1795281218.26",
        "agi_version": "22.10.1",
        "agi_callerid": "+33123456789",
        "agi_calleridname": "Zoë",
        "agi_callingpres": "0",
        "agi_dnid": "800",
        "agi_rdnis": "unknown",
        "agi_context": "acd-inbound",
        "agi_extension": "800",
        "agi_priority": "4",
        "agi_enhanced": "0.0",
        "agi_accountcode": "",
        "agi_threadid": "140",
    } | more
    lines = [f"{name}: {value}\n" for name, value in values.items() if value is not None]
    return "".join(lines).encode() + b"\n"


class AgiCall:
    """One connection to a FastAGI server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, first_bytes: bytes) -> AgiCall:
        call = cls(*await asyncio.open_connection("127.0.0.1", port))
        call.raw(first_bytes)
        return call

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    async def command(self) -> str:
        """The next command the server sends; empty when it closed."""
        return (await asyncio.wait_for(self.reader.readline(), 10)).decode().rstrip("\n")

    async def answer(self, reply: str = "200 result=1") -> str:
        """Take the next command and reply to it; returns the command."""
        command = await self.command()
        self.raw(reply.encode() + b"\n")
        return command

    def eof(self) -> None:
        """Send no more, as Asterisk does at the end; the server's own closing can still be awaited."""
        self.writer.write_eof()

    async def ended(self) -> bytes:
        """Wait until the server has closed the connection; returns what it still sent."""
        rest = b""
        with contextlib.suppress(ConnectionError):  # closed with bytes of ours unread
            rest = await asyncio.wait_for(self.reader.read(), 10)
        self.writer.close()
        return rest
