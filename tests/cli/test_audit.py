"""``acd audit`` where no service runs: the database is read, as the service would have answered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acd.cli import cli
from acd.domain.records import Audited
from acd.records.trail import write_now
from acd.store import upgrade

NUMBER = "+491711234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database with two entries, and acd.toml for it."""
    url = f"sqlite:///{tmp_path}/acd.db"
    upgrade(url)
    for at, who, action in (
        (1_790_000_000.0, "user:x", "agent_login"),
        (1_790_000_001.5, "phone:P/1", "call_transfer"),
    ):
        write_now(url, Audited(f"e{at}", at, who, action, "agent:anna", {"to": NUMBER}))
    configure(tmp_path, "")
    return tmp_path


def configure(folder: Path, records: str) -> None:
    config = folder / "acd.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n[database]\nurl = "sqlite:///{folder}/acd.db"\n'
        f'[service]\nstate_dir = "{folder}"\n[records]\n{records}'
    )


def acd(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(folder / "acd.toml"), *arguments], prog_name="acd")


def test_the_database_is_read_where_no_service_answers(folder: Path) -> None:
    result = acd(folder, "audit", "--json", "--who", "phone")
    assert (result.exit_code, result.stderr) == (0, "")
    (entry,) = json.loads(result.stdout)["audit"]
    assert entry == {
        "entry": "e1790000001.5", "at": 1_790_000_001.5, "who": "phone:P/1", "action": "call_transfer",
        "subject": "agent:anna", "detail": {"to": NUMBER},
    }  # fmt: skip
    shown = acd(folder, "audit", "--since", "2026-09-21", "--until", "2026-09-22")
    assert "no service answers" in shown.stderr
    assert [line.split("  ")[1] for line in shown.stdout.splitlines()[1:]] == ["phone:P/1", "user:x"]
    assert len(json.loads(acd(folder, "audit", "--json", "--action", "agent", "--limit", "1").stdout)["audit"]) == 1


def test_who_need_not_know_numbers_does_not_see_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(folder, 'operators = "nogroupofthis"\n')
    monkeypatch.setattr(os, "getuid", lambda: 4_000_001)
    result = acd(folder, "audit", "--json", "--who", "user")
    assert json.loads(result.stdout)["audit"][0]["detail"] == {"to": "+49171•••4567"}, result.output


def test_a_service_that_is_named_is_asked_alone(folder: Path) -> None:
    result = acd(folder, "--socket", str(folder / "none.sock"), "audit")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "acd is not running" in result.stderr


def test_without_a_configuration_it_is_said_that_no_service_answers(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["audit"], env={"ACD_HTTP__SOCKET": str(tmp_path / "none.sock")})
    assert result.exit_code == 3
    assert "acd is not running" in result.stderr
