"""What is said between those who decide to dial and the wire that dials: commands, what happened, and one question.

An attempt's id is its channel's Uniqueid, digits only and of fixed length (``ATTEMPT``): six of epoch, then a serial.
Times are UTC seconds, Asterisk's own wherever it gave one.

Of an attempt that was to be placed, the wire tells exactly one end: ``AttemptRefused`` (nothing was dialled) or
``AttemptOver`` (the line is gone). Before it come, each at most once and in this order as far as they happened:
``AttemptPlaced``, ``AttemptRang``, ``AttemptAnswered``, ``AttemptClassified``; then the question ``AttemptAsked``, which
may come again where nobody listened at first. ``AttemptMessage``, ``AttemptOptedOut`` and ``AttemptBegan`` may come after
the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from acd.domain.campaigns import AttemptOutcome
from acd.domain.events import CallArrived
from acd.domain.values import valueclass

ATTEMPT: Final = re.compile(r"[0-9]{14}", re.ASCII)
"""Of fixed length, because Asterisk takes an id for used while it is the beginning of a living channel's."""
LEG: Final = re.compile(r"[0-9]{6}9[0-9]{7}", re.ASCII)
"""Those of agents' own lines, of which every life has ten million."""
NO_CLASSIFIER: Final = "NOCLASSIFIER"
"""The detail of a verdict where the operator's own classifier is not in the dialplan as it must be."""
CONNECT_MARGIN_S: Final = 2.0
"""Asterisk itself lets a person who was not put through hear the message so long after ``connect_s`` at the latest,
should nobody here be left to say so."""


BEGUN_LATE_S: Final = 3.0
"""What Asterisk begins to dial so long after it was told to was decided on for another moment."""


class Verdict(StrEnum):
    """Who answered, by Asterisk's AMD or its fax detection. Without AMD everybody is a person."""

    PERSON = "person"
    MACHINE = "machine"
    UNSURE = "unsure"
    FAX = "fax"


class SeenState(StrEnum):
    """Where a look found an attempt's line. ``dialling``: no ringing was heard yet, though there may have been early media;
    ``asking``: answered, AMD listens or nobody has said yet what becomes of it; ``waiting``: it waits for an agent, or one
    rings; ``talking``; ``message``: it hears one; ``machine``: one is left on a machine; ``elsewhere``: in the operator's
    dialplan."""

    DIALLING = "dialling"
    RINGING = "ringing"
    ASKING = "asking"
    WAITING = "waiting"
    TALKING = "talking"
    MESSAGE = "message"
    MACHINE = "machine"
    ELSEWHERE = "elsewhere"


# -- commands --------------------------------------------------------------------------------------------------------


@valueclass(frozen=True, slots=True)
class OutboundCommand:
    """Aimed at one attempt on one node."""

    node: str
    attempt: str


@valueclass(frozen=True, slots=True)
class PlaceAttempt(OutboundCommand):
    """Dial ``device`` (``PJSIP/+4930123456@carrier``; ``number`` is what is dialled, for messages) and show
    ``caller_id``, a number, and ``caller_name``, of which only what is fit to be shown is.

    ``ring_s``: when it is given up; ``connect_s``: how long a person may wait for an agent. ``message``: the sound that
    a person hears who is not put through, also when nobody is left here to say so; empty: the line is hung up.
    ``opt_out_key``: the key that opts out until he talks to an agent. ``amd``: machines are told from people, within
    ``amd_s``, by Asterisk's AMD or by the context ``classifier`` of the dialplan; ``machine_message``: the sound that is
    left on one.
    ``variables``: further ones for the operator's own dialplan.
    """

    campaign: str
    device: str
    number: str
    caller_id: str
    caller_name: str = ""
    ring_s: float = 25.0
    connect_s: float = 2.0
    amd: bool = False
    amd_s: float = 5.0
    classifier: str = ""
    machine_message: str = ""
    message: str = ""
    opt_out_key: str = "9"
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@valueclass(frozen=True, slots=True)
class CallAgent(OutboundCommand):
    """Ring an agent's own phone, ``device``, before somebody is dialled for him: what is told of it is what is told of any
    attempt. Once answered he hears a ringing tone for ``wait_s`` at most, until the call is joined with his line.
    ``caller_id``, ``caller_name``: shown to him. ``auto_answer``: his phone is asked to answer by itself."""

    device: str
    caller_id: str
    caller_name: str = ""
    ring_s: float = 20.0
    wait_s: float = 120.0
    auto_answer: bool = False


@valueclass(frozen=True, slots=True)
class EndAttempt(OutboundCommand):
    """Hang the line up, whatever it does."""


# -- what happened ---------------------------------------------------------------------------------------------------


@valueclass(frozen=True, slots=True)
class OutboundEvent:
    """Common to all: when (UTC s) and where."""

    at: float
    node: str


@valueclass(frozen=True, slots=True)
class AttemptEvent(OutboundEvent):
    """Of one attempt."""

    attempt: str


@valueclass(frozen=True, slots=True)
class AttemptPlaced(AttemptEvent):
    """Asterisk has taken it, ``took_s`` after it was sent. It may still fail."""

    took_s: float


@valueclass(frozen=True, slots=True)
class AttemptBegan(AttemptEvent):
    """Asterisk has begun to dial it more than ``BEGUN_LATE_S`` after it was told to, or when it was taken for over: it was
    frozen. Told of no other."""


@valueclass(frozen=True, slots=True)
class AttemptRefused(AttemptEvent):
    """Nothing was dialled: what was asked is impossible, the node is away, or Asterisk refused. The attempt's end."""

    detail: str


@valueclass(frozen=True, slots=True)
class AttemptRang(AttemptEvent):
    """The other end rings, or plays something before it answers. ``heard``: since now; else a look found it ringing, and it
    began some time before."""

    heard: bool = True


@valueclass(frozen=True, slots=True)
class AttemptAnswered(AttemptEvent):
    """Somebody or something has answered. ``channel_name`` as far as it is known."""

    channel_name: str


@valueclass(frozen=True, slots=True)
class AttemptClassified(AttemptEvent):
    """Who answered. ``detail``: AMD's own reason (``LONGGREETING-1500-1500``)."""

    verdict: Verdict
    detail: str


@valueclass(frozen=True, slots=True)
class AttemptMessage(AttemptEvent):
    """A message was begun; ``played``: it was heard to its end, or until a key opted out. ``missing``: the sound that
    Asterisk could not play, so that it was not heard, or not all of it. ``asked_at``: when the line was answered and, with
    AMD, AMD was done, where the dialplan tells."""

    played: bool
    missing: str = ""
    asked_at: float | None = None


@valueclass(frozen=True, slots=True)
class AttemptOptedOut(AttemptEvent):
    """Whoever was called pressed ``key``, not to be called again."""

    key: str


@valueclass(frozen=True, slots=True)
class AttemptOver(AttemptEvent):
    """The line is gone. The attempt's end. ``cause``: the Q.850 cause, if known.

    ``answered``: somebody or something had answered; then ``outcome`` is ``None``, for what it came to others know better
    (but ``fax`` where a fax was heard). ``outcome`` is ``None`` as well where nobody learnt it, as after events were missed;
    ``withdrawn``: Asterisk itself made no call of it, and nothing went to the trunk.
    """

    outcome: AttemptOutcome | None
    cause: int | None
    detail: str
    answered: bool = False


@valueclass(frozen=True, slots=True)
class SeenAttempt:
    """One line of ours as Asterisk shows it. ``since``: when it was made (UTC s, to the second)."""

    attempt: str
    state: SeenState
    since: float


@valueclass(frozen=True, slots=True)
class OutboundSeen(OutboundEvent):
    """All of our lines on a node, of whatever life, at every look: the first after a connection was made (``first``), and
    every half minute. Each is followed from now on as if it had been placed by this life. Attempts of this life that are
    gone are told as over right after this, by what Asterisk still says of them, if anything."""

    attempts: tuple[SeenAttempt, ...]
    first: bool


@valueclass(frozen=True, slots=True)
class OutboundLost(OutboundEvent):
    """The connection to a node is down. Its lines go on; nothing can be placed until ``OutboundBack``."""


@valueclass(frozen=True, slots=True)
class OutboundBack(OutboundEvent):
    """A node can be dialled from: it is connected, and what it has was looked at (``OutboundSeen`` came before)."""


# -- the question ----------------------------------------------------------------------------------------------------


@valueclass(frozen=True, slots=True)
class AttemptAsked(AttemptEvent):
    """An answered line asks what becomes of it. ``at``: when it was answered and, with AMD, AMD was done.

    ``channel``, ``channel_name``, ``linkedid``: for the ``CallArrived`` of ``Connect``; ``channel`` is the attempt's id.
    ``call``, ``place``: texts that ride on the channel if it was a call of the floor's before (nobody listened since).
    """

    channel: str
    channel_name: str
    linkedid: str
    verdict: Verdict
    detail: str = ""
    call: str = ""
    place: str = ""


@valueclass(frozen=True, slots=True)
class Connect:
    """It becomes a call of the floor's: ``arrived`` is submitted, and the floor's first command is the answer."""

    arrived: CallArrived


@valueclass(frozen=True, slots=True)
class PlayMessage:
    """It hears ``sound``, may opt out by the attempt's key meanwhile, and is hung up."""

    sound: str


@valueclass(frozen=True, slots=True)
class LeaveMessage:
    """It is a machine: once its greeting is over, the attempt's ``machine_message`` is left on it."""


@valueclass(frozen=True, slots=True)
class HangUpLine:
    """It is hung up."""


OutboundReply = Connect | PlayMessage | LeaveMessage | HangUpLine


class OutboundSink(Protocol):
    """Who decides. Called from the event loop; never blocks."""

    def tell(self, event: OutboundEvent) -> None:
        """Something happened."""

    def asked(self, question: AttemptAsked) -> OutboundReply | None:
        """What becomes of an answered line; ``None``: unknown here, so it hears its message and is hung up."""

    def dialled(self, attempt: str) -> tuple[str, str]:
        """The number that an attempt dialled, and whose it is: Asterisk shows our own for it. Empty where it is unknown."""


class OutboundWire(Protocol):
    """Who dials."""

    def execute(self, command: OutboundCommand) -> None:
        """Carry out one command. Never blocks, never raises for Asterisk's sake: what fails is told as an event."""
