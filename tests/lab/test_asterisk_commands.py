"""``acd lab`` as people type it: one lab's life, in words and in JSON."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from acd.domain.errors import LabError
from acd.lab.asterisk import AsteriskProgram
from acd.lab.asterisk_files import AsteriskPorts
from acd.lab.commands import LabState, ami_users, lab, open_lab

pytestmark = pytest.mark.usefixtures("asterisk_program")


def run(*arguments: str, fails: bool = False) -> Result:
    result = CliRunner().invoke(lab, arguments)
    if fails:
        assert isinstance(result.exception, LabError), result.output
    else:
        assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    if (tmp_path / "lab/lab.json").exists():
        open_lab(tmp_path / "lab").kill()


def ports() -> list[str]:
    free = AsteriskPorts.free(low=10_000, high=10_899, rtp_ports=100)
    return ["--sip-port", str(free.sip), "--ami-port", str(free.ami)]


def test_the_life_of_a_lab(folder: Path) -> None:
    assert "never started here" in run("status", "--dir", str(folder)).output
    chosen = ports()
    said = run("start", "--dir", str(folder), "--phones", "2", *chosen).output
    assert f"127.0.0.1:{chosen[1]} (UDP)" in said
    assert "1001 to 1002" in said
    assert "runs already" in str(run("start", "--dir", str(folder), fails=True).exception)
    endpoints = run("cli", "--dir", str(folder), "pjsip", "show", "endpoints").output
    assert re.search(r"Endpoint:\s+1002/", endpoints)
    assert "acd-hold" in run("cli", "--dir", str(folder), "dialplan show acd-hold").output
    assert json.loads(run("cli", "--dir", str(folder), "--json", "core show uptime").output)["output"]
    status = json.loads(run("status", "--dir", str(folder), "--json").output)
    assert status["running"] is True
    assert status["phones"] == ["1001", "1002"]
    assert status["sip"] == f"127.0.0.1:{chosen[1]}"
    assert status["channels"] == 0
    assert json.loads(run("stop", "--dir", str(folder), "--json").output) == {"stopped": True}
    assert run("stop", "--dir", str(folder)).output == "was not running\n"
    assert json.loads(run("status", "--dir", str(folder), "--json").output)["running"] is False


def test_secrets_are_private_and_stay_the_same(folder: Path) -> None:
    run("start", "--dir", str(folder), "--phones", "1", *ports())
    first = [user.secret for user in ami_users(folder)]
    assert len(set(first)) == 3
    assert all(len(secret) >= 24 for secret in first)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "secrets").iterdir()}
    assert files == dict.fromkeys(("acd-calls", "acd-looks", "acd-commands", "phone-1001"), 0o600)
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    password = (folder / "secrets/phone-1001").read_text().strip()
    assert password in run("cli", "--dir", str(folder), "pjsip show auth 1001").output
    assert not any(secret in (folder / "lab.json").read_text() for secret in first)
    run("stop", "--dir", str(folder))
    run("start", "--dir", str(folder), "--phones", "1")
    assert [user.secret for user in ami_users(folder)] == first


def test_the_ports_stay_the_same_from_one_start_to_the_next(folder: Path) -> None:
    run("start", "--dir", str(folder), "--phones", "0", *ports())
    before = LabState.load(folder)
    run("stop", "--dir", str(folder))
    run("start", "--dir", str(folder), "--phones", "0")
    assert LabState.load(folder) == before


def test_a_lab_that_is_not_there_is_named(folder: Path) -> None:
    for command in (["stop"], ["cli", "core show uptime"]):
        failure = run(*command, "--dir", str(folder), fails=True).exception
        assert "there is no lab in" in str(failure)
        assert "acd lab start" in str(failure)


def test_a_state_that_makes_no_sense_is_named(folder: Path) -> None:
    folder.mkdir()
    for text in ("{", "[]", '{"version": 99}', '{"version": 1}'):
        (folder / "lab.json").write_text(text)
        with pytest.raises(LabError, match=r"lab\.json"):
            LabState.load(folder)
    (folder / "lab.json").unlink()


def test_what_is_installed_is_told_as_json(asterisk_program: AsteriskProgram) -> None:
    told = json.loads(run("install", "asterisk", "--json").output)
    assert told["parts"]["asterisk"]["root"] in str(asterisk_program.modules)
    assert "22." in told["parts"]["asterisk"]["version"] or "23." in told["parts"]["asterisk"]["version"]


def test_an_unknown_part_is_refused() -> None:
    result = CliRunner().invoke(lab, ["install", "nonsense"])
    assert result.exit_code == 2
    assert "'nonsense' is not one of" in result.output


def test_help_of_every_command() -> None:
    names = lab.list_commands(click.Context(lab))
    assert {"install", "start", "stop", "status", "cli", "call", "phones", "customers"} == set(names)
    for command in ([], *([name] for name in names)):
        result = CliRunner().invoke(lab, [*command, "--help"])
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 5
