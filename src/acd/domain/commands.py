"""What is to be done: imperative, frozen. One dispatcher in ``engine`` carries them out.

``after_durable`` says that a command may only be carried out once the records of its step are durable. Connecting a
live caller never waits for the database; telling somebody that a thing was done does.
"""

from __future__ import annotations

from typing import Any, ClassVar

from acd.domain.definition import HangUp, ToDialplan
from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Command:
    """Base of all commands."""

    after_durable: ClassVar[bool] = False


@valueclass(frozen=True, slots=True)
class ChannelCommand(Command):
    """Aimed at one caller's channel on one node. ``place`` is the text of ``Place.encode``."""

    node: str
    channel: str
    call: str
    place: str


@valueclass(frozen=True, slots=True)
class HoldCall(ChannelCommand):
    """Let the caller wait in ``acd-hold``. ``hold`` is a music class or ``None`` for ringback."""

    hold: str | None


@valueclass(frozen=True, slots=True)
class MarkCall(ChannelCommand):
    """Write a caller's new place (another queue) on its channel, without moving it; and ``agent``, if it is another."""

    hold: str | None
    agent: str | None = None


@valueclass(frozen=True, slots=True)
class OfferCall(ChannelCommand):
    """Ring ``phones`` together for at most ``ring_timeout_s``; ``hold`` as in HoldCall. ``leg``: the agent is on the line
    already, on that channel of the name ``leg_name``, and nothing is rung. ``lasting``: that is his lasting line, which goes
    back to where it waits once the conversation is over."""

    offer: str
    agent: str
    phones: tuple[str, ...]
    ring_timeout_s: float
    hold: str | None
    auto_answer: bool = False
    leg: str = ""
    leg_name: str = ""
    lasting: bool = False


@valueclass(frozen=True, slots=True)
class SendCall(Command):
    """Send the caller away to a place in the operator's dialplan, or hang up politely."""

    node: str
    channel: str
    call: str
    destination: ToDialplan | HangUp


@valueclass(frozen=True, slots=True)
class LineCommand(Command):
    """Aimed at an agent's lasting line on one node. ``line``: its channel's Uniqueid."""

    node: str
    line: str


@valueclass(frozen=True, slots=True)
class CallLine(LineCommand):
    """Call the phone ``device`` of ``agent`` for at most ``ring_s``; what answers becomes his lasting line, with ``music``
    (a class, or SILENCE) on it between conversations. ``number``: shown to him. ``auto_answer``: his phone is asked to
    answer by itself."""

    agent: str
    device: str
    number: str
    music: str
    ring_s: float
    auto_answer: bool = False


@valueclass(frozen=True, slots=True)
class EndLine(LineCommand):
    """Hang the line up, whatever it does."""


@valueclass(frozen=True, slots=True)
class Reply(Command):
    """The answer to a request. ``data`` is JSON-able."""

    after_durable: ClassVar[bool] = True

    request: str
    ok: bool
    message: str
    data: dict[str, Any]


@valueclass(frozen=True, slots=True)
class ReportDrift(Command):
    """Belief and Asterisk differed and belief was corrected. ``kind`` is one of few words, for a metric's label."""

    kind: str
    detail: str


@valueclass(frozen=True, slots=True)
class RaiseAlarm(Command):
    """A person should know."""

    kind: str
    detail: str
