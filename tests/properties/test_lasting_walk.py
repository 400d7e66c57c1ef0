"""Lasting lines on seeded random walks: an Asterisk that does as the dialplan says, late events and commands, agents who
hang up, hold, pause and come back, a controller that is killed and an Asterisk that starts anew.

Two callers never meet on one line: in the model that would be an offer that finds its line in a bridge. The seed stands in
the test's name; ``ACD_WALKS``, ``ACD_WALK_FROM`` as for the other walks.
"""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from floorkit import UTC_0, Clock, RecordBook, define
from promises import check_promises

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.events import AgentAction, Phase, SeenCall, SeenLine
from acd.domain.place import Place
from acd.domain.states import PAUSE_NO_LINE, AgentState, OfferOutcome
from acd.floor import Floor

BATCH = 20
WALKS = int(os.environ.get("ACD_WALKS", "200"))
FIRST = int(os.environ.get("ACD_WALK_FROM", "0"))
NODE = "pbx"
AGENTS = ("ann", "bob", "cid")
FLOOR = define(
    """
    queue sales wrap=0 rings=2
    queue help wrap=5 max=40
    agent ann 101 sales,help lasting
    agent bob 102 sales lasting auto
    agent cid 103 help,sales lasting
    did 1 sales
    did 2 help
    """
)


@dataclass
class Line:
    """One agent's channel in acd-line. ``offer``: whom it is meant for; ``talks``: the caller in its bridge; ``away``: it
    has left one, and is not back in its waiting place."""

    agent: str
    offer: str = ""
    talks: str | None = None
    away: bool = False
    held: bool = False


@dataclass
class Caller:
    """``joining``: in acd-offer, before Bridge()."""

    entered_at: float
    did: str
    call: str | None = None
    place: str = ""
    offer: str | None = None
    agent: str | None = None
    line: str = ""
    joining: bool = False
    talks: bool = False


@dataclass
class Asterisk:
    """What is so, and what was said of it."""

    lines: dict[str, Line] = field(default_factory=dict)
    ringing: dict[str, str] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    said: list[ev.Event] = field(default_factory=list)
    serial: int = 0


class World:
    """A floor and its Asterisk; ``r`` decides."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.faults = self.r.choice([0.0, 0.3, 1.0])
        self.clock = Clock()
        self.pbx = Asterisk()
        self.wire: list[do.Command] = []
        self.epoch, self.up = 1, False
        self.floor = Floor(FLOOR, epoch=1, started_at=UTC_0)
        self.book, self.counts = RecordBook(), Counter[str]()
        self.look()

    @property
    def utc(self) -> float:
        return self.clock.now.utc

    def handle(self, event: ev.Event) -> None:
        step = self.floor.handle(event, self.clock.now)
        self.book.fold(step.records)
        self.wire += [one for one in step.commands if isinstance(one, do.ChannelCommand | do.SendCall | do.LineCommand)]
        check_promises(self.floor, self.clock.now)
        offers = [offer.leg for offer in self.floor.offers.values() if offer.leg]
        assert len(offers) == len(set(offers)), "one line in two offers"
        for agent in self.floor.roster.agents.values():
            idle = agent.state in (AgentState.AVAILABLE, AgentState.PREVIEW)
            assert not idle or not self.up or agent.line.is_up, agent

    # -- what happens in Asterisk ----------------------------------------------------------------------------------------

    def say(self, *events: ev.Event) -> None:
        """In whatever order: between what it says of bridges and of the dialplan there is none."""
        shuffled = list(events)
        self.r.shuffle(shuffled)
        self.pbx.said += shuffled

    def waits(self, channel: str) -> ev.LineWaits:
        return ev.LineWaits(self.utc, self.pbx.lines[channel].agent, NODE, channel, f"PJSIP/{channel}")

    def parted(self, name: str, by: str, *, line_stays: bool = True) -> None:
        """The conversation of a caller is over; the line is back, unless it is gone."""
        caller = self.pbx.callers[name]
        line = self.pbx.lines[caller.line]
        line.talks, caller.talks = None, False
        over = ev.TalkEnded(self.utc, caller.offer or "", by)
        if not line_stays:
            del self.pbx.lines[caller.line]
            self.say(over, ev.LineEnded(self.utc, NODE, caller.line))
        elif self.r.random() < 0.5:
            self.say(over, self.waits(caller.line))
        else:
            self.pbx.said.append(over)
            line.away = True

    def returns(self, channel: str) -> None:
        self.pbx.lines[channel].away = False
        self.pbx.said.append(self.waits(channel))

    def caller_gone(self, name: str) -> None:
        if self.pbx.callers[name].talks:
            self.parted(name, "caller")
        del self.pbx.callers[name]
        self.pbx.said.append(ev.CallEnded(self.utc, NODE, name, 16))

    def line_gone(self, channel: str) -> None:
        talks = self.pbx.lines[channel].talks
        if talks is None:
            del self.pbx.lines[channel]
            self.pbx.said.append(ev.LineEnded(self.utc, NODE, channel))
        else:
            self.parted(talks, "agent", line_stays=False)
            self.caller_gone(talks)

    def line_comes(self, channel: str, agent: str) -> None:
        self.pbx.lines[channel] = Line(agent)
        self.pbx.said.append(self.waits(channel))

    def goes_on(self, name: str) -> None:
        """The dialplan of acd-offer, from the look at the line on."""
        caller, line = self.pbx.callers[name], self.pbx.lines.get(self.pbx.callers[name].line)
        assert caller.offer is not None
        if line is not None and line.offer == caller.offer and line.away:
            self.counts["early"] += 1
            return  # it looks again
        caller.joining = False
        if line is not None and line.offer == caller.offer and line.talks is None:
            line.talks, caller.talks = name, True
            self.pbx.said.append(ev.AgentAnswered(self.utc, caller.offer, caller.line, ""))
            self.counts["joined"] += 1
            return
        assert line is None or line.offer != caller.offer, "two callers on one line"
        self.counts["refused"] += 1
        self.pbx.said.append(ev.OfferFailed(self.utc, caller.offer, OfferOutcome.UNREACHABLE))
        caller.offer = caller.agent = None

    def execute(self, command: do.Command) -> None:
        if isinstance(command, do.CallLine):
            self.pbx.ringing[command.line] = command.agent
        elif isinstance(command, do.EndLine):
            self.pbx.ringing.pop(command.line, None)
            if command.line in self.pbx.lines:
                self.line_gone(command.line)
        elif isinstance(command, do.ChannelCommand | do.SendCall):
            self.move(command)

    def move(self, command: do.ChannelCommand | do.SendCall) -> None:
        caller = self.pbx.callers.get(command.channel)
        if caller is None:
            self.pbx.said.append(ev.CallEnded(self.utc, NODE, command.channel))
            return
        if not isinstance(command, do.MarkCall):
            if caller.talks:
                self.parted(command.channel, "caller")
            caller.offer = caller.agent = None
            caller.joining = False
        if isinstance(command, do.SendCall):
            self.caller_gone(command.channel)
            return
        caller.call, caller.place = command.call, command.place
        if isinstance(command, do.OfferCall):
            assert command.lasting, "a phone would ring"
            if command.leg in self.pbx.lines:
                self.pbx.lines[command.leg].offer = command.offer
            if not command.offer.startswith(f"{self.epoch:06d}"):
                self.pbx.said.append(ev.OfferFailed(self.utc, command.offer, OfferOutcome.VOID))
                return
            caller.offer, caller.agent, caller.line, caller.joining = command.offer, command.agent, command.leg, True

    # -- what can be done --------------------------------------------------------------------------------------------------

    def moves(self, faults: float) -> list[tuple[float, Callable[[], None]]]:
        r, pbx = self.r, self.pbx
        found: list[tuple[float, Callable[[], None]]] = [
            (8, self.arrive),
            (8, self.ask),
            (2, lambda: self.engage(r.choice(AGENTS), r.choice(["dialling", None]))),
            (10, lambda: self.deliver(r.randint(1, 4))),
            (10, lambda: self.carry_out(r.randint(1, 4))),
            (8, lambda: self.pass_time(r.choice([0.001, 0.5, 3.0, 11.0, 45.0]))),
            (1, self.settle_and_look),
            (faults, self.killed),
            (faults / 2, self.restarts),
        ]
        joining = [name for name, caller in pbx.callers.items() if caller.joining]
        if joining:
            found.append((15, lambda: self.goes_on(r.choice(joining))))
        if pbx.callers:
            found.append((4, lambda: self.caller_gone(r.choice(list(pbx.callers)))))
        if pbx.ringing:
            found += [(10, lambda: self.phone_answered(r.choice(list(pbx.ringing)))), (2, self.phone_refuses)]
        if pbx.lines:
            found += [
                (2, lambda: self.line_gone(r.choice(list(pbx.lines)))),
                (2, lambda: self.hold(r.choice(list(pbx.lines)))),
            ]
        away = [name for name, line in pbx.lines.items() if line.away]
        if away:
            found.append((8, lambda: self.returns(r.choice(away))))
        talks = [line.talks for line in pbx.lines.values() if line.talks is not None]
        if talks:
            found.append((6, lambda: self.key(r.choice(talks))))
        return found

    def arrive(self) -> None:
        self.pbx.serial += 1
        name = f"c{self.pbx.serial}"
        self.pbx.callers[name] = Caller(self.utc, self.r.choice("12"))
        self.question(name)

    def question(self, name: str) -> None:
        """The dialplan asks where to go; again, if the answer was lost."""
        caller = self.pbx.callers[name]
        self.handle(ev.CallArrived(caller.entered_at, NODE, name, f"PJSIP/{name}", name, caller.did))

    def ask(self) -> None:
        """By the dial code the call on which he asks becomes his line, if he is told so."""
        agent, action = (
            self.r.choice(AGENTS),
            self.r.choice([AgentAction.LOGIN] * 4 + [AgentAction.RESUME] * 2 + [*AgentAction]),
        )
        self.pbx.serial += 1
        channel = f"own{self.pbx.serial}" if self.r.random() < 0.5 else ""
        reason = "lunch" if action is AgentAction.PAUSE else None
        self.handle(ev.AgentRequested(self.utc, agent, action, reason, None, None, channel))
        if self.floor.roster.agents[agent].line.stage == "stays" and channel and self.r.random() < 0.8:
            self.line_comes(channel, agent)

    def engage(self, agent: str, what: str | None) -> None:
        """The dialler has an agent for a contact of his own, or gives him back."""
        self.handle(ev.AgentEngaged(self.utc, agent, what))

    def phone_answered(self, line: str) -> None:
        self.line_comes(line, self.pbx.ringing.pop(line))

    def phone_refuses(self) -> None:
        line = self.r.choice(list(self.pbx.ringing))
        del self.pbx.ringing[line]
        self.pbx.said.append(ev.LineFailed(self.utc, NODE, line, "busy"))

    def hold(self, channel: str) -> None:
        line = self.pbx.lines[channel]
        line.held = not line.held
        self.pbx.said.append(ev.LineHeld(self.utc, NODE, channel, line.held))

    def key(self, name: str) -> None:
        self.parted(name, "agent")
        self.caller_gone(name)

    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.pbx.said)) if self.up else 0):
            self.handle(self.pbx.said.pop(0))

    def carry_out(self, count: int) -> None:
        for _ in range(min(count, len(self.wire))):
            self.execute(self.wire.pop(0))

    def pass_time(self, seconds: float) -> None:
        """Nothing is under way for seconds, unless that is a fault."""
        prompt = not self.faults and seconds > 0.1
        if prompt:
            self.settle()
        until = self.clock.now.mono + seconds
        while (deadline := self.floor.next_deadline()) is not None and deadline <= until:
            self.clock.reach(deadline)
            self.handle(ev.DeadlinePassed(self.utc))
            if prompt:
                self.settle()
        self.clock.reach(until)

    def killed(self) -> None:
        """The service, and it is back some time later."""
        self.epoch += 1
        self.wire.clear()
        self.clock.s += 1.0
        book = copy.deepcopy(self.book)
        self.floor, self.up = Floor(FLOOR, epoch=self.epoch, started_at=self.utc), False
        self.handle(book.memory(self.utc))
        for _ in range(self.r.randint(0, 3)):
            for name in [name for name, caller in self.pbx.callers.items() if caller.joining or caller.talks]:
                (self.goes_on if self.pbx.callers[name].joining else self.caller_gone)(name)
        self.pbx.said.clear()
        self.clock.s += 1.0
        self.look()

    def restarts(self) -> None:
        self.handle(ev.NodeLost(self.utc, NODE))
        self.pbx = Asterisk(serial=self.pbx.serial)
        self.wire.clear()
        self.up = False
        self.pass_time(5.0)
        self.look(restarted=True)

    def look(self, margin_s: float = 0.0, *, restarted: bool = False) -> None:
        at, pbx = self.utc, self.pbx
        self.clock.s += 0.01
        calls = []
        for name, caller in pbx.callers.items():
            if caller.call is not None:
                phase = Phase.TALKING if caller.talks else Phase.OFFERING if caller.joining else Phase.HELD
                bound = (None, None, None) if phase is Phase.HELD else (caller.offer, caller.agent, caller.line)
                place = Place.decode(caller.place)
                calls.append(SeenCall(name, f"PJSIP/{name}", name, phase, caller.call, place, *bound, did=caller.did))
        lines = tuple(
            SeenLine(line.agent, name, f"PJSIP/{name}", line.talks is not None) for name, line in pbx.lines.items()
        )
        if not margin_s:
            pbx.said.clear()
            # What a phone holds is seen by nobody
            self.up = True
            for line in pbx.lines.values():
                line.held = False
        self.handle(ev.NodeResynced(at, NODE, tuple(calls), {}, margin_s, restarted, {}, lines))

    def settle_and_look(self) -> None:
        self.settle()
        self.look(3.0)

    def settle(self) -> None:
        """Whatever is under way arrives."""
        for _ in range(200):
            under_way = any(caller.joining for caller in self.pbx.callers.values())
            under_way |= any(line.away for line in self.pbx.lines.values())
            if not self.pbx.said and not self.wire and not under_way:
                if not (unheard := [name for name, caller in self.pbx.callers.items() if caller.call is None]):
                    return
                self.question(unheard[0])
            self.carry_out(len(self.wire))
            for name in [name for name, line in self.pbx.lines.items() if line.away]:
                self.returns(name)
            for name in [name for name, caller in self.pbx.callers.items() if caller.joining]:
                self.goes_on(name)
            self.deliver(len(self.pbx.said))
        raise AssertionError("the floor and Asterisk never come to rest")

    def check_truth(self) -> None:
        """Nothing is under way: the floor believes what is so."""
        there = {line.agent: name for name, line in self.pbx.lines.items()}
        assert len(there) == len(self.pbx.lines), "two lines of one agent"
        for agent in self.floor.roster.agents.values():
            line = self.pbx.lines.get(there.get(agent.name, ""))
            assert agent.line.is_up == (line is not None), (agent, line)
            if line is None:
                assert (agent.state, agent.reason) != (AgentState.AVAILABLE, None)
                continue
            assert agent.state is not AgentState.LOGGED_OUT
            assert agent.reason != PAUSE_NO_LINE
            assert (agent.line.channel, agent.line.waits) == (there[agent.name], line.talks is None), (agent, line)
            assert agent.line.on_hold == line.held, (agent, line)
            assert (agent.state is AgentState.TALKING) == (line.talks is not None), (agent, line)
        for name, caller in self.pbx.callers.items():
            call = self.floor.by_channel.get((NODE, name))
            assert call is not None
            assert (call.state == "TALKING") == caller.talks, (call, caller)


def walk(seed: int) -> Counter[str]:
    """One life of the world."""
    world = World(seed)
    for _ in range(world.r.choice([60, 200])):
        weights, acts = zip(*world.moves(world.faults), strict=True)
        world.r.choices(acts, weights)[0]()
    world.settle()
    world.check_truth()
    assert world.faults or not world.counts["early"], "put through on a line that was not back yet"
    return world.counts


@pytest.mark.parametrize("first", range(FIRST, FIRST + WALKS, BATCH))
def test_walks_with_lasting_lines(first: int) -> None:
    joined = 0
    for seed in range(first, first + BATCH):
        try:
            joined += walk(seed)["joined"]
        except Exception as error:
            error.add_note(f"walk({seed}) repeats it")
            raise
    assert joined > BATCH, "hardly anybody was put through"
