"""The cases of schema_cases.py on PostgreSQL, and what is PostgreSQL's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from schema_cases import *  # noqa: F403
from storekit import Database

from acd.domain.errors import StoreError
from acd.store import Store, StoreOptions, current, head, upgrade


async def test_two_upgrades_at_once_take_turns(empty_database: Database) -> None:
    await asyncio.gather(*(asyncio.to_thread(upgrade, empty_database.url) for _ in range(4)))
    assert current(empty_database.url) == head()


async def test_messages_never_hold_the_password(database: Database, tmp_path: Path) -> None:
    secret = database.url.split(":")[2].split("@")[0]
    away = database.url.replace(f"@127.0.0.1:{database.url.rsplit(':', 1)[1].split('/')[0]}", "@127.0.0.1:1")
    for url in (away, database.url.replace(secret, secret + "wrong")):
        with pytest.raises(StoreError) as caught:
            await Store(url, tmp_path, StoreOptions(connect_s=2.0)).open()
        assert secret not in str(caught.value)
        with pytest.raises(StoreError) as caught:
            upgrade(url)
        assert secret not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)
