"""Agent selection: of the free agents who may serve a call, the one who is offered it.

Every selection ends in a total order, so that it never depends on chance. All but round robin fall back on who has been
idle longest, then on the serial, then on the name:

    longest_idle      -
    least_occupied    the least work today, when he became free
    most_proficient   the most points in the skills that the requirement names, added up
    least_skilled     the fewest skills
    round_robin       who was offered a call of this queue least recently (before them, by name: who never was)
    weighted          the highest of idle * idle_s + proficiency * points - skills * count - occupied * occupied_s

None of it changes while an agent is free, though he is idle ever longer: what grows, grows equally for all. So an agent
is put in place once, when he becomes free. Selections are shared by the queues that use them. No calls here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from acd.domain.definition import SelectionWeights
from acd.domain.requirement import Requirement
from acd.routing.crew import Agent, Crew
from acd.routing.orders import BLOCK, AgentOrder, Key
from acd.routing.policies import WEIGHT_DIGITS, QueuePolicy, point_factor, standing
from acd.routing.slices import Digits, added, ascending, complement, descending, times, write

if TYPE_CHECKING:
    from acd.routing.lanes import CallClass

FEW: Final = 8
"""So many agents are compared one by one; more are looked for in order."""
MANY: Final = 6
"""Where more of a block's agents than these are able, going along it is quicker than reading bits."""
COSTS_MAX: Final = 1_024
"""How many sets of skills have their costs remembered, per set of weights."""


class Selection(Protocol):
    """Told of everybody who is free; asked for the best of some of them."""

    def add(self, agent: Agent) -> None:
        """``agent`` is free from now on."""

    def remove(self, agent: Agent) -> None:
        """``agent`` is free no more, or about to change."""

    def ranked(self, call_class: CallClass, wanted: int, limit: int) -> list[Agent]:
        """The best ``limit`` of the agents of the mask ``wanted``, best first: all the free ones of ``call_class``."""


def by_idle(agent: Agent) -> Key:
    """Longest idle first."""
    return agent.idle_since, agent.serial, agent.name


def by_occupied(agent: Agent) -> Key:
    """Least work today first."""
    return agent.occupied_s, agent.idle_since, agent.serial, agent.name


class InOrder:
    """Whoever comes first in an order of all the free."""

    def __init__(self, order: AgentOrder, crew: Crew) -> None:
        self.add, self.remove = order.add, order.remove
        self._order, self._crew = order, crew

    def ranked(self, call_class: CallClass, wanted: int, limit: int) -> list[Agent]:
        order = self._order
        if call_class.size * BLOCK <= MANY * len(self._crew.agents):
            return order.first(wanted, limit, call_class.flags)
        known = call_class.start
        start = known[1] if known is not None and known[0] is order.since else None
        found = order.first(wanted, limit, call_class.flags, many=True, start=start)
        call_class.start = order.since, order.key_of(found[0])
        return found


class _Narrowed:
    """Those who stand out by a number, and of them the longest idle."""

    def __init__(self, crew: Crew, idle: AgentOrder) -> None:
        self._crew, self._idle = crew, idle

    def groups(self, requirement: Requirement, wanted: int) -> Iterator[int]:
        """Masks of those of ``wanted`` who are equal by the number, best first."""
        raise NotImplementedError

    def add(self, agent: Agent) -> None:
        """``agent`` is free from now on; ``idle``, which is an order of its own, is told besides."""

    def remove(self, agent: Agent) -> None:
        """``agent`` is free no more: whatever is known of him is not looked at."""

    def ranked(self, call_class: CallClass, wanted: int, limit: int) -> list[Agent]:
        found: list[Agent] = []
        for best in self.groups(call_class.requirement, wanted):
            index, missing = best.bit_length() - 1, limit - len(found)
            if best == 1 << index:
                found.append(self._crew.by_bit[index])
                if missing == 1:
                    break
                continue
            few = list(islice(self._crew.of_bits(best), FEW + 1))
            found += sorted(few, key=by_idle)[:missing] if len(few) <= FEW else self._idle.first(best, missing)
            if len(found) == limit:
                break
        return found


class MostProficient(_Narrowed):
    """The most points in the skills that the requirement names."""

    def groups(self, requirement: Requirement, wanted: int) -> Iterator[int]:
        return descending(self._crew.sums_of(requirement.skills), wanted)


class LeastSkilled(_Narrowed):
    """The fewest skills, so that those with many stay free for who needs them."""

    def groups(self, requirement: Requirement, wanted: int) -> Iterator[int]:
        return ascending(self._crew.skill_counts, wanted)


class RoundRobin:
    """Who was offered a call of the queue least recently. Holds all members, free or not: offers alone move them."""

    def __init__(self, crew: Crew, offered: dict[str, int]) -> None:
        self._offered = offered
        self._order = AgentOrder(crew, self._key)

    def _key(self, agent: Agent) -> Key:
        return self._offered.get(agent.name, 0), agent.name

    def join(self, agent: Agent) -> None:
        """``agent`` is in the queue from now on."""
        self._order.add(agent)

    def leave(self, agent: Agent) -> None:
        """``agent`` is in the queue no more, or about to be offered a call."""
        self._order.remove(agent)

    def add(self, agent: Agent) -> None:
        """Nothing to do: the free and the others stand in one line."""

    def remove(self, agent: Agent) -> None:
        """Nothing to do."""

    def ranked(self, call_class: CallClass, wanted: int, limit: int) -> list[Agent]:
        return self._order.first(wanted, limit)


class Weighted(_Narrowed):
    """The highest weighted score, with points of proficiency in it, which differ from one requirement to the next.

    Standing and points are added in binary for everybody at once, and the lowest sum is looked for digit by digit: some
    thirty steps, however many are free.
    """

    def __init__(self, weights: SelectionWeights, crew: Crew, idle: AgentOrder) -> None:
        super().__init__(crew, idle)
        self._weights = weights
        self._factor = point_factor(weights)
        self._digits: Digits = []
        self._floor: int | None = None  # what is taken off every standing, so that none is negative and all are small
        self._known: dict[int, tuple[Agent, int]] = {}  # by index: who stood there last, free or not, and how
        self._costs: dict[frozenset[str], tuple[int, int, int, Digits]] = {}

    def add(self, agent: Agent) -> None:
        at = standing(self._weights, agent.idle_since, len(agent.skills), agent.occupied_s)
        if self._floor is None:
            self._floor = at
        if at < self._floor:
            self._lower(at)
        _, old = self._known.get(agent.index, (agent, self._floor))
        write(self._digits, agent.bit, old - self._floor, at - self._floor)
        self._known[agent.index] = agent, at

    def _lower(self, at: int) -> None:
        """Somebody stands lower than anybody before: rare, and twice as far away each time."""
        assert self._floor is not None
        self._floor = at - max(self._floor - at, 1)
        self._digits = []
        for other, value in self._known.values():
            write(self._digits, other.bit, 0, value - self._floor)

    def groups(self, requirement: Requirement, wanted: int) -> Iterator[int]:
        return ascending(added(self._digits, self._cost(requirement.skills)), wanted)

    def _cost(self, skills: frozenset[str]) -> Digits:
        """What lack of points costs everybody, in steps: the same constant less what the points are worth."""
        crew, known = self._crew, self._costs.get(skills)
        if known is not None and known[0] == crew.version:
            return known[3]
        version, everyone = crew.version_of(skills), crew.everyone
        if known is not None and known[1] == version and known[2] == everyone:
            costs = known[3]
        else:
            worth = times(crew.sums_of(skills), self._factor, dropped=WEIGHT_DIGITS)
            costs = complement(worth, everyone, len(worth))
        if len(self._costs) >= COSTS_MAX:
            self._costs.clear()
        self._costs[skills] = crew.version, version, everyone, costs
        return costs


class Selections:
    """The selections in use, each told of everybody who is free."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self.idle = AgentOrder(crew, by_idle)
        self._shared: dict[object, Selection] = {"longest_idle": InOrder(self.idle, crew)}
        self._told: list[Selection] = list(self._shared.values())
        self._late: Agent | None = None  # who became free last, and stands nowhere yet
        self._users: dict[str, object] = {}

    def use(self, queue: str, policy: QueuePolicy) -> Selection | None:
        """The selection that ``queue`` uses from now on; None for round robin, which is the queue's own."""
        key = _shared_key(policy)
        self.drop(queue, but=key)
        self._users[queue] = key
        if key is None:
            return None
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = self._made(policy)
            for agent in self.idle:
                found.add(agent)
            self._told = list(self._shared.values())
        return found

    def drop(self, queue: str, but: object = None) -> None:
        """``queue`` uses its selection no more; it is forgotten when nobody does (and it is not ``but``)."""
        key = self._users.pop(queue, None)
        if key is not None and key != but and key != "longest_idle" and key not in self._users.values():
            del self._shared[key]
            self._told = list(self._shared.values())

    def _made(self, policy: QueuePolicy) -> Selection:
        if policy.agent_selection == "least_occupied":
            return InOrder(AgentOrder(self._crew, by_occupied), self._crew)
        if policy.agent_selection == "most_proficient":
            return MostProficient(self._crew, self.idle)
        if policy.agent_selection == "least_skilled":
            return LeastSkilled(self._crew, self.idle)
        weights = policy.agent_weights
        if point_factor(weights):
            return Weighted(weights, self._crew, self.idle)

        def by_standing(agent: Agent) -> Key:
            at = standing(weights, agent.idle_since, len(agent.skills), agent.occupied_s)
            return at, agent.idle_since, agent.serial, agent.name

        return InOrder(AgentOrder(self._crew, by_standing), self._crew)

    def add(self, agent: Agent) -> None:
        """``agent`` is free from now on. He is put in place when somebody asks, or with the next: under load he gets a
        call at once."""
        if self._late is not None:
            self.settle()
        self._late = agent

    def settle(self) -> None:
        """Put everybody who is free in his place. To be called before a selection is asked."""
        agent, self._late = self._late, None
        if agent is not None:
            for selection in self._told:
                selection.add(agent)

    def remove(self, agent: Agent) -> None:
        """``agent`` is free no more, or about to change."""
        if agent is self._late:
            self._late = None
            return
        for selection in self._told:
            selection.remove(agent)


def _shared_key(policy: QueuePolicy) -> object:
    if policy.agent_selection == "round_robin":
        return None
    if policy.agent_selection == "weighted":
        return policy.agent_weights
    return policy.agent_selection
