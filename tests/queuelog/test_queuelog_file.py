"""The file a log is written to: every line once, whatever ends the writer, and whatever becomes of the file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from queuelogkit import MEMBERS, Records, T, call, lines_of, log_of

from acd.cli import cli
from acd.domain.errors import ConfigurationError
from acd.queuelog.export import Log, Members
from acd.queuelog.lines import Line
from acd.queuelog.source import Source
from acd.queuelog.target import LogFile


def line(n: int) -> Line:
    return Line(T + n, f"u{n}", "sales", "NONE", "ABANDON", (1, 1, n))


def contents(path: Path) -> list[str]:
    return [text.split("|")[1] for text in path.read_text().splitlines()]


def test_what_was_written_behind_the_position_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    first = LogFile(path)
    assert first.upto is None
    assert first.append([line(1), line(2)], T + 2) == 2
    first.close()
    # It ended after writing these, the last one in part, and before it could say so
    with path.open("a") as file:
        file.write(f"{line(3)}\n{line(3)}\n{str(line(4))[:9]}")
    again = LogFile(path)
    assert again.upto == T + 2
    assert again.append([line(3), line(3), line(3), line(4)], T + 4) == 2
    again.close()
    assert path.read_text() == "".join(f"{line(n)}\n" for n in (1, 2, 3, 3, 3, 4))
    assert LogFile(path).upto == T + 4


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    log = LogFile(path)
    log.append([line(1)], T + 1)
    path.rename(tmp_path / "queue_log.1")
    log.append([line(2)], T + 2)
    log.close()
    assert contents(path) == ["u2"]
    path.rename(tmp_path / "queue_log.2")
    path.write_text(f"{line(3)}\n")
    again = LogFile(path)
    again.append([line(3), line(4)], T + 4)
    again.close()
    assert contents(path) == ["u3", "u4"]


def test_a_damaged_position_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.position").write_text("{")
    with pytest.raises(ConfigurationError, match=r"log.position is damaged .* --from"):
        LogFile(tmp_path / "log")


def test_a_log_taken_up_anywhere_is_the_log_of_all(tmp_path: Path) -> None:
    """However often the writer is ended, at whatever moment, lines are neither lost nor doubled."""
    records = Records(tmp_path)
    for n in range(40):
        at = n * 3.0
        agent = ("ann", "bob", "cem")[n % 3]
        records.write(
            *call(
                f"c{n:02}", ("entered", at, at + 0.5), ("waited", at + 0.5, at + 7),
                ("offered", at + 7, at + 7.5, agent, f"o{n}"),
                ("rang", at + 7.5, at + 8, agent, f"o{n}", "answered"), ("talked", at + 8, at + 20, agent, f"o{n}", "agent"),
                ("after", at + 20, at + 20.25),
            ),
            records.agent("ann", at + 1, "PAUSED" if n % 2 else "AVAILABLE", "lunch" if n % 2 else None),
        )  # fmt: skip
    whole = lines_of(log_of(records))
    assert len(whole) > 200
    path = tmp_path / "log"
    for cut in range(5, 200, 13):
        file = LogFile(path)
        begin = T - 10 if file.upto is None else file.upto
        log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), begin)
        for lines, upto in log.pieces(T + cut):
            file.append(lines, upto)
        file.close()
        if cut % 2:
            # The position is that of a moment ago: the end came between the two
            before = (tmp_path / "log.position").read_text()
            file = LogFile(path)
            log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), T + cut)
            for lines, upto in log.pieces(T + cut + 2):
                file.append(lines, upto)
            file.close()
            (tmp_path / "log.position").write_text(before)
    written = [f"{int(a) - int(T)}|{b}" for a, b in (text.split("|", 1) for text in path.read_text().splitlines())]
    assert sorted(written) == sorted(whole)
    assert [text.split("|")[0] for text in written] == [text.split("|")[0] for text in whole]


def test_followed_and_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    records, path = Records(tmp_path), tmp_path / "queue_log"
    begin = time.time() - 60 - T
    command = [
        sys.executable,
        "-m",
        "acd",
        "queue-log",
        "export",
        "--follow",
        "--interval",
        "0.1",
        "--url",
        records.url,
    ]
    command += ["--from", "10m", str(path)]

    def live(number: int) -> subprocess.Popen[bytes]:
        at = begin + number * 10
        records.write(*call(f"c{number}", ("entered", at, at + 1), ("waited", at + 1, at + 5), ends="abandoned"))
        return subprocess.Popen(command, cwd=tmp_path)

    def has(count: int) -> None:
        deadline = time.monotonic() + 30
        while not path.exists() or len(path.read_text().splitlines()) < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    for number in range(3):
        process = live(number)
        try:
            has(3 * (number + 1))
        finally:
            process.send_signal(signal.SIGKILL if number < 2 else signal.SIGINT)
            process.wait(10)
    assert [text.split("|")[1] for text in path.read_text().splitlines()] == [
        f"u-c{n}" for n in (0, 0, 0, 1, 1, 1, 2, 2, 2)
    ]
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-"], "Give --from"),
        (["--follow", "--to", "1h", "-"], "leave --to out"),
        (["--from", "1h", "--to", "2h", "-"], "--from must be before --to"),
        (["--from", "1h", "--member", "{nmae}", "-"], "only {agent}, {number} and {phone}"),
    ],
)
def test_wrong_usage_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    result = CliRunner().invoke(cli, ["queue-log", "export", "--url", url, *arguments])
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_log_of_a_time_is_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records, path = Records(tmp_path), tmp_path / "log"
    records.write(*call("c", ("entered", 0, 1), ("waited", 1, 5), ends="abandoned"))
    arguments = ["queue-log", "export", "--url", records.url, "--from", "2026-09-01", str(path)]
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, result.stdout) == (0, f"3 lines in {path}\n")
    assert len(path.read_text().splitlines()) == 3
    assert os.listdir(tmp_path).count("log.part") == 0
    again = CliRunner().invoke(cli, arguments)
    assert again.exit_code == 1
    assert "is there already" in again.stderr
