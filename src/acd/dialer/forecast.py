"""What the next seconds bring: agents who come free, lines that are answered, and the chance that they do not match.

A line dialled now is answered, if at all, after some ring time; we look at five quantiles of it. At each, X = idle -
waiting + agents free by then (and within the grace that a person may be kept) - lines answered by then. Each agent and
each line is an independent coin whose chance comes from a table by stage and age, made of what `Statistics` has
published. The tables are a pure function of that, so they are thrown away and made again as one likes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter, mul

from acd.dialer.durations import LONGEST_S
from acd.dialer.odds import NOTHING, Moments, at_most, coin, counts, none_left
from acd.dialer.rings import BIN_S, BINS, RingCurve
from acd.dialer.statistics import PACES, USUAL, Statistics
from acd.dialer.supply import Line, Supply

NORMAL_FROM = 10.0
"""Variance from which on the normal distribution is near enough."""
KNOWN_LINES, KNOWN_TALKS = 60, 20
"""What a forecast has to rest on where nobody may be abandoned: lines since the last break, of each segment in flight, and
talks at all."""
_RATE_STEP = 0.02
Columns = tuple[list[float], list[float], list[float]]
"""Mean, variance and third central moment of the coin of each row."""
_SEGMENT = itemgetter(1)


def _row_ages() -> tuple[int, ...]:
    ages = list(range(61))
    while ages[-1] < LONGEST_S:
        ages.append(min(LONGEST_S, ages[-1] + max(2, ages[-1] // 20)))
    return tuple(ages)


_AGES = _row_ages()
_ROW_OF = tuple(
    min(range(len(_AGES)), key=lambda row: abs(_AGES[row] - second))
    if second > 60
    else second
    for second in range(LONGEST_S + 1)
)  # fmt: skip


class Tables:
    """Chances by stage and age (agents), by answer rate and age (lines), at every look ahead."""

    def __init__(self, statistics: Statistics, grace_s: float) -> None:
        ring = statistics.ring_curve
        assert ring is not None
        self.published, self.grace_s = statistics.published, grace_s
        self.ring: RingCurve = ring
        self.looks = ring.looks
        self._horizons_s = tuple(max(0, round(look * BIN_S + grace_s)) for look in ring.looks)
        self._talk, self._wrap = statistics.talk_curve, statistics.wrap_curve
        self._steps = statistics.steps
        self.agents: list[Columns] = [([], [], []) for _ in ring.looks]
        """Of each look; rows of all sections lie behind one another."""
        self._sections: dict[tuple[int, int] | int, int] = {}
        self.talk_at: dict[str, int] = {}
        self.wrap_at: dict[str, int] = {}
        self._lines: dict[int, list[Columns]] = {}

    def talking(self, agent: str) -> int:
        """Where the rows of an agent who talks begin."""
        at = self.talk_at.get(agent)
        if at is None:
            steps = self._steps.get(agent, (USUAL, USUAL))
            at = self._sections.get(steps)
            if at is None:
                at = self._sections[steps] = self._add(self._talk_chances(*steps))
            self.talk_at[agent] = at
        return at

    def wrapping(self, agent: str) -> int:
        """Where the rows of an agent in wrap-up begin."""
        at = self.wrap_at.get(agent)
        if at is None:
            step = self._steps.get(agent, (USUAL, USUAL))[1]
            at = self._sections.get(step)
            if at is None:
                at = self._sections[step] = self._add(self._wrap_chances(step))
            self.wrap_at[agent] = at
        return at

    def _add(self, chances: list[list[float]]) -> int:
        at = len(self.agents[0][0])
        for columns, column in zip(self.agents, chances, strict=True):
            for values, more in zip(columns, _columns(column), strict=True):
                values.extend(more)
        return at

    def _wrap_chances(self, step: int) -> list[list[float]]:
        ends = _stretched(self._wrap, PACES[step])
        return [[1.0 - _at(ends, age + within) / _at(ends, age) for age in _AGES] for within in self._horizons_s]

    def _talk_chances(self, step: int, wrap_step: int) -> list[list[float]]:
        """Talk has to end and wrap-up after it: summed over the second in which talk ends."""
        talk, wrap = _stretched(self._talk, PACES[step]), _stretched(self._wrap, PACES[wrap_step])
        columns = []
        for within in self._horizons_s:
            done = [1.0 - (_at(wrap, within - s - 1) + _at(wrap, within - s)) / 2 for s in range(within)]
            column = []
            for age in _AGES:
                left = [_at(talk, age + s) for s in range(within + 1)]
                ended = sum((left[s] - left[s + 1]) * done[s] for s in range(within))
                column.append(ended / left[0])
            columns.append(column)
        return columns

    def lines(self, rate: float) -> tuple[list[Columns], float]:
        """Rows by ring age in half seconds, and the rate they are made for: ``rate``, rounded to a fiftieth of itself."""
        key = round(math.log(rate) / _RATE_STEP)
        near = min(0.999, math.exp(key * _RATE_STEP))
        found = self._lines.get(key)
        if found is None:
            found = self._lines[key] = [
                _columns([self.ring.answers(near, age, look) for age in range(BINS + 1)]) for look in self.looks
            ]
        return found, near


def _columns(chances: Sequence[float]) -> Columns:
    means, variances, thirds = zip(*map(coin, chances), strict=True)
    return list(means), list(variances), list(thirds)


def _totals(looks: list[Columns], rows: list[int]) -> list[Moments]:
    """The sums of these rows, at each look."""
    # Many are alike: rows are seconds and half seconds
    often = Counter(rows)
    if len(often) < 2:
        return [Moments(*(sum(column[row] for row in rows) for column in columns)) for columns in looks]
    pick, times = itemgetter(*often), list(often.values())
    return [
        Moments(
            # Floats from the start: sum() is several times as fast then
            sum(map(mul, times, pick(means)), 0.0),
            sum(map(mul, times, pick(variances)), 0.0),
            sum(map(mul, times, pick(thirds)), 0.0),
        )
        for means, variances, thirds in looks
    ]


def _stretched(curve: Sequence[float], pace: float) -> Sequence[float]:
    if pace == 1.0:
        return curve
    return [curve[min(LONGEST_S, int(second / pace))] for second in range(LONGEST_S + 1)]


def _at(curve: Sequence[float], second: int) -> float:
    return curve[min(LONGEST_S, max(0, second))]


class Forecast:
    """Of one supply at one moment. ``frees`` and ``answers``: their means at every look."""

    __slots__ = (
        "_frees",
        "_known",
        "_new",
        "_ringing",
        "_risks",
        "_spread",
        "_stock",
        "_taken",
        "_unlike",
        "_uptos",
        "rate",
        "rests_on",
    )

    def __init__(self, tables: Tables, supply: Supply, statistics: Statistics, now_s: float) -> None:
        rows = _agent_rows(tables, supply, now_s)
        self.rate, self.rests_on = statistics.answer_rate.rate(now_s, supply.segment)
        own, near = tables.lines(self.rate)
        grouped = _line_rows(tables, supply.ringing, statistics, now_s, supply.segment, own)
        segments = {supply.segment, *map(_SEGMENT, supply.ringing)}
        fresh = statistics.answer_rate.lately(now_s, segments)
        self._known = fresh >= KNOWN_LINES and statistics.talk.seen >= KNOWN_TALKS
        self._unlike, self._ringing = len(segments) > 1, len(supply.ringing)
        self._stock = supply.idle - supply.waiting
        # The rate is not known for sure, and errs for all lines at once
        self._spread = (1.0 - near) / (near * self.rests_on)
        self._new = [coin(tables.ring.answers(near, 0, look)) for look in tables.looks]
        self._frees = _totals(tables.agents, rows)
        self._taken = [NOTHING] * len(tables.looks)
        for columns, ages in grouped:
            self._taken = [one.plus(more) for one, more in zip(self._taken, _totals(columns, ages), strict=True)]
        self._uptos: list[list[float]] = []
        self._risks: dict[int, float] = {}
        if self._frees[-1].variance + self._taken[-1].variance < NORMAL_FROM:
            self._uptos = [list(accumulate(counts(free))) for free in self._frees]

    @property
    def frees(self) -> tuple[float, ...]:
        """Agents who come free by each look, on average."""
        return tuple(free.mean for free in self._frees)

    @property
    def answers(self) -> tuple[float, ...]:
        """Lines in flight answered by each look, on average."""
        return tuple(taken.mean for taken in self._taken)

    def risk(self, lines: int) -> float:
        """P(the last of ``lines`` new ones, 1 or more, finds no agent | a person answers it). Grows with ``lines``."""
        found = self._risks.get(lines)
        if found is not None:
            return found
        others = lines - 1
        total, uptos, stock, spread = 0.0, self._uptos, self._stock, self._spread
        for look, (free, taken, new) in enumerate(zip(self._frees, self._taken, self._new, strict=True)):
            if uptos:
                total += none_left(stock, uptos[look], self._answers(taken.plus(new, others), others))
                continue
            answered = taken[0] + others * new[0]
            total += at_most(
                0.0,
                stock + free[0] - answered,
                free[1] + taken[1] + others * new[1] + spread * answered * answered,
                free[2] - taken[2] - others * new[2],
            )
        found = self._risks[lines] = total / len(self._new)
        return found

    def guess(self, risk: float) -> int:
        """About how many new lines have this risk, as if normally distributed, by the look that leaves fewest agents."""
        tail = math.sqrt(-2.0 * math.log(min(0.5, 2.0 * risk)))
        # Within a few hundredths (Hastings 1955, Approximations for Digital Computers, sheet 67)
        z = tail - (2.30753 + 0.27061 * tail) / (1.0 + tail * (0.99229 + 0.04481 * tail))
        least = math.inf
        for free, taken, new in zip(self._frees, self._taken, self._new, strict=True):
            if new.mean <= 0.0:
                continue
            left, variance = self._stock + free.mean - taken.mean, free.variance + taken.variance
            lines = 0.0
            for _ in range(3):
                answered = taken.mean + lines * new.mean
                spread = math.sqrt(variance + lines * new.variance + self._spread * answered * answered)
                lines = max(0.0, (left - z * spread) / new.mean)
            least = min(least, lines)
        return max(1, int(least)) if least < math.inf else 1

    def exceeded(self, lines: int, fits: int) -> float:
        """P(more than ``fits`` people find no agent), with ``lines`` new ones, among all in flight: at the look where that
        is most likely. 1 where nobody may be left over, and too little is known to tell."""
        if not fits and not self._known:
            return 1.0
        return max(self._short(look, lines, fits + 1) for look in range(len(self._new)))

    def _answers(self, of: Moments, new: int) -> Moments:
        """Of lines in flight and ``new`` ones. Those of segments that answer unlike vary less than equal ones would, and a
        binomial distribution of their variance ends before they do. Far out no sum of coins is likelier than that of as
        many equal ones (Hoeffding 1956, On the distribution of the number of successes in independent trials)."""
        if not self._unlike or of.mean <= 0.0:
            return of
        return of._replace(variance=of.mean * (1.0 - of.mean / (self._ringing + new)))

    def _short(self, look: int, lines: int, people: int) -> float:
        """P(X <= -people) at one look, with ``lines`` new ones."""
        free, taken = self._frees[look], self._taken[look].plus(self._new[look], lines)
        if self._uptos:
            return none_left(self._stock + people, self._uptos[look], self._answers(taken, lines))
        return at_most(
            -float(people),
            self._stock + free.mean - taken.mean,
            free.variance + taken.variance + self._spread * taken.mean * taken.mean,
            free.third - taken.third,
        )


def _agent_rows(tables: Tables, supply: Supply, now_s: float) -> list[int]:
    rows: list[int] = []
    row_of, oldest = _ROW_OF, float(LONGEST_S)
    for busy, known, found in (
        (supply.talking, tables.talk_at, tables.talking),
        (supply.wrapping, tables.wrap_at, tables.wrapping),
    ):
        for agent, since_s in busy:
            age = now_s - since_s
            at = known.get(agent)
            if at is None:
                at = found(agent)
            rows.append(at + row_of[int(age if 0.0 < age < oldest else 0.0 if age <= 0.0 else oldest)])
    return rows


def _line_rows(
    tables: Tables,
    ringing: tuple[Line, ...],
    statistics: Statistics,
    now_s: float,
    segment: str,
    own: list[Columns],
) -> list[tuple[list[Columns], list[int]]]:
    """Ages in half seconds, by the table of their segment."""
    grouped = []
    for of in sorted(set(map(_SEGMENT, ringing))):
        ages = [int((now_s - dialled_s) / BIN_S) for dialled_s, named in ringing if named == of]
        if min(ages) < 0 or max(ages) > BINS:
            ages = [min(BINS, max(0, age)) for age in ages]
        table = own if of == segment else tables.lines(statistics.answer_rate.rate(now_s, of)[0])[0]
        grouped.append((table, ages))
    return grouped
