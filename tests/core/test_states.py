"""The transition tables, against a listing written by hand; whatever is not listed raises and changes nothing."""

from __future__ import annotations

import itertools

import pytest
from floorkit import UTC_0, Clock, define

from acd.domain.errors import IllegalTransitionError, MisuseError
from acd.domain.records import Record
from acd.domain.states import (
    AGENT_TRANSITIONS,
    CALL_TRANSITIONS,
    SYSTEM_PAUSE_REASONS,
    AgentState,
    CallState,
    check_agent_transition,
    check_call_transition,
)
from acd.floor import Floor
from acd.routing.index import Matcher
from acd.routing.roster import Roster

AGENT_LISTING = """
LOGGED_OUT -> AVAILABLE PAUSED RESERVED TALKING WRAP_UP
AVAILABLE  -> LOGGED_OUT PAUSED PREVIEW RESERVED TALKING
PREVIEW    -> AVAILABLE LOGGED_OUT PAUSED PREVIEW RESERVED TALKING
RESERVED   -> AVAILABLE LOGGED_OUT PAUSED RINGING TALKING
RINGING    -> AVAILABLE LOGGED_OUT PAUSED TALKING
TALKING    -> AVAILABLE LOGGED_OUT PAUSED TALKING WRAP_UP
WRAP_UP    -> AVAILABLE LOGGED_OUT PAUSED RESERVED TALKING
PAUSED     -> AVAILABLE LOGGED_OUT PAUSED RESERVED TALKING
"""
CALL_LISTING = """
WAITING -> ENDED OFFERED TALKING
OFFERED -> ENDED TALKING WAITING
TALKING -> AFTER ENDED WAITING
AFTER   -> ENDED WAITING
ENDED   ->
"""


def listing(table: dict[AgentState, frozenset[AgentState]] | dict[CallState, frozenset[CallState]]) -> list[list[str]]:
    return [[str(old), "->", *sorted(str(new) for new in news)] for old, news in table.items()]


def test_agents_make_these_transitions() -> None:
    assert listing(AGENT_TRANSITIONS) == [line.split() for line in AGENT_LISTING.strip().splitlines()]


def test_calls_make_these_transitions() -> None:
    assert listing(CALL_TRANSITIONS) == [line.split() for line in CALL_LISTING.strip().splitlines()]


def test_every_state_can_be_reached_and_only_an_ended_call_is_stuck() -> None:
    assert {new for news in AGENT_TRANSITIONS.values() for new in news} == set(AgentState)
    assert [state for state, news in CALL_TRANSITIONS.items() if not news] == [CallState.ENDED]
    assert all(
        AgentState.LOGGED_OUT in news for state, news in AGENT_TRANSITIONS.items() if state is not AgentState.LOGGED_OUT
    )


@pytest.mark.parametrize(("old", "new"), list(itertools.product(AgentState, AgentState)))
def test_agent_transition(old: AgentState, new: AgentState) -> None:
    if new in AGENT_TRANSITIONS[old]:
        check_agent_transition("ann", old, new)
    else:
        with pytest.raises(IllegalTransitionError, match=f"agent ann: {old} -> {new} is not a legal transition"):
            check_agent_transition("ann", old, new)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(CallState, CallState)))
def test_call_transition(old: CallState, new: CallState) -> None:
    if new in CALL_TRANSITIONS[old]:
        check_call_transition("c1", old, new)
    else:
        with pytest.raises(IllegalTransitionError, match=f"call c1: {old} -> {new} is not a legal transition"):
            check_call_transition("c1", old, new)


def test_an_illegal_transition_is_our_misuse() -> None:
    assert issubclass(IllegalTransitionError, MisuseError)


@pytest.mark.parametrize(
    ("old", "new"), [(o, n) for o, n in itertools.product(AgentState, AgentState) if n not in AGENT_TRANSITIONS[o]]
)
def test_the_roster_changes_nothing_on_an_illegal_transition(old: AgentState, new: AgentState) -> None:
    records: list[Record] = []
    matcher = Matcher()
    roster = Roster(define("queue sales\nagent ann 101 sales"), matcher, records.append, 0.0)
    agent, now = roster.agents["ann"], Clock().now
    agent.state, agent.reason, agent.serial = old, "why", 7
    before = repr(agent), roster.by_state.copy(), matcher.is_free("ann")
    with pytest.raises(IllegalTransitionError):
        roster.enter(agent, new, now.utc, now, reason="other", call="c1", offer="o1")
    assert (repr(agent), roster.by_state, matcher.is_free("ann")) == before
    assert records == []


@pytest.mark.parametrize(
    ("old", "new"), [(o, n) for o, n in itertools.product(CallState, CallState) if n not in CALL_TRANSITIONS[o]]
)
def test_a_call_changes_nothing_on_an_illegal_transition(old: CallState, new: CallState) -> None:
    from acd.domain.events import CallArrived

    floor = Floor(define("queue sales\ndid 1 sales"), epoch=1, started_at=UTC_0)
    now = Clock().now
    floor.handle(CallArrived(now.utc, "pbx", "c1", "PJSIP/c1", "c1", "1"), now)
    call = next(iter(floor.calls.values()))
    call.state = old
    before = repr(call)
    with pytest.raises(IllegalTransitionError):
        call.become(new)
    assert repr(call) == before


def test_the_reasons_the_system_pauses_for_are_not_the_agents() -> None:
    assert not SYSTEM_PAUSE_REASONS & set(define("queue sales").pause_reasons)
