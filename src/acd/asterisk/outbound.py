"""Dialling out by one node: attempts by Originate over its lasting session, and the question of who has answered.

Nothing is sent twice. Whether an Originate that was under way when the connection went was done, the next look tells:
Asterisk has its channel, or has not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from acd.asterisk.agi.request import AgiRequest, Ending, entered_at
from acd.asterisk.ami.messages import Message
from acd.asterisk.ami.quietlog import QuietLog
from acd.asterisk.ami.session import AmiSession
from acd.asterisk.lines import MAX_LINES, Lines
from acd.asterisk.originate import agent_fields, originate_fields
from acd.asterisk.patience import Patience
from acd.domain import outbound as out
from acd.domain.errors import AcdError, AsteriskError, MisuseError
from acd.domain.events import SeenCall

if TYPE_CHECKING:
    from acd.asterisk.node import Node
    from acd.asterisk.registration import Registration

log = logging.getLogger(__name__)

OPT_OUTS = "acd-optouts"
"""The family of Asterisk's database in which the dialplan keeps who opted out: attempt -> when."""
LATE_S = 2.5
"""After this time the dialplan has given up, or is about to."""
_ALWAYS = ("UserEvent", "DialBegin")
"""Events that may be of lines which are over."""
_VERDICTS = {
    "": out.Verdict.PERSON,
    "HUMAN": out.Verdict.PERSON,
    "MACHINE": out.Verdict.MACHINE,
    "FAX": out.Verdict.FAX,
    "NOTSURE": out.Verdict.UNSURE,
    "HANGUP": out.Verdict.UNSURE,
}

Fields = Sequence[tuple[str, str]]


class Sender(Protocol):
    """What is needed of a node's session."""

    def send(self, action: str, fields: Fields = ()) -> asyncio.Future[Message]: ...


class NodeOutbound:
    """One node's lines. ``sink`` is told what happens on them; without one nothing can be dialled."""

    def __init__(
        self, node: str, sender: Sender, sink: out.OutboundSink | None, clock: Callable[[], float] = time.time
    ) -> None:
        self.node = node
        self.sink = sink
        self._sender = sender
        self._clock = clock
        self._ready = False
        self._opted_out: set[str] = set()
        """attempts that Asterisk had as opted out at the last look"""
        self._quiet = QuietLog(log)
        self.lines = Lines(node, self._told, clock=clock, later=Patience)

    # -- the node's side ---------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether any line is under way."""
        return bool(self.lines.lines)

    def feed(self, message: Message) -> None:
        """Take one event of the node's."""
        if self.busy or message.get("Event") in _ALWAYS:
            self.lines.feed(message)

    async def read_opt_outs(self, session: AmiSession) -> None:
        """Hear of who opted out while nobody listened. ``session``: one that may look. What was heard at an earlier look is
        on the disk by now, and taken away."""
        if self.sink is None:
            return
        try:
            rows = await session.list_action("DBGetTree", (("Family", OPT_OUTS),))
        except AsteriskError as error:
            # It says the same of an empty family
            log.debug("%s: %s", self.node, error)
            rows = []
        prefix = f"/{OPT_OUTS}/"
        kept = {row.get("Key", "").removeprefix(prefix): row.get("Val", "") for row in rows}
        self.lines.opted_out(kept)
        heard, self._opted_out = self._opted_out & kept.keys(), set(kept)
        for attempt in sorted(heard):
            if out.ATTEMPT.fullmatch(attempt):
                fields = (("Variable", f"DB_DELETE({OPT_OUTS}/{attempt})"), ("Value", "1"))
                try:
                    self._sender.send("Setvar", fields).add_done_callback(_ignore)
                except AcdError as error:
                    log.debug("%s: %s", self.node, error)

    def named(self, seen: tuple[SeenCall, ...]) -> tuple[SeenCall, ...]:
        """Callers as a look shows them, those whom we dialled by their own number and name."""
        return seen if self.sink is None else tuple(self._named(self.sink, one) for one in seen)

    def _named(self, sink: out.OutboundSink, one: SeenCall) -> SeenCall:
        if not out.ATTEMPT.fullmatch(one.channel):
            return one
        number, name = sink.dialled(one.channel)
        return replace(one, caller_number=number, caller_name=name or one.caller_name) if number else one

    def look(self, at: float, channels: Sequence[Message], *, first: bool, margin_s: float) -> None:
        """Take a look at all channels."""
        if self.sink is not None:
            self.lines.look(at, channels, first=first, margin_s=margin_s)

    def back(self) -> None:
        """The node is connected, looked at, and what it said meanwhile was fed."""
        self.lines.looked()
        self._ready = True
        self._told(out.OutboundBack(self._clock(), self.node))

    def lost(self) -> None:
        """The connection is gone."""
        if self._ready:
            self._ready = False
            self._told(out.OutboundLost(self._clock(), self.node))

    # -- commands ----------------------------------------------------------------------------------------------------

    def execute(self, command: out.OutboundCommand) -> None:
        """Carry out one command. Never raises for Asterisk's sake."""
        match command:
            case out.PlaceAttempt() | out.CallAgent():
                self._place(command)
            case out.EndAttempt():
                self._end(command)
            case _:
                raise AssertionError(f"no node carries out {command!r}")

    def _place(self, command: out.PlaceAttempt | out.CallAgent) -> None:
        attempt = command.attempt
        if self.lines.open(attempt) is None:
            log.error("%s: attempt %s was placed before, or there are too many; not placed", self.node, attempt)
            if len(self.lines.lines) >= MAX_LINES and attempt not in self.lines.lines:
                self._told(out.AttemptRefused(self._clock(), self.node, attempt, "too many lines"))
            return  # of one that was placed before, its own end is told
        try:
            fields = agent_fields(command) if isinstance(command, out.CallAgent) else originate_fields(command)
        except MisuseError as error:
            log.error("%s: attempt %s: %s", self.node, attempt, error)
            self.lines.refused(attempt, str(error))
            return
        if self.sink is None or not self._ready:
            self.lines.refused(attempt, f"{self.node} is not connected")
            return
        try:
            future = self._sender.send("Originate", fields)
        except MisuseError as error:
            self.lines.refused(attempt, str(error))
            return
        if future.done():  # it was not sent
            self.lines.refused(attempt, str(future.exception()))
            return
        future.add_done_callback(lambda done: self._answered(attempt, done))

    def _answered(self, attempt: str, future: asyncio.Future[Message]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            response = future.result()
            if response.get("Response") == "Success":
                self.lines.placed(attempt)
            else:
                text = response.get("Message", "no reason given")
                if "permission denied" in text.lower():
                    text += " (its manager user needs originate in the line write= of manager.conf)"
                self._quiet.say(logging.ERROR, f"refused {text}", "%s refused attempt %s: %s", self.node, attempt, text)
                self.lines.refused(attempt, f"Asterisk refused it: {text}")
        else:
            log.warning("%s: attempt %s: %s; the next look tells", self.node, attempt, error)

    def _end(self, command: out.EndAttempt) -> None:
        self.lines.taken_back(command.attempt)
        try:
            self._sender.send("Hangup", (("Channel", command.attempt), ("Cause", "16")))
        except AcdError as error:
            log.error("%s: attempt %s cannot be hung up: %s", self.node, command.attempt, error)

    def _told(self, event: out.OutboundEvent) -> None:
        if self.sink is None:
            return
        try:
            self.sink.tell(event)
        except Exception:
            log.exception("%s: what happened outbound was not taken: %r", self.node, event)


class OutboundNodes:
    """The outbound wire of all nodes: sends each command to its own. ``sink`` is told of commands to nodes that there are
    not."""

    def __init__(
        self, nodes: Mapping[str, Node], sink: out.OutboundSink, clock: Callable[[], float] = time.time
    ) -> None:
        self._nodes = nodes
        self._sink = sink
        self._clock = clock

    def execute(self, command: out.OutboundCommand) -> None:
        """Carry out one command."""
        node = self._nodes.get(command.node)
        if node is not None:
            node.outbound.execute(command)
        elif isinstance(command, out.PlaceAttempt | out.CallAgent):
            detail = f"there is no node {command.node}"
            self._sink.tell(out.AttemptRefused(self._clock(), command.node, command.attempt, detail))


class OutboundQuestions:
    """Handles ``agi://controller/outbound,node,attempt,entered,call,place,verdict,detail``."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        registration: Registration,
        sink: out.OutboundSink,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._nodes = nodes
        self._registration = registration
        self._sink = sink
        self._clock = clock
        self._quiet = QuietLog(log)

    async def outbound(self, request: AgiRequest) -> Ending | None:
        """Ask what becomes of an answered line, and say so. Without an answer it hears its message and is hung up."""
        name, attempt, entered, call, place, verdict, detail = (*request.args, *[""] * 7)[:7]
        node = self._registration.node_of(name)
        if node is None or attempt != request.uniqueid or not out.ATTEMPT.fullmatch(attempt):
            text = "an AGI session of %s asks for the attempt %r of the node %r: there is none"
            self._quiet.say(logging.ERROR, "unknown attempt", text, request.remote, attempt[:40], name[:80])
            return None
        now = self._clock()
        at = entered_at(entered, now)
        if now - at > LATE_S and not await request.waits():
            log.info("attempt %s asked while nobody listened, and has gone on", attempt)
            return None
        lines = node.outbound.lines
        found = _VERDICTS.get(verdict, out.Verdict.UNSURE)
        if not lines.asks(attempt, request.channel, at):
            return None
        if verdict:
            lines.classified(attempt, at, found, detail)
        linkedid = request.variables.get("agi_linkedid", attempt)
        question = out.AttemptAsked(
            at, node.name, attempt, attempt, request.channel, linkedid, found, detail[:80], call, place
        )
        match self._sink.asked(question):
            case out.Connect(arrived):
                return self._registration.admit(request, node, arrived)
            case out.PlayMessage(sound):
                await self._answer(request, {"acd_sound": sound, "acd_next": "acd-message,s,1"})
            case out.LeaveMessage():
                await self._answer(request, {"acd_next": "acd-machine,s,1"})
            case out.HangUpLine():
                await self._answer(request, {"acd_goto": "", "acd_sound": "", "acd_next": "acd-leave,s,1"})
            case None:
                log.warning("attempt %s is unknown here; it hears its message", attempt)
        return None

    async def _answer(self, request: AgiRequest, values: dict[str, str]) -> None:
        try:
            await request.set_variables(values)
        except AsteriskError as error:
            log.log(logging.DEBUG if request.hung_up else logging.WARNING, "AGI of %s: %s", request.channel, error)


def _ignore(future: asyncio.Future[Message]) -> None:
    """What is not taken away now is at a later look."""
    if not future.cancelled():
        future.exception()
