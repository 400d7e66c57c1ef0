"""Agents' lasting lines on one node: called for by Originate, and followed by what their channels do.

The dialplan says itself when a line is in its waiting place (`AcdLine`, in acd-line), which is when somebody can be put
through on it: after the answer, and after each conversation. Whose it is stands on the channel (acd_agent). What becomes of
a conversation is the translator's to tell, as with any leg.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from acd.asterisk.ami.messages import Message
from acd.asterisk.originate import LINE_CONTEXT, line_fields
from acd.domain import events as ev
from acd.domain.commands import CallLine, EndLine, LineCommand
from acd.domain.errors import AcdError, MisuseError

Fields = Sequence[tuple[str, str]]

_MAX_LINES = 50_000
_REASON_TIMEOUT = "3"
_NO_CAUSE = ("", "0")


class Sender(Protocol):
    """What is needed of a node's session."""

    def send(self, action: str, fields: Fields = ()) -> asyncio.Future[Message]: ...


class LastingLines:
    """``feed`` a message, ``execute`` a command; what happens goes to ``submit``. ``doubt``: in place of it, for
    the end of a line without a cause."""

    def __init__(
        self,
        node: str,
        sender: Sender,
        submit: Callable[[ev.Event], None],
        clock: Callable[[], float] = time.time,
        doubt: Callable[[ev.LineEnded], None] | None = None,
    ) -> None:
        self.node = node
        self._sender = sender
        self._submit = submit
        self._clock = clock
        self._doubt = doubt or submit
        self._up: dict[str, None] = {}
        self._called: dict[str, None] = {}

    # -- events ------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether there is any such line, or one is being called."""
        return bool(self._up or self._called)

    def feed(self, message: Message) -> None:
        """Take one event; those of other channels do nothing."""
        name = message.get("Event", "")
        if name == "UserEvent":
            if message.get("UserEvent") == "AcdLine":
                self._waits(message)
            return
        if not self.busy:
            return
        channel = message.get("Uniqueid", "")
        if message.get("Privilege", "call,all") != "call,all":
            return
        if channel in self._called and name == "OriginateResponse":
            self._answered(channel, message)
        elif channel in self._up:
            if name == "Hangup":
                del self._up[channel]
                ended = ev.LineEnded(self._at(message), self.node, channel)
                (self._doubt if message.get("Cause", "") in _NO_CAUSE else self._submit)(ended)
            elif name in ("Hold", "Unhold"):
                self._submit(ev.LineHeld(self._at(message), self.node, channel, name == "Hold"))

    def _at(self, message: Message) -> float:
        stamp = message.get("Timestamp")
        return self._clock() if stamp is None else float(stamp)

    def _waits(self, message: Message) -> None:
        channel, agent = message.get("Uniqueid", ""), message.get("ChanVariable(acd_agent)", "")
        if message.get("Privilege") != "user,all" or message.get("Context") != LINE_CONTEXT or not (channel and agent):
            return
        self._called.pop(channel, None)
        self._is_up(channel)
        self._submit(ev.LineWaits(self._at(message), agent, self.node, channel, message.get("Channel", "")))

    def _is_up(self, channel: str) -> None:
        if len(self._up) >= _MAX_LINES:
            del self._up[next(iter(self._up))]
        self._up[channel] = None

    def _answered(self, channel: str, message: Message) -> None:
        del self._called[channel]
        if message.get("Response") != "Success":
            late = message.get("Reason") == _REASON_TIMEOUT
            why = "the phone was not answered" if late else "the phone is busy, refuses or cannot be reached"
            self._fails(channel, why)

    # -- commands ----------------------------------------------------------------------------------------------------

    def execute(self, command: LineCommand) -> None:
        """Carry out one command. Never raises for Asterisk's sake."""
        match command:
            case CallLine():
                self._call(command)
            case EndLine():
                self._called.pop(command.line, None)
                self._send("Hangup", (("Channel", command.line), ("Cause", "16")))
            case _:
                raise AssertionError(f"no node carries out {command!r}")

    def _call(self, command: CallLine) -> None:
        line = command.line
        try:
            fields = line_fields(command)
        except MisuseError as error:
            self._fails(line, str(error))
            return
        if len(self._called) >= _MAX_LINES:
            del self._called[next(iter(self._called))]
        self._called[line] = None
        future = self._send("Originate", fields)
        if future is None:
            self._called.pop(line, None)
            self._fails(line, f"{self.node} is not connected")
        else:
            future.add_done_callback(lambda done: self._taken(line, done))

    def _send(self, action: str, fields: Fields) -> asyncio.Future[Message] | None:
        """None: it was not sent."""
        try:
            future = self._sender.send(action, fields)
        except AcdError:
            return None
        return None if future.done() and not future.cancelled() and future.exception() is not None else future

    def _taken(self, line: str, future: asyncio.Future[Message]) -> None:
        """Asterisk has taken it, or refuses. If the connection was lost meanwhile, the first look at the next one
        tells."""
        if future.cancelled() or future.exception() is not None or line not in self._called:
            return
        response = future.result()
        if response.get("Response") != "Success":
            del self._called[line]
            text = response.get("Message", "no reason given")
            refused = "permission denied" in text.lower()
            if refused:
                text += ": its manager user needs originate in the line write= of manager.conf"
            self._fails(line, f"Asterisk refused to call the phone: {text}"[:300], refused=refused)

    def _fails(self, line: str, why: str, *, refused: bool = False) -> None:
        self._submit(ev.LineFailed(self._clock(), self.node, line, why, refused))

    # -- looks -------------------------------------------------------------------------------------------------------

    def look(self, channels: Sequence[Message], *, first: bool) -> tuple[ev.SeenLine, ...]:
        """The lines among ``channels`` (CoreShowChannel items). After the ``first`` look of a connection what was followed
        before is forgotten, and a line that was called for on the one before and is nowhere has failed: nothing else would
        tell."""
        seen = tuple(
            ev.SeenLine(agent, channel.get("Uniqueid", ""), channel.get("Channel", ""), bool(channel.get("BridgeId")))
            for channel in channels
            if channel.get("Context") == LINE_CONTEXT and (agent := channel.get("ChanVariable(acd_agent)", ""))
        )
        if first:
            self._up.clear()
            there = {channel.get("Uniqueid", "") for channel in channels}
            for lost in [line for line in self._called if line not in there]:
                del self._called[lost]
                self._fails(lost, f"the connection to {self.node} was lost")
        for one in seen:
            self._is_up(one.channel)
        return seen
