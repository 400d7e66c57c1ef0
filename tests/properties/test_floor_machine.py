"""The floor in its world, driven by Hypothesis: it looks for the shortest way to break a promise."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from world import FAILURES, NODES, OF_A_PHONE, PARTS, PHONES, World

from acd.domain.events import AgentAction, Phase
from acd.domain.states import OfferOutcome, PhoneState

DATA = st.data()
NODE = st.sampled_from(NODES)
SEED = st.integers(0, 500)


def when(condition: Callable[[World], object]) -> Callable[..., object]:
    """A precondition on the world."""
    return precondition(lambda machine: bool(condition(machine.world)))


class FloorMachine(RuleBasedStateMachine):
    """Each rule is one thing that can happen in the world."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def chooser(self, data: st.DataObject) -> World:
        """The world, with its choices drawn by Hypothesis."""
        self.world.choose = lambda n: data.draw(st.integers(0, n - 1))
        return self.world

    @initialize(begin=st.sampled_from(["both", "both", "east", "none"]), present=st.booleans(), seed=SEED)
    def begin(self, begin: str, present: bool, seed: int) -> None:
        self.world.begin(begin, present, seed)

    @rule(data=DATA, node=NODE, did=st.sampled_from(["1", "1", "2", "3", "4", "9"]), count=st.integers(1, 3))
    def arrive(self, data: st.DataObject, node: str, did: str, count: int) -> None:
        self.chooser(data).arrive(node, did, count)

    @rule(seed=SEED, part=st.sampled_from(PARTS))
    def floor_is_edited(self, seed: int, part: str) -> None:
        self.world.floor_is_edited(seed, part)

    @when(lambda world: world.has(*Phase))
    @rule(data=DATA, queue=st.sampled_from([None, "vip", "help"]))
    def call_is_escalated(self, data: st.DataObject, queue: str | None) -> None:
        self.chooser(data).call_is_escalated(queue)

    @when(lambda world: world.has(*Phase))
    @rule(data=DATA)
    def call_is_given_attributes(self, data: st.DataObject) -> None:
        self.chooser(data).call_is_given_attributes()

    @when(lambda world: world.has(*Phase, None))
    @rule(data=DATA)
    def caller_hangs_up(self, data: st.DataObject) -> None:
        self.chooser(data).caller_hangs_up()

    @when(lambda world: world.has(Phase.OFFERING))
    @rule(data=DATA)
    def phone_rings(self, data: st.DataObject) -> None:
        self.chooser(data).phone_rings()

    @when(lambda world: world.has(Phase.OFFERING, Phase.RINGING))
    @rule(data=DATA)
    def agent_answers(self, data: st.DataObject) -> None:
        self.chooser(data).agent_answers()

    @when(lambda world: world.has(Phase.OFFERING, Phase.RINGING))
    @rule(data=DATA, outcome=st.sampled_from(FAILURES))
    def offer_fails(self, data: st.DataObject, outcome: OfferOutcome) -> None:
        self.chooser(data).offer_fails(outcome)

    @when(lambda world: world.has_several())
    @rule(data=DATA, outcome=st.sampled_from(OF_A_PHONE))
    def one_of_several_fails(self, data: st.DataObject, outcome: OfferOutcome) -> None:
        self.chooser(data).one_of_several_fails(outcome)

    @when(lambda world: world.has(Phase.TALKING))
    @rule(data=DATA)
    def agent_hangs_up(self, data: st.DataObject) -> None:
        self.chooser(data).agent_hangs_up()

    @when(lambda world: world.has(Phase.TALKING))
    @rule(data=DATA, kind=st.sampled_from(["blind", "attended"]))
    def agent_transfers(self, data: st.DataObject, kind: str) -> None:
        self.chooser(data).agent_transfers(kind)

    @when(lambda world: world.has(Phase.TALKING))
    @rule(data=DATA)
    def agent_holds_his_own_call(self, data: st.DataObject) -> None:
        self.chooser(data).agent_holds_his_own_call()

    @when(lambda world: world.has(Phase.TALKING))
    @rule(data=DATA, did=st.sampled_from(["1", "2", "4"]))
    def agent_transfers_back(self, data: st.DataObject, did: str) -> None:
        self.chooser(data).agent_transfers_back(did)

    @when(lambda world: world.has(Phase.TALKING))
    @rule(data=DATA)
    def agent_holds(self, data: st.DataObject) -> None:
        self.chooser(data).agent_holds()

    @when(lambda world: world.has(Phase.TALKING))
    @rule(data=DATA, did=st.sampled_from(["1", "2", "4"]))
    def agent_consults(self, data: st.DataObject, did: str) -> None:
        self.chooser(data).agent_consults(did)

    @when(lambda world: world.has_joinable())
    @rule(data=DATA)
    def agent_joins(self, data: st.DataObject) -> None:
        self.chooser(data).agent_joins()

    @when(lambda world: world.has(*Phase))
    @rule(data=DATA, to=st.sampled_from(["vip", "help", "outside"]))
    def call_is_transferred(self, data: st.DataObject, to: str) -> None:
        self.chooser(data).call_is_transferred(to)

    @when(lambda world: world.has(Phase.TALKING))
    @rule(data=DATA)
    def agent_sends_caller_back(self, data: st.DataObject) -> None:
        self.chooser(data).agent_sends_caller_back()

    @when(lambda world: world.has(Phase.HELD))
    @rule(data=DATA)
    def caller_asks_again(self, data: st.DataObject) -> None:
        self.chooser(data).caller_asks_again()

    @when(lambda world: world.has(Phase.HELD))
    @rule(data=DATA)
    def caller_takes_the_fallback(self, data: st.DataObject) -> None:
        self.chooser(data).caller_takes_the_fallback()

    @rule(
        node=NODE,
        device=st.sampled_from(PHONES),
        state=st.sampled_from([PhoneState.IDLE, PhoneState.IDLE, PhoneState.BUSY, PhoneState.UNREACHABLE]),
    )
    def phone_changes(self, node: str, device: str, state: PhoneState) -> None:
        self.world.phone_changes(node, device, state)

    @rule(
        agent=st.sampled_from(["ann", "bob", "cid", "104", "nobody"]),
        action=st.sampled_from([AgentAction.LOGIN, AgentAction.LOGIN, *AgentAction]),
        reason=st.sampled_from([None, "lunch", "nonsense"]),
        phone=st.sampled_from([None, None, None, *PHONES]),
        named=st.booleans(),
    )
    def agent_asks(self, agent: str, action: AgentAction, reason: str | None, phone: str | None, named: bool) -> None:
        self.world.agent_asks(agent, action, reason, phone, named)

    @rule(agent=st.sampled_from(["ann", "bob", "cid"]), what=st.sampled_from(["shown", "dialling", None]))
    def agent_previews(self, agent: str, what: str | None) -> None:
        self.world.agent_previews(agent, what)

    @rule()
    def all_log_in(self) -> None:
        self.world.all_log_in()

    @rule()
    def everything_arrives(self) -> None:
        self.world.everything_arrives()

    @when(lambda world: world.under_way())
    @rule(node=NODE, count=st.integers(1, 8))
    def deliver(self, node: str, count: int) -> None:
        self.world.deliver(node, count)

    @when(lambda world: any(world.wire.values()))
    @rule(node=NODE, count=st.integers(1, 8))
    def execute(self, node: str, count: int) -> None:
        self.world.execute(node, count)

    @when(lambda world: world.under_way())
    @rule(node=NODE, data=DATA, harm=st.sampled_from(["lose", "double", "swap"]))
    def harm_events(self, node: str, data: st.DataObject, harm: str) -> None:
        self.chooser(data).harm_events(node, harm)

    @when(lambda world: any(world.wire.values()))
    @rule(node=NODE)
    def lose_a_command(self, node: str) -> None:
        self.world.lose_a_command(node)

    @rule(seconds=st.sampled_from([0.001, 0.5, 2.0, 7.0, 11.0, 26.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.time_passes(seconds)

    @rule(seconds=st.sampled_from([1.0, 15.0, 100.0]))
    def time_jumps(self, seconds: float) -> None:
        self.world.time_jumps(seconds)

    @when(lambda world: not all(world.up.values()))
    @rule()
    def connection_comes_up(self) -> None:
        self.world.connection_comes_up()

    @rule(node=NODE)
    def connection_breaks(self, node: str) -> None:
        self.world.connection_breaks(node)

    @rule(node=NODE, margin_s=st.sampled_from([0.0, 3.0]))
    def running_comparison(self, node: str, margin_s: float) -> None:
        self.world.running_comparison(node, margin_s)

    @when(lambda world: world.slow_look is None)
    @rule(node=NODE)
    def slow_look_is_taken(self, node: str) -> None:
        self.world.slow_look_is_taken(node)

    @when(lambda world: world.slow_look is not None)
    @rule()
    def slow_look_arrives(self) -> None:
        self.world.slow_look_arrives()

    @rule(node=NODE, heard=st.booleans())
    def asterisk_restarts(self, node: str, heard: bool) -> None:
        self.world.asterisk_restarts(node, heard)

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @rule(unwritten=st.booleans())
    def controller_is_killed(self, unwritten: bool) -> None:
        self.world.controller_is_killed(unwritten)

    @rule()
    def compare(self) -> None:
        self.world.compare()

    def teardown(self) -> None:
        self.world.end()


TestFloor = FloorMachine.TestCase
