"""Several phones rung by one Dial: what each leg came to, and when that is told."""

from __future__ import annotations

import pytest

from acd.asterisk.ami.messages import Message
from acd.asterisk.translate import Translator, judge_leg
from acd.domain import events as ev
from acd.domain.states import OfferOutcome as Came


class Wire:
    """One offer ``o1`` with a leg to each of ``phones``."""

    def __init__(self, *phones: str) -> None:
        self.seen: list[ev.Event] = []
        self.at = 100.0
        self.translator = Translator("pbx", self.seen.append, warn=lambda kind, detail: None)
        self.legs = {f"{phone}.{n}": f"PJSIP/{phone}-{n:08x}" for n, phone in enumerate(phones)}
        for leg, channel in self.legs.items():
            self.feed("DialBegin", leg, channel, Context="acd-offer", Exten="o1", Uniqueid="caller")

    def feed(self, kind: str, leg: str, channel: str, **more: str) -> None:
        self.at += 1.0
        head = {"Event": kind, "Privilege": "call,all", "Timestamp": str(self.at)}
        dest = {"DestChannel": channel, "DestUniqueid": leg, "DestLinkedid": "l", "ChanVariable(acd_call)": "c"}
        self.translator.feed(Message({**head, **dest, **more}))

    def rings(self, leg: str) -> None:
        self.feed("DialState", leg, self.legs[leg], DialStatus="RINGING")

    def ends(self, leg: str, status: str) -> None:
        self.feed("DialEnd", leg, self.legs[leg], DialStatus=status)

    def hangs_up(self, leg: str, cause: str) -> None:
        own = {"Channel": self.legs[leg], "Uniqueid": leg, "Linkedid": "l", "Cause": cause, "Cause-txt": "x"}
        self.feed("Hangup", leg, self.legs[leg], **own)

    def over(self, status: str, cause: str = "0") -> ev.OfferFailed:
        more = {"UserEvent": "AcdOfferDone", "Offer": "o1", "Dialstatus": status, "Cause": cause}
        own = {"Channel": "PJSIP/trunk-1", "Uniqueid": "caller", "Linkedid": "l", "Privilege": "user,all"}
        self.feed("UserEvent", "", "", **own, **more)
        (failed,) = (event for event in self.seen if isinstance(event, ev.OfferFailed))
        return failed

    @property
    def lost(self) -> list[tuple[str, Came]]:
        return [(event.device, event.outcome) for event in self.seen if isinstance(event, ev.LegFailed)]


@pytest.mark.parametrize(
    ("status", "cause", "rang", "came"),
    [
        ("BUSY", "17", True, Came.BUSY),
        ("NOANSWER", "21", True, Came.DECLINED),
        ("CONGESTION", "34", False, Came.CONGESTION),
        ("NOANSWER", "0", True, Came.NO_ANSWER),
        ("NOANSWER", "0", False, Came.UNREACHABLE),
        ("NOANSWER", "19", True, Came.NO_ANSWER),
        ("CHANUNAVAIL", "3", True, Came.UNREACHABLE),
        ("NOANSWER", "27", True, Came.UNREACHABLE),
    ],
)
def test_what_a_leg_came_to(status: str, cause: str, rang: bool, came: Came) -> None:
    assert judge_leg(status, cause, rang=rang) is came


def test_each_is_told_at_once_and_the_rest_with_the_offer() -> None:
    wire = Wire("1001", "1002", "1003")
    for leg in wire.legs:
        wire.rings(leg)
    assert sum(isinstance(event, ev.AgentRang) for event in wire.seen) == 1
    wire.ends("1001.0", "NOANSWER")
    assert wire.lost == []
    wire.hangs_up("1001.0", "21")
    wire.ends("1003.2", "BUSY")
    wire.hangs_up("1003.2", "17")
    assert wire.lost == [("PJSIP/1001", Came.DECLINED), ("PJSIP/1003", Came.BUSY)]
    wire.ends("1002.1", "NOANSWER")
    # The cause is another leg's
    failed = wire.over("NOANSWER", "21")
    assert failed.phones == {
        "PJSIP/1001": Came.DECLINED,
        "PJSIP/1003": Came.BUSY,
        "PJSIP/1002": Came.NO_ANSWER,
    }
    assert wire.lost == [("PJSIP/1001", Came.DECLINED), ("PJSIP/1003", Came.BUSY)]


def test_two_contacts_of_one_phone() -> None:
    """Over with the last of them; one that rang out counts before one that was busy."""
    wire = Wire("1001", "1001", "1002")
    for leg in wire.legs:
        wire.rings(leg)
    wire.ends("1001.0", "BUSY")
    wire.hangs_up("1001.0", "17")
    assert wire.lost == []
    wire.ends("1001.1", "NOANSWER")
    wire.hangs_up("1001.1", "19")
    assert wire.lost == [("PJSIP/1001", Came.NO_ANSWER)]


def test_legs_taken_back_are_nobodys_fault() -> None:
    wire = Wire("1001", "1002")
    wire.ends("1001.0", "CANCEL")
    wire.hangs_up("1001.0", "26")
    wire.ends("1002.1", "ANSWER")
    assert wire.lost == []


def test_all_ring_out_together() -> None:
    """Told by the offer's end alone."""
    wire = Wire("1001", "1002")
    for leg in wire.legs:
        wire.rings(leg)
        wire.ends(leg, "NOANSWER")
    for leg in wire.legs:
        wire.hangs_up(leg, "0")
    assert wire.lost == []
    assert wire.over("NOANSWER").phones == {"PJSIP/1001": Came.NO_ANSWER, "PJSIP/1002": Came.NO_ANSWER}


def test_a_cause_that_an_earlier_offer_left_behind() -> None:
    wire = Wire("1002")
    wire.rings("1002.0")
    assert wire.over("NOANSWER", "21").detail == "dial status NOANSWER, cause none"
