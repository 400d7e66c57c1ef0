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


async def test_what_is_no_time_is_named_with_its_row_and_the_rest_is_looked_at(
    database: Database, tmp_path: Path
) -> None:
    await write_day(database, tmp_path / "state", lawful())
    last = "9999-12-31T23:59:59.999999Z"
    database.execute(
        "UPDATE segments SET started_at = 'yesterday' WHERE call = 'c2' AND serial = 1",
        "UPDATE segments SET ended_at = '2026-02-30T12:00:00.000000Z' WHERE call = 'c3' AND serial = 1",
        "UPDATE calls SET entered_at = 17 WHERE call = 'c4'",
        "UPDATE agent_states SET started_at = '2026-09-21 12:00:00' WHERE agent = 'anna' AND serial = 0",
        "UPDATE calls SET outcome = 'gone' WHERE call = 'c6'",
        f"INSERT INTO audit (entry, at, who, action, subject, detail) VALUES ('a', '{last}', 'x', 'x', 'x', '{{}}')",
        "INSERT INTO audit (entry, at, who, action, subject, detail) VALUES ('b', 'now', 'x', 'x', 'x', '{}')",
    )
    verifier = Verifier(database.url)
    found = [(one.rule, one.message, one.call) for one in verifier.violations()]
    assert [(message, call) for rule, message, call in found if rule == "word"] == [
        ("started_at of agent anna, serial 0 in table agent_states is no time: '2026-09-21 12:00:00'", None),
        ("at of entry b in table audit is no time: 'now'", None),
        ("entered_at of call c4 in table calls is no time: '17'", "c4"),
        ("started_at of call c2, serial 1 in table segments is no time: 'yesterday'", "c2"),
        ("ended_at of call c3, serial 1 in table segments is no time: '2026-02-30T12:00:00.000000Z'", "c3"),
    ]
    assert ("ended", "c6") in {(rule, call) for rule, _, call in found}
    assert (verifier.seen.calls, verifier.seen.agents) == (6, 2)
