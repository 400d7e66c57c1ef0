"""What came of every counted caller, kept in columns, and what agents did in each batch of the counted time.

Taken down from what callers and agents experience, not from the floor's own counts, so that the two can be compared.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from acd.domain.values import valueclass


class Fate(IntEnum):
    """How a caller fared."""

    ANSWERED = 0
    ABANDONED = 1
    SENT_AWAY = 2
    REFUSED = 3
    BLOCKED = 4
    STUCK = 5


FATES = (
    (Fate.ANSWERED, "talked with an agent"),
    (Fate.ABANDONED, "gave up"),
    (Fate.SENT_AWAY, "waited and was sent elsewhere"),
    (Fate.REFUSED, "was turned away at once: the queue or the waiting room was full, or the queue closed"),
    (Fate.BLOCKED, "found no line free"),
    (Fate.STUCK, "still waited when nothing more could happen"),
)


@valueclass(frozen=True, slots=True)
class CallRow:
    """One counted caller. ``wait_s`` until answered, sent away or gone; ``held`` if no agent was offered at once."""

    source: int
    queue: int
    batch: int
    fate: Fate
    held: bool
    in_time: bool
    wait_s: float


class CallBook:
    """Counted callers in the order in which they were done with."""

    def __init__(self, queues: tuple[str, ...]) -> None:
        self.queues = queues
        self._queue_numbers = {name: number for number, name in enumerate(queues)}
        self._codes = array("q")
        self._waits_s = array("d")

    def __len__(self) -> int:
        return len(self._codes)

    def note(self, source: int, queue: str, batch: int, fate: Fate, held: bool, in_time: bool, wait_s: float) -> None:
        """Take down one caller. ``queue`` is empty for those who never reached one."""
        number = self._queue_numbers.get(queue, len(self.queues))
        self._codes.append(source << 48 | number << 28 | batch << 8 | fate << 2 | held << 1 | in_time)
        self._waits_s.append(wait_s)

    def __iter__(self) -> Iterator[CallRow]:
        for code, wait_s in zip(self._codes, self._waits_s, strict=True):
            yield CallRow(
                source=code >> 48,
                queue=code >> 28 & 0xFFFFF,
                batch=code >> 8 & 0xFFFFF,
                fate=Fate(code >> 2 & 7),
                held=bool(code & 2),
                in_time=bool(code & 1),
                wait_s=wait_s,
            )


@dataclass(slots=True)
class AgentRow:
    """What one agent did in the counted time: seconds at work and present in each batch."""

    group: int
    work_s: list[float] = field(default_factory=list)
    present_s: list[float] = field(default_factory=list)
    calls: int = 0


@valueclass(frozen=True, slots=True)
class Look:
    """The floor at one moment: seconds from the start, callers waiting, callers talking, agents logged in."""

    at_s: float
    waiting: int
    talking: int
    present: int
