"""The predictive pacer: dial while the next line's risk of finding no agent is below a threshold that the ledger steers.

1. `Forecast` gives the risk of the n-th new line, at five quantiles of the time people take to answer.
2. Lines are placed while risk <= threshold. A line that an agent is held for is always placed; none is ever given up here.
3. The threshold is exp(a) x (slack - 1/2) / (aim - 1/2), twice exp(a) at most. The slack is the ledger's: one abandonment
   lowers it by 1, one answer raises it by the cap, so it is the sum of all steps of the usual stochastic approximation. The
   aim keeps it away from a slack of 1, as a day spent between stop and bursts is worse than an even one; near it lines are
   few, as two people who are abandoned at once there would break the cap. ``a`` is learned, a small step an answer
   (`Statistics.answered`), and holds from window to window.
4. Below 1, where not even one abandonment fits in, the threshold is a fiftieth of the cap: lines that hardly ever cost
   anything, and buy much of what there is to be had beyond progressive dialling.
5. `Slack.allows` stands above all: what is in flight hardly ever costs more than fits into the window, or no line is
   placed without an agent held.
"""

from __future__ import annotations

import math

from acd.dialer.ledger import Ledger, Slack
from acd.dialer.pacing import LOOK_S, Because, Decision, Forecaster, Why, most, within_ledger
from acd.dialer.rings import BIN_S
from acd.dialer.statistics import THRESHOLD_LEAST, THRESHOLD_MOST, Statistics, aim_of
from acd.dialer.supply import Supply
from acd.domain.errors import ConfigurationError

_NONE_LEFT, _STEER_LEAST, _STEER_MOST = 0.5, 0.05, 2.0
RATIO_MOST = 15.0


class Predictive:
    """``grace_s``: how long a person may be kept until an agent is there; ``ratio_most``: lines in flight for each agent."""

    def __init__(self, grace_s: float = 2.0, ratio_most: float = RATIO_MOST) -> None:
        if not 1.0 <= ratio_most <= 50.0:
            raise ConfigurationError(f"a predictive dialler keeps up to 1 to 50 lines an agent, not {ratio_most:g}")
        self._ratio_most = ratio_most
        self._forecaster = Forecaster(grace_s)

    def decide(self, supply: Supply, statistics: Statistics, ledger: Ledger, now_s: float) -> Decision:
        covered = min(supply.covered, supply.most)
        agents = supply.idle + len(supply.talking) + len(supply.wrapping)
        limit = min(supply.most, max(covered, math.floor(self._ratio_most * agents) - len(supply.ringing)))
        slack = ledger.slack(now_s)
        if not agents or limit == 0:
            return Decision(0, math.inf, Why("lines" if agents else "nothing", covered, covered, slack=slack))
        if not slack.allows(0.0):
            return Decision(covered, now_s + LOOK_S, Why("ledger", covered, covered, slack=slack))
        forecast = self._forecaster.forecast(supply, statistics, now_s)
        threshold = threshold_of(statistics, slack)
        guess = forecast.guess(threshold)
        wanted = most(covered, limit, lambda lines: forecast.risk(lines) <= threshold, guess)
        lines = within_ledger(forecast, slack, covered, wanted)
        because: Because = "ledger" if lines < wanted else "lines" if lines == limit else "risk"
        if lines == covered and lines > 0 and because == "risk":
            because = "covered"
        why = Why(
            because,
            covered,
            wanted,
            threshold=threshold,
            risk=forecast.risk(lines) if lines else None,
            next_risk=forecast.risk(lines + 1),
            rate=forecast.rate,
            looks_s=tuple(look * BIN_S for look in self._forecaster.tables(statistics).looks),
            frees=forecast.frees,
            answers=forecast.answers,
            slack=slack,
        )
        return Decision(lines, now_s + LOOK_S, why)


def threshold_of(statistics: Statistics, slack: Slack) -> float:
    """The risk that a line may have, given what the ledger leaves."""
    if not slack.fits:
        return slack.seldom
    steer = (slack.slack - _NONE_LEFT) / (aim_of(slack) - _NONE_LEFT)
    threshold = math.exp(statistics.log_threshold) * min(_STEER_MOST, max(_STEER_LEAST, steer))
    return min(THRESHOLD_MOST, max(THRESHOLD_LEAST, threshold))
