"""Commands that need the database alone work on an acd.toml that has only what they need; others demand all of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acd.cli import cli
from acd.store import upgrade

SPAN = ("--from", "2026-11-21", "--to", "2026-11-22")
ALONE = [
    ("db", "current"),
    ("db", "upgrade"),
    ("records", "verify"),
    ("records", "retention"),
    ("report", "calls", *SPAN),
    ("queue-log", "export", *SPAN, "-"),
    ("person", "erase", "+491711234567", "--dry-run"),
    ("audit",),
    ("dnc", "list"),
    ("list", "list"),
    ("contact", "find", "+491711234567"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database, and no acd.toml yet."""
    upgrade(f"sqlite:///{tmp_path}/acd.db")
    return tmp_path


def acd(folder: Path, toml: str, *arguments: str) -> Result:
    config = folder / "acd.toml"
    config.touch(mode=0o600)
    config.write_text(toml)
    return CliRunner().invoke(cli, ["--config", str(config), *arguments], prog_name="acd")


@pytest.mark.parametrize("command", ALONE, ids=" ".join)
def test_the_database_is_enough(folder: Path, command: tuple[str, ...]) -> None:
    toml = f'[database]\nurl = "sqlite:///acd.db"\n[service]\nstate_dir = "{folder}"\n'
    result = acd(folder, toml, *command)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", ALONE, ids=" ".join)
def test_what_is_wrong_is_said(folder: Path, command: tuple[str, ...]) -> None:
    toml = f'[database]\nurl = "sqlite:///acd.db"\n[service]\nstate_dir = "{folder}"\n[record]\n'
    result = acd(folder, toml, *command)
    # Who asks for the audit asks the service first
    assert result.exit_code == (3 if command == ("audit",) else 1)
    assert "acd.toml:5:1: unknown table or key 'record' (nearest right name: records)" in result.stderr
    assert "asterisk" not in result.stderr


@pytest.mark.parametrize("command", [("check",), ("serve",)], ids=" ".join)
def test_the_service_needs_asterisk(folder: Path, command: tuple[str, ...]) -> None:
    result = acd(folder, '[database]\nurl = "sqlite:///acd.db"\n', *command)
    assert result.exit_code == 1
    assert "needs a table [asterisk.NAME] with host and secrets" in result.output


READING = [("report", "calls", *SPAN), ("queue-log", "export", *SPAN, "-")]


@pytest.mark.parametrize("command", READING, ids=" ".join)
class TestAReportingMachine:
    """An acd.toml with [records] alone, beside --url."""

    def test_who_may_not_see_numbers_does_not(
        self, folder: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "getuid", lambda: 4_000_001)
        url = ("--url", f"sqlite:///{folder}/acd.db")
        toml = '[records]\noperators = "nogroupofthis"\n'
        assert acd(folder, toml, *command, *url).exit_code == 0
        refused = acd(folder, toml, *command, *url, "--no-mask-numbers")
        assert refused.exit_code == 5
        assert "only members of group nogroupofthis see callers' numbers" in refused.stderr

    @pytest.mark.parametrize(
        ("toml", "said"),
        [
            ("[records]\noperator = 'ops'\n", "acd.toml:2:1: unknown key 'operator' in [records]"),
            ("[records]\nmask = 3\n", "acd.toml:2:1: mask in [records] should be true or false, not 3"),
            ("[records\n", "acd.toml:1:9: not TOML"),
        ],
    )
    def test_what_is_wrong_is_not_passed_over(
        self, folder: Path, command: tuple[str, ...], toml: str, said: str
    ) -> None:
        result = acd(folder, toml, *command, "--url", f"sqlite:///{folder}/acd.db")
        assert result.exit_code == 1
        assert said in result.stderr

    def test_a_file_that_was_named_must_be_there(self, folder: Path, command: tuple[str, ...]) -> None:
        line = ["--config", "none.toml", *command, "--url", f"sqlite:///{folder}/acd.db"]
        result = CliRunner().invoke(cli, line)
        assert result.exit_code == 1
        assert "none.toml: does not exist" in result.stderr

    def test_a_file_of_others_is_none_of_ours(
        self, folder: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "acd.toml").write_text("[record]\n")
        line = [*command, "--url", f"sqlite:///{folder}/acd.db"]
        assert CliRunner().invoke(cli, line).exit_code == 1
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert CliRunner().invoke(cli, line).exit_code == 0

    def test_the_database_of_the_file_is_not_needed(self, folder: Path, command: tuple[str, ...]) -> None:
        toml = '[database]\nurl = "postgresql://acd@h/acd"\npassword_file = "none"\n'
        result = acd(folder, toml, *command, "--url", f"sqlite:///{folder}/acd.db")
        assert result.exit_code == 0, result.output
