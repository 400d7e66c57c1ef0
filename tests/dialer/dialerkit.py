"""What tests of pacing need: supplies by hand, statistics that have seen calls, a ledger, exact sums of coins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from acd.dialer import Busy, Ledger, Line, Rule, Statistics, Supply

NOW_S = 1_700_000_000.0


def supply(
    idle: int = 0,
    *,
    talking: Sequence[float] = (),
    wrapping: Sequence[float] = (),
    ringing: Sequence[float] = (),
    waiting: int = 0,
    **more: int,
) -> Supply:
    """Stages and lines by their ages in seconds."""
    return Supply(
        idle,
        waiting,
        tuple(Busy(f"a{number}", NOW_S - age) for number, age in enumerate(talking)),
        tuple(Busy(f"w{number}", NOW_S - age) for number, age in enumerate(wrapping)),
        tuple(Line(NOW_S - age) for age in ringing),
        **more,
    )


def taught(rate: float = 0.3, lines: int = 1_000, *, cap: float = 0.03) -> Statistics:
    """Statistics of ``lines`` lines, ``rate`` of them answered after 4 to 20 s, talks of 30 to 300 s, wraps of 10 to 50."""
    statistics = Statistics(cap=cap)
    answered = 0
    for number in range(lines):
        person = int((number + 1) * rate) > answered
        statistics.line_ended(NOW_S - lines + number, 4.0 + answered * 7 % 17 if person else 25.0, person=person)
        if person:
            answered += 1
            statistics.stage_ended("talk", "a0", 30.0 + answered * 53 % 271)
            statistics.stage_ended("wrap", "a0", 10.0 + answered * 17 % 41)
    statistics.publish()
    return statistics


def ledger(answered: int = 10_000, abandoned: int = 0, *, cap: float = 0.03) -> Ledger:
    """Of a day on which so many people answered."""
    book = Ledger((Rule("day", cap),), NOW_S - 3600.0)
    for _ in range(answered):
        book.dialled()
        book.answered(NOW_S)
    for _ in range(abandoned):
        book.abandoned(NOW_S)
    return book


def distribution(chances: Iterable[float]) -> list[float]:
    """P(0), P(1), ... of the sum of independent coins, coin by coin: the exact Poisson binomial distribution."""
    shares = [1.0]
    for chance in chances:
        shares = [a * (1 - chance) + b * chance for a, b in zip([*shares, 0.0], [0.0, *shares], strict=True)]
    return shares


def nobody_left(start: int, frees: Sequence[float], answers: Sequence[float]) -> float:
    """P(start + F - A <= 0), exactly."""
    free, answered = distribution(frees), distribution(answers)
    return math.fsum(f * a for i, f in enumerate(free) for j, a in enumerate(answered) if start + i - j <= 0)
