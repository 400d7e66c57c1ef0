"""Short words for tests of the queue_log: the records of calls and agents, and the lines they come to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from acd.domain.records import (
    AgentStateChanged,
    CallAnswered,
    CallClosed,
    CallOpened,
    DecisionMade,
    Record,
    SegmentClosed,
    SegmentOpened,
)
from acd.domain.states import AgentState, CallOutcome, SegmentKind
from acd.queuelog.export import Log, Members
from acd.queuelog.people import Member
from acd.queuelog.source import Source
from acd.store import upgrade
from acd.store.batches import Run, folded
from acd.store.location import locate

T = 1_790_000_000.0
MEMBERS = {name: Member(name, ("sales", "help")) for name in ("ann", "bob", "cem")}


class Records:
    """A database (SQLite, in a folder, unless a URL says otherwise) that is written as the service does it."""

    def __init__(self, where: Path | str) -> None:
        self.url = where if isinstance(where, str) else f"sqlite:///{where}/acd.db"
        upgrade(self.url)
        self._number = 1
        self._serials: dict[str, int] = {}

    def write(self, *records: Record) -> None:
        """One batch."""

        async def store() -> None:
            backend = locate(self.url).backend()
            await backend.connect(5.0)
            await backend.apply(await folded("w", [Run(self._number, records)]), 5.0)
            await backend.close()

        asyncio.run(store())
        self._number += len(records)

    def agent(self, name: str, at: float, state: str, reason: str | None = None) -> AgentStateChanged:
        """The next interval of an agent, ``at`` s after T."""
        serial = self._serials.get(name, 0)
        self._serials[name] = serial + 1
        return AgentStateChanged(name, serial, T + at, AgentState(state), reason, None, T + at, None, None, None)


def call(
    name: str, *steps: tuple[Any, ...], ends: str = "answered", target: str | None = None, **more: Any
) -> list[Record]:
    """A call's records. Steps: (kind, from, to[, agent[, offer[, outcome[, queue]]]]), times in s after T; the last ``to``
    is its end (None: it lasts)."""
    began, over = steps[0][1], steps[-1][2]
    records: list[Record] = [
        CallOpened(name, "pbx1", f"u-{name}", f"u-{name}", more.get("did", "100"), more.get("number", "+49"), "",
                   more.get("queue", "sales"), more.get("priority", 0), T + began)
    ]  # fmt: skip
    for serial, step in enumerate(steps):
        kind, since, until, agent, offer, outcome, queue = (*step, *[None] * (7 - len(step)))
        records.append(SegmentOpened(name, serial, SegmentKind(kind), T + since, queue or "sales", agent, offer))
        if kind == "talked":
            records.append(CallAnswered(name, agent, T + since))
        if until is not None:
            records.append(SegmentClosed(name, serial, T + until, outcome))
    if over is not None:
        by = more.get("by", "caller")
        records.append(CallClosed(name, T + over, CallOutcome(ends), by, 16, target))
    return records


def decided(name: str, at: float, kind: str, offer: str | None = None, **detail: Any) -> DecisionMade:
    """An explained decision."""
    return DecisionMade(name, int(at * 10), T + at, kind, None, offer, "r1", detail)


def log_of(records: Records, since: float = -10.0) -> Log:
    """A log that begins ``since`` s after T."""
    return Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), T + since)


def lines_of(log: Log, until: float = 1e6) -> list[str]:
    """The lines up to ``until`` s after T, with times after T."""
    return shown([line for lines, _ in log.pieces(T + until) for line in lines])


def shown(lines: Sequence[Any]) -> list[str]:
    """Lines as text, with times after T."""
    return [f"{int(text[0]) - int(T)}|{text[1]}" for text in (str(line).split("|", 1) for line in lines)]


def ended_in_turn(
    arguments: Sequence[str], records: Records, there: Callable[[], Sequence[str]], ends: Sequence[int], folder: Path
) -> tuple[int, bytes]:
    """Run ``acd queue-log`` once for each of the signals ``ends``, a call more each time, and end it by that once the call's
    three lines are ``there``. The last one's exit code and output."""
    begin, code, said = time.time() - 60 - T, 0, b""
    for number, how in enumerate(ends):
        at = begin + number * 10
        records.write(*call(f"c{number}", ("entered", at, at + 1), ("waited", at + 1, at + 5), ends="abandoned"))
        command = [sys.executable, "-m", "acd", "queue-log", *arguments, "--interval", "0.1", "--url", records.url]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
        try:
            deadline = time.monotonic() + 30
            while len(there()) < 3 * (number + 1):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            process.send_signal(how)
            said, _ = process.communicate(timeout=10)
        code = process.returncode
    return code, said
