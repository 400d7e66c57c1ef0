"""The rules of ledgers: window by window they have counted whom attempts reached. Pure; times are microseconds.

Somebody is counted at a moment that no record keeps: after his attempt was made, and by its end, or a little later. So he
belongs to one window for sure, or to one of several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from acd.domain.values import valueclass
from acd.records.rows import SECOND_US
from acd.records.violation import Violation
from acd.store.outbound.evidence import label_of

DATED = ("day", "month")
"""Kinds of windows whose edges a time zone tells. Of 30 days and whole campaigns nobody else knows when they began."""
LATE_US = 3600 * SECOND_US
"""So long after an attempt's end it may have been counted: the clock was set, or the service stood still."""
WEST_US, EAST_US = 12 * 3600 * SECOND_US, 14 * 3600 * SECOND_US
"""How far clocks on walls are behind UTC and ahead of it at most."""
_MINUTE_US = 60 * SECOND_US


@valueclass(frozen=True, slots=True)
class Terms:
    """How a campaign counts, as far as configurations tell. ``zones``: by whose days it may have; None: by any's.
    ``spans``: the kinds of windows that it had from its first attempt on."""

    zones: tuple[tzinfo, ...] | None = None
    spans: frozenset[str] = frozenset()


@dataclass(slots=True)
class Spread:
    """Windows of one kind by their keys: how many people, and abandoned ones, are of that one for sure; and how many may
    be, by the first and the last window that they may be of."""

    sure: Counter[int] = field(default_factory=Counter)
    abandoned: Counter[int] = field(default_factory=Counter)
    firsts: Counter[int] = field(default_factory=Counter)
    lasts: Counter[int] = field(default_factory=Counter)

    def most(self, key: int) -> int:
        """How many people a window can have counted."""
        began = sum(many for first, many in self.firsts.items() if first <= key)
        return began - sum(many for last, many in self.lasts.items() if last < key)


@dataclass(slots=True)
class People:
    """Whom a campaign has reached, by its attempts. ``sure``: settled by the life that made them; ``unsure``: not settled
    yet, or by a later one, which may have charged them once more, or, where their campaign was gone, not at all."""

    terms: Terms = field(default_factory=Terms)
    sure: int = 0
    unsure: int = 0
    abandoned: int = 0
    spreads: dict[str, Spread] = field(default_factory=lambda: {kind: Spread() for kind in DATED})

    def take(self, made_at: int, ended_at: int | None, *, sure: bool, abandoned: bool) -> None:
        """One more attempt that reached somebody, or may have."""
        self.sure += sure
        self.unsure += not sure
        self.abandoned += sure and abandoned
        many = 1 if sure else 2
        first = _keys(made_at, self.terms.zones, last=False)
        last = None if ended_at is None else _keys(ended_at + LATE_US, self.terms.zones, last=True)
        for place, kind in enumerate(DATED):
            spread = self.spreads[kind]
            spread.firsts[first[place]] += many
            if last is None:
                continue
            spread.lasts[last[place]] += many
            if sure and first[place] == last[place]:
                spread.sure[first[place]] += 1
                spread.abandoned[first[place]] += abandoned


def _keys(at: int, zones: tuple[tzinfo, ...] | None, *, last: bool) -> tuple[int, int]:
    """The keys of the day and the month of a moment: the first, or the last, of those that they may be."""
    if zones is None:
        return _dated((at + (EAST_US if last else -WEST_US)) // _MINUTE_US, UTC)
    days, months = zip(*(_dated(at // _MINUTE_US, zone) for zone in zones), strict=True)
    pick = max if last else min
    return pick(days), pick(months)


@lru_cache(maxsize=8192)
def _dated(minute: int, zone: tzinfo) -> tuple[int, int]:
    # Days change on whole minutes everywhere
    day = datetime.fromtimestamp(minute * 60, zone)
    return day.toordinal(), day.year * 12 + day.month


class WindowRow(NamedTuple):
    """One window of a campaign's ledger."""

    campaign: str
    window: str
    key: int
    answered: float
    abandoned: float
    misjudged: float
    unknown: float

    @property
    def counted(self) -> float:
        """People. Those whom machine detection is expected to have hung up on are counted beside those who were reached
        (``misjudged``): they are in ``answered``, and of no attempt."""
        return self.answered - self.misjudged + self.unknown


def ledger_violations(campaign: str, people: People, windows: Mapping[str, Sequence[WindowRow]]) -> Iterator[Violation]:
    """Whether a campaign's ledger has counted everybody, and nobody else. ``windows`` by their kind, each in order."""
    if not windows and people.sure:
        yield _wrong(campaign, f"is empty, and attempts reached {people.sure} people")
        return
    whole = people.terms.spans if people.sure else frozenset()
    for kind in sorted(windows.keys() | whole):
        rows = windows.get(kind, ())
        for row in rows:
            least = min(row.answered, row.abandoned, row.misjudged, row.unknown)
            if least < 0 or row.abandoned > row.answered + 1e-6:
                said = f"counts {row.abandoned:g} of {row.answered:g} as abandoned"
                yield _wrong(campaign, f"{_named(kind, row.key)} {said}")
        counted, abandoned = sum(row.counted for row in rows), sum(row.abandoned for row in rows)
        said = f"by {kind} has counted {counted:g} people, and attempts reached {people.sure}"
        if _above(counted, people.sure + 2 * people.unsure):
            yield _wrong(campaign, said)
        if kind in whole and _above(people.sure, counted):
            yield _wrong(campaign, said)
        if kind in whole and _above(people.abandoned, abandoned):
            yield _wrong(
                campaign, f"by {kind} has counted {abandoned:g} abandoned, and {people.abandoned} attempts were"
            )
        if kind in DATED:
            yield from _window_by_window(campaign, people.spreads[kind], kind, rows, whole=kind in whole)


def _window_by_window(
    campaign: str, spread: Spread, kind: str, rows: Sequence[WindowRow], *, whole: bool
) -> Iterator[Violation]:
    """``whole``: this kind was counted from the first attempt on. Otherwise that began amid the first window there is."""
    for row in rows:
        most = spread.most(row.key)
        if _above(row.counted, most):
            said = f"has counted {row.counted:g} people, and attempts reached {most} in it at most"
            yield _wrong(campaign, f"{_named(kind, row.key)} {said}")
    found = {row.key: row for row in rows}
    for key, least in sorted(spread.sure.items()):
        if not whole and (not rows or key <= rows[0].key):
            continue
        own = found.get(key)
        counted, abandoned = (0.0, 0.0) if own is None else (own.counted, own.abandoned)
        if _above(least, counted):
            said = f"has counted {counted:g} people, and attempts reached {least} in it"
            yield _wrong(campaign, f"{_named(kind, key)} {said}")
        if _above(spread.abandoned[key], abandoned):
            said = f"has counted {abandoned:g} abandoned, and {spread.abandoned[key]} attempts were in it"
            yield _wrong(campaign, f"{_named(kind, key)} {said}")


def _above(more: float, than: float) -> bool:
    """With room for sums of fractions."""
    return more > than + 1e-6 * max(1.0, more, than)


def _named(kind: str, key: int) -> str:
    try:
        return f"for {kind} {label_of(kind, key)}"
    except (ValueError, OverflowError):
        return f"for {kind} no. {key}"


def _wrong(campaign: str, message: str) -> Violation:
    return Violation("ledger", f"the ledger of campaign {campaign} {message}")
