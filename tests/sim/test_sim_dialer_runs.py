"""Runs of the dialler's suite are kept: an interrupted suite goes on, and what is kept is what would be found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acd.cli import sim_dialer, sim_dialer_runs
from acd.cli.sim import sim
from acd.cli.sim_dialer_runs import FILE, Kept
from acd.sim.dialing.scene import CASES, Scene, lifelike
from acd.sim.dialing.suite import Cell, Run, contenders

LINE = ("--json", "dialer", "--case", "b", "--agents", "2", "--rate", "0.5", "--seeds", "2", "--processes", "1")
ALL = 2 * len(contenders(Cell("b", 2, 0.5)))


def quick(agents: int, rate: float) -> Scene:
    return replace(lifelike(agents, rate), day_s=600.0, days=1, warm_days=1)


@pytest.fixture(autouse=True)
def quick_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CASES, "b", ("ten minutes", quick))


def dialer(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(sim, [*LINE, *more, "-o", str(folder)])


def counted(monkeypatch: pytest.MonkeyPatch, stop_after: int = ALL) -> list[Run]:
    """Every run from here on; the one after ``stop_after`` is interrupted."""
    ran: list[Run] = []
    days_of = Run.days

    def noted(run: Run) -> object:
        if len(ran) == stop_after:
            raise KeyboardInterrupt
        ran.append(run)
        return days_of(run)

    monkeypatch.setattr(sim_dialer, "days_of", noted)
    return ran


def test_an_interrupted_suite_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dialer(tmp_path / "whole")
    first = counted(monkeypatch, 7)
    assert dialer(tmp_path / "parts").exit_code != 0
    assert len(first) == 7
    rest = counted(monkeypatch)
    done = dialer(tmp_path / "parts")
    assert done.exit_code == 0, done.output
    assert len(rest) == ALL - 7
    assert not set(first) & set(rest)
    assert f"acd: 7 of {ALL} runs were done before" in done.stderr
    assert json.loads(done.stdout) == json.loads(whole.stdout)
    assert json.loads((tmp_path / "parts" / "dialer.json").read_text()) == json.loads(whole.stdout)


def test_what_was_run_is_not_run_again_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dialer(tmp_path)
    again = counted(monkeypatch)
    assert dialer(tmp_path).exit_code == 0
    assert not again
    assert dialer(tmp_path, "--fresh").exit_code == 0
    assert len(again) == ALL


def test_a_torn_line_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dialer(tmp_path)
    kept = (tmp_path / FILE).read_text().splitlines(keepends=True)
    run = json.loads(kept[6])["run"]
    days = (
        "[]", "3", '[["a", "b", "c", "d", "e", "f", "g"]]', '["staffed"]', "[[NaN, 1, 1, 1, 1, 1, 1]]",
        "[[-1, 1, 1, 1, 1, 1, 1]]", "[[true, 1, 1, 1, 1, 1, 1]]", "[[1, 1, 1, 1, 1, 1, 1]]" * 9, "[[1]]",
    )  # fmt: skip
    odd = [f'{{"run": "{run}", "days": {said}}}' for said in days]
    odd += ['{"run": 3}', "null", "[" * 100_000, "\ufffd\0"]
    (tmp_path / FILE).write_text("".join(kept[:5]) + "\n".join(odd) + "\n" + kept[5][:40])
    again = counted(monkeypatch)
    done = dialer(tmp_path)
    assert done.exit_code == 0, done.output
    assert len(again) == ALL - 5
    again.clear()
    assert dialer(tmp_path).stdout == done.stdout
    assert not again, "the torn line was ended before another was added"


def test_what_other_code_found_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dialer(tmp_path)
    with monkeypatch.context() as other:
        other.setattr(sim_dialer_runs, "code", lambda: "0" * 64)
        again = counted(other)
        assert dialer(tmp_path).exit_code == 0
        assert len(again) == ALL
    back = counted(monkeypatch)
    assert dialer(tmp_path).exit_code == 0
    assert not back, "and it is not lost to the code that found it"


def test_another_scene_of_the_same_name_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dialer(tmp_path)
    monkeypatch.setitem(CASES, "b", ("longer", lambda agents, rate: replace(quick(agents, rate), day_s=700.0)))
    again = counted(monkeypatch)
    assert dialer(tmp_path).exit_code == 0
    assert len(again) == ALL


def test_a_full_disk_is_said_once_and_costs_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Cell("b", 2, 0.5), "progressive", 1)
    kept = Kept(tmp_path)
    (tmp_path / FILE).symlink_to("/dev/full")
    with kept.adding() as add:
        add(run, run.days())
        add(run, run.days())
    assert capsys.readouterr().err.count("not kept") == 1


def test_where_no_file_can_be_the_runs_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Cell("b", 2, 0.5), "progressive", 1)
    kept = Kept(tmp_path)
    (tmp_path / FILE).symlink_to(tmp_path / "nowhere" / "file")
    with kept.adding() as add:
        add(run, run.days())
    assert "not kept" in capsys.readouterr().err
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    done = dialer(tmp_path)
    assert done.exit_code == 1
    assert "is no file" in done.output


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_is_done_is_kept_at_once_and_nobody_works_for_the_dead(tmp_path: Path, how: signal.Signals) -> None:
    """Two processes; ours, which costs most, is begun first and takes minutes, which nobody waits for who interrupts it."""
    line = [sys.executable, "-m", "acd", "sim", "dialer", "--case", "b", "--agents", "300", "--rate", "0.3"]
    line += ["--seeds", "1", "--processes", "2", "-o", str(tmp_path)]
    running = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 240.0
        while not (tmp_path / FILE).exists() or (tmp_path / FILE).read_text().count("\n") < 2:
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.05)
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        assert len(children) == 2
        running.send_signal(how)
        _, said = running.communicate(timeout=60)
        if how is signal.SIGINT:
            assert "the same command goes on" in said
            assert "Traceback" not in said
        while any(map(_lives, map(int, children))):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        running.kill()
        running.wait()
