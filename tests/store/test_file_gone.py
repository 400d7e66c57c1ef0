"""The SQLite file is removed or replaced under a running service: that is a database away, not a database that is ok."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from storekit import until

from acd.domain.errors import StoreError
from acd.domain.records import CallOpened
from acd.store import Store, upgrade
from acd.store.outbound import donotcall, listed
from acd.store.outbound.outbound import Outbound


def opened(number: int) -> CallOpened:
    return CallOpened(f"c{number:04d}", "pbx1", str(number), str(number), "100", "5", "", "main", 0, 1000.0 + number)


def count(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])
    finally:
        connection.close()


async def test_a_removed_file_is_noticed_and_a_new_one_gets_what_was_spilled(tmp_path):
    path, url = tmp_path / "acd.sqlite3", f"sqlite+aiosqlite:///{tmp_path}/acd.sqlite3"
    await asyncio.to_thread(upgrade, url)
    store = Store(url, tmp_path)
    first = (await store.open()).epoch
    try:
        ticket = store.write([opened(1)])
        await until(lambda: store.durable(ticket))
        assert await store.flush()
        for file in tmp_path.glob("acd.sqlite3*"):
            file.unlink()
        ticket = store.write([opened(2)])
        await until(lambda: store.durable(ticket))
        await until(lambda: store.state()["state"] == "spilling")
        await asyncio.to_thread(upgrade, url)
        await until(lambda: store.state()["state"] == "ok")
        assert count(path) == 1
    finally:
        await store.close()
    again = Store(url, tmp_path)
    assert (await again.open()).epoch > first, "an epoch of the lost database was used again"
    await again.close()


async def test_dialling_commits_nothing_into_a_file_that_is_gone(tmp_path):
    url = f"sqlite:///{tmp_path}/acd.sqlite3"
    await asyncio.to_thread(upgrade, url)
    kept = Outbound(url, str)
    entry = donotcall.Entry("+4930", "all", "file", "", 1.0, "test")

    async def held() -> list[str]:
        return [one.number for one in await kept.look(donotcall.held, "+4930", str)]

    try:
        await kept.ask(listed.create, "a", "test", 1.0)
        await kept.look(listed.every)
        for file in tmp_path.glob("acd.sqlite3*"):
            file.rename(file.with_suffix(".away" + file.suffix.removeprefix(".sqlite3")))
        for _ in range(3):
            with pytest.raises(StoreError, match="cannot be used now"):
                await kept.ask(donotcall.add, [entry], str)
            with pytest.raises(StoreError, match="cannot be used now"):
                await held()
        await asyncio.to_thread(upgrade, url)
        # Another one in its place is the one that counts
        assert await kept.look(listed.every) == []
        await kept.ask(donotcall.add, [entry], str)
        other = Outbound(url, str)
        assert [one.number for one in await other.look(donotcall.held, "+4930", str)] == await held() == ["+4930"]
        await other.close()
    finally:
        await kept.close()
