"""The dialler as a whole: campaigns, trunks, nodes, agents shared among them, attempts in flight. Pure.

`Dialler.handle(event, now)` takes one thing that happened and returns what is to be done on the wire and asked of the
store; `Dialler.batch(now)` gives what is to become durable. An attempt's way:

1. On a `Look` the campaign's pacer says how many lines; each goes through the gate, and is part of the next batch.
2. `Written`: the batch is durable, so those recorded are dialled. `NotWritten`: nobody knows, so they are not, ever; the
   same batch is said again, with these attempts settled as withdrawn.
3. The wire tells what happens, the floor what becomes of the call. The ledger is told once what an attempt came to.
4. The line is gone: what it came to goes into a batch, with when the contact is tried again.

Nothing is dialled while the store is away, a node is down or was not looked at, the event loop lags, or the clock shows a
time before something that is known to have happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from acd.dialer.gate import Reason, Refusal, TrunkState
from acd.dialer.work import Turns
from acd.domain import outbound as wire
from acd.domain.attributes import MAX_VALUE_CHARS
from acd.domain.campaignlines import CALLBACK_AGENT
from acd.domain.campaigns import AttemptOutcome, CampaignState, GivenUp, Mode
from acd.domain.events import CallArrived
from acd.domain.instant import Instant
from acd.domain.place import Place
from acd.outbound import words as say
from acd.outbound.aloft import NAME_MAX, Aloft
from acd.outbound.blending import Blending
from acd.outbound.desks import Desks
from acd.outbound.flight import SETTLE_S, Flight, Phase
from acd.outbound.runner import FAILED_S, READY_AGE_S, Chosen, Runner
from acd.outbound.sharing import Sharing
from acd.outbound.trunks import Pressure, TrunkUse
from acd.outbound.withheld import Withheld

LAG_S: Final = 0.25
"""An event loop this late learns too late who has answered."""
LAG_REST_S: Final = 2.0
CLOCK_S: Final = 1.0
"""How far clocks may be apart."""
CHARGE_S: Final = 1.0
"""So long after an agent had to be there, what the floor says may still be on its way."""
UNHEARD_S: Final = 120.0
"""A line that should have been given up so long ago is not there."""
STALE_S: Final = 1.0
"""What was permitted longer ago, or in another minute, is asked again before it is dialled."""
AT_ONCE_S: Final = 0.05
"""What becomes durable so soon is started when it was decided on, as far as a trunk's calls a second go."""
SOON_S: Final = 60.0
"""When a contact is tried again whose attempt was never dialled."""
LINES_MOST: Final = 5_000
"""Attempts in flight, of all campaigns."""

Told = say.Told | wire.OutboundEvent


class Dialler(Aloft):
    """``epoch``: of this life; ids of attempts begin with it. ``sealed``: as the store's."""

    def __init__(self, epoch: int, sealed: Callable[[str], str] | None = None) -> None:
        super().__init__(sealed)
        self.epoch = epoch
        self.database_up = True
        self.latest_s = float("-inf")
        self.sharing = Sharing()
        self.seats: tuple[say.Seat, ...] = ()
        """the agents campaigns may have, at the last look"""
        self._turns = Turns()
        self.blending = Blending()
        self.desks = Desks(self)
        self.withheld = Withheld(self)
        self._lags_until_mono = float("-inf")
        self._looked_mono = float("-inf")
        self._serial = 0
        self._made: list[say.Made] = []
        self._handlers: dict[type, Callable[[Any, Instant], None]] = {
            say.Defined: self._defined,
            say.Remembered: self._remembered,
            say.Left: self._left,
            say.HeardBefore: self._heard_before,
            say.StateSet: self._state_set,
            say.Claimed: self._claimed,
            say.Written: self._written,
            say.NotWritten: self._not_written,
            say.CallBegan: self._call_began,
            say.CallConnected: self._call_connected,
            say.CallGone: self._call_gone,
            say.AgentTurned: self._agent_turned,
            say.Look: self._look,
            say.Engaged: self.desks.engaged,
            say.Chose: self.desks.chose,
            say.Wished: self.desks.wish,
            say.Disposed: self._disposed,
            wire.AttemptPlaced: self._placed,
            wire.AttemptBegan: self._began,
            wire.AttemptRefused: self._attempt_refused,
            wire.AttemptRang: self._rang,
            wire.AttemptAnswered: self._answered,
            wire.AttemptClassified: self._classified,
            wire.AttemptMessage: self._message,
            wire.AttemptOptedOut: self._opted_out,
            wire.AttemptOver: self._over,
            wire.OutboundSeen: self._seen,
            wire.OutboundLost: self._node_lost,
            wire.OutboundBack: self._node_back,
        }

    # -- the interface ---------------------------------------------------------------------------------------------------

    def handle(self, event: Told, now: Instant) -> list[say.Action]:
        """Take one event to its end."""
        self._actions = []
        if not (isinstance(event, wire.AttemptEvent) and self.desks.heard(event, now)):
            self._handlers[type(event)](event, now)
        if now.utc > self.latest_s:
            self.latest_s = now.utc
        return self._actions

    def asked(self, question: wire.AttemptAsked, now: Instant) -> wire.OutboundReply | None:
        """What becomes of an answered line."""
        flight = self.flights.get(question.attempt)
        if flight is None:
            return None
        self._person_or_not(flight, question.verdict, question.at, now)
        if flight.verdict is wire.Verdict.MACHINE and self.runners[flight.campaign].campaign.machine_message:
            return wire.LeaveMessage()
        if flight.verdict in (wire.Verdict.MACHINE, wire.Verdict.FAX):
            return wire.HangUpLine()
        more = {"list": flight.segment, "contact": str(flight.contact_id), "attempt": flight.attempt}
        name = ""
        if flight.contact is not None:
            name = flight.contact.name[:NAME_MAX]
            if flight.contact.language:
                more["language"] = flight.contact.language
            own = (one.extension for one in flight.contact.numbers if one.number == flight.number)
            more["extension"] = next(own, "")
        desk = self.desks.joined(flight)
        if flight.callback_agent is not None:
            more[CALLBACK_AGENT] = flight.callback_agent
        more["callback_note"] = flight.note[:MAX_VALUE_CHARS]
        return wire.Connect(
            CallArrived(
                at=question.at,
                node=question.node,
                channel=question.channel,
                channel_name=question.channel_name,
                linkedid=question.linkedid,
                did=flight.caller_id,
                caller_number=flight.number,
                caller_name=name,
                call=question.call or None,
                place=Place.decode(question.place) if question.place else None,
                answered=True,
                variables={key: value for key, value in more.items() if value},
                campaign=flight.campaign,
                agent=None if desk is None else desk.agent,
                leg="" if desk is None else desk.leg,
                leg_name="" if desk is None else desk.leg_name,
            )
        )

    def batch(self, now: Instant) -> say.Batch | None:
        """What is to become durable now, if anything; say what came of it by Written or NotWritten before the next."""
        releases: list[tuple[int, float | None]] = []
        blocks: list[tuple[int, bool]] = []
        refused: dict[int, say.Refused] = {}
        for runner in self.runners.values():
            given_back, given_up = runner.given_back()
            refused |= runner.said_of_them()
            releases += given_back
            blocks += given_up
        ledgers = {name: runner.book.take() for name, runner in self.runners.items() if runner.book.changed}
        found = say.Batch(
            tuple(self._progress.items()),
            tuple(self._opt_outs),
            tuple(self._ended),
            tuple(releases),
            tuple(blocks),
            tuple(self._made),
            ledgers,
            tuple(self._said),
            self.withheld.charged_by(ledgers),
            refused,
        )
        self._progress, self._opt_outs, self._ended, self._made, self._said = {}, [], [], [], []
        return None if found == say.Batch() else found

    def statistics(self) -> dict[str, dict[str, Any]]:
        """What campaigns have learnt since the last time, to be kept."""
        found = {name: runner.as_saved() for name, runner in self.runners.items() if runner.learnt}
        for name in found:
            self.runners[name].learnt = False
        return found

    def held(self) -> set[int]:
        """Contacts that this life knows it has claimed."""
        found = {flight.contact_id for flight in self.flights.values()}
        found |= {desk.ready.contact.contact for desk in self.desks.by_agent.values()}
        return found.union(self.withheld.contacts, *(runner.held() for runner in self.runners.values()))

    def held_up(self, now: Instant) -> tuple[str, str] | None:
        """Why nothing at all is dialled now: a word and a sentence."""
        if not self.database_up:
            return "database", "the database is away, and nobody is dialled whom it does not know of"
        if self.withheld.too_many:
            return (
                "refused",
                f"the database has refused {self.withheld.count} things for good: somebody has to look first",
            )
        if now.utc < self.latest_s - CLOCK_S:
            gap_s = self.latest_s - now.utc
            detail = f"the clock shows a time {gap_s:.0f} s before something that has happened already"
            return "clock", f"{detail}: it went back, or was ahead then; it has to catch up"
        if now.mono < self._lags_until_mono:
            return "lag", "the service is too busy to know in time who has answered"
        if self.nodes and not any(node.up for node in self.nodes.values()):
            return "node", "no Asterisk is connected"
        return None

    def _leg_seen(self, node: str, seen: wire.SeenAttempt) -> None:
        self.desks.seen(node, seen)

    def _desk_turned(self, event: say.AgentTurned, now: Instant) -> None:
        self.desks.turned(event, now)

    def _flight_over(self, flight: Flight, now: Instant) -> None:
        self.desks.over(flight, now)

    # -- campaigns -------------------------------------------------------------------------------------------------------

    def _defined(self, event: say.Defined, now: Instant) -> None:
        self.nodes = {name: self.nodes.get(name, Pressure()) for name in event.nodes}
        self.blending.define(event.blends)
        names = set()
        for terms in event.terms:
            name = terms.campaign.name
            names.add(name)
            known = self.runners.get(name)
            if known is None:
                self.runners[name] = Runner(terms, now.utc)
            else:
                known.redefine(terms)
            self.trunks.setdefault(terms.trunk.name, TrunkUse())
        for name, runner in self.runners.items():
            # What it has counted stays, in case it comes back
            if name not in names:
                runner.removed = True
                runner.let_go()

    def _remembered(self, event: say.Remembered, now: Instant) -> None:
        runner = self.runners.get(event.campaign)
        if event.latest_s is not None:
            self.latest_s = max(self.latest_s, event.latest_s)
        if runner is None:
            return
        fault = runner.remember(event, now.utc)
        if fault:
            self._actions.append(say.Alarm("campaign_learns_anew", fault))

    def _left(self, event: say.Left, now: Instant) -> None:
        runner, node = self.runners.get(event.campaign), self.nodes.get(event.node)
        self.latest_s = max(self.latest_s, event.committed_s)
        if runner is None:
            # No ledger here is its own; who was not served is dialled by whatever campaign has the list, by its rules
            ended_s, served = max(now.utc, event.committed_s), event.agent is not None
            outcome = AttemptOutcome.ANSWERED if served else AttemptOutcome.UNKNOWN
            self._ended.append(say.Ended(event.attempt, outcome, ended_s, None if served else ended_s + SOON_S))
            return
        flight = Flight(
            event.attempt, event.campaign, event.contact_id, event.contact, event.number, event.node, event.trunk,
            runner.campaign.mode, "", event.committed_s,
        )  # fmt: skip
        flight.phase, flight.sent_s, flight.sent_mono = Phase.LEFT, event.committed_s, now.mono
        flight.tried, flight.taken, flight.left = event.tried, True, True
        flight.agent_held = runner.campaign.mode is Mode.PROGRESSIVE
        flight.answered_s, flight.agent, flight.said = event.answered_s, event.agent, event.said
        if event.agent is not None:
            # Noted with the ledger that has counted it
            flight.judged, flight.connected_s = True, event.answered_s or event.committed_s
        elif event.charged:
            flight.judged = flight.charged = True
        else:
            runner.book.dialled(now.utc)
        self._track(flight, runner)
        if node is None:
            # Nobody can look for it: its Asterisk is not configured any more
            self._lost(flight, now)
        elif node.up:
            # It was looked at already, when nobody knew of this one
            self._lost(flight, now)

    def _state_set(self, event: say.StateSet, now: Instant) -> None:
        runner = self.runners.get(event.campaign)
        if runner is None:
            return
        runner.state, runner.since_s, runner.by, runner.reason = event.state, now.utc, event.by, event.reason
        if event.state is CampaignState.RUNNING:
            runner.wait_no_more()
            runner.claim_mono = float("-inf")
            runner.met()
            if runner.began_s is None:
                runner.began_s = now.utc
                runner.book.begin(now.utc)
                runner.learnt = True
            return
        runner.wait_no_more()
        runner.let_go()
        if event.now:
            for flight in runner.flights.values():
                if flight.phase in (Phase.DIALLED, Phase.RINGING):
                    flight.given_up = GivenUp.STOP
                    self._command(wire.EndAttempt(flight.node, flight.attempt))

    def _claimed(self, event: say.Claimed, now: Instant) -> None:
        runner = self.runners.get(event.campaign)
        if runner is not None:
            runner.claiming = False
        if event.found is None:
            self.database_up = False
            if runner is not None:
                runner.claim_mono = runner.callbacks_mono = now.mono + FAILED_S
                runner.asks_anew()
        if runner is None or event.found is None:
            return
        for one in event.found:
            if one.latest_s is not None:
                self.latest_s = max(self.latest_s, one.latest_s)
        runner.calls_today, runner.short_today = event.calls_today, event.short_today
        runner.counted_s = event.counted_s
        runner.detected = event.detected
        runner.book.measure(None if event.detected is None else event.detected.upper)
        runner.told(event)
        runner.take_in(event.found, event.more, now)

    # -- durable or not --------------------------------------------------------------------------------------------------

    def _written(self, event: say.Written, now: Instant) -> None:
        self.database_up = True
        self._returned()
        never = [*event.refused, *event.unclaimed, *event.changed]
        self.withheld.charged_for_good(event.aside)
        if event.aside is not None:
            self.withheld.take(event.aside, now)
            never += [made.attempt for made in event.aside.what.made]
        self.recent.written(event.recorded, never, now.utc)
        for attempt in event.recorded:
            flight = self.flights.get(attempt)
            if flight is not None:
                self._send(flight, now)
        for attempt in event.refused:
            flight = self.flights.get(attempt)
            if flight is not None:
                detail = "the number is on the do-not-call list since it was looked at"
                self.runners[flight.campaign].refuse(Refusal(Reason.DO_NOT_CALL, None, detail), now)
        altered = set(event.changed)
        for attempt in never:
            flight = self.flights.get(attempt)
            if flight is not None:
                self.counters["attempts_not_recorded"] += 1
                self._unsent(flight, now)
                self._untrack(flight, now)
                why = "may not be called, is being dialled by somebody else, or cannot be kept"
                if attempt in altered:
                    self.counters["attempts_changed"] += 1
                    why = "what is known of the contact was changed since it was read"
                    # So may be what is known of others: a list that is imported changes many
                    self.runners[flight.campaign].let_go(now.utc)
                self.desks.over(flight, now, why)

    def _returned(self) -> None:
        for runner in self.runners.values():
            runner.returning = False

    def _not_written(self, event: say.NotWritten, now: Instant) -> None:
        self.database_up = False
        self._returned()
        batch = event.batch
        self.recent.doubt({made.attempt for made in batch.made})
        self._progress = {**{a: dict(known) for a, known in batch.progress}, **self._progress}
        self._opt_outs[:0] = batch.opt_outs
        undone = []
        for made in batch.made:
            flight = self.flights.get(made.attempt)
            undone.append(say.Ended(made.attempt, AttemptOutcome.WITHDRAWN, now.utc, now.utc + SOON_S, made.number))
            if flight is not None:
                self._unsent(flight, now)
                self._untrack(flight, now)
                self.desks.over(flight, now, "the database is away")
        self._ended[:0] = (*batch.ended, *undone)
        self._said[:0] = batch.said
        # Those of which nothing was recorded are still claimed
        doubtful = [(made.contact, None) for made in batch.made]
        runner = next(iter(self.runners.values()), None)
        if runner is not None:
            runner.put_back([*batch.releases, *doubtful], list(batch.blocks), batch.refused)
        for name, windows in batch.ledgers.items():
            if name in self.runners:
                self.runners[name].book.put_back(windows)

    def _send(self, flight: Flight, now: Instant) -> None:
        runner, node = self.runners[flight.campaign], self.nodes.get(flight.node)
        left = flight.desk is not None and self.desks.joined(flight) is None
        own = flight.contact.numbers if flight.contact is not None else ()
        # Others who asked for it the store itself refuses
        left = left or self.recent.holds_opt_out((one.number for one in own), runner.campaign.client)
        # Reloaded meanwhile: trunk, caller ID and permit were those of other terms
        left = left or flight.terms != runner.terms
        if left or runner.state is not CampaignState.RUNNING or runner.removed or node is None or not node.up:
            self._undialled(flight, now)
            return
        refusal = self._refusal_since(flight, runner, now)
        if refusal is not None:
            self.counters["attempts_too_late"] += 1
            runner.spare += flight.desk is None
            self._undialled(flight, now, refusal.until_s)
            return
        flight.facts = flight.terms = None
        campaign = runner.campaign
        flight.phase, flight.sent_s, flight.sent_mono = Phase.DIALLED, now.utc, now.mono
        self.committing.pop(flight.attempt, None)
        started = self.trunks[flight.trunk].started_s
        if now.mono - flight.committed_mono > AT_ONCE_S and flight.committed_mono in started:
            # It is now that it is started
            started.remove(flight.committed_mono)
            started.append(now.mono)
        node.sent()
        self.counters["attempts_dialled"] += 1
        self._command(
            wire.PlaceAttempt(
                flight.node,
                flight.attempt,
                campaign.name,
                runner.terms.trunk.device(flight.number),
                flight.number,
                flight.caller_id,
                ring_s=max(campaign.ring_s, campaign.rules.ring_s) + self.trunks[flight.trunk].setup_s,
                connect_s=campaign.connect_s,
                amd=campaign.amd and flight.desk is None,
                amd_s=campaign.amd_s,
                classifier=campaign.classifier,
                machine_message=campaign.machine_message or "",
                message=campaign.message or "",
                opt_out_key=campaign.opt_out_key,
            )
        )

    def _refusal_since(self, flight: Flight, runner: Runner, now: Instant) -> Refusal | None:
        """Why an attempt is not dialled that took too long to become durable: the gate is asked again."""
        # Calling hours end with a minute
        fresh = 0.0 <= now.utc - flight.committed_s <= STALE_S and now.utc // 60 == flight.committed_s // 60
        if flight.facts is None or fresh:
            return None
        rests_until_s = self.trunks[flight.trunk].rests_until_s
        trunk = TrunkState(rests_until_s=None if rests_until_s is None else rests_until_s + now.utc - now.mono)
        covered = self._is_covered(flight, runner) and now.mono - self._looked_mono <= STALE_S
        return runner.still(flight.facts, trunk, covered=covered, now=now)

    def _is_covered(self, flight: Flight, runner: Runner) -> bool:
        return flight.desk is not None or runner.spare >= 0

    def _undialled(self, flight: Flight, now: Instant, until_s: float | None = None) -> None:
        """It is durable and will not be dialled: no limit counts it, and its contact is dialled another time."""
        self._unsent(flight, now)
        self._untrack(flight, now)
        self.recent.withdraw(flight.attempt)
        again_s = now.utc + SOON_S if until_s is None else max(now.utc + SOON_S, until_s)
        self._ended.append(say.Ended(flight.attempt, AttemptOutcome.WITHDRAWN, now.utc, again_s, flight.number))
        self.desks.over(flight, now, "it cannot be dialled any more")

    # -- deciding --------------------------------------------------------------------------------------------------------

    def _look(self, event: say.Look, now: Instant) -> None:
        if event.lag_s > LAG_S:
            self._lags_until_mono = now.mono + LAG_REST_S
        self._looked_mono = now.mono
        self._tidy(now)
        self.desks.look(event.engaged, now)
        self.recent.needed_s = min((desk.ready.read_s for desk in self.desks.by_agent.values()), default=float("inf"))
        busy = {agent: name for agent, (_, _, name) in self._stages.items()}
        busy |= {agent: self._calls[call].campaign for agent, call in self._offered.items() if call in self._calls}
        seats = self.blending.keep(event.seats, event.queues, now.mono)
        for name, runner in self.runners.items():
            runner.free = frozenset(seat.agent for seat in seats if seat.stage == "idle" and name in seat.lines)
            if runner.state is CampaignState.RUNNING:
                runner.keep_hours(now)
        self.seats = tuple(seats)
        parts = [runner.part(self._offered, able=self._is_able(runner, now)) for runner in self.runners.values()]
        shares = self.sharing.among(seats, parts, busy)
        present = {name: sum(name in seat.lines for seat in seats) for name in self.runners}
        for name, runner in self.runners.items():
            runner.kept = self.blending.kept_from(name, event.seats)
        for desk in self.desks.by_agent.values():
            present[desk.campaign] = present.get(desk.campaign, 0) + 1
        held_up = self.held_up(now) is not None
        wanted: dict[str, int] = {}
        covered: dict[str, int] = {}
        idle: dict[str, frozenset[str]] = {}
        for name, runner in self.runners.items():
            shared = shares[name]
            runner.present, runner.seats = present[name], frozenset(seat.agent for seat in seats if name in seat.lines)
            most = 0 if held_up or shared.yields else self.room(runner, now)
            if runner.rests:
                most = min(most, max(0, 1 - sum(one.may_need_agent for one in runner.flights.values())))
            supply = runner.supply_of(shared, self._offered, most, now.utc)
            runner.supply, runner.decision = supply, None
            if runner.state is not CampaignState.RUNNING or runner.removed or runner.rests_by(now) is not None:
                continue
            # First: windows that are over are kept by the book alone
            runner.book.slack(now.utc)
            runner.decision = runner.pacer.decide(supply, runner.statistics, runner.book.ledger, now.utc)
            if runner.campaign.mode is Mode.PREVIEW and not held_up:
                self._show(runner, [seat.agent for seat in shared.seats if seat.stage == "idle"], now)
            if runner.decision.lines > 0:
                wanted[name], covered[name] = runner.decision.lines, supply.covered
                idle[name] = frozenset(seat.agent for seat in shared.seats if seat.stage == "idle")
        placed: Counter[str] = Counter()
        while wanted:
            campaign = self._turns.next([self.runners[name].campaign for name in wanted])
            assert campaign is not None
            name = campaign.name
            runner = self.runners[name]
            if self._place_one(runner, placed[name], covered[name], idle[name], now):
                placed[name] += 1
                self._turns.spend(campaign)
                self.sharing.dialled(name, campaign.weight)
                wanted[name] -= 1
            else:
                wanted[name] = 0
            if wanted[name] <= 0:
                del wanted[name]
        if not held_up:
            for name, runner in self.runners.items():
                claim = runner.wants(present[name], now)
                if claim is not None:
                    runner.claiming = True
                    self._actions.append(claim)

    def _tidy(self, now: Instant) -> None:
        """What time alone brings about."""
        if now.mono < self._lags_until_mono:
            return  # we stood still: what was said meanwhile is not yet heard
        for flight in list(self.flights.values()):
            if flight.phase is Phase.OVER:
                if now.mono - flight.over_mono >= SETTLE_S:
                    self._end(flight, now)
                continue
            runner = self.runners[flight.campaign]
            if flight.phase is Phase.WAITING and flight.person_s is not None and not flight.judged:
                if now.utc - flight.person_s > runner.campaign.connect_s + CHARGE_S:
                    self._judge(flight, now, abandoned=True)
            elif flight.phase in (Phase.DIALLED, Phase.RINGING):
                node = self.nodes.get(flight.node)
                rings_s = max(runner.campaign.ring_s, runner.campaign.rules.ring_s)
                if node is not None and node.up and now.mono - flight.sent_mono > rings_s + UNHEARD_S:
                    self._command(wire.EndAttempt(flight.node, flight.attempt))
                    if not flight.taken:
                        flight.taken = True
                        node.refused(now.mono)
                    self._lost(flight, now)
        for runner in self.runners.values():
            runner.let_go(now.utc - READY_AGE_S)

    def _show(self, runner: Runner, idle: list[str], now: Instant) -> None:
        """Have idle agents look at contacts that may be dialled."""
        if self.node_of(runner) is None:
            return
        for agent in idle:
            if agent in self.desks.by_agent:
                continue
            slack, only = runner.book.slack(now.utc), frozenset({agent})
            chosen = runner.choose(
                self.trunk_state(runner, now),
                slack,
                0.0,
                self.recent,
                self.numbers,
                only,
                agent_held=True,
                now=now,
            )
            if chosen is not None:
                self.desks.show(agent, runner.name, chosen.ready, now)

    def holds(self, agent: str) -> str | None:
        """The campaign whose lines in flight need this idle agent: as many have one held as it has agents idle."""
        name = self.sharing.owner(agent)
        runner = self.runners.get(name or "")
        if runner is None:
            return None
        idle = [seat.agent for seat in self.seats if seat.stage == "idle" and self.sharing.owner(seat.agent) == name]
        return name if agent in idle and runner.part(self._offered, able=True).held >= len(idle) else None

    def _is_able(self, runner: Runner, now: Instant) -> bool:
        """Whether it has a way out, or will in a moment: agents do not wait for a trunk that rests, or has no line free."""
        use, trunk = self.trunks[runner.terms.trunk.name], runner.terms.trunk
        rests = use.rests_until_s is not None and now.mono < use.rests_until_s
        return not rests and use.lines < trunk.lines and self.node_of(runner) is not None

    def room(self, runner: Runner, now: Instant) -> int:
        """Lines that the way out has now."""
        node = self.node_of(runner)
        if node is None or len(self.flights) >= LINES_MOST:
            return 0
        committing = sum(1 for made in self._made if made.node == node)
        trunk = runner.terms.trunk
        # Decided on so long ago that they count as started no more, and still to be started
        before_mono = now.mono - max(1, int(trunk.calls_per_s)) / trunk.calls_per_s
        still = sum(one.trunk == trunk.name and one.committed_mono <= before_mono for one in self.committing.values())
        free = self.trunks[trunk.name].room(trunk, now.mono) - still
        return max(0, min(free, self.nodes[node].room() - committing))

    def node_of(self, runner: Runner) -> str | None:
        """The node of the campaign's trunk, if it can be dialled from."""
        named = runner.terms.trunk.node
        if named is None and len(self.nodes) == 1:
            named = next(iter(self.nodes))
        return named if named in self.nodes and self.nodes[named].up else None

    def _place_one(self, runner: Runner, done: int, covered: int, idle: frozenset[str], now: Instant) -> bool:
        """One line more, if there is a contact for it that may be called. ``done``: placed at this look."""
        node = self.node_of(runner)
        if node is None or self.room(runner, now) <= 0:
            return False
        supply, agent_held = runner.supply, done < covered
        assert supply is not None
        slack, exceeded = runner.book.slack(now.utc), 0.0
        if not agent_held:
            forecast = runner.forecaster.forecast(supply, runner.statistics, now.utc)
            exceeded = forecast.exceeded(done + 1, slack.fits)
        chosen = runner.choose(
            self.trunk_state(runner, now),
            slack,
            exceeded,
            self.recent,
            self.numbers,
            idle,
            agent_held=agent_held,
            now=now,
        )
        if chosen is None:
            return False
        self.commit(runner, chosen, node, now, agent_held=agent_held)
        return True

    def trunk_state(self, runner: Runner, now: Instant) -> TrunkState:
        """The campaign's trunk as the gate wants it: in UTC seconds, where the trunk counts in those that never go back."""
        ahead_s = now.utc - now.mono
        state, most = self.trunks[runner.terms.trunk.name].state(), max(1, int(runner.terms.trunk.calls_per_s))
        return replace(
            state,
            started_s=tuple(at + ahead_s for at in state.started_s[-most:]),
            rests_until_s=None if state.rests_until_s is None else state.rests_until_s + ahead_s,
        )

    def commit(
        self,
        runner: Runner,
        chosen: Chosen,
        node: str,
        now: Instant,
        *,
        agent_held: bool = True,
        mode: Mode | None = None,
        desk: str | None = None,
    ) -> Flight:
        """An attempt to be made durable, and dialled then. ``desk``: the agent who has it dialled."""
        self._serial += 1
        ready, piece, campaign = chosen.ready, chosen.ready.piece, runner.campaign
        flight = Flight(
            f"{self.epoch:06d}{self._serial:08d}", campaign.name, ready.contact.contact, ready.contact, piece.number, node,
            runner.terms.trunk.name, mode or campaign.mode, chosen.permit.caller_id, now.utc, desk=desk,
        )  # fmt: skip
        flight.callback, flight.callback_agent, flight.segment = ready.callback, piece.agent, piece.segment
        flight.note, flight.agent_held = ready.note, agent_held
        flight.tried, flight.needs_agent = ready.tried, chosen.permit.needs_agent
        flight.facts, flight.terms = chosen.facts, runner.terms
        self._track(flight, runner)
        flight.committed_mono, self.committing[flight.attempt] = now.mono, flight
        self.trunks[flight.trunk].began(flight.attempt, now.mono)
        self.recent.note(flight.attempt, flight.number, campaign.name, now.utc)
        runner.book.dialled(now.utc)
        facts, why = chosen.facts, runner.decision.why if runner.decision is not None else None
        seen: dict[str, Any] = {
            "zones": chosen.permit.zones,
            "kind": piece.kind.value,
            "contact_attempts": facts.contact_attempts,
            "number_attempts": facts.number_attempts,
            "agent_held": agent_held,
            "needs_agent": chosen.permit.needs_agent,
            "slack": round(facts.slack.slack, 3),
            "profile": campaign.profile,
            "because": None if why is None else why.because,
            "risk": None if why is None or why.risk is None else round(why.risk, 5),
        }
        self._made.append(
            say.Made(
                flight.attempt, campaign.name, flight.contact_id, flight.number, str(flight.mode), flight.caller_id,
                flight.trunk, node, flight.callback, campaign.client, seen, ready.contact,
            )
        )  # fmt: skip
        self.counters["attempts_committed"] += 1
        return flight
