"""The runtime around the core, on a real SQLite file: durable before dialled, whatever the store does; states; its end."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from acd.dialer.gate import Terms
from acd.domain import outbound as wire
from acd.domain.campaigns import AttemptOutcome, CampaignState, Mode
from acd.domain.definition import FloorDefinition
from acd.domain.dialrules import Rule
from acd.domain.errors import RefusedError, StoreError, UnknownNameError
from acd.domain.instant import Instant
from acd.domain.ports import Answer
from acd.outbound import runtime
from acd.outbound import words as say
from acd.outbound.runtime import Dialling
from acd.outbound.storing import Shelf
from acd.store import upgrade
from acd.store.outbound import contacts, donotcall, listed
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.donotcall import Entry
from acd.store.outbound.outbound import Outbound
from outbound.dialkit import NODE, campaign, terms

NOON = 1_710_936_000.0
"""A Wednesday, 12:00 UTC."""
_BEGAN = time.monotonic()


def clock() -> Instant:
    passed = time.monotonic() - _BEGAN
    return Instant(passed, NOON + passed)


def definition(**changes: Any) -> FloorDefinition:
    one = campaign(**{"mode": Mode.PROGRESSIVE, **changes})
    part = terms(one)
    return FloorDefinition(
        {},
        {},
        {},
        campaigns=MappingProxyType({one.name: one}),
        trunks={"out": part.trunk},
        caller_ids={"own": part.caller_ids},
    )


class BrittleShelf(Shelf):
    """Fails while ``away``; ``lies``: does what it is told and says that it failed; ``lost``: so do claims, with these."""

    away = lies = False
    lost: tuple[BaseException, ...] = ()
    odd = 0
    """so many times it fails as nobody expects"""
    tried = 0
    hold: asyncio.Event | None = None

    async def take(self, batch: say.Batch, epoch: int, now_s: float) -> say.Written:
        self.tried += 1
        if self.away:
            raise StoreError("away")
        if self.odd and batch.ended:
            self.odd -= 1
            raise RuntimeError("a defect")
        found = await super().take(batch, epoch, now_s)
        if self.hold is not None:
            await self.hold.wait()
        if self.lies:
            raise StoreError("nobody knows")
        return found

    async def claim(self, wish: say.Claim, terms: Terms, epoch: int, now_s: float) -> say.Claimed:
        found = await super().claim(wish, terms, epoch, now_s)
        if self.lost:
            error, *self.lost = self.lost  # type: ignore[assignment]
            raise error
        return found

    async def begin(self, definition: FloorDefinition, epoch: int) -> list[say.Told]:
        if self.away:
            raise StoreError("away")
        return await super().begin(definition, epoch)


class FakeHall:
    """``idle`` agents who serve everything, and never talk."""

    def __init__(self, idle: int) -> None:
        self.idle = idle
        self.kept_free: set[str] = set()

    def seats(self) -> tuple[say.Seat, ...]:
        names = (f"a{n}" for n in range(self.idle))
        return tuple(say.Seat(name, ("win",), "idle", NOON) for name in names if name not in self.kept_free)

    def counts(self, now_s: float) -> dict[str, Any]:
        return {}

    def engaged(self) -> tuple[say.Seat, ...]:
        return tuple(say.Seat(agent, ("win",), "engaged", NOON) for agent in self.kept_free)

    def lines(self, agent: str) -> tuple[str, ...]:
        return ("win",) if agent.startswith("a") else ()

    def lasting(self, agent: str) -> bool:
        return agent == "a5"

    def phone(self, agent: str) -> tuple[str, float, bool] | None:
        return f"PJSIP/{agent}", 20.0, False

    def said(self, records: Any) -> list[say.Told]:
        return []


class Stand:
    """A dialling service on a file."""

    def __init__(self, path: Path, shelf: BrittleShelf, floor: FloorDefinition, epoch: int = 1) -> None:
        self.path, self.shelf, self.hall = path, shelf, FakeHall(3)
        self.sent: list[wire.OutboundCommand] = []
        self.rung: list[wire.OutboundCommand] = []
        self.alarms: list[str] = []
        self.refuses = ""
        self.changed = asyncio.Event()
        self.dialling = Dialling(
            floor, epoch, shelf=shelf, hall=self.hall, send=self._send, alarm=lambda kind, _: self.alarms.append(kind),  # type: ignore[arg-type]
            nodes=(NODE,), clock=clock, engage=self._engage, pause=self._pause,
        )  # fmt: skip

    async def _engage(self, agent: str, what: str | None) -> Answer:
        if what is not None and self.refuses:
            return Answer(False, self.refuses, {})
        (self.hall.kept_free.discard if what is None else self.hall.kept_free.add)(agent)
        return Answer(True, what or "is free", {})

    async def _pause(self, agent: str) -> Answer:
        self.hall.idle = 0
        return Answer(True, "paused", {})

    def _send(self, command: wire.OutboundCommand) -> None:
        if not isinstance(command, wire.PlaceAttempt):
            self.rung.append(command)
            return
        rows = self.rows("SELECT outcome FROM attempts WHERE attempt = ?", command.attempt)
        assert rows == [(None,)], f"{command.attempt} is dialled and stands as {rows}"
        self.sent.append(command)
        self.changed.set()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query, values).fetchall()

    async def up(self) -> None:
        self.dialling.start()
        await asyncio.wait_for(self.dialling.began.wait(), 10)
        self.dialling.tell(wire.OutboundSeen(clock().utc, NODE, (), True))
        self.dialling.tell(wire.OutboundBack(clock().utc, NODE))

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for stands in the database, too
                await asyncio.sleep(0.005)

    def over(self, command: wire.OutboundCommand) -> None:
        at = clock().utc
        self.dialling.tell(wire.AttemptPlaced(at, NODE, command.attempt, 0.01))
        self.dialling.tell(wire.AttemptOver(at, NODE, command.attempt, AttemptOutcome.BUSY, 17, ""))


@pytest.fixture
async def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    monkeypatch.setattr(runtime, "LOOK_S", 0.02)
    monkeypatch.setattr(runtime, "RETRY_S", (0.02,))
    path = tmp_path / "acd.db"
    url = f"sqlite:///{path}"
    await asyncio.to_thread(upgrade, url)
    store = Outbound(url, lambda number: f"hmac:{number}")
    await store.ask(listed.create, "a", "test", NOON)
    people = [NewContact([NewNumber(f"+4930{1_000_000 + n}")], zone="UTC") for n in range(40)]
    await store.ask(contacts.add, "a", people, NOON)
    found = Stand(path, BrittleShelf(store, lambda number: f"hmac:{number}"), definition())
    yield found
    await found.dialling.close()


async def test_what_is_dialled_is_durable_and_what_it_came_to_becomes_so(stand: Stand) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "user:anna", "go")
    await stand.until(lambda: len(stand.sent) == 3)
    for command in list(stand.sent):
        stand.over(command)
    await stand.until(lambda: len(stand.sent) == 6)
    assert stand.rows("SELECT count(*) FROM attempts WHERE outcome = 'busy'") == [(3,)]
    assert stand.rows("SELECT state, by, reason FROM campaign_states") == [("running", "user:anna", "go")]
    assert stand.dialling.counters()["outbound_attempts_dialled"] == 6


@pytest.mark.parametrize("lies", [False, True])
async def test_what_may_not_have_become_durable_is_never_dialled(stand: Stand, lies: bool) -> None:
    await stand.up()
    stand.shelf.away, stand.shelf.lies = not lies, lies
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: stand.shelf.tried >= 4)
    assert stand.sent == []
    assert stand.dialling.explain("win")["why"][0]["what"] == "database"
    assert "outbound_waits" in stand.alarms
    stand.shelf.away = stand.shelf.lies = False
    await stand.until(lambda: len(stand.sent) == 3)
    doubtful = stand.rows("SELECT attempt, outcome FROM attempts WHERE outcome IS NOT NULL")
    assert len(doubtful) == (3 if lies else 0)
    assert {outcome for _, outcome in doubtful} <= {"withdrawn"}
    assert not {attempt for attempt, _ in doubtful} & {command.attempt for command in stand.sent}


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_stop_that_cannot_be_made_durable_is_in_force_and_becomes_so(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    """Whether whoever asked for it waits for the answer, or leaves before."""
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    written, gone, tried = stand.shelf.set_state, asyncio.Event(), 0

    async def set_state(*what: Any) -> None:
        nonlocal tried
        tried += 1
        if leaves and tried == 1:
            gone.set()
            await asyncio.sleep(0.05)
        if tried < 4:
            raise StoreError("database is locked")
        await written(*what)

    monkeypatch.setattr(stand.shelf, "set_state", set_state)
    stops = asyncio.create_task(stand.dialling.set_state("win", CampaignState.STOPPED, "bob", "enough"))
    if leaves:
        await gone.wait()
        stops.cancel()
    else:
        with pytest.raises(StoreError, match=r"campaign win is stopped. That is not durable yet.*database is locked"):
            await stops
    assert stand.dialling.campaign("win")["state"] == "stopped"
    assert stand.rows("SELECT state FROM campaign_states") == [("running",)]
    await stand.until(lambda: stand.rows("SELECT state, by FROM campaign_states") == [("stopped", "bob")])
    assert tried == 4


async def test_a_stop_that_is_not_durable_yet_does_not_come_after_a_later_start(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    written, away = stand.shelf.set_state, True

    async def set_state(*what: Any) -> None:
        if away and what[1] is CampaignState.PAUSED:
            raise StoreError("database is locked")
        await written(*what)

    monkeypatch.setattr(stand.shelf, "set_state", set_state)
    with pytest.raises(StoreError, match="campaign win is paused"):
        await stand.dialling.set_state("win", CampaignState.PAUSED, "bob", "")
    await stand.dialling.set_state("win", CampaignState.RUNNING, "carla", "")
    away = False
    keeping = [task for task in asyncio.all_tasks() if task.get_name() == "outbound-state"]
    await asyncio.wait_for(asyncio.gather(*keeping), 10)
    assert stand.rows("SELECT state, by FROM campaign_states") == [("running", "carla")]


@pytest.mark.parametrize("error", [StoreError("away"), RuntimeError("a defect")])
async def test_contacts_of_a_claim_whose_answer_is_lost_are_claimed_again(stand: Stand, error: Exception) -> None:
    await stand.up()
    stand.shelf.lost = (error, error)
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    dialled = stand.rows("SELECT contact FROM attempts ORDER BY contact")
    # The first of the list, whom the lost claims had taken
    assert dialled == [(1,), (2,), (3,)]
    held = stand.rows("SELECT contact FROM contacts WHERE state = 'in_flight'")
    assert {contact for (contact,) in held} <= stand.dialling.core.held()
    assert ("outbound_defect" in stand.alarms) == isinstance(error, RuntimeError)


@pytest.mark.parametrize("amid", ["outage", "work"])
async def test_what_could_not_be_written_for_whatever_reason_is_written_later(stand: Stand, amid: str) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    one, at = stand.sent[0].attempt, clock().utc
    stand.dialling.tell(wire.AttemptAnswered(at, NODE, one, "PJSIP/carrier-1"))
    stand.shelf.away, stand.shelf.odd = amid == "outage", 2
    stand.dialling.tell(wire.AttemptOptedOut(at + 1, NODE, one, "9"))
    stand.dialling.tell(wire.AttemptOver(at + 2, NODE, one, None, 16, "", answered=True))
    before = stand.shelf.tried
    await stand.until(lambda: stand.shelf.tried >= before + 3)
    stand.shelf.away = False
    await stand.until(lambda: stand.rows("SELECT outcome FROM attempts WHERE attempt = ?", one) == [("opted_out",)])
    assert stand.shelf.odd == 0
    assert stand.rows("SELECT count(*) FROM do_not_call") == [(1,)]


async def test_the_end_cleans_up_whatever_fails(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    closed = 0
    close = stand.shelf.close

    async def closes() -> None:
        nonlocal closed
        closed += 1
        await close()

    async def fails(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(stand.shelf, "close", closes)
    monkeypatch.setattr(stand.shelf, "save", fails)
    stand.shelf.odd = 9
    at = clock().utc
    stand.dialling.tell(wire.AttemptOver(at, NODE, stand.sent[0].attempt, AttemptOutcome.BUSY, 17, ""))
    await stand.dialling.close()
    assert (closed, stand.shelf.odd) == (1, 8)
    assert stand.alarms == ["outbound_defect", "outbound_defect"]
    monkeypatch.undo()


@pytest.mark.parametrize("error", [StoreError("away"), RuntimeError("a defect")])
async def test_a_contact_picked_for_an_agent_is_given_back_when_the_answer_is_lost(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await stand.up()
    stand.dialling.follow(definition(mode=Mode.MANUAL))
    await stand.until(lambda: stand.dialling.campaign("win")["mode"] == "manual")
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    pick, claimed = stand.shelf.pick, []

    async def lost(*asked: Any, **more: Any) -> say.Ready:
        claimed.append(await pick(*asked, **more))
        raise error

    monkeypatch.setattr(stand.shelf, "pick", lost)
    with pytest.raises(type(error)):
        await stand.dialling.dial("win", "+49301000005", "a0", "anna")
    assert [one.contact.numbers[0].number for one in claimed] == ["+49301000005"]
    await stand.until(lambda: stand.rows("SELECT count(*) FROM contacts WHERE state = 'in_flight'") == [(0,)])


async def test_holidays_are_worked_out_beside_the_loop_and_before_anybody_is_dialled(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, int, bool, int]] = []

    def prepare(country: str, region: str, year: int) -> None:
        asked.append((country, region, year, threading.current_thread() is threading.main_thread(), len(stand.sent)))

    monkeypatch.setattr(runtime, "prepare", prepare)
    people = [NewContact([NewNumber(f"+4989{1_000_000 + n}")], zone="UTC", country="DE", region="BY") for n in range(3)]
    await Outbound(f"sqlite:///{stand.path}", str).ask(contacts.add, "a", people, NOON)
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    # The first claim takes 20 of the 40 who live nobody knows where
    assert asked == [("", "", 2024, False, 0)]
    while ("DE", "BY", 2024) not in {one[:3] for one in asked}:
        before = len(stand.sent)
        for command in stand.sent[-3:]:
            stand.over(command)
        await stand.until(lambda before=before: len(stand.sent) > before)
    assert len(asked) == 2


async def test_a_start_without_the_store_waits_for_it(stand: Stand) -> None:
    stand.shelf.away = True
    stand.dialling.start()
    await stand.until(lambda: "outbound_waits" in stand.alarms)
    with pytest.raises(StoreError, match="away"):
        stand.dialling.campaigns()
    question = wire.AttemptAsked(clock().utc, NODE, "00000000000001", "x", "x", "x", wire.Verdict.PERSON)
    assert stand.dialling.asked(question) is None
    stand.shelf.away = False
    await asyncio.wait_for(stand.dialling.began.wait(), 10)
    assert [one["name"] for one in stand.dialling.campaigns()] == ["win"]


async def test_the_end_leaves_lines_alone_and_gives_back_the_rest(stand: Stand) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    await stand.dialling.close()
    assert stand.rows("SELECT count(*) FROM attempts WHERE outcome IS NULL") == [(3,)]
    assert stand.rows("SELECT count(*) FROM contacts WHERE state = 'in_flight'") == [(3,)]
    (saved,) = stand.rows("SELECT statistics FROM campaign_states")
    assert "began_s" in saved[0]


async def test_a_claim_under_way_at_the_end_is_awaited_and_given_back(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, begun, goes_on = stand.shelf.claim, asyncio.Event(), asyncio.Event()

    async def held(*asked: Any) -> say.Claimed:
        found = await claim(*asked)
        begun.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(stand.shelf, "claim", held)
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await asyncio.wait_for(begun.wait(), 10)
    assert stand.rows("SELECT count(*) FROM contacts WHERE state = 'in_flight'") == [(20,)]
    ending = asyncio.create_task(stand.dialling.close())
    await asyncio.sleep(0)
    goes_on.set()
    await ending
    assert stand.rows("SELECT count(*) FROM contacts WHERE state = 'in_flight'") == [(0,)]


async def test_what_becomes_durable_amid_the_end_is_not_dialled(stand: Stand) -> None:
    await stand.up()
    stand.shelf.hold = asyncio.Event()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: stand.rows("SELECT count(*) FROM attempts") == [(3,)])
    ending = asyncio.create_task(stand.dialling.close())
    await asyncio.sleep(0)
    stand.shelf.hold.set()
    await ending
    assert stand.sent == []
    assert stand.rows("SELECT outcome, count(*) FROM attempts GROUP BY outcome") == [("withdrawn", 3)]
    assert stand.rows("SELECT count(*) FROM contacts WHERE state = 'in_flight'") == [(0,)]


async def test_states_are_refused_where_they_make_no_sense(stand: Stand) -> None:
    await stand.up()
    with pytest.raises(RefusedError, match="stopped already"):
        await stand.dialling.set_state("win", CampaignState.STOPPED, "anna", "")
    with pytest.raises(UnknownNameError):
        await stand.dialling.set_state("lose", CampaignState.RUNNING, "anna", "")


async def test_a_contact_that_an_agent_accepts_is_dialled_after_his_phone_was_answered(stand: Stand) -> None:
    stand.dialling.follow(definition(mode=Mode.PREVIEW))
    await stand.up()
    assert stand.dialling.preview("a0") is None
    with pytest.raises(RefusedError, match="is shown no contact"):
        await stand.dialling.accept("a0")
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: (stand.dialling.preview("a0") or {}).get("step") == "shown")
    shown = await stand.dialling.accept("a0")
    assert shown["step"] == "accepted"
    await stand.until(lambda: stand.rung)
    (call,) = stand.rung
    assert isinstance(call, wire.CallAgent)
    assert (call.device, call.caller_id) == ("PJSIP/a0", shown["number"])
    assert stand.rows("SELECT count(*) FROM attempts") == [(0,)]
    stand.dialling.tell(wire.AttemptAnswered(clock().utc, NODE, call.attempt, "PJSIP/a0-1"))
    await stand.until(lambda: stand.sent)
    assert stand.rows("SELECT mode, number FROM attempts") == [("preview", shown["number"])]
    stand.over(stand.sent[0])
    await stand.until(lambda: len(stand.rung) > 1)
    assert isinstance(stand.rung[1], wire.EndAttempt)
    other = stand.dialling.skip("a1", "no time")
    assert (other["step"], other["agent"]) == ("skipped", "a1")
    await stand.dialling.close()
    assert stand.rows("SELECT count(*) FROM contacts WHERE state = 'in_flight'") == [(0,)]


async def test_whoever_is_not_to_be_called_by_now_is_refused_to_the_agent_who_accepts_and_counted(stand: Stand) -> None:
    stand.dialling.follow(definition(mode=Mode.PREVIEW))
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: (stand.dialling.preview("a0") or {}).get("step") == "shown")
    shown = stand.dialling.preview("a0")
    assert shown is not None
    entry = Entry(shown["number"], "all", "test", "asked us", clock().utc, "anna")
    await stand.shelf._store.ask(donotcall.add, [entry], lambda number: f"hmac:{number}")
    with pytest.raises(RefusedError, match="do-not-call"):
        await stand.dialling.accept("a0")
    assert stand.dialling.explain("win")["refusals"] == {"do_not_call": 1}
    assert stand.rung == []


async def test_who_is_found_not_to_be_called_as_the_attempt_is_recorded_is_counted_as_refused(stand: Stand) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    claimed = next(iter(stand.dialling.core.runners["win"].ready.values()))
    entry = Entry(claimed.piece.number, "all", "test", "asked us", clock().utc, "anna")
    await stand.shelf._store.ask(donotcall.add, [entry], lambda number: f"hmac:{number}")
    while not (refused := stand.dialling.explain("win")["refusals"]):
        await stand.until(lambda: stand.sent)
        stand.over(stand.sent.pop(0))
        await asyncio.sleep(0)
    assert refused == {"do_not_call": 1}


async def test_nobody_dials_himself_while_a_line_that_he_is_held_for_rings(stand: Stand) -> None:
    stand.hall.idle = 1
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 1)
    with pytest.raises(
        RefusedError, match="agent a0 is held for a line of campaign win that rings: try again in a moment"
    ):
        await stand.dialling.dial("win", "+49301999999", "a0", "anna")
    assert stand.rows("SELECT count(*) FROM contact_numbers WHERE number = '+49301999999'") == [(0,)]
    assert stand.dialling.core.holds("a7") is None


async def test_a_number_is_dialled_for_an_agent_or_it_is_said_why_not(stand: Stand) -> None:
    stand.dialling.follow(definition(mode=Mode.MANUAL))
    await stand.up()
    dial = stand.dialling.dial
    with pytest.raises(RefusedError, match="before it is started"):
        await dial("win", "+49301000001", "a0", "anna")
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    with pytest.raises(RefusedError, match="does not serve campaign win"):
        await dial("win", "+49301000001", "eve", "anna")
    found = await dial("win", "+49301000001", "a0", "anna")
    assert (found["number"], found["manual"], found["contact"]["list"]) == ("+49301000001", True, "a")
    with pytest.raises(RefusedError, match="has a contact already"):
        await dial("win", "+49301000002", "a0", "anna")
    with pytest.raises(RefusedError, match="is being dialled, or about to be"):
        await dial("win", "+49301000001", "a1", "anna")
    free = await dial("win", "+12125550100", "a1", "anna")
    assert free["contact"]["list"] == "dialled-win"
    known = "SELECT country, kind, n.zone FROM contacts JOIN contact_numbers n USING (contact) WHERE number = '+12125550100'"
    assert stand.rows(known) == [("US", "other", "America/New_York")]
    assert stand.rows("SELECT made_by FROM lists WHERE list = 'dialled-win'") == [("anna",)]
    blocked = "UPDATE contacts SET state = 'blocked' WHERE contact = 5"
    await Outbound(f"sqlite:///{stand.path}", str).ask(lambda connection: connection.exec_driver_sql(blocked))
    with pytest.raises(RefusedError, match="acd contact show 5"):
        await dial("win", "+49301000004", "a2", "anna")


async def test_a_dial_that_is_refused_leaves_nothing(stand: Stand) -> None:
    stand.dialling.follow(definition(mode=Mode.MANUAL))
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    # Nobody knows where it is
    with pytest.raises(RefusedError, match="time zone"):
        await stand.dialling.dial("win", "+80012345678", "a0", "anna")
    stand.refuses = "PAUSED (pause)"
    with pytest.raises(RefusedError, match=r"agent a0 is not free: PAUSED \(pause\)"):
        await stand.dialling.dial("win", "+12125550100", "a0", "anna")
    with pytest.raises(RefusedError, match="agent a0 is not free"):
        await stand.dialling.dial("win", "+49301000001", "a0", "anna")
    await stand.until(lambda: stand.rows("SELECT count(*) FROM contacts WHERE state = 'in_flight'") == [(0,)])
    assert stand.rows("SELECT count(*) FROM contacts WHERE list = 'dialled-win'") == [(0,)]
    numbers = "SELECT count(*) FROM contact_numbers WHERE number IN ('+80012345678', '+12125550100')"
    assert stand.rows(numbers) == [(0,)]
    known = "SELECT c.state FROM contacts c JOIN contact_numbers n USING (contact) WHERE number = '+49301000001'"
    assert stand.rows(known) == [("new",)]


async def test_who_is_claimed_ahead_is_dialled_for_an_agent_who_asks(stand: Stand) -> None:
    stand.hall.idle = 1
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 1)
    dialled = stand.sent[0].device
    runner = stand.dialling.core.runners["win"]
    ahead = next(one for one in runner.ready.values() if one.piece.number not in dialled)
    found = await stand.dialling.dial("win", ahead.piece.number, "a5", "anna")
    assert (found["contact"]["contact"], found["manual"]) == (ahead.contact.contact, True)
    assert found["lasting_line"], "his phone does not ring"
    assert ahead.contact.contact not in runner.ready
    with pytest.raises(RefusedError, match="is being dialled, or about to be"):
        await stand.dialling.dial("win", ahead.piece.number, "a6", "anna")


async def test_a_stop_holds_though_it_could_not_be_written(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")

    async def fails(*_: Any) -> None:
        raise StoreError("away")

    monkeypatch.setattr(stand.shelf, "set_state", fails)
    with pytest.raises(StoreError):
        await stand.dialling.set_state("win", CampaignState.STOPPED, "anna", "")
    assert stand.dialling.campaign("win")["state"] == "stopped"


async def test_a_campaign_that_reloads_take_away_and_bring_back_is_to_be_started_again(stand: Stand) -> None:
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    stand.dialling.follow(replace(definition(), campaigns=MappingProxyType({})))
    await stand.until(lambda: not stand.dialling.campaigns())
    for command in list(stand.sent):
        stand.over(command)
    await stand.until(lambda: stand.rows("SELECT count(*) FROM attempts WHERE outcome = 'busy'") == [(3,)])
    assert len(stand.sent) == 3
    stated = "SELECT state, by, reason FROM campaign_states"
    await stand.until(lambda: stand.rows(stated) == [("stopped", "reload", "taken out of floor.yaml")])
    stand.dialling.follow(definition())
    await stand.until(lambda: [one["state"] for one in stand.dialling.campaigns()] == ["stopped"])
    assert stand.dialling.campaign("win")["ledger"]["in_flight"] == 0
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 6)


async def test_a_campaign_of_an_earlier_life_that_a_reload_brings_is_to_be_started_again(stand: Stand) -> None:
    await stand.up()
    await stand.shelf._store.set_state("lose", CampaignState.RUNNING, "anna", "", NOON)
    two = definition()
    other = replace(campaign("lose", mode=Mode.PROGRESSIVE), lists=("a",))
    stand.dialling.follow(replace(two, campaigns=MappingProxyType({**two.campaigns, "lose": other})))
    stated = "SELECT state, by FROM campaign_states WHERE campaign = 'lose'"
    await stand.until(lambda: stand.rows(stated) == [("stopped", "reload")])
    assert stand.dialling.campaign("lose")["state"] == "stopped"
    assert not stand.sent


async def test_a_campaign_that_a_reload_brings_cannot_be_started_before_its_past_is_known(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.up()
    await stand.shelf._store.set_state("lose", CampaignState.RUNNING, "anna", "", NOON)
    remembered, failed = stand.shelf.remembered, 0

    async def fails(names: Any) -> Any:
        nonlocal failed
        if stand.shelf.away:
            failed += 1
            raise StoreError("away")
        return await remembered(names)

    monkeypatch.setattr(stand.shelf, "remembered", fails)
    stand.shelf.away = True
    two = definition()
    other = replace(campaign("lose", mode=Mode.PROGRESSIVE), lists=("b",))
    stand.dialling.follow(replace(two, campaigns=MappingProxyType({**two.campaigns, "lose": other})))
    await stand.until(lambda: failed >= 3)
    for state in (CampaignState.RUNNING, CampaignState.STOPPED):
        with pytest.raises(StoreError, match="not known yet"):
            await stand.dialling.set_state("lose", state, "anna", "")
    assert stand.alarms.count("outbound_waits") == 1
    stand.shelf.away = False
    await stand.until(lambda: "lose" in stand.dialling._known)
    assert stand.dialling.campaign("lose")["state"] == "stopped"
    await stand.dialling.set_state("lose", CampaignState.RUNNING, "anna", "")
    assert stand.dialling.campaign("lose")["state"] == "running"


async def test_reloads_that_drop_a_rule_and_bring_it_back_leave_what_was_written_of_it(stand: Stand) -> None:
    rules = campaign().rules
    day, month = Rule("day", 0.03), Rule("month", 0.03)

    def kept(span: str) -> list[tuple[Any, ...]]:
        return stand.rows('SELECT answered, abandoned FROM campaign_ledgers WHERE "window" = ?', span)

    await stand.up()
    stand.dialling.follow(definition(rules=replace(rules, caps=(day, month))))
    await stand.until(lambda: len(stand.dialling.core.runners["win"].campaign.rules.caps) == 2)
    book = stand.dialling.core.runners["win"].book
    for _ in range(50):
        book.dialled(clock().utc)
        book.abandoned(clock().utc)
    stand.dialling.follow(definition(rules=replace(rules, caps=(day,))))
    await stand.until(lambda: kept("month") == kept("day") == [(50.0, 50.0)])
    stand.dialling.follow(definition(rules=replace(rules, caps=(day, month))))
    await stand.until(lambda: stand.dialling.core.runners["win"].book.ledger.rules == (day, month))
    stand.dialling.core.runners["win"].book.served(clock().utc)
    stand.dialling._wake()
    await stand.until(lambda: kept("day") == [(51.0, 50.0)])
    assert kept("month") == [(51.0, 50.0)]


async def test_logs_of_defects_name_no_numbers(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await stand.up()
    number = "+49301000000"

    def fails(*_: Any) -> None:
        raise KeyError(number)

    monkeypatch.setitem(stand.dialling.core._handlers, wire.AttemptRefused, fails)
    stand.dialling.tell(
        wire.AttemptRefused(clock().utc, NODE, "00000100000042", f"PJSIP/{number}@carrier is no device")
    )
    await stand.until(lambda: "outbound_defect" in stand.alarms)
    assert "AttemptRefused 00000100000042: KeyError" in caplog.text
    assert "in fails" in caplog.text
    assert number.lstrip("+") not in caplog.text


async def test_a_look_that_comes_before_the_late_tick_knows_how_late_it_is(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[say.Look] = []
    handle = stand.dialling.core.handle

    def noted(event: Any, now: Instant) -> Any:
        if isinstance(event, say.Look):
            looks.append(event)
        return handle(event, now)

    monkeypatch.setattr(stand.dialling.core, "handle", noted)
    stand.dialling._due = time.monotonic() - 1.5
    stand.dialling._look()
    assert looks[0].lag_s == pytest.approx(1.5, abs=0.2)
    assert stand.dialling.core.held_up(clock()) is not None
