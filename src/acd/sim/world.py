"""One replication: callers, agents and a simulated Asterisk in virtual time around a Floor.

One queue of moments, ordered by time and then by when they were planned. Each moment may tell the floor something; the
commands of its step are carried out before the next. The floor's deadlines fire exactly when due. A command that nobody
here carries out raises: a simulation that ignores half of what the floor wants proves nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.definition import FloorDefinition, HangUp
from acd.domain.errors import AcdError
from acd.domain.events import AgentAction, Phase
from acd.domain.instant import Instant
from acd.domain.states import AgentState, OfferOutcome, PhoneState
from acd.floor import Floor
from acd.sim import faults, gauges
from acd.sim.book import AgentRow, CallBook, Fate, Look
from acd.sim.chance import Streams
from acd.sim.digest import Digest
from acd.sim.people import Caller, Person, Source
from acd.sim.scenario import NODE, AgentGroup, Scenario

LIVE_LIMIT = 1_000_000
"""Callers on the line at once; with more, nobody will ever be served."""


class SimulationError(AcdError):
    """The scenario cannot go on; the message says at which moment and why."""


def _without_lasting_lines(definition: FloorDefinition) -> FloorDefinition:
    """Nobody has one here: everybody's phone rings, as long as the scenario says."""
    agents = {name: replace(agent, lasting_line=None) for name, agent in definition.agents.items()}
    return replace(definition, agents=agents)


class World:
    """Everything outside the floor. Make one, ``run`` it once, then read ``book``, ``agents``, ``looks`` and counts.

    ``luck_s``: how many seconds of talk the callers of each batch brought beyond what was to be expected.
    """

    def __init__(self, scenario: Scenario, seed: int, replication: int = 0, batches: int = 1) -> None:
        self.scenario = scenario
        self.digest = Digest()
        self.events = 0
        self.callers_seen = 0
        self.drift: Counter[str] = Counter()
        self.alarms: Counter[str] = Counter()
        self.book = CallBook(tuple(scenario.definition.queues))
        self.looks: list[Look] = []
        self.floor = Floor(_without_lasting_lines(scenario.definition), epoch=1, started_at=scenario.starts_at)
        self.agents: dict[str, AgentRow] = {}
        self.luck_s = gauges.expected_luck_s(scenario, batches)
        self.at_s = 0.0
        self.now = Instant(0.0, scenario.starts_at)
        self._moments: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._planned = 0
        self.callers: dict[str, Caller] = {}
        self._rung: dict[str, Caller] = {}
        self._several: dict[str, list[Person]] = {}
        """offers that ring several agents' phones, until somebody answers"""
        self.connected = True
        self._waiting = 0
        self._open = 0
        self.closing = False
        self.batches = batches
        self.batch_s = (scenario.length_s - scenario.warm_up_s) / batches
        self._levels_s = {name: queue.service_level_s for name, queue in scenario.definition.queues.items()}
        streams = Streams(seed, replication)
        self._sources = [Source(index, callers, streams) for index, callers in enumerate(scenario.callers)]
        self.people: dict[str, Person] = {}
        for number, group in enumerate(scenario.agents):
            for name in group.members:
                phones = scenario.definition.agents[name].phones
                self.people[name] = Person(name, phones, group, streams)
                self.agents[name] = AgentRow(number)
        self._owners = {phone: person for person in self.people.values() for phone in person.phones}
        self._carry_out: dict[type[do.Command], Callable[[Any], None]] = {
            do.HoldCall: self._hold,
            do.MarkCall: self._mark,
            do.OfferCall: self._offer,
            do.SendCall: self._send,
            do.Reply: self._replied,
            do.ReportDrift: self._drifted,
            do.RaiseAlarm: self._alarmed,
        }

    # -- time --------------------------------------------------------------------------------------------------------

    def run(self, progress: Callable[[float], None] | None = None) -> World:
        """From the first moment to the last. ``progress`` is told the share of the time that is over, now and then."""
        self._begin(progress)
        moments, next_deadline = self._moments, self.floor.next_deadline
        while True:
            due = next_deadline()
            if moments and (due is None or moments[0][0] <= due):
                at_s, _, act, what = heappop(moments)
                self._reach(at_s)
                act(what)
            elif due is not None:
                self._reach(max(due, self.at_s))
                self.tell(ev.DeadlinePassed(self.now.utc))
            else:
                break
        for caller in list(self.callers.values()):
            self._done(caller, Fate.STUCK)
        return self

    def _reach(self, at_s: float) -> None:
        self.at_s = at_s
        self.now = Instant(at_s, self.scenario.starts_at + at_s)

    def plan(self, at_s: float, act: Callable[[Any], None], what: Any) -> None:
        self._planned += 1
        heappush(self._moments, (at_s, self._planned, act, what))

    def _begin(self, progress: Callable[[float], None] | None) -> None:
        scenario = self.scenario
        phones = {phone: PhoneState.IDLE for person in self.people.values() for phone in person.phones}
        self.tell(ev.NodeResynced(self.now.utc, NODE, (), phones))
        for group in scenario.agents:
            self._plan_shifts(group)
        for fault in scenario.faults:
            self.plan(fault.at_s, lambda fault: faults.begins(self, fault), fault)
            self.plan(fault.at_s + fault.for_s, lambda fault: faults.ends(self, fault), fault)
        for source in self._sources:
            self._plan_arrival(source)
        gauges.plan(self, progress)

    def _plan_shifts(self, group: AgentGroup) -> None:
        for name in group.members:
            for shift in group.shifts:
                self.plan(shift.start_s, self._logs_in, name)
                if shift.end_s is not None:
                    self.plan(shift.end_s, self._logs_out, name)

    # -- the floor ---------------------------------------------------------------------------------------------------

    def tell(self, event: ev.Event) -> None:
        """Let the floor handle ``event``, and carry out what it commands."""
        self.events += 1
        commands: Sequence[do.Command] = self.floor.handle(event, self.now).commands
        for command in commands:
            self.digest.take(self.at_s, command)
            act = self._carry_out.get(type(command))
            if act is None:
                raise AssertionError(f"nobody carries out {command!r}")
            act(command)

    def _report(self, event: ev.Event) -> None:
        """Tell what comes over the manager connection, if that is up."""
        if self.connected:
            self.tell(event)

    def phones(self, person: Person, state: PhoneState) -> None:
        if person.reports:
            for phone in person.phones:
                self._report(ev.PhoneStateChanged(self.now.utc, phone, state))

    # -- callers -----------------------------------------------------------------------------------------------------

    def _plan_arrival(self, source: Source) -> None:
        at_s = source.following()
        if at_s < math.inf:
            self.plan(at_s, self._arrives, source)

    def _arrives(self, source: Source) -> None:
        scenario = self.scenario
        if self.closing and (self._open == 0 or self.at_s >= 2 * scenario.length_s):
            # Whoever counts has been served among callers as before; now nobody comes any more
            return
        self._plan_arrival(source)
        self.callers_seen += 1
        talk_s = source.talk()
        patience_s = math.inf if source.patience is None else source.patience()
        variables = {name: draw() for name, draw in source.attributes} if source.attributes else {}
        number = "" if source.numbers is None else source.numbers()
        batch = math.floor((self.at_s - scenario.warm_up_s) / self.batch_s)
        if 0 <= batch < self.batches:
            self.luck_s[batch] += talk_s
        else:
            batch = -1
        channel = f"{self.callers_seen:08d}"
        caller = Caller(channel, source.index, source.did, number, self.at_s, talk_s, batch)
        self._open += batch >= 0
        if scenario.lines is not None and len(self.callers) >= scenario.lines:
            self._write(caller, Fate.BLOCKED)
            return
        if len(self.callers) >= LIVE_LIMIT:
            raise SimulationError(
                f"after {self.at_s:.0f} s more than {LIVE_LIMIT:,} callers are on the line: more come than agents can "
                "take, and they never give up; give them patience, the queue a max_length, or more agents"
            )
        self.callers[channel] = caller
        if patience_s < math.inf:
            self.plan(self.at_s + patience_s, self._gives_up, caller)
        self.tell(
            ev.CallArrived(
                self.now.utc, NODE, channel, f"SIM/{channel}", channel, source.did, number, variables=variables
            )
        )

    def _gives_up(self, caller: Caller) -> None:
        if caller.channel in self.callers and caller.phase in (Phase.HELD, Phase.OFFERING, Phase.RINGING):
            self._done(caller, Fate.ABANDONED)
            self._hangs_up(caller)

    def _hangs_up(self, caller: Caller) -> None:
        """The channel is gone; a phone that rang for it stops."""
        person = self._stop_ringing(caller)
        if person is not None:
            self.phones(person, person.resting_state())
        self._report(ev.CallEnded(self.now.utc, NODE, caller.channel, 16))

    def _stop_ringing(self, caller: Caller) -> Person | None:
        """End his offer on his side; the agent whose phone was taken by it."""
        person, caller.ringing = caller.ringing, None
        if caller.offer is not None:
            del self._rung[caller.offer]
            offer, caller.offer = caller.offer, None
            for other in self._several.pop(offer, ()):
                if other is not person:
                    self._lets_go(other, caller)
        if person is None or person.caller is not caller:
            return None
        person.caller = None
        return person

    def _lets_go(self, person: Person, caller: Caller) -> None:
        """The phone of ``person``, one of several that rang, stops."""
        if person.caller is caller:
            person.caller = None
            self.phones(person, person.resting_state())

    def _waits(self, caller: Caller, waits: bool) -> None:
        self._waiting += waits - caller.waits
        caller.waits = waits

    def _turned_away(self, caller: Caller) -> None:
        """He found the waiting room full."""
        if caller.channel in self.callers:
            self._done(caller, Fate.REFUSED)
            self._hangs_up(caller)

    def _done(self, caller: Caller, fate: Fate) -> None:
        """He leaves the line."""
        del self.callers[caller.channel]
        self._waits(caller, False)
        if caller.phase is not Phase.TALKING:
            self._write(caller, fate)
        caller.phase = None

    def _write(self, caller: Caller, fate: Fate) -> None:
        if caller.batch >= 0:
            self._open -= 1
            wait_s = self.at_s - caller.arrived_s
            in_time = fate is Fate.ANSWERED and wait_s <= self._levels_s.get(caller.queue, math.inf)
            self.book.note(caller.source, caller.queue, caller.batch, fate, caller.held, in_time, wait_s)

    # -- commands ----------------------------------------------------------------------------------------------------

    def _line(self, channel: str) -> Caller | None:
        """The caller whom a command is for. One who hung up at that very moment is gone, and Asterisk says so."""
        caller = self.callers.get(channel)
        if caller is None:
            self.plan(self.at_s, self._report, ev.CallEnded(self.now.utc, NODE, channel))
        return caller

    def _hold(self, command: do.HoldCall) -> None:
        caller = self._line(command.channel)
        if caller is None:
            return
        room = self.scenario.waiting_room
        if room is not None and self._waiting >= room and not caller.held:
            self.plan(self.at_s, self._turned_away, caller)
        caller.call, caller.place, caller.held = command.call, command.place, True
        self._waits(caller, True)

    def _mark(self, command: do.MarkCall) -> None:
        caller = self._line(command.channel)
        if caller is not None:
            caller.call, caller.place = command.call, command.place

    def _offer(self, command: do.OfferCall) -> None:
        caller, person = self._line(command.channel), self.people[command.agent]
        if caller is None:
            return
        if caller.phase is not Phase.HELD or caller.offer is not None:
            raise AssertionError(f"{command!r} reaches a caller who is {caller}")
        caller.call, caller.place, caller.offer, caller.phase = (
            command.call, command.place, command.offer, Phase.OFFERING
        )  # fmt: skip
        self._rung[command.offer] = caller
        caller.ringing = person
        self._waits(caller, False)
        if len(command.phones) > len(person.phones):
            self._rings_several(command, caller)
        elif person.fault in ("unreachable", "congestion", "reported") or person.caller is not None:
            # Somebody who is on the phone already is busy: the floor should have known
            self.plan(self.at_s, self._offer_fails, (command.offer, person, _failure(person)))
        else:
            person.caller = caller
            self.plan(self.at_s, self._rings, (command, person))

    def _send(self, command: do.SendCall) -> None:
        caller = self._line(command.channel)
        if caller is None:
            return
        self._done(caller, Fate.SENT_AWAY if caller.held else Fate.REFUSED)
        if isinstance(command.destination, HangUp):
            self.plan(self.at_s, self._hangs_up, caller)

    def _replied(self, command: do.Reply) -> None:
        """Agents here ask for nothing whose answer they would act on."""

    def _drifted(self, command: do.ReportDrift) -> None:
        self.drift[command.kind] += 1

    def _alarmed(self, command: do.RaiseAlarm) -> None:
        self.alarms[command.kind] += 1

    # -- offers ------------------------------------------------------------------------------------------------------

    def _rings(self, what: tuple[do.OfferCall, Person]) -> None:
        command, person = what
        caller = self._rung.get(command.offer)
        if caller is None:
            return
        reaction = "misses" if person.fault == "silent" else person.reaction()
        delay_s = person.answer_delay_s() if reaction != "misses" else math.inf
        if person.fault != "silent":
            caller.phase = Phase.RINGING
            self.phones(person, PhoneState.RINGING)
            self._report(ev.AgentRang(self.now.utc, command.offer))
        if delay_s >= command.ring_timeout_s:
            at_s = self.at_s + command.ring_timeout_s
            self.plan(at_s, self._offer_fails, (command.offer, person, OfferOutcome.NO_ANSWER))
        elif reaction == "declines":
            self.plan(self.at_s + delay_s, self._offer_fails, (command.offer, person, OfferOutcome.DECLINED))
        else:
            self.plan(self.at_s + delay_s, self._answers, (command.offer, person))

    def _rings_several(self, command: do.OfferCall, caller: Caller) -> None:
        """Phones of several agents ring at once: the first to answer has the caller, or nobody has."""
        everybody = list(dict.fromkeys(self._owners[phone] for phone in command.phones))
        people = [p for p in everybody if p.caller is None and p.fault not in ("unreachable", "congestion", "reported")]
        if not people:
            outcome = _failure(everybody[0])
            self.plan(self.at_s, self._offer_fails, (command.offer, everybody[0], outcome))
            return
        self._several[command.offer] = people
        for person in people:
            person.caller = caller
        caller.ringing = people[0]
        self.plan(self.at_s, self._several_ring, (command, people))

    def _several_ring(self, what: tuple[do.OfferCall, list[Person]]) -> None:
        command, people = what
        offer, timeout_s = command.offer, command.ring_timeout_s
        caller = self._rung.get(offer)
        if caller is None:
            return
        answers: list[tuple[float, int]] = []
        declines_s: list[float] = []
        heard = False
        for number, person in enumerate(people):
            if person.fault == "silent":
                continue
            caller.phase, heard = Phase.RINGING, True
            self.phones(person, PhoneState.RINGING)
            reaction = person.reaction()
            delay_s = person.answer_delay_s() if reaction != "misses" else math.inf
            if delay_s < timeout_s and reaction == "declines":
                declines_s.append(delay_s)
            elif delay_s < timeout_s:
                answers.append((delay_s, number))
        if heard:
            self._report(ev.AgentRang(self.now.utc, offer))
        if answers:
            delay_s, number = min(answers)
            self.plan(self.at_s + delay_s, self._answers, (offer, people[number]))
        elif len(declines_s) == len(people):
            self.plan(self.at_s + max(declines_s), self._offer_fails, (offer, people[0], OfferOutcome.DECLINED))
        else:
            self.plan(self.at_s + timeout_s, self._offer_fails, (offer, people[0], OfferOutcome.NO_ANSWER))

    def _offer_fails(self, what: tuple[str, Person, OfferOutcome]) -> None:
        offer, person, outcome = what
        caller = self._rung.get(offer)
        if caller is None:
            return
        others = [other for other in self._several.get(offer, ()) if other is not person]
        self._stop_ringing(caller)
        caller.phase = Phase.HELD
        if person.fault is None and outcome in (OfferOutcome.NO_ANSWER, OfferOutcome.DECLINED):
            self.phones(person, PhoneState.IDLE)
        if outcome in (OfferOutcome.NO_ANSWER, OfferOutcome.DECLINED):
            for one in (person, *others):
                self.plan(self.at_s + one.return_delay_s(), self._returns, one.name)
        caller.held = True
        self._waits(caller, True)
        self._report(ev.OfferFailed(self.now.utc, offer, outcome))

    def _answers(self, what: tuple[str, Person]) -> None:
        offer, person = what
        caller = self._rung.get(offer)
        if caller is None:
            return
        self._write(caller, Fate.ANSWERED)
        if caller.batch >= 0:
            self.agents[person.name].calls += 1
        caller.phase = Phase.TALKING
        others = [other for other in self._several.pop(offer, ()) if other is not person]
        caller.ringing = person
        self.phones(person, PhoneState.BUSY)
        self._report(ev.AgentAnswered(self.now.utc, offer, f"leg-{offer}", person.phones[0]))
        for other in others:
            self._lets_go(other, caller)
        self.plan(self.at_s + caller.talk_s, self._talk_ends, (offer, person, caller))

    def _talk_ends(self, what: tuple[str, Person, Caller]) -> None:
        offer, person, caller = what
        self._done(caller, Fate.ANSWERED)
        self._stop_ringing(caller)
        self._report(ev.TalkEnded(self.now.utc, offer, "caller"))
        self._report(ev.CallEnded(self.now.utc, NODE, caller.channel, 16))
        self.phones(person, person.resting_state())

    # -- agents ------------------------------------------------------------------------------------------------------

    def _logs_in(self, agent: str) -> None:
        self.tell(ev.AgentRequested(self.now.utc, agent, AgentAction.LOGIN))

    def _logs_out(self, agent: str) -> None:
        self.tell(ev.AgentRequested(self.now.utc, agent, AgentAction.LOGOUT))

    def _returns(self, agent: str) -> None:
        """He sees on his screen whether he is paused."""
        if self.floor.roster.agents[agent].state is AgentState.PAUSED:
            self.tell(ev.AgentRequested(self.now.utc, agent, AgentAction.RESUME))


def _failure(person: Person) -> OfferOutcome:
    if person.fault == "congestion":
        return OfferOutcome.CONGESTION
    return OfferOutcome.BUSY if person.fault is None else OfferOutcome.UNREACHABLE
