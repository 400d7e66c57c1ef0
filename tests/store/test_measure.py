"""The measurement of the store: it plays what a floor writes, and counts it right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from storekit import QUICK, Database, Reference, new_store

from acd.domain.records import CallClosed, CallOpened
from acd.store.generated import RECORDS_A_CALL, STEPS_AT_S
from acd.store.measure import at_full_speed, timetable


def test_the_timetable_is_that_of_a_floor_long_open() -> None:
    before, after = timetable(10.0, 3.0)
    assert [at for at, _ in before + after] == sorted(at for at, _ in before + after)
    assert before[0][0] >= -STEPS_AT_S[-1] - 0.1
    assert before[-1][0] < 0 <= after[0][0]
    assert after[-1][0] < 3.0
    records = [record for _, step in after for record in step]
    for kind in (CallOpened, CallClosed):
        assert sum(isinstance(record, kind) for record in records) == 30, "as many begin as end"
    assert abs(len(records) - 30 * RECORDS_A_CALL) < RECORDS_A_CALL
    # Every agent's intervals follow each other.
    reference = Reference()
    reference.add_all(record for _, step in before + after for record in step)
    assert all(row["ended_at"] is not None for row in reference.contents()["calls"][:30])


async def test_full_speed_stores_every_call(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path, QUICK)
    await store.open()
    found = await at_full_speed(store, 300)
    await store.close()
    assert found["calls"] == 300
    assert found["durable_a_s"] >= found["in_database_a_s"] > 0
    rows = database.contents()
    assert len(rows["calls"]) == 300
    assert all(row["ended_at"] is not None for row in rows["calls"])
    assert len(rows["segments"]) == 1800


def test_it_runs_as_a_program_and_keeps_the_address_to_itself(tmp_path: Path) -> None:
    options = ["--rate", "20", "--seconds", "0.5", "--durable-in", "log", "--database-pace-s", "0.2"]
    done = subprocess.run(
        [sys.executable, "-m", "acd.store.measure", "-", str(tmp_path / "state"), *options],
        input=f"sqlite:///{tmp_path}/acd.db",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rate"], found["seconds"]) == (20.0, 0.5)
    assert found["batches"] > 0
    assert 0 < found["durable_p50_ms"] <= found["durable_p99_ms"] <= found["durable_max_ms"]
