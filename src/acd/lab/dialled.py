"""A witness for what was dialled: Asterisk's own log of channel events (CEL), held against the rules one by one.

The service neither writes nor reads that log, and nothing of its own checks is used here. CEL knows which lines there were
(an attempt's id is its line's Uniqueid), when, from which number and how they ended; the customers know which number was
called. What the rules allow is said by whoever asks.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from acd.domain.values import valueclass
from acd.lab.asterisk_files import CEL_COLUMNS
from acd.lab.customers import CustomerCall

DAY_S: Final = 86_400.0
CLOCK_S: Final = 0.05
"""Customers and Asterisk read the same clock, at different moments of the same packet."""


@dataclass(slots=True)
class DialledLine:
    """One outgoing channel as Asterisk logged it. Times are UTC seconds; ``begun``: how often it began."""

    uniqueid: str
    began_s: float
    begun: int = 1
    caller_id: str = ""
    answered_s: float | None = None
    ended_s: float | None = None
    cause: int | None = None


@valueclass(frozen=True, slots=True)
class Row:
    """An attempt as the service recorded it."""

    attempt: str
    number: str
    committed_s: float
    outcome: str


@valueclass(frozen=True, slots=True)
class Allowed:
    """What the rules allow. ``zones``: number -> where its person is; minutes ``from_minute``..``to_minute`` of the day
    there; ``number_day``: attempts at a number within 24 hours; ``ring_s``: how long a line rings that nobody answers."""

    caller_ids: frozenset[str]
    zones: Mapping[str, str]
    do_not_call: frozenset[str] = frozenset()
    from_minute: int = 8 * 60
    to_minute: int = 21 * 60
    number_day: int = 3
    ring_s: float = 15.0


def lines_of(cel: Path, trunk: str = "carrier") -> dict[str, DialledLine]:
    """The lines through ``trunk`` that a CEL file knows, by Uniqueid, in the order of their beginnings."""
    found: dict[str, DialledLine] = {}
    with cel.open(newline="") as file:
        for row in csv.DictReader(file, fieldnames=list(CEL_COLUMNS)):
            # A last line may be half written
            if row["extra"] is None or not row["channel"].startswith(f"PJSIP/{trunk}-"):
                continue
            at, line = float(row["time"]), found.get(row["uniqueid"])
            if row["event"] == "CHAN_START":
                if line is None:
                    found[row["uniqueid"]] = DialledLine(row["uniqueid"], at)
                else:
                    line.begun += 1
                continue
            if line is None:
                continue
            line.caller_id = row["caller_id"] or line.caller_id
            if row["event"] == "ANSWER":
                line.answered_s = at
            elif row["event"] == "HANGUP":
                line.ended_s, line.cause = at, int(json.loads(row["extra"])["hangupcause"])
    return found


def breaches(
    lines: Mapping[str, DialledLine], rows: Iterable[Row], customers: Sequence[CustomerCall], allowed: Allowed
) -> list[str]:
    """What was not as the rules allow, a sentence each; none is as it should be. All lines have ended."""
    attempts = {row.attempt: row for row in rows}
    return [
        *_of_lines(lines, attempts, allowed),
        *_of_numbers(lines, attempts, allowed),
        *_of_customers(lines, attempts, customers, allowed),
    ]


def _of_lines(lines: Mapping[str, DialledLine], attempts: Mapping[str, Row], allowed: Allowed) -> Iterable[str]:
    """Every line is of one attempt, which was durable before it, and shows a number it may."""
    for line in lines.values():
        row = attempts.get(line.uniqueid)
        if row is None:
            yield f"line {line.uniqueid} is of no attempt"
            continue
        if line.begun != 1:
            yield f"attempt {row.attempt} had {line.begun} lines"
        if line.began_s < row.committed_s - CLOCK_S:
            yield f"attempt {row.attempt} was dialled {row.committed_s - line.began_s:.3f} s before it was recorded"
        if line.ended_s is None:
            yield f"line {line.uniqueid} has not ended"
        if line.caller_id not in allowed.caller_ids:
            yield f"attempt {row.attempt} showed {line.caller_id or 'no number'}"
    for row in attempts.values():
        if row.attempt not in lines and row.outcome not in ("failed", "unknown", "withdrawn"):
            yield f"attempt {row.attempt} came to {row.outcome} without a line"
        if row.attempt in lines and row.outcome == "withdrawn":
            yield f"attempt {row.attempt} was withdrawn, and dialled"


def _of_numbers(lines: Mapping[str, DialledLine], attempts: Mapping[str, Row], allowed: Allowed) -> Iterable[str]:
    """Every number might be dialled, then, and so often."""
    dialled: defaultdict[str, list[float]] = defaultdict(list)
    for line in lines.values():
        row = attempts.get(line.uniqueid)
        if row is None:
            continue
        number = row.number
        dialled[number].append(line.began_s)
        if number in allowed.do_not_call:
            yield f"{number} is not to be called, and was by attempt {row.attempt}"
        if number not in allowed.zones:
            yield f"{number} is on no list, and was called by attempt {row.attempt}"
            continue
        there = datetime.fromtimestamp(line.began_s, UTC).astimezone(ZoneInfo(allowed.zones[number]))
        if not allowed.from_minute <= there.hour * 60 + there.minute < allowed.to_minute:
            yield f"{number} was called at {there:%H:%M} there, by attempt {row.attempt}"
    for number, times in dialled.items():
        times.sort()
        for index, at in enumerate(times):
            within = sum(at - other < DAY_S for other in times[: index + 1])
            if within > allowed.number_day:
                yield f"{number} was called {within} times in 24 hours"
                break


def _of_customers(
    lines: Mapping[str, DialledLine], attempts: Mapping[str, Row], customers: Sequence[CustomerCall], allowed: Allowed
) -> Iterable[str]:
    """What the called saw is what Asterisk dialled; who does not answer was let ring for long enough."""
    called = Counter(call.number.lstrip("+") for call in customers)
    dialled = Counter(attempts[uniqueid].number.lstrip("+") for uniqueid in lines if uniqueid in attempts)
    for number in called.keys() | dialled.keys():
        if called[number] != dialled[number]:
            yield f"+{number}: {dialled[number]} lines, but {called[number]} calls arrived there"
    for call in customers:
        if call.caller_id not in allowed.caller_ids:
            yield f"+{call.number} was shown {call.caller_id or 'no number'}"
        if call.ended == "cancelled" and call.ended_at is not None:
            rang_s = call.ended_at - (call.ringing_at or call.called_at)
            if rang_s < allowed.ring_s - CLOCK_S:
                yield f"+{call.number} was given up after {rang_s:.2f} s of ringing"
