"""The one owner of every agent: state, phones, what is pending, and whether a call may be offered now.

All changes of state go through ``enter``, which checks the table, writes the record, keeps the counts and tells the
matcher. Times: ``at`` is UTC s for the record, ``now`` for timers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from acd.domain.definition import AgentDefinition, FloorDefinition
from acd.domain.devices import proper_device
from acd.domain.events import AgentMemory
from acd.domain.instant import Instant
from acd.domain.records import AgentIntentChanged, AgentStateChanged, Record
from acd.domain.states import AgentState, PhoneState, check_agent_transition
from acd.routing.matching import Matcher, agent_class_key
from acd.routing.statistics import AgentCounts

PENDING_LOGOUT = "logout"
PENDING_PAUSE = "pause:"


@dataclass(slots=True)
class Agent:
    """One agent as he is now. ``since``/``idle_since`` UTC s; ``until_mono``/``cool_until_mono`` monotonic s."""

    definition: AgentDefinition
    agent_class: int
    state: AgentState = AgentState.LOGGED_OUT
    reason: str | None = None
    since: float = 0.0
    idle_since: float = 0.0
    serial: int = 0
    call: str | None = None
    offer: str | None = None
    phone: str | None = None
    pending: str | None = None
    until_mono: float | None = None
    cool_until_mono: float | None = None
    phones: dict[str, PhoneState] = field(default_factory=dict)
    blocked: str | None = None
    counts: AgentCounts = field(default_factory=AgentCounts)

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def devices(self) -> tuple[str, ...]:
        """What rings: the phone the agent logged in from, if it is another than the configured ones."""
        return (self.phone,) if self.phone else self.definition.phones

    @property
    def phone_state(self) -> PhoneState:
        """The devices as one: busy if one is, else ringing, else idle if one is; unwatched devices count as idle."""
        states = [self.phones.get(device, PhoneState.IDLE) for device in self.devices]
        for state in (PhoneState.BUSY, PhoneState.RINGING, PhoneState.IDLE):
            if state in states:
                return state
        return PhoneState.UNREACHABLE

    @property
    def why_not(self) -> str | None:
        """Why no call may be offered now, or None if one may."""
        if self.state is not AgentState.AVAILABLE:
            return self.state if self.reason is None else f"{self.state} ({self.reason})"
        if self.phone_state is not PhoneState.IDLE:
            return f"phone {self.phone_state}"
        if self.cool_until_mono is not None:
            return "cool-down"
        return None


class Roster:
    """All agents. ``emit`` takes records in order. ``matcher`` already knows every class of calls."""

    def __init__(self, definition: FloorDefinition, matcher: Matcher, emit: Callable[[Record], None]) -> None:
        self._matcher = matcher
        self._emit = emit
        self.agents: dict[str, Agent] = {}
        self.by_number: dict[str, Agent] = {}
        self.by_device: dict[str, list[Agent]] = {}
        self.device_states: dict[str, PhoneState] = {}
        self._blocked: list[Counter[str]] = [Counter() for _ in matcher.call_classes]
        self.by_state: Counter[AgentState] = Counter()
        for agent_definition in definition.agents.values():
            number = matcher.agent_class(agent_class_key(agent_definition.queues, dict(agent_definition.skills)))
            agent = Agent(agent_definition, number)
            self.agents[agent.name] = agent
            if agent_definition.number:
                self.by_number[agent_definition.number] = agent
            for device in agent_definition.phones:
                self.by_device.setdefault(device, []).append(agent)
            self.by_state[agent.state] += 1
            self.review(agent)

    def find(self, name: str) -> Agent | None:
        """By name, else by number."""
        return self.agents.get(name) or self.by_number.get(name)

    # -- states ------------------------------------------------------------------------------------------------------

    def enter(
        self,
        agent: Agent,
        state: AgentState,
        at: float,
        now: Instant,
        *,
        reason: str | None = None,
        call: str | None = None,
        offer: str | None = None,
        keep_idle: bool = False,
        until_mono: float | None = None,
    ) -> None:
        """Move ``agent`` to ``state``. ``keep_idle`` keeps his place among the idle (an offer that was not his fault)."""
        check_agent_transition(agent.name, agent.state, state)
        at = max(at, agent.since)
        agent.counts.spend(agent.state, at - agent.since)
        self.by_state[agent.state] -= 1
        self.by_state[state] += 1
        agent.state, agent.reason, agent.since = state, reason, at
        agent.call, agent.offer, agent.until_mono = call, offer, until_mono
        agent.serial += 1
        if (state is AgentState.AVAILABLE and not keep_idle) or not agent.idle_since:
            agent.idle_since = at
        if state is AgentState.LOGGED_OUT:
            self._set_phone(agent, None)
        self._emit_state(agent, now)
        self.review(agent)

    def _emit_state(self, agent: Agent, now: Instant) -> None:
        until = None if agent.until_mono is None else now.utc_of(agent.until_mono)
        self._emit(
            AgentStateChanged(
                agent=agent.name,
                serial=agent.serial,
                at=agent.since,
                state=agent.state,
                reason=agent.reason,
                call=agent.call,
                idle_since=agent.idle_since,
                phone=agent.phone,
                pending=agent.pending,
                until=until,
            )
        )

    def intend(self, agent: Agent, pending: str | None) -> None:
        """Note what takes effect after the call."""
        if agent.pending != pending:
            agent.pending = pending
            self._emit(AgentIntentChanged(agent.name, pending, agent.phone))

    def restore(self, memory: AgentMemory, now: Instant) -> Agent:
        """Take the state of an agent who is still defined from memory, without a record: nothing changed."""
        agent = self.agents[memory.agent]
        self.by_state[agent.state] -= 1
        self.by_state[memory.state] += 1
        agent.state, agent.reason, agent.since = memory.state, memory.reason, memory.since
        agent.idle_since, agent.serial, agent.pending = memory.idle_since, memory.serial, memory.pending
        agent.call = memory.call
        self._set_phone(agent, memory.phone)
        agent.until_mono = None if memory.until is None else now.mono_of(memory.until)
        self.review(agent)
        return agent

    # -- phones ------------------------------------------------------------------------------------------------------

    def device(self, text: str) -> str | None:
        """``text`` as a device, spelled as it is known here (Asterisk minds no case); None if it is none."""
        proper = proper_device(text)
        if proper is None:
            return None
        for known in (self.by_device, self.device_states):
            if proper in known:
                return proper
        folded = proper.casefold()
        return next(
            (d for known in (self.by_device, self.device_states) for d in known if d.casefold() == folded), proper
        )

    def use_phone(self, agent: Agent, phone: str | None) -> None:
        """Let ``agent`` be rung at ``phone`` only (None: at all the configured ones)."""
        if agent.definition.phones == (phone,):
            phone = None
        if phone != agent.phone:
            self._set_phone(agent, phone)
            self._emit(AgentIntentChanged(agent.name, agent.pending, phone))
        self.review(agent)

    def _set_phone(self, agent: Agent, phone: str | None) -> None:
        if agent.phone is not None and agent.phone not in agent.definition.phones:
            others = [other for other in self.by_device.get(agent.phone, []) if other is not agent]
            self.by_device[agent.phone] = others
            agent.phones.pop(agent.phone, None)
        agent.phone = phone
        if phone is not None:
            sharers = self.by_device.setdefault(phone, [])
            if agent not in sharers:
                sharers.append(agent)
            if phone in self.device_states:
                agent.phones[phone] = self.device_states[phone]

    def phone_changed(self, device: str, state: PhoneState) -> list[Agent]:
        """Note a device's state; the agents whom it made free."""
        self.device_states[device] = state
        freed = []
        for agent in self.by_device.get(device, ()):
            agent.phones[device] = state
            was_free = self._matcher.is_free(agent.name)
            self.review(agent)
            if not was_free and self._matcher.is_free(agent.name):
                freed.append(agent)
        return freed

    # -- freedom -----------------------------------------------------------------------------------------------------

    def review(self, agent: Agent) -> None:
        """Judge anew whether ``agent`` can be offered a call, and tell the matcher. Counts by reason are kept here, so
        that explaining a decision costs nothing that grows with the number of agents."""
        reason = agent.why_not
        if reason != agent.blocked:
            for call_class in self._matcher.serves(agent.agent_class):
                counts = self._blocked[call_class]
                if agent.blocked is not None:
                    counts[agent.blocked] -= 1
                    if not counts[agent.blocked]:
                        del counts[agent.blocked]
                if reason is not None:
                    counts[reason] += 1
            agent.blocked = reason
        if reason is not None:
            self._matcher.unfree(agent.name)
        elif not self._matcher.is_free(agent.name):
            self._matcher.free(agent.name, agent.agent_class, (agent.idle_since, agent.serial))

    def passed_over(self, call_class: int) -> dict[str, int]:
        """Counts by reason of the agents who may serve ``call_class`` and cannot be offered a call."""
        return dict(self._blocked[call_class])
