"""When a queue needs the agents whom it shares with campaigns: limits, the service level of late, no moving to and fro."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.dialer.blending import Counts, Level, Recently, Seen, Standing, judge, kept
from acd.domain.blending import Blend, Limits

BLEND = Blend(Limits(below=0.9, waiting=1), 2, 0.0, Limits(below=0.8, wait_s=20.0, waiting=3), hold_s=60.0)
CALM = Seen(0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("seen", "level", "why"),
    [
        (CALM, Level.CALM, ""),
        (Seen(0, None, None), Level.CALM, ""),
        (Seen(1, 0.0, 1.0), Level.RESERVE, "1 waiting, 1 being too many"),
        (Seen(0, 0.0, 0.89), Level.RESERVE, "its service level is 89%, its aim 90%"),
        (Seen(0, 0.0, 0.9), Level.CALM, ""),
        (Seen(3, 0.0, 1.0), Level.RECALL, "3 waiting, 3 being too many"),
        (Seen(0, 20.0, 1.0), Level.RECALL, "somebody who called now would wait 20 s, of 20 s"),
        (Seen(0, 19.9, 0.79), Level.RECALL, "its service level is 79%, its aim 80%"),
    ],
)
def test_a_limit_that_is_passed_counts_at_once(seen: Seen, level: Level, why: str) -> None:
    found = judge(BLEND, seen, Standing(), 100.0)
    assert (found.level, found.why) == (level, why)
    if level:
        assert found.since_s == 100.0


def test_agents_are_given_back_when_it_has_been_well_for_long_enough_with_something_to_spare() -> None:
    bad = judge(BLEND, Seen(3, 0.0, 1.0), Standing(), 0.0)
    # Two callers are fewer than three, and yet too many to give anybody back
    still = judge(BLEND, Seen(2, 0.0, 1.0), bad, 10.0)
    assert (still.level, still.well_s, still.since_s, still.why) == (Level.RECALL, None, 0.0, bad.why)
    well = judge(BLEND, CALM, still, 20.0)
    assert (well.level, well.well_s) == (Level.RECALL, 20.0)
    assert judge(BLEND, CALM, well, 79.9).level is Level.RECALL
    assert judge(BLEND, CALM, well, 80.0) == Standing(Level.CALM, 80.0, "")
    again = judge(BLEND, Seen(2, 0.0, 1.0), well, 50.0)
    assert judge(BLEND, CALM, judge(BLEND, CALM, again, 60.0), 119.0).level is Level.RECALL


def test_from_recall_it_falls_to_what_still_holds() -> None:
    bad = judge(BLEND, Seen(0, 0.0, 0.7), Standing(), 0.0)
    mild = Seen(0, 0.0, 0.87)
    found = judge(BLEND, mild, judge(BLEND, mild, bad, 1.0), 61.0)
    assert (found.level, found.why) == (Level.RESERVE, "its service level is 87%, its aim 90%")
    # Within the limit, but with nothing to spare
    near = Seen(0, 0.0, 0.92)
    found = judge(BLEND, near, judge(BLEND, near, bad, 1.0), 61.0)
    assert (found.level, found.why) == (Level.RESERVE, "its service level is 92%, its aim 90%")


def test_a_reserve_without_limits_holds_always() -> None:
    always = Blend(Limits(), 2)
    assert judge(always, CALM, Standing(), 0.0).level is Level.RESERVE


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 50.0),
            st.builds(Seen, st.integers(0, 6), st.none() | st.floats(0, 40), st.none() | st.floats(0, 1)),
        ),
        max_size=40,
    )
)
def test_it_never_stands_lower_than_its_limits_say_nor_falls_before_it_has_held(
    steps: list[tuple[float, Seen]],
) -> None:
    now_s, standing = 0.0, Standing()
    rose_s = 0.0
    for length_s, seen in steps:
        now_s += length_s
        found = judge(BLEND, seen, standing, now_s)
        assert found.level >= judge(BLEND, seen, Standing(), now_s).level
        if found.level > standing.level:
            rose_s = now_s
        elif found.level < standing.level:
            assert now_s - rose_s >= BLEND.hold_s
        standing = found


@pytest.mark.parametrize(
    ("blend", "level", "count"),
    [
        (BLEND, Level.CALM, 0),
        (BLEND, Level.RESERVE, 2),
        (BLEND, Level.RECALL, 9),
        (replace(BLEND, agents=20), Level.RESERVE, 9),
        (replace(BLEND, agents=0, share=0.25), Level.RESERVE, 3),
        (replace(BLEND, agents=0, share=1.0), Level.RESERVE, 9),
    ],
)
def test_how_many_are_kept_of_nine(blend: Blend, level: Level, count: int) -> None:
    assert kept(blend, Standing(level), 9) == count


def test_the_service_level_is_that_of_the_last_while() -> None:
    recently = Recently(600.0)
    assert recently.seen(Counts(answered=100, in_time=0), 0.0).service_level is None
    assert recently.seen(Counts(answered=104, in_time=4), 10.0).service_level is None
    assert recently.seen(Counts(answered=108, in_time=6, abandoned=2), 20.0).service_level == pytest.approx(0.6)
    assert recently.seen(Counts(answered=128, in_time=26, abandoned=2), 500.0).service_level == pytest.approx(26 / 30)
    # What is older than ten minutes has gone
    assert recently.seen(Counts(answered=138, in_time=36, abandoned=2), 1_000.0).service_level == 1.0


def test_who_waits_too_long_already_is_missed_before_he_is_counted() -> None:
    recently = Recently(600.0)
    recently.seen(Counts(), 0.0)
    assert recently.seen(Counts(4, 4, None, 4, 4), 30.0) == Seen(4, None, 0.5)


def test_samples_are_few_however_often_it_is_asked() -> None:
    recently = Recently(60.0)
    for n in range(10_000):
        recently.seen(Counts(answered=n, in_time=n), n * 0.05)
    assert len(recently._samples) < 65
