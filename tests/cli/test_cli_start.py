"""That the program starts quickly: what it imports, and that every command is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from acd import __version__
from acd.cli import cli
from acd.cli.main import COMMANDS

HEAVY = ("rich", "aiohttp", "sqlalchemy", "alembic", "pydantic", "yaml", "prometheus_client", "asyncio", "http.client")


def imported_by(*arguments: str) -> set[str]:
    """The modules loaded once ``acd ARGUMENTS`` is through."""
    code = (
        "import sys, json, contextlib, io\n"
        "from acd.cli import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        f"    with contextlib.suppress(SystemExit): cli({list(arguments)!r})\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)
    return set(json.loads(done.stdout))


def test_help_imports_nothing_heavy() -> None:
    assert not imported_by("--help") & set(HEAVY)
    assert not imported_by("--version") & set(HEAVY)


def test_a_client_imports_nothing_of_the_service() -> None:
    modules = imported_by("--socket", "/nowhere/acd.sock", "status")
    assert "rich.live" in modules
    assert not modules & {"aiohttp", "sqlalchemy", "alembic", "pydantic", "yaml", "prometheus_client", "asyncio"}


def test_help_lists_every_command_and_the_exit_codes() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).stdout
    for name, (_, _, text) in COMMANDS.items():
        assert f"{name}  " in shown
        assert text[:30] in shown
    assert "3 the\n  service is not running" in shown


@pytest.mark.parametrize("line", ["--version", "--version status"])
def test_the_version_is_a_line(line: str) -> None:
    result = CliRunner().invoke(cli, line.split())
    assert (result.exit_code, result.output) == (0, f"acd, version {__version__}\n")


@pytest.mark.parametrize("line", ["--json --version", "--version --json", "--version --json status"])
def test_the_version_is_json_wherever_that_is_asked_for(line: str) -> None:
    result = CliRunner().invoke(cli, line.split())
    assert (result.exit_code, json.loads(result.output)) == (0, {"version": __version__})


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_says_what_the_overview_says(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Usage: cli {name}")


@pytest.mark.parametrize(
    ("module", "word"), [("acd.cli.nothing", "install acd again"), ("acd.cli.text", "is no command")]
)
def test_a_broken_installation_fails_clearly(monkeypatch: pytest.MonkeyPatch, module: str, word: str) -> None:
    monkeypatch.setitem(COMMANDS, "serve", (module, "clean", "Run."))
    result = CliRunner().invoke(cli, ["serve"])
    assert result.exit_code == 1
    assert word in result.stderr


def test_the_installed_program_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from acd.cli import main; main()", "nonsense"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Usage: acd " in done.stderr
