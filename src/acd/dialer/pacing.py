"""Pacers: how many lines to place now, and when to look again. Pure: supply, statistics, ledger and time in, a decision out.

A line that an agent is held for can always be placed. What goes beyond is over-dialling, and only while the ledger has
room for what is in flight. Preview dials what agents accept; progressive one line an idle agent; power a fixed ratio.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal, Protocol

from acd.dialer.forecast import Forecast, Tables
from acd.dialer.ledger import Ledger, Slack
from acd.dialer.statistics import Statistics
from acd.dialer.supply import Supply
from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

Because = Literal["pulled", "covered", "ratio", "risk", "ledger", "lines", "nothing"]
LOOK_S = 0.5
"""How soon a decision is looked at again when nothing happens."""


@valueclass(frozen=True, slots=True)
class Why:
    """The numbers that led to a decision. ``because``: what set the number of lines: contacts pulled by agents, agents held
    for each line, the ratio, the risk of the next line against the threshold, the ledger, the lines there are, or nothing
    to dial for.

    ``risk``: that the last line placed finds no agent if a person answers it; ``next_risk``: of one more. ``frees`` and
    ``answers``: agents expected free and people expected to answer by each look ahead (``looks_s``)."""

    because: Because
    covered: int
    wanted: int
    threshold: float | None = None
    risk: float | None = None
    next_risk: float | None = None
    rate: float | None = None
    looks_s: tuple[float, ...] = ()
    frees: tuple[float, ...] = ()
    answers: tuple[float, ...] = ()
    slack: Slack | None = None

    def as_json(self) -> dict[str, Any]:
        """For explanations."""
        return asdict(self)


@valueclass(frozen=True, slots=True)
class Decision:
    """``lines`` to place now; unless something happens before, look again at ``look_at_s``."""

    lines: int
    look_at_s: float
    why: Why


class Pacer(Protocol):
    """One dial mode."""

    def decide(self, supply: Supply, statistics: Statistics, ledger: Ledger, now_s: float) -> Decision: ...


@valueclass(frozen=True, slots=True)
class Preview:
    """Dials the contacts that agents have looked at and accepted."""

    def decide(self, supply: Supply, statistics: Statistics, ledger: Ledger, now_s: float) -> Decision:
        lines = min(supply.pulled, supply.most)
        because: Because = "nothing" if not supply.pulled else "pulled" if lines == supply.pulled else "lines"
        return Decision(lines, math.inf, Why(because, supply.pulled, supply.pulled))


@valueclass(frozen=True, slots=True)
class Progressive:
    """One line for each idle agent: nobody is ever abandoned for want of one."""

    def decide(self, supply: Supply, statistics: Statistics, ledger: Ledger, now_s: float) -> Decision:
        lines = min(supply.covered, supply.most)
        because: Because = "nothing" if not supply.covered else "covered" if lines == supply.covered else "lines"
        return Decision(lines, math.inf, Why(because, supply.covered, supply.covered))


class Power:
    """A fixed number of lines for each idle agent; back to one when the ledger has no room."""

    def __init__(self, ratio: float, grace_s: float = 2.0) -> None:
        if not 1.0 <= ratio <= 20.0:
            raise ConfigurationError(f"a power dialler places 1 to 20 lines for each idle agent, not {ratio:g}")
        self.ratio = ratio
        self._forecaster = Forecaster(grace_s)

    def decide(self, supply: Supply, statistics: Statistics, ledger: Ledger, now_s: float) -> Decision:
        covered = supply.covered
        free = max(0, supply.idle - supply.waiting)
        wanted = max(covered, math.floor(self.ratio * free + 1e-9) - len(supply.ringing))
        if wanted <= covered:
            because: Because = "covered" if covered else "nothing"
            return _decision(wanted, supply, now_s, Why(because, covered, wanted))
        forecast = self._forecaster.forecast(supply, statistics, now_s)
        slack = ledger.slack(now_s)
        lines = within_ledger(forecast, slack, covered, wanted)
        return _decision(
            lines, supply, now_s, Why("ratio" if lines == wanted else "ledger", covered, wanted, slack=slack)
        )


class Forecaster:
    """Forecasts with tables that last until statistics are published anew. The tables are a cache and nothing more."""

    def __init__(self, grace_s: float) -> None:
        if not 0.0 <= grace_s <= 30.0:
            raise ConfigurationError(f"a person may be kept for 0 to 30 s until an agent is there, not {grace_s:g} s")
        self._grace_s = grace_s
        self._tables: Tables | None = None
        self._of: Statistics | None = None

    def forecast(self, supply: Supply, statistics: Statistics, now_s: float) -> Forecast:
        """Of ``supply``."""
        return Forecast(self.tables(statistics), supply, statistics, now_s)

    def tables(self, statistics: Statistics) -> Tables:
        """In force for what is published."""
        tables = self._tables
        if tables is None or self._of is not statistics or tables.published != statistics.published:
            tables = self._tables = Tables(statistics, self._grace_s)
            self._of = statistics
        return tables


def within_ledger(forecast: Forecast, slack: Slack, covered: int, wanted: int) -> int:
    """The most lines, ``covered`` at least and ``wanted`` at most, that the slack allows to be in flight."""
    if wanted > covered and slack.allows(forecast.exceeded(wanted, slack.fits)):
        return wanted
    return most(covered, wanted, lambda lines: slack.allows(forecast.exceeded(lines, slack.fits)))


def most(least: int, limit: int, allowed: Callable[[int], bool], guess: int | None = None) -> int:
    """The greatest number up to ``limit`` that is allowed, if fewer always are when more are; else ``least``. ``guess``:
    where to begin to look, which saves questions when it is near."""
    if limit <= least:
        return least
    low, high = least, limit + 1
    tried = least + 1 if guess is None else min(limit, max(least + 1, guess))
    step = 1
    if allowed(tried):
        low = tried
        while low < limit:
            tried = min(limit, low + step)
            if not allowed(tried):
                high = tried
                break
            low, step = tried, step * 2
    else:
        high = tried
        while high > least + 1:
            tried = max(least + 1, high - step)
            if allowed(tried):
                low = tried
                break
            high, step = tried, step * 2
    while high - low > 1:
        middle = (low + high) // 2
        if allowed(middle):
            low = middle
        else:
            high = middle
    return low


def _decision(lines: int, supply: Supply, now_s: float, why: Why) -> Decision:
    """With no more lines than there are."""
    if lines <= supply.most:
        return Decision(lines, now_s + LOOK_S, why)
    limited = asdict(why) | {"because": "lines", "slack": why.slack}
    return Decision(supply.most, now_s + LOOK_S, Why(**limited))
