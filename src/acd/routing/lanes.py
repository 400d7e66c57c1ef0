"""Queues, the classes of calls in them that need the same, and the lanes in which such classes are compared.

A class is a queue and a requirement; its calls stand in one line. A lane is all classes whose scores grow at one rate:
their heads, sorted by key, so the first head that an agent may serve is his best of the lane. Knows nothing of agents but
masks and flags.
"""

from __future__ import annotations

from bisect import bisect_left

from acd.domain.requirement import Requirement
from acd.routing.line import CallKey, Line
from acd.routing.policies import QueuePolicy
from acd.routing.selection import RoundRobin, Selection


class Queue:
    """One queue as matching sees it. ``waiting`` counts its calls, held ones too; ``members`` its agents, free or not.

    ``turns``: the members in order of their last offer, for round robin alone. ``share`` of all waiting calls: its target.
    ``selection`` and ``lane`` are given by the board, which knows who else uses them.
    """

    selection: Selection

    __slots__ = (
        *("classes", "held", "lane", "members", "name", "offered", "policy", "selection", "share", "turns", "waiting"),
    )

    def __init__(self, name: str, policy: QueuePolicy) -> None:
        self.name = name
        self.policy = policy
        self.lane = Lane(0.0, None)
        self.turns: RoundRobin | None = None
        self.offered: dict[str, int] = {}
        self.classes: dict[str, CallClass] = {}
        self.held = Line()
        self.waiting = 0
        self.members = 0
        self.share = 0.0

    def first(self) -> CallKey | None:
        """The key of the call that is first in line, whoever may serve it."""
        lines = [call_class.line for call_class in self.classes.values()]
        return min((line.first for line in (*lines, self.held) if line), default=None)

    def before(self, key: CallKey) -> int:
        """How many calls of this queue come before ``key``."""
        return self.held.before(key) + sum(c.line.before(key) for c in self.classes.values() if c.line)


class CallClass:
    """Calls of one queue that need the same. ``mask``: the agents who may serve them, free or not; ``size``: how many.

    ``flags``: the same with a byte an agent, for looking one agent up in many classes; only ever changed in place.
    """

    __slots__ = ("flags", "line", "mask", "queue", "requirement", "size")

    def __init__(self, queue: Queue, requirement: Requirement, mask: int, flags: bytearray) -> None:
        self.queue = queue
        self.requirement = requirement
        self.mask = mask
        self.size = mask.bit_count()
        self.flags = flags
        self.line = Line()


class Lane:
    """Classes whose scores grow at one ``rate``, sorted by the keys of their heads.

    ``biased``: the one queue whose length counts besides, if the call selection is of that kind.
    """

    __slots__ = ("_keys", "biased", "flags", "heads", "rate")

    def __init__(self, rate: float, biased: Queue | None) -> None:
        self.rate = rate
        self.biased = biased
        self._keys: list[CallKey] = []
        self.heads: list[CallClass] = []
        self.flags: list[bytearray] = []

    @property
    def first_s(self) -> float:
        """The time in the smallest key; there is one."""
        return self._keys[0][0]

    def enter(self, call_class: CallClass) -> None:
        """Take in a class, which has a head."""
        key = call_class.line.first
        at = bisect_left(self._keys, key)
        self._keys.insert(at, key)
        self.heads.insert(at, call_class)
        self.flags.insert(at, call_class.flags)

    def leave(self, key: CallKey) -> None:
        """Let the class go whose head is, or was, ``key``."""
        at = bisect_left(self._keys, key)
        assert self._keys[at] == key, f"no class has the head {key}"
        del self._keys[at], self.heads[at], self.flags[at]
