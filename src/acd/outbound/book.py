"""A campaign's ledger as it is kept: every change noted, and windows that are over not forgotten before they are written.

Windows of a kind that the rules had once are counted on when they have it no longer: what was written of them stays true,
and nothing is missing should a reload bring the rule back. Those of kinds that they never had are counted beside, and are
no part of what is written: should a reload bring such a rule, its first window knows what was before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from acd.dialer.ledger import Count, Ledger, Slack
from acd.domain.campaigns import Campaign
from acd.domain.dialrules import SPANS, Rule
from acd.outbound.words import Counted

FALSE_POSITIVE = 0.05
"""The share of people whom machine detection is taken to hang up on, until somebody has measured it: above the strictest
caps, so that a campaign which uses it does not over-dial on an assumption."""
MOST = 0.49
_OVER_MAX = 1_000


class Book:
    """The ledger of one campaign. ``began_s``: when the campaign began. Charged people count in ``answered`` as well."""

    def __init__(self, campaign: Campaign, began_s: float) -> None:
        self._counts_missed = campaign.amd and campaign.rules.false_positives
        self._measured: float | None = None
        self._share = FALSE_POSITIVE if self._counts_missed else 0.0
        self.ledger = Ledger(campaign.rules.caps, began_s, ZoneInfo(campaign.zone), self._share)
        self.changed = False
        self._former: Ledger | None = None
        """windows of kinds that the rules do not have"""
        self._beside: Ledger | None = None
        """windows of kinds that they never had"""
        self._aside({})
        self._over: list[Counted] = []
        self._ahead: dict[tuple[str, int], Counted] = {}
        """windows that have not come yet, which a clock that was ahead has begun"""

    def restore(
        self, windows: Sequence[Counted], now_s: float | None = None, *, beside: Sequence[Counted] = ()
    ) -> None:
        """Take over what was counted, also ``beside``; windows later than ``now_s`` when they come."""
        own, known = {rule.span for rule in self.ledger.rules}, {one.span for one in windows}
        windows = [*windows, *(one for one in beside if one.span in own - known)]
        if now_s is not None:
            present: dict[str, int] = {span: self.ledger.key(span, now_s) for span in SPANS}
            later = [one for one in windows if one.key > present.get(one.span, one.key)]
            self._ahead = {(one.span, one.key): one for one in later}
            windows = [one for one in windows if one not in later]
            beside = [one for one in beside if one.key <= present[one.span]]
        latest = {one.span: one for one in sorted(windows, key=lambda one: one.key)}
        former = tuple(Rule(span, 0.0) for span in SPANS if span in latest and span not in own)
        if former:
            self._former = Ledger(former, self.ledger.began_s, self.ledger.zone, self._share)
        for ledger in self._kept():
            _restore(ledger, latest)
        self._aside({one.span: one for one in beside})

    def _aside(self, counted: Mapping[str, Counted]) -> None:
        """Count all that is neither kept nor was."""
        kept = {rule.span for ledger in self._kept() for rule in ledger.rules}
        rules = tuple(Rule(span, 0.0) for span in SPANS if span not in kept)
        self._beside = Ledger(rules, self.ledger.began_s, self.ledger.zone, self._share) if rules else None
        if self._beside is not None:
            _restore(self._beside, counted)

    def under(self, campaign: Campaign) -> Book:
        """The same counts under other rules."""
        fresh = Book(campaign, self.ledger.began_s)
        fresh.measure(self._measured)
        fresh.restore(self.windows(), beside=self.beside())
        for ledger in fresh._ledgers():
            ledger.in_flight = self.ledger.in_flight
        fresh._over, fresh._ahead, fresh.changed = self._over, self._ahead, True
        return fresh

    def _kept(self) -> Iterator[Ledger]:
        """Those that are written."""
        yield self.ledger
        if self._former is not None:
            yield self._former

    def _ledgers(self) -> Iterator[Ledger]:
        yield from self._kept()
        if self._beside is not None:
            yield self._beside

    def _counts(self) -> Iterator[tuple[Rule, Count]]:
        for ledger in self._kept():
            yield from zip(ledger.rules, ledger.counts, strict=True)

    def begin(self, at_s: float) -> None:
        """The campaign begins at this moment."""
        for ledger in self._ledgers():
            ledger.began_s = at_s

    # -- what happens ----------------------------------------------------------------------------------------------------

    def dialled(self, at_s: float) -> None:
        """One line is on its way."""
        self._turn(at_s)
        for ledger in self._ledgers():
            ledger.dialled()

    def unanswered(self, at_s: float) -> None:
        """It reached no person, or one who did not wait for an agent."""
        self._turn(at_s)
        for ledger in self._ledgers():
            ledger.unanswered()

    def served(self, at_s: float) -> None:
        """It reached a person who had an agent in time."""
        self._turn(at_s)
        for ledger in self._ledgers():
            ledger.answered(at_s)

    def abandoned(self, at_s: float) -> None:
        """It reached a person who had no agent in time."""
        self._turn(at_s)
        for ledger in self._ledgers():
            ledger.answered(at_s)
            ledger.abandoned(at_s)

    def lost(self, at_s: float) -> None:
        """Nobody knows what became of it."""
        self._turn(at_s)
        for ledger in self._ledgers():
            ledger.unanswered()
        self._unknown()

    def charge(self, at_s: float) -> None:
        """What became of one that was counted already is not known to whoever comes later: the worst is taken for it."""
        self._turn(at_s)
        self._unknown()

    def _unknown(self) -> None:
        for ledger in self._ledgers():
            for count in ledger.counts:
                count.unknown += 1.0

    @property
    def share(self) -> float:
        """Of people, those whom machine detection is taken to hang up on."""
        return self._share

    def measure(self, share: float | None) -> None:
        """Agents have found out that share, with what chance may add to it; None: they have not yet. What is counted from
        now on goes by it."""
        self._measured = share
        if self._counts_missed:
            self._share = FALSE_POSITIVE if share is None else min(share, MOST)
            for ledger in self._ledgers():
                ledger.false_positive = self._share

    def holds(self, at_s: float) -> bool:
        """Whether what was counted at this moment stands in the present windows, all of them."""
        return all(ledger.holds(at_s) for ledger in self._kept())

    def revise(self, at_s: float, counted_s: float, share: float, *, person: bool) -> None:
        """Whom an agent served was a machine, or was a person after all. ``share``: as it was when he was counted."""
        self._turn(at_s)
        for ledger in self._ledgers():
            if ledger is not self._beside or ledger.holds(counted_s):
                (ledger.person_after_all if person else ledger.machine_after_all)(at_s, share)

    def slack(self, now_s: float) -> Slack:
        """Of the tightest window."""
        self._keep(now_s)
        return self.ledger.slack(now_s)

    def _turn(self, at_s: float) -> None:
        self._keep(at_s)
        self.changed = True

    def _keep(self, at_s: float) -> None:
        """Windows may turn with the next look at the ledger: those that are over are kept."""
        before = self.windows()
        for ledger in self._ledgers():
            ledger.slack(at_s)
        for was, (_, count) in zip(before, self._counts(), strict=True):
            if was.key not in (-1, count.key) and self.changed and len(self._over) < _OVER_MAX:
                self._over.append(was)
        for rule, count in self._counts() if self._ahead else ():
            begun = self._ahead.pop((rule.span, count.key), None)
            if begun is not None:
                count.answered += begun.answered
                count.abandoned += begun.abandoned
                count.misjudged += begun.misjudged
                count.unknown += begun.unknown

    # -- as it is written ------------------------------------------------------------------------------------------------

    def windows(self) -> tuple[Counted, ...]:
        """As they are now."""
        return tuple(counted for ledger in self._kept() for counted in _counted(ledger))

    def beside(self) -> tuple[Counted, ...]:
        """Those of kinds that the rules never had, as they are now."""
        return () if self._beside is None else tuple(_counted(self._beside))

    def take(self) -> tuple[Counted, ...]:
        """What is to be written: windows that have turned since the last time, and the present ones."""
        found = (*self._over, *(one for one in self.windows() if one.key != -1))
        self._over, self.changed = [], False
        return found

    def put_back(self, windows: Sequence[Counted]) -> None:
        """What was taken is not known to have been written: say it again, with what is counted by then."""
        self.hold_back(windows)
        self.changed = True

    def hold_back(self, windows: Sequence[Counted]) -> None:
        """What was taken was refused: say it again with the next change."""
        present = {(one.span, one.key) for one in self.windows()}
        self._over = [*(one for one in windows if (one.span, one.key) not in present), *self._over][-_OVER_MAX:]


def _counted(ledger: Ledger) -> Iterator[Counted]:
    for rule, one in zip(ledger.rules, ledger.counts, strict=True):
        yield Counted(rule.span, one.key, one.answered, one.abandoned, one.misjudged, one.unknown, ledger.in_flight)


def _restore(ledger: Ledger, counted: Mapping[str, Counted]) -> None:
    known = [counted.get(rule.span) for rule in ledger.rules]
    counts = [
        [-1, 0.0, 0.0, 0.0, 0.0] if one is None else [one.key, one.answered, one.abandoned, one.misjudged, one.unknown]
        for one in known
    ]
    ledger.restore({"in_flight": 0, "counts": counts})
