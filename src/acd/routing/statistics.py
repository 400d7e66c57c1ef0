"""Running counts of a queue and of an agent since the controller's start. Formulas:

service level = answered within the threshold / (answered + abandoned); ASA = sum of waits of answered calls / answered;
AHT = (talk + wrap-up) / finished conversations; occupancy = (preview + ring + talk + wrap-up) / logged-in time without
pauses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from acd.domain.states import AT_WORK, AgentState


@dataclass(slots=True)
class QueueCounts:
    """Counts of calls; sums in seconds."""

    offered: int = 0
    answered: int = 0
    answered_in_time: int = 0
    abandoned: int = 0
    overflowed: int = 0
    transferred: int = 0
    lost_track: int = 0
    wait_sum_s: float = 0.0
    talk_sum_s: float = 0.0
    wrap_up_sum_s: float = 0.0
    talks: int = 0

    def add(self, other: QueueCounts) -> None:
        """Add another queue's counts to these."""
        for name in QueueCounts.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def service_level(self) -> float | None:
        """0..1, or None while nothing was answered or abandoned."""
        base = self.answered + self.abandoned
        return self.answered_in_time / base if base else None

    @property
    def asa_s(self) -> float | None:
        """Average speed of answer."""
        return self.wait_sum_s / self.answered if self.answered else None

    @property
    def aht_s(self) -> float | None:
        """Average handling time."""
        return (self.talk_sum_s + self.wrap_up_sum_s) / self.talks if self.talks else None


_PRESENT = (AgentState.AVAILABLE, AgentState.RESERVED, *AT_WORK)


@dataclass(slots=True)
class AgentCounts:
    """Seconds in each state, and calls."""

    seconds: dict[AgentState, float] = field(default_factory=dict)
    calls_taken: int = 0
    rona: int = 0
    today: int = 0
    work_today_s: float = 0.0

    def spend(self, state: AgentState, length_s: float, at: float) -> None:
        """Account for an interval that ended at UTC second ``at``; it belongs to the (UTC) day on which it ended."""
        length_s = max(0.0, length_s)
        self.seconds[state] = self.seconds.get(state, 0.0) + length_s
        day = int(at // 86_400)
        if day != self.today:
            self.today, self.work_today_s = day, 0.0
        if state in AT_WORK:
            self.work_today_s += length_s

    def work_s(self) -> float:
        """Preview, ring, talk and wrap-up time so far."""
        return sum(self.seconds.get(state, 0.0) for state in AT_WORK)

    def present_s(self) -> float:
        """Logged-in time without pauses so far."""
        return sum(self.seconds.get(state, 0.0) for state in _PRESENT)
