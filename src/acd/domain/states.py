"""States of agents, phones and calls, and the only transitions they may make.

Each machine is one table. ``check_*`` raises on anything else, before anything is changed.

Theory of operation. An **agent** is LOGGED_OUT until somebody logs in. AVAILABLE means "wants calls"; whether one is
offered also depends on the phone, whose state is tracked apart. PREVIEW is what comes before a call that the agent makes:
he looks at a contact, or has somebody dialled, and is offered nothing. A match makes the agent RESERVED (the offer is on its
way to Asterisk), RINGING once the phone is known to ring, TALKING once both legs are in one bridge, WRAP_UP until the
queue's wrap-up time is over, then AVAILABLE again. Whatever was asked for in mid-call (pause, log-out) takes effect
after it. Who is to have a lasting line and has none is PAUSED (no_line) in the place of AVAILABLE. A **call** WAITs, is
OFFERED, TALKs, is AFTER the conversation (still on the line), and ENDs exactly once. From TALKING it is back to WAITING
when it is passed on to another queue: one call, with a conversation more; from AFTER too, where the agent was heard
leaving before it was heard why.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from acd.domain.errors import IllegalTransitionError


class AgentState(StrEnum):
    """What the agent does for the call centre."""

    LOGGED_OUT = "LOGGED_OUT"
    AVAILABLE = "AVAILABLE"
    PREVIEW = "PREVIEW"
    RESERVED = "RESERVED"
    RINGING = "RINGING"
    TALKING = "TALKING"
    WRAP_UP = "WRAP_UP"
    PAUSED = "PAUSED"


class PhoneState(StrEnum):
    """What the agent's device does, also outside the call centre. Orthogonal to the agent's state."""

    UNREACHABLE = "UNREACHABLE"
    IDLE = "IDLE"
    RINGING = "RINGING"
    BUSY = "BUSY"


class LineStage(StrEnum):
    """Of an agent's lasting line. ``down``: there is none. ``due``: it is to be called for. ``stays``: the call on which the
    agent asked is to become it. ``called``: his phone rings. ``up``."""

    DOWN = "down"
    DUE = "due"
    STAYS = "stays"
    CALLED = "called"
    UP = "up"


class CallState(StrEnum):
    """Where a call is in its life."""

    WAITING = "WAITING"
    OFFERED = "OFFERED"
    TALKING = "TALKING"
    AFTER = "AFTER"
    ENDED = "ENDED"


class OfferOutcome(StrEnum):
    """How an offer ended."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    CONGESTION = "congestion"
    CALLER_GONE = "caller_gone"
    VOID = "void"
    LOST_TRACK = "lost_track"


_FOREMOST = (
    OfferOutcome.NO_ANSWER,
    OfferOutcome.BUSY,
    OfferOutcome.CONGESTION,
    OfferOutcome.DECLINED,
    OfferOutcome.UNREACHABLE,
)


def foremost(outcomes: Iterable[OfferOutcome]) -> OfferOutcome:
    """What the several phones of one agent come to, of which none was answered: as Asterisk has it, one that rang out
    counts before a busy one, and so on. Unreachable, if there are none."""
    found = set(outcomes)
    return next((one for one in _FOREMOST if one in found), next(iter(found), OfferOutcome.UNREACHABLE))


class CallOutcome(StrEnum):
    """How a call ended, for the record."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    OVERFLOWED = "overflowed"
    TRANSFERRED = "transferred"
    FALLBACK = "fallback"
    LOST_TRACK = "lost_track"


class SegmentKind(StrEnum):
    """The stretches a call's life is cut into. All but WRAPPED lie end to end from entry to hang-up. HELD, CONSULTED and
    CONFERENCED belong to a conversation: the agent holds the caller, talks to somebody else meanwhile, or has that one
    and the caller in his call together."""

    ENTERED = "entered"
    WAITED = "waited"
    OFFERED = "offered"
    RANG = "rang"
    TALKED = "talked"
    HELD = "held"
    CONSULTED = "consulted"
    CONFERENCED = "conferenced"
    AFTER = "after"
    WRAPPED = "wrapped"


PAUSE_RONA = "rona"
PAUSE_DECLINED = "declined"
PAUSE_NO_LINE = "no_line"
PAUSE_DEFAULT = "pause"
SYSTEM_PAUSE_REASONS = frozenset({PAUSE_RONA, PAUSE_DECLINED, PAUSE_NO_LINE})

AT_WORK = (AgentState.PREVIEW, AgentState.RINGING, AgentState.TALKING, AgentState.WRAP_UP)
"""What occupies an agent: occupancy is the time in these states / the time logged in and not paused."""

_A = AgentState
AGENT_TRANSITIONS: dict[AgentState, frozenset[AgentState]] = {
    _A.LOGGED_OUT: frozenset({_A.AVAILABLE, _A.PAUSED, _A.RESERVED, _A.TALKING, _A.WRAP_UP}),
    _A.AVAILABLE: frozenset({_A.PREVIEW, _A.RESERVED, _A.PAUSED, _A.LOGGED_OUT, _A.TALKING}),
    _A.PREVIEW: frozenset({_A.AVAILABLE, _A.PREVIEW, _A.RESERVED, _A.PAUSED, _A.LOGGED_OUT, _A.TALKING}),
    _A.RESERVED: frozenset({_A.RINGING, _A.TALKING, _A.AVAILABLE, _A.PAUSED, _A.LOGGED_OUT}),
    _A.RINGING: frozenset({_A.TALKING, _A.AVAILABLE, _A.PAUSED, _A.LOGGED_OUT}),
    _A.TALKING: frozenset({_A.WRAP_UP, _A.AVAILABLE, _A.PAUSED, _A.LOGGED_OUT, _A.TALKING}),
    _A.WRAP_UP: frozenset({_A.AVAILABLE, _A.PAUSED, _A.LOGGED_OUT, _A.RESERVED, _A.TALKING}),
    _A.PAUSED: frozenset({_A.AVAILABLE, _A.LOGGED_OUT, _A.PAUSED, _A.RESERVED, _A.TALKING}),
}
"""LOGGED_OUT, WRAP_UP and PAUSED to RESERVED or TALKING happen only when a resync finds an agent on a call; TALKING to
TALKING when another caller takes the place of the one he talks with; PREVIEW to PREVIEW when a contact that was shown is
dialled, and to TALKING when a resync finds him on a call."""

_C = CallState
CALL_TRANSITIONS: dict[CallState, frozenset[CallState]] = {
    _C.WAITING: frozenset({_C.OFFERED, _C.TALKING, _C.ENDED}),
    _C.OFFERED: frozenset({_C.WAITING, _C.TALKING, _C.ENDED}),
    _C.TALKING: frozenset({_C.AFTER, _C.WAITING, _C.ENDED}),
    _C.AFTER: frozenset({_C.WAITING, _C.ENDED}),
    _C.ENDED: frozenset(),
}


def check_agent_transition(agent: str, old: AgentState, new: AgentState) -> None:
    """Raise IllegalTransitionError unless ``old`` -> ``new`` stands in the table."""
    if new not in AGENT_TRANSITIONS[old]:
        raise IllegalTransitionError(f"agent {agent}: {old} -> {new} is not a legal transition")


def check_call_transition(call: str, old: CallState, new: CallState) -> None:
    """Raise IllegalTransitionError unless ``old`` -> ``new`` stands in the table."""
    if new not in CALL_TRANSITIONS[old]:
        raise IllegalTransitionError(f"call {call}: {old} -> {new} is not a legal transition")
