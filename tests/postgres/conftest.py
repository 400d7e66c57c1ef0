"""The database of these tests: a PostgreSQL server of their own, which can be stopped, killed and frozen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "store"))
from storekit import Database, options  # noqa: F401

from acd.lab.postgres import LabPostgres
from acd.store import upgrade

_numbers = count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabPostgres]:
    """As a careful operator runs it: fsync is on, what is acknowledged must be there."""
    server = LabPostgres(tmp_path_factory.mktemp("postgres"), die_with_parent=True)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def empty_database(server: LabPostgres) -> Iterator[Database]:
    if not server.running:
        server.start()
    name = f"acd{next(_numbers)}"
    yield Database(server.create_database(name))
    # After a crash a server forces every file it has to the disk: with all the tests' databases, that takes a minute.
    if server.running:
        with psycopg.connect(server.url(driver="postgresql"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(empty_database: Database, server: LabPostgres) -> Database:
    upgrade(empty_database.url)

    def without(take: Callable[[], None], give: Callable[[], None]) -> Callable[[], object]:
        @contextmanager
        def away() -> Iterator[None]:
            take()
            try:
                yield
            finally:
                give()

        return away

    empty_database.away = {
        "stopped": without(server.stop, server.start),
        "killed": without(server.kill, server.start),
        "frozen": without(server.freeze, server.thaw),
    }
    return empty_database
