"""The rules of one agent: intervals that follow each other, calls that do not overlap, and both telling the same.

Pure, over streams in the order of time: memory does not grow with an agent's life. Times are microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from acd.domain.states import AgentState, SegmentKind
from acd.records.call_rules import CONVERSATION, JOINED, RESTART
from acd.records.rows import IntervalRow, SegmentRow
from acd.records.violation import Violation
from acd.records.word_rules import STATES

IN_CALL = frozenset({AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING})
FOUND_MAX = 10_000
"""Of one agent; what is beyond is wrong in the same way."""
GOES_ON = (JOINED, RESTART)
"""How a stretch ends whose offer may go on in another call."""
OFFERS_KEPT = 1000
"""Of so many offers before is it known whose call they were."""


@dataclass(slots=True)
class AgentCheck:
    """One agent's rules, fed with two streams.

    ``in_force``: serial and state of his row; None without one. ``whole``: the streams go on to the present.
    ``since``: conversations that began earlier are not compared, for either side may be gone. ``finished``: no call may
    be under way.
    """

    agent: str
    in_force: tuple[int, str] | None
    whole: bool
    finished: bool
    since: int | None
    found: list[Violation] = field(default_factory=list)

    def intervals(self, rows: Iterable[IntervalRow]) -> Iterator[tuple[int, str | None]]:
        """Check the intervals, by serial; the beginnings and calls of those in which he talked."""
        before: IntervalRow | None = None
        for row in rows:
            if before is not None and (row.serial != before.serial + 1 or before.ended_at != row.started_at):
                self._state(
                    f"{before.state} ({before.serial}) "
                    + ("does not end" if before.ended_at is None else f"ends {_apart(before.ended_at, row.started_at)}")
                    + f" where {row.state} ({row.serial}) begins"
                )
            if row.ended_at is not None and row.ended_at < row.started_at:
                self._state(f"{row.state} ({row.serial}) ends before it starts")
            if row.state not in STATES:
                self._add("word", f"{row.state!r} ({row.serial}) is no state", None)
            if row.state in (AgentState.PAUSED, AgentState.PREVIEW) and not row.reason:
                self._add("reason", f"{row.state} ({row.serial}) without a reason", None)
            if row.state in IN_CALL and not row.call:
                self._add("reason", f"{row.state} ({row.serial}) without a call", None)
            if row.state == AgentState.TALKING:
                yield row.started_at, row.call
            before = row
        if self.whole:
            self._last(before)

    def _last(self, last: IntervalRow | None) -> None:
        if last is None or self.in_force is None:
            if last is not None or self.in_force is not None:
                self._state("has intervals and no state" if last is not None else "has a state and no intervals")
            return
        if last.ended_at is not None:
            self._state(f"nothing follows {last.state} ({last.serial}), which ended")
        if self.in_force != (last.serial, last.state):
            self._state(
                f"is {self.in_force[1]} ({self.in_force[0]}), the last interval says {last.state} ({last.serial})"
            )
        if self.in_force[1] not in STATES:
            self._add("word", f"is {self.in_force[1]!r}, which is no state", None)
        if self.finished and last.state in IN_CALL:
            self._add("state", f"is {last.state} with call {last.call} for ever", last.call)

    def stretches(self, rows: Iterable[SegmentRow]) -> Iterator[tuple[int, str]]:
        """Check the stretches of calls he is on, by their beginning; the beginnings and calls of his conversations."""
        before: SegmentRow | None = None
        offers: dict[str, str] = {}
        for _, together in groupby(rows, lambda row: row.started_at):
            # Those that begin together: what lasted no time came first
            for row in sorted(
                together, key=lambda row: (row.ended_at is None, row.ended_at or 0, row.call, row.serial)
            ):
                if before is not None and (before.ended_at is None or row.started_at < before.ended_at):
                    self._add(
                        "overlap",
                        f"{before.kind} of call {before.call} "
                        + ("does not end" if before.ended_at is None else "goes on")
                        + f" when {row.kind} of call {row.call} begins",
                        row.call,
                    )
                if row.offer is not None:
                    if before is not None and before.outcome in GOES_ON and before.offer == row.offer:
                        offers[row.offer] = row.call
                    if offers.setdefault(row.offer, row.call) != row.call:
                        self._add(
                            "offer", f"offer {row.offer} is of calls {offers[row.offer]} and {row.call}", row.call
                        )
                    if len(offers) > OFFERS_KEPT:
                        del offers[next(iter(offers))]
                if row.kind == SegmentKind.TALKED and not _goes_on(before, row):
                    yield row.started_at, row.call
                before = row

    def compare(self, intervals: Iterable[IntervalRow], stretches: Iterable[SegmentRow]) -> list[Violation]:
        """Everything that is wrong with the agent."""
        talking = groupby(self.intervals(intervals), lambda one: one[0])
        talks = groupby(self.stretches(stretches), lambda one: one[0])
        a, b = next(talking, None), next(talks, None)
        while a is not None or b is not None:
            at = min(one[0] for one in (a, b) if one is not None)
            mine = {call for _, call in a[1]} if a is not None and a[0] == at else set()
            theirs: set[str | None] = {call for _, call in b[1]} if b is not None and b[0] == at else set()
            if self.since is None or at >= self.since:
                for call in sorted(mine - theirs, key=str):
                    self._add("talking", f"only the agent's intervals know of a conversation in call {call}", call)
                for call in sorted(theirs - mine, key=str):
                    self._add("talking", f"only the stretches of call {call} know of a conversation", call)
            a = next(talking, None) if a is not None and a[0] == at else a
            b = next(talks, None) if b is not None and b[0] == at else b
        return self.found

    def _state(self, message: str) -> None:
        self._add("state", message, None)

    def _add(self, rule: str, message: str, call: str | None) -> None:
        if len(self.found) < FOUND_MAX:
            self.found.append(Violation(rule, f"agent {self.agent}: {message}", call, self.agent))


def _goes_on(before: SegmentRow | None, row: SegmentRow) -> bool:
    """Whether ``row`` is the same conversation as the stretch before."""
    return (
        before is not None
        and before.kind in CONVERSATION
        and (before.call, before.offer, before.ended_at) == (row.call, row.offer, row.started_at)
    )


def _apart(ended_at: int, started_at: int) -> str:
    return f"{abs(started_at - ended_at) / 1_000_000:.6f} s {'after' if ended_at > started_at else 'before'}"
