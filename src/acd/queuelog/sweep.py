"""All moments in the order of time, and what app_queue would have written of each: who waits where is known here.

Times in lines are app_queue's: differences of whole seconds of the clock, not rounded lengths. Memory holds what is waiting,
talking, or not yet due. Pure.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from acd.domain.definition import Cause
from acd.domain.numbers import mask_number, masked_text
from acd.domain.states import CallOutcome
from acd.queuelog.lines import NONE, Line
from acd.queuelog.people import MemberOf
from acd.queuelog.story import Connected, Ended, Joined, Left, Moment, Rang, Talked

_Rank = tuple[int, float, str]


@dataclass(slots=True)
class _Stay:
    """A call's time in one queue. ``talks_from``: since when it talks, if it does."""

    queue: str
    joined_at: float
    rank: _Rank
    position: int
    waits: bool = True
    talks_from: float = 0.0
    held_s: int = 0


class Sweep:
    """Takes moments and finished lines in any order, gives lines in that of time up to a moment that is told. ``mask``:
    callers' numbers are masked, and what could be one in where calls went."""

    def __init__(self, member_of: MemberOf, *, mask: bool = False) -> None:
        self._member_of = member_of
        self._number = mask_number if mask else str
        self._said = masked_text if mask else str
        self._due: list[tuple[float, int, Moment | Line]] = []
        self._order = count()
        self._lines: dict[str, list[_Rank]] = {}
        self._stays: dict[str, _Stay] = {}
        self.newest = 0.0
        """The latest time ever put in."""

    def put(self, what: Moment | Line) -> None:
        """Something that happened."""
        self.newest = max(self.newest, what.at)
        heapq.heappush(self._due, (what.at, next(self._order), what))

    def until(self, at: float) -> Iterator[Line]:
        """What happened up to ``at``, that moment included."""
        while self._due and self._due[0][0] <= at:
            what = heapq.heappop(self._due)[2]
            if isinstance(what, Line):
                yield what
            else:
                yield from self._told(what)

    def _told(self, moment: Moment) -> Iterator[Line]:
        if isinstance(moment, Joined):
            yield from self._joined(moment)
            return
        stay = self._stays.get(moment.call.call)
        if stay is None:
            return
        if isinstance(moment, Left):
            yield self._leaves(moment, stay, moment.why)
            self._gone(moment, stay)
        elif isinstance(moment, Rang):
            event = "RINGCANCELED" if moment.gone else "RINGNOANSWER"
            ms = max(round((moment.at - moment.since) * 1000), 0)
            yield self._line(moment, stay, event, (ms,), moment.agent)
        elif isinstance(moment, Connected):
            self._out_of_line(stay)
            stay.talks_from, stay.held_s = moment.at, int(moment.at) - int(stay.joined_at)
            ring_s = max(int(moment.at - moment.since), 0)
            yield self._line(moment, stay, "CONNECT", (stay.held_s, moment.offer, ring_s), moment.agent)
        elif isinstance(moment, Talked):
            yield self._talked(moment, stay)
            self._gone(moment, stay)
        elif isinstance(moment, Ended):
            if stay.waits:
                yield self._ended(moment, stay)
            self._gone(moment, stay)

    def _joined(self, moment: Joined) -> Iterator[Line]:
        call = moment.call
        rank = (-call.priority, call.entered_at, call.call)
        line = self._lines.setdefault(moment.queue, [])
        place = bisect_left(line, rank)
        insort(line, rank)
        stay = self._stays[call.call] = _Stay(moment.queue, moment.at, rank, place + 1)
        yield self._line(moment, stay, "ENTERQUEUE", ("", self._number(call.number), stay.position))
        if moment.first and call.did:
            yield self._line(moment, stay, "DID", (call.did,))

    def _talked(self, moment: Talked, stay: _Stay) -> Line:
        figures = (stay.held_s, max(int(moment.at) - int(stay.talks_from), 0), stay.position)
        target = self._said(moment.target)
        if moment.how == "blind":
            exten, context = target, ""
            if "@" in target:
                exten, _, context = target.partition("@")
            elif "," in target:
                context, exten = target.split(",")[:2]
            return self._line(moment, stay, "BLINDTRANSFER", (exten, context, *figures), moment.agent)
        if moment.how == "attended":
            return self._line(moment, stay, "ATTENDEDTRANSFER", ("BRIDGE", target, *figures), moment.agent)
        return self._line(moment, stay, f"COMPLETE{moment.how.upper()}", figures, moment.agent)

    def _ended(self, moment: Ended, stay: _Stay) -> Line:
        if moment.outcome in (CallOutcome.OVERFLOWED, CallOutcome.FALLBACK, CallOutcome.LOST_TRACK):
            return self._leaves(moment, stay, moment.why)
        return self._line(moment, stay, "ABANDON", self._place(moment, stay))

    def _leaves(self, moment: Moment, stay: _Stay, why: str) -> Line:
        if why in ("escalated", "transferred", "joined"):
            return self._line(moment, stay, "WITHDRAW", (*self._place(moment, stay), why))
        event = "EXITEMPTY" if why == Cause.NOBODY else "EXITWITHTIMEOUT"
        return self._line(moment, stay, event, self._place(moment, stay))

    def _place(self, moment: Moment, stay: _Stay) -> tuple[int, int, int]:
        position = bisect_left(self._lines.get(stay.queue, []), stay.rank) + 1
        return position, stay.position, int(moment.at) - int(stay.joined_at)

    def _out_of_line(self, stay: _Stay) -> None:
        if stay.waits:
            stay.waits = False
            line = self._lines[stay.queue]
            del line[bisect_left(line, stay.rank)]
            if not line:
                del self._lines[stay.queue]

    def _gone(self, moment: Moment, stay: _Stay) -> None:
        self._out_of_line(stay)
        del self._stays[moment.call.call]

    def _line(
        self, moment: Moment, stay: _Stay, event: str, data: tuple[str | int, ...], agent: str | None = None
    ) -> Line:
        label = NONE if agent is None else self._member_of(agent, moment.at).label
        return Line(moment.at, moment.call.channel, stay.queue, label, event, data)
