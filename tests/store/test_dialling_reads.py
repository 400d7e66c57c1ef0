"""Whoever only reads what dialling keeps waits for nobody who writes, and nobody waits for him: on SQLite, one file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from storekit import Database

from acd.domain.errors import StoreError
from acd.store.outbound import listed
from acd.store.outbound.outbound import Outbound
from acd.store.outbound.tables import attempts

NOW = 1_710_928_800.0


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Outbound]:
    found = Outbound(database.url, str, query_s=0.5)
    await found.ask(listed.create, "a", "test", NOW)
    yield found
    await found.close()


async def test_reading_goes_on_while_somebody_writes(store: Outbound, database: Database) -> None:
    with database.away["locked"]():
        assert await store.latest() is None
        assert await store.states() == {}
        assert await store.calls_since(NOW, 6.0) == (0, 0)
        assert (await store.histories([(1, "+491")], 0.0))[1, "+491"].of_contact == []
        assert await store.barred([("+491", ["+491"])], ["all"], NOW) == [()]
        assert await store.left_open() == []
        with pytest.raises(StoreError):
            await store.recover(1)


async def test_writing_goes_on_while_somebody_reads(store: Outbound, database: Database) -> None:
    def write_beside(connection: sa.Connection) -> int:
        before = connection.execute(sa.text("SELECT count(*) FROM lists")).scalar_one()
        path = database.url.removeprefix("sqlite:///")
        beside = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        try:
            beside.execute("UPDATE lists SET description = 'x'")
        finally:
            beside.close()
        return int(before)

    assert await store.look(write_beside) == 1
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await store.ask(write_beside)


async def test_the_calls_of_a_day_are_found_by_their_time(store: Outbound) -> None:
    def plan(connection: sa.Connection) -> str:
        query = sa.select(sa.func.count()).where(attempts.c.committed_at >= NOW)
        text = query.compile(connection, compile_kwargs={"literal_binds": True})
        return " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))

    assert "ix_attempts_committed_at" in await store.look(plan)
