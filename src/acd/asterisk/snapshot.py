"""A look at a node: every caller of ours from CoreShowChannels, and what the translator must know to go on from there.

The channel variables that ride on every listed channel are enough: who the call is, its place, its offer, its agent.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from acd.asterisk.ami.messages import Message, unescape
from acd.asterisk.originate import DESK_CONTEXT, LINE_CONTEXT
from acd.asterisk.translate import OFFER_CONTEXT, Translator, device_of, plain_name
from acd.domain.events import Phase, SeenCall, SeenConsult
from acd.domain.outbound import ATTEMPT
from acd.domain.place import Place

_HELD_CONTEXTS = frozenset(
    {"acd-hold", "acd-register", "acd-arrive", "acd-inbound", "acd-out", "acd-wait", "acd-connect"}
)
_OURS = _HELD_CONTEXTS | {OFFER_CONTEXT, "acd-after", "acd-leave", "acd-fallback", "acd-pressed", "acd-message"}

_ASKING_CONTEXTS = frozenset({"acd-arrive", "acd-inbound"})
"""Whatever name a caller bears there, it says who he was before."""

_DIALLING = frozenset({"Dial", "Queue"})
_OWN_LINES = frozenset({DESK_CONTEXT, LINE_CONTEXT})
"""Where agents' lines are that no caller's channel has dialled."""


def asking(channels: Sequence[Message]) -> tuple[str, ...]:
    """The callers among ``channels`` who ask where to go, or are to ask again: no answer stands on them yet."""
    return tuple(one.get("Uniqueid", "") for one in channels if _is_asking(one) and not _is_leg(one))


def read_channels(
    channels: Sequence[Message],
    translator: Translator,
    *,
    prime: bool,
    phones: Container[str] = (),
    entered: Mapping[str, float] = MappingProxyType({}),
) -> tuple[SeenCall, ...]:
    """The callers among ``channels`` (CoreShowChannel items). With ``prime`` the translator takes up their legs and what
    else agents' ``phones`` do; of any other device it cannot be told whose a channel is (a trunk's are everybody's).
    ``entered``: since when those are with us who are ``asking``."""
    legs_of: dict[str, list[Message]] = {}
    own_legs: dict[str, list[Message]] = {}
    joined: dict[str, list[Message]] = {}
    made_by: dict[str, list[Message]] = {}
    for channel in channels:
        if channel.get("Context") in _OWN_LINES:
            # Not dialled by the caller's channel, it shares nothing with it but the offer; and where another agent's phone
            # has joined them, but the bridge
            own_legs.setdefault(channel.get("ChanVariable(acd_offer)", ""), []).append(channel)
            if channel.get("BridgeId"):
                joined.setdefault(channel["BridgeId"], []).append(channel)
        elif _is_leg(channel):
            legs_of.setdefault(channel.get("Linkedid", ""), []).append(channel)
        elif (device := device_of(channel.get("Channel", ""))) in phones:
            made_by.setdefault(device, []).append(channel)
    seen = []
    for channel in channels:
        if _is_leg(channel):
            continue
        if _is_asking(channel):
            seen.append(_asks(channel, entered))
            if prime:
                translator.caller_is_ours(seen[-1].channel)
            continue
        if not channel.get("ChanVariable(acd_call)"):
            continue
        own: list[Message] = []
        if channel.get("Context") == OFFER_CONTEXT:
            own += own_legs.get(channel.get("Exten", ""), [])
            own += [leg for leg in joined.get(channel.get("BridgeId", ""), []) if leg not in own]
        found, legs = _caller(channel, [*legs_of.get(channel.get("Linkedid", ""), []), *own])
        if found.phase is Phase.TALKING and found.agent_device in phones:
            others = [one for one in made_by.get(found.agent_device or "", ()) if one is not channel]
            found = replace(found, consults=tuple(_consult(one) for one in others))
        seen.append(found)
        if prime and found.phase is not Phase.ELSEWHERE:
            translator.caller_is_ours(found.channel)
            for leg in legs if found.offer is not None else ():
                ringing = leg.get("ChannelStateDesc") == "Ringing"
                bridge = leg.get("BridgeId") if found.phase is Phase.TALKING else None
                name = leg.get("Channel", "")
                translator.prime(
                    found.offer or "",
                    found.channel,
                    leg.get("Uniqueid", ""),
                    bridge,
                    rang=ringing or bool(bridge),
                    channel_name=name if device_of(name) in phones else "",
                )
            for consult in found.consults or ():
                translator.prime_consult(consult, found.offer or "")
    return tuple(seen)


def _is_leg(channel: Message) -> bool:
    """Whether this is an agent's line: one that was dialled, or his own, on which he had somebody dialled or which lasts."""
    return channel.get("Application") == "AppDial" or channel.get("Context") in _OWN_LINES


def _is_asking(channel: Message) -> bool:
    context = channel.get("Context", "")
    return context in _ASKING_CONTEXTS or (context in _HELD_CONTEXTS and not channel.get("ChanVariable(acd_call)"))


def _asks(channel: Message, entered: Mapping[str, float]) -> SeenCall:
    found, _ = _caller(channel, [])
    return replace(
        found, phase=Phase.ASKING, offer=None, agent=None, entered_at=entered.get(found.channel, 0.0), target=""
    )


def _target(context: str, exten: str) -> str:
    """Where in the operator's dialplan a caller is; empty in a context of ours, which he is about to leave."""
    return "" if context in _OURS else f"{exten}@{context}"


def _consult(channel: Message) -> SeenConsult:
    dials, ours = channel.get("Application") in _DIALLING, bool(channel.get("ChanVariable(acd_call)"))
    target = channel.get("Exten", "") if dials and not ours else ""
    return SeenConsult(channel.get("Uniqueid", ""), target, up=bool(channel.get("BridgeId")), dials=dials or ours)


def _caller(channel: Message, legs: list[Message]) -> tuple[SeenCall, list[Message]]:
    context, bridge = channel.get("Context", ""), channel.get("BridgeId", "")
    offer = channel.get("Exten") if context == OFFER_CONTEXT else None
    bound = channel.get("ChanVariable(acd_offer)") or offer
    agent: str | None = channel.get("ChanVariable(acd_agent)") or None
    phase, agent_channel, device = Phase.ELSEWHERE, None, None
    uniqueid = channel.get("Uniqueid", "")
    # Linkedid alone is shared by whomever a caller was transferred to
    legs = [leg for leg in legs if leg.get("ChanVariable(acd_offer)")]
    together = [leg for leg in legs if leg.get("BridgeId") == bridge]
    legs = [leg for leg in legs if leg.get("ChanVariable(acd_offer)") == offer]
    if context in _HELD_CONTEXTS and (not bridge or any(x.get("ChanVariable(acd_offer)") == bound for x in together)):
        # In a bridge with his agent still: sent here this very moment
        phase, agent, legs = Phase.HELD, None, []
    elif offer is not None:
        if bridge:
            # Joined with another agent by his own, he talks in that one's offer
            legs = [leg for leg in legs if leg in together] or together
            phase = Phase.TALKING if legs else Phase.ELSEWHERE
            agent_channel = legs[0].get("Uniqueid") if legs else None
            device = device_of(legs[0].get("Channel", "")) if legs else None
            offer = legs[0].get("ChanVariable(acd_offer)") if legs else offer
        else:
            ringing = any(leg.get("ChannelStateDesc") == "Ringing" for leg in legs)
            phase = Phase.RINGING if ringing else Phase.OFFERING
    return (
        SeenCall(
            channel=uniqueid,
            channel_name=channel.get("Channel", ""),
            linkedid=channel.get("Linkedid", ""),
            phase=phase,
            call=channel.get("ChanVariable(acd_call)") or None,
            place=Place.decode(channel.get("ChanVariable(acd_place)", "")),
            offer=offer,
            agent=agent,
            agent_channel=agent_channel,
            agent_device=device,
            target=_target(context, channel.get("Exten", "")) if phase is Phase.ELSEWHERE else "",
            # Of a line that we dialled it is our own
            caller_number=""
            if ATTEMPT.fullmatch(uniqueid)
            else channel.get("CallerIDNum", "").replace("<unknown>", ""),
            caller_name=plain_name(
                unescape(channel.get("CallerIDName", "")).replace("<unknown>", ""), channel.get("Channel", "")
            ),
        ),
        legs,
    )
