"""The world around a floor: callers, phones, agents, two nodes, a database that lags, a controller that can be killed.

Every method is something that can happen; whoever plays (a Hypothesis state machine, a random walk) decides what and
when, and ``choose(n)`` picks one of n where there are several. After every event the floor's promises are checked.
Faults mark a node as tainted: from then on its truth and the floor's belief may differ, until a look at the node; after
that, and once nothing is under way any more, belief equals truth again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from asterisk_model import AsteriskModel, Channel
from floorkit import UTC_0, Clock, RecordBook
from floors import ATTRIBUTES, FLOOR, HOSTS, NUMBERS, edited, floor_of
from promises import ON_A_CALL, check_order, check_promises, waiting_in_order

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.definition import ToDialplan
from acd.domain.events import AgentAction, CallAction, Phase
from acd.domain.place import Place
from acd.domain.states import AgentState, CallState, OfferOutcome, PhoneState
from acd.floor import Floor, arrivals

NODES = ("east", "west")
PHONES = ("PJSIP/101", "PJSIP/102", "PJSIP/103", "PJSIP/203", "PJSIP/104", "PJSIP/900")
PARTS = ("all", "rules", "vip", "tech", "sales", "help", "ann", "bob", "cid", "dan", "1", "2", "3", "4")
OF_A_PHONE = [
    *(OfferOutcome.NO_ANSWER, OfferOutcome.BUSY, OfferOutcome.DECLINED),
    *(OfferOutcome.UNREACHABLE, OfferOutcome.CONGESTION),
]
FAILURES = [o for o in OfferOutcome if o not in (OfferOutcome.ANSWERED, OfferOutcome.VOID)]


class World:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.choose: Callable[[int], int] = lambda n: 0
        self.clock = Clock()
        self.epoch = 1
        self.varied = False
        self.definition = self.first_definition = FLOOR
        self.floor = Floor(FLOOR, epoch=1, started_at=UTC_0)
        self.book = RecordBook()
        self.durable = RecordBook()
        self.undurable: list[tuple[rec.Record, ...]] = []
        self.models = {name: AsteriskModel(name) for name in NODES}
        self.wire: dict[str, list[do.ChannelCommand | do.SendCall]] = {name: [] for name in NODES}
        self.up = dict.fromkeys(NODES, False)
        self.tainted = dict.fromkeys(NODES, True)
        self.restarted = dict.fromkeys(NODES, False)
        self.requests = 0
        self.slow_look: ev.NodeResynced | None = None
        self.tape: list[tuple[ev.Event, float, str]] = []

    # -- the wires ---------------------------------------------------------------------------------------------------

    @property
    def utc(self) -> float:
        return self.clock.now.utc

    def handle(self, event: ev.Event) -> None:
        """Give the floor one event; check everything that must hold after every event."""
        waited = waiting_in_order(self.floor)
        step = self.floor.handle(event, self.clock.now)
        self.tape.append((event, self.clock.s, repr(step)))
        self.book.fold(step.records)
        self.undurable.append(step.records)
        ended = {r.call for r in step.records if isinstance(r, rec.CallClosed)}
        replies = [c for c in step.commands if isinstance(c, do.Reply)]
        asked = getattr(event, "request", None) is not None
        assert [r.request for r in replies] == ([event.request] if asked else [])  # type: ignore[attr-defined]
        for command in step.commands:
            drifted = isinstance(command, do.ReportDrift) and command.kind in ("adopt_unbound", "offer_unknown")
            if drifted and isinstance(event, ev.NodeResynced):
                # What was seen cannot all be true (one agent, two phones ringing): not to be settled by this look
                self.tainted[event.node] = True
            if isinstance(command, do.ChannelCommand | do.SendCall):
                # In a look may be somebody whom nobody remembers, and whom no queue takes any more
                unknown = isinstance(command, do.SendCall) and isinstance(event, ev.NodeResynced)
                # His question may be older than that he was sent on
                again = isinstance(event, ev.CallArrived) and command in [sent for sent, _ in self.floor.sent.values()]
                live = command.call in self.floor.calls or command.call in ended
                assert live or unknown or again, f"for no live call: {command}"
                self.send(command)
            if isinstance(command, do.OfferCall) and not isinstance(event, ev.FloorEdited):
                check_order(self.floor, waited, command.call)
        check_promises(self.floor, self.clock.now)
        open_ids = {row.opened.call for row in self.book.open_calls()}
        assert open_ids == set(self.floor.calls) | set(self.floor.memory)

    def send(self, command: do.ChannelCommand | do.SendCall) -> None:
        """An answer to a question goes back by AGI at once, everything else by the manager interface if it is up."""
        model = self.models[command.node]
        channel = model.channels.get(command.channel)
        if channel is not None and channel.asking:
            # Nobody's phone is answered faster than an action that was sent earlier takes effect
            for earlier in [c for c in self.wire[command.node] if c.channel == channel.name]:
                self.wire[command.node].remove(earlier)
                self.carry_out(model, earlier)
            if not isinstance(command, do.MarkCall):
                self.carry_out(model, command)
        elif self.up[command.node]:
            self.wire[command.node].append(command)
        else:
            self.tainted[command.node] = True

    def carry_out(self, model: AsteriskModel, command: do.ChannelCommand | do.SendCall) -> None:
        channel = model.channels.get(command.channel)
        if channel is not None and channel.phase in (Phase.ELSEWHERE, None):
            # We pull back a caller who has just left; what he was doing there we do not hear
            self.tainted[model.node] = True
        model.execute(command, self.utc)

    def ask(self, model: AsteriskModel, channel: Channel) -> None:
        """The dialplan asks by AGI, which has a connection of its own and waits for the answer."""
        channel.asking = True
        self.handle(model.question(channel))
        channel.asking = False

    # -- callers and phones ------------------------------------------------------------------------------------------

    def has(self, *phases: Phase | None) -> bool:
        """Whether some caller's channel is in one of ``phases``."""
        return any(c.phase in phases for m in self.models.values() for c in m.channels.values())

    def under_way(self) -> bool:
        """Whether some event is not yet delivered."""
        return any(m.outbox for m in self.models.values())

    def pick(self, *phases: Phase | None) -> Channel:
        found = [(m, c) for m in self.models.values() for c in m.channels.values() if c.phase in phases]
        self.model, channel = found[self.choose(len(found))]
        return channel

    def begin(self, begin: str, present: bool, seed: int | None = None) -> None:
        """``seed``: on which floor; None: on floor 0, and all callers are alike."""
        self.varied = seed is not None
        if seed:
            self.definition = self.first_definition = floor_of(seed)
            self.floor = Floor(self.definition, epoch=1, started_at=UTC_0)
        for model in self.models.values():
            model.devices = dict.fromkeys(PHONES, PhoneState.IDLE)
            model.hosts = HOSTS
        for name in NODES:
            if begin in ("both", name):
                self.connect(name)
        if present:
            self.all_log_in()

    def arrive(self, node: str, did: str, count: int) -> None:
        model = self.models[node]
        for _ in range(count):
            number, attributes = "", {}
            if self.varied:
                number, some = NUMBERS[self.choose(len(NUMBERS))], self.choose(2 * len(ATTRIBUTES))
                attributes = ATTRIBUTES[some] if some < len(ATTRIBUTES) else {}
            self.ask(model, model.arrive(self.utc, did, number, attributes))

    def caller_hangs_up(self) -> None:
        channel = self.pick(*Phase, None)
        self.model.hang_up(channel, self.utc)

    def phone_rings(self) -> None:
        channel = self.pick(Phase.OFFERING)
        self.model.ring(channel, self.utc)

    def agent_answers(self) -> None:
        channel = self.pick(Phase.OFFERING, Phase.RINGING)
        if self.model.can_answer(channel):
            self.model.answer(channel, self.utc, self.choose if self.varied else lambda n: 0)

    def offer_fails(self, outcome: OfferOutcome) -> None:
        channel = self.pick(Phase.OFFERING, Phase.RINGING)
        self.model.fail(channel, outcome, self.utc)

    def has_several(self) -> bool:
        """Whether several phones ring for somebody."""
        return any(m.can_lose(c) for m in self.models.values() for c in m.channels.values())

    def one_of_several_fails(self, outcome: OfferOutcome) -> None:
        found = [(m, c) for m in self.models.values() for c in m.channels.values() if m.can_lose(c)]
        model, channel = found[self.choose(len(found))]
        model.lose(channel, outcome, self.utc, self.choose)

    def agent_hangs_up(self) -> None:
        channel = self.pick(Phase.TALKING)
        self.model.end_talk(channel, "agent", self.utc)

    def agent_transfers(self, kind: str) -> None:
        channel = self.pick(Phase.TALKING)
        self.model.transfer(channel, kind, self.utc)

    def agent_transfers_back(self, did: str) -> None:
        channel = self.pick(Phase.TALKING)
        model = self.model
        # A command that is under way to where he was moves him from where he is
        self.tainted[model.node] |= any(c.channel == channel.name for c in self.wire[model.node])
        self.clock.s += 0.01
        model.transfer_back(channel, did, self.utc, heard_first=self.choose(2) == 1)
        self.ask(model, channel)

    def agent_holds(self) -> None:
        channel = self.pick(Phase.TALKING)
        self.model.hold(channel, self.utc)

    def agent_holds_his_own_call(self) -> None:
        channel = self.pick(Phase.TALKING)
        self.model.hold_own(channel, self.utc)

    def agent_consults(self, did: str) -> None:
        channel = self.pick(Phase.TALKING)
        model = self.model
        self.ask(model, model.consult(channel, did, self.utc))

    def has_joinable(self) -> bool:
        return any(m.can_join(c) for m in self.models.values() for c in m.channels.values() if c.phase is Phase.TALKING)

    def agent_joins(self) -> None:
        found = [
            (m, c)
            for m in self.models.values()
            for c in m.channels.values()
            if c.phase is Phase.TALKING and m.can_join(c)
        ]
        model, channel = found[self.choose(len(found))]
        own = channel.own
        assert own is not None
        # What is under way to either channel finds another one there, or none
        self.tainted[model.node] |= bool(model.outbox)
        self.tainted[model.node] |= any(c.channel in (own.name, channel.name) for c in self.wire[model.node])
        model.join(channel, self.utc, heard_first=self.choose(2) == 1)

    def agent_sends_caller_back(self) -> None:
        channel = self.pick(Phase.TALKING)
        self.model.back_on_hold(channel, self.utc)
        self.tainted[self.model.node] = True

    def caller_asks_again(self) -> None:
        channel = self.pick(Phase.HELD)
        if not self.up[self.model.node] or not (self.model.outbox or self.wire[self.model.node]):
            # He asks after ten seconds of music at the earliest: nothing is under way that long
            self.ask(self.model, channel)

    def caller_takes_the_fallback(self) -> None:
        channel = self.pick(Phase.HELD)
        self.model.leave(channel, self.utc)

    def phone_changes(self, node: str, device: str, state: PhoneState) -> None:
        self.models[node].set_device(device, state, self.utc)

    # -- changes while calls wait ------------------------------------------------------------------------------------

    def floor_is_edited(self, seed: int, part: str) -> None:
        self.definition = edited(self.definition, seed, part)
        self.requests += 1
        self.handle(ev.FloorEdited(self.utc, self.definition, f"r{self.requests}"))

    def call_is_escalated(self, queue: str | None) -> None:
        call = self.pick(*Phase).call or "nobody's"
        self.requests += 1
        self.handle(ev.CallRequested(self.utc, call, CallAction.ESCALATE, queue, request=f"r{self.requests}"))

    def call_is_transferred(self, to: str) -> None:
        call = self.pick(*Phase).call or "nobody's"
        self.requests += 1
        place = ToDialplan("phones", "600") if to == "outside" else None
        queue = None if place is not None else to
        action, request = CallAction.TRANSFER, f"r{self.requests}"
        self.handle(ev.CallRequested(self.utc, call, action, queue, request=request, to=place))

    def call_is_given_attributes(self) -> None:
        call, attributes = self.pick(*Phase).call or "nobody's", ATTRIBUTES[self.choose(len(ATTRIBUTES))]
        self.requests += 1
        action = CallAction.SET_ATTRIBUTES
        self.handle(ev.CallRequested(self.utc, call, action, attributes=attributes, request=f"r{self.requests}"))

    # -- agents ------------------------------------------------------------------------------------------------------

    def agent_asks(self, agent: str, action: AgentAction, reason: str | None, phone: str | None, named: bool) -> None:
        self.requests += 1
        request = f"r{self.requests}" if named else None
        self.handle(ev.AgentRequested(self.utc, agent, action, reason, phone, request))

    def agent_previews(self, agent: str, what: str | None) -> None:
        """The dialler shows an agent a contact, has it dialled, or that is over."""
        self.requests += 1
        self.handle(ev.AgentEngaged(self.utc, agent, what, f"r{self.requests}"))

    def all_log_in(self) -> None:
        for name in self.definition.agents:
            self.handle(ev.AgentRequested(self.utc, name, AgentAction.LOGIN))
            self.handle(ev.AgentRequested(self.utc, name, AgentAction.RESUME))

    # -- delivery ----------------------------------------------------------------------------------------------------

    def everything_arrives(self) -> None:
        """Nothing is late."""
        if all(self.up.values()):
            self.settle()

    def deliver(self, node: str, count: int) -> None:
        """The next events reach the floor, unless the connection is down."""
        outbox = self.models[node].outbox
        for _ in range(min(count, len(outbox))):
            event = outbox.pop(0)
            if self.up[node]:
                self.handle(event)
            else:
                self.tainted[node] = True

    def execute(self, node: str, count: int) -> None:
        """The next commands reach Asterisk."""
        for _ in range(min(count, len(self.wire[node]))):
            self.carry_out(self.models[node], self.wire[node].pop(0))

    def harm_events(self, node: str, harm: str) -> None:
        """``lose``, ``double`` or ``swap`` one event that is under way."""
        outbox = self.models[node].outbox
        if outbox:
            index = self.choose(len(outbox))
            self.tainted[node] = True
            if harm == "lose":
                outbox.pop(index)
            elif harm == "double":
                outbox.insert(index, outbox[index])
            else:
                outbox.append(outbox.pop(index))

    def lose_a_command(self, node: str) -> None:
        if self.wire[node]:
            self.wire[node].pop(0)
            self.tainted[node] = True

    # -- time --------------------------------------------------------------------------------------------------------

    def time_passes(self, seconds: float) -> None:
        """With a timer that fires in time."""
        until = self.clock.now.mono + seconds
        while (deadline := self.floor.next_deadline()) is not None and deadline <= until:
            self.clock.reach(deadline)
            self.handle(ev.DeadlinePassed(self.utc))
            assert self.floor.next_deadline() != deadline or deadline > self.clock.now.mono
        self.clock.reach(until)

    def time_jumps(self, seconds: float) -> None:
        """The process was held up: the next event comes before the timer."""
        self.clock.s += seconds

    # -- connections and lives ---------------------------------------------------------------------------------------

    def connect(self, node: str) -> None:
        """The connection comes up: the globals are set, then the first look."""
        model = self.models[node]
        model.epoch = self.epoch
        self.up[node] = True
        self.wire[node].clear()
        self.clock.s += 0.01
        look = model.look(self.utc, 0.0, restarted=self.restarted[node])
        model.outbox.clear()  # what happened before the look was not heard
        self.restarted[node] = self.tainted[node] = False
        self.clock.s += 0.01
        self.handle(look)

    def connection_comes_up(self) -> None:
        for node in NODES:
            if not self.up[node]:
                self.connect(node)

    def connection_breaks(self, node: str) -> None:
        if self.up[node]:
            self.up[node] = False
            self.slow_look = None
            self.wire[node].clear()
            self.tainted[node] = True
            self.handle(ev.NodeLost(self.utc, node))

    def running_comparison(self, node: str, margin_s: float) -> None:
        if self.up[node]:
            # Whatever is still under way makes the look contradict what will be heard
            self.tainted[node] |= bool(self.wire[node] or self.models[node].outbox)
            self.clock.s += 0.01
            look = self.models[node].look(self.utc, margin_s)
            self.clock.s += 0.01
            self.handle(look)

    def slow_look_is_taken(self, node: str) -> None:
        """A running comparison whose answer is under way while events go on."""
        if self.up[node] and not self.wire[node] and not self.models[node].outbox:
            self.slow_look = self.models[node].look(self.utc, 3.0)

    def slow_look_arrives(self) -> None:
        """Within its margin, that must not disturb anything."""
        look, self.slow_look = self.slow_look, None
        assert look is not None
        if self.up[look.node] and self.utc - look.at < look.margin_s:
            self.handle(look)

    def asterisk_restarts(self, node: str, heard: bool) -> None:
        if self.up[node]:
            self.connection_breaks(node)
        self.models[node].restart()
        self.restarted[node] = heard

    def commit(self) -> None:
        for records in self.undurable:
            self.durable.fold(records)
        self.undurable.clear()

    def controller_is_killed(self, unwritten: bool) -> None:
        """And starts again, with what had been written. What is on the wire is lost."""
        if not unwritten:
            self.commit()
        self.undurable.clear()
        self.slow_look = None
        self.book = copy.deepcopy(self.durable)
        self.replay()
        self.epoch += 1
        self.first_definition = self.definition
        self.floor = Floor(self.definition, epoch=self.epoch, started_at=self.utc)
        for node in NODES:
            self.up[node], self.tainted[node] = False, True
            self.wire[node].clear()
            self.models[node].outbox.clear()
        self.clock.s += 1.0
        self.handle(self.book.memory(self.utc))

    def replay(self) -> None:
        """The same events give the same steps, byte for byte."""
        clock = Clock()
        floor = Floor(self.first_definition, epoch=self.epoch, started_at=self.floor.started_at)
        for event, seconds, expected in self.tape:
            clock.s = seconds
            assert repr(floor.handle(event, clock.now)) == expected
        self.tape.clear()

    # -- belief and truth --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything under way arrive."""
        for _ in range(50):
            busy = False
            for node in NODES:
                model = self.models[node]
                for channel in list(model.channels.values()):
                    if channel.phase is Phase.HELD and channel.call is None:
                        self.ask(model, channel)
                busy |= bool(model.outbox or self.wire[node])
                self.execute(node, len(self.wire[node]))
                self.deliver(node, len(model.outbox))
            if not busy:
                return
        raise AssertionError("the floor and Asterisk never come to rest")

    def compare(self) -> None:
        """After a look at whatever was disturbed, and once nothing is under way: belief equals truth."""
        for node in NODES:
            if not self.up[node]:
                self.connect(node)
        self.settle()
        for _ in range(3):
            for node in NODES:
                if self.tainted[node]:
                    self.tainted[node] = False
                    self.clock.s += 1.0
                    self.running_comparison(node, 0.0)
            self.settle()
            if not any(self.tainted.values()):
                break
        for model in self.models.values():
            self.check_truth(model)

    def leads_nowhere(self, channel: Channel) -> bool:
        """Whether no queue takes a caller of whom nothing is known but what his channel says."""
        place = Place.decode(channel.place)
        lost = place is None or place.queue not in self.floor.definition.queues
        return lost and arrivals.entry(self.floor, "", "") is None

    def check_truth(self, model: AsteriskModel) -> None:
        floor = self.floor
        for call in floor.calls.values():
            assert call.node != model.node or call.channel in model.channels, f"no longer exists: {call}"
        for channel in model.channels.values():
            call = floor.by_channel.get((model.node, channel.name))
            if channel.phase in (Phase.ELSEWHERE, None):
                assert call is None or call.state is CallState.AFTER, (channel, call)
                continue
            theirs = floor.roster.agents.get(channel.agent or "")
            engaged = theirs is not None and theirs.offer in floor.offers and theirs.offer != channel.offer
            if channel.on_phone and engaged:
                # Two nodes claim one agent (the offer of an earlier life was never written): the first look wins
                continue
            if call is None and channel.on_phone and self.leads_nowhere(channel):
                # His queue was removed unwritten, and no queue takes him: whoever rings may answer
                continue
            assert call is not None, f"nobody knows {channel}"
            agent = floor.roster.agents.get(call.agent or "")
            if channel.phase is Phase.HELD:
                assert call.state is CallState.WAITING, (channel, call)
            else:
                talks = channel.phase is Phase.TALKING
                assert call.state is (CallState.TALKING if talks else CallState.OFFERED), (channel, call)
                assert call.offer == channel.offer
                assert agent is not None
                if channel.device is None:
                    assert channel.agent in self.floor.offers[call.offer or ""].agents
                elif channel.agent in self.floor.roster.agents:
                    assert channel.device in agent.devices or call.agent == channel.agent
                assert agent.state in ON_A_CALL
                assert (agent.state is AgentState.TALKING) == talks
                if talks and channel.device in agent.devices:
                    own = {channel.own.name: channel.own.phase is Phase.TALKING} if channel.own is not None else {}
                    assert {name: one.up for name, one in call.consults.items()} == own, (channel, call)
            assert call.call == channel.call

    def end(self) -> None:
        """Everybody hangs up: nothing is left over."""
        self.compare()
        for model in self.models.values():
            for channel in list(model.channels.values()):
                model.hang_up(channel, self.utc)
        self.settle()
        assert not self.floor.calls
        assert not self.floor.offers
        assert not self.floor.memory
        assert not self.book.open_calls()
        self.time_passes(100.0)
        for agent in self.floor.roster.agents.values():
            assert agent.state not in (*ON_A_CALL, AgentState.WRAP_UP), agent
            assert agent.pending is None
        self.replay()
