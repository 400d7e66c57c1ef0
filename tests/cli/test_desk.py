"""What is said of calls, what is noted of configurations, who is forgotten: a floor and a store as acd serve wires them."""

# ruff: noqa: ASYNC240 (small files of the test itself)
from __future__ import annotations

import asyncio
import errno
import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from enginekit import FakeExecutor
from floorkit import UTC_0, Clock

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from storekit import QUICK, until

from acd.asterisk.dialcodes import DialCodes
from acd.cli.desk import Desk
from acd.cli.floorfile import FloorFile
from acd.config.floor import load_floor
from acd.domain import events as ev
from acd.domain.annotations import Annotation
from acd.domain.commands import OfferCall
from acd.domain.errors import StoreError, UnknownNameError
from acd.domain.events import AgentAction, MemoryRestored
from acd.domain.numbers import Numbering
from acd.domain.ports import Answer
from acd.engine import Engine
from acd.engine.journal import Journal, JournalOptions
from acd.floor import Floor
from acd.records.seal import load_seal
from acd.store import Store, upgrade

TEXT = """
dispositions: [sold, lost]
queues:
  main: {preferred: {last_agent: 60s}, wrap_up: 0}
  own: {dispositions: [fixed, "not fixed"]}
agents:
  ann: {number: 101, phones: [PJSIP/101], queues: [main, own]}
  bob: {number: 102, phones: [PJSIP/102], queues: [main]}
entry_points: {"1": main, "2": own}
callers: {"01711234567": {priority: 5}}
"""
NUMBER = "0171 1234567"


class Life:
    """One life of a service over the folder's database."""

    def __init__(self, folder: Path, *, hashed: bool = False, journal: bool = False) -> None:
        self.folder, self.clock = folder, Clock()
        self.url = f"sqlite:///{folder}/acd.db"
        upgrade(self.url)
        self.file_path = folder / "floor.yaml"
        if not self.file_path.exists():
            self.file_path.write_text(TEXT)
        self.seal = load_seal(folder, Numbering("49"))
        self.sealed = self.seal.of if hashed else None
        self.store = Store(self.url, folder, replace(QUICK, callers_s=1.5e9), sealed=self.sealed)
        self.wants_journal = journal
        self.executor = FakeExecutor()

    async def begin(self, *seen: ev.SeenCall) -> Life:
        memory = await self.store.open()
        self.floor = Floor(load_floor(self.file_path).definition, epoch=memory.epoch, started_at=UTC_0)
        self.floor.caller_key = self.sealed
        self.journal = None
        if self.wants_journal:
            self.journal = Journal(self.floor, JournalOptions(self.folder / "journal"), alarm=print)
            self.journal.open()
        self.engine = Engine(self.floor, self.store, self.executor, clock=lambda: self.clock.now, journal=self.journal)
        self.desk = Desk(self.engine, self.store, self.seal, journal=self.journal, mask=True)
        self.file = FloorFile(self.file_path, self.engine, lambda definition: None, self.desk.loaded)
        self.engine.submit(MemoryRestored(UTC_0, memory.agents, memory.calls, memory.wraps, memory.callers))
        self.engine.submit(ev.NodeResynced(UTC_0, "east", seen, {}))
        for name in ("ann", "bob"):
            await self.engine.request(name, AgentAction.LOGIN)
        return self

    async def end(self) -> None:
        await self.desk.close()
        self.engine.close()
        if self.journal is not None:
            await asyncio.to_thread(self.journal.close)
        await self.store.close()

    async def arrives(self, channel: str, did: str = "1", number: str = NUMBER) -> OfferCall:
        """A caller comes; the offer that is made of the call."""
        arrived = ev.CallArrived(
            self.clock.now.utc, "east", channel, f"PJSIP/x-{channel}", channel, did, number, "Ann Lee"
        )
        self.engine.submit(arrived)
        await self.engine.request("bob", AgentAction.LOGIN)
        offer = self.executor.executed[-1]
        assert isinstance(offer, OfferCall)
        return offer

    async def talks(self, channel: str, **how: Any) -> str:
        """A call that is answered and over; its id."""
        offer = await self.arrives(channel, **how)
        self.engine.submit(ev.AgentAnswered(self.clock.now.utc, offer.offer))
        self.clock.s += 10
        self.engine.submit(ev.TalkEnded(self.clock.now.utc, offer.offer, "caller"))
        self.engine.submit(ev.CallEnded(self.clock.now.utc, "east", channel, 16))
        await self.engine.request("bob", AgentAction.LOGIN)
        return offer.call

    def rows(self, query: str) -> list[Any]:
        with sqlite3.connect(self.folder / "acd.db") as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    made = await Life(tmp_path).begin()
    yield made
    await made.end()


async def test_calls_under_way_and_over_are_annotated(life: Life) -> None:
    over = await life.talks("c1")
    under_way = (await life.arrives("c2", did="2")).call
    found = await life.desk.annotate(over, Annotation("sold", "first", add_tags=("a", "b")))
    assert found == {"call": over, "disposition": "sold", "notes": "first", "tags": ["a", "b"]}
    found = await life.desk.annotate(over, Annotation(notes="second", append=True, remove_tags=("a",)))
    assert found == {"call": over, "disposition": "sold", "notes": "first\nsecond", "tags": ["b"]}
    assert (await life.desk.annotate(under_way, Annotation("not fixed")))["disposition"] == "not fixed"
    row = await life.store.records.call(over)
    assert row is not None
    assert (row["disposition"], row["notes"], row["tags"]) == ("sold", "first\nsecond", ["b"])
    found = await life.desk.annotate(over, Annotation("", "", remove_tags=("b",)))
    assert found == {"call": over, "disposition": None, "notes": None, "tags": []}
    assert (row["ended_at"], row["agent"]) == (UTC_0 + 10, "ann")


async def test_dispositions_are_those_of_the_queue(life: Life) -> None:
    call = (await life.arrives("c2", did="2")).call
    with pytest.raises(UnknownNameError, match="nearest: not fixed"):
        await life.desk.annotate(call, Annotation("not fixt"))
    with pytest.raises(UnknownNameError, match="disposition named 'sold'"):
        await life.desk.annotate(call, Annotation("sold"))
    with pytest.raises(UnknownNameError, match="call named"):
        await life.desk.annotate("nobody", Annotation("sold"))


async def test_two_who_tag_at_once_lose_nothing(life: Life) -> None:
    call = await life.talks("c1")
    await asyncio.gather(*(life.desk.annotate(call, Annotation(add_tags=(f"t{n}",))) for n in range(8)))
    row = await life.store.records.call(call)
    assert row is not None
    assert sorted(row["tags"]) == [f"t{n}" for n in range(8)]


async def test_every_revision_in_force_is_noted_once_without_secrets(life: Life, tmp_path: Path) -> None:
    life.desk.loaded(life.floor.definition, "start", unless_last=True)
    await life.desk.close()
    first = life.floor.definition.revision
    life.file_path.write_text(TEXT.replace("[sold, lost]", "[sold]"))
    life.clock.s += 5
    await life.file.reload("user:anna")
    await life.file.reload("user:bert")
    await life.desk.close()
    second = life.floor.definition.revision
    listed = await life.desk.revisions(limit=10)
    assert [(row["revision"], row["who"], row["loaded_at"]) for row in listed] == [
        (second, "user:anna", UTC_0 + 5),
        (first, "start", UTC_0),
    ]
    found = await life.desk.revision(first)
    assert found is not None
    assert list(found["detail"]["definition"]["callers"]) == [life.seal.of(NUMBER)]
    assert "1711234567" not in json.dumps(found)
    life.desk.loaded(life.floor.definition, "start", unless_last=True)
    await life.desk.close()
    assert len(await life.desk.revisions(limit=10)) == 2


async def test_the_audit_log_is_read_by_who_and_action(life: Life) -> None:
    for who, action in (
        ("user:a", "agent_login"),
        ("user:b", "agent_pause"),
        ("phone:PJSIP/1", "agent_login"),
        ("userx", "x"),
    ):
        life.desk.audited(who, action, "agent:ann", {"n": 1})
        life.clock.s += 1

    async def found(**filters: Any) -> list[str]:
        wanted = {"limit": 10, "since": None, "until": None, "who": None, "action": None, **filters}
        return [row["who"] for row in await life.desk.audit(**wanted)]

    assert await found() == ["userx", "phone:PJSIP/1", "user:b", "user:a"]
    assert await found(who="user") == ["user:b", "user:a"]
    assert await found(who="user:b") == ["user:b"]
    assert await found(who="us%") == []
    assert await found(action="agent") == ["phone:PJSIP/1", "user:b", "user:a"]
    assert await found(action="agent_login", since=UTC_0 + 1) == ["phone:PJSIP/1"]
    assert await found(until=UTC_0 + 1, limit=1) == ["user:a"]


async def test_a_dial_code_is_audited_by_its_phone(life: Life) -> None:
    class Call:
        channel, args = "PJSIP/101-00000001", ["east", "pause", ""]

        async def set_variables(self, variables: dict[str, str]) -> None:
            assert "acd_say" in variables

    async def ask(agent: str, action: AgentAction, **how: Any) -> Answer:
        return Answer(agent == "ann", "done", {})

    for agent in ("ann", "bob"):
        codes = DialCodes(
            {}, (), ask, lambda device, agent=agent: agent, lambda pin, stored: False, life.desk.dial_code
        )  # type: ignore[misc]
        await codes.agent(Call())  # type: ignore[arg-type]
    found = await life.desk.audit(limit=10, since=None, until=None, who=None, action=None)
    assert [(row["who"], row["action"], row["subject"]) for row in found] == [
        ("phone:PJSIP/101", "agent_pause", "agent:ann")
    ]


async def test_a_dial_code_accepts_or_skips_the_contact_that_is_shown(life: Life) -> None:
    said: list[str] = []
    chosen: list[tuple[str, bool]] = []

    class Call:
        channel = "PJSIP/101-00000001"

        def __init__(self, action: str) -> None:
            self.args = ["east", action, ""]

        async def set_variables(self, variables: dict[str, str]) -> None:
            said.append(variables["acd_say"])

    async def ask(agent: str, action: AgentAction, **how: Any) -> Answer:
        raise AssertionError("nothing is asked of the floor")

    async def choose(agent: str, accepts: bool) -> Answer:
        chosen.append((agent, accepts))
        return Answer(accepts, "done", {})

    for how in (choose, None):
        codes = DialCodes({}, (), ask, lambda device: "ann", lambda pin, stored: False, life.desk.dial_code, how)
        for action in ("accept", "skip"):
            await codes.agent(Call(action))  # type: ignore[arg-type]
    assert chosen == [("ann", True), ("ann", False)]
    assert said == ["auth-thankyou", "beeperr", "beeperr", "beeperr"]
    found = await life.desk.audit(limit=10, since=None, until=None, who=None, action=None)
    assert [(row["who"], row["action"]) for row in found] == [("phone:PJSIP/101", "agent_accept")]


async def test_a_pause_for_a_reason_that_there_is_not_is_refused() -> None:
    said: list[str] = []
    asked: list[str | None] = []

    class Call:
        channel = "PJSIP/101-00000001"

        def __init__(self, reason: str) -> None:
            self.args = ["east", "pause", reason]

        async def set_variables(self, variables: dict[str, str]) -> None:
            said.append(variables["acd_say"])

    async def ask(agent: str, action: AgentAction, *, reason: str | None = None, **how: Any) -> Answer:
        asked.append(reason)
        return Answer(True, "done", {})

    codes = DialCodes({}, ("pause", "lunch"), ask, lambda device: "ann", lambda pin, stored: False)
    for reason in ("", "2", "3", "0", "9"):
        await codes.agent(Call(reason))  # type: ignore[arg-type]
    assert asked == [None, "lunch"]
    assert said == ["auth-thankyou", "auth-thankyou", "beeperr", "beeperr", "beeperr"]


async def test_a_dial_code_that_failed_names_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    class Call:
        channel, args = "PJSIP/101-00000001", ["east", "pause", ""]

        async def set_variables(self, variables: dict[str, str]) -> None:
            assert variables == {"acd_say": "beeperr"}

    failures: list[Exception] = [TimeoutError(), StoreError("the disk is full")]

    async def ask(agent: str, action: AgentAction, **how: Any) -> Answer:
        raise failures.pop(0)

    codes = DialCodes({}, (), ask, lambda device: "ann", lambda pin, stored: False)
    await codes.agent(Call())  # type: ignore[arg-type]
    await codes.agent(Call())  # type: ignore[arg-type]
    assert [record.getMessage() for record in caplog.records] == [
        "dial code pause of PJSIP/101: no answer within 0 s",
        "dial code pause of PJSIP/101: the disk is full",
    ]


async def test_while_nothing_takes_records_what_is_asked_for_is_done_at_once(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await life.talks("c1")
    assert await life.store.flush()

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    other = sqlite3.connect(tmp_path / "acd.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        patch.setattr("acd.engine.engine.ANSWER_WITHIN_S", 5.0)
        for action in (AgentAction.PAUSE, AgentAction.RESUME):
            answer = await life.engine.request("bob", action)
            assert answer.ok
            assert answer.message.endswith(", but not yet on record: [Errno 28] No space left on device")
        with pytest.raises(StoreError, match="not on record, but held in memory"):
            await life.desk.annotate(call, Annotation("sold"))
        other.close()
    await until(lambda: life.store.state()["state"] == "ok" and life.store.state()["behind"] == 0)
    assert life.rows(f"SELECT disposition FROM calls WHERE call = '{call}'") == [("sold",)]
    assert life.rows("SELECT reason FROM agent_states WHERE agent = 'bob' AND state = 'PAUSED'") != []
    answer = await life.engine.request("bob", AgentAction.PAUSE)
    assert "record" not in answer.message


@pytest.mark.parametrize("hashed", [False, True])
async def test_last_agents_are_known_over_a_restart(tmp_path: Path, hashed: bool) -> None:
    first = await Life(tmp_path, hashed=hashed).begin()
    await first.talks("c1", number="+491711234567")
    await first.talks("c2", number="+4930555")
    await first.talks("c3", number="+4930777")
    await first.end()
    second = await Life(tmp_path, hashed=hashed).begin()
    for name in ("ann", "bob"):
        await second.engine.request(name, AgentAction.LOGIN)
    talked = dict(second.rows("SELECT call, agent FROM calls"))
    assert {*talked.values()} == {"ann", "bob"}
    by_number = {"+491711234567": "ann", "+4930555": "bob", "+4930777": "ann"}
    for n, (number, agent) in enumerate(by_number.items()):
        offer = await second.arrives(f"d{n}", number=number)
        assert (offer.agent, second.floor.calls[offer.call].caller_number) == (agent, number)
        second.engine.submit(ev.CallEnded(second.clock.now.utc, "east", f"d{n}", 16))
    await second.end()


async def test_hashed_numbers_and_names_are_nowhere_on_the_disk(tmp_path: Path) -> None:
    life = await Life(tmp_path, hashed=True).begin()
    call = await life.talks("c1")
    assert life.floor.definition.known_caller(NUMBER) is not None
    found = await life.store.records.calls(number="+49171 1234567")
    assert [(row["call"], row["caller_name"]) for row in found] == [(call, "")]
    assert found[0]["caller_number"] == life.seal.of(NUMBER)
    waits = await life.arrives("c2")
    await life.engine.request("bob", AgentAction.LOGIN)
    await life.store.flush()
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "floor.yaml":
            data = path.read_bytes()
            assert b"1711234567" not in data.replace(b" ", b""), path
            assert b"Ann Lee" not in data, path
    await life.end()
    # Who is on the line over a restart is known by what Asterisk says, not by what was kept
    again = Life(tmp_path, hashed=True)
    seen = ev.SeenCall("c2", "PJSIP/x-c2", "c2", ev.Phase.HELD, waits.call, None, did="1", caller_number=NUMBER)
    await again.begin(seen)
    call = again.floor.calls[waits.call]
    assert (call.caller_number, call.caller_name, call.attributes["known"]) == (NUMBER, "", True)
    await again.end()


async def test_a_forgotten_caller_is_in_no_memory_and_no_later_part_of_the_journal(tmp_path: Path) -> None:
    life = await Life(tmp_path, journal=True).begin()
    await life.talks("c1", number="0172 7654321")
    await life.talks("c2", number="+4930555")
    assert "0172 7654321" in life.floor.last_agents
    assert life.journal is not None
    before = life.journal.state()["file"]
    answer = await life.desk.forget("+491727654321")
    assert (answer["forgotten"], answer["live"], answer["configured"]) == (True, [], False)
    assert list(life.floor.last_agents) == ["+4930555"]
    assert answer["journal"] != before
    offer = await life.arrives("c3", number="+4930888")
    await life.end()
    assert b"7654321" in Path(before).read_bytes()
    assert b"7654321" not in Path(answer["journal"]).read_bytes()
    assert offer.call.encode() in Path(answer["journal"]).read_bytes()


async def test_a_caller_on_the_phone_is_told_of(life: Life) -> None:
    call = (await life.arrives("c1", number="00491711234567")).call
    answer = await life.desk.forget("0171/1234567")
    assert (answer["live"], answer["journal"], answer["forgotten"]) == ([call], None, False)
    assert answer["configured"]
