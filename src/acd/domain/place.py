"""A call's place in line, as one short text that rides on the caller's channel and outlives the controller.

Order and priority are rebuilt from it after a crash: queue, priority, when the caller joined (UTC, microseconds),
a serial that breaks ties, and when the wait in the present queue began (for its maximum wait).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a caller stands. Times are UTC seconds."""

    queue: str
    priority: int
    joined_at: float
    serial: int
    queue_joined_at: float
    entered_at: float

    def encode(self) -> str:
        """``queue:priority:joined:serial:queue_joined:entered``; no comma, quote or space, for AGI and AMI."""
        return (
            f"{self.queue}:{self.priority}:{self.joined_at:.6f}:{self.serial}:"
            f"{self.queue_joined_at:.6f}:{self.entered_at:.6f}"
        )

    @classmethod
    def decode(cls, text: str) -> Place | None:
        """The place, or ``None`` if the text is not one (it comes from a channel, so it may be anything)."""
        parts = text.split(":")
        if len(parts) != 6 or not parts[0]:
            return None
        try:
            joined, queue_joined, entered = float(parts[2]), float(parts[4]), float(parts[5])
            priority, serial = int(parts[1]), int(parts[3])
        except ValueError:
            return None
        # What no controller of ours ever wrote, and no database could hold
        if abs(priority) > 1_000_000 or not 0 <= serial < 2**63:
            return None
        place = cls(parts[0], priority, joined, serial, queue_joined, entered)
        # NaN and infinities compare false or lie outside any sane clock
        return place if all(0 <= t < 1e11 for t in (joined, queue_joined, entered)) else None
