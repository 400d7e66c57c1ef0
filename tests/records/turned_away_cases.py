"""Rows of lists that were turned away and hold a person's number in parts, or cut off, on SQLite and PostgreSQL alike.
Collected by test_turned_away_*.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from storekit import Database

from acd.domain.numbers import Numbering
from acd.lists.prepare import kept
from acd.records.person import Person
from acd.records.seal import Seal
from acd.store.beside import writing
from acd.store.outbound import listed

SEAL = Seal(b"k" * 32, Numbering("49", "0"))
LONG = "x" * 300


@pytest.mark.parametrize(
    ("cells", "is_it"),
    [
        (["07700", "900123"], True),
        (["+44", "7700", "900 123"], True),
        (["07700", "Ann", "900123"], False),
        ([f"{LONG}07700 900"[-200:]], True),
        ([f"{LONG}+44 7700 90"[-200:], "Ann"], True),
        ([f"{LONG}\uff10\uff17\uff17\uff10\uff10 \uff19\uff10"[-200:]], True),
        ([f"{LONG}\u0660\u0667\u0667\u0660\u0660\u0669\u0660"[-200:]], True),
        ([f"{LONG}07700 901"[-200:]], False),
        ([f"{LONG}07700 900"[-199:]], False),
    ],
)
def test_rows_of_lists_that_hold_it_in_parts_or_cut_off_lose_their_cells(
    database: Database, tmp_path: Path, cells: list[str], is_it: bool
) -> None:
    with writing(database.url) as connection, connection.begin():
        listed.reject(connection, [(1, 1, 1, "unknown", "why", kept([*cells, "Bob"])), (1, 2, 2, "empty", "", ["Eve"])])
    somebody = Person(database.url, "+447700900123", SEAL, tmp_path / "sound")
    somebody.erase(somebody.find(), "me")
    with writing(database.url) as connection, connection.begin():
        rows = [(row["reason"], row["cells"]) for row in listed.rejects(connection, 1)]
    assert rows == [("unknown", [] if is_it else [*cells, "Bob"]), ("empty", ["Eve"])]
