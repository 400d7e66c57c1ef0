"""Agents who have contacts dialled themselves: shown one (preview), or asking for one (manual). Pure.

An agent is on the line before the customer is dialled, so nobody who answers waits for one:

1. ``asked``    the floor keeps him free of calls (`Engage`)
2. ``shown``    he sees the contact; he accepts, skips, or his time runs out. Of a manual call this step is left out.
3. ``called``   his phone rings, as soon as it is free; left out of who has a lasting line
4. ``there``    he hears a ringing tone (not on a lasting line); the gate is asked (again: what it said when he accepted
   may not hold any more), and the attempt committed
5. ``dialling`` the customer's line; who answers is joined with the agent's line

Whatever ends it before an attempt is committed gives the contact back; whatever ends his line before the customer answers
hangs the customer's up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from acd.dialer.gate import Facts, Permit, Reason, Refusal
from acd.domain import outbound as wire
from acd.domain.campaigns import CampaignState, GivenUp, Lapse, Mode
from acd.domain.errors import RefusedError
from acd.domain.instant import Instant
from acd.domain.states import AgentState
from acd.outbound import words as say
from acd.outbound.flight import Flight, Phase
from acd.outbound.runner import Chosen, Runner

if TYPE_CHECKING:
    from acd.outbound.core import Dialler

PHONE_S: Final = 15.0
"""How long an agent's phone may be in use before it is rung, as by the dial code with which he accepted."""
UNHEARD_S: Final = 60.0
"""A phone of which nothing was heard for so long does not ring."""
ROOM_S: Final = 10.0
"""How long an agent who is on the line waits for a line of the trunk."""
_LEG: Final = 90_000_000


class Step(StrEnum):
    """Where an agent is with his contact."""

    ASKED = "asked"
    SHOWN = "shown"
    ACCEPTED = "accepted"
    CALLED = "called"
    THERE = "there"
    DIALLING = "dialling"


@dataclass(slots=True)
class Desk:
    """One agent's. ``since_mono``: when this step began, ``until_mono``: when it is over if nothing happens. ``shown_s``:
    when he was shown the contact (UTC). ``leg``, ``leg_name``: his own line, unless that is a ``lasting`` one; ``attempt``:
    the customer's."""

    agent: str
    campaign: str
    ready: say.Ready
    manual: bool
    step: Step = Step.ASKED
    since_mono: float = 0.0
    until_mono: float = float("inf")
    shown_s: float | None = None
    leg: str = ""
    leg_name: str = ""
    lasting: bool = False
    attempt: str | None = None

    @property
    def what(self) -> str:
        """What the floor is told that he does."""
        return "shown" if self.step in (Step.ASKED, Step.SHOWN) and not self.manual else "dialling"


class Desks:
    """All of one dialler's. ``last``: why an agent's latest came to nothing, for whoever asks."""

    def __init__(self, dialler: Dialler) -> None:
        self._of = dialler
        self.by_agent: dict[str, Desk] = {}
        self.last: dict[str, str] = {}
        self._legs: dict[str, Desk] = {}
        self._serial = 0

    def of_campaign(self, name: str) -> list[Desk]:
        """The desks of one campaign."""
        return [desk for desk in self.by_agent.values() if desk.campaign == name]

    # -- beginnings ------------------------------------------------------------------------------------------------------

    def show(self, agent: str, campaign: str, ready: say.Ready, now: Instant) -> None:
        """Have ``agent`` look at a contact that may be dialled."""
        self._open(Desk(agent, campaign, ready, manual=False), now)

    def wish(self, event: say.Wished, now: Instant) -> None:
        """An agent asked for this contact. If the gate refuses, or he is busy, `last` says so."""
        runner = self._of.runners[event.campaign]
        if event.agent in self.by_agent:
            self._refuse(event.agent, "has a contact already")
            self._return(event.ready, runner, None, now)
            return
        said, _ = self._gate(Desk(event.agent, event.campaign, event.ready, manual=True), now)
        if isinstance(said, Refusal):
            self._refuse(event.agent, said.detail)
            self._return(event.ready, runner, None, now)
            return
        self._open(Desk(event.agent, event.campaign, event.ready, manual=True), now)

    def _open(self, desk: Desk, now: Instant) -> None:
        self.by_agent[desk.agent] = desk
        self.last.pop(desk.agent, None)
        self._turn(desk, Step.ASKED, now, UNHEARD_S)
        self._of.do(say.Engage(desk.agent, desk.what))

    def engaged(self, event: say.Engaged, now: Instant) -> None:
        """Whether the floor keeps the agent free."""
        desk = self.by_agent.get(event.agent)
        if desk is None or desk.step is not Step.ASKED:
            return
        if not event.ok:
            self._close(desk, now, f"agent {desk.agent} is not free: {event.why}")
        elif desk.manual:
            self._turn(desk, Step.ACCEPTED, now, PHONE_S)
        else:
            desk.shown_s = now.utc
            self._turn(desk, Step.SHOWN, now, self._of.runners[desk.campaign].campaign.preview.look_s)
            self._of.counters["previews_shown"] += 1

    # -- what the agent does ---------------------------------------------------------------------------------------------

    def must_be_shown(self, agent: str) -> Desk:
        """The desk of an agent who can accept or skip. Raises RefusedError."""
        desk = self.by_agent.get(agent)
        if desk is None or desk.step is Step.ASKED:
            raise RefusedError(f"agent {agent} is shown no contact")
        if desk.step is not Step.SHOWN:
            raise RefusedError(f"agent {agent} has accepted already, and is being connected")
        return desk

    def chose(self, event: say.Chose, now: Instant) -> None:
        """He accepts or skips."""
        desk = self.by_agent.get(event.agent)
        if desk is None or desk.step is not Step.SHOWN:
            return
        if event.accepts:
            if event.do_not_call:
                desk.ready = replace(desk.ready, do_not_call=event.do_not_call)
            self._accept(desk, now)
        else:
            self._skip(desk, now, event.reason)

    def _accept(self, desk: Desk, now: Instant) -> None:
        said, _ = self._gate(desk, now)
        if isinstance(said, Refusal):
            self._close(desk, now, said.detail, said)
            return
        self._of.counters["previews_accepted"] += 1
        self._turn(desk, Step.ACCEPTED, now, PHONE_S)
        self._of.do(say.Engage(desk.agent, desk.what))

    def _skip(self, desk: Desk, now: Instant, reason: str) -> None:
        runner = self._of.runners[desk.campaign]
        self._of.counters["previews_skipped"] += 1
        runner.skipped(reason)
        self._close(desk, now, "skipped", until_s=now.utc + runner.campaign.preview.again_s)

    # -- time ------------------------------------------------------------------------------------------------------------

    def look(self, engaged: Iterable[say.Seat], now: Instant) -> None:
        """What time brings, and what the floor shows. ``engaged``: whom it keeps free of calls."""
        seats = {seat.agent: seat for seat in engaged}
        for agent in seats.keys() - self.by_agent.keys():
            # Of an earlier life, or of a desk whose end the floor was not told of
            self._of.do(say.Engage(agent, None))
        for desk in list(self.by_agent.values()):
            runner = self._of.runners.get(desk.campaign)
            seat = seats.get(desk.agent)
            if runner is None or runner.removed or runner.state is not CampaignState.RUNNING:
                if desk.step is not Step.DIALLING:
                    self._close(desk, now, f"campaign {desk.campaign} was stopped")
            elif seat is None and desk.step not in (Step.ASKED, Step.DIALLING):
                self._close(desk, now, "the agent went on to something else")
            elif desk.step is Step.SHOWN and seat is not None and (queue := self._of.blending.recalled(seat)):
                self._of.counters["previews_recalled"] += 1
                self._close(desk, now, f"recalled to queue {queue}")
            elif desk.step is Step.ACCEPTED and seat is not None and seat.stage == "engaged":
                self._ring(desk, now, lasting=seat.lasting)
            elif desk.step is Step.THERE and desk.attempt is None:
                self._dial(desk, now)
            elif now.mono >= desk.until_mono:
                self._lapse(desk, now)

    def _lapse(self, desk: Desk, now: Instant) -> None:
        """Nothing has happened for too long."""
        if desk.step is Step.SHOWN:
            match self._of.runners[desk.campaign].campaign.preview.then:
                case Lapse.DIAL:
                    self._accept(desk, now)
                case Lapse.SKIP:
                    self._skip(desk, now, "no answer")
                case Lapse.PAUSE:
                    self._absent(desk, now, "did nothing about the contact")
        elif desk.step is Step.ASKED:
            self._close(desk, now, "the floor did not answer")
        elif desk.step in (Step.ACCEPTED, Step.CALLED):
            self._absent(desk, now, "the phone cannot be reached")

    def _absent(self, desk: Desk, now: Instant, why: str) -> None:
        # First: who is freed may be offered a call
        self._of.do(say.Pause(desk.agent))
        self._close(desk, now, why)

    # -- his line --------------------------------------------------------------------------------------------------------

    def _ring(self, desk: Desk, now: Instant, *, lasting: bool) -> None:
        if lasting:
            desk.lasting = True
            self._turn(desk, Step.THERE, now, ROOM_S)
            self._dial(desk, now)
            return
        node = self._of.node_of(self._of.runners[desk.campaign])
        if node is None:
            self._close(desk, now, "no Asterisk is connected")
            return
        self._serial += 1
        desk.leg = f"{self._of.epoch:06d}{_LEG + self._serial:08d}"
        self._legs[desk.leg] = desk
        self._turn(desk, Step.CALLED, now, UNHEARD_S)
        contact = desk.ready.contact
        self._of.do(say.RingAgent(desk.agent, node, desk.leg, desk.ready.piece.number, contact.name))

    def heard(self, event: wire.AttemptEvent, now: Instant) -> bool:
        """What happens on an agent's own line; whether it is one."""
        if not wire.LEG.fullmatch(event.attempt):
            return False
        desk = self._legs.get(event.attempt)
        if desk is None:
            return True
        if isinstance(event, wire.AttemptAnswered) and desk.step is Step.CALLED:
            desk.leg_name = event.channel_name
            self._turn(desk, Step.THERE, now, ROOM_S)
            self._dial(desk, now)
        elif isinstance(event, wire.AttemptOver | wire.AttemptRefused):
            answered = isinstance(event, wire.AttemptOver) and event.answered
            desk.leg = ""
            self._legs.pop(event.attempt, None)
            if desk.step is Step.CALLED and not answered:
                self._absent(desk, now, "the phone was not answered")
            else:
                self._close(desk, now, "the agent hung up")
        return True

    def seen(self, node: str, leg: wire.SeenAttempt) -> None:
        """An agent's line is there; one that nobody knows of and that nobody is joined with is of an earlier life."""
        if leg.attempt not in self._legs and leg.state is not wire.SeenState.TALKING:
            self._of.do(say.Do(wire.EndAttempt(node, leg.attempt)))

    # -- the customer's line ---------------------------------------------------------------------------------------------

    def _dial(self, desk: Desk, now: Instant) -> None:
        """The agent is on the line: now or never."""
        of, runner = self._of, self._of.runners[desk.campaign]
        node, held_up = of.node_of(runner), of.held_up(now)
        said, facts = self._gate(desk, now)
        room = node is not None and of.room(runner, now) > 0
        if isinstance(said, Refusal) and said.reason is not Reason.TRUNK:
            self._close(desk, now, said.detail, said)
        elif isinstance(said, Refusal) or held_up is not None or not room:
            if now.mono >= desk.until_mono:
                detail = said.detail if isinstance(said, Refusal) else held_up[1] if held_up else "no line is free"
                self._close(desk, now, detail)
        else:
            assert node is not None
            mode = Mode.MANUAL if desk.manual else Mode.PREVIEW
            flight = of.commit(runner, Chosen(desk.ready, said, facts), node, now, mode=mode, desk=desk.agent)
            desk.attempt = flight.attempt
            self._turn(desk, Step.DIALLING, now, float("inf"))

    def _gate(self, desk: Desk, now: Instant) -> tuple[Permit | Refusal, Facts]:
        of, runner = self._of, self._of.runners[desk.campaign]
        ready = desk.ready
        if desk.manual:
            # Somebody wants this person called now, whenever the dialler would have
            ready = replace(ready, piece=replace(ready.piece, due_s=now.utc))
        trunk, slack = of.trunk_state(runner, now), runner.book.slack(now.utc)
        return runner.ask(ready, trunk, slack, of.recent, of.numbers, now)

    def joined(self, flight: Flight) -> Desk | None:
        """The desk whose agent is on the line for an answered attempt."""
        desk = self.by_agent.get(flight.desk or "")
        return desk if desk is not None and desk.attempt == flight.attempt and (desk.leg or desk.lasting) else None

    def over(self, flight: Flight, now: Instant, why: str = "") -> None:
        """The customer's line has come to something, or was never dialled."""
        desk = self.by_agent.get(flight.desk or "")
        if desk is not None and desk.attempt == flight.attempt:
            self._close(desk, now, why or (flight.told.value if flight.told is not None else "over"))

    def turned(self, event: say.AgentTurned, now: Instant) -> None:
        """The agent's state changed: his call is his, or he does something else."""
        desk = self.by_agent.get(event.agent)
        if desk is None:
            return
        flight = self._of.flights.get(desk.attempt or "")
        his = flight is not None and flight.call is not None and flight.call == event.call
        if his and event.state is AgentState.TALKING:
            self._forget(desk)
        elif (
            not his
            and event.state is not AgentState.PREVIEW
            and not (event.state is AgentState.AVAILABLE and desk.step is Step.ASKED)
        ):
            self._close(desk, now, f"the agent is {event.state}")

    def end(self, now: Instant) -> None:
        """The service ends: what nobody has been dialled for goes back."""
        for desk in list(self.by_agent.values()):
            if desk.attempt is None:
                # What is taken away takes a transaction of its own, for which there is no time
                desk.ready = replace(desk.ready, made=False)
                self._close(desk, now, "the service ends")

    # -- the end ---------------------------------------------------------------------------------------------------------

    def _turn(self, desk: Desk, step: Step, now: Instant, for_s: float) -> None:
        desk.step, desk.since_mono, desk.until_mono = step, now.mono, now.mono + for_s

    def _refuse(self, agent: str, why: str) -> None:
        self.last[agent] = why
        while len(self.last) > 10_000:
            del self.last[next(iter(self.last))]

    def _forget(self, desk: Desk) -> None:
        if self.by_agent.get(desk.agent) is desk:
            del self.by_agent[desk.agent]
        self._legs.pop(desk.leg, None)

    def _return(
        self, ready: say.Ready, runner: Runner, said: Refusal | None, now: Instant, until_s: float | None = None
    ) -> None:
        """A contact was not dialled."""
        if ready.made:
            self._of.do(say.Forget(ready.contact.contact))
        else:
            runner.give_back(ready, said, now, until_s)

    def _close(
        self, desk: Desk, now: Instant, why: str, said: Refusal | None = None, until_s: float | None = None
    ) -> None:
        """It has come to its end: the contact goes back if it was not dialled, lines are hung up, the agent is free."""
        self._forget(desk)
        self._refuse(desk.agent, why)
        runner = self._of.runners.get(desk.campaign)
        flight = self._of.flights.get(desk.attempt or "")
        node = self._of.node_of(runner) if runner is not None else None
        if desk.attempt is None and runner is not None:
            self._return(desk.ready, runner, None if desk.manual else said, now, until_s)
        if flight is not None and flight.phase in (Phase.DIALLED, Phase.RINGING):
            flight.given_up = GivenUp.AGENT
            self._of.do(say.Do(wire.EndAttempt(flight.node, flight.attempt)))
        if desk.leg:
            self._of.do(say.Do(wire.EndAttempt(flight.node if flight is not None else node or "", desk.leg)))
        self._of.do(say.Engage(desk.agent, None))
