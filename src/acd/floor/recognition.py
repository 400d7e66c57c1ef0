"""Whose a channel is, told by what stands on it: for a look at calls that were passed on or joined while nobody listened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.domain.events import CallArrived, CallMemory, Phase, SeenCall
from acd.domain.place import Place
from acd.domain.states import CallState, SegmentKind
from acd.floor.calls import TALK_KINDS, Call
from acd.floor.conversation import JOINABLE

if TYPE_CHECKING:
    from acd.floor.core import Floor

_LINE_KINDS = frozenset({SegmentKind.WAITED, SegmentKind.OFFERED, SegmentKind.RANG})


def remembered_as(floor: Floor, event: CallArrived) -> CallMemory | None:
    """The remembered call that somebody was who asks: by the name that he bears, else by his channel."""
    named = floor.memory.get(event.call or "")
    if named is not None and named.node == event.node:
        return named
    here = (one for one in floor.memory.values() if (one.node, one.channel) == (event.node, event.channel))
    return next(here, None)


def waits_again(memory: CallMemory, place: Place | None) -> bool:
    """Whether a caller who has talked and is found on hold was passed on to a queue by us, so that his call goes on: that
    was written down, or stands on his channel and is newer than what was written down. Else somebody's phone has sent
    him there: the call is over, and a new one begins."""
    open_now = [segment for segment in memory.open_segments if segment.kind != SegmentKind.WRAPPED]
    if open_now and all(segment.kind in _LINE_KINDS for segment in open_now):
        return True
    began = max((s.started_at for s in open_now if s.kind in TALK_KINDS), default=None)
    return place is not None and began is not None and place.queue_joined_at > began


def whose_place(floor: Floor, seen: SeenCall, call: Call, alive: set[str]) -> Call | None:
    """The call in whose place the caller of ``call`` was put by his agent's phone, if we did not hear of that: its name or
    its offer stands on his channel, and its own channel is gone."""
    offer = floor.offers.get(seen.offer or "")
    for name in (seen.call, offer.call if offer is not None else None):
        other = floor.calls.get(name or "")
        if other is not None and other is not call and other.node == call.node and other.channel not in alive:
            joins = call.state is CallState.TALKING and other.state in JOINABLE
            return other if joins and seen.phase is not Phase.ELSEWHERE else None
    return None
