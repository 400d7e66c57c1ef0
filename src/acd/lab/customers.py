"""People who are called: many telephones behind one address, as a carrier's trunk shows them, each with its own behaviour.

One UDP port speaks SIP, every answered call has a socket for its audio. No more of SIP than Asterisk and these customers
need. What `customer_words` says is done here; a line of the log of every call stands in `CustomerCall`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from acd.domain.errors import LabError
from acd.lab import sounds
from acd.lab.customer_words import Chooser, CustomerBehaviour, Reaction

HOST = "127.0.0.1"
MAX_CALLS = 5_000
MAX_KEPT = 100_000
"""So many calls that are over are kept in memory; the log file has all."""
_T1_S, _GIVE_UP_S = 0.5, 8.0
_TICK_S = 0.02
_TRAIL_FRAMES = 150
"""After he has said what he says, so many frames of silence more: three seconds."""
_KEY_GAP_S, _COMMA_S, _KEY_FRAMES = 0.2, 0.5, 6
_CODES = {
    486: "Busy Here",
    503: "Service Unavailable",
    404: "Not Found",
    603: "Decline",
    480: "Temporarily Unavailable",
}
_EVENTS = 101
_NAME = re.compile(r'^\s*(?:"((?:[^"\\]|\\.)*)"|([^<"]*))\s*<')


@dataclass(slots=True)
class CustomerCall:
    """One call as the customer saw it. ``number``: dialled; ``caller_id``, ``caller_name``: shown to him; ``heard_at``: the
    first audio that was more than silence. Times are UTC seconds. ``ended``: answered, refused, cancelled, unanswered or
    broken (no ACK); ``by``: who hung up an answered call, ``customer`` or ``far_end``."""

    number: str
    caller_id: str
    caller_name: str
    behaviour: str
    called_at: float
    ringing_at: float | None = None
    answered_at: float | None = None
    heard_at: float | None = None
    ended_at: float | None = None
    ended: str = ""
    by: str = ""
    pressed: str = ""


@dataclass(slots=True, eq=False)
class _Dialog:
    """One call's state on the wire."""

    call: CustomerCall
    reaction: Reaction
    call_id: str
    invite: list[str]
    branch: str
    local: str
    remote: str
    target: str
    cseq: int = 1
    media: tuple[str, int] | None = None
    audio: socket.socket | None = None
    last: bytes = b""
    acked: bool = False
    over: bool = False
    timers: set[asyncio.TimerHandle] = field(default_factory=set)
    script: list[bytes] = field(default_factory=list)
    loops: bool = False
    position: int = 0
    sequence: int = 0
    stamp: int = 0
    ssrc: int = 0
    own: str = field(default_factory=lambda: secrets.token_hex(6))


class Customers(asyncio.DatagramProtocol):
    """Made by ``open``. ``calls``: all that were over or are under way, in their order; ``counts``: how many were called,
    answered, refused, cancelled, unanswered, broken so far; ``on_over`` is told of each end."""

    def __init__(self, chooser: Chooser, log: IO[str] | None, on_over: Callable[[CustomerCall], None] | None) -> None:
        self.calls: list[CustomerCall] = []
        self.counts: Counter[str] = Counter()
        self.most_at_once = 0
        self.port = 0
        self._chooser = chooser
        self._log = log
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._dialogs: dict[str, _Dialog] = {}
        self._talking: set[_Dialog] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    @classmethod
    async def open(
        cls,
        chooser: Chooser,
        port: int = 0,
        *,
        log: IO[str] | None = None,
        on_over: Callable[[CustomerCall], None] | None = None,
    ) -> Customers:
        """Listen on UDP ``port`` (0: any). ``log`` gets a line of JSON for each call that is over."""
        self = cls(chooser, log, on_over)
        try:
            await self._loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, port))
        except OSError as error:
            raise LabError(f"customers cannot listen on UDP {HOST}:{port}: {error}") from error
        return self

    def close(self) -> None:
        """Say nothing more, to anybody."""
        for dialog in list(self._dialogs.values()):
            self._drop(dialog)
        if self._ticker is not None:
            self._ticker.cancel()
        if self._transport is not None:
            self._transport.close()

    @property
    def up(self) -> int:
        """Calls under way."""
        return sum(not dialog.over for dialog in self._dialogs.values())

    def listen_again(self, call: CustomerCall) -> float | None:
        """Forget when sound was first heard in a call that goes on, and note anew when some is: for a phone that stays on
        one line while others come and go. When it was heard before."""
        before, call.heard_at = call.heard_at, None
        for dialog in self._dialogs.values():
            if dialog.call is call and dialog.audio is not None:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        dialog.audio.recv(2048)
                self._loop.add_reader(dialog.audio.fileno(), self._hears, dialog)
        return before

    async def until(self, condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
        """Wait until ``condition`` holds; it is looked at whenever a call begins, is answered, heard or ended."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def hang_up_all(self) -> None:
        """Every customer who talks hangs up."""
        for dialog in list(self._talking):
            self._hang_up(dialog)

    # -- SIP ---------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        udp = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_000_000)
        self.port = udp.getsockname()[1]

    def error_received(self, exc: Exception) -> None:
        """Somebody's port is closed; his call ends by itself."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        head, _, body = data.decode(errors="surrogateescape").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        values: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            values.setdefault(name.strip().lower(), value.strip())
        dialog = self._dialogs.get(values.get("call-id", ""))
        if first.startswith("SIP/2.0 "):
            if dialog is not None and values.get("cseq", "").endswith("BYE"):
                self._drop(dialog)
            return
        method, _, rest = first.partition(" ")
        match method:
            case "INVITE" if dialog is None:
                self._invited(rest.split(" ")[0], lines, values, body, addr)
            case "INVITE" if dialog is not None and values.get("via", "").find(dialog.branch) >= 0:
                self._send(dialog.last, addr)
            case "INVITE" if dialog is not None:
                self._send(_response("200 OK", lines, dialog.local, self._contact(), self._sdp(dialog)), addr)
            case "ACK":
                if dialog is not None:
                    self._acked(dialog)
            case "CANCEL":
                self._cancelled(dialog, lines, addr)
            case "BYE":
                self._send(_response("200 OK", lines, values.get("to", "")), addr)
                if dialog is not None:
                    self._ends(dialog, "answered", "far_end")
                    self._drop(dialog)
            case _:
                self._send(_response("200 OK", lines, values.get("to", "")), addr)

    def _invited(self, uri: str, lines: list[str], values: dict[str, str], body: str, addr: tuple[str, int]) -> None:
        number = unquote(re.sub(r"^sips?:", "", uri).partition("@")[0].partition(";")[0])
        reaction = self._chooser.reaction(number)
        caller_id = unquote(re.sub(r"^.*?sips?:([^@>;]*).*$", r"\1", values.get("from", "")))
        name = _NAME.match(values.get("from", ""))
        shown = "" if name is None else re.sub(r"\\(.)", r"\1", name[1] or name[2] or "").strip()
        call = CustomerCall(number, caller_id, shown, str(reaction.behaviour), time.time())
        dialog = _Dialog(
            call,
            reaction,
            values["call-id"],
            lines,
            re.sub(r"^.*branch=([^;,\s]+).*$", r"\1", values.get("via", "")),
            f"{values['to']};tag={secrets.token_hex(4)}",
            values["from"],
            re.sub(r"^.*?<([^>]*)>.*$", r"\1", values.get("contact", "")).partition(";")[0],
            media=_media(body),
        )
        if len(self.calls) < MAX_KEPT:
            self.calls.append(call)
        self._dialogs[dialog.call_id] = dialog
        self.counts["called"] += 1
        self.most_at_once = max(self.most_at_once, self.up)
        behaviour = reaction.behaviour
        if behaviour.silent:
            self._changed.set()
            return
        self._reply(dialog, "100 Trying", tag=False)
        if len(self._dialogs) > MAX_CALLS:
            self._refuse(dialog, 503)
        elif behaviour.early:
            self._open_audio(dialog)
            dialog.script, dialog.loops = sounds.frames(sounds.hum()), True
            self._reply(dialog, "183 Session Progress", self._contact(), self._sdp(dialog))
            self._talk(dialog)
            self._rings(dialog)
        elif behaviour.code is None or reaction.after_s:
            self._reply(dialog, "180 Ringing", self._contact())
            self._rings(dialog)
        if behaviour.rings_for_ever or dialog.over:
            return
        self._in(dialog, reaction.after_s, lambda: self._reacts(dialog))

    def _rings(self, dialog: _Dialog) -> None:
        dialog.call.ringing_at = time.time()
        self._changed.set()

    def _reacts(self, dialog: _Dialog) -> None:
        if dialog.over:
            return
        if dialog.reaction.behaviour.code is not None:
            self._refuse(dialog, dialog.reaction.behaviour.code)
            return
        if dialog.audio is None:
            self._open_audio(dialog)
        dialog.call.answered_at = time.time()
        self.counts["answered"] += 1
        self._reply(dialog, "200 OK", self._contact(), self._sdp(dialog))
        self._repeat(dialog, dialog.last, _T1_S)
        dialog.script, dialog.loops = _script(dialog.reaction.behaviour)
        dialog.position = 0
        self._talk(dialog)
        if dialog.reaction.behaviour.unheard:
            self._press_all(dialog)
        if dialog.reaction.talk_s is not None:
            self._in(dialog, dialog.reaction.talk_s, lambda: self._hang_up(dialog))
        self._changed.set()

    def _refuse(self, dialog: _Dialog, code: int) -> None:
        cause = dialog.reaction.behaviour.cause
        more = () if cause is None else (f"Reason: Q.850;cause={cause}",)
        self._reply(dialog, f"{code} {_CODES.get(code, 'Refused')}", *more)
        self._repeat(dialog, dialog.last, _T1_S)
        self._ends(dialog, "refused", "")

    def _repeat(self, dialog: _Dialog, data: bytes, pause_s: float) -> None:
        """Send a final response again until its ACK has come."""

        def again() -> None:
            if dialog.acked:
                return
            if pause_s > _GIVE_UP_S:
                self._ends(dialog, "broken", "")
                self._drop(dialog)
                return
            self._send_to(dialog, data)
            self._repeat(dialog, data, pause_s * 2)

        self._in(dialog, pause_s, again)

    def _acked(self, dialog: _Dialog) -> None:
        dialog.acked = True
        if dialog.over:
            self._drop(dialog)

    def _cancelled(self, dialog: _Dialog | None, lines: list[str], addr: tuple[str, int]) -> None:
        to = dialog.local if dialog is not None else next((x for x in lines if x.lower().startswith("to:")), "To: ")[3:]
        self._send(_response("200 OK", lines, to.strip()), addr)
        if dialog is not None and not dialog.over and dialog.call.answered_at is None:
            self._reply(dialog, "487 Request Terminated")
            self._repeat(dialog, dialog.last, _T1_S)
            self._ends(dialog, "cancelled", "far_end")

    def _hang_up(self, dialog: _Dialog) -> None:
        if dialog.over:
            return
        if not dialog.acked:  # a BYE before the ACK is none that Asterisk could match
            self._in(dialog, 0.005, lambda: self._hang_up(dialog))
            return
        self._ends(dialog, "answered", "customer")
        self._bye(dialog, _T1_S)

    def _bye(self, dialog: _Dialog, pause_s: float) -> None:
        if self._dialogs.get(dialog.call_id) is not dialog:
            return
        if pause_s > _GIVE_UP_S:
            self._drop(dialog)
            return
        head = [
            f"BYE {dialog.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self.port};rport;branch=z9hG4bK{dialog.own}",
            f"From: {dialog.local}",
            f"To: {dialog.remote}",
            f"Call-ID: {dialog.call_id}",
            f"CSeq: {dialog.cseq} BYE",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ]
        self._send_to(dialog, ("\r\n".join(head) + "\r\n\r\n").encode(errors="surrogateescape"))
        dialog.timers.add(self._loop.call_later(pause_s, self._bye, dialog, pause_s * 2))

    def _reply(self, dialog: _Dialog, status: str, *more: str, tag: bool = True) -> None:
        to = dialog.local if tag else dialog.local.partition(";tag=")[0]
        dialog.last = _response(status, dialog.invite, to, *more)
        self._send_to(dialog, dialog.last)

    def _send_to(self, dialog: _Dialog, data: bytes) -> None:
        host, _, port = re.sub(r"^sips?:(?:[^@]*@)?", "", dialog.target).partition(":")
        self._send(data, (host.strip("[]") or HOST, int(port or 5060)))

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, addr)

    def _contact(self) -> str:
        return f"Contact: <sip:customer@{HOST}:{self.port}>"

    def _in(self, dialog: _Dialog, seconds: float, what: Callable[[], None]) -> None:
        if seconds <= 0:
            what()
            return

        def now() -> None:
            dialog.timers.discard(handle)
            what()

        handle = self._loop.call_later(seconds, now)
        dialog.timers.add(handle)

    def _ends(self, dialog: _Dialog, how: str, by: str) -> None:
        """The call is over for the customer; what is still to be said on the wire follows."""
        if dialog.over:
            return
        dialog.over = True
        call = dialog.call
        call.ended, call.by, call.ended_at = how, by, time.time()
        if how != "answered":  # counted when he answered
            self.counts[how] += 1
        self._close_audio(dialog)
        if self._log is not None:
            self._log.write(json.dumps(asdict(call)) + "\n")
            self._log.flush()
        if self._on_over is not None:
            self._on_over(call)
        self._changed.set()

    def _drop(self, dialog: _Dialog) -> None:
        if not dialog.over:
            self._ends(dialog, "answered" if dialog.call.answered_at else "unanswered", "")
        for timer in dialog.timers:
            timer.cancel()
        dialog.timers.clear()
        self._dialogs.pop(dialog.call_id, None)

    # -- audio -------------------------------------------------------------------------------------------------------

    def _open_audio(self, dialog: _Dialog) -> None:
        audio = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        audio.setblocking(False)
        audio.bind((HOST, 0))
        dialog.audio, dialog.ssrc = audio, secrets.randbits(32)
        self._loop.add_reader(audio.fileno(), self._hears, dialog)

    def _close_audio(self, dialog: _Dialog) -> None:
        self._talking.discard(dialog)
        if dialog.audio is not None:
            self._loop.remove_reader(dialog.audio.fileno())
            dialog.audio.close()
            dialog.audio = None

    def _hears(self, dialog: _Dialog) -> None:
        assert dialog.audio is not None
        try:
            data = dialog.audio.recv(2048)
        except OSError:
            return
        if (
            len(data) <= 12
            or data[1] & 0x7F != 0
            or dialog.call.answered_at is None
            or not sounds.is_audible(data[12:])
        ):
            return
        dialog.call.heard_at = time.time()
        # What else comes is of no interest; not reading it is the cheapest
        self._loop.remove_reader(dialog.audio.fileno())
        if not dialog.reaction.behaviour.unheard:
            self._press_all(dialog)
        self._changed.set()

    def _press_all(self, dialog: _Dialog) -> None:
        gap_s = 0.0
        for key in dialog.reaction.behaviour.keys:
            gap_s += _COMMA_S if key == "," else _KEY_GAP_S
            if key != ",":
                self._in(dialog, gap_s, lambda key=key: self._press(dialog, key))  # type: ignore[misc]

    def _press(self, dialog: _Dialog, key: str) -> None:
        """A key as RFC 4733 sends it: the event in frames that grow, the last thrice."""
        if dialog.over:
            return
        dialog.call.pressed += key
        self._changed.set()
        event = "0123456789*#ABCD".index(key)
        begun = dialog.stamp
        for frame in range(_KEY_FRAMES + 2):
            last = frame >= _KEY_FRAMES - 1
            length = min(frame + 1, _KEY_FRAMES) * sounds.FRAME
            payload = struct.pack("!BBH", event, (0x80 if last else 0) | 10, length)
            self._send_media(dialog, payload, _EVENTS, begun, mark=frame == 0)
        dialog.stamp = begun + _KEY_FRAMES * sounds.FRAME

    def _talk(self, dialog: _Dialog) -> None:
        self._talking.add(dialog)
        if self._ticker is None:
            self._next_tick = self._loop.time()
            self._tick()

    def _tick(self) -> None:
        """All that talk say their next 20 ms."""
        for dialog in list(self._talking):
            position = dialog.position
            if position < len(dialog.script):
                payload = dialog.script[position]
            elif dialog.loops:
                payload, position = dialog.script[0], 0
            elif position < len(dialog.script) + _TRAIL_FRAMES:
                payload = sounds.SILENCE
            else:
                continue
            dialog.position = position + 1
            self._send_media(dialog, payload, 0, dialog.stamp)
            dialog.stamp += sounds.FRAME
        if not self._talking:
            self._ticker = None
            return
        self._next_tick = max(self._next_tick + _TICK_S, self._loop.time() - 5 * _TICK_S)
        self._ticker = self._loop.call_at(self._next_tick, self._tick)

    def _send_media(self, dialog: _Dialog, payload: bytes, kind: int, stamp: int, *, mark: bool = False) -> None:
        if dialog.audio is None or dialog.media is None:
            return
        head = struct.pack(
            "!BBHII", 0x80, kind | (0x80 if mark else 0), dialog.sequence & 0xFFFF, stamp & 0xFFFFFFFF, dialog.ssrc
        )
        dialog.sequence += 1
        with contextlib.suppress(OSError):
            dialog.audio.sendto(head + payload, dialog.media)

    def _sdp(self, dialog: _Dialog) -> str:
        port = dialog.audio.getsockname()[1] if dialog.audio is not None else 9
        return (
            f"v=0\r\no=customer 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 {_EVENTS}"
            f"\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:{_EVENTS} telephone-event/8000\r\na=fmtp:{_EVENTS} 0-15\r\na=ptime:20\r\n"
        )


def carrier_conf(port: int, *, name: str = "carrier", fax: bool = True) -> str:
    """The pjsip.conf text of the trunk behind which the customers are: dialled as ``PJSIP/NUMBER@name``."""
    return f"""[{name}]
type=endpoint
context=from-trunk
disallow=all
allow=ulaw
aors={name}
direct_media=no
dtmf_mode=rfc4733
fax_detect={"yes" if fax else "no"}
trust_id_outbound=yes
allow_subscribe=no

[{name}]
type=aor
contact=sip:{HOST}:{port}
qualify_frequency=0
"""


def read_log(path: Path) -> list[CustomerCall]:
    """The calls of a log, in the order of their ends; a last line still being written is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [CustomerCall(**json.loads(line)) for line in text.split("\n")[:-1]]


def _script(behaviour: CustomerBehaviour) -> tuple[list[bytes], bool]:
    """What he says, and whether over and over."""
    match behaviour.says:
        case "hello":
            return sounds.frames(sounds.hello()), False
        case "tone":
            return sounds.frames(sounds.hum()), True
        case "machine":
            sound = sounds.greeting() if behaviour.file is None else sounds.from_wav(behaviour.file)
            return sounds.frames(sound), False
        case "fax":
            return sounds.frames(sounds.fax_calling()), False
    return [], False


def _response(status: str, request: list[str], to: str, *more: str) -> bytes:
    """A response to ``request`` (its headers); the last of ``more`` is the body if it is one."""
    body = more[-1] if more and more[-1].startswith("v=0") else ""
    copied = [line for line in request if line.lower().startswith(("via:", "from:", "call-id:", "cseq:"))]
    kind = ["Content-Type: application/sdp"] if body else []
    headers = [line for line in more if line is not body]
    lines = [f"SIP/2.0 {status}", *copied, f"To: {to}", *headers, *kind, f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode(errors="surrogateescape")


def _media(body: str) -> tuple[str, int] | None:
    """Where the far end wants its audio."""
    host = re.search(r"^c=IN IP4 (\S+)", body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
    return (host[1], int(port[1])) if host and port and int(port[1]) else None
