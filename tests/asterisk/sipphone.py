"""A phone that can do what SIPp's cannot: hold one call, place a second and join the two (REFER with Replaces).

Signalling only, UDP, one dialog each way, no authentication, and no more of SIP than the test needs.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote

HOST = "127.0.0.1"


@dataclass
class Dialog:
    """One call of the phone's. ``local`` and ``remote`` are From and To as this phone writes them."""

    call_id: str
    local: str
    remote: str
    target: str
    cseq: int = 1
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    responses: asyncio.Queue[tuple[str, int]] = field(default_factory=asyncio.Queue)


class SipPhone(asyncio.DatagramProtocol):
    """Answers every call at once. Make it with ``open``."""

    def __init__(self, name: str, port: int, asterisk_port: int) -> None:
        self.name, self.port, self._asterisk = name, port, (HOST, asterisk_port)
        self.dialogs: dict[str, Dialog] = {}
        self.called: asyncio.Queue[Dialog] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, name: str, port: int, asterisk_port: int) -> SipPhone:
        """Listen on UDP ``port`` of this machine."""
        _, phone = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(name, port, asterisk_port), local_addr=(HOST, port)
        )
        return phone

    def close(self) -> None:
        """Say nothing more."""
        assert self._transport is not None
        self._transport.close()

    async def call(self, extension: str, *, display: bytes = b"", name: str = "") -> Dialog:
        """Call ``extension`` and wait until it answers. ``display`` is the name to show, whatever bytes it has; ``name``:
        as which phone, where several have this one's port."""
        tag, target = secrets.token_hex(4), f"sip:{extension}@{HOST}:{self._asterisk[1]}"
        shown = f'"{display.decode(errors="surrogateescape")}" ' if display else ""
        dialog = Dialog(
            secrets.token_hex(8), f"{shown}<sip:{name or self.name}@{HOST}>;tag={tag}", f"<{target}>", target
        )
        self.dialogs[dialog.call_id] = dialog
        self._request("INVITE", dialog, sdp=True)
        async with asyncio.timeout(20):
            await dialog.up.wait()
        return dialog

    async def hold(self, dialog: Dialog, *, on: bool = True) -> None:
        """Put whoever is in ``dialog`` on hold; ``on=False``: take him back."""
        self._request("INVITE", dialog, sdp=True, direction="sendonly" if on else "sendrecv")
        async with asyncio.timeout(20):
            await self._response_to(dialog, "INVITE", 200)

    async def hang_up(self, dialog: Dialog) -> None:
        """End ``dialog``."""
        self._request("BYE", dialog)
        async with asyncio.timeout(20):
            await self._response_to(dialog, "BYE", 200)

    async def refer(self, dialog: Dialog, extension: str) -> None:
        """Send whoever is in ``dialog`` away to ``extension``, unasked (a blind transfer)."""
        to = f"Refer-To: <sip:{extension}@{HOST}:{self._asterisk[1]}>"
        self._request("REFER", dialog, to, f"Referred-By: <sip:{self.name}@{HOST}>")
        async with asyncio.timeout(20):
            await self._response_to(dialog, "REFER", 202)

    async def join(self, first: Dialog, second: Dialog) -> None:
        """Hand whoever is in ``first`` over to whoever is in ``second``, and wait until both calls are over."""
        tags = {side: re.search(r"tag=([^;>\s]+)", text)[1] for side, text in vars(second).items() if side in _SIDES}
        replaces = f"{second.call_id};to-tag={tags['remote']};from-tag={tags['local']}"
        refer_to = f"<{second.target}?Replaces={quote(replaces, safe='')}>"
        self._request("REFER", first, f"Refer-To: {refer_to}", f"Referred-By: <sip:{self.name}@{HOST}>")
        async with asyncio.timeout(20):
            await self._response_to(first, "REFER", 202)
            await second.over.wait()
            # Whoever has handed a call over hangs up himself
            self._request("BYE", first)
            await self._response_to(first, "BYE", 200)

    async def _response_to(self, dialog: Dialog, method: str, status: int) -> None:
        while await dialog.responses.get() != (method, status):
            pass

    # -- the wire ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        head, _, _ = data.decode(errors="surrogateescape").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = [line.partition(":")[::2] for line in lines]
        values = {name.strip().lower(): value.strip() for name, value in reversed(headers)}
        if first.startswith("SIP/2.0 "):
            self._response(int(first.split()[1]), values)
        else:
            self._asked(first.split()[0], lines, values)

    def _response(self, status: int, values: dict[str, str]) -> None:
        method = values["cseq"].split()[1]
        dialog = self.dialogs.get(values["call-id"])
        if method == "INVITE" and status == 200 and dialog is not None:
            dialog.remote, dialog.target = values["to"], _uri(values["contact"])
            self._request("ACK", dialog)
            dialog.up.set()
        if dialog is not None:
            dialog.responses.put_nowait((method, status))

    def _asked(self, method: str, lines: list[str], values: dict[str, str]) -> None:
        if method == "ACK":
            return
        dialog = self.dialogs.get(values["call-id"])
        new = method == "INVITE" and dialog is None
        if new:
            local = f"{values['to']};tag={secrets.token_hex(4)}"
            dialog = Dialog(values["call-id"], local, values["from"], _uri(values["contact"]))
            self.dialogs[dialog.call_id] = dialog
        to = dialog.local if dialog is not None else values["to"]
        copied = [line for line in lines if line.lower().startswith(("via:", "from:", "call-id:", "cseq:"))]
        for status in ("180 Ringing", "200 OK") if method == "INVITE" else ("200 OK",):
            self._send([f"SIP/2.0 {status}", *copied, f"To: {to}"], sdp=method == "INVITE" and status == "200 OK")
        if method == "BYE" and dialog is not None:
            dialog.over.set()
        if new and dialog is not None:
            dialog.up.set()
            self.called.put_nowait(dialog)

    def _request(self, method: str, dialog: Dialog, *more: str, sdp: bool = False, direction: str = "sendrecv") -> None:
        dialog.cseq += method != "ACK"
        branch = f"z9hG4bK{secrets.token_hex(6)}"
        self._send(
            [
                f"{method} {dialog.target} SIP/2.0",
                f"Via: SIP/2.0/UDP {HOST}:{self.port};rport;branch={branch}",
                f"From: {dialog.local}",
                f"To: {dialog.remote}",
                f"Call-ID: {dialog.call_id}",
                f"CSeq: {dialog.cseq} {method}",
                "Max-Forwards: 70",
                *more,
            ],
            sdp=sdp,
            direction=direction,
        )

    def _send(self, lines: list[str], *, sdp: bool, direction: str = "sendrecv") -> None:
        body = _SDP.replace("sendrecv", direction) if sdp else ""
        kind = ["Content-Type: application/sdp"] if sdp else []
        tail = [f"Contact: <sip:{self.name}@{HOST}:{self.port}>", *kind, f"Content-Length: {len(body)}", "", body]
        assert self._transport is not None
        self._transport.sendto("\r\n".join([*lines, *tail]).encode(errors="surrogateescape"), self._asterisk)


_SIDES = ("local", "remote")
_SDP = (
    f"v=0\r\no=lab 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


def _uri(contact: str) -> str:
    return re.sub(r"^.*?<([^>]*)>.*$", r"\1", contact).partition(";")[0]
