"""What follows an attempt: when the contact is tried again, at which of its numbers, or never.

`decide` looks at the outcome, at how often that has been seen before, and at the most attempts a campaign makes. Pure;
the answer goes to the store, and the gate asks for it again before anything is dialled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from acd.domain.campaigns import AttemptOutcome, Campaign, Contact, Retry
from acd.domain.values import valueclass


class Over(StrEnum):
    """Why a contact is not tried again."""

    DONE = "done"
    """It was put through to an agent, or opted out."""
    OUTCOMES = "outcomes"
    """The outcome is not one to try again after, or not once more."""
    ATTEMPTS = "attempts"
    """The campaign makes no more attempts."""
    NUMBERS = "numbers"
    """No number of the contact is left to be tried."""


@valueclass(frozen=True, slots=True)
class Again:
    """Try ``number`` (E.164), not before ``due_s``."""

    due_s: float
    number: str


@valueclass(frozen=True, slots=True)
class Tried:
    """What is known of one number of a contact in this campaign. ``last``: the outcome of its last attempt."""

    attempts: int = 0
    last: AttemptOutcome | None = None


@valueclass(frozen=True, slots=True)
class Other:
    """An attempt that a campaign made at a number as another contact of its lists. ``at_s``: when it ended, or was begun;
    ``outcome``: None while nobody knows; ``seen``: how often the campaign has come to it at this number by then, this time
    among them."""

    contact: int
    at_s: float
    outcome: AttemptOutcome | None
    seen: int = 1


#: A number with one of these has shown that nobody can be reached there.
DEAD = frozenset({AttemptOutcome.INVALID, AttemptOutcome.FAX})
_FINAL = frozenset({AttemptOutcome.ANSWERED, AttemptOutcome.OPTED_OUT})


def decide(
    campaign: Campaign,
    contact: Contact,
    tried: Mapping[str, Tried],
    number: str,
    outcome: AttemptOutcome,
    seen: int,
    ended_s: float,
) -> Again | Over:
    """After an attempt at ``number`` came to ``outcome`` at ``ended_s``.

    ``tried`` by number, this attempt among them; ``seen``: how often this contact has come to this outcome, this time
    among them. Each wait is ``backoff`` times as long as the one after the same outcome before, up to ``longest_s``.
    """
    if outcome in _FINAL:
        return Over.DONE
    retry = campaign.retries.get(outcome)
    if retry is None or seen > retry.most:
        return Over.OUTCOMES
    if sum(one.attempts for one in tried.values()) >= campaign.attempts:
        return Over.ATTEMPTS
    found = next_number(campaign, contact, tried, after=None if retry.same_number else number, same=number)
    if found is None:
        return Over.NUMBERS
    return Again(ended_s + wait_s(retry, seen), found)


def after_other(campaign: Campaign, contact: Contact, other: Other) -> float | Over | None:
    """From when on (UTC s) ``contact`` may be tried at a number at which ``other`` was made: not before that one's own
    contact. `Over`: not at all; None: nobody knows yet."""
    if other.outcome is None:
        return None
    if other.outcome in _FINAL:
        return Over.DONE
    if other.outcome in DEAD:
        # Tried once as this contact, the next of its numbers follows
        return other.at_s if len({one.number for one in contact.numbers}) > 1 else Over.NUMBERS
    retry = campaign.retries.get(other.outcome)
    if retry is None or other.seen > retry.most:
        return Over.OUTCOMES
    return other.at_s + wait_s(retry, other.seen)


def once_more(
    campaign: Campaign, contact: Contact, tried: Mapping[str, Tried], number: str, due_s: float
) -> Again | Over:
    """Because somebody wants it, at ``due_s``, if the campaign makes more attempts; at ``number`` if it may be tried."""
    if sum(one.attempts for one in tried.values()) >= campaign.attempts:
        return Over.ATTEMPTS
    found = next_number(campaign, contact, tried, after=None, same=number)
    return Over.NUMBERS if found is None else Again(due_s, found)


def wait_s(retry: Retry, seen: int) -> float:
    """How long to wait after the ``seen``-th time, 1 or more."""
    longest_s = max(retry.after_s, retry.longest_s)
    # A wait that has reached its longest stays there: no power of a large number is worked out
    found = retry.after_s
    for _ in range(min(seen - 1, 64)):
        if found >= longest_s or retry.backoff <= 1.0:
            break
        found *= retry.backoff
    return min(found, longest_s)


def next_number(
    campaign: Campaign, contact: Contact, tried: Mapping[str, Tried], *, after: str | None, same: str | None = None
) -> str | None:
    """The number to try next: ``same`` if ``after`` is not given and it may be tried once more, else in the list's
    order the one after ``after`` (round again to the first), leaving out those dead or tried often enough; ``None`` if
    none is left.
    """
    numbers = [one.number for one in contact.numbers]
    usable = [number for number in dict.fromkeys(numbers) if _usable(campaign, tried.get(number))]
    if not usable:
        return None
    if after is None:
        return same if same in usable else usable[0]
    start = numbers.index(after) + 1 if after in numbers else 0
    return next(number for number in _round(numbers, start) if number in usable)


def _usable(campaign: Campaign, tried: Tried | None) -> bool:
    return tried is None or (tried.last not in DEAD and tried.attempts < campaign.number_attempts)


def _round(numbers: Sequence[str], start: int) -> Sequence[str]:
    return [*numbers[start:], *numbers[:start]]
