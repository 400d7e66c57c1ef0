"""The arithmetic of the benchmark: percentiles, medians, ratios, and what an ideal switch would take.

Pure: numbers in, numbers out.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median as _median


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Nearest-rank percentile (``percent`` above 0, up to 100); None for no values."""
    if not 0 < percent <= 100:
        raise ValueError(f"a percentile lies above 0 and is at most 100, not {percent}")
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def median(values: Iterable[float | None]) -> float | None:
    """The median of the values there are; None for none."""
    known = [value for value in values if value is not None]
    return _median(known) if known else None


def ratio(value: float | None, base: float | None) -> float | None:
    """``value`` as a multiple of ``base``; None where that has no meaning."""
    return None if value is None or not base else value / base


def ideal_makespan_s(calls: int, rate: float, agents: int, talk_s: float) -> float:
    """When the last of ``calls`` ends, the first coming at 0 and ``rate`` a second, on an infinitely fast switch."""
    if calls < 1 or rate <= 0 or agents < 1:
        raise ValueError("at least one call, one agent and a rate above 0")
    free_at: list[float] = []
    end = 0.0
    for index in range(calls):
        arrival = index / rate
        start = arrival if len(free_at) < agents else max(arrival, heapq.heappop(free_at))
        heapq.heappush(free_at, start + talk_s)
        end = max(end, start + talk_s)
    return end


def gaps_ms(hung_up: Mapping[str, Sequence[float]], offered: Mapping[str, Sequence[float]]) -> list[float]:
    """From each hang-up of a phone to its next call, in ms; the phone's last hang-up has none. Times in seconds."""
    gaps = []
    for phone, ends in hung_up.items():
        offers = sorted(offered.get(phone, ()))
        index = 0
        for end in sorted(ends):
            while index < len(offers) and offers[index] <= end:
                index += 1
            if index < len(offers):
                gaps.append((offers[index] - end) * 1000)
    return gaps


def timeline(times: Iterable[float], step_s: float) -> list[tuple[float, int]]:
    """How many of ``times`` (seconds from the beginning) lie at or before each multiple of ``step_s``, until all do."""
    ordered = sorted(times)
    points, count, at = [(0.0, 0)], 0, 0.0
    while count < len(ordered):
        at = round(at + step_s, 9)
        while count < len(ordered) and ordered[count] <= at:
            count += 1
        points.append((at, count))
    return points
