"""What must become durable. The store maps each to rows; order within and between steps is kept.

Times are UTC seconds. A call's segments are numbered from 0 in the order they open; an agent's state intervals and a
call's decisions likewise. ``store`` may fold several records on the same row into one statement.
"""

from __future__ import annotations

from typing import Any

from acd.domain.states import AgentState, CallOutcome, SegmentKind
from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Record:
    """Base of all records."""


@valueclass(frozen=True, slots=True)
class CallOpened(Record):
    """A call became ours. ``client``: for whom it is handled, where one centre works for several; ``from_call``: the call
    of ours that its channel was before, when it left us and came back, by a transfer say."""

    call: str
    node: str
    channel: str
    linkedid: str
    did: str
    caller_number: str
    caller_name: str
    queue: str
    priority: int
    entered_at: float
    client: str | None = None
    from_call: str | None = None


@valueclass(frozen=True, slots=True)
class CallMoved(Record):
    """A call now waits in another queue."""

    call: str
    queue: str


@valueclass(frozen=True, slots=True)
class CallAnswered(Record):
    """An agent and the caller talk (the first time in this call)."""

    call: str
    agent: str
    answered_at: float


@valueclass(frozen=True, slots=True)
class CallClosed(Record):
    """A call is over. ``ended_by`` is caller, agent, system or unknown; ``cause`` the Q.850 cause, if known."""

    call: str
    ended_at: float
    outcome: CallOutcome
    ended_by: str
    cause: int | None
    target: str | None = None


@valueclass(frozen=True, slots=True)
class CallTargeted(Record):
    """Where a call went that is over: Asterisk told of the transfer after the caller had come back by it."""

    call: str
    target: str


@valueclass(frozen=True, slots=True)
class SegmentOpened(Record):
    """A stretch of a call began. ``target``: whom it is about besides the agent, such as who is consulted."""

    call: str
    serial: int
    kind: SegmentKind
    started_at: float
    queue: str | None = None
    agent: str | None = None
    offer: str | None = None
    target: str | None = None


@valueclass(frozen=True, slots=True)
class SegmentClosed(Record):
    """A stretch of a call ended. ``outcome`` is a word such as an OfferOutcome; ``target`` as in SegmentOpened, if it was
    not known before, or where a transfer went; ``agent`` whose it is, if that is another than was thought at its begin."""

    call: str
    serial: int
    ended_at: float
    outcome: str | None = None
    target: str | None = None
    agent: str | None = None


@valueclass(frozen=True, slots=True)
class DecisionMade(Record):
    """One explained decision on a call. ``detail`` is JSON-able (candidates by reason, the best few, the rule)."""

    call: str
    serial: int
    at: float
    kind: str
    agent: str | None
    offer: str | None
    revision: str
    detail: dict[str, Any]


@valueclass(frozen=True, slots=True)
class AgentStateChanged(Record):
    """An agent's interval ``serial`` began at ``at``, the one before ended. ``until`` is a UTC deadline."""

    agent: str
    serial: int
    at: float
    state: AgentState
    reason: str | None
    call: str | None
    idle_since: float
    phone: str | None
    pending: str | None
    until: float | None


@valueclass(frozen=True, slots=True)
class AgentIntentChanged(Record):
    """An agent asked in mid-call for what takes effect after it (``logout``, ``pause:reason`` or ``None``), or is now
    rung at another ``phone`` (``None``: the configured ones). Both are the values that hold from now on."""

    agent: str
    pending: str | None
    phone: str | None = None


@valueclass(frozen=True, slots=True)
class CallAnnotated(Record):
    """What people and programs say of a call, while it lasts or afterwards. ``None`` leaves a value as it is, an empty one
    takes it away. ``recording`` names the file that holds its sound."""

    call: str
    disposition: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] | None = None
    recording: str | None = None


@valueclass(frozen=True, slots=True)
class RevisionLoaded(Record):
    """From ``at`` on the floor goes by configuration ``revision``. ``who`` loaded it; ``detail`` is JSON-able: the
    definition, without secrets."""

    revision: str
    at: float
    who: str
    detail: dict[str, Any]


@valueclass(frozen=True, slots=True)
class Audited(Record):
    """Somebody changed, saw or took away something of which an account is kept. ``entry`` is unique; ``action`` a word such
    as ``person_erased``; ``subject`` whom or what it was about, without what has just been erased."""

    entry: str
    at: float
    who: str
    action: str
    subject: str
    detail: dict[str, Any]
