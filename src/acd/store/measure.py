"""What records cost, measured on an empty database: ``python -m acd.store.measure URL STATE_DIR --rate 25``.

Prints one JSON object. With ``--rate`` calls arrive in real time for ``--seconds``, as on a floor that has long been
open: as many begin, are offered, answered and end in each second. Without, calls are written as fast as they are
taken. Meant to be a process of its own, so that its processor time is the store's and the store's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import heapq
import itertools
import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import uvloop

from acd.domain.records import Record
from acd.store.generated import STEPS_AT_S, Traffic
from acd.store.options import StoreOptions
from acd.store.schema import upgrade
from acd.store.store import Store

_TICK_S = 0.02
"""How often it is looked whether something is due. What that costs is measured by itself, and had better be little."""
_FLUSHES = 10
"""A database on a busy machine is waited for so many times before it counts as one that takes nothing."""
_BESIDE = 200
"""Calls under way at the same time when they come as fast as they are taken."""
_UNSETTLED_MAX = 5_000
_BEHIND_MAX = 20_000
"""Records that are not durable, or not in the database, before more are written at full speed."""

Step = tuple[float, list[Record]]


def _of_server_s(pid: int | None) -> float:
    """Processor seconds of a server and its children, those that ended included."""
    if pid is None:
        return 0.0
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = file.read_text()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2 :].split()
        if file.parent.name == str(pid):
            ticks += sum(map(int, fields[11:15]))
        elif fields[1] == str(pid):
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """How long each write takes to become durable."""

    def __init__(self, store: Store) -> None:
        self._store, self._waiting = store, deque[tuple[int, float]]()
        self.took_s: list[float] = []
        self.settled = 0
        store.on_durable(self._durable)

    def write(self, step: Sequence[Record]) -> None:
        self._waiting.append((self._store.write(step), time.perf_counter()))

    def _durable(self, upto: int) -> None:
        now = time.perf_counter()
        while self._waiting and self._waiting[0][0] <= upto:
            self.took_s.append(now - self._waiting.popleft()[1])

    async def all_durable(self) -> None:
        while self._waiting:  # noqa: ASYNC110 (looked at for seconds only, and an event would be part of what is measured)
            await asyncio.sleep(0.002)

    def figures(self) -> dict[str, float]:
        """Percentiles in milliseconds."""
        took = sorted(self.took_s)
        at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        return {
            f"durable_{name}_ms": round(took[math.ceil(share * len(took)) - 1] * 1000, 2) for name, share in at.items()
        }


def timetable(rate: float, seconds: float) -> tuple[list[Step], list[Step]]:
    """(seconds after the start, step) of what is under way at the start, and of what follows."""
    traffic = Traffic(agents=max(int(rate * STEPS_AT_S[-1]), 1))
    first = -math.ceil(STEPS_AT_S[-1] * rate)
    due = [(n / rate + STEPS_AT_S[0], n, 0) for n in range(first, math.ceil(seconds * rate))]
    heapq.heapify(due)
    calls: dict[int, Iterator[list[Record]]] = {}
    before, after = list[Step](), list[Step]()
    while due:
        at, n, step = heapq.heappop(due)
        if at >= seconds:
            break
        records = next(calls.setdefault(n, traffic.call()))
        (before if at < 0 else after).append((at, records))
        if step + 1 < len(STEPS_AT_S):
            heapq.heappush(due, (n / rate + STEPS_AT_S[step + 1], n, step + 1))
    return before, after


async def _play(steps: Sequence[Step], write: Callable[[list[Record]], Any]) -> None:
    """Write each step when its time has come."""
    begin = time.perf_counter()
    n = 0
    while n < len(steps):
        now = time.perf_counter() - begin
        while n < len(steps) and steps[n][0] <= now:
            write(steps[n][1])
            n += 1
        await asyncio.sleep(_TICK_S)


async def _fresh(store: Store, watch: Stopwatch) -> None:
    await watch.all_durable()
    for _ in range(_FLUSHES):
        if await store.flush():
            break
    else:
        raise SystemExit(f"the database did not take the records: {store.state()['detail']}")


async def at_rate(store: Store, rate: float, seconds: float, server: int | None = None) -> dict[str, Any]:
    """Calls in real time: processor milliseconds a call (without those of the timetable itself), those of a ``server``
    with this process id, and how long each step took to be durable."""
    before, after = timetable(rate, seconds)
    watch = Stopwatch(store)
    for n, (_, step) in enumerate(before):
        watch.write(step)
        if n % 100 == 0:
            await _room(store)
    await _fresh(store, watch)
    # What was made before is not part of what is measured, nor is looking through it for garbage.
    gc.collect()
    gc.freeze()
    idle_from = time.process_time()
    await _play(after, lambda _: None)
    idle_s = time.process_time() - idle_from
    watch.took_s.clear()
    counts, busy_from, server_from_s = store.state(), time.process_time(), _of_server_s(server)
    await _play(after, watch.write)
    await watch.all_durable()
    busy_s = time.process_time() - busy_from - idle_s
    server_s = _of_server_s(server) - server_from_s
    done = store.state()
    await _fresh(store, watch)
    return {
        "rate": rate,
        "seconds": seconds,
        "cpu_ms_a_call": round(busy_s * 1000 / (rate * seconds), 3),
        "server_ms_a_call": round(server_s * 1000 / (rate * seconds), 3),
        **{name: done[name] - counts[name] for name in ("batches", "transactions")},
        **watch.figures(),
    }


async def _room(store: Store) -> None:
    while True:
        state = store.state()
        if state["held"] <= _UNSETTLED_MAX and state["behind"] <= _BEHIND_MAX:
            return
        await asyncio.sleep(0.001)


async def at_full_speed(store: Store, calls: int) -> dict[str, Any]:
    """Calls a second, made before and written as fast as they are taken: until all were durable, and in the database."""
    traffic = Traffic()
    to_come = (traffic.call() for _ in range(calls))
    under_way, steps = deque(itertools.islice(to_come, _BESIDE)), list[list[Record]]()
    while under_way:
        call = under_way.popleft()
        step = next(call, None)
        if step is not None:
            steps.append(step)
            under_way.append(call)
        else:
            under_way.extend(itertools.islice(to_come, 1))
    gc.collect()
    gc.freeze()
    watch = Stopwatch(store)
    begin, cpu_from = time.perf_counter(), time.process_time()
    for n, step in enumerate(steps):
        watch.write(step)
        if n % 100 == 0:
            await _room(store)
            await asyncio.sleep(0)
    await watch.all_durable()
    durable_s = time.perf_counter() - begin
    await _fresh(store, watch)
    stored_s = time.perf_counter() - begin
    return {
        "calls": calls,
        "durable_a_s": round(calls / durable_s, 1),
        "in_database_a_s": round(calls / stored_s, 1),
        "cpu_ms_a_call": round((time.process_time() - cpu_from) * 1000 / calls, 3),
        "transactions": store.state()["transactions"],
        "replayed": store.state()["replayed"],
        **watch.figures(),
    }


async def measure(url: str, state_dir: Path, options: StoreOptions, given: argparse.Namespace) -> dict[str, Any]:
    """One measurement on one database."""
    await asyncio.to_thread(upgrade, url)
    store = Store(url, state_dir, options)
    await store.open()
    try:
        if given.rate is not None:
            return await at_rate(store, given.rate, given.seconds, given.server)
        return await at_full_speed(store, given.calls)
    finally:
        await store.close()


def main() -> None:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(prog="python -m acd.store.measure", description=__doc__)
    parser.add_argument("url", help="of an empty database; - reads it from standard input")
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("--rate", type=float, help="calls a second; without it, as fast as they are taken")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--server", type=int, metavar="PID", help="with --rate: a server whose work is counted, too")
    parser.add_argument("--calls", type=int, default=10_000, help="without --rate")
    kinds = {field.name: type(field.default) for field in dataclasses.fields(StoreOptions)}
    for name, kind in kinds.items():
        parser.add_argument("--" + name.replace("_", "-"), type=kind)
    given = parser.parse_args()
    chosen = {name: getattr(given, name) for name in kinds if getattr(given, name) is not None}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(
            measure(
                sys.stdin.readline().strip() if given.url == "-" else given.url,
                given.state_dir,
                StoreOptions(**chosen),
                given,
            )
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
