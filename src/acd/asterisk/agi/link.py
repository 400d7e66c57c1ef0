"""One FastAGI connection as a protocol: bytes in, header and lines out. No tasks, no streams, no call logic.

A session is mostly one question and one answer of ours, hundreds of times a second beside an Asterisk that needs the
processor: a state machine answers within one turn of the event loop, streams and tasks took five.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from acd.asterisk.patience import Patience

MAX_LINE_BYTES = 8 * 1024
"""Of a line that is still coming; of a whole one, characters."""
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 100
_FIRST = frozenset({"agi_network", "agi_network_script", "agi_request", "agi_channel", "agi_uniqueid"})
"""What Asterisk says before anything that a caller can write."""


class LinkOwner(Protocol):
    """What a link tells of itself."""

    def opened(self, link: AgiLink) -> bool:
        """A connection was made. False: it is turned away."""

    def asked(self, link: AgiLink, variables: dict[str, str]) -> None:
        """The whole header has come. Sets ``link.on_line`` if the session goes on."""

    def refused(self, link: AgiLink, reason: str) -> None:
        """What came is no AGI header; the link is closed."""

    def late(self, link: AgiLink) -> None:
        """The header did not come in time; the link is closed."""

    def gone(self, link: AgiLink) -> None:
        """The connection is over. Called once for every link that was opened."""


class AgiLink(asyncio.Protocol):
    """``on_line`` gets every line after the header, without its end; ``on_overrun`` is called at a line too long."""

    __slots__ = (
        "_buffer",
        "_header_bytes",
        "_owner",
        "_patience_s",
        "_timer",
        "_variables",
        "asked",
        "closed",
        "on_line",
        "on_overrun",
        "remote",
        "transport",
    )

    def __init__(self, owner: LinkOwner, patience_s: float) -> None:
        self._owner = owner
        self._patience_s = patience_s
        self._buffer = b""
        self._header_bytes = 0
        self._variables: dict[str, str] = {}
        self._timer: Patience | None = None
        self.transport: asyncio.Transport | None = None
        self.remote = "somebody"
        self.asked = False
        self.closed = False
        self.on_line: Callable[[str], None] | None = None
        self.on_overrun: Callable[[], None] | None = None

    # -- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple) and peer:
            self.remote = str(peer[0])
        if not self._owner.opened(self):
            self.closed = True
            self.transport.abort()
            return
        self._timer = Patience(self._patience_s, self._late)

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        whole, end, self._buffer = (self._buffer + data if self._buffer else data).rpartition(b"\n")
        if end:
            # Text of callers may be in any encoding; it must not cost the call.
            lines = whole.decode(errors="replace").split("\n")
            for line in lines if self.asked else self._header(lines, len(whole)):
                if self.closed:
                    return
                self._line(line.rstrip("\r"))
        if len(self._buffer) > MAX_LINE_BYTES and not self.closed:
            self._too_long()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        was_open, self.closed = self._timer is not None or self.asked, True
        self._disarm()
        if was_open:
            self._owner.gone(self)

    # -- our side ----------------------------------------------------------------------------------------------------

    def write(self, wire: bytes) -> None:
        """Send bytes; silently nothing once the connection is over."""
        if self.transport is not None and not self.closed:
            self.transport.write(wire)

    def write_last(self, wire: bytes) -> None:
        """Send bytes, and that nothing follows them; what the peer says to them is still heard."""
        if self.transport is not None and not self.closed:
            self.transport.write(wire)
            if self.transport.can_write_eof():
                self.transport.write_eof()

    def close(self) -> None:
        """Close without waiting for a peer that does not read."""
        self.closed = True
        if self.transport is not None:
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                self.transport.close()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _late(self) -> None:
        if not self.asked and not self.closed:
            self._owner.late(self)
            self.close()

    def _refuse(self, reason: str) -> None:
        self._owner.refused(self, reason)
        self.close()

    def _too_long(self) -> None:
        if not self.asked:
            self._refuse(f"a line of over {MAX_LINE_BYTES} bytes")
        elif self.on_overrun is not None:
            self.on_overrun()

    def _line(self, line: str) -> None:
        if len(line) > MAX_LINE_BYTES:
            self._too_long()
        elif self.on_line is not None:
            self.on_line(line)

    def _header(self, lines: list[str], size: int) -> list[str]:
        """Take lines of the header, of ``size`` bytes together; what follows its end."""
        variables = self._variables
        self._header_bytes += size + 1
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(f"over {MAX_HEADER_BYTES} bytes of header")
            return []
        for number, line in enumerate(lines, 1):
            name, separator, value = line.rstrip("\r").partition(": ")
            if not separator:
                name, separator, value = name.partition(":")
            if not name and not separator and variables:
                self.asked = True
                self._disarm()
                self._owner.asked(self, variables)
                return lines[number:]
            if len(line) > MAX_LINE_BYTES:
                self._too_long()
                return []
            if not separator or not name.startswith("agi_"):
                self._refuse(f"{line[:40]!r} is no AGI header")
                return []
            if len(variables) >= MAX_HEADERS:
                self._refuse(f"over {MAX_HEADERS} lines of header")
                return []
            # A number with a line feed in it writes lines of its own here: behind these, and before all others
            if name not in _FIRST or name not in variables:
                variables[name] = value
        return []
