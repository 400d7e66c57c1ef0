"""From events to hold, consultation and joined calls, in the orders in which Asterisk 22 was heard to send them.

A line is an event: ``enter B1 c`` (channel c enters bridge B1), ``leave B1 c``, ``dial c a`` (c's offer rings a), ``dial c a
again`` (his next offer), ``dial c a in EXTEN`` (outside of our contexts), ``hangup c``, ``hold a``, ``unhold a``, ``ask c
DEVICE DID`` (c asks by AGI), ``gone c`` (and is found not to exist), ``blind a``, ``join a s`` (attended transfer of a's
caller to whom s has reached). Letters are channels: c the caller, a his agent's leg, s the agent's own call, b the
colleague's leg. Every event comes 10 ms after the one before.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from acd.asterisk.translate import Translator
from acd.domain import events as ev

DEVICES = {"c": "PJSIP/trunk", "a": "PJSIP/1001", "s": "PJSIP/1001", "b": "PJSIP/1002", "x": "PJSIP/1009"}
OFFERS = {"c": "00000100000002", "s": "00000100000006", "again": "00000100000008"}
BEGIN = "ask c trunk 100; dial c a; enter B1 a; enter B1 c"
CONSULT = "ask s 1001 101; dial s b; enter B2 b; enter B2 s"
NAMES = {identity: f"offer-{letter}" for letter, identity in OFFERS.items()}


def channel(letter: str) -> str:
    return f"{DEVICES[letter]}-0000000{ord(letter) % 10}"


def told(script: str) -> list[str]:
    """What the floor is told, as ``Name@when arguments``."""
    out: list[ev.Event] = []
    translator = Translator("pbx", out.append, warn=lambda kind, detail: None)
    ours: set[str] = set()
    lines = [line.strip() for line in script.replace(";", "\n").splitlines() if line.strip()]
    for number, line in enumerate(lines):
        at = number / 100
        word, *rest = line.split()
        if word == "ask":
            translator.arrives(rest[0], channel(rest[0]), rest[2], at)
            ours.add(rest[0])
            continue
        if word == "gone":
            translator.gone(rest[0], at)
            continue
        message = {"Timestamp": str(at), "Privilege": "call,all"}
        name = {"enter": "BridgeEnter", "leave": "BridgeLeave", "dial": "DialBegin", "hangup": "Hangup", "hold": "Hold",
                "unhold": "Unhold", "blind": "BlindTransfer", "join": "AttendedTransfer"}[word]  # fmt: skip
        message["Event"] = name
        who = rest[1] if word in ("enter", "leave") else rest[0]
        message |= {"Channel": channel(who), "Uniqueid": who, "Linkedid": "c"}
        message |= {"ChanVariable(acd_call)": "7"} if who in ours else {}
        if word in ("enter", "leave"):
            message |= {"BridgeUniqueid": rest[0], "BridgeType": "basic"}
        elif word == "dial":
            offer = OFFERS.get(who if len(rest) == 2 else rest[2])
            context, exten = ("acd-offer", offer) if offer else ("agents", rest[3])
            message |= {"Context": context, "Exten": exten, "DestChannel": channel(rest[1])}
            message |= {"DestUniqueid": rest[1], "DestLinkedid": "c"}
        elif word == "hangup":
            message |= {"Cause": "16", "Cause-txt": "Normal Clearing"}
        elif word == "blind":
            message |= {"TransfererUniqueid": who, "BridgeUniqueid": "B1", "Result": "Success", "Extension": "601"}
            message |= {"TransfereeUniqueid": "c", "Context": "agents"}
        else:
            message |= {"OrigTransfererUniqueid": rest[0], "SecondTransfererUniqueid": rest[-1], "Result": "Success"}
            message |= {"TransfereeUniqueid": "c", "TransferTargetCallerIDNum": "1009"}
        translator.feed(message)
    return [shown(event) for event in out]


def shown(event: ev.Event) -> str:
    fields = {name: getattr(event, name) for name in event.__slots__}
    told = {name: value for name, value in fields.items() if value and name not in ("node", "device", "cause", "kind")}
    words = [name if value is True else NAMES.get(value, str(value)) for name, value in told.items()]
    return " ".join([f"{type(event).__name__}@{round(event.at * 100)}", *words])


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        # who left first, and when; told when both have
        ("leave B1 c; leave B1 a; hangup a; hangup c", ["TalkEnded@4 offer-c caller", "CallEnded@7 c"]),
        ("leave B1 a; leave B1 c; hangup a; hangup c", ["TalkEnded@4 offer-c agent", "CallEnded@7 c"]),
        # or at the first one's end
        ("leave B1 a; hangup a; leave B1 c", ["TalkEnded@4 offer-c agent"]),
        ("leave B1 c; hangup c", ["TalkEnded@4 offer-c caller", "CallEnded@5 c"]),
        ("hangup c; hangup a", ["TalkEnded@4 offer-c caller", "CallEnded@4 c"]),
        # away for a moment
        ("leave B1 c; enter B1 c; leave B1 a; leave B1 c", ["TalkEnded@6 offer-c agent"]),
        ("leave B1 a; enter B1 a; leave B1 c; leave B1 a", ["TalkEnded@6 offer-c caller"]),
        # elsewhere
        ("leave B1 c; enter B9 c; leave B1 a", ["TalkEnded@4 offer-c caller"]),
        ("leave B1 a; enter B9 a; leave B1 c", ["TalkEnded@4 offer-c agent"]),
        # only the agent's own holds count, and only while they talk
        (
            "hold a; unhold a; hold c; hold a; leave B1 c; leave B1 a; unhold a",
            ["CallHeld@4 offer-c", "CallRetrieved@5 offer-c", "CallHeld@7 offer-c", "TalkEnded@8 offer-c caller"],
        ),
        (
            "hold a; dial s x in 602; dial s x in 603; hangup s; unhold a",
            [
                "CallHeld@4 offer-c",
                "ConsultBegan@5 offer-c 602 s",
                "ConsultEnded@7 offer-c s",
                "CallRetrieved@8 offer-c",
            ],
        ),
        # somebody else's call, and one after the talk
        ("dial x b in 602; hangup x; leave B1 a; leave B1 c; dial s x in 602", ["TalkEnded@6 offer-c agent"]),
        ("blind a; leave B1 a; leave B1 c", ["CallTransferred@4 c 601@agents offer-c", "TalkEnded@5 offer-c agent"]),
        (
            "dial s x in 602; enter B2 s; leave B1 c; leave B2 s; enter B2 c; leave B1 a; join a s; hangup a; hangup s",
            [
                *("ConsultBegan@4 offer-c 602 s", "ConsultChanged@5 offer-c s up", "TalkEnded@6 offer-c caller"),
                "CallTransferred@10 c 1009 offer-c",
            ],
        ),
        # the other call is answered, held, taken back, and over at the far end before the phone hangs up
        (
            "hold a; dial s x in 602; enter B2 x; enter B2 s; unhold a; hold s; hold s; unhold s; leave B2 s; hangup s",
            [
                *("CallHeld@4 offer-c", "ConsultBegan@5 offer-c 602 s", "ConsultChanged@7 offer-c s up"),
                *("CallRetrieved@8 offer-c", "ConsultChanged@9 offer-c s up on_hold"),
                *("ConsultChanged@11 offer-c s up", "ConsultChanged@12 offer-c s", "ConsultEnded@13 offer-c s"),
            ],
        ),
        # what the phone does when the caller has left belongs to the end, and after it to nobody
        (
            "dial s x in 602; enter B2 s; leave B1 c; hold s; leave B2 s; leave B1 a; enter B2 s; hangup s",
            ["ConsultBegan@4 offer-c 602 s", "ConsultChanged@5 offer-c s up", "TalkEnded@6 offer-c caller"],
        ),
    ],
)
def test_an_end_a_hold_a_consultation(script: str, expected: list[str]) -> None:
    begun, events = told(BEGIN), told(f"{BEGIN}; {script}")
    assert begun == ["AgentAnswered@3 offer-c a"]
    assert events[:1] == begun
    assert events[1:] == expected


@pytest.mark.parametrize("gone", ["leave B1 a", "leave B1 a; hangup a"])
def test_a_transfer_that_is_told_last_is_told_of_its_own_offer(gone: str) -> None:
    """The caller may be back by then, and talk with somebody else."""
    events = told(f"{BEGIN}; leave B1 c; {gone}; ask c trunk 101; dial c b again; enter B2 b; enter B2 c; blind a")
    again = [line for line in events if line.startswith("CallTransferred")]
    assert [line.split(" ", 1)[1] for line in again] == ["c 601@agents offer-c"]


@pytest.mark.parametrize(
    ("script", "joined", "gone"),
    [
        # the caller goes over to the colleague, REFER on his call
        ("unhold a; leave B1 c; leave B2 s; enter B2 c; leave B1 a; join a s; hangup a; hangup s", 9, 15),
        # the colleague comes over, REFER on the other call
        ("unhold s; leave B2 b; leave B1 a; enter B1 b; leave B2 s; join s a; hangup s; hangup a", 10, 14),
    ],
)
def test_joined_with_a_colleague_who_talks(script: str, joined: int, gone: int) -> None:
    events = told(f"{BEGIN}; {CONSULT}; {script}; hangup b; hangup c")
    # that the agent's own call has left its bridge is not told: whom he called, the caller talks to
    assert [line for line in events[2:] if not line.startswith("CallRetrieved")] == [
        "ConsultChanged@7 offer-c s up",
        "AgentAnswered@7 offer-s b",
        f"CallJoined@{joined} c s",
        f"CallEnded@{gone} s",
        "TalkEnded@16 offer-s agent",
        "CallEnded@17 c",
    ]


def test_a_call_of_the_agents_that_has_hung_up_before_its_question_was_heard() -> None:
    events = told(f"{BEGIN}; hangup s; ask s 1001 101; gone s; leave B1 c; hangup c")
    assert events[1:] == [
        "ConsultBegan@5 offer-c 101 s",
        "ConsultEnded@6 offer-c s",
        "CallEnded@6 s",
        "TalkEnded@7 offer-c caller",
        "CallEnded@8 c",
    ]


def test_joined_with_a_queue_where_the_agents_call_waits() -> None:
    events = told(f"{BEGIN}; ask s 1001 101; join a s; leave B1 a; leave B1 c; hangup a; hangup s; hangup c")
    assert events[1:] == ["ConsultBegan@4 offer-c 101 s", "CallJoined@5 c s", "CallEnded@10 c"]


def test_joined_with_a_phone_that_rings() -> None:
    events = told(
        f"{BEGIN}; ask s 1001 101; dial s b; join a s; leave B1 c; leave B1 a; hangup a; hangup s;"
        "enter B2 b; enter B2 c; leave B2 b; leave B2 c"
    )
    assert events[2:] == ["CallJoined@6 c s", "AgentAnswered@12 offer-s b", "TalkEnded@13 offer-s agent"]


def test_a_caller_who_is_gone_by_then_takes_nobodys_place() -> None:
    events = told(f"{BEGIN}; ask s 1001 101; join a s; hangup c; hangup a; hangup s")
    assert events[2:] == ["CallEnded@6 c", "CallEnded@8 s"]


ENDS = ("join a s", "leave B1 c", "leave B1 a", "hangup a", "hangup s")


@pytest.mark.parametrize(
    "order", [one for one in permutations(ENDS) if one.index("leave B1 a") < one.index("hangup a")]
)
def test_joined_with_a_queue_in_whatever_order_that_is_told(order: tuple[str, ...]) -> None:
    """Each channel's thread tells its own; the caller is never taken for one who was sent away."""
    events = told(f"{BEGIN}; ask s 1001 101; {'; '.join(order)}")
    kinds = [line.split("@")[0] for line in events]
    (joined,) = [line for line in events if line.startswith("CallJoined")]
    assert joined.split()[1:] == ["c", "s"]
    assert "CallTransferred" not in kinds
    assert not [line for line in events if line.startswith("CallEnded") and line.endswith(" c")]
    assert kinds.count("TalkEnded") <= 1


MOVES = ("leave B1 a", "hangup a", "leave B1 c", "leave B2 s", "enter B2 c", "join a s")


@pytest.mark.parametrize(
    "order",
    [
        one
        for one in permutations(MOVES)
        if one.index("leave B1 a") < one.index("hangup a")
        and one.index("leave B1 c") < one.index("enter B2 c") < one.index("join a s")
    ],
)
def test_joined_with_who_talks_in_whatever_order_that_is_told(order: tuple[str, ...]) -> None:
    events = told(f"{BEGIN}; {CONSULT}; {'; '.join(order)}; hangup s; hangup b; hangup c")
    joined = [line for line in events if line.startswith("CallJoined")]
    assert [line.split()[1:] for line in joined] == [["c", "s"]]
    assert not [line for line in events if line.startswith("CallTransferred")]
    ends = [line.split(" ", 1)[1] for line in events if line.startswith("TalkEnded")]
    assert ends[-1] == "offer-s agent"


@pytest.mark.parametrize(
    ("result", "bridge", "kinds"),
    [("Invalid", {}, []), ("Success", {}, ["event_not_whole"]), ("Success", {"BridgeUniqueid": "B1"}, [])],
)
def test_a_line_in_no_bridge_that_is_sent_away_is_heard_of_and_never_gone(
    result: str, bridge: dict[str, str], kinds: list[str]
) -> None:
    """Asterisk says ``Invalid`` then, and names no bridge; of a success made up by a caller that is still missed."""
    warned: list[str] = []
    translator = Translator("pbx", lambda event: None, warn=lambda kind, detail: warned.append(kind))
    of = {"Event": "BlindTransfer", "Privilege": "call,all", "TransfererUniqueid": "a", "Extension": "601"}
    translator.feed({**of, "Result": result, **bridge})
    assert warned == kinds
