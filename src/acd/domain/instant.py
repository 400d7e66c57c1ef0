"""Time as an argument: one value with a monotonic and a UTC part. Nothing in the pure rooms reads a clock."""

from __future__ import annotations

from typing import NamedTuple


class Instant(NamedTuple):
    """A moment. ``mono`` (s, arbitrary origin) is for timers, ``utc`` (s since 1970) for records and calendars."""

    mono: float
    utc: float

    def mono_of(self, utc: float) -> float:
        """The monotonic time of a UTC moment, judged from this instant (used to rearm deadlines after a restart)."""
        return self.mono + (utc - self.utc)

    def utc_of(self, mono: float) -> float:
        """The UTC time of a monotonic moment, judged from this instant."""
        return self.utc + (mono - self.mono)
