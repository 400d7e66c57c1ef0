"""The SQLite file is removed or replaced under a running service: that is a database away, not a database that is ok."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from storekit import until

from acd.domain.records import CallOpened
from acd.store import Store, upgrade


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
