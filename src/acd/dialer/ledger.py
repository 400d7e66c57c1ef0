"""The abandonment ledger: what has been answered and abandoned in each window a regulator looks at, and what that leaves.

Charged are people who were abandoned, attempts whose outcome nobody knows (after a crash), and the people a machine
detector is expected to have hung up on. How many those were, nobody knows: they scatter like rare and independent events do
(Poisson), so a deviation of their number is held back. ``slack`` is what may still be abandoned: cap x answered -
charged - held. Over-dialling is allowed while hardly ever more people in flight will find no agent than fit into the slack
of the tightest window (`Slack.allows`); otherwise every line needs an agent held for it. Times are UTC seconds; windows are
days and months of the place that ``zone`` names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from acd.domain.dialrules import Rule, Span
from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

_DAYS_30_S = 30 * 86_400
_SCATTER = 1.0
"""Deviations of the number of people taken for machines that are held back; as many are in the aim (`aim_of`)."""
_SELDOM = 0.02
"""Of the cap: how likely lines in flight may be to cost more than the slack. While not even one abandonment fits in, as in
the first minutes of a window, that is how likely they may be to cost one. A whole one takes 1 / cap answers: if there is one
in flight at a time, one window in fifty sees somebody abandoned until then; the more are in flight, the fewer."""


@dataclass(slots=True)
class Count:
    """One window. ``key`` tells it from the one before; ``misjudged``: people expected to have been taken for machines."""

    key: int = -1
    answered: float = 0.0
    abandoned: float = 0.0
    misjudged: float = 0.0
    unknown: float = 0.0

    @property
    def charged(self) -> float:
        """What counts against the cap."""
        return self.abandoned + self.misjudged + self.unknown

    @property
    def held(self) -> float:
        """What is held back because people taken for machines may have been more than expected."""
        return _SCATTER * math.sqrt(self.misjudged)


@valueclass(frozen=True, slots=True)
class Slack:
    """The tightest window: its figures, and what may still be abandoned in it. ``misjudged``: of ``charged``, people
    expected to have been taken for machines; ``held``: what is held back for their scatter, and is no part of ``slack``."""

    span: Span
    cap: float
    answered: float
    charged: float
    slack: float
    misjudged: float = 0.0
    held: float = 0.0

    @property
    def fits(self) -> int:
        """How many whole abandonments fit in."""
        return max(0, math.floor(self.slack))

    @property
    def seldom(self) -> float:
        """The chance that lines in flight may have to cost more than fits in."""
        return _SELDOM * self.cap

    def allows(self, exceeded: float) -> bool:
        """Whether lines may be in flight for which no agent is held. ``exceeded``: the chance that more of the people who
        answer will find no agent than fit in."""
        return self.slack > 0.0 and exceeded <= self.seldom


@dataclass(slots=True)
class Ledger:
    """Counts of one campaign. ``false_positive``: the share of people that machine detection takes for machines (measured,
    its upper confidence bound); ``began_s``: when the campaign began."""

    rules: tuple[Rule, ...]
    began_s: float
    zone: tzinfo = UTC
    false_positive: float = 0.0
    counts: list[Count] = field(default_factory=list)
    in_flight: int = 0
    _until_s: float = -math.inf
    _from_s: float = math.inf

    def __post_init__(self) -> None:
        if not self.rules:
            raise ConfigurationError("a campaign that over-dials needs a window in which its abandonments are counted")
        if not 0 <= self.false_positive < 0.5:
            raise ConfigurationError(f"false positives must be a share from 0 to below 0.5, not {self.false_positive}")
        if not self.counts:
            self.counts = [Count() for _ in self.rules]

    # -- what happens --------------------------------------------------------------------------------------------------

    def dialled(self, lines: int = 1) -> None:
        """Lines that are on their way: charged as unknown if nobody learns what became of them."""
        self.in_flight += lines

    def unanswered(self) -> None:
        """Busy, nobody, or a machine: no person."""
        self._landed()

    def answered(self, at_s: float) -> None:
        """A person has answered."""
        self._landed()
        self._roll(at_s)
        share = self.false_positive / (1.0 - self.false_positive)
        for count in self.counts:
            # For each who is known, so many more who answered and were hung up on
            count.answered += 1.0 + share
            count.misjudged += share

    def abandoned(self, at_s: float) -> None:
        """A person who had answered got no agent in time."""
        self._roll(at_s)
        for count in self.counts:
            count.abandoned += 1.0

    def key(self, span: Span, at_s: float) -> int:
        """Which window of a kind this moment lies in."""
        return self._keys(at_s)[span]

    def holds(self, at_s: float) -> bool:
        """Whether every present window is the one in which something of this moment was counted."""
        keys = self._keys(at_s)
        return all(keys[rule.span] == count.key for rule, count in zip(self.rules, self.counts, strict=True))

    def machine_after_all(self, at_s: float, false_positive: float | None = None) -> None:
        """An agent was connected to what turned out a machine: it does not count as answered by a person.
        ``false_positive``: as it was then."""
        self._revise(at_s, -1.0, false_positive)

    def person_after_all(self, at_s: float, false_positive: float | None = None) -> None:
        """It was a person: `machine_after_all` is taken back."""
        self._revise(at_s, 1.0, false_positive)

    def _revise(self, at_s: float, people: float, false_positive: float | None) -> None:
        self._roll(at_s)
        missed = self.false_positive if false_positive is None else false_positive
        share = missed / (1.0 - missed)
        for count in self.counts:
            count.answered = max(0.0, count.answered + people * (1.0 + share))
            count.misjudged = max(0.0, count.misjudged + people * share)

    def lost_track(self, at_s: float) -> int:
        """After a crash: what was in flight is unknown, and charged. Returns how many lines that are."""
        self._roll(at_s)
        lost, self.in_flight = self.in_flight, 0
        for count in self.counts:
            count.unknown += lost
        return lost

    def cleared_up(self, at_s: float, *, person: bool, abandoned: bool) -> None:
        """What became of an attempt that was unknown."""
        self._roll(at_s)
        for count in self.counts:
            count.unknown = max(0.0, count.unknown - 1.0)
        if person:
            self.in_flight += 1
            self.answered(at_s)
        if abandoned:
            self.abandoned(at_s)

    def _landed(self) -> None:
        self.in_flight = max(0, self.in_flight - 1)

    # -- what that leaves ----------------------------------------------------------------------------------------------

    def slack(self, now_s: float) -> Slack:
        """Of the window that leaves least."""
        self._roll(now_s)
        least: Slack | None = None
        for rule, count in zip(self.rules, self.counts, strict=True):
            left = rule.cap * count.answered - count.charged - count.held
            if least is None or left < least.slack:
                least = Slack(rule.span, rule.cap, count.answered, count.charged, left, count.misjudged, count.held)
        assert least is not None
        return least

    def _roll(self, at_s: float) -> None:
        """Begin the windows that ``at_s`` lies in. A time before the present window belongs to it: nothing is reopened."""
        if self._from_s <= at_s < self._until_s:
            return
        keys = self._keys(at_s)
        for index, rule in enumerate(self.rules):
            if keys[rule.span] > self.counts[index].key:
                self.counts[index] = Count(keys[rule.span])
        # Days change on whole minutes everywhere, and successive 30 days at the campaign's own second
        self._from_s = at_s
        self._until_s = min(60.0 * (at_s // 60.0 + 1), self.began_s + (keys["days30"] + 1) * _DAYS_30_S)

    def _keys(self, at_s: float) -> dict[Span, int]:
        day = datetime.fromtimestamp(at_s, self.zone)
        return {
            "day": day.toordinal(),
            "days30": int(max(0.0, at_s - self.began_s) // _DAYS_30_S),
            "month": day.year * 12 + day.month,
            "campaign": 0,
        }

    def as_json(self) -> dict[str, Any]:
        """The counts, as `restored` takes them."""
        return {
            "in_flight": self.in_flight,
            "counts": [[c.key, c.answered, c.abandoned, c.misjudged, c.unknown] for c in self.counts],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over counts that `as_json` gave under the same rules. Raises ValueError when their number differs."""
        if len(saved["counts"]) != len(self.rules):
            raise ValueError(f"{len(saved['counts'])} windows were saved, the rules have {len(self.rules)}")
        self.counts = [Count(int(key), *rest) for key, *rest in saved["counts"]]
        self.in_flight = int(saved["in_flight"])
        self._from_s, self._until_s = math.inf, -math.inf
