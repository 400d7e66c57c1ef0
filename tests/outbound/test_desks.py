"""Agents who have contacts dialled themselves, in virtual time: what they are shown, and that nobody else is dialled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acd.dialer.blending import Counts
from acd.dialer.work import Kind
from acd.domain import outbound as wire
from acd.domain.blending import Blend, Limits
from acd.domain.campaigns import AttemptOutcome, CampaignState, GivenUp, Lapse, Mode, PreviewTerms
from acd.domain.errors import RefusedError
from acd.domain.states import AgentState
from acd.outbound import views
from acd.outbound import words as say
from outbound.dialkit import NODE, UTC_0, World, campaign, terms

PREVIEW = PreviewTerms(look_s=30.0, then=Lapse.PAUSE, again_s=600.0, script="Ask how it went")
OPEN_A_MINUTE = replace(campaign().rules.hours, week=(((600, 601),),) * 7)


class DeskWorld(World):
    """Agents who look at contacts. ``phone``: whether theirs are answered after a second, and how long they stay."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        self.engaged: dict[str, str] = {}
        self.legs: dict[str, str] = {}
        self.phone, self.stays_s, self.refuses = True, float("inf"), False
        self.joined: list[tuple[str, str]] = []
        super().__init__(*parts, **more)

    def look(self) -> None:
        if not self.dead:
            self._act(self.core.handle(say.Look(self.seats(), 0.0, self.inbound, self.busy()), self.now))
            self.write()

    def seats(self) -> tuple[say.Seat, ...]:
        return tuple(seat for seat in super().seats() if seat.agent not in self.engaged)

    def busy(self) -> tuple[say.Seat, ...]:
        queues = tuple(self.blends)
        return tuple(
            say.Seat(agent, self.lines_of, "talking" if agent in self.legs.values() else "engaged", UTC_0, queues)
            for agent in self.engaged
        )

    def _act(self, actions: list[say.Action]) -> None:
        others: list[say.Action] = []
        for action in actions:
            match action:
                case say.Engage(agent, what):
                    self.after(0.001, lambda a=agent, w=what: self._engage(a, w))  # type: ignore[misc]
                case say.Pause(agent):
                    self._turn(agent, AgentState.PAUSED)
                    self.engaged.pop(agent, None)
                case say.RingAgent():
                    self._ring(action)
                case say.Do(wire.EndAttempt() as command) if wire.LEG.fullmatch(command.attempt):
                    self.after(0.02, lambda leg=command.attempt: self.hang_up(leg))  # type: ignore[misc]
                case _:
                    others.append(action)
        super()._act(others)

    def _engage(self, agent: str, what: str | None) -> None:
        ok = what is not None and self.agents[agent][0] is AgentState.AVAILABLE and not self.refuses
        before = self.engaged.pop(agent, None)
        if ok and what is not None:
            self.engaged[agent] = what
        if before != self.engaged.get(agent):
            state = AgentState.PREVIEW if agent in self.engaged else AgentState.AVAILABLE
            self.tell(say.AgentTurned(agent, UTC_0 + self.s, state, None), look=False)
        if what is not None:
            self.tell(say.Engaged(agent, ok, "" if ok else "phone BUSY"))

    def _ring(self, action: say.RingAgent) -> None:
        leg = action.leg
        if self.phone:
            self.legs[leg] = action.agent
            self._later(1.0, wire.AttemptAnswered(0, NODE, leg, f"PJSIP/{action.agent}"))
            self.after(1.0 + self.stays_s, lambda: self.hang_up(leg))
        else:
            self._later(20.0, wire.AttemptOver(0, NODE, leg, AttemptOutcome.NO_ANSWER, 19, ""))

    def hang_up(self, leg: str) -> None:
        if self.legs.pop(leg, None) is not None:
            self.tell(wire.AttemptOver(UTC_0 + self.s, NODE, leg, None, 16, "", answered=True))

    def _answers(self, attempt: str, person: Any) -> None:
        """Whoever answers is joined with the agent who is on the line."""
        if attempt not in self.lines:
            return
        at = UTC_0 + self.s
        self.tell(wire.AttemptAnswered(at, NODE, attempt, f"PJSIP/{attempt}"))
        verdict = wire.Verdict.PERSON
        reply = self.core.asked(wire.AttemptAsked(at, NODE, attempt, attempt, "x", attempt, verdict), self.now)
        assert isinstance(reply, wire.Connect)
        agent, call = reply.arrived.agent, f"c{attempt}"
        assert agent is not None, "somebody answered for whom nobody is on the line"
        assert self.legs[reply.arrived.leg] == agent
        self.joined.append((attempt, agent))
        self.truth["answered"] += 1
        self.engaged.pop(agent)
        self.tell(say.CallBegan(attempt, call), look=False)
        self.talking[agent] = attempt
        self._turn(agent, AgentState.RESERVED, call)
        self.after(0.05, lambda: self._connected(agent, attempt, call))

    def _connected(self, agent: str, attempt: str, call: str) -> None:
        super()._connected(agent, attempt, call)
        self.legs = {leg: whose for leg, whose in self.legs.items() if whose != agent}

    def shown(self, agent: str = "a0") -> dict[str, Any]:
        return views.desk(self.core, self.core.desks.by_agent[agent], self.now)

    def choose(self, accepts: bool, agent: str = "a0", reason: str = "") -> None:
        self.core.desks.must_be_shown(agent)
        self.tell(say.Chose(agent, accepts, reason))


def preview_world(agents: int = 1, preview: PreviewTerms = PREVIEW, **more: Any) -> DeskWorld:
    changes = more.pop("changes", {})
    return DeskWorld(terms(campaign(mode=Mode.PREVIEW, preview=preview, **changes)), agents=agents, **more)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whom_agents_accept_is_dialled_and_nobody_waits_for_an_agent(seed: int) -> None:
    world = preview_world(6, seed=seed, contacts=300)
    accepted: list[str] = []
    for s in range(1, 600):
        world.run(float(s))
        for agent, desk in list(world.core.desks.by_agent.items()):
            if desk.step == "shown" and world.random.random() < 0.3:
                accepts = world.random.random() < 0.7
                if accepts:
                    accepted.append(desk.ready.piece.number)
                world.choose(accepts, agent, "later")
    assert len(accepted) > 50
    dialled = [world.kept.attempts[attempt].number for attempt in world.placed]
    assert set(dialled) <= set(accepted)
    assert len(dialled) > 0.9 * len(accepted)
    assert {made.mode for made in world.kept.attempts.values()} == {"preview"}
    assert world.truth["served"] == world.truth["answered"] > 20
    world.stop()
    assert not world.core.desks.by_agent
    assert not world.engaged
    assert world.charged() == (world.truth["answered"], 0.0)


def test_the_campaigns_script_is_shown_where_there_is_no_other() -> None:
    world = preview_world(preview=replace(PREVIEW, script=""), changes={"script": "Say who calls"})
    world.run(2.0)
    assert world.shown()["script"] == views.status(world.core, "win", world.now)["script"] == "Say who calls"


def test_what_an_agent_is_shown() -> None:
    world = preview_world()
    world.run(2.0)
    found = world.shown()
    assert (found["step"], found["number"], found["script"], found["then"]) == (
        "shown", "+49301000001", "Ask how it went", "pause"
    )  # fmt: skip
    assert 27.0 < found["left_s"] <= 30.0
    assert found["contact"]["name"] == "Person 1"
    assert views.status(world.core, "win", world.now)["previews"] == {"shown": 1}
    assert views.explain(world.core, "win", world.now)["why"][0]["what"] == "agents_choose"
    assert not world.placed
    # As long as he looks at it, it counts as held
    assert {desk.ready.contact.contact for desk in world.core.desks.by_agent.values()} <= world.core.held()


@pytest.mark.parametrize("late_s", [61.0, 59.5])
def test_a_contact_that_may_not_be_called_any_more_is_not_dialled(late_s: float) -> None:
    """Accepted when calling hours are over, or over by the time the agent's phone is answered."""
    rules = replace(campaign().rules, hours=OPEN_A_MINUTE)
    world = preview_world(preview=replace(PREVIEW, look_s=300.0), changes={"rules": rules})
    world.run(late_s)
    world.choose(accepts=True)
    world.run(late_s + 5.0)
    assert not world.kept.attempts
    assert "a0" not in world.engaged or world.core.desks.by_agent["a0"].ready.contact.contact != 1
    row = world.kept.rows[1]
    assert (row.state, row.due_s) == ("due", UTC_0 + 86_400.0)
    assert "hours" in world.core.runners["win"].refusals
    assert not world.legs


@pytest.mark.parametrize("came_to", ["number_day", "cool_down"])
def test_what_others_dialled_meanwhile_counts_however_long_an_agent_looks(came_to: str) -> None:
    """Another campaign tries the number of a contact that an agent is shown for half an hour."""
    rules = replace(campaign().rules, number_day=1 if came_to == "number_day" else None, cool_down_s=86_400.0)
    world = preview_world(preview=replace(PREVIEW, look_s=3_000.0), changes={"rules": rules}, answers=0.0)
    world.run(2.0)
    number, recent = world.shown()["number"], world.core.recent
    recent.note("other", number, "other", world.now.utc)
    recent.written(["other"], [], world.now.utc)
    world.run(30.0)
    if came_to == "cool_down":
        recent.abandoned[number] = world.now.utc
    recent.over("other", number, world.now.utc)
    world.run(1_800.0)
    # With the end of any later attempt, what is long ago is forgotten
    recent.over("later", "+4930666", world.now.utc)
    world.choose(accepts=True)
    world.run(1_810.0)
    assert not world.kept.attempts
    assert came_to in world.core.runners["win"].refusals


@pytest.mark.parametrize("then", list(Lapse))
def test_what_follows_when_an_agent_does_nothing(then: Lapse) -> None:
    world = preview_world(preview=replace(PREVIEW, then=then), answers=1.0)
    world.run(29.0)
    assert world.shown()["contact"]["contact"] == 1
    world.run(33.0)
    row, state = world.kept.rows[1], world.agents["a0"][0]
    if then is Lapse.DIAL:
        assert len(world.placed) == 1
    else:
        assert not world.placed
    if then is Lapse.PAUSE:
        assert (state, row.state, world.core.desks.by_agent) == (AgentState.PAUSED, "new", {})
    if then is Lapse.SKIP:
        assert (state, row.state) == (AgentState.AVAILABLE, "due")
        assert row.due_s == pytest.approx(UTC_0 + 631.0, abs=1.0)
        assert world.shown()["contact"]["contact"] == 2
        assert views.status(world.core, "win", world.now)["skipped"] == {"no answer": 1}


def test_callers_take_an_agent_back_from_a_preview_and_not_from_a_call() -> None:
    blends = {"support": Blend(recall=Limits(waiting=3), hold_s=5.0)}
    world = preview_world(2, answers=0.0, others=("nobody",), blends=blends)
    world.inbound = {"support": Counts()}
    world.run(2.0)
    world.choose(accepts=True, agent="a1")
    world.run(5.0)
    assert len(world.lines) == 1
    contact = world.shown()["contact"]["contact"]
    world.inbound = {"support": Counts(waiting=3)}
    world.run(6.9)
    assert list(world.core.desks.by_agent) == ["a1"]
    assert (list(world.engaged), world.kept.rows[contact].state) == (["a1"], "new")
    assert world.core.desks.last["a0"] == "recalled to queue support"
    assert len(world.lines) == 1, "a call is never cut"
    world.run(60.0)
    assert len(world.placed) == 1
    world.inbound = {"support": Counts()}
    world.run(70.0)
    assert len(world.core.desks.by_agent) == 2


def test_an_agent_whose_phone_is_not_answered_is_paused_and_nobody_was_dialled() -> None:
    world = preview_world()
    world.phone = False
    world.run(2.0)
    world.choose(accepts=True)
    world.run(30.0)
    assert world.agents["a0"][0] is AgentState.PAUSED
    assert (world.kept.rows[1].state, world.kept.attempts) == ("new", {})


@pytest.mark.parametrize(("stays_s", "outcome"), [(0.5, AttemptOutcome.FAILED), (5.0, AttemptOutcome.NO_ANSWER)])
def test_an_agent_who_hangs_up_has_the_customer_s_line_hung_up(stays_s: float, outcome: AttemptOutcome) -> None:
    """Before it rings, and while it does."""
    world = preview_world(answers=0.0, others=("nobody",))
    world.stays_s = stays_s
    world.run(2.0)
    world.choose(accepts=True)
    world.run(12.0)
    assert list(world.kept.outcomes.values()) == [outcome]
    assert list(world.kept.given_up.values()) == [GivenUp.AGENT]
    assert world.charged() == (0.0, 0.0)
    assert world.kept.rows[1].state == "due"


@pytest.mark.parametrize("how", ["pauses", "stops", "let go"])
def test_a_preview_ends_with_what_it_was_for(how: str) -> None:
    world = preview_world()
    world.run(2.0)
    if how == "pauses":
        world.engaged.clear()
        world._turn("a0", AgentState.PAUSED)
    elif how == "stops":
        world.tell(say.StateSet("win", CampaignState.PAUSED, "test", ""))
    else:
        # The agent asked for calls: the floor has forgotten it
        world.refuses = True
        world.engaged.clear()
    world.run(3.0)
    assert "a0" not in world.core.desks.by_agent
    assert (world.kept.rows[1].state, world.engaged, world.placed) == ("new", {}, {})
    with pytest.raises(RefusedError, match="is shown no contact"):
        world.choose(accepts=True)


def test_a_crash_over_a_preview_gives_the_contact_back_and_frees_the_agent() -> None:
    world = preview_world()
    world.run(2.0)
    world.crash()
    world.run(4.0)
    assert world.kept.rows[1].state == "in_flight"
    world.begin()
    world.run(8.0)
    assert world.shown()["contact"]["contact"] == 1
    world.choose(accepts=True)
    with pytest.raises(RefusedError, match="has accepted already"):
        world.choose(accepts=True)
    world.run(12.0)
    assert len(world.placed) == 1


def test_a_line_of_an_agent_that_nobody_knows_of_is_hung_up_unless_he_talks() -> None:
    world = preview_world()
    seen = [
        wire.SeenAttempt(f"0000069000000{n}", state, UTC_0)
        for n, state in enumerate((wire.SeenState.RINGING, wire.SeenState.ELSEWHERE, wire.SeenState.TALKING))
    ]
    actions = world.core.handle(wire.OutboundSeen(UTC_0, NODE, tuple(seen), True), world.now)
    ended = [action.command.attempt for action in actions if isinstance(action, say.Do)]
    assert ended == ["00000690000000", "00000690000001"]
    assert not any(isinstance(action, say.Alarm) for action in actions)


def wish(world: DeskWorld, contact: int = 40) -> None:
    row = world.kept.rows[contact]
    row.state, row.epoch = "in_flight", world.epoch
    ready = world.kept._ready(row, Kind.NEW, "win", contact, world.now.utc)
    world.tell(say.Wished("a0", "win", ready))


def test_a_number_is_dialled_for_an_agent_beside_what_the_campaign_dials() -> None:
    world = DeskWorld(terms(campaign(mode=Mode.MANUAL)), agents=2, answers=1.0)
    world.run(20.0)
    assert not world.kept.attempts, "in mode manual nobody is dialled whom no agent asked for"
    assert views.explain(world.core, "win", world.now)["why"][0]["what"] == "agents_choose"
    wish(world)
    wish(world, 41)
    assert world.core.desks.last["a0"] == "has a contact already"
    world.run(80.0)
    assert [(made.number, made.mode) for made in world.kept.attempts.values()] == [("+49301000040", "manual")]
    assert [agent for _, agent in world.joined] == ["a0"]
    assert world.kept.rows[41].state == "new"


@pytest.mark.parametrize("why", ["do_not_call", "hours", "stopped", "busy"])
def test_who_may_not_be_called_is_not_for_an_agent_s_sake(why: str) -> None:
    rules = campaign().rules
    if why == "hours":
        rules = replace(rules, hours=OPEN_A_MINUTE)
    world = DeskWorld(terms(campaign(mode=Mode.MANUAL, rules=rules)), agents=1)
    world.run(70.0)
    if why == "do_not_call":
        world.kept.do_not_call.add("+49301000040")
    elif why == "stopped":
        world.tell(say.StateSet("win", CampaignState.STOPPED, "test", ""))
    elif why == "busy":
        world.refuses = True
    wish(world)
    world.run(80.0)
    assert (world.kept.attempts, world.legs, world.engaged) == ({}, {}, {})
    assert world.kept.rows[40].state == "new"
    expected = {"do_not_call": "not to be called", "hours": "hours", "stopped": "stopped", "busy": "phone BUSY"}
    assert expected[why] in world.core.desks.last["a0"] or why in ("hours", "do_not_call")
    assert world.core.desks.last["a0"]


def test_a_clock_that_jumps_dials_nobody_for_an_agent_and_loses_nothing() -> None:
    world = preview_world(answers=1.0)
    world.run(2.0)
    # Forward by a day, and back: what has happened by then lies in the future
    later = world.now._replace(utc=world.now.utc + 86_400.0)
    world.core.handle(say.Look(world.seats(), 0.0, {}, world.busy()), later)
    world.choose(accepts=True)
    world.run(15.0)
    assert not world.kept.attempts
    assert (world.core.held_up(world.now) or ("",))[0] == "clock"
    assert world.kept.rows[1].state in ("new", "in_flight")
