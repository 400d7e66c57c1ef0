"""Reports written down: what is a number stays one, what callers send does nothing, files are whole and private."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest
from arro3.io import read_parquet

from acd.cli.report_html import ROWS_MAX, page
from acd.domain.errors import ReportError
from acd.reports.files import new_file
from acd.reports.formats import WRITERS
from acd.reports.model import Column, Heading, Kind, Report, Row

COLUMNS = (
    Column("who", "WHO", Kind.TEXT, "somebody"),
    Column("count", "COUNT", Kind.COUNT, "how many"),
    Column("share", "SHARE", Kind.SHARE),
    Column("wait_s", "WAIT", Kind.SECONDS),
    Column("entered", "ENTERED", Kind.MOMENT),
    Column("short", "SHORT", Kind.FLAG),
)
HOSTILE = (
    '=HYPERLINK("http://x","y")', "+491711234567", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", 'a,"b"', "a\r\nb",
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\x1b[2Jx", "\u202egnp.exe", "Bär", "", " =1", "a=b",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)",
)  # fmt: skip


def report_of(rows: list[Row] | Iterator[Row], **more: object) -> Report:
    heading = Heading("abandoned", "Calls & more", 1_792_882_800.0, 1_792_969_200.0, "Europe/Berlin", 1_793_000_000.25)
    return Report(heading, COLUMNS, rows, 1, **more)  # type: ignore[arg-type]


def written(report: Report, shape: str) -> bytes:
    file = io.BytesIO()
    WRITERS[shape](report, file, lambda done: None)
    return file.getvalue()


ROW: Row = ("anna", 3, 1 / 3, 12.25, 1_792_890_000.123456, True)
NONE: Row = (None, None, None, None, None, None)


def test_csv() -> None:
    text = written(report_of([ROW, NONE]), "csv").decode()
    assert text.splitlines() == [
        "who,count,share,wait_s,entered,short",
        "anna,3,0.3333333333333333,12.25,2026-10-25T02:00:00.123456+01:00,true",
        ",,,,,",
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_of_a_csv_file_is_a_formula(text: str) -> None:
    (_, row) = csv.reader(io.StringIO(written(report_of([(text, *ROW[1:])]), "csv").decode(), newline=""))
    assert not row[0].startswith((*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20",))
    assert row[0].removeprefix("'") == text
    assert row[0] == text or text[0] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def test_negative_numbers_stay_numbers() -> None:
    (_, row) = csv.reader(io.StringIO(written(report_of([("x", -3, -0.5, -1.5, 0.0, False)]), "csv").decode()))
    assert row == ["x", "-3", "-0.5", "-1.5", "1970-01-01T01:00:00+01:00", "false"]


def test_json_says_what_it_is() -> None:
    body = json.loads(written(report_of([ROW, NONE], total=(None, *ROW[1:]), notes=["look"]), "json"))
    assert (body["report"], body["zone"], body["notes"]) == ("abandoned", "Europe/Berlin", ["look"])
    assert (body["from"], body["made_at"]) == ("2026-10-25T01:00:00+02:00", "2026-10-26T08:33:20.250000+01:00")
    assert body["columns"][1] == {"name": "count", "kind": "count", "meaning": "how many"}
    assert body["rows"] == [
        {"who": "anna", "count": 3, "share": 1 / 3, "wait_s": 12.25, "entered": "2026-10-25T02:00:00.123456+01:00",
         "short": True},
        dict.fromkeys(column.name for column in COLUMNS),
    ]  # fmt: skip
    assert body["total"]["count"] == 3
    assert json.loads(written(report_of([]), "json"))["rows"] == []
    assert written(report_of([("\x1b[2J\u202e", *ROW[1:])]), "json").isascii()


def test_parquet_has_types() -> None:
    ticks: list[int] = []
    file = io.BytesIO()
    WRITERS["parquet"](report_of([ROW, NONE] * 15_000, streamed=True), file, ticks.append)
    table = read_parquet(io.BytesIO(file.getvalue())).read_all()
    assert table.num_rows == 30_000
    assert ticks == [20_000, 30_000]
    assert [str(field.type).strip() for field in table.schema] == [
        'arro3.core.DataType<Utf8>', 'arro3.core.DataType<Int64>', 'arro3.core.DataType<Float64>',
        'arro3.core.DataType<Float64>', 'arro3.core.DataType<Timestamp(µs, "UTC")>', 'arro3.core.DataType<Boolean>',
    ]  # fmt: skip
    first = [table.column(name)[0].as_py() for name in table.column_names]
    assert first[:4] == list(ROW[:4])
    assert first[4].timestamp() == ROW[4]
    assert [table.column(name)[1].as_py() for name in table.column_names] == [None] * 6
    assert json.loads(table.schema.metadata_str["acd.report"])["zone"] == "Europe/Berlin"


@pytest.mark.parametrize("shape", ["csv", "json", "parquet"])
@pytest.mark.parametrize("buffering", [0, -1])
def test_a_full_disk_is_one_error(shape: str, buffering: int, capfd: pytest.CaptureFixture[str]) -> None:
    file = open("/dev/full", "wb", buffering)  # noqa: SIM115
    with pytest.raises(OSError, match="No space left on device"):
        WRITERS[shape](report_of([ROW] * 60_000), file, lambda done: None)  # type: ignore[arg-type]
    with suppress(OSError):
        file.close()
    assert capfd.readouterr().err == ""


def test_parquet_without_its_library_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "arro3", None)
    with pytest.raises(ReportError, match=r"pip install 'acd\[parquet\]'"):
        written(report_of([ROW]), "parquet")


class Page(HTMLParser):
    """What a browser would see: the tags, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.seen = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "rect", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.seen += data


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_outside_works_in_a_page(text: str) -> None:
    made = Page(page(report_of([(text, *ROW[1:]), ROW])))
    assert made.open == []
    assert not {tag for tag, _ in made.tags} & {"script", "img", "iframe", "link", "a", "form", "base", "object"}
    assert not [
        name for _, attributes in made.tags for name in attributes if name.startswith("on") or name in ("src", "href")
    ]
    assert "\x1b" not in made.seen
    assert "\u202e" not in made.seen
    policy = [a["content"] for tag, a in made.tags if tag == "meta" and "http-equiv" in a]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_a_page_is_whole_and_says_what_it_left_out() -> None:
    rows = (("anna", n, 0.5, 1.0, 1_792_890_000.0, None) for n in range(ROWS_MAX + 5))
    report = report_of(rows, streamed=True, expected=ROWS_MAX + 5)
    made = Page(page(report))
    assert sum(tag == "tr" for tag, _ in made.tags) == ROWS_MAX + 1
    assert f"Only the first {ROWS_MAX:,} rows of {ROWS_MAX + 5:,}" in made.seen
    assert "Calls & more" in made.seen
    assert ("html", {"lang": "en"}) in made.tags
    assert {a.get("scope") for tag, a in made.tags if tag == "th"} == {"col", "row"}


def test_a_file_is_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("old")
    path.chmod(0o644)
    with new_file(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("old")

    def interrupted() -> None:
        with new_file(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    link = tmp_path / "link"
    link.symlink_to(path)
    with new_file(link) as file:
        file.write(b"by the link")
    assert (link.is_symlink(), link.read_bytes(), path.read_text()) == (False, b"by the link", "old")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReportError, match="is no file"), new_file(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(ReportError, match="is a directory"), new_file(tmp_path):
        pass
    with (
        pytest.raises(ReportError, match="cannot be written: No such file or directory"),
        new_file(tmp_path / "a" / "b"),
    ):
        pass
