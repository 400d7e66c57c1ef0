"""The one formula of scores, member by member, and what is refused."""

from __future__ import annotations

import pytest

from acd.domain.definition import FloorDefinition, QueueDefinition, SelectionWeights
from acd.domain.errors import MisuseError
from acd.routing.policies import CallSelection, QueuePolicy, score, shares

QUEUE = QueuePolicy(weight=2.0, cost=3.0, service_rate=0.5)

# (kind, priority) -> rate and head start of a call with a threshold of 20 s, one step of priority being worth 60 s
MEMBERS = [
    ("fcfs", 0, 2.0, 0.0),
    ("fcfs", 5, 2.0, 0.0),
    ("priority", 0, 2.0, 0.0),
    ("priority", 5, 2.0, 300.0),
    ("priority", -1, 2.0, -60.0),
    ("deadline", 0, 1.0, -20.0),
    ("deadline", 2, 1.0, 100.0),
    ("cmu", 0, 1.5, 0.0),
    ("cmu", 1, 1.5, 60.0),
    ("ratio", 0, 1 / 60, 0.0),
    ("ratio", 1, 1 / 60, 60.0),
]


@pytest.mark.parametrize(("kind", "priority", "rate", "head_start_s"), MEMBERS)
def test_members_of_the_family(kind: str, priority: int, rate: float, head_start_s: float) -> None:
    selection = CallSelection(kind, ageing_s=60.0)
    assert selection.rate(QUEUE) == rate
    assert selection.head_start_s(priority, threshold_s=20.0) == head_start_s
    assert selection.biased is (kind == "ratio")


def test_score() -> None:
    # joined at 1,000 s with 60 s of head start; 30 s of preference; at 1,100 s
    assert score(5.0, 2.0, 1_100.0, 1_000.0 - 60.0, 30.0) == 5.0 + 2.0 * (100.0 + 60.0 + 30.0)


def test_deadline_is_minus_the_time_left() -> None:
    selection = CallSelection("deadline")
    key_s = 1_000.0 - selection.head_start_s(0, threshold_s=20.0)
    assert score(0.0, selection.rate(QUEUE), 1_015.0, key_s, 0.0) == -5.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"a": None}, {"a": 1.0}),
        ({"a": None, "b": None}, {"a": 0.5, "b": 0.5}),
        ({"a": 0.5, "b": None, "c": None}, {"a": 0.5, "b": 0.25, "c": 0.25}),
        ({"a": 0.7, "b": 0.7, "c": None}, {"a": 0.7, "b": 0.7, "c": 0.0}),
        ({"a": 0.2, "b": 0.2}, {"a": 0.2, "b": 0.2}),
    ],
)
def test_shares(given: dict[str, float | None], expected: dict[str, float]) -> None:
    assert shares(given) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"agent_selection": "random"}, "'random' is no agent selection"),
        ({"weight": 0.0}, "weight of a queue must be above 0"),
        ({"weight": float("nan")}, "weight of a queue must be above 0"),
        ({"cost": -1.0}, "cost of a queue must be above 0"),
        ({"service_rate": float("inf")}, "service_rate of a queue must be above 0"),
        ({"ratio": 1.5}, "ratio of a queue must lie within 0 to 1"),
        ({"weights": SelectionWeights(idle=-1.0)}, "weight idle must lie within"),
        ({"weights": SelectionWeights(proficiency=float("nan"))}, "weight proficiency must lie within"),
    ],
)
def test_queue_policies_out_of_range(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        QueuePolicy(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "lifo"}, "'lifo' is no call selection"),
        ({"ageing_s": -1.0}, "ageing_s must be 0 or more"),
        ({"preference_s": float("inf")}, "preference_s must be 0 or more"),
        ({"held_s": float("nan")}, "held_s must be 0 or more"),
        ({"kind": "ratio", "ageing_s": 0.0}, "ratio needs ageing_s above 0"),
    ],
)
def test_call_selections_out_of_range(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        CallSelection(**wrong)  # type: ignore[arg-type]


def test_from_definitions() -> None:
    weights = SelectionWeights(proficiency=1.0)
    queue = QueueDefinition("q", agent_selection="weighted", weights=weights, weight=3.0, ratio=0.4, cost=2.0)
    assert QueuePolicy.of(queue, 0.01) == QueuePolicy("weighted", weights, 3.0, 0.4, 2.0, 0.01)
    floor = FloorDefinition({"q": queue}, {}, {}, call_selection="cmu", ageing_s=10.0, preference_s=5.0)
    assert CallSelection.of(floor) == CallSelection("cmu", 10.0, 5.0)
