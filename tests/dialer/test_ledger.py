"""The abandonment ledger: what is charged, in which window, and what that leaves."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer.ledger import Ledger, Slack
from acd.dialer.statistics import aim_of
from acd.domain.dialrules import Rule
from acd.domain.errors import ConfigurationError

AT_S = datetime(2026, 3, 30, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400.0


def book(span: str = "day", cap: float = 0.03, **more: float) -> Ledger:
    return Ledger((Rule(span, cap),), AT_S, **more)  # type: ignore[arg-type]


def people(ledger: Ledger, answered: int, abandoned: int = 0, at_s: float = AT_S) -> None:
    for _ in range(answered):
        ledger.dialled()
        ledger.answered(at_s)
    for _ in range(abandoned):
        ledger.abandoned(at_s)


def test_slack_is_what_may_still_be_abandoned() -> None:
    ledger = book()
    people(ledger, 200, 2)
    slack = ledger.slack(AT_S)
    assert (slack.answered, slack.charged) == (200.0, 2.0)
    assert slack.slack == pytest.approx(4.0)
    assert ledger.in_flight == 0


def test_nothing_may_be_abandoned_before_anybody_answers() -> None:
    assert not book().slack(AT_S).allows(0.0)


@pytest.mark.parametrize(("left", "fits"), [(3.0, 3), (2.99, 2), (1.0, 1), (0.99, 0), (0.01, 0), (-2.5, 0)])
def test_whole_abandonments_fit_in(left: float, fits: int) -> None:
    assert Slack("day", 0.03, 100.0, 0.0, left).fits == fits


def test_lines_in_flight_may_hardly_ever_cost_more_than_fits_in() -> None:
    """A fiftieth of the cap; and nothing when nothing is left."""
    slack = Slack("day", 0.03, 100.0, 0.0, 0.5)
    assert slack.seldom == pytest.approx(0.0006)
    assert slack.allows(0.0006)
    assert not slack.allows(0.00061)
    assert not replace(slack, slack=0.0).allows(0.0)
    assert not replace(slack, slack=-1.0).allows(0.0)


@pytest.mark.parametrize(
    ("span", "same", "next_one"),
    [
        ("day", timedelta(hours=11), timedelta(hours=13)),
        ("days30", timedelta(days=29), timedelta(days=30)),
        ("month", timedelta(days=1), timedelta(days=2)),
    ],
)
def test_windows_begin_anew(span: str, same: timedelta, next_one: timedelta) -> None:
    ledger = book(span)
    people(ledger, 100, 1)
    assert ledger.slack(AT_S + same.total_seconds()).answered == 100.0
    assert ledger.slack(AT_S + next_one.total_seconds()).answered == 0.0


def test_a_campaign_never_begins_anew() -> None:
    ledger = book("campaign")
    people(ledger, 100)
    assert ledger.slack(AT_S + 400 * DAY_S).answered == 100.0


def test_days_are_those_of_the_zone() -> None:
    ledger = Ledger((Rule("day", 0.03),), AT_S, zone=timezone(timedelta(hours=11)))
    people(ledger, 100)
    assert ledger.slack(AT_S + 3_599).answered == 100.0
    assert ledger.slack(AT_S + 3_600).answered == 0.0


def test_a_late_message_does_not_reopen_a_window() -> None:
    ledger = book()
    people(ledger, 10, at_s=AT_S + DAY_S)
    people(ledger, 5, at_s=AT_S)
    assert ledger.slack(AT_S + DAY_S).answered == 15.0


def test_the_tightest_window_speaks() -> None:
    ledger = Ledger((Rule("day", 0.05), Rule("campaign", 0.03)), AT_S)
    people(ledger, 1_000, 29)
    assert (ledger.slack(AT_S).span, round(ledger.slack(AT_S).slack, 6)) == ("campaign", 1.0)
    assert ledger.slack(AT_S + DAY_S).span == "day"


def test_people_taken_for_machines_are_charged() -> None:
    """98 who are known stand for 100 who answered, 2 of whom were hung up on."""
    ledger = book(false_positive=0.02)
    people(ledger, 98)
    slack = ledger.slack(AT_S)
    assert slack.answered == pytest.approx(100.0)
    assert slack.charged == pytest.approx(2.0)


def test_a_deviation_of_their_number_is_held_back() -> None:
    ledger = book(false_positive=0.02)
    people(ledger, 98)
    slack = ledger.slack(AT_S)
    assert (slack.misjudged, slack.held) == (pytest.approx(2.0), pytest.approx(math.sqrt(2.0)))
    assert slack.slack == pytest.approx(3.0 - 2.0 - math.sqrt(2.0))
    assert not slack.allows(0.0)
    plain = book()
    people(plain, 98)
    assert plain.slack(AT_S).held == 0.0
    assert plain.slack(AT_S).slack == pytest.approx(2.94)


def more_than(most: float, mean: float) -> float:
    """P(N > ``most``), N Poisson."""
    share = total = math.exp(-mean)
    for number in range(1, math.floor(most) + 1):
        share *= mean / number
        total += share
    return 1.0 - total


@pytest.mark.parametrize("known", [400, 1_600, 5_000, 50_000])
def test_chance_seldom_takes_what_is_left_at_the_end_of_a_day(known: int) -> None:
    """As many abandoned as the ledger's aim leaves; the rest is the detector's, in whatever number it comes."""
    ledger = book(false_positive=0.01)
    people(ledger, known)
    slack = ledger.slack(AT_S)

    def exceeded(left: float) -> float:
        return more_than(slack.cap * slack.answered - (slack.slack - left), slack.misjudged)

    assert slack.slack > aim_of(slack)
    assert exceeded(aim_of(slack)) < 0.0015
    assert exceeded(0.0) < 0.2, "a ledger that is used up still holds one deviation back"
    assert exceeded(-slack.held) > 0.3, "without that"


def test_the_window_that_leaves_least_with_what_is_held_back_speaks() -> None:
    ledger = Ledger((Rule("day", 0.03), Rule("campaign", 0.0275)), AT_S, false_positive=0.01)
    people(ledger, 4_000)
    assert ledger.slack(AT_S).span == "campaign"
    people(ledger, 500, at_s=AT_S + DAY_S)
    slack = ledger.slack(AT_S + DAY_S)
    assert slack.span == "day"
    assert slack.slack == pytest.approx(0.03 * slack.answered - slack.charged - slack.held)
    assert slack.misjudged == pytest.approx(500 / 99)


def test_a_machine_put_through_is_taken_back() -> None:
    ledger = book(false_positive=0.02)
    people(ledger, 98)
    before = ledger.slack(AT_S).slack
    people(ledger, 1)
    ledger.machine_after_all(AT_S)
    assert ledger.slack(AT_S).slack == pytest.approx(before)


def test_after_a_crash_what_was_in_flight_is_charged_until_it_is_known() -> None:
    ledger = book()
    people(ledger, 300)
    ledger.dialled(5)
    again = book()
    again.restore(json.loads(json.dumps(ledger.as_json())))
    assert again.lost_track(AT_S) == 5
    assert again.slack(AT_S).slack == pytest.approx(9.0 - 5.0)
    again.cleared_up(AT_S, person=False, abandoned=False)
    again.cleared_up(AT_S, person=True, abandoned=False)
    again.cleared_up(AT_S, person=True, abandoned=True)
    slack = again.slack(AT_S)
    assert (slack.answered, slack.charged) == (302.0, 3.0)
    assert again.in_flight == 0


def test_counts_of_other_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="windows were saved"):
        Ledger((Rule("day", 0.03), Rule("month", 0.03)), AT_S).restore(book().as_json())


@pytest.mark.parametrize("cap", [-0.01, 1.0, 3.0])
def test_impossible_rules_are_refused(cap: float) -> None:
    with pytest.raises(ConfigurationError, match="share that may be abandoned"):
        Rule("day", cap)


def test_unknown_windows_and_empty_rules_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="a window is one of day, days30"):
        Rule("week", 0.03)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="needs a window"):
        Ledger((), AT_S)
    with pytest.raises(ConfigurationError, match="false positives"):
        book(false_positive=0.5)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("apmud"), st.integers(0, 3 * 86_400)), max_size=60))
def test_a_restored_ledger_goes_on_the_same(steps: list[tuple[str, int]]) -> None:
    one, clock_s = Ledger((Rule("day", 0.03), Rule("days30", 0.05)), AT_S), AT_S
    other = one
    for kind, later_s in steps:
        clock_s += later_s / 10
        restored = Ledger(one.rules, AT_S)
        restored.restore(other.as_json())
        other = restored
        for ledger in (one, other):
            if kind == "a":
                ledger.abandoned(clock_s)
            elif kind == "p":
                ledger.answered(clock_s)
            elif kind == "m":
                ledger.machine_after_all(clock_s)
            elif kind == "u":
                ledger.unanswered()
            else:
                ledger.dialled(2)
        assert one.slack(clock_s) == other.slack(clock_s)
        assert one.in_flight == other.in_flight >= 0
