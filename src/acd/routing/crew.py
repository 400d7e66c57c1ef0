"""The agents as bits: who has which skills, who is in which queue, who cannot be offered a call and why.

Every agent has one bit. A requirement becomes the mask of those who meet it by algebra on the masks of its terms, so its
cost hardly depends on how many agents there are. Knows no calls and no order among agents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from acd.domain.errors import UnknownNameError
from acd.domain.requirement import ABSENT, LEVEL_MAX, AllOf, AnyOf, Anyone, Except, Requirement, SkillIn
from acd.routing.line import Line
from acd.routing.slices import Digits, at_least, summed, write

if TYPE_CHECKING:
    from acd.routing.lanes import Lane, Queue

CAPACITY_MIN: Final = 64
SUMS_MAX: Final = 1_024
"""How many sets of skills have their sums remembered."""
UNKNOWN: Final = "unknown"
"""Why an agent cannot be offered a call of whom nothing was said yet."""


class Agent:
    """One agent, as matching sees him. Only the crew and the matcher write here.

    ``queues``: queue -> preference. ``idle_since``, ``serial`` and ``occupied_s`` hold while ``is_free``. ``octet``:
    the byte of a class's flags that holds his bit, which is ``low`` there.
    ``held``: the keys of the calls that wait for him alone, sorted, per queue. ``lanes``: where his calls are, with the
    highest of his preferences there in seconds, and each if they differ; the matcher's, worked out at its ``layout``.
    """

    __slots__ = (
        *("held", "idle_since", "index", "is_free", "lanes", "layout", "low", "name", "occupied_s", "octet"),
        *("queues", "reason", "serial", "skills"),
    )

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self.index = index
        self.low = 1 << (index & 7)
        self.octet = index >> 3
        self.skills: Mapping[str, int] = {}
        self.queues: Mapping[str, int] = {}
        self.is_free = False
        self.reason = UNKNOWN
        self.idle_since = 0.0
        self.serial = 0
        self.occupied_s = 0.0
        self.held: dict[str, Line] = {}
        self.layout = -1
        self.lanes: tuple[tuple[Lane, float, Mapping[Queue, float] | None], ...] = ()

    @property
    def bit(self) -> int:
        """His bit in masks. Made when asked for: ten thousand of them would not fit into a processor's cache."""
        return 1 << self.index


_NOBODY: Final = Agent("", -1)
"""Stands where the next new agent will."""


class _Skill:
    """One skill: who has it, how well in binary, and the masks asked for since it changed last."""

    __slots__ = ("bounds", "digits", "has", "version")

    def __init__(self) -> None:
        self.has = 0
        self.digits: Digits = []
        self.bounds: dict[int, int] = {}
        self.version = 0

    def at_least(self, bound: int) -> int:
        """Who has it at ``bound`` (0-100) or better."""
        found = self.bounds.get(bound)
        if found is None:
            found = self.bounds[bound] = at_least(self.digits, self.has, bound)
        return found


class Crew:
    """All agents. ``stale_skills`` and ``stale_queues`` gather what changed until somebody brings masks up to date, and
    calls ``settled``; ``stale`` tells whether there is any."""

    def __init__(self) -> None:
        self.agents: dict[str, Agent] = {}
        self.capacity = CAPACITY_MIN
        self.everyone = 0
        self.free = 0
        self.members: dict[str, int] = {}  # per queue
        self.reasons: dict[str, int] = {}  # per reason: who cannot be offered a call for it
        self.skill_counts: Digits = []
        self.stale_skills: set[str] = set()
        self.stale_queues: set[str] = set()
        self.stale = False
        self.by_bit: list[Agent] = []  # by index; who is gone stands nowhere else, and no mask has his bit
        self._spare: list[int] = []
        self._skills: dict[str, _Skill] = {}
        self.version = 0  # grows whenever somebody's skills change, somebody comes or goes
        self._sums: dict[frozenset[str], tuple[int, int, Digits]] = {}

    def agent(self, name: str) -> Agent:
        """By name. Raises UnknownNameError."""
        found = self.agents.get(name)
        if found is None:
            raise UnknownNameError("agent", name)
        return found

    def of_bit(self, mask: int) -> Agent:
        """The agent with the highest bit of ``mask``, which has one."""
        return self.by_bit[mask.bit_length() - 1]

    def of_bits(self, mask: int) -> Iterator[Agent]:
        """The agents of ``mask``, one after the other: for masks of a few."""
        while mask:
            agent = self.by_bit[mask.bit_length() - 1]
            mask ^= 1 << agent.index
            yield agent

    # -- who they are ------------------------------------------------------------------------------------------------

    def hire(self, name: str) -> tuple[Agent, bool]:
        """A new agent without queues and skills; true if everybody's flags must be made anew (there are more now)."""
        index = self._spare.pop() if self._spare else len(self.by_bit)
        agent = self.agents[name] = Agent(name, index)
        grown = index >= self.capacity
        if index == len(self.by_bit):
            self.by_bit.append(agent)
        else:
            self.by_bit[index] = agent
        if grown:
            self.capacity *= 2
        self.everyone |= agent.bit
        self.version += 1
        self.reasons[UNKNOWN] = self.reasons.get(UNKNOWN, 0) | agent.bit
        return agent, grown

    def dismiss(self, agent: Agent) -> None:
        """Forget an agent; his bit will be another's."""
        self.describe(agent, {}, {})
        self.count(agent, None)
        self.free ^= agent.bit
        del self.agents[agent.name]
        self.by_bit[agent.index] = _NOBODY
        self._spare.append(agent.index)
        self.everyone ^= agent.bit
        self.version += 1

    def describe(self, agent: Agent, skills: Mapping[str, int], queues: Mapping[str, int]) -> None:
        """Give ``agent`` other skills (proficiencies 0-100) and queues."""
        bit = agent.bit
        if skills != agent.skills:
            self.version += 1
            for name in skills.keys() | agent.skills.keys():
                old, new = agent.skills.get(name, ABSENT), skills.get(name, ABSENT)
                if old != new:
                    self._set_skill(name, bit, old, new)
            write(self.skill_counts, bit, len(agent.skills), len(skills))
            agent.skills = dict(skills)
        for name in queues.keys() ^ agent.queues.keys():
            self.members[name] = self.members.get(name, 0) ^ bit
            if not self.members[name]:
                del self.members[name]
            self.stale_queues.add(name)
            self.stale = True
        agent.queues = dict(queues)
        agent.layout = -1

    def _set_skill(self, name: str, bit: int, old: int, new: int) -> None:
        skill = self._skills.get(name)
        if skill is None:
            skill = self._skills[name] = _Skill()
        if (old == ABSENT) is not (new == ABSENT):
            skill.has ^= bit
        write(skill.digits, bit, max(old, 0), max(new, 0))
        skill.bounds.clear()
        skill.version = self.version
        self.stale_skills.add(name)
        self.stale = True

    def settled(self) -> None:
        """All masks made from this crew are up to date."""
        self.stale_skills.clear()
        self.stale_queues.clear()
        self.stale = False

    # -- why not -----------------------------------------------------------------------------------------------------

    def count(self, agent: Agent, reason: str | None) -> None:
        """From now on ``agent`` cannot be offered a call for ``reason``, and for no other; or he can (``None``)."""
        bit, reasons = 1 << agent.index, self.reasons
        if agent.is_free:
            self.free ^= bit
        else:
            old = agent.reason
            left = reasons[old] ^ bit
            if left:
                reasons[old] = left
            else:
                del reasons[old]
        if reason is None:
            agent.is_free = True
            self.free |= bit
        else:
            agent.is_free = False
            agent.reason = reason
            reasons[reason] = reasons.get(reason, 0) | bit

    # -- masks -------------------------------------------------------------------------------------------------------

    def mask_of(self, requirement: Requirement) -> int:
        """Everybody who meets ``requirement``, of whatever queue. Recursion is as deep as the requirement: bounded."""
        if isinstance(requirement, SkillIn):
            return self._range(requirement)
        if isinstance(requirement, AllOf):
            mask = self.everyone
            for item in requirement.items:
                mask &= self.mask_of(item)
            return mask
        if isinstance(requirement, AnyOf):
            mask = 0
            for item in requirement.items:
                mask |= self.mask_of(item)
            return mask
        if isinstance(requirement, Except):
            barred = (self.agents[name].bit for name in requirement.agents if name in self.agents)
            return self.everyone & ~sum(barred)
        return self.everyone if isinstance(requirement, Anyone) else 0

    def _range(self, term: SkillIn) -> int:
        skill = self._skills.get(term.skill)
        if skill is None:
            return self.everyone if term.low == ABSENT else 0
        # The lower bound lets in all whom the upper one keeps out, so what is left is what differs
        mask = self.everyone if term.low == ABSENT else skill.at_least(term.low)
        return mask if term.high == LEVEL_MAX else mask ^ skill.at_least(term.high + 1)

    def version_of(self, skills: frozenset[str]) -> int:
        """Grows whenever one of ``skills`` changes for anybody."""
        return max((self._skills[name].version for name in skills if name in self._skills), default=0)

    def sums_of(self, skills: frozenset[str]) -> Digits:
        """Everybody's proficiencies in ``skills``, added up; a skill somebody does not have counts 0."""
        known = self._sums.get(skills)
        if known is not None and known[0] == self.version:
            return known[2]
        version = self.version_of(skills)
        if known is not None and known[1] == version:
            sums = known[2]
        else:
            sums = summed([self._skills[name].digits for name in sorted(skills) if name in self._skills])
        if len(self._sums) >= SUMS_MAX:
            self._sums.clear()
        self._sums[skills] = self.version, version, sums
        return sums

    def flags_of(self, mask: int) -> bytes:
        """``mask`` as bytes, eight agents each."""
        return mask.to_bytes(self.capacity >> 3, "little")
