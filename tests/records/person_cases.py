"""What is known of a person, and taking it away, on SQLite and PostgreSQL alike. Collected by test_person_*.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lawful import HOSTILE, START, Day, lawful, write_day
from storekit import Database

from acd.domain.errors import ConfigurationError
from acd.domain.numbers import Numbering
from acd.domain.records import Audited, CallAnnotated, DecisionMade, RevisionLoaded
from acd.records import person
from acd.records.mentions import Mention
from acd.records.person import Person
from acd.records.seal import Seal, load_seal
from acd.records.traces import clean_database
from acd.records.verify import Verifier
from acd.store.tables import audit, revisions

HERE = Numbering("49", "0")
PRIVATE = ("1711234567", "171 1234567", "Ann Lee", "Bobby')", "RIFF-secret")


def seal(tmp_path: Path) -> Seal:
    return load_seal(tmp_path / "state", HERE)


def who(database: Database, tmp_path: Path, number: str = "0171/123 45 67") -> Person:
    return Person(database.url, number, seal(tmp_path), tmp_path / "sound")


async def write_all(database: Database, tmp_path: Path) -> None:
    """The lawful day, and every other place that can hold a number."""
    (tmp_path / "sound").mkdir()
    (tmp_path / "sound" / "c1.wav").write_bytes(b"RIFF-secret")
    (tmp_path / "sound" / "c2.wav").write_bytes(b"RIFF-other")
    day = Day()
    day.records += [
        CallAnnotated("c1", recording="c1.wav"),
        CallAnnotated("c3", "back to 01711234567", tags=("vip", "x491711234567")),
        CallAnnotated(
            "c2", "ring +49 (0)171/1234567", "knows 01711234567, not 01711239999", ("x+491711234567",), "c2.wav"
        ),
        DecisionMade(
            "c1", 9, START, "attributes", None, None, "r1", {"number": "0171 1234567", "who": "Ann Lee", "n": 1}
        ),
        DecisionMade("c2", 9, START, "attributes", None, None, "r1", {"back": ["00491711234567"], "number": "+4930"}),
        RevisionLoaded("r1", START, "user:x", {"definition": {"callers": {"491711234567": {"priority": 1}}}}),
        Audited("a1", START, "user:x", "call_transfer", "call:c2", {"to": "out,01711234567,1"}),
        Audited("a2", START, "user:x", "agent_login", "agent:anna", {}),
    ]
    await write_day(database, tmp_path / "state", [*lawful(), *day.records])


def everything(database: Database) -> str:
    return json.dumps([database.contents(), database.rows(audit), database.rows(revisions)], ensure_ascii=False)


async def test_a_person_is_found_in_every_spelling_and_place(database: Database, tmp_path: Path) -> None:
    await write_all(database, tmp_path)
    found = who(database, tmp_path).find()
    assert (found.own, found.live) == (["c1", "c3", "c4"], [])
    assert found.names == {"Ann Lee", HOSTILE}
    assert {table: len(keys) for table, keys in found.mentions.items() if keys} == {
        "calls": 1, "decisions": 1, "revisions": 1, "audit": 1,
    }  # fmt: skip
    assert who(database, tmp_path, "+49 30 555").find().own == ["c2"]
    assert who(database, tmp_path, "112").find().own == []
    elsewhere = Person(database.url, "01711234567", Seal(b"k" * 32, Numbering()), tmp_path)
    assert elsewhere.find().own == ["c3", "c4"]


async def test_pages_leave_nobody_out(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_all(database, tmp_path)
    for size in (1, 2):
        monkeypatch.setattr(person, "PAGE", size)
        assert who(database, tmp_path).find().own == ["c1", "c3", "c4"]


async def test_what_is_told_is_all_of_it(database: Database, tmp_path: Path) -> None:
    await write_all(database, tmp_path)
    somebody = who(database, tmp_path)
    found = somebody.find()
    told = {row["call"]: row for row in somebody.calls(found)}
    assert (told["c1"]["notes"].startswith("rang +49 171"), len(told["c1"]["segments"])) == (True, 10)
    assert [one["detail"].get("number") for one in told["c1"]["decisions"]] == [None, "0171 1234567"]
    assert [(row["table"], row["row"].get("call")) for row in somebody.others(found)] == [
        ("calls", "c2"), ("decisions", "c2"), ("revisions", None), ("audit", None),
    ]  # fmt: skip
    assert [(call, path.name) for call, path in somebody.sound(found)] == [("c1", "c1.wav")]


async def test_what_is_erased_is_nowhere_and_every_figure_stays(database: Database, tmp_path: Path) -> None:
    await write_all(database, tmp_path)
    before = database.contents()
    somebody = who(database, tmp_path)
    done = somebody.erase(somebody.find(), "user:me")
    assert {what: count for what, count in done.items() if count} == {
        "calls": 3, "recordings": 1, "mentions in calls": 1, "mentions in decisions": 1, "mentions in revisions": 1,
        "mentions in audit": 1,
    }  # fmt: skip
    left = everything(database)
    for private in ("1711234567", "171 1234567", "171/1234567", "Bobby", HOSTILE[:10]):
        assert private not in left
    after = database.contents()
    personal = {"caller_number", "caller_name", "notes", "recording", "disposition", "tags"}
    for old, new in zip(before["calls"], after["calls"], strict=True):
        assert {key: old[key] for key in old.keys() - personal} == {key: new[key] for key in new.keys() - personal}
    for table in ("segments", "agents", "agent_states"):
        assert before[table] == after[table]
    assert len(before["decisions"]) == len(after["decisions"])
    # One person is still one person to whatever counts callers, and nobody else has changed
    numbers = [row["caller_number"] for row in after["calls"]]
    assert numbers[0] == numbers[2] == numbers[3]
    assert numbers[0].startswith("erased:")
    assert (numbers[1], after["calls"][1]["caller_name"]) == ("+4930555", "Carl")
    assert (after["calls"][2]["disposition"], after["calls"][2]["tags"]) == ("back to [erased]", ["vip", "x[erased]"])
    assert after["calls"][1]["notes"] == "knows [erased], not 01711239999"
    assert not (tmp_path / "sound" / "c1.wav").exists()
    assert (tmp_path / "sound" / "c2.wav").exists()
    assert list(Verifier(database.url).violations()) == []
    entries = {row["action"]: row for row in database.rows(audit)}
    assert (entries["person_erased"]["subject"], entries["person_erased"]["who"]) == (somebody.sealed, "user:me")
    assert somebody.find().counts() == {key: 0 for key in somebody.find().counts()}  # noqa: C420
    again = somebody.erase(somebody.find(), "user:me")
    assert sum(again.values()) == 0


async def test_hashed_numbers_are_found_too(database: Database, tmp_path: Path) -> None:
    await write_all(database, tmp_path)
    sealed = seal(tmp_path).of("+491711234567")
    database.execute(f"UPDATE calls SET caller_number = '{sealed}', caller_name = '' WHERE call = 'c6'")
    database.execute(f"UPDATE calls SET disposition = 'ring {sealed}', target = '{sealed}@out' WHERE call = 'c2'")
    database.execute(f"UPDATE segments SET target = '{sealed}' WHERE call = 'c2' AND serial = 1")
    somebody = who(database, tmp_path)
    found = somebody.find()
    assert found.own == ["c1", "c3", "c4", "c6"]
    assert found.mentions["segments"] == [("c2", 1)]
    somebody.erase(found, "me")
    assert sealed not in json.dumps(database.contents())
    row = next(row for row in database.contents()["calls"] if row["call"] == "c2")
    assert (row["disposition"], row["target"]) == ("ring [erased]", "[erased]@out")
    # Who was erased stays told by the hash
    assert sealed in json.dumps(database.rows(audit))
    again = who(database, tmp_path)
    assert sum(again.find().counts().values()) == 0


@pytest.mark.parametrize(
    "number", ["", "12", "anonymous", "%", "' OR 1=1 --", "+49171\0", "１２３４", "+" * 500, "1 or 2"]
)
def test_what_is_no_number_is_refused(database: Database, tmp_path: Path, number: str) -> None:
    with pytest.raises(ConfigurationError, match="no telephone number"):
        who(database, tmp_path, number)


def test_mentions_are_of_this_number_alone() -> None:
    one = Mention("+49 171 1234567", HERE)
    for text in (
        "+491711234567",
        "0049 171-1234567",
        "tel:01711234567;x",
        "(0171) 123 45 67",
        "+49 (0)171 1234567",
        "49.171.1234567",
    ):
        assert one.in_text(text), text
        assert one.in_bytes(text.encode())
        assert "1234567" not in one.without(text).replace(" ", "")
    for text in (
        "+4917112345678",
        "91711234567",
        "171 1234567",
        "+49171123456",
        "",
        "1711234567",
        "901711234567",
        "5491711234567",
    ):
        assert not one.in_text(text), text
    assert one.scrubbed({"a": [491711234567, 5, None, True, "x"], "01711234567": "Ann"}, frozenset({"Ann"})) == {
        "a": ["[erased]", 5, None, True, "x"], "[erased]": "[erased]",
    }  # fmt: skip


async def test_the_database_s_own_files_hold_nothing_of_it(database: Database, tmp_path: Path) -> None:
    await write_all(database, tmp_path)
    somebody = who(database, tmp_path)
    found = somebody.find()
    somebody.erase(found, "me")
    _, residue = clean_database(database.url, found.numbers)
    assert not residue
    if database.url.startswith("sqlite"):
        files = [path for path in (tmp_path / "db").iterdir() if path.is_file()]
        assert files
        for path in files:
            data = path.read_bytes()
            assert not [text for text in PRIVATE if text.encode() in data], path


def test_what_others_left_in_the_file_is_compacted_away(database: Database, tmp_path: Path) -> None:
    """By a program that overwrites nothing."""
    if not database.url.startswith("sqlite"):
        return
    import sqlite3

    connection: Any = sqlite3.connect(tmp_path / "db" / "acd.db", isolation_level=None)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("CREATE TABLE filler (x)")
    connection.executemany("INSERT INTO filler VALUES (?)", [("+491711234567",)] * 2000)
    connection.execute("DELETE FROM filler")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    connection.close()
    assert b"1711234567" in (tmp_path / "db" / "acd.db").read_bytes()
    assert clean_database(database.url, ["+491711234567"]) == (True, False)
    assert b"1711234567" not in (tmp_path / "db" / "acd.db").read_bytes()
