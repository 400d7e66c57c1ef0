"""AmiSession against a scripted manager interface: actions, their answers, deadlines and limits."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from wire_fakes import QUICK, FakeAmi, Fields, Line, Witness, make_session

from acd.asterisk.ami import session as session_module
from acd.asterisk.ami.session import AmiBusyError
from acd.domain.errors import (
    AmiDisconnectedError,
    AmiTimeoutError,
    AsteriskError,
    MisuseError,
)


async def test_only_wanted_events_come(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    session = await session_to(fake, wanted=frozenset({"Hangup"}))
    for name in ("Newchannel", "VarSet", "Hangup"):
        fake.lines[0].say(Event=name, Uniqueid="1.1")
    event = await witness.until("event")
    assert event == {"Event": "Hangup", "Uniqueid": "1.1"}
    assert session.counters.unwanted == 2


async def test_send_returns_an_error_and_action_raises_it(fake: FakeAmi, session_to: Any) -> None:
    def redirect(line: Line, fields: Fields) -> None:
        line.reply(fields, "Error", Message="Channel does not exist: x")

    fake.answers["Redirect"] = redirect
    session = await session_to(fake)
    response = await session.send("Redirect", [("Channel", "x")])
    assert (response["Response"], response["Message"]) == ("Error", "Channel does not exist: x")
    with pytest.raises(AsteriskError, match="refused Redirect: Channel does not exist: x"):
        await session.action("Redirect", [("Channel", "x")])


async def test_send_many_is_one_write_in_order(fake: FakeAmi, session_to: Any) -> None:
    session = await session_to(fake)
    futures = session.send_many(
        [
            ("Setvar", [("Channel", "c"), ("Variable", "acd_device"), ("Value", "PJSIP/1")]),
            ("Redirect", [("Channel", "c"), ("Exten", "7")]),
        ]
    )
    assert [(await future)["Response"] for future in futures] == ["Success", "Success"]
    assert fake.names() == ["Login", "Setvar", "Redirect"]
    assert [fields["Channel"] for fields in fake.received[-2:]] == ["c", "c"]


async def test_send_many_sends_nothing_when_one_cannot_be_sent(fake: FakeAmi, session_to: Any) -> None:
    session = await session_to(fake)
    with pytest.raises(MisuseError, match="Value"):
        session.send_many([("Hangup", [("Channel", "a")]), ("Setvar", [("Value", "a\nb")])])
    await session.action("Ping")
    assert fake.names() == ["Login"]


async def test_list_until_its_complete_event(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    def channels(line: Line, fields: Fields) -> None:
        line.reply(fields, EventList="start", Message="Channels will follow")
        for serial in range(1000):
            if serial % 100 == 0:
                line.say(Event="Hangup", Uniqueid=f"other.{serial}")
            line.say(Event="CoreShowChannel", ActionID=fields["ActionID"], Uniqueid=f"1.{serial}")
        line.say(Event="CoreShowChannelsComplete", ActionID=fields["ActionID"], EventList="Complete", ListItems="1000")

    fake.answers["CoreShowChannels"] = channels
    session = await session_to(fake, wanted=frozenset({"Hangup"}))
    items = await session.list_action("CoreShowChannels")
    assert [item["Uniqueid"] for item in items] == [f"1.{serial}" for serial in range(1000)]
    assert [event["Event"] for event in witness.of("event")] == ["Hangup"] * 10


async def test_list_refused_or_no_list_at_all(fake: FakeAmi, session_to: Any) -> None:
    session = await session_to(fake)
    with pytest.raises(AsteriskError, match="without a list"):
        await session.list_action("QueueAdd")
    fake.answers["Status"] = lambda line, fields: line.reply(fields, "Error", Message="Permission denied")
    with pytest.raises(AsteriskError, match="Permission denied"):
        await session.list_action("Status")
    assert len(session._pending) == 0


async def test_list_that_is_cancelled_by_asterisk(fake: FakeAmi, session_to: Any) -> None:
    def status(line: Line, fields: Fields) -> None:
        line.reply(fields, EventList="start")
        line.say(Event="StatusComplete", ActionID=fields["ActionID"], EventList="cancelled")

    fake.answers["Status"] = status
    session = await session_to(fake)
    with pytest.raises(AsteriskError, match="cancelled"):
        await session.list_action("Status")


async def test_originate_completes_at_its_event(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    def originate(line: Line, fields: Fields) -> None:
        assert fields["Async"] == "true"
        line.reply(fields, Message="Originate successfully queued")
        line.say(Event="OriginateResponse", ActionID="somebody-else-1", Response="Success", Reason="4")
        line.say(Event="UserEvent", ActionID=fields["ActionID"], Response="Success", Reason="1")
        line.say(Event="OriginateResponse", ActionID=fields["ActionID"], Response="Failure", Reason="0")

    fake.answers["Originate"] = originate
    session = await session_to(fake, wanted=frozenset({"OriginateResponse"}))
    outcome = await session.originate([("Channel", "PJSIP/1"), ("Async", "false")])
    assert (outcome["Response"], outcome["Reason"]) == ("Failure", "0")
    assert [event["Reason"] for event in witness.of("event")] == ["4", "0"]


async def test_originate_refused_or_invisible(fake: FakeAmi, session_to: Any) -> None:
    fake.answers["Originate"] = lambda line, fields: line.reply(fields, "Error", Message="Permission denied")
    session = await session_to(fake)
    with pytest.raises(AsteriskError, match="Permission denied"):
        await session.originate([("Channel", "PJSIP/1")])
    mute = make_session(fake.port, Witness(), events="off")
    with pytest.raises(MisuseError, match="class call"):
        await mute.originate([("Channel", "PJSIP/1")])


async def test_disconnect_fails_everybody_who_waits(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    session = await session_to(fake)
    fake.answers["Redirect"] = fake.answers["Status"] = lambda line, fields: None
    single = session.send("Redirect")
    listing = asyncio.ensure_future(session.list_action("Status"))
    await fake.until(lambda: fake.names()[-1] == "Status")
    entries = list(session._pending._entries.values())
    fake.lines[0].hang_up()
    for waiting in (single, listing):
        with pytest.raises(AmiDisconnectedError, match="under way"):
            await waiting
    assert len(session._pending) == 0
    assert [entry.timer.cancelled() for entry in entries] == [True, True]
    await witness.until("up", 2)
    assert [kind for kind, _ in witness.log if kind != "event"] == ["up", "down", "up"]
    assert session.counters.reconnects == 1


async def test_sending_while_down_fails_at_once(session_to: Any) -> None:
    session = await session_to(1, wait=False)
    future = session.send("Redirect")
    assert isinstance(future.exception(), AmiDisconnectedError)
    with pytest.raises(AmiDisconnectedError):
        await session.list_action("Status")
    with pytest.raises(AmiDisconnectedError):
        await session.originate([])
    assert session.counters.refused == 3


async def test_nobody_needs_to_await(fake: FakeAmi, session_to: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A future that fails and is dropped must not be reported by asyncio as a forgotten exception."""
    session = await session_to(fake, timings=QUICK)
    fake.answers["Redirect"] = lambda line, fields: None
    session.send("Redirect", timeout_s=0.01)
    while session.counters.timeouts == 0:
        await session.action("Ping")
    session.send("Redirect")
    await session.close()
    session.send("Redirect")
    await asyncio.get_running_loop().run_in_executor(None, gc.collect)
    assert not [record for record in caplog.records if "never retrieved" in record.getMessage()]


async def test_an_answer_after_its_deadline_is_ignored(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    held: list[Fields] = []
    fake.answers["Redirect"] = fake.answers["Status"] = lambda line, fields: held.append(fields)
    session = await session_to(fake)
    with pytest.raises(AmiTimeoutError, match=r"no answer to Redirect within 0\.01 s"):
        await session.send("Redirect", timeout_s=0.01)
    with pytest.raises(AmiTimeoutError):
        await session.list_action("Status", timeout_s=0.01)
    assert len(session._pending) == 0
    await fake.until(lambda: len(held) == 2)
    line, (redirect, status) = fake.lines[0], held
    line.reply(redirect)
    line.reply(status, EventList="start")
    line.say(Event="Status", ActionID=status["ActionID"])
    line.say(Event="StatusComplete", ActionID=status["ActionID"], EventList="Complete")
    line.say(Event="Hangup", ActionID=status["ActionID"])
    assert (await witness.until("event", 2))["Event"] == "Hangup"
    assert session.counters.late == 4
    assert session.counters.timeouts == 2


async def test_a_cancelled_wait_is_forgotten(fake: FakeAmi, session_to: Any) -> None:
    fake.answers["Redirect"] = lambda line, fields: None
    session = await session_to(fake)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await session.action("Redirect")
    await session.action("Ping")
    assert len(session._pending) == 0


async def test_a_peer_that_does_not_read_is_given_no_more(
    fake: FakeAmi, session_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_UNSENT_BYTES", 64 * 1024)
    hold = asyncio.Event()
    fake.answers["Stop"] = lambda line, fields: hold.wait()
    session = await session_to(fake)
    session.send("Stop")
    filler = [("Variable", "x" * 1000)] * 60
    refused = None
    for _ in range(10_000):
        future = session.send("Setvar", filler)
        if future.done():
            refused = future.exception()
            break
    assert isinstance(refused, AmiBusyError)
    assert "is not reading" in str(refused)
    assert session.up
    hold.set()


async def test_a_peer_that_does_not_answer_is_given_no_more(
    fake: FakeAmi, session_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_PENDING", 10)
    fake.answers["Redirect"] = lambda line, fields: None
    session = await session_to(fake)
    futures = [session.send("Redirect") for _ in range(11)]
    assert [future.done() for future in futures] == [False] * 10 + [True]
    assert isinstance(futures[-1].exception(), AmiBusyError)
