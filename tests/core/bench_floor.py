"""Events a second through Floor.handle, with explanations, in one process. Not a test; run it by hand::

    PYTHONPATH=tests/core python tests/core/bench_floor.py [--profile] [agents waiting skills]

A steady state: every call is offered, rings, is answered and ends, and as many new ones arrive, so that ``waiting``
callers wait all the time. ``skills``: ``equal`` (a dozen classes of agents) or ``own`` (hardly two agents are alike).
"""

from __future__ import annotations

import cProfile
import pstats
import random
import sys
import time
from collections import deque
from types import MappingProxyType

from floorkit import MONO_0, UTC_0

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.definition import AgentDefinition, EntryPoint, FloorDefinition, QueueDefinition, SkillRequirement
from acd.domain.events import AgentAction
from acd.domain.instant import Instant
from acd.floor import Floor

QUEUES = 50
SKILLS = tuple(f"skill{n}" for n in range(12))


def definition(agents: int, skills: str) -> FloorDefinition:
    """``agents`` in 3 of 50 queues each, every queue with one required skill."""
    r = random.Random(1)
    queues = {
        f"q{n}": QueueDefinition(
            f"q{n}", requirements=(SkillRequirement(SKILLS[n % 12], 20),), wrap_up_s=0.0, max_wait_s=3600.0
        )
        for n in range(QUEUES)
    }
    people = {}
    for n in range(agents):
        if skills == "own":
            mine = {skill: r.randint(0, 100) for skill in r.sample(SKILLS, 6)}
            serves = tuple(f"q{q}" for q in sorted(r.sample(range(QUEUES), 3)))
        else:
            mine = dict.fromkeys(SKILLS, 50)
            serves = tuple(f"q{(n % 12 * 4 + q) % QUEUES}" for q in range(5))
        people[f"a{n}"] = AgentDefinition(f"a{n}", str(10_000 + n), (f"PJSIP/{n}",), serves, MappingProxyType(mine))
    entries = {f"{n}": EntryPoint(f"{n}", f"q{n}") for n in range(QUEUES)}
    return FloorDefinition(queues, people, entries, SKILLS, revision="bench")


class Bench:
    """Plays callers and phones that do at once what they are asked."""

    def __init__(self, agents: int, waiting: int, skills: str) -> None:
        self.floor = Floor(definition(agents, skills), epoch=1, started_at=UTC_0)
        self.seconds = 0.0
        self.events = 0
        self.channels = 0
        self.live: deque[tuple[str, str]] = deque()
        self.r = random.Random(2)
        matcher, queues = self.floor.matcher, self.floor.definition.queues.values()
        served = [q.name for q in queues if matcher.eligible_agent_classes(self.floor.call_class_of(q))]
        self.dids = [name.removeprefix("q") for name in served]
        self.handle(ev.NodeResynced(UTC_0, "pbx", (), {}))
        for n in range(agents):
            self.handle(ev.AgentRequested(self.now.utc, f"a{n}", AgentAction.LOGIN))
        # Everybody talks, and then as many as wanted wait
        while self.floor.matcher.waiting_count < max(waiting, 1) and self.channels < 3 * agents + 2 * waiting + 100:
            self.arrive()

    @property
    def now(self) -> Instant:
        return Instant(MONO_0 + self.seconds, UTC_0 + self.seconds)

    def handle(self, event: ev.Event) -> None:
        self.events += 1
        step = self.floor.handle(event, self.now)
        self.seconds += 0.001
        for command in step.commands:
            if isinstance(command, do.OfferCall):
                self.live.append((command.offer, command.channel))
                self.handle(ev.AgentRang(self.now.utc, command.offer))
                self.handle(ev.AgentAnswered(self.now.utc, command.offer))

    def arrive(self) -> None:
        self.channels += 1
        channel = f"c{self.channels}"
        did = self.r.choice(self.dids)
        self.handle(ev.CallArrived(self.now.utc, "pbx", channel, f"PJSIP/{channel}", channel, did))

    def cycle(self) -> None:
        """The longest conversation ends, and somebody new calls."""
        if self.live:
            offer, channel = self.live.popleft()
            self.handle(ev.TalkEnded(self.now.utc, offer, "agent"))
            self.handle(ev.CallEnded(self.now.utc, "pbx", channel, 16))
        self.arrive()


def measure(agents: int, waiting: int, skills: str, *, for_s: float = 2.0) -> str:
    """One line of figures."""
    bench = Bench(agents, waiting, skills)
    classes = len(bench.floor.matcher.agent_classes)
    before, spent, worst = bench.events, 0.0, 0.0
    while spent < for_s:
        start = time.process_time()
        bench.cycle()
        took = time.process_time() - start
        worst = max(worst, took)
        spent += took
    rate = (bench.events - before) / spent
    now_waiting = bench.floor.matcher.waiting_count
    return (
        f"{agents:>7} {skills:>6} {classes:>8} {now_waiting:>8} {rate:>10,.0f} {1e6 / rate:>8.1f} {worst * 1e3:>9.2f}"
    )


def main() -> None:
    """Measure what the command line asks for, or everything."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    cases = [(a, w, s) for s in ("equal", "own") for a in (100, 1_000, 10_000) for w in (0, 10_000)]
    if words:
        cases = [(int(words[0]), int(words[1]), words[2])]
    print(f"{'agents':>7} {'skills':>6} {'classes':>8} {'waiting':>8} {'events/s':>10} {'us/event':>8} {'worst ms':>9}")
    profile = cProfile.Profile() if "--profile" in sys.argv else None
    for case in cases:
        if profile is not None:
            profile.enable()
        print(measure(*case), flush=True)
        if profile is not None:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
