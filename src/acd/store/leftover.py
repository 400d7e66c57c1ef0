"""What can be remembered from the spill alone: agents' last states, and the calls that began in it and have not ended.

A call whose first record is there is there as a whole, for nothing overtakes in the spill. Of any other call it is not
known how far its numbering has come. Pure; memory grows with what is open, not with the spill.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acd.domain.events import AgentMemory, CallMemory, SegmentMemory
from acd.domain.states import AgentState, SegmentKind
from acd.store.operations import BY_NAME, Batch, Row

Values = dict[str, Any]


class Leftover:
    """Fed with the batches in their order."""

    def __init__(self) -> None:
        self.agents: dict[str, AgentMemory] = {}
        self._calls: dict[str, Values] = {}
        self._segments: dict[str, dict[int, Values]] = {}
        """Of the calls, all of them; of others, wrap-ups that last."""
        self._decisions: dict[str, int] = {}

    def add(self, batch: Batch) -> None:
        """Take one batch in."""
        ended = []
        for name, rows in batch.rows.items():
            columns = BY_NAME[name].columns
            for row in rows:
                values = dict(zip(columns, row, strict=True))
                if name in ("calls", "calls_patch"):
                    if self._call(name, row, values):
                        ended.append(row[0])
                elif name in ("segments", "segments_patch"):
                    self._segment(name, values)
                elif name == "decisions" and row[0] in self._calls:
                    self._decisions[row[0]] = max(self._decisions.get(row[0], -1), row[1])
                elif name == "agents":
                    self.agents[row[0]] = _agent(values)
        for call in ended:
            self._calls.pop(call, None)
            self._decisions.pop(call, None)
            self._keep_wraps(call)

    def _call(self, name: str, row: Row, values: Values) -> bool:
        """Whether it has ended."""
        known = self._calls.get(row[0])
        if known is None:
            if name == "calls_patch":
                return False
            known = self._calls[row[0]] = values
        else:
            _merge(known, values)
        return known["ended_at"] is not None

    def _segment(self, name: str, values: Values) -> None:
        call, serial = values["call"], values["serial"]
        mine = self._segments.get(call, {})
        known = mine.get(serial)
        if known is not None:
            _merge(known, values)
        elif name == "segments":
            mine[serial] = values
        self._segments[call] = mine
        if call not in self._calls:
            self._keep_wraps(call)

    def _keep_wraps(self, call: str) -> None:
        mine = {n: one for n, one in self._segments.pop(call, {}).items() if _wraps(one)}
        if mine:
            self._segments[call] = mine

    def calls(self, at_most: int) -> tuple[CallMemory, ...]:
        """The newest open calls, in the order in which they entered."""
        newest = sorted(self._calls.values(), key=lambda call: (call["entered_at"], call["call"]))[-at_most:]
        return tuple(self._memory(call) for call in newest)

    def _memory(self, call: Mapping[str, Any]) -> CallMemory:
        name = call["call"]
        mine = self._segments.get(name, {})
        return CallMemory(
            **{key: call[key] for key in ("call", "node", "channel", "linkedid", "did", "caller_number")},
            **{key: call[key] for key in ("caller_name", "queue", "entered_at", "answered_at", "agent")},
            next_segment=max(mine, default=-1) + 1,
            next_decision=self._decisions.get(name, -1) + 1,
            open_segments=tuple(_of(mine[serial]) for serial in sorted(mine) if mine[serial]["ended_at"] is None),
        )

    def wraps(self) -> tuple[SegmentMemory, ...]:
        """Wrap-ups that have not ended, of calls here and elsewhere."""
        found = [one for mine in self._segments.values() for one in mine.values() if _wraps(one)]
        return tuple(_of(one) for one in sorted(found, key=lambda one: (one["call"], one["serial"])))


def _merge(known: Values, values: Values) -> None:
    known.update({name: value for name, value in values.items() if value is not None})


def _wraps(segment: Values) -> bool:
    return segment["kind"] == SegmentKind.WRAPPED and segment["ended_at"] is None


def _of(one: Values) -> SegmentMemory:
    names = ("call", "serial", "kind", "started_at", "queue", "agent", "offer")
    return SegmentMemory(*(one[name] for name in names))


def _agent(values: Values) -> AgentMemory:
    return AgentMemory(**{**values, "state": AgentState(values["state"])})
