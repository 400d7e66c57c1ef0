"""A phone that can do what SIPp's cannot: ring until the test answers it, hang up when the test says so, hold one call,
place a second and join the two (REFER with Replaces).

Signalling only, UDP, one dialog each way, no authentication, and no more of SIP than the test needs.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import quote

from callkit import PATIENT_S

HOST = "127.0.0.1"


@dataclass
class Dialog:
    """One call of the phone's. ``local`` and ``remote`` are From and To as this phone writes them; ``branch`` is that of
    its INVITE, ``asked`` what an INVITE said that rings, ``taken`` whether it was answered. ``final``: the final response
    to each request, by its CSeq."""

    call_id: str
    local: str
    remote: str
    target: str
    cseq: int = 1
    branch: str = ""
    asked: list[str] = field(default_factory=list)
    taken: bool = False
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    final: dict[str, int] = field(default_factory=dict)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def user(self) -> str:
        """Whose phone it is: the user part of ``local``."""
        return re.search(r"sip:([^@;>]+)", self.local)[1]


class SipPhone(asyncio.DatagramProtocol):
    """Answers every call at once (``called``), but for calls to ``by_hand``, which ring (``ringing``) until ``answer``.
    ``keys``: it can press some, and tells them by INFO. Make it with ``open``."""

    def __init__(
        self, name: str, port: int, asterisk_port: int, by_hand: Collection[str] = (), *, keys: bool = False
    ) -> None:
        self._sdp = _SDP.replace(" 101\r\n", "\r\n", 1).replace(_KEYS, "") if keys else _SDP
        self.name, self.port, self._asterisk = name, port, (HOST, asterisk_port)
        self._by_hand = frozenset(by_hand)
        self.dialogs: dict[str, Dialog] = {}
        self.called: asyncio.Queue[Dialog] = asyncio.Queue()
        self.ringing: asyncio.Queue[Dialog] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(
        cls, name: str, port: int, asterisk_port: int, *, by_hand: Collection[str] = (), keys: bool = False
    ) -> SipPhone:
        """Listen on UDP ``port`` of this machine; 0: on whichever is free."""
        transport, phone = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(name, port, asterisk_port, by_hand, keys=keys), local_addr=(HOST, port)
        )
        phone.port = transport.get_extra_info("sockname")[1]
        return phone

    def close(self) -> None:
        """Say nothing more."""
        assert self._transport is not None
        self._transport.close()

    async def call(self, extension: str, *, display: bytes = b"", name: str = "") -> Dialog:
        """Call ``extension`` and wait until it answers. ``display`` is the name to show, whatever bytes it has; ``name``:
        as which phone, where several have this one's port."""
        dialog = self.invite(extension, display=display, name=name)
        async with asyncio.timeout(PATIENT_S):
            await dialog.up.wait()
        return dialog

    def invite(self, extension: str, *, display: bytes = b"", name: str = "") -> Dialog:
        """Begin to call ``extension``."""
        tag, target = secrets.token_hex(4), f"sip:{extension}@{HOST}:{self._asterisk[1]}"
        shown = f'"{display.decode(errors="surrogateescape")}" ' if display else ""
        dialog = Dialog(
            secrets.token_hex(8), f"{shown}<sip:{name or self.name}@{HOST}>;tag={tag}", f"<{target}>", target
        )
        self.dialogs[dialog.call_id] = dialog
        self._request("INVITE", dialog, sdp=True)
        return dialog

    async def give_up(self, dialog: Dialog) -> None:
        """End a call of ours that was not answered yet."""
        cseq = f"{dialog.cseq} INVITE"
        self._request("CANCEL", dialog)
        await self._final(dialog, cseq, 487)

    async def answer(self, dialog: Dialog) -> None:
        """Take a call that rings."""
        dialog.taken = True
        self._say("200 OK", dialog.asked, dialog, sdp=True)
        async with asyncio.timeout(PATIENT_S):
            await dialog.up.wait()

    async def hold(self, dialog: Dialog, *, on: bool = True) -> None:
        """Put whoever is in ``dialog`` on hold; ``on=False``: take him back."""
        await self._final(dialog, self._request("INVITE", dialog, sdp=True, direction="sendonly" if on else "sendrecv"))

    async def hang_up(self, dialog: Dialog) -> None:
        """End ``dialog``."""
        await self._final(dialog, self._request("BYE", dialog))

    async def press(self, dialog: Dialog, keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            await self._final(dialog, self._request("INFO", dialog, pressed=key))

    async def refer(self, dialog: Dialog, extension: str) -> None:
        """Send whoever is in ``dialog`` away to ``extension``, unasked (a blind transfer)."""
        to = f"Refer-To: <sip:{extension}@{HOST}:{self._asterisk[1]}>"
        await self._final(dialog, self._request("REFER", dialog, to, f"Referred-By: <sip:{self.name}@{HOST}>"), 202)

    async def join(self, first: Dialog, second: Dialog) -> None:
        """Hand whoever is in ``first`` over to whoever is in ``second``, and wait until both calls are over."""
        tags = {side: re.search(r"tag=([^;>\s]+)", text)[1] for side, text in vars(second).items() if side in _SIDES}
        replaces = f"{second.call_id};to-tag={tags['remote']};from-tag={tags['local']}"
        refer_to = f"<{second.target}?Replaces={quote(replaces, safe='')}>"
        by = f"Referred-By: <sip:{self.name}@{HOST}>"
        await self._final(first, self._request("REFER", first, f"Refer-To: {refer_to}", by), 202)
        async with asyncio.timeout(PATIENT_S):
            await second.over.wait()
        # Whoever has handed a call over hangs up himself
        await self.hang_up(first)

    async def _final(self, dialog: Dialog, cseq: str, status: int = 200) -> None:
        """Wait for the final response to that very request: what is repeated to an earlier one says nothing of it."""
        async with asyncio.timeout(PATIENT_S):
            while cseq not in dialog.final:
                dialog.heard.clear()
                await dialog.heard.wait()
        assert dialog.final[cseq] == status, f"{cseq} was answered with {dialog.final[cseq]}"

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
        number, method = values["cseq"].split()
        dialog = self.dialogs.get(values["call-id"])
        if dialog is None or status < 200:
            return
        if method == "INVITE":
            if status == 200:
                dialog.remote, dialog.target = values["to"], _uri(values["contact"])
                dialog.taken = True
                dialog.up.set()
            self._request("ACK", dialog, of=int(number), refused=values["to"] if status > 299 else "")
        dialog.final[values["cseq"]] = status
        dialog.heard.set()

    def _asked(self, method: str, lines: list[str], values: dict[str, str]) -> None:
        dialog = self.dialogs.get(values["call-id"])
        if method == "ACK":
            # Before that nobody may hang up
            if dialog is not None and dialog.taken and not dialog.up.is_set():
                dialog.up.set()
                if dialog.user not in self._by_hand:
                    self.called.put_nowait(dialog)
            return
        new = method == "INVITE" and dialog is None
        if new:
            local = f"{values['to']};tag={secrets.token_hex(4)}"
            dialog = Dialog(values["call-id"], local, values["from"], _uri(values["contact"]))
            self.dialogs[dialog.call_id] = dialog
        copied = [line for line in lines if line.lower().startswith(("via:", "from:", "call-id:", "cseq:"))]
        rings = method == "INVITE" and dialog is not None and dialog.user in self._by_hand and not dialog.taken
        if method == "INVITE":
            self._say("180 Ringing", copied, dialog)
        if rings:
            dialog.asked = copied
        else:
            self._say("200 OK", copied, dialog, sdp=method == "INVITE", to=values["to"])
        if method == "CANCEL" and dialog is not None and not dialog.taken:
            self._say("487 Request Terminated", dialog.asked, dialog)
        if method in ("BYE", "CANCEL") and dialog is not None:
            dialog.over.set()
        if new and dialog is not None:
            dialog.taken = not rings
            if rings:
                self.ringing.put_nowait(dialog)

    def _say(self, status: str, copied: list[str], dialog: Dialog | None, *, sdp: bool = False, to: str = "") -> None:
        local = dialog.local if dialog is not None else to
        self._send([f"SIP/2.0 {status}", *copied, f"To: {local}"], sdp=sdp)

    def _request(
        self,
        method: str,
        dialog: Dialog,
        *more: str,
        sdp: bool = False,
        direction: str = "sendrecv",
        of: int = 0,
        refused: str = "",
        pressed: str = "",
    ) -> str:
        """Send a request; its CSeq. ``of``: the number of the INVITE that an ACK is for, ``refused``: the To of its
        refusal; ``pressed``: the key that an INFO tells."""
        dialog.cseq += method not in ("ACK", "CANCEL")
        again = method == "CANCEL" or bool(refused)
        branch = dialog.branch if again else f"z9hG4bK{secrets.token_hex(6)}"
        if method == "INVITE":
            dialog.branch = branch
        cseq = f"{of or dialog.cseq} {method}"
        self._send(
            [
                f"{method} {dialog.target} SIP/2.0",
                f"Via: SIP/2.0/UDP {HOST}:{self.port};rport;branch={branch}",
                f"From: {dialog.local}",
                f"To: {refused or dialog.remote}",
                f"Call-ID: {dialog.call_id}",
                f"CSeq: {cseq}",
                "Max-Forwards: 70",
                *more,
            ],
            sdp=sdp,
            direction=direction,
            pressed=pressed,
        )
        return cseq

    def _send(self, lines: list[str], *, sdp: bool, direction: str = "sendrecv", pressed: str = "") -> None:
        body = self._sdp.replace("sendrecv", direction) if sdp else ""
        kind = ["Content-Type: application/sdp"] if sdp else []
        if pressed:
            body, kind = f"Signal={pressed}\r\nDuration=100\r\n", ["Content-Type: application/dtmf-relay"]
        tail = [f"Contact: <sip:{self.name}@{HOST}:{self.port}>", *kind, f"Content-Length: {len(body)}", "", body]
        assert self._transport is not None
        self._transport.sendto("\r\n".join([*lines, *tail]).encode(errors="surrogateescape"), self._asterisk)


_SIDES = ("local", "remote")
_KEYS = "a=rtpmap:101 telephone-event/8000\r\n"
_SDP = (
    f"v=0\r\no=lab 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
    f"m=audio 9 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n{_KEYS}a=sendrecv\r\n"
)


def _uri(contact: str) -> str:
    return re.sub(r"^.*?<([^>]*)>.*$", r"\1", contact).partition(";")[0]
