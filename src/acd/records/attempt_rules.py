"""The rules of attempts, contacts and callbacks: what dialling keeps. Pure; times are microseconds.

Times come from two clocks, ours and Asterisk's, which may be SKEW_US apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from acd.domain.campaigns import AttemptOutcome, Mode
from acd.domain.states import CallOutcome
from acd.records.rows import SECOND_US
from acd.records.violation import Violation
from acd.records.word_rules import CAUSES

RULES = {
    "attempt": "an attempt's times are in order, its end says what it came to, one is made at a time, at a claimed contact",
    "reached": "an attempt that reached a person says when, and its call is there, on its channel; and the other way round",
    "contact": "a contact says how often it was tried, when last, what that came to, and who has claimed it for dialling",
    "callback": "a callback is of a contact that there is, which waits for it to its end; what kept it is an attempt at it",
    "do_not_call": "no number was dialled while it stood on do-not-call",
    "ledger": "a campaign's ledger has counted everybody whom its attempts reached, in the window it was, and nobody else",
}
"""Every rule of what dialling keeps, by its word; it keeps ``word`` and ``cause``, too."""
SKEW_US = SECOND_US
OUTCOMES = frozenset(AttemptOutcome)
MODES = frozenset(Mode)
MESSAGES = frozenset({"played", "cut"})
BY_A_PERSON = frozenset({AttemptOutcome.ANSWERED, AttemptOutcome.ABANDONED})
"""How an attempt ends that somebody has answered."""
BY_NOBODY = frozenset({
    AttemptOutcome.BUSY, AttemptOutcome.NO_ANSWER, AttemptOutcome.CONGESTION, AttemptOutcome.INVALID, AttemptOutcome.FAILED,
    AttemptOutcome.WITHDRAWN,
})  # fmt: skip
"""How one ends that nobody and nothing has."""
IN_FLIGHT, BLOCKED = "in_flight", "blocked"
OPTED_OUT = "attempt:"
"""How the source of a do-not-call entry begins that somebody made by pressing a key."""
SOON_US, LATER_US = 60 * SECOND_US, 3600 * SECOND_US
"""So long after its time such an entry may become durable, and one of a register, which is written piece by piece."""


class AttemptRow(NamedTuple):
    """What the rules ask of an attempt."""

    attempt: str
    campaign: str
    contact: int
    number: str
    mode: str
    node: str
    committed_at: int
    dialled_at: int | None
    rang_at: int | None
    answered_at: int | None
    ended_at: int | None
    outcome: str | None
    cause: int | None
    call: str | None
    message: str | None


class ContactRow(NamedTuple):
    """What the rules ask of a contact."""

    contact: int
    state: str
    attempts: int
    changed_at: int
    last_at: int | None
    last_outcome: str | None


class ReachedRow(NamedTuple):
    """What the rules of attempts ask of a call."""

    call: str
    node: str
    channel: str
    answered_at: int | None
    outcome: str | None


class EntryRow(NamedTuple):
    """A do-not-call entry."""

    number: str
    scope: str
    source: str
    added_at: int
    until: int | None


def attempt_violations(row: AttemptRow, call: ReachedRow | None, *, calls_gone: bool) -> Iterator[Violation]:
    """What is wrong with one attempt by itself. ``call``: the one it names, if it is there; ``calls_gone``: it may have been
    taken away by now, or not be durable yet."""
    told = [(name, getattr(row, name)) for name in ("committed_at", "dialled_at", "rang_at", "answered_at", "ended_at")]
    for (before, earlier), (after, later) in pairwise([(name, at) for name, at in told if at is not None]):
        if later < earlier - SKEW_US:
            yield _wrong("attempt", row, f"has {after} {(earlier - later) / SECOND_US:.6f} s before {before}")
    if (row.ended_at is None) != (row.outcome is None):
        said = (
            "has ended, and came to nothing" if row.outcome is None else f"came to {row.outcome!r}, and has not ended"
        )
        yield _wrong("attempt", row, said)
    if row.outcome is not None and row.outcome not in OUTCOMES:
        yield _wrong("word", row, f"came to {row.outcome!r}")
    if row.mode not in MODES:
        yield _wrong("word", row, f"was made as {row.mode!r}")
    if row.message is not None and row.message not in MESSAGES:
        yield _wrong("word", row, f"had its message {row.message!r}")
    if row.cause is not None and row.cause not in CAUSES:
        yield _wrong("cause", row, f"ended with cause {row.cause}, which is none of Q.850")
    if row.outcome in BY_A_PERSON and row.answered_at is None:
        yield _wrong("reached", row, f"came to {row.outcome}, and nobody answered")
    if row.outcome in BY_NOBODY and (row.answered_at is not None or row.call is not None):
        yield _wrong("reached", row, f"came to {row.outcome}, and somebody answered")
    if row.outcome == AttemptOutcome.WITHDRAWN and (row.dialled_at is not None or row.rang_at is not None):
        yield _wrong("reached", row, "came to withdrawn, and was dialled")
    if row.call is None:
        return
    if call is None:
        if not calls_gone:
            yield _wrong("reached", row, f"became call {row.call}, which is no call")
    elif (call.node, call.channel) != (row.node, row.attempt):
        yield _wrong("reached", row, f"became call {row.call}, which is on channel {call.channel} of {call.node}")
    elif _is_over_without_talk(call) and row.outcome == AttemptOutcome.ANSWERED:
        yield _wrong("reached", row, f"came to answered, and nobody talked in call {row.call}")


def _is_over_without_talk(call: ReachedRow) -> bool:
    return call.answered_at is None and call.outcome not in (None, CallOutcome.LOST_TRACK)


def contact_violations(row: ContactRow | None, made: list[AttemptRow], *, whole: bool) -> Iterator[Violation]:
    """What is wrong with all attempts at one contact, oldest first, and with the contact, which may be gone. ``whole``: they
    are all there are."""
    for before, after in pairwise(made):
        if before.ended_at is None or after.committed_at < before.ended_at - SKEW_US:
            yield _wrong("attempt", after, f"was made while attempt {before.attempt} at contact {after.contact} lasted")
    for one in made:
        if one.ended_at is None and not _is_in_flight(row, one):
            state = "gone" if row is None else row.state
            yield _wrong("attempt", one, f"has not ended, and contact {one.contact} is {state}")
    if row is None or not whole:
        return
    count, last = len(made), made[-1] if made else None
    if row.attempts != count:
        yield _of_contact(row, f"says it was tried {row.attempts} times, and has {count} attempts")
    elif last is not None and row.last_at != last.committed_at:
        yield _of_contact(row, f"was tried last by attempt {last.attempt}, and says another time")
    elif last is not None and row.last_outcome != last.outcome:
        said = f"says its last attempt came to {row.last_outcome}, and {last.attempt} came to {last.outcome}"
        yield _of_contact(row, said)


def _is_in_flight(row: ContactRow | None, one: AttemptRow) -> bool:
    """Whether a contact may be as it is while the attempt lasts: whoever opts out, or is in a list no more, is blocked at
    once, and may be changed by people from then on."""
    if row is None:
        return False
    return row.state in (IN_FLIGHT, BLOCKED) or row.changed_at >= one.committed_at


def uncalled_violations(row: AttemptRow, entries: Iterable[EntryRow]) -> Iterator[Violation]:
    """Whether a number was dialled that was not to be; ``entries`` of that number, in whatever form."""
    for entry in entries:
        margin = SOON_US if entry.source.startswith(OPTED_OUT) else LATER_US
        in_force = entry.added_at + margin < row.committed_at and (
            entry.until is None or entry.until > row.committed_at
        )
        if in_force and entry.scope in ("all", f"campaign:{row.campaign}"):
            yield _wrong("do_not_call", row, f"dialled a number that stood on do-not-call ({entry.scope})")


def _wrong(rule: str, row: AttemptRow, message: str) -> Violation:
    return Violation(rule, f"attempt {row.attempt} {message}", row.call)


def _of_contact(row: ContactRow, message: str) -> Violation:
    return Violation("contact", f"contact {row.contact} {message}")
