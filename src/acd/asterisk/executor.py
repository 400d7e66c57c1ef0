"""From the floor's commands to the wire: answers to waiting AGI sessions, else Setvar and Redirect in one write.

Success of a Redirect never means that a phone rings; only a refusal means something: the channel is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Protocol

from acd.asterisk.ami.messages import Message
from acd.domain.campaignlines import SILENCE
from acd.domain.commands import ChannelCommand, Command, HoldCall, LineCommand, MarkCall, OfferCall, SendCall
from acd.domain.definition import ToDialplan, ToMessage
from acd.domain.devices import proper_device
from acd.domain.errors import AcdError, AmiDisconnectedError, AmiTimeoutError, MisuseError
from acd.domain.events import CallEnded, Event, OfferFailed
from acd.domain.states import OfferOutcome

_MAX_VALUE_BYTES = 1_000
"""Of a line's 1,022 the header's name takes some."""
_RING_MIN_S = 0.2
"""For somebody who was dialled and may hardly wait any more. Never 0, which to Dial is for ever."""

CONNECT_CONTEXT = "acd-connect"
"""Where an answered outbound line is sent for its first agent: acd-offer behind a deadline of the dialplan's own."""

log = logging.getLogger(__name__)

Fields = Sequence[tuple[str, str]]
Answer = Callable[[dict[str, str]], None]
"""Takes the variables that answer an AGI session."""


class ActionSender(Protocol):
    """What the executor needs of a node's action session."""

    def send_many(self, batch: Sequence[tuple[str, Fields]]) -> list[asyncio.Future[Message]]: ...


@lru_cache(maxsize=16_384)
def dial_string(phones: tuple[str, ...]) -> str:
    """What Dial is to ring, as an expression the dialplan evaluates: every registered contact of a PJSIP endpoint.

    What is no device by the domain's grammar is never written here, wherever it came from; without any, the dialplan
    finds nobody to ring.
    """
    parts = []
    for phone in phones:
        proper = proper_device(phone)
        if proper is None:
            log.error("%r is no device and is not rung", phone)
            continue
        technology, _, resource = proper.partition("/")
        plain = technology == "PJSIP" and "@" not in resource
        parts.append(f"${{PJSIP_DIAL_CONTACTS({resource})}}" if plain else proper)
    return "&".join(parts)


def variables_of(command: ChannelCommand, *, fresh: bool = False, unserved: bool = False) -> dict[str, str]:
    """The channel variables that carry ``command`` to the dialplan; ``acd_next`` is not among them.

    Few, since each costs Asterisk some 50 us; on a ``fresh`` channel what the dialplan takes for granted is left out.
    ``unserved``: an outbound line that no agent has talked to yet: acd-connect says how long it may still wait, for an
    agent (``acd_left`` less ``acd_margin`` seconds) and for us.
    """
    values = {"acd_call": command.call, "acd_place": command.place}
    if isinstance(command, HoldCall | MarkCall | OfferCall) and not (fresh and command.hold == "default"):
        values["acd_hold"] = "ringback" if command.hold is None else command.hold
    if isinstance(command, MarkCall) and command.agent is not None:
        values["acd_agent"] = command.agent
    if isinstance(command, OfferCall):
        values["acd_agent"] = command.agent
        held = not fresh
        ring = f"{max(1.0, command.ring_timeout_s):.0f}"
        if unserved:
            left = "$[${acd_left} - 0${acd_margin}]"
            ring = f"${{IF($[{left} < {_RING_MIN_S}]?{_RING_MIN_S}:${{IF($[{left} < {ring}]?{left}:{ring})}})}}"
        if command.leg:
            # Nothing is rung: the agent's own line waits for him, in acd-desk or acd-line
            own = {"acd_line": command.offer, "acd_own": command.leg_name}
            values |= own if command.lasting else {"acd_leg": command.leg_name}
        values["acd_dial"] = (
            f"{dial_string(tuple(command.phones))},{ring},{dial_options(command, held=held, unserved=unserved)}"
        )
    return values


def dial_options(command: OfferCall, *, held: bool, unserved: bool = False) -> str:
    """``g``: an agent who hangs up first leaves us the caller. A held caller's music, ringback or silence goes on
    meanwhile. ``d``: who was dialled may yet opt out by the key for which the line's EXITCONTEXT stands."""
    options = "gd" if unserved else "g"
    if command.auto_answer:
        options += "b(acd-auto-answer^s^1)"
    if held and command.hold != SILENCE:
        options += "r" if command.hold is None else f"m({command.hold})"
    return options


class NodeExecutor:
    """Commands of one node. ``expect`` is called by the AGI side for a channel that waits to be answered."""

    def __init__(self, node: str, sender: ActionSender, submit: Callable[[Event], None], clock: Callable[[], float]):
        self._node = node
        self._sender = sender
        self._submit = submit
        self._clock = clock
        self._waiting: dict[str, Answer] = {}
        self._under_way: dict[str, asyncio.Future[Message]] = {}
        self.lines: Mapping[str, object] = {}
        """outbound lines of ours; ``unserved``: those that no agent has talked to yet"""
        self.unserved: Set[str] = frozenset()
        self.joins: Callable[[str, str, str, str], None] = lambda offer, caller, leg, leg_name: None
        """told of an offer whose agent is on the line already, before it is made"""
        self.lasting: Callable[[LineCommand], None] = lambda command: None
        """carries out what is to be done with lasting lines"""

    def expect(self, channel: str, answer: Answer) -> None:
        """Let ``answer`` have the variables with which to answer the AGI session of ``channel``, in place of any other."""
        self._waiting[channel] = answer

    def forget(self, channel: str, answer: Answer) -> None:
        """The AGI session of ``channel`` waits no more."""
        if self._waiting.get(channel) is answer:
            del self._waiting[channel]

    async def settled(self, channel: str) -> bool:
        """Wait until Asterisk has answered what we last told it about ``channel``; False if it has already."""
        future = self._under_way.get(channel)
        if future is None:
            return False
        await asyncio.wait((future,))
        return True

    def execute(self, command: Command) -> None:
        """Carry out one command. Never raises for Asterisk's sake."""
        match command:
            case HoldCall() | OfferCall():
                self._place(command)
            case MarkCall():
                if command.channel not in self._waiting:
                    self._send(command.channel, None, self._setvars(command.channel, variables_of(command)))
            case SendCall():
                self._send_away(command)
            case LineCommand():
                self.lasting(command)
            case _:
                raise AssertionError(f"no node carries out {command!r}")

    def _place(self, command: HoldCall | OfferCall) -> None:
        offer = command.offer if isinstance(command, OfferCall) else None
        answer = self._waiting.pop(command.channel, None)
        unserved = command.channel in self.unserved
        if unserved:
            target = ("acd-wait", "s") if offer is None else (CONNECT_CONTEXT, offer)
        else:
            target = ("acd-hold", "s") if offer is None else ("acd-offer", offer)
        values = variables_of(command, fresh=answer is not None, unserved=unserved)
        if isinstance(command, OfferCall) and command.leg:
            self.joins(command.offer, command.channel, command.leg, command.leg_name)
            self._send(command.leg, None, self._setvars(command.leg, {"acd_offer": command.offer}))
        if not unserved and command.channel in self.lines:
            # From its first agent on it is a call like any other
            values["acd_deadline"] = ""
        if answer is not None:
            values["acd_next"] = f"{target[0]},{target[1]},1"
            answer(values)
            return
        self._send(
            command.channel,
            offer,
            [*self._setvars(command.channel, values), self._redirect(command.channel, *target)],
        )

    def _send_away(self, command: SendCall) -> None:
        to = command.destination
        goto = f"{to.context},{to.exten},{to.priority}" if isinstance(to, ToDialplan) else ""
        sound = to.sound if isinstance(to, ToMessage) else ""
        values = {"acd_goto": goto, "acd_sound": sound} if sound else {"acd_goto": goto}
        context = "acd-message" if sound and command.channel in self.unserved else "acd-leave"
        answer = self._waiting.pop(command.channel, None)
        if answer is not None:
            answer({**values, "acd_next": f"{context},s,1"})
            return
        setvars = self._setvars(command.channel, values)
        self._send(command.channel, None, [*setvars, self._redirect(command.channel, context, "s")])

    def _setvars(self, channel: str, values: dict[str, str]) -> list[tuple[str, Fields]]:
        """All variables in one action if it is not too long: ARRAY() sets several; no value of ours holds a quote or
        backslash. Else one by one."""
        names, texts = ",".join(values), ",".join(value.replace(",", "\\,") for value in values.values())
        if len(texts.encode(errors="replace")) <= _MAX_VALUE_BYTES and len(names) <= _MAX_VALUE_BYTES:
            return [("Setvar", (("Channel", channel), ("Variable", f"ARRAY({names})"), ("Value", texts)))]
        return [
            ("Setvar", (("Channel", channel), ("Variable", name), ("Value", value))) for name, value in values.items()
        ]

    def _redirect(self, channel: str, context: str, exten: str) -> tuple[str, Fields]:
        return "Redirect", (("Channel", channel), ("Context", context), ("Exten", exten), ("Priority", "1"))

    def _send(self, channel: str, offer: str | None, batch: Sequence[tuple[str, Fields]]) -> None:
        try:
            futures = self._sender.send_many(batch)
        except MisuseError as error:
            log.error("%s: moving %s failed: %s", self._node, channel, error)
            self._offer_failed(offer, str(error))
            return
        self._under_way[channel] = futures[-1]
        futures[-1].add_done_callback(lambda future: self._answered(channel, offer, future))

    def _answered(self, channel: str, offer: str | None, future: asyncio.Future[Message]) -> None:
        if self._under_way.get(channel) is future:
            del self._under_way[channel]
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            response = future.result()
            if response.get("Response") == "Error":
                text = response.get("Message", "")
                if "does not exist" in text.lower() or "no such channel" in text.lower():
                    self._submit(CallEnded(self._clock(), self._node, channel))
                else:
                    log.error("%s refused to move %s: %s", self._node, channel, text)
                    self._offer_failed(offer, text)
        elif isinstance(error, AmiDisconnectedError):
            log.warning("%s: %s", self._node, error)  # the resynchronisation will tell what became of it
        elif isinstance(error, AmiTimeoutError):
            # It may be done yet, and they may talk by then: an offer that is never heard of ends by the floor's deadline
            log.error("%s: moving %s: %s", self._node, channel, error)
        elif isinstance(error, AcdError):
            log.error("%s: moving %s failed: %s", self._node, channel, error)
            self._offer_failed(offer, str(error))
        else:
            log.error("%s: moving %s failed", self._node, channel, exc_info=error)

    def _offer_failed(self, offer: str | None, detail: str) -> None:
        if offer is not None:
            self._submit(OfferFailed(self._clock(), offer, OfferOutcome.LOST_TRACK, detail))


class Nodes:
    """The executor of all nodes: sends each command to its own."""

    def __init__(self) -> None:
        self.executors: dict[str, NodeExecutor] = {}

    def execute(self, commands: Sequence[Command]) -> None:
        """Carry out commands in order."""
        for command in commands:
            if isinstance(command, ChannelCommand | SendCall | LineCommand):
                executor = self.executors.get(command.node)
                if executor is None:
                    log.error("there is no node %s to carry out %r", command.node, command)
                else:
                    executor.execute(command)
