"""Agents who look at a contact or dial: nothing is offered to them, and the call they have made is theirs."""

from __future__ import annotations

import pytest

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.states import AgentState, OfferOutcome
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
    assert engage(floored, "preview").ok
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
    agent = floored.floor.roster.agents["ann"]
    assert (agent.state, agent.engaged) == (AgentState.WRAP_UP, None)


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
    assert (engage(floored, "preview").ok, engage(floored, "preview").message) == (False, "PAUSED (pause)")
    floored.tell(ev.AgentRequested(now, "ann", ev.AgentAction.RESUME))
    assert engage(floored, "preview").ok
    assert engage(floored, "dialling").ok
    assert floored.floor.roster.agents["ann"].why_not == "dialling"
    floored.tell(ev.AgentRequested(now, "ann", ev.AgentAction.RESUME, request="r3"))
    assert floored.floor.roster.agents["ann"].why_not is None
    engage(floored, "preview")
    floored.tell(ev.AgentRequested(now, "ann", ev.AgentAction.PAUSE))
    assert floored.floor.roster.agents["ann"].engaged is None
    assert engage(floored, None).ok
