"""Numbers in cells that nobody has read, in every form that people and programs give them."""

from __future__ import annotations

import pytest

from acd.domain.numbers import Numbering
from acd.records.mentions import Mention
from acd.records.written import Written

GERMAN = Numbering("49", "0")
WRITTEN = Written(Mention("+491711234567", Numbering()), (GERMAN, Numbering("49", "")))
PLAIN = Written(Mention("+491711234567", Numbering()), ())


@pytest.mark.parametrize(
    "cell",
    [
        "+491711234567",
        "00491711234567",
        "491711234567",
        "01711234567",
        "1711234567",
        "0171/123 45-67",
        "0171 - 123 . 45 . 67",
        "(0171) [123] {4567}",
        "+49 (0) 171 / 1234567",
        "0049-(0)-171-1234567",
        "0171\u2009123\u201145\u221267",
        "\u200e+49\u202d 171 1234567\u202c",
        "0171\u200b123\u200b4567",
        "'01711234567",
        "tel:+49-171-1234567;ext=12",
        "mobile 0171_1234567 after six",
        "\u0660\u0661\u0667\u0661 \u0661\u0662\u0663\u0664\u0665\u0666\u0667",
        "Ann Lee;0171 1234567;Berlin",
        "Ann Lee,1711234567,4",
        "12,1711234567,4",
        "0171,1234567",
        "12\t1711234567\t13",
        "030 5550001 / 0171 1234567",
        "0171 1234567 030 5550001",
        "17 0171 1234567",
        "1711234567.0",
    ],
)
def test_however_it_is_written_it_is_the_number(cell: str) -> None:
    assert WRITTEN.is_in(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "Ann Lee",
        "01711234568",
        "017112345678",
        "0171 1234567 8",
        "0171 1234567-89",
        "+49 171 1234567 123",
        "9 1711234567",
        "20 1711234567",
        "+1 171 1234567",
        "101711234567",
        "0171 12345",
        "0171 12345; 67",
        "0171\t1234567",
        "0171 123 x 4567",
    ],
)
def test_another_number_and_a_longer_one_are_not_it(cell: str) -> None:
    assert not WRITTEN.is_in(cell)


def test_without_its_country_it_is_known_in_full_alone() -> None:
    assert PLAIN.is_in("0049 171 1234567")
    assert PLAIN.is_in("49 171 1234567")
    assert not PLAIN.is_in("0171 1234567")


def test_a_cell_full_of_digits_is_looked_at_at_once() -> None:
    assert not WRITTEN.is_in("1 " * 2_000)
    assert not WRITTEN.is_in("1" * 4_000)
    assert WRITTEN.is_in("1 " * 2_000 + "01711234567")
