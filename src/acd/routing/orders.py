"""Agents in an order that does not change while they stand in it, searched by a mask of those who are wanted.

Kept as blocks of some dozen agents, each with the mask of its members: a block without anybody wanted is passed with
one AND, and of one with a few the bits are read. So even the one agent in ten thousand who stands last is found within
microseconds, and nothing that grows with the agents is ever moved. Which order it is, is the caller's business: an order
is a function from agent to key.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import compress, count, islice
from operator import and_
from typing import Any, Final

from acd.routing.crew import Agent, Crew

BLOCK: Final = 64
"""Agents a block; one is split beyond twice as many, and down to a quarter it joins a neighbour that has room."""
FEW: Final = 6
"""Of up to so many wanted agents in a block the bits are read; more are met soon enough by going along the block."""

Key = tuple[Any, ...]
"""What agents are sorted by, smallest first; ends in the name, so that no two are equal."""


class _Block:
    """Some agents in order, and apart from them, packed together, where their bits are in a mask made bytes."""

    __slots__ = ("agents", "keys", "lows", "places")

    def __init__(self, keys: list[Key], agents: list[Agent]) -> None:
        self.keys, self.agents = keys, agents
        self.places = array("I", [agent.index >> 3 for agent in agents])
        self.lows = bytearray(agent.low for agent in agents)

    def mask(self) -> int:
        mask = 0
        for agent in self.agents:
            mask |= agent.bit
        return mask

    def add(self, key: Key, agent: Agent) -> None:
        keys = self.keys
        index = agent.index
        if not keys or key > keys[-1]:
            keys.append(key)
            self.agents.append(agent)
            self.places.append(index >> 3)
            self.lows.append(agent.low)
            return
        at = bisect_left(keys, key)
        keys.insert(at, key)
        self.agents.insert(at, agent)
        self.places.insert(at, index >> 3)
        self.lows.insert(at, agent.low)

    def remove(self, key: Key, agent: Agent) -> None:
        keys, agents = self.keys, self.agents
        at = bisect_left(keys, key)
        assert agents[at] is agent, f"{agent.name} does not stand where his key {key} says"
        del keys[at], agents[at], self.places[at], self.lows[at]

    def split(self) -> _Block:
        """Give up the upper half."""
        half = len(self.keys) // 2
        upper = _Block(self.keys[half:], self.agents[half:])
        del self.keys[half:], self.agents[half:], self.places[half:], self.lows[half:]
        return upper

    def join(self, upper: _Block) -> None:
        """Take in all of the next."""
        self.keys += upper.keys
        self.agents += upper.agents
        self.places += upper.places
        self.lows += upper.lows

    def along(self, flags: bytes, start: Key | None) -> Iterator[Agent]:
        """The agents whose bits are set in ``flags``, in order; from ``start`` on."""
        agents, places, lows = self.agents, self.places, self.lows
        if start is not None and (at := bisect_left(self.keys, start)):
            agents, places, lows = agents[at:], places[at:], lows[at:]
        return compress(agents, map(and_, map(flags.__getitem__, places), lows))


class Since:
    """A time in which nobody came before others in an order: told from other such times by being another object."""

    __slots__ = ()


class AgentOrder:
    """A set of agents sorted by ``key_of``, which must give the same key as long as the agent is in it.

    ``since``: another object whenever somebody came before one who was there or had been. While it is the same, whoever
    was the first of some is not preceded by anybody later on.
    """

    __slots__ = ("_blocks", "_crew", "_firsts", "_latest", "_masks", "key_of", "since")

    def __init__(self, crew: Crew, key_of: Callable[[Agent], Key]) -> None:
        self.key_of = key_of
        self.since = Since()
        self._latest: Key = ()  # the largest key so far
        self._crew = crew
        self._blocks = [_Block([], [])]
        self._firsts: list[Key] = [()]  # of each block: no key is smaller, and none of the block before is as large
        self._masks = [0]  # the agents of each block

    def __iter__(self) -> Iterator[Agent]:
        return (agent for block in self._blocks for agent in block.agents)

    def add(self, agent: Agent) -> None:
        """Put ``agent`` in his place; he is not in it yet."""
        key, index = self.key_of(agent), agent.index
        if key < self._latest:
            self.since = Since()
        else:
            self._latest = key
        at = bisect_right(self._firsts, key) - 1
        block, last = self._blocks[at], len(self._blocks) - 1
        if len(block.keys) < 2 * BLOCK:
            block.add(key, agent)
            self._masks[at] |= 1 << index
        elif at == last and key > block.keys[-1]:
            # Most come last: so blocks are filled, and nobody is moved
            self._insert(at + 1, _Block([key], [agent]))
        else:
            block.add(key, agent)
            self._masks[at] |= 1 << index
            self._insert(at + 1, block.split())
            self._masks[at] ^= self._masks[at + 1]

    def remove(self, agent: Agent) -> None:
        """Take ``agent`` out; he is in it, and his key is what it was when he came."""
        key = self.key_of(agent)
        at = bisect_right(self._firsts, key) - 1
        block = self._blocks[at]
        block.remove(key, agent)
        self._masks[at] ^= 1 << agent.index
        if len(block.keys) < BLOCK // 4 and len(self._blocks) > 1:
            if block.keys:
                self._join(at)
            else:
                self._delete(at)

    def _join(self, at: int) -> None:
        """Join the block ``at`` with a neighbour that has room."""
        for lower in range(max(at - 1, 0), min(at + 1, len(self._blocks) - 1)):
            block, upper = self._blocks[lower], self._blocks[lower + 1]
            if len(block.keys) + len(upper.keys) <= BLOCK:
                block.join(upper)
                self._masks[lower] |= self._masks[lower + 1]
                self._delete(lower + 1)
                return

    def _insert(self, at: int, block: _Block) -> None:
        self._blocks.insert(at, block)
        self._firsts.insert(at, block.keys[0])
        self._masks.insert(at, block.mask())

    def _delete(self, at: int) -> None:
        del self._blocks[at], self._firsts[at], self._masks[at]
        self._firsts[0] = ()

    def first(
        self,
        wanted: int,
        limit: int = 1,
        flags: bytes | None = None,
        *,
        many: bool = False,
        start: Key | None = None,
    ) -> list[Agent]:
        """The first ``limit`` agents of the mask ``wanted``. ``flags``: of a class that is ``wanted``; ``many``: there
        are some in about every block; ``start``: nobody who is wanted stands before it."""
        found: list[Agent] = []
        masks, by_bit = self._masks, self._crew.by_bit
        passed = 0 if start is None else bisect_right(self._firsts, start) - 1
        left = masks[passed:] if passed else masks
        for at in compress(count(passed), map(wanted.__and__, left)):
            if many:
                flags = flags or self._crew.flags_of(wanted)
                found += islice(self._blocks[at].along(flags, start), limit - len(found))
                if len(found) >= limit:
                    break
                continue
            rest = wanted & masks[at]
            index = rest.bit_length() - 1
            rest ^= 1 << index
            if not rest:
                found.append(by_bit[index])
            else:
                some = [by_bit[index]]
                while rest and len(some) < FEW:
                    index = rest.bit_length() - 1
                    rest ^= 1 << index
                    some.append(by_bit[index])
                if rest:
                    flags = flags or self._crew.flags_of(wanted)
                    found += islice(self._blocks[at].along(flags, start), limit - len(found))
                else:
                    some.sort(key=self.key_of)
                    found += some
            if len(found) >= limit:
                break
        return found[:limit]
