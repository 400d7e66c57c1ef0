"""The benchmark's arithmetic, and its search for the highest rate held, against dumb versions of themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.lab.bench.search import StepSearch
from acd.lab.bench.statistics import gaps_ms, ideal_makespan_s, median, percentile, ratio, timeline


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7], 1, 7),
        ([7], 100, 7),
        ([4, 1, 3, 2], 50, 2),
        ([4, 1, 3, 2], 51, 3),
        (range(1, 101), 99, 99),
        (range(1, 102), 99, 100),
    ],
)
def test_percentile_is_the_nearest_rank(values, percent, expected):
    assert percentile(values, percent) == expected


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 100))
def test_percentile_is_the_smallest_value_that_enough_do_not_exceed(values, percent):
    found = percentile(values, percent)
    enough = [value for value in values if sum(v <= value for v in values) * 100 >= percent * len(values)]
    assert found == min(enough)


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_percentile_refuses_what_is_none(percent):
    with pytest.raises(ValueError):
        percentile([1.0], percent)


def test_median_and_ratio_leave_out_what_was_not_measured():
    assert median([None, 3.0, 1.0, None, 2.0]) == 2.0
    assert median([None]) is None
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(None, 2.0) is None
    assert ratio(1.0, 0.0) is None
    assert ratio(1.0, None) is None


@pytest.mark.parametrize(
    ("calls", "rate", "agents", "talk_s", "expected_s"),
    [
        (900, 100, 50, 1.0, 18.49),  # the case of the benchmark: the last agent starts at 0.49 and takes 18 calls
        (1, 10, 5, 2.0, 2.0),
        (3, 1, 1, 5.0, 15.0),
        (3, 1, 3, 0.5, 2.5),
    ],
)
def test_ideal_makespan(calls, rate, agents, talk_s, expected_s):
    assert ideal_makespan_s(calls, rate, agents, talk_s) == pytest.approx(expected_s)


@given(st.integers(1, 60), st.floats(0.5, 50), st.integers(1, 8), st.floats(0.01, 5))
def test_ideal_makespan_is_what_stepping_through_gives(calls, rate, agents, talk_s):
    free_at = [0.0] * agents
    for index in range(calls):
        agent = min(range(agents), key=lambda a: free_at[a])
        free_at[agent] = max(free_at[agent], index / rate) + talk_s
    assert ideal_makespan_s(calls, rate, agents, talk_s) == pytest.approx(max(free_at))


def test_gaps_lie_between_a_hang_up_and_the_same_phones_next_call():
    offered = {"1001": [1.0, 3.5, 9.0], "1002": [2.0]}
    hung_up = {"1001": [3.0, 7.0, 12.0], "1002": [4.0], "1003": [1.0]}
    assert gaps_ms(hung_up, offered) == pytest.approx([500.0, 2000.0])


def test_timeline_counts_up_to_every_step():
    assert timeline([0.1, 0.25, 0.6], 0.25) == [(0.0, 0), (0.25, 2), (0.5, 2), (0.75, 3)]
    assert timeline([], 0.25) == [(0.0, 0)]


def search(first, step, finest, limit, holds):
    """Every rate tried, and the answer."""
    found = StepSearch(first, step, finest, limit)
    tried = []
    while (rate := found.next_rate()) is not None:
        tried.append(rate)
        found.note(rate, holds(rate))
        assert len(tried) < 100
    return tried, found.highest


@pytest.mark.parametrize(
    ("limit", "tried", "highest"),
    [
        (155, [100, 120, 140, 160, 160, 150, 155], 155),
        (100, [100, 120, 120, 110, 110, 105, 105], 100),
        (60, [100, 100, 50, 70, 70, 60, 65, 65], 60),
        (1000, [100, 120, 140, 160, 180, 200], 200),
        (1, [100, 100, 50, 50, 25, 25, 12.5, 12.5, 6.25, 6.25], None),
    ],
)
def test_search_narrows_down(limit, tried, highest):
    assert search(100, 20, 5, 200, lambda rate: rate <= limit) == (tried, highest)


@given(st.floats(5, 220))
def test_search_ends_within_its_finest_step(limit):
    _, highest = search(100, 20, 5, 200, lambda rate: rate <= limit)
    if limit < 6.25:
        assert highest is None
    else:
        assert highest <= min(limit, 200) < highest + 5


def test_one_hiccup_is_forgiven():
    failures = {120: 1}

    def holds(rate):
        failures[rate] = failures.get(rate, 0) - 1
        return failures[rate] < 0 and rate < 150

    tried, highest = search(100, 20, 20, 200, holds)
    assert tried == [100, 120, 120, 140, 160, 160]
    assert highest == 140
