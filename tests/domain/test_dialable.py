"""Written numbers: what they are, in every spelling, and why some are not."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.domain.dialable import (
    EXTENSION_MAX,
    FAULTS,
    WRITTEN_MAX,
    Dialable,
    Fault,
    Kind,
    Undialable,
    countries,
    dialable,
    is_country,
    zones,
)

BERLIN = Dialable("+491711234567", "DE", ("Europe/Berlin",), Kind.MOBILE)


@pytest.mark.parametrize(
    "written",
    [
        "0171 1234567", "0171/1234567", "(0171) 123-45-67", "+49 171 1234567", "0049 171 1234567", "+49 (0)171 1234567",
        "171 1234567", "0171.123.45.67", " 0171\u00a01234567 ", "０１７１　１２３４５６７", "٠١٧١١٢٣٤٥٦٧",
        "tel:+49-171-1234567",        "Tel. 0171 1234567", "=+491711234567", "'+491711234567",
        "0171 1234567 (private)", "0171 1234567 mobil",
    ],
)  # fmt: skip
def test_every_spelling_is_one_number(written: str) -> None:
    assert dialable(written, "DE") == BERLIN


@pytest.mark.parametrize(
    ("written", "region", "number", "country", "zone", "kind"),
    [
        ("+1 415 555 2671", None, "+14155552671", "US", "America/Los_Angeles", Kind.FIXED_OR_MOBILE),
        ("(212) 555-0123", "US", "+12125550123", "US", "America/New_York", Kind.FIXED_OR_MOBILE),
        ("011 49 171 1234567", "US", "+491711234567", "DE", "Europe/Berlin", Kind.MOBILE),
        ("0049 171 1234567", "US", "+491711234567", "DE", "Europe/Berlin", Kind.MOBILE),
        ("06 1234 5678", "IT", "+390612345678", "IT", "Europe/Rome", Kind.FIXED),
        ("+8190 1234 5678", None, "+819012345678", "JP", "Asia/Tokyo", Kind.MOBILE),
        ("+1 264 497 2911", None, "+12644972911", "AI", "America/Anguilla", Kind.FIXED),
        ("0800 1234567", "DE", "+498001234567", "DE", "Europe/Berlin", Kind.TOLL_FREE),
    ],
)
def test_numbers_of_the_world(
    written: str, region: str | None, number: str, country: str, zone: str, kind: Kind
) -> None:
    found = dialable(written, region)
    assert isinstance(found, Dialable)
    assert (found.number, found.country, found.zone, found.kind) == (number, country, zone, kind)


def test_where_several_zones_are_possible_none_is_said() -> None:
    found = dialable("+7 916 123 45 67")
    assert isinstance(found, Dialable)
    assert found.zone is None
    assert {"Europe/Moscow", "Asia/Vladivostok"} <= set(found.zones)
    assert zones("+79161234567") == found.zones
    assert zones("+491711234567") == ("Europe/Berlin",)
    everywhere = dialable("+800 1234 5678")
    assert isinstance(everywhere, Dialable)
    assert (everywhere.country, everywhere.zones, everywhere.zone) == ("001", (), None)
    assert zones("nonsense") == ()


@pytest.mark.parametrize(
    ("written", "extension"),
    [
        ("0171 1234567 ext 12", "12"),
        ("+49 171 1234567;ext=5", "5"),
        ("0171 1234567 x9", "9"),
        ("0171 1234567 #123", "123"),
    ],
)
def test_extensions_are_told_apart(written: str, extension: str) -> None:
    found = dialable(written, "DE")
    assert isinstance(found, Dialable)
    assert (found.number, found.extension) == ("+491711234567", extension)
    assert len(found.extension) <= EXTENSION_MAX


@pytest.mark.parametrize(
    ("written", "region", "fault"),
    [
        ("", "DE", Fault.EMPTY),
        (" \t\u00a0", "DE", Fault.EMPTY),
        ("unknown", "DE", Fault.NO_NUMBER),
        ("-", "DE", Fault.NO_NUMBER),
        ("\x00\x1b[m", "DE", Fault.NO_NUMBER),
        ("\x1b[31m", "DE", Fault.LETTERS),
        ("0171 XXXXXXX", "DE", Fault.LETTERS),
        ("1-800-FLOWERS", "US", Fault.LETTERS),
        ("4.91711E+11", "DE", Fault.FIGURE),
        ("4,91711e11", "DE", Fault.FIGURE),
        ("1E5 0171", "DE", Fault.LETTERS),
        ("0171 1234567 or 030 1234567", "DE", Fault.LETTERS),
        ("0171 1234567, 030 1234567", "DE", Fault.SEVERAL),
        ("0171 1234567 / 0301234567", "DE", Fault.SEVERAL),
        ("0171 1234567; 030123456", "DE", Fault.SEVERAL),
        ("+49 17", None, Fault.TOO_SHORT),
        ("+1 415 555 26711", None, Fault.TOO_LONG),
        ("1" * (WRITTEN_MAX + 1), "DE", Fault.TOO_LONG),
        ("x" * (WRITTEN_MAX + 1), "DE", Fault.NO_NUMBER),
        ("0171 1234567", None, Fault.UNKNOWN_COUNTRY),
        ("0171 1234567", "ZZ", Fault.UNKNOWN_COUNTRY),
        ("+999 123456789", None, Fault.UNKNOWN_COUNTRY),
        ("+1 011 555 2671", None, Fault.NOT_VALID),
        ("112", "DE", Fault.EMERGENCY),
        ("911", "US", Fault.EMERGENCY),
        ("115", "DE", Fault.SHORT),
        ("0900 1123456", "DE", Fault.PREMIUM),
        ("1-900-555-1234", "US", Fault.PREMIUM),
    ],
)
def test_what_cannot_be_dialled_says_why(written: str, region: str | None, fault: Fault) -> None:
    found = dialable(written, region)
    assert found == Undialable(fault)
    assert str(found) == FAULTS[fault]


def test_a_premium_number_may_be_allowed_by_name() -> None:
    found = dialable("0900 1123456", "DE", allow={Fault.PREMIUM})
    assert isinstance(found, Dialable)
    assert (found.number, found.kind) == ("+499001123456", Kind.PREMIUM)
    assert dialable("112", "DE", allow=set(Fault)) == Undialable(Fault.EMERGENCY)


@pytest.mark.parametrize("country", countries())
def test_the_example_of_every_country_comes_back(country: str) -> None:
    example = phonenumbers.example_number(country)
    assert example is not None
    for form in (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        found = dialable(phonenumbers.format_number(example, form))
        assert isinstance(found, Dialable)
        assert found.number == phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        assert found.zones != ()
    assert is_country(country)
    assert not is_country(country.lower())


@given(
    st.text(max_size=300) | st.from_regex(r"[+0-9 ()x;,./-]{1,25}"),
    st.sampled_from([None, "DE", "US", "IT", "BR", "ZZ"]),
)
def test_whatever_the_text_nothing_raises_and_what_comes_is_e164(written: str, region: str | None) -> None:
    found = dialable(written, region)
    if isinstance(found, Dialable):
        assert re.fullmatch(r"\+[1-9][0-9]{3,16}", found.number, re.ASCII)
        again = dialable(found.number)
        assert isinstance(again, Dialable)
        assert (again.number, again.country, again.zones, again.kind) == (
            found.number, found.country, found.zones, found.kind,
        )  # fmt: skip
        assert any(map(str.isdecimal, written))
    else:
        assert str(found)
