"""A call on the floor and the ledger of its segments. Segments lie end to end, so their lengths add up to the call's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from acd.domain.attributes import Value
from acd.domain.definition import QueueDefinition
from acd.domain.events import CallMemory
from acd.domain.place import Place
from acd.domain.records import DecisionMade, Record, SegmentClosed, SegmentOpened
from acd.domain.requirement import ANYONE, Requirement
from acd.domain.states import CallState, OfferOutcome, SegmentKind, check_call_transition
from acd.domain.values import valueclass
from acd.floor.exclusion import Exclusion

TALK_KINDS = (SegmentKind.TALKED, SegmentKind.HELD, SegmentKind.CONSULTED, SegmentKind.CONFERENCED)
"""The stretches of a conversation."""
IN_OFFER = frozenset({SegmentKind.OFFERED, SegmentKind.RANG, *TALK_KINDS})
"""The stretches in which a call has an agent."""
_RINGING = frozenset({SegmentKind.OFFERED, SegmentKind.RANG})


@dataclass(slots=True)
class Consult:
    """A call that the agent's phone makes in mid-conversation, to ``target``. ``up``: somebody is on the line there;
    ``on_hold``: the phone holds it; ``parted``: the caller was on hold while it lasted."""

    target: str
    up: bool = False
    on_hold: bool = False
    parted: bool = False


@valueclass(frozen=True, slots=True)
class Together:
    """Since ``at`` neither the caller nor ``target``, whom the agent has called, is on hold. From ``due_mono`` on that is a
    conference."""

    at: float
    due_mono: float
    target: str | None


@dataclass(slots=True)
class Call:
    """One call. ``segment`` is the serial of its open segment, which names ``segment_queue``; times UTC s unless they end in
    ``_mono``.

    ``overflow_due``: the maximum wait is over and the overflow must wait for an offer or for the node. ``going``: the
    caller is said to be gone, and is offered to nobody until his end comes. ``attributes`` are what expressions may ask
    for; ``requirement`` is that of the stage in force, number ``stage`` of the queue's; ``kept_for`` the agent for whom
    alone he waits now, ``kept_as`` by which of the queue's preferences, ``skipped`` why not by an earlier one; ``needed``
    the requirement in words; ``stage_mono`` when that changes. ``excluded``: to whom the call is not offered again.

    ``talked``: somebody has talked with the caller; ``unanswered``: nobody yet in this queue. ``talk_at``: since when the
    present conversation lasts, ``on_hold`` the agent holds him, ``consults`` whom the agent has called meanwhile, per
    channel of that call; ``segment_target`` whom of them the open segment names; ``together`` when what may
    become a conference began; ``talk_segment`` the conversation's last, once it is over and as far as it is known.
    ``sent_by``: the call that he came from by a transfer which has not been told yet. ``asked_at``: when he came, as the
    dialplan says it whenever it asks; 0 if nobody has asked yet in this life.
    """

    call: str
    node: str
    channel: str
    channel_name: str
    linkedid: str
    did: str
    caller_number: str
    caller_name: str
    place: Place
    queue: QueueDefinition
    attributes: dict[str, Value] = field(default_factory=dict)
    requirement: Requirement = ANYONE
    stage: int = 0
    kept_for: str | None = None
    kept_as: str | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    needed: str | None = None
    excluded: dict[str, Exclusion] = field(default_factory=dict)
    stage_mono: float | None = None
    hops: int = 0
    state: CallState = CallState.WAITING
    offer: str | None = None
    agent: str | None = None
    next_segment: int = 0
    segment: int | None = None
    segment_kind: SegmentKind = SegmentKind.ENTERED
    segment_at: float = 0.0
    segment_agent: str | None = None
    segment_queue: str = ""
    segment_target: str | None = None
    next_decision: int = 0
    answered_at: float | None = None
    talk_ended_by: str | None = None
    talk_segment: int | None = None
    talked: bool = False
    unanswered: bool = True
    talk_at: float = 0.0
    on_hold: bool = False
    consults: dict[str, Consult] = field(default_factory=dict)
    together: Together | None = None
    max_wait_mono: float | None = None
    overflow_due: bool = False
    going: bool = False
    sent_by: str | None = None
    touched_at: float = 0.0
    asked_at: float = 0.0

    def become(self, state: CallState) -> None:
        """Change state by the table."""
        check_call_transition(self.call, self.state, state)
        self.state = state


@dataclass(slots=True)
class Offer:
    """One offer of one call to one agent, or to several at once. ``agent`` is the first of ``agents`` until somebody
    answers, then who did. ``answered`` once both are in a bridge. ``several``: more than one were rung; ``over``: what
    those of their phones did that ring no more. ``leg``, ``leg_name``: the channel on which the agent is there already;
    ``lasting``: it is his lasting line."""

    offer: str
    call: str
    agent: str
    made_at: float
    rang: bool = False
    answered: bool = False
    others: tuple[str, ...] = ()
    several: bool = False
    over: dict[str, OfferOutcome] = field(default_factory=dict)
    leg: str = ""
    leg_name: str = ""
    lasting: bool = False

    @property
    def agents(self) -> tuple[str, ...]:
        """Everybody whose phone rings (or rang, or talks)."""
        return (self.agent, *self.others)


class Ledger:
    """Writes segments and decisions, keeping a call's times monotonic and without gap."""

    def __init__(self, emit: Callable[[Record], None], revision: str) -> None:
        self._emit = emit
        self.revision = revision

    def turn(
        self, call: Call, kind: SegmentKind, at: float, outcome: str | None = None, target: str | None = None
    ) -> float:
        """Close the open segment with ``outcome`` and open one of ``kind`` at the same moment, which is returned."""
        at = self.close(call, at, outcome)
        call.segment, call.segment_kind, call.segment_at = call.next_segment, kind, at
        call.next_segment += 1
        in_offer = kind in IN_OFFER
        call.segment_agent = call.agent if in_offer else None
        call.segment_queue, call.segment_target = call.queue.name, target
        self._emit(
            SegmentOpened(
                call.call,
                call.segment,
                kind,
                at,
                queue=call.queue.name or None,
                agent=call.segment_agent,
                offer=call.offer if in_offer else None,
                target=target,
            )
        )
        return at

    def close(self, call: Call, at: float, outcome: str | None = None) -> float:
        """Close the open segment; the moment, never earlier than the segment's start."""
        at = max(at, call.segment_at)
        if call.segment is not None:
            whose = None
            if call.segment_kind in _RINGING and call.agent != call.segment_agent:
                whose = call.agent  # of several who were rung, another than the one it began with
            self._emit(SegmentClosed(call.call, call.segment, at, outcome, agent=whose))
            call.segment = None
            call.segment_at = at
        return at

    def passed_on(self, call: Call) -> None:
        """The conversation that is over ended by a transfer, whoever was heard leaving first."""
        if call.talk_segment is not None:
            self._emit(SegmentClosed(call.call, call.talk_segment, call.segment_at, "transfer"))

    def resume(self, call: Call, memory: CallMemory, kinds: tuple[SegmentKind, ...], at: float) -> bool:
        """Take up a remembered call's numbering; go on with its open segment if it is one of ``kinds``, else close it."""
        call.next_segment = max(call.next_segment, memory.next_segment)
        call.next_decision = memory.next_decision
        call.answered_at = memory.answered_at
        call.talked = memory.answered_at is not None
        call.unanswered = not call.talked
        goes_on = False
        for segment in memory.open_segments:
            if segment.kind == SegmentKind.WRAPPED:
                continue
            if not goes_on and segment.kind in kinds and segment.offer == call.offer:
                call.segment, call.segment_kind = segment.serial, SegmentKind(segment.kind)
                call.segment_at, call.segment_agent = segment.started_at, segment.agent
                call.segment_queue = segment.queue or ""
                goes_on = True
            else:
                call.segment_at = max(at, segment.started_at)
                self._emit(SegmentClosed(call.call, segment.serial, call.segment_at, "restart"))
        return goes_on

    def decide(self, call: Call, at: float, kind: str, detail: dict[str, Any]) -> None:
        """Write down one decision and why."""
        self._emit(DecisionMade(call.call, call.next_decision, at, kind, call.agent, call.offer, self.revision, detail))
        call.next_decision += 1
