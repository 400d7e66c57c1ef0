"""Pacers: what they place at known supplies, and what must hold at every supply."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from dialerkit import NOW_S, ledger, nobody_left, supply, taught
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer import Ledger, Line, Power, Predictive, Preview, Progressive, Rule, Statistics, Supply
from acd.dialer.forecast import Forecast, Tables
from acd.dialer.ledger import Slack
from acd.dialer.pacing import most
from acd.dialer.predictive import threshold_of
from acd.dialer.rings import BIN_S
from acd.domain.errors import ConfigurationError

ages = st.lists(st.floats(0.0, 400.0), max_size=25)
ring_ages = st.lists(st.floats(0.0, 24.0), max_size=20)
TAUGHT, ROOM, EMPTY = taught(), ledger(), ledger(100, 3)
PREDICTIVE, POWER = Predictive(), Power(2.5)
TABLES = Tables(TAUGHT, 2.0)
MIXED = taught()
for _number in range(400):
    MIXED.line_ended(NOW_S - 400 + _number, 4.0 + _number * 7 % 17, person=_number % 20 < 17, segment="warm")
    MIXED.line_ended(NOW_S - 400 + _number, 4.0 + _number * 7 % 17, person=_number % 20 < 3, segment="cold")
MIXED.publish()
MIXED_TABLES = Tables(MIXED, 2.0)
LITTLE = taught(lines=60)
LITTLE.line_ended(NOW_S, 3.0, person=True)
SLOW = taught()
SLOW.steps = {f"{kind}{n}": (6, 6) for kind in "aw" for n in range(30)}
SLOW_TABLES = Tables(SLOW, 2.0)


@st.composite
def supplies(draw: st.DrawFn) -> Supply:
    return supply(
        draw(st.integers(0, 40)),
        talking=draw(ages),
        wrapping=draw(ages),
        ringing=draw(ring_ages),
        waiting=draw(st.integers(0, 3)),
        most=draw(st.one_of(st.just(1_000), st.integers(0, 20))),
    )


def lines(pacer: Predictive | Power | Progressive | Preview, given: Supply, book: Ledger = ROOM) -> int:
    return pacer.decide(given, TAUGHT, book, NOW_S).lines


# -- known supplies ----------------------------------------------------------------------------------------------------


def test_preview_dials_what_agents_accept() -> None:
    assert lines(Preview(), supply(5, pulled=2)) == 2
    assert lines(Preview(), supply(5)) == 0
    assert lines(Preview(), supply(5, pulled=2, most=1)) == 1


def test_progressive_holds_an_agent_for_every_line() -> None:
    assert lines(Progressive(), supply(5, ringing=[1.0, 2.0])) == 3
    assert lines(Progressive(), supply(1, ringing=[1.0, 2.0])) == 0
    assert lines(Progressive(), supply(5, ringing=[1.0], waiting=2)) == 2


def test_power_keeps_its_ratio_while_the_ledger_has_room() -> None:
    given = supply(4, talking=[10.0] * 6, ringing=[1.0])
    assert lines(POWER, given) == 9
    assert lines(POWER, given, EMPTY) == 3
    assert POWER.decide(given, TAUGHT, EMPTY, NOW_S).why.because == "ledger"


@pytest.mark.parametrize("ratio", [0.5, 21.0, math.nan])
def test_ratios_out_of_range_are_refused(ratio: float) -> None:
    with pytest.raises(ConfigurationError, match="1 to 20 lines"):
        Power(ratio)


def test_predictive_never_over_dials_for_busy_agents_who_will_stay_so() -> None:
    assert lines(PREDICTIVE, supply(0, talking=[1.0] * 10)) == 0


def test_predictive_dials_ahead_of_agents_about_to_be_free() -> None:
    given = supply(0, wrapping=[47.0] * 8)
    decision = PREDICTIVE.decide(given, TAUGHT, ROOM, NOW_S)
    assert decision.lines >= 8
    assert decision.why.because == "risk"
    assert decision.why.frees[-1] > 7
    assert lines(PREDICTIVE, given, EMPTY) == 0, "nobody is idle, and the ledger has no room"


def test_predictive_places_more_than_a_line_an_idle_agent() -> None:
    found = [lines(PREDICTIVE, supply(idle, talking=[20.0] * 10)) for idle in range(7)]
    assert found[:2] == [0, 1]
    assert all(after >= before for before, after in pairwise(found))
    assert found[6] > 6 * 1.5


def test_a_lower_answer_rate_takes_more_lines() -> None:
    given = supply(6, talking=[20.0] * 10)
    found = [PREDICTIVE.decide(given, taught(rate), ROOM, NOW_S).lines for rate in (0.6, 0.3, 0.15)]
    assert found[0] < found[1] < found[2]


def test_without_agents_nothing_is_dialled() -> None:
    decision = PREDICTIVE.decide(supply(0), TAUGHT, ROOM, NOW_S)
    assert (decision.lines, decision.look_at_s, decision.why.because) == (0, math.inf, "nothing")


def test_a_decision_can_be_explained() -> None:
    why = PREDICTIVE.decide(supply(6, talking=[20.0] * 10), TAUGHT, ROOM, NOW_S).why
    assert why.threshold is not None
    assert why.risk is not None
    assert why.next_risk is not None
    assert why.risk <= why.threshold < why.next_risk
    said = json.loads(json.dumps(why.as_json()))
    assert said["slack"]["answered"] == 10_000
    assert len(said["looks_s"]) == len(said["frees"]) == len(said["answers"]) == 5


def test_the_threshold_rises_with_the_slack_within_limits() -> None:
    found = [threshold_of(TAUGHT, Slack("day", 0.03, 100.0, 5.0, left)) for left in (-1e6, 1.0, 1.75, 3.0, 4.25, 1e6)]
    assert found == sorted(found)
    learned = math.exp(TAUGHT.log_threshold)
    assert found[1:5] == [pytest.approx(share * learned) for share in (0.2, 0.5, 1.0, 1.5)], "3 is the aim"
    assert found[-1] == pytest.approx(2.0 * learned)
    assert found[0] == pytest.approx(0.03 / 50), "while no whole abandonment fits in"


def test_while_no_whole_abandonment_fits_lines_that_cost_next_to_nothing_are_placed() -> None:
    """Four idle agents, and lines of whom a person answers three in ten: one more rings than agents are idle."""
    given = supply(4, talking=[20.0] * 10, wrapping=[40.0] * 4)
    book = ledger(20)
    decision = PREDICTIVE.decide(given, TAUGHT, book, NOW_S)
    assert given.covered < decision.lines < lines(PREDICTIVE, given, ROOM)
    why = decision.why
    assert why.threshold == pytest.approx(0.03 / 50)
    assert why.risk is not None
    assert why.next_risk is not None
    assert why.risk <= why.threshold < why.next_risk or why.because == "ledger"
    assert 0.0 < Forecast(TABLES, given, TAUGHT, NOW_S).exceeded(decision.lines, 0) <= 0.03 / 50
    assert lines(PREDICTIVE, given, ledger(100, 3)) == given.covered


@pytest.mark.parametrize(("seen", "since_s"), [(50, 0.0), (8_000, 12 * 3_600.0)], ids=["new", "the next morning"])
def test_not_before_the_answer_rate_is_known(seen: int, since_s: float) -> None:
    given = supply(4, talking=[20.0] * 10, wrapping=[40.0] * 4)
    statistics = taught(lines=seen)
    book = Ledger((Rule("day", 0.03),), NOW_S)
    for _ in range(20):
        book.answered(NOW_S + since_s)
    then = replace(
        given,
        talking=tuple(busy._replace(since_s=busy.since_s + since_s) for busy in given.talking),
        wrapping=tuple(busy._replace(since_s=busy.since_s + since_s) for busy in given.wrapping),
    )
    for number in range(60 if seen == 8_000 else 10):
        for pacer in (Predictive(), Power(3.0)):
            assert pacer.decide(then, statistics, book, NOW_S + since_s).lines == then.covered
        statistics.line_ended(NOW_S + since_s - 60 + number, 8.0, person=number % 10 < 3)
        statistics.stage_ended("talk", "a1", 30.0 + number)
    assert Predictive().decide(then, statistics, book, NOW_S + since_s).lines > then.covered
    roomy = Ledger((Rule("campaign", 0.03),), NOW_S)
    for _ in range(400):
        roomy.answered(NOW_S)
    fresh = taught(lines=seen)
    assert Predictive().decide(then, fresh, roomy, NOW_S + since_s).lines > then.covered, "some may be lost there"


def test_a_list_that_nobody_knows_is_not_over_dialled_where_nobody_may_be_abandoned() -> None:
    statistics = taught()
    book = ledger(20)
    given = replace(supply(4, talking=[20.0] * 10, wrapping=[40.0] * 4), segment="spring")
    assert PREDICTIVE.decide(given, statistics, book, NOW_S).lines == given.covered
    for number in range(60):
        statistics.line_ended(NOW_S - 60 + number, 8.0, person=number % 10 < 3, segment="spring")
    assert PREDICTIVE.decide(given, statistics, book, NOW_S).lines > given.covered
    both = replace(given, ringing=(Line(NOW_S - 4.0, "summer"),))
    assert PREDICTIVE.decide(both, statistics, book, NOW_S).lines == both.covered


def test_yesterday_tells_little_of_a_morning_on_which_more_people_are_at_home() -> None:
    """8,000 lines at 5 %, then 60 at 80 %: what was learned before the night weighs no more than a few."""
    statistics = taught(0.05, 8_000)
    morning_s = NOW_S + 16 * 3_600.0
    assert statistics.answer_rate.rate(morning_s)[1] < 40.0
    for number in range(60):
        statistics.line_ended(morning_s + number, 8.0, person=number % 5 < 4)
    assert statistics.answer_rate.rate(morning_s + 60.0)[0] > 0.6


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([0.5, 2.0, 5.0, 9.0, 14.0]), min_size=1, max_size=5),
    st.lists(st.sampled_from([0.5, 2.0, 5.0, 9.0, 14.0]), min_size=1, max_size=8),
    st.integers(1, 6),
    st.integers(0, 1),
)
def test_what_lists_of_unlike_answer_rates_may_cost_is_not_said_lightly(
    warm: list[float], cold: list[float], idle: int, fits: int
) -> None:
    """Every line is a coin of its own: by the last look, against the exact distribution."""
    lines_of = tuple(Line(NOW_S - age, "warm") for age in warm) + tuple(Line(NOW_S - age, "cold") for age in cold)
    given = Supply(idle, ringing=lines_of, segment="cold")
    forecast = Forecast(MIXED_TABLES, given, MIXED, NOW_S)
    coins = []
    for line in lines_of:
        rate = MIXED_TABLES.lines(MIXED.answer_rate.rate(NOW_S, line.segment)[0])[1]
        coins.append(MIXED_TABLES.ring.answers(rate, int((NOW_S - line.dialled_s) / BIN_S), MIXED_TABLES.looks[-1]))
    exact = nobody_left(idle + fits + 1, [], coins)
    assert forecast.exceeded(0, fits) >= 0.99 * exact - 1e-9 or exact > 0.3


def test_people_taken_for_machines_make_the_threshold_aim_higher() -> None:
    plain = Slack("day", 0.03, 100.0, 5.0, 3.0)
    assert threshold_of(TAUGHT, replace(plain, held=2.0)) == pytest.approx(threshold_of(TAUGHT, plain) * 2.5 / 4.5)


def test_impossible_settings_and_supplies_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="kept for 0 to 30 s"):
        Predictive(grace_s=-1.0)
    with pytest.raises(ConfigurationError, match="lines an agent"):
        Predictive(ratio_most=0.5)
    with pytest.raises(ValueError, match="must not be negative"):
        Supply(-1)


def test_ages_from_the_future_and_the_distant_past_are_taken_for_the_nearest() -> None:
    """A clock that was set back, a call that nobody ended."""
    odd = supply(2, talking=[-50.0, 1e9], wrapping=[-3.0, 1e7], ringing=[-5.0, 1e8])
    near = supply(2, talking=[0.0, 1e5], wrapping=[0.0, 1e5], ringing=[0.0, 1e4])
    assert lines(PREDICTIVE, odd) == lines(PREDICTIVE, near)


@pytest.mark.parametrize("limit", [0, 1, 5, 37, 1_000])
def test_the_search_finds_the_greatest_allowed(limit: int) -> None:
    for top in range(0, 60, 7):
        assert most(0, limit, lambda n, top=top: n <= top) == min(limit, top)
    assert most(9, 5, lambda n: True) == 9


@pytest.mark.parametrize("limit", [0, 1, 5, 37, 1_000])
def test_a_guess_changes_how_often_is_asked_and_nothing_else(limit: int) -> None:
    for guess in (0, 1, 7, 30, 2_000):
        for top in range(0, 60, 7):
            assert most(2, limit, lambda n, top=top: n <= top, guess) == max(2, min(limit, top))
    asked: list[int] = []
    assert most(0, 1_000, lambda n: asked.append(n) or n <= 300, 299) == 300
    assert len(asked) <= 4


def test_the_guess_is_near() -> None:
    given = supply(12, talking=[n * 3.0 for n in range(160)], wrapping=[n * 1.0 for n in range(60)], ringing=[9.0] * 60)
    forecast = Forecast(TABLES, given, TAUGHT, NOW_S)
    lines_ = PREDICTIVE.decide(given, TAUGHT, ROOM, NOW_S).lines
    assert lines_ > 20
    assert forecast.guess(threshold_of(TAUGHT, ROOM.slack(NOW_S))) == pytest.approx(lines_, rel=0.2)


# -- at every supply ---------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(supplies())
def test_never_more_than_allowed_and_never_less_than_covered(given_supply: Supply) -> None:
    for pacer in (PREDICTIVE, POWER, Progressive()):
        for book in (ROOM, EMPTY):
            placed = lines(pacer, given_supply, book)
            assert min(given_supply.covered, given_supply.most) <= placed <= given_supply.most
    assert lines(PREDICTIVE, given_supply, EMPTY) == min(given_supply.covered, given_supply.most)


@settings(max_examples=150, deadline=None)
@given(supplies(), st.integers(34, 3_000), st.integers(0, 60))
def test_over_dialling_always_fits_into_the_ledger(given_supply: Supply, answered: int, abandoned: int) -> None:
    book = ledger(0)
    book.counts[0].answered, book.counts[0].abandoned = float(answered), float(abandoned)
    forecast = Forecast(TABLES, given_supply, TAUGHT, NOW_S)
    for pacer in (PREDICTIVE, POWER):
        placed = lines(pacer, given_supply, book)
        if placed > given_supply.covered:
            assert book.slack(NOW_S).allows(forecast.exceeded(placed, book.slack(NOW_S).fits))


@settings(max_examples=100, deadline=None)
@given(supplies(), st.integers(1, 5))
def test_more_idle_agents_take_more_lines_never_fewer(given_supply: Supply, more: int) -> None:
    fewer = replace(given_supply, most=1_000)
    assert lines(PREDICTIVE, replace(fewer, idle=fewer.idle + more)) >= lines(PREDICTIVE, fewer)


@settings(max_examples=100, deadline=None)
@given(supplies())
def test_risk_grows_with_every_line(given_supply: Supply) -> None:
    forecast = Forecast(TABLES, given_supply, TAUGHT, NOW_S)
    risks = [forecast.risk(n) for n in (1, 2, 3, 4, 5, 7, 10, 15, 25, 40)]
    assert all(0.0 <= risk <= 1.0 for risk in risks)
    assert all(after >= before - 0.02 for before, after in pairwise(risks))


@settings(max_examples=20, deadline=None)
@given(supplies())
def test_restored_statistics_give_the_same_decision(given_supply: Supply) -> None:
    """Also with another pacer, whose tables are made afresh, and with statistics not published since."""
    restored = Statistics.from_json(json.loads(json.dumps(LITTLE.as_json())))
    first = PREDICTIVE.decide(given_supply, LITTLE, ROOM, NOW_S)
    assert Predictive().decide(given_supply, restored, ROOM, NOW_S) == first


@settings(max_examples=60, deadline=None)
@given(supplies())
def test_an_agent_who_is_slow_is_expected_later(given_supply: Supply) -> None:
    usual = Forecast(TABLES, given_supply, TAUGHT, NOW_S).frees
    later = Forecast(SLOW_TABLES, given_supply, SLOW, NOW_S).frees
    busy = len(given_supply.talking) + len(given_supply.wrapping)
    assert sum(later) <= sum(usual) + 0.7 * busy + 1e-9
