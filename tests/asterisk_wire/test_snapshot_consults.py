"""What else the phone of an agent who talks does, as a look at a node finds it."""

from __future__ import annotations

from typing import Any

from acd.asterisk.snapshot import read_channels
from acd.asterisk.translate import Translator
from acd.domain import events as ev
from acd.domain.events import SeenConsult

OFFER = "00000100000002"
CALLER = {"Uniqueid": "c", "Channel": "PJSIP/trunk-0001", "Linkedid": "c", "Context": "acd-offer", "Exten": OFFER,
          "Application": "Dial", "BridgeId": "B1", "ChanVariable(acd_call)": "7", "ChanVariable(acd_offer)": OFFER,
          "ChanVariable(acd_agent)": "ann"}  # fmt: skip


def leg(phone: str) -> dict[str, str]:
    return {"Uniqueid": "a", "Channel": f"PJSIP/{phone}-0002", "Linkedid": "c", "Application": "AppDial",
            "ChannelStateDesc": "Up", "BridgeId": "B1", "ChanVariable(acd_offer)": OFFER}  # fmt: skip


def other(name: str, phone: str, **fields: str) -> dict[str, str]:
    return {"Uniqueid": name, "Channel": f"PJSIP/{phone}-0009", "Linkedid": name, "Context": "agents", **fields}


def looked(*channels: dict[str, str], prime: bool = True) -> tuple[ev.SeenCall, Translator, list[ev.Event]]:
    """What is seen of the caller; 1001 is a phone, the trunk is none."""
    out: list[ev.Event] = []
    translator = Translator("pbx", out.append, warn=lambda kind, detail: None)
    seen = read_channels([CALLER, *channels], translator, prime=prime, phones={"PJSIP/1001", "PJSIP/1002"})
    (call,) = [one for one in seen if one.channel == "c"]
    return call, translator, out


def tell(translator: Translator, event: str, channel: str, name: str, **fields: Any) -> None:
    translator.feed({"Event": event, "Privilege": "call,all", "Timestamp": "5", "Channel": name, "Uniqueid": channel,
                     "Linkedid": channel, **fields})  # fmt: skip


def test_the_calls_that_the_phone_has_made_are_seen_and_followed() -> None:
    call, translator, out = looked(
        leg("1001"),
        other("s", "1001", Application="Dial", Exten="602", BridgeId="B2"),
        other("q", "1001", Application="MusicOnHold", Exten="s", **{"ChanVariable(acd_call)": "8"}),
        other("v", "1001", Application="VoiceMail", Exten="*97"),
        other("i", "1001", Application="AppDial"),
        other("x", "1002", Application="Dial", Exten="603"),
    )
    assert call.consults == (
        SeenConsult("s", "602", up=True),
        SeenConsult("q"),
        SeenConsult("v", dials=False),
    )
    tell(translator, "Hold", "s", "PJSIP/1001-0009")
    tell(translator, "Hangup", "s", "PJSIP/1001-0009", Cause="16", **{"Cause-txt": ""})
    tell(translator, "Hangup", "v", "PJSIP/1001-0009", Cause="16", **{"Cause-txt": ""})
    assert out == [
        ev.ConsultChanged(5.0, OFFER, "s", up=True, on_hold=True),
        ev.ConsultEnded(5.0, OFFER, "s"),
    ]


def test_a_running_look_sees_them_and_follows_nobody_anew() -> None:
    call, translator, out = looked(leg("1001"), other("s", "1001", Application="Dial", Exten="602"), prime=False)
    assert call.consults == (SeenConsult("s", "602"),)
    tell(translator, "Hangup", "s", "PJSIP/1001-0009", Cause="16", **{"Cause-txt": ""})
    assert out == []


def test_behind_a_trunk_nobodys_calls_are_taken_for_the_agents() -> None:
    call, translator, out = looked(leg("trunk"), other("y", "trunk", Application="Dial", Exten="100"))
    assert call.consults is None
    # another caller, by the same trunk
    translator.arrives("z", "PJSIP/trunk-0010", "100", 5.0)
    assert out == []
    tell(translator, "BridgeLeave", "a", "PJSIP/trunk-0002", BridgeUniqueid="B1", BridgeType="basic")
    tell(translator, "BridgeLeave", "c", "PJSIP/trunk-0001", BridgeUniqueid="B1", BridgeType="basic")
    assert out == [ev.TalkEnded(5.0, OFFER, "agent")]


def test_without_other_calls_there_are_none() -> None:
    call, _, _ = looked(leg("1001"))
    assert call.consults == ()
