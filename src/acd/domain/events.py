"""What happened: past tense, frozen. ``at`` is UTC seconds, Asterisk's own timestamp wherever it gave one.

Everything the floor learns it learns from these; a recorded list of them replays a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from acd.domain.attributes import Value
from acd.domain.definition import FloorDefinition, ToDialplan
from acd.domain.place import Place
from acd.domain.states import AgentState, OfferOutcome, PhoneState
from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Event:
    """Common to all: when it happened (UTC s)."""

    at: float


@valueclass(frozen=True, slots=True)
class CallArrived(Event):
    """A caller's channel reached us and waits for an answer. ``call``/``place`` are set if it was ours before;
    ``variables`` are attributes that the dialplan gave it. ``campaign``: whose call it is that was answered: it enters that
    one's line, whatever the DID (the number that was shown). ``agent``: who made it and is on the line already, on the
    channel ``leg`` (``leg_name``). ``asked_at``: when it came, by Asterisk's clock even if that is ahead of ours: by that a
    question is known that is asked twice."""

    node: str
    channel: str
    channel_name: str
    linkedid: str
    did: str
    caller_number: str = ""
    caller_name: str = ""
    call: str | None = None
    place: Place | None = None
    answered: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    campaign: str | None = None
    agent: str | None = None
    leg: str = ""
    leg_name: str = ""
    asked_at: float = 0.0


@valueclass(frozen=True, slots=True)
class CallEnded(Event):
    """The caller's channel is gone. ``cause`` is the Q.850 cause, if known; ``stopped``: Asterisk hung up, for it is being
    stopped."""

    node: str
    channel: str
    cause: int | None = None
    stopped: bool = False


@valueclass(frozen=True, slots=True)
class CallTransferred(Event):
    """The caller was moved out of our contexts by the agent's phone. ``kind`` is ``blind`` or ``attended``; ``offer`` the
    one that the agent had answered, None if unknown: the word may come when the channel is another call already."""

    node: str
    channel: str
    kind: str
    target: str = ""
    offer: str | None = None


@valueclass(frozen=True, slots=True)
class CallLeft(Event):
    """The dialplan sent the caller to the fallback, because we seemed to be away for too long."""

    node: str
    channel: str
    target: str = ""


@valueclass(frozen=True, slots=True)
class AgentRang(Event):
    """The agent's phone is known to ring for this offer."""

    offer: str


@valueclass(frozen=True, slots=True)
class AgentAnswered(Event):
    """Caller and agent are in one bridge. ``channel`` is the agent's leg, ``device`` his phone, if known."""

    offer: str
    channel: str = ""
    device: str = ""


@valueclass(frozen=True, slots=True)
class LegFailed(Event):
    """One of the phones that an offer rings is over without an answer, by ``outcome``, while others still ring."""

    offer: str
    device: str
    outcome: OfferOutcome


@valueclass(frozen=True, slots=True)
class OfferFailed(Event):
    """The offer ended without a conversation. ``phones``: what each phone did, device -> outcome, as far as known."""

    offer: str
    outcome: OfferOutcome
    detail: str = ""
    phones: Mapping[str, OfferOutcome] = field(default_factory=dict)


@valueclass(frozen=True, slots=True)
class TalkEnded(Event):
    """Agent and caller are no longer in one bridge. ``by`` is ``agent``, ``caller`` or ``transfer``."""

    offer: str
    by: str


@valueclass(frozen=True, slots=True)
class CallHeld(Event):
    """The agent's phone has put the caller on hold. ``offer`` is that of their conversation, here and in the next four."""

    offer: str


@valueclass(frozen=True, slots=True)
class CallRetrieved(Event):
    """The agent's phone has taken the caller back."""

    offer: str


@valueclass(frozen=True, slots=True)
class ConsultBegan(Event):
    """The agent's phone calls somebody else, ``target``, in mid-conversation. ``channel`` is that other call's, here and in
    the next two."""

    offer: str
    target: str = ""
    channel: str = ""


@valueclass(frozen=True, slots=True)
class ConsultChanged(Event):
    """What that other call is from now on: ``up`` when somebody is on the line there, ``on_hold`` when the agent's phone
    holds it."""

    offer: str
    channel: str = ""
    up: bool = True
    on_hold: bool = False


@valueclass(frozen=True, slots=True)
class ConsultEnded(Event):
    """The agent's phone has ended that other call, or it was refused."""

    offer: str
    channel: str = ""


@valueclass(frozen=True, slots=True)
class CallJoined(Event):
    """The agent's phone joined his caller, ``channel``, with whomever he had reached by a call into a queue of ours, whose
    channel was ``into``: the caller stands in its place now, and it is gone."""

    node: str
    channel: str
    into: str


@valueclass(frozen=True, slots=True)
class PhoneStateChanged(Event):
    """A device changed its state."""

    device: str
    state: PhoneState


class AgentAction(StrEnum):
    """What an agent (or a supervisor for him) may ask for."""

    LOGIN = "login"
    LOGOUT = "logout"
    PAUSE = "pause"
    RESUME = "resume"


@valueclass(frozen=True, slots=True)
class AgentRequested(Event):
    """An agent asked for something. ``request`` names the asker; the ``Reply`` bears the same name. ``channel``: the call on
    which he asks, which can become his lasting line, if he has none."""

    agent: str
    action: AgentAction
    reason: str | None = None
    phone: str | None = None
    request: str | None = None
    channel: str = ""


@valueclass(frozen=True, slots=True)
class LineWaits(Event):
    """The lasting line of ``agent`` is in its waiting place: it is up, or back from a conversation."""

    agent: str
    node: str
    channel: str
    channel_name: str


@valueclass(frozen=True, slots=True)
class LineHeld(Event):
    """The agent's phone puts his lasting line on hold, or takes it back (not ``on``)."""

    node: str
    channel: str
    on: bool


@valueclass(frozen=True, slots=True)
class LineEnded(Event):
    """A lasting line is over: the agent's phone has hung it up, or the way to it broke."""

    node: str
    channel: str


@valueclass(frozen=True, slots=True)
class LineFailed(Event):
    """A lasting line that was called for did not come about: ``why``. ``refused``: Asterisk does not let us call."""

    node: str
    channel: str
    why: str
    refused: bool = False


@valueclass(frozen=True, slots=True)
class AgentEngaged(Event):
    """An agent is to be offered nothing, for he looks at a contact or has one dialled: ``what`` says which (the reason of
    his PREVIEW), ``None``: that is over. Refused for whoever can be offered nothing anyway. ``request`` as in
    AgentRequested."""

    agent: str
    what: str | None
    request: str | None = None


class CallAction(StrEnum):
    """What a person or a program may ask for on behalf of a live call."""

    ESCALATE = "escalate"
    TRANSFER = "transfer"
    SET_ATTRIBUTES = "set_attributes"


@valueclass(frozen=True, slots=True)
class CallRequested(Event):
    """Somebody asked for something about a call. ``request`` as in AgentRequested.

    ``escalate``: pass it to ``queue``, by default the one its queue escalates to. ``transfer``: pass it to ``queue``, or to
    the place ``to`` in the dialplan. ``set_attributes``: give it ``attributes``, each of which ``attributes.fault_of`` finds
    no fault in.
    """

    call: str
    action: CallAction
    queue: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)
    request: str | None = None
    to: ToDialplan | None = None


@valueclass(frozen=True, slots=True)
class FloorEdited(Event):
    """From now on the floor is as in ``definition``, whoever waits or talks. ``request`` as in AgentRequested."""

    definition: FloorDefinition = field(repr=False)
    request: str | None = None


@valueclass(frozen=True, slots=True)
class CallerForgotten(Event):
    """Nothing may be remembered of a caller, who is remembered by one of ``numbers``. ``request`` as in AgentRequested."""

    numbers: tuple[str, ...] = field(repr=False)
    request: str | None = None


class Phase(StrEnum):
    """Where a resynchronisation found a caller's channel."""

    ASKING = "asking"
    HELD = "held"
    OFFERING = "offering"
    RINGING = "ringing"
    TALKING = "talking"
    ELSEWHERE = "elsewhere"


@valueclass(frozen=True, slots=True)
class SeenConsult:
    """Another call that the phone of an agent who talks has made. ``up``: in a bridge; ``dials``: it has dialled somebody
    (``target``, if that can be seen) or is in a queue of ours."""

    channel: str
    target: str = ""
    up: bool = False
    dials: bool = True


@valueclass(frozen=True, slots=True)
class SeenCall:
    """One caller's channel as Asterisk shows it. ``offer`` and ``agent`` are set from the offering phase on. ``target``:
    where in the operator's dialplan it is, ``EXTEN@CONTEXT``, if it is elsewhere and not on its way out of ours.
    ``consults``: the other calls of the agent's phone while they talk; None: that was not looked at. ``asking``: he exists,
    and what he is told, or asks again, says the rest; ``entered_at``: of one who is, since when he is with us, if known."""

    channel: str
    channel_name: str
    linkedid: str
    phase: Phase
    call: str | None
    place: Place | None
    offer: str | None = None
    agent: str | None = None
    agent_channel: str | None = None
    agent_device: str | None = None
    did: str = ""
    caller_number: str = ""
    caller_name: str = ""
    target: str = ""
    consults: tuple[SeenConsult, ...] | None = None
    entered_at: float = 0.0


@valueclass(frozen=True, slots=True)
class SeenLine:
    """An agent's lasting line as Asterisk shows it. ``talks``: it is in a bridge."""

    agent: str
    channel: str
    channel_name: str
    talks: bool = False


@valueclass(frozen=True, slots=True)
class NodeResynced(Event):
    """All that exists on a node at ``at``: every caller's channel that is, was or is about to be ours, and every device's
    state.

    ``margin_s``: calls touched later than ``at - margin_s`` are left alone (the look and the events may have crossed).
    ``restarted``: Asterisk itself was restarted since the last look, so every earlier call is gone. ``hosts``: from where
    phones are registered, device -> host, as far as known. ``lines``: all lasting lines.
    """

    node: str
    calls: tuple[SeenCall, ...]
    phones: Mapping[str, PhoneState]
    margin_s: float = 0.0
    restarted: bool = False
    hosts: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[SeenLine, ...] = ()


@valueclass(frozen=True, slots=True)
class NodeLost(Event):
    """The connection to a node is down. Its calls go on there; nothing can be offered until a resynchronisation."""

    node: str


@valueclass(frozen=True, slots=True)
class AgentMemory:
    """What the database remembers of an agent. Times are UTC seconds; ``serial`` counts his state intervals."""

    agent: str
    state: AgentState
    reason: str | None
    since: float
    idle_since: float
    serial: int
    phone: str | None = None
    pending: str | None = None
    until: float | None = None
    call: str | None = None


@valueclass(frozen=True, slots=True)
class SegmentMemory:
    """A segment the database knows to be open (``ended_at`` not set)."""

    call: str
    serial: int
    kind: str
    started_at: float
    queue: str | None
    agent: str | None
    offer: str | None


@valueclass(frozen=True, slots=True)
class CallMemory:
    """A call the database knows to be open. ``next_segment`` is the first free segment serial."""

    call: str
    node: str
    channel: str
    linkedid: str
    did: str
    caller_number: str
    caller_name: str
    queue: str
    entered_at: float
    answered_at: float | None
    agent: str | None
    next_segment: int
    next_decision: int
    open_segments: tuple[SegmentMemory, ...] = ()


@valueclass(frozen=True, slots=True)
class MemoryRestored(Event):
    """The first event of a life: what the database remembers. Calls are kept aside until their node is resynced.

    ``wraps``: wrap-up segments still open, whether or not their call has ended. ``callers``: callers' numbers and the agent
    who talked to each last, the latest conversation last.
    """

    agents: tuple[AgentMemory, ...]
    calls: tuple[CallMemory, ...]
    wraps: tuple[SegmentMemory, ...] = ()
    callers: tuple[tuple[str, str], ...] = ()


@valueclass(frozen=True, slots=True)
class RecordsFilled(Event):
    """Nothing can be recorded any more (``full``), or everything again; sent only where new callers are to be turned away
    meanwhile."""

    full: bool


@valueclass(frozen=True, slots=True)
class DeadlinePassed(Event):
    """The floor's own timer fired."""
