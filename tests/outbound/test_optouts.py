"""Who opts out while the database is away is on the do-not-call list once it is back, whatever ended the service."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from acd.domain import outbound as wire
from acd.domain.campaigns import CampaignState
from acd.outbound import runtime
from acd.outbound.optouts import FILE, OptOutFile, OptOuts
from acd.outbound.runtime import Dialling
from acd.outbound.words import OptOut
from acd.store import upgrade
from acd.store.outbound import callbacks, contacts, listed
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.outbound import Outbound
from outbound.dialkit import NODE
from outbound.test_runtime import NOON, BrittleShelf, Stand, clock, definition

ONE = OptOut("+4930123", "all", "00000100000001", 1.5)
TWO = OptOut("+4930124", "client:x", "00000100000002", 2.5)


def sealed(number: str) -> str:
    return f"hmac:{number[::-1]}"


def test_what_is_kept_is_there_until_the_database_has_it(tmp_path: Path) -> None:
    path = tmp_path / FILE
    file = OptOutFile(path)
    file.add(ONE)
    file.add(TWO)
    assert path.stat().st_mode & 0o777 == 0o600
    assert OptOutFile(path).read() == ([ONE, TWO], None)
    file.drop([ONE.attempt, "00000100000009"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert OptOutFile(path).read() == ([TWO], None)
    file.drop([TWO.attempt])
    assert list(tmp_path.iterdir()) == []
    assert OptOutFile(path).read() == ([], None)


@pytest.mark.parametrize("spoil", [b"deadbeef {}\n", b'00000000 {"number":"+1"', b"\xff\xfe\n", b"[]\n"])
def test_of_a_spoiled_file_the_good_lines_are_used_and_all_of_it_is_set_aside(tmp_path: Path, spoil: bytes) -> None:
    path = tmp_path / FILE
    OptOutFile(path).add(ONE)
    whole = path.read_bytes()
    path.write_bytes(whole + spoil)
    file = OptOutFile(path)
    found, aside = file.read()
    assert found == [ONE]
    assert aside is not None
    assert aside.read_bytes() == whole + spoil
    file.add(TWO)
    assert OptOutFile(path).read() == ([ONE, TWO], None)


def test_all_that_the_database_has_are_taken_away_at_once(tmp_path: Path) -> None:
    path = tmp_path / FILE
    file = OptOutFile(path)
    file.add(ONE)
    file.add(TWO)
    file.drop(["of nobody"])
    assert OptOutFile(path).read() == ([ONE, TWO], None)
    file.drop([ONE.attempt, TWO.attempt])
    assert not path.exists()


def test_an_opt_out_that_did_not_fit_spoils_nothing_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE
    file = OptOutFile(path)
    with monkeypatch.context() as patch:

        def full(_: int) -> None:
            raise OSError("no space")

        patch.setattr("acd.outbound.optouts.os.fsync", full)
        with pytest.raises(OSError, match="no space"):
            file.add(ONE)
    path.write_bytes(path.read_bytes()[:20])
    file.add(TWO)
    found, aside = OptOutFile(path).read()
    assert (found, aside is not None) == ([TWO], True)


class Lives:
    """Services one after the other on one database and one state directory."""

    def __init__(self, folder: Path, *, hashed: bool) -> None:
        self.folder, self.hashed = folder, hashed
        self.alarms: list[str] = []

    def store(self) -> Outbound:
        return Outbound(f"sqlite:///{self.folder}/acd.db", sealed, hashed=self.hashed)

    def as_it_is(self) -> Lives:
        """A copy: what a kill would leave now."""
        then = Lives(self.folder / "killed", hashed=self.hashed)
        then.folder.mkdir()
        shutil.copy(self.folder / FILE, then.folder)
        with (
            contextlib.closing(sqlite3.connect(self.folder / "acd.db")) as here,
            contextlib.closing(sqlite3.connect(then.folder / "acd.db")) as there,
        ):
            here.backup(there)
        return then

    def begin(self, epoch: int = 1, *, away: bool = False) -> Stand:
        kept = OptOuts(
            self.folder / FILE, sealed if self.hashed else None, lambda kind, detail: self.alarms.append(detail)
        )
        shelf = BrittleShelf(self.store(), sealed, kept)
        shelf.away = away
        found = Stand(self.folder / "acd.db", shelf, definition())
        if epoch > 1:
            found.dialling = Dialling(
                definition(), epoch, shelf=shelf, hall=found.hall, send=found.sent.append,  # type: ignore[arg-type]
                alarm=lambda kind, _: found.alarms.append(kind), nodes=(NODE,), clock=clock,
            )  # fmt: skip
        return found

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.folder / "acd.db")) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(params=[False, True], ids=["plain", "hashed"])
async def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Lives:
    monkeypatch.setattr(runtime, "LOOK_S", 0.02)
    monkeypatch.setattr(runtime, "RETRY_S", (0.02,))
    url = f"sqlite:///{tmp_path}/acd.db"
    await asyncio.to_thread(upgrade, url)

    found = Lives(tmp_path, hashed=request.param)
    first = found.store()
    await first.ask(listed.create, "a", "test", NOON)
    people = [NewContact([NewNumber("+49301000000"), NewNumber("+49301000001")], zone="UTC")]
    await first.ask(contacts.add, "a", people, NOON)
    await first.close()
    return found


async def close(stand: Stand) -> None:
    await stand.dialling.close()


async def dialled(stand: Stand) -> str:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: stand.sent)
    (command,) = stand.sent
    assert isinstance(command, wire.PlaceAttempt)
    at = clock().utc
    stand.dialling.tell(wire.AttemptPlaced(at, NODE, command.attempt, 0.01))
    stand.dialling.tell(wire.AttemptAnswered(at, NODE, command.attempt, "x"))
    return command.attempt


@pytest.mark.parametrize("killed", [False, True])
async def test_who_opted_out_amid_an_outage_that_the_service_did_not_outlive(lives: Lives, killed: bool) -> None:
    stand = lives.begin()
    attempt = await dialled(stand)
    stand.shelf.away = True
    at = clock().utc
    stand.dialling.tell(wire.AttemptOptedOut(at, NODE, attempt, "9"))
    stand.dialling.tell(wire.AttemptOver(at, NODE, attempt, None, 16, "", True))
    await stand.until(lambda: (lives.folder / FILE).exists() and b"}\n" in (lives.folder / FILE).read_bytes())
    then = lives.as_it_is() if killed else lives
    await close(stand)
    assert then.rows("SELECT * FROM do_not_call") == []
    hashed = sealed("+49301000000") in (then.folder / FILE).read_text()
    assert hashed is ("+49301000000" not in (then.folder / FILE).read_text())

    again = then.begin(2)
    await again.up()
    await again.until(lambda: not (then.folder / FILE).exists())
    numbers = [sealed(one) if hashed else one for one in ("+49301000000", "+49301000001")]
    listed_as = then.rows("SELECT number, scope, source FROM do_not_call ORDER BY number")
    assert listed_as == sorted((number, "all", f"attempt:{attempt}") for number in numbers)
    # Nor at the other number, though its rules would have it tried again
    assert then.rows("SELECT state, due_at FROM contacts") == [("blocked", None)]
    assert again.sent == then.alarms == []
    await close(again)


REFUSES = """CREATE TRIGGER refuses BEFORE INSERT ON do_not_call
BEGIN SELECT RAISE(ABORT, 'nobody is wanted here'); END"""


async def test_who_opted_out_and_is_refused_for_good_is_not_called_in_the_next_life(lives: Lives) -> None:
    store = lives.store()
    await store.ask(lambda connection: connection.exec_driver_sql(REFUSES))
    # The same person twice more, the second time by the number that was not dialled; and somebody else
    others = (["+49301000000"], ["+49301000007", "+49301000000"], ["+49301000002"])
    first = lives.begin()
    attempt = await dialled(first)
    people = [NewContact([NewNumber(number) for number in numbers], zone="UTC") for numbers in others]
    first.hall.idle = 0
    await store.ask(contacts.add, "a", people, NOON)
    await store.close()
    at = clock().utc
    first.dialling.tell(wire.AttemptOptedOut(at, NODE, attempt, "9"))
    first.dialling.tell(wire.AttemptOver(at, NODE, attempt, None, 16, "", True))
    await first.until(lambda: "outbound_refused" in first.alarms)
    await first.until(lambda: lives.rows("SELECT 1 FROM attempts WHERE outcome = 'opted_out'"))
    await close(first)
    again = lives.begin(2)
    await again.up()
    await again.until(lambda: "outbound_refused" in again.alarms and again.sent)
    await close(again)
    assert [one.number for one in again.sent if isinstance(one, wire.PlaceAttempt)] == ["+49301000002"]
    assert lives.rows("SELECT * FROM do_not_call") == []
    assert (lives.folder / FILE).exists()


async def test_who_opted_out_before_it_was_known_who_he_is(lives: Lives) -> None:
    first = lives.begin()
    attempt = await dialled(first)
    await close(first)
    second = lives.begin(2, away=True)
    second.dialling.start()
    await second.until(lambda: "outbound_waits" in second.alarms)
    second.dialling.tell(wire.AttemptOptedOut(clock().utc, NODE, attempt, "9"))
    await close(second)
    third = lives.begin(3)
    await third.up()
    await third.until(lambda: lives.rows("SELECT number FROM do_not_call"))
    numbers = {number for (number,) in lives.rows("SELECT number FROM do_not_call")}
    both = ("+49301000000", "+49301000001")
    assert numbers in (set(both), {sealed(one) for one in both})
    await close(third)


async def test_an_opt_out_after_the_end_blocks_whom_a_retry_was_planned_for(lives: Lives) -> None:
    stand = lives.begin()
    attempt = await dialled(stand)
    at = clock().utc
    stand.dialling.tell(wire.AttemptOver(at + 30, NODE, attempt, None, 16, "", True))
    await stand.until(lambda: lives.rows("SELECT 1 FROM attempts WHERE outcome IS NOT NULL"))
    await stand.shelf._store.ask(callbacks.promise, 1, NOON + 90_000, "anna", NOON, agent="anna")
    stand.dialling.tell(wire.AttemptOptedOut(at, NODE, attempt, "9"))
    await stand.until(lambda: lives.rows("SELECT 1 FROM do_not_call"))
    assert lives.rows("SELECT state, due_at, callback FROM contacts") == [("blocked", None, None)]
    assert lives.rows("SELECT outcome FROM callbacks") == [("cancelled",)]
    await close(stand)
