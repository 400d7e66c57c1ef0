"""What an event costs, counted in function calls, which no other program on the machine can change; and the benchmark."""

from __future__ import annotations

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
    return {"agents": agents, **sizes, "p99_us": p99_us, "mean_us": 1.0, "events_per_s": 2e5, **others}


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


def test_the_benchmark_measures_every_kind_of_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "sizes", lambda: [Case(40, 60, 5), Case(20, 60, 5)])
    monkeypatch.setattr(routing, "policies", lambda: [Case(20, 0, 5, "weighted", "cmu", spread=True)])
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
    assert 0 < busy["p50_us"] <= busy["p99_us"] <= busy["max_us"]
    assert set(found["sizes"]["targets"]) == {"p99_us", "events_per_s", "growth", "growth_mean"}
    assert found["policies"]["rows"][0]["agent_selection"] == "weighted"
