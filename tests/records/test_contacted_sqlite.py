"""Persons among contacts, on SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

from contacted_cases import *  # noqa: F403
from contacted_cases import who, write_all
from storekit import Database


def test_what_the_gate_saw_goes_even_if_it_is_no_json(database: Database, tmp_path: Path) -> None:
    write_all(database)
    database.execute("UPDATE attempts SET facts = '{own' WHERE attempt = 't2'")
    database.execute("UPDATE attempts SET facts = '{other' WHERE attempt = 't5'")
    somebody = who(database, tmp_path)
    found = somebody.find()
    told = {other["row"].get("attempt"): other["row"].get("facts") for other in somebody.dialled(found)}
    assert told["t2"] == "{own"
    somebody.erase(found, "me")
    with closing(sqlite3.connect(tmp_path / "db" / "acd.db")) as left:
        facts = dict(left.execute("SELECT attempt, facts FROM attempts WHERE attempt IN ('t2', 't5')").fetchall())
    assert facts == {"t2": "{}", "t5": "{other"}
