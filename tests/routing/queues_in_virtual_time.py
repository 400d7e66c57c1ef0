"""Queues with impatient callers in virtual time, as plain as can be, to hold wait estimates against.

Poisson arrivals, exponential service and patience, served in order of arrival by the agents of each queue: ``groups``
says how many agents serve which queues. Whoever becomes free takes the one who has waited longest of those he may serve.
"""

from __future__ import annotations

import heapq
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Groups = Mapping[tuple[str, ...], int]


@dataclass(frozen=True, slots=True)
class Load:
    """Of one queue. Rates a second; ``service_s`` as a function of time."""

    arrivals: float
    service_s: Callable[[float], float]
    patience_s: float


@dataclass(frozen=True, slots=True)
class Told:
    """What happened: ``joined`` (waits behind ``ahead``), ``entered``, ``gave_up`` or ``handled`` (after ``wait_s``, in
    seconds of service). ``waited`` False: served at once."""

    kind: str
    queue: str
    call: str
    at: float
    ahead: int = 0
    length_s: float = 0.0


def played(groups: Groups, loads: Mapping[str, Load], calls: int, seed: int, begin: float = 0.0) -> Iterator[Told]:
    """``calls`` arrivals and what becomes of them, in order of time."""
    r = random.Random(seed)
    free = dict(groups)
    serial = 0
    coming: list[tuple[float, int, str, str, str, tuple[str, ...]]] = []
    waiting: dict[str, OrderedDict[str, float]] = {queue: OrderedDict() for queue in loads}

    def later(at: float, kind: str, queue: str, call: str, group: tuple[str, ...] = ()) -> None:
        nonlocal serial
        serial += 1
        heapq.heappush(coming, (at, serial, kind, queue, call, group))

    def serve(at: float, queue: str, call: str, group: tuple[str, ...]) -> float:
        length_s = r.expovariate(1.0 / loads[queue].service_s(at))
        later(at + length_s, "done", queue, call, group)
        return length_s

    for queue, load in loads.items():
        later(begin + r.expovariate(load.arrivals), "arrives", queue, "")
    arrived = 0
    while coming:
        at, _, kind, queue, call, group = heapq.heappop(coming)
        if kind == "arrives":
            arrived += 1
            if arrived > calls:
                return
            call = f"{queue}{arrived}"
            later(at + r.expovariate(loads[queue].arrivals), "arrives", queue, "")
            able = [group for group, count in free.items() if count and queue in group]
            if able:
                # Those who can do least first
                taken = min(able, key=len)
                free[taken] -= 1
                yield Told("handled", queue, call, at, length_s=serve(at, queue, call, taken))
            else:
                yield Told("joined", queue, call, at, ahead=len(waiting[queue]))
                waiting[queue][call] = at
                later(at + r.expovariate(1.0 / loads[queue].patience_s), "gives up", queue, call)
        elif kind == "gives up":
            if waiting[queue].pop(call, None) is not None:
                yield Told("gave_up", queue, call, at)
        else:
            heads = [(next(iter(waiting[q].values())), q) for q in group if waiting[q]]
            if not heads:
                free[group] += 1
                continue
            _, chosen = min(heads)
            head, _ = waiting[chosen].popitem(last=False)
            yield Told("entered", chosen, head, at)
            yield Told("handled", chosen, head, at, length_s=serve(at, chosen, head, group))
