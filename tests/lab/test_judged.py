"""Real calls against the simulator: who the people are, what is predicted of them, and what speaks against the dialler."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from acd.lab.customer_words import Reaction, parse_customer
from acd.lab.judged.plan import JudgePlan, barred_numbers, long_plan, night_numbers, zone_at
from acd.lab.judged.real import Real
from acd.lab.judged.verdict import TOLERANCE, contact_of, judge
from acd.sim.dialing.contacts import NOBODY, PERSON, Contact

PLAN = JudgePlan(agents=6, length_s=60.0, replications=3, people=300)
NOW = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)


def real(**more: object) -> Real:
    """What a real campaign might have come to: measured delays of a quiet machine."""
    numbers = [number for number, _, rank in PLAN.contacts(NOW) if rank == 2]
    usual: dict[str, object] = {
        "utilisation": 0.0, "answered": 80.0, "charged": 1.0, "dialled": numbers[:180], "dial_s": [0.01, 0.03],
        "told_s": [0.002, 0.004], "connect_s": [0.006], "over_s": [0.001], "connected_s": [0.01, 0.5, 0.2], "halts": [],
        "outcomes": {}, "breaches": [], "paused": 0,
    }  # fmt: skip
    return Real(**usual | more)  # type: ignore[arg-type]


def as_predicted(**more: object) -> Real:
    """The same with figures as the simulator has them."""
    said = judge(PLAN, real())
    usual = {"utilisation": said.utilisation.mean, "charged": said.abandonment.mean * 80.0}
    return real(**usual | more)


def test_customers_are_the_contacts_that_the_simulator_meets():
    def met(text: str, after_s: float = 0.0, talk_s: float | None = None) -> Contact:
        return contact_of(Reaction(parse_customer(text), after_s, talk_s), PLAN)

    assert met("answer-after:2+talk:8", 2.0, 8.0) == Contact(PERSON, 2.0, 8.0, PLAN.wrap_s)
    assert met("answer+machine+talk:3", 0.0, 3.0) == Contact(PERSON, 0.0, 3.0, PLAN.wrap_s)
    assert met("answer").talk_s == math.inf
    assert met("busy-after:0.4", 0.4) == Contact(NOBODY, 0.4)
    assert met("never") == Contact(NOBODY, PLAN.ring_s)


@pytest.mark.parametrize("plan", [JudgePlan(), long_plan()], ids=["short", "long"])
def test_people_live_where_it_is_day_and_some_where_it_is_night(plan):
    for hour in range(24):
        now = NOW + timedelta(hours=hour)
        people = plan.contacts(now)
        numbers = [number for number, _, _ in people]
        assert len(set(numbers)) == len(numbers)
        assert {*night_numbers(), *barred_numbers()} < set(numbers)
        for number, zone, _ in people:
            there = now.astimezone(ZoneInfo(zone)).hour
            assert there == (2 if number in night_numbers() else 13)
    assert zone_at(NOW, 23) == "UTC"


def test_the_same_people_and_delays_give_nearly_the_same():
    said = judge(PLAN, real())
    assert 0.5 < said.utilisation.mean < 1.0
    assert said.utilisation.deviation < 0.02
    assert 2.0 < said.dials_per_answer.mean < 3.0
    assert judge(PLAN, real()) == said
    others = judge(replace(PLAN, seed=2), real())
    assert others.utilisation.mean != said.utilisation.mean


def test_what_holds_the_real_dialler_up_holds_the_simulated_up():
    assert judge(PLAN, real(halts=[(20.0, 40.0)])).utilisation.mean < judge(PLAN, real()).utilisation.mean - 0.05
    slow = real(connect_s=[1.0], told_s=[0.5])
    assert judge(PLAN, slow).utilisation.mean < judge(PLAN, real()).utilisation.mean - 0.03


def test_nothing_speaks_against_a_dialler_that_does_as_predicted():
    said = judge(PLAN, as_predicted())
    assert said.faults == []
    assert said.as_json()["faults"] == []
    assert [name for name, _, _ in said.table()][:2] == ["utilisation", "abandoned"]


@pytest.mark.parametrize("away", [-1, 1])
def test_more_than_three_points_away_is_a_fault(away):
    usual = judge(PLAN, real())
    mean = usual.utilisation.mean
    almost = judge(PLAN, as_predicted(utilisation=mean + away * (TOLERANCE - 0.001)))
    assert almost.faults == []
    beyond = judge(PLAN, as_predicted(utilisation=mean + away * (TOLERANCE + 0.001)))
    assert [fault.partition(" is ")[0] for fault in beyond.faults] == ["utilisation"]


def test_too_many_abandoned_and_what_the_rules_forbid_are_faults():
    over = judge(PLAN, as_predicted(charged=5.0))
    assert over.faults[-1] == "5 of 80 were abandoned, the cap is 5.0%"
    assert judge(PLAN, as_predicted(charged=4.0, answered=80.0)).real.charged == 4.0
    assert not [fault for fault in judge(PLAN, as_predicted(charged=1.0, answered=10.0)).faults if "cap" in fault]
    assert judge(PLAN, as_predicted(breaches=["+49 was called at night"])).faults == ["+49 was called at night"]
    assert "nobody has answered" in judge(PLAN, as_predicted(answered=0.0, charged=0.0)).faults


def test_connect_times_are_percentiles_of_what_was_measured():
    assert judge(PLAN, real()).connected_ms == {50: 200.0, 90: 500.0, 99: 500.0}
