"""The cases of store_chaos.py on PostgreSQL, which can be stopped, killed and frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from store_cases import opened
from store_chaos import *  # noqa: F403
from storekit import Database, new_store, settled, until

from acd.domain.records import CallMoved
from acd.lab.postgres import LabPostgres
from acd.store import StoreOptions
from acd.store.location import locate
from acd.store.tables import calls

WAYS = ["stopped", "killed", "frozen"]


async def test_what_reads_cannot_write(database: Database) -> None:
    engine = locate(database.url).async_engine(readers=1)
    async with engine.connect() as connection:
        with pytest.raises(sa.exc.InternalError, match="read-only"):
            await connection.execute(sa.delete(calls))
    await engine.dispose()


async def test_a_batch_a_thawed_server_finishes_late_changes_nothing(
    database: Database, server: LabPostgres, tmp_path: Path, options: StoreOptions
) -> None:
    store = new_store(database, tmp_path, options)
    await store.open()
    await settled(store, store.write([opened("a", queue="one")], soon=True))
    # The server has the batch in its socket and is frozen; we have given up and put it into the spill.
    server.freeze()
    try:
        await settled(store, store.write([CallMoved("a", "two")], soon=True))
        await settled(store, store.write([CallMoved("a", "three")]))
        assert store.state()["state"] == "spilling"
    finally:
        server.thaw()
    await until(lambda: store.state()["state"] == "ok")
    await settled(store, store.write([CallMoved("a", "four")]))
    await store.close()
    assert [row["queue"] for row in database.rows(calls)] == ["four"]


async def test_a_server_that_asks_for_patience_is_not_given_up(database: Database, tmp_path: Path) -> None:
    """A row another transaction holds makes a commit slow: the batch is spilled, and is there once the row is free."""
    store = new_store(database, tmp_path)
    await store.open()
    await settled(store, store.write([opened("a", queue="one")], soon=True))
    engine = locate(database.url).engine()
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT * FROM calls FOR UPDATE"))
        await settled(store, store.write([CallMoved("a", "two")], soon=True))
        assert store.state()["state"] == "spilling"
        connection.rollback()
    engine.dispose()
    await until(lambda: store.state()["state"] == "ok")
    await store.close()
    assert [row["queue"] for row in database.rows(calls)] == ["two"]
