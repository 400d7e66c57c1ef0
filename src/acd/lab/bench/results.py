"""Rows to results: medians over rounds, what they are multiples of, targets met or missed, and the file of it all.

Pure but for `machine`, which looks at this one. The file's shape is `document`'s docstring.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acd.domain.values import valueclass
from acd.lab.bench.routing import targets as routing_targets
from acd.lab.bench.statistics import median, ratio
from acd.lab.judged.verdict import TOLERANCE

FORMAT = 1
OTHERS_CORES_MAX = 0.15
"""With more than this busy elsewhere, figures say more about the machine than about the contenders."""
Row = Mapping[str, Any]
Key = tuple[str, str, int, float]
"""case, contender, agents, rate"""

FIGURES = (
    *("setup_p50_ms", "setup_p90_ms", "setup_p99_ms", "setup_max_ms"),
    *("asterisk_ms", "controller_ms", "total_ms", "sipp_ms", "others_cores", "lost", "unanswered", "retransmissions"),
    *("makespan_s", "ideal_s", "over_ideal_percent", "gap_p50_ms", "gap_p99_ms"),
    *("ready_s", "rebuild_s"),
)
"""What is a figure of a row, so that its median means something."""

JUDGED_RATE = 140.0
"""Calls a second at which set-up is compared with bare Dial's, and shall take `FAR_AHEAD` of app_queue's at most."""
FAR_AHEAD = 0.5
NOT_BEHIND = 1.1
"""Of app_queue's figure, the better strategy's, everywhere else."""

SINGLE = frozenset({"highest", "parse", "routing", "simulation", "records", "lists", "campaign"})
"""Cases whose rows are no rounds of the same thing."""


def group(rows: Iterable[Row]) -> dict[Key, list[Row]]:
    """Rows of the same case, contender and sizes, in the order they were measured."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        key = (str(row["case"]), str(row["contender"]), int(row.get("agents", 0)), float(row.get("rate", 0)))
        groups.setdefault(key, []).append(row)
    return groups


def summarize(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One entry for each group of every case but ``highest`` and ``parse``: the sizes, ``rounds``, and medians."""
    summary = []
    for (case, contender, agents, rate), members in group(rows).items():
        if case in SINGLE:
            continue
        entry: dict[str, Any] = {"case": case, "contender": contender, "agents": agents, "rate": rate}
        entry["rounds"] = len(members)
        for figure in FIGURES:
            value = median(member.get(figure) for member in members)
            if value is not None:
                entry[figure] = round(value, 4)
        summary.append(entry)
    return summary


def highest_rates(rows: Iterable[Row]) -> dict[str, float | None]:
    """For each contender whose search came to its end, the highest rate held; None when not even the first was."""
    tries: dict[str, list[Row]] = {}
    for row in rows:
        if row["case"] == "highest":
            tries.setdefault(row["contender"], []).append(row)
    return {
        contender: max((row["rate"] for row in of if row["held"]), default=None)
        for contender, of in tries.items()
        if not of[-1].get("unfinished", False)
    }


def others_cores(results: Mapping[str, Any]) -> float:
    """How many processors other programs kept busy while loads ran, in the median."""
    return median(row["others_cores"] for row in results["rows"] if row["case"] in ("setup", "cpu")) or 0.0


@valueclass(frozen=True, slots=True)
class Target:
    """Something promised: ``value`` shall be at most (or at least) ``bound``. ``met`` is None when not measured."""

    name: str
    value: float | None
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def targets(rows: Sequence[Row]) -> list[Target]:
    """Every promise these rows can say something about."""
    medians = {(e["case"], e["contender"], e["agents"], e["rate"]): e for e in summarize(rows)}

    def find(case: str, contender: str, figure: str, agents: int = 0, rate: float = 0) -> float | None:
        for (a_case, who, some, speed), entry in medians.items():
            if (a_case, who) == (case, contender) and agents in (0, some) and rate in (0, speed):
                value = entry.get(figure)
                return None if value is None else float(value)
        return None

    found: list[Target] = []

    def queue_best(case: str, figure: str, agents: int, rate: float) -> float | None:
        """app_queue's figure, of the strategy that does better."""
        found = (find(case, who, figure, agents, rate) for who in ("leastrecent", "rrmemory"))
        return min((value for value in found if value is not None), default=None)

    setups = [(key[2], key[3]) for key in medians if key[0] == "setup" and key[1] == "acd"]
    judged = JUDGED_RATE if any(rate == JUDGED_RATE for _, rate in setups) else max((r for _, r in setups), default=0.0)
    for agents, rate in setups:
        mine, name = find("setup", "acd", "setup_p99_ms", agents, rate), f"set-up p99 at {rate:g}/s"
        if rate == judged:
            base = find("setup", "dial", "setup_p99_ms", agents, rate)
            found.append(Target(f"{name}, of bare Dial's", ratio(mine, base), 1.5, unit="x"))
        queue = queue_best("setup", "setup_p99_ms", agents, rate)
        bound = FAR_AHEAD if rate == judged else NOT_BEHIND
        found.append(Target(f"{name}, of app_queue's", ratio(mine, queue), bound, unit="x"))
    loads = [(key[0], key[2], key[3]) for key in medians if key[0] in ("setup", "cpu") and key[1] == "acd"]
    for case, agents, rate in loads:
        mine, base = (find(case, who, "total_ms", agents, rate) for who in ("acd", "dial"))
        name = f"CPU a call, {agents} agents at {rate:g}/s"
        found.append(Target(f"{name}, of bare Dial's", ratio(mine, base), 1.5, unit="x"))
        queue = queue_best(case, "total_ms", agents, rate)
        found.append(Target(f"{name}, of app_queue's", ratio(mine, queue), NOT_BEHIND, unit="x"))
    flat = [find("cpu", "acd", "total_ms", key[2], key[3]) for key in medians if key[0] == "cpu" and key[1] == "acd"]
    known = [value for value in flat if value is not None]
    if len(known) > 1:
        found.append(Target("CPU a call, most agents of fewest", ratio(known[-1], known[0]), 1.15, unit="x"))
    if any(key[:2] == ("saturated", "acd") for key in medians):
        found.append(Target("saturated, over the ideal", find("saturated", "acd", "over_ideal_percent"), 3.0, unit="%"))
        found.append(Target("agent idle gap p50", find("saturated", "acd", "gap_p50_ms"), 10.0, unit="ms"))
    highest = highest_rates(rows)
    if "acd" in highest:
        queue = max(
            (rate for who, rate in highest.items() if who in ("leastrecent", "rrmemory") and rate), default=None
        )
        for name, base, bound in (("bare Dial's", highest.get("dial"), 0.8), ("app_queue's", queue, 1.3)):
            found.append(Target(f"highest rate held, of {name}", ratio(highest["acd"], base), bound, True, "x"))
    if any(key[0] == "start" for key in medians):
        found.append(Target("acd serve ready", find("start", "acd", "ready_s"), 1.5, unit="s"))
    if any(key[0] == "rebuild" for key in medians):
        found.append(Target("rebuilt with held callers", find("rebuild", "acd", "rebuild_s"), 2.0, unit="s"))
    parsed = [row["events_per_s"] for row in rows if row["case"] == "parse" and row.get("wanted") != "all"]
    if parsed:
        found.append(Target("AMI events parsed", median(parsed), 150_000, True, "/s"))
    return [*found, *_core_targets(rows)]


def _core_targets(rows: Sequence[Row]) -> list[Target]:
    """The promises about what needs no Asterisk."""
    found: list[Target] = []
    routing = [dict(row) for row in rows if row["case"] == "routing"]
    if routing:
        found.append(Target("routing, p99 of an event, at worst", max(r["p99_us"] for r in routing), 50.0, unit="µs"))
        found.append(Target("routing, at worst", min(r["events_per_s"] for r in routing), 100_000, True, "events/s"))
        growths = routing_targets(routing)
        for name, figure in (("growth", "p99"), ("growth_mean", "mean")):
            growth = growths.get(name, {}).get("value")
            found.append(Target(f"routing, {figure} with 10,000 agents, of that with 100", growth, 2.0, unit="x"))
    simulated = [row["calls_per_minute"] for row in rows if row["case"] == "simulation"]
    if simulated:
        found.append(Target("simulated calls a minute of computing", min(simulated), 100_000, True, "/min"))
    for database, bound in (("sqlite", 500), ("postgresql", 2_000)):
        records = [row for row in rows if row["case"] == "records" and row["database"] == database]
        flat_out = [row["in_database_a_s"] for row in records if "in_database_a_s" in row]
        late = [row["durable_p99_ms"] for row in records if "rate" in row and row["durable_in"] == "log"]
        if flat_out:
            found.append(Target(f"records of calls stored, {database}", min(flat_out), bound, True, "calls/s"))
        if late:
            found.append(Target(f"records durable p99, {database}", max(late), 100.0, unit="ms"))
    for row in rows:
        if row["case"] == "lists":
            name = f"rows of a list imported, {row['database']}"
            found.append(Target(name, row["rows_a_s"], 1_000_000 / 120, True, "rows/s"))
        elif row["case"] == "campaign":
            found += _campaign_targets(row)
    return found


def _campaign_targets(row: Row) -> list[Target]:
    """The promises about a campaign on real calls, in points."""
    found = []
    for name in ("utilisation", "abandonment"):
        apart = abs(row[name] - row[f"{name}_simulated"]) * 100
        found.append(Target(f"campaign, {name}, from the simulator's", apart, TOLERANCE * 100, unit="points"))
    found.append(Target("campaign, abandoned", row["abandonment"] * 100, row["cap"] * 100, unit="%"))
    found.append(Target("campaign, dialled outside the rules", float(len(row["breaches"])), 0.0))
    return found


def machine() -> dict[str, Any]:
    """This machine, as far as it explains figures."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def document(
    rows: Sequence[Row],
    *,
    began_at: str,
    took_s: float,
    command: str,
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    plan: Mapping[str, Any],
) -> dict[str, Any]:
    """results.json: ``{"format": 1, "began_at", "took_s", "command", "machine", "versions", "plan", "rows": [...],
    "summary": [...], "highest": {contender: calls a second}, "targets": [{"name", "value", "bound", "at_least", "unit",
    "met"}]}``. Times are ISO 8601 in UTC, figures end in their unit; ``rows`` are the single rounds.
    """
    return {
        "format": FORMAT,
        "began_at": began_at,
        "took_s": round(took_s, 1),
        "command": command,
        "machine": dict(machine),
        "versions": dict(versions),
        "plan": dict(plan),
        "rows": [dict(row) for row in rows],
        "summary": summarize(rows),
        "highest": highest_rates(rows),
        "targets": [
            {
                "name": target.name,
                "value": None if target.value is None else round(target.value, 3),
                "bound": target.bound,
                "at_least": target.at_least,
                "unit": target.unit,
                "met": target.met,
            }
            for target in targets(rows)
        ],
    }
