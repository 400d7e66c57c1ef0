"""One attempt from the moment it is permitted to its end: where it is, what has been learnt, and what it came to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from acd.dialer.gate import Facts, Terms
from acd.domain.campaigns import AttemptOutcome, Contact, GivenUp
from acd.domain.outbound import Verdict
from acd.outbound.words import Tried

SETTLE_S: Final = 0.3
"""So long after the line is gone, what the floor says of its call may still come."""


class Phase(StrEnum):
    """``committing``: not durable yet, so not dialled; ``left``: of an earlier life, and nobody has looked yet."""

    COMMITTING = "committing"
    LEFT = "left"
    DIALLED = "dialled"
    RINGING = "ringing"
    ANSWERED = "answered"
    WAITING = "waiting"
    CONNECTED = "connected"
    OVER = "over"


RINGS: Final = frozenset({Phase.COMMITTING, Phase.LEFT, Phase.DIALLED, Phase.RINGING, Phase.ANSWERED})
"""Nobody knows yet who answers."""


@dataclass(slots=True)
class Flight:
    """Times are UTC seconds, but for ``*_mono``. ``judged``: the ledger has been told what it came to; ``charged``: as an
    abandonment. ``needs_agent``: an agent is held for it to its end. ``desk``: the agent who has it dialled and is on the
    line; ``given_up``: why it was hung up before anybody answered, if it was."""

    attempt: str
    campaign: str
    contact_id: int
    contact: Contact | None
    number: str
    node: str
    trunk: str
    mode: str
    caller_id: str
    committed_s: float
    committed_mono: float = 0.0
    phase: Phase = Phase.COMMITTING
    callback: int | None = None
    callback_agent: str | None = None
    note: str = ""
    segment: str = ""
    tried: tuple[Tried, ...] = ()
    facts: Facts | None = None
    """what the gate permitted it on, until it is dialled"""
    terms: Terms | None = None
    """and by which terms"""
    needs_agent: bool = False
    agent_held: bool = False
    """an idle agent there was counted for it"""
    sent_s: float | None = None
    sent_mono: float = 0.0
    taken: bool = False
    rang_s: float | None = None
    answered_s: float | None = None
    person_s: float | None = None
    connected_s: float | None = None
    verdict: Verdict | None = None
    judged: bool = False
    charged: bool = False
    opted_out: bool = False
    message: str | None = None
    call: str | None = None
    called: dict[str, float] = field(default_factory=dict)
    """agents to whom its person was offered, since when (mono)"""
    agent: str | None = None
    cause: int | None = None
    over_s: float | None = None
    over_mono: float = 0.0
    told: AttemptOutcome | None = None
    given_up: GivenUp | None = None
    desk: str | None = None
    left: bool = False
    """an earlier life has dialled it"""
    heard: Verdict | None = None
    """what machine detection said, whatever was made of it"""
    said: str | None = None
    """what an agent says that it came to"""

    @property
    def may_need_agent(self) -> bool:
        """Whether an agent may yet be wanted for it."""
        rings = self.phase in RINGS and self.verdict not in (Verdict.MACHINE, Verdict.FAX)
        return self.over_s is None and (rings or self.phase is Phase.WAITING)

    @property
    def ring_s(self) -> float:
        """How long it rang, to its answer or its end."""
        until = self.answered_s if self.answered_s is not None else self.over_s
        return 0.0 if until is None or self.sent_s is None else max(0.0, until - self.sent_s)

    def stayed(self, connect_s: float) -> bool:
        """Whether a person stayed until an agent had to be there; he may be over since."""
        since_s = self.answered_s if self.person_s is None else self.person_s
        return since_s is not None and self.over_s is not None and self.over_s - since_s >= connect_s

    def outcome(self, connect_s: float) -> AttemptOutcome:
        """What it came to, now that it is over; a person who left by himself before an agent had to be there has
        declined."""
        if self.opted_out:
            return AttemptOutcome.OPTED_OUT
        if self.connected_s is not None:
            return AttemptOutcome.ANSWERED
        if self.verdict is Verdict.MACHINE:
            return AttemptOutcome.MACHINE
        if self.verdict is Verdict.FAX:
            return AttemptOutcome.FAX
        if self.charged:
            return AttemptOutcome.ABANDONED
        if self.answered_s is not None:
            # He may have answered in the moment in which we hung up
            cut_off = self.given_up is not None or self.stayed(connect_s)
            return AttemptOutcome.ABANDONED if cut_off else AttemptOutcome.DECLINED
        return self.told if self.told is not None else AttemptOutcome.UNKNOWN
