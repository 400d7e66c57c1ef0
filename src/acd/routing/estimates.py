"""How long a caller will wait: an estimate with a range, for each queue by whatever has been right most often there.

Theory of operation. Several methods say what a call that joins now will wait:

- ``formula``: n ahead, s agents who finish a call at rate mu each, waiting callers who give up at rate theta each:
  EWT = sum over i = 0..n of 1 / (s mu + i theta) (Whitt 1999, "Improving service by informing customers about
  anticipated delays"). Best where the agents serve this queue alone.
- ``les``: the wait of the last call to enter service; ``hol``: how long the head of the line has been waiting (Ibrahim and
  Whitt 2009). They know nothing of agents, and so are not misled by agents shared with other queues.
- ``les_scaled``: the same extrapolated to this call's place (after Thiongane, Chan, L'Ecuyer 2015): the agent-seconds a
  place in line has cost the last few dozen calls to enter service. ``hol_scaled``: with the head's progress counted in.
- ``regression``: the formula, corrected by a ridge regression on all of these and the hour, once a few thousand waits
  exist.

When a call enters service its wait is known, and every method's guess is held against it. The one with the lowest rolling
error speaks next; where it has nothing to say (no head of line), the formula does. The error is the root of the mean
squared error over the mean wait. Only callers who were served are counted: how long the others would have waited is not
known.

The range is to hold 8 times in 10. Its width comes from the formula's variance, stretched by how far waits of this queue
really lie from the estimate: the quantiles of the standardised logarithmic error are tracked, a step a wait.

Times are UTC seconds, given as arguments. Every call costs some microseconds whatever the length of the queue.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from acd.domain.values import valueclass
from acd.routing.ridge import Ridge

METHODS = ("formula", "les", "hol", "les_scaled", "hol_scaled", "regression")
_FORMULA, _REGRESSION = 0, 5

MEMORY = 200
"""Waits over which errors are judged."""
BETTER = 0.9
"""Another method speaks when its squared error is below this share of the present one's."""
HANDLED_MEMORY = 500
LEFT_MEMORY = 1_000
PACE_MEMORY = 50
REGRESSION_FROM = 2_000
PENDING_LIMIT = 20_000
"""Waiting calls of one queue whose estimates are remembered to be judged."""
BELOW, ABOVE = 0.1, 0.9
"""The quantiles that the range is made of."""
_STEP = 0.03
_Z = 1.2816
"""The quantile of the normal distribution for these: where the tracking starts."""
_WAIT_MIN_S = 0.1
_DAY_S = 86_400.0
_DIRECT = 16


@valueclass(frozen=True, slots=True)
class WaitEstimate:
    """``low_s`` to ``high_s`` is to hold 8 times in 10. ``method`` is one of ``METHODS``."""

    wait_s: float
    low_s: float
    high_s: float
    method: str


@valueclass(frozen=True, slots=True)
class Prior:
    """What is assumed until calls tell: ``handling_s`` as if ``handling_calls`` had been handled so, and that callers
    have patience for ``patience_s`` on average, as if ``patience_calls`` had shown it by giving up."""

    handling_s: float = 180.0
    handling_calls: float = 5.0
    patience_s: float = 600.0
    patience_calls: float = 1.0


def expected_wait(ahead: int, servers: float, mu: float, theta: float) -> tuple[float, float]:
    """Mean (s) and variance (s squared) of the wait with ``ahead`` before one: the sums of 1/x and 1/x^2 over
    x = servers * mu + i * theta, i = 0..ahead. ``servers * mu`` must be positive. The mean is exact to nine
    digits, the variance to eight.

    The first terms are added, the rest is their integral (Euler and Maclaurin), so a long queue costs no more.
    """
    rate = servers * mu
    mean = variance = 0.0
    # The integral is good where x changes little from one term to the next
    first = ahead + 1 if ahead < 2 * _DIRECT else max(0, math.ceil(_DIRECT - rate / theta)) if theta > 0 else 0
    for i in range(min(first, ahead + 1)):
        x = rate + i * theta
        mean += 1.0 / x
        variance += 1.0 / (x * x)
    if first > ahead:
        return mean, variance
    low, high, steps = rate + first * theta, rate + ahead * theta, ahead - first
    grown = steps * theta / low
    a, b = 1.0 / low, 1.0 / high
    # log1p(x) / x is 1 for a patience without end
    mean += steps * a * (math.log1p(grown) / grown if grown > 1e-9 else 1.0)
    mean += (a + b) / 2 + theta * (a**2 - b**2) / 12 - theta**3 * (a**4 - b**4) / 120
    variance += steps * a * b + (a**2 + b**2) / 2 + theta * (a**3 - b**3) / 6 - theta**3 * (a**5 - b**5) / 30
    return mean, variance


class Rates:
    """Running estimates of how fast agents finish calls and how fast callers give up; what is old counts less."""

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        self._handled = self._handled_s = 0.0
        self._gave_up = self._waited_s = 0.0

    def handled(self, length_s: float) -> None:
        """An agent was taken up by a call for ``length_s``: ringing, talking, wrap-up."""
        keep = 1.0 - 1.0 / HANDLED_MEMORY
        self._handled = self._handled * keep + 1.0
        self._handled_s = self._handled_s * keep + max(0.0, length_s)

    def waited(self, wait_s: float, *, gave_up: bool) -> None:
        """A call waited so long, and then its caller gave up or not."""
        keep = 1.0 - 1.0 / LEFT_MEMORY
        self._gave_up = self._gave_up * keep + gave_up
        self._waited_s = self._waited_s * keep + max(0.0, wait_s)

    @property
    def mu(self) -> float:
        """Calls an agent finishes a second."""
        prior = self._prior
        return (prior.handling_calls + self._handled) / (prior.handling_calls * prior.handling_s + self._handled_s)

    @property
    def theta(self) -> float:
        """How often a waiting caller gives up, a second: the likeliest rate, those who were served counted in."""
        prior = self._prior
        return (prior.patience_calls + self._gave_up) / (prior.patience_calls * prior.patience_s + self._waited_s)


class _Record:
    """How good one method is in one queue. ``error`` is the rolling squared error, a decayed sum."""

    __slots__ = ("error", "high", "low")

    def __init__(self) -> None:
        self.error = 0.0
        self.low, self.high = -_Z, _Z


@dataclass(slots=True)
class _Pending:
    """A waiting call: where it began, what each method said (None: nothing), how far the logarithm of such a wait spreads,
    and what was announced."""

    joined_at: float
    ahead: int
    servers: int
    guesses: list[float | None]
    spread: float
    features: tuple[float, ...]
    announced: WaitEstimate


class QueueEstimator:
    """The estimates of one queue. Tell it of the calls that have to wait; those served at once are none of its business."""

    def __init__(self, prior: Prior | None = None) -> None:
        self.rates = Rates(prior or Prior())
        self.measured = 0
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._last_s: float | None = None
        self._places = self._places_s = 0.0
        self._records = [_Record() for _ in METHODS]
        self._weight = self._waits = self._held = 0.0
        self._ridge = Ridge(7, memory=REGRESSION_FROM)
        self._best = _FORMULA

    # -- what happens ------------------------------------------------------------------------------------------------

    def joined(self, call: str, at: float, *, ahead: int, servers: int) -> WaitEstimate | None:
        """``call`` begins to wait behind ``ahead`` others; ``servers`` agents who may take it are at work. None where
        nobody is, or where too many wait to be remembered."""
        if servers <= 0 or len(self._pending) >= PENDING_LIMIT:
            return None
        guesses, spread, features = self._guesses(at, ahead, servers, 0.0)
        announced = self._announce(guesses, spread)
        self._pending[call] = _Pending(at, ahead, servers, guesses, spread, features, announced)
        return announced

    def entered(self, call: str, at: float) -> None:
        """The wait of ``call`` is over: it goes to an agent."""
        pending = self._pending.pop(call, None)
        if pending is None:
            return
        wait_s = max(0.0, at - pending.joined_at)
        self.rates.waited(wait_s, gave_up=False)
        self._last_s = wait_s
        keep = 1.0 - 1.0 / PACE_MEMORY
        self._places = self._places * keep + pending.ahead + 1
        self._places_s = self._places_s * keep + wait_s * pending.servers
        self._judge(pending, wait_s)

    def left(self, call: str, at: float, *, gave_up: bool) -> None:
        """``call`` waits no more and was not served: its caller gave up, or it went elsewhere (overflow)."""
        pending = self._pending.pop(call, None)
        if pending is not None:
            self.rates.waited(at - pending.joined_at, gave_up=gave_up)

    def handled(self, length_s: float) -> None:
        """An agent is done with a call of this queue, which took him ``length_s``, from ringing to the end of wrap-up."""
        self.rates.handled(length_s)

    # -- what is to be expected --------------------------------------------------------------------------------------

    def expect(self, at: float, *, ahead: int, servers: int, waited_s: float = 0.0) -> WaitEstimate | None:
        """What is still to come for a call that has ``ahead`` before it and has waited ``waited_s``; None if nobody is at
        work who could take it."""
        if servers <= 0:
            return None
        guesses, spread, _ = self._guesses(at, ahead, servers, waited_s)
        return self._announce(guesses, spread)

    def accuracy(self) -> dict[str, Any]:
        """``{"method", "measured", "relative_error", "held", "errors": {method: relative error}}``: the method that speaks,
        the waits measured so far, and over the last few hundred the error of that method and how often the announced
        range held (0..1). None while nothing was measured."""
        shown = {METHODS[i]: self._relative(i) for i in range(len(METHODS))}
        if self.measured < REGRESSION_FROM:
            shown["regression"] = None
        return {
            "method": METHODS[self._best],
            "measured": self.measured,
            "relative_error": shown[METHODS[self._best]],
            "held": round(self._held / self._weight, 4) if self._weight else None,
            "errors": shown,
        }

    def _relative(self, method: int) -> float | None:
        if self._waits <= 0:
            return None
        return round(math.sqrt(self._records[method].error * self._weight) / self._waits, 4)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _guesses(
        self, at: float, ahead: int, servers: int, waited_s: float
    ) -> tuple[list[float | None], float, tuple[float, ...]]:
        """What each method says, the spread of the logarithm of a wait of that length, and the regression's features."""
        mean, variance = expected_wait(ahead, servers, self.rates.mu, self.rates.theta)
        spread = max(0.05, math.sqrt(math.log1p(variance / (mean * mean))))
        guesses: list[float | None] = [mean, None, None, None, None, None]
        if self._last_s is not None:
            guesses[1] = max(0.0, self._last_s - waited_s)
            guesses[3] = (ahead + 1) * self._places_s / (self._places * servers)
        if self._pending:
            head = self._pending[next(iter(self._pending))]
            head_s = at - head.joined_at
            guesses[2] = max(0.0, head_s - waited_s)
            paced_s = self._places_s + head_s * head.servers
            guesses[4] = (ahead + 1) * paced_s / ((self._places + head.ahead + 0.5) * servers)
        turn = 2 * math.pi * (at % _DAY_S) / _DAY_S
        # In units of the formula's estimate, so that long and short waits count alike
        features = (
            1.0,
            (guesses[1] or 0.0) / mean,
            (guesses[2] or 0.0) / mean,
            (guesses[3] or 0.0) / mean,
            (guesses[4] or 0.0) / mean,
            math.sin(turn),
            math.cos(turn),
        )
        guesses[_REGRESSION] = mean * max(0.05, 1.0 + self._ridge.predict(features))
        return guesses, spread, features

    def _announce(self, guesses: list[float | None], spread: float) -> WaitEstimate:
        method = self._best if guesses[self._best] is not None else _FORMULA
        wait_s = max(_WAIT_MIN_S, guesses[method] or 0.0)
        record = self._records[method]
        # The two are tracked apart and may cross by a step where all waits are alike
        low, high = sorted((record.low, record.high))
        return WaitEstimate(wait_s, wait_s * math.exp(low * spread), wait_s * math.exp(high * spread), METHODS[method])

    def _judge(self, pending: _Pending, wait_s: float) -> None:
        keep = 1.0 - 1.0 / MEMORY
        self.measured += 1
        self._weight = self._weight * keep + 1.0
        self._waits = self._waits * keep + wait_s
        self._held = self._held * keep + (pending.announced.low_s <= wait_s <= pending.announced.high_s)
        step = max(_STEP, 1.0 / (self.measured + 10))
        shown = math.log(max(wait_s, _WAIT_MIN_S))
        formula = pending.guesses[_FORMULA] or 0.0
        best, best_error = self._best, math.inf
        announced = METHODS.index(pending.announced.method)
        for index, (record, guess) in enumerate(zip(self._records, pending.guesses, strict=True)):
            # A method with nothing to say is judged by who speaks for it
            guess = formula if guess is None else guess
            record.error = record.error * keep + (guess - wait_s) ** 2
            if index == announced:
                below, within = wait_s < pending.announced.low_s, wait_s <= pending.announced.high_s
            else:
                z = (shown - math.log(max(guess, _WAIT_MIN_S))) / pending.spread
                below, within = z < record.low, z < record.high
            record.low += step * (BELOW - below)
            record.high += step * (ABOVE - within)
            if record.error < best_error and (index != _REGRESSION or self.measured >= REGRESSION_FROM):
                best, best_error = index, record.error
        # Methods that are as good as each other do not take turns
        if best_error < BETTER * self._records[self._best].error:
            self._best = best
        self._ridge.learn(pending.features, wait_s / formula - 1.0)
