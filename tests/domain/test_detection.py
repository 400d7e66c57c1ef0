"""How many people machine detection hangs up on, from what agents say of a part of the machines."""

from __future__ import annotations

import math
import random

import pytest

from acd.domain.detection import LEAST, Detected, wilson


def test_the_interval_is_wilsons() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for hits, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(hits, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson(29, 29)[1] == pytest.approx(1.0)


def test_people_hung_up_on_are_as_many_of_the_machines_as_agents_have_found() -> None:
    # 10 of 200 that were looked at were people, so 100 of 2,000 hung up on are taken to be; beside 900 and the 10
    found = Detected(hung_up=2000, audited=210, said=200, people=10, through=900)
    assert found.share == pytest.approx(100 / 1010)
    low, high = wilson(10, 200)
    assert found.interval == pytest.approx((2000 * low / (2000 * low + 910), 2000 * high / (2000 * high + 910)))
    assert found.upper == found.interval[1] if found.interval else None


def test_nothing_is_claimed_before_enough_was_looked_at() -> None:
    assert (Detected().share, Detected().interval, Detected().upper) == (None, None, None)
    few = Detected(hung_up=50, audited=LEAST, said=LEAST - 1, people=0, through=50)
    assert few.share == 0.0
    assert few.upper is None
    assert Detected(hung_up=50, audited=LEAST, said=LEAST, people=0, through=50).upper is not None
    # Where nobody was hung up on, nobody was lost, whatever agents heard
    assert Detected(hung_up=0, audited=LEAST, said=LEAST, people=LEAST, through=0).upper == 0.0


def test_the_interval_holds_about_19_times_in_20() -> None:
    chance, inside, times = random.Random(7), 0, 400
    lost, machines, people, audit = 0.02, 3000, 3000, 0.1
    for _ in range(times):
        heard = [chance.random() < lost for _ in range(people)]
        taken = [True] * sum(heard) + [False] * machines
        looked = [person for person in taken if chance.random() < audit]
        found = Detected(len(taken) - len(looked), len(looked), len(looked), sum(looked), people - sum(heard))
        low, high = found.interval or (math.nan, math.nan)
        inside += low <= (sum(heard) - sum(looked)) / (people - 0) <= high
    assert 0.92 < inside / times < 0.98
