"""What a pacer sees of the floor at one moment: how many agents are free, how long the others have been at it, what rings.

An immutable snapshot, made by whoever owns the agents; a pacer never learns who is behind a number. Times are UTC
seconds, given as arguments throughout this room, so that what was learned outlives a restart.
"""

from __future__ import annotations

from typing import NamedTuple

from acd.domain.values import valueclass

MAX_LINES = 100_000
"""Lines that a snapshot may allow: far above what any trunk carries."""


class Busy(NamedTuple):
    """An agent who will be free again: whose pace (a key of the statistics), and since when in this stage."""

    agent: str
    since_s: float


class Line(NamedTuple):
    """A line that rings: since when, and of which segment of the list."""

    dialled_s: float
    segment: str = ""


@valueclass(frozen=True, slots=True)
class Supply:
    """``idle``: agents free for a call now. ``waiting``: people who have answered and have no agent yet. ``talking`` and
    ``wrapping``: agents who will be back. ``ringing``: lines dialled and not answered. ``most``: how many more lines the
    trunks carry and the list offers. ``pulled``: contacts that agents have accepted in preview, each with its agent held.
    ``segment``: of the contacts that come next."""

    idle: int
    waiting: int = 0
    talking: tuple[Busy, ...] = ()
    wrapping: tuple[Busy, ...] = ()
    ringing: tuple[Line, ...] = ()
    most: int = MAX_LINES
    pulled: int = 0
    segment: str = ""

    def __post_init__(self) -> None:
        if self.idle < 0 or self.waiting < 0 or self.pulled < 0 or not 0 <= self.most <= MAX_LINES:
            raise ValueError(
                f"idle, waiting and pulled must not be negative and most must be 0 to {MAX_LINES}, not "
                f"{self.idle}, {self.waiting}, {self.pulled} and {self.most}"
            )

    @property
    def covered(self) -> int:
        """Lines that may be placed with an agent held for each of them, whoever answers."""
        return max(0, self.idle - self.waiting - len(self.ringing))
