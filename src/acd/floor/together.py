"""Several agents rung at once for one call: each is judged by what his own phones did, and free as soon as they are over.

The offer as a whole ends with Asterisk's word on it, as any other; until then whoever still rings may answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.instant import Instant
from acd.domain.states import AgentState, OfferOutcome, PhoneState, foremost
from acd.floor import exclusion
from acd.floor.calls import Call, Offer

if TYPE_CHECKING:
    from acd.floor.core import Floor

_OF_THE_CALL = frozenset({OfferOutcome.CALLER_GONE, OfferOutcome.VOID, OfferOutcome.LOST_TRACK})
"""Ends of an offer that no phone has brought about."""


def leg_failed(floor: Floor, event: ev.LegFailed, now: Instant) -> None:
    """One of the phones is over while others ring. Whose phones are all over, is let go."""
    offer = floor.offers.get(event.offer)
    if offer is None or offer.answered or not offer.several:
        return
    offer.over[event.device.casefold()] = event.outcome
    done = [name for name in offer.agents if _is_over(floor, offer, name)]
    if len(done) == len(offer.agents):
        return  # the offer's own end is on its way
    for name in done:
        _let_go(floor, offer, name, event.at, now)


def _is_over(floor: Floor, offer: Offer, name: str) -> bool:
    agent = floor.roster.agents[name]
    # To a phone that is not there no leg goes, so none ends
    rung = [d for d in agent.devices if agent.phones.get(d) is not PhoneState.UNREACHABLE]
    known = [device for device in agent.devices if device.casefold() in offer.over]
    return bool(known) and all(device in known for device in rung)


def _let_go(floor: Floor, offer: Offer, name: str, at: float, now: Instant) -> None:
    call, first, kind = floor.calls[offer.call], offer.agent, floor.calls[offer.call].segment_kind
    outcome = outcomes_of(floor, offer, OfferOutcome.UNREACHABLE, {})[name]
    consequence = floor.release(offer, name, outcome, at, now)
    left = [other for other in offer.agents if other != name]
    detail = {"agent": name, "outcome": outcome, "consequence": consequence, "still_rung": left}
    floor.ledger.decide(call, max(at, call.segment_at), "let_go", detail)
    if left[0] != first:
        at = floor.ledger.close(call, at)
    offer.agent, offer.others = left[0], tuple(left[1:])
    call.agent, call.touched_at = offer.agent, now.utc
    exclude_decliners(floor, call, {name: outcome}, now)
    if offer.agent != first:
        # What is open names somebody who still rings: whoever was let go may be offered another call, and we may die
        floor.ledger.turn(call, kind, at)
        place = call.place.encode()
        floor.command(do.MarkCall(call.node, call.channel, call.call, place, call.queue.hold, offer.agent))


def outcomes_of(
    floor: Floor, offer: Offer, outcome: OfferOutcome, phones: Mapping[str, OfferOutcome]
) -> dict[str, OfferOutcome]:
    """What the end of ``offer`` was for each of its agents. ``phones``: what each phone did, as far as that is told;
    without it ``outcome`` holds for all that are not known to be over."""
    if not offer.several or outcome in _OF_THE_CALL:
        return dict.fromkeys(offer.agents, outcome)
    told = {device.casefold(): found for device, found in phones.items()}
    known = {**offer.over, **told}
    found = {}
    for name in offer.agents:
        devices = [device.casefold() for device in floor.roster.agents[name].devices]
        mine = [known[device] for device in devices if device in known]
        if not told and len(mine) < len(devices):
            mine.append(outcome)
        found[name] = foremost(mine)
    return found


def exclude_decliners(floor: Floor, call: Call, outcomes: Mapping[str, OfferOutcome], now: Instant) -> None:
    """Who declined ``call`` is not offered it again for a while."""
    for name, outcome in outcomes.items():
        if outcome is OfferOutcome.DECLINED:
            exclusion.exclude(floor, call, name, "declined", now, floor.definition.cool_down_s)


def choose(floor: Floor, offer: Offer, device: str, at: float, now: Instant) -> None:
    """One of several who rang has answered: the others are free at once, and it was no fault of theirs."""
    folded = device.casefold()
    agents = floor.roster.agents
    winner = next((n for n in offer.agents if any(d.casefold() == folded for d in agents[n].devices)), offer.agent)
    losers = [name for name in offer.agents if name != winner]
    call = floor.calls[offer.call]
    offer.agent, offer.others = winner, ()
    call.agent = winner
    detail: dict[str, Any] = {"agent": winner, "released": losers}
    floor.ledger.decide(call, max(at, call.segment_at), "answered", detail)
    for name in losers:
        agent = agents[name]
        if agent.pending is not None:
            floor.settle_pending(agent, at, now)
        else:
            floor.roster.enter(agent, AgentState.AVAILABLE, at, now, keep_idle=True)
    floor.agents_freed(losers, at, now, "answered_elsewhere")
