"""The rules of the records, on SQLite."""

from pathlib import Path

from lawful import START, lawful, write_day
from storekit import Database
from verify_cases import *  # noqa: F403

from acd.records.verify import Verifier


async def test_what_is_no_json_is_named_with_its_row(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path / "state", lawful())
    assert list(Verifier(database.url).violations()) == []
    before = database.contents()
    database.execute(
        "UPDATE calls SET tags = '{bad' WHERE call = 'c1'",
        """UPDATE decisions SET detail = '{"agents" bad' WHERE call = 'c1'""",
    )
    serial = min(row["serial"] for row in before["decisions"] if row["call"] == "c1")
    found = [(one.rule, one.message, one.call) for one in Verifier(database.url).violations()]
    assert ("word", "tags of call c1 in table calls is malformed JSON", "c1") in found
    assert ("word", f"detail of call c1, serial {serial} in table decisions is malformed JSON", "c1") in found
    later = Verifier(database.url, since=START + 1_000_000_000).violations()
    assert not [one for one in later if one.rule == "word"]
