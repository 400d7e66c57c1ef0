"""Queues, the classes of calls in them that need the same, and the lanes in which such classes are compared.

A class is a queue and a requirement; its calls stand in one line. A lane is the heads of classes whose scores grow at one
rate, sorted by key, so the first head that an agent may serve is his best of the lane. Every queue has a lane of its own,
for agents who serve a few queues; for agents who serve many, queues of one rate share another. Knows nothing of agents but
masks and flags.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

from acd.domain.requirement import Requirement
from acd.routing.line import CallKey, Line
from acd.routing.orders import Key, Since
from acd.routing.policies import QueuePolicy
from acd.routing.selection import RoundRobin, Selection

OWN_LANES_MAX: Final = 8
"""Agents of up to so many queues look into the lane of each; others into those that queues share."""


class Candidates(NamedTuple):
    """How many agents there are for a call: ``members`` of its queue, ``able`` ones among them, ``free`` ones of these,
    and the others by what keeps them (``blocked``). Members who are not able lack a skill."""

    members: int
    able: int
    free: int
    blocked: dict[str, int]


class Queue:
    """One queue as matching sees it. ``waiting`` counts its calls, held ones too; ``members`` its agents, free or not.

    ``turns``: the members in order of their last offer, for round robin alone. ``share`` of all waiting calls: its target.
    ``lane``: its own; ``common``: the one it shares, unless lengths count. ``selection`` is given by the board, which knows
    who else uses it.
    """

    selection: Selection

    __slots__ = (
        *("_own_lanes", "classes", "common", "held", "lane", "members", "name", "offered", "policy", "selection"),
        *("share", "turns", "waiting"),
    )

    def __init__(self, name: str, policy: QueuePolicy) -> None:
        self.name = name
        self.policy = policy
        self.lane = Lane(0.0)
        self._own_lanes: dict[float, tuple[Lane, float, None]] = {}
        self.common: Lane | None = None
        self.turns: RoundRobin | None = None
        self.offered: dict[str, int] = {}
        self.classes: dict[str, CallClass] = {}
        self.held = Line()
        self.waiting = 0
        self.members = 0
        self.share = 0.0

    def own_lane(self, bonus_s: float) -> tuple[Lane, float, None]:
        """The queue's own lane for agents who prefer it by ``bonus_s``: one object for all of them."""
        return self._own_lanes.setdefault(bonus_s, (self.lane, bonus_s, None))

    def enter(self, call_class: CallClass) -> None:
        """A class of this queue has a head, or another one than before."""
        self.lane.enter(call_class)
        if self.common is not None:
            self.common.enter(call_class)

    def leave(self, key: CallKey) -> None:
        """The class whose head is, or was, ``key`` has it no more."""
        self.lane.leave(key)
        if self.common is not None:
            self.common.leave(key)

    def advance(self, key: CallKey, later: CallKey) -> None:
        """The class whose head was ``key`` has the head ``later`` now."""
        self.lane.advance(key, later)
        if self.common is not None:
            self.common.advance(key, later)

    def renew(self, call_class: CallClass) -> None:
        """The flags of a class of this queue are others than before."""
        self.lane.renew(call_class)
        if self.common is not None:
            self.common.renew(call_class)

    def forget(self, call_class: CallClass) -> None:
        """A class of this queue, which has no calls, is no more."""
        del self.classes[call_class.requirement.text]
        self.lane.forget(call_class)
        if self.common is not None:
            self.common.forget(call_class)

    def first(self) -> CallKey | None:
        """The key of the call that is first in line, whoever may serve it."""
        lines = [call_class.line for call_class in self.classes.values()]
        return min((line.first for line in (*lines, self.held) if line), default=None)

    def before(self, key: CallKey) -> int:
        """How many calls of this queue come before ``key``."""
        return self.held.before(key) + sum(c.line.before(key) for c in self.classes.values() if c.line)


class CallClass:
    """Calls of one queue that need the same. ``mask``: the agents who may serve them, free or not; ``size``: how many.

    ``flags``: the same as bytes, for looking one agent up in many classes. ``start``: before that key nobody of these
    stands, as long as the first object is what the order of agents has as its ``since``.
    """

    __slots__ = ("flags", "line", "mask", "queue", "requirement", "size", "start")

    def __init__(self, queue: Queue, requirement: Requirement, mask: int, flags: bytes) -> None:
        self.queue = queue
        self.requirement = requirement
        self.mask = mask
        self.size = mask.bit_count()
        self.flags = flags
        self.line = Line()
        self.start: tuple[Since, Key] | None = None


class Lane:
    """Heads of classes whose scores grow at one ``rate``, sorted by key.

    ``biased``: the one queue whose length counts besides, if the call selection is of that kind. ``users``: how many
    queues share it. ``rows``: the flags of its classes, those of the same eight agents side by side, so that one agent's
    lie together in memory; every class has a column of them, ``width`` of which make a row. ``columns``: of each head.
    """

    __slots__ = ("_column_of", "_spare", "biased", "columns", "heads", "keys", "rate", "rows", "users", "width")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.biased: Queue | None = None
        self.users = 0
        self.keys: list[CallKey] = []
        self.heads: list[CallClass] = []
        self.columns: list[int] = []
        self.rows = bytearray()
        self.width = 0
        self._column_of: dict[CallClass, int] = {}
        self._spare: list[int] = []

    def enter(self, call_class: CallClass) -> None:
        """Take in a class, which has a head."""
        column = self._column_of.get(call_class)
        if column is None:
            column = self._new_column(call_class)
        key = call_class.line.first
        at = bisect_left(self.keys, key)
        self.keys.insert(at, key)
        self.heads.insert(at, call_class)
        self.columns.insert(at, column)

    def leave(self, key: CallKey) -> None:
        """Let the class go whose head is, or was, ``key``."""
        at = bisect_left(self.keys, key)
        assert self.keys[at] == key, f"no class has the head {key}"
        del self.keys[at], self.heads[at], self.columns[at]

    def advance(self, key: CallKey, later: CallKey) -> None:
        """The class whose head was ``key`` has the head ``later`` now, which comes after it."""
        keys = self.keys
        at = bisect_left(keys, key)
        assert keys[at] == key, f"no class has the head {key}"
        to = bisect_left(keys, later, at) - 1
        if to == at:
            keys[at] = later
            return
        del keys[at]
        keys.insert(to, later)
        self.heads.insert(to, self.heads.pop(at))
        self.columns.insert(to, self.columns.pop(at))

    def clear(self) -> None:
        """Let all go."""
        self.keys.clear()
        self.heads.clear()
        self.columns.clear()

    def _new_column(self, call_class: CallClass) -> int:
        if not self._spare:
            self._widen(len(call_class.flags))
        column = self._column_of[call_class] = self._spare.pop()
        self.renew(call_class)
        return column

    def _widen(self, height: int) -> None:
        """Twice as many columns."""
        old, rows, width = self.width, self.rows, self.width * 2 or 1
        self.rows = bytearray(max(len(rows) // old if old else 0, height) * width)
        for column in range(old):
            of_old = rows[column::old]
            self.rows[column : len(of_old) * width : width] = of_old
        self._spare += range(old, width)
        self.width = width

    def renew(self, call_class: CallClass) -> None:
        """The flags of ``call_class`` are others than before, or more."""
        column = self._column_of.get(call_class)
        if column is not None:
            missing = len(call_class.flags) * self.width - len(self.rows)
            if missing > 0:
                self.rows += bytes(missing)
            self.rows[column :: self.width] = call_class.flags

    def forget(self, call_class: CallClass) -> None:
        """``call_class``, which has no head, will have none here."""
        column = self._column_of.pop(call_class, None)
        if column is not None:
            self._spare.append(column)


class Lanes:
    """The lanes that queues share, while there is somebody who serves many queues and no lengths count.

    ``layout`` changes whenever a queue comes, goes, or changes its lane.
    """

    def __init__(self) -> None:
        self.layout = 0
        self._wide: set[str] = set()  # the agents of many queues
        self._common: dict[float, Lane] = {}

    def serves(self, agent: str, queues: int, all_queues: Iterable[Queue]) -> None:
        """``agent`` serves so many ``queues`` from now on."""
        was_shared = bool(self._wide)
        if queues > OWN_LANES_MAX:
            self._wide.add(agent)
        else:
            self._wide.discard(agent)
        if was_shared is not bool(self._wide):
            for queue in all_queues:
                self.assign(queue, queue.lane.rate, queue.lane.biased is not None)

    def assign(self, queue: Queue, rate: float, biased: bool) -> None:
        """Scores of ``queue`` grow at ``rate`` from now on; ``biased``: and its length counts."""
        queue.lane.rate, queue.lane.biased = rate, queue if biased else None
        old, new = queue.common, None
        if self._wide and not biased:
            new = self._common.get(rate)
            if new is None:
                new = self._common[rate] = Lane(rate)
        if new is old:
            return
        self.withdraw(queue)
        queue.common = new
        if new is not None:
            new.users += 1
            for call_class in queue.lane.heads:
                new.enter(call_class)

    def withdraw(self, queue: Queue) -> None:
        """``queue`` shares no lane any more."""
        self.layout += 1
        old, queue.common = queue.common, None
        if old is not None:
            for call_class in queue.lane.heads:
                old.leave(call_class.line.first)
            for call_class in queue.classes.values():
                old.forget(call_class)
            old.users -= 1
            if not old.users:
                del self._common[old.rate]
