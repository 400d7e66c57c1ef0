"""AmiSession against a scripted manager interface: coming up, going down, watch-dog, refusals, pauses."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest
from wire_fakes import BOOTED, QUICK, FakeAmi, Fields, Line, Witness, make_session

from acd.asterisk.ami.keeper import AmiTimings
from acd.domain.errors import (
    AmiAuthenticationError,
    AmiDisconnectedError,
    AsteriskError,
    MisuseError,
)


async def test_up_brings_the_booted_event_at_its_place(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    def login(line: Line, fields: Fields) -> None:
        line.reply(fields, Message="Authentication accepted")
        line.say(Event="Newchannel", Uniqueid="1.1")
        line.say(*BOOTED.items())
        line.say(Event="Hangup", Uniqueid="1.1")

    fake.answers["Login"] = login
    session = await session_to(fake)
    await witness.until("event", 3)
    assert [(kind, what.get("Event")) for kind, what in witness.log] == [
        ("event", "Newchannel"),
        ("up", "FullyBooted"),
        ("event", "FullyBooted"),
        ("event", "Hangup"),
    ]
    assert witness.of("up")[0]["Uptime"] == "7"
    assert session.up
    assert session.version == "9.0.0"
    assert session.last_error is None


async def test_without_events_login_is_enough(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    await session_to(fake, events="off")
    assert witness.of("up")[0]["Message"] == "Authentication accepted"
    assert fake.received[0]["Events"] == "off"


async def test_a_connection_dropped_in_the_breath_of_its_login_is_not_up(
    fake: FakeAmi, session_to: Any, witness: Witness
) -> None:
    def login(line: Line, fields: Fields) -> None:
        line.raw(f"Response: Success\r\nActionID: {fields['ActionID']}\r\n\r\nEvent: Hangup\r\n\r\n".encode())
        del fake.answers["Login"]

    def on_event(message: dict[str, str]) -> None:
        session.drop("at once")

    fake.answers["Login"] = login
    session = await session_to(fake, wait=False, events="call", on_event=on_event)
    fake.booted = False
    await session.wait_up(5)
    assert [kind for kind, _ in witness.log] == ["up"]
    assert fake.connections == 2
    assert session.counters.reconnects == 0


async def test_not_up_before_fully_booted(session_to: Any, witness: Witness) -> None:
    fake = await FakeAmi(booted=False).start()
    session = await session_to(fake, wait=False)
    await fake.until(lambda: fake.names() == ["Login"])
    with pytest.raises(AmiDisconnectedError):
        await session.send("Redirect")
    assert not session.up
    fake.lines[0].say(*BOOTED.items())
    await session.wait_up(5)
    assert witness.of("up")[0]["Status"] == "Fully Booted"
    await fake.stop()


async def test_silence_is_noticed(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    fake.answers["Ping"] = lambda line, fields: None
    await session_to(fake, timings=QUICK)
    began = asyncio.get_running_loop().time()
    reason = await witness.until("down")
    assert re.search(r"nothing came for 0\.[45] s", reason), reason
    assert asyncio.get_running_loop().time() - began < 1
    await witness.until("up", 2)


async def test_a_quiet_asterisk_that_answers_pings_is_not_dropped(fake: FakeAmi, session_to: Any) -> None:
    session = await session_to(fake, timings=QUICK)
    await fake.until(lambda: sum(fields["Action"] == "Ping" for fields in fake.received) >= 12)
    assert session.up
    assert fake.connections == 1


async def test_events_without_pongs_are_noticed_later(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    """Bytes come, answers do not: our sending direction is dead."""
    fake.answers["Ping"] = lambda line, fields: line.say(Event="Hangup", Uniqueid="1.1")
    await session_to(fake, timings=QUICK)
    assert "no answer to a ping" in await witness.until("down")


async def test_our_own_stall_is_not_taken_for_silence(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    session = await session_to(fake, timings=QUICK)
    keeper, loop = session._keeper, asyncio.get_running_loop()
    assert keeper.link is not None
    keeper.link.last_bytes_at = loop.time() - 10
    keeper._check_silence(keeper.link, due_at=loop.time())
    assert session.up, "we may have stood still up to now: the verdict waits until bytes could be read"
    keeper._check_silence(keeper.link, due_at=loop.time() - 5, second=True)
    assert session.up, "we have stood still once more"
    keeper.link.last_bytes_at = loop.time() - 10
    keeper._check_silence(keeper.link, due_at=loop.time(), second=True)
    assert not session.up
    await witness.until("up", 2)


async def test_wrong_secret_is_said_once_a_pause_without_the_secret(
    fake: FakeAmi, session_to: Any, witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    def login(line: Line, fields: Fields) -> None:
        line.reply(fields, "Error", Message="Authentication failed")
        line.writer.close()

    fake.answers["Login"] = login
    session = await session_to(fake, wait=False, timings=QUICK)
    began = asyncio.get_running_loop().time()
    await fake.until(lambda: fake.names().count("Login") == 3)
    assert asyncio.get_running_loop().time() - began > 2 * 0.3 - 0.05
    said = [record.getMessage() for record in caplog.records if "was refused" in record.getMessage()]
    assert 2 <= len(said) <= 3
    assert "'acd'" in said[0]
    assert f"127.0.0.1:{fake.port}" in said[0]
    assert "sesame" not in caplog.text
    assert session.counters.auth_failures in (2, 3)
    with pytest.raises(AmiAuthenticationError):
        await session.wait_up(0.01)
    assert witness.log == []


async def test_login_in_use_has_its_own_words_and_a_short_pause(
    fake: FakeAmi, session_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acd.asterisk.ami.keeper._IN_USE_PAUSE_S", 0.02)
    refusals = 2

    def login(line: Line, fields: Fields) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            line.reply(fields, "Error", Message="Login Already In Use")
            line.writer.close()
        else:
            fake._on_login(line, fields)

    fake.answers["Login"] = login
    session = await session_to(fake, wait=False)
    await fake.until(lambda: fake.names().count("Login") == 2)
    assert "logged in elsewhere" in str(session.last_error)
    await session.wait_up(5)
    assert session.counters.auth_failures == 0


async def test_no_answer_to_login_and_refusal_of_another_kind(fake: FakeAmi, session_to: Any) -> None:
    fake.answers["Login"] = lambda line, fields: line.reply(fields, "Error", Message="Asterisk is shutting down")
    session = await session_to(fake, wait=False, timings=QUICK)
    await fake.until(lambda: fake.names().count("Login") == 2)
    assert "shutting down" in str(session.last_error)
    fake.answers["Login"] = lambda line, fields: None
    seen = fake.connections
    await fake.until(lambda: fake.connections >= seen + 2)
    assert session.counters.timeouts >= 1


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"\x15\x03\x01\x00\x02", b"Asterisk Call M" * 50])
async def test_what_greets_otherwise_is_named(session_to: Any, greeting: bytes) -> None:
    fake = await FakeAmi(greeting=greeting).start()
    session = await session_to(fake, wait=False)
    await fake.until(lambda: fake.connections >= 2)
    assert "no Asterisk manager interface" in str(session.last_error)
    assert fake.received == []
    await fake.stop()


async def test_a_server_that_does_not_greet_is_left(session_to: Any) -> None:
    fake = await FakeAmi(greeting=b"").start()
    session = await session_to(fake, wait=False, timings=QUICK)
    await fake.until(lambda: fake.connections >= 2)
    assert "no greeting" in str(session.last_error)
    await fake.stop()


async def test_refused_connections_are_tried_again_with_growing_pauses(session_to: Any, witness: Witness) -> None:
    fake = await FakeAmi().start()
    port = fake.port
    await fake.stop()
    session = await session_to(port, wait=False)
    with pytest.raises(AsteriskError, match="cannot connect"):
        await session.wait_up(0.2)
    assert 3 <= session.counters.attempts <= 20
    fake = await FakeAmi().start(port=port)
    await session.wait_up(5)
    await session.close()
    await fake.stop()


def test_backoff_grows_to_its_cap_and_jitters() -> None:
    async def pauses() -> list[float]:
        session = make_session(1, Witness(), timings=AmiTimings())
        return [session._keeper._backoff_s() for _ in range(12)]

    first, second = asyncio.run(pauses()), asyncio.run(pauses())
    assert first == second, "the injected random source decides"
    for number, pause_s in enumerate(first):
        ceiling_s = min(10.0, 0.2 * 2**number)
        assert ceiling_s / 2 <= pause_s <= ceiling_s
    assert len(set(first)) == 12


async def test_close_during_a_pause_stops_it(session_to: Any) -> None:
    fake = await FakeAmi().start()
    port = fake.port
    await fake.stop()
    session = await session_to(port, wait=False)
    with pytest.raises(AsteriskError):
        await session.wait_up(0.05)
    await session.close()
    tries = session.counters.attempts
    fake = await FakeAmi().start(port=port)
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        writer.close()
    assert fake.connections == 1, "only the test's own connection arrived"
    assert session.counters.attempts == tries
    await fake.stop()


async def test_close_says_goodbye_and_fails_what_waits(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    fake.answers["Redirect"] = lambda line, fields: None
    session = await session_to(fake)
    waiting = session.send("Redirect")
    await session.close()
    await session.close()
    with pytest.raises(AmiDisconnectedError):
        await waiting
    await fake.until(lambda: fake.names() == ["Login", "Redirect", "Logoff"])
    await fake.until(lambda: not fake.lines)
    assert witness.log[-1] == ("down", "closed by us")


async def test_close_while_connecting_leaves_nothing(session_to: Any) -> None:
    fake = await FakeAmi(greeting=b"").start()
    session = await session_to(fake, wait=False)
    await fake.until(lambda: fake.connections == 1)
    await session.close()
    await fake.until(lambda: not fake.lines)
    await fake.stop()


async def test_drop_makes_a_new_connection(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    session = await session_to(fake)
    session.drop("the inbox ran over")
    assert not session.up
    await witness.until("up", 2)
    assert witness.of("down") == ["the inbox ran over"]
    assert fake.connections == 2


async def test_handlers_may_raise(fake: FakeAmi, session_to: Any, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def broken(what: object) -> None:
        calls.append(what["Event"] if isinstance(what, dict) else str(what))
        raise ValueError("broken handler")

    session = await session_to(fake, on_event=broken, on_up=broken, on_down=broken)
    for _ in range(50):
        fake.lines[0].say(Event="Hangup")
    await session.action("Ping")
    session.drop("test")
    await session.wait_up(5)
    assert calls.count("Hangup") == 50
    assert session.counters.handler_errors == 2 + 50 + 1 + 2
    assert len([r for r in caplog.records if "handling Hangup failed" in r.getMessage()]) == 1


async def test_an_async_on_up_runs_and_is_cancelled_with_the_connection(
    fake: FakeAmi, session_to: Any, witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    async def resync(message: dict[str, str]) -> None:
        witness.note("resync", message["Event"])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            witness.note("cancelled", None)
            raise

    session = await session_to(fake, on_up=resync)
    await witness.until("resync")
    session.drop("test")
    await witness.until("cancelled")

    async def fails(message: dict[str, str]) -> None:
        witness.note("failed", message)
        raise ValueError("no resync today")

    other = await session_to(fake, on_up=fails)
    await witness.until("failed")
    await other.action("Ping")
    assert "no resync today" in caplog.text
    assert other.up


async def test_without_read_system_the_reason_is_named(
    session_to: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("acd.asterisk.ami.keeper._BOOT_PATIENCE_S", 0.02)
    fake = await FakeAmi(booted=False).start()
    session = await session_to(fake, wait=False)
    with pytest.raises(AsteriskError, match="lacks read=system"):
        await session.wait_up(0.2)
    assert len([r for r in caplog.records if "FullyBooted does not come" in r.getMessage()]) == 1
    await fake.stop()


async def test_once_it_has_booted_nothing_is_missed(
    fake: FakeAmi, session_to: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """FullyBooted mostly comes a moment after the login."""
    monkeypatch.setattr("acd.asterisk.ami.keeper._BOOT_PATIENCE_S", 0.4)
    loop = asyncio.get_running_loop()

    def login(line: Line, fields: Fields) -> None:
        line.reply(fields, Message="Authentication accepted")
        loop.call_later(0.05, lambda: line.say(*BOOTED.items()))

    fake.answers["Login"] = login
    await session_to(fake)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await loop.create_future()
    assert "FullyBooted does not come" not in caplog.text


async def test_start_twice_is_misuse(fake: FakeAmi, session_to: Any) -> None:
    session = await session_to(fake)
    with pytest.raises(MisuseError):
        await session.start()


def test_timings_that_would_hang_up_on_a_quiet_asterisk_are_refused() -> None:
    with pytest.raises(MisuseError, match="ping_interval_s"):
        AmiTimings(ping_interval_s=5, silence_limit_s=4)
    with pytest.raises(MisuseError, match="backoff"):
        AmiTimings(backoff_min_s=0)


async def test_reconnecting_logs_little(
    fake: FakeAmi, session_to: Any, witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that drops again and again is one warning a minute, not one a drop."""
    caplog.set_level(logging.WARNING)
    await session_to(fake)
    for drops in range(1, 6):
        await fake.until(lambda: len(fake.lines) == 1)
        fake.lines[0].hang_up()
        await witness.until("up", 1 + drops)
    assert len([r for r in caplog.records if "connection" in r.getMessage()]) == 1


async def test_lists_are_handed_on_in_larger_parts(fake: FakeAmi, session_to: Any) -> None:
    """A look at a thousand channels is not to last a hundred turns of a loop that has other things to do."""
    turns: list[int] = []
    for wanted in (frozenset(), frozenset({"Hold"})):
        session = await session_to(fake, wanted=wanted)
        link = session._keeper.link
        link._blocks.extend(["Response: Success\r\nActionID: nobody's"] * 100)
        link._hand_on()
        turns.append(link.unhanded)
    assert turns == [0, 92]


async def test_who_has_caught_up_knows_all_that_was_read(fake: FakeAmi, session_to: Any, witness: Witness) -> None:
    session = await session_to(fake)
    await session.caught_up()
    before = len(witness.of("event"))
    fake.lines[-1].raw(b"Event: Hold\r\nUniqueid: 1.1\r\n\r\n" * 500)
    await witness.until("event", before + 1)
    assert len(witness.of("event")) < before + 500, "not all in one go"
    await session.caught_up()
    assert len(witness.of("event")) == before + 500
