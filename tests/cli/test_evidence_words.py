"""What the evidence says of people in a line: by attempts, and by the ledger where that counts others too."""

from __future__ import annotations

from typing import Any

import pytest

from acd.cli.campaign import _people, _rows, differences_told, rings_words
from acd.store.outbound.differences import Reached, difference


def window(answered: float, abandoned: float, misjudged: float = 0, unknown: float = 0) -> dict[str, Any]:
    return {"answered": answered, "abandoned": abandoned, "misjudged": misjudged, "unknown": unknown}


NOBODY = Reached(0, 0, 0)


def told(inside: Reached, *windows: dict[str, Any], outside: Reached = NOBODY, kind: str = "day") -> Any:
    found = difference(kind, windows, inside, outside)
    if found is not None:
        # Nothing is left unexplained
        assert sum(one["answered"] for one in found["parts"]) == pytest.approx(found["answered"] - inside.people)
        assert sum(one["charged"] for one in found["parts"]) == pytest.approx(found["charged"] - inside.abandoned)
    return found


def test_people_are_told_by_attempts() -> None:
    found = {"people": 7, "abandoned": 6, "abandonment": 6 / 7, "outcomes": {"opted_out": 1}}
    assert _people(found) == "7 answered: 0 put through, 6 abandoned (85.71%), 1 opted out"


@pytest.mark.parametrize(
    ("inside", "windows", "outside", "parts", "says"),
    [
        (Reached(7, 6, 1), [window(7, 7)], NOBODY, {"opted_out": (0, 1)}, "1 who opted out and had no agent"),
        (Reached(30, 1, 0), [window(10, 1), window(20, 2)], NOBODY, {"other": (0, 2)}, "an agent took them too late"),
        (Reached(97, 11, 0), [window(102, 16, 0, 4)], NOBODY, {"unknown": (0, 4), "other": (5, 5)}, "after a restart"),
        (Reached(97, 11, 0), [window(95, 11, 0, 2)], NOBODY, {"unknown": (-2, 2)}, "2 of them are answered by attempts"),
        (Reached(30, 1, 0), [window(31.5, 1, 1.5)], NOBODY, {"machine_detection": (1.5, 1.5)}, "machine detection"),
        (Reached(3, 1, 0), [window(10, 4)], Reached(7, 3, 0), {"outside_period": (7, 3)}, "does not cover the window: 7"),
        (Reached(4, 1, 0, 2), [window(6, 1)], NOBODY, {"in_call": (2, 0)}, "2 answered and are in a call"),
        (Reached(4, 1, 0, 2), [window(9, 1)], NOBODY, {"in_call": (2, 0), "other": (3, 0)}, "after a restart"),
        (Reached(9, 2, 0), [window(5, 1)], NOBODY, {"other": (-4, -1)}, "in another window, or in none"),
    ],
)  # fmt: skip
def test_what_windows_count_otherwise_is_explained_and_adds_up(
    inside: Reached, windows: list[dict[str, Any]], outside: Reached, parts: dict[str, tuple[float, float]], says: str
) -> None:
    found = told(inside, *windows, outside=outside)
    assert {one["what"]: (one["answered"], one["charged"]) for one in found["parts"]} == parts
    assert says in found["detail"]


@pytest.mark.parametrize(("windows", "inside"), [([window(30, 1)], (30, 1)), ([window(20, 1), window(10, 0)], (30, 1))])
def test_what_says_the_same_is_not_told(windows: list[dict[str, Any]], inside: tuple[int, int]) -> None:
    assert told(Reached(*inside, 0), *windows) is None
    # People in a call whom the ledger does not count yet
    assert told(Reached(*inside, 0, 3), *windows) is None


def test_every_kind_of_window_that_differs_is_told_also_in_files() -> None:
    kinds = ("day", "days30", "month", "campaign")
    differences = [told(Reached(97, 11, 0), window(102, 16, 0, 4), kind=kind) for kind in kinds]
    rows = differences_told(differences)
    assert [label for label, _ in rows] == ["by days", "by 30 days", "by months", "by whole campaign"]
    assert all(text.startswith("20 of 102 (19.61%) charged, by attempts 11 of 97: ") for _, text in rows)
    empty = dict.fromkeys(
        ("since", "until", "attempts", "dialled", "unsettled", "people", "abandoned", "abandonment", "opted_out")
    )
    groups = (
        "outcomes",
        "messages",
        "on_machines",
        "rings",
        "refusals",
        "trunks",
        "detection",
        "dispositions",
        "caller_ids",
    )
    found = {"campaign": "win", **empty, **{name: {} for name in groups}, "windows": [], "differences": differences}
    written = [row for row in _rows(found) if row[1] == "differences"]
    assert {row[2] for row in written} >= {"day", "day unknown", "day other", "campaign", "campaign unknown"}
    assert ("win", "differences", "month unknown", "charged", 4.0) in written


@pytest.mark.parametrize(
    ("early", "by_stop", "by_agent", "late", "said"),
    [
        (0, 0, 0, 0, "none given up too early"),
        (4, 0, 0, 0, "4 given up too early"),
        (4, 3, 0, 0, "4 given up too early (3 by stop --now)"),
        (4, 3, 1, 0, "4 given up too early (3 by stop --now, 1 whose agent was gone)"),
        (2, 0, 0, 2, "2 given up too early (2 that a frozen Asterisk began late)"),
    ],
)
def test_lines_given_up_on_purpose_are_told_apart(
    early: int, by_stop: int, by_agent: int, late: int, said: str
) -> None:
    found = {"unanswered": 9, "mean_s": 17.25, "least_s": 3.0}
    found |= {"early": early, "early_by_stop": by_stop, "early_by_agent": by_agent, "early_begun_late": late}
    assert rings_words(found) == f"9, 17.25 s on average, 3 s at least, {said}"
