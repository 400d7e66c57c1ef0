"""What goes of lists and of the spill's own files when their time is over, on SQLite and PostgreSQL alike. Collected by
test_listed_*.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from storekit import Database

from acd.domain.errors import MisuseError
from acd.domain.numbers import Numbering
from acd.records import listed, retention
from acd.records.retention import DAY_S, Policy, Retention
from acd.records.seal import Seal
from acd.store.beside import writing
from acd.store.outbound import callbacks, contacts, donotcall
from acd.store.outbound import listed as stored
from acd.store.outbound.attempts import histories
from acd.store.outbound.campaigns import Window, save_ledger
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.tables import (
    TABLES,
    attempts,
    campaign_ledgers,
    contact_numbers,
    do_not_call,
    list_imports,
    list_rejects,
)
from acd.store.outbound.tables import callbacks as promises
from acd.store.outbound.tables import contacts as people
from acd.store.tables import audit

NOW = 1_790_000_000.0
SEAL = Seal(b"k" * 32, Numbering("49", "0"))
LISTS = Policy(lists=100)


def ago(days: float) -> float:
    return NOW - days * DAY_S


def number(n: int) -> str:
    return f"+4930123{n:04d}"


def runs(database: Database, policy: Policy = LISTS, **how: Any) -> Retention:
    how = {"rest": lambda seconds: False, "sealed": SEAL.of, **how}
    return Retention(database.url, policy, Path("/nowhere"), now=NOW, **how)


def tried(database: Database, attempt: str, contact: int, days: float, *, ended: bool = True, to: str = "") -> None:
    row = {
        "attempt": attempt, "campaign": "c", "list": "x", "contact": contact, "position": 0, "number": to or number(contact),
        "mode": "power", "caller_id": "+4930999", "trunk": "t", "node": "pbx1", "committed_at": ago(days), "facts": {"a": 1},
        "ended_at": ago(days) + 5 if ended else None, "outcome": "abandoned" if ended else None,
    }  # fmt: skip
    with writing(database.url) as connection, connection.begin():
        connection.execute(sa.insert(attempts).values(row))


def filled(database: Database, *made: tuple[str, str, float, float | None], lists: dict[str, float]) -> None:
    """Lists and how many days ago they were made; contacts: list, state, days since the last change, and attempt."""
    with writing(database.url) as connection, connection.begin():
        for name, days in lists.items():
            stored.create(connection, name, "me", ago(days))
        for n, (name, state, changed, last) in enumerate(made, 1):
            contacts.add(connection, name, [NewContact([NewNumber(number(n))], name=f"N{n}")], ago(changed))
            values = {"state": state, "last_at": None if last is None else ago(last)}
            values |= {"due_at": ago(changed)} if state == "due" else {}
            values |= {"claimed_epoch": 1} if state == "in_flight" else {}
            connection.execute(sa.update(people).where(people.c.contact == n).values(values))


def left(database: Database) -> list[int]:
    return [row["contact"] for row in database.rows(people)]


@pytest.mark.parametrize("piece", [1, 2, 500])
def test_contacts_whose_work_is_over_go_and_others_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(retention, "PIECE", piece)
    filled(
        database,
        ("worked", "done", 300, 101),
        ("worked", "blocked", 101, None),
        ("worked", "done", 300, 99),
        ("worked", "blocked", 99, None),
        ("worked", "new", 300, None),
        ("worked", "due", 300, 300),
        ("worked", "in_flight", 300, 300),
        lists={"worked": 400},
    )
    looked = runs(database).due()
    taken = runs(database).run("me")
    assert looked.parts == taken.parts == {"contacts": 2, "rejects": 0, "attempts": 0}
    assert looked.rows == taken.rows == {"lists": 2}
    assert left(database) == [3, 4, 5, 6, 7]
    assert [row["contact"] for row in database.rows(contact_numbers)] == [3, 4, 5, 6, 7]
    assert runs(database).due().rows == {"lists": 0}


def test_who_was_blocked_amid_a_call_stays_until_it_is_over(database: Database) -> None:
    filled(database, ("a", "blocked", 300, 300), ("a", "blocked", 300, 300), lists={"a": 400})
    tried(database, "t1", 1, 300, ended=False)
    tried(database, "t2", 2, 300)
    assert runs(database).due().parts["contacts"] == runs(database).run("me").parts["contacts"] == 1
    assert left(database) == [1]
    with writing(database.url) as connection, connection.begin():
        assert contacts.remove(connection, [1]) == 0
        assert contacts.busy(connection, "a") == 1
        connection.execute(sa.update(attempts).values(ended_at=ago(299), outcome="busy"))
        assert contacts.busy(connection, "a") == 0
        assert contacts.remove(connection, [1]) == 1
    assert left(database) == []
    assert database.rows(contact_numbers) == []


def test_all_of_a_list_that_nobody_works_goes(database: Database) -> None:
    """Whatever has happened in the others, or is still to happen."""
    idle = ("new", "due", "done", "blocked")
    filled(
        database,
        *(("idle", state, 101, None) for state in idle),
        *((name, "new", 150, None) for name in ("changed", "dialled", "flying", "promised", "retried", "brought", "fresh")),
        ("changed", "new", 99, None),
        ("dialled", "done", 150, 99),
        ("flying", "in_flight", 150, None),
        ("retried", "due", 150, 120),
        lists=dict.fromkeys(("idle", "changed", "dialled", "flying", "promised", "retried", "brought"), 200) | {"fresh": 99},
    )  # fmt: skip
    with writing(database.url) as connection, connection.begin():
        callbacks.promise(connection, 8, NOW + 99, "me", ago(150))
        connection.execute(sa.update(people).where(people.c.contact == 15).values(due_at=NOW + 5))
        made = stored.begin(connection, "brought", "f.csv", "d", {}, "me", ago(150))
        stored.end(connection, made["import"], ago(99))
        assert listed.idle(connection, ago(100)) == ["idle"]
    assert runs(database).run("me").parts["contacts"] == 4
    assert left(database) == list(range(5, 16))


def test_a_promise_that_is_to_be_kept_keeps_its_contact_and_an_old_one_goes_with_it(database: Database) -> None:
    filled(database, *(("a", "done", 300, None),) * 2, lists={"a": 300})
    with writing(database.url) as connection, connection.begin():
        callbacks.promise(connection, 1, ago(-1), "me", ago(300))
        callbacks.promise(connection, 2, ago(150), "me", ago(300))
        connection.execute(sa.update(people).values(state="blocked"))
    assert runs(database).run("me").parts["contacts"] == 1
    assert left(database) == [1]
    assert [row["contact"] for row in database.rows(promises)] == [1]


def test_attempts_keep_all_but_the_number_and_the_gate_knows_it_again(database: Database) -> None:
    filled(database, ("a", "done", 300, 200), ("a", "new", 50, None), lists={"a": 300})
    tried(database, "1", 1, 250)
    tried(database, "2", 1, 200)
    tried(database, "3", 2, 200)
    tried(database, "4", 77, 150)
    tried(database, "5", 77, 99)
    tried(database, "6", 77, 150, ended=False)
    tried(database, "7", 77, 150, to="hmac:0")
    before = database.rows(attempts)
    assert runs(database).due().parts == {"contacts": 1, "rejects": 0, "attempts": 3}
    assert runs(database).run("me").parts == {"contacts": 1, "rejects": 0, "attempts": 3}
    after = database.rows(attempts)
    sealed = {"1": SEAL.of(number(1)), "2": SEAL.of(number(1)), "4": SEAL.of(number(77))}
    assert after == [{**row, "number": sealed.get(row["attempt"], row["number"])} for row in before]
    with writing(database.url) as connection, connection.begin():
        found = histories(connection, [(9, number(1))], 0.0, SEAL.of)[9, number(1)]
    assert [seen.attempt for seen in found.of_number] == ["1", "2"]
    assert found.abandoned_at == ago(200) + 5


def test_rows_that_became_no_contact_go_with_their_import(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PIECE", 2)
    with writing(database.url) as connection, connection.begin():
        stored.create(connection, "a", "me", ago(300))
        # The second was never finished, the third took long
        for begun, ended in ((300, 299), (150, None), (150, 99), (99, 98)):
            made = stored.begin(connection, "a", "f.csv", f"d{begun}", {"n": begun + (ended or 0)}, "me", ago(begun))
            stored.advance(connection, made["import"], {"rows": 3, "rejected": 3}, 0)
            stored.reject(connection, [(made["import"], n, n, "no number", "x", ["Ann"]) for n in (1, 2, 3)])
            if ended is not None:
                stored.end(connection, made["import"], ago(ended))
    assert runs(database).due().parts == runs(database).run("me").parts == {"contacts": 0, "rejects": 6, "attempts": 0}
    assert sorted({row["import"] for row in database.rows(list_rejects)}) == [3, 4]
    assert [row["rejected"] for row in database.rows(list_imports)] == [3, 3, 3, 3]


def test_who_is_not_to_be_called_and_the_ledger_stay(database: Database) -> None:
    filled(database, ("a", "blocked", 300, 300), lists={"a": 300})
    tried(database, "1", 1, 300)
    with writing(database.url) as connection, connection.begin():
        donotcall.add(
            connection, [donotcall.Entry(number(1), "all", "attempt:1", "opted out", ago(300), "me")], SEAL.of
        )
        save_ledger(connection, "c", [Window("day", 5, answered=3.0, abandoned=1.0)], ago(300))
    stays = [table for table in TABLES if table.name not in ("contacts", "contact_numbers", "attempts")]
    before = {table.name: database.rows(table) for table in stays}
    assert before["do_not_call"]
    assert before["campaign_ledgers"]
    runs(database).run("me")
    assert left(database) == []
    assert {table.name: database.rows(table) for table in stays} == before
    assert {do_not_call, campaign_ledgers} <= {*stays}


def test_a_run_is_noted_part_by_part_and_cannot_begin_without_the_key(database: Database) -> None:
    filled(database, ("a", "done", 300, None), lists={"a": 300})
    with pytest.raises(MisuseError, match="key"):
        runs(database, sealed=None).run("me")
    assert left(database) == [1]
    assert database.rows(audit) == []
    runs(database).run("me")
    (made,) = database.rows(audit)
    assert made["detail"]["rows"] == {"lists": 1}
    assert made["detail"]["parts"] == {"contacts": 1, "rejects": 0, "attempts": 0}
    assert (made["detail"]["outcome"], made["detail"]["kept_from"]) == ("done", {})


def test_a_run_stopped_amid_lists_goes_on_later(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PIECE", 1)
    filled(database, *(("a", "done", 300, None),) * 3, lists={"a": 300})
    with pytest.raises(retention.StoppedError):
        runs(database, rest=lambda seconds: True).run("me")
    assert left(database) == [2, 3]
    assert database.rows(audit)[0]["detail"]["parts"] == {"contacts": 1, "rejects": 0, "attempts": 0}
    assert runs(database).run("me").rows == {"lists": 2}


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        (Policy(calls=50, callers=100), ["old", "older", "refused"]),
        (Policy(callers=100), ["older", "refused"]),
        (Policy(calls=100), ["older", "refused"]),
        (Policy(notes=50, audit=50, lists=50), []),
    ],
)
def test_what_the_spill_set_aside_goes_as_soon_as_calls_or_callers_do(
    database: Database, tmp_path: Path, policy: Policy, gone: list[str]
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    names = {"old": "spill-00000002.jsonl.damaged", "older": "spill-00000001.jsonl.damaged", "refused": "refused.jsonl"}
    for name, days in (("old", 75), ("older", 101), ("refused", 200)):
        (spill / names[name]).write_text("x\n")
        os.utime(spill / names[name], (ago(days), ago(days)))
    for other in ("spill-00000003.jsonl", "lock"):
        (spill / other).write_text("y\n")
        os.utime(spill / other, (ago(300), ago(300)))
    (tmp_path / "mine").write_text("z")
    os.utime(tmp_path / "mine", (ago(300), ago(300)))
    (spill / "link.damaged").symlink_to(tmp_path / "mine")
    run = runs(database, policy, spill=spill)
    assert run.due().rows.get("set_aside", 0) == len(gone)
    assert (spill / names["old"]).exists()
    taken = run.run("me")
    assert (taken.rows.get("set_aside", 0), taken.undeleted) == (len(gone), 0)
    assert {name for name, file in names.items() if not (spill / file).exists()} == {*gone}
    assert (spill / "spill-00000003.jsonl").exists()
    assert (spill / "lock").exists()
    assert (tmp_path / "mine").read_text() == "z"


def test_without_a_spill_nothing_is_looked_for(database: Database, tmp_path: Path) -> None:
    assert runs(database, Policy(calls=1)).due().rows == {"calls": 0}
    assert runs(database, Policy(calls=1), spill=tmp_path / "none").run("me").rows == {"calls": 0, "set_aside": 0}
