"""What the law asks of outbound calls, as figures: the words in which profiles (``acd.dialer.rules``) are written.

Immutable, checked when made. A campaign carries the figures in force for it, its profile's with the operator's changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final, Literal

from acd.domain.errors import ConfigurationError
from acd.domain.hours import MINUTES_A_DAY, WEEKDAYS, Range
from acd.domain.values import valueclass

Span = Literal["day", "days30", "month", "campaign"]
SPANS: Final[tuple[Span, ...]] = ("day", "days30", "month", "campaign")
_DATE = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", re.ASCII)
Week = tuple[tuple[Range, ...], ...]


@valueclass(frozen=True, slots=True)
class Rule:
    """At most ``cap`` of the calls that people answered may be abandoned in each window of ``span``: a calendar day,
    each successive 30 days from the campaign's start, a calendar month, the whole campaign."""

    span: Span
    cap: float

    def __post_init__(self) -> None:
        if self.span not in SPANS:
            raise ConfigurationError(f"a window is one of {', '.join(SPANS)}, not {self.span!r}")
        if not 0 <= self.cap < 1:
            raise ConfigurationError(f"the share that may be abandoned must be from 0 to below 1, not {self.cap}")


@valueclass(frozen=True, slots=True)
class CallingHours:
    """When people may be called, by the clock on the wall where they are. ``week``: seven tuples of ranges, Monday
    first. ``holiday``: those of a public holiday, ``eve``: the most of the day before one, ``special``: the most of a
    day of each year, by its date (``12-24``); ``None`` and no entry: as on any other day."""

    week: Week
    holiday: tuple[Range, ...] | None = None
    eve: tuple[Range, ...] | None = None
    special: Mapping[str, tuple[Range, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if len(self.week) != len(WEEKDAYS):
            raise ConfigurationError(f"a week has seven days, not {len(self.week)}")
        if not all(_DATE.fullmatch(date) for date in self.special):
            raise ConfigurationError(f"special days are written as 12-24, not {', '.join(self.special)}")
        for day in (*self.week, self.holiday or (), self.eve or (), *self.special.values()):
            last = 0
            for start, end in day:
                if not last <= start < end <= MINUTES_A_DAY:
                    raise ConfigurationError(
                        f"ranges of a day lie within it, in order and apart, unlike {start} to {end} minutes"
                    )
                last = end


@valueclass(frozen=True, slots=True)
class ShortCalls:
    """Who places ``calls`` or more a day, ``share`` or more of them ended within ``short_s``, is cut off by the networks."""

    short_s: float
    share: float
    calls: int

    def __post_init__(self) -> None:
        if not (self.short_s >= 0 and 0 < self.share <= 1 and self.calls >= 1):
            raise ConfigurationError(
                "short calls need seconds of 0 or more, a share above 0 up to 1, calls of 1 or more"
            )


@valueclass(frozen=True, slots=True)
class Rules:
    """The figures of one profile or campaign.

    ``caps``: abandonments. ``connect_s``: an agent must be there so soon after the greeting, else the message is
    played. ``ring_s``: no line is given up earlier. ``hours``: when people may be called. ``number_day``,
    ``number_week``, ``contact_day``, ``contact_week``: attempts at most within any 24 hours and any 7 days (``None``:
    as many as one likes). ``cool_down_s``: no call after an abandonment for so long; ``agent_lifts_cool_down``: unless
    an agent is held for it; ``agent_after_abandonment``: after that time too each call needs an agent held, until one
    has been served. ``consent``: nobody is called who has not given it; ``customer_days``: but customers, and those who
    were one so lately (``None``: not even they). ``short_calls``: see there. ``message``: abandoned people hear who
    called. ``false_positives``: people taken for machines count as abandoned.
    """

    caps: tuple[Rule, ...]
    hours: CallingHours
    connect_s: float = 2.0
    ring_s: float = 15.0
    number_day: int | None = None
    number_week: int | None = None
    contact_day: int | None = None
    contact_week: int | None = None
    cool_down_s: float = 0.0
    agent_lifts_cool_down: bool = False
    agent_after_abandonment: bool = False
    consent: bool = False
    customer_days: int | None = None
    short_calls: ShortCalls | None = None
    message: bool = True
    false_positives: bool = True

    def __post_init__(self) -> None:
        if not self.caps:
            raise ConfigurationError("rules need a window in which abandonments are counted")
        if len({rule.span for rule in self.caps}) < len(self.caps):
            raise ConfigurationError("each window has one cap")
        if min(self.connect_s, self.ring_s, self.cool_down_s) < 0 or not self.connect_s <= 30.0:
            raise ConfigurationError("times must not be negative, and an agent must be there within 30 s")
        for most in (self.number_day, self.number_week, self.contact_day, self.contact_week):
            if most is not None and most < 1:
                raise ConfigurationError(f"at least one attempt must be allowed, not {most}")
        if self.customer_days is not None and self.customer_days < 0:
            raise ConfigurationError("the time after which a customer no longer counts as one must not be negative")

    @property
    def cap(self) -> float:
        """The tightest of the caps."""
        return min(rule.cap for rule in self.caps)
