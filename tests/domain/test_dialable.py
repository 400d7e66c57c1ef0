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
    LABELS,
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
    "written",
    [
        "Tel.: 0171 1234567", "callto:+491711234567", "0171 1234567 (Büro)", "0171 1234567, dienstlich",
        "Handy 0171/1234567",
        "0171 1234567 (GESCHÄFTLICH)", "0171 1234567 Mobil/privat", "M +49 171 1234567", "0171 1234567 cellulare",
        "0171 1234567 ufficio", "Tél. portable : 0171 1234567", "0171 1234567 (privé)", "mobiel 0171 1234567",
        "0171 1234567 (komórka)", "0171 1234567 służbowy", "telemóvel: 0171 1234567", "0171 1234567 escritório",
        '="0171 1234567"', "☎ 0171 1234567", "\u202a+49 171 1234567\u202c", "0171 – 1234567", "[0171] 1234567",
    ],
)  # fmt: skip
def test_labels_may_stand_beside_a_number(written: str) -> None:
    assert dialable(written, "DE") == BERLIN


@pytest.mark.parametrize(
    "written",
    [
        "0171 1234567 do not call", "not 0171 1234567", "gesperrt: 0171 1234567", "0171 1234567 KEINE WERBUNG",
        "0171 1234567 (wrong)", "+491711234567'; DROP TABLE", "0171 1234567#31#", "+491711234567@carrier",
        "0171 1234567 (no)",
        "sip:+491711234567@carrier", "sip:+491711234567", "do not call 0171 1234567 ext 12", "0171 1234567 privat nicht",
        "0171 1234567 ?", "0171 1234567*", "🚫 0171 1234567", "0171 1234567 since 2024",
        "0171 1234567 (privat) not before 10", "<+491711234567>", "n\u00e3o ligar 0171 1234567", "0171 1234567 \u4e0d",
    ],
)  # fmt: skip
def test_with_any_other_word_or_sign_a_number_is_turned_away_and_can_be_kept_from_being_called(written: str) -> None:
    found = dialable(written, "DE")
    assert isinstance(found, Undialable)
    assert (found.fault, [one.number for one in found.either]) == (Fault.WORDS, [BERLIN.number])
    assert str(found) == FAULTS[Fault.WORDS]


def test_of_several_numbers_among_words_every_one_is_told() -> None:
    found = dialable("0171 1234567 or 4921123456, closed", "DE")
    assert isinstance(found, Undialable)
    numbers = [one.number for one in found.either]
    assert (found.fault, numbers) == (Fault.WORDS, ["+491711234567", "+4921123456", "+494921123456"])


@pytest.mark.parametrize("written", ["Fax 0171 1234567", "0171 1234567 (Telefax)", "Tel/Fax: 0171 1234567"])
def test_a_fax_is_not_called(written: str) -> None:
    assert dialable(written, "DE") == Undialable(Fault.FAX, (BERLIN,))


@given(st.text("abcdnot 0171234567(),.-ü", max_size=30), st.booleans())
def test_no_word_but_a_label_stands_beside_what_is_dialled(around: str, before: bool) -> None:
    written = f"{around} 0171 1234567" if before else f"0171 1234567 {around}"
    found = dialable(written, "DE")
    if isinstance(found, Dialable) and not found.extension:
        words = re.findall(r"[^\W\d_]+", written.replace("ü", "u"))
        assert set(words) <= LABELS, written


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


WRITTEN = [
    ("DE", "0", "30 12345678", "+493012345678"), ("DE", "0", "151 12345679", "+4915112345679"),
    ("DE", "0", "170 1234567", "+491701234567"), ("DE", "0", "211 1234567", "+492111234567"),
    ("AT", "0", "664 1234567", "+436641234567"), ("AT", "0", "1 5121234", "+4315121234"),
    ("GB", "0", "20 7946 0018", "+442079460018"), ("GB", "0", "7400 123456", "+447400123456"),
    ("FR", "0", "1 42 68 53 00", "+33142685300"), ("FR", "0", "6 12 34 56 78", "+33612345678"),
    ("IT", "", "06 1234 5678", "+390612345678"), ("IT", "", "340 1234567", "+393401234567"),
    ("IT", "", "393 1234567", "+393931234567"),
    ("ES", "", "912 34 56 78", "+34912345678"), ("ES", "", "612 34 56 78", "+34612345678"),
    ("US", "1", "415 555 2671", "+14155552671"), ("US", "1", "212 555 0123", "+12125550123"),
    ("NL", "0", "20 123 4567", "+31201234567"), ("NL", "0", "6 12345678", "+31612345678"),
    ("BE", "0", "2 512 34 56", "+3225123456"), ("BE", "0", "470 12 34 56", "+32470123456"),
    ("CH", "0", "44 668 18 00", "+41446681800"), ("CH", "0", "78 123 45 67", "+41781234567"),
    ("PL", "", "22 123 45 67", "+48221234567"), ("PL", "", "512 345 678", "+48512345678"),
    ("PL", "", "48 221 23 45", "+48482212345"),
    ("NO", "", "47 12 34 56", "+4747123456"), ("DK", "", "45 12 34 56", "+4545123456"),
    ("BR", "0", "11 98765 4321", "+5511987654321"), ("BR", "0", "55 3221 1234", "+555532211234"),
    ("IN", "0", "91234 56789", "+919123456789"), ("IN", "0", "22 2345 6789", "+912223456789"),
    ("AU", "0", "412 345 678", "+61412345678"), ("AU", "0", "2 9374 4000", "+61293744000"),
    ("JP", "0", "90 1234 5678", "+819012345678"), ("JP", "0", "3 1234 5678", "+81312345678"),
    ("MX", "", "55 1234 5678", "+525512345678"), ("MX", "", "222 123 4567", "+522221234567"),
    ("AR", "0", "11 2345 6789", "+541123456789"), ("AR", "", "9 11 2345 6789", "+5491123456789"),
]  # fmt: skip
"""Country, national prefix, a number without it, E.164."""


@pytest.mark.parametrize(("region", "prefix", "national", "number"), WRITTEN)
def test_a_number_is_the_same_with_its_country_and_without(
    region: str, prefix: str, national: str, number: str
) -> None:
    code = number[1:].removesuffix(national.replace(" ", ""))
    for written in (
        number, f"00{number[1:]}", number[1:], f"{code} {national}", f"({code}) {national}", f"{number[1:]}.0",
        f"{number[1:]},00", f"tel {number[1:]}", f"+{code}({prefix}){national}", f"{code}({prefix}){national}",
        national, prefix + national, f"{number[1:]} ext 12",
    ):  # fmt: skip
        found = dialable(written, region)
        assert isinstance(found, Dialable), (written, found)
        assert (found.number, found.country) == (number, region), written


@pytest.mark.parametrize(
    ("written", "region", "either"),
    [
        ("4921123456", "DE", ("+4921123456", "+494921123456")),
        ("49 221 123456", "DE", ("+49221123456", "+4949221123456")),
        ("4921123456.0", "DE", ("+4921123456", "+494921123456")),
        ("4921123456 x5", "DE", ("+4921123456", "+494921123456")),
        ("4921123456 (privat)", "DE", ("+4921123456", "+494921123456")),
        ("4352123456", "AT", ("+4352123456", "+434352123456")),
        ("3906123456", "IT", ("+3906123456", "+393906123456")),
        ("62812345678", "ID", ("+62812345678", "+6262812345678")),
    ],
)
def test_what_is_a_number_with_its_country_and_without_is_neither(
    written: str, region: str, either: tuple[str, ...]
) -> None:
    found = dialable(written, region)
    assert isinstance(found, Undialable)
    assert (found.fault, tuple(one.number for one in found.either)) == (Fault.AMBIGUOUS, either)
    assert "write + or 00" in str(found)
    for clear in (f"+{written}", f"00{written}"):
        said = dialable(clear.removesuffix(".0"), region)
        assert isinstance(said, Dialable)
        assert said.number == either[0]


@pytest.mark.parametrize("country", countries())
def test_whatever_begins_with_its_country_is_read_as_its_e164_or_not_at_all(country: str) -> None:
    for sort in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        example = phonenumbers.example_number_for_type(country, sort)
        if example is None:
            continue
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        found = dialable(number[1:], country)
        numbers = [found.number] if isinstance(found, Dialable) else [one.number for one in found.either]
        assert numbers[:1] == [number]
        again = dialable(number[1:], country, allow={Fault.PREMIUM})
        assert again == found


def test_decimals_are_read_as_far_as_they_are_exact() -> None:
    assert dialable("1711234567.0", "DE") == BERLIN
    assert dialable("1711234567,00", "DE") == BERLIN
    assert dialable("4917112345678901.0", "DE") == Undialable(Fault.FIGURE)
    # No decimals: these begin with a zero, or end with more than one could
    assert dialable("030123456.0", "DE") == dialable("0301234560", "DE")
    assert dialable("112.0", "DE") == Undialable(Fault.EMERGENCY)
    assert dialable("499001123456", "DE") == Undialable(Fault.PREMIUM)


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
