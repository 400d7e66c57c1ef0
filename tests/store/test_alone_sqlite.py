"""The cases of alone_cases.py on SQLite, and what is SQLite's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from alone_cases import *  # noqa: F403
from alone_cases import first_life, store_of
from storekit import Database

from acd.domain.errors import StoreError


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
