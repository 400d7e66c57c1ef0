"""What is learned of talk, wrap-up and ringing, against values that are known, and that it outlives a restart."""

from __future__ import annotations

import json
import math

import pytest
from dialerkit import NOW_S, taught

from acd.dialer.durations import BINS, Durations, ends_within, exponential
from acd.dialer.ledger import Slack
from acd.dialer.rings import BINS as RING_BINS
from acd.dialer.rings import SEGMENTS_MAX, AnswerRate, Rings
from acd.dialer.statistics import PACES, Statistics, aim_of


def slack(left: float, *, charged: float = 10.0, answered: float = 100.0) -> Slack:
    return Slack("day", 0.03, answered, charged, left)


def test_the_aim_grows_with_the_root_of_the_answers() -> None:
    assert aim_of(slack(0.0)) == 3.0
    assert aim_of(slack(0.0, answered=10_000.0)) == pytest.approx(12.0)


def test_the_prior_speaks_first() -> None:
    curve = Durations(120.0).curve()
    known = exponential(120.0)
    assert all(curve[s] == pytest.approx(known[s], rel=1e-9) for s in (0, 1, 30, 120, 600))


def test_calls_without_memory_give_the_same_hazard_at_every_age() -> None:
    talk = Durations(30.0)
    for number in range(4_000):
        talk.observe(-math.log(1 - (number * 1_597 % 4_000 + 0.5) / 4_000) * 150.0)
    curve = talk.curve()
    assert talk.mean_s == pytest.approx(150.0, rel=0.02)
    for age in (0, 60, 150, 300):
        assert ends_within(curve, age, 15) == pytest.approx(1 - math.exp(-0.1), rel=0.12)


def test_a_fixed_wrap_up_is_over_when_it_is_over() -> None:
    wrap = Durations(30.0)
    for _ in range(2_000):
        wrap.observe(20.5)
    curve = wrap.curve()
    assert ends_within(curve, 0, 15) < 0.01
    assert ends_within(curve, 10, 15) > 0.99
    assert ends_within(curve, 10, 8) < 0.01


def test_calls_broken_off_count_for_what_they_lasted() -> None:
    """Kaplan and Meier: of 10 that reach 100 s, 5 ended before, 5 were broken off there; ignoring these would be wrong."""
    talk = Durations(100.0, prior_calls=0.001)
    for _ in range(50):
        talk.observe(20.5)
    without = talk.curve()
    for _ in range(50):
        talk.observe(100.0, ended=False)
    with_them = talk.curve()
    assert without[60] < 0.05
    assert with_them[60] == pytest.approx(0.5, abs=0.02)


def test_an_agent_taken_out_of_a_call_has_not_ended_it() -> None:
    broken, ended = Durations(100.0, prior_calls=0.01), Durations(100.0, prior_calls=0.01)
    for _ in range(50):
        broken.observe(20.5)
        ended.observe(20.5)
        broken.observe(10.5, ended=False)
        ended.observe(10.5)
    assert broken.curve()[15] > 0.95
    assert ended.curve()[15] == pytest.approx(0.5, abs=0.03)


def test_old_calls_fade() -> None:
    talk = Durations(60.0, fade=0.99)
    for _ in range(1_000):
        talk.observe(200.0)
    for _ in range(1_000):
        talk.observe(20.0)
    assert talk.mean_s == pytest.approx(20.5, abs=2.0)


@pytest.mark.parametrize("wrong", [-1.0, math.nan])
def test_impossible_times_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="cannot"):
        Durations(60.0).observe(wrong)
    with pytest.raises(ValueError, match="cannot"):
        Rings().observe(wrong, person=True)


def test_a_line_that_has_rung_for_long_is_hardly_answered_any_more() -> None:
    rings = Rings()
    for number in range(700):
        rings.observe(25.0, person=False)
        rings.observe(4.0 + number % 12, person=True)
    curve = rings.curve()
    fresh, old = curve.answers(0.3, 0, 24), curve.answers(0.3, 44, 24)
    assert fresh == pytest.approx(0.3 * 8 / 12, abs=0.03)
    assert old < 0.02
    assert curve.answers(0.3, RING_BINS + 50, 10) == 0.0
    assert list(curve.looks) == sorted(curve.looks)
    # Until everything is over, all who would answer have: p itself
    assert curve.answers(0.3, 0, RING_BINS) == pytest.approx(0.3)


def test_the_answer_rate_follows_the_hour_and_leans_on_the_day() -> None:
    rate = AnswerRate()
    for second in range(7_200):
        rate.observe(NOW_S + second, "", person=second % 5 == 0)
    assert rate.rate(NOW_S + 7_200)[0] == pytest.approx(0.2, abs=0.005)
    for second in range(1_800):
        rate.observe(NOW_S + 7_200 + second, "", person=second % 5 < 2)
    assert rate.rate(NOW_S + 9_000)[0] == pytest.approx(0.37, abs=0.02)
    value, lines = rate.rate(NOW_S + 90_000)
    assert lines < 180, "after a night little is left of it"
    assert 0.2 < value < 0.4


def test_a_segment_is_shrunk_to_its_campaign() -> None:
    rate = AnswerRate()
    for second in range(3_000):
        rate.observe(NOW_S + second / 10, "poor", person=second % 10 == 0)
        rate.observe(NOW_S + second / 10, "rich", person=second % 2 == 0)
    now_s = NOW_S + 300
    for _ in range(10):
        rate.observe(now_s, "new", person=True)
    poor, rich, new = (rate.rate(now_s, name)[0] for name in ("poor", "rich", "new"))
    assert poor == pytest.approx(0.1, abs=0.02)
    assert rich == pytest.approx(0.5, abs=0.02)
    assert 0.3 < new < 0.4, "ten answers in a row prove little"
    assert rate.rate(now_s, "never seen")[0] == rate.rate(now_s)[0]


def test_segments_are_bounded() -> None:
    rate = AnswerRate()
    for number in range(SEGMENTS_MAX + 50):
        rate.observe(NOW_S, f"s{number}", person=False)
    assert len(rate.segments) == SEGMENTS_MAX
    assert "s0" not in rate.segments


def test_agents_who_differ_are_told_apart() -> None:
    statistics = Statistics()
    for number in range(400):
        for agent, pace in (("quick", 0.5), ("usual", 1.0), ("slow", 1.6)):
            statistics.stage_ended("talk", agent, (60.0 + number % 120) * pace)
    statistics.publish()
    quick, slow = statistics.steps["quick"][0], statistics.steps["slow"][0]
    assert PACES[quick] < 0.7
    assert PACES[slow] > 1.2


def test_the_threshold_follows_the_slack() -> None:
    up, down = Statistics(), Statistics()
    begun = up.log_threshold
    for _ in range(500):
        up.answered(slack(6.0))
        down.answered(slack(0.0))
    assert up.log_threshold > begun > down.log_threshold
    fresh = Statistics()
    fresh.answered(slack(0.0, charged=0.0))
    assert fresh.log_threshold == begun, "a window that begins tells nothing"
    for _ in range(20_000):
        up.answered(slack(1e9))
        down.answered(slack(-1e9))
    assert math.exp(up.log_threshold) <= 0.9 + 1e-9
    assert math.exp(down.log_threshold) >= 0.002 - 1e-9


def test_what_is_learned_goes_through_json_unchanged() -> None:
    statistics = taught()
    statistics.line_ended(NOW_S, 7.0, person=True, segment="x")
    again = Statistics.from_json(json.loads(json.dumps(statistics.as_json())))
    assert again == statistics
    assert json.dumps(again.as_json()) == json.dumps(statistics.as_json())


def test_what_does_not_fit_is_refused() -> None:
    saved = Durations(60.0).as_json()
    with pytest.raises(ValueError, match=f"not {BINS}"):
        Durations.from_json({**saved, "ended": [0.0]})
    with pytest.raises(ValueError, match=f"not {RING_BINS}"):
        Rings.from_json({**Rings().as_json(), "people": []})
