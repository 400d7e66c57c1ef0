"""Who is there to talk to people who answer: the floor's agents as the dialler sees them, and what the floor says of its
calls. Reads the floor, changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from acd.dialer.blending import Counts
from acd.domain import records as rec
from acd.domain.definition import AgentDefinition, FloorDefinition
from acd.domain.outbound import ATTEMPT
from acd.domain.states import AgentState, CallOutcome, CallState, PhoneState
from acd.floor import Floor
from acd.outbound.words import AgentTurned, CallBegan, CallConnected, CallGone, Seat, Stage, Told
from acd.routing.roster import Agent

_STAGES: Final[dict[AgentState, Stage]] = {
    AgentState.AVAILABLE: "idle",
    AgentState.RESERVED: "talking",
    AgentState.RINGING: "talking",
    AgentState.TALKING: "talking",
    AgentState.WRAP_UP: "wrapping",
}
RING_S: Final = 20.0
"""How long an agent's own phone rings before somebody is dialled for him."""
_SENT_AWAY: Final = frozenset({CallOutcome.OVERFLOWED, CallOutcome.FALLBACK, CallOutcome.TRANSFERRED})


class Hall:
    """The seats of a floor. Whom a campaign may have is worked out once a definition."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._lines: dict[str, tuple[AgentDefinition, tuple[str, ...], tuple[str, ...]]] = {}
        self._of: FloorDefinition | None = None

    def seats(self) -> tuple[Seat, ...]:
        """Agents who are there and serve campaigns. Whoever will log out or pause after his call does not come back."""
        floor = self._floor
        if not floor.definition.campaigns:
            return ()
        found = []
        for agent in floor.roster.agents.values():
            stage = _STAGES.get(agent.state)
            if stage is None or agent.pending is not None or (stage == "idle" and agent.why_not is not None):
                continue
            lines, queues = self._lines_of(agent)
            if lines:
                found.append(Seat(agent.name, lines, stage, agent.since, queues))
        return tuple(found)

    def engaged(self) -> tuple[Seat, ...]:
        """Agents who are kept free of calls, because they look at a contact or dial."""
        found = []
        for agent in self._floor.roster.agents.values():
            if agent.state is AgentState.PREVIEW:
                lasting = agent.line is not None
                ready = agent.line.why_not is None if agent.line is not None else agent.phone_state is PhoneState.IDLE
                stage: Stage = "engaged" if ready else "talking"
                lines, queues = self._lines_of(agent)
                found.append(Seat(agent.name, lines, stage, agent.since, queues, lasting))
        return tuple(found)

    def lines(self, agent: str) -> tuple[str, ...]:
        """The campaigns that an agent serves."""
        known = self._floor.roster.agents.get(agent)
        return () if known is None else self._lines_of(known)[0]

    def lasting(self, agent: str) -> bool:
        """Whether an agent is to have a lasting line: then his phone does not ring."""
        known = self._floor.roster.agents.get(agent)
        return known is not None and known.line is not None

    def phone(self, agent: str) -> tuple[str, float, bool] | None:
        """A phone of an agent that is free, how long it may ring, and whether it answers by itself."""
        known = self._floor.roster.agents.get(agent)
        if known is None:
            return None
        for device in known.devices:
            if known.phones.get(device, PhoneState.IDLE) is PhoneState.IDLE:
                return device, RING_S, known.definition.auto_answer
        return None

    def counts(self, now_s: float) -> dict[str, Counts]:
        """How the queues are that may take agents from campaigns."""
        floor, found = self._floor, {}
        if not any(queue.blend for queue in floor.definition.queues.values()):
            return {}
        free = {
            name
            for agent in floor.roster.agents.values()
            if floor.matcher.is_free(agent.name)
            for name in self._lines_of(agent)[1]
        }
        for name, queue in floor.definition.queues.items():
            if queue.blend is None:
                continue
            waiting, late, counts = floor.matcher.length(name), 0, floor.counts[name]
            if waiting:
                late = sum(
                    call.queue is queue
                    and call.state is CallState.WAITING
                    and now_s - call.place.joined_at > queue.service_level_s
                    for call in floor.calls.values()
                )
            wait_s: float | None = 0.0
            if waiting or name not in free:
                expected = floor.forecast.expect(floor, queue, waiting, now_s)
                wait_s = None if expected is None else expected.wait_s
            found[name] = Counts(waiting, late, wait_s, counts.answered, counts.answered_in_time, counts.abandoned)
        return found

    def _lines_of(self, agent: Agent) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if self._floor.definition is not self._of:
            self._of, self._lines = self._floor.definition, {}
        known = self._lines.get(agent.name)
        if known is None or known[0] is not agent.definition:
            definition = self._floor.definition
            may = [name for name in agent.definition.queues if _may(definition, name, agent)]
            lines = tuple(name for name in may if name in definition.campaigns)
            queues = tuple(name for name in may if definition.queues[name].blend is not None)
            known = self._lines[agent.name] = (agent.definition, lines, queues)
        return known[1], known[2]

    def said(self, records: Iterable[rec.Record]) -> Iterator[Told]:
        """What the dialler has to know of the records of a step."""
        for record in records:
            match record:
                case rec.CallOpened(call=call, channel=channel):
                    if ATTEMPT.fullmatch(channel):
                        yield CallBegan(channel, call)
                case rec.CallAnswered(call=call, agent=agent, answered_at=at):
                    known = self._floor.calls.get(call)
                    if known is not None and ATTEMPT.fullmatch(known.channel):
                        # One of an earlier life was never opened in this one
                        yield CallBegan(known.channel, call)
                    yield CallConnected(call, agent, at)
                case rec.CallClosed(call=call, ended_at=at, outcome=outcome):
                    yield CallGone(call, at, outcome in _SENT_AWAY)
                case rec.AgentStateChanged(agent=agent, at=at, state=state, call=current):
                    yield AgentTurned(agent, at, state, current)
                case _:
                    pass


def _may(definition: FloorDefinition, line: str, agent: Agent) -> bool:
    stages = definition.queues[line].stages
    return not stages or stages[0].expression.could_admit(agent.definition.skills)
