"""What the journal costs the event loop: ``python tests/engine/bench_journal.py [agents] [calls a second]``.

Plays calls (arrives, rings, is answered, ends, and wrap-up over) at a steady rate in an event loop, with and without a
journal. Reported: ``note`` itself, how late the loop was meanwhile, how long a checkpoint holds it, bytes an event.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))

from floorkit import define

from acd.domain import events as ev
from acd.domain.commands import OfferCall
from acd.domain.events import AgentAction, Event
from acd.domain.instant import Instant
from acd.engine.checkpoint import freeze
from acd.engine.journal import Journal, JournalOptions
from acd.engine.journal_reader import Recording
from acd.engine.replay import replay
from acd.floor import Floor

SECONDS = 6.0


class Play:
    """A floor that takes calls; ``journal`` is told of every event."""

    def __init__(self, agents: int) -> None:
        lines = [f"agent a{i} {i} q{i % 20} s{i % 7}=50" for i in range(agents)]
        queues = [f"queue q{i} needs=s{i % 7}:10 wrap=0" for i in range(20)]
        self.floor = Floor(
            define("\n".join([*queues, *lines, *(f"did {i} q{i}" for i in range(20))])), epoch=1, started_at=1.0
        )
        self.journal: Journal | None = None
        self.n = 0
        self.noting_s = 0.0
        self.events = 0
        self.handle(ev.NodeResynced(time.time(), "east", (), {}))
        for i in range(agents):
            self.handle(ev.AgentRequested(time.time(), f"a{i}", AgentAction.LOGIN))

    def handle(self, event: Event) -> list[str]:
        now = Instant(time.monotonic(), time.time())
        step = self.floor.handle(event, now)
        self.events += 1
        if self.journal is not None:
            begin = time.perf_counter()
            self.journal.note(event, now, step)
            self.noting_s += time.perf_counter() - begin
        return [command.offer for command in step.commands if isinstance(command, OfferCall)]

    def call(self) -> None:
        self.n += 1
        channel, at = f"c{self.n}", time.time()
        offers = self.handle(
            ev.CallArrived(at, "east", channel, f"PJSIP/{channel}", channel, str(self.n % 20), "0123456")
        )
        for offer in offers:
            self.handle(ev.AgentRang(at, offer))
            self.handle(ev.AgentAnswered(at, offer, "leg"))
            self.handle(ev.TalkEnded(at, offer, "caller"))
        self.handle(ev.CallEnded(at, "east", channel, 16))


def size_of(directory: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.stat().st_size for path in directory.iterdir())


async def play(agents: int, rate: float, directory: Path | None) -> None:
    """``SECONDS`` of calls; prints what it cost."""
    game = Play(agents)
    if directory is not None:
        # Calls before it belong to no life of this journal: the bench replays a life of its own below
        game.journal = Journal(game.floor, JournalOptions(directory, max_mb=1e9), alarm=print)
        game.journal.open()
    game.events = 0
    lags: list[float] = []
    begin = due = time.perf_counter()
    while due < begin + SECONDS:
        game.call()
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        lags.append(time.perf_counter() - due)
    lags.sort()
    name = "without" if directory is None else "with   "
    line = f"{name} journal: {game.events / SECONDS:7.0f} events/s, late p50 {lags[len(lags) // 2] * 1e3:.2f} ms, "
    line += f"p99 {lags[int(len(lags) * 0.99)] * 1e3:.2f} ms, max {lags[-1] * 1e3:.1f} ms"
    if game.journal is not None and directory is not None:
        begin = time.perf_counter()
        await asyncio.to_thread(game.journal.close)
        size = size_of(directory)
        line += f"; note {game.noting_s / game.events * 1e6:.2f} us, {size / game.events:.0f} bytes an event, "
        line += f"closed in {time.perf_counter() - begin:.2f} s"
    print(line)
    begin = time.perf_counter()
    state = freeze(game.floor)
    print(f"  a checkpoint of {agents} agents: {(time.perf_counter() - begin) * 1e3:.1f} ms, {len(state) / 1e6:.2f} MB")


def replayed(agents: int) -> None:
    """How fast a life is written and replayed."""
    with tempfile.TemporaryDirectory() as folder:
        game = Play(agents)
        game.floor = Floor(game.floor.definition, epoch=1, started_at=1.0)
        game.journal = Journal(game.floor, JournalOptions(Path(folder)), alarm=print)
        game.journal.open()
        game.handle(ev.NodeResynced(time.time(), "east", (), {}))
        for i in range(min(agents, 1_000)):
            game.handle(ev.AgentRequested(time.time(), f"a{i}", AgentAction.LOGIN))
        for _ in range(2_000):
            game.call()
        begin = time.perf_counter()
        game.journal.close(60.0)
        wrote_s = time.perf_counter() - begin
        begin = time.perf_counter()
        outcome = replay(Recording(Path(folder)))
        took_s = time.perf_counter() - begin
        assert outcome.difference is None
        print(f"replayed {outcome.events} events at {outcome.events / took_s:.0f}/s (written out in {wrote_s:.2f} s)")


def main() -> None:
    agents = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 100.0
    asyncio.run(play(agents, rate, None))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(agents, rate, Path(folder)))
    replayed(agents)


if __name__ == "__main__":
    main()
