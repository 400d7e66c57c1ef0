"""A hall of agents and a dialler in virtual time: lines ring, people answer, talk, are wrapped up, or are abandoned.

A world of its own and not `acd.sim.world`, as here the pacer is judged, not the floor: an event costs microseconds, so whole
days of hundreds of agents can be had. The dialler is told what a real one would be told, when it would be told.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

from acd.dialer.supply import MAX_LINES, Busy, Line, Supply
from acd.sim.chance import Streams
from acd.sim.dialing.contacts import MACHINE, PERSON, Contact, Contacts, Source
from acd.sim.dialing.scene import DAY_S, Scene

_MACHINE_TALK_S, _MACHINE_WRAP_S = 8.0, 3.0
_LINE, _TALK, _WRAP, _GIVEN_UP, _LOOK, _STAFF = range(6)


@dataclass(slots=True)
class Day:
    """What came of one day. ``busy_s``: talking with people and wrapping up, within the working hours; ``staffed_s``: of
    agents logged in. ``misjudged``: people hung up on as machines, who count as answered and as abandoned."""

    staffed_s: float = 0.0
    busy_s: float = 0.0
    dialled: int = 0
    answered: int = 0
    abandoned: int = 0
    misjudged: int = 0
    decisions: int = 0

    @property
    def utilisation(self) -> float:
        """Of agents."""
        return self.busy_s / self.staffed_s if self.staffed_s else 0.0

    @property
    def abandonment(self) -> float:
        """Of people who answered."""
        return self.abandoned / self.answered if self.answered else 0.0


class Dialler(Protocol):
    """What places lines. ``on_events``: is asked whenever something happens, not only when it asked to be."""

    on_events: bool

    def begin(self, hall: Hall, now_s: float) -> None:
        """A day begins."""

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        """How many lines to place, and when to ask again."""
        ...

    def dialled(self, lines: int) -> None: ...

    def line_ended(self, now_s: float, ring_s: float, *, person: bool) -> None: ...

    def abandoned(self, now_s: float) -> None: ...

    def served(self, now_s: float) -> None:
        """A person who answered is with an agent."""

    def stage_ended(self, stage: str, agent: str, length_s: float, now_s: float) -> None: ...

    def machine_after_all(self, now_s: float) -> None:
        """Whoever answered last counts as nobody: it was a machine, or is gone before an agent had to be there."""
        ...


class Hall:
    """One replication of a scene with one dialler, day after day. ``source``: whence a day's contacts come, if not from the
    scene's chances."""

    def __init__(
        self,
        scene: Scene,
        seed: int,
        replication: int,
        dialler: Dialler,
        source: Callable[[int], Source] | None = None,
    ) -> None:
        self.scene, self.dialler = scene, dialler
        streams = Streams(seed, replication)
        self._source = source or (lambda day: Contacts(scene, streams, day))
        self._contacts = self._source(0)
        self._judged = streams.stream("judged").random
        self._lag = streams.stream("lag").random
        paces = streams.stream("paces")
        self._names = [f"a{number}" for number in range(math.ceil(scene.agents * 2) + 1)]
        spread = scene.pace_spread
        self._paces = [math.exp(paces.gauss(-spread * spread / 2, spread)) if spread else 1.0 for _ in self._names]
        self._slow = scene.lag_s[1] > 0 or scene.lost > 0
        # What is told late has happened before
        self._dial_late = self._told_late = self._over_late = self._late
        self._connecting: Callable[[], float] = lambda: 0.0
        if scene.delays is not None:
            self._dial_late = scene.delays.dial.drawn_from(streams.stream("delays/dial"))
            self._told_late = scene.delays.told.drawn_from(streams.stream("delays/told"))
            self._over_late = scene.delays.over.drawn_from(streams.stream("delays/over"))
            self._connecting = scene.delays.connect.drawn_from(streams.stream("delays/connect"))
        self.day = Day()
        self._heap: list[tuple[float, int, int, int, float]] = []
        self._serial = 0
        self.idle: deque[int] = deque()
        self.waiting: dict[int, tuple[Contact, float]] = {}
        self.talking: dict[int, Busy] = {}
        self.wrapping: dict[int, Busy] = {}
        self.ringing: dict[int, Line] = {}
        self._lines: dict[int, Contact] = {}
        self._with: dict[int, tuple[Contact, float]] = {}
        self._leaving: set[int] = set()
        self._in_since: dict[int, float] = {}
        self._next_name = 0
        self._start_s = self._end_s = 0.0
        self._asked_s = -math.inf
        self._look_s = math.inf

    # -- a day -------------------------------------------------------------------------------------------------------

    def run(self, number: int) -> Day:
        """Day ``number``, from an empty hall to the last wrap-up."""
        scene = self.scene
        self.day = Day()
        self._start_s = number * max(DAY_S, scene.day_s)
        self._end_s = self._start_s + scene.day_s
        self._contacts = self._source(number)
        self._in_since.clear()
        self._next_name = 0
        self._staff(self._start_s, 1.0)
        for from_s, times in scene.agent_changes:
            self._push(self._start_s + from_s, _STAFF, 0, times)
        self.dialler.begin(self, self._start_s)
        self._asked_s, self._look_s = -math.inf, math.inf
        self._ask(self._start_s)
        handlers = (self._line_ends, self._talk_ends, self._wrap_ends, self._gives_up, self._looks, self._staffs)
        heap = self._heap
        while heap:
            now_s, _, kind, which, value = heappop(heap)
            handlers[kind](now_s, which, value)
        for since_s in self._in_since.values():
            self.day.staffed_s += self._end_s - since_s
        self.idle.clear()
        self._leaving.clear()
        return self.day

    def supply(self) -> Supply:
        """What a pacer sees."""
        return Supply(
            len(self.idle),
            len(self.waiting),
            tuple(self.talking.values()),
            tuple(self.wrapping.values()),
            tuple(self.ringing.values()),
            MAX_LINES,
        )

    @property
    def agents(self) -> int:
        """Agents logged in, and not on their way out."""
        return len(self.idle) + len(self.talking) + len(self.wrapping)

    def _push(self, at_s: float, kind: int, which: int, value: float = 0.0) -> None:
        self._serial += 1
        heappush(self._heap, (at_s, self._serial, kind, which, value))

    def _late(self) -> float:
        """How long a message takes."""
        if not self._slow:
            return 0.0
        least, widest = self.scene.lag_s
        late = least + (widest - least) * self._lag()
        return late + self.scene.found_s if self._lag() < self.scene.lost else late

    # -- the dialler ---------------------------------------------------------------------------------------------------

    def _happened(self, now_s: float) -> None:
        if not self.dialler.on_events:
            return
        due_s = self._asked_s + self.scene.gap_s
        if now_s >= due_s:
            self._ask(now_s)
        elif due_s < self._look_s:
            self._look_s = due_s
            self._push(due_s, _LOOK, 0)

    def _looks(self, now_s: float, _which: int, _value: float) -> None:
        if now_s == self._look_s:
            self._ask(now_s)

    def _ask(self, now_s: float) -> None:
        if now_s >= self._end_s:
            return
        if self.scene.delays is not None:
            for from_s, to_s in self.scene.delays.halts:
                if from_s <= now_s - self._start_s < to_s:
                    self._look_s = self._start_s + to_s
                    self._push(self._look_s, _LOOK, 0)
                    return
        self._asked_s = now_s
        lines, look_s = self.dialler.look(self, now_s)
        self.day.decisions += 1
        if lines > 0:
            self.dialler.dialled(lines)
        for _ in range(lines):
            self._dial(now_s)
        self._look_s = look_s
        if look_s < self._end_s:
            self._push(look_s, _LOOK, 0)

    def _dial(self, now_s: float) -> None:
        contact = self._contacts.next(now_s - self._start_s)
        self._serial += 1
        number = self._serial
        self.day.dialled += 1
        self._lines[number] = contact
        self.ringing[number] = Line(now_s)
        ends_s = now_s + contact.ring_s + self._dial_late()
        self._push(ends_s + self._told_late(), _LINE, number, ends_s)

    # -- lines ---------------------------------------------------------------------------------------------------------

    def _line_ends(self, now_s: float, number: int, ended_s: float) -> None:
        line, contact = self.ringing.pop(number), self._lines.pop(number)
        person = contact.kind == PERSON
        scene = self.scene
        if person:
            self.day.answered += 1
            if scene.taken_for_machine and self._judged() < scene.taken_for_machine:
                self.day.misjudged += 1
                self.day.abandoned += 1
                person = False
        elif contact.kind == MACHINE and scene.taken_for_person and self._judged() < scene.taken_for_person:
            person = True
            contact = Contact(MACHINE, contact.ring_s, _MACHINE_TALK_S, _MACHINE_WRAP_S)
        self.dialler.line_ended(now_s, now_s - line.dialled_s, person=person)
        if person:
            if self.idle:
                self._connect(now_s, self.idle.popleft(), contact, ended_s)
            else:
                self.waiting[number] = (contact, ended_s)
                stays_s = min(scene.grace_s, contact.talk_s) if scene.from_answer else scene.grace_s
                self._push(max(now_s, ended_s + stays_s), _GIVEN_UP, number)
        self._happened(now_s)

    def _gives_up(self, now_s: float, number: int, _value: float) -> None:
        found = self.waiting.pop(number, None)
        if found is None:
            return
        contact, _ = found
        if self.scene.from_answer and contact.talk_s < self.scene.grace_s:
            self.day.answered -= 1
            self.dialler.machine_after_all(now_s)
            self._happened(now_s)
            return
        # A machine that nobody has listened to passes for a person
        self.day.answered += contact.kind != PERSON
        self.day.abandoned += 1
        self.dialler.abandoned(now_s)
        self._happened(now_s)

    # -- agents --------------------------------------------------------------------------------------------------------

    def _connect(self, now_s: float, agent: int, contact: Contact, answered_s: float) -> None:
        begins_s = now_s + self._connecting()
        if self.scene.delays is not None and begins_s - answered_s > self.scene.grace_s:
            # Served all the same, and charged
            self.day.abandoned += 1
            self.dialler.abandoned(now_s)
        else:
            self.dialler.served(now_s)
        self.talking[agent] = Busy(self._names[agent], now_s)
        self._with[agent] = (contact, begins_s)
        if self.scene.from_answer:
            ends_s = max(begins_s, answered_s + contact.talk_s)
        else:
            ends_s = begins_s + contact.talk_s * self._paces[agent]
        self._push(ends_s + self._over_late(), _TALK, agent, ends_s)

    def _talk_ends(self, now_s: float, agent: int, ended_s: float) -> None:
        self.talking.pop(agent, None)
        contact, since_s = self._with[agent]
        if contact.kind == PERSON:
            self._count(since_s, ended_s)
        else:
            self.dialler.machine_after_all(now_s)
        self.dialler.stage_ended("talk", self._names[agent], now_s - since_s, now_s)
        if agent not in self._leaving:
            self.wrapping[agent] = Busy(self._names[agent], now_s)
        self._with[agent] = (contact, now_s)
        self._push(now_s + contact.wrap_s * self._paces[agent], _WRAP, agent)
        if contact.wrap_s > 0:
            self._happened(now_s)

    def _wrap_ends(self, now_s: float, agent: int, _value: float) -> None:
        self.wrapping.pop(agent, None)
        contact, since_s = self._with.pop(agent)
        if contact.kind == PERSON:
            self._count(since_s, now_s)
        self.dialler.stage_ended("wrap", self._names[agent], now_s - since_s, now_s)
        if agent in self._leaving:
            self._leaving.discard(agent)
            self._out(now_s, agent)
        else:
            self._free(now_s, agent)
        self._happened(now_s)

    def _free(self, now_s: float, agent: int) -> None:
        if self.waiting:
            first = next(iter(self.waiting))
            self._connect(now_s, agent, *self.waiting.pop(first))
        else:
            self.idle.append(agent)

    def _count(self, from_s: float, to_s: float) -> None:
        self.day.busy_s += max(0.0, min(to_s, self._end_s) - max(from_s, self._start_s))

    # -- staff ---------------------------------------------------------------------------------------------------------

    def _staffs(self, now_s: float, _which: int, times: float) -> None:
        self._staff(now_s, times)
        self._happened(now_s)

    def _staff(self, now_s: float, times: float) -> None:
        """Let agents in or out until there are ``times`` as many as the scene says."""
        wanted = round(self.scene.agents * times)
        while self.agents < wanted:
            agent = self._next_name
            self._next_name += 1
            self._in_since[agent] = now_s
            self._free(now_s, agent)
        while self.agents > wanted:
            if self.idle:
                self._out(now_s, self.idle.pop())
                continue
            stage = self.wrapping or self.talking
            agent = next(reversed(stage))
            del stage[agent]
            self._leaving.add(agent)

    def _out(self, now_s: float, agent: int) -> None:
        self.day.staffed_s += max(0.0, min(now_s, self._end_s) - self._in_since.pop(agent))
