"""What the evidence says of people in a line: by attempts, and by the ledger where that counts others too."""

from __future__ import annotations

from typing import Any

import pytest

from acd.cli.campaign import _charged, _people, rings_words


def window(answered: float, charged: float, kind: str = "day") -> dict[str, Any]:
    return {"window": kind, "answered": answered, "charged": charged}


def told(people: int, abandoned: int, opted_out: int, *windows: dict[str, Any]) -> tuple[str, str]:
    found = {
        "people": people, "abandoned": abandoned, "abandonment": abandoned / people if people else None,
        "opted_out": opted_out + 1, "outcomes": {"answered": people - abandoned - opted_out, "opted_out": opted_out},
        "windows": list(windows),
    }  # fmt: skip
    return _people(found), _charged(found)


def test_who_opted_out_of_the_message_is_told_where_the_law_counts_him() -> None:
    people, charged = told(7, 6, 1, window(7, 7))
    assert people == "7 answered: 0 put through, 6 abandoned (85.71%), 1 opted out"
    assert charged.startswith("7 of 7 (100.00%) in the windows below: ")


def test_days_are_taken_together() -> None:
    assert told(30, 1, 0, window(10, 1), window(20, 2))[1].startswith("3 of 30 (10.00%)")


@pytest.mark.parametrize("windows", [[window(30, 1)], [window(30, 4), window(30, 5, "campaign")], [], [window(0, 0)]])
def test_what_says_the_same_or_cannot_be_added_is_not_told(windows: list[dict[str, Any]]) -> None:
    assert told(30, 1, 0, *windows) == ("30 answered: 29 put through, 1 abandoned (3.33%)", "")


@pytest.mark.parametrize(
    ("early", "by_stop", "by_agent", "said"),
    [
        (0, 0, 0, "none given up too early"),
        (4, 0, 0, "4 given up too early"),
        (4, 3, 0, "4 given up too early (3 by stop --now)"),
        (4, 3, 1, "4 given up too early (3 by stop --now, 1 whose agent was gone)"),
    ],
)
def test_lines_given_up_on_purpose_are_told_apart(early: int, by_stop: int, by_agent: int, said: str) -> None:
    found = {"unanswered": 9, "mean_s": 17.25, "least_s": 3.0}
    found |= {"early": early, "early_by_stop": by_stop, "early_by_agent": by_agent}
    assert rings_words(found) == f"9, 17.25 s on average, 3 s at least, {said}"
