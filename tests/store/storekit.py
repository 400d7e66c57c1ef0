"""What tests of the store share: a database they can look into, stores on it, and a slow and obvious reference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from acd.domain.records import (
    AgentIntentChanged,
    AgentStateChanged,
    CallAnswered,
    CallClosed,
    CallMoved,
    CallOpened,
    CallTargeted,
    DecisionMade,
    Record,
    SegmentClosed,
    SegmentOpened,
)
from acd.store import Store, StoreOptions
from acd.store.location import locate
from acd.store.tables import agent_states, agents, calls, decisions, segments

TABLES = (calls, segments, decisions, agent_states, agents)

QUICK = StoreOptions(
    spill_limit_bytes=4_000_000,
    pace_s=0.005,
    database_pace_s=0.05,
    patience_s=0.6,
    retry_min_s=0.02,
    retry_max_s=0.1,
    replay_s=3.0,
)
DIRECT = replace(QUICK, durable_in="database")


@pytest.fixture(params=[QUICK, DIRECT], ids=["log", "database"])
def options(request: pytest.FixtureRequest) -> StoreOptions:
    """Once with the spill as the first durable place, once with the database."""
    found: StoreOptions = request.param
    return found


Away = Callable[[], AbstractContextManager[None]]


@dataclass
class Database:
    """One database of a test. ``away`` names the ways in which it can be taken away for the length of a context."""

    url: str
    away: dict[str, Away] = field(default_factory=dict)

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """All rows, in the order of the primary key."""
        engine = locate(self.url).engine()
        try:
            with engine.connect() as connection:
                found = connection.execute(sa.select(table).order_by(*table.primary_key))
                return [dict(row._mapping) for row in found]
        finally:
            engine.dispose()

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all tables of records."""
        return {table.name: self.rows(table) for table in TABLES}

    def execute(self, *statements: str) -> None:
        engine = locate(self.url).engine()
        try:
            with engine.begin() as connection:
                for statement in statements:
                    connection.execute(sa.text(statement))
        finally:
            engine.dispose()

    def empty(self) -> None:
        """Delete all records."""
        self.execute(*(f"DELETE FROM {table.name}" for table in TABLES), "DELETE FROM writers")


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for a condition; fail the test if it does not come."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 (conditions of files and databases have no event)
            await asyncio.sleep(0.005)


async def settled(store: Store, ticket: int, within_s: float = 20.0) -> None:
    """Wait until a ticket is durable."""
    await until(lambda: store.durable(ticket), within_s)


async def write_all(store: Store, steps: Iterable[Sequence[Record]]) -> int:
    """Write steps and wait until the database has the last; its ticket."""
    ticket = 0
    for step in steps:
        ticket = store.write(step)
    await settled(store, ticket)
    await until(lambda: store.state()["behind"] == 0)
    return ticket


def new_store(database: Database, state_dir: Path, options: StoreOptions = QUICK) -> Store:
    return Store(database.url, state_dir, options)


def _to_us(value: Any) -> Any:
    return round(value * 1_000_000) / 1_000_000 if isinstance(value, float) else value


WAITING = ("entered", "waited", "offered", "rang")


def _sum_us(of: Sequence[dict[str, Any]], *kinds: str) -> int | None:
    total = 0
    for segment in of:
        if segment["kind"] in kinds:
            if segment["ended_at"] is None:
                return None
            total += round(segment["ended_at"] * 1_000_000) - round(segment["started_at"] * 1_000_000)
    return total


PASSED_ON = ("escalated", "transferred", "joined", "overflowed", "moved")


def facts_of(queue: str, of: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """What the row of an ended call must say of its segments."""
    first_talk = min((segment["serial"] for segment in of if segment["kind"] == "talked"), default=2**31)
    whose = [(segment["offer"], segment["agent"], segment["kind"], segment["outcome"]) for segment in of]
    return {
        "wait_us": _sum_us([segment for segment in of if segment["serial"] < first_talk], *WAITING),
        "rewait_us": _sum_us([segment for segment in of if segment["serial"] > first_talk], *WAITING),
        "talk_us": _sum_us(of, "talked", "conferenced"),
        "hold_us": _sum_us(of, "held", "consulted"),
        "after_us": _sum_us(of, "after"),
        "wrap_us": _sum_us(of, "wrapped"),
        "offers": len({offer for offer, _, _, _ in whose if offer is not None}),
        "ronas": len({(o, a) for o, a, kind, end in whose if kind in ("offered", "rang") and end == "no_answer"}),
        "talks": len({(offer, agent) for offer, agent, kind, _ in whose if kind == "talked"}),
        "passages": sum(s["queue"] != queue or s["outcome"] in PASSED_ON for s in of),
    }


class Reference:
    """Records stored one by one into dictionaries: what the tables must hold, the slow and obvious way."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Any, dict[str, Any]]] = {table.name: {} for table in TABLES}

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        """As the databases keep it: times to the microsecond, and the facts of calls that have ended."""
        for call, row in self.tables["calls"].items():
            if row["ended_at"] is not None:
                row.update(
                    facts_of(row["queue"], [s for (of, _), s in sorted(self.tables["segments"].items()) if of == call])
                )
        return {
            name: [{column: _to_us(value) for column, value in rows[key].items()} for key in sorted(rows)]
            for name, rows in self.tables.items()
        }

    def add_all(self, records: Iterable[Record]) -> None:
        for record in records:
            self.add(record)

    def _put(self, table: sa.Table, key: Any, **values: Any) -> None:
        blank = {column.name: None for column in table.c}
        self.tables[table.name].setdefault(key, blank).update(values)

    def _set(self, table: sa.Table, key: Any, **values: Any) -> None:
        row = self.tables[table.name].get(key)
        if row is not None:
            row.update({name: value for name, value in values.items() if value is not None})

    def add(self, record: Record) -> None:
        match record:
            case CallOpened():
                fields = {name: getattr(record, name) for name in CallOpened.__dataclass_fields__}
                self._put(calls, record.call, **fields)
            case CallMoved(call, queue):
                self._set(calls, call, queue=queue)
            case CallAnswered(call, agent, answered_at):
                self._set(calls, call, agent=agent, answered_at=answered_at)
            case CallClosed(call, ended_at, outcome, ended_by, cause, target):
                self._set(
                    calls, call, ended_at=ended_at, outcome=str(outcome), ended_by=ended_by, cause=cause, target=target
                )
            case CallTargeted(call, target):
                self._set(calls, call, target=target)
            case SegmentOpened(call, serial, kind, started_at, queue, agent, offer):
                self._put(
                    segments,
                    (call, serial),
                    call=call,
                    serial=serial,
                    kind=str(kind),
                    started_at=started_at,
                    queue=queue,
                    agent=agent,
                    offer=offer,
                )
            case SegmentClosed(call, serial, ended_at, outcome):
                self._set(segments, (call, serial), ended_at=ended_at, outcome=outcome)
            case DecisionMade():
                fields = {name: getattr(record, name) for name in DecisionMade.__dataclass_fields__}
                self._put(decisions, (record.call, record.serial), **fields)
            case AgentStateChanged():
                self._agent(record)
            case AgentIntentChanged(agent, pending, phone):
                if agent in self.tables["agents"]:
                    self.tables["agents"][agent].update(pending=pending, phone=phone)
            case _:
                raise AssertionError(f"the reference does not know {record!r}")

    def _agent(self, record: AgentStateChanged) -> None:
        of = self.tables["agent_states"]
        earlier = [serial for agent, serial in of if agent == record.agent and serial < record.serial]
        if earlier and of[record.agent, max(earlier)]["ended_at"] is None:
            of[record.agent, max(earlier)]["ended_at"] = record.at
        common = {
            "agent": record.agent,
            "serial": record.serial,
            "state": str(record.state),
            "reason": record.reason,
            "call": record.call,
        }
        self._put(agent_states, (record.agent, record.serial), **common, started_at=record.at)
        now = self.tables["agents"].get(record.agent)
        if now is None or record.serial >= now["serial"]:
            self._put(
                agents,
                record.agent,
                **common,
                since=record.at,
                idle_since=record.idle_since,
                phone=record.phone,
                pending=record.pending,
                until=record.until,
            )
