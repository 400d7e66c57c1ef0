"""Our pacers, driven as the service drives them: statistics and ledger are told what happens, the pacer decides."""

from __future__ import annotations

import math
from typing import Literal

from acd.dialer import Ledger, Rule
from acd.dialer.durations import Durations
from acd.dialer.pacing import Decision, Pacer
from acd.dialer.statistics import Statistics
from acd.sim.dialing.hall import Hall
from acd.sim.dialing.scene import Scene


class Ours:
    """Learns from nothing: priors are round numbers, the same for every scene."""

    on_events = True

    def __init__(self, scene: Scene, pacer: Pacer) -> None:
        self._pacer = pacer
        self._scene = scene
        self.statistics = Statistics(cap=scene.cap, talk=Durations(120.0), wrap=Durations(20.0))
        span: Literal["day", "campaign"] = "day" if scene.span == "day" else "campaign"
        # What is measured of machine detection has an interval; its upper end is charged
        self.ledger = Ledger((Rule(span, scene.cap),), 0.0, false_positive=1.2 * scene.taken_for_machine)
        self.last: Decision | None = None

    def begin(self, hall: Hall, now_s: float) -> None:
        self.last = None

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        self.last = self._pacer.decide(hall.supply(), self.statistics, self.ledger, now_s)
        return self.last.lines, self.last.look_at_s

    def dialled(self, lines: int) -> None:
        self.ledger.dialled(lines)

    def line_ended(self, now_s: float, ring_s: float, *, person: bool) -> None:
        self.statistics.line_ended(now_s, ring_s, person=person)
        if person:
            self.ledger.answered(now_s)
        else:
            self.ledger.unanswered()

    def served(self, now_s: float) -> None:
        self._steer(now_s)

    def abandoned(self, now_s: float) -> None:
        self.ledger.abandoned(now_s)
        self._steer(now_s)

    def _steer(self, now_s: float) -> None:
        self.statistics.answered(self.ledger.slack(now_s))

    def stage_ended(self, stage: str, agent: str, length_s: float, now_s: float) -> None:
        self.statistics.stage_ended("talk" if stage == "talk" else "wrap", agent, length_s)

    def machine_after_all(self, now_s: float) -> None:
        self.ledger.machine_after_all(now_s)

    @property
    def threshold(self) -> float:
        """The learned part of it."""
        return math.exp(self.statistics.log_threshold)
