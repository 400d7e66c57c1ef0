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
    assert WRITTEN.is_in_row(["Ann", cell], 200)


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


LONG = "x" * 193


def cut(text: str) -> str:
    """A cell of which 200 characters were kept, up to the end of ``text``."""
    return f"{LONG}{LONG}"[: 200 - len(text)] + text


@pytest.mark.parametrize(
    "end",
    [
        "+49171123",
        "+49 171 123456",
        "00491711234",
        "0171 123",
        "0171/1234 - ",
        "1711234",
        "+49 (0)171 12",
        "030 5550001 / 0171 1234",
        "20 0171 1234",
        "\uff10\uff11\uff17\uff11\uff11\uff12\uff13",
        "Ann, 0171 12345,",
    ],
)
def test_a_cell_that_is_cut_off_amid_the_number_holds_it(end: str) -> None:
    assert WRITTEN.is_in_row(["Ann", cut(end), "x"], 200)
    # As long as it can be, it is cut off nowhere
    assert not WRITTEN.is_in_row(["Ann", cut(end)[1:], "x"], 200)


@pytest.mark.parametrize(
    "end",
    [
        "0171 12",
        "+49171",
        "0049171",
        "171123",
        "0171 124",
        "9 1711234",
        "4917 11235",
        "0171 123 x",
        "0171 123;",
        "1234567 ",
    ],
)
def test_a_cell_that_ends_otherwise_does_not(end: str) -> None:
    assert not WRITTEN.is_in_row([cut(end)], 200)


@pytest.mark.parametrize(
    "cells",
    [
        ["0171", "1234567"],
        ["Ann", "0171", "1234567", "Berlin"],
        ["+49", "171", "1234567"],
        ["49", "171", "123", "4567"],
        ["tel 0171 123", "4567 home"],
        ["0171", "", " ", "\u200e", "", "1234567"],
        ["0171-", "/1234567.0"],
        ["20 0171", "1234567"],
        ["5550001 171", "1234567 5550002"],
        ["0171\t1234567"],
        ["Ann;0171;1234567;Berlin"],
        ["Ann|0171", "1234567|x"],
        ["\uff10\uff11\uff17\uff11", "1234567"],
    ],
)
def test_a_number_parted_over_neighbouring_cells_is_in_the_row(cells: list[str]) -> None:
    assert WRITTEN.is_in_row(cells, 200)
    assert not any(WRITTEN.is_in(cell) for cell in cells)


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["", ";"],
        ["1234567", "0171"],
        ["0171", "x", "1234567"],
        ["0171", "12345678"],
        ["0171", "1234567 8"],
        ["20 171", "1234567"],
        ["0171 x", "1234567"],
        ["0171", "x 1234567"],
        ["1", "7", "1", "1", "234567"],
        ["1", "71123", "4568"],
    ],
)
def test_what_is_parted_otherwise_is_not(cells: list[str]) -> None:
    assert not WRITTEN.is_in_row(cells, 200)


def test_a_short_number_is_not_put_together() -> None:
    short = Written(Mention("201155", Numbering()), (Numbering(),))
    assert short.is_in_row(["201155"], 200)
    assert not short.is_in_row(["2011", "55"], 200)
    assert not short.is_in_row([cut("20115")], 200)
    assert short.stems == frozenset()


def test_a_row_full_of_digits_is_looked_at_at_once() -> None:
    assert not WRITTEN.is_in_row(["4 5 6 7 " * 25] * 100, 200)
    assert not WRITTEN.is_in_row(["4567" * 50] * 100, 200)
    assert not WRITTEN.is_in_row(["7"] * 100, 200)


def test_without_its_country_it_is_known_in_full_alone() -> None:
    assert PLAIN.is_in("0049 171 1234567")
    assert PLAIN.is_in("49 171 1234567")
    assert not PLAIN.is_in("0171 1234567")


def test_a_cell_full_of_digits_is_looked_at_at_once() -> None:
    assert not WRITTEN.is_in("1 " * 2_000)
    assert not WRITTEN.is_in("1" * 4_000)
    assert WRITTEN.is_in("1 " * 2_000 + "01711234567")
