"""What a batch may do to the tables, as data: the fold fills these operations, the backends turn each into a statement.

Every operation names rows by their whole key, so a batch holds at most one row a key and operation. No SQL lives here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import JSON, Integer, Table

from acd.domain.values import valueclass
from acd.store import tables
from acd.store.times import UtcTime

Row: TypeAlias = list[Any]
Kind: TypeAlias = Literal["text", "int", "time", "json"]


@valueclass(frozen=True, slots=True)
class Operation:
    """One statement over many rows of one table. ``columns`` is the order of a row's values, the key first.

    ``put`` inserts; a row that is there gets the new values, except that a ``kept`` column keeps its old one where the
    new one is null, and nothing happens where ``newer`` is not at least what stands there. ``patch`` changes rows that
    are there (null leaves a ``kept`` column alone). ``end`` closes the latest open row before the key's last column.
    """

    name: str
    verb: Literal["put", "patch", "end"]
    table: Table
    columns: tuple[str, ...]
    kept: frozenset[str] = frozenset()
    newer: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in self.keys)

    def kind(self, column: str) -> Kind:
        of = self.table.c[column].type
        if isinstance(of, UtcTime):
            return "time"
        if isinstance(of, JSON):
            return "json"
        return "int" if isinstance(of, Integer) else "text"


def _all(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c)


_CALL_LATER = ("answered_at", "agent", "ended_at", "outcome", "ended_by", "cause", "target")
_CALL_SAID = ("disposition", "notes", "tags", "recording")
_SEGMENT_LATER = ("ended_at", "outcome", "target")
_CALL = (
    *("call", "node", "channel", "linkedid", "did", "caller_number", "caller_name", "queue", "priority", "entered_at"),
    *_CALL_LATER,
    *("client", "from_call"),
)

OPERATIONS: tuple[Operation, ...] = (
    Operation("calls", "put", tables.calls, _CALL, frozenset(_CALL_LATER)),
    Operation(
        "calls_patch", "patch", tables.calls, ("call", "queue", *_CALL_LATER), frozenset({"queue", *_CALL_LATER})
    ),
    Operation("calls_said", "patch", tables.calls, ("call", *_CALL_SAID), frozenset(_CALL_SAID)),
    Operation("segments", "put", tables.segments, _all(tables.segments), frozenset(_SEGMENT_LATER)),
    Operation(
        "segments_patch",
        "patch",
        tables.segments,
        ("call", "serial", *_SEGMENT_LATER, "agent"),
        frozenset({*_SEGMENT_LATER, "agent"}),
    ),
    Operation("decisions", "put", tables.decisions, _all(tables.decisions)),
    Operation("agent_states", "put", tables.agent_states, _all(tables.agent_states), frozenset({"ended_at"})),
    Operation("agent_states_end", "end", tables.agent_states, ("agent", "serial", "ended_at")),
    Operation("agents", "put", tables.agents, _all(tables.agents), newer="serial"),
    Operation("agents_patch", "patch", tables.agents, ("agent", "phone", "pending")),
    Operation("revisions", "put", tables.revisions, _all(tables.revisions)),
    Operation("audit", "put", tables.audit, _all(tables.audit)),
)

BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}


@dataclass(slots=True)
class Batch:
    """Rows by operation. The numbers of a writer's batches grow, by as many as there are records in one; each takes
    effect once, in that order."""

    writer: str
    number: int
    rows: dict[str, list[Row]]

    def count(self) -> int:
        return sum(map(len, self.rows.values()))
