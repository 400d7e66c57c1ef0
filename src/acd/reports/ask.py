"""What is asked of a report: the range, the zone, how rows are told apart, which calls count, and by which rules."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from acd.domain.errors import UnknownNameError
from acd.domain.values import valueclass
from acd.reports.cuts import UNITS
from acd.reports.moments import Period
from acd.store.tables import calls

SERVICE_LEVEL_S = 20.0
"""The threshold of a queue that floor.yaml does not know (any more), as its own default is."""
SHORT_S = 5.0
WITHIN_DAYS = 7

ALIASES = {
    **dict.fromkeys(("quarter", "quarter-hour", "15m"), "15min"),
    **dict.fromkeys(("half-hour", "30m"), "30min"),
    **dict.fromkeys(("60min", "60m", "1h", "hourly"), "hour"),
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
}
"""Other words for intervals."""


@valueclass(frozen=True, slots=True)
class Filters:
    """Only calls of one of these; empty = of any."""

    queue: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    did: tuple[str, ...] = ()

    def given(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(name, values) of those that are set."""
        pairs = (("queue", self.queue), ("agent", self.agent), ("client", self.client), ("did", self.did))
        return tuple((name, values) for name, values in pairs if values)

    def of(self, rows: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """Conditions on ``rows``, which have such columns."""
        return [rows.c[name].in_(values) for name, values in self.given()]

    def of_calls(self) -> list[sa.ColumnElement[bool]]:
        """Conditions on ``calls``."""
        return self.of(calls)


@valueclass(frozen=True, slots=True)
class Ask:
    """One question. ``by`` and ``columns`` are names that the report knows (`known` checks); columns empty = its own.

    ``thresholds_s``: each queue's service level, by name; other queues have ``threshold_s``. An abandoned call that waited
    less than ``short_s`` is a short one. ``within_days``: how far apart two calls of a number are a repetition.
    ``withheld``: what else stands for a number that is not known, besides the words for it. ``agents_have``: by ``queue``
    and ``skill``, which of them each agent has; nothing where no configuration says so.
    """

    period: Period
    zone: ZoneInfo
    now: float
    by: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    thresholds_s: Mapping[str, float] = field(default_factory=dict)
    threshold_s: float = SERVICE_LEVEL_S
    short_s: float = SHORT_S
    within_days: int = WITHIN_DAYS
    withheld: frozenset[str] = frozenset()
    agents_have: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    @property
    def units(self) -> tuple[str, ...]:
        """The intervals of the calendar in ``by``."""
        return tuple(name for name in self.by if name in UNITS)

    def in_period(self, at: sa.ColumnElement[float]) -> list[sa.ColumnElement[bool]]:
        """Conditions for a moment to lie in the period."""
        return [at >= self.period.from_s, at < self.period.to_s]


def nearest(word: str, among: Iterable[str]) -> str | None:
    """The most similar of some words, if any is similar."""
    folded = {name.casefold(): name for name in among}
    near = difflib.get_close_matches(word.casefold().strip(), folded, 1, 0.6)
    return folded[near[0]] if near else None


def known(kind: str, names: Sequence[str], among: Sequence[str]) -> tuple[str, ...]:
    """``names`` without repetition, aliases of intervals resolved. Raises UnknownNameError on one that is not ``among``."""
    found: dict[str, None] = {}
    for name in names:
        word = ALIASES.get(name, name) if kind == "interval or column" else name
        if word not in among:
            near = nearest(word, among)
            raise UnknownNameError(kind, name, near or f"one of {', '.join(among)}")
        found[word] = None
    return tuple(found)
