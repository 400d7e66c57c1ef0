"""What the matcher goes by: waiting is priced by how long calls last, and a definition that cannot be changes nothing."""

from __future__ import annotations

from dataclasses import replace

from floorkit import Clock, define

from acd.domain import events as ev
from acd.domain.commands import Reply
from acd.domain.definition import FloorDefinition, SelectionWeights
from acd.domain.events import AgentAction
from acd.floor import Floor, Step

FLOOR = """
    queue short wrap=0
    queue long wrap=0
    agent ann 101 short,long
    did 100 short
    did 200 long
"""


class Life:
    """One agent and two queues of equal cost."""

    def __init__(self, definition: FloorDefinition) -> None:
        self.clock = Clock()
        self.floor = Floor(definition, epoch=1, started_at=self.clock.now.utc)
        self.channels = 0
        self.tell(ev.NodeResynced(self.now, "pbx", (), {}))
        self.tell(ev.AgentRequested(self.now, "ann", AgentAction.LOGIN))

    @property
    def now(self) -> float:
        return self.clock.now.utc

    def tell(self, event: ev.Event) -> Step:
        return self.floor.handle(event, self.clock.now)

    def arrives(self, did: str) -> str:
        self.channels += 1
        channel = f"c{self.channels}"
        self.tell(ev.CallArrived(self.now, "pbx", channel, "PJSIP/x", channel, did))
        return channel

    def serve(self, seconds: float) -> str:
        """The agent answers the call that rings if he has not, talks so long, and hangs up; which DID it had."""
        (offer,) = self.floor.offers
        call = self.floor.calls[self.floor.offers[offer].call]
        self.tell(ev.AgentAnswered(self.now, offer))
        self.clock.reach(self.clock.now.mono + seconds)
        self.tell(ev.TalkEnded(self.now, offer, "agent"))
        self.tell(ev.CallEnded(self.now, "pbx", call.channel))
        return call.did


def served_after_practice(call_selection: str) -> list[str]:
    life = Life(replace(define(FLOOR), call_selection=call_selection))
    for did, seconds in (("100", 30.0), ("200", 600.0)) * 40:
        life.arrives(did)
        life.serve(seconds)
    life.arrives("100")  # keeps the agent busy while the line forms
    life.tell(ev.AgentAnswered(life.now, next(iter(life.floor.offers))))
    for did in ("200", "200", "100", "100"):
        life.arrives(did)
        life.clock.reach(life.clock.now.mono + 10.0)
    return [life.serve(30.0) for _ in range(5)]


def test_short_calls_come_first_where_waiting_costs_the_same() -> None:
    assert served_after_practice("fcfs") == ["100", "200", "200", "100", "100"]
    assert served_after_practice("cmu") == ["100", "100", "100", "200", "200"]


def test_the_rate_in_force_follows_in_steps() -> None:
    life = Life(replace(define(FLOOR), call_selection="cmu"))
    rates = set()
    for _ in range(200):
        life.arrives("100")
        life.serve(30.0)
        rates.add(life.floor.policies["short"].service_rate)
    assert len(rates) < 30
    assert 1 / 40 < life.floor.policies["short"].service_rate < 1 / 25
    assert life.floor.policies["long"].service_rate < 1 / 150


def test_another_way_of_comparing_calls_takes_the_rates_with_it() -> None:
    life = Life(replace(define(FLOOR), call_selection="cmu"))
    for _ in range(50):
        life.arrives("100")
        life.serve(30.0)
    for call_selection, like in (("fcfs", True), ("cmu", False)):
        life.tell(ev.FloorEdited(life.now, replace(life.floor.definition, call_selection=call_selection)))
        rates = [policy.service_rate for policy in life.floor.policies.values()]
        assert (rates == [1.0, 1.0]) is like


def test_a_definition_that_cannot_be_changes_nothing() -> None:
    life = Life(define(FLOOR))
    good = life.floor.definition
    for bad in (
        replace(good, call_selection="ratio", ageing_s=0.0, queues={}, revision="bad"),
        replace(
            good,
            queues={
                **good.queues,
                "long": replace(good.queues["long"], agent_selection="weighted", weights=SelectionWeights(idle=-1.0)),
            },
        ),
    ):
        step = life.tell(ev.FloorEdited(life.now, bad, "r1"))
        (reply,) = step.commands
        assert isinstance(reply, Reply)
        assert not reply.ok
        assert life.floor.definition is good
        assert step.records == ()
    life.tell(ev.FloorEdited(life.now, replace(good, revision="next"), "r2"))
    assert life.floor.definition.revision == "next"
    life.arrives("200")
    assert len(life.floor.offers) == 1
