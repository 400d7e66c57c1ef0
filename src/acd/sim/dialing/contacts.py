"""Whom the dialler reaches: the n-th contact dialled in a day is the same for every dialler (common random numbers)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from acd.sim.chance import Streams
from acd.sim.dialing.scene import Scene

PERSON, MACHINE, NOBODY = 0, 1, 2


class Contact(NamedTuple):
    """Who is at the other end, after how long, and how long the talk and wrap-up would be."""

    kind: int
    ring_s: float
    talk_s: float = 0.0
    wrap_s: float = 0.0


class Source(Protocol):
    """Where a day's contacts come from."""

    def next(self, at_s: float) -> Contact:
        """The contact dialled at this time of day."""
        ...


class Given:
    """Contacts that are known one by one, such as those of a campaign on real calls; ``more`` gives those after the last."""

    def __init__(self, contacts: Sequence[Contact], more: Callable[[], Contact]) -> None:
        self._left, self._more = iter(contacts), more

    def next(self, at_s: float) -> Contact:
        """The next, at whatever time."""
        found = next(self._left, None)
        return self._more() if found is None else found


class Contacts:
    """An endless list of them for one day."""

    def __init__(self, scene: Scene, streams: Streams, day: int) -> None:
        self._scene = scene
        self._who = streams.stream(f"{day}/who").random
        self._rings = streams.stream(f"{day}/rings")
        self._machines = streams.stream(f"{day}/machines").random
        self._talk = scene.talk.drawn_from(streams.stream(f"{day}/talk"))
        self._wrap = scene.wrap.drawn_from(streams.stream(f"{day}/wrap"))

    def next(self, at_s: float) -> Contact:
        """The contact dialled at this time of day."""
        scene, rings = self._scene, self._scene.rings
        person = self._who() < scene.rate_at(at_s)
        if rings.memoryless:
            ring_s = -math.log(1.0 - self._rings.random()) * rings.mean_s
            return Contact(PERSON, ring_s, self._talk(), self._wrap()) if person else Contact(NOBODY, ring_s)
        if person:
            scale = (rings.mean_s - rings.least_s) / rings.shape
            ring_s = math.inf
            while ring_s > rings.most_s:
                ring_s = rings.least_s + self._rings.gammavariate(rings.shape, scale)
            return Contact(PERSON, ring_s, self._talk(), self._wrap())
        chance = self._machines()
        if chance < rings.machines:
            width = rings.machine_to_s - rings.machine_from_s
            return Contact(MACHINE, rings.machine_from_s + width * chance / rings.machines)
        return Contact(NOBODY, rings.most_s)
