"""The circuit breaker on the floor: who is behind which address or trunk, and who is not offered calls because of it.

When several phones behind one address fail in a short time, nothing more is offered there until a try succeeds: the
agents stay available and are not paused one by one. The rule itself is the breaker's, in routing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from acd.domain.commands import RaiseAlarm
from acd.domain.definition import BreakerDefinition
from acd.domain.instant import Instant
from acd.domain.states import AgentState, OfferOutcome
from acd.routing.breaker import Breaker, Evidence, Opened, StillOpen, evidence
from acd.routing.roster import COOL_DOWN, Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

PROBE_AGAIN_S = 5.0
"""Nobody was there to try an address with: look again after so long."""
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
"""Phones on Asterisk's own machine share no way that could break."""


class Reach:
    """``definition`` None: no breaker. ``hosts``: device -> host its phone is registered from, as the nodes last said."""

    def __init__(self, definition: BreakerDefinition | None) -> None:
        self.definition = definition
        self._breaker = None if definition is None else Breaker(definition)
        self._hosts: dict[str, str] = {}
        self._sizes: Counter[str] = Counter()
        self._suspects: dict[str, int] = {}
        self._cut_off: set[str] = set()
        """agents to whom nothing is offered because of the breaker"""

    def take_over(self, earlier: Reach) -> None:
        """Know what ``earlier`` knew of addresses."""
        self.learn(earlier._hosts)

    def learn(self, hosts: Mapping[str, str]) -> bool:
        """Where phones are registered from. True if some come from elsewhere than before: their agents want a review."""
        moved = {device: host for device, host in hosts.items() if self._hosts.get(device) != host}
        if moved:
            self._hosts.update(moved)
            self._sizes = Counter(self._hosts.values())
        return bool(moved)

    def group_of(self, device: str) -> str | None:
        """The address or trunk that ``device`` is reached by, if there is one to be judged."""
        _, at, trunk = device.partition("@")
        if at:
            return f"trunk {trunk}"
        if self.definition is None or self.definition.group != "host":
            return None
        host = self._hosts.get(device)
        return None if host is None or host in _LOCAL else f"address {host}"

    def _way(self, agent: Agent) -> tuple[str, str] | None:
        """The one group behind which all phones of ``agent`` are, and the first of them; None: his offers tell nothing."""
        groups = {self.group_of(device) for device in agent.devices}
        group = groups.pop() if len(groups) == 1 else None
        return None if group is None else (group, agent.devices[0])

    # -- what happens ------------------------------------------------------------------------------------------------

    def failed(
        self, floor: Floor, agent: Agent, outcome: OfferOutcome, *, rang: bool, alone: bool, at: float, now: Instant
    ) -> bool:
        """An offer to ``agent`` ended without a conversation. ``alone``: nobody else was rung by it. True if the way to
        his phone is to blame, so that he is not."""
        way = self._way(agent) if self._breaker is not None and alone else None
        if self._breaker is None or way is None:
            return False
        group, phone = way
        found = evidence(outcome, rang=rang)
        if found is Evidence.NONE:
            self._breaker.withdraw_probe(group, phone)
            self.review_agent(agent)
        elif found is Evidence.REACHED:
            self._reached(floor, group, phone, now)
        else:
            size = self._sizes[group.removeprefix("address ")] or None
            change = self._breaker.failed(group, phone, now.mono, phones=size)
            if isinstance(change, Opened):
                floor.command(RaiseAlarm("unreachable_phones", change.text))
            if isinstance(change, Opened | StillOpen):
                self._review(floor, group)
                floor.timer(change.probe_at, "probe", group)
            if isinstance(change, Opened):
                self._acquit(floor, group, at, now)
            return self._breaker.blocks(group, phone)
        return False

    def suspect(self, agent: Agent) -> None:
        """``agent`` was paused for not answering a phone that nobody knows to have rung."""
        self._suspects[agent.name] = agent.serial

    def reached(self, floor: Floor, agent: Agent, now: Instant) -> None:
        """``agent`` has answered."""
        way = self._way(agent) if self._breaker is not None else None
        if way is not None:
            self._reached(floor, *way, now)

    def probe_due(self, floor: Floor, group: str, at: float, now: Instant) -> None:
        """Try ``group`` with one agent, if somebody is there; else look again soon. Whoever failed there himself is tried
        when nobody else is left: his cool-down is the group's fault."""
        if self._breaker is None:
            return
        state = next((open_ for open_ in self._breaker.open_groups(now.mono) if open_["group"] == group), None)
        if state is None:
            return
        floor.timer(now.mono + PROBE_AGAIN_S, "probe", group)
        members = self._members(floor, group)
        if state["probe"] is not None:
            busy = {AgentState.AVAILABLE, AgentState.RESERVED, AgentState.RINGING}
            if any(agent.devices[0] == state["probe"] and agent.state in busy for agent in members):
                return
            self._breaker.withdraw_probe(group, state["probe"])
            self._review(floor, group)
        if not self._breaker.wants_probe(group, now.mono):
            return
        reason = self._breaker.why(group)
        ready = [agent for agent in members if agent.cut_off == reason and agent.why_not in (reason, COOL_DOWN)]
        if ready:
            agent = min(ready, key=lambda agent: (agent.cool_until_mono or 0.0, agent.idle_since, agent.serial))
            agent.cool_until_mono = None
            self._breaker.begin_probe(group, agent.devices[0], now.mono)
            self._review(floor, group)
            floor.agent_freed(agent, at, now, "probe")

    def review_agent(self, agent: Agent) -> None:
        """Set why nothing may be offered to ``agent``: his phones may be others than before."""
        way = self._way(agent) if self._breaker is not None else None
        blocked = way is not None and self._breaker is not None and self._breaker.blocks(*way)
        agent.cut_off = self._breaker.why(way[0]) if blocked and way is not None and self._breaker is not None else None
        (self._cut_off.discard if agent.cut_off is None else self._cut_off.add)(agent.name)

    def cut_off_in(self, floor: Floor, queue: str) -> int:
        """How many agents of ``queue`` are at work but cannot be reached because of the breaker."""
        agents = (floor.roster.agents.get(name) for name in self._cut_off)
        return sum(
            agent is not None
            and agent.state in (AgentState.AVAILABLE, AgentState.PREVIEW)
            and queue in agent.definition.queues
            for agent in agents
        )

    def open_groups(self, now: float) -> list[dict[str, Any]]:
        """The groups that are left alone now; ``now`` monotonic seconds."""
        return [] if self._breaker is None else list(self._breaker.open_groups(now))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _acquit(self, floor: Floor, group: str, at: float, now: Instant) -> None:
        """Whoever was paused because he could not be reached there, and did nothing since, is available again."""
        for agent in self._members(floor, group):
            if self._suspects.pop(agent.name, None) == agent.serial and agent.state is AgentState.PAUSED:
                floor.roster.enter(agent, AgentState.AVAILABLE, at, now, keep_idle=True)

    def _members(self, floor: Floor, group: str) -> list[Agent]:
        return [agent for agent in floor.roster.agents.values() if (way := self._way(agent)) and way[0] == group]

    def _reached(self, floor: Floor, group: str, phone: str, now: Instant) -> None:
        assert self._breaker is not None
        change = self._breaker.reached(group, phone, now.mono)
        if change is not None:
            floor.drift("phones_reached", change.text)
            for agent in self._members(floor, group):
                agent.cool_until_mono = None
            self._review(floor, group)
            floor.unserved = True

    def _review(self, floor: Floor, group: str) -> None:
        for agent in self._members(floor, group):
            self.review_agent(agent)
            floor.roster.review(agent)
