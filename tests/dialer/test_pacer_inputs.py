"""Every input of a pacer counts, in the right direction and by the right amount: none is ignored or turned round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from dialerkit import NOW_S, ledger, supply, taught

from acd.dialer import Line, Predictive, Statistics, Supply
from acd.dialer.forecast import Forecast, Tables
from acd.dialer.ledger import Slack
from acd.dialer.rings import BIN_S
from acd.dialer.statistics import aim_of

TAUGHT, ROOM = taught(), ledger()
TALKS = [20.0] * 10


def forecast(of: Supply, grace_s: float = 2.0, statistics: Statistics = TAUGHT) -> Forecast:
    return Forecast(Tables(statistics, grace_s), of, statistics, NOW_S)


def lines(of: Supply, statistics: Statistics = TAUGHT, grace_s: float = 2.0, answered: int = 10_000) -> int:
    return Predictive(grace_s).decide(of, statistics, ledger(answered), NOW_S).lines


def looks_s() -> Sequence[float]:
    ring = TAUGHT.ring_curve
    assert ring is not None
    return [look * BIN_S for look in ring.looks]


# -- people who wait ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [1, 3])
def test_each_person_who_waits_takes_an_idle_agent(waiting: int) -> None:
    with_them = supply(8, talking=TALKS, ringing=[5.0], waiting=waiting)
    without = supply(8 - waiting, talking=TALKS, ringing=[5.0])
    assert with_them.covered == without.covered == 7 - waiting
    for count in (1, 5, 12):
        assert forecast(with_them).risk(count) == forecast(without).risk(count)
        assert forecast(with_them).exceeded(count, 0) == forecast(without).exceeded(count, 0)
    assert lines(with_them) == lines(without) < lines(supply(8, talking=TALKS, ringing=[5.0]))


def test_people_who_wait_for_busy_agents_are_owed_what_comes_free() -> None:
    owed = supply(0, wrapping=[45.0] * 6, waiting=4)
    assert lines(owed) < lines(supply(0, wrapping=[45.0] * 6))


# -- agents who come free ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grace_s", [0.0, 2.0, 15.0])
def test_an_agent_counts_as_far_as_the_grace_reaches(grace_s: float) -> None:
    age = 25
    found = forecast(supply(0, wrapping=[float(age)]), grace_s).frees
    curve = TAUGHT.wrap_curve
    expected = [1.0 - curve[age + round(look + grace_s)] / curve[age] for look in looks_s()]
    assert found == pytest.approx(expected)


def test_more_grace_places_more_lines() -> None:
    given = supply(0, wrapping=[20.0] * 8)
    found = [lines(given, grace_s=grace_s) for grace_s in (0.0, 6.0, 20.0)]
    assert found[0] < found[1] < found[2]


def test_an_agent_longer_at_it_comes_free_sooner() -> None:
    young, old = (sum(forecast(supply(0, wrapping=[age])).frees) for age in (1.0, 40.0))
    assert old > young + 1.0


# -- lines that ring ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [0.0, 6.0, 12.0, 20.5])
def test_a_line_is_answered_by_what_its_age_says(age: float) -> None:
    ring = TAUGHT.ring_curve
    assert ring is not None
    rate = Tables(TAUGHT, 2.0).lines(TAUGHT.answer_rate.rate(NOW_S)[0])[1]
    expected = [ring.answers(rate, int(age / BIN_S), look) for look in ring.looks]
    assert forecast(supply(5, ringing=[age])).answers == pytest.approx(expected)


def test_lines_that_will_hardly_be_answered_any_more_leave_room() -> None:
    """Nobody answers after 21 seconds."""
    fresh, late = (lines(supply(8, talking=TALKS, ringing=[age] * 12)) for age in (1.0, 23.0))
    assert late > fresh + 5


def test_a_line_of_another_segment_counts_by_its_own_rate() -> None:
    statistics = taught()
    for number in range(600):
        statistics.line_ended(NOW_S - 600 + number, 8.0, person=number % 10 < 7, segment="warm")
    of = Supply(5, ringing=(Line(NOW_S - 3.0), Line(NOW_S - 3.0, "warm"), Line(NOW_S - 9.0, "warm")))
    both = forecast(of, statistics=statistics)
    alone = [forecast(Supply(5, ringing=(line,)), statistics=statistics).answers for line in of.ringing]
    assert both.answers == pytest.approx([math.fsum(parts) for parts in zip(*alone, strict=True)])
    assert alone[1][-1] > alone[0][-1] + 0.1


# -- the ledger --------------------------------------------------------------------------------------------------------


def test_more_slack_places_more_lines() -> None:
    given = supply(10, talking=TALKS * 2)
    found = [lines(given, answered=answered) for answered in (60, 120, 3_000)]
    assert found[0] < found[1] < found[2]


def slack(left: float, answered: float = 1_000.0, charged: float = 10.0) -> Slack:
    return Slack("day", 0.03, answered, charged, left)


def test_the_threshold_is_learned_towards_the_aim() -> None:
    statistics = taught()
    aim = aim_of(slack(0.0))
    before = statistics.log_threshold
    statistics.answered(slack(aim + 2.0))
    raised = statistics.log_threshold
    assert raised == pytest.approx(before + 2.0 * 2e-4)
    statistics.answered(slack(aim - 2.0))
    assert statistics.log_threshold == pytest.approx(before)
    statistics.answered(slack(aim - 2.0, charged=0.0))
    assert statistics.log_threshold == pytest.approx(before), "a window that has just begun tells nothing"


def test_people_taken_for_machines_teach_nothing_until_somebody_is_abandoned() -> None:
    """They are charged from the first answer on, so that the slack is low in every window that has just begun."""
    statistics = taught()
    before = statistics.log_threshold
    statistics.answered(Slack("day", 0.03, 300.0, 3.6, 1.6, misjudged=3.6, held=3.8))
    assert statistics.log_threshold == before
    statistics.answered(Slack("day", 0.03, 300.0, 4.6, 0.6, misjudged=3.6, held=3.8))
    assert statistics.log_threshold < before


def test_more_room_in_the_ledger_is_less_likely_to_be_exceeded() -> None:
    given = forecast(supply(8, talking=TALKS, ringing=[5.0] * 6))
    chances = [given.exceeded(15, fits) for fits in range(6)]
    assert all(after < before for before, after in pairwise(chances))
    assert chances[0] > given.exceeded(5, 0)


def test_a_rate_that_rests_on_fewer_lines_errs_for_all_lines_at_once() -> None:
    """The same supply an hour later, when the lines of late are forgotten: three in ten still, less surely."""
    given = supply(50, talking=[20.0] * 200, ringing=[5.0] * 130)
    later_s = NOW_S + 3_600.0
    aged = replace(
        given,
        talking=tuple(busy._replace(since_s=busy.since_s + 3_600.0) for busy in given.talking),
        ringing=tuple(line._replace(dialled_s=line.dialled_s + 3_600.0) for line in given.ringing),
    )
    tables = Tables(TAUGHT, 2.0)
    now, later = Forecast(tables, given, TAUGHT, NOW_S), Forecast(tables, aged, TAUGHT, later_s)
    assert later.rests_on < now.rests_on / 2
    assert later.answers == pytest.approx(now.answers, rel=0.03)
    assert 1e-6 < now.exceeded(0, 0) < later.exceeded(0, 0) / 2


def test_the_chance_that_somebody_finds_no_agent_is_exact_for_two_lines() -> None:
    """One idle agent, lines that ring for as long as any: two of two answer by the last look."""
    given = forecast(supply(1))
    tables = Tables(TAUGHT, 2.0)
    chance = tables.ring.answers(tables.lines(given.rate)[1], 0, tables.looks[-1])
    assert given.exceeded(2, 0) == pytest.approx(chance**2)
    assert max(given.exceeded(1, 0), given.exceeded(2, 1)) < 1e-12


# -- learning ----------------------------------------------------------------------------------------------------------


def test_a_change_of_the_answer_rate_is_followed_by_itself() -> None:
    """Nobody calls publish; twenty minutes of other answers change the decision."""
    given = supply(8, talking=TALKS)
    statistics = taught(0.3)
    first = lines(given, statistics)
    for number in range(400):
        statistics.line_ended(NOW_S + 3.0 * number, 10.0, person=number % 10 < 6)
    later = Predictive().decide(given, statistics, ROOM, NOW_S + 1_200.0).lines
    assert later < first - 3


def test_curves_are_published_by_themselves() -> None:
    statistics = taught()
    number, before = statistics.published, (statistics.talk_curve[60], statistics.wrap_curve[30], statistics.ring_curve)
    for call in range(900):
        statistics.stage_ended("talk", "a0", 20.0 + call % 5)
        statistics.stage_ended("wrap", "a0", 5.0 + call % 3)
        statistics.line_ended(NOW_S + call, 4.0, person=call % 3 == 0)
    assert statistics.published > number + 2
    assert statistics.talk_curve[60] < before[0] - 0.2
    assert statistics.wrap_curve[30] < before[1] - 0.1
    assert statistics.ring_curve != before[2]


def test_a_slow_agent_is_told_apart() -> None:
    statistics = taught()
    for call in range(400):
        statistics.stage_ended("wrap", "slow" if call % 4 == 0 else f"a{call % 4}", 60.0 if call % 4 == 0 else 15.0)
    statistics.publish()
    assert statistics.steps["slow"][1] > 3
    assert set(statistics.steps) <= {"slow", "a0", "a1", "a2", "a3"}
