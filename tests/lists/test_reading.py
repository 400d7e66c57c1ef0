"""What files are, before anything is done with them: encodings, delimiters, columns, rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from acd.domain.errors import ConfigurationError
from acd.lists.donotcall import How as Dnc
from acd.lists.donotcall import open_file as open_dnc
from acd.lists.donotcall import read_entries
from acd.lists.importing import How, look_only, open_file
from acd.lists.prepare import prepared
from acd.lists.rows import Rows
from acd.lists.source import Line, look
from acd.store.outbound.contacts import NewContact

HERE = How(country="DE")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings_are_found_out(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes("Name;Telefon\nJürgen Müller;0171 1234567\nÉlodie Lefèvre;030 1234567\n".encode(encoding))
    _, good, bad = look_only(open_file(path, HERE))
    assert [one.name for one in good] == ["Jürgen Müller", "Élodie Lefèvre"]
    assert bad == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\0", "save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
        (gzip.compress(b"phone\n0171 1234567\n", mtime=0), "unpack it first"),
        (b"%PDF-1.4\n", "a PDF"),
        (b'\xef\xbb\xbf [{"phone": "0171 1234567"}]', "is JSON"),
        (b"<html><td>phone</td></html>", "is HTML or XML"),
        (bytes(range(1, 256)) * 4, "is no text"),
        (b"\n \n\n", "has nothing but empty lines"),
        (b"\n" * 100, "begins with 60 empty lines"),
    ],
)
def test_what_is_no_list_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said):
        open_file(path, HERE)


@pytest.mark.parametrize("content", [b"D" * 6000, b"\xd5" * 200_000, b"D" * 600 + b";D\nDD;D\n"])
def test_rubbish_is_no_text_whatever_it_consists_of(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(content)
    for opened in (lambda: open_file(path, HERE), lambda: open_dnc(path, Dnc("DE"))):
        with pytest.raises(ConfigurationError, match=r"is no text|nor is it text") as error:
            opened()
        assert "DDD" not in str(error.value)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_of_two_encodings_are_both_read_and_it_is_said(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(
        mark + b"phone;name\n" + "0171 1234567;Jürgen\n0171 1234568;Łukasz Müller\n".encode()
        + "0171 1234569;Günther Groß\n".encode("cp1252") + "0171 1234560;Élodie\n".encode()
    )  # fmt: skip
    opened = open_file(path, HERE)
    _, good, _ = look_only(opened)
    assert [one.name for one in good] == ["Jürgen", "Łukasz Müller", "Günther Groß", "Élodie"]
    assert (opened.source.encoding.removesuffix("-sig"), opened.source.stray) == ("utf-8", "cp1252")
    assert "read as cp1252" in opened.source.strays
    assert opened.as_json()["encoding"] == f"{opened.source.encoding}, cp1252"


def test_a_file_of_one_encoding_is_not_taken_for_mixed(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    for encoding in ("utf-8", "cp1252"):
        path.write_bytes("phone;name\n0171 1234567;René\n0171 1234568;André\n0171 1234569;Zoé\n".encode(encoding))
        source = open_file(path, HERE).source
        assert (source.encoding, source.stray, source.strays) == (encoding, "", "")
    # One letter that is not UTF-8, behind more of the others than are looked at
    path.write_bytes(b"phone;name\n" + "0171 1234567;Jürgen\n".encode() * 5000 + b"0171 1234568;J\xfcrgen\n")
    opened = open_file(path, HERE)
    assert {one.name for row in opened.rows() if isinstance(one := prepared(row, opened.terms), NewContact)} == {
        "Jürgen"
    }
    assert opened.source.stray == "cp1252"


def test_a_number_that_may_be_two_is_no_head_and_no_contact(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("phone;mobile\n4921123456;\n4915112345679;\n4921123456;491701234567\n493012345678.0;\n")
    _, good, bad = look_only(open_file(path, HERE))
    assert [[each.number for each in one.numbers] for one in good] == [
        ["+4915112345679"], ["+491701234567"], ["+493012345678"],
    ]  # fmt: skip
    assert good[1].fields == {"phone": "4921123456"}
    assert [(one.line, one.reason) for one in bad] == [(2, "ambiguous")]
    assert "phone: " in bad[0].detail
    assert "write + or 00" in bad[0].detail
    path.write_text("4921123456;Ann\n")
    with pytest.raises(ConfigurationError, match="--no-header"):
        open_file(path, HERE)


def test_do_not_call_keeps_both_numbers_of_what_may_be_two() -> None:
    assert read_entries("4915112345679", "DE") == ["+4915112345679"]
    assert read_entries("491701234567.0", "DE") == ["+491701234567"]
    assert read_entries("4921123456", "DE") == ["+4921123456", "+494921123456"]
    assert read_entries("0 4921 123456", "DE") == ["+494921123456"]
    assert read_entries("4.93E+11", "DE")[0] == "figure"


@pytest.mark.parametrize(
    "text",
    [
        "030 1230014 do not call",
        "gesperrt: 030 1230014",
        "030 1230014 (fax)",
        "030 1230014 since 2024",
        "030 1230014#31#",
    ],
)
def test_do_not_call_takes_numbers_whatever_is_written_beside_them(text: str) -> None:
    assert read_entries(text, "DE") == ["+49301230014"]


def test_do_not_call_takes_every_number_among_words() -> None:
    assert read_entries("030 1230014 or 0171 1234567", "DE") == ["+49301230014", "+491711234567"]


def test_few_odd_characters_make_no_file_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(b"name;phone\nA\x01;0171 1234567\n" + b"Bob;0171 1234568\n" * 20)
    assert look_only(open_file(path, HERE))[0].imported == 21
    assert not look(path).guessed
    with pytest.raises(ConfigurationError, match="a folder"):
        look(tmp_path)


def test_an_encoding_that_was_said_wrongly_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes("Name;Telefon\nJürgen;0171 1234567\n".encode("cp1252"))
    with pytest.raises(ConfigurationError, match="is not utf-8"):
        look(path, "utf-8")
    with pytest.raises(ConfigurationError, match="no encoding 'klingon'"):
        look(path, "klingon")


@pytest.mark.parametrize(
    ("text", "how", "said"),
    [
        ("", HERE, "is empty"),
        ("Telefon;telefon\n1;2\n", HERE, r"'telefon' \(columns 1 and 2\)"),
        ("Name;City\nx;y\n", HERE, "no column is a telephone number"),
        ("Name;Phone\nx;y\n", How(said=(("number", "Fone"),)), "nearest: Phone"),
        ("0171 1234567;Ann\n", HERE, "--no-header"),
    ],
)
def test_heads_that_cannot_be_used(tmp_path: Path, text: str, how: How, said: str) -> None:
    path = tmp_path / "l.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        open_file(path, how)


def test_a_long_line_and_an_open_quotation_mark_cost_only_themselves() -> None:
    long = Line(2, '"' + "x" * 900, too_long=True)
    after = [Line(3, "1,2\n"), Line(4, '"3,4\n'), Line(5, "5,6\n")]
    rows = Rows([Line(1, "a,b\n"), long, *after], ",")
    rows.width = 2
    assert [(row.line, bool(row.fault)) for row in rows] == [(1, False), (2, True), (3, False), (4, True), (5, False)]
