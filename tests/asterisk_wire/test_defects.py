"""The defects of panoramisk 1.4 in the manager interface, one test each: stock has it, ours has not.

Numbers 12, 13 and half of 14 are FastAGI's: see test_defects_agi.

Where stock's behaviour is a hang or an endless loop, the test shows the cause instead of waiting for it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl
import subprocess
from pathlib import Path
from typing import Any

import panoramisk.ami_protocol
import panoramisk.call_manager
import panoramisk.manager
import panoramisk.message
import pytest
from wire_fakes import QUICK, FakeAmi, Fields, Line, Witness, make_session

import acd.asterisk
from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.encoder import encode
from acd.asterisk.ami.messages import parse_message
from acd.asterisk.ami.protocol import AmiProtocol
from acd.asterisk.ami.quietlog import QuietLog
from acd.domain.errors import AmiDisconnectedError, AmiTimeoutError, AsteriskError, MisuseError


class FakeTransport(asyncio.Transport):
    """Keeps what is written and remembers being closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        """What is given to a protocol by hand comes all the same."""

    resume_reading = pause_reading

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


def stock(**config: Any) -> tuple[panoramisk.manager.Manager, panoramisk.ami_protocol.AMIProtocol]:
    """A stock Manager with a stock protocol on a fake transport, as after connecting."""
    manager = panoramisk.manager.Manager(loop=asyncio.get_running_loop(), **config)
    protocol = panoramisk.ami_protocol.AMIProtocol()
    protocol.connection_made(FakeTransport())
    connected = asyncio.get_running_loop().create_future()
    connected.set_result((protocol.transport, protocol))
    manager.connection_made(connected)
    return manager, protocol


def ours(witness: Witness, **changes: Any) -> AmiProtocol:
    """Our protocol on a fake transport, greeted."""
    settings: dict[str, Any] = {
        "on_event": lambda _name, message: witness.on_event(message),
        "on_response": lambda message: witness.note("response", message),
        "on_lost": witness.on_down,
        "counters": AmiCounters(),
        "quiet": QuietLog(logging.getLogger("test")),
    }
    protocol = AmiProtocol(**(settings | changes))
    protocol.connection_made(FakeTransport())
    protocol.data_received(b"Asterisk Call Manager/9.0.0\r\n")
    return protocol


def close(manager: panoramisk.manager.Manager) -> None:
    if manager.pinger:
        manager.pinger.cancel()


TWO_EVENTS = b"Event: Newchannel\r\nUniqueid: 1.1\r\n\r\nEvent: Hangup\r\nUniqueid: 1.1\r\n\r\n"


async def test_defect_01_exception_in_callback_closes_the_connection(witness: Witness) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("broken callback")

    manager, protocol = stock()
    manager.register_event("*", broken)
    with pytest.raises(ValueError):  # asyncio closes a transport whose data_received raises
        protocol.data_received(TWO_EVENTS)
    close(manager)

    seen: list[str] = []

    def on_event(name: str, _: Any) -> None:
        seen.append(name)
        broken()

    protocol = ours(witness, on_event=on_event)
    protocol.data_received(TWO_EVENTS)
    assert seen == ["Newchannel", "Hangup"]
    assert not protocol.transport.closed
    assert protocol._counters.handler_errors == 2


async def test_defect_02_successfully_queued_without_async(fake: FakeAmi, session_to: Any) -> None:
    manager, protocol = stock()
    manager.send_action({"Action": "Originate", "ActionID": "1"})
    with pytest.raises(KeyError):
        protocol.data_received(b"Response: Success\r\nActionID: 1\r\nMessage: Originate successfully queued\r\n\r\n")
    close(manager)

    answer = {"Message": "Originate successfully queued"}
    for name in ("Originate", "Atxfer", "CancelAtxfer", "PlayDTMF"):
        fake.answers[name] = lambda line, fields: line.reply(fields, **answer)
    session = await session_to(fake)
    for name in ("Originate", "Atxfer", "CancelAtxfer", "PlayDTMF"):
        assert (await session.send(name))["Message"] == answer["Message"]
    assert fake.connections == 1


async def test_defect_03_answers_that_never_resolve(fake: FakeAmi, session_to: Any) -> None:
    manager, protocol = stock()
    added = manager.send_action({"Action": "QueueAdd", "ActionID": "1"})
    protocol.data_received(b"Response: Success\r\nActionID: 1\r\nMessage: Added interface to queue\r\n\r\n")
    listing = manager.send_action({"Action": "Status", "ActionID": "2"}, as_list=True)
    protocol.data_received(b"Response: Error\r\nActionID: 2\r\nMessage: Permission denied\r\n\r\n")
    assert not added.done()
    assert not listing.done()
    close(manager)

    fake.answers["QueueAdd"] = lambda line, fields: line.reply(fields, Message="Added interface to queue")
    fake.answers["Status"] = lambda line, fields: line.reply(fields, "Error", Message="Permission denied")
    session = await session_to(fake)
    assert (await session.action("QueueAdd"))["Message"] == "Added interface to queue"
    with pytest.raises(AsteriskError, match="Permission denied"):
        await session.list_action("Status")


async def test_defect_04_unanswered_actions_are_sent_again(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    manager, protocol = stock()
    manager.send_action({"Action": "Originate", "ActionID": "1", "Channel": "PJSIP/customer"})
    login = manager.send_action({"Action": "Login", "ActionID": "2"})
    protocol.close()
    assert [action["action"] for action in manager.awaiting_actions] == ["Originate"]
    assert not login.done(), "and a Login is dropped with a future that never resolves"
    close(manager)

    fake.answers["Originate"] = lambda line, fields: line.hang_up()

    def half_a_list(line: Line, fields: Fields) -> None:
        line.reply(fields, EventList="start")
        line.say(Event="Status", ActionID=fields["ActionID"])

    fake.answers["Status"] = half_a_list
    session = await session_to(fake)
    listing = asyncio.ensure_future(session.list_action("Status"))
    await fake.until(lambda: fake.names()[-1] == "Status")
    originated = session.send("Originate", [("Channel", "PJSIP/customer")])
    for waiting in (originated, listing):
        with pytest.raises(AmiDisconnectedError):
            await waiting
    await witness.until("up", 2)
    await session.action("Ping")
    assert fake.names() == ["Login", "Status", "Originate", "Login"]


async def test_defect_05_abandoned_actions_stay_and_swallow_events(
    fake: FakeAmi, session_to: Any, witness: Witness
) -> None:
    manager, protocol = stock()
    seen: list[Any] = []
    manager.register_event("*", lambda _, event: seen.append(event))
    manager.send_action({"Action": "Originate", "ActionID": "1", "Async": "true"}).cancel()
    await asyncio.get_running_loop().run_in_executor(None, int)
    assert "1" in protocol.responses
    protocol.data_received(b"Response: Success\r\nActionID: 1\r\nMessage: Originate successfully queued\r\n\r\n")
    protocol.data_received(b"Event: OriginateResponse\r\nActionID: 1\r\nReason: 4\r\n\r\n")
    assert seen == [], "the event that says a customer answered is gone"
    close(manager)

    held: list[Fields] = []
    fake.answers["Originate"] = lambda line, fields: held.append(fields)
    session = await session_to(fake)
    with pytest.raises(AmiTimeoutError):
        await session.originate([("Channel", "PJSIP/1")], timeout_s=0.01)
    assert len(session._pending) == 0
    await fake.until(lambda: bool(held))
    fake.lines[0].reply(held[0])
    fake.lines[0].say(Event="OriginateResponse", ActionID=held[0]["ActionID"], Reason="4")
    assert (await witness.until("event", 2))["Reason"] == "4"


async def test_defect_06_no_timeout_no_pong_fixed_reconnect_and_no_close(session_to: Any, witness: Witness) -> None:
    loop = asyncio.get_running_loop()
    manager = panoramisk.manager.Manager(loop=loop)
    with pytest.raises(AttributeError):  # not connected yet
        manager.send_action({"Action": "Ping"})
    assert "timeout" not in inspect.getsource(panoramisk.manager.Manager.send_action)
    attempts = []
    manager.reconnect_timeout = 0
    manager.connect = lambda: attempts.append(1)  # type: ignore[method-assign]
    manager.connection_lost(None)
    manager.close()
    while not attempts:  # close() did not stop the reconnect that was pending
        await loop.run_in_executor(None, int)

    fake = await FakeAmi().start()
    session = make_session(fake.port, Witness())
    assert isinstance(session.send("Ping").exception(), AmiDisconnectedError), "before connecting"
    session = await session_to(fake, timings=QUICK)
    fake.answers["Redirect"] = lambda line, fields: None
    with pytest.raises(AmiTimeoutError):
        await session.send("Redirect", timeout_s=0.01)
    fake.answers["Ping"] = lambda line, fields: None
    assert "nothing came" in await witness.until("down"), "a half-open connection"
    fake.answers["Login"] = lambda line, fields: line.reply(fields, "Error", Message="Authentication failed")
    await fake.until(lambda: fake.names().count("Login") >= 2)
    tries, began = fake.names().count("Login"), loop.time()
    await fake.until(lambda: fake.names().count("Login") > tries)
    assert loop.time() - began > 0.25, "wrong credentials wait for auth_pause_s"
    await session.close()
    await fake.stop()


ZOE = "Event: Newchannel\r\nCallerIDName: Zoë €\U0001f4de\r\n\r\n".encode()


async def test_defect_07_utf8_split_across_segments(witness: Witness) -> None:
    manager, protocol = stock()
    seen: list[str] = []
    manager.register_event("*", lambda _, event: seen.append(event.calleridname))
    cut = ZOE.index(b"\xc3") + 1
    protocol.data_received(ZOE[:cut])
    protocol.data_received(ZOE[cut:])
    assert seen == ["Zo €\U0001f4de"]
    close(manager)

    protocol = ours(witness)
    for cut in range(len(ZOE)):
        protocol.data_received(ZOE[:cut])
        protocol.data_received(ZOE[cut:])
    assert [event["CallerIDName"] for event in witness.of("event")] == ["Zoë €\U0001f4de"] * len(ZOE)


def test_defect_08_headers_vanish_and_repeated_ones_change_type() -> None:
    block = "Event: X\r\nEmpty:\r\nTight:value\r\nChanVariable: a=1\r\nChanVariable: b=2=3\r\nNote: x\r\nNote: y"
    message = panoramisk.message.Message.from_line(block)
    assert "Empty" not in message
    assert "Tight" not in message
    assert isinstance(message["ChanVariable"], list)
    one = panoramisk.message.Message.from_line("Event: X\r\nChanVariable: a=1")
    assert isinstance(one["ChanVariable"], str)

    parsed, malformed = parse_message(block)
    assert parsed == {
        "Event": "X",
        "Empty": "",
        "Tight": "value",
        "ChanVariable(a)": "1",
        "ChanVariable(b)": "2=3",
        "Note": "x\ny",
    }
    assert malformed == 0


async def test_defect_09_unknown_attributes_and_false_success(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    failed = panoramisk.message.Message({"Event": "OriginateResponse", "Response": "Failure", "Reason": "0"})
    assert failed.uniqeid == "", "a misspelt header is an empty string"
    assert failed.success is True

    def originate(line: Line, fields: Fields) -> None:
        line.reply(fields)
        line.say(Event="OriginateResponse", ActionID=fields["ActionID"], Response="Failure", Reason="0")

    fake.answers["Originate"] = originate
    session = await session_to(fake)
    outcome = await session.originate([("Channel", "PJSIP/1")])
    assert outcome["Response"] == "Failure"
    with pytest.raises(KeyError):
        outcome["Uniqeid"]
    assert type(outcome) is dict


async def test_defect_10_header_injection(fake: FakeAmi, session_to: Any) -> None:
    manager, protocol = stock()
    manager.send_action({"Action": "Setvar", "Value": "x\r\nAction: Originate"})
    assert b"\r\nAction: Originate\r\n" in protocol.transport.written
    close(manager)

    session = await session_to(fake)
    for bad in ("x\r\nAction: Originate", "x\nAction: Originate", "x\r", "x\0y"):
        with pytest.raises(MisuseError, match="Setvar: header Value"):
            session.send("Setvar", [("Value", bad)])
        with pytest.raises(MisuseError):
            encode("Setvar", [("Value" + bad, "x")])
        with pytest.raises(MisuseError):
            encode("Setvar" + bad, [])
    await session.action("Ping")
    assert fake.names() == ["Login"]


ADAPTER_SOURCE = "".join(path.read_text() for path in Path(acd.asterisk.__path__[0]).rglob("*.py"))


async def test_defect_11_calls_of_one_second_merge(witness: Witness) -> None:
    merged = panoramisk.call_manager.CallManager(loop=asyncio.get_running_loop())
    for serial in (1, 2):
        merged.handle_calls(merged, panoramisk.message.Message({"Event": "X", "Uniqueid": f"1795281218.{serial}"}))
    assert list(merged.calls_queues) == ["1795281218"]

    protocol = ours(witness)
    for serial in (1, 2):
        protocol.data_received(f"Event: Newchannel\r\nUniqueid: 1795281218.{serial}\r\n\r\n".encode())
    assert [event["Uniqueid"] for event in witness.of("event")] == ["1795281218.1", "1795281218.2"]
    assert "call_manager" not in ADAPTER_SOURCE


async def test_defect_14_callbacks_become_tasks_without_order(witness: Witness) -> None:
    assert "ensure_future" in inspect.getsource(panoramisk.manager.Manager.dispatch), "tasks nobody keeps"

    tasks = asyncio.all_tasks()
    protocol = ours(witness)
    protocol.data_received(b"".join(b"Event: E%d\r\n\r\n" % serial for serial in range(500)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert [event["Event"] for event in witness.of("event")] == [f"E{serial}" for serial in range(500)]
    assert asyncio.all_tasks() == tasks


@pytest.fixture
def self_signed(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return certificate, key


async def test_defect_15_tls_wants_an_ssl_context(session_to: Any, self_signed: tuple[Path, Path]) -> None:
    manager = panoramisk.manager.Manager(loop=asyncio.get_running_loop(), ssl="False")
    assert bool(manager.config["ssl"]) is True

    for text in ("False", "no", "", True):
        with pytest.raises(MisuseError, match="SSLContext"):
            make_session(5038, Witness(), tls=text)
    certificate, key = self_signed
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    fake = await FakeAmi().start(tls=serving)
    session = await session_to(fake, tls=ssl.create_default_context(cafile=str(certificate)))
    assert (await session.action("Ping"))["Ping"] == "Pong"
    distrustful = await session_to(fake, wait=False, tls=ssl.create_default_context())
    with pytest.raises(AsteriskError, match="certificate"):
        await distrustful.wait_up(0.5)
    await session.close()
    await distrustful.close()
    await fake.stop()
