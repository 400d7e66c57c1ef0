"""Records as the floor makes them: whole calls, step by step, with the agents' intervals. For tests and
measurements only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from acd.domain.records import (
    AgentStateChanged,
    CallAnswered,
    CallClosed,
    CallOpened,
    DecisionMade,
    Record,
    SegmentClosed,
    SegmentOpened,
)
from acd.domain.states import AgentState, CallOutcome, SegmentKind

START = 1_790_000_000.25

STEPS_AT_S = (0.0, 4.0, 4.1, 6.0, 66.5, 76.5)
"""When the steps of a call are written, after its beginning."""

RECORDS_A_CALL = 21


@dataclass(slots=True)
class Traffic:
    """Makes calls one after the other; the agents take turns."""

    agents: int = 50
    prefix: str = "c"
    serials: dict[str, int] = field(default_factory=dict)
    made: int = 0

    def agent_step(self, agent: str, state: AgentState, at: float, call: str | None = None) -> AgentStateChanged:
        serial = self.serials.get(agent, 0)
        self.serials[agent] = serial + 1
        return AgentStateChanged(agent, serial, at, state, None, call, at, f"PJSIP/{agent}", None, None)

    def call(self, at: float | None = None) -> Iterator[list[Record]]:
        """One answered call: the steps the floor would write at STEPS_AT_S, RECORDS_A_CALL in all."""
        n, self.made = self.made, self.made + 1
        call, agent = f"{self.prefix}{n:09d}", f"agent{n % self.agents:04d}"
        t = START + n * 0.01 if at is None else at
        offer, queue = f"o{n}", f"queue{n % 3}"
        detail = {
            "rule": "longest idle",
            "candidates": {"eligible": 12, "busy": 30, "paused": 5, "skill": 3},
            "best": [{"agent": f"agent{k:04d}", "idle_s": 12.5 + k, "score": 1.0} for k in range(5)],
        }
        yield [
            CallOpened(
                call, "pbx1", f"179.{n}", f"179.{n}", "4930123456", f"+49171{n:07d}", "Bär, Jürgen", queue, 5, t
            ),
            SegmentOpened(call, 0, SegmentKind.ENTERED, t, queue),
            SegmentClosed(call, 0, t + 0.01),
            SegmentOpened(call, 1, SegmentKind.WAITED, t + 0.01, queue),
        ]
        yield [
            DecisionMade(call, 0, t + 4, "offer", agent, offer, "r1", detail),
            SegmentClosed(call, 1, t + 4),
            SegmentOpened(call, 2, SegmentKind.OFFERED, t + 4, queue, agent, offer),
            self.agent_step(agent, AgentState.RESERVED, t + 4, call),
        ]
        yield [
            SegmentClosed(call, 2, t + 4.1),
            SegmentOpened(call, 3, SegmentKind.RANG, t + 4.1, queue, agent, offer),
            self.agent_step(agent, AgentState.RINGING, t + 4.1, call),
        ]
        yield [
            SegmentClosed(call, 3, t + 6, "answered"),
            SegmentOpened(call, 4, SegmentKind.TALKED, t + 6, queue, agent, offer),
            CallAnswered(call, agent, t + 6),
            self.agent_step(agent, AgentState.TALKING, t + 6, call),
        ]
        yield [
            SegmentClosed(call, 4, t + 66.5),
            CallClosed(call, t + 66.5, CallOutcome.ANSWERED, "caller", 16),
            SegmentOpened(call, 5, SegmentKind.WRAPPED, t + 66.5, queue, agent),
            self.agent_step(agent, AgentState.WRAP_UP, t + 66.5),
        ]
        yield [
            SegmentClosed(call, 5, t + 76.5),
            self.agent_step(agent, AgentState.AVAILABLE, t + 76.5),
        ]
