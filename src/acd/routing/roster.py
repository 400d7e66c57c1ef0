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
from acd.domain.states import PAUSE_NO_LINE, AgentState, PhoneState, check_agent_transition
from acd.routing.index import Matcher
from acd.routing.lasting import LastingLine
from acd.routing.statistics import AgentCounts

PENDING_LOGOUT = "logout"
PENDING_PAUSE = "pause:"
COOL_DOWN = "cool-down"


@dataclass(slots=True)
class Agent:
    """One agent as he is now. ``since``/``idle_since`` UTC s; ``until_mono``/``cool_until_mono`` monotonic s.

    ``cut_off``: why nothing is offered behind the address of his phones, while the circuit breaker is open. ``line``: his
    lasting line, if he is to have one; what his phone does besides does not matter then.
    """

    definition: AgentDefinition
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
    cut_off: str | None = None
    line: LastingLine | None = None
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
        if self.line is not None:
            return self.line.why_not or (None if self.cool_until_mono is None else COOL_DOWN)
        if self.phone_state is not PhoneState.IDLE:
            return f"phone {self.phone_state}"
        if self.cool_until_mono is not None:
            return COOL_DOWN
        return self.cut_off


class Roster:
    """All agents. ``emit`` takes records in order. ``at``: UTC s, for skills that are valid for a time."""

    def __init__(
        self, definition: FloorDefinition, matcher: Matcher, emit: Callable[[Record], None], at: float
    ) -> None:
        self._matcher = matcher
        self._emit = emit
        self.agents: dict[str, Agent] = {}
        self.by_number: dict[str, Agent] = {}
        self.by_device: dict[str, list[Agent]] = {}
        self.device_states: dict[str, PhoneState] = {}
        self._gone: dict[str, tuple[int, float]] = {}
        self.by_state: Counter[AgentState] = Counter()
        self.present: Counter[str] = Counter()
        """per queue: agents who are logged in and not paused"""
        for agent_definition in definition.agents.values():
            self.add(agent_definition, at)

    # -- who there is ------------------------------------------------------------------------------------------------

    def add(self, definition: AgentDefinition, at: float) -> Agent:
        """A new agent, logged out."""
        agent = Agent(definition, line=None if definition.lasting_line is None else LastingLine())
        agent.serial, agent.since = self._gone.pop(agent.name, (0, 0.0))
        self.agents[agent.name] = agent
        if definition.number:
            self.by_number[definition.number] = agent
        for device in definition.phones:
            self.by_device.setdefault(device, []).append(agent)
            if device in self.device_states:
                agent.phones[device] = self.device_states[device]
        self.by_state[agent.state] += 1
        self.describe(agent, at)
        self.review(agent)
        return agent

    def describe(self, agent: Agent, at: float) -> None:
        """Tell the matcher what ``agent`` is good at now and which queues he serves."""
        definition = agent.definition
        preference = definition.queue_preference
        self._matcher.set_agent(
            agent.name, definition.skills_at(at), {queue: preference.get(queue, 0) for queue in definition.queues}
        )

    def redefine(self, agent: Agent, definition: AgentDefinition, at: float) -> None:
        """``agent`` is somebody else on paper: other skills, queues, phones or number. His state stays."""
        old = agent.definition
        here = is_present(agent.state)
        if here:
            self.present.subtract(old.queues)
        if old.number and self.by_number.get(old.number) is agent:
            del self.by_number[old.number]
        for device in old.phones:
            if device not in definition.phones and device != agent.phone:
                self.by_device[device] = [other for other in self.by_device.get(device, []) if other is not agent]
                agent.phones.pop(device, None)
        agent.definition = definition
        if (agent.line is None) is not (definition.lasting_line is None):
            agent.line = None if definition.lasting_line is None else LastingLine()
        if definition.number:
            self.by_number[definition.number] = agent
        for device in definition.phones:
            sharers = self.by_device.setdefault(device, [])
            if agent not in sharers:
                sharers.append(agent)
            if device in self.device_states:
                agent.phones[device] = self.device_states[device]
        if here:
            self.present.update(definition.queues)
        self.describe(agent, at)
        self.review(agent)

    def remove(self, agent: Agent) -> list[str]:
        """Forget a logged-out agent; the calls that were kept for him wait no more and are returned."""
        del self.agents[agent.name]
        self.remember_gone(agent.name, agent.serial, agent.since)
        if agent.definition.number and self.by_number.get(agent.definition.number) is agent:
            del self.by_number[agent.definition.number]
        for device in {*agent.definition.phones, *([agent.phone] if agent.phone else [])}:
            self.by_device[device] = [other for other in self.by_device.get(device, []) if other is not agent]
        self.by_state[agent.state] -= 1
        return self._matcher.remove_agent(agent.name)

    def remember_gone(self, name: str, serial: int, since: float) -> None:
        """Should ``name`` be defined again, his states are numbered on from ``serial``, which began at ``since``."""
        self._gone[name] = serial, since

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
        """Move ``agent`` to ``state``. ``keep_idle`` keeps his place among the idle (an offer that was not his fault, a
        contact that was not dialled). Who is to have a lasting line and has none is paused in the place of AVAILABLE."""
        if state is AgentState.AVAILABLE and agent.line is not None and not agent.line.is_up:
            state, reason = AgentState.PAUSED, PAUSE_NO_LINE
        check_agent_transition(agent.name, agent.state, state)
        at = max(at, agent.since)
        agent.counts.spend(agent.state, at - agent.since, at)
        self._count(agent, state)
        agent.state, agent.reason, agent.since = state, reason, at
        agent.call, agent.offer, agent.until_mono = call, offer, until_mono
        agent.serial += 1
        if (state is AgentState.AVAILABLE and not keep_idle) or not agent.idle_since:
            agent.idle_since = at
        if state is AgentState.LOGGED_OUT:
            self._set_phone(agent, None)
        self._emit_state(agent, now)
        self.review(agent)

    def _count(self, agent: Agent, state: AgentState) -> None:
        """``agent`` is about to be in ``state``: keep the counts."""
        self.by_state[agent.state] -= 1
        self.by_state[state] += 1
        was, will = is_present(agent.state), is_present(state)
        if was != will:
            (self.present.update if will else self.present.subtract)(agent.definition.queues)

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
        self._count(agent, memory.state)
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
        """Judge anew whether ``agent`` can be offered a call, and tell the matcher."""
        reason = agent.why_not
        if reason is not None:
            self._matcher.unfree(agent.name, reason)
        elif not self._matcher.is_free(agent.name):
            counts = agent.counts
            self._matcher.free(
                agent.name, idle_since=agent.idle_since, serial=agent.serial, occupied_s=counts.work_today_s
            )


def is_present(state: AgentState) -> bool:
    """Whether an agent in ``state`` is at work: logged in, not paused."""
    return state is not AgentState.LOGGED_OUT and state is not AgentState.PAUSED
