"""An attempt as Originate's headers: what may be dialled and shown, and that nothing hostile gets through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acd.asterisk.ami.encoder import encode
from acd.asterisk.originate import agent_fields, amd_arguments, caller_id, originate_fields, shown_name
from acd.domain.errors import MisuseError
from acd.domain.outbound import CallAgent, PlaceAttempt

USUAL = PlaceAttempt(
    node="pbx",
    attempt="00000700000042",
    campaign="sales",
    device="PJSIP/+4930123456@carrier",
    number="+4930123456",
    caller_id="+4930555000",
    caller_name="ACME",
    message="sorry",
)


def test_the_headers() -> None:
    assert originate_fields(USUAL) == [
        ("Channel", "PJSIP/+4930123456@carrier"),
        ("Context", "acd-out"),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Async", "true"),
        ("Timeout", "25000"),
        ("ChannelId", "00000700000042"),
        ("CallerID", '"ACME" <+4930555000>'),
        ("Variable", "acd_connect=2"),
        ("Variable", "acd_margin=2"),
        ("Variable", "acd_message=sorry"),
        ("Variable", "acd_key=9"),
        ("Variable", "EXITCONTEXT=acd-key-9"),
    ]


def test_dial_is_never_left_without_a_context_for_keys() -> None:
    """It would take a key for an extension of acd-offer, and end the ringing of an agent's phone."""
    assert ("Variable", "EXITCONTEXT=acd-key-") in originate_fields(replace(USUAL, opt_out_key=""))
    for name in ("EXITCONTEXT", "__exitcontext"):
        with pytest.raises(MisuseError, match="cannot be a variable of a campaign"):
            originate_fields(replace(USUAL, variables={name: "mine"}))


def test_amd_is_asked_for_only_where_it_is_wanted() -> None:
    fields = originate_fields(replace(USUAL, amd=True, amd_s=2.5))
    assert ("Variable", r"acd_amd=1500\,800\,300\,2500\,120\,50\,3\,256\,1500") in fields
    assert ("Variable", "acd_amd_s=3.5") in fields


@pytest.mark.parametrize(
    ("amd_s", "expected"),
    [
        (5.0, "2500,1500,800,5000,120,50,3,256,1500"),
        (10.0, "2500,1500,800,10000,120,50,3,256,1500"),
        (2.5, "1500,800,300,2500,120,50,3,256,1500"),
        (3.75, "2000,1150,550,3750,120,50,3,256,1500"),
        (1.0, "600,600,300,1000,120,50,3,256,1500"),
    ],
)
def test_amd_within_its_time(amd_s: float, expected: str) -> None:
    assert amd_arguments(amd_s) == expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ACME", "ACME"),
        ('O"Neil', "ONeil"),
        ("Müller & Söhne", "Müller & Söhne"),
        ("a\r\nAction: Logoff\r\n\r\n", "a Action: Logoff"),
        ("<+1900>", "+1900"),
        ("\\", ""),
        ("${SHELL(id)}", "{SHELL(id)}"),
        ("\u202egpj", "gpj"),
        ("\udcff", ""),
        ("x" * 61, "x" * 60),
        ("ü" * 40, "ü" * 30),
        ("a;b%0d%0a", "ab0d0a"),
        ("   ", ""),
    ],
)
def test_names_that_are_shown(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_without_a_name_only_the_number_is_shown() -> None:
    assert caller_id("", "123") == "<123>"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"attempt": "1"}, "14 digits"),
        ({"attempt": "000007000000421"}, "14 digits"),
        ({"attempt": "00000700000042\n"}, "14 digits"),
        ({"attempt": "0000070000004\u0662"}, "14 digits"),
        ({"device": "PJSIP/1\r\nExten: h@carrier"}, "no device"),
        ({"device": "PJSIP/1@a&PJSIP/2@a"}, "no device"),
        ({"device": "PJSIP/1@a,30,g"}, "no device"),
        ({"device": "PJSIP/a/sip:1@evil"}, "no device"),
        ({"device": "Local/${SHELL(id)}@x"}, "no device"),
        ({"device": ""}, "no device"),
        ({"caller_id": "1<2>"}, "no number"),
        ({"caller_id": "1\r\nVariable: a=b"}, "no number"),
        ({"caller_id": ""}, "no number"),
        ({"caller_id": "anonymous"}, "no number"),
        ({"caller_id": "1" * 21}, "no number"),
        ({"message": "a,b"}, "no sound"),
        ({"message": "a${b}"}, "no sound"),
        ({"message": "a b"}, "no sound"),
        ({"opt_out_key": "10"}, "no key"),
        ({"opt_out_key": "x"}, "no key"),
        ({"ring_s": float("nan")}, "ring_s"),
        ({"ring_s": 0.5}, "ring_s"),
        ({"ring_s": 301}, "ring_s"),
        ({"connect_s": -0.1}, "connect_s"),
        ({"connect_s": float("nan")}, "connect_s"),
        ({"connect_s": 61}, "connect_s"),
        ({"amd": True, "amd_s": 0.5}, "amd_s"),
        ({"amd": True, "amd_s": float("nan")}, "amd_s"),
        ({"variables": {"SHELL(id)": "x"}}, "plain name"),
        ({"variables": {"acd_call": "x"}}, "plain name"),
        ({"variables": {"__ACD_Connect": "x"}}, "plain name"),
        ({"variables": {"a=b,c": "x"}}, "plain name"),
        ({"variables": {"a": "x\ny"}}, "the variable a"),
        ({"variables": {f"v{index}": "x" for index in range(41)}}, "41 variables"),
    ],
)
def test_what_cannot_be_dialled_is_refused_by_name(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(MisuseError, match=named):
        originate_fields(replace(USUAL, **wrong))


def test_values_keep_their_commas_quotes_and_backslashes() -> None:
    fields = originate_fields(replace(USUAL, variables={"note": 'a,b"c\\d(e)[f]'}))
    assert ("Variable", r"note=a\,b\"c\\d\(e\)\[f\]") in fields
    assert ("Variable", "note=a,b") not in fields


def test_whatever_is_taken_can_be_sent() -> None:
    wire = encode("Originate", originate_fields(replace(USUAL, caller_name='"\r\n\r\n<>' * 50, amd=True)))
    assert wire.count(b"\r\n\r\n") == 1
    assert wire.endswith(b"\r\n\r\n")


OWN = CallAgent("pbx", "00000790000001", "PJSIP/1001", "+4930123456", 'Bob "x"\r\nAction: Logoff')


def test_an_agents_own_line() -> None:
    assert agent_fields(OWN) == [
        ("Channel", "PJSIP/1001"),
        ("Context", "acd-desk"),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Async", "true"),
        ("Timeout", "20000"),
        ("ChannelId", "00000790000001"),
        ("CallerID", '"Bob x Action: Logoff" <+4930123456>'),
        ("Variable", "acd_desk_s=120"),
    ]
    asked = [value for name, value in agent_fields(replace(OWN, auto_answer=True)) if name == "Variable"]
    assert [one.split("=")[0] for one in asked[1:]] == ["PJSIP_HEADER(add,Call-Info)", "PJSIP_HEADER(add,Alert-Info)"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attempt": "00000700000042"}, "no id of an agent's line"),
        ({"device": "PJSIP/1001&PJSIP/1002"}, "no phone that can be rung"),
        ({"device": "PJSIP/1001\r\nX: y"}, "no phone that can be rung"),
        ({"caller_id": "x"}, "no number that a call can be shown to come from"),
        ({"ring_s": 0.0}, "rings for 1 to 300 s"),
        ({"wait_s": 1_000.0}, "waits for 1 to 600 s"),
    ],
)
def test_an_agents_own_line_that_is_impossible(change: dict[str, object], message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        agent_fields(replace(OWN, **change))  # type: ignore[arg-type]
