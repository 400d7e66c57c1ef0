"""The dialler as a whole: campaigns, trunks, nodes, agents shared among them, attempts in flight. Pure.

`Dialler.handle(event, now)` takes one thing that happened and returns what is to be done on the wire and asked of the
store; `Dialler.batch(now)` gives what is to become durable. An attempt's way:

1. On a `Look` the campaign's pacer says how many lines; each goes through the gate, and is part of the next batch.
2. `Written`: the batch is durable, so those recorded are dialled. `NotWritten`: nobody knows, so they are not, ever; the
   same batch is said again, with these attempts settled as failed.
3. The wire tells what happens, the floor what becomes of the call. The ledger is told once what an attempt came to.
4. The line is gone: what it came to goes into a batch, with when the contact is tried again.

Nothing is dialled while the store is away, a node is down or was not looked at, the event loop lags, or the clock shows a
time before something that is known to have happened.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, assert_never

from acd.dialer.gate import Refusal
from acd.dialer.retry import Again
from acd.dialer.work import Turns
from acd.domain import outbound as wire
from acd.domain.campaignlines import CALLBACK_AGENT
from acd.domain.campaigns import AttemptOutcome, CampaignState, Mode
from acd.domain.events import CallArrived
from acd.domain.instant import Instant
from acd.domain.place import Place
from acd.domain.states import AgentState
from acd.outbound import words as say
from acd.outbound.flight import RINGS, SETTLE_S, Flight, Phase
from acd.outbound.runner import READY_AGE_S, Chosen, Recent, Runner
from acd.outbound.sharing import Sharing
from acd.outbound.trunks import Pressure, TrunkUse

LAG_S: Final = 0.25
"""An event loop this late learns too late who has answered."""
LAG_REST_S: Final = 2.0
CLOCK_S: Final = 1.0
"""How far clocks may be apart."""
CHARGE_S: Final = 1.0
"""So long after an agent had to be there, what the floor says may still be on its way."""
UNHEARD_S: Final = 120.0
"""A line that should have been given up so long ago is not there."""
SOON_S: Final = 60.0
"""When a contact is tried again whose attempt was never dialled."""
LINES_MOST: Final = 5_000
"""Attempts in flight, of all campaigns."""
_ENDED_KEPT: Final = 10_000
_TALKS: Final = frozenset({AgentState.RESERVED, AgentState.RINGING})

Told = say.Told | wire.OutboundEvent


class Dialler:
    """``epoch``: of this life; ids of attempts begin with it."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.runners: dict[str, Runner] = {}
        self.flights: dict[str, Flight] = {}
        self.trunks: dict[str, TrunkUse] = {}
        self.nodes: dict[str, Pressure] = {}
        self.counters: Counter[str] = Counter()
        self.database_up = True
        self.latest_s = float("-inf")
        self._sharing = Sharing()
        self._turns = Turns()
        self._recent = Recent()
        self._numbers: dict[str, str] = {}
        """number, and ``contact:`` with its id -> attempt"""
        self._calls: dict[str, Flight] = {}
        self._offered: dict[str, str] = {}
        self._stages: dict[str, tuple[AgentState, float, str]] = {}
        """agent -> what he does for which campaign, since when"""
        self._gone: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """attempt -> its number and campaign, for what is heard after its end"""
        self._lags_until_mono = float("-inf")
        self._serial = 0
        self._made: list[say.Made] = []
        self._ended: list[say.Ended] = []
        self._opt_outs: list[say.OptOut] = []
        self._progress: dict[str, dict[str, float | str]] = {}
        self._actions: list[say.Action] = []
        self._handlers: dict[type, Callable[[Any, Instant], None]] = {
            say.Defined: self._defined,
            say.Remembered: self._remembered,
            say.Left: self._left,
            say.StateSet: self._state_set,
            say.Claimed: self._claimed,
            say.Written: self._written,
            say.NotWritten: self._not_written,
            say.CallBegan: self._call_began,
            say.CallConnected: self._call_connected,
            say.CallGone: self._call_gone,
            say.AgentTurned: self._agent_turned,
            say.Look: self._look,
            wire.AttemptPlaced: self._placed,
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
        if flight.verdict in (wire.Verdict.MACHINE, wire.Verdict.FAX):
            return wire.HangUpLine()
        more = {"list": flight.segment, "contact": str(flight.contact_id), "attempt": flight.attempt}
        name = ""
        if flight.contact is not None:
            name = flight.contact.name[:80]
            if flight.contact.language:
                more["language"] = flight.contact.language
        if flight.callback_agent is not None:
            more[CALLBACK_AGENT] = flight.callback_agent
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
            )
        )

    def batch(self, now: Instant) -> say.Batch | None:
        """What is to become durable now, if anything; say what came of it by Written or NotWritten before the next."""
        releases: list[tuple[int, float | None]] = []
        blocks: list[tuple[int, bool]] = []
        for runner in self.runners.values():
            given_back, given_up = runner.given_back()
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
        )
        self._progress, self._opt_outs, self._ended, self._made = {}, [], [], []
        return None if found == say.Batch() else found

    def statistics(self) -> dict[str, dict[str, Any]]:
        """What campaigns have learnt since the last time, to be kept."""
        found = {name: runner.as_saved() for name, runner in self.runners.items() if runner.learnt}
        for name in found:
            self.runners[name].learnt = False
        return found

    def held_up(self, now: Instant) -> tuple[str, str] | None:
        """Why nothing at all is dialled now: a word and a sentence."""
        if not self.database_up:
            return "database", "the database is away, and nobody is dialled whom it does not know of"
        if now.utc < self.latest_s - CLOCK_S:
            return "clock", "the clock shows a time before something that has happened already"
        if now.mono < self._lags_until_mono:
            return "lag", "the service is too busy to know in time who has answered"
        if self.nodes and not any(node.up for node in self.nodes.values()):
            return "node", "no Asterisk is connected"
        return None

    # -- campaigns -------------------------------------------------------------------------------------------------------

    def _defined(self, event: say.Defined, now: Instant) -> None:
        self.nodes = {name: self.nodes.get(name, Pressure()) for name in event.nodes}
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
            if name not in names:
                runner.removed = True
                runner.let_go()
        self._forget_removed()

    def _forget_removed(self) -> None:
        for name in [name for name, one in self.runners.items() if one.removed and not one.flights]:
            runner = self.runners[name]
            if not (runner.book.changed or runner.ready or runner.claiming):
                releases, blocks = runner.given_back()
                if releases or blocks:
                    runner.put_back(releases, blocks)
                else:
                    del self.runners[name]

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
        runner = self.runners.get(event.campaign)
        self.latest_s = max(self.latest_s, event.committed_s)
        if runner is None or event.node not in self.nodes:
            # Nobody can look for it, and no ledger here is its own
            why = AttemptOutcome.UNKNOWN
            self._ended.append(say.Ended(event.attempt, why, max(now.utc, event.committed_s), None))
            if runner is not None:
                runner.book.dialled(now.utc)
                runner.book.lost(now.utc)
            return
        flight = Flight(
            event.attempt, event.campaign, event.contact_id, event.contact, event.number, event.node, event.trunk,
            runner.campaign.mode, "", event.committed_s,
        )  # fmt: skip
        flight.phase, flight.sent_s, flight.sent_mono = Phase.LEFT, event.committed_s, now.mono
        flight.tried, flight.taken = event.tried, True
        flight.answered_s, flight.agent = event.answered_s, event.agent
        if event.agent is not None:
            # Noted with the ledger that has counted it
            flight.judged, flight.connected_s = True, event.answered_s or event.committed_s
        else:
            runner.book.dialled(now.utc)
        self._track(flight, runner)
        if self.nodes[event.node].up:
            # It was looked at already, when nobody knew of this one
            self._lost(flight, now, "it was not there when Asterisk was asked")

    def _state_set(self, event: say.StateSet, now: Instant) -> None:
        runner = self.runners.get(event.campaign)
        if runner is None:
            return
        runner.state, runner.since_s, runner.by, runner.reason = event.state, now.utc, event.by, event.reason
        if event.state is CampaignState.RUNNING:
            runner.wait_until_s, runner.waits_for, runner.shut_in_row = float("-inf"), None, 0
            runner.claim_mono = float("-inf")
            if runner.began_s is None:
                runner.began_s = runner.book.ledger.began_s = now.utc
                runner.learnt = True
            return
        runner.let_go()
        if event.now:
            for flight in runner.flights.values():
                if flight.phase in (Phase.DIALLED, Phase.RINGING):
                    self._command(wire.EndAttempt(flight.node, flight.attempt))

    def _claimed(self, event: say.Claimed, now: Instant) -> None:
        runner = self.runners.get(event.campaign)
        if event.found is None:
            self.database_up = False
            if runner is not None:
                runner.claiming = False
            return
        if runner is None:
            return
        for one in event.found:
            if one.latest_s is not None:
                self.latest_s = max(self.latest_s, one.latest_s)
        runner.calls_today, runner.short_today = event.calls_today, event.short_today
        runner.take_in(event.found, event.more, now)

    # -- durable or not --------------------------------------------------------------------------------------------------

    def _written(self, event: say.Written, now: Instant) -> None:
        self.database_up = True
        for attempt in event.recorded:
            flight = self.flights.get(attempt)
            if flight is not None:
                self._send(flight, now)
        for attempt in (*event.refused, *event.unclaimed):
            flight = self.flights.get(attempt)
            if flight is not None:
                self.counters["attempts_not_recorded"] += 1
                self._unsent(flight, now)
                self._untrack(flight)
        self._forget_removed()

    def _not_written(self, event: say.NotWritten, now: Instant) -> None:
        self.database_up = False
        batch = event.batch
        self._progress = {**{a: dict(known) for a, known in batch.progress}, **self._progress}
        self._opt_outs[:0] = batch.opt_outs
        undone = []
        for made in batch.made:
            flight = self.flights.get(made.attempt)
            undone.append(say.Ended(made.attempt, AttemptOutcome.FAILED, now.utc, now.utc + SOON_S, made.number))
            if flight is not None:
                self._unsent(flight, now)
                self._untrack(flight)
        self._ended[:0] = (*batch.ended, *undone)
        # Those of which nothing was recorded are still claimed
        doubtful = [(made.contact, None) for made in batch.made]
        runner = next(iter(self.runners.values()), None)
        if runner is not None:
            runner.put_back([*batch.releases, *doubtful], list(batch.blocks))
        for name, windows in batch.ledgers.items():
            if name in self.runners:
                self.runners[name].book.put_back(windows)

    def _unsent(self, flight: Flight, now: Instant) -> None:
        """It is never dialled."""
        self.runners[flight.campaign].book.unanswered(now.utc)
        self.trunks[flight.trunk].ended()

    def _send(self, flight: Flight, now: Instant) -> None:
        runner, node = self.runners[flight.campaign], self.nodes.get(flight.node)
        if runner.state is not CampaignState.RUNNING or runner.removed or node is None or not node.up:
            self._unsent(flight, now)
            self._untrack(flight)
            self._ended.append(
                say.Ended(flight.attempt, AttemptOutcome.FAILED, now.utc, now.utc + SOON_S, flight.number)
            )
            return
        campaign = runner.campaign
        flight.phase, flight.sent_s, flight.sent_mono = Phase.DIALLED, now.utc, now.mono
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
                ring_s=max(campaign.ring_s, campaign.rules.ring_s),
                connect_s=campaign.connect_s,
                amd=campaign.amd,
                amd_s=campaign.amd_s,
                message=campaign.message or "",
            )
        )

    def _command(self, command: wire.OutboundCommand) -> None:
        self._actions.append(say.Do(command))

    def _track(self, flight: Flight, runner: Runner) -> None:
        self.flights[flight.attempt] = runner.flights[flight.attempt] = flight
        self._numbers[flight.number] = self._numbers[f"contact:{flight.contact_id}"] = flight.attempt
        self.trunks.setdefault(flight.trunk, TrunkUse()).lines += 1

    def _untrack(self, flight: Flight) -> None:
        """Nothing more is expected of it; its line has been given back."""
        del self.flights[flight.attempt]
        runner = self.runners[flight.campaign]
        runner.flights.pop(flight.attempt, None)
        for key in (flight.number, f"contact:{flight.contact_id}"):
            if self._numbers.get(key) == flight.attempt:
                del self._numbers[key]
        if flight.call is not None:
            self._calls.pop(flight.call, None)
        self._gone[flight.attempt] = (flight.number, flight.campaign)
        while len(self._gone) > _ENDED_KEPT:
            self._gone.popitem(last=False)

    # -- the wire --------------------------------------------------------------------------------------------------------

    def _placed(self, event: wire.AttemptPlaced, now: Instant) -> None:
        flight, node = self.flights.get(event.attempt), self.nodes.get(event.node)
        if flight is not None and not flight.taken and node is not None:
            flight.taken = True
            node.taken(event.took_s, now.mono)

    def _attempt_refused(self, event: wire.AttemptRefused, now: Instant) -> None:
        flight, node = self.flights.get(event.attempt), self.nodes.get(event.node)
        if flight is None or flight.over_s is not None:
            return
        if node is not None and not flight.taken:
            flight.taken = True
            node.refused(now.mono)
        self.counters["attempts_refused"] += 1
        self._actions.append(say.Alarm("attempt_refused", f"trunk {flight.trunk}: {event.detail}"))
        self._trunk_says(flight, AttemptOutcome.FAILED, None, now)
        flight.told, flight.over_s, flight.over_mono = AttemptOutcome.FAILED, event.at, now.mono
        self._end(flight, now)

    def _rang(self, event: wire.AttemptRang, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is not None and flight.phase in (Phase.DIALLED, Phase.LEFT):
            flight.phase, flight.rang_s = Phase.RINGING, event.at
            self.trunks[flight.trunk].got_through()

    def _answered(self, event: wire.AttemptAnswered, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is None or flight.answered_s is not None or flight.over_s is not None:
            return
        flight.answered_s = event.at
        if flight.phase in RINGS:
            flight.phase = Phase.ANSWERED
        self.trunks[flight.trunk].got_through()

    def _classified(self, event: wire.AttemptClassified, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is not None:
            self._person_or_not(flight, event.verdict, event.at, now)

    def _person_or_not(self, flight: Flight, verdict: wire.Verdict, at: float, now: Instant) -> None:
        if flight.verdict is not None or flight.over_s is not None:
            return
        flight.verdict = verdict
        if flight.answered_s is None:
            flight.answered_s = at
        if verdict in (wire.Verdict.MACHINE, wire.Verdict.FAX):
            self._rung(flight, now, person=False)
            return
        # Unsure is a person: he gets an agent, and counts
        flight.person_s = at
        if flight.phase in RINGS:
            flight.phase = Phase.WAITING
        self._rung(flight, now, person=True)

    def _rung(self, flight: Flight, now: Instant, *, person: bool) -> None:
        """It has rung to its end, one way or another: learn from it."""
        runner = self.runners[flight.campaign]
        if flight.phase is not Phase.LEFT:
            runner.statistics.line_ended(now.utc, flight.ring_s, person=person, segment=flight.segment)
            runner.learnt = True

    def _message(self, event: wire.AttemptMessage, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        self.counters["messages_played" if event.played else "messages_cut"] += 1
        if flight is not None:
            flight.message = "played" if event.played else "cut"

    def _opted_out(self, event: wire.AttemptOptedOut, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        number, campaign = self._gone.get(event.attempt, ("", ""))
        if flight is not None:
            number, campaign, flight.opted_out = flight.number, flight.campaign, True
        if not number:
            return
        self.counters["opted_out"] += 1
        runner = self.runners.get(campaign)
        client = runner.campaign.client if runner is not None else None
        scope = f"client:{client}" if client else "all"
        self._opt_outs.append(say.OptOut(number, scope, event.attempt, min(event.at, now.utc)))

    def _over(self, event: wire.AttemptOver, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is None or flight.over_s is not None:
            return
        node = self.nodes.get(flight.node)
        if not flight.taken and node is not None:
            flight.taken = True
            node.taken(0.0, now.mono)
        flight.over_s, flight.over_mono, flight.cause = event.at, now.mono, event.cause
        flight.told = event.outcome
        if event.answered and flight.answered_s is None:
            flight.answered_s = event.at
        if flight.answered_s is None:
            if flight.told is None:
                self._lost(flight, now, event.detail or "nobody learnt what became of it")
                return
            self._trunk_says(flight, flight.told, event.cause, now)
            self._rung(flight, now, person=False)
            self._end(flight, now)
        elif flight.connected_s is not None or flight.verdict in (wire.Verdict.MACHINE, wire.Verdict.FAX):
            self._end(flight, now)
        else:
            # What the floor has to say of the call may still be on its way
            flight.phase = Phase.OVER

    def _trunk_says(self, flight: Flight, outcome: AttemptOutcome | None, cause: int | None, now: Instant) -> None:
        if flight.given_up:
            return
        use = self.trunks[flight.trunk]
        if use.came_to(outcome, cause, now.mono):
            rest_s = (use.rests_until_s or now.mono) - now.mono
            self.counters["trunk_rests"] += 1
            detail = f"trunk {flight.trunk} fails ({outcome}, cause {cause}): left alone for {rest_s:.0f} s"
            self._actions.append(say.Alarm("trunk_rests", detail))

    def _seen(self, event: wire.OutboundSeen, now: Instant) -> None:
        there = {one.attempt: one for one in event.attempts}
        for flight in [one for one in self.flights.values() if one.phase is Phase.LEFT and one.node == event.node]:
            seen = there.get(flight.attempt)
            if seen is None:
                self._lost(flight, now, "the service was away, and its line is gone")
            else:
                self._follow(flight, seen, now)
        for attempt in there:
            if attempt not in self.flights and attempt not in self._gone and event.first:
                detail = f"line {attempt} on {event.node} is of no attempt that is known; it is left to the dialplan"
                self._actions.append(say.Alarm("unknown_attempt", detail))

    def _follow(self, flight: Flight, seen: wire.SeenAttempt, now: Instant) -> None:
        """A line of an earlier life is still there."""
        self.counters["attempts_followed"] += 1
        runner = self.runners[flight.campaign]
        state = wire.SeenState
        if flight.judged:
            flight.phase = Phase.CONNECTED
            return
        match seen.state:
            case state.RINGING:
                flight.phase = Phase.RINGING
            case state.ASKING:
                flight.phase = Phase.ANSWERED
                flight.answered_s = flight.answered_s or now.utc
            case state.WAITING:
                flight.phase, flight.verdict = Phase.WAITING, wire.Verdict.UNSURE
                flight.answered_s = flight.answered_s or now.utc
                flight.person_s = flight.answered_s
            case state.TALKING:
                # Nobody knows whether the agent was there in time
                flight.phase, flight.verdict = Phase.CONNECTED, wire.Verdict.PERSON
                flight.answered_s = flight.connected_s = flight.answered_s or now.utc
                flight.judged = flight.charged = True
                runner.book.lost(now.utc)
            case state.MESSAGE | state.ELSEWHERE:
                flight.phase, flight.verdict = Phase.WAITING, wire.Verdict.UNSURE
                flight.answered_s = flight.person_s = flight.answered_s or now.utc
                self._judge(flight, now, abandoned=True)
            case _:
                assert_never(seen.state)

    def _node_lost(self, event: wire.OutboundLost, now: Instant) -> None:
        node = self.nodes.get(event.node)
        if node is not None:
            node.lost()
        for flight in self.flights.values():
            if flight.node == event.node:
                flight.taken = True

    def _node_back(self, event: wire.OutboundBack, now: Instant) -> None:
        node = self.nodes.get(event.node)
        if node is not None:
            node.up = True

    # -- the floor -------------------------------------------------------------------------------------------------------

    def _call_began(self, event: say.CallBegan, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is not None:
            flight.call = event.call
            self._calls[event.call] = flight

    def _call_connected(self, event: say.CallConnected, now: Instant) -> None:
        flight = self._calls.get(event.call)
        if flight is None or flight.connected_s is not None:
            return
        flight.connected_s, flight.agent = event.at_s, event.agent
        if flight.over_s is None:
            flight.phase = Phase.CONNECTED
        since_s = flight.person_s if flight.person_s is not None else flight.answered_s
        if since_s is None:
            since_s = flight.answered_s = event.at_s
        late = event.at_s - since_s > self.runners[flight.campaign].campaign.connect_s
        self._judge(flight, now, abandoned=late)
        if late:
            self.counters["connected_late"] += 1
        self._recent.served[flight.number] = event.at_s
        known: dict[str, float | str] = {"call": event.call, "agent": event.agent}
        times = {"dialled_at": flight.sent_s, "rang_at": flight.rang_s, "answered_at": flight.answered_s}
        self._progress[flight.attempt] = known | {name: at for name, at in times.items() if at is not None}

    def _call_gone(self, event: say.CallGone, now: Instant) -> None:
        flight = self._calls.get(event.call)
        if flight is not None and flight.connected_s is None and event.sent_away:
            self._judge(flight, now, abandoned=True)

    def _judge(self, flight: Flight, now: Instant, *, abandoned: bool) -> None:
        """A person answered, and an agent was there in time or was not: the ledger is told, once."""
        if flight.judged:
            return
        flight.judged, flight.charged = True, abandoned
        runner = self.runners[flight.campaign]
        if abandoned:
            runner.book.abandoned(now.utc)
            self._recent.abandoned[flight.number] = now.utc
            self.counters["attempts_abandoned"] += 1
        else:
            runner.book.served(now.utc)
        runner.statistics.answered(runner.book.slack(now.utc))
        runner.learnt = True

    def _agent_turned(self, event: say.AgentTurned, now: Instant) -> None:
        if event.call is not None and event.call in self._calls and event.state in _TALKS | {AgentState.TALKING}:
            self._offered[event.agent] = event.call
        else:
            self._offered.pop(event.agent, None)
        before = self._stages.pop(event.agent, None)
        if before is not None:
            state, since_s, name = before
            runner = self.runners.get(name)
            if runner is not None:
                ended = event.state is not AgentState.LOGGED_OUT
                stage = "talk" if state is AgentState.TALKING else "wrap"
                length_s = max(0.0, event.at_s - since_s)
                runner.statistics.stage_ended("talk" if stage == "talk" else "wrap", event.agent, length_s, ended=ended)
                runner.learnt = True
            if event.state is AgentState.WRAP_UP:
                self._stages[event.agent] = (event.state, event.at_s, name)
        if event.state is AgentState.TALKING and event.call is not None:
            flight = self._calls.get(event.call)
            if flight is not None:
                self._stages[event.agent] = (event.state, event.at_s, flight.campaign)

    # -- the end of an attempt -------------------------------------------------------------------------------------------

    def _lost(self, flight: Flight, now: Instant, why: str) -> None:
        """Nobody will ever know: counted as an attempt, charged as an abandonment."""
        if flight.over_s is None:
            flight.over_s, flight.over_mono = now.utc, now.mono
        self.counters["attempts_lost"] += 1
        runner = self.runners[flight.campaign]
        if not flight.judged:
            flight.judged = flight.charged = True
            runner.book.lost(now.utc)
            self._recent.abandoned[flight.number] = now.utc
        outcome = AttemptOutcome.ANSWERED if flight.connected_s is not None else AttemptOutcome.UNKNOWN
        self._settle(flight, outcome, now)

    def _end(self, flight: Flight, now: Instant) -> None:
        """The line is gone, and all that will be known of it is known."""
        runner = self.runners[flight.campaign]
        outcome = flight.outcome(runner.campaign.connect_s)
        if not flight.judged:
            if outcome is AttemptOutcome.ABANDONED or (outcome is AttemptOutcome.OPTED_OUT and flight.answered_s):
                self._judge(flight, now, abandoned=True)
            elif outcome is AttemptOutcome.UNKNOWN:
                self._lost(flight, now, "nobody learnt what became of it")
                return
            else:
                flight.judged = True
                runner.book.unanswered(now.utc)
        self._settle(flight, outcome, now)

    def _settle(self, flight: Flight, outcome: AttemptOutcome, now: Instant) -> None:
        runner = self.runners[flight.campaign]
        assert flight.over_s is not None
        ended_s = max(flight.over_s, flight.committed_s)
        after = runner.after(flight, outcome, ended_s)
        runner.outcomes[outcome.value] += 1
        self.counters["attempts_settled"] += 1
        self._progress.pop(flight.attempt, None)
        self.trunks[flight.trunk].ended()
        self._untrack(flight)
        again = after if isinstance(after, Again) else None
        self._ended.append(
            say.Ended(
                flight.attempt,
                outcome,
                ended_s,
                None if again is None else again.due_s,
                None if again is None else again.number,
                blocked=outcome is AttemptOutcome.OPTED_OUT,
                dialled_s=flight.sent_s,
                rang_s=flight.rang_s,
                answered_s=flight.answered_s,
                cause=flight.cause,
                call=flight.call,
                agent=flight.agent,
                message=flight.message,
            )
        )

    # -- deciding --------------------------------------------------------------------------------------------------------

    def _look(self, event: say.Look, now: Instant) -> None:
        if event.lag_s > LAG_S:
            self._lags_until_mono = now.mono + LAG_REST_S
        self._tidy(now)
        busy = {agent: name for agent, (_, _, name) in self._stages.items()}
        busy |= {agent: self._calls[call].campaign for agent, call in self._offered.items() if call in self._calls}
        shares = self._sharing.among(event.seats, [runner.part() for runner in self.runners.values()], busy)
        present = {name: sum(name in seat.lines for seat in event.seats) for name in self.runners}
        held_up = self.held_up(now) is not None
        wanted: dict[str, int] = {}
        covered: dict[str, int] = {}
        idle: dict[str, frozenset[str]] = {}
        for name, runner in self.runners.items():
            shared = shares[name]
            most = 0 if held_up or shared.yields else self._room(runner, now)
            supply = runner.supply_of(shared, self._offered, most, now.utc)
            runner.supply, runner.decision = supply, None
            if runner.state is not CampaignState.RUNNING or runner.removed or now.utc < runner.wait_until_s:
                continue
            runner.decision = runner.pacer.decide(supply, runner.statistics, runner.book.ledger, now.utc)
            runner.book.slack(now.utc)
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
                self._sharing.dialled(name, campaign.weight)
                wanted[name] -= 1
            else:
                wanted[name] = 0
            if wanted[name] <= 0:
                del wanted[name]
        if not held_up:
            for name, runner in self.runners.items():
                kinds = runner.wants(present[name], now)
                if kinds:
                    runner.claiming = True
                    here = tuple(sorted(seat.agent for seat in event.seats if name in seat.lines))
                    self._actions.append(say.Claim(name, kinds, here))

    def _tidy(self, now: Instant) -> None:
        """What time alone brings about."""
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
                    self._lost(flight, now, "nothing was heard of it")
        for runner in self.runners.values():
            runner.let_go(now.utc - READY_AGE_S)

    def _room(self, runner: Runner, now: Instant) -> int:
        """Lines that the way out has now."""
        node = self._node_of(runner)
        if node is None or len(self.flights) >= LINES_MOST:
            return 0
        committing = sum(1 for made in self._made if made.node == node)
        trunk = self.trunks[runner.terms.trunk.name]
        return max(0, min(trunk.room(runner.terms.trunk, now.mono), self.nodes[node].room() - committing))

    def _node_of(self, runner: Runner) -> str | None:
        """The node of the campaign's trunk, if it can be dialled from."""
        named = runner.terms.trunk.node
        if named is None and len(self.nodes) == 1:
            named = next(iter(self.nodes))
        return named if named in self.nodes and self.nodes[named].up else None

    def _place_one(self, runner: Runner, done: int, covered: int, idle: frozenset[str], now: Instant) -> bool:
        """One line more, if there is a contact for it that may be called. ``done``: placed at this look."""
        node = self._node_of(runner)
        if node is None or self._room(runner, now) <= 0:
            return False
        use = self.trunks[runner.terms.trunk.name]
        supply, agent_held = runner.supply, done < covered
        assert supply is not None
        shortfall = (0.0, 0.0)
        if not agent_held:
            forecast = runner.forecaster.forecast(supply, runner.statistics, now.utc)
            shortfall = forecast.shortfall(done + 1)
        # The gate counts in UTC seconds, the trunk in those that never go back
        ahead_s = now.utc - now.mono
        state, most = use.state(), max(1, int(runner.terms.trunk.calls_per_s))
        state = replace(
            state,
            started_s=tuple(at + ahead_s for at in state.started_s[-most:]),
            rests_until_s=None if state.rests_until_s is None else state.rests_until_s + ahead_s,
        )
        chosen = runner.choose(
            state,
            runner.book.slack(now.utc),
            shortfall,
            self._recent,
            self._numbers,
            idle,
            agent_held=agent_held,
            now=now,
        )
        if chosen is None:
            return False
        self._commit(runner, chosen, node, agent_held, now)
        return True

    def _commit(self, runner: Runner, chosen: Chosen, node: str, agent_held: bool, now: Instant) -> None:
        self._serial += 1
        ready, piece, campaign = chosen.ready, chosen.ready.piece, runner.campaign
        flight = Flight(
            f"{self.epoch:06d}{self._serial:08d}", campaign.name, ready.contact.contact, ready.contact, piece.number, node,
            runner.terms.trunk.name, campaign.mode, chosen.permit.caller_id, now.utc,
        )  # fmt: skip
        flight.callback, flight.callback_agent, flight.segment = ready.callback, piece.agent, piece.segment
        flight.tried, flight.needs_agent = ready.tried, chosen.permit.needs_agent
        self._track(flight, runner)
        # Counted as a line by tracking it already
        self.trunks[flight.trunk].started_s.append(now.mono)
        self._recent.note(flight.number, now.utc)
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
                flight.attempt, campaign.name, flight.contact_id, flight.number, campaign.mode.value, flight.caller_id,
                flight.trunk, node, flight.callback, campaign.client, seen,
            )
        )  # fmt: skip
        self.counters["attempts_committed"] += 1

    # -- for people ------------------------------------------------------------------------------------------------------

    def explain(self, name: str, now: Instant) -> dict[str, Any]:
        """Why a campaign dials nobody, or so few: the first of ``why`` counts."""
        runner = self.runners[name]
        why = [{"what": word, "detail": said} for word, said in self._reasons(runner, now)]
        supply, decision = runner.supply, runner.decision
        trunk, use = runner.terms.trunk, self.trunks[runner.terms.trunk.name]
        node = self._node_of(runner)
        return {
            "campaign": name,
            "why": why,
            "decision": None if decision is None else {"lines": decision.lines, **decision.why.as_json()},
            "supply": None
            if supply is None
            else {
                "idle": supply.idle, "waiting": supply.waiting, "talking": len(supply.talking),
                "wrapping": len(supply.wrapping), "ringing": len(supply.ringing), "room": supply.most,
            },
            "refusals": dict(runner.refusals.most_common()),
            "last_refusals": {
                reason: {"detail": said.detail, "until": said.until_s} for reason, said in runner.last_refusal.items()
            },
            "ready": len(runner.ready),
            "trunk": {
                "name": trunk.name, "lines": use.lines, "lines_most": trunk.lines, "calls_per_s": trunk.calls_per_s,
                "rests_s": max(0.0, use.rests_until_s - now.mono) if use.rests_until_s is not None else None,
                "rested": use.rested,
            },
            "node": None
            if node is None
            else {
                "name": node, "window": round(self.nodes[node].window, 1), "under_way": self.nodes[node].under_way,
                "response_s": round(self.nodes[node].response_s, 4),
            },
        }  # fmt: skip

    def _reasons(self, runner: Runner, now: Instant) -> list[tuple[str, str]]:
        """What stands in the way, the gravest first."""
        found: list[tuple[str, str]] = []
        name, campaign = runner.name, runner.campaign
        if runner.state is not CampaignState.RUNNING:
            by = f" by {runner.by}" if runner.by else ""
            found.append(("state", f"campaign {name} is {runner.state}{by}"))
        held_up = self.held_up(now)
        if held_up is not None:
            found.append(held_up)
        if held_up is None and self._node_of(runner) is None:
            found.append(("node", f"the Asterisk of trunk {campaign.trunk} is not connected, or not named"))
        use = self.trunks[campaign.trunk]
        if use.rests_until_s is not None and now.mono < use.rests_until_s:
            rest_s = use.rests_until_s - now.mono
            found.append(("trunk_rests", f"trunk {campaign.trunk} failed and is left alone for {rest_s:.0f} s more"))
        elif use.lines >= runner.terms.trunk.lines:
            found.append(("lines", f"all {runner.terms.trunk.lines} lines of trunk {campaign.trunk} are in use"))
        waits: Refusal | None = runner.waits_for
        if waits is not None and now.utc < runner.wait_until_s:
            found.append((f"gate:{waits.reason.value}", waits.detail))
        supply = runner.supply
        if supply is not None and not (supply.idle or supply.talking or supply.wrapping):
            found.append(("agents", f"no agent who serves {name} is there"))
        elif supply is not None and not supply.idle and campaign.mode is Mode.PROGRESSIVE:
            found.append(("agents", "every agent is busy"))
        if runner.state is CampaignState.RUNNING and not runner.ready and not found:
            found.append(("contacts", f"no contact of its lists ({', '.join(campaign.lists) or 'none'}) is due now"))
        if runner.decision is not None and not found:
            found.append((f"pacer:{runner.decision.why.because}", _PACER[runner.decision.why.because]))
        return found

    def status(self, name: str, now: Instant) -> dict[str, Any]:
        """A campaign as it is now, JSON-able."""
        runner = self.runners[name]
        campaign, supply, slack = runner.campaign, runner.supply, runner.book.slack(now.utc)
        phases = Counter(flight.phase for flight in runner.flights.values())
        why = self._reasons(runner, now)
        decision = runner.decision
        return {
            "name": name,
            "mode": campaign.mode.value,
            "state": runner.state.value,
            "since": runner.since_s,
            "by": runner.by,
            "reason": runner.reason,
            "queue": campaign.queue,
            "trunk": campaign.trunk,
            "lists": list(campaign.lists),
            "profile": campaign.profile,
            "priority": campaign.priority,
            "weight": campaign.weight,
            "agents": {
                "idle": 0 if supply is None else supply.idle,
                "talking": 0 if supply is None else len(supply.talking),
                "wrapping": 0 if supply is None else len(supply.wrapping),
            },
            "ringing": sum(phases[phase] for phase in RINGS),
            "waiting": phases[Phase.WAITING],
            "connected": phases[Phase.CONNECTED],
            "ready": len(runner.ready),
            "outcomes": dict(runner.outcomes),
            "settled": sum(runner.outcomes.values()),
            "refusals": dict(runner.refusals),
            "ledger": {
                "window": slack.span, "cap": slack.cap, "answered": round(slack.answered, 2),
                "charged": round(slack.charged, 2), "slack": round(slack.slack, 2),
                "share": round(slack.charged / slack.answered, 5) if slack.answered else None,
                "in_flight": runner.book.ledger.in_flight,
            },
            "answer_rate": round(runner.statistics.answer_rate.rate(now.utc, runner.segment)[0], 4),
            "talk_s": round(runner.statistics.talk.mean_s, 1),
            "wrap_s": round(runner.statistics.wrap.mean_s, 1),
            "threshold": None if decision is None else decision.why.threshold,
            "because": why[0][0] if why else None,
            "because_detail": why[0][1] if why else None,
        }  # fmt: skip


_PACER: Final[Mapping[str, str]] = {
    "pulled": "as many as agents have accepted",
    "covered": "a line for every idle agent; one more would risk too much",
    "ratio": "as many as the ratio allows",
    "risk": "one more line would too likely reach a person for whom no agent is free",
    "ledger": "the abandonments that the law allows are used up: a line only for an idle agent",
    "lines": "as many as the trunk, Asterisk and the contacts at hand allow",
    "nothing": "no agent is idle and no line may be placed ahead",
}
