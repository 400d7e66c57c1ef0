"""The short way of plainly written numbers says what libphonenumber says, of numbers of every country."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberFormat

from acd.domain.dialable import countries
from acd.domain.plans import PUNCTUATION, plain

FORMS = (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
REGIONS = countries()


def is_same(written: str, region: str | None) -> bool:
    """Whether the short way knew it; if so, what it said has been compared."""
    found = plain(written, region)
    if found is None:
        return False
    parsed = phonenumbers.parse(written, region)
    assert (found.code, found.national) == (str(parsed.country_code), phonenumbers.national_significant_number(parsed))
    assert found.sort == phonenumbers.number_type(parsed) != phonenumbers.PhoneNumberType.UNKNOWN
    assert found.region == phonenumbers.region_code_for_number(parsed)
    assert f"+{found.code}{found.national}" == phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    assert not parsed.extension
    return True


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("0171 1234567", "DE"), ("+49 (0)30 1234567", None), ("0049 171-1234567", "DE"), ("030/1234567", "DE"),
        ("+39 06 1234 5678", "US"), ("06 1234 5678", "IT"), ("(212) 555-0123", "US"), ("+1 264 497 2911", None),
        ("020 7946 0958", "GB"), ("+44 7911 123456", "IM"), ("+7 916 123 45 67", None), ("+800 1234 5678", None),
    ],
)  # fmt: skip
def test_what_lists_are_full_of_goes_the_short_way(written: str, region: str | None) -> None:
    assert is_same(written, region)


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("", "DE"),
        ("00", "DE"),
        ("+", None),
        ("0171 1234567", None),
        ("112", "DE"),
        ("+49 171", "DE"),
        ("0" * 250, "IT"),
    ],
)
def test_what_is_not_plain_or_not_valid_is_left_to_the_long_way(written: str, region: str | None) -> None:
    assert plain(written, region) is None


def test_numbers_of_every_country_in_every_form() -> None:
    chance, short = random.Random(7), 0
    for region in REGIONS:
        for sort in range(11):
            example = phonenumbers.example_number_for_type(region, sort)
            if example is None:
                continue
            for form in FORMS:
                written = phonenumbers.format_number(example, form)
                other = "".join(chance.choice("0123456789") if one.isdigit() else one for one in written[-6:])
                for text in (written, written[:-6] + other, written.replace("+", "00")):
                    if PUNCTUATION.issuperset(text):
                        short += is_same(text, region) + is_same(text, chance.choice(REGIONS))
    for code in COUNTRY_CODE_TO_REGION_CODE:
        short += sum(is_same(f"+{code}{chance.randrange(10 ** chance.randrange(6, 12))}", "DE") for _ in range(20))
    assert short > 4000


@given(st.data())
def test_whatever_the_digits_and_wherever_they_are_read(data: st.DataObject) -> None:
    country = data.draw(st.sampled_from(REGIONS))
    example = phonenumbers.example_number_for_type(country, data.draw(st.integers(0, 10)))
    if example is None:
        return
    text = list(phonenumbers.format_number(example, data.draw(st.sampled_from(FORMS))))
    for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
        text[place] = data.draw(st.sampled_from("0123456789+-/() .\u00a0"))
    written = data.draw(st.sampled_from(["", "0", "00", "+", "(0) "])) + "".join(text)
    if PUNCTUATION.issuperset(written):
        is_same(written, data.draw(st.sampled_from([country, None, "US", "DE", "IT", "BR"])))
