"""The words in records: every state, kind, ending and cause is one that there is, every queue was once defined. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from acd.domain.states import AgentState, CallOutcome, OfferOutcome, SegmentKind
from acd.records.rows import CallRow, SegmentRow
from acd.records.violation import Violation

KINDS = frozenset(SegmentKind)
STATES = frozenset(AgentState)
CAUSES = range(128)
"""Of Q.850."""
ENDINGS = (
    frozenset(OfferOutcome)
    | frozenset(CallOutcome)
    | {"caller", "agent", "system", "unknown", "transfer", "joined", "restart", "resync"}
    | {"moved", "escalated", "overflowed", "transferred"}
    | {"held", "retrieved", "consult", "consult_held", "consult_over", "conference"}
)
"""How a stretch may end, if that is said."""
INFLATED_MAX = 256 * 1024 * 1024


def word_violations(call: CallRow, segments: Sequence[SegmentRow]) -> Iterator[Violation]:
    """What is no word in a call's row and its stretches. (How a call ended, and by whom, is the rule ``ended``.)"""
    if call.cause is not None and call.cause not in CAUSES:
        yield Violation("cause", f"call {call.call} ended with cause {call.cause}, which is none of Q.850", call.call)
    # Whom no queue took has a record all the same
    if not call.queue and (segments or call.outcome != CallOutcome.FALLBACK):
        yield Violation("queue", f"call {call.call} names no queue", call.call)
    for segment in segments:
        if segment.kind not in KINDS:
            message = f"call {call.call}: stretch {segment.serial} is of kind {segment.kind!r}, which there is not"
            yield Violation("word", message, call.call)
        if segment.outcome is not None and segment.outcome not in ENDINGS:
            message = f"call {call.call}: stretch {segment.serial} ({segment.kind}) ended as {segment.outcome!r}"
            yield Violation("word", message, call.call)
        if not segment.queue:
            message = f"call {call.call}: stretch {segment.serial} ({segment.kind}) names no queue"
            yield Violation("queue", message, call.call)


@dataclass(slots=True)
class QueuesNamed:
    """The queues that calls name. ``since``: from when on (microseconds) configurations are kept; None: none is."""

    since: int | None
    named: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Queue -> the first call that names it, and how many do."""

    def note(self, call: CallRow, segments: Iterable[SegmentRow]) -> None:
        """Take a call in."""
        if self.since is None or call.entered_at < self.since:
            return
        for queue in {call.queue, *(segment.queue for segment in segments)}:
            if queue:
                first, count = self.named.get(queue, (call.call, 0))
                self.named[queue] = (first, count + 1)

    def violations(self, details: Iterable[Mapping[str, Any]]) -> Iterator[Violation]:
        """Queues that are in none of the configurations, which are read only as far as needed."""
        unknown = dict(self.named)
        if unknown:
            for detail in details:
                had = queues_of(detail)
                if had is None:
                    # It may have had any
                    return
                for queue in had:
                    unknown.pop(queue, None)
                if not unknown:
                    break
        for queue, (call, count) in sorted(unknown.items()):
            others = f" and {count - 1} more" if count > 1 else ""
            yield Violation("queue", f"call {call}{others}: no configuration had a queue {queue!r}", call)


def queues_of(detail: Mapping[str, Any]) -> list[str] | None:
    """The queues of a kept configuration; None if it cannot be read."""
    definition = definition_in(detail)
    try:
        return None if definition is None else list(definition["queues"])
    except (KeyError, TypeError):
        return None


def definition_in(detail: Mapping[str, Any]) -> dict[str, Any] | None:
    """A kept configuration; None if it cannot be read."""
    try:
        if "zlib" in detail:
            text = zlib.decompressobj().decompress(base64.b64decode(detail["zlib"]), INFLATED_MAX)
            definition = json.loads(text)
        else:
            definition = detail["definition"]
    except (KeyError, TypeError, ValueError, zlib.error):
        return None
    return definition if isinstance(definition, dict) else None
