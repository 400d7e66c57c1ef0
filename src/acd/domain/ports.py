"""The seams between rooms: what an adapter offers to, or needs from, the others. Only Protocols live here.

All ``dict`` results are JSON-able. Times named ``*_at`` or ``since`` are UTC seconds, ``*_s`` are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from acd.domain.commands import Command
from acd.domain.events import AgentAction, AgentMemory, CallMemory, Event, SegmentMemory
from acd.domain.records import Record
from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Answer:
    """What came of an agent's request."""

    ok: bool
    message: str
    data: dict[str, Any]


class FloorPort(Protocol):
    """The live floor, as people and programs may see it and act on it.

    ``status``: ``{"now", "started_at", "revision", "epoch", "nodes": [{"name", "state", "version", "since", "detail"}],
    "queues": n, "waiting": n, "longest_wait_s", "talking": n, "agents": {state: n}, "phones": {state: n},
    "offered", "answered", "abandoned", "overflowed", "transferred", "lost_track", "service_level" (0..1 or None),
    "asa_s", "aht_s", "occupancy" (all or None), "alarms": [{"at", "kind", "detail", "count"}], "drift": {kind: n},
    "database": {"state", "spilled", "lag_ms"}, "loop_lag_ms": {"p99", "max"}, "counters": {name: n}}``

    A queue: ``{"name", "strategy", "requirements": {skill: minimum}, "ring_timeout_s", "wrap_up_s", "max_wait_s",
    "overflow", "service_level_s", "priority", "waiting": n, "longest_wait_s", "talking": n, "agents": {state: n} (its
    eligible agents), "cut_off": n (of the available ones: nothing is offered where they are, by the breaker), "offered",
    "answered", "abandoned", "overflowed", "service_level", "asa_s", "aht_s"}``;
    ``queue(name)`` adds ``"calls": [call...]`` in serving order and ``"members": [agent...]``.

    An agent: ``{"name", "display_name", "number", "state", "reason", "since", "in_state_s", "phone_state",
    "phones": {device: state}, "line": None|{"state": "waits"|"in use"|"called"|"stays"|"due"|"down", "on_hold", "channel",
    "detail": why there is none} (his lasting line), "queues": [..], "skills": {..}, "call": id|None,
    "pending": None|"logout"|"pause:reason", "cut_off": None|why (the breaker), "cool_down_s": s|None, "calls_taken": n,
    "rona": n, "occupancy"}``

    A live call: ``{"call", "state", "queue", "did", "caller_number", "caller_name", "entered_at", "wait_s", "talk_s",
    "priority", "position" (1.. or None), "agent", "offer", "node", "channel", "linkedid", "direction", "campaign" (as those
    of a call row; ``None`` once it was passed on to a queue)}``
    """

    def status(self) -> dict[str, Any]: ...
    def queues(self) -> list[dict[str, Any]]: ...
    def queue(self, name: str) -> dict[str, Any]:
        """Raises UnknownNameError."""

    def agents(self) -> list[dict[str, Any]]: ...
    def agent(self, name: str) -> dict[str, Any]:
        """By name or number. Raises UnknownNameError."""

    def calls(self) -> list[dict[str, Any]]: ...
    async def request(
        self, agent: str, action: AgentAction, *, reason: str | None = None, phone: str | None = None
    ) -> Answer:
        """Ask the floor; answered once what follows from it is durable. Raises UnknownNameError, RefusedError."""

    def health(self) -> tuple[bool, dict[str, Any]]: ...


class RecordsPort(Protocol):
    """Finished and running calls, from the database.

    A call row: ``{"call", "node", "channel", "linkedid", "did", "caller_number", "caller_name", "queue", "priority",
    "entered_at", "answered_at", "ended_at", "outcome", "ended_by", "cause", "target", "agent", "wait_s", "talk_s",
    "length_s", "direction", "campaign"}`` (``None`` where not yet known). ``direction``: ``inbound``, or ``outbound`` of a
    call that ``campaign`` has dialled: ``caller_number`` is then who was called, ``did`` what he was shown.
    ``call`` adds ``"segments": [{"serial", "kind", "queue", "agent", "offer", "target", "started_at",
    "ended_at", "length_s", "outcome"}]``. ``decisions``: ``[{"serial", "at", "kind", "agent", "offer", "revision", "detail":
    {...}}]``.
    """

    async def calls(
        self,
        *,
        limit: int = 50,
        since: float | None = None,
        until: float | None = None,
        queue: str | None = None,
        agent: str | None = None,
        outcome: str | None = None,
        number: str | None = None,
    ) -> list[dict[str, Any]]: ...
    async def call(self, call: str) -> dict[str, Any] | None: ...
    async def decisions(self, call: str) -> list[dict[str, Any]]: ...


@valueclass(frozen=True, slots=True)
class Memory:
    """What a store gives back at start. ``epoch`` is new with every start and already durable.

    ``wraps``: open segments of kind ``wrapped``, of running and of ended calls. ``callers``: callers' numbers and the agent
    who talked to each last, the latest conversation last.
    """

    epoch: int
    agents: tuple[AgentMemory, ...]
    calls: tuple[CallMemory, ...]
    wraps: tuple[SegmentMemory, ...] = ()
    callers: tuple[tuple[str, str], ...] = ()


class StorePort(Protocol):
    """Durable writing for the engine."""

    async def open(self) -> Memory:
        """Check the schema (SchemaError says what to run), replay a spill, take the next epoch, remember."""

    def write(self, records: Sequence[Record], *, soon: bool = False, age_s: float = 0.0) -> int:
        """Queue records for the next group commit; never blocks, never raises for the database's sake. Returns a
        ticket; tickets grow by one a call. ``soon``: somebody waits for these, so commit without waiting for more.
        ``age_s``: what they tell of was so long ago, which shortens their wait."""

    def durable(self, ticket: int) -> bool:
        """Whether all of ``ticket`` is in the database or the spill; stays False for what had to be dropped."""

    def on_durable(self, callback: Any) -> None:
        """``callback(ticket)`` whenever everything up to ``ticket`` is settled: durable, or dropped (``durable``)."""

    async def close(self) -> None:
        """Make everything durable and stop."""

    def state(self) -> dict[str, Any]:
        """``{"state": "ok"|"spilling"|"full", "spilled": n, "lag_ms": x, "written": n, "detail": str}``"""


class Inbox(Protocol):
    """Where adapters put what happened."""

    def submit(self, event: Event) -> None: ...


class Executor(Protocol):
    """Carries out commands on Asterisk nodes."""

    def execute(self, commands: Sequence[Command]) -> None: ...
