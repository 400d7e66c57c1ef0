"""The matcher equals its brute force, whatever changes, under all policies."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from routing_walk import Walk

from acd.routing import lanes, orders, selection

seeds = st.integers(0, 2**32)
sizes = st.fixed_dictionaries(
    {
        "agents": st.sampled_from([3, 15, 90]),
        "calls": st.sampled_from([5, 30]),
        "queues": st.sampled_from([1, 4, 13]),
        "kinds": st.sampled_from([3, 12]),
        "preferences": st.booleans(),
    }
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(seeds, sizes)
def test_two_thousand_events_at_a_time(seed: int, size: dict[str, int]) -> None:
    walk = Walk(seed, **size)
    for _ in range(2_000):
        walk.step()
    assert walk.matched, "a walk in which nobody matches shows nothing"


@pytest.mark.parametrize("seed", range(4))
def test_parts_that_are_split_and_joined_all_the_time(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with blocks, spare classes and lanes so small that every limit is met again and again."""
    monkeypatch.setattr(orders, "BLOCK", 8)
    monkeypatch.setattr(orders, "FEW", 1)
    monkeypatch.setattr(selection, "FEW", 1)
    monkeypatch.setattr(lanes, "OWN_LANES_MAX", 1)
    monkeypatch.setattr("acd.routing.index.OWN_LANES_MAX", 1)
    monkeypatch.setattr("acd.routing.board.CLASSES_SPARE_MAX", 3)
    walk = Walk(seed, agents=120, calls=40, queues=3, kinds=8, preferences=bool(seed % 2))
    for _ in range(2_500):
        walk.step()
    assert walk.matched


class Floor(RuleBasedStateMachine):
    """The same step by step, so that Hypothesis can take a failure down to the few steps that matter."""

    @initialize(seed=st.integers(0, 1_000), queues=st.integers(1, 3), preferences=st.booleans())
    def opens(self, seed: int, queues: int, preferences: bool) -> None:
        self.walk = Walk(seed, agents=4, calls=4, queues=queues, kinds=3, preferences=preferences)

    @rule(seed=st.integers(0, 10_000))
    def something_happens(self, seed: int) -> None:
        self.walk.r.seed(seed)
        self.walk.step()


Floor.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFloor = Floor.TestCase
