"""The exact limit of the Markov scene: what no dialler can do better, and the policy that does it.

State (b agents busy, k lines ringing); service is exponential with mean 1, ringing with mean ``ring``, whoever answers does
so with probability p and is abandoned if all agents are busy. Maximise busy/N while at most ``cap`` of those who answer are
abandoned. With a price L on an abandonment the constraint becomes part of the reward,

    r = b/N + L (cap - [b = N]) p k / ring,

and the best long-run average g(L) of that is an upper bound for every policy that keeps the cap, whatever L; the least over
L is the bound (Altman 1999, Constrained Markov Decision Processes). Lines can be added at any time and never taken back, so
a policy is a number of lines S(b) to fill up to for each b. In a given policy all follows from the values v(b) of the states
(b, S(b)): from k = 0 upwards, the value of every state is a sum over those known before. So policy evaluation is a linear
system in v(0) .. v(N) and g alone, of N + 1 unknowns instead of N x S(0) (Howard 1960, policy iteration).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Limit:
    """``utilisation``: the bound; ``fill``: for each number of busy agents the lines to fill up to; ``price`` of an
    abandonment, in agent time. ``steady``: utilisation and abandonment of ``fill`` alone, which keeps the cap nearly (the
    optimum mixes two such policies)."""

    utilisation: float
    fill: tuple[int, ...]
    price: float
    steady: tuple[float, float]


def progressive(answer_rate: float, ring: float) -> float:
    """Utilisation with one line for each idle agent, for any number of agents."""
    return 1.0 / (1.0 + ring / answer_rate)


@lru_cache(maxsize=64)
def limit(agents: int, answer_rate: float, ring: float = 0.1, cap: float = 0.03) -> Limit:
    """The limit for ``agents`` with rings of ``ring`` service times. Takes seconds up to 30, minutes for 100."""
    low, high = 0.0, 4.0 * ring / answer_rate + 1.0 / agents
    fill = tuple(round((agents - b) / answer_rate) for b in range(agents + 1))
    best: tuple[float, float, tuple[int, ...]] | None = None
    kept: tuple[int, ...] = fill
    for _ in range(22):
        price = (low + high) / 2
        fill, gain = _improved(agents, answer_rate, ring, cap, price, fill)
        _, abandoned = steady(agents, answer_rate, ring, fill)
        if best is None or gain < best[0]:
            best = (gain, price, fill)
        # The derivative of the bound in the price: cap x answered - abandoned
        if abandoned > cap:
            low = price
        else:
            high, kept = price, fill
    assert best is not None
    return Limit(best[0], kept, best[1], steady(agents, answer_rate, ring, kept))


def steady(agents: int, answer_rate: float, ring: float, fill: Sequence[int]) -> tuple[float, float]:
    """Utilisation and abandonment in the long run of filling up to ``fill``."""
    busy = _evaluated(agents, answer_rate, ring, fill, 1.0, 0.0, 0.0)[-1]
    answered = _evaluated(agents, answer_rate, ring, fill, 0.0, 1.0, 0.0)[-1]
    abandoned = _evaluated(agents, answer_rate, ring, fill, 0.0, 0.0, 1.0)[-1]
    return busy, abandoned / answered


def _improved(
    agents: int, p: float, ring: float, cap: float, price: float, fill: tuple[int, ...]
) -> tuple[tuple[int, ...], float]:
    """Policy iteration from ``fill``."""
    gain = 0.0
    for _ in range(40):
        *values, gain = _evaluated(agents, p, ring, fill, 1.0, price * cap, -price)
        most = max(fill) + max(4, max(fill) // 8)
        best = list(fill)
        seen = [values[b] + 1e-12 for b in range(agents + 1)]
        for k, row in enumerate(_states(agents, p, ring, fill, values, gain, most, (1.0, price * cap, -price))):
            for b, value in enumerate(row):
                if value > seen[b]:
                    seen[b], best[b] = value, k
        if tuple(best) == fill:
            break
        fill = tuple(best)
    return fill, gain


def _states(
    agents: int,
    p: float,
    ring: float,
    fill: Sequence[int],
    values: Sequence[float],
    gain: float,
    most: int,
    reward: tuple[float, float, float],
) -> list[list[float]]:
    """The value of every state up to ``most`` lines, if nothing is added in it now and ``fill`` is followed afterwards."""
    rows: list[list[float]] = []
    before: list[float] = []
    for k in range(most + 1):
        row: list[float] = []
        here: list[float] = []
        for b in range(agents + 1):
            rate = b + k / ring
            if rate == 0:
                value = -1e9
            else:
                total = _reward(agents, p, ring, b, k, reward) - gain
                if b:
                    total += b * here[b - 1]
                if k:
                    total += k / ring * (p * before[min(b + 1, agents)] + (1 - p) * before[b])
                value = total / rate
            row.append(value)
            here.append(values[b] if k <= fill[b] else value)
        rows.append(row)
        before = here
    return rows


def _reward(agents: int, p: float, ring: float, b: int, k: int, reward: tuple[float, float, float]) -> float:
    busy, answered, abandoned = reward
    return busy * b / agents + (answered + (abandoned if b == agents else 0.0)) * p * k / ring


def _evaluated(
    agents: int, p: float, ring: float, fill: Sequence[int], busy: float, answered: float, abandoned: float
) -> list[float]:
    """v(0) .. v(N) and the average gain of a policy; v(0) = 0. Each state is a vector of coefficients of v, g and 1."""
    size = agents + 3
    constant, gain_at = agents + 2, agents + 1
    unit = [[1.0 if at == b else 0.0 for at in range(size)] for b in range(agents + 1)]
    equations: list[list[float]] = []
    before: list[list[float]] = []
    for k in range(max(fill) + 1):
        here: list[list[float]] = []
        for b in range(agents + 1):
            rate = b + k / ring
            if k < fill[b]:
                here.append(unit[b])
                continue
            if rate == 0:
                raise ValueError("a policy that never dials with everybody idle")
            terms: list[tuple[float, list[float]]] = [(float(b), here[b - 1])] if b else []
            if k:
                terms += [(k / ring * p, before[min(b + 1, agents)]), (k / ring * (1 - p), before[b])]
            if len(terms) == 3:
                (x, one), (y, two), (z, three) = terms
                x, y, z = x / rate, y / rate, z / rate
                row = [x * a + y * c + z * d for a, c, d in zip(one, two, three, strict=True)]
            else:
                row = [0.0] * size
                for weight, of in terms:
                    row = [a + weight / rate * c for a, c in zip(row, of, strict=True)]
            row[gain_at] -= 1.0 / rate
            row[constant] += _reward(agents, p, ring, b, k, (busy, answered, abandoned)) / rate
            if k == fill[b]:
                equations.append([a - c for a, c in zip(row, unit[b], strict=True)])
                here.append(unit[b])
            else:
                here.append(row)
        before = here
    # v(0) = 0 takes the place of its column
    matrix = [[*row[1 : agents + 2], -row[constant]] for row in equations]
    return [0.0, *_solved(matrix)]


def _solved(matrix: list[list[float]]) -> list[float]:
    """Gauss with partial pivoting."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        lead = matrix[column]
        for row in matrix[column + 1 :]:
            factor = row[column] / lead[column]
            if factor:
                row[column:] = [a - factor * c for a, c in zip(row[column:], lead[column:], strict=True)]
    found = [0.0] * size
    for column in range(size - 1, -1, -1):
        row = matrix[column]
        known = sum(a * x for a, x in zip(row[column + 1 : size], found[column + 1 :], strict=True))
        found[column] = (row[size] - known) / row[column]
    return found
