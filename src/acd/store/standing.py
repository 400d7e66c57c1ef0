"""What stands beside the service, in its state directory, for a start at which the database is away: which database it
served with, which numbers of lives it drew by itself, and what the agents do.

The agents' states are written a second after one of them has changed, whole, and seldom enough that it takes no hundredth
of the time: what a start alone knows may be some seconds old. No caller stands there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from acd.domain.events import AgentMemory
from acd.domain.lives import ALONE_FIRST, EPOCH_END
from acd.domain.records import AgentIntentChanged, AgentStateChanged, Record
from acd.domain.states import AgentState
from acd.store.thread import WorkThread

log = logging.getLogger(__name__)

SOON_S = 1.0
"""From a change until it is written, at least; ``LATEST_S``: at most, unless the disk hangs."""
LATEST_S = 10.0
_RESTS = 100
"""So many times as long as it took is nothing written."""
_LAST_WAIT_S = 2.0
_COLUMNS = tuple(one.name for one in fields(AgentMemory))


def write_file(path: Path, body: Any, *, force: bool = True) -> None:
    """JSON for the service's user alone, whole or not at all; ``force``: on the disk. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(file, "w", encoding="utf-8") as opened:
            # At once: writing it piece by piece takes four times as long
            opened.write(json.dumps(body, separators=(",", ":")))
            if force:
                opened.flush()
                os.fsync(opened.fileno())
        fresh.replace(path)
        if force:
            directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    finally:
        fresh.unlink(missing_ok=True)


def read_file(path: Path) -> Any:
    """What ``write_file`` wrote; None if it is not there or cannot be understood."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Served:
    """Which database this state directory has served with (``name``, without a password), and the numbers of lives drawn
    without it."""

    def __init__(self, state_dir: Path, name: str) -> None:
        self._path, self._name = state_dir / "served.json", name

    def before(self) -> bool:
        """Whether a service with this state directory has ever had this very database."""
        return bool(self._read().get("database") == self._name)

    def note(self) -> None:
        """It has it now. Never raises: what cannot be written costs a later start alone."""
        known = self._read()
        if known.get("database") != self._name:
            try:
                write_file(self._path, {"database": self._name, "alone": known.get("alone", [])})
            except OSError as error:
                log.warning("%s could not be written: %s", self._path, error)

    def draw(self) -> int:
        """A number for a life that begins without the database, never drawn here before. Raises OSError."""
        known = self._read()
        drawn = [n for n in known.get("alone", []) if isinstance(n, int)]
        while (epoch := ALONE_FIRST + secrets.randbelow(EPOCH_END - ALONE_FIRST)) in drawn:
            pass
        write_file(self._path, {**known, "alone": [*drawn[-9999:], epoch]})
        return epoch

    def _read(self) -> dict[str, Any]:
        found = read_file(self._path)
        return found if isinstance(found, dict) else {}


class AgentsKept:
    """What agents do, beside the service. Belongs to the event loop's thread between ``start`` and ``close``."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "agents.json"
        self._agents: dict[str, AgentMemory] = {}
        self._thread = WorkThread("acd-agents")
        self._writing: asyncio.Future[float] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._started = False

    def read(self) -> dict[str, AgentMemory]:
        """As they were written last; nobody if that cannot be understood."""
        found = read_file(self._path)
        try:
            made = [AgentMemory(**{**row, "state": AgentState(row["state"])}) for row in found or ()]
        except (TypeError, ValueError, KeyError):
            return {}
        return {agent.agent: agent for agent in made}

    def start(self, agents: Iterable[AgentMemory]) -> None:
        """Begin with these."""
        self._agents = {agent.agent: agent for agent in agents if agent.state is not AgentState.LOGGED_OUT}
        self._started = True
        self._keep()

    def note(self, records: Sequence[Record]) -> None:
        """Follow what is written."""
        for record in records:
            kind = type(record)
            if kind is AgentStateChanged:
                self._state(record)  # type: ignore[arg-type]
            elif kind is AgentIntentChanged:
                self._intent(record)  # type: ignore[arg-type]

    def _state(self, to: AgentStateChanged) -> None:
        self._arm()
        if to.state is AgentState.LOGGED_OUT:
            self._agents.pop(to.agent, None)
            return
        self._agents[to.agent] = AgentMemory(
            *(to.agent, to.state, to.reason, to.at, to.idle_since, to.serial, to.phone, to.pending, to.until, to.call)
        )

    def _intent(self, to: AgentIntentChanged) -> None:
        known = self._agents.get(to.agent)
        if known is not None:
            self._arm()
            self._agents[to.agent] = replace(known, phone=to.phone, pending=to.pending)

    def _arm(self) -> None:
        if self._timer is None and self._started:
            rest_s, last = SOON_S, self._writing
            if last is not None and last.done() and last.exception() is None:
                rest_s = min(max(SOON_S, last.result()), LATEST_S)
            self._timer = asyncio.get_running_loop().call_later(rest_s, self._keep)

    def _keep(self) -> None:
        self._timer = None
        if self._writing is not None and not self._writing.done():
            # The disk hangs
            self._arm()
        else:
            self._writing = self._thread.submit(self._write, list(self._agents.values()))

    def _write(self, agents: list[AgentMemory]) -> float:
        """For how many seconds to let it be then."""
        begin = time.perf_counter()
        try:
            # Not forced to the disk: after a power cut it is as if nobody were logged in, or as some seconds before
            body = [{name: getattr(agent, name) for name in _COLUMNS} for agent in agents]
            write_file(self._path, body, force=False)
        except OSError as error:
            log.warning("%s could not be written: %s", self._path, error)
            return LATEST_S
        return (time.perf_counter() - begin) * _RESTS

    async def close(self) -> None:
        """Write them a last time."""
        if not self._started:
            return
        self._started = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.wait({self._thread.submit(self._write, list(self._agents.values()))}, timeout=_LAST_WAIT_S)
        self._thread.close()
