"""Wait estimates against queues in virtual time: the figures known for them, honest ranges, and the right method heard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queues_in_virtual_time import Groups, Load, played

from acd.routing import estimates as module
from acd.routing.estimates import METHODS, Prior, QueueEstimator, Rates, WaitEstimate, expected_wait
from acd.routing.ridge import Ridge

SKIP = 2_000
"""Waits at the beginning that are not judged."""


# -- the formula ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=300)
@given(
    ahead=st.integers(0, 3_000),
    servers=st.integers(1, 2_000),
    handling_s=st.floats(0.1, 10_000),
    patience_s=st.one_of(st.floats(0.1, 1e6), st.just(math.inf)),
)
def test_the_formula_is_the_sum(ahead: int, servers: int, handling_s: float, patience_s: float) -> None:
    mu, theta = 1 / handling_s, 1 / patience_s
    mean, variance = expected_wait(ahead, servers, mu, theta)
    rates = [servers * mu + i * theta for i in range(ahead + 1)]
    assert mean == pytest.approx(math.fsum(1 / x for x in rates), rel=1e-9)
    assert variance == pytest.approx(math.fsum(1 / x**2 for x in rates), rel=1e-8)


def test_the_formula_without_abandonment_is_places_over_rate() -> None:
    assert expected_wait(9_999, 10, 0.01, 0.0)[0] == pytest.approx(100_000.0, rel=1e-12)


# -- queues in virtual time ------------------------------------------------------------------------------------------------


@dataclass
class Sums:
    """Over the waits that are judged, of all queues."""

    waits: int = 0
    wait_s: float = 0.0
    squares: dict[str, float] = field(default_factory=dict)
    held: int = 0
    spoke: dict[str, int] = field(default_factory=dict)

    def error(self, method: str) -> float:
        """Root of the mean squared error, over the mean wait."""
        return math.sqrt(self.squares[method] / self.waits) / (self.wait_s / self.waits)

    @property
    def share_held(self) -> float:
        return self.held / self.waits


@dataclass
class Judge:
    """Estimators of all queues of one run; each hears what a floor would tell it, its guesses are kept and judged here."""

    groups: Groups
    loads: Mapping[str, Load]
    prior: Prior | None = None
    sums: Sums = field(default_factory=Sums)

    def __post_init__(self) -> None:
        self.queues = {queue: QueueEstimator(self.prior) for queue in self.loads}
        self.servers = {q: sum(count for group, count in self.groups.items() if q in group) for q in self.loads}

    def run(self, calls: int, seed: int) -> Judge:
        waiting: dict[str, tuple[float, dict[str, float], WaitEstimate]] = {}
        entered = 0
        for told in played(self.groups, self.loads, calls, seed):
            queue, servers = self.queues[told.queue], self.servers[told.queue]
            if told.kind == "joined":
                announced = queue.joined(told.call, told.at, ahead=told.ahead, servers=servers)
                assert announced is not None
                pending = queue._pending[told.call]
                formula = pending.guesses[0]
                guesses = {m: formula if g is None else g for m, g in zip(METHODS, pending.guesses, strict=True)}
                guesses["naive"] = expected_wait(told.ahead, servers, queue.rates.mu, 0.0)[0]
                guesses["announced"] = announced.wait_s
                waiting[told.call] = told.at, guesses, announced
            elif told.kind == "gave_up":
                del waiting[told.call]
                queue.left(told.call, told.at, gave_up=True)
            elif told.kind == "handled":
                queue.handled(told.length_s)
            else:
                joined_at, guesses, announced = waiting.pop(told.call)
                queue.entered(told.call, told.at)
                entered += 1
                if entered > SKIP:
                    self.judge(told.at - joined_at, guesses, announced)
        return self

    def judge(self, wait_s: float, guesses: Mapping[str, float], announced: WaitEstimate) -> None:
        sums = self.sums
        sums.waits += 1
        sums.wait_s += wait_s
        for method, guess in guesses.items():
            sums.squares[method] = sums.squares.get(method, 0.0) + (guess - wait_s) ** 2
        sums.held += announced.low_s <= wait_s <= announced.high_s
        sums.spoke[announced.method] = sums.spoke.get(announced.method, 0) + 1


def load(arrivals: float, service_s: float = 100.0, patience_s: float = 100.0) -> Load:
    return Load(arrivals, lambda at: service_s, patience_s)


ALONE: Groups = {("a",): 100}
OVERLOADED = {"a": load(1.4)}
SHARED: Groups = {("a", "b"): 40}
TWO = {"a": load(0.4, 100, 200), "b": load(0.1, 100, 200)}
CROSSED: Groups = {("a",): 20, ("b",): 10, ("a", "b"): 20}
CROSSED_LOADS = {"a": load(0.4, 100, 200), "b": load(0.2, 100, 100)}
SMALL: Groups = {("a",): 3}
SMALL_LOAD = {"a": load(0.03, 100, 300)}


@cache
def run(name: str, seed: int = 1) -> Judge:
    """One run each, for all tests that look at it."""
    groups, loads, prior = {
        "known": (ALONE, OVERLOADED, Prior(100.0, 1e12, 100.0, 1e12)),
        "learnt": (ALONE, OVERLOADED, None),
        "shared": (SHARED, TWO, None),
        "crossed": (CROSSED, CROSSED_LOADS, None),
        "small": (SMALL, SMALL_LOAD, None),
    }[name]
    return Judge(groups, loads, prior).run(40_000, seed)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_errors_known_for_a_queue_of_its_own(seed: int) -> None:
    """M/M/100+M at rho 1.4, rates known: 15.9 % for the formula, 22.8 % for the last to enter service, 28.0 % for the
    formula that forgets those who give up."""
    sums = run("known", seed).sums
    assert sums.waits > 20_000
    assert sums.error("formula") == pytest.approx(0.159, abs=0.008)
    assert sums.error("les") == pytest.approx(0.228, abs=0.008)
    assert sums.error("naive") == pytest.approx(0.280, abs=0.010)


def test_rates_that_must_be_learnt_cost_little() -> None:
    judge = run("learnt")
    assert judge.sums.error("formula") < 1.05 * run("known").sums.error("formula")
    rates = judge.queues["a"].rates
    assert 1 / rates.mu == pytest.approx(100.0, rel=0.12)
    assert 1 / rates.theta == pytest.approx(100.0, rel=0.15)


@pytest.mark.parametrize("name", ["known", "learnt", "shared", "crossed", "small"])
def test_what_is_announced_is_nearly_as_good_as_the_best_method(name: str) -> None:
    """Which is best is not known beforehand."""
    sums = run(name).sums
    best = min(sums.error(method) for method in METHODS)
    assert sums.error("announced") < 1.06 * best
    assert sums.error("announced") < sums.error("naive")


@pytest.mark.parametrize("name", ["known", "learnt", "shared", "crossed", "small"])
def test_ranges_hold_as_often_as_they_say(name: str) -> None:
    assert run(name).sums.share_held == pytest.approx(0.8, abs=0.03)


def test_where_agents_serve_one_queue_the_formula_speaks() -> None:
    spoke = run("known").sums.spoke
    assert spoke["formula"] > 0.7 * sum(spoke.values())


def test_where_agents_are_shared_the_formula_is_not_believed() -> None:
    """It takes all of them for this queue's own; what was really waited says otherwise."""
    sums = run("shared").sums
    assert sums.spoke["formula"] < 0.1 * sums.waits
    assert sums.error("announced") < 0.65 * sums.error("formula")
    assert sums.error("les_scaled") < sums.error("les") < sums.error("formula")


@pytest.mark.parametrize("name", ["learnt", "shared"])
def test_what_is_told_of_the_accuracy_is_so(name: str) -> None:
    """The rolling figures, over a few hundred waits, are about those of the whole run."""
    judge = run(name)
    told = judge.queues["a"].accuracy()
    assert told["measured"] > 20_000
    assert told["method"] in METHODS
    assert told["relative_error"] == told["errors"][told["method"]]
    assert told["relative_error"] == pytest.approx(judge.sums.error("announced"), rel=0.4)
    assert told["held"] == pytest.approx(0.8, abs=0.15)
    assert set(told["errors"]) == set(METHODS)


def test_a_change_is_followed() -> None:
    """Calls become twice as long at one moment: a thousand calls later the estimates know."""
    queue = Judge(ALONE, {"a": Load(1.4, lambda at: 100.0 if at < 10_000 else 200.0, 100.0)}).run(28_000, 3).queues["a"]
    assert 1 / queue.rates.mu == pytest.approx(200.0, rel=0.15)
    assert queue.accuracy()["relative_error"] < 0.25


# -- pieces --------------------------------------------------------------------------------------------------------------


def test_rates_begin_with_what_is_assumed_and_end_with_what_is_seen() -> None:
    rates = Rates(Prior(180.0, 5.0, 600.0, 1.0))
    assert (1 / rates.mu, 1 / rates.theta) == (pytest.approx(180.0), pytest.approx(600.0))
    for _ in range(2_000):
        rates.handled(60.0)
        rates.waited(30.0, gave_up=False)
        rates.waited(30.0, gave_up=True)
    assert 1 / rates.mu == pytest.approx(60.0, rel=0.05)
    # One gives up for every 60 s waited
    assert 1 / rates.theta == pytest.approx(60.0, rel=0.05)


def test_the_dialogue() -> None:
    queue = QueueEstimator(Prior(100.0, 1e12, 1e9, 1e12))
    first = queue.joined("c1", 0.0, ahead=0, servers=10)
    assert first is not None
    assert first.wait_s == pytest.approx(10.0)
    assert first.method == "formula"
    assert first.low_s < 10.0 < first.high_s
    second = queue.joined("c2", 5.0, ahead=1, servers=10)
    assert second is not None
    assert second.wait_s == pytest.approx(20.0)
    queue.entered("c1", 8.0)
    told = queue.accuracy()
    assert (told["measured"], told["held"]) == (1, 1.0)
    assert told["errors"]["formula"] == pytest.approx(2 / 8)
    assert told["errors"]["regression"] is None
    expected = queue.expect(8.0, ahead=0, servers=10, waited_s=3.0)
    assert expected is not None
    assert expected.wait_s == pytest.approx(10.0)
    queue.left("c2", 9.0, gave_up=True)
    assert queue.accuracy()["measured"] == 1, "how long he would have waited is not known"


def test_nobody_at_work_is_no_estimate() -> None:
    queue = QueueEstimator()
    assert queue.joined("c1", 0.0, ahead=0, servers=0) is None
    assert queue.expect(0.0, ahead=0, servers=0) is None
    queue.entered("c1", 9.0)
    queue.left("c1", 9.0, gave_up=True)
    assert queue.accuracy() == {
        "method": "formula", "measured": 0, "relative_error": None, "held": None, "errors": dict.fromkeys(METHODS),
    }  # fmt: skip


def test_more_ahead_is_longer_more_agents_is_shorter() -> None:
    queue = run("learnt").queues["a"]
    waits = [queue.expect(0.0, ahead=n, servers=100) for n in range(0, 200, 10)]
    assert [w.wait_s for w in waits if w] == sorted(w.wait_s for w in waits if w)
    waits = [queue.expect(0.0, ahead=50, servers=n) for n in range(10, 200, 10)]
    assert [w.wait_s for w in waits if w] == sorted((w.wait_s for w in waits if w), reverse=True)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING_LIMIT", 10)
    queue = QueueEstimator()
    answers = [queue.joined(f"c{n}", 0.0, ahead=n, servers=5) for n in range(20)]
    assert [answer is not None for answer in answers] == [True] * 10 + [False] * 10
    assert queue.expect(0.0, ahead=20, servers=5) is not None
    queue.left("c0", 1.0, gave_up=False)
    assert queue.joined("c20", 1.0, ahead=9, servers=5) is not None


MOVES = st.lists(
    st.tuples(st.sampled_from(["join", "enter", "give up", "move", "handle", "expect"]), st.integers(0, 9),
              st.integers(0, 60), st.floats(-5.0, 1e5)),
    max_size=60,
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(moves=MOVES)
def test_whatever_happens_an_estimate_is_a_number_within_its_range(moves: list[tuple[str, int, int, float]]) -> None:
    """Also with clocks that step back, calls that nobody knows, and waits of no time at all."""
    queue, at = QueueEstimator(), 1_700_000_000.0
    for kind, number, size, wait_s in moves:
        at += wait_s
        estimate = None
        if kind == "join":
            estimate = queue.joined(f"c{number}", at, ahead=size, servers=number)
        elif kind == "enter":
            queue.entered(f"c{number}", at)
        elif kind in ("give up", "move"):
            queue.left(f"c{number}", at, gave_up=kind == "give up")
        elif kind == "handle":
            queue.handled(wait_s)
        else:
            estimate = queue.expect(at, ahead=size, servers=number, waited_s=max(0.0, wait_s))
        if estimate is not None:
            assert 0 < estimate.low_s <= estimate.high_s < math.inf
            assert 0 < estimate.wait_s < math.inf
        assert 0 < queue.rates.mu < math.inf
        assert 0 < queue.rates.theta < math.inf
        held = queue.accuracy()["held"]
        assert held is None or 0 <= held <= 1


# -- the regression --------------------------------------------------------------------------------------------------------


def test_the_regression_finds_a_line() -> None:
    ridge = Ridge(3, memory=500)
    for n in range(1_000):
        x = (1.0, (n * 7 % 13) / 13, 100.0 * (n * 5 % 11))
        ridge.learn(x, 2.0 + 3.0 * x[1] - 0.01 * x[2])
    for x in ((1.0, 0.2, 300.0), (1.0, 0.9, 700.0)):
        assert ridge.predict(x) == pytest.approx(2.0 + 3.0 * x[1] - 0.01 * x[2], abs=0.15)


def test_the_regression_forgets() -> None:
    ridge = Ridge(1, memory=100)
    for value in (1.0, 5.0):
        for _ in range(600):
            ridge.learn((1.0,), value)
        assert ridge.predict((1.0,)) == pytest.approx(value, rel=0.05)


def test_features_that_stand_still_do_no_harm() -> None:
    """Always the same, always nothing, always one another's double: the weights stay small."""
    ridge = Ridge(4, memory=100)
    for n in range(100_000):
        x = float(n % 3)
        ridge.learn((1.0, 0.0, x, 2 * x), 1.0 + x)
    assert all(abs(weight) < 2.0 for weight in ridge._weights)
    assert ridge.predict((1.0, 0.0, 1.0, 2.0)) == pytest.approx(2.0, abs=0.1)
    assert ridge._weights[1] == 0.0


def test_nothing_learnt_predicts_nothing() -> None:
    assert Ridge(2, memory=10).predict((1.0, 5.0)) == 0.0
