"""Framing and parsing: recorded bytes cut anywhere, garbage, limits, and speed enough."""

from __future__ import annotations

import asyncio
import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_plain import plain_messages

from acd.asterisk.ami import protocol as protocol_module
from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.encoder import MAX_LINE_BYTES, encode
from acd.asterisk.ami.messages import Message, parse_message, unescape
from acd.asterisk.ami.parse_rate import CALL_CENTRE_EVENTS, measure_parse_rate
from acd.asterisk.ami.protocol import AmiProtocol
from acd.asterisk.ami.quietlog import QuietLog
from acd.domain.errors import AsteriskError, MisuseError

RECORDED = Path(__file__).parent / "recorded"
ALL = (RECORDED / "session_all.bin").read_bytes()
CALL = (RECORDED / "session_call.bin").read_bytes()
GREETING = b"Asterisk Call Manager/11.0.0\r\n"


class Feed:
    """A protocol without a socket that collects what comes out."""

    def __init__(self, **changes: Any) -> None:
        self.messages: list[Message] = []
        self.lost: list[str] = []
        self.counters = AmiCounters()
        options: dict[str, Any] = {
            "on_event": lambda _name, message: self.messages.append(message),
            "on_response": self.messages.append,
            "on_lost": self.lost.append,
            "counters": self.counters,
            "quiet": QuietLog(logging.getLogger("test")),
            "at_once": 1_000_000,
        }
        self.protocol = AmiProtocol(**(options | changes))

    def give(self, *segments: bytes) -> list[Message]:
        for segment in segments:
            self.protocol.data_received(segment)
        return self.messages


def run(*segments: bytes, **changes: Any) -> Feed:
    """Feed segments to a fresh protocol, inside a loop of its own."""

    async def inside() -> Feed:
        feed = Feed(**changes)
        feed.give(*segments)
        return feed

    return asyncio.run(inside())


def cut_up(wire: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(wire)]
    return [wire[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize("wire", [ALL, CALL], ids=["all", "call"])
async def test_recordings_parse_as_the_plain_reader_says(wire: bytes) -> None:
    expected = plain_messages(wire)
    assert len(expected) > 70
    feed = Feed()
    assert feed.give(wire) == expected
    assert feed.counters.malformed == feed.counters.dropped == 0


async def test_recording_cut_at_every_offset_gives_the_same() -> None:
    """Two segments, cut at each byte of the greeting and of some thousand bytes around the name with UTF-8 in it."""
    accented = ALL.index("Zoë".encode())
    wire = ALL[:600] + b"\r\n\r\n" + ALL[ALL.rindex(b"Event: ", 0, accented) : accented + 2500]
    wire = wire[: wire.rindex(b"\r\n\r\n") + 4]
    expected = plain_messages(wire)
    assert any("Zoë" in message.get("CallerIDName", "") for message in expected)
    for cut in range(len(wire)):
        assert Feed().give(wire[:cut], wire[cut:]) == expected, f"cut at byte {cut}"


async def test_recording_byte_by_byte() -> None:
    feed = Feed()
    assert feed.give(*(CALL[at : at + 1] for at in range(len(CALL)))) == plain_messages(CALL)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, len(ALL)), max_size=40))
def test_recording_cut_anywhere_gives_the_same(cuts: list[int]) -> None:
    assert run(*cut_up(ALL, cuts)).messages == EXPECTED_ALL


EXPECTED_ALL = plain_messages(ALL)


def test_what_the_recording_says() -> None:
    """A few facts checked by eye, so that yardstick and parser cannot be wrong together."""
    by_name = {message.get("Event"): message for message in EXPECTED_ALL}
    assert by_name["FullyBooted"]["Status"] == "Fully Booted"
    answered = by_name["OriginateResponse"]
    assert (answered["Response"], answered["ActionID"], answered["Reason"]) == ("Success", "acd-1", "4")
    assert answered["ChanVariable(acd_call)"] == "c-0001"
    assert answered["CallerIDName"] == 'Zoë \U0001f4de, "x" = y'
    assert unescape(by_name["Newexten"]["CallerIDName"]) == 'Zoë \U0001f4de, "x" = y'
    states = {message.get("ChanVariable(acd_state)") for message in EXPECTED_ALL}
    assert 'offered=yes: "now"' in states
    assert by_name["DialEnd"]["DestChanVariable(acd_call)"] == ""
    assert by_name["UserEvent"]["UserEvent"] == "OfferDone"
    refused = [message for message in EXPECTED_ALL if message.get("Response") == "Error"]
    assert [message["ActionID"] for message in refused] == ["acd-7"]


HEADER = st.tuples(
    st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(HEADER, min_size=1, max_size=6), min_size=1, max_size=6),
    st.lists(st.integers(0, 600), max_size=12),
)
def test_any_messages_cut_anywhere_equal_the_plain_reader(
    messages: list[list[tuple[str, str]]], cuts: list[int]
) -> None:
    wire = GREETING + b"".join(
        "".join(f"{name}: {value}\r\n" for name, value in [("Event", "X"), *headers]).encode() + b"\r\n"
        for headers in messages
    )
    feed = run(*cut_up(wire, [min(cut, len(wire)) for cut in cuts]))
    assert feed.messages == plain_messages(wire)


PIECE = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"\r\n", b"\r\n\r\n", b"Event: ", b"Response: ", b": ", b"ChanVariable: a=", b"\xc3", b"ActionID:"]
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECE, max_size=40), st.booleans(), st.sampled_from([None, frozenset({"X"})]))
def test_garbage_never_raises(pieces: list[bytes], greeted: bool, wanted: frozenset[str] | None) -> None:
    feed = run(*([GREETING] if greeted else []), *pieces, wanted=wanted, max_message_bytes=200)
    assert len(feed.lost) <= 1
    if greeted:
        assert not feed.lost
        assert len(feed.protocol._tail) <= 200


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECE, max_size=20))
def test_after_garbage_the_next_message_is_whole(pieces: list[bytes]) -> None:
    feed = run(GREETING, *pieces, b"\r\n\r\nEvent: Hangup\r\nUniqueid: 1.1\r\n\r\n", max_message_bytes=200)
    assert feed.messages[-1] == {"Event": "Hangup", "Uniqueid": "1.1"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300))
def test_parsing_any_text_gives_text(block: str) -> None:
    message, malformed = parse_message(block)
    assert all(isinstance(part, str) for item in message.items() for part in item)
    assert 0 <= malformed <= block.count("\r\n") + 1


async def test_empty_messages_are_passed_over() -> None:
    feed = Feed(wanted=frozenset("ABC"))
    feed.give(GREETING + b"\r\n\r\n\r\nEvent: Unwanted\r\n\r\n\r\nEvent: Unwanted\r\n\r\n\r\n")
    feed.give(b"Event: A\r\n\r\n\r\nEvent: B\r\n\r\n\r\n\r\n\r\n\r\n", b"\r\nEvent: C\r\n\r\n")
    assert [message["Event"] for message in feed.messages] == ["A", "B", "C"]
    assert (feed.counters.unwanted, feed.counters.malformed) == (2, 0)


async def test_bytes_that_are_not_utf8_cost_a_character_only() -> None:
    feed = Feed()
    feed.give(GREETING + b"Event: A\r\nCallerIDName: Zo\xeb \xf0\x9f\r\nExten: 7\r\n\r\nEvent: B\r\n\r\n")
    assert feed.messages == [{"Event": "A", "CallerIDName": "Zo� �", "Exten": "7"}, {"Event": "B"}]


async def test_a_line_without_colon_is_counted_and_kept() -> None:
    feed = Feed()
    feed.give(GREETING + b"Event: A\r\nOutput: one\r\ntwo\r\nExten: 7\r\n\r\nnonsense\r\n\r\n")
    assert feed.messages == [{"Event": "A", "Output": "one\ntwo", "Exten": "7"}]
    assert feed.counters.malformed == 3


async def test_a_message_over_the_cap_is_dropped_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    feed = Feed(max_message_bytes=1000)
    big = b"Event: Big\r\nData: " + b"x" * 5000
    feed.give(GREETING, b"Event: A\r\n\r\n", big[:900], big[900:2000], big[2000:], b"\r\n", b"\r\nEvent: B\r\n\r\nEve")
    feed.give(b"nt: C\r\n\r\n", big + b"\r\n\r\nEvent: D\r\n\r\n")
    assert [message["Event"] for message in feed.messages] == ["A", "B", "C", "D"]
    assert (feed.counters.dropped, feed.counters.malformed) == (2, 0)
    assert feed.lost == []
    assert len([record for record in caplog.records if "dropping" in record.getMessage()]) == 1


async def test_a_message_without_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_module, "MAX_DISCARDED_BYTES", 10_000)
    feed = Feed(max_message_bytes=1000)
    feed.give(GREETING)
    for _ in range(20):
        feed.give(b"x" * 1000)
        assert len(feed.protocol._tail) <= 1000
    assert feed.lost == ["a message did not end within 10000 bytes"]


async def test_unwanted_events_are_dropped_unless_claimed() -> None:
    claimed: dict[str, None] = {}
    feed = Feed(wanted=frozenset({"Hangup"}), claimed=claimed)
    item = b"Event: CoreShowChannel\r\nActionID: 1\r\n\r\n"
    feed.give(GREETING, item, b"Event: Hangup\r\n\r\n", b"Response: Success\r\n\r\n", b"Event: Lonely\r\n\r\n")
    claimed["1"] = None
    feed.give(item, b"Event: VarSet\r\nValue: x\r\n\r\n")
    assert [message.get("Event", "response") for message in feed.messages] == ["Hangup", "response", "CoreShowChannel"]
    assert feed.counters.unwanted == 3


async def test_what_is_no_manager_interface_fails_the_banner() -> None:
    feed = Feed()
    feed.give(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(AsteriskError, match=r"no Asterisk manager interface: b'HTTP/1\.1"):
        await feed.protocol.banner
    assert feed.lost == ["not a manager interface"]
    feed.give(b"Event: A\r\n\r\n")
    assert feed.messages == []


def test_unescape_takes_back_what_asterisk_escapes() -> None:
    assert unescape(r"O\'Brien \"x\" \\ \? a\tb\nc") == 'O\'Brien "x" \\ ? a\tb\nc'
    assert unescape(r"\\n") == r"\n"
    assert unescape(r"C:\zoo") == r"C:\zoo"
    assert unescape("plain") == "plain"


def test_encode_writes_what_asterisk_reads() -> None:
    wire = encode("Originate", [("ActionID", "1"), ("Variable", "a=1"), ("Variable", "b=Zoë: x"), ("CallerID", "")])
    assert wire == (
        "Action: Originate\r\nActionID: 1\r\nVariable: a=1\r\nVariable: b=Zoë: x\r\nCallerID: \r\n\r\n".encode()
    )


def test_encode_refuses_what_would_be_cut_or_split() -> None:
    assert encode("Setvar", [("Value", "x" * (MAX_LINE_BYTES - 7))])
    with pytest.raises(MisuseError, match="1023 bytes"):
        encode("Setvar", [("Value", "x" * (MAX_LINE_BYTES - 6))])
    with pytest.raises(MisuseError, match="bytes"):
        encode("Setvar", [("Value", "é" * 600)])
    assert encode("Originate", [("Variable", "a=1")] * 119)
    with pytest.raises(MisuseError, match="121 headers"):
        encode("Originate", [("Variable", "a=1")] * 120)
    for name in ("", "Va lue", "Va:lue", "Action", "action", "Válue", "1x"):
        with pytest.raises(MisuseError, match="name of a header"):
            encode("Setvar", [(name, "x")])
    for action in ("", "Set var", "Set:var"):
        with pytest.raises(MisuseError, match="name of an AMI action"):
            encode(action, [])


def test_a_refusal_does_not_show_the_value() -> None:
    with pytest.raises(MisuseError) as refused:
        encode("Login", [("Secret", "sesame\n")])
    assert "sesame" not in str(refused.value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=30)), max_size=8))
def test_encode_refuses_or_makes_one_line_a_header(fields: list[tuple[str, str]]) -> None:
    try:
        wire = encode("Setvar", fields)
    except MisuseError:
        return
    assert wire.count(b"\n") == wire.count(b"\r\n") == len(fields) + 2
    assert wire.endswith(b"\r\n\r\n")
    assert wire.index(b"\r\n\r\n") == len(wire) - 4


async def test_parse_rate_is_measured_and_counts_every_event() -> None:
    """Not a benchmark: a hundredth of the usual time, and a floor far under what any machine of today does."""
    rate = await measure_parse_rate(CALL, min_cpu_s=0.01)
    assert rate.handed_on == rate.events
    assert rate.events % CALL.count(b"\r\nEvent: ") == 0
    assert rate.events_per_s > 20_000
    assert 400 < rate.bytes_per_event < 700
    skipping = await measure_parse_rate(CALL, wanted=CALL_CENTRE_EVENTS, min_cpu_s=0.01)
    assert 0 < skipping.handed_on < skipping.events


def test_quiet_log_says_once_and_then_how_often(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    quiet = QuietLog(logging.getLogger("test"), interval_s=60, clock=lambda: now)
    said = [quiet.say(logging.WARNING, "probe", "a probe from %s", "h") for _ in range(5)]
    quiet.say(logging.WARNING, "other", "something else")
    now = 61.0
    quiet.say(logging.WARNING, "probe", "a probe from %s", "h")
    assert said == [True, False, False, False, False]
    assert [record.getMessage() for record in caplog.records] == [
        "a probe from h",
        "something else",
        "a probe from h (4 more like this since 61 s)",
    ]
    for number in range(1000):
        quiet.say(logging.WARNING, f"kind {number}", "x")
    assert len(quiet._kinds) <= 257


class Valve(asyncio.Transport):
    """A transport that is read or not."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = True
        self.opened = asyncio.Event()
        self.turns: list[str] = []

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False
        self.turns.append("paused")

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True
        self.opened.set()
        self.turns.append("resumed")

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.turns.append("written")

    def abort(self) -> None:
        self.turns.append("aborted")

    def get_write_buffer_size(self) -> int:
        return 0


def unhurried(answers: list[bool]) -> tuple[Feed, Valve]:
    valve, feed = Valve(), Feed(no_hurry=lambda: answers.pop(0))
    feed.protocol.connection_made(valve)
    feed.give(GREETING)
    return feed, valve


EVENT = b"Event: Hold\r\nUniqueid: 1\r\n\r\n"


async def test_what_nobody_is_in_a_hurry_for_is_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_module, "GATHER_S", 0.01)
    feed, valve = unhurried([True, False])
    feed.give(EVENT[:10])
    assert valve.reads, "the beginning of a message is nothing to wait upon"
    feed.give(EVENT[10:])
    assert len(feed.messages) == 1
    assert not valve.reads
    await asyncio.wait_for(valve.opened.wait(), 5)
    feed.give(EVENT)
    assert valve.turns == ["paused", "resumed"], "somebody is in a hurry: it is read on"


@pytest.mark.parametrize("hurry", ["listen", "write"])
async def test_reading_goes_on_at_once_for_who_is_in_a_hurry(hurry: str) -> None:
    feed, valve = unhurried([True])
    feed.give(EVENT)
    assert not valve.reads
    feed.protocol.listen() if hurry == "listen" else feed.protocol.write(b"Action: Ping\r\n\r\n")
    assert valve.turns[1] == "resumed"
    feed.protocol.listen()
    assert valve.turns.count("resumed") == 1


async def test_a_connection_that_ends_while_it_is_not_read_is_not_read_again() -> None:
    feed, valve = unhurried([True])
    feed.give(EVENT)
    feed.protocol.abort("enough")
    assert feed.lost == ["enough"]
    feed.protocol.listen()
    assert valve.turns == ["paused", "aborted"]
    assert feed.protocol._gathering is None


async def turned(feed: Feed) -> list[int]:
    """Let the loop turn until all is handed on: how many messages there were after each turn."""
    seen = [len(feed.messages)]
    while feed.protocol._blocks:
        await asyncio.sleep(0)
        seen.append(len(feed.messages))
    return seen


async def test_much_is_handed_on_in_parts_and_nothing_is_read_meanwhile() -> None:
    valve, feed = Valve(), Feed(at_once=8)
    feed.protocol.connection_made(valve)
    feed.give(GREETING + EVENT * 20 + EVENT[:10])
    assert not valve.reads
    assert await turned(feed) == [8, 16, 20]
    assert valve.turns == ["paused", "resumed"]
    feed.give(EVENT[10:])
    assert len(feed.messages) == 21


async def test_reading_that_may_be_put_off_is_put_off_once_all_is_handed_on() -> None:
    valve, feed = Valve(), Feed(at_once=8, no_hurry=lambda: True)
    feed.protocol.connection_made(valve)
    feed.give(GREETING + EVENT * 9)
    assert feed.counters.put_off == 0
    await turned(feed)
    assert (valve.turns, feed.counters.put_off) == (["paused"], 1)
    feed.protocol.listen()
    assert valve.reads


async def test_who_is_in_a_hurry_meanwhile_is_read_for_as_soon_as_all_is_handed_on() -> None:
    valve, feed = Valve(), Feed(at_once=8, no_hurry=lambda: True)
    feed.protocol.connection_made(valve)
    feed.give(GREETING + EVENT * 30)
    feed.protocol.listen()
    assert not valve.reads, "what was read comes first"
    await turned(feed)
    assert (valve.turns, feed.counters.put_off) == (["paused", "resumed"], 0)
    feed.give(EVENT)
    assert (valve.reads, feed.counters.put_off) == (False, 1), "the hurry is over"


async def test_what_was_read_before_the_connection_broke_is_handed_on_before_its_loss_is_told() -> None:
    order: list[str] = []
    feed = Feed(at_once=8, on_event=lambda name, _: order.append(name), on_lost=lambda _: order.append("lost"))
    feed.protocol.connection_made(Valve())
    feed.give(GREETING + EVENT * 30)
    feed.protocol.connection_lost(None)
    assert order == ["Hold"] * 30 + ["lost"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(order) == 31


async def test_nothing_is_handed_on_once_we_have_given_the_connection_up() -> None:
    feed = Feed(at_once=8)
    feed.protocol.connection_made(Valve())
    feed.give(GREETING + EVENT * 30)
    feed.protocol.abort("enough")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (len(feed.messages), feed.lost) == (8, ["enough"])


@pytest.mark.parametrize("at_once", [1, 3, 8])
async def test_in_parts_it_is_the_same(at_once: int) -> None:
    feed = Feed(at_once=at_once)
    for segment in cut_up(ALL, list(range(0, len(ALL), 5000))):
        feed.give(segment)
    await turned(feed)
    assert feed.messages == EXPECTED_ALL


async def test_the_loss_is_told_once_though_the_last_event_makes_us_give_up() -> None:
    feed = Feed(at_once=0, on_event=lambda name, message: feed.protocol.abort("enough"))
    feed.protocol.connection_made(Valve())
    feed.give(GREETING + EVENT * 3)
    feed.protocol.connection_lost(None)
    assert feed.lost == ["enough"]


async def test_what_is_passed_over_does_not_count() -> None:
    valve, feed = Valve(), Feed(at_once=2, wanted=frozenset({"Hold"}))
    feed.protocol.connection_made(valve)
    feed.give(GREETING + b"Event: VarSet\r\nUniqueid: 1\r\n\r\n" * 50 + EVENT * 2)
    assert (len(feed.messages), feed.counters.unwanted, valve.turns) == (2, 50, [])
