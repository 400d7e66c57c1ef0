"""What the agent's phone does between answer and hang-up: hold, consultation, and a conference that the phone makes.

A phone that joins the caller with whom it has called sends nothing that says so: it mixes their sound, and Asterisk only
hears that neither call is on hold. That is a conference, if the caller was on hold while the other call lasted: a phone
that never holds him may as well have muted itself, which nobody can tell, so there the agent just talks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from acd.domain import events as ev
from acd.domain.instant import Instant
from acd.domain.states import SegmentKind
from acd.floor.calls import Call, Consult, Together

if TYPE_CHECKING:
    from acd.floor.core import Floor

_BEGINS = {
    SegmentKind.TALKED: "retrieved",
    SegmentKind.HELD: "held",
    SegmentKind.CONSULTED: "consult",
    SegmentKind.CONFERENCED: "conference",
}
"""What ends the stretch before one of these, in a word, unless that was about a consultation itself."""
CONFERENCE_S = 1.0
"""A conference that is over sooner is none: a phone that joins the two or goes from one to the other may take back the one
a moment before it leaves the other, and so does Asterisk for it. It begins when they came together all the same."""
_WITH_TARGET = (SegmentKind.CONSULTED, SegmentKind.CONFERENCED)


def call_held(floor: Floor, event: ev.CallHeld, now: Instant) -> None:
    """The agent puts the caller on hold."""
    _set_hold(floor, event.offer, event.at, now, on=True)


def call_retrieved(floor: Floor, event: ev.CallRetrieved, now: Instant) -> None:
    """The agent takes the caller back."""
    _set_hold(floor, event.offer, event.at, now, on=False)


def _set_hold(floor: Floor, offer: str, at: float, now: Instant, *, on: bool) -> None:
    call = _in_conversation(floor, offer)
    if call is not None:
        hold(floor, call, at, now, on=on)


def hold(floor: Floor, call: Call, at: float, now: Instant, *, on: bool) -> None:
    """The caller is on hold, or not any more."""
    call.on_hold, call.touched_at = on, now.utc
    for consult in call.consults.values():
        consult.parted |= on
    _turn(floor, call, at, now)


def consult_began(floor: Floor, event: ev.ConsultBegan, now: Instant) -> None:
    """The agent calls somebody else. While the caller is on hold that is a stretch of its own."""
    call = _in_conversation(floor, event.offer)
    if call is not None and event.channel not in call.consults:
        call.consults[event.channel] = Consult(event.target, parted=call.on_hold)
        call.touched_at = now.utc
        _turn(floor, call, event.at, now)


def consult_changed(floor: Floor, event: ev.ConsultChanged, now: Instant) -> None:
    """The agent's other call was answered or is over at the far end, is put on hold or taken back."""
    call = _in_conversation(floor, event.offer)
    consult = call.consults.get(event.channel) if call is not None else None
    if call is not None and consult is not None:
        consult.up, consult.on_hold = event.up, event.on_hold
        call.touched_at = now.utc
        _turn(floor, call, event.at, now)


def consult_ended(floor: Floor, event: ev.ConsultEnded, now: Instant) -> None:
    """The agent's other call is over."""
    call = _in_conversation(floor, event.offer)
    if call is not None and call.consults.pop(event.channel, None) is not None:
        call.touched_at = now.utc
        _turn(floor, call, event.at, now)


def _in_conversation(floor: Floor, identity: str) -> Call | None:
    offer = floor.offers.get(identity)
    return floor.calls[offer.call] if offer is not None and offer.answered else None


def stretch(call: Call) -> tuple[SegmentKind, Consult | None]:
    """What a call that talks does now, and about whom."""
    consults = call.consults.values()
    if call.on_hold:
        with_whom = min(consults, key=lambda consult: consult.on_hold, default=None)
        return (SegmentKind.HELD, None) if with_whom is None else (SegmentKind.CONSULTED, with_whom)
    together = next((one for one in consults if one.up and one.parted and not one.on_hold), None)
    return (SegmentKind.TALKED, None) if together is None else (SegmentKind.CONFERENCED, together)


def _turn(floor: Floor, call: Call, at: float, now: Instant) -> None:
    kind, consult = stretch(call)
    target = consult.target or None if consult is not None else None
    if kind is SegmentKind.CONFERENCED and call.segment_kind is not kind:
        if call.together is None:
            call.together = Together(at, now.mono + CONFERENCE_S, target)
            floor.timer(call.together.due_mono, "conference", call.call)
        return
    since = None if call.together is None else call.together.at
    if settle(floor, call, at):
        since = None
    before = call.segment_kind
    if kind is before and target == call.segment_target:
        return
    word = _BEGINS[kind]
    if before is SegmentKind.CONFERENCED and kind is SegmentKind.TALKED:
        word = "consult_held" if any(one.up and one.on_hold for one in call.consults.values()) else "consult_over"
    elif before is SegmentKind.CONFERENCED and kind is SegmentKind.CONSULTED:
        word = "held"
    elif before is SegmentKind.CONSULTED and kind is SegmentKind.HELD:
        word = "consult_over"
    elif kind is SegmentKind.TALKED and since is not None:
        at = since
    floor.ledger.turn(call, kind, at, word, target)


def conference_due(floor: Floor, call: Call, mono: float) -> None:
    """The caller and whom the agent has called have been together long enough."""
    if call.together is not None and call.together.due_mono == mono:
        _begin_conference(floor, call, call.together)


def settle(floor: Floor, call: Call, at: float) -> bool:
    """At ``at`` the caller and whom the agent has called are together no longer: whether that was a conference."""
    together, call.together = call.together, None
    if together is None or at - together.at < CONFERENCE_S:
        return False
    _begin_conference(floor, call, together)
    return True


def _begin_conference(floor: Floor, call: Call, together: Together) -> None:
    call.together = None
    kind = SegmentKind.CONFERENCED
    floor.ledger.turn(call, kind, together.at, _BEGINS[kind], together.target)


# -- over, and found again -----------------------------------------------------------------------------------------------


def over(call: Call) -> None:
    """The conversation is over, and whatever the agent's phone did beside it."""
    call.on_hold, call.together = False, None
    call.consults.clear()


def taken_up(call: Call) -> None:
    """A conversation goes on whose beginning we do not know: as its open segment says."""
    kind = call.segment_kind
    call.on_hold = kind in (SegmentKind.HELD, SegmentKind.CONSULTED)
    call.consults.clear()
    if kind in _WITH_TARGET:
        call.consults[""] = Consult("", up=kind is SegmentKind.CONFERENCED, parted=True)


def taken_over(floor: Floor, call: Call, other: Call, at: float, now: Instant) -> None:
    """Who talked in ``other`` talks in ``call`` instead, and his phone goes on with whatever else it does."""
    call.on_hold, call.consults, other.consults = other.on_hold, other.consults, {}
    _turn(floor, call, at, now)


def look(floor: Floor, call: Call, seen: Sequence[ev.SeenConsult], at: float, now: Instant) -> None:
    """Compare the agent's other calls with those that are there. What is on hold cannot be seen."""
    there = {one.channel for one in seen}
    remembered = call.consults.pop("", None)
    for channel in [channel for channel in call.consults if channel not in there]:
        del call.consults[channel]
    for one in sorted(seen, key=lambda one: not one.dials):
        consult = call.consults.get(one.channel)
        if consult is None and remembered is not None:
            consult, remembered = remembered, None
            consult.target = one.target
            call.segment_target = one.target or None
        elif consult is None and one.dials:
            consult = Consult(one.target, parted=call.on_hold)
        if consult is not None:
            consult.up = one.up
            call.consults[one.channel] = consult
    _turn(floor, call, at, now)
