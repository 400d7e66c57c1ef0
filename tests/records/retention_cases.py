"""What goes when its time is over, on SQLite and PostgreSQL alike. Collected by test_retention_*.py."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from lawful import START, Day, K, write_day
from storekit import QUICK, Database, settled

from acd.domain.records import CallAnnotated
from acd.domain.states import CallOutcome
from acd.records import retention
from acd.records.horizon import kept_from
from acd.records.retention import DAY_S, Policy, Retention, StoppedError
from acd.records.trail import entry, write_now
from acd.records.verify import Verifier
from acd.store import Store
from acd.store.tables import audit

EVERYTHING = Policy(**{field.name: 10 for field in fields(Policy)})


def runs(database: Database, tmp_path: Path, policy: Policy, second: float, **how: Any) -> Retention:
    """A run to be, in which ten days are over for what is older than ``second`` of the day."""
    how = {"rest": lambda seconds: False, "sealed": lambda number: f"hmac:{number}", **how}
    return Retention(database.url, policy, tmp_path / "sound", now=START + second + 10 * DAY_S, **how)


def calls_of(database: Database, table: str = "calls") -> list[str]:
    return sorted({row["call"] for row in database.contents()[table]})


def wrong(database: Database) -> list[str]:
    return [str(one) for one in Verifier(database.url).violations()]


async def test_nothing_goes_that_no_days_were_set_for(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    before = database.contents()
    run = runs(database, tmp_path, Policy(), 1e9)
    assert run.due().rows == run.run("me").rows == {}
    assert database.contents() == before
    assert database.rows(audit) == []


async def test_a_look_changes_nothing_and_says_what_a_run_takes(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    write_now(database.url, entry("user:x", "agent_login", "agent:anna", at=START))
    before = database.contents()
    run = runs(database, tmp_path, EVERYTHING, 51)
    looked = run.due().rows
    assert database.contents() == before
    assert looked == {
        "recordings": 0, "notes": 1, "callers": 2, "decisions": 1, "calls": 2, "agent_states": 5, "lists": 0, "audit": 1,
    }  # fmt: skip
    assert run.run("me").rows == {**looked}
    assert wrong(database) == []
    assert sum(run.due().rows.values()) == 0


@pytest.mark.parametrize("piece", [1, 2, 500])
async def test_what_is_older_goes_and_what_is_under_way_stays(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(retention, "PIECE", piece)
    await write_day(database, tmp_path)
    assert runs(database, tmp_path, Policy(calls=10), 70).run("me").rows == {"calls": 3}
    for table in ("calls", "segments"):
        assert calls_of(database, table) == ["c4", "c5", "c6"]
    assert calls_of(database, "decisions") == ["c5", "c6"]
    assert wrong(database) == []
    assert runs(database, tmp_path, Policy(calls=10, agent_states=10), 1e6).run("me").rows["calls"] == 2
    assert calls_of(database) == ["c5"]
    assert [row["state"] for row in database.contents()["agent_states"]] == ["LOGGED_OUT", "TALKING"]
    assert wrong(database) == []


async def test_callers_go_and_figures_stay(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    day = Day()
    day.records.append(CallAnnotated("c5", notes="still on the line", recording="x.wav"))
    await write_day(database, tmp_path, day.records)
    before = database.contents()
    assert runs(database, tmp_path, Policy(callers=10), 82).run("me").rows == {"callers": 4}
    after = database.contents()
    who = {"caller_number", "caller_name", "notes"}
    assert {row["call"] for row in after["calls"] if row["caller_number"] or row["caller_name"] or row["notes"]} == {
        "c5",
        "c6",
    }
    for old, new in zip(before["calls"], after["calls"], strict=True):
        assert {key: value for key, value in old.items() if key not in who} == {
            key: value for key, value in new.items() if key not in who
        }
    assert {**before, "calls": []} == {**after, "calls": []}
    assert after["calls"][4]["notes"] == "still on the line"


async def test_notes_alone_and_explanations_alone(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    run = runs(database, tmp_path, Policy(notes=10, decisions=10), 52)
    assert run.run("me").rows == {"notes": 1, "decisions": 3}
    assert database.contents()["calls"][0]["caller_name"] == "Ann Lee"
    assert calls_of(database, "decisions") == ["c5", "c6"]
    assert wrong(database) == []
    # What an earlier run left, because its call lasted then
    database.execute("UPDATE calls SET ended_at = NULL WHERE call = 'c6'")
    later = runs(database, tmp_path, Policy(decisions=10), 1e5)
    assert later.run("me").rows == {"decisions": 0}
    database.execute("UPDATE calls SET ended_at = answered_at WHERE call = 'c6'")
    assert runs(database, tmp_path, Policy(decisions=10), 2e5).run("me").rows == {"decisions": 1}


async def test_sound_is_deleted_where_it_is_ours(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "sound"
    (folder / "2026").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (folder / "link.wav").symlink_to(tmp_path / "secret")
    (folder / "2026" / "ours.wav").write_bytes(b"RIFF")
    (folder / "kept.wav").write_bytes(b"RIFF")
    day = Day()
    names = ("2026/ours.wav", "../secret", "link.wav", "gone.wav", str(tmp_path / "secret"), "kept.wav")
    for n, name in enumerate(names):
        day.call(f"r{n}", n)
        day.stretches(f"r{n}", (K.ENTERED, n, None, None), end=n + 0.5)
        day.close(f"r{n}", n + 0.5, CallOutcome.OVERFLOWED)
        day.records.append(CallAnnotated(f"r{n}", recording=name))
    await write_day(database, tmp_path / "state", day.records)
    taken = runs(database, tmp_path, Policy(recordings=10), 4.5).run("me")
    assert (taken.rows, taken.undeleted) == ({"recordings": 2}, 3)
    assert (tmp_path / "secret").read_text() == "x"
    assert not (folder / "2026" / "ours.wav").exists()
    assert (folder / "kept.wav").exists()
    assert [row["recording"] for row in database.contents()["calls"]] == [
        None, "../secret", "link.wav", None, str(tmp_path / "secret"), "kept.wav",
    ]  # fmt: skip
    # With its call, sound goes as well
    runs(database, tmp_path, Policy(calls=10), 100).run("me")
    assert not (folder / "kept.wav").exists()
    assert (tmp_path / "secret").read_text() == "x"


async def test_a_run_that_is_stopped_is_whole_and_goes_on_later(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PIECE", 1)
    await write_day(database, tmp_path)
    with pytest.raises(StoppedError):
        runs(database, tmp_path, Policy(calls=10), 100, rest=lambda seconds: True).run("me")
    assert calls_of(database) == ["c2", "c3", "c4", "c5", "c6"]
    (made,) = database.rows(audit)
    assert (made["action"], made["detail"]["outcome"], made["detail"]["rows"]) == ("retention", "stopped", {"calls": 1})
    assert wrong(database) == []
    rests: list[float] = []
    again = runs(database, tmp_path, Policy(calls=10), 101, rest=lambda seconds: bool(rests.append(seconds)))
    assert again.run("me").rows == {"calls": 4}
    assert len(rests) == 4
    assert all(0.005 <= rest <= 0.5 for rest in rests)
    assert database.rows(audit)[1]["detail"]["outcome"] == "done"


async def test_from_when_on_the_records_are_whole_is_never_forgotten(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    runs(database, tmp_path, Policy(calls=10), 70).run("me")
    runs(database, tmp_path, Policy(calls=20), 10 * DAY_S).run("me")
    runs(database, tmp_path, Policy(audit=10), 1e7).run("me")
    (made,) = database.rows(audit)
    assert made["detail"]["kept_from"] == {"calls": START + 70}
    assert wrong(database) == []


async def test_the_service_writes_meanwhile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two transactions, and straight into the database."""
    monkeypatch.setattr(retention, "PIECE", 1)
    await write_day(database, tmp_path)
    store = Store(database.url, tmp_path, QUICK)
    await store.open()
    loop, written = asyncio.get_running_loop(), []

    def rest(seconds: float) -> bool:
        day = Day()
        day.call(f"n{len(written)}", 1000)

        async def write() -> bool:
            ticket = store.write(day.records, soon=True)
            await settled(store, ticket)
            return await store.flush()

        written.append(asyncio.run_coroutine_threadsafe(write(), loop).result(10))
        return False

    run = runs(database, tmp_path, Policy(calls=10), 100, rest=rest)
    taken = await asyncio.to_thread(run.run, "me")
    assert taken.rows == {"calls": 5}
    assert written == [True] * 5
    assert store.state()["spilled"] == 0
    await store.close()
    assert calls_of(database) == ["c5", *(f"n{n}" for n in range(5))]


async def test_every_run_says_from_when_on_it_is_whole_and_forgets_no_earlier_one(
    database: Database, tmp_path: Path
) -> None:
    """Also when fewer days were kept before than are now."""
    await write_day(database, tmp_path)
    for policy, seconds in ((EVERYTHING, 51), (Policy(calls=10), 60), (Policy(notes=10), 70)):
        runs(database, tmp_path, policy, seconds).run("me")
    found = [kept_from(row["detail"]) for row in sorted(database.rows(audit), key=lambda row: row["at"])]
    assert [{kind: round(at - START) for kind, at in kept.items()} for kept in found[-2:]] == [
        {"calls": 60, "decisions": 51, "agent_states": 51, "callers": 51}
    ] * 2


async def test_numbers_go_from_what_was_said_with_the_callers(database: Database, tmp_path: Path) -> None:
    day = Day()
    day.records.append(CallAnnotated("c1", "back to 0171 1234567", None, ("vip", "+491711234567")))
    day.records.append(CallAnnotated("c2", "sold", None, ("late",)))
    await write_day(database, tmp_path)
    await write_day(database, tmp_path, day.records)
    runs(database, tmp_path, Policy(callers=10), 82).run("me")
    rows = {row["call"]: (row["disposition"], row["tags"]) for row in database.contents()["calls"]}
    assert rows["c1"] == ("back to [erased]", ["vip", "[erased]"])
    assert rows["c2"] == ("sold", ["late"])
    assert rows["c6"] == (None, None)
