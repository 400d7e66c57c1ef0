"""The cases of alone_cases.py on PostgreSQL, and what is PostgreSQL's own."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from alone_cases import *  # noqa: F403
from alone_cases import first_life
from storekit import QUICK, Database

from acd.domain.errors import StoreError
from acd.store import Store
from acd.store.backend import UnavailableError
from acd.store.location import locate
from acd.store.standing import Served


@pytest.mark.parametrize("wrong", ["database", "user", "option"])
async def test_a_wrong_address_is_refused_although_it_was_served(
    database: Database, tmp_path: Path, wrong: str
) -> None:
    await first_life(database, tmp_path)
    head, _, name = database.url.rpartition("/")
    password = head.split(":")[2].split("@")[0]
    url = {
        "database": f"{head}/no_such_{name}",
        "user": database.url.replace("//", "//nobody_", 1).replace(password, "wrong"),
        "option": f"{database.url}?nonsense=1",
    }[wrong]
    Served(tmp_path, str(locate(url))).note()
    with pytest.raises(StoreError, match=r"no_such|nobody|nonsense"):
        await Store(url, tmp_path, QUICK).open(on_return=lambda callers: None)


async def test_a_connection_alone_is_no_proof(database: Database) -> None:
    backend = locate(database.url).backend()
    await backend.connect(5.0)
    await backend.prove(5.0)
    with psycopg.connect(database.url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE calls IN EXCLUSIVE MODE")
        with pytest.raises(UnavailableError, match="did not answer within"):
            await backend.prove(0.2)
    await backend.prove(5.0)
    with psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute(f"ALTER DATABASE {database.url.rpartition('/')[2]} SET default_transaction_read_only = on")
    await backend.connect(5.0)
    with pytest.raises(UnavailableError, match="read-only"):
        await backend.prove(5.0)
    await backend.close()
