"""From TCP segments to messages: the framing of the manager interface, on panoramisk's protocol class.

Bytes in, dictionaries out. No timers, no action ids, no reconnecting (``session``), no meaning (the translator).
panoramisk's own ``data_received`` decodes each segment by itself, lets a callback's exception close the connection
and, when it closes, keeps actions to send them again; every method that takes part in that is replaced here.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable, Container
from typing import cast

from panoramisk.ami_protocol import AMIProtocol

from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.messages import Message, parse_message
from acd.asterisk.ami.quietlog import QuietLog
from acd.domain.errors import AsteriskError, MisuseError

MAX_MESSAGE_BYTES = 256 * 1024
MAX_DISCARDED_BYTES = 16 * 1024 * 1024
GATHER_S = 0.07
"""So long at most is left unread what nobody is in a hurry for: a record is to be durable within 100 ms of its event."""
AT_ONCE = 8
"""So many messages are handed on in one go. After them a caller who asks where to go has his turn."""
AT_ONCE_OF_LISTS = 200
"""The same for who only asks for lists, of which nothing is done but keeping the items until the last has come."""

_END = b"\r\n\r\n"
_BANNER = b"Asterisk Call Manager/"
_MAX_BANNER_BYTES = 512
_EVENT = "Event: "
_EVENT_LEN = len(_EVENT)

log = logging.getLogger(__name__)


class AmiProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """One connection. Gives every response to ``on_response`` and every event that is wanted to ``on_event``.

    ``wanted``: names of events to hand on, None for all. Others are dropped by their first line, unless ``claimed`` is
    not empty and they carry an ActionID in it: items of a list somebody waits for. ``on_event`` gets name and message.
    Both are called in the order of the wire; what they raise is logged and counted, and the connection lives on.
    ``on_lost`` is called once with the reason when the connection is gone.

    ``no_hurry`` is asked when all that has come was handed on: if it says yes, what comes within `GATHER_S` stays in the
    kernel and is read in one go, unless something is written or ``listen`` is called before. A call makes some ten
    events, most of them in two bursts of some milliseconds, and being woken for each costs more than reading it. What was
    read is handed on ``at_once`` messages at a time, between which the loop does whatever else there is; nothing more is
    read meanwhile. ``put_off`` of the counters says how often reading was put off.

    ``banner`` resolves to the interface's version, or fails with AsteriskError when the peer is no manager interface
    or goes away. ``last_bytes_at`` is the loop's time of the last bytes, in seconds.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[str, Message], None],
        on_response: Callable[[Message], None],
        on_lost: Callable[[str], None],
        counters: AmiCounters,
        quiet: QuietLog,
        wanted: frozenset[str] | None = None,
        claimed: Container[str] = frozenset(),
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        no_hurry: Callable[[], bool] = lambda: False,
        at_once: int = AT_ONCE,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self._on_response = on_response
        self._on_lost = on_lost
        self._counters = counters
        self._quiet = quiet
        self._wanted = wanted
        self._claimed = claimed
        self._max_message_bytes = max_message_bytes
        self._no_hurry = no_hurry
        self._at_once = at_once
        self._gathering: asyncio.TimerHandle | None = None
        self._blocks: deque[str] = deque()
        self._handing: asyncio.Handle | None = None
        self._hasty = False
        self._tail = bytearray()
        self._discarding = False
        self._discarded_bytes = 0
        self._lost_because: str | None = None
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.version: str | None = None
        self.banner: asyncio.Future[str] = self._loop.create_future()
        self.banner.add_done_callback(lambda banner: banner.cancelled() or banner.exception())
        self.last_bytes_at = self._loop.time()

    # -- asyncio's side -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes
        transport = cast(asyncio.Transport, transport)
        self.transport = transport
        self.last_bytes_at = self._loop.time()
        if self.closed:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self.last_bytes_at = self._loop.time()
        if self.closed:
            return
        if self.version is None:
            data = self._take_banner(data)
            if not data:
                return
        tail = self._tail
        if not tail:
            end = data.rfind(_END)
        else:
            # Searching only the seam and what is new keeps a long message that comes in crumbs linear.
            seam = max(0, len(tail) - len(_END) + 1)
            tail += data
            end = tail.rfind(_END, seam)
            data = bytes(tail) if end >= 0 else b""
        if end < 0:
            self._keep(data)
            return
        del tail[:]
        whole, rest = data[:end], data[end + len(_END) :]
        if self._discarding:
            whole = self._resume(whole)
        # A replacement character never swallows CR or LF, so decoding many messages at once equals one by one.
        self._blocks.extend(whole.decode(errors="replace").split("\r\n\r\n"))
        if self._handing is None:
            self._hand_on()
        if rest and not self.closed:
            self._keep(rest)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost_because is not None:
            return
        self._take(sys.maxsize)
        if self._lost_because is not None:
            return  # given up by who was told the last of it
        self.closed = True
        self._lost_because = "Asterisk closed the connection" if exc is None else f"the connection broke: {exc}"
        self._finish()

    # -- our side -------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes made by ``encode``. Silently nothing once the connection is gone: its loss has been reported."""
        if self.transport is not None and not self.closed:
            self.listen()
            self.transport.write(data)

    def listen(self) -> None:
        """Somebody is in a hurry: read on now, if reading was put off, or as soon as all is handed on that was read."""
        if self._handing is not None:
            self._hasty = True
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
            if self.transport is not None and not self.closed:
                self.transport.resume_reading()

    @property
    def unhanded(self) -> int:
        """Messages that were read and are still to be handed on."""
        return len(self._blocks)

    def unsent_bytes(self) -> int:
        """Bytes written and not yet taken by the kernel: they grow when the peer does not read."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def abort(self, reason: str) -> None:
        """Drop the connection now; ``on_lost`` is called with ``reason`` before this returns, if it was not yet."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()
        if self._lost_because is None:
            self._lost_because = reason
            self._finish()

    def close(self) -> None:
        """Close politely: what was written is still sent, unless the peer does not read it."""
        if self.transport is None or self.closed or self.unsent_bytes():
            self.abort("closed by us")
            return
        self.closed = True
        self.transport.close()
        self._lost_because = "closed by us"
        self._finish()

    def send(self, data: object, as_list: bool = False) -> object:
        """panoramisk's way of sending is closed: its table of responses is what replays actions."""
        raise MisuseError("AmiProtocol.send is not available; send through AmiSession")

    def handle_message(self, message: Message) -> None:
        """Hand one parsed message to whoever it is for."""
        try:
            if "Event" in message:
                self._counters.events += 1
                self._on_event(message["Event"], message)
            elif "Response" in message:
                self._counters.responses += 1
                self._on_response(message)
            else:
                self._counters.malformed += 1
        except Exception as error:
            self._counters.handler_errors += 1
            what = message.get("Event", "a response")
            kind = f"handler {type(error).__name__} {what}"
            self._quiet.say(logging.ERROR, kind, "handling %s failed: %s", what, error, exc=error)

    # -- framing --------------------------------------------------------------------------------------------------

    def _hand_on(self) -> None:
        """Hand on some of what was read, the rest in the loop's next turn; then read on, or put that off."""
        was_reading, self._handing = self._handing is None, None
        self._take(self._at_once)
        if self.closed:
            return
        if self._blocks:
            self._handing = self._loop.call_soon(self._hand_on)
        elif not self._hasty and self._no_hurry():
            self._counters.put_off += 1
            self._gathering = self._loop.call_later(GATHER_S, self.listen)
        self._hasty = self._hasty and bool(self._blocks)
        reads = self._handing is None and self._gathering is None
        if reads != was_reading and self.transport is not None:
            self.transport.resume_reading() if reads else self.transport.pause_reading()

    def _finish(self) -> None:
        self.listen()
        self._blocks.clear()
        reason = self._lost_because or ""
        self._tail.clear()
        if not self.banner.done():
            self.banner.set_exception(AsteriskError(f"{reason} before it greeted"))
        self._on_lost(reason)

    def _take_banner(self, data: bytes) -> bytes:
        self._tail += data
        end = self._tail.find(b"\r\n")
        start = bytes(self._tail[: len(_BANNER)])
        if not _BANNER.startswith(start) or (end < 0 and len(self._tail) > _MAX_BANNER_BYTES):
            shown = bytes(self._tail[:40])
            if not self.banner.done():
                self.banner.set_exception(AsteriskError(f"what answers is no Asterisk manager interface: {shown!r}"))
            self.abort("not a manager interface")
            return b""
        if end < 0:
            return b""
        self.version = self._tail[len(_BANNER) : end].decode(errors="replace").strip()
        rest = bytes(self._tail[end + 2 :])
        self._tail.clear()
        if not self.banner.done():
            self.banner.set_result(self.version)
        return rest

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a message for the next segment, within the cap."""
        tail = self._tail
        tail += rest
        if not self._discarding and len(tail) <= self._max_message_bytes:
            return
        if not self._discarding:
            self._discarding = True
            self._discarded_bytes = 0
            self._counters.dropped += 1
            first_line = bytes(tail[:60]).partition(b"\r\n")[0]
            self._quiet.say(
                logging.WARNING,
                "oversize",
                "dropping a message over %d bytes that begins %r",
                self._max_message_bytes,
                first_line,
            )
        self._discarded_bytes += len(tail)
        del tail[: -(len(_END) - 1)]
        self._discarded_bytes -= len(tail)
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.abort(f"a message did not end within {MAX_DISCARDED_BYTES} bytes")

    def _resume(self, whole: bytes) -> bytes:
        """The end of an over-long message was found: forget it, keep the complete messages behind it."""
        self._discarding = False
        _, _, behind = whole.partition(_END)
        return behind

    def _take(self, at_most: int) -> None:
        """Hand on so many messages. What is passed over costs next to nothing, and does not count."""
        wanted, counters, longest, blocks = self._wanted, self._counters, self._max_message_bytes, self._blocks
        while blocks and at_most > 0:
            block = blocks.popleft()
            # TEST_FRAMEWORK builds end some events with an extra empty line, which shows as a leading CR LF.
            if block.startswith("\r\n"):
                block = block.lstrip("\r\n")
            if not block or self.closed:
                continue
            if wanted is not None and block.startswith(_EVENT):
                end = block.find("\r\n", _EVENT_LEN)
                name = block[_EVENT_LEN:end] if end >= 0 else block[_EVENT_LEN:]
                if name not in wanted and not (self._claimed and "\r\nActionID: " in block):
                    counters.unwanted += 1
                    continue
            if len(block) > longest:
                counters.dropped += 1
                self._quiet.say(logging.WARNING, "oversize", "dropping a message of %d characters", len(block))
                continue
            message, malformed = parse_message(block)
            if malformed:
                counters.malformed += malformed
            self.handle_message(message)
            at_most -= 1
