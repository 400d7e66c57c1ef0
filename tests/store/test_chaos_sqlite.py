"""The cases of store_chaos.py on SQLite, whose file another process can lock and whose disk can run full."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from store_cases import opened
from store_chaos import *  # noqa: F403
from storekit import Away, Database, new_store, settled, until

from acd.store import StoreOptions, upgrade
from acd.store.location import locate
from acd.store.tables import calls

WAYS = ["locked", "full"]


async def test_with_the_spills_disk_full_too_records_wait_in_memory(
    empty_database: Database,
    small_disk: Away,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    options: StoreOptions,
) -> None:
    upgrade(empty_database.url)
    store = new_store(empty_database, tmp_path / "db" / "state", options)
    await store.open()
    await settled(store, store.write([opened("before")]))
    with small_disk():
        tickets = [store.write([opened(f"c{n:03d}", caller_name="x" * 400)]) for n in range(300)]
        await until(lambda: store.state()["state"] == "full")
        assert "held in memory only" in caplog.text
        assert not store.durable(tickets[-1])
    await settled(store, tickets[-1])
    await until(lambda: store.state()["state"] == "ok")
    assert store.state()["dropped"] == 0
    await store.close()
    assert [row["call"] for row in empty_database.rows(calls)] == ["before", *(f"c{n:03d}" for n in range(300))]


async def test_a_long_query_does_not_hold_up_the_writer(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    await settled(store, store.write([opened("first")], soon=True))
    reader = sqlite3.connect(tmp_path / "db" / "acd.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM calls").fetchone() == (1,)
    for n in range(20):
        await settled(store, store.write([opened(f"c{n}")], soon=True))
    assert store.state()["state"] == "ok"
    assert reader.execute("SELECT count(*) FROM calls").fetchone() == (1,)
    reader.close()
    assert len(await store.records.calls()) == 21
    await store.close()


async def test_what_reads_cannot_write(database: Database) -> None:
    engine = locate(database.url).async_engine(readers=1)
    async with engine.connect() as connection:
        with pytest.raises(sa.exc.OperationalError, match="readonly"):
            await connection.execute(sa.delete(calls))
    await engine.dispose()
