"""The suite that judges pacing: which cells, which contenders, and what came of it against the targets.

A cell is a case at a number of agents and an answer rate. Every contender runs every seed of a cell; a run is a pure
function of cell, contender and seed, so runs can be spread over processes by whoever calls this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any, Final

from acd.dialer.predictive import Predictive
from acd.domain.values import valueclass
from acd.sim.dialing.baselines import Blind, Filled, Issabel, Limit, Steady, Vicidial
from acd.sim.dialing.bound import limit, progressive
from acd.sim.dialing.hall import Day, Dialler, Hall
from acd.sim.dialing.ours import Ours
from acd.sim.dialing.scene import CASES, Scene
from acd.sim.estimates import Estimate, ratio

OURS: Final = "predictive"
PROGRESSIVE: Final = "progressive"
EXACT: Final = "exact"
CONFIDENCE: Final = 0.95
LENIENT: Final = 0.0005
"""A baseline keeps the cap on average if it is no more than this above it over all days; ours must keep it every day."""
LIMIT_AGENTS_MAX: Final = 100
"""Up to here the exact limit is worked out."""
_RATIOS: Final = (1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 4.0, 5.0)
_VICIDIAL: Final = ("hard 1.5", "hard 2", "hard 3", "hard 6", "average 3", "tapered 3")
#: What a dialler that knew all distributions and kept the cap on average had: 97 % of it are accepted.
REFERENCE: Final[Mapping[tuple[int, float], float]] = {
    (5, 0.3): 0.797, (10, 0.3): 0.842, (30, 0.3): 0.913, (100, 0.3): 0.962, (300, 0.3): 0.987,
    (5, 0.15): 0.753, (30, 0.15): 0.907, (100, 0.15): 0.960, (10, 0.6): 0.882, (100, 0.6): 0.967,
}  # fmt: skip
ACCEPTED: Final = 0.97


@valueclass(frozen=True, slots=True)
class Cell:
    """One case at one size."""

    case: str
    agents: int
    answer_rate: float

    @property
    def scene(self) -> Scene:
        """What is tried."""
        return CASES[self.case][1](self.agents, self.answer_rate)


@valueclass(frozen=True, slots=True)
class Run:
    """One contender in one cell with one seed."""

    cell: Cell
    contender: str
    seed: int

    def days(self) -> list[Day]:
        """Run it. Contenders that learn begin with the days that teach."""
        scene = self.cell.scene
        hall = Hall(scene, self.seed, 0, dialler(self.contender, scene))
        first = 0 if learns(self.contender) else scene.warm_days
        return [hall.run(number) for number in range(first, scene.warm_days + scene.days)]


def learns(contender: str) -> bool:
    """Whether a contender gets days to learn from."""
    return contender == OURS or contender.startswith("issabel")


def dialler(contender: str, scene: Scene) -> Dialler:
    """A fresh one by its name, such as ``ratio 2.5`` or ``vicidial hard 3``."""
    kind, *settings = contender.split()
    if kind == OURS:
        return Ours(scene, Predictive(scene.grace_s))
    if kind == PROGRESSIVE:
        return Steady(1.0)
    if kind == "ratio":
        return Steady(float(settings[0]))
    if kind == "vicidial":
        way: Limit = "hard" if settings[0] == "hard" else "average" if settings[0] == "average" else "tapered"
        return Vicidial(scene, float(settings[1]), way)
    if kind == "issabel":
        return Issabel(scene, overcommit="overcommit" in settings)
    if kind == "blind":
        return Blind(scene)
    if kind == EXACT:
        return Filled(limit(scene.agents, scene.answer_rate, cap=scene.cap).fill)
    raise ValueError(f"there is no dialler named {contender!r}")


def contenders(cell: Cell) -> list[str]:
    """Who runs in a cell: every setting of the others in every cell, as they cost next to nothing beside ours."""
    found = [OURS, PROGRESSIVE]
    found += [f"ratio {value:g}" for value in _RATIOS]
    found += [f"vicidial {settings}" for settings in _VICIDIAL]
    found += ["issabel", "issabel overcommit", "blind"]
    if cell.case == "r1" and cell.agents <= LIMIT_AGENTS_MAX:
        found.append(EXACT)
    return found


def short_form(cases: Iterable[str]) -> list[Cell]:
    """At most 30 agents."""
    cells = []
    for case in cases:
        sizes = (5, 10, 30) if case in ("r1", "b") else (10,)
        rates = (0.15, 0.3, 0.6) if case == "b" else (0.3,)
        cells += [Cell(case, agents, rate) for rate in rates for agents in sizes]
    return cells


def long_form(cases: Iterable[str]) -> list[Cell]:
    """Everything."""
    return [Cell(case, agents, rate) for case in cases for rate in (0.15, 0.3, 0.6) for agents in (5, 10, 30, 100, 300)]


@valueclass(frozen=True, slots=True)
class Figures:
    """Of one contender in one cell. ``worst_day``: the highest abandonment at the end of any day of any seed, days that
    teach included; ``days`` of all seeds, ``above``: those that ended above the cap, ``misjudged``: those of them on which
    nobody was abandoned but people whom machine detection hung up on."""

    contender: str
    utilisation: Estimate
    abandonment: Estimate
    worst_day: float
    days: int
    above: int
    misjudged: int
    dials_per_contact: float
    decisions: int

    def as_json(self) -> dict[str, Any]:
        """For results.json."""
        return asdict(self)


def figures(
    contender: str, runs: Sequence[Sequence[Day]], warm_days: int, cap: float, *, running: bool = False
) -> Figures:
    """Of the days of each seed; the first ``warm_days`` of each count for the ``cap`` alone. ``running``: the window goes on
    from day to day, so what counts at the end of a day is all until then."""
    every = [day for run in runs for day in run]
    counted = [day for run in runs for day in run[warm_days:]]
    utilisation = ratio([day.busy_s for day in counted], [day.staffed_s for day in counted], CONFIDENCE)
    abandonment = ratio([day.abandoned for day in counted], [day.answered for day in counted], CONFIDENCE)
    if utilisation is None:
        raise ValueError(f"{contender}: no agent was ever logged in")
    ends = [end for run in runs for end in _ends(run, running)]
    above = [end for end in ends if end.abandonment > cap]
    return Figures(
        contender,
        utilisation,
        abandonment or Estimate(0.0, None),
        max((end.abandonment for end in ends), default=0.0),
        len(ends),
        len(above),
        sum(end.abandoned == end.misjudged for end in above),
        sum(day.dialled for day in counted) / max(1, sum(day.answered for day in counted)),
        sum(day.decisions for day in every),
    )


def _ends(run: Sequence[Day], running: bool) -> list[Day]:
    """What the window has counted at the end of each day."""
    if not running:
        return list(run)
    counts = [(day.answered, day.abandoned, day.misjudged) for day in run]
    sums = accumulate(counts, lambda one, more: (one[0] + more[0], one[1] + more[1], one[2] + more[2]))
    return [Day(answered=answered, abandoned=abandoned, misjudged=misjudged) for answered, abandoned, misjudged in sums]


@valueclass(frozen=True, slots=True)
class Rival:
    """The best of the others by one rule, at the setting that does best in hindsight. ``ahead``: our utilisation less its,
    day by day under the same chance. ``complies``: false where nobody keeps the rule, and this is progressive dialling."""

    figures: Figures
    ahead: Estimate
    complies: bool

    def as_json(self) -> dict[str, Any]:
        """For results.json."""
        return {**self.figures.as_json(), "ahead": asdict(self.ahead), "complies": self.complies}


@valueclass(frozen=True, slots=True)
class Verdict:
    """One cell. ``daily``: the best of the others that keeps the cap at the end of every day of every seed, as ours has
    to: the one to beat. ``average``: the best that keeps it on average. ``limit``: exact, of r1. ``gain``: which part of the
    way from progressive to the limit we come. ``target``: utilisation to be had, where one is set."""

    cell: Cell
    ours: Figures
    progressive: Figures
    daily: Rival
    average: Rival
    others: tuple[Figures, ...]
    limit: float | None
    gain: float | None
    target: float | None

    @property
    def keeps_cap(self) -> bool:
        """At the end of every day of every seed; but what machine detection does alone is beyond a dialler's power."""
        return self.ours.above == self.ours.misjudged

    @property
    def leads(self) -> bool:
        """Whether ours does more than everybody who keeps the cap each day, if anybody does."""
        return self.daily.ahead.value > 0 or not self.daily.complies

    @property
    def met(self) -> bool | None:
        """Whether the target is reached, as far as the interval tells; None without one."""
        return None if self.target is None else self.ours.utilisation.high >= self.target

    def as_json(self) -> dict[str, Any]:
        """For results.json."""
        return {
            "case": self.cell.case,
            "agents": self.cell.agents,
            "answer_rate": self.cell.answer_rate,
            "cap": self.cell.scene.cap,
            "ours": self.ours.as_json(),
            "progressive": self.progressive.as_json(),
            "best_daily": self.daily.as_json(),
            "best_average": self.average.as_json(),
            "limit": self.limit,
            "gain": self.gain,
            "target": self.target,
            "met": self.met,
            "keeps_cap": self.keeps_cap,
            "leads": self.leads,
            "others": [other.as_json() for other in self.others],
        }


def judge(cell: Cell, days: Mapping[str, Sequence[Sequence[Day]]]) -> Verdict:
    """Of the days of every contender: for each seed, all that it ran."""
    scene = cell.scene
    running = scene.span != "day"
    found = {
        name: figures(name, runs, scene.warm_days if learns(name) else 0, scene.cap, running=running)
        for name, runs in days.items()
    }
    ours, plain = found[OURS], found[PROGRESSIVE]
    rivals = [f for name, f in found.items() if name not in (OURS, EXACT)]

    def best(kept: Sequence[Figures]) -> Rival:
        of = max(kept or [plain], key=lambda f: f.utilisation.value)
        ahead = _ahead(scene, days[OURS], days[of.contender], learns(of.contender))
        return Rival(of, ahead, bool(kept))

    exact = target = gain = None
    if cell.case == "r1":
        if cell.agents <= LIMIT_AGENTS_MAX:
            exact = limit(cell.agents, cell.answer_rate, cap=scene.cap).utilisation
            base = progressive(cell.answer_rate, 0.1)
            gain = (ours.utilisation.value - base) / (exact - base)
            target = exact * (0.99 if cell.agents >= 10 else 0.97)
    elif cell.case == "b" and (cell.agents, cell.answer_rate) in REFERENCE:
        target = ACCEPTED * REFERENCE[cell.agents, cell.answer_rate]
    return Verdict(
        cell,
        ours,
        plain,
        best([f for f in rivals if not f.above]),
        best([f for f in rivals if f.abandonment.value <= scene.cap + LENIENT]),
        tuple(found[name] for name in days if name != OURS),
        exact,
        gain,
        target,
    )


def _ahead(scene: Scene, ours: Sequence[Sequence[Day]], theirs: Sequence[Sequence[Day]], taught: bool) -> Estimate:
    """Paired: the same day of the same seed."""
    mine = [day for run in ours for day in run[scene.warm_days :]]
    other = [day for run in theirs for day in run[scene.warm_days if taught else 0 :]]
    more = [a.utilisation - b.utilisation for a, b in zip(mine, other, strict=True)]
    return ratio(more, [1.0] * len(more), CONFIDENCE) or Estimate(math.nan, None)
