"""The floor itself: events in, records and commands out.

One event is handled to its end before the next. Whoever becomes free is matched at once, whoever starts to wait
likewise, so between events no free agent is eligible for a waiting call (cool-downs and lost nodes excepted).
Look-ups that fail are not errors: Asterisk may speak of offers that have just ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.definition import Cause, FloorDefinition, HangUp, ToDialplan
from acd.domain.instant import Instant
from acd.domain.states import (
    PAUSE_DECLINED,
    PAUSE_RONA,
    AgentState,
    CallOutcome,
    CallState,
    OfferOutcome,
    SegmentKind,
)
from acd.domain.values import valueclass
from acd.floor import (
    arrivals,
    callers,
    consultation,
    conversation,
    edits,
    exclusion,
    lasting,
    line,
    requests,
    resync,
    silence,
    together,
    worth,
)
from acd.floor.calls import Call, Ledger, Offer
from acd.floor.explain import explain_offer
from acd.floor.forecast import Forecast
from acd.floor.reach import Reach
from acd.routing.index import Matcher
from acd.routing.policies import CallSelection, QueuePolicy
from acd.routing.roster import PENDING_LOGOUT, PENDING_PAUSE, Agent, Roster
from acd.routing.statistics import QueueCounts

OFFER_GRACE_S = 5.0
"""How long after the ring timeout an offer may go unheard of before it is given up as lost."""

PROMPT_S = 1.0
"""An agent who serves a campaign has so long, at least, before it is his fault that somebody who was dialled, and must not
wait for longer than two seconds or so, was not served: then nobody is dialled for him for a while."""

ENDED_LIMIT = 10_000
"""How many ended calls' channels are remembered, so that a look taken before the end does not revive them."""

_SILENT = "first:"
"""Before a deadline's kind: its first look, of two."""

_OF_OFFERS = frozenset({"offer", f"{_SILENT}offer"})

_BY_SILENCE = frozenset({"offer", "going"})
"""Deadlines that conclude from what was not heard."""

_AFTER_A_TALK = frozenset({CallOutcome.ANSWERED, CallOutcome.TRANSFERRED, CallOutcome.LOST_TRACK})
"""How a call ends in which somebody talked."""


@valueclass(frozen=True, slots=True)
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
        self.ended: dict[tuple[str, str], tuple[float, str]] = {}
        """per channel: when its last call ended (UTC s), and which it was"""
        self.sent: dict[tuple[str, str], tuple[do.SendCall, float]] = {}
        """per channel: where its last call was sent to, and when (UTC s) that one had come"""
        self.comparing = False
        self.unserved = False
        """something became matchable where nobody asks for matches"""
        self.leaving: set[str] = set()
        """agents no longer defined who finish a call"""
        self.counts: dict[str, QueueCounts] = {name: QueueCounts() for name in definition.queues}
        self.unrouted = 0
        self.unrecorded = False
        """nothing can be recorded, and new callers are turned away until it can"""
        self._serial = 0
        self._timer_serial = 0
        self._timers: list[tuple[float, int, str, str]] = []
        self._records: list[rec.Record] = []
        self._commands: list[do.Command] = []
        self.matcher = Matcher(CallSelection.of(definition))
        self.ledger = Ledger(self.emit, definition.revision)
        self.forecast = Forecast()
        self.policies: dict[str, QueuePolicy] = {}
        """what the matcher goes by, per queue"""
        for queue in definition.queues.values():
            worth.put(self, queue)
        self.roster = Roster(definition, self.matcher, self.emit, started_at)
        self.reach = Reach(definition.breaker)
        self.last_agents: dict[str, str] = {}
        self.caller_key: Callable[[str], str] | None = None
        """makes keys of ``last_agents`` from callers' numbers, where these may not be kept"""
        self.skills_due: dict[str, float] = {}
        """per agent: when (monotonic s) the next of his skills begins or ends to be valid"""
        self._skills_armed = False
        self._handlers: dict[type, Callable[[Any, Instant], None]] = {
            ev.CallArrived: lambda event, now: arrivals.call_arrived(self, event, now),
            ev.CallEnded: self._call_ended,
            ev.CallTransferred: lambda event, now: conversation.call_transferred(self, event, now),
            ev.CallJoined: lambda event, now: conversation.call_joined(self, event, now),
            ev.CallHeld: lambda event, now: consultation.call_held(self, event, now),
            ev.CallRetrieved: lambda event, now: consultation.call_retrieved(self, event, now),
            ev.ConsultBegan: lambda event, now: consultation.consult_began(self, event, now),
            ev.ConsultChanged: lambda event, now: consultation.consult_changed(self, event, now),
            ev.ConsultEnded: lambda event, now: consultation.consult_ended(self, event, now),
            ev.CallLeft: self._call_left,
            ev.AgentRang: self._agent_rang,
            ev.AgentAnswered: self._agent_answered,
            ev.LegFailed: lambda event, now: together.leg_failed(self, event, now),
            ev.OfferFailed: self._offer_failed,
            ev.TalkEnded: lambda event, now: conversation.talk_ended(self, event, now),
            ev.PhoneStateChanged: self._phone_changed,
            ev.AgentRequested: lambda event, now: requests.handle(self, event, now),
            ev.AgentEngaged: lambda event, now: requests.engage(self, event, now),
            ev.LineWaits: lambda event, now: lasting.waits(self, event, now),
            ev.LineHeld: lambda event, now: lasting.held(self, event, now),
            ev.LineEnded: lambda event, now: lasting.ended(self, event, now),
            ev.LineFailed: lambda event, now: lasting.failed(self, event, now),
            ev.CallRequested: lambda event, now: requests.handle_call(self, event, now),
            ev.CallerForgotten: lambda event, now: callers.forgotten(self, event),
            ev.FloorEdited: lambda event, now: edits.floor_edited(self, event, now),
            ev.NodeResynced: lambda event, now: resync.node_resynced(self, event, now),
            ev.NodeLost: self._node_lost,
            ev.MemoryRestored: lambda event, now: resync.memory_restored(self, event, now),
            ev.RecordsFilled: lambda event, now: arrivals.records_filled(self, event),
            ev.DeadlinePassed: lambda event, now: None,
        }

    # -- the interface -----------------------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: Instant) -> Step:
        """Take one event to its end. Deadlines that are due are handled first, in their order."""
        self._records, self._commands = [], []
        if not self._skills_armed:
            self._skills_armed = True
            for agent in self.roster.agents.values():
                if agent.definition.skill_validity:
                    self.roster.describe(agent, now.utc)  # it may be some time since this floor was made
            edits.arm_skill_changes(self, now)
        if not 0.0 < event.at <= now.utc:
            # No time given, or a clock ahead of ours: what has happened has happened by now
            event = replace(event, at=now.utc)
        try:
            self._pass_deadlines(now)
        finally:
            self._handlers[type(event)](event, now)
        if self.unserved:
            self.unserved = False
            self.serve(event.at, now, "reached")
        return Step(tuple(self._records), tuple(self._commands))

    def salvage(self) -> Step:
        """What a handler that raised had already decided: its records and commands belong to changes that were made."""
        step = Step(tuple(self._records), tuple(self._commands))
        self._records, self._commands = [], []
        return step

    def next_deadline(self) -> float | None:
        """The monotonic time at which ``DeadlinePassed`` is wanted, or None. May be early, never late.

        Deadlines of what is over are forgotten here: nearly every offer is answered long before its own, and to be woken
        for each costs more than to look.
        """
        timers = self._timers
        while timers and self._is_over(*timers[0]):
            heappop(timers)
        return timers[0][0] if timers else None

    def _is_over(self, mono: float, _serial: int, kind: str, key: str) -> bool:
        """Whether a deadline will never mean anything again."""
        if kind in _OF_OFFERS:
            offer = self.offers.get(key)
            return offer is None or offer.answered
        if kind == "max_wait":
            call = self.calls.get(key)
            return call is None or call.max_wait_mono != mono
        return False

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

    def is_synced(self, node: str) -> bool:
        """Whether we know and command what happens on ``node``."""
        return self.nodes.get(node, False)

    # -- deadlines ---------------------------------------------------------------------------------------------------

    def await_word(self, for_s: float, kind: str, key: str, now: Instant) -> None:
        """Arm a deadline of what means something by silence alone: an answer that does not come."""
        self.timer(now.mono + for_s - silence.SECOND_LOOK_S, _SILENT + kind, key)

    def _pass_deadlines(self, now: Instant) -> None:
        while self._timers and self._timers[0][0] <= now.mono:
            mono, _, kind, key = heappop(self._timers)
            if kind.startswith(_SILENT):
                self.timer(now.mono + silence.SECOND_LOOK_S, kind.removeprefix(_SILENT), key)
                continue
            if kind in _BY_SILENCE and now.mono - mono > silence.LATE_S:
                self.timer(now.mono + silence.SECOND_LOOK_S, kind, key)
                continue
            at = min(now.utc, now.utc_of(mono))
            if kind == "wrap_up":
                agent = self.roster.agents.get(key)
                if agent is not None and agent.state is AgentState.WRAP_UP and agent.until_mono == mono:
                    self.finish_wrap_up(agent, at, now)
                    self.work_over(agent, at, now)
            elif kind == "cool_down":
                agent = self.roster.agents.get(key)
                if agent is not None and agent.cool_until_mono == mono:
                    agent.cool_until_mono = None
                    self.roster.review(agent)
                    self.agent_freed(agent, at, now, "cool_down_over")
            elif kind == "max_wait":
                call = self.calls.get(key)
                if call is not None and call.max_wait_mono == mono:
                    call.overflow_due = True
                    if call.state is CallState.WAITING:
                        self.overflow(call, at, now)
            elif kind == "stage":
                call = self.calls.get(key)
                if call is not None and call.stage_mono == mono:
                    line.stage_due(self, call, at, now)
            elif kind == "conference":
                call = self.calls.get(key)
                if call is not None:
                    consultation.conference_due(self, call, mono)
            elif kind == "excluded":
                call = self.calls.get(key)
                if call is not None and self.matcher.is_waiting(call.call):
                    self.call_waits(call, at, now, "exclusion_over")
                    # A stage that begins in the same moment has begun by that
                    line.review_waiting(self, call, at, now)
            elif kind == "skills":
                edits.skills_change(self, key, mono, at, now)
            elif kind == "line":
                lasting.due(self, key, mono, now)
            elif kind == "probe":
                self.reach.probe_due(self, key, at, now)
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
        advice = "may acd's manager user hear calls? (read=call and all event filters, as in manager_acd.conf)"
        self.command(do.RaiseAlarm("offer_unheard", f"nothing was heard of an offer on {call.node}: {advice}"))
        self.fail_offer(offer, OfferOutcome.LOST_TRACK, "nothing heard of it", at, now, rematch=False)
        if call.state is CallState.WAITING:
            self.call_waits(call, at, now, "offer_failed")
        if call.state is CallState.WAITING:
            self.command(do.HoldCall(call.node, call.channel, call.call, call.place.encode(), call.queue.hold))
            line.review_waiting(self, call, at, now)

    # -- calls -------------------------------------------------------------------------------------------------------

    def emit_opened(self, call: Call, from_call: str | None = None) -> None:
        """Write down that ``call`` became ours; ``from_call``: what its channel was before."""
        entry_points = self.definition.entry_points
        called = call.queue.name in self.definition.campaigns
        entered = None if called else entry_points.get(call.did) or entry_points.get("*")
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
                client=(entered.client if entered is not None else None) or call.queue.client,
                from_call=from_call,
            )
        )

    def register(self, call: Call) -> None:
        """Make ``call`` known by id and by channel."""
        self.sent.pop((call.node, call.channel), None)
        self.calls[call.call] = call
        self.by_channel[call.node, call.channel] = call

    def arm_max_wait(self, call: Call, now: Instant) -> None:
        """Arm the maximum wait of the call's queue, counted from when it joined that queue."""
        call.overflow_due = False
        call.max_wait_mono = None
        if call.queue.max_wait_s is not None:
            call.max_wait_mono = now.mono_of(call.place.queue_joined_at + call.queue.max_wait_s)
            self.timer(call.max_wait_mono, "max_wait", call.call)

    # -- offers ------------------------------------------------------------------------------------------------------

    def offer(
        self,
        call: Call,
        agents: list[Agent],
        at: float,
        now: Instant,
        trigger: str,
        *,
        leg: str = "",
        leg_name: str = "",
    ) -> None:
        """Bind ``agents`` (mostly one) to ``call`` and send the offer on its way, not before they were free for it, nor
        before the stage that allows it. ``leg``: the one agent is on the line already, as is who has a lasting line."""
        agents = lasting.alone(agents)
        own = None if leg else lasting.own_line(agents[0], call)
        if own is not None:
            leg, leg_name = own.channel, own.channel_name
        at = max(at, call.segment_at, line.stage_began_at(call), *(agent.since for agent in agents))
        detail = explain_offer(self, call, agents, at, trigger)
        if own is not None:
            detail["line"] = "lasting"
        self.matcher.unwait(call.call)
        identity = self.new_id()
        first, others = agents[0], tuple(agent.name for agent in agents[1:])
        several = bool(others)
        self.offers[identity] = Offer(
            *(identity, call.call, first.name, at),
            others=others,
            several=several,
            leg=leg,
            leg_name=leg_name,
            lasting=own is not None,
        )
        call.become(CallState.OFFERED)
        call.offer, call.agent, call.touched_at, call.going = identity, first.name, now.utc, False
        call.stage_mono, call.hops = None, 0
        at = self.ledger.turn(call, SegmentKind.OFFERED, at)
        self.ledger.decide(call, at, "offered", detail)
        for agent in agents:
            self.matcher.offered(agent.name, call.queue.name)
            self.roster.enter(agent, AgentState.RESERVED, at, now, call=call.call, offer=identity)
        self.arm_offer(call, now)
        self.command(self.offer_command(call))

    def arm_offer(self, call: Call, now: Instant) -> None:
        """Arm the moment at which the offer of ``call`` is given up if nothing was heard of its end."""
        assert call.offer is not None
        ring_s = 0.0 if self.offers[call.offer].lasting else call.queue.ring_timeout_s
        self.await_word(ring_s + OFFER_GRACE_S, "offer", call.offer, now)

    def offer_command(self, call: Call) -> do.OfferCall:
        """The present offer of ``call``, as it goes to Asterisk."""
        assert call.offer is not None
        offer = self.offers[call.offer]
        agents = [self.roster.agents[name] for name in offer.agents]
        return do.OfferCall(
            node=call.node,
            channel=call.channel,
            call=call.call,
            place=call.place.encode(),
            offer=call.offer,
            agent=offer.agent,
            phones=tuple(dict.fromkeys(device for agent in agents for device in agent.devices)),
            ring_timeout_s=call.queue.ring_timeout_s,
            hold=call.queue.hold,
            auto_answer=len(agents) == 1 and agents[0].definition.auto_answer,
            leg=offer.leg,
            leg_name=offer.leg_name,
            lasting=offer.lasting,
        )

    def agent_freed(self, agent: Agent, at: float, now: Instant, trigger: str) -> None:
        """Give a free agent the waiting call of the highest score that he may serve, if there is one."""
        if self.matcher.is_free(agent.name) and not self.comparing:
            call = self.matcher.call_for(agent.name, now.utc)
            if call is not None:
                self.offer_waiting(self.calls[call], agent, at, now, trigger)

    def agents_freed(self, names: Iterable[str], at: float, now: Instant, trigger: str) -> None:
        """Give each of several free agents a waiting call, in this order."""
        for name in names:
            agent = self.roster.agents.get(name)
            if agent is not None:  # who is no longer defined has just gone
                self.agent_freed(agent, at, now, trigger)

    def offer_waiting(self, call: Call, agent: Agent, at: float, now: Instant, trigger: str) -> None:
        """Offer a waiting call to ``agent``, and to others at the same time where its queue rings several."""
        agents = [agent]
        if call.queue.ring_agents > 1 and call.kept_for is None:
            names = [name for name in line.free_agents(self, call) if name != agent.name]
            agents += [self.roster.agents[name] for name in names[: call.queue.ring_agents - 1]]
        self.offer(call, agents, at, now, trigger)

    def call_waits(self, call: Call, at: float, now: Instant, trigger: str) -> None:
        """Give a held call the best free agent who may serve it, or let it wait."""
        if arrivals.rehome(self, call, at, now):
            return
        line.stand(self, call, at, now)
        if self.comparing or not self.is_synced(call.node):
            return
        names = line.free_agents(self, call)
        if names:
            self.offer(call, [self.roster.agents[name] for name in names], at, now, trigger)

    def stays(self, call: Call, at: float, now: Instant) -> None:
        """A caller who was said to be gone is not: he waits again, or overflows if that is due."""
        call.going = False
        if call.overflow_due:
            self.overflow(call, at, now)
        else:
            self.call_waits(call, at, now, "caller_not_gone")
            line.review_waiting(self, call, at, now)

    def serve(self, at: float, now: Instant, trigger: str) -> None:
        """Match whatever can be matched, the highest score first: for when several became matchable at once."""
        while not self.comparing and (pair := self.matcher.next_pair(now.utc)) is not None:
            self.offer_waiting(self.calls[pair[0]], self.roster.agents[pair[1]], at, now, trigger)

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
        for name in offer.agents:
            self.roster.enter(self.roster.agents[name], AgentState.RINGING, at, now, call=call.call, offer=offer.offer)

    def _agent_answered(self, event: ev.AgentAnswered, now: Instant) -> None:
        offer = self.offers.get(event.offer)
        if offer is None or offer.answered:
            return
        if offer.others:
            together.choose(self, offer, event.device, event.at, now)
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
        lasting.answered(agent, call, offer.leg)
        self.reach.reached(self, agent, now)
        self.forecast.entered(call, offer.made_at)
        self.talks(call, agent, at)

    def talks(self, call: Call, agent: Agent, at: float) -> None:
        """Note that ``call`` is answered; the first time, write it down and count it."""
        call.talked, call.max_wait_mono, call.overflow_due = True, None, False
        call.talk_at = at
        exclusion.readmit(call, agent.name)
        callers.talked(self, call.caller_number, agent.name)
        if call.answered_at is None:
            call.answered_at = at
            self.emit(rec.CallAnswered(call.call, agent.name, at))
            wait_s = at - call.place.joined_at
        else:
            wait_s = at - call.place.queue_joined_at
        if call.unanswered:
            call.unanswered = False
            counts = self.counts[call.queue.name]
            counts.answered += 1
            counts.wait_sum_s += wait_s
            counts.answered_in_time += wait_s <= call.queue.service_level_s

    def _offer_failed(self, event: ev.OfferFailed, now: Instant) -> None:
        offer = self.offers.get(event.offer)
        if offer is None or offer.answered:
            return
        self.fail_offer(offer, event.outcome, event.detail, event.at, now, phones=event.phones)

    def fail_offer(
        self,
        offer: Offer,
        outcome: OfferOutcome,
        detail: str,
        at: float,
        now: Instant,
        *,
        rematch: bool = True,
        phones: Mapping[str, OfferOutcome] = MappingProxyType({}),
    ) -> None:
        """End an offer without a conversation: the call is back at its place, the agent paused or passed over.
        ``phones``: what each phone did, where several agents were rung."""
        call = self.calls[offer.call]
        del self.offers[offer.offer]
        call.touched_at = now.utc
        outcomes = together.outcomes_of(self, offer, outcome, phones)
        outcome = outcomes[offer.agent]
        consequences = [self.release(offer, name, outcomes[name], at, now) for name in offer.agents]
        said: dict[str, Any] = {"outcome": outcome, "detail": detail, "consequence": consequences[0]}
        if offer.others:
            said["agents"] = dict(zip(offer.agents, consequences, strict=True))
            if len(set(outcomes.values())) > 1:
                said["outcomes"] = outcomes
        self.ledger.decide(call, at, "offer_failed", said)
        call.become(CallState.WAITING)
        if phones or not offer.others:
            together.exclude_decliners(self, call, outcomes, now)
        at = self.ledger.turn(call, SegmentKind.WAITED, at, outcome)
        call.offer = call.agent = None
        if outcome is OfferOutcome.CALLER_GONE:
            # His end is on the way. No other phone rings for him, unless it does not come
            call.going = True
            self.await_word(OFFER_GRACE_S, "going", call.call, now)
        elif call.overflow_due:
            self.overflow(call, at, now)
        elif rematch and not arrivals.rehome(self, call, at, now):
            line.stand(self, call, at, now)
        self.serve(at, now, "offer_failed")
        if not self.comparing:
            line.review_waiting(self, call, at, now)

    def release(self, offer: Offer, name: str, outcome: OfferOutcome, at: float, now: Instant) -> str:
        """What a failed offer does to its agent ``name``; in words, for the explanation."""
        agent = self.roster.agents[name]
        # Whoever was dialled is not left waiting: of the time an agent has for him, little may be left, or he goes
        called = self.calls[offer.call].queue.name in self.definition.campaigns
        prompt = at - offer.made_at < PROMPT_S
        hurried = called and prompt and outcome is OfferOutcome.NO_ANSWER
        told = OfferOutcome.CALLER_GONE if hurried else outcome
        alone = not offer.others and not offer.lasting  # over a lasting line nothing is learnt of the way to his phone
        excused = self.reach.failed(self, agent, told, rang=offer.rang, alone=alone, at=at, now=now)
        excused = excused or hurried
        if outcome is OfferOutcome.NO_ANSWER and not excused:
            agent.counts.rona += 1
        pause = {OfferOutcome.NO_ANSWER: PAUSE_RONA, OfferOutcome.DECLINED: PAUSE_DECLINED}.get(outcome)
        if pause is not None and not excused and agent.pending != PENDING_LOGOUT:
            self.roster.intend(agent, None)
            self.roster.enter(agent, AgentState.PAUSED, at, now, reason=pause)
            if pause == PAUSE_RONA and not offer.rang:
                self.reach.suspect(agent)
            return f"agent paused ({pause})"
        if agent.pending is not None:
            self.settle_pending(agent, at, now)
            return f"agent is {agent.state} as asked for"
        consequence = "agent is available again"
        # A void offer of an earlier life is nobody's fault; one of ours means that the node does not know our epoch
        stale = outcome is OfferOutcome.VOID and not offer.offer.startswith(f"{self.epoch:06d}")
        missed = called and not prompt
        if (outcome is not OfferOutcome.CALLER_GONE or missed) and not stale:
            agent.cool_until_mono = now.mono + self.definition.cool_down_s
            self.timer(agent.cool_until_mono, "cool_down", agent.name)
            consequence = f"agent passed over for {self.definition.cool_down_s:g} s"
        self.roster.enter(agent, AgentState.AVAILABLE, at, now, keep_idle=True)
        return consequence

    # -- after the conversation ----------------------------------------------------------------------------------------

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
            self.log_out(agent, at, now)
        elif pending is not None:
            self.roster.enter(agent, AgentState.PAUSED, at, now, reason=pending.removeprefix(PENDING_PAUSE))

    def log_out(self, agent: Agent, at: float, now: Instant) -> None:
        """``agent`` goes: nobody is kept waiting for him, or in a queue that sends callers on when nobody is there."""
        lasting.end(self, agent)
        self.roster.enter(agent, AgentState.LOGGED_OUT, at, now)
        self.reach.review_agent(agent)  # with his phone of the day goes the way to it
        edits.agent_went(self, agent, at, now)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _call_ended(self, event: ev.CallEnded, now: Instant) -> None:
        call = self.by_channel.get((event.node, event.channel))
        if call is None:
            return
        if event.stopped:
            outcome = CallOutcome.ANSWERED if call.talked else CallOutcome.LOST_TRACK
            self.end_call(call, outcome, "unknown", event.cause, event.at, now)
        else:
            self.caller_gone(call, event.cause, event.at, now)

    def caller_gone(self, call: Call, cause: int | None, at: float, now: Instant) -> None:
        """The caller's channel is gone."""
        if call.state in (CallState.WAITING, CallState.OFFERED):
            self.end_call(call, CallOutcome.ABANDONED, "caller", cause, at, now)
        else:
            by = "agent" if call.talk_ended_by == "transfer" else call.talk_ended_by or "caller"
            self.end_call(call, CallOutcome.ANSWERED, by, cause, at, now)

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
        if call.state in (CallState.WAITING, CallState.OFFERED):
            self.forecast.left(call, at, gave_up=outcome is CallOutcome.ABANDONED)
        offer = self.offers.get(call.offer) if call.offer is not None else None
        if offer is not None and call.state is CallState.TALKING:
            conversation.end_talk(self, offer, "transfer" if outcome is CallOutcome.TRANSFERRED else by, at, now)
            offer = None
        released: tuple[str, ...] = ()
        closing: str | None = outcome if call.state is not CallState.AFTER else None
        if offer is not None and call.state is CallState.OFFERED:
            del self.offers[offer.offer]
            released = offer.agents
            for name in released:
                self.release(offer, name, agent_gone, at, now)
            closing = agent_gone
        if call.talked and outcome not in _AFTER_A_TALK:
            # It was answered once, whatever became of it in the queue where it waited again
            sent_on = target is not None and target != "hangup" and not target.startswith("message ")
            outcome = CallOutcome.TRANSFERRED if sent_on else CallOutcome.ANSWERED
        self.close(call, outcome, by, cause, at, now, target=target, closing=closing)
        self.agents_freed(released, at, now, "caller_gone")

    def close(
        self,
        call: Call,
        outcome: CallOutcome,
        by: str,
        cause: int | None,
        at: float,
        now: Instant,
        *,
        target: str | None,
        closing: str | None,
    ) -> None:
        """Write down the end of a call that nobody is bound to; its last segment ends as ``closing``."""
        at = self.ledger.close(call, at, closing)
        call.become(CallState.ENDED)
        del self.calls[call.call]
        del self.by_channel[call.node, call.channel]
        self._note_end(call, outcome, now)
        self.emit(rec.CallClosed(call.call, at, outcome, by, cause, target))

    def _note_end(self, call: Call, outcome: CallOutcome, now: Instant) -> None:
        """Count the end, and remember for a while that nothing of ours is on the channel any more."""
        counts = self.counts[call.queue.name]
        counts.abandoned += outcome is CallOutcome.ABANDONED
        counts.transferred += outcome is CallOutcome.TRANSFERRED
        counts.lost_track += outcome is CallOutcome.LOST_TRACK
        self.note_end(call.node, call.channel, now.utc, call.call)

    def note_end(self, node: str, channel: str, at: float, call: str) -> None:
        """Remember that nothing of ``call`` is on a channel any more."""
        self.ended.pop((node, channel), None)
        self.ended[node, channel] = at, call
        if len(self.ended) > ENDED_LIMIT:
            del self.ended[next(iter(self.ended))]

    def send_away(self, call: Call, destination: ToDialplan | HangUp) -> None:
        """Send the caller of ``call``, which ends with it, to where we do not follow him."""
        command = do.SendCall(call.node, call.channel, call.call, destination)
        self.command(command)
        self.sent[call.node, call.channel] = command, call.asked_at or call.place.entered_at
        if len(self.sent) > ENDED_LIMIT:
            del self.sent[next(iter(self.sent))]

    def overflow(self, call: Call, at: float, now: Instant) -> None:
        """The maximum wait is over: on to the queue's overflow target. For somebody who is said to be gone, and on a lost
        node, it stays due."""
        call.overflow_due = True
        if call.going or not self.is_synced(call.node) or arrivals.rehome(self, call, at, now):
            return
        line.leave(self, call, Cause.MAX_WAIT, at, now)

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
