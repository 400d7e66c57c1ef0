"""``acd sim``: what people and programs get to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from simkit import calls, floor, group, sample, scenario

from acd.cli import sim_dialer, sim_files, sim_plots
from acd.cli.context import Failure
from acd.cli.sim import sim
from acd.cli.sim_report import show
from acd.cli.sim_scenario import load_scenario
from acd.config.problems import ProblemsError
from acd.sim import simulate


def acd_sim(*arguments: str) -> Result:
    return CliRunner().invoke(sim, list(arguments), prog_name="acd sim")


def test_a_run_as_a_table_says_what_happened_and_how_to_repeat_it() -> None:
    result = acd_sim("run", "impatient", "--seed", "3", "--length", "40m")
    assert result.exit_code == 0, result.output
    shown = result.stdout
    assert shown.startswith("impatient: 1 run of 40:00, counted after 15:00 of warm-up; seed 3\n")
    for part in ("What became of them", "How long they waited", "How busy agents were", "±", "calls a minute"):
        assert part in shown
    again = acd_sim("run", "impatient", "--seed", "3", "--length", "40m")
    digest = shown.split("digest of all commands ")[1].split()[0]
    assert f"digest of all commands {digest}" in again.stdout
    assert digest not in acd_sim("run", "impatient", "--seed", "4", "--length", "40m").stdout


def test_mistakes_as_json_are_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("floor: {queues: {sales: {rng: 3}}}\ncallers: {a: {did: 1}}\nsimulation: {lenght: 1h}\n")
    with pytest.raises(ProblemsError) as caught:
        load_scenario(path)
    Failure.of(caught.value, as_json=True).show()
    error = json.loads(capsys.readouterr().err)["error"]
    told = {(one["line"], one["message"].split(" ")[0]) for one in error["problems"]}
    assert {(1, "unknown"), (2, "callers"), (3, "unknown")} <= told
    assert all(one["file"] == str(path) and one["column"] for one in error["problems"])


def test_a_run_as_json_is_what_the_library_found() -> None:
    result = acd_sim("run", "erlang-b", "--json", "--length", "2h", "--replications", "2", "--confidence", "0.9")
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert (body["scenario"], body["seed"], body["replications"], body["confidence"]) == ("erlang-b", 1, 2, 0.9)
    assert len(set(body["digests"])) == 2
    total = body["total"]
    assert total["callers"] > 1_000
    assert total["answered"]["value"] + total["blocked"]["value"] == pytest.approx(1.0)
    assert 0 < total["adjusted"]["blocked"]["half_width"] < total["blocked"]["half_width"]
    assert total["delayed_s"] is None
    assert body["agents"]["agent"]["agents"] == 10
    assert set(body["queues"]) == {"calls"}
    assert body["calls_per_cpu_minute"] > 0


def test_files_and_pictures(tmp_path: Path) -> None:
    result = acd_sim("run", "a-day", "--length", "2h", "--out", str(tmp_path / "new" / "out"))
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "new" / "out").iterdir())
    assert names == ["floor.png", "occupancy.png", "results.json", "waits.png"]
    assert json.loads((tmp_path / "new" / "out" / "results.json").read_text())["scenario"] == "a-day"
    for picture in ("floor.png", "occupancy.png", "waits.png"):
        data = (tmp_path / "new" / "out" / picture).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) > 10_000
        assert f"wrote {tmp_path / 'new' / 'out' / picture}" in result.stdout


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = acd_sim("run", "erlang-b", "--length", "40m", "--out", str(tmp_path / "file" / "out"))
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("run", "erlang-b", "--length", "40m"), "results.json"),
        (
            ("dialer", "--case", "b", "--agents", "2", "--rate", "0.9", "--seeds", "1", "--processes", "1"),
            "dialer.json",
        ),
    ],
)
def test_without_matplotlib_all_but_the_pictures_is_written(
    tmp_path: Path, command: tuple[str, ...], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_files, "find_spec", lambda name: None)
    monkeypatch.setattr(sim_dialer, "_judged", lambda *asked: [])
    result = acd_sim(*command, "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert json.loads((tmp_path / file).read_text())
    assert "matplotlib is not installed, so all is written but the pictures" in result.stderr
    assert "pip install matplotlib" in result.stderr
    assert f"wrote {tmp_path / file}" in result.stdout


def test_a_run_that_could_leave_nothing_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sim_dialer, "days_of", lambda run: pytest.fail("it was run"))
    result = acd_sim("dialer", "--case", "b", "--processes", "1", "--out", str(tmp_path / "file"))
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)


def test_pictures_that_fail_at_the_end_lose_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(results: object, folder: Path) -> list[Path]:
        raise ImportError("libfreetype is gone")

    monkeypatch.setattr(sim_plots, "draw", broken)
    result = acd_sim("run", "erlang-b", "--length", "40m", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "cannot be used (libfreetype is gone)" in result.stderr
    assert f"wrote {tmp_path / 'results.json'}" in result.stdout


def test_the_list_of_samples_and_of_a_folder_with_a_bad_one(tmp_path: Path) -> None:
    shown = acd_sim("list").stdout
    assert "erlang-c" in shown
    assert sample("a-day").description in shown
    (tmp_path / "bad.yaml").write_text("floor: 3\n")
    rows = json.loads(acd_sim("list", str(tmp_path), "--json").stdout)
    assert [row["name"] for row in rows] == ["bad"]
    assert rows[0]["problems"]
    assert "cannot be run" in acd_sim("list", str(tmp_path)).stdout


@pytest.mark.parametrize("length", ["soon", "5m", "-1"])
def test_a_length_that_is_none_or_within_the_warm_up(length: str) -> None:
    result = acd_sim("run", "impatient", f"--length={length}")
    assert result.exit_code == 2
    assert "longer than the warm-up of 900 s" in result.stderr


def test_help_says_what_it_is_for() -> None:
    assert "acd sim run erlang-c --seed 7" in acd_sim("run", "--help").stdout
    assert "virtual time" in acd_sim("--help").stdout


def test_what_should_not_be_overlooked_stands_below_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    from acd.cli.context import Options
    from acd.sim.scenario import AgentGroup, Shift

    definition = floor(1)
    away = AgentGroup("all", ("a1",), shifts=(Shift(0.0, 1.0),))
    show(simulate(scenario(definition, calls(5.0, 6.0), agents=(away,)), 1), 1.0, Options())
    assert "2 callers still waited when nothing more could happen" in capsys.readouterr().out
    show(simulate(scenario(definition, calls(5.0, did="nobody"), agents=(group(definition),)), 1), 1.0, Options())
    assert "alarm unknown_did: 1 times" in capsys.readouterr().out


def test_the_benchmark_tells_what_a_call_costs() -> None:
    from acd.lab.bench.simulation import main

    result = CliRunner().invoke(main, ["--json", "--calls", "400", "--rounds", "1", "--agents", "50"])
    body = json.loads(result.stdout)
    (row,) = body["rows"]
    assert result.exit_code == (0 if body["reached"] else 1)
    assert body["reached"] == (row["calls_per_minute"] >= 100_000)
    assert row["calls"] == pytest.approx(400, rel=0.2)
    assert row["by_event"]["CallArrived"]["per_call"] == pytest.approx(1.0)
    assert 0 < row["floor_us_per_call"] < 2 * row["us_per_call"]
