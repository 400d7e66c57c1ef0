"""What an event costs, counted in function calls, which no other program on the machine can change; and the benchmark."""

from __future__ import annotations

import gc
import json
import sys
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner

from acd.domain.definition import AGENT_SELECTIONS, CALL_SELECTIONS
from acd.lab.bench import routing
from acd.lab.bench.routing_floor import Case, MadeUpFloor


def calls_per_event(case: Case) -> float:
    floor = MadeUpFloor(case)
    for _ in range(300):
        floor.cycle()
    floor.times_ns.clear()
    count = 0

    def on_call(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(on_call)
    try:
        for _ in range(300):
            floor.cycle()
    finally:
        sys.setprofile(None)
    return count / sum(map(len, floor.times_ns.values()))


@pytest.mark.parametrize(
    ("agent_selection", "call_selection"),
    [(kind, "priority") for kind in AGENT_SELECTIONS] + [("longest_idle", kind) for kind in CALL_SELECTIONS],
)
@pytest.mark.parametrize("waiting", [False, True])
def test_twenty_times_the_floor_makes_no_more_steps(agent_selection: str, call_selection: str, waiting: bool) -> None:
    def case(agents: int) -> Case:
        return Case(agents, 2 * agents * waiting, 60, agent_selection, call_selection, spread=True)

    # Half as much again is for blocks and digits, of which a large floor has a few more
    assert calls_per_event(case(2_000)) < 1.5 * calls_per_event(case(100))


def row(agents: int, p99_us: float, **others: Any) -> dict[str, Any]:
    sizes = {"waiting": 0, "types": 10, "agent_selection": "x", "call_selection": "y", "spread": False}
    # The median of the runs' p99 is what is given, and they differ by a half
    runs = [{"p99_us": factor * p99_us, "mean_us": 1.0} for factor in (1.0, 0.5, 1.5)]
    return {"agents": agents, **sizes, "p99_us": p99_us, "mean_us": 1.0, "events_per_s": 2e5, "runs": runs, **others}


def test_targets_take_the_worst() -> None:
    rows = [row(100, 10.0), row(1_000, 60.0), row(10_000, 19.0), row(100, 10.0, types=5), row(10_000, 21.0, types=5)]
    rows[1]["events_per_s"] = 99_999.0
    assert routing.targets(rows) == {
        "p99_us": {"value": 60.0, "limit": 50.0, "met": False},
        "events_per_s": {"value": 99_999.0, "limit": 100_000.0, "met": False},
        "growth": {"value": 2.1, "limit": 2.0, "met": False},
        "growth_mean": {"value": 1.0, "limit": 2.0, "met": True},
    }
    assert set(routing.targets(rows[:1])) == {"p99_us", "events_per_s"}


def test_growth_is_the_median_over_runs_made_one_after_the_other() -> None:
    """A run in which the machine was busy counts neither for nor against."""

    def of(agents: int, *p99s_us: float) -> dict[str, Any]:
        return row(agents, 1.0, runs=[{"p99_us": p99_us, "mean_us": 2 * p99_us} for p99_us in p99s_us])

    found = routing.targets([of(100, 10.0, 10.0, 40.0), of(10_000, 15.0, 90.0, 64.0)])
    assert found["growth"]["value"] == 1.6
    assert found["growth_mean"]["value"] == 1.6


def test_the_middle_of_an_odd_and_an_even_number_of_runs() -> None:
    runs = [{"p99_us": 3.0, "max_us": 9.0}, {"p99_us": 1.0, "max_us": 7.0}, {"p99_us": 2.0, "max_us": 80.0}]
    assert routing.middle(runs) == {"p99_us": 2.0, "max_us": 9.0}
    assert routing.middle(runs[:2]) == {"p99_us": 2.0, "max_us": 8.0}


def test_the_benchmark_measures_every_kind_of_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "sizes", lambda: [Case(40, 60, 5), Case(20, 60, 5)])
    monkeypatch.setattr(routing, "policies", lambda: [Case(20, 0, 5, "weighted", "cmu", spread=True)])
    gc.unfreeze()
    frozen = gc.get_freeze_count()
    result = CliRunner().invoke(routing.main, ["--json", "--events", "3000", "--repeats", "1"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert "longest_idle, priority" in result.stderr
    busy = found["sizes"]["rows"][0]
    kinds = {
        *("call arrives", "phone rings", "agent answers", "wrap-up begins", "agent freed"),
        *("caller leaves", "requirement relaxed"),
    }
    assert kinds <= set(busy["by_kind"])
    assert busy["events"] >= 3_000
    assert [run["events"] for run in busy["runs"]] == [busy["events"]]
    assert gc.get_freeze_count() == frozen
    assert 0 < busy["p50_us"] <= busy["p99_us"] <= busy["max_us"]
    assert set(found["sizes"]["targets"]) == {"p99_us", "events_per_s", "growth", "growth_mean"}
    assert found["policies"]["rows"][0]["agent_selection"] == "weighted"
