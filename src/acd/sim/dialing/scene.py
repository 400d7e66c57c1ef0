"""What a dialler is tried on: agents, who answers and when, how long they talk, what goes wrong, what is allowed.

Seconds throughout. A scene is data; chance is drawn from it in `acd.sim.dialing.contacts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import field, replace
from typing import Any, Final

from acd.domain.values import valueclass
from acd.sim.chance import Distribution, Exponential, Fixed, LogNormal

DAY_S = 86_400.0
"""From the start of one day to the next."""


@valueclass(frozen=True, slots=True)
class Rings:
    """People answer after ``least_s`` + Gamma(``shape``), ``mean_s`` in all before it is cut at ``most_s``. Of the others
    ``machines`` are taken by a machine between ``machine_from_s`` and ``machine_to_s``; the rest rings for ``most_s``.
    ``memoryless``: all lines end after an exponential time instead, whoever answers."""

    mean_s: float = 12.0
    least_s: float = 3.0
    most_s: float = 25.0
    shape: float = 2.0
    machines: float = 0.25
    machine_from_s: float = 14.0
    machine_to_s: float = 22.0
    memoryless: bool = False


@valueclass(frozen=True, slots=True)
class Delays:
    """What a switch and its controller take, as measured on real calls: ``dial``: from the decision until it rings;
    ``told``: from an answer, or a line's end, until that is known; ``connect``: from an agent's being chosen until the two
    talk; ``over``: from the end of a talk until that is known. ``halts``: (from, to) in which nobody is dialled."""

    dial: Distribution = field(default_factory=lambda: Fixed(0.0))
    told: Distribution = field(default_factory=lambda: Fixed(0.0))
    connect: Distribution = field(default_factory=lambda: Fixed(0.0))
    over: Distribution = field(default_factory=lambda: Fixed(0.0))
    halts: tuple[tuple[float, float], ...] = ()


@valueclass(frozen=True, slots=True)
class Scene:
    """``answer_rate`` holds from the start; ``rate_changes``: (from, times) factors on it, within each day;
    ``rate_swing``: +- this share over ``swing_s``. ``agent_changes``: (from, times) factors on ``agents``. ``pace_spread``:
    the deviation of the logarithm of each agent's own pace. ``taken_for_machine``: people hung up on by machine detection;
    ``taken_for_person``: machines put through. ``lag_s``: every message between dialler and switch takes from..to;
    ``lost``: share of messages lost, found ``found_s`` later. ``days``: counted, after ``warm_days`` that teach.
    ``delays``: in the place of ``lag_s`` and ``lost``. ``from_answer``: people stay for ``talk_s`` from their answer on,
    whether or not an agent has come."""

    name: str
    agents: int
    answer_rate: float
    rings: Rings = field(default_factory=Rings)
    talk: Distribution = field(default_factory=lambda: LogNormal(120.0, 1.0))
    wrap: Distribution = field(default_factory=lambda: LogNormal(30.0, 0.5))
    grace_s: float = 2.0
    cap: float = 0.03
    span: str = "day"
    day_s: float = 8 * 3600.0
    days: int = 1
    warm_days: int = 1
    rate_changes: tuple[tuple[float, float], ...] = ()
    rate_swing: float = 0.0
    swing_s: float = 7200.0
    agent_changes: tuple[tuple[float, float], ...] = ()
    pace_spread: float = 0.0
    taken_for_machine: float = 0.0
    taken_for_person: float = 0.0
    lag_s: tuple[float, float] = (0.0, 0.0)
    lost: float = 0.0
    found_s: float = 5.0
    delays: Delays | None = None
    from_answer: bool = False

    def rate_at(self, at_s: float) -> float:
        """The answer rate at a time of day."""
        rate = self.answer_rate
        for from_s, times in self.rate_changes:
            if at_s >= from_s:
                rate = self.answer_rate * times
        if self.rate_swing:
            rate *= 1.0 + self.rate_swing * math.sin(2.0 * math.pi * at_s / self.swing_s)
        return min(0.99, rate)

    @property
    def gap_s(self) -> float:
        """Decisions are this far apart at least: what happens at nearly one moment is looked at together."""
        return min(0.25, self.agents / 1000.0)


def markov(agents: int, answer_rate: float) -> Scene:
    """R1: everything exponential, for which the optimum is known: service 150 s, ringing a tenth of it, no grace."""
    return Scene(
        f"r1 {agents} {answer_rate:g}",
        agents,
        answer_rate,
        rings=Rings(mean_s=15.0, memoryless=True),
        talk=Exponential(150.0),
        wrap=Fixed(0.0),
        grace_s=0.0,
        span="campaign",
        days=5 if agents < 30 else 2,
    )


def lifelike(agents: int, answer_rate: float) -> Scene:
    """B: as calls are."""
    return Scene(f"b {agents} {answer_rate:g}", agents, answer_rate, days=2 if agents < 30 else 1)


def _varied(name: str, **changes: Any) -> Callable[[int, float], Scene]:
    def made(agents: int, answer_rate: float) -> Scene:
        return replace(lifelike(agents, answer_rate), name=f"{name} {agents} {answer_rate:g}", **changes)

    return made


#: Case: (what it is, how it is made for some agents and an answer rate).
CASES: Final[dict[str, tuple[str, Callable[[int, float], Scene]]]] = {
    "r1": ("everything exponential: the optimum is known", markov),
    "b": ("as calls are", lifelike),
    "swing": ("the answer rate swings by 30 % up and down in two hours", _varied("swing", rate_swing=0.3)),
    "step": ("the answer rate doubles at noon", _varied("step", rate_changes=((0.0, 0.7), (14_400.0, 1.4)))),
    "shift": (
        "three in ten agents leave, and come back",
        _varied("shift", agent_changes=((7_200.0, 0.7), (14_400.0, 1.0), (21_600.0, 1.3))),
    ),
    "ring8": ("people answer after 8 s", _varied("ring8", rings=Rings(mean_s=8.0))),
    "ring20": ("people answer after 20 s, within 40", _varied("ring20", rings=Rings(mean_s=20.0, most_s=40.0))),
    "even": ("talk times vary little (CV 0.3)", _varied("even", talk=LogNormal(120.0, 0.3))),
    "uneven": ("talk times vary much (CV 2)", _varied("uneven", talk=LogNormal(120.0, 2.0))),
    "brief": (
        "short calls: 30 s of talk, 10 s of wrap-up",
        _varied("brief", talk=LogNormal(30.0, 1.0), wrap=LogNormal(10.0, 0.5)),
    ),
    "fp1": ("machine detection hangs up on 1 % of people", _varied("fp1", taken_for_machine=0.01)),
    "fp3": ("machine detection hangs up on 3 % of people", _varied("fp3", taken_for_machine=0.03)),
    "fn5": ("machine detection puts 5 % of machines through", _varied("fn5", taken_for_person=0.05)),
    "fn20": ("machine detection puts 20 % of machines through", _varied("fn20", taken_for_person=0.2)),
    "cap1": ("1 % may be abandoned", _varied("cap1", cap=0.01)),
    "cap5": ("5 % may be abandoned", _varied("cap5", cap=0.05)),
    "cold": ("the first day of a campaign: nothing is known", _varied("cold", warm_days=0)),
    "paces": ("agents differ: each takes a pace of his own (deviation 30 %)", _varied("paces", pace_spread=0.3)),
    "lag": ("every message takes 0.5 to 2 s", _varied("lag", lag_s=(0.5, 2.0))),
    "lost": ("2 messages in 1,000 are lost and found 5 s later", _varied("lost", lost=0.002)),
}  # fmt: skip
