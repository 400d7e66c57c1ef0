"""The floor itself: events in, records and commands out.

One event is handled to its end before the next. Whoever becomes free is matched at once, whoever starts to wait
likewise, so between events no free agent is eligible for a waiting call (cool-downs and lost nodes excepted).
Look-ups that fail are not errors: Asterisk may speak of offers that have just ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.definition import FloorDefinition, QueueDefinition, ToDialplan, ToQueue
from acd.domain.instant import Instant
from acd.domain.place import Place
from acd.domain.states import (
    PAUSE_DECLINED,
    PAUSE_RONA,
    AgentState,
    CallOutcome,
    CallState,
    OfferOutcome,
    SegmentKind,
)
from acd.floor import requests, resync
from acd.floor.calls import Call, Ledger, Offer
from acd.routing.matching import Matcher
from acd.routing.roster import PENDING_LOGOUT, PENDING_PAUSE, Agent, Roster
from acd.routing.statistics import QueueCounts

OFFER_GRACE_S = 5.0
"""How long after the ring timeout an offer may go unheard of before it is given up as lost."""

ENDED_LIMIT = 10_000
"""How many ended calls' channels are remembered, so that a look taken before the end does not revive them."""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from one event: records to make durable and commands to carry out, both in order."""

    records: tuple[rec.Record, ...]
    commands: tuple[do.Command, ...]


class Floor:
    """Everything the controller believes, and every decision it takes. ``epoch`` fences offers of earlier lives."""

    def __init__(self, definition: FloorDefinition, *, epoch: int, started_at: float) -> None:
        self.definition = definition
        self.epoch = epoch
        self.started_at = started_at
        self.calls: dict[str, Call] = {}
        self.by_channel: dict[tuple[str, str], Call] = {}
        self.offers: dict[str, Offer] = {}
        self.nodes: dict[str, bool] = {}
        self.lost_at: dict[str, float] = {}
        self.memory: dict[str, ev.CallMemory] = {}
        self.wraps: dict[str, tuple[str, int, float, str | None]] = {}
        self.ended: dict[tuple[str, str], float] = {}
        self.comparing = False
        self.counts: dict[str, QueueCounts] = {name: QueueCounts() for name in definition.queues}
        self.unrouted = 0
        self._serial = 0
        self._timer_serial = 0
        self._timers: list[tuple[float, int, str, str]] = []
        self._records: list[rec.Record] = []
        self._commands: list[do.Command] = []
        self.matcher = Matcher()
        self.ledger = Ledger(self.emit, definition.revision)
        self._call_classes = {
            name: self.matcher.call_class((name, queue.requirements)) for name, queue in definition.queues.items()
        }
        self.roster = Roster(definition, self.matcher, self.emit)
        self._handlers: dict[type, Callable[[Any, Instant], None]] = {
            ev.CallArrived: self._call_arrived,
            ev.CallEnded: self._call_ended,
            ev.CallTransferred: self._call_transferred,
            ev.CallLeft: self._call_left,
            ev.AgentRang: self._agent_rang,
            ev.AgentAnswered: self._agent_answered,
            ev.OfferFailed: self._offer_failed,
            ev.TalkEnded: self._talk_ended,
            ev.PhoneStateChanged: self._phone_changed,
            ev.AgentRequested: lambda event, now: requests.handle(self, event, now),
            ev.NodeResynced: lambda event, now: resync.node_resynced(self, event, now),
            ev.NodeLost: self._node_lost,
            ev.MemoryRestored: lambda event, now: resync.memory_restored(self, event, now),
            ev.DeadlinePassed: lambda event, now: None,
        }

    # -- the interface -----------------------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: Instant) -> Step:
        """Take one event to its end. Deadlines that are due are handled first, in their order."""
        self._records, self._commands = [], []
        if not 0.0 < event.at <= now.utc:
            # No time given, or a clock ahead of ours: what has happened has happened by now
            event = replace(event, at=now.utc)
        try:
            self._pass_deadlines(now)
        finally:
            self._handlers[type(event)](event, now)
        return Step(tuple(self._records), tuple(self._commands))

    def salvage(self) -> Step:
        """What a handler that raised had already decided: its records and commands belong to changes that were made."""
        step = Step(tuple(self._records), tuple(self._commands))
        self._records, self._commands = [], []
        return step

    def next_deadline(self) -> float | None:
        """The monotonic time at which ``DeadlinePassed`` is wanted, or None. May be early, never late."""
        return self._timers[0][0] if self._timers else None

    # -- small tools -------------------------------------------------------------------------------------------------

    def emit(self, record: rec.Record) -> None:
        """Add a record to the present step."""
        self._records.append(record)

    def command(self, command: do.Command) -> None:
        """Add a command to the present step."""
        self._commands.append(command)

    def drift(self, kind: str, detail: str) -> None:
        """Report that belief was corrected."""
        self.command(do.ReportDrift(kind, detail))

    def timer(self, mono: float, kind: str, key: str) -> None:
        """Arm a deadline. It is checked against the state when it fires, so nothing is ever disarmed."""
        self._timer_serial += 1
        heappush(self._timers, (mono, self._timer_serial, kind, key))

    def new_id(self) -> str:
        """A fixed-length id, digits only: epoch and serial. Never used twice, whatever crashes between."""
        while True:
            self._serial += 1
            identity = f"{self.epoch:06d}{self._serial:08d}"
            # An emptied database counts epochs anew, while Asterisk still holds offers of the old ones
            if identity not in self.offers and identity not in self.calls:
                return identity

    def serial_of(self) -> int:
        """The tie-breaker of calls that joined in the same microsecond, ordered across restarts."""
        return self.epoch * 100_000_000 + self._serial

    def call_class_of(self, queue: QueueDefinition) -> int:
        """The class of a call in ``queue``."""
        return self._call_classes[queue.name]

    def is_synced(self, node: str) -> bool:
        """Whether we know and command what happens on ``node``."""
        return self.nodes.get(node, False)

    # -- deadlines ---------------------------------------------------------------------------------------------------

    def _pass_deadlines(self, now: Instant) -> None:
        while self._timers and self._timers[0][0] <= now.mono:
            mono, _, kind, key = heappop(self._timers)
            at = min(now.utc, now.utc_of(mono))
            if kind == "wrap_up":
                agent = self.roster.agents[key]
                if agent.state is AgentState.WRAP_UP and agent.until_mono == mono:
                    self.finish_wrap_up(agent, at, now)
                    self.work_over(agent, at, now)
            elif kind == "cool_down":
                agent = self.roster.agents[key]
                if agent.cool_until_mono == mono:
                    agent.cool_until_mono = None
                    self.roster.review(agent)
                    self.agent_freed(agent, at, now, "cool_down_over")
            elif kind == "max_wait":
                call = self.calls.get(key)
                if call is not None and call.max_wait_mono == mono:
                    call.overflow_due = True
                    if call.state is CallState.WAITING:
                        self.overflow(call, at, now)
            elif kind == "offer":
                offer = self.offers.get(key)
                # On a lost node it may have been answered unheard: the resynchronisation tells
                if offer is not None and not offer.answered and self.is_synced(self.calls[offer.call].node):
                    self._offer_unheard(offer, at, now)
            elif kind == "going":
                call = self.calls.get(key)
                if call is not None and call.going and call.state is CallState.WAITING:
                    self.drift("caller_not_gone", f"call {call.call} was said to be gone and has not ended")
                    self.stays(call, at, now)

    def _offer_unheard(self, offer: Offer, at: float, now: Instant) -> None:
        call = self.calls[offer.call]
        self.drift("offer_unheard", f"offer {offer.offer} of call {offer.call} to {offer.agent} never ended")
        self.fail_offer(offer, OfferOutcome.LOST_TRACK, "nothing heard of it", at, now, rematch=False)
        if call.state is CallState.WAITING:
            self.call_waits(call, at, now, "offer_failed")
        if call.state is CallState.WAITING:
            self.command(do.HoldCall(call.node, call.channel, call.call, call.place.encode(), call.queue.hold))

    # -- arrival -----------------------------------------------------------------------------------------------------

    def _call_arrived(self, event: ev.CallArrived, now: Instant) -> None:
        known = self.by_channel.get((event.node, event.channel))
        if known is not None:
            if self._arrived_again(known, event.at, now):
                return
        elif resync.return_of(self, event, now):
            return
        home = self.entry(event.did)
        if home is None:
            self._unrouted(event)
            return
        queue, priority = home
        identity = self.new_id()
        # A channel is one call at a time: what was on it before ended before, though the dialplan was faster
        ended_at = self.ended.get((event.node, event.channel), event.at) if known is None else known.segment_at
        entered_at = max(event.at, ended_at)
        place = Place(queue.name, queue.priority + priority, entered_at, self.serial_of(), now.utc, entered_at)
        old = event.place
        if known is None and old is not None and abs(old.entered_at - event.at) < 0.001:
            # He asks again from where he waits, and nothing is known of his call: a new one, at his old place
            queue = self.definition.queues.get(old.queue, queue)
            place = replace(old, queue=queue.name, entered_at=entered_at)
        call = self._open(event, identity, place, queue, entered_at, now)
        self.counts[queue.name].offered += 1
        self.welcome(call, now.utc, now)

    def entry(self, did: str) -> tuple[QueueDefinition, int] | None:
        """The queue that calls to ``did`` enter and the priority added there; None if they are to be sent away."""
        entry = self.definition.entry_points.get(did) or self.definition.entry_points.get("*")
        if entry is not None:
            return self.definition.queues[entry.queue], entry.priority
        if isinstance(self.definition.fallback, ToQueue):
            self._unknown_did(did, f"queue {self.definition.fallback.queue}")
            return self.definition.queues[self.definition.fallback.queue], 0
        return None

    def _open(
        self, event: ev.CallArrived, identity: str, place: Place, queue: QueueDefinition, at: float, now: Instant
    ) -> Call:
        call = Call(
            call=identity,
            node=event.node,
            channel=event.channel,
            channel_name=event.channel_name,
            linkedid=event.linkedid,
            did=event.did,
            caller_number=event.caller_number,
            caller_name=event.caller_name,
            place=place,
            queue=queue,
            call_class=self.call_class_of(queue),
            segment_at=at,
            touched_at=now.utc,
        )
        self.register(call)
        self.emit_opened(call)
        self.ledger.turn(call, SegmentKind.ENTERED, at)
        self.arm_max_wait(call, now)
        return call

    def emit_opened(self, call: Call) -> None:
        """Write down that ``call`` became ours."""
        self.emit(
            rec.CallOpened(
                call=call.call,
                node=call.node,
                channel=call.channel,
                linkedid=call.linkedid,
                did=call.did,
                caller_number=call.caller_number,
                caller_name=call.caller_name,
                queue=call.queue.name,
                priority=call.place.priority,
                entered_at=call.place.entered_at,
            )
        )

    def register(self, call: Call) -> None:
        """Make ``call`` known by id and by channel."""
        self.calls[call.call] = call
        self.by_channel[call.node, call.channel] = call

    def arm_max_wait(self, call: Call, now: Instant) -> None:
        """Arm the maximum wait of the call's queue, counted from when it joined that queue."""
        call.overflow_due = False
        call.max_wait_mono = None
        if call.queue.max_wait_s is not None:
            call.max_wait_mono = now.mono_of(call.place.queue_joined_at + call.queue.max_wait_s)
            self.timer(call.max_wait_mono, "max_wait", call.call)

    def welcome(self, call: Call, at: float, now: Instant) -> None:
        """Answer an arrival: an agent at once if one is free, else hold."""
        agent = self.matcher.longest_idle(call.call_class) if self.is_synced(call.node) else None
        if agent is not None:
            self.offer(call, self.roster.agents[agent], at, now, "call_arrived")
            return
        if call.segment_kind is not SegmentKind.WAITED or call.segment is None:
            self.ledger.turn(call, SegmentKind.WAITED, at)
        self.command(do.HoldCall(call.node, call.channel, call.call, call.place.encode(), call.queue.hold))
        if self.is_synced(call.node):
            self.matcher.wait(call.call, call.call_class, call.rank)
        self._explain_wait(call, at)

    def _arrived_again(self, call: Call, entered_at: float, now: Instant) -> bool:
        """A channel we know asks again (the dialplan thought us away). True if it was answered as what it is."""
        call.touched_at = now.utc
        if call.going:
            self.stays(call, now.utc, now)
            if call.state is not CallState.WAITING:
                return True
        if call.state is CallState.WAITING:
            self.command(do.HoldCall(call.node, call.channel, call.call, call.place.encode(), call.queue.hold))
            return True
        if call.state is CallState.OFFERED and call.offer is not None and call.agent is not None:
            # Perhaps our Redirect and its question crossed: the same offer again is harmless either way
            self.command(self._offer_command(call, self.roster.agents[call.agent]))
            return True
        # It talked and is back, sent by the agent's phone: the old call is over, a new one begins
        at = entered_at if entered_at > call.segment_at else now.utc
        self.end_call(call, CallOutcome.TRANSFERRED, "agent", None, at, now)
        return False

    def _unknown_did(self, did: str, to: str) -> None:
        self.command(do.RaiseAlarm("unknown_did", f"no entry point for DID {did!r}: sent to {to}"))

    def _unrouted(self, event: ev.CallArrived) -> None:
        self.unrouted += 1
        identity = self.new_id()
        self.emit(
            rec.CallOpened(
                call=identity,
                node=event.node,
                channel=event.channel,
                linkedid=event.linkedid,
                did=event.did,
                caller_number=event.caller_number,
                caller_name=event.caller_name,
                queue="",
                priority=0,
                entered_at=event.at,
            )
        )
        target = self.send_to_fallback(event.node, event.channel, identity, event.did)
        self.emit(rec.CallClosed(identity, event.at, CallOutcome.FALLBACK, "system", None, target))

    def send_to_fallback(self, node: str, channel: str, call: str, did: str) -> str:
        """Send away a caller whom no queue takes; where to, in the dialplan's words."""
        destination = self.definition.fallback
        assert not isinstance(destination, ToQueue), "a fallback that is a queue takes the call as an entry point does"
        self._unknown_did(did, describe(destination))
        self.command(do.SendCall(node, channel, call, destination))
        return describe(destination)

    # -- offers ------------------------------------------------------------------------------------------------------

    def offer(self, call: Call, agent: Agent, at: float, now: Instant, trigger: str) -> None:
        """Bind ``agent`` to ``call`` and send the offer on its way, not before he was free for it."""
        at = max(at, agent.since)
        detail = self._explain_offer(call, agent, at, trigger)
        self.matcher.unwait(call.call)
        identity = self.new_id()
        self.offers[identity] = Offer(identity, call.call, agent.name, at)
        call.become(CallState.OFFERED)
        call.offer, call.agent, call.touched_at, call.going = identity, agent.name, now.utc, False
        at = self.ledger.turn(call, SegmentKind.OFFERED, at)
        self.ledger.decide(call, at, "offered", detail)
        self.roster.enter(agent, AgentState.RESERVED, at, now, call=call.call, offer=identity)
        self.arm_offer(call, now)
        self.command(self._offer_command(call, agent))

    def arm_offer(self, call: Call, now: Instant) -> None:
        """Arm the moment at which the offer of ``call`` is given up if nothing was heard of its end."""
        assert call.offer is not None
        self.timer(now.mono + call.queue.ring_timeout_s + OFFER_GRACE_S, "offer", call.offer)

    def _offer_command(self, call: Call, agent: Agent) -> do.OfferCall:
        assert call.offer is not None
        return do.OfferCall(
            node=call.node,
            channel=call.channel,
            call=call.call,
            place=call.place.encode(),
            offer=call.offer,
            agent=agent.name,
            phones=agent.devices,
            ring_timeout_s=call.queue.ring_timeout_s,
            hold=call.queue.hold,
            auto_answer=agent.definition.auto_answer,
        )

    def agent_freed(self, agent: Agent, at: float, now: Instant, trigger: str) -> None:
        """Give a free agent the first-ranked call he may serve, if one waits."""
        if self.matcher.is_free(agent.name) and not self.comparing:
            call = self.matcher.call_for(agent.name)
            if call is not None:
                self.offer(self.calls[call], agent, at, now, trigger)

    def call_waits(self, call: Call, at: float, now: Instant, trigger: str) -> None:
        """Give a held call the longest idle agent who may serve it, or let it wait."""
        if not self.is_synced(call.node):
            return
        self.matcher.wait(call.call, call.call_class, call.rank)
        if self.comparing:
            return
        agent = self.matcher.agent_for(call.call)
        if agent is not None:
            self.offer(call, self.roster.agents[agent], at, now, trigger)

    def stays(self, call: Call, at: float, now: Instant) -> None:
        """A caller who was said to be gone is not: he waits again, or overflows if that is due."""
        call.going = False
        if call.overflow_due:
            self.overflow(call, at, now)
        else:
            self.call_waits(call, at, now, "caller_not_gone")

    def serve(self, at: float, now: Instant, trigger: str) -> None:
        """Match whatever can be matched, the first-ranked call first: for when several became matchable at once."""
        while not self.comparing and (pair := self.matcher.next_pair()) is not None:
            self.offer(self.calls[pair[0]], self.roster.agents[pair[1]], at, now, trigger)

    def _agent_rang(self, event: ev.AgentRang, now: Instant) -> None:
        offer = self.offers.get(event.offer)
        if offer is not None and not offer.rang and not offer.answered:
            self.rang(offer, event.at, now)

    def rang(self, offer: Offer, at: float, now: Instant) -> None:
        """The agent's phone rings."""
        offer.rang = True
        call = self.calls[offer.call]
        call.touched_at = now.utc
        at = self.ledger.turn(call, SegmentKind.RANG, at)
        agent = self.roster.agents[offer.agent]
        self.roster.enter(agent, AgentState.RINGING, at, now, call=call.call, offer=offer.offer)

    def _agent_answered(self, event: ev.AgentAnswered, now: Instant) -> None:
        offer = self.offers.get(event.offer)
        if offer is None or offer.answered:
            return
        self.answer(offer, event.at, now)

    def answer(self, offer: Offer, at: float, now: Instant) -> None:
        """Caller and agent talk."""
        offer.answered = True
        call, agent = self.calls[offer.call], self.roster.agents[offer.agent]
        call.become(CallState.TALKING)
        call.touched_at = now.utc
        at = self.ledger.turn(call, SegmentKind.TALKED, at, OfferOutcome.ANSWERED)
        self.roster.enter(agent, AgentState.TALKING, at, now, call=call.call, offer=offer.offer)
        agent.counts.calls_taken += 1
        self.talks(call, agent, at)

    def talks(self, call: Call, agent: Agent, at: float) -> None:
        """Note that ``call`` is answered; the first time, write it down and count it."""
        call.talked, call.max_wait_mono, call.overflow_due = True, None, False
        if call.answered_at is None:
            call.answered_at = at
            self.emit(rec.CallAnswered(call.call, agent.name, at))
            counts, wait_s = self.counts[call.queue.name], at - call.place.joined_at
            counts.answered += 1
            counts.wait_sum_s += wait_s
            counts.answered_in_time += wait_s <= call.queue.service_level_s

    def _offer_failed(self, event: ev.OfferFailed, now: Instant) -> None:
        offer = self.offers.get(event.offer)
        if offer is None or offer.answered:
            return
        self.fail_offer(offer, event.outcome, event.detail, event.at, now)

    def fail_offer(
        self, offer: Offer, outcome: OfferOutcome, detail: str, at: float, now: Instant, *, rematch: bool = True
    ) -> None:
        """End an offer without a conversation: the call is back at its place, the agent paused or passed over."""
        call = self.calls[offer.call]
        del self.offers[offer.offer]
        call.touched_at = now.utc
        consequence = self._release(offer, outcome, at, now)
        self.ledger.decide(call, at, "offer_failed", {"outcome": outcome, "detail": detail, "consequence": consequence})
        call.become(CallState.WAITING)
        call.offer = call.agent = None
        at = self.ledger.turn(call, SegmentKind.WAITED, at, outcome)
        if outcome is OfferOutcome.CALLER_GONE:
            # His end is on the way. No other phone rings for him, unless it does not come
            call.going = True
            self.timer(now.mono + OFFER_GRACE_S, "going", call.call)
        elif call.overflow_due:
            self.overflow(call, at, now)
        elif rematch and self.is_synced(call.node):
            self.matcher.wait(call.call, call.call_class, call.rank)
        self.serve(at, now, "offer_failed")

    def _release(self, offer: Offer, outcome: OfferOutcome, at: float, now: Instant) -> str:
        """What a failed offer does to its agent; in words, for the explanation."""
        agent = self.roster.agents[offer.agent]
        if outcome is OfferOutcome.NO_ANSWER:
            agent.counts.rona += 1
        pause = {OfferOutcome.NO_ANSWER: PAUSE_RONA, OfferOutcome.DECLINED: PAUSE_DECLINED}.get(outcome)
        if pause is not None and agent.pending != PENDING_LOGOUT:
            self.roster.intend(agent, None)
            self.roster.enter(agent, AgentState.PAUSED, at, now, reason=pause)
            return f"agent paused ({pause})"
        if agent.pending is not None:
            self.settle_pending(agent, at, now)
            return f"agent is {agent.state} as asked for"
        consequence = "agent is available again"
        # A void offer of an earlier life is nobody's fault; one of ours means that the node does not know our epoch
        stale = outcome is OfferOutcome.VOID and not offer.offer.startswith(f"{self.epoch:06d}")
        if outcome is not OfferOutcome.CALLER_GONE and not stale:
            agent.cool_until_mono = now.mono + self.definition.cool_down_s
            self.timer(agent.cool_until_mono, "cool_down", agent.name)
            consequence = f"agent passed over for {self.definition.cool_down_s:g} s"
        self.roster.enter(agent, AgentState.AVAILABLE, at, now, keep_idle=True)
        return consequence

    # -- conversation and after ----------------------------------------------------------------------------------------

    def _talk_ended(self, event: ev.TalkEnded, now: Instant) -> None:
        offer = self.offers.get(event.offer)
        if offer is None or not offer.answered:
            return
        self.end_talk(offer, event.by, event.at, now)

    def end_talk(self, offer: Offer, by: str, at: float, now: Instant) -> None:
        """The conversation is over: wrap-up begins, the call is on its way out."""
        del self.offers[offer.offer]
        call, agent = self.calls[offer.call], self.roster.agents[offer.agent]
        call.become(CallState.AFTER)
        call.talk_ended_by, call.touched_at = by, now.utc
        counts = self.counts[call.queue.name]
        counts.talks += 1
        counts.talk_sum_s += max(0.0, at - call.segment_at)
        at = self.ledger.turn(call, SegmentKind.AFTER, at, by)
        wrap_up_s = call.queue.wrap_up_s
        if wrap_up_s <= 0:
            self.work_over(agent, at, now)
            return
        serial = call.next_segment
        call.next_segment += 1
        self.wraps[agent.name] = (call.call, serial, at, call.queue.name)
        self.emit(
            rec.SegmentOpened(call.call, serial, SegmentKind.WRAPPED, at, call.queue.name, agent.name, offer.offer)
        )
        until = now.mono_of(at + wrap_up_s)
        self.roster.enter(agent, AgentState.WRAP_UP, at, now, call=call.call, until_mono=until)
        self.timer(until, "wrap_up", agent.name)

    def finish_wrap_up(self, agent: Agent, at: float, now: Instant) -> None:
        """Close the wrap-up segment of ``agent``, if one is open."""
        wrap = self.wraps.pop(agent.name, None)
        if wrap is None:
            return
        call, serial, started_at, queue = wrap
        at = max(at, started_at)
        self.emit(rec.SegmentClosed(call, serial, at, None))
        if queue in self.counts:
            self.counts[queue].wrap_up_sum_s += at - started_at

    def work_over(self, agent: Agent, at: float, now: Instant) -> None:
        """Conversation and wrap-up are over: what was asked for in mid-call, or the next call."""
        if agent.pending is not None:
            self.settle_pending(agent, at, now)
            return
        self.roster.enter(agent, AgentState.AVAILABLE, at, now)
        self.agent_freed(agent, at, now, "agent_free")

    def settle_pending(self, agent: Agent, at: float, now: Instant) -> None:
        """Carry out what an agent asked for in mid-call."""
        pending = agent.pending
        self.roster.intend(agent, None)
        if pending == PENDING_LOGOUT:
            self.roster.enter(agent, AgentState.LOGGED_OUT, at, now)
        elif pending is not None:
            self.roster.enter(agent, AgentState.PAUSED, at, now, reason=pending.removeprefix(PENDING_PAUSE))

    # -- the end -----------------------------------------------------------------------------------------------------

    def _call_ended(self, event: ev.CallEnded, now: Instant) -> None:
        call = self.by_channel.get((event.node, event.channel))
        if call is None:
            return
        if call.state in (CallState.WAITING, CallState.OFFERED) and not call.talked:
            self.end_call(call, CallOutcome.ABANDONED, "caller", event.cause, event.at, now)
        else:
            by = "agent" if call.talk_ended_by == "transfer" else call.talk_ended_by or "caller"
            self.end_call(call, CallOutcome.ANSWERED, by, event.cause, event.at, now)

    def _call_transferred(self, event: ev.CallTransferred, now: Instant) -> None:
        call = self.by_channel.get((event.node, event.channel))
        if call is None or call.state not in (CallState.TALKING, CallState.AFTER):
            return
        self.end_call(call, CallOutcome.TRANSFERRED, "agent", None, event.at, now, target=event.target or None)

    def _call_left(self, event: ev.CallLeft, now: Instant) -> None:
        call = self.by_channel.get((event.node, event.channel))
        if call is not None:
            self.end_call(call, CallOutcome.FALLBACK, "system", None, event.at, now, target=event.target or None)

    def end_call(
        self,
        call: Call,
        outcome: CallOutcome,
        by: str,
        cause: int | None,
        at: float,
        now: Instant,
        *,
        target: str | None = None,
        agent_gone: OfferOutcome = OfferOutcome.CALLER_GONE,
    ) -> None:
        """Close a call, whatever it was doing; its agent is free at once."""
        self.matcher.unwait(call.call)
        offer = self.offers.get(call.offer) if call.offer is not None else None
        if offer is not None and call.state is CallState.TALKING:
            self.end_talk(offer, "transfer" if outcome is CallOutcome.TRANSFERRED else by, at, now)
            offer = None
        released: Agent | None = None
        closing: str | None = outcome if call.state is not CallState.AFTER else None
        if offer is not None and call.state is CallState.OFFERED:
            del self.offers[offer.offer]
            released = self.roster.agents[offer.agent]
            self._release(offer, agent_gone, at, now)
            closing = agent_gone
        at = self.ledger.close(call, at, closing)
        call.become(CallState.ENDED)
        del self.calls[call.call]
        del self.by_channel[call.node, call.channel]
        self._note_end(call, outcome, now)
        self.emit(rec.CallClosed(call.call, at, outcome, by, cause, target))
        if released is not None:
            self.agent_freed(released, at, now, "caller_gone")

    def _note_end(self, call: Call, outcome: CallOutcome, now: Instant) -> None:
        """Count the end, and remember for a while that nothing of ours is on the channel any more."""
        counts = self.counts[call.queue.name]
        counts.abandoned += outcome is CallOutcome.ABANDONED
        counts.transferred += outcome is CallOutcome.TRANSFERRED
        counts.lost_track += outcome is CallOutcome.LOST_TRACK
        self.ended.pop((call.node, call.channel), None)
        self.ended[call.node, call.channel] = now.utc
        if len(self.ended) > ENDED_LIMIT:
            del self.ended[next(iter(self.ended))]

    def overflow(self, call: Call, at: float, now: Instant) -> None:
        """The maximum wait is over: on to the queue's overflow target. For somebody who is said to be gone, and on a lost
        node, it stays due."""
        call.overflow_due = True
        if call.going or not self.is_synced(call.node):
            return
        destination = call.queue.overflow
        self.counts[call.queue.name].overflowed += 1
        waited_s = round(at - call.place.queue_joined_at, 3)
        to = {"queue": destination.queue} if isinstance(destination, ToQueue) else describe(destination)
        self.ledger.decide(call, at, "overflowed", {"after_s": waited_s, "from": call.queue.name, "to": to})
        if not isinstance(destination, ToQueue):
            self.command(do.SendCall(call.node, call.channel, call.call, destination))
            self.end_call(call, CallOutcome.OVERFLOWED, "system", None, at, now, target=str(to))
            return
        self.matcher.unwait(call.call)
        queue = self.definition.queues[destination.queue]
        call.queue, call.call_class = queue, self.call_class_of(queue)
        call.place = replace(call.place, queue=queue.name, queue_joined_at=at)
        self.counts[queue.name].offered += 1
        self.emit(rec.CallMoved(call.call, queue.name))
        self.ledger.turn(call, SegmentKind.WAITED, at, "overflowed")
        self.command(do.MarkCall(call.node, call.channel, call.call, call.place.encode(), queue.hold))
        self.arm_max_wait(call, now)
        self.call_waits(call, at, now, "overflowed")

    # -- phones and nodes --------------------------------------------------------------------------------------------

    def _phone_changed(self, event: ev.PhoneStateChanged, now: Instant) -> None:
        for agent in self.roster.phone_changed(event.device, event.state):
            self.agent_freed(agent, event.at, now, "phone_free")

    def _node_lost(self, event: ev.NodeLost, now: Instant) -> None:
        if self.nodes.get(event.node):
            self.lost_at[event.node] = event.at
        self.nodes[event.node] = False
        for call in self.calls.values():
            if call.node == event.node:
                self.matcher.unwait(call.call)

    # -- explanations ------------------------------------------------------------------------------------------------

    def _explain_offer(self, call: Call, agent: Agent, at: float, trigger: str) -> dict[str, Any]:
        best = self.matcher.best_idle(call.call_class, 3)
        agents = self.roster.agents
        return {
            "rule": call.queue.strategy,
            "trigger": trigger,
            "queue": call.queue.name,
            "requirements": {r.skill: r.minimum for r in call.queue.requirements},
            "call_wait_s": round(at - call.place.joined_at, 3),
            "chosen": {
                "agent": agent.name,
                "idle_s": round(max(0.0, at - agent.idle_since), 3),
                "skills": {r.skill: agent.definition.skills.get(r.skill, 0) for r in call.queue.requirements},
            },
            "best": [{"agent": name, "idle_s": round(max(0.0, at - agents[name].idle_since), 3)} for name in best],
            "passed_over": self.roster.passed_over(call.call_class),
        }

    def _explain_wait(self, call: Call, at: float) -> None:
        passed_over = self.roster.passed_over(call.call_class)
        detail: dict[str, Any] = {
            "queue": call.queue.name,
            "requirements": {r.skill: r.minimum for r in call.queue.requirements},
            "considered": sum(passed_over.values()),
            "passed_over": passed_over,
            "waiting": self.matcher.waiting_count,
        }
        if not self.is_synced(call.node):
            detail["node"] = f"{call.node} is not connected"
        self.ledger.decide(call, at, "waits", detail)


def describe(destination: Any) -> str:
    """A destination outside the queues, in the dialplan's words."""
    if isinstance(destination, ToDialplan):
        return f"{destination.context},{destination.exten},{destination.priority}"
    return "hangup"
