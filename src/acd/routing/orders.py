"""Agents in an order that does not change while they stand in it, searched by a mask of those who are wanted.

Kept as blocks of some hundred agents, each with the mask of its members: a block without anybody wanted is passed with
one AND, so that even the one agent in ten thousand who stands last is found within microseconds, and nothing that grows
with the agents is ever moved. Which order it is, is the caller's business: an order is a function from agent to key.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import compress, count
from typing import Any, Final

from acd.routing.crew import Agent

BLOCK: Final = 128
"""A block is split beyond twice as many agents; when it is down to a quarter, it joins a neighbour that has room."""

Key = tuple[Any, ...]
"""What agents are sorted by, smallest first; ends in the name, so that no two are equal."""


class AgentOrder:
    """A set of agents sorted by ``key_of``, which must give the same key as long as the agent is in it."""

    __slots__ = ("_blocks", "_firsts", "_masks", "key_of")

    def __init__(self, key_of: Callable[[Agent], Key]) -> None:
        self.key_of = key_of
        self._firsts: list[Key] = []  # the smallest key of each block
        self._masks: list[int] = []  # the members of each block
        self._blocks: list[tuple[list[Key], list[Agent]]] = []

    def __iter__(self) -> Iterator[Agent]:
        return (agent for _, agents in self._blocks for agent in agents)

    def __len__(self) -> int:
        return sum(len(agents) for _, agents in self._blocks)

    def add(self, agent: Agent) -> None:
        """Put ``agent`` in his place; he is not in it yet."""
        key = self.key_of(agent)
        blocks = self._blocks
        if not blocks or (key > blocks[-1][0][-1] and len(blocks[-1][0]) >= BLOCK):
            # Mostly whoever comes, comes last: full blocks behind him stay as they are
            blocks.append(([key], [agent]))
            self._firsts.append(key)
            self._masks.append(agent.bit)
            return
        at = max(0, bisect_right(self._firsts, key) - 1)
        keys, agents = blocks[at]
        place = bisect_left(keys, key)
        keys.insert(place, key)
        agents.insert(place, agent)
        self._masks[at] |= agent.bit
        if not place:
            self._firsts[at] = key
        if len(keys) > 2 * BLOCK:
            self._split(at)

    def remove(self, agent: Agent) -> None:
        """Take ``agent`` out; he is in it, and his key is what it was when he came."""
        key = self.key_of(agent)
        at = bisect_right(self._firsts, key) - 1
        keys, agents = self._blocks[at]
        place = bisect_left(keys, key)
        assert agents[place] is agent, f"{agent.name} does not stand where his key {key} says"
        del keys[place], agents[place]
        self._masks[at] ^= agent.bit
        if not keys:
            del self._blocks[at], self._firsts[at], self._masks[at]
            return
        if not place:
            self._firsts[at] = keys[0]
        if len(keys) < BLOCK // 4:
            self._join(at)

    def first(self, wanted: int) -> Agent | None:
        """The first agent of the mask ``wanted``."""
        for at in compress(count(), map(wanted.__and__, self._masks)):
            here = wanted & self._masks[at]
            for agent in self._blocks[at][1]:
                if agent.bit & here:
                    return agent
        return None

    def _split(self, at: int) -> None:
        keys, agents = self._blocks[at]
        half = len(keys) // 2
        upper = 0
        for agent in agents[half:]:
            upper |= agent.bit
        self._blocks.insert(at + 1, (keys[half:], agents[half:]))
        self._firsts.insert(at + 1, keys[half])
        self._masks.insert(at + 1, upper)
        self._masks[at] ^= upper
        del keys[half:], agents[half:]

    def _join(self, at: int) -> None:
        """Join the block ``at`` with a neighbour, unless both are too well filled for that."""
        for lower in (at - 1, at):
            if 0 <= lower < len(self._blocks) - 1:
                keys, agents = self._blocks[lower]
                more_keys, more_agents = self._blocks[lower + 1]
                if len(keys) + len(more_keys) <= BLOCK:
                    keys.extend(more_keys)
                    agents.extend(more_agents)
                    self._masks[lower] |= self._masks[lower + 1]
                    del self._blocks[lower + 1], self._firsts[lower + 1], self._masks[lower + 1]
                    return
