"""Commands that work on files: check, init, db, hash-pin; and where the service's socket is looked for."""

from __future__ import annotations

import grp
import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acd.cli import cli
from acd.cli.context import Options
from acd.cli.socketpath import socket_path
from acd.config import load_settings, verify_pin
from acd.domain.errors import ConfigurationError


def acd(*arguments: str, **more: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="acd", **more)  # type: ignore[arg-type]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    assert acd("init", str(tmp_path / "etc")).exit_code == 0
    (tmp_path / "etc" / "state").mkdir()
    return tmp_path / "etc"


def test_init_gives_what_check_likes(samples: Path) -> None:
    assert (samples / "extensions_acd.conf").is_file()
    assert stat.S_IMODE((samples / "acd.toml").stat().st_mode) == 0o600
    result = acd("check", "--config", str(samples / "acd.toml"))
    assert result.exit_code == 0, result.output
    assert "acd.toml: good: pbx1" in result.stdout
    assert "floor.yaml: good: 3 queues" in result.stdout
    body = json.loads(acd("--json", "check", "--config", str(samples / "acd.toml")).stdout)
    assert body["ok"] is True
    assert (body["nodes"], body["problems"]) == (["pbx1"], [])


@pytest.mark.parametrize("name", ["acd.toml", "extensions_acd.conf", "secrets/ami-calls"])
def test_init_never_overwrites(tmp_path: Path, name: str) -> None:
    (tmp_path / "etc" / "secrets").mkdir(parents=True)
    (tmp_path / "etc" / name).write_text("mine")
    result = acd("init", str(tmp_path / "etc"))
    assert result.exit_code == 1
    assert "is not overwritten" in result.stderr
    files = [path for path in (tmp_path / "etc").rglob("*") if path.is_file()]
    assert [path.read_text() for path in files] == ["mine"]


def test_check_names_every_mistake_of_both_files_with_its_line(samples: Path) -> None:
    config, floor = samples / "acd.toml", samples / "floor.yaml"
    config.write_text(config.read_text() + "\n[htpp]\nport = 1\n")
    line = config.read_text().splitlines().index("[htpp]") + 1
    floor.write_text(floor.read_text().replace("agents:", "agnets:", 1))
    result = acd("check", "--config", str(config))
    assert result.exit_code == 1
    assert f"{config}:{line}:" in result.stdout
    assert "'agnets'" in result.stdout
    assert f"{floor}:" in result.stdout
    assert "2 errors, 0 warnings" in result.stdout
    as_json = acd("check", "--config", str(config), "--json")
    assert as_json.exit_code == 1
    problems = json.loads(as_json.stdout)["problems"]
    assert [(Path(problem["file"]).name, problem["severity"]) for problem in problems] == [
        ("acd.toml", "error"), ("floor.yaml", "error")
    ]  # fmt: skip
    assert problems[0]["line"] == line


def test_check_without_a_configuration_says_where_it_looked(tmp_path: Path) -> None:
    result = acd("check")
    assert result.exit_code == 1
    assert "--config" in result.stderr
    missing = acd("check", "--config", str(tmp_path / "none.toml"))
    assert missing.exit_code == 1
    assert "none.toml" in missing.stdout


def test_db_goes_up_tells_where_it_is_and_goes_down(samples: Path) -> None:
    config = ("--config", str(samples / "acd.toml"))
    empty = acd("db", "current", *config)
    assert empty.exit_code == 1
    assert "run `acd db upgrade`" in empty.stdout
    up = acd("db", "upgrade", *config)
    assert up.exit_code == 0, up.output
    assert "the schema is at acd_" in up.stdout
    assert "nothing to do" in acd("db", "upgrade", *config).stdout
    body = json.loads(acd("--json", "db", "current", *config).stdout)
    assert body["revision"] == body["head"]
    refused = acd("db", "downgrade", "base", *config, input="n\n")
    assert refused.exit_code == 1
    assert acd("db", "current", *config).exit_code == 0
    down = acd("db", "downgrade", "base", "--yes", *config)
    assert down.exit_code == 0, down.output
    assert acd("db", "current", *config).exit_code == 1


def test_a_way_back_is_looked_at_before_anybody_is_asked(samples: Path) -> None:
    config = ("--config", str(samples / "acd.toml"))
    assert acd("db", "upgrade", *config).exit_code == 0
    for given in ((), ("--json",), ("--yes",)):
        result = acd("db", "downgrade", "nonsense", *given, *config)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "cannot be taken back to 'nonsense'" in result.stderr
        assert "?" not in result.stderr
    unasked = acd("--json", "db", "downgrade", "base", *config)
    assert (unasked.exit_code, unasked.stdout) == (2, "")
    error = json.loads(unasked.stderr)["error"]
    assert error["kind"] == "usage"
    assert "--yes" in error["message"]
    assert acd("db", "current", *config).exit_code == 0
    assert acd("--json", "db", "downgrade", "base", "--yes", *config).exit_code == 0


def test_a_group_that_this_machine_does_not_have_is_warned_of(samples: Path) -> None:
    config = samples / "acd.toml"
    text = config.read_text()
    mine = grp.getgrgid(os.getgid()).gr_name
    for group, warned in (("no-such-group", True), (mine, False)):
        config.write_text(text.replace("\n[records]\n", f'\n[records]\noperators = "{group}"\n'))
        result = acd("--json", "check", "--config", str(config))
        body = json.loads(result.stdout)
        assert (result.exit_code, body["ok"]) == (0, True)
        said = [problem["message"] for problem in body["problems"] if problem["severity"] == "warning"]
        assert any("no group 'no-such-group'" in message for message in said) is warned


def test_an_empty_revision_is_refused(samples: Path) -> None:
    config = ("--config", str(samples / "acd.toml"))
    assert acd("db", "upgrade", *config).exit_code == 0
    for command in (("downgrade", "--yes", ""), ("downgrade", "--yes", " "), ("upgrade", "--revision", "")):
        result = acd("db", *command, *config)
        assert result.exit_code == 2
        assert "is empty: name one" in result.stderr
    assert acd("db", "current", *config).exit_code == 0


def test_db_fails_clearly(samples: Path) -> None:
    result = acd("db", "upgrade", "--revision", "nonsense", "--config", str(samples / "acd.toml"))
    assert result.exit_code == 1
    assert result.stderr.startswith("acd: ")
    assert "nonsense" in result.stderr


def test_hash_pin_reads_a_pipe_and_its_hash_is_right() -> None:
    result = acd("agent", "hash-pin", input="4711\n")
    assert result.exit_code == 0
    assert verify_pin("4711", result.stdout.strip())
    assert verify_pin("4711", json.loads(acd("--json", "agent", "hash-pin", input="4711").stdout)["pin_hash"])


@pytest.mark.parametrize("pin", ["", "12", "12a4", "1" * 13, "\u0661\u0662\u0663"])
def test_hash_pin_refuses_what_is_no_pin(pin: str) -> None:
    result = acd("agent", "hash-pin", input=pin + "\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a PIN is 3 to 12 digits" in result.stderr
    assert acd("agent", "hash-pin", "4711").exit_code == 2


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        ("", {}),
        ('[http]\nsocket = "run/x.sock"', {}),
        ('[http]\nsocket = "/run/x.sock"', {}),
        ('[service]\nstate_dir = "other"', {}),
        ('[service]\nstate_dir = "/var/other"\n[http]\nport = 1', {}),
        ('[http]\nsocket = "a.sock"', {"ACD_HTTP__SOCKET": "b.sock"}),
        ('[http]\nsocket = "a.sock"', {"ACD_HTTP__SOCKET": "/b.sock"}),
        ('[service]\nstate_dir = "other"', {"ACD_SERVICE__STATE_DIR": "third"}),
        ('[http]\nsocket = "a.sock"', {"ACD_SERVICE__STATE_DIR": "third"}),
    ],
)
def test_the_client_looks_where_the_service_listens(tmp_path: Path, toml: str, environ: dict[str, str]) -> None:
    config = tmp_path / "etc" / "acd.toml"
    config.parent.mkdir()
    config.write_text(f'[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n{toml}\n')
    config.chmod(0o600)
    expected = load_settings(config, environ).settings.http.socket
    assert socket_path(Options(config=config), environ) == expected
    assert socket_path(Options(), {**environ, "ACD_CONFIG": str(config)}) == expected
    os.chdir(config.parent)
    assert socket_path(Options(), environ) == expected


def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read"):
        socket_path(Options(config=tmp_path / "none.toml"), {})
    (tmp_path / "bad.toml").write_bytes(b"\xff = [")
    with pytest.raises(ConfigurationError, match="is not TOML: `acd check"):
        socket_path(Options(config=tmp_path / "bad.toml"), {})
    assert socket_path(Options(socket=Path("x"), config=tmp_path / "bad.toml"), {}) == Path("x")
