"""A call's place in line, as one short text that rides on the caller's channel and outlives the controller.

Order and priority are rebuilt from it after a crash: queue, priority, when the caller joined (UTC, microseconds),
a serial that breaks ties, when the wait in the present queue began (for its maximum wait and its stages), the call's
attributes that nothing else would tell, and the agents to whom it is not offered again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, unquote

from acd.domain.attributes import MAX_ATTRIBUTES, Value, fault_of
from acd.domain.values import valueclass

MAX_CHARS = 900
"""Of the whole text: Asterisk reads 1,022 bytes of a line. Attributes that would make it longer do not ride on the channel:
they are forgotten with the controller."""
MAX_BARRED = 8
"""So many agents at most do not get a call again; the latest ones."""

_BARRED = re.compile(r"[a-z0-9_-]{1,40}=[a-z_]{1,20}(?:;[a-z0-9_-]{1,40}=[a-z_]{1,20})*", re.ASCII)


@valueclass(frozen=True, slots=True)
class Place:
    """Where a caller stands. Times are UTC seconds. ``barred``: agents who do not get this call, each with the reason."""

    queue: str
    priority: int
    joined_at: float
    serial: int
    queue_joined_at: float
    entered_at: float
    extras: tuple[tuple[str, str], ...] = ()
    barred: tuple[tuple[str, str], ...] = ()

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that were set on this call, as texts."""
        return dict(self.extras)

    def with_attributes(self, values: Mapping[str, Value]) -> Place:
        """With these attributes too, as far as they are sound; of equal names the new ones count."""
        sound = {name: str(value) for name, value in values.items() if not fault_of(name, value)}
        return replace(self, extras=tuple(list({**self.attributes, **sound}.items())[:MAX_ATTRIBUTES]))

    def encode(self) -> str:
        """``queue:priority:joined:serial:queue_joined:entered[:name=value;...[:agent=reason;...]]``; no comma, quote or
        space, for AGI and AMI."""
        text = (
            f"{self.queue}:{self.priority}:{self.joined_at:.6f}:{self.serial}:"
            f"{self.queue_joined_at:.6f}:{self.entered_at:.6f}"
        )
        barred = f":{';'.join(f'{agent}={reason}' for agent, reason in self.barred)}" if self.barred else ""
        extras, room = "", MAX_CHARS - len(text) - 1 - len(barred)
        for name, value in self.extras:
            longer = f"{extras}{';' if extras else ''}{name}={quote(value, safe='')}"
            if len(longer) <= room:
                extras = longer
        return f"{text}:{extras}{barred}" if extras or barred else text

    @classmethod
    def decode(cls, text: str) -> Place | None:
        """The place, or ``None`` if the text is not one (it comes from a channel, so it may be anything)."""
        parts = text.split(":")
        if len(parts) not in (6, 7, 8) or not parts[0] or not all(_BARRED.fullmatch(text) for text in parts[7:]):
            return None
        try:
            joined, queue_joined, entered = float(parts[2]), float(parts[4]), float(parts[5])
            priority, serial = int(parts[1]), int(parts[3])
        except ValueError:
            return None
        # What no controller of ours ever wrote, and no database could hold
        if abs(priority) > 1_000_000 or not 0 <= serial < 2**63:
            return None
        place = cls(parts[0], priority, joined, serial, queue_joined, entered, _extras(parts[6:7]), _barred(parts[7:]))
        # NaN and infinities compare false or lie outside any sane clock
        return place if all(0 <= t < 1e11 for t in (joined, queue_joined, entered)) else None


def _extras(parts: list[str]) -> tuple[tuple[str, str], ...]:
    """The sound ones among attributes as ``encode`` wrote them."""
    pairs = (pair.partition("=") for text in parts for pair in text[:MAX_CHARS].split(";"))
    read = {name: unquote(value) for name, equals, value in pairs if equals}
    return tuple([(name, value) for name, value in read.items() if not fault_of(name, value)][:MAX_ATTRIBUTES])


def _barred(parts: list[str]) -> tuple[tuple[str, str], ...]:
    """Agents and reasons as ``encode`` wrote them; as many as ever are."""
    pairs = (pair.partition("=") for text in parts for pair in text.split(";"))
    return tuple((agent, reason) for agent, _, reason in pairs)[-MAX_BARRED:]
