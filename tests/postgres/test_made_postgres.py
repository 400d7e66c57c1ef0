"""Made-up records on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from made_cases import *  # noqa: F403
from made_cases import generate_into
from storekit import Database

from acd.store import Store


async def test_a_database_that_a_service_has_open_is_left_alone(database: Database, tmp_path: Path) -> None:
    store = Store(database.url, tmp_path / "state")
    await store.open()
    try:
        result = generate_into(database.url)
    finally:
        await store.close()
    assert result.exit_code == 5
    assert "stop it first" in result.stderr
    assert database.contents()["calls"] == []
