"""What happened to one call, as moments in order: it joins a queue, rings, is answered, is talked out, leaves, ends.

A story is told as far as it is known: its rows are read again while the call lasts, and only what is new comes out. Pure.
Which of app_queue's events a moment is, with positions and times, is the sweep's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from acd.domain.definition import Cause
from acd.domain.states import CallOutcome, OfferOutcome, SegmentKind
from acd.domain.values import valueclass

MISSED = frozenset(
    {
        OfferOutcome.NO_ANSWER,
        OfferOutcome.BUSY,
        OfferOutcome.DECLINED,
        OfferOutcome.UNREACHABLE,
        OfferOutcome.CONGESTION,
    }
)
"""What app_queue calls RINGNOANSWER: the phone was tried, and nobody spoke."""
Row: TypeAlias = Any
"""A row of the database, by its columns' names."""

_RINGING = (SegmentKind.OFFERED, SegmentKind.RANG)
_TALKING = (SegmentKind.TALKED, SegmentKind.HELD, SegmentKind.CONSULTED, SegmentKind.CONFERENCED)


@valueclass(frozen=True, slots=True)
class Moment:
    """Something about ``call`` at ``at`` (UTC s)."""

    at: float
    call: Call


@valueclass(frozen=True, slots=True)
class Joined(Moment):
    """It waits in ``queue``, the first time or again."""

    queue: str
    first: bool


@valueclass(frozen=True, slots=True)
class Left(Moment):
    """It leaves the queue it waits in, without an agent. ``why``: a Cause, or a word such as ``escalated``."""

    why: str


@valueclass(frozen=True, slots=True)
class Rang(Moment):
    """``agent`` was tried from ``since`` on and did not take it; ``gone``: because the caller went."""

    agent: str
    since: float
    gone: bool


@valueclass(frozen=True, slots=True)
class Connected(Moment):
    """Caller and ``agent`` talk. ``since``: when his phone was tried."""

    agent: str
    offer: str
    since: float


@valueclass(frozen=True, slots=True)
class Talked(Moment):
    """They do not talk any more. ``how``: agent, caller, blind or attended, the last two with ``target``."""

    agent: str
    how: str
    target: str = ""


@valueclass(frozen=True, slots=True)
class Ended(Moment):
    """The call is over. ``outcome`` is a CallOutcome: what became of its last wait, if it waited."""

    outcome: str
    why: str = ""


@valueclass(frozen=True, slots=True)
class Call:
    """What stays the same of a call. ``channel`` is its uniqueid in Asterisk."""

    call: str
    channel: str
    did: str
    number: str
    name: str
    priority: int
    entered_at: float


class Story:
    """One call. ``more`` gives the moments that are new since the last time."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.over = False
        """Everything has been told."""
        self._told = 0
        """Segments of which all has been told."""
        self._begun = -1
        """The segment whose beginning has been told, but not its end."""
        self._queue = ""
        self._joined = False
        self._since = call.entered_at
        self._offer: tuple[str, str] | None = None
        """The conversation that goes on: offer and agent."""

    def more(self, row: Row, segments: Sequence[Row], decisions: Sequence[Row]) -> Iterator[Moment]:
        """``row`` of calls, all its ``segments`` but wrap-ups by serial, and its ``decisions`` on leaving a queue and on
        ringing several."""
        over = row["ended_at"] is not None
        for place in range(self._told, len(segments)):
            segment = segments[place]
            following = _way_on(segments, place)
            if self._begun < place:
                yield from self._begin(place, segment, segments, decisions)
                self._begun = place
            if segment["ended_at"] is None or not (over or _is_told(segment, following)):
                return
            yield from self._end(row, segment, following, decisions)
            self._told = place + 1
        if over and not self.over:
            self.over = True
            yield Ended(row["ended_at"], self.call, *_last_wait(row, segments, decisions))

    def _begin(self, place: int, segment: Row, segments: Sequence[Row], decisions: Any) -> Iterator[Moment]:
        kind, at, queue = segment["kind"], segment["started_at"], segment["queue"] or ""
        if not self._joined:
            if kind not in _TALKING and kind != SegmentKind.AFTER:
                self._joined, first = True, not self._queue
                self._queue = queue
                yield Joined(self.call.entered_at if first else at, self.call, queue, first)
        elif queue != self._queue and kind not in _TALKING:
            before = segments[place - 1]["outcome"] or ""
            left, self._queue = self._queue, queue
            yield Left(at, self.call, _left(decisions, at, left) or before)
            yield Joined(at, self.call, queue, first=False)
        if kind in _RINGING and (not place or segments[place - 1]["offer"] != segment["offer"]):
            self._since = at
        if kind in _TALKING:
            whose = (segment["offer"] or "", segment["agent"] or "")
            if self._offer != whose:
                if not self._joined:
                    # Passed from agent to agent, never in line between
                    yield Joined(at, self.call, queue, first=not self._queue)
                    self._queue = queue
                self._offer, self._joined = whose, False
                since = self._since if place and segments[place - 1]["kind"] in _RINGING else at
                yield Connected(at, self.call, whose[1], whose[0], since)

    def _end(self, row: Row, segment: Row, following: Row | None, decisions: Any) -> Iterator[Moment]:
        kind, at, outcome = segment["kind"], segment["ended_at"], segment["outcome"]
        if kind in _RINGING:
            if following is None or following["kind"] not in _RINGING or following["offer"] != segment["offer"]:
                for told in _let_go(segment, decisions):
                    yield Rang(told["at"], self.call, str(told["detail"].get("agent") or ""), self._since, gone=False)
            gone = outcome == OfferOutcome.CALLER_GONE
            if gone or outcome in MISSED:
                rung = [segment["agent"] or ""] if gone else _rung(segment, decisions)
                for agent in rung:
                    yield Rang(at, self.call, agent, self._since, gone)
        elif kind in _TALKING:
            goes_on = (
                following is not None
                and following["kind"] in _TALKING
                and (following["offer"] or "", following["agent"] or "") == self._offer
            )
            if not goes_on:
                self._offer = None
                yield self._talked(row, segment, following)

    def _talked(self, row: Row, segment: Row, following: Row | None) -> Talked:
        at, agent, outcome = segment["ended_at"], segment["agent"] or "", segment["outcome"] or ""
        if following is not None and following["kind"] in _TALKING:
            return Talked(at, self.call, agent, "attended", following["agent"] or "")
        if following is not None and following["kind"] != SegmentKind.AFTER:
            return Talked(at, self.call, agent, "blind", f"{following['queue'] or ''}@queue")
        if row["outcome"] == CallOutcome.TRANSFERRED:
            target = row["target"] or ""
            return Talked(at, self.call, agent, "blind" if "@" in target or "," in target else "attended", target)
        if outcome in ("agent", "caller"):
            return Talked(at, self.call, agent, outcome)
        return Talked(at, self.call, agent, "agent" if row["ended_by"] == "agent" else "caller")


def _way_on(segments: Sequence[Row], place: int) -> Row | None:
    """What came of the stretch at ``place``: the next one; but if the caller was passed on only after the agent was heard
    leaving, where he was passed on to."""
    behind = segments[place + 1 : place + 3]
    if len(behind) == 2 and segments[place]["kind"] in _TALKING and behind[0]["kind"] == SegmentKind.AFTER:
        return behind[1]
    return behind[0] if behind else None


def _is_told(segment: Row, following: Row | None) -> bool:
    """Whether what follows a segment says already what it was the end of. A conversation before the last moments of a call
    was a transfer if the call turns out to be transferred, whoever left the bridge first."""
    return following is not None and not (segment["kind"] in _TALKING and following["kind"] == SegmentKind.AFTER)


def _last_wait(row: Row, segments: Sequence[Row], decisions: Sequence[Row]) -> tuple[str, str]:
    """(outcome, why) of a call that ended while it waited. If it was answered in a queue before, its own outcome tells only
    that."""
    outcome = row["outcome"]
    if outcome == CallOutcome.OVERFLOWED:
        return outcome, _left(decisions, row["ended_at"], segments[-1]["queue"] if segments else None)
    if outcome not in (CallOutcome.ANSWERED, CallOutcome.TRANSFERRED) or not segments:
        return outcome, ""
    last = segments[-1]["outcome"]
    if row["ended_by"] == "caller":
        return CallOutcome.ABANDONED, ""
    if row["ended_by"] == "agent":
        return CallOutcome.OVERFLOWED, "joined" if last == "joined" else "transferred"
    if last == CallOutcome.FALLBACK:
        return CallOutcome.FALLBACK, ""
    return CallOutcome.OVERFLOWED, _left(decisions, row["ended_at"], segments[-1]["queue"])


def _left(decisions: Sequence[Row], at: float, queue: str | None) -> str:
    """Why a call left ``queue`` at about ``at``; empty if that was not written down. It may leave several in one moment."""
    found = [row for row in decisions if row["kind"] in ("overflowed", "escalated", "transferred") and row["at"] <= at]
    found = [row for row in found if row["detail"].get("from") == queue] or found
    if not found:
        return ""
    last = found[-1]
    return str(last["detail"].get("cause") or Cause.MAX_WAIT) if last["kind"] == "overflowed" else str(last["kind"])


def _let_go(segment: Row, decisions: Sequence[Row]) -> list[Row]:
    """The decisions by which some of several agents were rung no more, while others were."""
    return [row for row in decisions if row["kind"] == "let_go" and row["offer"] == segment["offer"]]


def _rung(segment: Row, decisions: Sequence[Row]) -> list[str]:
    """Everybody whose phone rang to the end for the offer of ``segment``."""
    for row in decisions:
        if row["kind"] == "offered" and row["offer"] == segment["offer"]:
            several = row["detail"].get("agents")
            if isinstance(several, list) and several:
                over = {told["detail"].get("agent") for told in _let_go(segment, decisions)}
                return [str(agent) for agent in several if agent not in over]
    return [segment["agent"] or ""]
