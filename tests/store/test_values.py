"""Times and texts on their way into the databases."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.store.text import TEXT_MAX, forced, forced_json, storable
from acd.store.times import from_datetime, from_text, to_datetime, to_text

# Beyond the year 2255 a float no longer tells two microseconds apart.
microseconds = st.integers(0, 9_007_199_254_740_991)


@pytest.mark.parametrize(
    ("utc_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1_790_000_000.123456, "2026-09-21T14:13:20.123456Z"),
        (1_790_000_000.9999999, "2026-09-21T14:13:21.000000Z"),
        (253_402_300_799.0, "9999-12-31T23:59:59.000000Z"),
        (-0.5, "1969-12-31T23:59:59.500000Z"),
    ],
)
def test_times_as_people_read_them(utc_s: float, text: str) -> None:
    assert to_text(utc_s) == text


@given(microseconds)
def test_a_time_comes_back_as_the_same_float(us: int) -> None:
    utc_s = us / 1_000_000
    assert from_text(to_text(utc_s)) == utc_s
    assert from_datetime(to_datetime(utc_s)) == utc_s


@given(microseconds, microseconds)
def test_texts_sort_like_times(first: int, second: int) -> None:
    one, other = to_text(first / 1_000_000), to_text(second / 1_000_000)
    assert len(one) == len(other)
    assert (one < other) == (first < second)


@pytest.mark.parametrize("utc_s", [math.nan, math.inf, 1e15])
def test_what_is_no_time_raises(utc_s: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        to_text(utc_s)


def test_datetimes_are_utc() -> None:
    assert to_datetime(0.0) == datetime(1970, 1, 1, tzinfo=UTC)


@given(st.text())
def test_texts_are_made_storable(text: str) -> None:
    kept = storable(text)
    assert len(kept) <= TEXT_MAX * 3
    assert "\0" not in kept
    kept.encode("utf-8")
    if text.isprintable():
        assert kept == text[:TEXT_MAX]


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(anything)
def test_forced_json_is_json(value: object) -> None:
    def plain(value: object) -> bool:
        match value:
            case None | bool():
                return True
            case float():
                return math.isfinite(value)
            case int():
                return abs(value) < 2**63
            case str():
                return "\0" not in value and value.encode() is not None
            case list():
                return all(map(plain, value))
            case dict():
                return all(isinstance(key, str) and plain(item) for key, item in value.items())
        return False

    assert plain(forced_json(value))


@given(anything, st.sampled_from(["text", "int", "time"]))
def test_forced_values_fit_their_columns(value: object, kind: str) -> None:
    made = forced(value, kind)
    if value is None:
        assert made is None
    elif kind == "text":
        assert "\0" not in made.encode().decode()
    elif kind == "int":
        assert isinstance(made, int)
        assert abs(made) < 2**31
    else:
        to_text(made)
