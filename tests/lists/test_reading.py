"""What files are, before anything is done with them: encodings, delimiters, columns, rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from acd.domain.errors import ConfigurationError
from acd.lists.importing import How, look_only, open_file
from acd.lists.rows import Rows
from acd.lists.source import Line, look

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
