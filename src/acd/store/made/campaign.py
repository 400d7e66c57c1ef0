"""The outbound campaign of calls that never were: whom it dialled, how often, what that came to, and its ledger.

Every call of its line is a person who answered, before whom some numbers were tried in vain. Contacts that are to be tried
again wait in a bounded line; rows are written when nothing more happens to a contact.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date
from random import Random

from acd.domain.campaigns import AttemptOutcome, CampaignState
from acd.domain.states import CallOutcome
from acd.store.made.calendar import midnight_us
from acd.store.made.people import Clock, Row
from acd.store.made.story import CONNECT_US, Story

DIAL_COLUMNS = {
    "lists": ("list", "description", "client", "country", "made_at", "made_by"),
    "contacts": (
        *("contact", "list", "key", "name", "zone", "country", "fields", "changed_at", "rank", "state", "due_at"),
        *("position", "attempts", "last_at", "last_outcome"),
    ),
    "contact_numbers": ("contact", "position", "number", "kind", "zone", "extension", "state"),
    "attempts": (
        *("attempt", "campaign", "list", "contact", "position", "number", "mode", "caller_id", "trunk", "node"),
        *("committed_at", "dialled_at", "rang_at", "answered_at", "ended_at", "outcome", "cause", "call", "agent"),
        *("message", "facts"),
    ),
    "do_not_call": ("number", "scope", "source", "reason", "added_at", "added_by"),
    "campaign_states": ("campaign", "state", "since", "by", "reason", "statistics"),
    "campaign_ledgers": (
        *("campaign", "window", "key", "answered", "abandoned", "misjudged", "unknown", "in_flight", "detail"),
        "saved_at",
    ),
}
CALLER_ID = "+498006000"
_S = 1_000_000
_DAY_US = 86_400 * _S
_DUE_MAX = 20_000
_MOST = 3
"""Attempts at a contact."""
_IN_VAIN = (
    (0.62, AttemptOutcome.NO_ANSWER, 19),
    (0.24, AttemptOutcome.BUSY, 17),
    (0.08, AttemptOutcome.CONGESTION, 34),
    (0.06, AttemptOutcome.INVALID, 1),
)


@dataclass(slots=True)
class _Contact:
    """``due_us`` from the first midnight there is; ``last_at`` and ``due_at`` are texts."""

    contact: int
    number: str
    name: str
    attempts: int = 0
    due_us: int = 0
    due_at: str | None = None
    last_at: str | None = None
    last: AttemptOutcome | None = None


class Campaign:
    """``rows`` takes what is written. Its name begins with ``prefix``, its attempts with ``epoch``."""

    def __init__(self, prefix: str, epoch: str, seed: int, rows: dict[str, list[Row]], chance: Random) -> None:
        self.queue = f"{prefix}spring"
        self._epoch, self._rows, self._chance = epoch, rows, chance
        self._contacts = seed * 1_000_000_000
        self._serial = 0
        self._due: deque[_Contact] = deque()
        self._clock = Clock("1970-01-01", "1970-01-02")
        self._midnight_us = 0
        self._day = date.min
        self._began = ""
        self._today, self._ever = [0, 0], [0, 0]

    def begin_day(self, clock: Clock, day: date) -> None:
        """The next day of those there are."""
        self._clock, self._day, self._midnight_us = clock, day, midnight_us(day)
        self._today = [0, 0]
        if not self._began:
            self._began = clock.text(0)
            self._rows["lists"].append((self.queue, "made up", "northwind", "DE", self._began, "acd records generate"))

    def end_day(self) -> None:
        """What the day's window of the ledger holds."""
        if self._today[0]:
            self._ledger("day", self._day.toordinal(), self._today)
            self._ever = [whole + of_day for whole, of_day in zip(self._ever, self._today, strict=True)]

    def end(self) -> None:
        """Nobody is dialled any more."""
        while self._due:
            self._write(self._due.popleft(), "due")
        if self._ever[0]:
            self._ledger("campaign", 0, self._ever)
        now = self._clock.text(_DAY_US - 1)
        state = (self.queue, CampaignState.STOPPED.value, now, "acd records generate", "made up", "{}")
        self._rows["campaign_states"].append(state)

    def _ledger(self, window: str, key: int, counts: list[int]) -> None:
        row = (self.queue, window, key, float(counts[0]), float(counts[1]), 0.0, 0.0, 0, "{}")
        self._rows["campaign_ledgers"].append((*row, self._clock.text(_DAY_US - 1)))

    # -- dialling ------------------------------------------------------------------------------------------------------

    def reached(self, story: Story, name: str) -> tuple[str, str, str]:
        """Dial until the person of ``story`` has answered: the number shown, his own, and his channel."""
        chance = self._chance
        rings = int((3 + 12 * chance.random()) * _S)
        committed = story.at - rings - 200_000
        while chance.random() < 0.7:
            self._in_vain(committed - int(60 * chance.random() * _S))
        person = self._next(committed, name)
        outcome, ended, message = self._came_to(story)
        self._today[0] += outcome is not AttemptOutcome.DECLINED
        late = story.answered is not None and story.answered - story.at > CONNECT_US
        self._today[1] += outcome is AttemptOutcome.ABANDONED or (late and outcome is AttemptOutcome.ANSWERED)
        times = (committed + 4_000, committed + 4_000 + rings // 3, story.at - 15_000, ended)
        attempt = self._attempt(person, committed, times, outcome, 16, story.call, story.agent, message)
        person.last = outcome
        self._write(person, "blocked" if outcome is AttemptOutcome.OPTED_OUT else "done")
        if outcome is AttemptOutcome.OPTED_OUT:
            opted_out = (person.number, "all", f"attempt:{attempt}", "opted out", self._clock.text(ended), "service")
            self._rows["do_not_call"].append(opted_out)
        return CALLER_ID, person.number, attempt

    def _came_to(self, story: Story) -> tuple[AttemptOutcome, int, str | None]:
        """The outcome, when the line was gone, and whether a message was heard."""
        if story.answered is not None:
            return AttemptOutcome.ANSWERED, story.now, None
        if story.outcome is CallOutcome.OVERFLOWED:
            ended = story.now + int((2 + 8 * self._chance.random()) * _S)
            if self._chance.random() < 0.1:
                return AttemptOutcome.OPTED_OUT, ended, "played"
            return AttemptOutcome.ABANDONED, ended, "played"
        late = story.now - story.at >= CONNECT_US
        return (AttemptOutcome.ABANDONED if late else AttemptOutcome.DECLINED), story.now, None

    def _in_vain(self, committed: int) -> None:
        chance = self._chance
        draw, n = chance.random(), 0
        while n < len(_IN_VAIN) - 1 and draw >= _IN_VAIN[n][0]:
            draw -= _IN_VAIN[n][0]
            n += 1
        _, outcome, cause = _IN_VAIN[n]
        person = self._next(committed, "")
        rings = outcome is AttemptOutcome.NO_ANSWER
        ended = committed + (int((25 + chance.random()) * _S) if rings else int((0.5 + chance.random()) * _S))
        times = (committed + 4_000, committed + 1_500_000 if rings else None, None, ended)
        self._attempt(person, committed, times, outcome, cause, None, None, None)
        person.last = outcome
        if outcome is AttemptOutcome.INVALID or person.attempts >= _MOST:
            self._write(person, "done")
            return
        due = ended + int((2 + 40 * chance.random()) * 3600) * _S
        # What is due tomorrow is a text of another day: it is dialled when it is looked at, as it comes
        person.due_us, person.due_at = self._midnight_us + due, self._clock.text(min(due, 2 * _DAY_US - 1))
        self._due.append(person)
        if len(self._due) > _DUE_MAX:
            self._write(self._due.popleft(), "due")

    def _next(self, at: int, name: str) -> _Contact:
        """Who is dialled: the first in the line if he is due, or somebody new."""
        if self._due and self._due[0].due_us <= self._midnight_us + at:
            return self._due.popleft()
        self._contacts += 1
        # No two contacts have one number: what holds for a number would hold for both
        number = f"+4930{(self._contacts * 387_420_489) % 10_000_000_000:010d}"
        return _Contact(self._contacts, number, name)

    def _attempt(
        self,
        person: _Contact,
        committed: int,
        times: tuple[int, int | None, int | None, int],
        outcome: AttemptOutcome,
        cause: int,
        call: str | None,
        agent: str | None,
        message: str | None,
    ) -> str:
        text = self._clock.text
        self._serial += 1
        attempt = f"{self._epoch}{self._serial:08d}"
        person.attempts += 1
        person.last_at, person.due_at = text(committed), None
        told = [None if at is None else text(at) for at in times]
        self._rows["attempts"].append(
            (
                *(attempt, self.queue, self.queue, person.contact, 0, person.number, "power", CALLER_ID, "carrier", "pbx1"),
                *(person.last_at, *told, outcome.value, cause, call, agent, message, '{"kind":"new"}'),
            )
        )  # fmt: skip
        return attempt

    def _write(self, person: _Contact, state: str) -> None:
        bad = person.last is AttemptOutcome.INVALID
        zone, due_at = "Europe/Berlin", person.due_at if state == "due" else None
        self._rows["contacts"].append(
            (
                *(person.contact, self.queue, "", person.name, zone, "DE", "{}", self._began, 0, state, due_at),
                *(None, person.attempts, person.last_at, None if person.last is None else person.last.value),
            )
        )
        numbers = (person.contact, 0, person.number, "other", zone, "", "bad" if bad else "ok")
        self._rows["contact_numbers"].append(numbers)
