"""The lines that were dialled on one node: from Asterisk's events to what became of each attempt, in whatever order they
come.

DialBegin, DialState, DialEnd, OriginateResponse and Hangup of an attempt bear its id (the channel's Uniqueid). None of
them is sure to come before another: a line is over once it has hung up and it is known whether it was answered, or once
Originate has failed and no channel was heard of. What is not heard within ``PATIENCE_S`` of the rest is done without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from acd.asterisk.agi.request import entered_at
from acd.asterisk.ami.messages import Message
from acd.asterisk.fates import Line, judge_line, seen_attempt
from acd.domain import outbound as out
from acd.domain.campaigns import AttemptOutcome

PATIENCE_S = 0.5
MAX_LINES = 50_000
_MAX_ENDED = 10_000

Tell = Callable[[out.OutboundEvent], None]
Later = Callable[[float, Callable[[], None]], object]


class Lines:
    """``feed`` a message; what it means goes to ``tell``, in order. ``later(seconds, what)`` calls ``what`` once.

    ``unserved``: attempts that were answered and that no agent has talked to yet; the executor asks it."""

    def __init__(self, node: str, tell: Tell, *, clock: Callable[[], float], later: Later) -> None:
        self.node = node
        self._tell = tell
        self._clock = clock
        self._later = later
        self.lines: dict[str, Line] = {}
        self.unserved: set[str] = set()
        self._missing: dict[str, Line] = {}
        self._ended: dict[str, bool] = {}
        """lines that were over lately: a look or a question that crossed their end does not bring them back. Whether a look
        alone told so"""
        self._handlers: dict[str, Callable[[Line, Message, float], None]] = {
            "DialBegin": self._dial_begin,
            "DialState": self._dial_state,
            "DialEnd": self._dial_end,
            "OriginateResponse": self._response,
            "BridgeEnter": self._bridge_enter,
            "Hangup": self._hangup,
        }

    # -- commands ----------------------------------------------------------------------------------------------------

    def open(self, attempt: str) -> Line | None:
        """Follow an attempt that is about to be sent; None if one of that id is followed already or was, or there are too
        many."""
        if attempt in self.lines or attempt in self._ended or len(self.lines) >= MAX_LINES:
            return None
        now = self._clock()
        line = self.lines[attempt] = Line(attempt, now, now)
        return line

    def placed(self, attempt: str) -> None:
        """Asterisk has taken it."""
        line = self.lines.get(attempt)
        if line is not None:
            self._is_placed(line, self._clock())

    def refused(self, attempt: str, detail: str) -> None:
        """It was not taken, or never sent: its end."""
        line = self.lines.get(attempt)
        if line is not None and not line.placed:
            del self.lines[attempt]
            self._tell(out.AttemptRefused(self._clock(), self.node, attempt, detail[:200]))

    def taken_back(self, attempt: str) -> None:
        """We hang it up."""
        line = self.lines.get(attempt)
        if line is not None:
            line.taken_back = True

    # -- events ------------------------------------------------------------------------------------------------------

    def feed(self, message: Message) -> None:
        """Take one event; those of other channels do nothing."""
        name = message.get("Event", "")
        if name == "UserEvent":
            self._user_event(message)
            return
        handler = self._handlers.get(name)
        if handler is None:
            return
        line = self.lines.get(message.get("DestUniqueid" if name.startswith("Dial") else "Uniqueid", ""))
        if message.get("Privilege", "call,all") != "call,all":
            return
        at = self._at(message)
        if line is None:
            if name == "DialBegin" and self._ended.get(message.get("DestUniqueid", "")):
                # Asterisk did only now what it had been told before it was frozen
                self._tell(out.AttemptBegan(at, self.node, message.get("DestUniqueid", "")))
            return
        line.heard_at = self._clock()
        self._is_placed(line, at)
        handler(line, message, at)
        self._settle(line)

    def _at(self, message: Message) -> float:
        stamp = message.get("Timestamp")
        return self._clock() if stamp is None else float(stamp)

    def _dial_begin(self, line: Line, message: Message, at: float) -> None:
        line.exists = True
        # By our clock too, which may not be Asterisk's; and by Asterisk's, for it may be we who stood still
        if min(at, line.heard_at) - line.sent_at > out.BEGUN_LATE_S:
            self._tell(out.AttemptBegan(at, self.node, line.attempt))

    def _dial_state(self, line: Line, message: Message, at: float) -> None:
        line.exists = True
        if message.get("DialStatus") in ("RINGING", "PROGRESS"):
            self._rings(line, at)

    def _dial_end(self, line: Line, message: Message, at: float) -> None:
        line.exists = True
        line.status = message.get("DialStatus", "")
        if line.status == "ANSWER":
            self._is_answered(line, message.get("DestChannel", ""), at)

    def _response(self, line: Line, message: Message, at: float) -> None:
        line.response, line.reason = message.get("Response", ""), message.get("Reason", "")
        if line.response == "Success":
            self._is_answered(line, message.get("Channel", ""), at)
        elif line.failed_at is None:
            line.failed_at = at

    def _bridge_enter(self, line: Line, message: Message, at: float) -> None:
        self._is_answered(line, message.get("Channel", ""), at)
        line.served = True
        self.unserved.discard(line.attempt)

    def _hangup(self, line: Line, message: Message, at: float) -> None:
        cause = message.get("Cause", "")
        line.exists = True
        line.cause = int(cause) if cause.isascii() and cause.isdigit() else None
        line.gone_at = at

    def _user_event(self, message: Message) -> None:
        """The dialplan's own words. They may come after the line's end."""
        attempt, name = message.get("Uniqueid", ""), message.get("UserEvent")
        if not out.ATTEMPT.fullmatch(attempt) or name not in ("AcdMessage", "AcdOptOut", "AcdFax"):
            return
        at, line = self._at(message), self.lines.get(attempt)
        if line is not None:
            self._is_placed(line, at)
            self._is_answered(line, message.get("Channel", ""), at)
        if name == "AcdMessage":
            missing = message.get("Missing", "")[:200]
            played = message.get("Played") == "yes" and not missing
            asked_at = entered_at(message.get("Asked", ""), at)
            self._tell(
                out.AttemptMessage(at, self.node, attempt, played, missing, None if asked_at == at else asked_at)
            )
        elif name == "AcdOptOut":
            self._tell(out.AttemptOptedOut(at, self.node, attempt, message.get("Key", "")[:1]))
        elif line is not None:
            self.classified(attempt, at, out.Verdict.FAX, "")

    def opted_out(self, kept: Mapping[str, str]) -> None:
        """What the dialplan has kept of who opted out: attempt -> when (UTC s). Some of it was told when it happened."""
        for attempt, text in kept.items():
            if out.ATTEMPT.fullmatch(attempt):
                try:
                    at = min(float(text), self._clock())
                except ValueError:
                    at = self._clock()
                self._tell(out.AttemptOptedOut(at, self.node, attempt, ""))

    # -- the question ------------------------------------------------------------------------------------------------

    def asks(self, attempt: str, channel_name: str, at: float) -> bool:
        """A line asks what becomes of it, so it was answered, whether or not that was heard. False if it is over by now."""
        line = self.lines.get(attempt) or self.open(attempt)
        if line is not None:
            self._is_placed(line, at)
            self._is_answered(line, channel_name, at)
        return line is not None and line.gone_at is None

    def classified(self, attempt: str, at: float, verdict: out.Verdict, detail: str) -> None:
        """Who answered is known; told once, but a fax may be heard late."""
        line = self.lines.get(attempt)
        if line is None or line.classified in (verdict, out.Verdict.FAX):
            return
        if line.classified is None or verdict is out.Verdict.FAX:
            line.classified = verdict
            self._tell(out.AttemptClassified(at, self.node, attempt, verdict, detail[:80]))

    # -- looks -------------------------------------------------------------------------------------------------------

    def look(self, at: float, channels: Sequence[Message], *, first: bool, margin_s: float) -> None:
        """Compare with all channels (CoreShowChannel items) as they were at ``at``. What is followed and not there is over,
        unless it was heard of later than ``at - margin_s``; after the ``first`` look only once ``looked`` is called."""
        seen = [
            (found, channel)
            for channel in channels
            if (found := seen_attempt(channel, at)) is not None and found.attempt not in self._ended
        ]
        there = {one.attempt for one, _ in seen}
        if first:
            for line in self.lines.values():
                line.missed = True
        for one, channel in seen:
            self._take_up(one, channel, at)
        gone = [line for line in self.lines.values() if line.attempt not in there and line.heard_at < at - margin_s]
        self._tell(out.OutboundSeen(at, self.node, tuple(one for one, _ in seen), first))
        self._missing = {line.attempt: line for line in gone}
        if not first:
            self.looked()

    def looked(self) -> None:
        """Whatever Asterisk had said before the look was fed: what was missing in it is over."""
        missing, self._missing = self._missing, {}
        for line in missing.values():
            if self.lines.get(line.attempt) is line:
                self._is_over(line, self._clock(), "it was gone at a look")

    def _take_up(self, one: out.SeenAttempt, channel: Message, at: float) -> None:
        line = self.lines.get(one.attempt)
        if line is None:
            line = self.open(one.attempt)
            if line is None:
                return
            line.placed = line.missed = True
        line.exists, line.heard_at = True, max(line.heard_at, at)
        self._is_placed(line, at)
        if one.state is out.SeenState.RINGING:
            self._rings(line, at, heard=False)
        if one.state in (out.SeenState.DIALLING, out.SeenState.RINGING):
            return
        self._is_answered(line, channel.get("Channel", ""), at)
        if one.state is out.SeenState.TALKING or channel.get("Context") == "acd-hold":
            line.served = True
            self.unserved.discard(line.attempt)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _is_placed(self, line: Line, at: float) -> None:
        if not line.placed:
            line.placed = True
            self._tell(out.AttemptPlaced(at, self.node, line.attempt, max(0.0, self._clock() - line.sent_at)))

    def _rings(self, line: Line, at: float, *, heard: bool = True) -> None:
        if not line.rang and not line.answered:
            line.rang = True
            self._tell(out.AttemptRang(at, self.node, line.attempt, heard))

    def _is_answered(self, line: Line, channel_name: str, at: float) -> None:
        if not line.answered:
            line.answered = line.exists = True
            self.unserved.add(line.attempt)
            self._tell(out.AttemptAnswered(at, self.node, line.attempt, channel_name))

    def _settle(self, line: Line) -> None:
        """Tell the end as soon as it is known, or wait a little for what tells it."""
        if line.gone_at is not None:
            if line.answered or line.status or line.response:
                self._is_over(line, line.gone_at, "")
            else:
                self._wait(line)
        elif line.failed_at is not None and not line.answered:
            self._wait(line)

    def _wait(self, line: Line) -> None:
        if not line.waiting:
            line.waiting = True
            self._later(PATIENCE_S, lambda: self._waited(line))

    def _waited(self, line: Line) -> None:
        line.waiting = False
        if self.lines.get(line.attempt) is not line:
            return
        if line.gone_at is not None:
            self._is_over(line, line.gone_at, "")
        elif line.failed_at is not None and not line.exists:
            self._is_over(line, line.failed_at, "")
        # Else its channel is about to go: the hang-up says why, or a look finds it gone

    def _is_over(self, line: Line, at: float, detail: str) -> None:
        self._forget(line, by_look=bool(detail))
        outcome, said = (None, detail) if detail else judge_line(line)
        if line.classified is out.Verdict.FAX:
            outcome = AttemptOutcome.FAX
        self._tell(out.AttemptOver(at, self.node, line.attempt, outcome, line.cause, said, line.answered))

    def _forget(self, line: Line, *, by_look: bool) -> None:
        self.lines.pop(line.attempt, None)
        self.unserved.discard(line.attempt)
        if len(self._ended) >= _MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[line.attempt] = by_look
