"""Agents who look at a contact or dial: nothing is offered to them, and the call they have made is theirs."""

from __future__ import annotations

import pytest

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.states import AgentState, OfferOutcome
from acd.floor import views
from core.floorkit import UTC_0
from core.test_campaign_lines import Floored, floor_with

LEG, LEG_NAME = "00000100000007", "PJSIP/101-00000007"


@pytest.fixture
def floored() -> Floored:
    return Floored(floor_with(), "ann")


def engage(floored: Floored, what: str | None) -> do.Reply:
    _, commands = floored.tell(ev.AgentEngaged(floored.clock.now.utc, "ann", what, "r1"))
    (reply,) = [command for command in commands if isinstance(command, do.Reply)]
    return reply


def offers(commands: tuple[do.Command, ...]) -> list[do.OfferCall]:
    return [command for command in commands if isinstance(command, do.OfferCall)]


def test_nothing_is_offered_to_who_is_engaged_and_what_waits_is_when_that_is_over(floored: Floored) -> None:
    assert engage(floored, "shown").ok
    _, commands = floored.answered()
    assert not offers(commands)
    _, commands = floored.tell(ev.AgentEngaged(floored.clock.now.utc, "ann", None, "r2"))
    (offer,) = offers(commands)
    assert (offer.agent, offer.leg) == ("ann", "")


def test_the_call_that_an_agent_has_made_is_his_and_his_phone_is_not_rung(floored: Floored) -> None:
    engage(floored, "dialling")
    floored.tell(
        ev.PhoneStateChanged(floored.clock.now.utc, "PJSIP/101", floored.floor.roster.agents["ann"].phone_state)
    )
    records, commands = floored.answered(agent="ann", leg=LEG, leg_name=LEG_NAME)
    (offer,) = offers(commands)
    assert (offer.agent, offer.leg, offer.leg_name) == ("ann", LEG, LEG_NAME)
    decided = next(one for one in records if isinstance(one, rec.DecisionMade) and one.kind == "offered")
    assert (decided.detail["trigger"], decided.detail["chosen"]["agent"]) == ("dialled", "ann")
    records, _ = floored.tell(ev.AgentAnswered(floored.clock.now.utc, offer.offer, LEG, "PJSIP/101"))
    assert any(isinstance(one, rec.CallAnswered) and one.agent == "ann" for one in records)
    floored.tell(ev.TalkEnded(floored.clock.now.utc, offer.offer, "agent"))
    assert floored.floor.roster.agents["ann"].state is AgentState.WRAP_UP


def test_if_his_line_is_gone_the_call_waits_for_anybody(floored: Floored) -> None:
    engage(floored, "dialling")
    _, commands = floored.answered(agent="ann", leg=LEG, leg_name=LEG_NAME)
    (offer,) = offers(commands)
    now = floored.clock.now.utc
    _, commands = floored.tell(ev.OfferFailed(now, offer.offer, OfferOutcome.UNREACHABLE, "gone"))
    assert not offers(commands)
    assert floored.floor.matcher.length("win") == 1
    # One who does not wait on the line is offered it as anybody is
    floored.clock.s += 11.0
    _, commands = floored.tell(ev.DeadlinePassed(floored.clock.now.utc))
    assert not any(one.leg for one in offers(commands))


def test_of_an_agent_who_is_not_engaged_any_more_it_is_an_ordinary_call(floored: Floored) -> None:
    _, commands = floored.answered(agent="ann", leg=LEG, leg_name=LEG_NAME)
    (offer,) = offers(commands)
    assert (offer.agent, offer.leg) == ("ann", "")


def test_who_can_be_offered_nothing_cannot_be_engaged_and_a_change_of_state_ends_it(floored: Floored) -> None:
    now = floored.clock.now.utc
    floored.tell(ev.AgentRequested(now, "ann", ev.AgentAction.PAUSE))
    assert (engage(floored, "shown").ok, engage(floored, "shown").message) == (False, "PAUSED (pause)")
    floored.tell(ev.AgentRequested(now, "ann", ev.AgentAction.RESUME))
    assert engage(floored, "shown").ok
    assert engage(floored, "dialling").ok
    assert floored.floor.roster.agents["ann"].why_not == "PREVIEW (dialling)"
    floored.tell(ev.AgentRequested(now, "ann", ev.AgentAction.RESUME, request="r3"))
    assert floored.floor.roster.agents["ann"].why_not is None
    engage(floored, "shown")
    floored.tell(ev.AgentRequested(now, "ann", ev.AgentAction.PAUSE))
    assert engage(floored, None).ok
    assert floored.floor.roster.agents["ann"].state is AgentState.PAUSED


def turns(records: tuple[rec.Record, ...]) -> list[tuple[float, str, str | None, float]]:
    """When (s since the start), what, why, and since when idle, of an agent's intervals."""
    began = [one for one in records if isinstance(one, rec.AgentStateChanged)]
    return [(one.at - UTC_0, one.state.value, one.reason, one.idle_since - UTC_0) for one in began]


def test_what_comes_before_a_call_is_an_interval_of_its_own_and_work(floored: Floored) -> None:
    clock, told = floored.clock, []
    for at_s, what in ((10.0, "shown"), (25.0, "dialling"), (28.0, "dialling"), (35.0, None), (36.0, None)):
        clock.s = at_s
        told += turns(floored.tell(ev.AgentEngaged(clock.now.utc, "ann", what, "r"))[0])
        status = views.status(floored.floor, clock.now.utc)
        assert status["agents"]["PREVIEW"] == (what is not None)
        assert status["agents"]["AVAILABLE"] == (what is None)
    # A contact that was not dialled costs nobody his place among the idle
    assert told == [(10.0, "PREVIEW", "shown", 0.0), (25.0, "PREVIEW", "dialling", 0.0), (35.0, "AVAILABLE", None, 0.0)]
    clock.s = 50.0
    shown = views.agent(floored.floor, "ann", clock.now)
    assert (shown["state"], shown["occupancy"]) == ("AVAILABLE", 0.5)
    engage(floored, "shown")
    clock.s = 100.0
    shown = views.agent(floored.floor, "ann", clock.now)
    assert (shown["state"], shown["reason"], shown["occupancy"]) == ("PREVIEW", "shown", 0.75)
    assert views.status(floored.floor, clock.now.utc)["occupancy"] == 0.75
    assert floored.floor.roster.agents["ann"].counts.work_s() == 25.0


def test_the_next_life_begins_with_nobody_at_a_contact() -> None:
    """Contacts that were shown are given back at a start."""
    floored = Floored(floor_with())
    floored.clock.s = 60.0
    memory = ev.AgentMemory("ann", AgentState.PREVIEW, "dialling", UTC_0 + 40.0, UTC_0 + 5.0, 7)
    records, _ = floored.tell(ev.MemoryRestored(floored.clock.now.utc, (memory,), ()))
    assert turns(records) == [(60.0, "AVAILABLE", None, 5.0)]
    (interval,) = [one for one in records if isinstance(one, rec.AgentStateChanged)]
    assert interval.serial == 8
    assert engage(floored, "shown").ok
