"""To whom a call is not offered again: the agent who passed it on, and for a while the one who declined it.

Kept with the call, and the lasting ones on its channel, so that a restart forgets none. Lifted as soon as nobody else
could ever take the call: an agent too many is better than a caller too few.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from acd.domain.instant import Instant
from acd.domain.place import MAX_BARRED
from acd.domain.requirement import Except, Requirement, all_of
from acd.domain.values import valueclass

if TYPE_CHECKING:
    from acd.floor.calls import Call
    from acd.floor.core import Floor


@valueclass(frozen=True, slots=True)
class Exclusion:
    """Why one agent does not get one call, and until when (monotonic s; ``None``: for good)."""

    reason: str
    until_mono: float | None = None


def exclude(floor: Floor, call: Call, agent: str, reason: str, now: Instant, for_s: float | None = None) -> None:
    """``call`` is not offered to ``agent`` again; for ``for_s`` seconds, if that is given."""
    until = None if for_s is None else now.mono + for_s
    call.excluded.pop(agent, None)
    call.excluded[agent] = Exclusion(reason, until)
    if until is not None:
        floor.timer(until, "excluded", call.call)
    _note(call)


def readmit(call: Call, agent: str) -> None:
    """``agent`` may have ``call`` after all: he has it."""
    if call.excluded.pop(agent, None) is not None:
        _note(call)


def remember(call: Call) -> None:
    """Take over what stands on the channel."""
    if call.place.barred:
        call.excluded = {agent: Exclusion(reason) for agent, reason in call.place.barred}


def review(floor: Floor, call: Call, able: Iterable[str], at: float, now: Instant) -> None:
    """Let those be offered ``call`` again whose time is over; and everybody, if nobody else could ever take it.
    ``able``: who could."""
    over = [a for a, e in call.excluded.items() if e.until_mono is not None and e.until_mono <= now.mono]
    for agent in over:
        del call.excluded[agent]
    if call.excluded and all(agent in call.excluded for agent in able):
        floor.ledger.decide(call, at, "readmitted", {"agents": sorted(call.excluded), "queue": call.queue.name})
        call.excluded.clear()
    _note(call)


def wanted(call: Call, need: Requirement) -> Requirement:
    """``need``, without those who do not get ``call``."""
    return all_of((need, Except(frozenset(call.excluded)))) if call.excluded else need


def reasons(call: Call) -> dict[str, str]:
    """Who does not get ``call``, and why: for explanations."""
    return {agent: exclusion.reason for agent, exclusion in call.excluded.items()}


def _note(call: Call) -> None:
    lasting = tuple((agent, e.reason) for agent, e in call.excluded.items() if e.until_mono is None)[-MAX_BARRED:]
    if lasting != call.place.barred:
        call.place = replace(call.place, barred=lasting)
