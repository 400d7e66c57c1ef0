"""The simulator's word on the very same campaign, and the two side by side.

The simulated hall meets the people whom the real campaign dialled, in its order, with what they would do; its pacer is the
service's own, knows nothing at first as that did, and everything takes what it was measured to take. So what is left to
chance are the delays: figures of different draws of them differ by tenths of a point (``deviation``), where other people
would differ by points. Three points between real and simulated are then no chance.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, Final

from acd.dialer.predictive import Predictive
from acd.domain.values import valueclass
from acd.lab.customer_words import Chooser, Reaction
from acd.lab.judged.plan import JudgePlan
from acd.lab.judged.real import Real
from acd.lab.sipp_results import percentile
from acd.sim.chance import Distribution, Fixed, Sample
from acd.sim.dialing.contacts import NOBODY, PERSON, Contact, Given
from acd.sim.dialing.hall import Day, Hall
from acd.sim.dialing.ours import Ours
from acd.sim.dialing.scene import Delays, Scene

TOLERANCE: Final = 0.03
"""How far real calls and the simulator may be apart: in utilisation, and in abandonment."""


@valueclass(frozen=True, slots=True)
class Predicted:
    """Of several runs: the mean, and the deviation of a single one."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Predicted:
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan)


@valueclass(frozen=True, slots=True)
class Verdict:
    """Both sides."""

    plan: JudgePlan
    real: Real
    utilisation: Predicted
    abandonment: Predicted
    dials_per_answer: Predicted

    @property
    def faults(self) -> list[str]:
        """What speaks against the dialler, a sentence each."""
        real = self.real
        found = [*real.breaches]
        for name, mine, theirs in (
            ("utilisation", real.utilisation, self.utilisation),
            ("abandonment", real.abandonment, self.abandonment),
        ):
            if abs(mine - theirs.mean) > TOLERANCE:
                found.append(f"{name} is {mine:.1%} on real calls, {theirs.mean:.1%} in the simulator")
        if real.charged > max(1.0, self.plan.cap * real.answered):
            found.append(f"{real.charged:g} of {real.answered:g} were abandoned, the cap is {self.plan.cap:.1%}")
        if not real.answered:
            found.append("nobody has answered")
        return found

    def table(self) -> list[tuple[str, str, str]]:
        """``(what, real calls, simulator)``."""
        real = self.real

        def both(name: str, mine: float, theirs: Predicted, form: str) -> tuple[str, str, str]:
            return name, format(mine, form), f"{format(theirs.mean, form)} ±{format(theirs.deviation, form)}"

        ms = self.connected_ms
        return [
            both("utilisation", real.utilisation, self.utilisation, ".2%"),
            both("abandoned", real.abandonment, self.abandonment, ".2%"),
            both("dialled for one who answers", self.dialled_for_one, self.dials_per_answer, ".3f"),
            ("answered", f"{real.answered:g}", ""),
            ("dialled", f"{len(real.dialled)}", ""),
            ("answer to agent, p50 / p99, ms", f"{ms[50]:.0f} / {ms[99]:.0f}", ""),
            (
                "agent chosen to talk, p50 / p99, ms",
                " / ".join(_ms(real.connect_s, p) for p in (50, 99)),
                "measured ones",
            ),
            ("decision to ring, p50 / p99, ms", " / ".join(_ms(real.dial_s, p) for p in (50, 99)), "measured ones"),
            ("held up by the machine, s", f"{sum(to - since for since, to in real.halts):.1f}", "as measured"),
            ("dialled outside the rules", f"{len(real.breaches)}", ""),
        ]

    @property
    def dialled_for_one(self) -> float:
        """Lines for each person who answers."""
        return len(self.real.dialled) / max(1.0, self.real.answered)

    @property
    def connected_ms(self) -> dict[int, float]:
        """Percentiles of the time from a person's answer until an agent talks to him."""
        return {p: (percentile(self.real.connected_s, p) or 0.0) * 1000 for p in (50, 90, 99)}

    def as_json(self) -> dict[str, Any]:
        """Flat: figures of both sides."""
        real, ms = self.real, self.connected_ms
        return {
            "agents": self.plan.agents,
            "length_s": self.plan.length_s,
            "cap": self.plan.cap,
            "utilisation": real.utilisation,
            "utilisation_simulated": self.utilisation.mean,
            "utilisation_deviation": self.utilisation.deviation,
            "abandonment": real.abandonment,
            "abandonment_simulated": self.abandonment.mean,
            "abandonment_deviation": self.abandonment.deviation,
            "dialled_for_one": self.dialled_for_one,
            "dialled_for_one_simulated": self.dials_per_answer.mean,
            "dialled": len(real.dialled),
            "answered": real.answered,
            "charged": real.charged,
            "connected_p50_ms": ms[50],
            "connected_p90_ms": ms[90],
            "connected_p99_ms": ms[99],
            "chosen_p50_ms": (percentile(real.connect_s, 50) or 0.0) * 1000,
            "chosen_p99_ms": (percentile(real.connect_s, 99) or 0.0) * 1000,
            "dial_p50_ms": (percentile(real.dial_s, 50) or 0.0) * 1000,
            "dial_p99_ms": (percentile(real.dial_s, 99) or 0.0) * 1000,
            "halted_s": sum(to - since for since, to in real.halts),
            "outcomes": real.outcomes,
            "breaches": real.breaches[:20],
            "faults": self.faults[:20],
        }


def judge(plan: JudgePlan, real: Real) -> Verdict:
    """Simulate the same, ``plan.replications`` times."""
    days = [simulated(plan, real, number) for number in range(plan.replications)]
    return Verdict(
        plan,
        real,
        Predicted.of([day.utilisation for day in days]),
        Predicted.of([day.abandonment for day in days]),
        Predicted.of([day.dialled / max(1, day.answered) for day in days]),
    )


def simulated(plan: JudgePlan, real: Real, replication: int) -> Day:
    """One run: the same people in the same order, delays drawn from those measured."""
    scene = Scene(
        "judged",
        plan.agents,
        0.5,
        grace_s=plan.connect_s,
        cap=plan.cap,
        span="campaign",
        day_s=plan.length_s,
        warm_days=0,
        delays=Delays(
            _drawn(real.dial_s), _drawn(real.told_s), _drawn(real.connect_s), _drawn(real.over_s), tuple(real.halts)
        ),
        from_answer=True,
    )
    chooser = plan.chooser()
    met = [contact_of(chooser.reaction(number), plan) for number in real.dialled]
    source = Given(met, _more(plan, chooser, set(real.dialled)))
    return Hall(scene, plan.seed, replication, Ours(scene, Predictive(plan.connect_s)), lambda _day: source).run(0)


def contact_of(reaction: Reaction, plan: JudgePlan) -> Contact:
    """What the simulator needs to know of a customer. A machine is a person to a dialler that does not listen."""
    if reaction.behaviour.answers:
        talk_s = math.inf if reaction.talk_s is None else reaction.talk_s
        return Contact(PERSON, reaction.after_s, talk_s, plan.wrap_s)
    return Contact(NOBODY, plan.ring_s if reaction.behaviour.code is None else reaction.after_s)


class _more:
    """People on the list who were not dialled on real calls."""

    def __init__(self, plan: JudgePlan, chooser: Chooser, dialled: set[str]) -> None:
        self._plan, self._chooser, self._dialled = plan, chooser, dialled
        self._next = 0

    def __call__(self) -> Contact:
        while True:
            number = f"+4930123{self._next:05d}"
            self._next += 1
            if number not in self._dialled:
                return contact_of(self._chooser.reaction(number), self._plan)


def _drawn(values: Sequence[float]) -> Distribution:
    return Sample(tuple(values)) if values else Fixed(0.0)


def _ms(values: Sequence[float], percent: int) -> str:
    return f"{(percentile(list(values), percent) or 0.0) * 1000:.0f}"
