"""Who talked to whom last: remembered by the caller's number, or by a hash of it where none may be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.domain.commands import Reply
from acd.domain.events import CallArrived, CallerForgotten, CallMemory, SeenCall
from acd.domain.numbers import is_withheld

if TYPE_CHECKING:
    from acd.floor.core import Floor

CALLERS_LIMIT = 100_000
"""Of how many callers it is remembered who talked to them last."""


def _key(floor: Floor, number: str) -> str:
    return number if floor.caller_key is None else floor.caller_key(number)


def last_agent(floor: Floor, number: str) -> str | None:
    """Who talked to the caller with this number last; nobody if he withholds it."""
    return None if is_withheld(number) else floor.last_agents.get(_key(floor, number))


def talked(floor: Floor, number: str, agent: str) -> None:
    """Note that ``agent`` talks to the caller with this number."""
    if is_withheld(number):
        return
    key, known = _key(floor, number), floor.last_agents
    known.pop(key, None)
    known[key] = agent
    if len(known) > CALLERS_LIMIT:
        del known[next(iter(known))]


def identity(floor: Floor, source: SeenCall | CallArrived, memory: CallMemory | None) -> tuple[str, str]:
    """Number and name of a caller who is taken up: as remembered; where numbers are kept hashed, as Asterisk says."""
    if memory is None or (floor.caller_key is not None and source.caller_number):
        return source.caller_number, source.caller_name
    return memory.caller_number, memory.caller_name


def forgotten(floor: Floor, event: CallerForgotten) -> None:
    """Have nothing of a caller in mind any more. Who is on the phone stays so."""
    found = [number for number in event.numbers if floor.last_agents.pop(number, None) is not None]
    if event.request is not None:
        floor.command(Reply(event.request, True, f"{len(found)} forgotten", {"forgotten": len(found)}))
