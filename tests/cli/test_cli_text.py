"""Hostile texts, durations, shares: what every table is made of."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from acd.cli import text as say
from acd.cli.text import clean


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("Anna Müller", "Anna Müller"),
        ("王小明", "王小明"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", "\\u2066x\\u2069\\u200e\\u200f\\u061c"),
        ("a\u200bb\ufeff\u2028\u2029", "a\\u200bb\\ufeff\\u2028\\u2029"),
        ("\ud800\udfff", "\\ud800\\udfff"),
        ("\U000e0041", "\\U000e0041"),
        ("\ue000\uffff", "\\ue000\\uffff"),
        ("e\u0301" + "\u0300" * 50, "e\u0301\u0300"),
        ("[red]x[/red] [link=http://a]y", "[red]x[/red] [link=http://a]y"),
        (None, ""),
        (5, "5"),
    ],
)
def test_hostile_text_is_shown_and_not_obeyed(hostile: object, harmless: str) -> None:
    assert clean(hostile) == harmless


@given(st.text(st.characters(), max_size=300))
@example("\x1b" * 300)
def test_nothing_unsafe_comes_through(hostile: str) -> None:
    shown = clean(hostile)
    assert len(shown) <= say.TEXT_LENGTH_MAX + 1
    for char in shown:
        assert char in "\u200c\u200d" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")
    shown.encode()


def test_long_text_is_cut_visibly() -> None:
    assert clean("a" * 500, 10) == "aaaaaaaaaa…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (725, "12:05"), (3753, "1:02:33"), (-3, "0:00"),
     (2 * 86400 + 3660, "2d 01:01")],
)  # fmt: skip
def test_duration(seconds: float | None, text: str) -> None:
    assert say.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1:00.0"), (3661.25, "1:01:01.2")]
)
def test_exact(seconds: float | None, text: str) -> None:
    assert say.exact(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (99.4, "99s"), (99.6, "1:40")]
)
def test_average(seconds: float | None, text: str) -> None:
    assert say.average(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(None, "-"), (0, "0%"), (0.001, "1%"), (0.815, "82%"), (0.999, "99%"), (1, "100%")]
)
def test_percent_never_flatters(share: float | None, text: str) -> None:
    assert say.percent(share) == text


def test_clock_never_rounds_into_the_next_second() -> None:
    assert say.clock(1_763_740_799.9999, 1)[-4:] == "59.9"


@given(st.lists(st.floats(0, 1e6), max_size=12), st.integers(0, 200))
def test_shares_add_up_and_nothing_vanishes(parts: list[float], whole: int) -> None:
    cells = say.shares(parts, whole)
    assert len(cells) == len(parts)
    assert min(cells, default=0) >= 0
    if sum(parts) > 0:
        assert sum(cells) == whole
        if whole >= len(parts):
            assert all(cell >= 1 for cell, part in zip(cells, parts, strict=True) if part > 0)
    else:
        assert not any(cells)
    assert all(cell == 0 for cell, part in zip(cells, parts, strict=True) if part == 0)
