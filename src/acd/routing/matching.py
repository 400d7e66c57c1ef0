"""The incremental matcher: who may take what, who is free, who waits, and the next match.

Agents are grouped into classes of equal queues and skills, calls into classes of equal queue and requirements.
Eligibility between classes is a bit mask (a Python int), computed once when a class first appears. Per agent class a
heap holds the free agents by idle-since, per call class a heap holds the waiting calls by rank; both delete lazily.
A look-up touches one head a non-empty eligible class, never an agent or a call that cannot match.

Invariant kept by the callers together with this index: no free agent is eligible for a waiting call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from acd.domain.definition import SkillRequirement

AgentClassKey = tuple[frozenset[str], tuple[tuple[str, int], ...]]
CallClassKey = tuple[str, tuple[SkillRequirement, ...]]
IdleKey = tuple[float, int]
"""(idle since, UTC s; serial): the smallest has been idle longest."""
CallRank = tuple[int, float, int]
"""(minus priority, joined at UTC s, serial): the smallest is served first."""


def agent_class_key(queues: tuple[str, ...], skills: dict[str, int]) -> AgentClassKey:
    """The class of an agent: agents with the same key are interchangeable for eligibility."""
    return frozenset(queues), tuple(sorted(skills.items()))


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Why an agent class may or may not serve a call class."""

    eligible: bool
    reason: str


def judge(agent: AgentClassKey, call: CallClassKey) -> Eligibility:
    """The one rule of eligibility: member of the queue, and every required skill at its minimum."""
    queues, skills = agent
    queue, requirements = call
    if queue not in queues:
        return Eligibility(False, "not in the queue")
    have = dict(skills)
    for requirement in requirements:
        if have.get(requirement.skill, -1) < requirement.minimum:
            return Eligibility(False, f"lacks skill {requirement.skill} >= {requirement.minimum}")
    return Eligibility(True, "")


K = TypeVar("K")


class _LazyHeap(Generic[K]):
    """A heap of (key, id) in which ``current`` says what still counts; stale entries are dropped when met."""

    __slots__ = ("current", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[K, str]] = []
        self.current: dict[str, K] = {}

    def put(self, name: str, key: K) -> None:
        self.current[name] = key
        heappush(self.heap, (key, name))
        # Bounded: never more stale entries than live ones, plus some slack
        if len(self.heap) > 2 * len(self.current) + 64:
            self.heap = [(k, n) for n, k in self.current.items()]
            heapify(self.heap)

    def drop(self, name: str) -> None:
        self.current.pop(name, None)

    def head(self) -> tuple[K, str] | None:
        heap, current = self.heap, self.current
        while heap:
            entry = heap[0]
            if current.get(entry[1]) == entry[0]:
                return entry
            heappop(heap)
        return None


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits set in ``mask``, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Matcher:
    """Free agents and waiting calls, and who is next for whom. Ids are strings; nothing else of either is known here."""

    def __init__(self) -> None:
        self._agent_class_of: dict[AgentClassKey, int] = {}
        self._call_class_of: dict[CallClassKey, int] = {}
        self.agent_classes: list[AgentClassKey] = []
        self.call_classes: list[CallClassKey] = []
        self._agents_for: list[int] = []  # per call class: mask of eligible agent classes
        self._calls_for: list[int] = []  # per agent class: mask of eligible call classes
        self._idle: list[_LazyHeap[IdleKey]] = []
        self._waiting: list[_LazyHeap[CallRank]] = []
        self._idle_mask = 0
        self._waiting_mask = 0
        self._free: dict[str, int] = {}
        self._waits: dict[str, int] = {}

    # -- classes ---------------------------------------------------------------------------------------------------

    def agent_class(self, key: AgentClassKey) -> int:
        """The number of an agent class; made on first sight."""
        found = self._agent_class_of.get(key)
        if found is not None:
            return found
        number = self._agent_class_of[key] = len(self.agent_classes)
        self.agent_classes.append(key)
        self._idle.append(_LazyHeap())
        mask = 0
        for call_number, call_key in enumerate(self.call_classes):
            if judge(key, call_key).eligible:
                mask |= 1 << call_number
                self._agents_for[call_number] |= 1 << number
        self._calls_for.append(mask)
        return number

    def call_class(self, key: CallClassKey) -> int:
        """The number of a call class; made on first sight."""
        found = self._call_class_of.get(key)
        if found is not None:
            return found
        number = self._call_class_of[key] = len(self.call_classes)
        self.call_classes.append(key)
        self._waiting.append(_LazyHeap())
        mask = 0
        for agent_number, agent_key in enumerate(self.agent_classes):
            if judge(agent_key, key).eligible:
                mask |= 1 << agent_number
                self._calls_for[agent_number] |= 1 << number
        self._agents_for.append(mask)
        return number

    def eligible_agent_classes(self, call_class: int) -> int:
        """The mask of agent classes that may serve ``call_class``."""
        return self._agents_for[call_class]

    # -- who is free, who waits --------------------------------------------------------------------------------------

    def free(self, agent: str, agent_class: int, key: IdleKey) -> None:
        """``agent`` can be offered a call from now on."""
        self._free[agent] = agent_class
        self._idle[agent_class].put(agent, key)
        self._idle_mask |= 1 << agent_class

    def unfree(self, agent: str) -> None:
        """``agent`` cannot be offered a call any more. Harmless if he could not."""
        number = self._free.pop(agent, None)
        if number is not None:
            heap = self._idle[number]
            heap.drop(agent)
            if not heap.current:
                self._idle_mask &= ~(1 << number)

    def wait(self, call: str, call_class: int, rank: CallRank) -> None:
        """``call`` waits from now on."""
        self._waits[call] = call_class
        self._waiting[call_class].put(call, rank)
        self._waiting_mask |= 1 << call_class

    def unwait(self, call: str) -> None:
        """``call`` does not wait any more. Harmless if it did not."""
        number = self._waits.pop(call, None)
        if number is not None:
            heap = self._waiting[number]
            heap.drop(call)
            if not heap.current:
                self._waiting_mask &= ~(1 << number)

    def is_free(self, agent: str) -> bool:
        """Whether ``agent`` can be offered a call."""
        return agent in self._free

    def is_waiting(self, call: str) -> bool:
        """Whether ``call`` is in the index."""
        return call in self._waits

    @property
    def waiting_count(self) -> int:
        """How many calls wait."""
        return len(self._waits)

    # -- matching ----------------------------------------------------------------------------------------------------

    def agent_for(self, call: str) -> str | None:
        """The longest idle free agent who may serve the waiting ``call``."""
        return self.longest_idle(self._waits[call])

    def longest_idle(self, call_class: int) -> str | None:
        """The longest idle free agent eligible for ``call_class``."""
        best: tuple[IdleKey, str] | None = None
        for number in bits(self._agents_for[call_class] & self._idle_mask):
            head = self._idle[number].head()
            if head is not None and (best is None or head < best):
                best = head
        return None if best is None else best[1]

    def call_for(self, agent: str) -> str | None:
        """The first-ranked waiting call that the free ``agent`` may serve."""
        best: tuple[CallRank, str] | None = None
        for number in bits(self._calls_for[self._free[agent]] & self._waiting_mask):
            head = self._waiting[number].head()
            if head is not None and (best is None or head < best):
                best = head
        return None if best is None else best[1]

    def best_idle(self, call_class: int, count: int) -> list[str]:
        """Up to ``count`` free eligible agents, longest idle first: one head a class is exact for the first only."""
        heads = []
        for number in bits(self._agents_for[call_class] & self._idle_mask):
            head = self._idle[number].head()
            if head is not None:
                heads.append(head)
        heads.sort()
        return [name for _, name in heads[:count]]

    def next_pair(self) -> tuple[str, str] | None:
        """The first-ranked of all waiting calls that have a free eligible agent, and the longest idle of these."""
        best: tuple[CallRank, str] | None = None
        best_class = 0
        for number in bits(self._waiting_mask):
            if self._agents_for[number] & self._idle_mask:
                head = self._waiting[number].head()
                if head is not None and (best is None or head < best):
                    best, best_class = head, number
        if best is None:
            return None
        agent = self.longest_idle(best_class)
        return None if agent is None else (best[1], agent)

    def rank_of(self, call: str) -> CallRank:
        """The rank a waiting call was given."""
        return self._waiting[self._waits[call]].current[call]
