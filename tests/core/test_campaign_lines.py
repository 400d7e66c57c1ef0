"""The waiting line that a campaign gives: whose agents serve it, who enters it, and how long anybody waits there."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from acd.cli.floordiff import differences
from acd.config.floor import parse_floor
from acd.config.problems import Problems, ProblemsError
from acd.dialer.rules import PROFILES
from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.campaignlines import CALLBACK_AGENT, with_lines, without_lines
from acd.domain.campaigns import Campaign, Mode
from acd.domain.definition import FloorDefinition, HangUp
from acd.domain.states import AgentState, CallOutcome, OfferOutcome
from acd.floor import Floor
from core.floorkit import Clock, define

FLOOR = """
queue sales wrap=7 ring=15 needs=english:50 max=600 length=1
agent ann 101 sales english=80 prefer-sales=3
agent bob 102 sales english=10
queue other
agent eve 103 other
did * other .tier=walk-in
"""


def floor_with(**changes: object) -> FloorDefinition:
    campaign = Campaign("win", Mode.PREDICTIVE, "sales", "out", "own", PROFILES["us"].rules, connect_s=2.0)
    campaign = replace(campaign, **changes)  # type: ignore[arg-type]
    return with_lines(replace(define(FLOOR), campaigns=MappingProxyType({"win": campaign})))


class Floored:
    """A floor with its node up and agents logged in."""

    def __init__(self, definition: FloorDefinition, *agents: str) -> None:
        self.clock = Clock()
        self.floor = Floor(definition, epoch=1, started_at=self.clock.now.utc)
        self.tell(ev.MemoryRestored(self.clock.now.utc, (), ()))
        self.tell(ev.NodeResynced(self.clock.now.utc, "pbx", (), {}))
        for agent in agents:
            self.tell(ev.AgentRequested(self.clock.now.utc, agent, ev.AgentAction.LOGIN))

    def tell(self, event: ev.Event) -> tuple[tuple[rec.Record, ...], tuple[do.Command, ...]]:
        step = self.floor.handle(event, self.clock.now)
        return step.records, step.commands

    def answered(self, **more: object) -> tuple[tuple[rec.Record, ...], tuple[do.Command, ...]]:
        event = ev.CallArrived(
            self.clock.now.utc, "pbx", "00000100000001", "PJSIP/out-1", "00000100000001", "+4930555100", "+4930123456"
        )
        return self.tell(replace(event, campaign="win", **more))  # type: ignore[arg-type]


def test_the_line_has_the_queues_agents_and_skills_and_the_campaigns_patience() -> None:
    definition = floor_with()
    line, queue = definition.queues["win"], definition.queues["sales"]
    assert (line.stages, line.ring_timeout_s, line.wrap_up_s) == (queue.stages, 15.0, 7.0)
    assert (line.max_wait_s, line.max_length, line.overflow) == (2.0, None, HangUp())
    assert definition.agents["ann"].queues == ("sales", "win")
    assert definition.agents["ann"].queue_preference == {"sales": 3, "win": 3}
    assert definition.agents["eve"].queues == ("other",)
    assert without_lines(definition) == replace(define(FLOOR), campaigns=definition.campaigns)


def test_who_answers_is_offered_at_once_before_callers_of_the_queue() -> None:
    floored = Floored(floor_with())
    clock = floored.clock
    floored.tell(ev.CallArrived(clock.now.utc, "pbx", "1.1", "PJSIP/in-1", "1.1", "555", campaign=None))
    clock.s = 1.0
    records, _ = floored.answered()
    opened = next(record for record in records if isinstance(record, rec.CallOpened))
    assert (opened.queue, opened.channel) == ("win", "00000100000001")
    _, commands = floored.tell(ev.AgentRequested(clock.now.utc, "ann", ev.AgentAction.LOGIN))
    (offer,) = [command for command in commands if isinstance(command, do.OfferCall)]
    assert offer.channel == "00000100000001"


def test_nothing_of_the_entry_point_for_everybody_is_said_of_a_call_of_ours() -> None:
    floored = Floored(floor_with(client="acme"))
    records, _ = floored.answered()
    (opened,) = [record for record in records if isinstance(record, rec.CallOpened)]
    assert opened.client == "acme"
    (call,) = floored.floor.calls.values()
    assert "tier" not in call.attributes


@pytest.mark.parametrize(("message", "place"), [(None, "hangup"), ("custom/us", "message custom/us")])
def test_who_got_no_agent_in_time_is_sent_off(message: str | None, place: str) -> None:
    floored = Floored(floor_with(message=message))
    floored.answered()
    floored.clock.s = 1.9
    assert floored.tell(ev.DeadlinePassed(floored.clock.now.utc)) == ((), ())
    floored.clock.s = 2.0
    records, _ = floored.tell(ev.DeadlinePassed(floored.clock.now.utc))
    (closed,) = [record for record in records if isinstance(record, rec.CallClosed)]
    assert (closed.outcome, closed.target) == (CallOutcome.OVERFLOWED, place)


def test_a_promised_callback_waits_for_its_agent_first() -> None:
    floored = Floored(floor_with(), "ann")
    definition = floored.floor.definition
    bob = replace(definition.agents["bob"], skills=MappingProxyType({"english": 90}))
    edited = replace(definition, agents=MappingProxyType({**definition.agents, "bob": bob}), revision="rev2")
    floored.tell(ev.FloorEdited(floored.clock.now.utc, edited))
    floored.tell(ev.AgentRequested(floored.clock.now.utc, "bob", ev.AgentAction.LOGIN))
    _, commands = floored.answered(variables={CALLBACK_AGENT: "bob"})
    assert [command.agent for command in commands if isinstance(command, do.OfferCall)] == ["bob"]
    assert floored.floor.roster.agents["ann"].state is AgentState.AVAILABLE


def test_a_diff_tells_of_the_campaign_and_not_of_what_follows_from_it() -> None:
    found = differences(define(FLOOR), floor_with())
    assert found["campaigns"]["added"] == ["win"]
    assert (found["queues"]["added"], found["agents"]["changed"]) == ([], {})
    found = differences(floor_with(), floor_with(connect_s=1.0))
    assert found["campaigns"]["changed"]["win"] == {"connect_s": {"from": 2.0, "to": 1.0}}
    assert found["queues"]["changed"] == {}


YAML = """
queues: {sales: {}}
agents: {ann: {number: 101, phones: [PJSIP/101], queues: [sales]}}
trunks: {out: {dial: "PJSIP/{number}@carrier"}}
caller_ids: {own: {numbers: [+4930555100], verified: 2026-03-01}}
campaigns:
  %s: {mode: progressive, queue: sales, trunk: out, caller_ids: own, profile: us, lists: [a], time_zone: Europe/Berlin}
"""


def test_floor_yaml_gives_the_line_and_a_revision_of_its_own() -> None:
    definition = parse_floor(YAML % "win", Problems("floor.yaml")).definition
    assert definition.agents["ann"].queues == ("sales", "win")
    assert definition.revision != parse_floor(YAML % "lose", Problems("floor.yaml")).definition.revision


def test_a_campaign_may_not_be_called_as_a_queue_is() -> None:
    with pytest.raises(ProblemsError, match="called as a queue is"):
        parse_floor(YAML % "sales", Problems("floor.yaml"))


def offered_to(commands: tuple[do.Command, ...]) -> do.OfferCall:
    (offer,) = [command for command in commands if isinstance(command, do.OfferCall)]
    return offer


@pytest.mark.parametrize(
    ("after_s", "state", "free"), [(0.9, AgentState.AVAILABLE, False), (1.0, AgentState.PAUSED, False)]
)
def test_who_does_not_answer_in_time_is_paused_unless_there_was_hardly_any(
    after_s: float, state: AgentState, free: bool
) -> None:
    floored = Floored(floor_with(), "ann")
    _, commands = floored.answered()
    offer = offered_to(commands)
    floored.clock.s = after_s
    at = floored.clock.now.utc
    floored.tell(ev.OfferFailed(at, offer.offer, OfferOutcome.NO_ANSWER, "NOANSWER"))
    ann = floored.floor.roster.agents["ann"]
    assert (ann.state, floored.floor.matcher.is_free("ann")) == (state, free)
    floored.clock.s = after_s + 10.0
    floored.tell(ev.DeadlinePassed(floored.clock.now.utc))
    assert floored.floor.matcher.is_free("ann") == (state is AgentState.AVAILABLE)


@pytest.mark.parametrize(("after_s", "free"), [(0.9, True), (1.0, False)])
def test_who_lets_people_hang_up_who_were_dialled_is_passed_over(after_s: float, free: bool) -> None:
    floored = Floored(floor_with(), "ann")
    _, commands = floored.answered()
    offer = offered_to(commands)
    floored.clock.s = after_s
    at = floored.clock.now.utc
    floored.tell(ev.OfferFailed(at, offer.offer, OfferOutcome.CALLER_GONE, "CANCEL"))
    floored.tell(ev.CallEnded(at, "pbx", "00000100000001", 16))
    assert floored.floor.matcher.is_free("ann") == free
    assert floored.floor.roster.agents["ann"].why_not == (None if free else "cool-down")
    floored.clock.s = after_s + 10.0
    floored.tell(ev.DeadlinePassed(floored.clock.now.utc))
    assert floored.floor.matcher.is_free("ann")


def test_callers_who_hang_up_while_it_rings_are_nobodys_fault() -> None:
    floored = Floored(floor_with(), "eve")
    clock = floored.clock
    _, commands = floored.tell(ev.CallArrived(clock.now.utc, "pbx", "1.1", "PJSIP/in-1", "1.1", "555", campaign=None))
    offer = offered_to(commands)
    clock.s = 8.0
    floored.tell(ev.OfferFailed(clock.now.utc, offer.offer, OfferOutcome.CALLER_GONE, "CANCEL"))
    assert floored.floor.matcher.is_free("eve")
