"""Agents with lasting lines beside all that a floor does otherwise: reloads, several at once, other nodes, campaigns."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from floorkit import Clock, define

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.events import AgentAction
from acd.domain.states import PAUSE_NO_LINE, AgentState, OfferOutcome, PhoneState
from acd.floor import Floor, lasting
from acd.outbound.hall import Hall

FLOOR = """
queue sales wrap=0 rings=3
agent ann 101 sales lasting
agent bob 102 sales
agent cid 103 sales lasting
agent dan 104 sales
did 100 sales
breaker 2 within=30 probe=15 group=trunk
"""


class World:
    """A floor, and what it commanded last."""

    def __init__(self, text: str = FLOOR, *, up: bool = True) -> None:
        self.clock = Clock()
        self.definition = define(text)
        self.floor = Floor(self.definition, epoch=1, started_at=self.clock.now.utc)
        if up:
            self.tell(ev.NodeResynced(self.clock.now.utc, "pbx", (), {}))

    def tell(self, event: ev.Event) -> tuple[do.Command, ...]:
        return self.floor.handle(replace(event, at=self.clock.now.utc), self.clock.now).commands

    def asks(self, agent: str, action: AgentAction = AgentAction.LOGIN, **more: str) -> tuple[do.Command, ...]:
        return self.tell(ev.AgentRequested(0.0, agent, action, request="r", **more))

    def waits(self, agent: str, line: str, node: str = "pbx") -> tuple[do.Command, ...]:
        return self.tell(ev.LineWaits(0.0, agent, node, line, f"PJSIP/{line}"))

    def works(self, agent: str, line: str) -> None:
        """``agent`` is at work on his lasting line."""
        self.asks(agent, channel=line)
        self.waits(agent, line)

    def calls(self, channel: str, node: str = "pbx") -> do.OfferCall:
        """Somebody calls, and is offered."""
        made = self.tell(ev.CallArrived(0.0, node, channel, f"PJSIP/{channel}", channel, "100"))
        return next(one for one in made if isinstance(one, do.OfferCall))

    def later(self, seconds: float) -> tuple[do.Command, ...]:
        self.clock.s += seconds
        return self.tell(ev.DeadlinePassed(0.0))

    def edited(self, **agents: str | None) -> tuple[do.Command, ...]:
        """A reload: some have, or have no lasting line from now on."""
        known = self.definition.agents
        changed = {name: replace(known[name], lasting_line=music) for name, music in agents.items()}
        self.definition = replace(self.definition, agents={**known, **changed})
        return self.tell(ev.FloorEdited(0.0, self.definition))

    def is_(self, agent: str) -> tuple[AgentState, str | None]:
        found = self.floor.roster.agents[agent]
        return found.state, found.reason


NO_LINE = (AgentState.PAUSED, PAUSE_NO_LINE)
AVAILABLE = (AgentState.AVAILABLE, None)


def test_of_several_who_could_be_rung_one_with_a_line_is_put_through_alone_and_is_not_rung_with_others() -> None:
    world = World()
    world.works("ann", "L1")
    world.clock.s += 1
    for name in ("bob", "dan"):
        world.asks(name)
    world.works("cid", "L3")
    first = world.calls("c1")
    assert (first.agent, first.leg, first.leg_name, first.lasting) == ("ann", "L1", "PJSIP/L1", True)
    second = world.calls("c2")
    assert (second.agent, second.lasting, second.leg) == ("bob", False, "")
    assert second.phones == ("PJSIP/102", "PJSIP/104"), "cid's phone is not rung"


def test_a_call_of_another_node_rings_the_phone() -> None:
    world = World()
    world.tell(ev.NodeResynced(0.0, "east", (), {}))
    world.works("ann", "L1")
    offer = world.calls("c1", "east")
    assert (offer.phones, offer.lasting, offer.leg) == (("PJSIP/101",), False, "")
    world.tell(ev.OfferFailed(0.0, offer.offer, OfferOutcome.BUSY))
    assert world.floor.roster.agents["ann"].line.waits


def test_who_is_to_have_a_line_by_a_reload_is_called_and_who_is_not_to_loses_it() -> None:
    world = World()
    for name in ("bob", "dan"):
        world.asks(name)
    talks = world.calls("c1")
    world.tell(ev.AgentAnswered(0.0, talks.offer, "leg", "PJSIP/102"))
    world.works("ann", "L1")
    assert [world.is_(name) for name in ("ann", "dan")] == [AVAILABLE] * 2
    made = world.edited(ann=None, bob="jazz", dan="jazz")
    ended, called = [one for one in made if isinstance(one, do.LineCommand)]
    assert isinstance(ended, do.EndLine)
    assert isinstance(called, do.CallLine)
    assert (ended.line, called.agent, called.device, called.music) == ("L1", "dan", "PJSIP/104", "jazz")
    assert [world.is_(name)[0] for name in ("ann", "bob")] == [AgentState.AVAILABLE, AgentState.TALKING]
    assert world.is_("dan") == NO_LINE
    # Bob's conversation goes on as it began; he is called once it is over
    assert not [one for one in world.later(6) if isinstance(one, do.LineCommand)]
    world.tell(ev.TalkEnded(0.0, talks.offer, "caller"))
    assert world.is_("bob") == NO_LINE
    (called,) = [one for one in world.later(6) if isinstance(one, do.CallLine)]
    assert called.agent == "bob"
    world.edited(dan=None)
    assert world.is_("dan") == AVAILABLE


def test_a_line_that_a_reload_takes_away_amid_a_talk_is_hung_up_after_it() -> None:
    world = World()
    world.works("ann", "L1")
    offer = world.calls("c1")
    world.tell(ev.AgentAnswered(0.0, offer.offer, "L1", "PJSIP/101"))
    assert not [one for one in world.edited(ann=None) if isinstance(one, do.LineCommand)]
    world.tell(ev.TalkEnded(0.0, offer.offer, "caller"))
    assert world.is_("ann") == AVAILABLE
    assert world.waits("ann", "L1") == (do.EndLine("pbx", "L1"),)


def test_a_second_line_amid_an_offer_is_one_too_many_and_the_first_goes_on() -> None:
    world = World()
    world.works("ann", "L1")
    offer = world.calls("c1")
    assert world.waits("ann", "L2") == (do.EndLine("pbx", "L2"),)
    world.tell(ev.AgentAnswered(0.0, offer.offer, "L1", "PJSIP/101"))
    line = world.floor.roster.agents["ann"].line
    assert (line.channel, line.waits) == ("L1", False)
    assert world.waits("ann", "L2") == (do.EndLine("pbx", "L2"),)
    world.tell(ev.TalkEnded(0.0, offer.offer, "caller"))
    world.waits("ann", "L1")
    # An idle one is replaced by that of the phone at which she is now
    assert world.waits("ann", "L3") == (do.EndLine("pbx", "L1"),)
    assert world.calls("c2").leg == "L3"


def test_who_is_defined_no_more_leaves_no_line_behind() -> None:
    world = World()
    world.works("ann", "L1")
    gone = replace(world.definition, agents={n: a for n, a in world.definition.agents.items() if n != "ann"})
    assert do.EndLine("pbx", "L1") in world.tell(ev.FloorEdited(0.0, gone))


def test_without_asterisk_the_phone_is_called_when_it_is_back() -> None:
    world = World(up=False)
    (reply,) = world.asks("ann")
    assert isinstance(reply, do.Reply)
    assert "no Asterisk is connected" in reply.message
    assert not world.later(6)
    world.tell(ev.NodeResynced(0.0, "pbx", (), {}))
    (called,) = world.later(6)
    assert isinstance(called, do.CallLine)


def test_what_the_phone_does_and_whether_it_can_be_reached_does_not_matter_to_a_line() -> None:
    world = World(re.sub(r"(10\d) sales", r"\1 sales phones=PJSIP/\1@t", FLOOR).replace("rings=3", ""))
    world.works("ann", "L1")
    world.tell(ev.PhoneStateChanged(0.0, "PJSIP/101@t", PhoneState.UNREACHABLE))
    world.asks("ann", AgentAction.PAUSE)
    world.tell(ev.CallArrived(0.0, "pbx", "c1", "PJSIP/c1", "c1", "100"))
    for name in ("bob", "dan"):
        (offer,) = [one for one in world.asks(name) if isinstance(one, do.OfferCall)]
        world.tell(ev.OfferFailed(0.0, offer.offer, OfferOutcome.CONGESTION))
    assert world.floor.roster.agents["dan"].cut_off is not None
    assert world.floor.roster.agents["ann"].cut_off is not None
    made = world.asks("ann", AgentAction.RESUME)
    (offer,) = [one for one in made if isinstance(one, do.OfferCall)]
    assert (offer.agent, offer.lasting) == ("ann", True)
    # That her line could not be joined says nothing of the way to her phone
    world.tell(ev.OfferFailed(0.0, offer.offer, OfferOutcome.UNREACHABLE))
    assert world.is_("ann") == AVAILABLE
    assert world.floor.roster.agents["ann"].cool_until_mono is not None


def test_an_agents_own_customer_is_put_through_on_the_line() -> None:
    world = World()
    world.works("ann", "L1")
    assert world.tell(ev.AgentEngaged(0.0, "ann", "dialling", "r"))[0].ok
    arrived = ev.CallArrived(0.0, "pbx", "c1", "PJSIP/c1", "c1", "100", agent="ann")
    (offer,) = [one for one in world.tell(arrived) if isinstance(one, do.OfferCall)]
    assert (offer.agent, offer.leg, offer.lasting) == ("ann", "L1", True)
    world.tell(ev.LineEnded(0.0, "pbx", "L1"))
    world.tell(ev.OfferFailed(0.0, offer.offer, OfferOutcome.UNREACHABLE))
    assert world.is_("ann") == NO_LINE
    world.tell(ev.AgentEngaged(0.0, "ann", "dialling", "r"))
    again = replace(arrived, channel="c2")
    assert not [one for one in world.tell(again) if isinstance(one, do.OfferCall)], "without a line she cannot be"


def test_a_hold_whose_end_may_have_been_missed_is_none() -> None:
    world = World()
    world.works("ann", "L1")
    world.tell(ev.LineHeld(0.0, "pbx", "L1", True))
    lines = (ev.SeenLine("ann", "L1", "PJSIP/L1"),)
    world.tell(ev.NodeResynced(0.0, "pbx", (), {}, margin_s=3.0, lines=lines))
    assert world.floor.roster.agents["ann"].why_not == "line on hold"
    world.tell(ev.NodeLost(0.0, "pbx"))
    world.tell(ev.NodeResynced(0.0, "pbx", (), {}, lines=lines))
    assert world.floor.roster.agents["ann"].why_not is None


@pytest.mark.parametrize("there", [True, False])
def test_who_looks_at_a_contact_needs_the_line_too_also_over_a_restart(there: bool) -> None:
    world = World()
    world.works("ann", "L1")
    world.tell(ev.AgentEngaged(0.0, "ann", "preview"))
    assert [Hall(world.floor).lasting(name) for name in ("ann", "bob", "nobody")] == [True, False, False]
    (seat,) = [one for one in Hall(world.floor).engaged() if one.agent == "ann"]
    assert (seat.stage, seat.lasting) == ("engaged", True), "nothing is to be rung, though her phone is busy"
    world.tell(ev.LineHeld(0.0, "pbx", "L1", True))
    assert Hall(world.floor).engaged()[0].stage == "talking"
    found = world.floor.roster.agents["ann"]
    memory = ev.AgentMemory("ann", found.state, found.reason, found.since, found.idle_since, found.serial)
    world.tell(ev.LineEnded(0.0, "pbx", "L1"))
    assert world.is_("ann") == NO_LINE
    later = World(up=False)
    later.tell(ev.MemoryRestored(0.0, (memory,), ()))
    lines = (ev.SeenLine("ann", "L1", "PJSIP/L1"),) if there else ()
    later.tell(ev.NodeResynced(0.0, "pbx", (), {}, lines=lines))
    assert later.is_("ann") == (AVAILABLE if there else NO_LINE)
    called = [one.agent for one in later.later(3) if isinstance(one, do.CallLine)]
    assert called == ([] if there else ["ann"])


def test_what_people_are_told_of_a_line() -> None:
    world = World()
    agents = world.floor.roster.agents
    assert lasting.view(agents["bob"]) is None
    told = []
    for step in (
        lambda: world.asks("ann"),
        lambda: world.tell(ev.LineFailed(0.0, "pbx", agents["ann"].line.channel, "was not answered")),
        lambda: world.works("cid", "L3"),
        lambda: world.tell(ev.LineHeld(0.0, "pbx", "L3", True)),
    ):
        step()
        told.append([lasting.view(agents[name]) for name in ("ann", "cid")])
    assert [one["state"] for one, _ in told] == ["called", "down", "down", "down"]
    assert told[1][0]["detail"] == "was not answered"
    assert told[3][1] == {"state": "waits", "on_hold": True, "channel": "PJSIP/L3", "detail": ""}
    assert agents["cid"].why_not == "line on hold"
