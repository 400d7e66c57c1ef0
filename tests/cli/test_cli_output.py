"""Standard output that takes nothing: a full disk is said in one line, a closed pipe not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from acd.cli import cli
from acd.store import upgrade

FULL = "acd: standard output could not be written: No space left on device\n"
CONFIG = """\
[asterisk.pbx]
host = "127.0.0.1"
call_secret = "s3cret"
look_secret = "s4cret"
[database]
url = "{url}"
"""
AT_THE_END = "from acd.cli.output import watched_output\nwith watched_output(): print('x')"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    where = tmp_path_factory.mktemp("small")
    url = f"sqlite:///{where}/acd.db"
    upgrade(url)
    CliRunner().invoke(
        cli, ["records", "generate", "--calls", "20", "--days", "1", "--from", "2026-02-01", "--url", url]
    )
    (where / "acd.toml").write_text(CONFIG.format(url=url))
    return url


def run(arguments: list[str], url: str, into: int) -> tuple[int, str]:
    """(exit code, standard error) of python with these."""
    where = Path(url.removeprefix("sqlite:///")).parent
    done = subprocess.run(
        [sys.executable, *arguments], stdout=into, stderr=subprocess.PIPE, text=True, cwd=where, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "queue-log export --help",
        "report service --url {url}",
        "report calls --format csv --url {url}",
        "report list",
        "db current --config acd.toml",
        "records verify --rules",
        "queue-log export --from 2026-02-01 --to 2026-02-02 --url {url} -",
    ],
)
def test_a_full_disk_is_said_in_one_line(small: str, line: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert run(["-m", "acd", *line.format(url=small).split()], small, full) == (2, FULL)
    finally:
        os.close(full)


def test_what_is_written_at_the_very_end_counts_too(small: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert run(["-c", AT_THE_END], small, full) == (2, FULL)
    finally:
        os.close(full)


@pytest.mark.parametrize("arguments", [["-m", "acd", "--help"], ["-c", AT_THE_END]])
def test_a_pipe_nobody_reads_is_left_without_a_word(small: str, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        assert run(arguments, small, write) == (1, "")
    finally:
        os.close(write)
