"""The incremental matcher: who may take what, who is free, who waits, and the next match.

Agents are grouped into classes of equal queues and skills, calls into classes of equal queue and requirements; which
serves which is judged once, when a class first appears. Per call class one heap holds the free agents who may serve it,
by idle-since, and one the waiting calls, by rank; all delete lazily. Call classes are few (queues), agent classes may
be as many as agents: a look-up touches one head, or one head a call class, and never what grows with the agents.

Invariant kept by the callers together with this index: no free agent is eligible for a waiting call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

    def drop(self, name: str) -> bool:
        """Whether nothing is left."""
        self.current.pop(name, None)
        return not self.current

    def head(self) -> tuple[K, str] | None:
        heap, current = self.heap, self.current
        while heap:
            entry = heap[0]
            if current.get(entry[1]) == entry[0]:
                return entry
            heappop(heap)
        return None

    def first(self, count: int) -> list[str]:
        """The first ``count`` names in order."""
        taken: list[tuple[K, str]] = []
        while len(taken) < count and (entry := self.head()) is not None:
            heappop(self.heap)
            # The same name may stand there twice with the same key; taken once, and put back once
            if not taken or entry != taken[-1]:
                taken.append(entry)
        for entry in taken:
            heappush(self.heap, entry)
        return [name for _, name in taken]


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
        self._serves: list[list[int]] = []  # per agent class: the call classes it may serve
        self._idle: list[_LazyHeap[IdleKey]] = []  # per call class
        self._waiting: list[_LazyHeap[CallRank]] = []  # per call class
        self._idle_mask = 0  # call classes with a free eligible agent
        self._waiting_mask = 0  # call classes with a waiting call
        self._free: dict[str, tuple[int, IdleKey]] = {}
        self._waits: dict[str, int] = {}

    # -- classes ---------------------------------------------------------------------------------------------------

    def agent_class(self, key: AgentClassKey) -> int:
        """The number of an agent class; made on first sight."""
        found = self._agent_class_of.get(key)
        if found is not None:
            return found
        number = self._agent_class_of[key] = len(self.agent_classes)
        self.agent_classes.append(key)
        self._serves.append([c for c, call_key in enumerate(self.call_classes) if judge(key, call_key).eligible])
        return number

    def call_class(self, key: CallClassKey) -> int:
        """The number of a call class; made on first sight, at a cost that grows with agent classes and free agents."""
        found = self._call_class_of.get(key)
        if found is not None:
            return found
        number = self._call_class_of[key] = len(self.call_classes)
        self.call_classes.append(key)
        self._waiting.append(_LazyHeap())
        self._idle.append(_LazyHeap())
        eligible = [judge(agent_key, key).eligible for agent_key in self.agent_classes]
        for serves, yes in zip(self._serves, eligible, strict=True):
            if yes:
                serves.append(number)
        for agent, (agent_class, idle_key) in self._free.items():
            if eligible[agent_class]:
                self._idle[number].put(agent, idle_key)
                self._idle_mask |= 1 << number
        return number

    def serves(self, agent_class: int) -> Sequence[int]:
        """The call classes that ``agent_class`` may serve."""
        return self._serves[agent_class]

    def eligible_agent_classes(self, call_class: int) -> int:
        """The mask of agent classes that may serve ``call_class``; for people's eyes, not for every event."""
        return sum(1 << number for number, serves in enumerate(self._serves) if call_class in serves)

    # -- who is free, who waits --------------------------------------------------------------------------------------

    def free(self, agent: str, agent_class: int, key: IdleKey) -> None:
        """``agent`` can be offered a call from now on."""
        self._free[agent] = agent_class, key
        for number in self._serves[agent_class]:
            self._idle[number].put(agent, key)
            self._idle_mask |= 1 << number

    def unfree(self, agent: str) -> None:
        """``agent`` cannot be offered a call any more. Harmless if he could not."""
        found = self._free.pop(agent, None)
        if found is not None:
            for number in self._serves[found[0]]:
                if self._idle[number].drop(agent):
                    self._idle_mask &= ~(1 << number)

    def wait(self, call: str, call_class: int, rank: CallRank) -> None:
        """``call`` waits from now on, and in no other class."""
        if self._waits.get(call, call_class) != call_class:
            self.unwait(call)
        self._waits[call] = call_class
        self._waiting[call_class].put(call, rank)
        self._waiting_mask |= 1 << call_class

    def unwait(self, call: str) -> None:
        """``call`` does not wait any more. Harmless if it did not."""
        number = self._waits.pop(call, None)
        if number is not None and self._waiting[number].drop(call):
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
        head = self._idle[call_class].head()
        return None if head is None else head[1]

    def best_idle(self, call_class: int, count: int) -> list[str]:
        """Up to ``count`` free eligible agents, longest idle first."""
        return self._idle[call_class].first(count)

    def call_for(self, agent: str) -> str | None:
        """The first-ranked waiting call that the free ``agent`` may serve."""
        best: tuple[CallRank, str] | None = None
        for number in self._serves[self._free[agent][0]]:
            if self._waiting_mask >> number & 1:
                head = self._waiting[number].head()
                if head is not None and (best is None or head < best):
                    best = head
        return None if best is None else best[1]

    def next_pair(self) -> tuple[str, str] | None:
        """The first-ranked of all waiting calls that have a free eligible agent, and the longest idle of these."""
        best: tuple[CallRank, str] | None = None
        best_class = 0
        for number in bits(self._waiting_mask & self._idle_mask):
            head = self._waiting[number].head()
            if head is not None and (best is None or head < best):
                best, best_class = head, number
        if best is None:
            return None
        agent = self.longest_idle(best_class)
        return None if agent is None else (best[1], agent)
