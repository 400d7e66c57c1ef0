"""What dialling keeps of a person, told and taken away, on SQLite and PostgreSQL alike. Collected by test_contacted_*.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from storekit import Database

from acd.domain.errors import RefusedError
from acd.domain.numbers import Numbering
from acd.records.contacted import Contacted
from acd.records.mentions import Mention
from acd.records.person import Person
from acd.records.places import OWN, PLACES
from acd.records.seal import Seal
from acd.store.beside import writing
from acd.store.outbound import callbacks, contacts, donotcall, listed
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.tables import attempts, campaign_states, list_imports
from acd.store.tables import audit, calls, decisions, metadata, queue_log, revisions, segments

NUMBER, SECOND, OTHER = "+491711234567", "+493012345", "+4930555000"
SEAL = Seal(b"k" * 32, Numbering("49", "0"))
NOW = 1_790_000_000.0
SAID = "or 0171 / 123-45 67"
NO_NUMBER = {
    "calls": {"call", "node", "channel", "linkedid", "did", "queue", "agent", "outcome", "ended_by", "client", "from_call"},
    "segments": {"call", "kind", "queue", "agent", "offer", "outcome"},
    "decisions": {"call", "kind", "agent", "offer", "revision"},
    "agent_states": {"agent", "state", "reason", "call"},
    "agents": {"agent", "state", "reason", "call", "phone", "pending"},
    "revisions": {"revision"},
    "audit": {"entry", "action"},
    "epochs": {"host"},
    "writers": {"writer"},
    "counters": {"name"},
    "lists": {"list", "client", "country"},
    "list_imports": {"list", "digest"},
    "list_rejects": {"reason"},
    "contacts": {"list", "zone", "country", "region", "language", "state", "callback_agent", "last_outcome",
                 "refused"},
    "contact_numbers": {"kind", "zone", "state"},
    "do_not_call": {"scope", "seal"},
    "attempts": {
        "attempt", "campaign", "list", "mode", "caller_id", "trunk", "node", "outcome", "call", "agent", "message",
        "verdict", "said",
    },
    "callbacks": {"list", "campaign", "agent", "outcome", "attempt"},
    "campaign_states": {"campaign", "state", "statistics"},
    "campaign_ledgers": {"campaign", "window", "detail"},
    "queue_log": {"callid", "queuename", "agent", "event"},
    "queue_log_place": {"writer", "numbers", "member"},
}  # fmt: skip
"""Table -> columns with ids, names from the configuration, words of ours and figures. A new column belongs here, or where a
number is looked for."""


def texts(table: sa.Table) -> set[str]:
    return {column.name for column in table.c if isinstance(column.type, sa.Text | sa.JSON)}


def who(database: Database, tmp_path: Path, number: str = "0171/1234567") -> Person:
    return Person(database.url, number, SEAL, tmp_path / "sound")


def filled(table: sa.Table, **given: Any) -> dict[str, Any]:
    """A row whose every column has a value; where a mention is looked for, there is one."""
    row: dict[str, Any] = {}
    for column in table.c:
        if column.name in PLACES.get(table.name, ()):
            row[column.name] = {"said": [SAID]} if isinstance(column.type, sa.JSON) else SAID
        elif isinstance(column.type, sa.JSON):
            row[column.name] = {}
        elif not column.nullable:
            row[column.name] = "x" if isinstance(column.type, sa.Text) else 1
    if "tags" in row:
        row["tags"] = [SAID]
    return row | given


def write_all(database: Database, *, in_flight: str = "") -> None:
    """The person in every place there is, and somebody else beside him."""
    with writing(database.url) as connection, connection.begin():
        listed.create(connection, "a", f"by {SAID}", NOW, description=SAID)
        new = [
            NewContact(
                [NewNumber(SECOND), NewNumber(NUMBER, extension=NUMBER)], NUMBER, "Ann Lee", fields={"x": "secret"}
            ),
            NewContact([NewNumber(OTHER)], f"k{NUMBER}", SAID, fields={"by": SAID, "else": "kept"}),
        ]
        contacts.add(connection, "a", new, NOW)
        callbacks.promise(connection, 1, NOW, "me", NOW, number=NUMBER, note="Ann waits")
        callbacks.promise(connection, 2, NOW, SAID, NOW, note=SAID)
        connection.execute(
            sa.update(callbacks.callbacks).where(callbacks.callbacks.c.callback == 2).values(number=NUMBER)
        )
        rows: list[tuple[sa.Table, dict[str, Any]]] = [
            (calls, filled(calls, call="c1", caller_number=NUMBER, caller_name="Ann Lee", ended_at=NOW)),
            (calls, filled(calls, call="c2", caller_number=OTHER, caller_name="Bob", ended_at=NOW)),
            *((table, filled(table, call=call)) for table in (segments, decisions) for call in ("c1", "c2")),
            *((table, filled(table)) for table in (revisions, audit, campaign_states, queue_log)),
            (list_imports, filled(list_imports, **{"import": 1, "list": "a"})),
            *(
                (attempts, filled(attempts, attempt=name, contact=contact, number=number, list="a", ended_at=NOW))
                for name, contact, number in (
                    ("t1", 1, NUMBER), ("t2", 1, SECOND), ("t3", 9, NUMBER), ("t4", 9, SEAL.of(NUMBER)), ("t5", 2, OTHER),
                )
            ),
        ]  # fmt: skip
        for table, row in rows:
            connection.execute(sa.insert(table).values(row))
        gate = {"asked": NUMBER, "others": [SECOND], "name": "Ann Lee", "said": SAID}
        connection.execute(sa.update(attempts).where(attempts.c.attempt == "t1").values(facts=gate))
        if in_flight:
            connection.execute(sa.text(in_flight))
        cells = [["Ann Lee", SAID], ["Ann Lee", "1711234567"], ["Ann Lee", "x"], ["Bob", "030 555000"]]
        rejected = [(1, row, row, "duplicate", NUMBER if row == 3 else "", one) for row, one in enumerate(cells, 1)]
        listed.reject(connection, rejected)
        entry = donotcall.Entry(NUMBER, "all", f"of {SAID}", SAID, NOW, SAID)
        more = [donotcall.Entry(form, scope, "register", "", NOW, "me") for form, scope in (
            (donotcall.sha256_of(NUMBER), "client:x"), (SEAL.of(NUMBER), "campaign:y"), (OTHER, "all"),
        )]  # fmt: skip
        donotcall.add(connection, [entry, *more], SEAL.of)


def every_text(database: Database) -> Iterator[tuple[str, str, str]]:
    """All values of all text and JSON columns of all tables: table, column, value."""
    for table in metadata.sorted_tables:
        for row in database.rows(table):
            for name in texts(table):
                if row[name] is not None:
                    yield table.name, name, json.dumps(row[name], ensure_ascii=False)


def test_every_column_with_text_is_looked_at_or_known_to_hold_no_number() -> None:
    for table in metadata.sorted_tables:
        known = {*PLACES.get(table.name, ()), *OWN.get(table.name, ()), *NO_NUMBER[table.name]}
        assert texts(table) == known & set(table.c.keys()) & texts(table), table.name
        assert known <= set(table.c.keys()), table.name


def test_after_an_erasure_no_table_has_the_number(database: Database, tmp_path: Path) -> None:
    write_all(database)
    mention = Mention(NUMBER, SEAL.numbering)
    before = {(table, name) for table, name, value in every_text(database) if mention.in_text(value)}
    places = {(table, name) for table, names in PLACES.items() for name in names}
    own = {(table, name) for table, names in OWN.items() for name in names}
    assert before == places | own - {("calls", "caller_name"), ("calls", "recording")}
    somebody = who(database, tmp_path)
    expected = somebody.would_go(somebody.find())
    done = somebody.erase(somebody.find(), "me")
    assert {what: count for what, count in done.items() if what in expected} == expected
    assert {what: count for what, count in done.items() if count} == {
        "calls": 1, "contacts": 1, "contact_numbers": 2, "callbacks": 1, "list_rejects": 3, "attempts": 4, "do_not_call": 2,
        **{f"mentions in {name}": 1 for name in PLACES if name != "do_not_call"},
    }  # fmt: skip
    sealed = SEAL.of(NUMBER)
    left = list(every_text(database))
    assert [one for one in left if mention.in_text(one[2]) or "Ann" in one[2] or "secret" in one[2]] == []
    assert [one for one in left if SECOND in one[2] or donotcall.sha256_of(NUMBER) in one[2]] == []
    assert {table for table, _, value in left if sealed in value} == {"audit", "do_not_call"}
    (entry,) = [row for row in database.rows(audit) if row["action"] == "person_erased"]
    assert entry["detail"]["rows"] == done
    assert sum(somebody.erase(somebody.find(), "me").values()) == 0


def test_rows_that_count_stay_and_nobody_else_loses_anything(database: Database, tmp_path: Path) -> None:
    write_all(database)
    before = database.rows(attempts)
    who(database, tmp_path).erase(who(database, tmp_path).find(), "me")
    after = {row["attempt"]: row for row in database.rows(attempts)}
    same = set(before[0]) - {"number", "facts"}
    assert [{name: row[name] for name in same} for row in before] == [
        {name: row[name] for name in same} for row in after.values()
    ]
    called_from = database.rows(calls)[0]["caller_number"]
    assert called_from.startswith("erased:")
    assert [row["number"] for row in after.values()] == [called_from] * 4 + [OTHER]
    assert after["t1"]["facts"] == {
        "asked": "[erased]",
        "others": ["[erased]"],
        "name": "[erased]",
        "said": "or [erased]",
    }
    with writing(database.url) as connection, connection.begin():
        (kept,) = contacts.rows_of(connection, [1, 2])
        assert (kept["fields"], kept["numbers"][0]["number"]) == ({"by": "or [erased]", "else": "kept"}, OTHER)
        (promised,) = callbacks.open_ones(connection)
        assert (promised["contact"], promised["number"], promised["note"]) == (2, None, "or [erased]")
        assert [row["cells"] for row in listed.rejects(connection, 1)] == [[], [], [], ["Bob", "030 555000"]]
        assert listed.reasons(connection, 1) == {"duplicate": 4}


def test_who_was_not_to_be_called_is_not_called_again(database: Database, tmp_path: Path) -> None:
    write_all(database)
    who(database, tmp_path).erase(who(database, tmp_path).find(), "me")
    with writing(database.url) as connection, connection.begin():
        donotcall.check_seal(connection, SEAL.of)
        found = donotcall.look_up(connection, [NUMBER, OTHER, SECOND], ("all", "client:x"), SEAL.of, NOW)
        assert {number: [(one.number, one.scope) for one in entries] for number, entries in found.items()} == {
            NUMBER: [(SEAL.of(NUMBER), "all"), (SEAL.of(NUMBER), "client:x")], OTHER: [(OTHER, "all")],
        }  # fmt: skip
        (own,) = [one for one in found[NUMBER] if one.scope == "all"]
        assert (own.source, own.reason, own.added_by) == ("of or [erased]", "or [erased]", "or [erased]")


def test_all_that_dialling_keeps_is_told(database: Database, tmp_path: Path) -> None:
    write_all(database)
    somebody = who(database, tmp_path, "+49 (0)171 1234567")
    found = somebody.find()
    told: dict[str, list[dict[str, Any]]] = {}
    for one in somebody.dialled(found):
        told.setdefault(one["table"], []).append(one["row"])
    assert {table: len(rows) for table, rows in told.items()} == {
        "contacts": 1, "contact_numbers": 2, "callbacks": 1, "list_rejects": 3, "attempts": 4, "do_not_call": 3,
    }  # fmt: skip
    assert (told["contacts"][0]["name"], told["contacts"][0]["fields"]) == ("Ann Lee", {"x": "secret"})
    assert [row["attempt"] for row in told["attempts"]] == ["t1", "t2", "t3", "t4"]
    assert [one["row"]["contact"] for one in somebody.others(found) if one["table"] == "contacts"] == [2]
    assert found.counts()["do_not_call"] == 3


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE contacts SET state = 'in_flight' WHERE contact = 1", "contact 1"),
        ("UPDATE attempts SET ended_at = NULL WHERE attempt = 't2'", "attempt t2"),
        ("UPDATE attempts SET ended_at = NULL WHERE attempt = 't4'", "attempt t4"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_who_is_being_dialled_is_not_erased(
    database: Database, tmp_path: Path, statement: str, named: str, late: bool
) -> None:
    write_all(database, in_flight="" if late else statement)
    somebody = who(database, tmp_path)
    found = somebody.find()
    if late:
        assert found.in_flight == []
        database.execute(statement)
    before = list(every_text(database))
    with pytest.raises(RefusedError, match=rf"being dialled \({named}\): nothing was erased"):
        somebody.erase(found, "me")
    assert list(every_text(database)) == before


def test_a_claim_that_comes_in_between_is_noticed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(database)
    somebody = who(database, tmp_path)
    found = somebody.find()
    real: Callable[..., int] = contacts.remove

    def claimed(connection: sa.Connection, ids: list[int]) -> int:
        connection.execute(sa.text("UPDATE contacts SET state = 'in_flight' WHERE contact = 1"))
        return real(connection, ids)

    monkeypatch.setattr(contacts, "remove", claimed)
    before = list(every_text(database))
    with pytest.raises(RefusedError, match="contact 1"):
        somebody.erase(found, "me")
    assert list(every_text(database)) == before


def test_others_in_flight_hinder_nobody(database: Database, tmp_path: Path) -> None:
    write_all(database, in_flight="UPDATE contacts SET state = 'in_flight' WHERE contact = 2")
    assert who(database, tmp_path).erase(who(database, tmp_path).find(), "me")["contacts"] == 1


@pytest.mark.parametrize(
    ("number", "cell", "is_it"),
    [
        ("+447700900123", "07700 900 123", True),
        ("+447700900123", "7700900123", True),
        ("+12025550123", "(202) 555-0123", True),
        ("+12025550123", "1-202-555-0123", True),
        ("+12025550123", "12025550124", False),
        ("+447700900123", "\u202a+44 (0)\u00a07700\u2013900\u2013123\u202c", True),
        ("+447700900123", "\uff10\uff17\uff17\uff10\uff10 \uff19\uff10\uff10\uff11\uff12\uff13", True),
        ("+447700900123", "Ann;07700 900.123;x", True),
        ("+447700900123", "07700 900 123 4", False),
        ("+447700900123", "77009001234", False),
        ("112", "2", False),
    ],
)
def test_rows_of_lists_are_written_as_in_their_country(database: Database, number: str, cell: str, is_it: bool) -> None:
    with writing(database.url) as connection, connection.begin():
        listed.reject(connection, [(1, 1, 1, "unknown", "", ["Ann", cell])])
        found = Contacted(Mention(number, SEAL.numbering), SEAL).find(connection)
    assert found["list_rejects"] == ([(1, 1)] if is_it else [])
