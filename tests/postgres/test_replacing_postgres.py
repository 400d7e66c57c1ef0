"""Lists imported once more, on PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lists"))
from replacing_cases import *  # noqa: F403

from acd.lab.postgres import LabPostgres
from acd.store import upgrade


@pytest.fixture(scope="module")
def url(server: LabPostgres) -> Iterator[str]:
    if not server.running:
        server.start()
    found = server.create_database("again")
    upgrade(found)
    yield found
    with psycopg.connect(server.url(driver="postgresql"), autocommit=True) as connection:
        connection.execute("DROP DATABASE again WITH (FORCE)")
