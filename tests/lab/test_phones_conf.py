"""What Asterisk is told of the lab's phones, and what is planned for its callers."""

from __future__ import annotations

import configparser
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

from acd.domain.errors import ConfigurationError
from acd.lab.behaviours import Answers, RingsForEver, parse_caller_behaviour, parse_phone_behaviour
from acd.lab.calls import Call, plan_calls
from acd.lab.commands import listed
from acd.lab.phone_bank import PhoneBank
from acd.lab.phones import Phone, endpoints_conf, make_phones
from acd.lab.sipp_callers import CALLER_FIELDS


def sections(text: str) -> dict[str, list[str]]:
    """Settings by section name; an endpoint and its address of record share one."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("["):
            name = line
            found.setdefault(name, [])
        elif line:
            found[name].append(line)
    return found


def test_a_phone_that_does_not_register_is_a_static_contact() -> None:
    conf = sections(endpoints_conf(make_phones(2), lambda phone: 16_000))
    assert "context=agents" in conf["[lab-phone](!)"]
    assert "aors=1002" in conf["[1002](lab-phone)"]
    assert "contact=sip:1002@127.0.0.1:16000" in conf["[1002]"]
    assert not any(line.startswith(("auth", "password")) for lines in conf.values() for line in lines)


def test_a_phone_that_registers_has_a_login_of_its_own_and_no_contact() -> None:
    phones = make_phones(2, registers=True)
    assert phones[0].secret != phones[1].secret
    conf = sections(endpoints_conf(phones, lambda phone: 16_000))
    assert "auth=1001" in conf["[1001](lab-phone)"]
    assert f"password={phones[0].secret}" in conf["[1001]"]
    assert not any(line.startswith("contact=") for line in conf["[1001]"])
    assert phones[0].secret not in repr(phones[0])


def test_phones_of_one_name_are_one_endpoint_with_several_contacts(tmp_path: Path) -> None:
    phones = [Phone("7", Answers()), Phone("7", RingsForEver()), Phone("7", Answers())]
    bank = PhoneBank(phones, 5060, 16_700, ["sipp"], tmp_path)
    assert [bank.port_of(phone) for phone in (phones[0], phones[1])] == [16_700, 16_701]
    contacts = [line for line in sections(bank.endpoints)["[7]"] if line.startswith("contact=")]
    assert contacts == [f"contact=sip:7@127.0.0.1:{port}" for port in (16_700, 16_701, 16_702)]


def test_many_phones_of_one_behaviour_share_one_port(tmp_path: Path) -> None:
    bank = PhoneBank(make_phones(2_000), 5060, 16_700, ["sipp"], tmp_path)
    assert {bank.port_of(phone) for phone in bank.phones} == {16_700}
    assert bank.last_port == 16_701
    assert bank.endpoints.count("(lab-phone)\n") == 2_000


@pytest.mark.parametrize(
    ("phones", "says"),
    [
        ([Phone("1"), Phone("1", registers=True, secret="x")], "all of them register"),
        ([Phone("1", secret=""), Phone("1", secret="x")], "one secret"),
        ([Phone("1")] * 6, "5 at most"),
    ],
)
def test_contradictions_are_named(phones: list[Phone], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        endpoints_conf(phones, lambda phone: 16_000)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a]", "x\nauth=y", "ä", "n" * 41])
def test_a_name_that_could_break_a_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Phone(name)


def test_a_phone_that_registers_needs_a_secret_that_fits_into_the_file() -> None:
    with pytest.raises(ConfigurationError):
        Phone("1", registers=True)
    with pytest.raises(ConfigurationError):
        Phone("1", registers=True, secret="a;b")


def test_the_text_is_an_ini_file() -> None:
    text = endpoints_conf(make_phones(3, registers=True), lambda phone: 16_000)
    names = [line[1:].partition("]")[0] for line in text.splitlines() if line.startswith("[")]
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(text.replace("(!)", "").replace("(lab-phone)", ""))
    assert set(parser.sections()) == set(names)


# ---------------------------------------------------------------------------------------------------------- the plan


def test_a_plan_repeats_with_its_seed_and_keeps_the_weights() -> None:
    mixture = {parse_caller_behaviour("talk:exp(20)"): 3.0, parse_caller_behaviour("patience:uniform(1,9)"): 1.0}
    plan = plan_calls({"5551": 1, "5552": 4}, 4_000, mixture, seed=7)
    assert plan == plan_calls({"5551": 1, "5552": 4}, 4_000, mixture, seed=7)
    assert plan != plan_calls({"5551": 1, "5552": 4}, 4_000, mixture, seed=8)
    assert Counter(call.to for call in plan)["5552"] == pytest.approx(3_200, rel=0.05)
    assert sum(call.held for call in plan) == pytest.approx(1_000, rel=0.1)
    assert len({call.number for call in plan}) == 4_000


def test_numbers_and_names_are_taken_in_turn() -> None:
    plan = plan_calls("1", 3, parse_caller_behaviour("talk:1"), numbers=["7", "8"], names=["a", "b"])
    assert [(call.number, call.name) for call in plan] == [("7", "a"), ("8", "b"), ("7", "a")]


@pytest.mark.parametrize("weights", [{}, {"1": 0.0}, {"1": -1.0, "2": 3.0}])
def test_weights_that_choose_nobody_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        plan_calls(weights, 1, parse_caller_behaviour("talk:1"))


def row(call: Call) -> dict[str, str]:
    return dict(zip(CALLER_FIELDS, call.row(), strict=True))


def test_a_call_becomes_a_line_that_says_when_who_leaves() -> None:
    by_caller = row(Call("5551", wait_s=1.5, talk_s=2))
    assert (by_caller["wait_ms"], by_caller["wait_is_limit"]) == ("1500", "0")
    assert (by_caller["talk_ms"], by_caller["talk_is_limit"]) == ("2000", "0")
    by_far_end = row(Call("5551"))
    assert (by_far_end["wait_ms"], by_far_end["wait_is_limit"], by_far_end["talk_is_limit"]) == ("3600000", "1", "1")


def test_keys_become_pauses_and_presses() -> None:
    assert row(Call("1", keys="1,,2#"))["script"] == "00200" + "1" + "01200" + "2" + "00200" + "#"
    assert row(Call("1", keys="1,,2#"))["keys"] == "3"


@pytest.mark.parametrize("name", ['a"b\\c', "a;b", "#x", "\x01\x7f", "Zoë", "100%", "[field0]", ""])
def test_a_hostile_name_can_be_injected(name: str) -> None:
    injected = row(Call("1", name=name))["name"]
    assert not set(injected) & set(';\r\n"\\[')
    assert not injected.startswith("#")
    inside = unquote(injected)
    assert inside.replace('\\"', '"').replace("\\\\", "\\") == name


@pytest.mark.parametrize("name", ["a\0b", "a\r\nb", "a\nb"])
def test_what_sip_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Call("1", name=name)


def test_line_ends_in_a_number_are_escaped() -> None:
    assert row(Call("1", number="7\r\nX: y"))["number"] == "7%0D%0AX%3A%20y"


def test_behaviours_of_phones_have_scenarios_and_an_absent_one_has_none() -> None:
    from acd.lab.sipp_phones import phone_scenario

    assert "603 Refused" in phone_scenario(parse_phone_behaviour("decline"))
    with pytest.raises(ValueError, match="absent"):
        phone_scenario(parse_phone_behaviour("absent"))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), "none"),
        (("1001",), "1001"),
        (("1001", "1002", "1005", "1003", "1004"), "1001 to 1005"),
        (("desk", "1002", "1004", "998", "1001", "lobby"), "998, 1001 to 1002, 1004, desk, lobby"),
    ],
)
def test_phones_are_told_in_order(names: tuple[str, ...], text: str) -> None:
    assert listed(names) == text
