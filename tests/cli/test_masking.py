"""Who sees callers' numbers in reports, in the queue_log and in answers of the service, and who does not."""

from __future__ import annotations

import csv
import grp
import io
import json
import os
import pwd
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cliservice import serve_in_thread
from fakedesk import FakeDesk
from fakefloor import FakeFloor, FakeRecords

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))
sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from lawful import Day, K, write_day
from storekit import Database

from acd.cli import cli, masking
from acd.cli.context import Failure
from acd.cli.masking import is_masked, is_member
from acd.config.settings import RecordsTable
from acd.domain.records import CallAnnotated
from acd.domain.states import CallOutcome
from acd.store import upgrade

NUMBER, SHOWN = "+491711234567", "+49171•••4567"
SPAN = ("--from", "2026-09-21", "--to", "2026-09-22")
NOBODY = 4_000_001
MY_GROUP = grp.getgrgid(pwd.getpwuid(os.getuid()).pw_gid).gr_name


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A database with calls, one of them passed on to a number, and acd.toml for it."""
    database = Database(f"sqlite:///{tmp_path}/acd.db")
    upgrade(database.url)
    await write_day(database, tmp_path)
    day = Day()
    day.call("c9", 100, number="anonymous", name="")
    day.stretches("c9", (K.ENTERED, 100, None, None), end=101)
    day.close("c9", 101, CallOutcome.ABANDONED)
    day.records.append(CallAnnotated("c2", f"ring {NUMBER}", None, ("vip", NUMBER)))
    await write_day(database, tmp_path, day.records)
    database.execute(f"UPDATE calls SET target = '{NUMBER}@out' WHERE call = 'c6'")
    configure(tmp_path, "")
    return tmp_path


def configure(folder: Path, text: str) -> None:
    config = folder / "acd.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n[database]\nurl = "sqlite:///{folder}/acd.db"\n'
        f'[service]\nstate_dir = "{folder}"\n[records]\n{text}'
    )


def acd(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(folder / "acd.toml"), *arguments], prog_name="acd")


def calls_of(folder: Path, *flags: str) -> list[dict[str, str]]:
    result = acd(folder, "report", "calls", *SPAN, "--format", "csv", *flags)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


async def test_a_report_is_masked_when_it_is_asked_for(folder: Path) -> None:
    plain, masked = calls_of(folder), calls_of(folder, "--mask-numbers")
    assert "1711234567" in str(plain)
    assert "1234567" not in str(masked)
    assert "Ann Lee" not in str(masked)
    for before, after in zip(plain, masked, strict=True):
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {"number", "name", "target", "disposition", "tags"}
    of = {row["call"]: row for row in masked}
    assert (of["c1"]["number"], of["c1"]["name"], of["c9"]["number"], of["c9"]["name"]) == (
        f"'{SHOWN}",
        "•••",
        "•••",
        "",
    )
    assert (of["c2"]["disposition"], of["c2"]["tags"]) == (f"ring {SHOWN}", f"vip, {SHOWN}")
    assert of["c6"]["target"] == f"'{SHOWN}@out"
    assert of["c3"]["target"] == {row["call"]: row for row in plain}["c3"]["target"]


@pytest.mark.parametrize(
    ("report", "said"),
    [("abandoned", "+49•••55"), ("transfers", f"{SHOWN}@out"), ("dispositions", f"ring {SHOWN}"), ("tags", SHOWN)],
)
async def test_every_report_with_a_number_masks_it(folder: Path, report: str, said: str) -> None:
    body = json.loads(acd(folder, "report", report, *SPAN, "--format", "json", "--mask-numbers").stdout)
    text = json.dumps(body, ensure_ascii=False)
    assert said in text
    assert "1711234567" not in text
    assert "4930555" not in text
    assert (
        ["numbers", "masked"] in body["settings"] if isinstance(body["settings"], list) else body["settings"]["numbers"]
    )


@pytest.mark.parametrize("kind", ["table", "json", "csv", "html"])
async def test_whatever_the_format_is(folder: Path, kind: str) -> None:
    result = acd(folder, "report", "calls", *SPAN, "--mask-numbers", "--format", kind)
    assert result.exit_code == 0, result.output
    assert "1234567" not in result.stdout
    assert "4567" in result.stdout


async def test_a_queue_log_is_masked_when_it_is_asked_for(folder: Path) -> None:
    plain = acd(folder, "queue-log", "export", *SPAN, "-").stdout.splitlines()
    masked = acd(folder, "queue-log", "export", *SPAN, "--mask-numbers", "-").stdout.splitlines()
    assert any(NUMBER in line for line in plain)
    assert any(f"|BLINDTRANSFER|{NUMBER}|out|" in line for line in plain)
    assert not any("1234567" in line for line in masked)
    assert any(f"|ENTERQUEUE||{SHOWN}|1" in line for line in masked)
    assert any(f"|BLINDTRANSFER|{SHOWN}|out|" in line for line in masked)
    assert [line.split("|")[:5] for line in plain] == [line.split("|")[:5] for line in masked]


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int, *groups: str) -> None:
    monkeypatch.setattr(masking.os, "getuid", lambda: uid)
    monkeypatch.setattr(masking, "is_member", lambda who, group, held: who == uid and group in groups)


@pytest.mark.parametrize(
    ("settings", "uid", "groups", "by_default"),
    [
        ({}, NOBODY, (), False),
        ({"operators": "ops"}, NOBODY, (), True),
        ({"operators": "ops"}, NOBODY, ("others",), True),
        ({"operators": "ops"}, NOBODY, ("ops",), False),
        ({"operators": "ops"}, 0, (), False),
        ({"operators": "ops", "mask": False}, NOBODY, (), False),
    ],
)
def test_whoever_is_no_operator_gets_numbers_masked(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], uid: int, groups: tuple[str, ...], by_default: bool
) -> None:
    as_user(monkeypatch, uid, *groups)
    table = RecordsTable(**settings)
    assert is_masked(None, table) is by_default
    assert is_masked(True, table) is True
    if by_default:
        with cli.make_context("acd", ["status"]), pytest.raises(Failure, match="only members of group ops"):
            is_masked(False, table)
    else:
        assert is_masked(False, table) is False


async def test_the_group_is_that_of_acd_toml(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(folder, 'operators = "ops"\n')
    as_user(monkeypatch, NOBODY)
    assert "1234567" not in str(calls_of(folder))
    assert "1234567" not in acd(folder, "queue-log", "export", *SPAN, "-").stdout
    for command in (("report", "calls", *SPAN), ("queue-log", "export", *SPAN, "-")):
        refused = acd(folder, *command, "--no-mask-numbers")
        assert refused.exit_code == 5
        assert "only members of group ops" in refused.stderr
    as_user(monkeypatch, NOBODY, "ops")
    assert "1234567" in str(calls_of(folder))


async def test_with_a_database_of_its_own_only_what_is_asked_for_counts(folder: Path) -> None:
    (folder / "acd.toml").unlink()
    url = ("--url", f"sqlite:///{folder}/acd.db")
    command = ("report", "calls", *SPAN, "--format", "csv", *url)
    assert "1234567" in CliRunner().invoke(cli, [*command]).stdout
    assert "1234567" not in CliRunner().invoke(cli, [*command, "--mask-numbers"]).stdout


def test_who_is_in_a_group() -> None:
    assert is_member(os.getuid(), MY_GROUP)
    assert not is_member(os.getuid(), "no-such-group")
    assert not is_member(NOBODY, MY_GROUP)
    assert not is_member(os.getuid(), None)
    assert is_member(NOBODY, MY_GROUP, {grp.getgrnam(MY_GROUP).gr_gid})
    assert not is_member(NOBODY, MY_GROUP, {grp.getgrnam(MY_GROUP).gr_gid + 1})
    assert not is_member(NOBODY, "no-such-group", {0})


@pytest.mark.parametrize(
    "command", [["call", "list"], ["call", "list", "--live"], ["call", "show", "r1"], ["call", "explain", "r1"]]
)
def test_the_service_masks_what_it_is_asked_to(tmp_path: Path, command: list[str]) -> None:
    floor, records = FakeFloor(), FakeRecords()
    stop = serve_in_thread(floor, records, tmp_path / "acd.sock", FakeDesk(records.rows))
    try:
        where = ["--socket", str(tmp_path / "acd.sock")]
        plain = CliRunner().invoke(cli, [*where, "--json", *command])
        masked = CliRunner().invoke(cli, [*where, "--json", *command, "--mask-numbers"])
    finally:
        stop()
    assert plain.exit_code == masked.exit_code == 0, masked.output
    assert "30123" in plain.stdout
    assert "30123" not in masked.stdout


def test_a_group_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    configure(tmp_path, 'operators = "a b"\n')
    result = acd(tmp_path, "report", "calls")
    assert result.exit_code != 0
    assert "operators" in result.stderr
