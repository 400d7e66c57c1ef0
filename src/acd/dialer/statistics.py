"""All that a campaign has learned and a pacer looks at: answer rates, ring ages, lengths of talk and wrap-up, the threshold.

Curves are *published* now and then, so that what is worked out from them (tables of a few thousand numbers) lasts for a
while. What is published is saved with the rest: after a restart the same supply gets the same decision.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from acd.dialer.durations import Durations
from acd.dialer.ledger import Slack
from acd.dialer.rings import AnswerRate, RingCurve, Rings

Stage = Literal["talk", "wrap"]
PACES: Final = (0.5, 0.63, 0.79, 1.0, 1.26, 1.59, 2.0)
"""How long an agent takes, as a multiple of the campaign's mean: the steps that are told apart."""
USUAL: Final = PACES.index(1.0)
AGENTS_MAX = 5_000
_PACE_MEMORY, _PACE_SHRINK = 80.0, 25.0
_FIRST, _EVERY = 5, 100
"""Observations after which curves are published first, and from then on at the latest."""
_AIM_LEAST, _AIM_GROWTH = 3.0, 0.12
_STEP, _STEP_MOST = 2e-4, 6.0
"""How far one answered call moves the logarithm of the threshold for each abandonment that the slack is off its aim."""
_FIRST_SHARE = 0.6
"""The threshold of a campaign that knows nothing, as a share of its cap."""
THRESHOLD_LEAST, THRESHOLD_MOST = 0.002, 0.9


def aim_of(slack: Slack) -> float:
    """The slack that is aimed at, so that chance seldom uses it up: it wanders as the root of the answers. What is held back
    for people taken for machines is aimed at once more: a threshold that keeps away from the stop costs less than the stop.
    """
    return max(_AIM_LEAST, _AIM_GROWTH * math.sqrt(slack.answered)) + slack.held


@dataclass(slots=True)
class _Pace:
    calls: float = 0.0
    ratio: float = 0.0

    def add(self, ratio: float) -> None:
        left = 1.0 - 1.0 / _PACE_MEMORY
        self.calls, self.ratio = self.calls * left + 1.0, self.ratio * left + ratio

    @property
    def step(self) -> int:
        estimate = (self.ratio + _PACE_SHRINK) / (self.calls + _PACE_SHRINK)
        return min(range(len(PACES)), key=lambda index: abs(math.log(PACES[index] / estimate)))


@dataclass(slots=True)
class Statistics:
    """Of one campaign. Priors come from the operator; what calls say takes over within the first few dozen."""

    cap: float = 0.03
    talk: Durations = field(default_factory=lambda: Durations(120.0))
    wrap: Durations = field(default_factory=lambda: Durations(20.0))
    rings: Rings = field(default_factory=Rings)
    answer_rate: AnswerRate = field(default_factory=AnswerRate)
    log_threshold: float = math.nan
    talk_curve: tuple[float, ...] = ()
    wrap_curve: tuple[float, ...] = ()
    ring_curve: RingCurve | None = None
    published: int = 0
    paces: OrderedDict[str, tuple[_Pace, _Pace]] = field(default_factory=OrderedDict)
    steps: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of agents who differ from the usual: their steps of talk and wrap-up, as published."""
    _due: int = _FIRST
    _since: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.cap < 1:
            raise ValueError(f"the share that may be abandoned must lie between 0 and 1, not {self.cap}")
        if math.isnan(self.log_threshold):
            self.log_threshold = math.log(_FIRST_SHARE * self.cap)
        if self.ring_curve is None:
            self.publish()

    # -- what happens --------------------------------------------------------------------------------------------------

    def line_ended(self, now_s: float, ring_s: float, *, person: bool, segment: str = "") -> None:
        """A line stopped ringing: a person answered, or anything else."""
        self.rings.observe(ring_s, person=person)
        self.answer_rate.observe(now_s, segment, person=person)
        self._noted()

    def stage_ended(self, stage: Stage, agent: str, length_s: float, *, ended: bool = True) -> None:
        """An agent has talked or wrapped up for so long (not ``ended``: was taken out of it)."""
        durations, place = (self.talk, 0) if stage == "talk" else (self.wrap, 1)
        if ended:
            pair = self.paces.get(agent)
            if pair is None:
                pair = self.paces[agent] = (_Pace(), _Pace())
                if len(self.paces) > AGENTS_MAX:
                    self.paces.popitem(last=False)
            pair[place].add(length_s / durations.mean_s if durations.seen >= _EVERY else 1.0)
        durations.observe(length_s, ended=ended)
        self._noted()

    def answered(self, slack: Slack) -> None:
        """A person answered, and the ledger stands so: the threshold moves towards what keeps the slack at its aim. In a
        window that has just begun the slack is low by nature, and tells nothing until somebody is abandoned."""
        aim = aim_of(slack)
        known = round(slack.charged - slack.misjudged)
        if known < 1 and slack.slack < aim:
            return
        moved = self.log_threshold + _STEP * max(-_STEP_MOST, min(_STEP_MOST, slack.slack - aim))
        self.log_threshold = min(math.log(THRESHOLD_MOST), max(math.log(THRESHOLD_LEAST), moved))

    def _noted(self) -> None:
        self._since += 1
        if self._since >= self._due:
            self.publish()

    def publish(self) -> None:
        """Let decisions go by what is known by now."""
        self.talk_curve, self.wrap_curve = self.talk.curve(), self.wrap.curve()
        self.ring_curve = self.rings.curve()
        self.steps = {
            agent: steps
            for agent, (talk, wrap) in self.paces.items()
            if (steps := (talk.step, wrap.step)) != (USUAL, USUAL)
        }
        self.published += 1
        self._since, self._due = 0, min(_EVERY * 4, self._due * 2)

    # -- saved and restored --------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Everything, so that the same decisions follow."""
        ring = self.ring_curve
        assert ring is not None
        return {
            "cap": self.cap,
            "talk": self.talk.as_json(),
            "wrap": self.wrap.as_json(),
            "rings": self.rings.as_json(),
            "answer_rate": self.answer_rate.as_json(),
            "log_threshold": self.log_threshold,
            "talk_curve": self.talk_curve,
            "wrap_curve": self.wrap_curve,
            "ring_curve": [ring.answered, ring.over, ring.looks],
            "published": self.published,
            "paces": [[agent, talk.calls, talk.ratio, wrap.calls, wrap.ratio] for agent, (talk, wrap) in self.paces.items()],
            "steps": self.steps,
            "due": self._due,
            "since": self._since,
        }  # fmt: skip

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Statistics:
        """Of what `as_json` gave. Raises ValueError or KeyError when something is missing or does not fit."""
        answered, over, looks = saved["ring_curve"]
        return cls(
            cap=saved["cap"],
            talk=Durations.from_json(saved["talk"]),
            wrap=Durations.from_json(saved["wrap"]),
            rings=Rings.from_json(saved["rings"]),
            answer_rate=AnswerRate.from_json(saved["answer_rate"]),
            log_threshold=saved["log_threshold"],
            talk_curve=tuple(saved["talk_curve"]),
            wrap_curve=tuple(saved["wrap_curve"]),
            ring_curve=RingCurve(tuple(answered), tuple(over), tuple(looks)),
            published=saved["published"],
            paces=OrderedDict((agent, (_Pace(a, b), _Pace(c, d))) for agent, a, b, c, d in saved["paces"]),
            steps={agent: (steps[0], steps[1]) for agent, steps in saved["steps"].items()},
            _due=saved["due"],
            _since=saved["since"],
        )
