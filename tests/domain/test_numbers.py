"""Telephone numbers: one number in several spellings, and as those see it who need not know it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.domain.numbers import HIDDEN, Numbering, mask_number, masked, replaced

HERE = Numbering("49", "0")


@pytest.mark.parametrize(
    "text", ["+491711234567", "00491711234567", "01711234567", "0171 123-4567", "+49 (171) 1234567", "491711234567"]
)
def test_spellings_of_one_number(text: str) -> None:
    assert HERE.canonical(text) == "491711234567"


def test_without_a_country_code_a_national_number_is_another() -> None:
    assert Numbering().canonical("01711234567") == "01711234567"
    assert Numbering().canonical("+49 171 1234567") == Numbering().canonical("0049171-1234567") == "491711234567"
    assert Numbering("39", "").canonical("0612345") == "0612345"
    assert HERE.canonical("+441711") == "441711"


@given(st.text(max_size=30))
def test_any_text_has_a_canonical_form_and_keeps_it(text: str) -> None:
    first = Numbering().canonical(text)
    assert Numbering().canonical("+" + first) == first or not first.isdigit()
    HERE.canonical(text)


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        ("+491711234567", "+49171•••4567"),
        ("5550001", "55•••01"),
        ("1001", "1•••"),
        ("110", HIDDEN),
        ("", ""),
        ("anonymous", HIDDEN),
        ("alice@example", HIDDEN),
        ("hmac:0123456789abcdef0123456789abcdef", HIDDEN),
    ],
)
def test_a_masked_number(number: str, seen: str) -> None:
    assert mask_number(number) == seen


@given(st.from_regex(r"\+?[0-9]{1,20}", fullmatch=True))
def test_three_characters_at_least_are_never_seen(number: str) -> None:
    seen = mask_number(number)
    head, _, tail = seen.partition(HIDDEN)
    assert number.startswith(head)
    assert number.endswith(tail)
    assert len(head) + len(tail) <= max(0, len(number) - 3)
    assert len(head) <= 6
    assert len(tail) <= 4


def test_an_answer_is_masked_wherever_callers_stand_in_it() -> None:
    answer = {
        "calls": [{"caller_number": "+491711234567", "caller_name": "Ann", "notes": None, "did": "4930100"}],
        "agent": {"number": "1001"},
        "live": {"attributes": {"number": "+491711234567", "tier": "gold"}},
        "detail": {"deep": [{"caller_name": "Ann", "notes": "ring him"}]},
    }
    assert masked(answer) == {
        "calls": [{"caller_number": "+49171•••4567", "caller_name": HIDDEN, "notes": None, "did": "4930100"}],
        "agent": {"number": "1001"},
        "live": {"attributes": {"number": "+49171•••4567", "tier": "gold"}},
        "detail": {"deep": [{"caller_name": HIDDEN, "notes": HIDDEN}]},
    }


def test_an_answer_is_masked_in_what_people_and_programs_said() -> None:
    answer = {
        "call": {
            "call": "00000100000001",
            "caller_number": "+491711234567",
            "channel_name": "PJSIP/+491711234567-0000001f",
            "linkedid": "1790000000.123456",
            "did": "4930123456",
            "disposition": "ring back 0171/123 45 67",
            "tags": ["vip", "x491711234567", "2026-11-21", "4711"],
            "target": "602@agents",
            "attributes": {"back": "0171 1234567", "id": 1234567, "n": 3, "yes": True, "deep": ["+4930 555 666"]},
        },
        "decisions": [
            {"kind": "attributes", "detail": {"number": "5551", "who": "at 030-5556667", "n": "1"}},
            {
                "kind": "transferred",
                "offer": "00000100000002",
                "detail": {"to": "out,02015551234,1", "was": "00000100000001"},
            },
            {"kind": "joined", "detail": {"to": "sales", "call": "00000100000003"}},
        ],
        "segments": [{"target": "call 00000100000003"}, {"target": "0201555123"}, {"target": f"hmac:{'0' * 32}"}],
        "audit": [{"subject": "agent:anna", "detail": {"to": "0201555123"}}],
        "changes": {"ring_timeout_s": {"from": 20.0, "to": 1000000}, "fallback": {"to": "4930123456"}},
    }
    assert masked(answer) == {
        "call": {
            "call": "00000100000001",
            "caller_number": "+49171•••4567",
            "channel_name": "PJSIP/+49171•••4567-0000001f",
            "linkedid": "1790000000.123456",
            "did": "4930123456",
            "disposition": "ring back 0171•••4567",
            "tags": ["vip", "x49171•••4567", "2026-11-21", "4711"],
            "target": "602@agents",
            "attributes": {"back": "0171•••4567", "id": "12•••67", "n": 3, "yes": True, "deep": ["+493•••5666"]},
        },
        "decisions": [
            {"kind": "attributes", "detail": {"number": "5•••", "who": "at 0305•••667", "n": "1"}},
            {
                "kind": "transferred",
                "offer": "00000100000002",
                "detail": {"to": "out,0201•••1234,1", "was": "00000100000001"},
            },
            {"kind": "joined", "detail": {"to": "sales", "call": "00000100000003"}},
        ],
        "segments": [{"target": "call 00000100000003"}, {"target": "0201•••123"}, {"target": HIDDEN}],
        "audit": [{"subject": "agent:anna", "detail": {"to": "0201•••123"}}],
        "changes": {"ring_timeout_s": {"from": 20.0, "to": 1000000}, "fallback": {"to": "4930123456"}},
    }


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ring +49 (0)171/1234567 soon", "ring # soon"),
        ("12345 is none, 123456 is", "12345 is none, # is"),
        ("on 2026-11-21 at 10:15:30", "on 2026-11-21 at 10:15:30"),
        ("2026-11-21-22", "#"),
        ("call 00000100000001", "call 00000100000001"),
        ("recall 00000100000001", "recall #"),
        (f"hmac:{'12345678' * 4}", f"hmac:{'12345678' * 4}"),
        ("erased:123456789012", "erased:123456789012"),
        ("out,0201555,1", "out,#,1"),
        ("１２３４５６７", "１２３４５６７"),
    ],
)
def test_numbers_in_a_text(text: str, left: str) -> None:
    assert replaced(text, lambda number: "#") == left


@given(st.text(alphabet="0123456789 +-().a", max_size=40))
def test_no_run_of_digits_is_left(text: str) -> None:
    left = replaced(text, lambda number: "#")
    assert max((len(run) for run in "".join(c if c.isdigit() else " " for c in left).split()), default=0) < 6 or (
        "-" in left
    )
