"""Lives to be journalled: what a floor was told and gave, taken from random walks of the property tests' world."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import world as world_module
from test_nonsense import Nonsense
from test_walk import moves
from world import FLOOR, World

from acd.domain.events import Event
from acd.domain.instant import Instant
from acd.engine.checkpoint import freeze
from acd.engine.journal_writer import JournalOptions, JournalWriter
from acd.floor import Floor, Step

EVERYTHING = """
skills: [billing, english, german]
queues:
  service:
    stages:
      - need: billing >= 60 and skill(call.language) >= 80 and (english >= 50 or call.tier != gold)
      - {after_s: 20s, need: "not (german < 10) or german in (90, 100) or call.n in (1, 'x')"}
      - {after_s: 1m, need: anyone}
    preferred: {last_agent: 10s, owner: 20s, call.manager: 30s}
    agent_selection: weighted
    weights: {idle: 1, proficiency: 5, skills: 20, occupied: 0.01}
    ring_agents: 2
    max_wait: 5m
    overflow: queue:support
    on_full: callback
    max_length: 50
    on_nobody: voicemail:100
    hours: office
    on_closed: message:custom/closed
    escalation: support
  support: {ratio: 0.4}
agents:
  ann: {number: 101, phones: [PJSIP/101], queues: {service: 2, support: 0}, skills: {billing: 70, german: 100, english: 50}}
  bob:
    number: 102
    pin_hash: scrypt$16384$8$1$nG_E9oP3LuF1pkHZv5nQyg$Ejta-RFexIAVw2mzj9jhmotlrXQgQWdTh3MA9zATKQU
    phones: [PJSIP/102]
    queues: [support]
    skills: {english: 80, billing: {level: 60, valid_from: 2026-03-01, valid_until: 2027-02-28}}
entry_points:
  "100": {queue: service, attributes: {language: german, tier: gold, n: 1}}
callers:
  "+49 30 1": {priority: 5, owner: ann, attributes: {tier: gold}}
hours:
  office:
    time_zone: Europe/Berlin
    week: {mon-fri: [08:00-12:00, 13:00-18:00], sat: 10:00-14:00}
    exceptions: {2026-12-24: 08:00-12:00, 2026-12-25: closed}
callback: callbacks,s,1
voicemail: voicemail,s,1
fallback: hangup
"""
"""A floor that uses all there is in floor.yaml."""

Turn = tuple[Event, Instant, Step, str | None]


@dataclass
class Life:
    """One floor's life. ``states``: its state after the event of that number, where asked for."""

    floor: Floor
    turns: list[Turn] = field(default_factory=list)
    states: dict[int, bytes] = field(default_factory=dict)


class Taped(Floor):
    """A floor that writes its life into ``Taped.lives``; ``every``: also its state after so many events, 0 never."""

    lives: list[Life]
    every = 0

    def __init__(self, *args: object, **named: object) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]
        self.lives.append(Life(self))

    def handle(self, event: Event, now: Instant) -> Step:
        step = super().handle(event, now)
        life = self.lives[self._life]
        life.turns.append((event, now, step, None))
        if self.every and len(life.turns) % self.every == 0:
            life.states[len(life.turns)] = freeze(self)
        return step

    @property
    def _life(self) -> int:
        return next(i for i, life in enumerate(self.lives) if life.floor is self)


@contextmanager
def taping(every: int = 0) -> Iterator[list[Life]]:
    """Whatever floors the world makes meanwhile."""
    lives: list[Life] = []
    before, world_module.Floor = world_module.Floor, type("Now", (Taped,), {"lives": lives, "every": every})  # type: ignore
    try:
        yield lives
    finally:
        world_module.Floor = before


def walked(seed: int, steps: int, every: int = 0) -> list[Life]:
    """The lives of one random walk, the controller being killed on the way or not."""
    r = random.Random(seed)
    with taping(every) as lives:
        world = World()
        # Its own replays would be lives as well
        world.replay = lambda: world.tape.clear()  # type: ignore[method-assign]
        world.choose = r.randrange
        faults = r.choice([0.0, 0.3, 1.0])
        world.begin(r.choice(["both", "both", "east", "none"]), r.random() < 0.8)
        for _ in range(steps):
            weights, acts = zip(*moves(world, r, faults), strict=True)
            r.choices(acts, weights)[0]()
    return lives


def nonsensical(seed: int, events: int) -> Life:
    """A life of events in no sensible order, at impossible times."""
    nonsense = Nonsense(seed)
    life = Life(Floor(FLOOR, epoch=1, started_at=1_700_000_000.0))
    for _ in range(events):
        nonsense.clock.s += nonsense.r.choice([0.0, 0.0, 0.5, 3.0, 30.0])
        event, now = nonsense.event(), nonsense.clock.now
        life.turns.append((event, now, life.floor.handle(event, now), None))
    return life


def written(
    life: Life, directory: Path, *, outputs: bool = True, max_mb: float = 100.0, keep: int = 1_000, end: bool = True
) -> Path:
    """The journal of a life, written without haste; the path of its first part. Full parts are rotated as soon as the
    life has a state to begin the next one with."""
    floor = life.floor
    options = JournalOptions(directory, max_mb=max_mb, keep=keep, outputs=outputs)
    writer = JournalWriter(
        options, epoch=floor.epoch, started_at=floor.started_at, began_at=1_700_000_000.5 + floor.epoch
    )
    writer.open(floor.definition)
    first = writer.part.path
    for n, turn in enumerate(life.turns, 1):
        writer.add(*turn)
        writer.flush()
        if writer.is_full and n in life.states:
            writer.rotate(floor.definition, life.states[n])
    if end:
        writer.end("closed", "")
    writer.flush()
    writer.close()
    return first
