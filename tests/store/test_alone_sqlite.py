"""The cases of alone_cases.py on SQLite, and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alone_cases import *  # noqa: F403
from alone_cases import first_life, store_of
from storekit import Away, Database, until

from acd.domain.errors import StoreError
from acd.store import upgrade
from acd.store.backend import UnavailableError
from acd.store.sqlite import SqliteBackend


async def test_a_file_that_is_not_there_is_no_database_that_is_away(database: Database, tmp_path: Path) -> None:
    await first_life(database, tmp_path)
    (tmp_path / "db" / "acd.db").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="run `acd db upgrade`"):
        await store_of(database, tmp_path).open(on_return=lambda callers: None)


async def test_a_file_that_is_none_of_sqlites_is_refused(database: Database, tmp_path: Path) -> None:
    await first_life(database, tmp_path)
    for path in (tmp_path / "db").iterdir():
        path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        await store_of(database, tmp_path).open(on_return=lambda callers: None)


async def test_a_locked_file_is_not_said_to_be_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await first_life(database, tmp_path)
    connect, tries, back = SqliteBackend.connect, list[float](), list[Any]()

    async def noting(self: SqliteBackend, within_s: float) -> None:
        await connect(self, within_s)
        tries.append(within_s)

    monkeypatch.setattr(SqliteBackend, "connect", noting)
    other = sqlite3.connect(tmp_path / "db" / "acd.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    store = store_of(database, tmp_path)
    await store.open(on_return=back.append)
    assert store.alone
    tries.clear()
    await until(lambda: len(tries) == 3 or store.state()["state"] == "ok")
    assert (store.state()["state"], store.state()["spilled"]) == ("spilling", 0)
    assert "locked" in store.state()["detail"]
    assert store.alone
    assert "the database is back" not in caplog.text
    other.close()
    await until(lambda: bool(back))
    assert store.state()["state"] == "ok"
    await store.close()


async def test_a_full_disk_is_no_proof(empty_database: Database, small_disk: Away, tmp_path: Path) -> None:
    upgrade(empty_database.url)
    backend = SqliteBackend(tmp_path / "db" / "acd.db")
    await backend.connect(1.0)
    await backend.prove(1.0)
    with small_disk(), pytest.raises(UnavailableError, match="full"):
        await backend.prove(1.0)
    await backend.prove(1.0)
    await backend.close()
