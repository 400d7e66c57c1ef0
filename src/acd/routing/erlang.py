"""Queueing formulas, exact and stable for thousands of agents: Erlang B, C and A, a bounded queue, square-root staffing.

What a single pool of like agents does in the long run, for planning and as the measure that the simulation is held
against. Poisson arrivals, exponential handling times and patience, served in order of arrival. Rates are per second,
times in seconds, a *load* is arrival rate x handling time (erlangs). Formulas only: nothing here knows a floor.

Sources: A. K. Erlang 1917 (B, C); C. Palm 1946 and Garnett, Mandelbaum, Reiman 2002 (A); Halfin and Whitt 1981 (square
root). Every sum runs over positive terms, so nothing cancels; no factorial or power is ever formed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

_TAIL = 1e-18
"""What is left out of a sum, at most, as a share of its greatest term."""
_QUEUE_LIMIT = 1_000_000


def erlang_b(servers: int, load: float) -> float:
    """The share of calls that find all ``servers`` taken when nobody may wait. O(servers)."""
    if servers < 0 or not load >= 0:
        raise ValueError(f"servers and load must not be negative, not {servers} and {load}")
    if load == 0:
        return 1.0 if servers == 0 else 0.0
    inverse = 1.0
    for n in range(1, servers + 1):
        inverse = 1.0 + inverse * n / load
        if inverse > 1e300:
            return 0.0
    return 1.0 / inverse


def erlang_c(servers: int, load: float) -> float:
    """The share of calls that have to wait when everybody waits as long as it takes; 1 if the load is not below."""
    if load >= servers:
        return 1.0
    blocked = erlang_b(servers, load)
    return blocked / (1.0 - load / servers * (1.0 - blocked))


def load_at_blocking(servers: int, blocked: float) -> float:
    """The load at which Erlang B loses the share ``blocked`` (between 0 and 1), to the last bit."""
    if servers < 1 or not 0 < blocked < 1:
        raise ValueError(f"at least one server and a share between 0 and 1, not {servers} and {blocked}")
    low, high = 0.0, servers / (1.0 - blocked)
    while low < (middle := (low + high) / 2) < high:
        if erlang_b(servers, middle) < blocked:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True)
class ErlangC:
    """M/M/s: nobody gives up. ``load`` below ``agents``, else the queue grows for ever and ValueError is raised."""

    agents: int
    arrivals_per_s: float
    handle_s: float

    def __post_init__(self) -> None:
        _check(self.agents, self.arrivals_per_s, self.handle_s)
        if self.load >= self.agents:
            raise ValueError(f"a load of {self.load:g} is too much for {self.agents} agents: the queue has no limit")

    @property
    def load(self) -> float:
        """Erlangs."""
        return self.arrivals_per_s * self.handle_s

    @property
    def occupancy(self) -> float:
        """The share of time an agent is on calls."""
        return self.load / self.agents

    @cached_property
    def p_wait(self) -> float:
        """The share of calls that wait at all."""
        return erlang_c(self.agents, self.load)

    @property
    def mean_wait_of_delayed_s(self) -> float:
        """Of those who wait."""
        return self.handle_s / (self.agents - self.load)

    @property
    def mean_wait_s(self) -> float:
        """Over all calls: the average speed of answer."""
        return self.p_wait * self.mean_wait_of_delayed_s

    def service_level(self, threshold_s: float) -> float:
        """The share answered within ``threshold_s``."""
        return 1.0 - self.p_wait * math.exp(-threshold_s / self.mean_wait_of_delayed_s)


@dataclass(frozen=True)
class FiniteQueue:
    """M/M/s/K: whoever finds ``places`` callers waiting is turned away. Mean wait and service level are of those let in."""

    agents: int
    places: int
    arrivals_per_s: float
    handle_s: float

    def __post_init__(self) -> None:
        _check(self.agents, self.arrivals_per_s, self.handle_s)
        if self.places < 0:
            raise ValueError(f"waiting places must not be negative, not {self.places}")

    @property
    def load(self) -> float:
        """Erlangs offered."""
        return self.arrivals_per_s * self.handle_s

    @cached_property
    def _queue(self) -> tuple[float, ...]:
        """P(all agents are busy and n wait), n from 0 to ``places``."""
        ratio, shape = self.load / self.agents, [1.0]
        for _ in range(self.places):
            shape.append(shape[-1] * (ratio if ratio <= 1.0 else 1.0 / ratio))
        if ratio > 1.0:
            # The full queue is the likeliest: counted down from there, nothing overflows
            shape.reverse()
        return _shares(shape, erlang_b(self.agents, self.load))

    @property
    def p_block(self) -> float:
        """The share turned away."""
        return self._queue[-1]

    @property
    def p_wait(self) -> float:
        """The share of all calls, those turned away among them, that wait."""
        return math.fsum(self._queue[:-1])

    @property
    def mean_queue(self) -> float:
        """Callers waiting."""
        return math.fsum(n * p for n, p in enumerate(self._queue))

    @property
    def mean_wait_s(self) -> float:
        """By Little's law."""
        return self.mean_queue / (self.arrivals_per_s * (1.0 - self.p_block))

    @property
    def occupancy(self) -> float:
        """The share of time an agent is on calls."""
        return self.load * (1.0 - self.p_block) / self.agents

    def service_level(self, threshold_s: float) -> float:
        """The share of those let in that are answered within ``threshold_s``."""
        # Whoever finds n waiting is served after n + 1 departures, which come at a rate of agents / handle_s: he
        # still waits with P(at most n departures in threshold_s), a Poisson sum
        departures = threshold_s * self.agents / self.handle_s
        late, none_or_more = 0.0, 0.0
        for n, p in enumerate(self._queue[:-1]):
            none_or_more += _poisson(n, departures)
            late += p * none_or_more
        return 1.0 - late / (1.0 - self.p_block)


@dataclass(frozen=True)
class ErlangA:
    """M/M/s+M: a caller who waits gives up after an exponential patience of mean ``patience_s``. Any load will do.

    Waits are of all calls, answered or given up.
    """

    agents: int
    arrivals_per_s: float
    handle_s: float
    patience_s: float

    def __post_init__(self) -> None:
        _check(self.agents, self.arrivals_per_s, self.handle_s)
        if not self.patience_s > 0:
            raise ValueError(f"patience must be above 0, not {self.patience_s}")

    @property
    def load(self) -> float:
        """Erlangs offered."""
        return self.arrivals_per_s * self.handle_s

    @cached_property
    def _queue(self) -> tuple[float, ...]:
        """P(all agents are busy and n wait), n from 0 to where it no longer matters."""
        served, given_up = self.agents / self.handle_s, 1.0 / self.patience_s
        likeliest = max(0, math.floor((self.arrivals_per_s - served) / given_up))
        if likeliest > _QUEUE_LIMIT:
            raise ValueError(f"more than {_QUEUE_LIMIT} callers would wait; that is no call centre")
        # From the likeliest length down and up, so that nothing overflows
        shape = [0.0] * likeliest + [1.0]
        for n in range(likeliest, 0, -1):
            shape[n - 1] = shape[n] * (served + n * given_up) / self.arrivals_per_s
        while True:
            ratio = self.arrivals_per_s / (served + len(shape) * given_up)
            shape.append(shape[-1] * ratio)
            if ratio < 1.0 and shape[-1] < _TAIL * (1.0 - ratio):
                break
        return _shares(shape, erlang_b(self.agents, self.load))

    @cached_property
    def p_wait(self) -> float:
        """The share of calls that wait at all."""
        return math.fsum(self._queue)

    @cached_property
    def mean_queue(self) -> float:
        """Callers waiting."""
        return math.fsum(n * p for n, p in enumerate(self._queue))

    @property
    def mean_wait_s(self) -> float:
        """By Little's law."""
        return self.mean_queue / self.arrivals_per_s

    @property
    def p_abandon(self) -> float:
        """The share of calls that give up."""
        return self.mean_wait_s / self.patience_s

    @property
    def occupancy(self) -> float:
        """The share of time an agent is on calls."""
        return self.load * (1.0 - self.p_abandon) / self.agents

    def service_level(self, threshold_s: float) -> float:
        """The share of calls answered within ``threshold_s``.

        Whoever finds n waiting is served, if he stays, after a sum of exponentials with rates a + i (i = 0..n, in units
        of 1/patience, a = agents * patience / handle): minus the logarithm of a Beta(a, n + 1) variable X. That he has
        stayed until then has probability X, so the share is E[X; X > exp(-threshold/patience)].
        """
        a = self.agents * self.patience_s / self.handle_s
        x = math.exp(-threshold_s / self.patience_s)
        answered = 1.0 - self.p_wait
        # I_x(a + 1, b) for b = 1, 2, ...: each is the one before and x^(a+1) (1-x)^b / (b B(a+1, b))
        beta = x ** (a + 1)
        step = beta * (1.0 - x) * (a + 1)
        for n, p in enumerate(self._queue):
            answered += p * a / (a + n + 1) * max(0.0, 1.0 - beta)
            beta += step
            step *= (1.0 - x) * (a + n + 2) / (n + 2)
        return answered


def square_root_staffing(load: float, quality: float) -> int:
    """Agents for ``load`` with a margin of ``quality`` times its square root (0: efficiency alone; 1 to 2: few wait)."""
    if not load >= 0:
        raise ValueError(f"the load must not be negative, not {load}")
    return max(0, math.ceil(load + quality * math.sqrt(load)))


def quality_for(p_wait: float) -> float:
    """The margin at which, in a large pool without abandonment, the share ``p_wait`` of calls waits (Halfin-Whitt)."""
    if not 0 < p_wait < 1:
        raise ValueError(f"the share must lie between 0 and 1, not {p_wait}")
    low, high = 0.0, 40.0
    while low < (middle := (low + high) / 2) < high:
        if halfin_whitt(middle) > p_wait:
            low = middle
        else:
            high = middle
    return high


def halfin_whitt(quality: float) -> float:
    """The share of calls that wait in a large pool staffed with ``square_root_staffing(load, quality)``."""
    density = math.exp(-quality * quality / 2) / math.sqrt(2 * math.pi)
    return density / (density + quality * math.erfc(-quality / math.sqrt(2)) / 2)


def agents_for(arrivals_per_s: float, handle_s: float, *, service_level: float, threshold_s: float) -> int:
    """The fewest agents with which Erlang C answers the share ``service_level`` within ``threshold_s``."""
    if not 0 < service_level < 1:
        raise ValueError(f"the service level must lie between 0 and 1, not {service_level}")
    _check(1, arrivals_per_s, handle_s)
    load = arrivals_per_s * handle_s

    def enough(agents: int) -> bool:
        return ErlangC(agents, arrivals_per_s, handle_s).service_level(threshold_s) >= service_level

    low, high = math.floor(load), math.floor(load) + 1
    while not enough(high):
        low, high = high, high + (high - math.floor(load))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(agents: int, arrivals_per_s: float, handle_s: float) -> None:
    if agents < 1 or not arrivals_per_s > 0 or not handle_s > 0:
        raise ValueError(
            f"agents, arrivals and handling time must be above 0, not {agents}, {arrivals_per_s} and {handle_s}"
        )


def _shares(shape: list[float], blocked: float) -> tuple[float, ...]:
    """Probabilities from the ``shape`` of P(all busy and n wait); Erlang B's ``blocked`` = P(s) / P(0..s) has the rest."""
    if blocked == 0.0:
        return (0.0,) * len(shape)
    total = math.fsum(shape) + shape[0] * (1.0 / blocked - 1.0)
    return tuple(term / total for term in shape)


def _poisson(n: int, mean: float) -> float:
    """P(n events) when ``mean`` are expected."""
    if mean == 0:
        return 1.0 if n == 0 else 0.0
    return math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))
