"""Attempts in flight: what the wire and the floor tell of them, what the ledger is told, and what they came to. Pure.

The half of `core` that decides nothing: every event finds its flight, changes it, and the last one ends it. What is to
become durable is collected here; the ledger is told once of each attempt.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, assert_never

from acd.dialer.gate import Reason, Refusal
from acd.dialer.ledger import Slack
from acd.dialer.retry import Again
from acd.domain import outbound as wire
from acd.domain.campaigns import AttemptOutcome, Contact, ContactNumber, Effect, GivenUp
from acd.domain.instant import Instant
from acd.domain.states import AgentState
from acd.outbound import words as say
from acd.outbound.flight import RINGS, Flight, Phase
from acd.outbound.recent import Recent
from acd.outbound.runner import Runner
from acd.outbound.trunks import Pressure, TrunkUse

_ENDED_KEPT: Final = 10_000
NAME_MAX: Final = 80
"""So much of a contact's name is told with the call."""
SAY_AGAIN_S: Final = 60.0
"""What is said of one thing again and again is said so often."""
CAP_PASSED: Final = 3.0
"""An alarm is raised when a campaign has abandoned so many people more than it may, and twice as many as it may."""
UNMET: Final = 5
"""So many people in a row who met no agent, if not more agents are there, and a campaign rests."""
SILENT: Final = 3
"""So many are enough if the phones of as many agents were called for them and none was answered."""
SILENT_S: Final = 1.0
"""A phone that was called for less has said nothing yet."""
UNMET_S: Final = 30.0
UNMET_MOST_S: Final = 600.0
_MISSING_MOST: Final = 100
_DIGITS: Final = re.compile(r"\+?[0-9][0-9 ()./-]{3,}")
"""What may be a number, or a part of one."""
_TALKS: Final = frozenset({AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING})


def _draw(attempt: str) -> float:
    """A number from 0 to below 1 that has nothing to do with who answers."""
    return int.from_bytes(blake2b(attempt.encode(), digest_size=6).digest()) / 2**48


def _in_vain(runner: Runner) -> bool:
    """Whether its agents' phones are not worth another person. One that is dead is not, while others are there; nor are
    many that were called at once for one or two people."""
    silent = frozenset().union(*runner.silent)
    agents = len(runner.seats | silent)
    if len(silent) >= min(SILENT, agents) and len(runner.silent) >= max(2, min(SILENT, agents)):
        return True
    return runner.unmet >= max(UNMET, runner.present)


@dataclass(slots=True)
class Served:
    """Somebody who had an agent in time, as the ledger counted him. ``machine``: no longer, for an agent says that it was
    one."""

    at_s: float
    share: float
    machine: bool = False


class Aloft:
    """Campaigns, trunks and nodes by name, attempts by id. ``sealed``: makes the hash in whose form a number may be kept."""

    def __init__(self, sealed: Callable[[str], str] | None = None) -> None:
        self.runners: dict[str, Runner] = {}
        self.flights: dict[str, Flight] = {}
        self.trunks: dict[str, TrunkUse] = {}
        self.nodes: dict[str, Pressure] = {}
        self.counters: Counter[str] = Counter()
        self.recent = Recent(sealed)
        self.numbers: dict[str, str] = {}
        """number, and ``contact:`` with its id -> attempt"""
        self.committing: dict[str, Flight] = {}
        """attempts that are not durable yet"""
        self._calls: dict[str, Flight] = {}
        self._offered: dict[str, str] = {}
        """agent -> the call that he has, or that is on its way to him"""
        self._stages: dict[str, tuple[AgentState, float, str]] = {}
        """agent -> what he does for which campaign, since when"""
        self._gone: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """attempt -> its number and campaign, for what is heard after its end"""
        self._ended: list[say.Ended] = []
        self._opt_outs: list[say.OptOut] = []
        self._noted: OrderedDict[str, None] = OrderedDict()
        """attempts whose opt-out was noted in this life"""
        self._said: list[say.Said] = []
        self._served: OrderedDict[str, Served] = OrderedDict()
        """attempt -> how the ledger has counted it"""
        self._progress: dict[str, dict[str, float | str]] = {}
        self._actions: list[say.Action] = []
        self._said_missing: dict[str, float] = {}
        """what is missing in Asterisk -> when that was said last (mono)"""

    # -- keeping track ---------------------------------------------------------------------------------------------------

    def do(self, action: say.Action) -> None:
        """Have something done."""
        self._actions.append(action)

    def _command(self, command: wire.OutboundCommand) -> None:
        self._actions.append(say.Do(command))

    def _track(self, flight: Flight, runner: Runner) -> None:
        self.flights[flight.attempt] = runner.flights[flight.attempt] = flight
        self.numbers[flight.number] = self.numbers[f"contact:{flight.contact_id}"] = flight.attempt
        self.trunks.setdefault(flight.trunk, TrunkUse()).lines += 1

    def _untrack(self, flight: Flight, now: Instant) -> None:
        """Nothing more is expected of it; its line has been given back."""
        del self.flights[flight.attempt]
        self.committing.pop(flight.attempt, None)
        runner = self.runners[flight.campaign]
        runner.flights.pop(flight.attempt, None)
        for key in (flight.number, f"contact:{flight.contact_id}"):
            if self.numbers.get(key) == flight.attempt:
                del self.numbers[key]
        if flight.call is not None:
            self._calls.pop(flight.call, None)
        self.recent.over(flight.attempt, flight.number, now.utc)
        self._gone[flight.attempt] = (flight.number, flight.campaign)
        while len(self._gone) > _ENDED_KEPT:
            self._gone.popitem(last=False)

    def told_of(self, attempt: str) -> tuple[str, str]:
        """Number and campaign of an attempt that is over; empty if that is long ago."""
        return self._gone.get(attempt, ("", ""))

    def dialled(self, attempt: str) -> tuple[str, str]:
        """Number and name of whom an attempt in flight is at; empty if that is not known, or its hash alone."""
        flight = self.flights.get(attempt)
        if flight is None or not flight.number.startswith("+"):
            return "", ""
        return flight.number, "" if flight.contact is None else flight.contact.name[:NAME_MAX]

    def _unsent(self, flight: Flight, now: Instant) -> None:
        """It is never dialled."""
        self.runners[flight.campaign].book.unanswered(now.utc)
        self.trunks[flight.trunk].ended(flight.attempt)

    # -- the wire --------------------------------------------------------------------------------------------------------

    def _placed(self, event: wire.AttemptPlaced, now: Instant) -> None:
        flight, node = self.flights.get(event.attempt), self.nodes.get(event.node)
        if flight is not None and not flight.taken and node is not None:
            flight.taken = True
            node.taken(event.took_s, now.mono)

    def _began(self, event: wire.AttemptBegan, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is None:
            self.counters["attempts_begun_late"] += 1
            self._command(wire.EndAttempt(event.node, event.attempt))
        else:
            self._begun_late(flight, event.at)

    def _begun_late(self, flight: Flight, at_s: float) -> None:
        """Asterisk did late what it was told: hours, limits and agents are not what they were when that was decided. Who
        has answered is served all the same."""
        if flight.over_s is not None or flight.phase not in (Phase.LEFT, Phase.DIALLED, Phase.RINGING):
            return
        self.counters["attempts_begun_late"] += 1
        flight.sent_s, flight.given_up = at_s, GivenUp.LATE
        self._command(wire.EndAttempt(flight.node, flight.attempt))

    def _attempt_refused(self, event: wire.AttemptRefused, now: Instant) -> None:
        flight, node = self.flights.get(event.attempt), self.nodes.get(event.node)
        if flight is None or flight.over_s is not None:
            return
        if node is not None and not flight.taken:
            flight.taken = True
            node.refused(now.mono)
        self.counters["attempts_refused"] += 1
        # Who is called is nobody's business there
        why = _DIGITS.sub("...", event.detail)
        self._actions.append(say.Alarm("attempt_refused", f"trunk {flight.trunk}: attempt {flight.attempt}: {why}"))
        self._trunk_says(flight, AttemptOutcome.FAILED, None, why, now)
        flight.told, flight.over_s, flight.over_mono = AttemptOutcome.FAILED, event.at, now.mono
        self._end(flight, now)

    def _rang(self, event: wire.AttemptRang, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is not None and flight.phase in (Phase.DIALLED, Phase.LEFT):
            flight.phase = Phase.RINGING
            if not event.heard or flight.sent_s is None:
                # Since when is not known, unless an earlier life has noted it
                self.trunks[flight.trunk].got_through()
                return
            flight.rang_s = event.at
            self._progress[flight.attempt] = {"rang_at": event.at}
            self.trunks[flight.trunk].rang(event.at - flight.sent_s)

    def _answered(self, event: wire.AttemptAnswered, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is None or flight.answered_s is not None or flight.over_s is not None:
            return
        if flight.phase is Phase.LEFT:
            # When he did, nobody heard: the look that is about to be told says where he is
            return
        flight.answered_s = event.at
        if flight.phase in RINGS:
            flight.phase = Phase.ANSWERED
        self.trunks[flight.trunk].got_through()

    def _classified(self, event: wire.AttemptClassified, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if flight is None:
            return
        if event.detail == wire.NO_CLASSIFIER:
            self._classifier_missing(flight, event.node, now)
        self._person_or_not(flight, event.verdict, event.at, now)

    def _classifier_missing(self, flight: Flight, node: str, now: Instant) -> None:
        name = self.runners[flight.campaign].campaign.classifier
        if self._said_lately(f"classifier {name}", now):
            return
        detail = (
            f"the dialplan of {node} has no context {name} with an extension s that includes acd-classifier: nobody tells "
            f"machines from people for campaign {flight.campaign}"
        )
        self._actions.append(say.Alarm("classifier_missing", detail))

    def _person_or_not(self, flight: Flight, verdict: wire.Verdict, at: float, now: Instant) -> None:
        if flight.verdict is not None or flight.over_s is not None:
            return
        if self.runners[flight.campaign].campaign.amd and flight.desk is None:
            flight.heard = verdict
            verdict = self._looked_at(flight, verdict)
        flight.verdict = verdict
        if flight.answered_s is None:
            flight.answered_s = at
            if flight.phase is Phase.LEFT and verdict not in (wire.Verdict.MACHINE, wire.Verdict.FAX):
                # He asks before anybody has looked, and may have waited for longer than he must
                self._unwatched(flight, now)
        if verdict in (wire.Verdict.MACHINE, wire.Verdict.FAX):
            self._rung(flight, now, person=False)
            return
        # Unsure is a person: he gets an agent, and counts
        flight.person_s = at
        if flight.phase in RINGS:
            flight.phase = Phase.WAITING
        self._rung(flight, now, person=True)

    def _looked_at(self, flight: Flight, verdict: wire.Verdict) -> wire.Verdict:
        """Some of the machines are put through, for agents to say how many of them are people: while agents are free, so
        that nobody is abandoned for it. Which, their ids say."""
        runner = self.runners[flight.campaign]
        share = runner.campaign.amd_audit
        if verdict is not wire.Verdict.MACHINE or _draw(flight.attempt) >= share:
            return verdict
        waiting = sum(one.phase is Phase.WAITING for one in runner.flights.values())
        if len(runner.free) <= waiting:
            return verdict
        self.counters["machines_audited"] += 1
        return wire.Verdict.UNSURE

    def _rung(self, flight: Flight, now: Instant, *, person: bool) -> None:
        """It has rung to its end, one way or another: learn from it."""
        runner = self.runners[flight.campaign]
        if flight.phase is not Phase.LEFT:
            runner.statistics.line_ended(now.utc, flight.ring_s, person=person, segment=flight.segment)
            runner.learnt = True

    def _message(self, event: wire.AttemptMessage, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        if event.missing:
            # Recorded as none at all: nobody may take it for heard
            self.counters["messages_missing"] += 1
            self._message_missing(event, now)
            return
        self.counters["messages_played" if event.played else "messages_cut"] += 1
        if flight is not None:
            flight.message = "played" if event.played else "cut"
            if flight.left and event.asked_at is not None and event.asked_at >= flight.committed_s:
                # A look had told that he had answered, and not when
                flight.answered_s = flight.person_s = event.asked_at
            if flight.verdict is not wire.Verdict.MACHINE and flight.connected_s is None:
                # Whoever hears it has no agent, whatever else was seen of him
                self._judge(flight, now, abandoned=True)

    def _message_missing(self, event: wire.AttemptMessage, now: Instant) -> None:
        """Say so, of each sound once a minute."""
        if self._said_lately(f"sound {event.missing}", now):
            return
        detail = (
            f"{event.node} cannot play the sound {event.missing}: who was not put through heard no message; put it under "
            "Asterisk's sounds, where its user can read it, or name another one"
        )
        self._actions.append(say.Alarm("message_missing", detail))

    def _said_lately(self, what: str, now: Instant) -> bool:
        """Whether that is missing was said within the last minute; from now on it was."""
        self._said_missing = {one: at for one, at in self._said_missing.items() if now.mono - at < SAY_AGAIN_S}
        if what in self._said_missing or len(self._said_missing) >= _MISSING_MOST:
            return True
        self._said_missing[what] = now.mono
        return False

    def _opted_out(self, event: wire.AttemptOptedOut, now: Instant) -> None:
        flight = self.flights.get(event.attempt)
        number, campaign = self._gone.get(event.attempt, ("", ""))
        if flight is not None:
            number, campaign, flight.opted_out = flight.number, flight.campaign, True
            # Of one of an earlier life that may be all that is known
            flight.answered_s = event.at if flight.answered_s is None else flight.answered_s
        self._note_opt_out(event.attempt, number, campaign, min(event.at, now.utc))

    def _note_opt_out(self, attempt: str, number: str, campaign: str, at_s: float) -> None:
        if attempt in self._noted:
            return
        self._noted[attempt] = None
        while len(self._noted) > _ENDED_KEPT:
            self._noted.popitem(last=False)
        # Of an attempt that is known no more, the store has the number
        self.counters["opted_out"] += 1
        runner = self.runners.get(campaign)
        client = runner.campaign.client if runner is not None else None
        scope = f"client:{client}" if client else "all"
        heard = say.OptOut(number, scope, attempt, at_s)
        if number:
            self.recent.opted_out[number, scope] = heard.at_s
        self._opt_outs.append(heard)
        self._actions.append(say.KeepOptOut(heard))

    def _heard_before(self, event: say.HeardBefore, now: Instant) -> None:
        self._opt_outs += event.opt_outs

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
                self._lost(flight, now)
                return
            self._trunk_says(flight, flight.told, event.cause, event.detail, now)
            if flight.told is AttemptOutcome.WITHDRAWN:
                self.counters["attempts_without_channel"] += 1
                self._undialled(flight, now)
                return
            self._rung(flight, now, person=False)
            self._end(flight, now)
        elif flight.connected_s is not None or flight.verdict in (wire.Verdict.MACHINE, wire.Verdict.FAX):
            self._end(flight, now)
        else:
            # What the floor has to say of the call may still be on its way
            flight.phase = Phase.OVER

    def _undialled(self, flight: Flight, now: Instant, until_s: float | None = None) -> None:
        """An attempt is durable, and nothing went to the trunk."""

    def _trunk_says(
        self, flight: Flight, outcome: AttemptOutcome, cause: int | None, detail: str, now: Instant
    ) -> None:
        if flight.given_up:
            return
        use = self.trunks[flight.trunk]
        if use.came_to(outcome, cause, now.mono):
            rest_s = (use.rests_until_s or now.mono) - now.mono
            self.counters["trunk_rests"] += 1
            trunk = self.runners[flight.campaign].terms.trunk
            dials = f" ({trunk.dial})" if trunk.name == flight.trunk else ""
            why = _DIGITS.sub("...", detail) or f"cause {cause}"
            what = "no call can be made" if outcome is AttemptOutcome.WITHDRAWN else outcome.value
            use.why = f"{what}: {why}"
            rest = f"left alone for {rest_s:.0f} s, then tried with one line"
            self._actions.append(say.Alarm("trunk_rests", f"trunk {flight.trunk}{dials} fails: {use.why}; {rest}"))

    def _seen(self, event: wire.OutboundSeen, now: Instant) -> None:
        there = {one.attempt: one for one in event.attempts}
        for flight in [one for one in self.flights.values() if one.phase is Phase.LEFT and one.node == event.node]:
            seen = there.get(flight.attempt)
            if seen is None:
                self._lost(flight, now)
            else:
                self._follow(flight, seen, now)
        for one in event.attempts:
            aloft = self.flights.get(one.attempt)
            if aloft is not None and aloft.given_up is None:
                told_s = aloft.committed_s if aloft.sent_s is None else aloft.sent_s
                # Asterisk tells whole seconds
                if one.since - told_s > wire.BEGUN_LATE_S + 1.0:
                    self._begun_late(aloft, one.since)
        for attempt in there:
            if wire.LEG.fullmatch(attempt):
                self._leg_seen(event.node, there[attempt])
            elif attempt not in self.flights and attempt not in self._gone and event.first:
                detail = f"line {attempt} on {event.node} is of no attempt that is known; it is left to the dialplan"
                self._actions.append(say.Alarm("unknown_attempt", detail))

    def _leg_seen(self, node: str, seen: wire.SeenAttempt) -> None:
        """An agent's own line is there."""

    def _desk_turned(self, event: say.AgentTurned, now: Instant) -> None:
        """An agent who has a contact dialled may have turned to something else."""

    def _flight_over(self, flight: Flight, now: Instant) -> None:
        """An attempt that an agent had dialled has come to something."""

    def _follow(self, flight: Flight, seen: wire.SeenAttempt, now: Instant) -> None:
        """A line of an earlier life is still there."""
        self.counters["attempts_followed"] += 1
        state = wire.SeenState
        if flight.judged:
            flight.phase = Phase.CONNECTED
            return
        match seen.state:
            case state.DIALLING:
                flight.phase = Phase.DIALLED
            case state.RINGING:
                flight.phase = Phase.RINGING
            case state.ASKING:
                flight.phase = Phase.ANSWERED
                flight.answered_s = flight.answered_s or now.utc
            case state.WAITING:
                flight.phase, flight.verdict = Phase.WAITING, wire.Verdict.UNSURE
                if flight.answered_s is None:
                    # He may have waited for longer than he must, whatever becomes of him
                    self._unwatched(flight, now)
                flight.person_s = flight.answered_s = flight.answered_s or now.utc
            case state.TALKING:
                flight.phase, flight.verdict = Phase.CONNECTED, wire.Verdict.PERSON
                flight.answered_s = flight.connected_s = flight.answered_s or now.utc
                self._unwatched(flight, now)
            case state.MACHINE:
                flight.phase, flight.verdict = Phase.ANSWERED, wire.Verdict.MACHINE
                flight.answered_s = flight.answered_s or now.utc
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
        # An agent whose state was dated by a clock that was ahead did not come hours late
        at_s = min(event.at_s, now.utc)
        flight.connected_s, flight.agent = at_s, event.agent
        if flight.over_s is None:
            flight.phase = Phase.CONNECTED
        since_s = flight.person_s if flight.person_s is not None else flight.answered_s
        if since_s is None:
            since_s = flight.answered_s = at_s
        late = at_s - since_s > self.runners[flight.campaign].campaign.connect_s
        self._judge(flight, now, abandoned=late)
        if late:
            self.counters["connected_late"] += 1
        self.recent.served[flight.number] = at_s
        known: dict[str, float | str] = {"call": event.call, "agent": event.agent}
        times = {"dialled_at": flight.sent_s, "rang_at": flight.rang_s, "answered_at": flight.answered_s}
        self._progress[flight.attempt] = known | {name: at for name, at in times.items() if at is not None}

    def _call_gone(self, event: say.CallGone, now: Instant) -> None:
        flight = self._calls.get(event.call)
        if flight is not None and flight.connected_s is None and event.sent_away:
            self._judge(flight, now, abandoned=True)

    def _judge(self, flight: Flight, now: Instant, *, abandoned: bool, left_early: bool = False) -> None:
        """A person answered, and an agent was there in time or was not: the ledger is told, once. ``left_early``: he went
        by himself before an agent had to be there, which says nothing of the agents' phones."""
        if flight.judged:
            return
        flight.judged, flight.charged = True, abandoned
        runner = self.runners[flight.campaign]
        if abandoned:
            runner.book.abandoned(now.utc)
            self.recent.abandoned[flight.number] = now.utc
            self.counters["attempts_abandoned"] += 1
            if not flight.left and not left_early:
                self._watch_agents(runner, flight, now)
        else:
            runner.book.served(now.utc)
            runner.met()
            if flight.agent is not None:
                self._is_heard(flight.agent)
            self._served[flight.attempt] = Served(now.utc, runner.book.share)
            while len(self._served) > _ENDED_KEPT:
                self._served.popitem(last=False)
        slack = runner.book.slack(now.utc)
        runner.statistics.answered(slack)
        runner.learnt = True
        self._watch_cap(runner, slack)

    def _watch_cap(self, runner: Runner, slack: Slack) -> None:
        """Whoever is responsible hears of a campaign that goes far beyond its cap, once until it is within it again."""
        if slack.slack >= 0.0:
            runner.beyond_cap = False
        elif not runner.beyond_cap and -slack.slack > max(CAP_PASSED, slack.cap * slack.answered):
            runner.beyond_cap = True
            share = slack.charged / slack.answered if slack.answered else 1.0
            detail = (
                f"campaign {runner.name} has abandoned {slack.charged:g} of {slack.answered:g} people ({share:.0%}) in its "
                f"{slack.span}, its cap is {slack.cap:.1%}: do its agents' phones answer? `acd campaign pause {runner.name}`"
            )
            self._actions.append(say.Alarm("campaign_beyond_cap", detail))

    def _watch_agents(self, runner: Runner, flight: Flight, now: Instant) -> None:
        """Person after person meets nobody: the agents' phones are dead, or slow. The campaign rests, longer each time, and
        goes on with one line until somebody is served."""
        runner.unmet += 1
        called = frozenset(agent for agent, mono in flight.called.items() if now.mono - mono >= SILENT_S)
        if called:
            runner.silent.append(called)
        if runner.rests and runner.waits(now) is not None:
            return  # his line rang already when it began to rest
        if not runner.rests and not _in_vain(runner):
            return
        rest_s = min(UNMET_MOST_S, UNMET_S * 2.0**runner.rests)
        runner.rests = min(runner.rests + 1, 16)
        self.counters["campaign_rests"] += 1
        detail = f"the last {runner.unmet} people who answered met no agent in time: do the agents' phones answer?"
        runner.wait(Refusal(Reason.LEDGER, now.utc + rest_s, detail), now.utc + rest_s, now)
        self._actions.append(
            say.Alarm("agents_unreachable", f"campaign {runner.name} dials nobody for {rest_s:.0f} s: {detail}")
        )

    def _is_heard(self, agent: str) -> None:
        """An agent's phone has been answered: it is not dead."""
        for runner in self.runners.values():
            runner.silent = [others for called in runner.silent if (others := called - {agent})]

    def _unwatched(self, flight: Flight, now: Instant) -> None:
        """A person may have answered while nobody looked, and nobody knows whether an agent was or will be there in time."""
        flight.judged = flight.charged = True
        self.runners[flight.campaign].book.lost(now.utc)

    def _agent_turned(self, event: say.AgentTurned, now: Instant) -> None:
        self._desk_turned(event, now)
        if event.call is not None and event.call in self._calls and event.state in _TALKS:
            self._offered[event.agent] = event.call
            self._calls[event.call].called.setdefault(event.agent, now.mono)
        else:
            self._offered.pop(event.agent, None)
            if event.state is AgentState.TALKING:
                self._is_heard(event.agent)
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

    def _lost(self, flight: Flight, now: Instant) -> None:
        """Nobody will ever know: counted as an attempt, charged as an abandonment."""
        if flight.over_s is None:
            flight.over_s, flight.over_mono = now.utc, now.mono
        self.counters["attempts_lost"] += 1
        if not flight.judged:
            self._unwatched(flight, now)
            self.recent.abandoned[flight.number] = now.utc
        outcome = AttemptOutcome.ANSWERED if flight.connected_s is not None else AttemptOutcome.UNKNOWN
        self._settle(flight, AttemptOutcome.OPTED_OUT if flight.opted_out else outcome, now)

    def _end(self, flight: Flight, now: Instant) -> None:
        """The line is gone, and all that will be known of it is known."""
        runner = self.runners[flight.campaign]
        outcome = flight.outcome(runner.campaign.connect_s)
        if not flight.judged:
            if outcome is AttemptOutcome.ABANDONED or (outcome is AttemptOutcome.OPTED_OUT and flight.answered_s):
                self._judge(flight, now, abandoned=True, left_early=not flight.stayed(runner.campaign.connect_s))
            elif outcome is AttemptOutcome.UNKNOWN:
                self._lost(flight, now)
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
        self.trunks[flight.trunk].ended(flight.attempt)
        self._untrack(flight, now)
        self._flight_over(flight, now)
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
                verdict=None if flight.heard is None else flight.heard.value,
                given_up=flight.given_up if flight.answered_s is None else None,
            )
        )
        if flight.said is not None:
            if flight.left and flight.connected_s is not None and not flight.charged:
                at_s = flight.connected_s if flight.answered_s is None else flight.answered_s
                self._served.setdefault(flight.attempt, Served(at_s, runner.book.share))
            self._say(runner, flight.attempt, flight.said, flight.contact, flight.number, flight.tried, now)

    # -- what agents say of it -------------------------------------------------------------------------------------------

    def _disposed(self, event: say.Disposed, now: Instant) -> None:
        flight, past = self.flights.get(event.attempt), event.past
        name = flight.campaign if flight is not None else past.campaign if past is not None else ""
        runner = self.runners.get(name)
        if runner is None:
            return
        disposition = runner.campaign.dispositions.get(event.word)
        if disposition is not None and disposition.effect is Effect.OPT_OUT:
            number = flight.number if flight is not None else past.number if past is not None else ""
            self._note_opt_out(event.attempt, number, name, now.utc)
        if flight is not None:
            # Said again with its end, when it is known what it came to, if need be by a later life
            flight.said = event.word
            kept = event.word if disposition is not None else ""
            self._progress.setdefault(flight.attempt, {})["said"] = kept
        elif past is not None:
            self._recall(event.attempt, past, runner)
            self._say(runner, event.attempt, event.word, past.contact, past.number, past.tried, now, before=past.said)

    def _recall(self, attempt: str, past: say.Past, runner: Runner) -> None:
        """How the ledger counted somebody in an earlier life, or long ago."""
        counted = past.outcome in (AttemptOutcome.ANSWERED, AttemptOutcome.MACHINE) and past.agent is not None
        if attempt not in self._served and counted and past.answered_s is not None:
            machine = past.outcome is AttemptOutcome.MACHINE
            self._served[attempt] = Served(past.answered_s, runner.book.share, machine)

    def _say(
        self,
        runner: Runner,
        attempt: str,
        word: str,
        contact: Contact | None,
        number: str,
        tried: Sequence[say.Tried],
        now: Instant,
        before: str | None = None,
    ) -> None:
        """An agent says what an attempt that is over came to. ``before``: what was said of it so far."""
        disposition = runner.campaign.dispositions.get(word)
        effect = None if disposition is None else disposition.effect
        outcome = self._revised(runner, attempt, now, machine=effect is Effect.MACHINE)
        was = runner.campaign.dispositions.get(before or "")
        good = was is not None and was.effect is Effect.WRONG_NUMBER and effect is not Effect.WRONG_NUMBER
        if good and contact is not None and all(one.number != number for one in contact.numbers):
            contact = replace(contact, numbers=(ContactNumber(number), *contact.numbers))
        after = None
        if disposition is not None and contact is not None:
            after = runner.after_said(contact, number, tried, disposition, now.utc)
        again = after if isinstance(after, Again) else None
        self._said.append(
            say.Said(
                attempt,
                # Free words may hold anything: they stay with the call
                word if disposition is not None else "",
                outcome,
                None if again is None else again.due_s,
                None if again is None else again.number,
                done=after is not None and again is None,
                bad=effect is Effect.WRONG_NUMBER,
                good=good,
            )
        )
        self.counters["attempts_disposed"] += 1

    def _revised(self, runner: Runner, attempt: str, now: Instant, *, machine: bool) -> AttemptOutcome | None:
        """What somebody who was served was after all, if that is to be changed. While its windows last: what is evidence
        of those that are over is not rewritten."""
        served = self._served.get(attempt)
        if served is None or served.machine is machine or not runner.book.holds(served.at_s):
            return None
        served.machine = machine
        runner.book.revise(now.utc, served.at_s, served.share, person=not machine)
        runner.outcomes[AttemptOutcome.MACHINE.value] += 1 if machine else -1
        runner.outcomes[AttemptOutcome.ANSWERED.value] += -1 if machine else 1
        self.counters["machines_served"] += 1 if machine else -1
        return AttemptOutcome.MACHINE if machine else AttemptOutcome.ANSWERED
