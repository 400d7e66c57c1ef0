"""What happened to agents: they come into their queues and go, pause and are back. Pure.

app_queue keeps a member for each queue. An agent of ours is in all of his queues or in none, so every change is written for
each of them, and a pause first for all together, as app_queue does when no queue is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from acd.domain.states import SYSTEM_PAUSE_REASONS, AgentState
from acd.domain.values import valueclass
from acd.queuelog.lines import NONE, Line

AUTO_PAUSE = "Auto-Pause"
"""app_queue's reason for a member who did not answer."""


@valueclass(frozen=True, slots=True)
class Member:
    """An agent as a queue_log knows him: by which name, in which queues."""

    label: str
    queues: tuple[str, ...]


MemberOf = Callable[[str, float], Member]
"""Who an agent was at a time (UTC s)."""


@dataclass(slots=True)
class Presence:
    """One agent, up to the last interval seen."""

    member_of: MemberOf
    agent: str
    serial: int = -1
    present: bool = False
    paused: str | None = None
    """The reason, while paused."""
    member: Member | None = None
    """As whom he came."""

    def now(self, row: Any) -> None:
        """The interval in force when the log begins: nothing is written."""
        self.serial = row["serial"]
        self.present = row["state"] != AgentState.LOGGED_OUT
        self.paused = _reason(row["reason"]) if row["state"] == AgentState.PAUSED else None
        if self.present:
            self.member = self.member_of(self.agent, row["started_at"])

    def enters(self, row: Any) -> Iterator[Line]:
        """The next interval."""
        self.serial, at, state = row["serial"], row["started_at"], row["state"]
        was = self.member if self.present and self.member is not None else self.member_of(self.agent, at)
        if state == AgentState.LOGGED_OUT:
            if self.present:
                for queue in was.queues:
                    yield Line(at, NONE, queue, was.label, "REMOVEMEMBER")
            self.present, self.paused, self.member = False, None, None
            return
        paused = _reason(row["reason"]) if state == AgentState.PAUSED else None
        if not self.present:
            self.present, self.member = True, was
            for queue in was.queues:
                yield Line(at, NONE, queue, was.label, "ADDMEMBER", ("" if paused is None else "PAUSED",))
            if paused:
                yield from _all(at, was, "PAUSE", paused)
        elif paused is not None and paused != self.paused:
            yield from _all(at, was, "PAUSE", paused)
        elif paused is None and self.paused is not None:
            yield from _all(at, was, "UNPAUSE", "")
        self.paused = paused


def _reason(reason: str | None) -> str:
    return AUTO_PAUSE if reason in SYSTEM_PAUSE_REASONS else reason or ""


def _all(at: float, member: Member, event: str, reason: str) -> Iterator[Line]:
    yield Line(at, NONE, NONE, member.label, f"{event}ALL", (reason,))
    for queue in member.queues:
        yield Line(at, NONE, queue, member.label, event, (reason,))
