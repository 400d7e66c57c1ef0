"""``acd person`` with and without a running service: nothing of a person is left in any file of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import stat
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))
sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from lawful import HOSTILE, lawful
from storekit import QUICK, Database, new_store, settled
from test_serve_process import Service

from acd.domain.records import CallAnnotated, CallOpened
from acd.outbound.optouts import FILE, OptOutFile
from acd.outbound.words import OptOut
from acd.store.batches import Run, folded, line
from acd.store.beside import writing
from acd.store.outbound import contacts, listed
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.spill import Spill, frame

NUMBER = "+491711234567"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    text = made.config.read_text()
    made.config.write_text(text + '[records]\ncountry_code = "49"\n')
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


async def fill(service: Service) -> None:
    """Records of the lawful day, in the service's own database."""
    state = service.folder / "state"
    (state / "recordings").mkdir(exist_ok=True)
    (state / "recordings" / "c1.wav").write_bytes(b"RIFF-secret")
    records = [*lawful(), CallAnnotated("c1", recording="c1.wav")]
    store = new_store(Database(f"sqlite:///{state}/acd.sqlite3"), state, QUICK)
    await store.open()
    await settled(store, store.write(records, soon=True))
    await store.flush()
    await store.close()


def held(folder: Path, *private: str) -> list[str]:
    """The files below that hold one of these texts."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(text.encode() in path.read_bytes() for text in private)
    ]


PRIVATE = ("1711234567", "171 1234567", "Ann Lee", "Bobby'", "RIFF-secret")


def test_a_running_service_forgets_and_nothing_is_left(service: Service) -> None:
    asyncio.run(fill(service))
    state = service.folder / "state"
    (state / "spill").mkdir(exist_ok=True)
    (state / "spill" / "refused.jsonl").write_bytes(frame(b'{"n":"+491711234567"}') + frame(b'{"n":"+4930555"}'))
    service.start()
    journal = service.folder / "etc-journal"
    (old,) = journal.glob("acd-*.jsonl")
    with old.open("ab") as file:
        file.write(b'{"n":"+49 171 1234567"}\n')
    figures = service.json("call", "list")["calls"]
    dry = service.json("person", "erase", "--dry-run", NUMBER)["rows"]
    assert (dry["calls"], dry["recordings"], dry["lines set aside"], dry["parts of the journal"]) == (3, 1, 1, 1)
    assert len(held(service.folder, *PRIVATE)) >= 4
    result = service.acd("person", "erase", "--yes", NUMBER)
    assert result.exit_code == 0, result.output
    assert held(service.folder, *PRIVATE) == []
    assert b"4930555" in (state / "spill" / "refused.jsonl").read_bytes()
    after = service.json("call", "list")["calls"]
    same = ("call", "entered_at", "ended_at", "outcome", "agent", "wait_s", "talk_s", "queue", "wait_us", "talks")
    assert [[row[key] for key in same] for row in after] == [[row[key] for key in same] for row in figures]
    assert service.json("records", "verify")["wrong"] == 0
    (entry,) = service.json("audit", "--action", "person")["audit"]
    assert entry["subject"].startswith("hmac:")
    assert service.stop() == 0
    assert held(service.folder, *PRIVATE) == []


def test_what_a_dead_service_left_in_its_spill_is_erased_too(service: Service) -> None:
    asyncio.run(fill(service))
    state = service.folder / "state"
    # As if it had been killed before the database had taken this
    opened = CallOpened("c9", "pbx1", "179.9", "179.9", "100", "0171-1234567", "Ann Lee", "main", 0, 1_790_000_500.0)

    async def payload() -> bytes:
        (batch,) = await folded("dead", [Run(1, [opened])])
        return await line(batch)

    spill = Spill(state / "spill")
    spill.open()
    spill.append([asyncio.run(payload())])
    spill.close()
    assert held(state / "spill", "171-1234567") != []
    result = service.acd("person", "erase", "--yes", NUMBER)
    assert result.exit_code == 1, result.output
    assert "c9 have not ended" in result.stdout
    assert held(service.folder, *PRIVATE, "171-1234567") == []


def test_without_a_service_erasing_is_no_start_of_one(service: Service) -> None:
    """Neither in the database, from which queue_log tells starts, nor beside it."""
    state = service.folder / "state"

    def lives() -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(state / "acd.sqlite3")) as connection:
            return connection.execute("SELECT * FROM epochs").fetchall()

    result = service.acd("person", "erase", "--yes", NUMBER)
    assert result.exit_code == 0, result.output
    assert lives() == []
    assert {path.name.split("-")[0] for path in state.iterdir()} == {"acd.sqlite3", "number.key"}
    asyncio.run(fill(service))
    before = {path: path.read_bytes() for path in state.iterdir() if path.suffix == ".json" or path.name == "epoch"}
    known = lives()
    result = service.acd("person", "erase", "--yes", NUMBER)
    assert result.exit_code == 0, result.output
    assert known
    assert lives() == known
    assert {path: path.read_bytes() for path in before} == before


def test_who_opted_out_in_a_dead_life_stays_so_without_the_number(service: Service) -> None:
    asyncio.run(fill(service))
    state = service.folder / "state"
    path = state / "spill" / FILE
    file = OptOutFile(path)
    file.add(OptOut(NUMBER, "all", "00000100000001", 1_790_000_600.0))
    file.add(OptOut("+4930555", "all", "00000100000002", 1_790_000_601.0))
    with path.open("ab") as spoiled:
        spoiled.write(b"00000000 spoiled\n")
    OptOutFile(path).read()
    assert len(held(state / "spill", "1711234567")) == 2
    result = service.acd("person", "erase", "--yes", NUMBER)
    assert result.exit_code in (0, 1), result.output
    assert held(service.folder, *PRIVATE, "1711234567") == []
    assert not path.exists()
    for number in (NUMBER, "+4930555"):
        assert service.acd("dnc", "check", number).exit_code == 1, "may be called again"


def test_an_export_is_whole_private_and_overwrites_nothing(service: Service) -> None:
    asyncio.run(fill(service))
    path = service.folder / "out.zip"
    result = service.acd("person", "export", "-o", str(path), "0171 1234567")
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
        rows = [json.loads(row) for row in packed.read("calls.jsonl").splitlines()]
        assert packed.read("recordings/c1.wav") == b"RIFF-secret"
        told = json.loads(packed.read("person.json"))
    assert names == [
        "README.txt",
        "calls.jsonl",
        "dialling.jsonl",
        "mentions.jsonl",
        "person.json",
        "recordings/c1.wav",
    ]
    assert [(row["call"], row["caller_name"]) for row in rows] == [("c1", "Ann Lee"), ("c3", HOSTILE), ("c4", HOSTILE)]
    assert (told["found"]["calls"], told["recordings"]) == (3, 1)
    assert service.acd("person", "export", "-o", str(path), NUMBER).exit_code == 1
    folder = service.folder / "out"
    assert service.acd("person", "export", "-o", str(folder), NUMBER).exit_code == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.rglob("*") if one.is_file()} == {0o600}
    assert sorted(one.name for one in service.folder.iterdir() if "out" in one.name) == ["out", "out.zip"]


def test_who_was_to_be_called_is_told_and_erased_but_not_while_he_is_dialled(service: Service) -> None:
    asyncio.run(fill(service))
    database = Database(f"sqlite:///{service.folder / 'state'}/acd.sqlite3")
    with writing(database.url) as connection, connection.begin():
        listed.create(connection, "a", "me", 1.0)
        contacts.add(
            connection, "a", [NewContact([NewNumber(NUMBER)], name="Ann Lee", fields={"x": "RIFF-secret"})], 1.0
        )
        listed.reject(connection, [(1, 1, 1, "duplicate", "", ["Ann Lee", "171 1234567"])])
    assert service.acd("person", "export", "-o", str(service.folder / "told"), "+49 (0)171 1234567").exit_code == 0
    told = [json.loads(row) for row in (service.folder / "told" / "dialling.jsonl").read_text().splitlines()]
    assert [row["table"] for row in told] == ["contacts", "contact_numbers", "list_rejects"]
    shutil.rmtree(service.folder / "told")
    database.execute("UPDATE contacts SET state = 'in_flight'")
    dry = service.json("person", "erase", "--dry-run", NUMBER)
    assert (dry["rows"]["contacts"], dry["left"]) == (1, ["being dialled: contact 1; nothing goes until that is over"])
    refused = service.acd("person", "erase", "--yes", NUMBER)
    assert (refused.exit_code, "being dialled (contact 1)" in refused.stderr) == (5, True), refused.output
    assert len(database.rows(contacts.contacts)) == 1
    database.execute("UPDATE contacts SET state = 'due'")
    gone = service.json("person", "erase", "--yes", "0171 1234567")["rows"]
    assert (gone["contacts"], gone["contact_numbers"], gone["list_rejects"]) == (1, 1, 1)
    assert held(service.folder, *PRIVATE) == []


def test_only_what_there_is_stands_in_the_table(service: Service) -> None:
    none = service.acd("person", "erase", "--dry-run", NUMBER).stdout
    assert "There is nothing of this number." in none
    assert "do_not_call" not in none
    asyncio.run(fill(service))
    told = service.acd("person", "erase", "--dry-run", NUMBER).stdout
    assert ("calls" in told, "do_not_call" in told, "nothing" in told) == (True, False, False)
    rows = service.json("person", "erase", "--dry-run", NUMBER)["rows"]
    assert (rows["do_not_call"], rows["calls"] > 0) == (0, True)


def test_hostile_numbers_are_refused_and_leave_nothing_behind(service: Service) -> None:
    for number in ("'; DROP TABLE calls;--", "%%%", "\u202e123", "anonymous"):
        assert service.acd("person", "erase", "--yes", number).exit_code == 2
        result = service.acd("person", "export", "-o", str(service.folder / "x"), number)
        assert (result.exit_code, "no telephone number" in " ".join(result.stderr.split())) == (2, True), result.stderr
    assert not (service.folder / "x").exists()
    # Nobody says yes
    assert service.acd("person", "erase", NUMBER).exit_code == 1
