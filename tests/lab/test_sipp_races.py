"""What crosses, repeats or gets lost on the wire: SIPp's phones and callers against a peer that does so on purpose.

The peer stands where Asterisk would. Each test is a dialogue: what it sends (several messages at once arrive together),
what it awaits, and then nobody may be lost, or exactly the one who should be.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from acd.lab.asterisk_files import PortBlock
from acd.lab.behaviours import parse_caller_behaviour, parse_phone_behaviour
from acd.lab.calls import CallGenerator, plan_calls
from acd.lab.parts import SIPP, Unpacked, ensure
from acd.lab.phone_bank import PhoneBank
from acd.lab.phones import Phone
from acd.lab.sipp_results import SippResult

_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


def header(message: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\s*$", message, re.MULTILINE)
    assert found is not None, f"no {name} in {message}"
    return found[1]


def kind(message: str) -> str:
    """``INVITE`` for a request, ``200 INVITE`` for a response."""
    first, method = message.split(" ", 2), header(message, "CSeq").split()[1]
    return f"{first[1]} {method}" if first[0] == "SIP/2.0" else first[0]


class Peer(asyncio.DatagramProtocol):
    """One UDP socket that speaks SIP by hand; ``dialog`` is the phone's To (or the caller's From) with its tag."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.inbox: asyncio.Queue[str] = asyncio.Queue()
        self.seen: list[str] = []
        self.to = 0
        self.transport: asyncio.DatagramTransport
        self.remote_tag = ""
        self.call_id = "race-1"

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # type: ignore[override]
        self.to = addr[1]
        self.inbox.put_nowait(data.decode())

    async def await_(self, wanted: str) -> str:
        """The next message of that kind; what comes before it is passed over (and kept in ``seen``)."""
        while True:
            try:
                message = await asyncio.wait_for(self.inbox.get(), 10)
            except TimeoutError:
                pytest.fail(f"{wanted} did not come after {self.seen}")
            self.seen.append(kind(message))
            if kind(message) == wanted:
                tag = re.search(r"tag=(\S+)", header(message, "To" if message.startswith("SIP") else "From"))
                self.remote_tag = tag[1] if tag else self.remote_tag
                if not message.startswith("SIP"):
                    self.call_id = header(message, "Call-ID")
                return message

    def send(self, *messages: str) -> None:
        for message in messages:
            self.transport.sendto(message.encode(), ("127.0.0.1", self.to))

    # As Asterisk towards a phone.

    def request(self, method: str, *, cseq: int = 1, branch: str = "b1", body: str = "", tagged: bool = True) -> str:
        tag = f";tag={self.remote_tag}" if tagged and self.remote_tag else ""
        lines = [
            f"{method} sip:3001@127.0.0.1:{self.to} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{branch}",
            'From: "Caller" <sip:555@127.0.0.1>;tag=peer',
            f"To: <sip:3001@127.0.0.1>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:peer@127.0.0.1:{self.port}>",
            "Max-Forwards: 70",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def invite(self, **more: str) -> str:
        return self.request("INVITE", body=_SDP, tagged=False, **more)  # type: ignore[arg-type]

    async def answered(self) -> None:
        self.send(self.invite())
        await self.await_("200 INVITE")
        self.send(self.request("ACK", branch="ack"))

    # As Asterisk towards a caller.

    def respond(self, request: str, status: str, body: str = "") -> str:
        to = header(request, "To")
        lines = [
            f"SIP/2.0 {status}",
            f"Via: {header(request, 'Via')}",
            f"From: {header(request, 'From')}",
            f"To: {to}" + ("" if "tag=" in to or status.startswith("100") else ";tag=peer"),
            f"Call-ID: {header(request, 'Call-ID')}",
            f"CSeq: {header(request, 'CSeq')}",
            *([f"Contact: <sip:peer@127.0.0.1:{self.port}>"] if status.startswith("2") else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def bye_to_caller(self, invite: str) -> str:
        caller = header(invite, "From")
        bye = self.request("BYE", cseq=9, branch="bye")
        bye = re.sub(r"^To: [^\r]*", f"To: {caller}", bye, flags=re.MULTILINE)
        return bye.replace('From: "Caller" <sip:555@127.0.0.1>;tag=peer', f"From: {header(invite, 'To')};tag=peer")


Start = Callable[[str], Awaitable[Peer]]


class Bench:
    """Starts phones or callers against a peer, and says what became of them."""

    def __init__(self, sipp: Unpacked, folder: Path) -> None:
        self.sipp, self.folder = sipp, folder
        self.peer: Peer
        self.bank: PhoneBank | None = None
        self.callers: CallGenerator | None = None

    async def listen(self) -> int:
        self.ports = PortBlock(10, low=11_500, high=11_999)
        port = self.ports.first
        loop = asyncio.get_running_loop()
        made = await loop.create_datagram_endpoint(lambda: Peer(port), local_addr=("127.0.0.1", port))
        self.peer = made[1]
        return port

    async def phone(self, behaviour: str) -> Peer:
        port = await self.listen()
        phone = Phone("3001", parse_phone_behaviour(behaviour))
        command, env = self.sipp.command("sipp"), self.sipp.env()
        self.bank = PhoneBank([phone], port, port + 1, command, self.folder, env=env)
        await self.bank.start()
        self.peer.to = port + 1
        return self.peer

    async def caller(self, behaviour: str) -> Peer:
        port = await self.listen()
        calls = plan_calls("5551000", 1, parse_caller_behaviour(behaviour))
        command, env = self.sipp.command("sipp"), self.sipp.env()
        self.callers = CallGenerator(calls, 10, port, port + 1, command, self.folder, env=env)
        await self.callers.start()
        return self.peer

    async def result(self) -> SippResult:
        if self.callers is not None:
            return await self.callers.wait(10)
        assert self.bank is not None
        return await self.bank.stop(5)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(await asyncio.to_thread(ensure, SIPP), tmp_path)
    yield made
    if made.callers is not None and made.callers.running:
        await made.callers.stop(0)
    if made.bank is not None:
        await made.bank.stop(0)
    made.peer.transport.close()


# ------------------------------------------------------------------------------------------------------------- phones


async def test_an_invite_and_its_cancel_arrive_together(bench: Bench) -> None:
    peer = await bench.phone("answer-after:5")
    peer.send(peer.invite(), peer.request("CANCEL", tagged=False))
    await peer.await_("200 CANCEL")
    await peer.await_("487 INVITE")
    peer.send(peer.request("ACK"))
    result = await bench.result()
    assert (result.lost, dict(result.counts.outcomes)) == (0, {"offered": 1, "cancelled": 1})


async def test_a_cancel_crosses_the_answer_and_the_bye_follows_the_ack(bench: Bench) -> None:
    peer = await bench.phone("answer")
    peer.send(peer.invite())
    await peer.await_("200 INVITE")
    cancel, ack = peer.request("CANCEL", tagged=False), peer.request("ACK", branch="ack")
    peer.send(cancel, ack, peer.request("BYE", cseq=2, branch="bye"))
    await peer.await_("200 BYE")
    result = await bench.result()
    assert (result.lost, result.outcome("far_end_hung_up")) == (0, 1)


async def test_a_cancel_is_repeated_after_the_answer(bench: Bench) -> None:
    """Our 200 to it was lost. It must not end the talk, nor the phone's own hang-up."""
    peer = await bench.phone("answer+talk:0.3")
    await peer.answered()
    peer.send(peer.request("CANCEL", tagged=False))
    bye = await peer.await_("BYE")
    peer.send(peer.request("CANCEL", tagged=False), peer.respond(bye, "200 OK"))
    result = await bench.result()
    assert (result.lost, dict(result.counts.outcomes)) == (0, {"offered": 1, "answered": 1, "hung_up": 1})


async def test_the_ack_is_lost_and_the_bye_comes(bench: Bench) -> None:
    peer = await bench.phone("answer")
    peer.send(peer.invite())
    await peer.await_("200 INVITE")
    peer.send(peer.request("BYE", cseq=2, branch="bye"))
    await peer.await_("200 BYE")
    assert (await bench.result()).lost == 0


async def test_the_ack_is_lost_and_the_answer_repeated(bench: Bench) -> None:
    peer = await bench.phone("answer+talk:0.1")
    peer.send(peer.invite())
    await peer.await_("200 INVITE")
    await peer.await_("200 INVITE")
    peer.send(peer.request("ACK", branch="ack"))
    peer.send(peer.respond(await peer.await_("BYE"), "200 OK"))
    result = await bench.result()
    assert (result.lost, result.counts.retransmissions) == (0, 1)


async def test_a_repeated_invite_is_one_call(bench: Bench) -> None:
    peer = await bench.phone("busy-after:0.3")
    peer.send(peer.invite())
    await peer.await_("180 INVITE")
    peer.send(peer.invite())
    await peer.await_("180 INVITE")
    await peer.await_("486 INVITE")
    peer.send(peer.request("ACK"))
    result = await bench.result()
    assert (result.started, result.lost, result.outcome("refused")) == (1, 0, 1)


@pytest.mark.parametrize("bye_first", [True, False])
async def test_both_sides_hang_up_at_once(bench: Bench, bye_first: bool) -> None:
    peer = await bench.phone("answer+talk:0.1")
    await peer.answered()
    theirs = await peer.await_("BYE")
    both = [peer.request("BYE", cseq=2, branch="bye"), peer.respond(theirs, "200 OK" if bye_first else "481 Gone")]
    peer.send(*(both if bye_first else reversed(both)))
    await peer.await_("200 BYE")
    result = await bench.result()
    assert (result.lost, dict(result.counts.outcomes)) == (0, {"offered": 1, "answered": 1, "hung_up": 1})


async def test_a_new_offer_is_accepted_and_does_not_lengthen_the_talk(bench: Bench) -> None:
    peer = await bench.phone("answer+talk:0.6")
    await peer.answered()
    peer.send(peer.request("INVITE", cseq=2, branch="re", body=_SDP))
    assert "m=audio" in await peer.await_("200 INVITE")
    peer.send(peer.request("ACK", cseq=2, branch="re-ack"))
    peer.send(peer.respond(await peer.await_("BYE"), "200 OK"))
    result = await bench.result()
    talked = {event.kind: event.at for event in result.events}
    assert result.lost == 0
    assert talked["hung_up"] - talked["answered"] == pytest.approx(0.6, abs=0.15)


@pytest.mark.parametrize("method", ["INFO", "NOTIFY", "OPTIONS", "UPDATE"])
async def test_requests_within_the_dialog_are_answered_and_change_nothing(bench: Bench, method: str) -> None:
    peer = await bench.phone("answer+talk:0.3")
    await peer.answered()
    peer.send(peer.request(method, cseq=2, branch=method))
    await peer.await_(f"200 {method}")
    peer.send(peer.respond(await peer.await_("BYE"), "200 OK"))
    assert (await bench.result()).lost == 0


async def test_options_and_strays_are_answered_and_are_no_calls(bench: Bench) -> None:
    peer = await bench.phone("answer")
    peer.send(peer.request("OPTIONS", tagged=False))
    await peer.await_("200 OPTIONS")
    peer.call_id = "race-2"
    peer.send(peer.request("BYE"))
    await peer.await_("481 BYE")
    peer.call_id = "race-3"
    peer.send(peer.request("CANCEL", tagged=False))
    await peer.await_("481 CANCEL")
    result = await bench.result()
    assert (result.started, result.lost, result.outcome("stray")) == (0, 0, 2)


async def test_a_refused_transfer_is_lost(bench: Bench) -> None:
    peer = await bench.phone("answer+talk:0.1+transfer:700")
    await peer.answered()
    refer = await peer.await_("REFER")
    assert header(refer, "Refer-To") == f"<sip:700@127.0.0.1:{peer.port}>"
    peer.send(peer.respond(refer, "603 Decline"))
    peer.send(peer.respond(await peer.await_("BYE"), "200 OK"))
    assert (await bench.result()).lost == 1


async def test_a_caller_who_never_hangs_up_is_lost_at_the_end(bench: Bench) -> None:
    peer = await bench.phone("answer")
    await peer.answered()
    assert bench.bank is not None
    result = await bench.bank.stop(0)
    assert (result.lost, dict(result.counts.failures)) == (1, {"not ended": 1})
    bench.bank = None


# ------------------------------------------------------------------------------------------------------------ callers


async def test_an_answer_is_repeated_and_acknowledged_again(bench: Bench) -> None:
    peer = await bench.caller("talk:0.4")
    invite = await peer.await_("INVITE")
    peer.send(peer.respond(invite, "200 OK", _SDP))
    await peer.await_("ACK")
    peer.send(peer.respond(invite, "200 OK", _SDP))
    await peer.await_("ACK")
    peer.send(peer.respond(await peer.await_("BYE"), "200 OK"))
    result = await bench.result()
    assert (result.lost, result.outcome("answered")) == (0, 1)


async def test_a_lost_invite_is_repeated(bench: Bench) -> None:
    peer = await bench.caller("talk:0.1")
    first = await peer.await_("INVITE")
    assert await peer.await_("INVITE") == first
    peer.send(peer.respond(first, "100 Trying"), peer.respond(first, "180 Ringing"))
    peer.send(peer.respond(first, "200 OK", _SDP))
    await peer.await_("ACK")
    peer.send(peer.respond(await peer.await_("BYE"), "200 OK"))
    result = await bench.result()
    assert (result.lost, result.counts.retransmissions) == (0, 1)
    assert result.answer_ms[0] > 490


@pytest.mark.parametrize("order", ["cancel first", "answer first"])
async def test_the_answer_crosses_the_cancel(bench: Bench, order: str) -> None:
    peer = await bench.caller("patience:0.1")
    invite = await peer.await_("INVITE")
    peer.send(peer.respond(invite, "180 Ringing"))
    cancel = await peer.await_("CANCEL")
    both = [peer.respond(cancel, "200 OK"), peer.respond(invite, "200 OK", _SDP)]
    peer.send(*(both if order == "cancel first" else reversed(both)))
    await peer.await_("ACK")
    peer.send(peer.respond(await peer.await_("BYE"), "200 OK"))
    result = await bench.result()
    assert (result.lost, dict(result.counts.outcomes)) == (0, {"placed": 1, "gave_up": 1, "hung_up": 1})


@pytest.mark.parametrize("cancel_status", ["200 OK", "481 Gone"])
async def test_the_end_of_a_cancelled_call_comes_twice_and_in_any_order(bench: Bench, cancel_status: str) -> None:
    peer = await bench.caller("patience:0.1")
    invite = await peer.await_("INVITE")
    peer.send(peer.respond(invite, "180 Ringing"))
    cancel = await peer.await_("CANCEL")
    end = peer.respond(invite, "487 Request Terminated")
    peer.send(end, peer.respond(cancel, cancel_status), end)
    await peer.await_("ACK")
    result = await bench.result()
    assert (result.lost, dict(result.counts.outcomes)) == (0, {"placed": 1, "gave_up": 1})


async def test_a_caller_and_the_far_end_hang_up_at_once(bench: Bench) -> None:
    peer = await bench.caller("talk:0.1")
    invite = await peer.await_("INVITE")
    peer.send(peer.respond(invite, "200 OK", _SDP))
    bye = await peer.await_("BYE")
    peer.send(peer.respond(bye, "200 OK"), peer.bye_to_caller(invite))
    await peer.await_("200 BYE")
    result = await bench.result()
    assert (result.lost, dict(result.counts.outcomes)) == (0, {"placed": 1, "answered": 1, "hung_up": 1})


async def test_the_far_end_hangs_up_while_keys_are_pressed(bench: Bench) -> None:
    peer = await bench.caller("dtmf:12")
    invite = await peer.await_("INVITE")
    peer.send(peer.respond(invite, "200 OK", _SDP))
    info = await peer.await_("INFO")
    assert "Signal=1" in info
    assert header(info, "Content-Type") == "application/dtmf-relay"
    peer.send(peer.bye_to_caller(invite), peer.respond(info, "481 Gone"))
    await peer.await_("200 BYE")
    result = await bench.result()
    assert (result.lost, result.outcome("far_end_hung_up")) == (0, 1)


async def test_an_unexpected_refusal_is_acknowledged_and_lost(bench: Bench) -> None:
    peer = await bench.caller("talk:1")
    invite = await peer.await_("INVITE")
    peer.send(peer.respond(invite, "100 Trying"), peer.respond(invite, "503 Full"))
    await peer.await_("ACK")
    result = await bench.result()
    assert (result.lost, dict(result.counts.failures)) == (1, {"unexpected message": 1})
    assert any("503 Full" in error for error in result.errors)
