"""The database of these tests: a SQLite file, which another connection can lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.register_assert_rewrite("storekit", "store_cases", "store_chaos")

from storekit import Database  # noqa: E402

from acd.store import upgrade  # noqa: E402


@pytest.fixture
def empty_database(tmp_path: Path) -> Database:
    """One that ``upgrade`` has not seen: not even a file yet."""
    return Database(f"sqlite:///{tmp_path}/db/acd.db")


@pytest.fixture
def database(empty_database: Database, tmp_path: Path) -> Database:
    upgrade(empty_database.url)
    path = tmp_path / "db" / "acd.db"

    @contextmanager
    def locked() -> Iterator[None]:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    empty_database.away = {"locked": locked}
    return empty_database
