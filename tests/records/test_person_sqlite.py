"""Persons in the records, on SQLite, which alone keeps what is no JSON in a column of JSON."""

import sqlite3
from contextlib import closing
from pathlib import Path

from person_cases import *  # noqa: F403
from person_cases import who, write_all
from storekit import Database


async def test_what_is_no_json_keeps_nobody_from_being_told_and_erased(database: Database, tmp_path: Path) -> None:
    await write_all(database, tmp_path)
    database.execute(
        "UPDATE calls SET tags = '{own' WHERE call = 'c1'",
        "UPDATE decisions SET detail = '{own Ann Lee' WHERE call = 'c1' AND serial = 9",
        # Somebody else's: one that mentions the number, and ones that do not
        "UPDATE decisions SET detail = '{01711234567' WHERE call = 'c2' AND serial = 9",
        "UPDATE calls SET tags = '{other' WHERE call IN ('c2', 'c5')",
        "UPDATE audit SET detail = '{other' WHERE action = 'agent_login'",
    )
    somebody = who(database, tmp_path)
    found = somebody.find()
    assert found.own == ["c1", "c3", "c4"]
    assert found.mentions["decisions"] == [("c2", 9)]
    told = next(body for body in somebody.calls(found) if body["call"] == "c1")
    assert (told["tags"], told["decisions"][-1]["detail"]) == ("{own", "{own Ann Lee")
    assert "{01711234567" in [other["row"].get("detail") for other in somebody.others(found)]
    somebody.erase(found, "user:me")
    with closing(sqlite3.connect(tmp_path / "db" / "acd.db")) as left:
        tags = dict(left.execute("SELECT call, tags FROM calls WHERE call IN ('c1', 'c2', 'c5')").fetchall())
        details = left.execute("SELECT detail FROM decisions WHERE call IN ('c1', 'c2') AND serial = 9").fetchall()
        (login,) = left.execute("SELECT detail FROM audit WHERE action = 'agent_login'").fetchone()
    assert tags == {"c1": None, "c2": "{other", "c5": "{other"}
    assert details == [("{}",), ("{}",)]
    assert login == "{other"
