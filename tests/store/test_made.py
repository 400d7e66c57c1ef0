"""Made-up records: the same from the same seed, as many as asked for, and true to the rules of records."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_cases import *  # noqa: F403
from made_cases import generate_into
from storekit import Database

from acd.cli import cli
from acd.domain.states import SegmentKind
from acd.store import Store
from acd.store.made.calendar import hourly, weight_of
from acd.store.made.calls import COLUMNS, Maker

MONDAY = date(2026, 1, 5)


def made(calls: int, days: int, seed: int) -> dict[str, list[tuple[object, ...]]]:
    found: dict[str, list[tuple[object, ...]]] = {name: [] for name in COLUMNS}
    Maker(calls, days, seed, MONDAY).parts(500, lambda rows: [found[name].extend(some) for name, some in rows.items()])
    return found


def test_the_same_seed_makes_the_same_records() -> None:
    assert made(300, 2, 7) == made(300, 2, 7)
    assert made(300, 2, 7) != made(300, 2, 8)


def test_memory_is_bounded_by_what_is_handed_over_at_once() -> None:
    sizes: list[int] = []
    Maker(3000, 3, 1, MONDAY).parts(500, lambda rows: sizes.append(max(map(len, rows.values()))))
    assert len(sizes) > 20
    assert max(sizes) < 1000


@pytest.mark.parametrize(("calls", "days"), [(1, 1), (7, 30), (10_000, 9), (12_345, 365)])
def test_calls_are_as_many_as_asked_for_on_days_and_hours(calls: int, days: int) -> None:
    of_days = list(hourly(calls, MONDAY, days))
    assert len(of_days) == days
    assert sum(sum(counts) for _, counts in of_days) == calls
    assert all(not any(counts[:7]) and not any(counts[20:]) for _, counts in of_days)
    if calls >= 10_000:
        busy = {day: sum(counts) for day, counts in of_days[:7]}
        assert sorted(busy, key=busy.__getitem__) == sorted(busy, key=lambda day: (weight_of(day), busy[day]))


def test_all_kinds_of_calls_are_there() -> None:
    found = made(4000, 7, 1)
    outcomes = Counter(row[COLUMNS["calls"].index("outcome")] for row in found["calls"])
    kinds = Counter(row[COLUMNS["segments"].index("kind")] for row in found["segments"])
    states = Counter(row[COLUMNS["agent_states"].index("reason")] for row in found["agent_states"])
    numbers = Counter(row[COLUMNS["calls"].index("caller_number")] for row in found["calls"])
    assert len(found["calls"]) == 4000
    assert 0.01 < outcomes["abandoned"] / 4000 < 0.15
    assert 0.02 < outcomes["transferred"] / 4000 < 0.08
    assert kinds.keys() == set(SegmentKind)
    column = {name: {one: n for n, one in enumerate(of)} for name, of in COLUMNS.items()}
    ends = Counter((row[2], row[column["segments"]["outcome"]]) for row in found["segments"])
    for how in ("overflowed", "escalated"):
        assert ends["waited", how] > 0, how
    assert ends["talked", "escalated"] > 20
    assert ends["talked", "transferred"] > 20
    passed_on = [row for row in found["calls"] if row[column["calls"]["talks"]] > 1]
    assert len(passed_on) > 40
    assert all(row[column["calls"]["rewait_us"]] > 0 for row in passed_on)
    asked = Counter(json.loads(row[column["decisions"]["detail"]]).get("requirement") for row in found["decisions"])
    assert len(asked) > 6
    assert states["rona"] > 20
    assert states["lunch"] > 20
    del numbers[""]
    assert 0.05 < sum(count - 1 for count in numbers.values()) / 4000 < 0.4


def test_a_campaign_has_dialled_whoever_is_a_call_of_its_line() -> None:
    found = made(8000, 7, 1)
    column = {name: {one: n for n, one in enumerate(of)} for name, of in COLUMNS.items()}
    called = {row[0]: row for row in found["calls"] if row[column["calls"]["queue"]] == "g1-spring"}
    at = column["attempts"]
    reached = {row[at["call"]]: row for row in found["attempts"] if row[at["call"]] is not None}
    assert called.keys() == reached.keys()
    assert len(called) > 200
    for call, row in called.items():
        assert row[column["calls"]["channel"]] == reached[call][0]
        assert row[column["calls"]["caller_number"]] == reached[call][at["number"]]
    outcomes = Counter(row[at["outcome"]] for row in found["attempts"])
    assert {"answered", "abandoned", "opted_out", "no_answer", "busy", "congestion", "invalid"} <= outcomes.keys()
    tried = Counter(row[at["contact"]] for row in found["attempts"])
    kept = {row[0]: row[column["contacts"]["attempts"]] for row in found["contacts"]}
    assert kept == tried
    assert {1, 2, 3} == {*tried.values()}
    windows = {row[1:3]: row[3] for row in found["campaign_ledgers"]}
    assert windows["campaign", 0] == sum(count for (window, _), count in windows.items() if window == "day")
    assert windows["campaign", 0] == outcomes["answered"] + outcomes["abandoned"] + outcomes["opted_out"]


async def test_a_database_that_a_service_has_open_is_left_alone(database: Database, tmp_path: Path) -> None:
    store = Store(database.url, tmp_path / "state")
    await store.open()
    try:
        result = generate_into(database.url)
    finally:
        await store.close()
    assert result.exit_code == 5
    assert "stop the service first" in result.stderr or "stop it first" in result.stderr
    assert database.contents()["calls"] == []


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["records", "generate", "--calls", "1", "--url", f"sqlite:///{tmp_path}/none.db"])
    assert result.exit_code == 1
    assert "run `acd db upgrade`" in result.stderr


def test_indexes_and_journal_are_as_before(database: Database, tmp_path: Path) -> None:
    def schema() -> list[tuple[str]]:
        connection = sqlite3.connect(tmp_path / "db" / "acd.db")
        found = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name"
        ).fetchall()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
        return found

    before = schema()
    assert generate_into(database.url).exit_code == 0
    assert schema() == before
