"""Lists read from files: every row is accounted for exactly once, whatever the file, and an import goes on where it stopped.
On SQLite and PostgreSQL alike: a module that collects these has a fixture ``url``."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acd.domain.errors import ConfigurationError
from acd.lists import importing
from acd.lists.importing import How, Report, look_only, open_file, rejects_of, run, shared_with
from acd.lists.source import LINE_MAX
from acd.store.beside import reading, writing
from acd.store.outbound import contacts as contacts_of
from acd.store.outbound import donotcall
from acd.store.outbound.tables import contact_numbers, contacts, list_rejects

HERE = How(country="DE")


def rows_in(url: str, table: sa.Table, *where: Any) -> list[dict[str, Any]]:
    with reading(url) as connection, connection.begin():
        found = connection.execute(sa.select(table).where(*where).order_by(*table.primary_key))
        return [dict(row._mapping) for row in found]


def brought(url: str, path: Path, name: str, text: str | bytes, how: How = HERE) -> Report:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run(url, open_file(path, how), name, "user:x", jobs=1, sleep=lambda seconds: None)


def numbers_of(url: str, name: str) -> list[str]:
    mine = sa.select(contacts.c.contact).where(contacts.c.list == name)
    return [row["number"] for row in rows_in(url, contact_numbers, contact_numbers.c.contact.in_(mine))]


def test_a_list_becomes_contacts_and_what_does_not_says_why(url: str, tmp_path: Path) -> None:
    text = (
        "Kundennummer;Vorname;Nachname;Mobil;Telefon;Betrag\n"
        "1;Ann;Lee;0171 1234567;030 1234567;=1+1\n"
        "2;Bob;;0171 XXXX;0171 1234568;5\n"
        "3;Cy;;112;;\n"
        "\n"
        "4;Di;;+49 171 1234567;;\n"
        "1;Eve;;0171 1234569;;\n"
        '5;"Flo;0171 1234570\n'
        "6;Gus;;0171 1234571;;\n"
    )
    report = brought(url, tmp_path / "l.csv", "first", text)
    assert (report.rows, report.imported, report.duplicates, report.rejected) == (7, 3, 2, 2)
    assert report.reasons == {"duplicate": 2, "emergency": 1, "unreadable": 1}
    assert numbers_of(url, "first") == ["+491711234567", "+49301234567", "+491711234568", "+491711234571"]
    ann, bob, _ = rows_in(url, contacts, contacts.c.list == "first")
    assert (ann["key"], ann["name"], ann["country"], ann["state"]) == ("1", "Ann Lee", "DE", "new")
    assert ann["fields"] == {"Betrag": "=1+1"}
    assert bob["fields"] == {"Mobil": "0171 XXXX", "Betrag": "5"}
    rejects = list(rejects_of(url, "first", None))
    assert [(row["line"], row["reason"]) for row in rejects] == [
        (4, "emergency"), (6, "duplicate"), (7, "duplicate"), (8, "unreadable"),
    ]  # fmt: skip


def test_a_row_with_words_beside_a_number_is_turned_away_with_its_other_numbers(url: str, tmp_path: Path) -> None:
    text = (
        "Name;Mobil;Telefon\n"
        "Ann;0171 1234567 (privat);030 1234567\n"
        "Bob;0171 1234568;030 1234568 do not call\n"
        "Cy;0171 1234569 gesperrt;\n"
        "Di;Fax 0171 1234560;030 1234560\n"
        "Eve;Fax: 0171 1234561;\n"
    )
    report = brought(url, tmp_path / "beside.csv", "beside", text)
    assert (report.imported, report.reasons) == (2, {"words": 2, "fax": 1})
    assert numbers_of(url, "beside") == ["+491711234567", "+49301234567", "+49301234560"]
    told = [(row["line"], row["reason"], row["detail"]) for row in rejects_of(url, "beside", None)]
    assert [one[:2] for one in told] == [(3, "words"), (4, "words"), (6, "fax")]
    assert told[0][2].startswith("Telefon: something is written beside the number")


def test_it_is_told_how_many_of_an_import_stand_in_other_lists_too(url: str, tmp_path: Path) -> None:
    rows = [f"P{n};0171 123456{n};030 123456{n}" for n in range(4)]
    head = "Name;Mobil;Telefon\n"
    brought(url, tmp_path / "a.csv", "among-a", head + "\n".join(rows[:3]))
    brought(url, tmp_path / "b.csv", "among-b", head + rows[2])
    report = brought(url, tmp_path / "c.csv", "among-c", head + "\n".join(rows[1:]))
    counts = [
        shared_with(url, report, "among-c", others)
        for others in (["among-a"], ["among-b"], ["among-a", "among-b"], ["among-d"])
    ]
    assert counts == [2, 1, 2, 0]


def test_ten_megabytes_without_an_end_are_one_rejection(url: str, tmp_path: Path) -> None:
    report = brought(url, tmp_path / "l.csv", "long", "phone\n" + "9" * 10_000_000 + "\n0171 1234567\n")
    assert (report.rows, report.imported, report.rejected) == (2, 1, 1)
    (row,) = rejects_of(url, "long", None)
    assert (row["line"], row["reason"], len(row["cells"][0]) < LINE_MAX) == (2, "unreadable", True)


def test_an_import_that_was_cut_off_goes_on_where_it_stopped(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE", 3)
    text = "phone\n" + "".join(f"0171 12345{number:02}\n" for number in range(20))
    left = [3]

    def cut(seconds: float) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    path = tmp_path / "l.csv"
    path.write_text(text)
    with pytest.raises(KeyboardInterrupt):
        run(url, open_file(path, HERE), "cut", "user:x", jobs=1, sleep=cut)
    assert len(numbers_of(url, "cut")) == 9
    again = brought(url, path, "cut", text)
    assert (again.resumed, again.rows, again.imported, again.duplicates) == (9, 20, 20, 0)
    assert len(set(numbers_of(url, "cut"))) == len(numbers_of(url, "cut")) == 20
    third = brought(url, path, "cut", text)
    assert (third.resumed, third.imported, third.duplicates) == (0, 0, 20)


def test_duplicates_are_kept_updated_or_moved_when_that_is_said(url: str, tmp_path: Path) -> None:
    path, text = tmp_path / "l.csv", "name,phone\nAnn,0171 2234567\nBob,0171 2234567\n"
    kept = brought(url, path, "kept", text, How("DE", within="keep"))
    assert (kept.imported, kept.duplicates) == (2, 0)
    assert brought(url, path, "updated", "name,phone\nOld,0171 2234567\n").imported == 1
    updated = brought(url, path, "updated", text, How("DE", within="update"))
    assert (updated.imported, updated.duplicates, updated.updated) == (0, 2, 2)
    assert [row["name"] for row in rows_in(url, contacts, contacts.c.list == "updated")] == ["Bob"]
    brought(url, path, "from", "name,phone\nCy,0171 3334567\n")
    skipped = brought(url, path, "skipped", "phone\n01713334567\n", How("DE", across="skip"))
    assert (skipped.imported, skipped.duplicates) == (0, 1)
    moved = brought(url, path, "moved", "phone\n01713334567\n", How("DE", across="move"))
    assert (moved.imported, moved.moved) == (0, 1)
    assert [row["name"] for row in rows_in(url, contacts, contacts.c.list == "moved")] == ["Cy"]


@pytest.mark.parametrize("across", ["keep", "skip", "move"])
def test_who_is_on_the_list_and_on_another_is_a_duplicate_of_himself(url: str, tmp_path: Path, across: Any) -> None:
    """The other list has him for longer."""
    path, text = tmp_path / "l.csv", "name,phone\nAnn,0171 2234567\n"
    for name in ("older", "own"):
        brought(url, path, f"{name}-{across}", text)
    report = brought(url, path, f"own-{across}", text, How("DE", within="update", across=across))
    assert (report.imported, report.duplicates, report.updated, report.moved) == (0, 1, 1, 0)
    report = brought(url, path, f"own-{across}", text, How("DE", replace=True, across=across))
    assert (report.carried, report.removed) == (1, 0)
    assert [len(numbers_of(url, f"{name}-{across}")) for name in ("older", "own")] == [1, 1]


@pytest.mark.parametrize("piece", [1, 2000])
@pytest.mark.parametrize("before", [False, True])
def test_who_has_a_number_that_was_somebodys_before_an_update_is_somebody_else(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool, piece: int
) -> None:
    """Ann's number changes, Bob has her old one, and Ann is there once more by the new one, without her key."""
    monkeypatch.setattr(importing, "PIECE", piece)
    path, name, head = tmp_path / "l.csv", f"anew{before:d}{piece}", "key,name,phone\n"
    text = "1,Ann,0171 2234567\n1,Ann,0171 3334567\n2,Bob,0171 2234567\n,Anna,0171 3334567\n2,Bob,0171 4434567\n"
    if before:
        brought(url, path, name, head + text.partition("\n")[0])
        text = text.partition("\n")[2]
    report = brought(url, path, name, head + text, How("DE", within="update"))
    assert report.rows == report.imported + report.duplicates
    found = [(row["key"], row["name"]) for row in rows_in(url, contacts, contacts.c.list == name)]
    assert found == [("1", "Anna"), ("2", "Bob")]
    assert numbers_of(url, name) == ["+491713334567", "+491714434567"]


@pytest.mark.parametrize("piece", [1, 2000])
def test_a_row_with_the_second_number_of_a_row_above_is_a_duplicate_of_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(importing, "PIECE", piece)
    text = "name,phone,phone2\nAnn,0171 2234567,0171 3334567\nAnna,0171 3334567,\nBob,0171 4434567,\n"
    report = brought(url, tmp_path / "l.csv", f"second{piece}", text)
    assert (report.imported, report.duplicates) == (2, 1)


def test_who_was_erased_comes_back_by_consent_or_where_it_is_said(url: str, tmp_path: Path) -> None:
    def sealed(number: str) -> str:
        return "hmac:" + sha256(b"key" + number.encode()).hexdigest()[:32]

    def read(name: str, text: str, how: How = HERE) -> Report:
        path = tmp_path / "l.csv"
        path.write_text(text)
        return run(url, open_file(path, how), name, "user:x", jobs=1, sleep=lambda seconds: None, sealed=sealed)

    rows = "name,phone,mobile\nAnn,030 5551234,0171 5551234\nBob,030 5551235,\n"
    assert read("before", rows).imported == 2
    with writing(url) as connection, connection.begin():
        contacts_of.remove(connection, [row["contact"] for row in rows_in(url, contacts, contacts.c.list == "before")])
        donotcall.keep_away(connection, "+491715551234", sealed, 1_767_225_600.0, "user:x")
        scopes = donotcall.scopes_of("any", "any")
        assert list(donotcall.look_up(connection, ["+491715551234"], scopes, sealed, 2e9)) == ["+491715551234"]
    again = read("again", rows)
    assert (again.imported, again.rejected, again.reasons) == (1, 1, {"erased": 1})
    (turned_away,) = rejects_of(url, "again", None)
    assert (turned_away["cells"], "5551234" in str(turned_away)) == ([], False)
    dated = rows.replace("mobile", "mobile,consent").replace("34\nBob", "34,2025-12-31\nBob").replace("35,", "35,,")
    assert read("old", dated).reasons == {"erased": 1}
    assert read("new", dated.replace("2025-12-31", "2026-01-02")).imported == 2
    # Who has come back is a person like others
    assert read("again", rows).reasons == {"duplicate": 1}
    with writing(url) as connection, connection.begin():
        donotcall.keep_away(connection, "+491715551234", sealed, 1_767_225_600.0, "user:x")
    assert read("said", rows, How("DE", allow_erased=True)).imported == 2
    assert read("after", rows).imported == 2


def test_other_processes_prepare_the_same(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ALONE_BYTES", 0)
    monkeypatch.setattr(importing, "PIECE", 10)
    path = tmp_path / "l.csv"
    path.write_text("phone\n" + "".join(f"0171 44445{number:02}\n" for number in range(95)) + "112\n")
    report = run(url, open_file(path, HERE), "apart", "user:x", jobs=2, sleep=lambda seconds: None)
    assert (report.rows, report.imported, report.rejected) == (96, 95, 1)
    assert numbers_of(url, "apart") == [f"+4917144445{number:02}" for number in range(95)]


_CELLS = st.text(max_size=12) | st.sampled_from(
    ["0171 1234567", "+49301234567", '"', '"0171', "\0", "=1+1", "112", ";", ",", "\r\n", "\n", "\u2028", "\ufeff"]
)


@settings(max_examples=60, deadline=None)
@example("\x1f,\x1f,\x1f", False)
@given(st.lists(st.lists(_CELLS, max_size=4).map(",".join), max_size=12).map("\n".join), st.booleans())
def test_whatever_the_text_every_row_is_accounted_for_once(url: str, body: str, quoted: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "l.csv"
        path.write_bytes(("phone,name\n" + body).encode("utf-8", "replace"))
        how = How("DE", delimiter=",", encoding="utf-8" if quoted else None)
        try:
            looked, _, _ = look_only(open_file(path, how))
        except ConfigurationError as error:
            if "is no text" not in str(error):
                raise
            return
        before = len(rows_in(url, list_rejects))
        listed = len(rows_in(url, contacts, contacts.c.list == "whatever"))
        report = run(url, open_file(path, how), "whatever", "user:x", jobs=1, sleep=lambda seconds: None)
    assert report.rows == report.imported + report.duplicates + report.rejected == looked.rows
    assert report.rejected == looked.rejected
    assert len(rows_in(url, list_rejects)) - before == report.duplicates + report.rejected
    assert len(rows_in(url, contacts, contacts.c.list == "whatever")) - listed == report.imported
