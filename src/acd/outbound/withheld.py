"""What the database refuses for good, as long as this life lasts: nobody behind it is dialled again, and whatever an attempt
came to that cannot be kept is charged as the worst. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from acd.dialer.gate import Reason, Refusal
from acd.domain.campaigns import AttemptOutcome
from acd.domain.instant import Instant
from acd.outbound import words as say

if TYPE_CHECKING:
    from acd.outbound.core import Dialler

MOST: Final = 1_000
"""Refusals after which nobody is dialled any more: somebody has to look first."""
AGAIN_S: Final = 60.0
"""When a campaign dials again whose ledger was refused."""
_NAMED: Final = 5
_NUMBERS: Final = re.compile(r"\+?[0-9]{4,}")
_CHARGED: Final = (AttemptOutcome.ABANDONED, AttemptOutcome.UNKNOWN)
_WORDS: Final = {
    "progress": "what was learnt of attempts",
    "opt_outs": "opt-outs in attempts",
    "ended": "what attempts came to:",
    "said": "what agents say of attempts",
    "releases": "contacts given back:",
    "blocks": "contacts given up:",
    "made": "attempts, which are not dialled:",
    "ledgers": "the ledgers of",
}


class Withheld:
    """All of one dialler's. ``contacts``: stand as claimed to the end of this life; ``count``: of refusals."""

    def __init__(self, dialler: Dialler) -> None:
        self._of = dialler
        self.contacts: set[int] = set()
        self.count = 0
        self._unsaid: dict[str, str] = {}
        """attempt -> campaign: charged, and the next life is not known to hear of it"""
        self._said: tuple[str, ...] = ()

    @property
    def too_many(self) -> bool:
        """Whether nobody may be dialled any more."""
        return self.count >= MOST

    def take(self, aside: say.SetAside, now: Instant) -> None:
        """The database has refused this."""
        of, what = self._of, aside.what
        for heard in what.opt_outs:
            flight = of.flights.get(heard.attempt)
            # Heard before it was known who he is, it has no number of its own
            number = heard.number or (flight.number if flight is not None else of.told_of(heard.attempt)[0])
            of.recent.hold_opt_out(number, heard.scope or "all")
        for ended in what.ended:
            self._unsettled(ended, now)
        for contact, _ in (*what.releases, *what.blocks):
            self.contacts.add(contact)
        for name, windows in what.ledgers.items():
            runner = of.runners.get(name)
            if runner is not None:
                runner.book.hold_back(windows)
                detail = "the database refuses to keep its ledger: see the log"
                runner.wait(Refusal(Reason.LEDGER, now.utc + AGAIN_S, detail), now.utc + AGAIN_S, now)
        for made in what.made:
            runner = of.runners.get(made.campaign)
            if made.campaign in what.ledgers and runner is not None:
                runner.put_back([(made.contact, now.utc + AGAIN_S)], [])
            else:
                self.contacts.add(made.contact)
        named = _named(what)
        self.count += sum(len(names) for _, names in named)
        of.counters["refused_for_good"] += sum(len(names) for _, names in named)
        told = "; ".join(f"{_WORDS[kind]} {_some(names)}" for kind, names in named)
        why = _NUMBERS.sub("...", aside.why)
        of.do(say.Alarm("outbound_refused", f"the database refuses for good ({why}) {told}; {aside.where}"))

    def _unsettled(self, ended: say.Ended, now: Instant) -> None:
        """The attempt stays open, its contact claimed; its number is not dialled again either, whoever has it."""
        number, campaign = self._of.told_of(ended.attempt)
        if number:
            self._of.numbers[number] = ended.attempt
        runner = self._of.runners.get(campaign)
        if runner is None:
            return
        if ended.outcome not in _CHARGED:
            runner.book.charge(now.utc)
        runner.book.changed = True
        self._unsaid[ended.attempt] = campaign

    def charged_by(self, ledgers: Collection[str]) -> tuple[tuple[str, str], ...]:
        """Attempts that stay open, with their campaigns, which these ledgers, about to be written, have charged."""
        found = tuple((attempt, name) for attempt, name in self._unsaid.items() if name in ledgers)
        self._said = tuple(attempt for attempt, _ in found)
        return found

    def charged_for_good(self, aside: say.SetAside | None) -> None:
        """What `charged_by` gave is durable, but for ledgers that were refused."""
        refused = aside.what.ledgers if aside is not None else {}
        for attempt in self._said:
            if self._unsaid[attempt] not in refused:
                del self._unsaid[attempt]
        self._said = ()


def _named(what: say.Batch) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = [
        ("progress", [attempt for attempt, _ in what.progress]),
        ("opt_outs", [one.attempt for one in what.opt_outs]),
        ("ended", [one.attempt for one in what.ended]),
        ("said", [one.attempt for one in what.said]),
        ("releases", [str(contact) for contact, _ in what.releases]),
        ("blocks", [str(contact) for contact, _ in what.blocks]),
        ("made", [one.attempt for one in what.made]),
        ("ledgers", list(what.ledgers)),
    ]
    return [(kind, names) for kind, names in found if names]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
