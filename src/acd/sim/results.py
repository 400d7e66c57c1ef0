"""From what was taken down to figures with confidence intervals, for all callers, a stream, a queue, a group of agents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from acd.domain.values import valueclass
from acd.sim.book import AgentRow, CallRow, Fate, Look
from acd.sim.estimates import Estimate, gini, lag, percentile, ratio

CONFIDENCE = 0.95
MEASURES: tuple[tuple[str, str], ...] = (
    ("answered", "share of callers answered"),
    ("abandoned", "share of callers who gave up"),
    ("blocked", "share of callers turned away at once: no line, queue or waiting room full, queue closed"),
    ("sent_away", "share of callers sent elsewhere after they had waited"),
    ("waited", "share of callers who had to wait, or whose first offer failed"),
    ("wait_s", "mean wait of those let in, answered or not"),
    ("delayed_s", "mean wait of those who had to wait"),
    ("asa_s", "mean speed of answer: wait of those answered"),
    ("service_level", "answered within the queue's service_level / (answered + given up)"),
)
"""Names of a line's figures and what they are."""

_RATIOS = {
    "answered": ("answered", "callers"),
    "abandoned": ("abandoned", "callers"),
    "blocked": ("blocked", "callers"),
    "sent_away": ("sent_away", "callers"),
    "waited": ("waited", "callers"),
    "wait_s": ("wait_sum", "let_in"),
    "delayed_s": ("delayed_sum", "waited"),
    "asa_s": ("asa_sum", "answered"),
    "service_level": ("in_time", "judged"),
}
_SUMS = (
    *("callers", "answered", "abandoned", "blocked", "sent_away", "waited", "let_in", "judged", "in_time"),
    *("wait_sum", "delayed_sum", "asa_sum"),
)


class Tally:
    """Sums over the callers of each batch."""

    def __init__(self, batches: int) -> None:
        self.sums: dict[str, list[float]] = {name: [0.0] * batches for name in _SUMS}
        self.waits_s: list[float] = []
        self.stuck = 0

    def add(self, row: CallRow, batch: int) -> None:
        """Take in one caller."""
        sums, fate = self.sums, row.fate
        sums["callers"][batch] += 1
        if fate in (Fate.BLOCKED, Fate.REFUSED):
            sums["blocked"][batch] += 1
            return
        sums["let_in"][batch] += 1
        sums["wait_sum"][batch] += row.wait_s
        self.waits_s.append(row.wait_s)
        if row.held:
            sums["waited"][batch] += 1
            sums["delayed_sum"][batch] += row.wait_s
        if fate is Fate.ANSWERED:
            sums["answered"][batch] += 1
            sums["asa_sum"][batch] += row.wait_s
            sums["judged"][batch] += 1
            sums["in_time"][batch] += row.in_time
        elif fate is Fate.ABANDONED:
            sums["abandoned"][batch] += 1
            sums["judged"][batch] += 1
        elif fate is Fate.SENT_AWAY:
            sums["sent_away"][batch] += 1
        else:
            self.stuck += 1

    def line(self, confidence: float, luck_s: Sequence[float]) -> Line:
        """The figures. ``luck_s``: the work that came in each batch beyond what was to be expected."""
        figures, adjusted = {}, {}
        for name, (above, below) in _RATIOS.items():
            plain = ratio(self.sums[above], self.sums[below], confidence)
            without = ratio(self.sums[above], self.sums[below], confidence, luck_s)
            if plain is not None and without is not None:
                figures[name], adjusted[name] = plain, without
        ordered = sorted(self.waits_s)
        return Line(
            callers=int(sum(self.sums["callers"])),
            stuck=self.stuck,
            figures=figures,
            adjusted=adjusted,
            wait_p50_s=percentile(ordered, 50),
            wait_p90_s=percentile(ordered, 90),
            wait_p99_s=percentile(ordered, 99),
            longest_s=ordered[-1] if ordered else None,
            lag=lag(self.sums["wait_sum"], self.sums["let_in"]),
        )


@valueclass(frozen=True, slots=True)
class Line:
    """What callers met. ``figures`` are named in ``MEASURES``; percentiles are of the waits of those let in.

    ``adjusted``: the same figures without the luck of the draw, the better estimates of the long run; ``figures`` are what
    happened to these very callers.
    ``lag``: how much a batch's wait depends on the batch before; far above 0, the intervals are too narrow.
    """

    callers: int
    stuck: int
    figures: dict[str, Estimate]
    adjusted: dict[str, Estimate]
    wait_p50_s: float | None
    wait_p90_s: float | None
    wait_p99_s: float | None
    longest_s: float | None
    lag: float | None

    def as_json(self) -> dict[str, Any]:
        """``{"callers", "stuck", figure: {"value", "half_width"}..., "wait_p50_s"..., "lag", "adjusted": {figure: ...}}``.

        A figure that nothing can be said of (the wait of those who waited, if nobody did) is None.
        """
        found: dict[str, Any] = {"callers": self.callers, "stuck": self.stuck}
        found |= {name: _figure(self.figures.get(name)) for name, _ in MEASURES}
        for name in ("wait_p50_s", "wait_p90_s", "wait_p99_s", "longest_s", "lag"):
            found[name] = _rounded(getattr(self, name))
        found["adjusted"] = {name: _figure(self.adjusted.get(name)) for name, _ in MEASURES}
        return found


@valueclass(frozen=True, slots=True)
class GroupLine:
    """How a group's agents were occupied: share of their time logged in and not paused, ringing, talking or wrapping up."""

    agents: int
    calls: int
    occupancy: Estimate | None
    adjusted: Estimate | None
    least: float | None
    most: float | None
    gini: float

    def as_json(self) -> dict[str, Any]:
        """``{"agents", "calls", "occupancy": {"value", "half_width"}, "adjusted": ..., "least", "most", "gini"}``."""
        return {
            "agents": self.agents,
            "calls": self.calls,
            "occupancy": _figure(self.occupancy),
            "adjusted": _figure(self.adjusted),
            "least": _rounded(self.least),
            "most": _rounded(self.most),
            "gini": _rounded(self.gini),
        }


def group_line(rows: Sequence[Sequence[AgentRow]], confidence: float, luck_s: Sequence[float]) -> GroupLine:
    """The figures of one group; ``rows`` holds its agents in each replication, in the same order."""
    work: list[float] = []
    present: list[float] = []
    for agents in rows:
        batches = len(agents[0].work_s) if agents else 0
        work += [sum(agent.work_s[batch] for agent in agents) for batch in range(batches)]
        present += [sum(agent.present_s[batch] for agent in agents) for batch in range(batches)]
    shares = []
    for same in zip(*rows, strict=True):
        there_s = sum(sum(agent.present_s) for agent in same)
        if there_s > 0:
            shares.append(sum(sum(agent.work_s) for agent in same) / there_s)
    return GroupLine(
        agents=len(rows[0]) if rows else 0,
        calls=sum(agent.calls for agents in rows for agent in agents),
        occupancy=ratio(work, present, confidence),
        adjusted=ratio(work, present, confidence, luck_s),
        least=min(shares, default=None),
        most=max(shares, default=None),
        gini=gini(shares),
    )


@valueclass(frozen=True, slots=True)
class Results:
    """What ``simulate`` found. ``digest`` stands for every command of every replication, in order and with its time."""

    scenario: str
    description: str
    revision: str
    seed: int
    replications: int
    batches: int
    length_s: float
    warm_up_s: float
    confidence: float
    digest: str
    digests: tuple[str, ...]
    calls: int
    events: int
    total: Line
    callers: dict[str, Line]
    queues: dict[str, Line]
    groups: dict[str, GroupLine]
    drift: Counter[str]
    alarms: Counter[str]
    looks: tuple[Look, ...] = ()
    waits_s: tuple[float, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Everything but the columns behind the pictures; the shapes are in docs/simulation.md."""
        return {
            "scenario": self.scenario,
            "description": self.description,
            "revision": self.revision,
            "seed": self.seed,
            "replications": self.replications,
            "batches": self.batches,
            "length_s": self.length_s,
            "warm_up_s": self.warm_up_s,
            "confidence": self.confidence,
            "digest": self.digest,
            "digests": list(self.digests),
            "calls": self.calls,
            "events": self.events,
            "total": self.total.as_json(),
            "callers": {name: line.as_json() for name, line in self.callers.items()},
            "queues": {name: line.as_json() for name, line in self.queues.items()},
            "agents": {name: line.as_json() for name, line in self.groups.items()},
            "drift": dict(self.drift),
            "alarms": dict(self.alarms),
        }


def _figure(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {"value": _rounded(estimate.value), "half_width": _rounded(estimate.half_width)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
