"""A world in virtual time around the dialler's core: a store that can fail and outlives crashes, lines, people, agents.

The world knows the truth and checks at every step what must always hold: nobody is dialled whose attempt is not durable, no
attempt twice, no contact twice at once, no more lines or calls a second than the trunk carries.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from acd.dialer.blending import Counts
from acd.dialer.gate import Terms
from acd.dialer.retry import Other
from acd.dialer.rules import PROFILES
from acd.dialer.work import Kind, Piece
from acd.domain import outbound as wire
from acd.domain.blending import Blend
from acd.domain.campaigns import (
    AttemptOutcome,
    CallerIds,
    Campaign,
    CampaignState,
    Contact,
    ContactNumber,
    GivenUp,
    Mode,
    Trunk,
)
from acd.domain.instant import Instant
from acd.domain.states import AgentState
from acd.outbound import words as say
from acd.outbound.core import Dialler
from acd.outbound.flight import Phase

UTC_0 = 1_710_928_800.0
"""A Wednesday, 10:00 UTC."""
NODE = "pbx"


def campaign(name: str = "win", **changes: Any) -> Campaign:
    rules = replace(PROFILES["us"].rules, number_day=None, number_week=None, contact_day=None, contact_week=None)
    usual = Campaign(name, Mode.PREDICTIVE, "sales", "out", "own", rules, lists=("a",), message="who", ring_s=20.0)
    return replace(usual, **changes)


def terms(one: Campaign, **trunk: Any) -> Terms:
    line = Trunk(one.trunk, "PJSIP/{number}@carrier", **{"calls_per_s": 10.0, "lines": 60, **trunk})
    return Terms(one, line, CallerIds("own", ("+4930555100",)), None)


@dataclass
class Row:
    """A contact as the store keeps it."""

    contact: Contact
    state: str = "new"
    due_s: float | None = None
    epoch: int | None = None
    tried: list[tuple[str, float, str, AttemptOutcome | None]] = field(default_factory=list)
    """attempt, when, campaign, outcome"""


SEARCHED = 300
"""New contacts that are looked at in one claim where some are passed over."""


@dataclass
class Kept:
    """The store: what is durable. ``up``: it answers; ``in_doubt``: a batch is taken and nobody is told."""

    rows: dict[int, Row] = field(default_factory=dict)
    attempts: dict[str, say.Made] = field(default_factory=dict)
    open: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, AttemptOutcome] = field(default_factory=dict)
    given_up: dict[str, GivenUp | None] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    do_not_call: set[str] = field(default_factory=set)
    ledgers: dict[tuple[str, str, int], say.Counted] = field(default_factory=dict)
    states: dict[str, CampaignState] = field(default_factory=dict)
    up: bool = True
    in_doubt: bool = False

    def claim(self, wish: say.Claim, epoch: int, now_s: float) -> say.Claimed | None:
        if not self.up:
            return None
        found: list[say.Ready] = []
        last, looked = wish.past.get("a", (0, 0)) if wish.shut else (0, 0), 0
        for number, row in self.rows.items():
            if wish.shut and row.state == "new":
                taken = sum(one.piece.kind is Kind.NEW for one in found)
                if (number, number) <= last or looked >= SEARCHED or taken >= wish.wanted.get(Kind.NEW, 0):
                    continue
                last, looked = (number, number), looked + 1
                place = say.Place((row.contact.zone or "UTC",), row.contact.country, row.contact.region)
                if place in wish.shut:
                    continue
            due = row.state == "new" or (row.state == "due" and row.due_s is not None and row.due_s <= now_s)
            kind = Kind.NEW if row.state == "new" else Kind.RETRY
            if due and sum(one.piece.kind is kind for one in found) < wish.wanted.get(kind, 0):
                row.state, row.epoch = "in_flight", epoch
                found.append(self._ready(row, kind, wish.campaign, number, now_s))
        later = [row.due_s for row in self.rows.values() if row.state == "due" and row.due_s is not None]
        past = {"a": last} if wish.shut else {}
        more = looked >= SEARCHED if wish.shut else True
        due_s = None if found else min(later, default=None)
        return say.Claimed(wish.campaign, tuple(found), more, due_s=due_s, past=past)

    def _ready(self, row: Row, kind: Kind, of: str, order: int, now_s: float) -> say.Ready:
        number = row.contact.numbers[0].number
        times = tuple(at for _, at, _, _ in row.tried)
        twins = [one for one in self.rows.values() if one.contact.numbers[0].number == number]
        of_number = [(at, name) for one in twins for _, at, name, _ in one.tried]
        in_campaign = sum(name == of for _, name in of_number)
        number_s = tuple(at for at, _ in of_number)
        tried = tuple(say.Tried(number, outcome) for _, _, name, outcome in row.tried if name == of)
        ends = [at for _, at, _, outcome in row.tried if outcome is AttemptOutcome.ABANDONED]
        hits = ("all",) if number in self.do_not_call else ()
        piece = Piece(row.contact, number, kind, row.due_s or 0.0, order, segment="a")
        zones = {number: ("UTC",)}
        ended_s = max(ends, default=None)
        ready = say.Ready(piece, now_s, zones, number_s, times, tried, in_campaign, hits, ended_s)
        return replace(ready, others=self._others(row, twins, of))

    def _others(self, row: Row, twins: list[Row], of: str) -> tuple[Other, ...]:
        made = [(at, twin, out) for twin in twins for _, at, name, out in twin.tried if name == of]
        found: list[Other] = []
        for n, (at, twin, outcome) in enumerate(sorted(made, key=lambda one: one[0]), 1):
            seen = sum(out is outcome for _, _, out in sorted(made, key=lambda one: one[0])[:n])
            found = [] if twin is row else [*found, Other(twin.contact.contact, at, outcome, seen)]
        return tuple(found)

    def take(self, batch: say.Batch, epoch: int, now_s: float) -> say.Written | None:
        if not self.up:
            return None
        for attempt, known in batch.progress:
            if attempt in self.open and "agent" in known:
                self.agents[attempt] = str(known["agent"])
        self.do_not_call |= {one.number for one in batch.opt_outs}
        for one in batch.ended:
            self._settle(one)
        for contact, due_s in batch.releases:
            row = self.rows[contact]
            if row.state == "in_flight" and row.epoch == epoch and not self._is_open(contact):
                row.state, row.due_s, row.epoch = ("due" if due_s or row.due_s else "new"), due_s or row.due_s, None
        for contact, done in batch.blocks:
            row = self.rows[contact]
            if row.state == "in_flight" and row.epoch == epoch and not self._is_open(contact):
                row.state, row.epoch = ("done" if done else "blocked"), None
        recorded, refused, unclaimed, changed = [], [], [], []
        for made in batch.made:
            row = self.rows[made.contact]
            if row.epoch != epoch or row.state != "in_flight" or self._is_open(made.contact):
                unclaimed.append(made.attempt)
            elif made.number in self.do_not_call:
                row.state, row.epoch = "blocked", None
                refused.append(made.attempt)
            elif made.judged != row.contact:
                row.state, row.epoch = ("due" if row.due_s else "new"), None
                changed.append(made.attempt)
            else:
                assert made.attempt not in self.attempts, f"the id {made.attempt} was given twice"
                self.attempts[made.attempt], self.open[made.attempt] = made, now_s
                row.tried.append((made.attempt, now_s, made.campaign, None))
                recorded.append(made.attempt)
        for name, windows in batch.ledgers.items():
            for window in windows:
                self.ledgers[name, window.span, window.key] = window
        if self.in_doubt:
            return None
        return say.Written(tuple(recorded), tuple(refused), tuple(unclaimed), changed=tuple(changed))

    def _is_open(self, contact: int) -> bool:
        return any(self.attempts[attempt].contact == contact for attempt in self.open)

    def _settle(self, one: say.Ended) -> None:
        if self.open.pop(one.attempt, None) is None:
            return
        made = self.attempts[one.attempt]
        assert one.attempt not in self.outcomes, "settled twice"
        self.outcomes[one.attempt] = one.outcome
        self.given_up[one.attempt] = one.given_up
        row = self.rows[made.contact]
        row.tried = [(a, at, c, one.outcome if a == one.attempt else o) for a, at, c, o in row.tried]
        row.epoch, row.due_s = None, one.due_s
        row.state = "due" if one.due_s is not None else "blocked" if one.blocked else "done"

    def recover(self) -> None:
        for number, row in self.rows.items():
            if row.state == "in_flight" and not self._is_open(number):
                row.state, row.epoch = ("due" if row.due_s else "new"), None

    def windows(self, name: str) -> tuple[say.Counted, ...]:
        return tuple(one for key, one in self.ledgers.items() if key[0] == name)


@dataclass
class Person:
    """What happens to a line. ``kind``: person, busy, nobody, congestion or machine."""

    kind: str
    ring_s: float
    talk_s: float


class World:
    """``answers``: the share of lines that a person answers."""

    def __init__(
        self,
        *parts: Terms,
        contacts: int = 400,
        agents: int = 6,
        seed: int = 1,
        answers: float = 0.3,
        connect_delay_s: float = 0.2,
        machines: float = 0.0,
        failing: Callable[[float], bool] = lambda s: False,
        others: tuple[str, ...] = ("busy", "nobody", "nobody"),
        blends: Mapping[str, Blend] | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.s = 0.0
        self.parts, self.answers, self.machines, self.connect_delay_s = parts, answers, machines, connect_delay_s
        self.failing, self.others = failing, others
        self.slow: frozenset[str] = frozenset()
        """agents whose phones answer when it is too late"""
        self.blends = blends or {}
        self.inbound: dict[str, Counts] = {}
        self.kept = Kept(rows={n: Row(_contact(n)) for n in range(1, contacts + 1)})
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.serial = self.epoch = 0
        self.agents = {f"a{n}": (AgentState.AVAILABLE, 0.0, "") for n in range(agents)}
        self.lines_of = tuple(part.campaign.name for part in parts)
        self.talking: dict[str, str] = {}
        self.placed: Counter[str] = Counter()
        self.begun: dict[str, float] = {}
        """attempt -> when Asterisk began to dial it"""
        self.by_contact: Counter[int] = Counter()
        self.lines: dict[str, wire.PlaceAttempt] = {}
        self.truth: Counter[str] = Counter()
        self.waiting: list[tuple[str, str]] = []
        self.told: set[str] = set()
        """lines that hear the message"""
        self.machines_told: set[str] = set()
        """lines on which one is left"""
        self.alarms: list[str] = []
        self.writing = False
        self.write_s = 0.004
        """how long a transaction takes"""
        self.dead = False
        self.core = Dialler(0)
        self.begin()
        self._every_half_second()

    @property
    def placed_at(self) -> list[float]:
        """When each attempt was dialled, in order."""
        return list(self.begun.values())

    # -- lives -----------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A new life of the controller."""
        self.epoch += 1
        self.core = Dialler(self.epoch)
        self.dead = self.writing = False
        self.kept.recover()
        self.tell(say.Defined(self.parts, (NODE,), self.blends), look=False)
        for part in self.parts:
            name = part.campaign.name
            state = self.kept.states.get(name, CampaignState.RUNNING)
            known = say.Remembered(name, state, UTC_0, "", "", {"began_s": UTC_0}, self.kept.windows(name))
            self.tell(known, look=False)
        for attempt, at in list(self.kept.open.items()):
            made, agent = self.kept.attempts[attempt], self.kept.agents.get(attempt)
            row = self.kept.rows[made.contact]
            tried = tuple(say.Tried(made.number, o) for a, _, c, o in row.tried if a != attempt and c == made.campaign)
            left = say.Left(
                attempt, made.campaign, row.contact, made.contact, made.number, NODE, made.trunk, at,
                at if agent is not None else None, agent, tried,
            )  # fmt: skip
            self.tell(left, look=False)
        seen = tuple(
            wire.SeenAttempt(attempt, self._state_of(attempt), UTC_0 + self.begun[attempt])
            for attempt in sorted(self.lines)
        )
        for one in seen:
            # As Asterisk's side takes up what it finds, before it has told all of it
            self.tell(wire.AttemptPlaced(UTC_0 + self.s, NODE, one.attempt, 0.0), look=False)
            if one.state is wire.SeenState.RINGING:
                self.tell(wire.AttemptRang(UTC_0 + self.s, NODE, one.attempt, False), look=False)
            else:
                self.tell(wire.AttemptAnswered(UTC_0 + self.s, NODE, one.attempt, f"PJSIP/{one.attempt}"), look=False)
        self.tell(wire.OutboundSeen(UTC_0 + self.s, NODE, seen, True), look=False)
        self.tell(wire.OutboundBack(UTC_0 + self.s, NODE))

    def crash(self) -> None:
        """kill -9: nothing is said to anybody; lines, people and agents go on."""
        self.dead = True

    def _state_of(self, attempt: str) -> wire.SeenState:
        if attempt in self.talking.values():
            return wire.SeenState.TALKING
        if any(attempt == one for one, _ in self.waiting):
            return wire.SeenState.WAITING
        if attempt in self.machines_told:
            return wire.SeenState.MACHINE
        if attempt in self.told:
            return wire.SeenState.MESSAGE
        return wire.SeenState.RINGING

    # -- time ------------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Instant:
        return Instant(1_000.0 + self.s, UTC_0 + self.s)

    def after(self, delay_s: float, what: Callable[[], None]) -> None:
        self.serial += 1
        heapq.heappush(self.heap, (self.s + delay_s, self.serial, what))

    def run(self, until_s: float) -> None:
        while self.heap and self.heap[0][0] <= until_s:
            at, _, what = heapq.heappop(self.heap)
            self.s = at
            what()
        self.s = until_s

    def _every_half_second(self) -> None:
        if not self.dead:
            self.look()
        self.after(0.5, self._every_half_second)

    # -- the shell -------------------------------------------------------------------------------------------------------

    def tell(self, event: Any, *, look: bool = True) -> None:
        if self.dead:
            return
        self._act(self.core.handle(event, self.now))
        if look:
            self.look()

    def seats(self) -> tuple[say.Seat, ...]:
        stages = {AgentState.AVAILABLE: "idle", AgentState.WRAP_UP: "wrapping"}
        return tuple(
            say.Seat(name, self.lines_of, stages.get(state, "talking"), UTC_0 + since, tuple(self.blends))  # type: ignore[arg-type]
            for name, (state, since, _) in self.agents.items()
        )

    def look(self) -> None:
        if self.dead:
            return
        self._act(self.core.handle(say.Look(self.seats(), 0.0, self.inbound), self.now))
        self.write()

    def write(self) -> None:
        if self.writing or self.dead:
            return
        batch = self.core.batch(self.now)
        if batch is None:
            return
        self.writing, epoch = True, self.epoch
        self.after(self.write_s, lambda: self._written(batch, epoch))

    def _written(self, batch: say.Batch, epoch: int) -> None:
        """A life that was killed before has written it or not, as chance has it."""
        if self.dead or epoch != self.epoch:
            if epoch == self.epoch and self.random.random() < 0.5:
                self.kept.take(batch, epoch, self.now.utc)
            return
        self.kept.up = not self.failing(self.s)
        found = self.kept.take(batch, epoch, self.now.utc)
        self.writing = False
        if found is None:
            self.writing = True
            self.tell(say.NotWritten(batch, "away"), look=False)
            self.after(0.5, self._again)
        else:
            self.tell(found)

    def _again(self) -> None:
        self.writing = False
        if not self.dead:
            batch = self.core.batch(self.now) or say.Batch()
            self.writing, epoch = True, self.epoch
            self.after(self.write_s, lambda: self._written(batch, epoch))

    def _act(self, actions: list[say.Action]) -> None:
        for action in actions:
            match action:
                case say.Do(wire.PlaceAttempt() as command):
                    self.place(command)
                case say.Do(command):
                    self._hang_up(command.attempt)
                case say.Claim():
                    self.after(0.01, partial(self._claim, action, self.epoch))
                case say.Alarm(kind, _):
                    self.alarms.append(kind)

    def _claim(self, wish: say.Claim, epoch: int) -> None:
        if self.dead or epoch != self.epoch:
            return
        self.kept.up = not self.failing(self.s)
        self.tell(self.kept.claim(wish, epoch, self.now.utc) or say.Claimed(wish.campaign, None))
        if not self.kept.up and not self.writing:
            self.writing = True
            self.after(0.5, self._again)

    # -- lines -----------------------------------------------------------------------------------------------------------

    def place(self, command: wire.PlaceAttempt) -> None:
        attempt = command.attempt
        made = self.kept.attempts.get(attempt)
        assert made is not None, f"{attempt} was dialled and is not durable"
        assert attempt in self.kept.open, f"{attempt} was dialled and is settled already"
        self.placed[attempt] += 1
        assert self.placed[attempt] == 1, f"{attempt} was dialled twice"
        others = [self.kept.attempts[one].contact for one in self.lines]
        assert made.contact not in others, f"contact {made.contact} was dialled twice at once"
        assert command.number not in self.kept.do_not_call
        assert command.number not in {one.number for one in self.lines.values()}, "a number was dialled twice at once"
        self.by_contact[made.contact] += 1
        self.lines[attempt] = command
        self.begun[attempt] = self.s
        trunk = next(part.trunk for part in self.parts if part.campaign.name == command.campaign)
        assert len(self.lines) <= trunk.lines, "more lines than the trunk has"
        recent = sum(at > self.s - 0.99 for at in self.placed_at)
        assert recent <= trunk.calls_per_s, "more calls a second than the trunk takes"
        person = self._person()
        self._later(0.02, wire.AttemptPlaced(0, NODE, attempt, 0.02))
        if person.kind == "congestion":
            self.after(0.1, lambda: self._gone(attempt, AttemptOutcome.CONGESTION, 34))
        elif person.kind == "no channel":
            self.after(0.05, lambda: self._gone(attempt, AttemptOutcome.WITHDRAWN, None))
        elif person.kind == "busy":
            self.after(0.5, lambda: self._gone(attempt, AttemptOutcome.BUSY, 17))
        else:
            self._later(1.0, wire.AttemptRang(0, NODE, attempt))
            if person.kind == "nobody":
                self.after(command.ring_s, lambda: self._gone(attempt, AttemptOutcome.NO_ANSWER, 19))
            else:
                self.after(person.ring_s, lambda: self._answers(attempt, person))

    def _later(self, delay_s: float, event: wire.AttemptEvent) -> None:
        self.after(delay_s, lambda: self.tell(replace(event, at=UTC_0 + self.s)))

    def _person(self) -> Person:
        chance, ring_s = self.random.random(), 3.0 + self.random.gammavariate(2.0, 3.0)
        talk_s = min(200.0, self.random.expovariate(1 / 40.0) + 5.0)
        ring_s = min(19.0, ring_s)
        if chance < self.answers:
            return Person("person", ring_s, talk_s)
        if chance < self.answers + self.machines:
            return Person("machine", ring_s, 3.0)
        return Person(self.random.choice(self.others), ring_s, 0.0)

    def _hang_up(self, attempt: str) -> None:
        """A line that was taken back before it rang has reached nobody."""
        flight = self.core.flights.get(attempt)
        rang = flight is not None and flight.phase is Phase.RINGING
        told = AttemptOutcome.NO_ANSWER if rang else AttemptOutcome.FAILED
        self.after(0.05, lambda: self._gone(attempt, told, 16))

    def _gone(self, attempt: str, outcome: AttemptOutcome | None, cause: int | None, *, answered: bool = False) -> None:
        if self.lines.pop(attempt, None) is None:
            return
        self.waiting = [one for one in self.waiting if one[0] != attempt]
        self.tell(wire.AttemptOver(UTC_0 + self.s, NODE, attempt, outcome, cause, "", answered))

    def _answers(self, attempt: str, person: Person) -> None:
        if attempt not in self.lines:
            return
        at = UTC_0 + self.s
        self.tell(wire.AttemptAnswered(at, NODE, attempt, f"PJSIP/{attempt}"))
        verdict = wire.Verdict.MACHINE if person.kind == "machine" else wire.Verdict.PERSON
        question = wire.AttemptAsked(at, NODE, attempt, attempt, f"PJSIP/{attempt}", attempt, verdict)
        reply = None if self.dead else self.core.asked(question, self.now)
        if person.kind == "machine":
            assert self.dead or isinstance(reply, wire.HangUpLine)
            self.after(0.1, lambda: self._gone(attempt, None, 16, answered=True))
            return
        self.truth["answered"] += 1
        if not isinstance(reply, wire.Connect):
            # The dialplan alone: a message, then the end
            self.truth["abandoned"] += 1
            self.told.add(attempt)
            self.after(4.0, lambda: self._gone(attempt, None, 16, answered=True))
            return
        call = f"c{attempt}"
        self.tell(say.CallBegan(attempt, call), look=False)
        self.waiting.append((attempt, call))
        self._match()
        self.after(2.0, lambda: self._too_late(attempt, call))
        self.look()

    def _too_late(self, attempt: str, call: str) -> None:
        if (attempt, call) in self.waiting:
            self.waiting.remove((attempt, call))
            self.truth["abandoned"] += 1
            self.told.add(attempt)
            self.tell(say.CallGone(call, UTC_0 + self.s, True))
            self._later(2.0, wire.AttemptMessage(0, NODE, attempt, True))
            self.after(3.0, lambda: self._gone(attempt, None, 16, answered=True))

    # -- agents ----------------------------------------------------------------------------------------------------------

    def _turn(self, agent: str, state: AgentState, call: str = "") -> None:
        self.agents[agent] = (state, self.s, call)
        self.tell(say.AgentTurned(agent, UTC_0 + self.s, state, call or None))

    def _match(self) -> None:
        for agent, (state, _, _) in self.agents.items():
            if state is AgentState.AVAILABLE and self.waiting:
                attempt, call = self.waiting.pop(0)
                self.talking[agent] = attempt
                self._turn(agent, AgentState.RESERVED, call)
                delay_s = 5.0 if agent in self.slow else self.connect_delay_s
                self.after(delay_s, lambda a=agent, x=attempt, c=call: self._connected(a, x, c))  # type: ignore[misc]

    def _connected(self, agent: str, attempt: str, call: str) -> None:
        if attempt not in self.lines:
            self.talking.pop(agent, None)
            self._turn(agent, AgentState.AVAILABLE)
            return
        self.truth["served"] += 1
        self.tell(say.CallConnected(call, agent, UTC_0 + self.s), look=False)
        self._turn(agent, AgentState.TALKING, call)
        talk_s = min(100.0, 5.0 + self.random.expovariate(1 / 30.0))
        self.after(talk_s, lambda: self._done(agent, attempt, call))

    def _done(self, agent: str, attempt: str, call: str) -> None:
        self.talking.pop(agent, None)
        self.tell(say.CallGone(call, UTC_0 + self.s, False), look=False)
        self._gone(attempt, None, 16, answered=True)
        self._turn(agent, AgentState.WRAP_UP, call)
        self.after(5.0, lambda: self._free(agent))

    def _free(self, agent: str) -> None:
        self._turn(agent, AgentState.AVAILABLE)
        self._match()

    # -- afterwards ------------------------------------------------------------------------------------------------------

    def stop(self, drain_s: float = 200.0) -> None:
        """Stop all campaigns, let lines end and see that nothing is left in the air."""
        for part in self.parts:
            self.kept.states[part.campaign.name] = CampaignState.STOPPED
            self.tell(say.StateSet(part.campaign.name, CampaignState.STOPPED, "test", ""))
        self.run(self.s + drain_s)
        assert not self.lines
        assert not self.core.flights, self.core.flights
        assert not self.kept.open, "attempts that nobody has settled"
        assert all(row.state != "in_flight" for row in self.kept.rows.values()), "contacts that nobody has given back"
        assert set(self.kept.attempts) == set(self.kept.outcomes)
        for trunk in self.core.trunks.values():
            assert trunk.lines == 0
        for runner in self.core.runners.values():
            assert runner.book.ledger.in_flight == 0

    def charged(self, name: str = "win") -> tuple[float, float]:
        """Answered and charged, as the durable ledger of the campaign's day says."""
        (found,) = self.kept.windows(name)
        return found.answered, found.abandoned + found.misjudged + found.unknown


def _contact(number: int) -> Contact:
    return Contact(number, "a", f"k{number}", f"Person {number}", (ContactNumber(f"+4930{1_000_000 + number}"),), "UTC")
