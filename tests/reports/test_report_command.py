"""acd report, from the command line: what people type, and what they get when it is wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from reportkit import World, fill, make_world

from acd.cli import cli
from acd.cli.revisiondetail import detail_of
from acd.config.floor import parse_floor
from acd.config.problems import Problems
from acd.domain.errors import StoreError
from acd.domain.numbers import Numbering
from acd.records.seal import load_seal
from acd.records.trail import entry, insert
from acd.reports.catalogue import REPORTS
from acd.reports.database import open_database
from acd.store import upgrade
from acd.store.location import locate
from acd.store.tables import audit, calls, revisions

Acd = Callable[..., Result]


@pytest.fixture(scope="module")
def world() -> World:
    made = (make_world(seed, size=300) for seed in range(50))
    return next(world for world in made if world.zone.key == "Europe/Berlin" and len(world.states) > 40)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, world: World) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('filled')}/acd.db"
    upgrade(url)
    fill(url, world)
    return url


@pytest.fixture
def acd(filled: str, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Acd:
    """`acd report ...` on that database, at the world's now."""
    monkeypatch.setattr(time, "time", lambda: world.now)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, url: str = filled, **more: object) -> Result:
        name, *rest = arguments
        given = [] if name in ("list", "--help") or "--help" in rest else ["--url", url]
        return CliRunner().invoke(cli, ["report", name, *rest, *given], prog_name="acd", **more)  # type: ignore[arg-type]

    return run


@pytest.fixture
def during(world: World) -> list[str]:
    text = [time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)) for at in (world.from_s, world.to_s)]
    return ["--from", f"{text[0]}Z", "--to", f"{text[1]}Z", "--zone", "Europe/Berlin"]


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("shape", ["table", "json", "csv", "parquet", "html"])
def test_every_report_in_every_shape(acd: Acd, during: list[str], tmp_path: Path, name: str, shape: str) -> None:
    path = tmp_path / "made"
    result = acd(name, *during, "--format", shape, "-o", str(path))
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    if shape == "json":
        body = json.loads(content)
        assert body["report"] == name
        assert body["rows"]
        assert all(list(row) == [column["name"] for column in body["columns"]] for row in body["rows"])
    elif shape == "csv":
        rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}
    elif shape == "parquet":
        assert content[:4] == content[-4:] == b"PAR1"
    elif shape == "html":
        assert content.startswith(b"<!doctype html>")
    else:
        assert REPORTS[name].title in content.decode()


def test_the_screen_and_json_say_the_same(acd: Acd, during: list[str]) -> None:
    body = json.loads(acd("service", *during, "--json").stdout)
    screen = acd("service", *during).stdout
    for row in body["rows"]:
        line = next(line for line in screen.splitlines() if line.startswith(row["queue"]))
        assert str(row["offered"]) in line.split()
    assert re.search(rf"^all\s+{body['total']['offered']}\s", screen, re.MULTILINE)
    assert body["settings"] == {"threshold": "20 s", "short": "less than 5 s"}


def test_columns_and_rows_are_chosen(acd: Acd, during: list[str]) -> None:
    result = acd("service", *during, "--by", "daily,queue", "--columns", "asa_s, offered", "--format", "csv")
    assert result.stdout.splitlines()[0] == "day,queue,asa_s,offered"
    assert (
        acd("service", *during, "--by", "all", "--columns", "offered", "--format", "csv").stdout.splitlines()[0]
        == "offered"
    )
    assert acd("abandoned", *during, "--columns", "number,wait_s", "--format", "csv").stdout.startswith("number,wait_s")


def test_filters_and_thresholds_count(acd: Acd, during: list[str]) -> None:
    def figures(*more: str) -> dict[str, dict[str, float]]:
        rows = json.loads(acd("service", *during, "--json", *more).stdout)["rows"]
        return {row["queue"]: row for row in rows}

    usual, strict, one = figures(), figures("--threshold", "0"), figures("--threshold", "sales=0s", "--short", "1m")
    assert set(figures("--queue", "sales", "--queue", "billing")) == {"sales", "billing"}
    assert strict["sales"]["service_level"] < usual["sales"]["service_level"]
    assert strict["support"]["service_level"] < usual["support"]["service_level"]
    assert one["sales"]["service_level"] == strict["sales"]["service_level"]
    assert one["support"]["service_level"] == usual["support"]["service_level"]
    assert one["support"]["short_abandoned"] > usual["support"]["short_abandoned"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["servise"], 2, "Did you mean 'service'?"),
        (["service", "--by", "quue"], 2, "there is no interval or column named 'quue' (nearest: queue)"),
        (["service", "--columns", "service_levl"], 2, "there is no column named 'service_levl' (nearest: service_level)"),
        (["service", "--queue", "sale"], 4, "there is no queue named 'sale' (nearest: sales)"),
        (["service", "--agent", "ana"], 4, "there is no agent named 'ana' (nearest: anna)"),
        (["service", "--client", "acne"], 4, "there is no client named 'acne' (nearest: acme)"),
        (["service", "--did", "493055510"], 4, "there is no number dialled (did) named '493055510' (nearest: 4930555"),
        (["timeline", "--queue", "sales"], 2, "--queue"),
        (["abandoned", "--by", "day"], 2, "--by"),
        (["heatmap", "--by", "day"], 2, "`heatmap` is a grid"),
        (["skills", "--columns", "wait_p50_s"], 2, "percentiles cannot be told by skill"),
        (["service", "--by", "day,queue,agent,did,client"], 2, "--by takes at most 4 names"),
        (["service", "--from", "2026-13-01"], 2, "is no time that there is"),
        (["service", "--from", "1970", "--by", "15min"], 2, "at most 40000 can be told apart"),
        (["service", "--zone", "Europe/Berln"], 2, "nearest: Europe/Berlin"),
        (["service", "--threshold", "soon"], 2, "write 20s, or QUEUE=20s"),
        (["service", "--threshold", "sale=10s"], 4, "there is no queue named 'sale' (nearest: sales)"),
        (["service", "--threshold", "=10s"], 4, "there is no queue named ''"),
        (["service", "-o", "made.xls"], 2, "made.xls ends in .xls, which says no format"),
        (["service", "-o", "made.jsn"], 2, "(nearest: .json): one of .json, .csv"),
        (["service", "-o", "made"], 2, "made has no ending that says a format"),
        (["service", "-o", "."], 2, "acd: . is a directory: name a file in it"),
        (["service", "-o", "..", "--format", "csv"], 2, "acd: .. is a directory: name a file in it"),
        (["service", "--short", "-1s"], 2, "is no duration"),
        (["service", "--format", "xls"], 2, "'table', 'json', 'csv', 'parquet', 'html'"),
        (["service", "-o", "/nowhere/at/all.csv"], 2, "cannot be written: No such file or directory"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(acd: Acd, arguments: list[str], code: int, said: str) -> None:
    result = acd(*arguments)
    assert said in result.stderr, result.stderr
    assert result.exit_code == code
    assert result.stdout == ""


EVERY_CALL = [sys.executable, "-m", "acd", "report", "calls", "--from", "2026-01-01", "--format", "csv", "--url"]


def test_a_full_disk_is_not_the_databases_fault(filled: str, tmp_path: Path) -> None:
    command = [*EVERY_CALL, filled]
    with Path("/dev/full").open("wb") as full:
        made = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert made.returncode == 2
    assert made.stderr.splitlines()[-1] == "acd: standard output could not be written: No space left on device"


def test_a_column_that_holds_no_json_is_named_with_its_call(acd: Acd, filled: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    with closing(sqlite3.connect(filled.removeprefix("sqlite:///"))) as source, closing(sqlite3.connect(broken)) as to:
        source.backup(to)
        (call,) = to.execute("SELECT call FROM calls ORDER BY entered_at LIMIT 1 OFFSET 3").fetchone()
        to.execute("UPDATE calls SET tags = '{bad' WHERE call = ?", (call,))
        to.commit()
    result = acd("calls", "--from", "2026-01-01", "--format", "csv", "-o", "x.csv", url=f"sqlite:///{broken}")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith(
        f"broken.db cannot be read: tags of call {call} in table calls: malformed JSON"
    )
    assert not (tmp_path / "x.csv").exists()


def test_no_room_for_sorting_is_said(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("database or disk is full"))

    with open_database(filled) as database:
        monkeypatch.setattr(sa.Connection, "execute", full)
        with pytest.raises(StoreError, match=r"no room for what SQLite sorts .* SQLITE_TMPDIR"):
            database.rows(sa.select(calls))
        monkeypatch.undo()


def test_whoever_reads_may_stop_reading(filled: str, tmp_path: Path) -> None:
    command = [*EVERY_CALL, filled]
    read, write = os.pipe()
    os.close(read)
    made = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    os.close(write)
    assert made.returncode == 0, made.stderr
    assert "Broken pipe" not in made.stderr


def test_errors_as_json(acd: Acd) -> None:
    result = acd("service", "--queue", "sale", "--json")
    assert json.loads(result.stderr)["error"]["nearest"] == "sales"
    error = json.loads(acd("service", "--by", "quue", "--json").stderr)["error"]
    assert (error["kind"], error["nearest"]) == ("usage", "queue")


def test_a_grid_says_what_it_is_a_grid_of(acd: Acd, during: list[str]) -> None:
    def title(*by: str) -> str:
        return str(json.loads(acd("heatmap", *during, "--json", *by).stdout)["title"])

    assert title() == title("--by", "weekday,hour_of_day") == "Hours of the week"
    assert title("--by", "queue,hour_of_day") == "Queue by hour of day"
    assert title("--by", "did,day") == "DID by day"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["service"], True),
        (["heatmap", "--columns", "service_level_gross"], True),
        (["service", "--threshold", "sales=10s"], True),
        (["service", "--threshold", "sales=10s", "--queue", "sales"], False),
        (["service", "--threshold", "10s"], False),
        (["service", "--columns", "offered,asa_s"], False),
        (["outcomes"], False),
        (["agents"], False),
        (["abandoned"], False),
    ],
)
def test_floor_yaml_is_missed_only_by_figures_that_need_it(
    acd: Acd, during: list[str], tmp_path: Path, filled: str, arguments: list[str], said: bool
) -> None:
    config = tmp_path / "acd.toml"
    config.write_text(f'[database]\nurl = "{filled}"\n[floor]\nfile = "{tmp_path}/none.yaml"\n')
    given = ["report", *arguments, *during, "--config", str(config)]
    result = CliRunner().invoke(cli, given)
    assert result.exit_code == 0, result.stderr
    assert ("floor.yaml cannot be read, so the threshold is 20 s" in result.stderr) is said
    wrong = CliRunner().invoke(cli, [*given, "--agent", "nobody"])
    assert "floor.yaml" not in wrong.stderr
    assert wrong.exit_code == 4


def test_a_withheld_number_of_old_is_no_caller(acd: Acd, during: list[str], tmp_path: Path, world: World) -> None:
    state = tmp_path / "etc" / "state"
    before = min(load_seal(state, Numbering()).withheld())
    url = f"sqlite:///{tmp_path}/hashed.db"
    upgrade(url)
    fill(url, replace(world, calls=[call | {"caller_number": before} for call in world.calls]))
    config = tmp_path / "etc" / "acd.toml"
    config.write_text(f'[database]\nurl = "{url}"\n[service]\nstate_dir = "{state}"\n')
    body = json.loads(acd("abandoned", *during, "--json", "--config", str(config), url=url).stdout)
    assert {row["reached"] for row in body["rows"]} == {None}
    body = json.loads(acd("abandoned", *during, "--json", url=url).stdout)
    assert None not in {row["reached"] for row in body["rows"]}


def test_nothing_is_written_into_the_database(acd: Acd, during: list[str], filled: str) -> None:
    path = Path(filled.removeprefix("sqlite:///"))
    before = path.read_bytes()
    path.chmod(0o400)
    path.parent.chmod(0o700)
    try:
        for name in ("service", "agents", "repeat"):
            assert acd(name, *during, "--by", "day").exit_code == 0
    finally:
        path.chmod(0o600)
    assert path.read_bytes() == before


def test_another_schema_is_refused_with_what_to_run(acd: Acd, tmp_path: Path) -> None:
    assert "run `acd db upgrade`" in acd("service", url=f"sqlite:///{tmp_path}/none.db").stderr
    url = f"sqlite:///{tmp_path}/other.db"
    upgrade(url)
    for revision, said in (("acd_0001", "run `acd db upgrade`"), ("acd_9999", "made by a newer acd")):
        with sqlite3.connect(tmp_path / "other.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        result = acd("service", url=url)
        assert said in result.stderr
        assert result.exit_code == 1
    assert not (tmp_path / "none.db").exists()


def test_floor_yaml_gives_thresholds_names_and_the_zone(
    acd: Acd, during: list[str], tmp_path: Path, filled: str
) -> None:
    etc = tmp_path / "etc"
    assert CliRunner().invoke(cli, ["init", str(etc)]).exit_code == 0
    floor = etc / "floor.yaml"
    text = floor.read_text().replace("service_level: 20s", "service_level: 7s", 1)
    text += "hours:\n  office: {time_zone: Asia/Kolkata, week: {mon-fri: 08:00-18:00}}\n"
    floor.write_text(text)
    result = acd("service", *during[:4], "--json", "--config", str(etc / "acd.toml"))
    body = json.loads(result.stdout)
    assert body["zone"] == "Asia/Kolkata"
    assert body["settings"]["threshold"] == "billing 7 s, sales 7 s, support 7 s, others 20 s"
    # A name of the floor without a single record is a quiet queue, not a mistake
    floor.write_text(text.replace("  sales:\n", "  quiet: {}\n  sales:\n", 1))
    quiet = acd("service", *during, "--json", "--queue", "quiet", "--config", str(etc / "acd.toml"))
    assert json.loads(quiet.stdout)["rows"] == []
    # A mistake in it does not keep reports from being made
    floor.write_text("queues: [\n")
    given = ["report", "service", *during, "--config", str(etc / "acd.toml"), "--url", filled]
    assert CliRunner().invoke(cli, given).exit_code == 0


def test_calls_without_sums_are_pointed_out(acd: Acd, during: list[str], tmp_path: Path, world: World) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    upgrade(url)
    fill(url, world)
    engine = locate(url).engine()
    with engine.begin() as connection:
        connection.execute(sa.update(calls).where(calls.c.ended_at.is_not(None)).values(wait_us=None))
    engine.dispose()
    result = acd("service", *during, url=url)
    assert "ended calls have no sums of their segments" in result.stdout


def test_whose_agents_are_is_what_was_configured_at_the_end_of_the_time(
    acd: Acd, during: list[str], tmp_path: Path, world: World
) -> None:
    url = f"sqlite:///{tmp_path}/staffed.db"
    upgrade(url)
    fill(url, world)
    assert "neither the database nor floor.yaml says" in acd("staffing", *during, url=url).stdout

    def loaded(at: float, **queues: str) -> None:
        told = "".join(f"{name}: {{number: {n}, phones: [PJSIP/{n}], queues: [{queue}]}}\n  "
                       for n, (name, queue) in enumerate(queues.items(), 1))  # fmt: skip
        text = f"queues: {{sales: {{}}, support: {{}}, billing: {{}}}}\nagents:\n  {told}"
        definition = parse_floor(text + '\nentry_points: {"1": sales}\n', Problems("f")).definition
        row = {"revision": f"r{at}", "loaded_at": at, "who": "me", "detail": detail_of(definition, str)}
        engine = locate(url).engine()
        with engine.begin() as connection:
            connection.execute(sa.insert(revisions).values(row))
        engine.dispose()

    loaded(world.from_s - 60, anna="sales", bob="sales", carla="sales", dora="sales")
    loaded(world.from_s + 60, anna="support", bob="support", carla="billing", dora="billing")
    loaded(world.to_s + 60, anna="sales", bob="sales", carla="sales", dora="sales")
    body = json.loads(acd("staffing", *during, "--json", url=url).stdout)
    each = json.loads(acd("agents", *during, "--json", "--columns", "logged_in_s", url=url).stdout)
    spent = {row["agent"]: row["logged_in_s"] for row in each["rows"]}
    of = {"support": ("anna", "bob"), "billing": ("carla", "dora")}
    assert {row["queue"]: row["logged_in_s"] for row in body["rows"]} == {
        queue: pytest.approx(sum(spent.get(name, 0.0) for name in names)) for queue, names in of.items()
        if any(name in spent for name in names)
    }  # fmt: skip
    assert body["total"]["logged_in_s"] == pytest.approx(sum(spent.values()))
    assert any("as configured at the end of the time" in note for note in body["notes"])


def test_list_and_help_name_everything(acd: Acd) -> None:
    listed = json.loads(acd("list", "--json").stdout)
    assert list(listed) == list(REPORTS)
    assert "first contact" not in listed["service"]["about"]
    for name, definition in REPORTS.items():
        text = acd(name, "--help").stdout
        assert definition.about.split(";")[0][:40] in text
        assert all(column.name in text for column in definition.columns)
    assert "acd report heatmap" in acd("--help").stdout


@pytest.mark.parametrize(
    ("report", "kinds"),
    [
        ("service", ["calls"]),
        ("agents", ["calls", "agent_states"]),
        ("states", ["agent_states"]),
        ("timeline", ["agent_states"]),
        ("repeat", ["calls", "callers"]),
        ("abandoned", ["calls", "callers"]),
        ("skills", ["calls", "decisions"]),
        ("calls", ["calls", "callers"]),
    ],
)
def test_what_retention_took_of_the_range_is_announced(
    acd: Acd, during: list[str], filled: str, world: World, report: str, kinds: list[str]
) -> None:
    def told(kept: dict[str, float]) -> tuple[list[str], dict[str, str]]:
        engine = locate(filled).engine()
        with engine.begin() as connection:
            connection.execute(sa.delete(audit))
            made = entry("service", "retention", "records", {"kept_from": kept}, world.now)
            insert(connection, made)
        engine.dispose()
        found = json.loads(acd(report, *during, "--format", "json").stdout)
        return [note for note in found["notes"] if "by retention" in note], found["taken_before"]

    every = ("calls", "agent_states", "callers", "decisions", "recordings")
    inside = (world.from_s + world.to_s) / 2
    notes, taken = told(dict.fromkeys(every, inside))
    assert list(taken) == kinds
    assert {time.strftime("%Y", time.gmtime(inside))} == {at[:4] for at in taken.values()}
    assert len(notes) == len(kinds)
    assert all(note.startswith("of before 2") for note in notes)
    shown = re.sub(r"\s+", " ", acd(report, *during).output)
    assert notes[0][:40] in shown
    assert told(dict.fromkeys(every, world.from_s)) == ([], {})
    assert told({}) == ([], {})
