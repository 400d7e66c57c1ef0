"""A small model of an Asterisk node: callers' channels, phones, and what our commands do to them.

It holds the truth that the floor must come to believe. Events go into ``outbox`` in the order they happen; the test
decides when, whether and how often each is delivered. Commands arrive by ``execute``, late or never.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.definition import HangUp
from acd.domain.events import Phase, SeenCall, SeenConsult
from acd.domain.place import Place
from acd.domain.states import OfferOutcome, PhoneState


@dataclass(repr=False)
class Channel:
    """One caller's channel. ``phase`` None: it talked, and the dialplan is about to hang it up."""

    name: str
    phase: Phase | None
    entered_at: float
    did: str
    call: str | None = None
    place: str = ""
    offer: str | None = None
    agent: str | None = None
    phones: tuple[str, ...] = ()
    device: str | None = None
    number: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    asking: bool = False
    held: bool = False
    lost: dict[str, OfferOutcome] = field(default_factory=dict)
    """which of the phones that were rung ring no more, and why"""
    own: Channel | None = None
    """the call that the agent's phone makes meanwhile; ``own_held``: which it holds"""
    own_held: bool = False

    def __repr__(self) -> str:
        return f"{self.name} {self.phase} {self.call} {self.offer} {self.agent}{' asking' if self.asking else ''}"

    @property
    def on_line(self) -> bool:
        return self.phase in (Phase.HELD, Phase.OFFERING, Phase.RINGING, Phase.TALKING)

    @property
    def on_phone(self) -> bool:
        return self.phase in (Phase.OFFERING, Phase.RINGING, Phase.TALKING)


@dataclass(repr=False)
class AsteriskModel:
    """One node."""

    node: str
    outbox: list[ev.Event] = field(default_factory=list)
    channels: dict[str, Channel] = field(default_factory=dict)
    devices: dict[str, PhoneState] = field(default_factory=dict)
    serial: int = 0
    epoch: int = 1
    hosts: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.node

    def tell(self, event: ev.Event) -> None:
        self.outbox.append(event)

    # -- what callers and phones do ------------------------------------------------------------------------------------

    def arrive(self, at: float, did: str, number: str = "", attributes: Mapping[str, str] | None = None) -> Channel:
        self.serial += 1
        channel = Channel(f"{self.node}-{self.serial:04d}", Phase.HELD, at, did)
        channel.number, channel.attributes = number, attributes or {}
        self.channels[channel.name] = channel
        return channel

    def question(self, channel: Channel) -> ev.CallArrived:
        """The dialplan asks where to go; at first, and again when it thinks the controller away."""
        return ev.CallArrived(
            at=channel.entered_at,
            node=self.node,
            channel=channel.name,
            channel_name=f"PJSIP/{channel.name}",
            linkedid=channel.name,
            did=channel.did,
            caller_number=channel.number,
            call=channel.call,
            place=Place.decode(channel.place),
            variables=channel.attributes,
        )

    def set_device(self, device: str, state: PhoneState, at: float) -> None:
        if self.devices.get(device) is not state:
            self.devices[device] = state
            self.tell(ev.PhoneStateChanged(at, device, state))

    def _release_phones(self, channel: Channel, at: float) -> None:
        channel.device = None
        for phone in channel.phones:
            others = [c for c in self.channels.values() if c is not channel and c.on_phone and phone in c.phones]
            if not others and self.devices.get(phone) is not PhoneState.UNREACHABLE:
                self.set_device(phone, PhoneState.IDLE, at)

    def ring(self, channel: Channel, at: float) -> None:
        channel.phase = Phase.RINGING
        for phone in channel.phones:
            if self.devices.get(phone) is PhoneState.IDLE:
                self.set_device(phone, PhoneState.RINGING, at)
        assert channel.offer is not None
        self.tell(ev.AgentRang(at, channel.offer))

    def can_answer(self, channel: Channel) -> bool:
        """A phone has one conversation at a time."""
        busy = {p for c in self.channels.values() if c.phase is Phase.TALKING for p in c.phones}
        return bool(set(channel.phones) - busy - channel.lost.keys())

    def answer(self, channel: Channel, at: float, choose: Callable[[int], int]) -> None:
        """One of the phones that ring is taken up; the others stop."""
        busy = {p for c in self.channels.values() if c.phase is Phase.TALKING for p in c.phones}
        free = [phone for phone in channel.phones if phone not in busy and phone not in channel.lost]
        device = free[choose(len(free))]
        self._release_phones(channel, at)
        channel.phase, channel.device, channel.phones = Phase.TALKING, device, (device,)
        self.set_device(device, PhoneState.BUSY, at)
        assert channel.offer is not None
        self.tell(ev.AgentAnswered(at, channel.offer, f"leg-{channel.offer}", device))
        self._own_changed(channel, at)

    def _own_changed(self, own: Channel, at: float) -> None:
        """An agent's own call has got somebody on the line, or nobody any more."""
        for channel in self.channels.values():
            if channel.own is own and channel.offer is not None:
                self.tell(ev.ConsultChanged(at, channel.offer, own.name, own.phase is Phase.TALKING, channel.own_held))

    def can_lose(self, channel: Channel) -> bool:
        return channel.phase is Phase.RINGING and len(set(channel.phones) - channel.lost.keys()) > 1

    def lose(self, channel: Channel, outcome: OfferOutcome, at: float, choose: Callable[[int], int]) -> None:
        """One of several phones that ring is over; the others ring on."""
        assert channel.offer is not None
        rings = [phone for phone in channel.phones if phone not in channel.lost]
        phone = rings[choose(len(rings))]
        channel.lost[phone] = outcome
        self.tell(ev.LegFailed(at, channel.offer, phone, outcome))

    def fail(self, channel: Channel, outcome: OfferOutcome, at: float) -> None:
        assert channel.offer is not None
        phones = {phone: channel.lost.get(phone, outcome) for phone in channel.phones} if channel.lost else {}
        self.tell(ev.OfferFailed(at, channel.offer, outcome, "", phones))
        channel.phase = Phase.HELD
        self._release_phones(channel, at)
        channel.offer = channel.agent = None

    def end_talk(self, channel: Channel, by: str, at: float) -> None:
        assert channel.offer is not None
        self.tell(ev.TalkEnded(at, channel.offer, by))
        if channel.own is not None:
            self.tell(ev.ConsultEnded(at, channel.offer, channel.own.name))
        channel.phase, channel.held, channel.own = None, False, None
        self._own_changed(channel, at)
        self._release_phones(channel, at)

    def hang_up(self, channel: Channel, at: float) -> None:
        if channel.phase is Phase.TALKING:
            self.end_talk(channel, "caller", at)
        self._own_ended(channel, at)
        del self.channels[channel.name]
        self._release_phones(channel, at)
        self.tell(ev.CallEnded(at, self.node, channel.name, 16))

    def _own_ended(self, own: Channel, at: float) -> None:
        for channel in self.channels.values():
            if channel.own is own and channel.offer is not None:
                self.tell(ev.ConsultEnded(at, channel.offer, own.name))
                channel.own = None

    def transfer(self, channel: Channel, kind: str, at: float) -> None:
        told = ev.CallTransferred(at, self.node, channel.name, kind, "999@phones", channel.offer)
        if kind == "blind":
            self.tell(told)
        self.end_talk(channel, "agent", at)
        if kind == "attended":
            self.tell(told)
        channel.phase = Phase.ELSEWHERE

    def transfer_back(self, channel: Channel, did: str, at: float, *, heard_first: bool) -> None:
        """The agent's phone sends the caller into a queue of ours. ``heard_first``: that they left their bridge is told
        before it is told why. The dialplan asks with a connection of its own, so both may be told after that."""
        told = ev.CallTransferred(at, self.node, channel.name, "blind", f"{did}@phones", channel.offer)
        if not heard_first:
            self.tell(told)
        self.end_talk(channel, "agent", at)
        if heard_first:
            self.tell(told)
        channel.phase, channel.did, channel.entered_at = Phase.HELD, did, at
        channel.offer = channel.agent = None

    def hold(self, channel: Channel, at: float) -> None:
        """The agent's phone puts the caller on hold, or takes him back."""
        channel.held = not channel.held
        assert channel.offer is not None
        self.tell((ev.CallHeld if channel.held else ev.CallRetrieved)(at, channel.offer))

    def consult(self, channel: Channel, did: str, at: float) -> Channel:
        """The agent's phone calls a queue of ours."""
        assert channel.offer is not None
        if channel.own is not None:
            self.tell(ev.ConsultEnded(at, channel.offer, channel.own.name))
        channel.own, channel.own_held = self.arrive(at, did), False
        self.tell(ev.ConsultBegan(at, channel.offer, did, channel.own.name))
        return channel.own

    def hold_own(self, channel: Channel, at: float) -> None:
        """The agent's phone puts its own call on hold, or takes it back."""
        if channel.own is not None:
            channel.own_held = not channel.own_held
            self._own_changed(channel.own, at)

    def can_join(self, channel: Channel) -> bool:
        own = channel.own
        return own is not None and self.channels.get(own.name) is own and own.call is not None and own.on_line

    def join(self, channel: Channel, at: float, *, heard_first: bool = False) -> None:
        """The agent's phone hands the caller over to its own call: he stands in its place, bearing its variables; in a
        bridge already he keeps his own. ``heard_first``: that they left their bridge is told before it is told why."""
        own = channel.own
        assert own is not None
        if heard_first and channel.offer is not None:
            self.tell(ev.TalkEnded(at, channel.offer, "caller"))
        self._release_phones(channel, at)
        del self.channels[own.name]
        if own.phase is not Phase.TALKING:
            channel.call, channel.place, channel.agent = own.call, own.place, own.agent
        channel.phase, channel.offer, channel.phones, channel.device = own.phase, own.offer, own.phones, own.device
        channel.held, channel.own, channel.lost = own.held, own.own, own.lost
        channel.own_held = own.own_held
        self.tell(ev.CallJoined(at, self.node, channel.name, own.name))

    def back_on_hold(self, channel: Channel, at: float) -> None:
        """The agent's phone sends the caller straight back to the hold context, unknown to the controller."""
        self.end_talk(channel, "agent", at)
        channel.phase = Phase.HELD
        channel.offer = channel.agent = None

    def leave(self, channel: Channel, at: float) -> None:
        channel.phase = Phase.ELSEWHERE
        self.tell(ev.CallLeft(at, self.node, channel.name, "fallback,s,1"))

    # -- what commands do ----------------------------------------------------------------------------------------------

    def execute(self, command: do.Command, at: float) -> None:
        assert isinstance(command, do.ChannelCommand | do.SendCall)
        channel = self.channels.get(command.channel)
        if channel is None:
            self.tell(ev.CallEnded(at, self.node, command.channel))
            return
        if isinstance(command, do.MarkCall):
            channel.call, channel.place = command.call, command.place
            channel.agent = command.agent or channel.agent
            return
        if channel.phase is Phase.TALKING:
            self.end_talk(channel, "caller", at)
        was_on, channel.phase = channel.on_phone, Phase.HELD
        if was_on:
            self._release_phones(channel, at)
        channel.offer = channel.agent = None
        if isinstance(command, do.SendCall):
            channel.phase = Phase.ELSEWHERE
            if isinstance(command.destination, HangUp):
                self.hang_up(channel, at)
            return
        assert isinstance(command, do.HoldCall | do.OfferCall)
        channel.call, channel.place = command.call, command.place
        if isinstance(command, do.OfferCall):
            if not command.offer.startswith(f"{self.epoch:06d}"):
                self.tell(ev.OfferFailed(at, command.offer, OfferOutcome.VOID))
                return
            channel.phase, channel.offer, channel.agent = Phase.OFFERING, command.offer, command.agent
            channel.phones, channel.lost = command.phones, {}

    # -- a look --------------------------------------------------------------------------------------------------------

    def look(self, at: float, margin_s: float, *, restarted: bool = False) -> ev.NodeResynced:
        """The truth, as a resynchronisation would report it."""
        seen = [
            SeenCall(
                channel=c.name,
                channel_name=f"PJSIP/{c.name}",
                linkedid=c.name,
                phase=Phase.ASKING if c.call is None else Phase.ELSEWHERE if c.phase is None else c.phase,
                call=c.call,
                place=Place.decode(c.place),
                entered_at=c.entered_at if c.call is None else 0.0,
                offer=c.offer if c.on_phone else None,
                agent=c.agent if c.on_phone else None,
                agent_device=c.device,
                target="999@phones" if c.phase is Phase.ELSEWHERE else "",
                consults=self._consults(c),
                caller_number=c.number,
            )
            for c in self.channels.values()
            if c.call is not None or c.phase is Phase.HELD
        ]
        return ev.NodeResynced(at, self.node, tuple(seen), dict(self.devices), margin_s, restarted, self.hosts)

    def _consults(self, channel: Channel) -> tuple[SeenConsult, ...] | None:
        if channel.phase is not Phase.TALKING:
            return None
        own = channel.own
        return () if own is None else (SeenConsult(own.name, own.did, up=own.phase is Phase.TALKING),)

    def restart(self) -> None:
        """Asterisk itself starts anew: every channel is gone, and nobody was told."""
        self.channels.clear()
        self.outbox.clear()
        for device, state in self.devices.items():
            if state is not PhoneState.UNREACHABLE:
                self.devices[device] = PhoneState.IDLE
