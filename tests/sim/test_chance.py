"""Streams that do not shift each other, distributions that have the mean they claim, arrivals at the rate they claim."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from statistics import fmean, stdev

import pytest

from acd.sim.arrivals import Arrivals, Listed, Poisson, Renewal
from acd.sim.chance import (
    Choice,
    Distribution,
    Exponential,
    Fixed,
    Gamma,
    LogNormal,
    Mixture,
    Sample,
    Streams,
    Uniform,
    Weibull,
)

DRAWS = 20_000
STREAMS = Streams(1, 0)
GOLDEN = 0.3954051215036555


@pytest.mark.parametrize(
    ("distribution", "cv"),
    [
        (Fixed(7.0), 0.0),
        (Exponential(7.0), 1.0),
        (Uniform(2.0, 12.0), 10 / math.sqrt(12) / 7),
        (LogNormal(7.0, 0.8), 0.8),
        (Gamma(7.0, 0.5), 0.5),
        (Weibull(7.0, 1.0), 1.0),
        (Weibull(7.0, 2.0), math.sqrt(4 / math.pi - 1)),
        (Sample((3.0, 11.0)), 4 / 7),
        (Mixture(((1.0, Fixed(3.0)), (1.0, Fixed(11.0)))), 4 / 7),
    ],
)
def test_distributions_have_the_mean_and_the_spread_they_claim(distribution: Distribution, cv: float) -> None:
    draw = distribution.drawn_from(STREAMS.stream("test"))
    values = [draw() for _ in range(DRAWS)]
    assert distribution.mean_s == pytest.approx(7.0)
    # Four standard errors
    assert fmean(values) == pytest.approx(7.0, abs=4 * 7.0 * cv / math.sqrt(DRAWS) + 1e-9)
    assert stdev(values) / 7.0 == pytest.approx(cv, abs=0.04)
    assert min(values) >= 0.0


def test_a_stream_is_its_name_and_nothing_else() -> None:
    def first(seed: int, replication: int, name: str) -> list[float]:
        stream = Streams(seed, replication).stream(name)
        return [stream.random() for _ in range(3)]

    assert first(1, 0, "callers/x/talk") == first(1, 0, "callers/x/talk")
    others = [first(1, 0, "callers/x/patience"), first(2, 0, "callers/x/talk"), first(1, 1, "callers/x/talk")]
    assert all(other != first(1, 0, "callers/x/talk") for other in others)
    # The numbers themselves: the same on every machine, or no seed could be passed on
    assert first(1, 0, "callers/x/talk")[0] == pytest.approx(GOLDEN, abs=1e-15)


def moments(arrivals: Arrivals, until_s: float) -> list[float]:
    following, found = arrivals.drawn_from(STREAMS.stream("arrivals")), []
    while (at_s := following()) < until_s:
        found.append(at_s)
    assert all(one <= two for one, two in pairwise(found))
    return found


@pytest.mark.parametrize(
    ("arrivals", "until_s"),
    [
        (Poisson.steady(2.0), 5_000.0),
        (Poisson(((0.0, 1.0), (1_000.0, 5.0), (1_500.0, 0.0), (4_000.0, 2.0))), 6_000.0),
        (Poisson(((0.0, 1.0), (60.0, 0.0), (90.0, 4.0)), 120.0), 5_030.0),
        (Renewal(Uniform(0.5, 1.5)), 5_000.0),
        (Renewal(Fixed(0.5)), 2_000.0),
    ],
)
def test_as_many_come_as_are_expected(arrivals: Arrivals, until_s: float) -> None:
    found = moments(arrivals, until_s)
    expected = arrivals.expected(0.0, until_s)
    assert len(found) == pytest.approx(expected, abs=4 * math.sqrt(expected))
    half = until_s / 2
    early = arrivals.expected(0.0, half)
    assert sum(at < half for at in found) == pytest.approx(early, abs=4 * math.sqrt(early))
    assert early + arrivals.expected(half, until_s) == pytest.approx(expected)


def test_gaps_of_poisson_callers_are_without_memory() -> None:
    gaps = [two - one for one, two in pairwise(moments(Poisson.steady(1.0), 20_000.0))]
    late = [gap - 1.0 for gap in gaps if gap > 1.0]
    assert fmean(late) == pytest.approx(fmean(gaps), abs=0.05)
    assert stdev(gaps) == pytest.approx(1.0, abs=0.04)


def test_a_steady_rate_and_the_same_in_pieces_are_the_same_callers() -> None:
    pieces = Poisson(((0.0, 2.0), (10.0, 2.0), (17.0, 2.0)), 40.0)
    assert moments(pieces, 500.0) == pytest.approx(moments(Poisson.steady(2.0), 500.0))


def test_nobody_calls_while_the_rate_is_nothing() -> None:
    assert moments(Poisson.steady(0.0), 1e9) == []
    assert moments(Poisson(((0.0, 0.0), (5.0, 0.0)), 10.0), 1e9) == []
    assert moments(Poisson(((0.0, 1.0), (10.0, 0.0))), 1e9)[-1] < 10.0
    assert all(at % 10 >= 5 for at in moments(Poisson(((0.0, 0.0), (5.0, 1.0)), 10.0), 300.0))


def test_listed_moments_are_taken_as_they_are() -> None:
    arrivals = Listed((0.0, 2.0, 2.0, 9.0))
    assert moments(arrivals, 100.0) == [0.0, 2.0, 2.0, 9.0]
    assert arrivals.expected(0.0, 9.0) == 3.0


def test_choices_come_by_their_weights() -> None:
    draw = Choice({"nl": 3.0, "en": 1.0, "never": 0.0}).drawn_from(STREAMS.stream("language"))
    found = Counter(draw() for _ in range(DRAWS))
    assert set(found) == {"nl", "en"}
    assert found["nl"] / DRAWS == pytest.approx(0.75, abs=0.015)
    always = Choice({"gold": 1.0}).drawn_from(STREAMS.stream("tier"))
    assert {always() for _ in range(5)} == {"gold"}
