"""Agents' own lines, joined with the customers whom they had dialled: how an offer becomes a join, and what a look finds."""

from __future__ import annotations

from typing import Any

from acd.asterisk.executor import NodeExecutor
from acd.asterisk.snapshot import read_channels
from acd.asterisk.translate import Translator
from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.events import Phase

OFFER, LEG, LEG_NAME = "00000100000002", "00000190000001", "PJSIP/1001-00000007"
CUSTOMER = {"Uniqueid": "00000100000001", "Channel": "PJSIP/carrier-0001", "Linkedid": "00000100000001",
            "Context": "acd-offer", "Exten": OFFER, "Application": "Bridge", "ChanVariable(acd_call)": "7",
            "ChanVariable(acd_offer)": OFFER, "ChanVariable(acd_agent)": "ann"}  # fmt: skip
OWN = {"Uniqueid": LEG, "Channel": LEG_NAME, "Linkedid": LEG, "Context": "acd-desk", "Exten": "s",
       "ChannelStateDesc": "Up", "ChanVariable(acd_offer)": OFFER}  # fmt: skip


def look(*channels: dict[str, str]) -> tuple[ev.SeenCall, Translator, list[ev.Event]]:
    out: list[ev.Event] = []
    translator = Translator("pbx", out.append, warn=lambda kind, detail: None)
    (seen,) = read_channels(channels, translator, prime=True, phones={"PJSIP/1001"})
    return seen, translator, out


def event(name: str, channel: str, **more: str) -> dict[str, str]:
    return {"Event": name, "Privilege": "call,all", "Timestamp": "5", "Channel": "x", "Uniqueid": channel, "Linkedid": "l",
            "BridgeUniqueid": "B1", "BridgeType": "basic", **more}  # fmt: skip


def test_a_look_finds_who_talks_with_whom_though_the_lines_have_nothing_else_in_common() -> None:
    seen, translator, out = look({**CUSTOMER, "BridgeId": "B1"}, {**OWN, "BridgeId": "B1"})
    assert (seen.phase, seen.offer, seen.agent, seen.agent_channel) == (Phase.TALKING, OFFER, "ann", LEG)
    assert seen.agent_device == "PJSIP/1001"
    translator.feed(event("BridgeLeave", LEG))
    translator.feed(event("Hangup", LEG, Cause="16", **{"Cause-txt": ""}))
    assert [type(one) for one in out] == [ev.TalkEnded]


def test_a_look_amid_the_join_and_at_a_line_that_nobody_is_joined_with() -> None:
    seen, _, _ = look(CUSTOMER, OWN)
    assert (seen.phase, seen.offer) == (Phase.OFFERING, OFFER)
    waiting = {**OWN, "Uniqueid": "00000190000002", "ChanVariable(acd_offer)": ""}
    seen, _, _ = look({**CUSTOMER, "BridgeId": "B1"}, {**OWN, "BridgeId": "B1"}, waiting)
    assert seen.agent_channel == LEG


def test_an_offer_to_who_is_on_the_line_joins_him_and_his_answer_is_the_bridge() -> None:
    sent: list[tuple[str, Any]] = []
    out: list[ev.Event] = []
    translator = Translator("pbx", out.append, warn=lambda kind, detail: None)

    class Sender:
        def send_many(self, batch: Any) -> Any:
            sent.extend(batch)
            return [Never()]

    class Never:
        def add_done_callback(self, done: Any) -> None:
            """It is never answered."""

    executor = NodeExecutor("pbx", Sender(), out.append, lambda: 5.0)  # type: ignore[arg-type]
    executor.joins = lambda offer, caller, leg, name: translator.prime(
        offer, caller, leg, None, rang=False, channel_name=name
    )
    answers: list[dict[str, str]] = []
    executor.expect(CUSTOMER["Uniqueid"], answers.append)
    executor.unserved = {CUSTOMER["Uniqueid"]}
    offer = do.OfferCall(
        "pbx",
        CUSTOMER["Uniqueid"],
        "7",
        "p",
        OFFER,
        "ann",
        ("PJSIP/1001",),
        20.0,
        "silence",
        leg=LEG,
        leg_name=LEG_NAME,
    )
    executor.execute(offer)
    ((action, fields),) = sent
    assert (action, dict(fields)) == ("Setvar", {"Channel": LEG, "Variable": "ARRAY(acd_offer)", "Value": OFFER})
    (answer,) = answers
    assert (answer["acd_leg"], answer["acd_next"]) == (LEG_NAME, f"acd-connect,{OFFER},1")
    translator.feed(event("BridgeEnter", LEG))
    assert not out
    translator.feed(event("BridgeEnter", CUSTOMER["Uniqueid"]))
    assert out == [ev.AgentAnswered(5.0, OFFER, LEG, "PJSIP/1001")]


def test_our_own_caller_id_is_nobodys_number() -> None:
    """Of a line that we dialled Asterisk shows what we showed; of a caller's, who calls."""
    shown = {"CallerIDNum": "+4930555000", "BridgeId": "B1"}
    seen, _, _ = look({**CUSTOMER, **shown}, {**OWN, "BridgeId": "B1"})
    assert seen.caller_number == ""
    caller = {**CUSTOMER, **shown, "Uniqueid": "1710928800.7", "Linkedid": "1710928800.7"}
    seen, _, _ = look(caller, {**OWN, "BridgeId": "B1"})
    assert seen.caller_number == "+4930555000"


def test_a_look_finds_whom_another_agents_phone_has_joined_with_a_lasting_line() -> None:
    """The caller's channel is still in the offer of the agent who has gone; the line bears the offer that it took."""
    other = "00000100000009"
    bob = {
        **OWN,
        "Context": "acd-line",
        "Exten": "wait",
        "ChanVariable(acd_offer)": other,
        "ChanVariable(acd_agent)": "bob",
    }
    seen, _, _ = look({**CUSTOMER, "BridgeId": "B1"}, {**bob, "BridgeId": "B1"})
    assert (seen.phase, seen.offer, seen.agent_channel, seen.agent_device) == (Phase.TALKING, other, LEG, "PJSIP/1001")
    # In no bridge together, or in another one, they have nothing to do with each other
    for bridges in ({"BridgeId": "B2"}, {}):
        seen, _, _ = look({**CUSTOMER, "BridgeId": "B1"}, {**bob, **bridges})
        assert seen.phase is not Phase.TALKING
