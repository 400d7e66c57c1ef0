"""The cases of store_cases.py on SQLite, and how it finds what it is asked for."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from store_cases import *  # noqa: F403
from store_cases import opened
from storekit import Database, new_store, write_all


async def test_neither_a_start_nor_a_list_reads_every_call(database: Database, tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        store = new_store(database, tmp_path)
        await store.open()
        await write_all(store, [[opened("a")]])
        await store.records.calls()
        await store.records.calls(queue="sales")
        await store.records.calls(agent="ann", since=1.0)
        await store.records.calls(number="1", until=2.0)
        await store.records.call("a")
        await store.records.decisions("a")
        await store.close()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    connection = sqlite3.connect(tmp_path / "db" / "acd.db")
    plans = {
        (statement, step[3])
        for statement, parameters in asked
        if any(table in statement for table in ("FROM calls", "FROM segments", "FROM decisions"))
        for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    }
    connection.close()
    assert len({statement for statement, _ in plans}) >= 10
    # Neither without an index, nor all of one but the short ones made for that and the one that is read until the limit.
    short = ("ix_calls_open", "ix_segments_wrapping", "ix_calls_entered_at")
    assert [plan for plan in plans if plan[1].startswith("SCAN") and not plan[1].endswith(short)] == []
