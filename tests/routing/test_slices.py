"""Arithmetic on columns of binary digits, against the same on plain numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from acd.routing import slices

numbers = st.lists(st.integers(0, 300), min_size=1, max_size=40)


def column(values: list[int]) -> slices.Digits:
    digits: slices.Digits = []
    for index, value in enumerate(values):
        slices.write(digits, 1 << index, 0, value)
    return digits


def values_of(digits: slices.Digits, count: int) -> list[int]:
    return [slices.number_at(digits, 1 << index) for index in range(count)]


def mask_of(members: list[bool]) -> int:
    return sum(1 << index for index, member in enumerate(members) if member)


@given(numbers, numbers)
def test_what_is_written_over_stands(old: list[int], new: list[int]) -> None:
    count = min(len(old), len(new))
    digits = column(old[:count])
    for index in range(count):
        slices.write(digits, 1 << index, old[index], new[index])
    assert values_of(digits, count) == new[:count]


@given(numbers, st.integers(-5, 600))
def test_bounds(values: list[int], bound: int) -> None:
    everybody = (1 << len(values)) - 1
    assert slices.at_least(column(values), everybody, bound) == mask_of([value >= bound for value in values])


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5), st.integers(0, 1_000)), min_size=1, max_size=30))
def test_sums_and_products(rows: list[tuple[int, int, int]]) -> None:
    columns = [column([row[place] for row in rows]) for place in range(3)]
    assert values_of(slices.summed(columns), len(rows)) == [sum(row) for row in rows]
    assert values_of(slices.times(columns[0], 37), len(rows)) == [37 * row[0] for row in rows]
    assert values_of(slices.times(columns[0], 37, dropped=3), len(rows)) == [37 * row[0] >> 3 for row in rows]
    assert values_of(slices.times(columns[0], 0), len(rows)) == [0] * len(rows)
    assert slices.summed([]) == []


@given(numbers)
def test_complement(values: list[int]) -> None:
    everybody = (1 << len(values)) - 1
    turned = slices.complement(column(values), everybody, 9)
    assert values_of(turned, len(values)) == [511 - value for value in values]


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), min_size=1, max_size=40))
def test_groups_of_equals_in_order(rows: list[tuple[int, bool]]) -> None:
    values, among = [value for value, _ in rows], [member for _, member in rows]
    if not any(among):
        return
    there = sorted({value for value, member in rows if member})
    groups = [mask_of([member and value == wanted for value, member in rows]) for wanted in there]
    digits = column(values)
    assert list(slices.ascending(digits, mask_of(among))) == groups
    assert list(slices.descending(digits, mask_of(among))) == groups[::-1]
