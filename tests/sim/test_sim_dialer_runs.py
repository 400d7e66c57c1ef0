"""Runs of the dialler's suite are kept: an interrupted suite goes on, and what is kept is what would be found again."""

from __future__ import annotations

import json
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
    odd = '{"run": 3}\nnull\n{"run": "x", "days": [[1]]}\n\ufffd\n'
    (tmp_path / FILE).write_text("".join(kept[:5]) + odd + kept[5][:40])
    again = counted(monkeypatch)
    assert dialer(tmp_path).exit_code == 0
    assert len(again) == ALL - 5
    assert sorted((tmp_path / FILE).read_text().splitlines(keepends=True)) == sorted(kept)


def test_what_other_code_found_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dialer(tmp_path)
    before = (tmp_path / FILE).read_text()
    monkeypatch.setattr(sim_dialer_runs, "code", lambda: "0" * 64)
    again = counted(monkeypatch)
    assert dialer(tmp_path).exit_code == 0
    assert len(again) == ALL
    after = (tmp_path / FILE).read_text()
    assert len(after.splitlines()) == ALL
    assert after != before


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
    assert capsys.readouterr().err.count("no longer kept") == 1
