"""What is over its time goes once a day while the service runs, and on the command line."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))
sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from lawful import START, write_day
from storekit import Database

from acd.cli import cli
from acd.cli.retentionjob import FIRST_S, JITTER_S, RetentionJob
from acd.domain.numbers import Numbering
from acd.records.retention import DAY_S, Policy
from acd.records.seal import load_seal
from acd.store import upgrade
from acd.store.beside import writing
from acd.store.outbound import contacts, listed, tables
from acd.store.outbound.contacts import NewContact, NewNumber

TEN_DAYS = START + 75 + 10 * DAY_S


@pytest.fixture
async def database(tmp_path: Path) -> Database:
    found = Database(f"sqlite:///{tmp_path}/acd.db")
    upgrade(found.url)
    await write_day(found, tmp_path)
    return found


class Clock:
    """Time that goes on by sleeping; stops everything after ``sleeps``."""

    def __init__(self, now: float, sleeps: int) -> None:
        self.now, self.left, self.slept = now, sleeps, list[float]()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.left -= 1
        if self.left < 0:
            await asyncio.Event().wait()
        self.now += seconds


def job(database: Database, folder: Path, clock: Clock, policy: Policy = Policy(calls=10)) -> RetentionJob:  # noqa: B008
    return RetentionJob(
        database.url, policy, folder, folder, clock=lambda: clock.now, sleep=clock.sleep, jitter=lambda: 0.5
    )


async def until_asleep(clock: Clock) -> None:
    async with asyncio.timeout(10):
        while clock.left >= 0:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_it_runs_once_a_day_and_not_again_after_a_restart(database: Database, tmp_path: Path) -> None:
    clock = Clock(TEN_DAYS, 1)
    first = job(database, tmp_path, clock)
    first.start()
    await until_asleep(clock)
    await first.stop()
    assert clock.slept[:2] == [FIRST_S + JITTER_S / 2, pytest.approx(DAY_S + JITTER_S / 2, abs=1)]
    assert [row["call"] for row in database.contents()["calls"]] == ["c5"]
    clock.now += 3600
    again = job(database, tmp_path, Clock(clock.now, 9))
    assert again.next_in_s() == pytest.approx(DAY_S - 3600 + JITTER_S / 2, abs=1)
    # A clock set back, a file that says nothing
    assert job(database, tmp_path, Clock(clock.now - 9 * DAY_S, 9)).next_in_s() == DAY_S + JITTER_S / 2
    (tmp_path / "retention").write_text("soon")
    assert again.next_in_s() == FIRST_S + JITTER_S / 2


async def test_without_days_nothing_is_even_waited_for(database: Database, tmp_path: Path) -> None:
    clock = Clock(TEN_DAYS, 1)
    idle = job(database, tmp_path, clock, Policy())
    idle.start()
    await asyncio.sleep(0)
    await idle.stop()
    assert clock.slept == []


async def test_a_database_that_is_away_is_tried_again(database: Database, tmp_path: Path) -> None:
    (tmp_path / "acd.db").rename(tmp_path / "away.db")
    clock = Clock(TEN_DAYS, 3)
    kept = job(database, tmp_path, clock)
    kept.start()
    await until_asleep(clock)
    await kept.stop()
    assert clock.slept[1] == 3600
    assert not (tmp_path / "retention").exists()


async def test_a_stop_ends_a_run_between_two_transactions(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acd.records.retention.PIECE", 1)
    monkeypatch.setattr("acd.records.retention.REST_MIN_S", 30.0)
    monkeypatch.setattr("acd.records.retention.REST_MAX_S", 30.0)
    clock = Clock(TEN_DAYS, 1)
    kept = job(database, tmp_path, clock)
    kept.start()
    async with asyncio.timeout(10):
        while len(database.contents()["calls"]) == 6:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await kept.stop()
    assert len(database.contents()["calls"]) == 5


def acd(folder: Path, *arguments: str) -> Result:
    config = folder / "acd.toml"
    return CliRunner().invoke(cli, ["--config", str(config), *arguments], prog_name="acd")


def configure(folder: Path, text: str) -> None:
    config = folder / "acd.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n[database]\nurl = "sqlite:///{folder}/acd.db"\n'
        f'[service]\nstate_dir = "{folder}"\n{text}'
    )


async def test_the_command_looks_first_and_takes_only_when_told(database: Database, tmp_path: Path) -> None:
    configure(tmp_path, "[retention]\nnotes_days = 1\ncalls_days = 30000\n")
    database.execute(
        f"UPDATE calls SET entered_at = '1999-01-01T00:00:00.000000Z' WHERE call = 'c1' AND {time.time():.0f} > 0"
    )
    for arguments in ((), ("--dry-run",)):
        result = acd(tmp_path, "records", "retention", *arguments)
        assert result.exit_code == 0, result.output
        assert "WOULD GO" in result.stdout
        assert sqlite3.connect(tmp_path / "acd.db").execute("SELECT count(*) FROM audit").fetchone() == (0,)
    result = acd(tmp_path, "--json", "records", "retention", "--run")
    body = json.loads(result.stdout)
    assert [(one["kind"], one["rows"]) for one in body["kinds"]] == [("notes", 1), ("calls", 0), ("set_aside", 0)]
    assert database.contents()["calls"][0]["notes"] is None
    assert acd(tmp_path, "records", "retention", "--run", "--dry-run").exit_code == 2


async def test_lists_and_what_the_spill_set_aside_go_by_command_and_by_themselves(
    database: Database, tmp_path: Path
) -> None:
    """The key of hashed numbers is only looked for when something is taken."""
    configure(tmp_path, "[retention]\nlists_days = 10\ncallers_days = 30000\n")
    with writing(database.url) as connection, connection.begin():
        listed.create(connection, "a", "me", START)
        contacts.add(connection, "a", [NewContact([NewNumber("+4930123456")]) for _ in range(2)], START)
    seen = acd(tmp_path, "records", "retention")
    assert "2 contacts" in seen.stdout
    assert not (tmp_path / "number.key").exists()
    body = json.loads(acd(tmp_path, "--json", "records", "retention", "--run").stdout)
    assert body["kinds"][1]["parts"] == {"contacts": 2, "rejects": 0, "attempts": 0}
    assert [(one["kind"], one["days"], one["rows"]) for one in body["kinds"]] == [
        ("callers", 30000, 0), ("lists", 10, 2), ("set_aside", 30000, 0),
    ]  # fmt: skip
    assert (tmp_path / "number.key").exists()
    with writing(database.url) as connection, connection.begin():
        contacts.add(connection, "a", [NewContact([NewNumber("+4930123456")])], START)
    (tmp_path / "spill").mkdir(exist_ok=True)
    (tmp_path / "spill" / "spill-00000001.jsonl.damaged").write_text("x")
    clock = Clock(time.time() + 20 * DAY_S, 1)
    policy, seal = Policy(lists=10, callers=10), load_seal(tmp_path, Numbering())
    kept = RetentionJob(
        *(database.url, policy, tmp_path, tmp_path), spill=tmp_path / "spill", sealed=seal.of,
        clock=lambda: clock.now, sleep=clock.sleep, jitter=lambda: 0.5,
    )  # fmt: skip
    kept.start()
    await until_asleep(clock)
    await kept.stop()
    assert database.rows(tables.contacts) == []
    assert not (tmp_path / "spill" / "spill-00000001.jsonl.damaged").exists()


async def test_without_days_the_command_says_so(database: Database, tmp_path: Path) -> None:
    configure(tmp_path, "")
    assert "nothing ever goes" in acd(tmp_path, "records", "retention").stdout


async def test_verify_says_what_is_wrong_and_where(database: Database, tmp_path: Path) -> None:
    configure(tmp_path, "")
    result = acd(tmp_path, "records", "verify")
    assert (result.exit_code, "all rules hold" in result.stdout) == (0, True), result.output
    database.execute("UPDATE calls SET outcome = 'gone' WHERE call IN ('c1', 'c2')")
    result = acd(tmp_path, "records", "verify", "--limit", "1")
    assert result.exit_code == 1
    assert "c1" in result.stdout
    assert "and 1 more" in result.stdout
    result = acd(tmp_path, "--json", "records", "verify", "--from", "2026-09-21", "--to", "2026-09-22")
    body = json.loads(result.stdout)
    assert (body["wrong"], body["by_rule"], body["violations"][0]["call"]) == (2, {"ended": 2}, "c1")
    assert acd(tmp_path, "records", "verify", "--from", "1h", "--to", "2h").exit_code == 2
    assert "explained" in acd(tmp_path, "records", "verify", "--rules").stdout
