"""Telephone numbers: one number in several spellings, and as those see it who need not know it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.domain.numbers import HIDDEN, Numbering, mask_number, masked

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
