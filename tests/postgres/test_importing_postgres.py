"""Imports of lists, on PostgreSQL."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lists"))
from importing_cases import *  # noqa: F403
from importing_cases import How, brought, contacts, rows_in

from acd.lab.postgres import LabPostgres
from acd.store import upgrade


@pytest.fixture(scope="module")
def url(server: LabPostgres) -> Iterator[str]:
    if not server.running:
        server.start()
    found = server.create_database("imports")
    upgrade(found)
    yield found
    with psycopg.connect(server.url(driver="postgresql"), autocommit=True) as connection:
        connection.execute("DROP DATABASE imports WITH (FORCE)")


def test_an_import_and_a_campaign_on_one_list_wait_for_each_other_in_turn(url: str, tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    brought(url, path, "both", "key,name,phone\na,Ann,0171 8880001\nb,Bob,0171 8880002\n")
    first, second = (row["contact"] for row in rows_in(url, contacts, contacts.c.list == "both"))
    lock = "SELECT contact FROM contacts WHERE contact = %s FOR UPDATE"
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    plain = url.replace("+psycopg", "")
    reports = []

    def update() -> None:
        text = "key,name,phone\nb,Bert,0171 8880002\na,Anna,0171 8880001\n"
        reports.append(brought(url, path, "both", text, How("DE", within="update")))

    importing = threading.Thread(target=update)
    with psycopg.connect(plain, autocommit=True) as looks, psycopg.connect(plain) as campaign:
        campaign.execute(lock, [first])
        importing.start()
        until = time.monotonic() + 30
        while looks.execute(waits).fetchone() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        campaign.execute(lock, [second])
        campaign.commit()
    importing.join(30)
    (report,) = reports
    assert report.updated == 2
    assert [row["name"] for row in rows_in(url, contacts, contacts.c.list == "both")] == ["Anna", "Bert"]
