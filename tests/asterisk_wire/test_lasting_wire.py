"""Agents' lasting lines on the wire: what is asked of Asterisk, and what its words mean."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acd.asterisk.executor import variables_of
from acd.asterisk.lasting import LastingLines
from acd.asterisk.originate import line_fields
from acd.asterisk.snapshot import read_channels
from acd.asterisk.translate import Translator
from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.errors import AmiDisconnectedError, MisuseError
from acd.domain.events import Phase

LINE, NAME, OFFER = "line00000100000001", "PJSIP/1001-00000007", "00000100000002"
CALL = do.CallLine("pbx", LINE, "ann", "PJSIP/1001", "2001", "silence", 30.0)


class Session:
    """Takes what is sent; ``answer`` answers the last of it, ``away`` refuses all."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.away = False
        self.futures: list[asyncio.Future[Any]] = []

    def send(self, action: str, fields: Any = ()) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.away:
            future.set_exception(AmiDisconnectedError("away"))
        else:
            self.sent.append((action, dict(fields)))
        self.futures.append(future)
        return future

    async def answer(self, response: str, message: str = "") -> None:
        self.futures[-1].set_result({"Response": response, "Message": message})
        await asyncio.sleep(0)


@pytest.fixture
async def wired() -> tuple[LastingLines, Session, list[ev.Event]]:
    told: list[ev.Event] = []
    session = Session()
    return LastingLines("pbx", session, told.append, lambda: 9.0), session, told


def event(name: str, channel: str = LINE, **more: str) -> dict[str, str]:
    return {"Event": name, "Privilege": "call,all", "Timestamp": "5", "Channel": NAME, "Uniqueid": channel, **more}


def waits(channel: str = LINE, agent: str = "ann", **more: str) -> dict[str, str]:
    told = event("UserEvent", channel, UserEvent="AcdLine", Context="acd-line", **{"ChanVariable(acd_agent)": agent})
    return {**told, "Privilege": "user,all", **more}


async def test_a_line_is_called_for_comes_up_is_held_and_ends(wired: Any) -> None:
    lines, session, told = wired
    lines.execute(CALL)
    ((action, fields),) = session.sent
    assert (action, fields["Channel"], fields["ChannelId"]) == ("Originate", "PJSIP/1001", LINE)
    await session.answer("Success")
    lines.feed(event("OriginateResponse", Response="Success", Reason="4"))
    assert told == []
    lines.feed(waits())
    lines.feed(waits())
    lines.feed(event("Hold"))
    lines.feed(event("Unhold"))
    lines.feed(event("Hangup"))
    lines.feed(event("Hangup"))
    assert told == [
        ev.LineWaits(5.0, "ann", "pbx", LINE, NAME),
        ev.LineWaits(5.0, "ann", "pbx", LINE, NAME),
        ev.LineHeld(5.0, "pbx", LINE, True),
        ev.LineHeld(5.0, "pbx", LINE, False),
        ev.LineEnded(5.0, "pbx", LINE),
    ]


async def test_events_of_other_channels_and_made_up_ones_do_nothing(wired: Any) -> None:
    lines, _, told = wired
    for channel in ("1.1", LINE):
        for name in ("Hold", "Hangup", "OriginateResponse", "BridgeLeave"):
            lines.feed(event(name, channel))
    # Who writes lines into his name gets into other events, but neither of that class nor from that place
    lines.feed(waits(Privilege="call,all"))
    lines.feed(waits(Context="acd-offer"))
    lines.feed(waits(agent=""))
    lines.feed({**waits(), "UserEvent": "AcdOther"})
    assert told == []
    lines.feed(waits())
    lines.feed({**event("Hangup"), "Privilege": "user,all"})
    assert [type(one) for one in told] == [ev.LineWaits]


@pytest.mark.parametrize(("reason", "why"), [("3", "was not answered"), ("0", "busy, refuses or cannot be reached")])
async def test_a_phone_that_does_not_answer_is_told_once(wired: Any, reason: str, why: str) -> None:
    lines, session, told = wired
    lines.execute(CALL)
    await session.answer("Success")
    failed = event("OriginateResponse", Response="Failure", Reason=reason)
    lines.feed(failed)
    lines.feed(failed)
    (one,) = told
    assert isinstance(one, ev.LineFailed)
    assert (one.channel, one.refused) == (LINE, False)
    assert why in one.why


async def test_what_asterisk_refuses_is_told_with_what_to_do(wired: Any) -> None:
    lines, session, told = wired
    lines.execute(CALL)
    await session.answer("Error", "Permission denied")
    lines.execute(CALL)
    await session.answer("Error", "Extension does not exist.")
    session.away = True
    lines.execute(CALL)
    lines.execute(do.CallLine("pbx", LINE, "ann", "PJSIP/1001&SIP/2", "2001", "silence", 30.0))
    first, second, third, fourth = told
    assert first.refused
    assert "originate in the line write=" in first.why
    assert [one.refused for one in (second, third, fourth)] == [False] * 3
    assert "Extension does not exist" in second.why
    assert "pbx is not connected" in third.why
    assert "is no phone" in fourth.why


async def test_a_line_that_is_given_up_is_hung_up_and_not_told_of(wired: Any) -> None:
    lines, session, told = wired
    lines.execute(CALL)
    lines.execute(do.EndLine("pbx", LINE))
    assert session.sent[-1] == ("Hangup", {"Channel": LINE, "Cause": "16"})
    lines.feed(event("OriginateResponse", Response="Failure", Reason="0"))
    assert told == []
    session.away = True
    lines.execute(do.EndLine("pbx", LINE))


async def test_a_look_finds_lines_and_who_talks_on_them(wired: Any) -> None:
    lines, _, told = wired
    own = {"Uniqueid": LINE, "Channel": NAME, "Context": "acd-line", "ChanVariable(acd_agent)": "ann"}
    others = [{**own, "Context": "acd-hold"}, {**own, "ChanVariable(acd_agent)": ""}]
    seen = lines.look([own, *others, {**own, "Uniqueid": "1.7", "BridgeId": "B"}], first=True)
    assert seen == (ev.SeenLine("ann", LINE, NAME), ev.SeenLine("ann", "1.7", NAME, talks=True))
    lines.feed(event("Hangup", "1.7"))
    assert lines.look([], first=True) == ()
    lines.feed(event("Hangup"))
    assert told == [ev.LineEnded(5.0, "pbx", "1.7")], "what was forgotten is not told of"


async def test_a_line_that_was_called_for_as_the_connection_broke_is_given_up_at_the_first_look_after(
    wired: Any,
) -> None:
    lines, _, told = wired
    lines.execute(CALL)
    ringing = {"Uniqueid": LINE, "Channel": NAME, "Context": "default"}
    assert lines.look([], first=False) == ()
    assert lines.look([ringing], first=True) == ()
    assert told == [], "it rings: its end will be told"
    assert lines.look([], first=True) == ()
    assert told == [ev.LineFailed(9.0, "pbx", LINE, "the connection to pbx was lost")]
    lines.feed(waits())
    assert told[1:] == [ev.LineWaits(5.0, "ann", "pbx", LINE, NAME)], "it came about all the same"


def test_the_words_of_originate() -> None:
    plain = line_fields(CALL)
    assert ("Context", "acd-line") in plain
    assert ("Timeout", "30000") in plain
    assert [value for name, value in plain if name == "Variable"] == ["acd_agent=ann"]
    more = line_fields(do.CallLine("pbx", LINE, "ann", "PJSIP/1001", "2001", "jazz", 30.0, auto_answer=True))
    variables = [value for name, value in more if name == "Variable"]
    assert variables[:2] == ["acd_agent=ann", "acd_hold=jazz"]
    assert [value.partition("=")[0] for value in variables[2:]] == [
        "PJSIP_HEADER(add,Call-Info)",
        "PJSIP_HEADER(add,Alert-Info)",
    ]
    for wrong in (
        do.CallLine("pbx", "00000100000001", "ann", "PJSIP/1001", "2001", "silence", 30.0),
        do.CallLine("pbx", LINE, "ann,x=1", "PJSIP/1001", "2001", "silence", 30.0),
        do.CallLine("pbx", LINE, "ann", "PJSIP/1001", "2001", "jazz,x", 30.0),
        do.CallLine("pbx", LINE, "ann", "PJSIP/1001", "2001", "silence", 0.0),
    ):
        with pytest.raises(MisuseError):
            line_fields(wrong)


def test_an_offer_on_a_lasting_line_names_itself_and_the_line() -> None:
    place = "sales:0:1.000000:1:1.000000:1.000000"
    rung = do.OfferCall("pbx", "1.1", "c", place, OFFER, "ann", ("PJSIP/1001",), 20.0, "default")
    assert not {"acd_line", "acd_leg"} & variables_of(rung).keys()
    joined = variables_of(
        do.OfferCall("pbx", "1.1", "c", place, OFFER, "ann", (), 20.0, None, leg=LINE, leg_name=NAME, lasting=True)
    )
    assert (joined["acd_line"], joined["acd_own"]) == (OFFER, NAME)
    assert "acd_leg" not in joined


def test_a_look_finds_who_talks_on_a_lasting_line() -> None:
    caller = {"Uniqueid": "1.1", "Channel": "PJSIP/in-1", "Linkedid": "1.1", "Context": "acd-offer", "Exten": OFFER,
              "Application": "Bridge", "ChanVariable(acd_call)": "7", "ChanVariable(acd_offer)": OFFER,
              "ChanVariable(acd_agent)": "ann", "BridgeId": "B"}  # fmt: skip
    own = {"Uniqueid": LINE, "Channel": NAME, "Linkedid": LINE, "Context": "acd-line", "ChannelStateDesc": "Up",
           "ChanVariable(acd_agent)": "ann", "ChanVariable(acd_offer)": OFFER}  # fmt: skip
    out: list[ev.Event] = []
    translator = Translator("pbx", out.append, warn=lambda kind, detail: None)
    (seen,) = read_channels([caller, {**own, "BridgeId": "B"}], translator, prime=True, phones={"PJSIP/1001"})
    assert (seen.phase, seen.offer, seen.agent_channel, seen.consults) == (Phase.TALKING, OFFER, LINE, ())
    # One that still bears the offer before is nobody's leg
    before = {**own, "ChanVariable(acd_offer)": "00000100000001"}
    (seen,) = read_channels([{**caller, "BridgeId": ""}, before], translator, prime=False)
    assert (seen.phase, seen.agent_channel) == (Phase.OFFERING, None)


@pytest.mark.parametrize(("cause", "doubted"), [("0", True), ("", True), ("16", False), ("31", False)])
async def test_a_line_s_end_without_a_cause_is_doubted(cause: str, doubted: bool) -> None:
    told: list[ev.Event] = []
    doubts: list[ev.Event] = []
    lines = LastingLines("pbx", Session(), told.append, lambda: 9.0, doubt=doubts.append)
    lines.feed(waits())
    told.clear()
    lines.feed(event("Hangup", Cause=cause))
    assert (doubts, told)[not doubted] == [ev.LineEnded(5.0, "pbx", LINE)]
    assert not (told, doubts)[not doubted]
