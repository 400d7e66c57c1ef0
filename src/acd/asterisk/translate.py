"""From the wire's events to the floor's: one translator a node. Keeps only what links legs to offers; decides nothing.

What is trusted for what: DialBegin binds a leg to an offer (the caller's extension is the offer's id), DialState tells
that a phone rings, BridgeEnter and BridgeLeave alone bound the conversation, Hangup ends legs and callers, and the
dialplan's own UserEvent after Dial ends an offer without answer. What became of one leg of several say its DialEnd and
the cause of its Hangup. Hold and Unhold of the agent's leg are his holds; what
else his phone dials while he talks (DialBegin, a question by AGI) is a consultation, until that channel hangs up: module
consults.

The end of a conversation is told when both have left the bridge, or one of them has hung up, with the time at which the
first one left: who left may be entering another bridge at the same moment, where the agent's phone joins two calls of
ours. Everything else is left alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from acd.asterisk.ami.messages import Message
from acd.asterisk.consults import Consults
from acd.domain import events as ev
from acd.domain.devices import proper_device
from acd.domain.states import OfferOutcome, PhoneState, foremost

OFFER_CONTEXT = "acd-offer"

WANTED = frozenset(
    {
        "FullyBooted",
        "Shutdown",
        "DialBegin",
        "DialState",
        "DialEnd",
        "BridgeEnter",
        "BridgeLeave",
        "Hangup",
        "UserEvent",
        "DeviceStateChange",
        "BlindTransfer",
        "AttendedTransfer",
        "Hold",
        "Unhold",
        "OriginateResponse",
    }
)
"""The only events we read; the samples' event filter names the same."""

_PRIVILEGE = {"UserEvent": "user,all"}
_CHANNEL = ("Channel", "Uniqueid", "Linkedid")
_DIALLED = ("DestChannel", "DestUniqueid", "DestLinkedid")
_WHOLE: dict[str, tuple[str, ...]] = {
    "DialBegin": _DIALLED,
    "DialState": _DIALLED,
    "DialEnd": (*_DIALLED, "DialStatus"),
    "BridgeEnter": (*_CHANNEL, "BridgeUniqueid", "BridgeType"),
    "BridgeLeave": (*_CHANNEL, "BridgeUniqueid", "BridgeType"),
    "Hangup": (*_CHANNEL, "Cause", "Cause-txt"),
    "UserEvent": _CHANNEL,
    "DeviceStateChange": ("Device", "State"),
    "BlindTransfer": ("TransfererUniqueid", "Result"),
    "AttendedTransfer": ("OrigTransfererUniqueid", "SecondTransfererUniqueid", "Result"),
    "Hold": _CHANNEL,
    "Unhold": _CHANNEL,
}
"""What Asterisk puts into every such event. Numbers of callers are not escaped there: one with line feeds in it can make
up an event, but within its 79 bytes not a whole one."""

_DEVICE_STATES = {
    "NOT_INUSE": PhoneState.IDLE,
    "INUSE": PhoneState.BUSY,
    "BUSY": PhoneState.BUSY,
    "ONHOLD": PhoneState.BUSY,
    "RINGINUSE": PhoneState.BUSY,
    "RINGING": PhoneState.RINGING,
    "UNAVAILABLE": PhoneState.UNREACHABLE,
    "INVALID": PhoneState.UNREACHABLE,
}
_CAUSE_BUSY, _CAUSE_DECLINED, _CAUSE_CONGESTION = "17", "21", "34"
_OVER_BY_TIME = frozenset({"", "0", "16", "19", "26"})
"""Causes of a leg that was taken back, or that said itself that nobody answers."""
_OF_NO_LEG = frozenset({"", "ANSWER", "CANCEL"})
"""Ends of dialling that say nothing of the leg: it answered, or was taken back for another or for the caller's sake."""
_OF_LEGS = frozenset({"BUSY", "CHANUNAVAIL", "NOANSWER", "CONGESTION"})
_UNIQUE = re.compile(r"-[0-9a-fA-F]+$")
_QUOTED = re.compile(r"\\(.)")
_MAX_TRACKED = 100_000
_MAX_PAST = 256


def phone_state(state: str) -> PhoneState | None:
    """Asterisk's device state as a phone state; None for UNKNOWN (a device nobody watches counts as idle)."""
    return _DEVICE_STATES.get(state)


def device_of(channel: str) -> str:
    """``PJSIP/1001-0000002a`` is a channel of the device ``PJSIP/1001``."""
    return _UNIQUE.sub("", channel)


def dialled_device(channel: str, dialled: str) -> str:
    """The device whose ``channel`` was made by dialling ``dialled`` (what follows the technology in Dial's words).

    Behind a trunk (``PJSIP/1001@site``) every channel is the trunk's, and only what was dialled tells phones apart.
    """
    technology, slash, _ = channel.partition("/")
    if slash and "@" in dialled and (device := proper_device(f"{technology}/{dialled}")) is not None:
        return device
    return device_of(channel)


def plain_name(text: str, channel: str) -> str:
    """A caller's name as he wrote it: chan_pjsip leaves the escapes of SIP's quoted strings (RFC 3261, 25.1) in it."""
    return _QUOTED.sub(r"\1", text) if "\\" in text and channel.startswith("PJSIP/") else text


@dataclass(slots=True)
class OfferTrack:
    """The legs of one offer. ``caller`` is the caller's Uniqueid. ``ringing``: legs that were heard ringing; ``ended``: how
    dialling each ended; ``outcomes``: what that means, per device, once its last leg has hung up. ``left``: who of the two
    left the bridge first, and when; ``joined``: the agent's phone joined his caller with somebody else of ours, so that
    nothing is left to be told."""

    offer: str
    caller: str
    legs: set[str] = field(default_factory=set)
    devices: dict[str, str] = field(default_factory=dict)
    rang: bool = False
    ringing: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, OfferOutcome] = field(default_factory=dict)
    causes: set[str] = field(default_factory=set)
    answered_by: str | None = None
    left: tuple[str, float] | None = None
    over: bool = False
    joined: bool = False


@dataclass(slots=True)
class CallerTrack:
    """One caller's channel: its bridge and its latest offer."""

    bridge: str | None = None
    offer: str | None = None


class Translator:
    """``feed`` a message; what it means goes to ``submit``, in order. ``warn(kind, detail)`` tells of misconfiguration.
    ``doubt`` gets the end, without a cause, of a caller who talked with nobody, in place of ``submit``."""

    def __init__(
        self,
        node: str,
        submit: Callable[[ev.Event], None],
        *,
        warn: Callable[[str, str], None],
        clock: Callable[[], float] = time.time,
        doubt: Callable[[ev.CallEnded], None] | None = None,
    ) -> None:
        self.node = node
        self._submit = submit
        self._doubt = doubt or submit
        self._warn = warn
        self._clock = clock
        self.callers: dict[str, CallerTrack] = {}
        self.legs: dict[str, OfferTrack] = {}
        self.leg_bridges: dict[str, str] = {}
        self.offers: dict[str, OfferTrack] = {}
        self.devices_heard: dict[str, float] = {}
        self._talking: dict[str, OfferTrack] = {}
        """per device: whose conversation it is in"""
        self._consults = Consults(submit)
        self._past: dict[str, OfferTrack] = {}
        """per leg or consultation of ours that has hung up lately: its conversation, for AttendedTransfer may come last"""
        self._moving: dict[str, tuple[str, float]] = {}
        """per channel of such a call: which caller takes its place as soon as it hangs up, and since when"""
        self._warned = False
        self._handlers: dict[str, Callable[[Message, float], None]] = {
            "DialBegin": self._dial_begin,
            "DialState": self._dial_state,
            "DialEnd": self._dial_end,
            "BridgeEnter": self._bridge_enter,
            "BridgeLeave": self._bridge_leave,
            "Hangup": self._hangup,
            "UserEvent": self._user_event,
            "DeviceStateChange": self._device_state,
            "BlindTransfer": self._blind_transfer,
            "AttendedTransfer": self._attended_transfer,
            "Hold": self._hold,
            "Unhold": self._hold,
        }

    def feed(self, message: Message) -> None:
        """Take one event. Unknown kinds, made-up events and those of channels that are not ours do nothing."""
        name = message.get("Event", "")
        handler = self._handlers.get(name)
        if handler is None:
            return
        if not _is_whole(name, message):
            self._warn("event_not_whole", f"{self.node} sent an event {name} that Asterisk does not make; ignored")
            return
        stamp = message.get("Timestamp")
        handler(message, self._clock() if stamp is None else float(stamp))

    def caller_is_ours(self, channel: str) -> CallerTrack:
        """Follow a caller's channel from now on."""
        track = self.callers.get(channel)
        if track is None:
            if len(self.callers) >= _MAX_TRACKED:
                self.callers.pop(next(iter(self.callers)))
            track = self.callers[channel] = CallerTrack()
        return track

    def arrives(self, channel: str, channel_name: str, did: str, at: float) -> None:
        """Follow a caller's channel from now on; if it is an agent's who talks, he consults."""
        self.caller_is_ours(channel)
        if self._talking:
            self._consults_with(channel, channel_name, did, at)

    def gone(self, channel: str, at: float) -> None:
        """A caller who was followed is not there any more: his end came before his arrival, and meant nothing then."""
        self._hangup({"Uniqueid": channel, "ChanVariable(acd_call)": ""}, at)

    def clear(self) -> None:
        """Forget everything: what follows is a fresh look at the node."""
        self._talking.clear()
        self._consults.clear()
        self._past.clear()
        self._moving.clear()
        self.callers.clear()
        self.legs.clear()
        self.leg_bridges.clear()
        self.offers.clear()

    def prime(
        self, offer: str, caller: str, leg: str, bridge: str | None, *, rang: bool, channel_name: str = ""
    ) -> None:
        """Take up a leg that existed before we looked."""
        track = self.offers.setdefault(offer, OfferTrack(offer, caller))
        track.legs.add(leg)
        track.devices[leg] = device_of(channel_name)
        track.rang = track.rang or rang
        if rang:
            track.ringing.add(leg)
        self.legs[leg] = track
        caller_track = self.caller_is_ours(caller)
        caller_track.offer = offer
        if bridge:
            self.leg_bridges[leg] = caller_track.bridge = bridge
            track.answered_by = leg
            self._talks(track)

    def prime_consult(self, consult: ev.SeenConsult, offer: str) -> None:
        """Take up another call of the agent's who talks in ``offer``; what it was before is the floor's to know."""
        track = self.offers.get(offer)
        if track is not None and consult.dials:
            self._consults.prime(consult.channel, track, up=consult.up)

    # -- legs --------------------------------------------------------------------------------------------------------

    def _dial_begin(self, message: Message, at: float) -> None:
        ours = message.get("Context") == OFFER_CONTEXT
        if self._talking:
            to = device_of(message.get("DestChannel", "")) if ours else message.get("Exten", "")
            self._consults_with(message.get("Uniqueid", ""), message.get("Channel", ""), to, at)
        if not ours:
            return
        offer, caller, leg = message.get("Exten", ""), message.get("Uniqueid", ""), message.get("DestUniqueid", "")
        if not (offer and caller and leg):
            return
        if not self._warned and "ChanVariable(acd_call)" not in message:
            self._warned = True
            self._warn(
                "channelvars_missing",
                f"events of {self.node} do not carry acd_call: add channelvars=acd_call,acd_place,acd_offer,acd_agent "
                "to [general] of manager.conf, or calls cannot be found again after a restart",
            )
        track = self.offers.get(offer)
        if track is None:
            track = self.offers[offer] = OfferTrack(offer, caller)
        track.legs.add(leg)
        track.devices[leg] = dialled_device(message.get("DestChannel", ""), message.get("DialString", ""))
        self.legs[leg] = track
        waits = self.caller_is_ours(caller)
        if waits.offer != offer and waits.offer in self.offers and self.offers[waits.offer].over:
            del self.offers[waits.offer]
        waits.offer = offer

    def _dial_state(self, message: Message, at: float) -> None:
        leg = message.get("DestUniqueid", "")
        track = self.legs.get(leg)
        if track is not None and message.get("DialStatus") in ("RINGING", "PROGRESS"):
            track.ringing.add(leg)
            if not track.rang:
                track.rang = True
                self._submit(ev.AgentRang(at, track.offer))

    def _dial_end(self, message: Message, at: float) -> None:
        leg, status = message.get("DestUniqueid", ""), message.get("DialStatus", "")
        track = self.legs.get(leg)
        if track is not None and status not in _OF_NO_LEG:
            track.ended[leg] = status

    def _leg_over(self, track: OfferTrack, leg: str, cause: str, at: float) -> None:
        """A leg that nobody has answered is gone. If it was its device's last, and others ring on, that is told at once."""
        status, device = track.ended.get(leg), track.devices.get(leg, "")
        if status is None or not device or track.answered_by is not None:
            return
        outcome = judge_leg(status, cause, rang=leg in track.ringing)
        known = track.outcomes.get(device)
        track.outcomes[device] = outcome if known is None else foremost((known, outcome))
        if any(track.devices.get(other) == device for other in track.legs):
            return
        if any(other not in track.ended for other in track.legs):
            self._submit(ev.LegFailed(at, track.offer, device, track.outcomes[device]))

    # -- conversation --------------------------------------------------------------------------------------------------

    def _bridge_enter(self, message: Message, at: float) -> None:
        channel, bridge = message.get("Uniqueid", ""), message.get("BridgeUniqueid", "")
        if self._consults:
            self._consults.bridged(channel, at, up=True)
        track = self.legs.get(channel)
        if track is not None:
            self.leg_bridges[channel] = bridge
            caller = self.callers.get(track.caller)
            if caller is not None and caller.bridge == bridge:
                self._answered(track, channel, at)
            elif track.answered_by == channel:
                self._leg_moves(track, bridge, at)
            return
        caller = self.callers.get(channel)
        if caller is None:
            return
        caller.bridge = bridge
        track = self.offers.get(caller.offer or "")
        if track is not None:
            if track.answered_by is not None and self.leg_bridges.get(track.answered_by) != bridge:
                self._caller_moves(channel, track, bridge, at)
                return
            for leg in track.legs:
                if self.leg_bridges.get(leg) == bridge:
                    self._answered(track, leg, at)

    def _answered(self, track: OfferTrack, leg: str, at: float) -> None:
        if track.answered_by is None and not track.over:
            track.answered_by = leg
            self._talks(track)
            self._submit(ev.AgentAnswered(at, track.offer, leg, track.devices.get(leg, "")))
        elif track.answered_by == leg:
            track.left = None  # he was away for a moment

    def _bridge_leave(self, message: Message, at: float) -> None:
        channel = message.get("Uniqueid", "")
        if self._consults:
            self._consults.bridged(channel, at, up=False)
        track = self.legs.get(channel)
        if track is not None:
            self.leg_bridges.pop(channel, None)
            if track.answered_by == channel:
                self._leaves(track, "agent", at)
            return
        caller = self.callers.get(channel)
        if caller is not None:
            caller.bridge = None
            track = self.offers.get(caller.offer or "")
            if track is not None and track.answered_by is not None:
                self._leaves(track, "caller", at)

    def _leaves(self, track: OfferTrack, by: str, at: float) -> None:
        if track.left is None:
            track.left = by, at
        elif track.left[0] != by:
            self._talk_over(track, by, at)

    def _talk_over(self, track: OfferTrack, by: str, at: float) -> None:
        if not track.over:
            track.over = True
            by, at = track.left or (by, at)
            self._falls_silent(track)
            self._submit(ev.TalkEnded(at, track.offer, by))

    def _talks(self, track: OfferTrack) -> None:
        device = track.devices.get(track.answered_by or "")
        if device:
            self._talking[device] = track

    def _falls_silent(self, track: OfferTrack) -> None:
        device = track.devices.get(track.answered_by or "", "")
        if self._talking.get(device) is track:
            del self._talking[device]

    # -- two calls become one --------------------------------------------------------------------------------------------

    def _caller_moves(self, channel: str, track: OfferTrack, bridge: str, at: float) -> None:
        """The caller of ``track`` enters a bridge without his agent: he may be joined with another agent there."""
        for leg, where in self.leg_bridges.items():
            other = self.legs.get(leg)
            if where == bridge and other is not None and other is not track and other.answered_by == leg:
                self._joined(track, channel, other, at)
                return
        self._talk_over(track, "caller", at)

    def _leg_moves(self, track: OfferTrack, bridge: str, at: float) -> None:
        """An agent who talks enters another bridge: another caller of ours may be in it, whose own agent has joined them."""
        for channel, caller in self.callers.items():
            theirs = self.offers.get(caller.offer or "")
            if caller.bridge == bridge and theirs is not None and theirs is not track:
                self._joined(theirs, channel, track, at)
                return
        self._talk_over(track, "agent", at)

    def _joined(self, track: OfferTrack, channel: str, other: OfferTrack, at: float) -> None:
        """The caller of ``track``, ``channel``, talks with the agent of ``other`` from now on."""
        if track.joined or other.over:
            return
        left = track.left[1] if track.left is not None else at
        into = self._takes_place(track, channel, other.caller)
        other.left = None
        self._submit(ev.CallJoined(left, self.node, channel, into))

    def _takes_place(self, track: OfferTrack, channel: str, into: str) -> str:
        """Whatever was bound to the caller ``into`` is bound to ``channel``."""
        track.over = track.joined = True
        self._falls_silent(track)
        self.offers.pop(track.offer, None)
        taken = self.callers[into].offer if into in self.callers else None
        if into in self.callers:
            self.callers[into].offer = None
        self.caller_is_ours(channel).offer = taken
        other = self.offers.get(taken or "")
        if other is not None:
            other.caller = channel
        return into

    # -- hold and consultation -------------------------------------------------------------------------------------------

    def _hold(self, message: Message, at: float) -> None:
        channel, on = message.get("Uniqueid", ""), message.get("Event") == "Hold"
        track = self.legs.get(channel)
        if track is not None and track.answered_by == channel and not track.over:
            self._submit((ev.CallHeld if on else ev.CallRetrieved)(at, track.offer))
        elif self._consults:
            self._consults.held(channel, at, on=on)

    def _consults_with(self, channel: str, channel_name: str, target: str, at: float) -> None:
        track = self._talking.get(device_of(channel_name))
        if track is not None:
            self._consults.begins(channel, track, target, at)

    def _hangup(self, message: Message, at: float) -> None:
        channel, cause = message.get("Uniqueid", ""), message.get("Cause", "")
        if self._consults and (beside := self._consults.ends(channel, at)) is not None and channel in self.callers:
            self._is_past(channel, beside)
        track = self.legs.pop(channel, None)
        if track is not None:
            self.leg_bridges.pop(channel, None)
            track.causes.add(cause)
            track.legs.discard(channel)
            self._leg_over(track, channel, cause, at)
            if track.answered_by == channel:
                self._talk_over(track, "agent", at)
                if track.caller not in self.callers or self.callers[track.caller].offer != track.offer:
                    self.offers.pop(track.offer, None)
                self._is_past(channel, track)
            return
        caller = self.callers.pop(channel, None)
        if caller is not None or "ChanVariable(acd_call)" in message:
            track = self.offers.pop(caller.offer, None) if caller is not None and caller.offer is not None else None
            talks = track is not None and track.answered_by is not None
            if track is not None and talks:
                self._talk_over(track, "caller", at)
            joins = self._moving.pop(channel, None)
            if joins is not None and joins[0] in self.callers:
                self._submit(ev.CallJoined(joins[1], self.node, joins[0], channel))
                return
            ended = ev.CallEnded(at, self.node, channel, int(cause) if cause.isdigit() else None)
            (self._submit if ended.cause or talks else self._doubt)(ended)

    def _is_past(self, channel: str, track: OfferTrack) -> None:
        if len(self._past) >= _MAX_PAST:
            self._past.pop(next(iter(self._past)))
        self._past[channel] = track

    # -- the dialplan's own words ----------------------------------------------------------------------------------------

    def _user_event(self, message: Message, at: float) -> None:
        name = message.get("UserEvent")
        if name == "AcdOfferDone":
            offer = message.get("Offer", "")
            track = self.offers.pop(offer, None)
            status = message.get("Dialstatus", "")
            if track is not None and status != "NOANSWER" and message.get("Cause", "0") not in ("", "0"):
                # The legs' own hang-ups may come later. Without a leg, or with none that has ended by itself, it is the
                # cause of some earlier offer
                track.causes.add(message["Cause"])
            outcome = judge(status, track)
            causes = "" if track is None else ",".join(sorted(track.causes))
            phones = outcomes_of(track) if track is not None and status in _OF_LEGS else {}
            self._submit(ev.OfferFailed(at, offer, outcome, f"dial status {status}, cause {causes or 'none'}", phones))
        elif name == "AcdNowhere":
            target = message.get("Target", "")
            self._warn(
                "no_such_target", f"the dialplan of {self.node} has no {target}: a caller sent there was hung up"
            )
        elif name == "AcdLeft":
            self._submit(ev.CallLeft(at, self.node, message.get("Uniqueid", ""), message.get("Target", "")))

    # -- phones and transfers --------------------------------------------------------------------------------------------

    def _device_state(self, message: Message, at: float) -> None:
        state = phone_state(message.get("State", ""))
        if state is not None:
            device = message.get("Device", "")
            self.devices_heard[device] = at
            self._submit(ev.PhoneStateChanged(at, device, state))

    def _blind_transfer(self, message: Message, at: float) -> None:
        if message.get("Result") == "Success":
            target = f"{message.get('Extension', '')}@{message.get('Context', '')}"
            leg = message.get("TransfererUniqueid", "")
            track = self.legs.get(leg) or self._past.get(leg)
            self._transferred(message.get("TransfereeUniqueid", ""), "blind", target, track, at)

    def _attended_transfer(self, message: Message, at: float) -> None:
        if message.get("Result") == "Success":
            first, second = message.get("OrigTransfererUniqueid", ""), message.get("SecondTransfererUniqueid", "")
            transferee, sender = message.get("TransfereeUniqueid", ""), None
            for leg, into in ((first, second), (second, first)):
                track = self.legs.get(leg) or self._past.get(leg)
                if track is not None and (track.joined or self._moves_into(track, into, at)):
                    return
                if track is not None and track.caller == transferee:
                    sender = track
            # Whom he talks to now; its connected line is still the agent. Not yet in a bridge, it is the connected line of
            # the agent's channel. Else the number that the agent dialled
            numbers = (
                message.get(f"{who}Num", "") for who in ("TransferTargetCallerID", "SecondTransfererConnectedLine")
            )
            number = next((one for one in numbers if one and one != "<unknown>"), "")
            target = number or message.get("SecondTransfererExten", "")
            self._transferred(transferee, "attended", target, sender, at)

    def _moves_into(self, track: OfferTrack, into: str, at: float) -> bool:
        """Whether the caller of ``track`` takes the place of ``into``, a call of his agent's into a queue of ours, where
        it waits or rings: Asterisk puts him on that channel's spot, which is done as soon as what is left hangs up."""
        if into == track.caller or track.caller not in self.callers:
            return False
        left, place = track.left[1] if track.left is not None else at, self.callers.get(into)
        if place is None and self._past.get(into) is track:
            self._takes_place(track, track.caller, into)
            self._submit(ev.CallJoined(left, self.node, track.caller, into))
            return True
        if place is None or place.bridge is not None:
            return False
        self._moving[into] = track.caller, left
        self._takes_place(track, track.caller, into)
        return True

    def _transferred(self, channel: str, kind: str, target: str, track: OfferTrack | None, at: float) -> None:
        if channel in self.callers:
            offer = track.offer if track is not None else None
            self._submit(ev.CallTransferred(at, self.node, channel, kind, target, offer))


def _is_whole(name: str, message: Message) -> bool:
    for header in _WHOLE[name]:
        if header not in message:
            return False
    if name == "BlindTransfer" and message["Result"] == "Success" and "BridgeUniqueid" not in message:
        return False  # one of a channel in no bridge, such as a lasting line that waits, never succeeds
    return message.get("Privilege") == _PRIVILEGE.get(name, "call,all")


def judge_leg(status: str, cause: str, *, rang: bool) -> OfferOutcome:
    """What one leg came to, from DialEnd's word on it, the cause it hung up with and whether it was heard ringing."""
    if status == "BUSY" or cause == _CAUSE_BUSY:
        return OfferOutcome.BUSY
    if cause == _CAUSE_DECLINED:
        return OfferOutcome.DECLINED
    if status == "CONGESTION" or cause == _CAUSE_CONGESTION:
        return OfferOutcome.CONGESTION
    if status == "NOANSWER" and cause in _OVER_BY_TIME and rang:
        return OfferOutcome.NO_ANSWER
    return OfferOutcome.UNREACHABLE


def outcomes_of(track: OfferTrack) -> dict[str, OfferOutcome]:
    """What each device came to that an offer has rung; of legs whose hang-up is still to come, by DialEnd alone."""
    found = dict(track.outcomes)
    for leg in sorted(track.legs & track.ended.keys()):
        device = track.devices.get(leg, "")
        outcome = judge_leg(track.ended[leg], "", rang=leg in track.ringing)
        found[device] = foremost((outcome, found.get(device, outcome)))
    return found


def judge(status: str, track: OfferTrack | None) -> OfferOutcome:
    """An offer's outcome from DIALSTATUS, the legs' hang-up causes and whether any phone was heard ringing."""
    causes = track.causes if track is not None else set()
    if status == "BUSY":
        return OfferOutcome.BUSY
    if status == "CHANUNAVAIL":
        return OfferOutcome.DECLINED if _CAUSE_DECLINED in causes else OfferOutcome.UNREACHABLE
    if status == "NOANSWER":
        rang = track is not None and track.rang
        return OfferOutcome.NO_ANSWER if rang else OfferOutcome.UNREACHABLE
    return {
        "CONGESTION": OfferOutcome.CONGESTION,
        "CANCEL": OfferOutcome.CALLER_GONE,
        # Nobody to ring: no contact of any phone is registered
        "INVALIDARGS": OfferOutcome.UNREACHABLE,
        "VOID": OfferOutcome.VOID,
    }.get(status, OfferOutcome.LOST_TRACK)
