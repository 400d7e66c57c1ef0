"""The floor of a running service: its file exchanged while calls wait, and what only the service knows of calls."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from enginekit import FakeExecutor, FakeStore
from floorkit import UTC_0, Clock

from acd.api import BadFloorError
from acd.cli.floorfile import FloorFile
from acd.cli.served import ServedFloor
from acd.config.floor import load_floor
from acd.domain import events as ev
from acd.domain.commands import HoldCall, MarkCall, OfferCall, RaiseAlarm, SendCall
from acd.domain.definition import FloorDefinition, ToDialplan
from acd.domain.errors import RefusedError, UnknownNameError
from acd.domain.events import AgentAction, CallAction
from acd.engine import Engine, LagMonitor
from acd.engine.journal import Journal, JournalOptions
from acd.floor import Floor

TEXT = """
skills: [english]
queues:
  main: {skills: {english: 80}, escalation: boss}
  boss: {}
agents:
  ann: {number: 101, phones: [PJSIP/101], queues: [main], skills: {english: 50}}
  bob: {number: 102, phones: [PJSIP/102], queues: [main], skills: {english: 90}}
  eve: {number: 103, phones: [PJSIP/103], queues: [boss]}
entry_points: {"1": main}
"""
ANN_LEARNS = TEXT.replace("english: 50", "english: 85")


class Settling(FakeStore):
    """Whatever is written is durable a moment later, unless ``holding``; nothing is while ``losing``."""

    holding = losing = False

    def write(self, records, *, soon=False, age_s=0.0):  # type: ignore[no-untyped-def]
        ticket = super().write(records, soon=soon)
        if self.losing:
            self.lost.add(ticket)
        if not self.holding:
            asyncio.get_running_loop().call_soon(self.settle)
        return ticket


class Served:
    """A floor with its file, as acd serve wires them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "floor.yaml"
        self.path.write_text(TEXT)
        self.clock = Clock()
        self.store, self.executor = Settling(), FakeExecutor()
        self.floor = Floor(load_floor(self.path).definition, epoch=1, started_at=UTC_0)
        self.alarms: list[RaiseAlarm] = []
        self.journal = Journal(self.floor, JournalOptions(folder / "journal"), alarm=self.alarms.append)
        self.engine = Engine(self.floor, self.store, self.executor, clock=lambda: self.clock.now)
        self.followed: list[FloorDefinition] = []
        self.file = FloorFile(self.path, self.engine, self.followed.append)
        self.unread: list[ev.Event] = []
        self.live = self.make_live(None)

    def make_live(self, journal: Journal | None) -> ServedFloor:
        lag = LagMonitor()
        return ServedFloor(
            *(self.engine, self.store, lag),
            file=self.file,
            journal=journal,
            nodes=list,
            counters=dict,
            has_place=self.has_place,
            hear=self.hear,
        )

    async def hear(self, node: str) -> None:
        """What the node has said and nobody has read yet."""
        assert node == "east"
        for event in self.unread:
            self.engine.submit(event)
        self.unread.clear()

    async def has_place(self, node: str, place: ToDialplan) -> bool:
        """Asterisk's dialplan has the extensions from 600 on."""
        assert node == "east"
        return place.exten >= "600"

    async def caller_waits(self) -> str:
        """One call that finds no agent who may take it; its id."""
        self.engine.submit(ev.NodeResynced(UTC_0, "east", (), {}))
        for name in ("ann", "bob", "eve"):
            await self.engine.request(name, AgentAction.LOGIN)
        await self.engine.request("bob", AgentAction.PAUSE)
        self.engine.submit(ev.CallArrived(UTC_0, "east", "c1", "PJSIP/x-1", "c1", "1"))
        await self.engine.request("bob", AgentAction.PAUSE)
        ((call, _),) = self.floor.calls.items()
        assert isinstance(self.executor.executed[-1], HoldCall)
        return call


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    made = Served(tmp_path)
    yield made
    made.engine.close()


async def test_a_new_file_takes_effect_on_the_call_that_waits(served: Served) -> None:
    call = await served.caller_waits()
    before = served.live.floor_in_force()
    assert (before["since"], before["previous"], before["reloads"]) == (UTC_0, None, 0)
    served.clock.s += 60
    served.path.write_text(ANN_LEARNS)
    compared = await served.live.compare_floor()
    assert served.floor.definition.revision == compared["revision"] == before["revision"]
    done = await served.live.reload_floor()
    offer = served.executor.executed[-1]
    assert isinstance(offer, OfferCall)
    assert (offer.call, offer.agent) == (call, "ann")
    assert done["reloaded"]
    assert done["changes"] == compared["changes"]
    assert done["changes"]["agents"]["changed"] == {"ann": {"skills": {"from": {"english": 50}, "to": {"english": 85}}}}
    assert done["message"] == f"revision {compared['new_revision']} is in force: 1 agent changed"
    after = served.live.floor_in_force()
    assert (after["revision"], after["previous"]) == (compared["new_revision"], before["revision"])
    assert (after["since"], after["reloads"]) == (UTC_0 + 60, 1)
    assert [definition.revision for definition in served.followed] == [after["revision"]]
    assert gc.isenabled()


async def test_a_live_call_is_told_with_who_called_whom(served: Served) -> None:
    outbound = (
        TEXT
        + """
trunks: {out: {dial: "PJSIP/{number}@out"}}
caller_ids: {own: {numbers: ["+4930555100"], verified: 2026-03-01}}
campaigns: {win: {mode: manual, queue: main, trunk: out, caller_ids: own, time_zone: Europe/Berlin}}
"""
    )
    served.path.write_text(outbound)
    call = await served.caller_waits()
    await served.live.reload_floor()
    dialled = ev.CallArrived(
        UTC_0, "east", "00000100000001", "PJSIP/out-1", "c2", "+4930555100", "+49301", answered=True, campaign="win"
    )
    served.engine.submit(dialled)
    await served.engine.request("eve", AgentAction.PAUSE)
    told = {one["call"]: (one["direction"], one["campaign"]) for one in served.live.calls()}
    assert told.pop(call) == ("inbound", None)
    assert list(told.values()) == [("outbound", "win")]


async def test_the_same_file_again_changes_nothing(served: Served) -> None:
    served.path.write_text("# a comment\n" + TEXT)
    done = await served.live.reload_floor()
    assert not done["reloaded"]
    assert done["message"].startswith("nothing changed")
    assert (served.followed, served.live.floor_in_force()["reloads"]) == ([], 0)


@pytest.mark.parametrize("method", ["compare_floor", "reload_floor"])
async def test_all_that_is_wrong_is_told_and_nothing_changes(served: Served, method: str) -> None:
    served.path.write_text(
        ANN_LEARNS.replace("{skills: {english: 80}", "{skills: {englsh: 80}").replace("[boss]", "[bos]")
    )
    with pytest.raises(BadFloorError) as caught:
        await getattr(served.live, method)()
    lines = [(problem["line"], problem["severity"]) for problem in caught.value.found]
    assert lines == [(4, "error"), (9, "error")]
    assert "2 errors" in str(caught.value)
    assert f"revision {served.floor.definition.revision} stays in force" in str(caught.value)
    assert (served.followed, served.executor.executed) == ([], [])
    served.path.unlink()
    with pytest.raises(BadFloorError) as caught:
        await getattr(served.live, method)()
    assert "does not exist" in caught.value.found[0]["message"]
    assert gc.isenabled()


async def test_two_reloads_at_once_are_one_change(served: Served) -> None:
    served.path.write_text(ANN_LEARNS)
    one, two = await asyncio.gather(served.live.reload_floor(), served.live.reload_floor())
    assert (one["reloaded"], two["reloaded"]) == (True, False)
    assert len(served.followed) == 1


async def test_a_reload_ends_although_nobody_waits_for_it_any_more(served: Served) -> None:
    served.path.write_text(ANN_LEARNS)
    followed = asyncio.Event()
    served.file = FloorFile(served.path, served.engine, lambda definition: followed.set())
    asked = asyncio.ensure_future(served.file.reload())
    await asyncio.sleep(0)
    asked.cancel()
    async with asyncio.timeout(10):
        await followed.wait()
    assert served.file.in_force()["reloads"] == 1
    assert asked.cancelled()


async def test_what_was_done_is_followed_even_if_it_could_not_be_recorded(served: Served) -> None:
    await served.caller_waits()
    served.store.losing = True
    served.path.write_text(TEXT.replace("  ann:", "  zoe:"))
    with pytest.raises(RefusedError, match="could not be recorded"):
        await served.live.reload_floor()
    assert served.floor.roster.agents.keys() == {"zoe", "bob", "eve"}
    assert [definition.agents.keys() for definition in served.followed] == [{"zoe", "bob", "eve"}]


async def test_calls_are_escalated_and_given_attributes(served: Served) -> None:
    call = await served.caller_waits()
    answer = await served.live.request_call(call, CallAction.SET_ATTRIBUTES, attributes={"tier": "gold", "n": 2})
    assert answer.ok
    assert isinstance(served.executor.executed[-1], MarkCall)
    (shown,) = served.live.calls()
    assert shown["attributes"].items() >= {"tier": "gold", "n": "2"}.items()
    answer = await served.live.request_call(call, CallAction.ESCALATE)
    assert answer.data["queue"] == "boss"
    offer = served.executor.executed[-1]
    assert isinstance(offer, OfferCall)
    assert (offer.call, offer.agent) == (call, "eve")
    with pytest.raises(RefusedError, match=f"call {call}: "):
        await served.live.request_call(call, CallAction.ESCALATE, queue="main")


async def test_a_call_is_sent_only_to_a_place_that_the_dialplan_has(served: Served) -> None:
    call = await served.caller_waits()
    events = served.engine.counters["events"]
    with pytest.raises(RefusedError, match="the dialplan of east has no acd-transfer,599,1; the caller stays"):
        await served.live.request_call(call, CallAction.TRANSFER, to=ToDialplan("acd-transfer", "599"))
    assert served.engine.counters["events"] == events
    to = ToDialplan("acd-transfer", "600")
    answer = await served.live.request_call(call, CallAction.TRANSFER, to=to)
    assert answer.message == "is sent to acd-transfer,600,1"
    assert served.executor.executed[-1] == SendCall("east", served.executor.executed[-1].channel, call, to)


async def test_unknown_calls_and_queues_are_told_before_the_floor_is_asked(served: Served) -> None:
    call = await served.caller_waits()
    events = served.engine.counters["events"]
    for wish, kind in (((f"{call}0", None), "call"), ((call, "man"), "queue")):
        with pytest.raises(UnknownNameError) as caught:
            await served.live.request_call(wish[0], CallAction.ESCALATE, queue=wish[1])
        assert caught.value.kind == kind
    assert served.engine.counters["events"] == events


async def test_why_an_agent_has_no_call(served: Served) -> None:
    await served.caller_waits()
    told = served.live.agent_explanation("101")
    assert (told["agent"], told["state"], told["why_not"]) == ("ann", "AVAILABLE", None)
    assert [(one["queue"], one["waiting"], bool(one["why_not"])) for one in told["prospects"]] == [("main", 1, True)]
    with pytest.raises(UnknownNameError):
        served.live.agent_explanation("nobody")


async def test_the_journal_is_part_of_status_and_health_and_no_reason_to_be_ill(served: Served) -> None:
    assert served.live.status()["journal"] == {"state": "off", "file": None, "events": 0, "waiting": 0, "detail": ""}
    assert served.live.health() == (True, {"nodes": {}, "database": "ok", "journal": "off"})
    live = served.make_live(served.journal)
    served.journal.open()
    assert live.status()["journal"]["state"] == "writing"
    await asyncio.to_thread(served.journal.close)
    assert live.health() == (True, {"nodes": {}, "database": "ok", "journal": "closed"})


@pytest.mark.parametrize("action", list(CallAction))
async def test_what_asterisk_has_said_is_heard_before_a_call_is_passed_on(served: Served, action: CallAction) -> None:
    call = await served.caller_waits()
    served.unread.append(ev.CallEnded(UTC_0, "east", "c1", 16))
    before = list(served.executor.executed)
    with pytest.raises(RefusedError, match="no live call"):
        await served.live.request_call(call, action, queue="main", attributes={"tier": "gold"})
    assert served.executor.executed == before


async def test_a_reload_says_what_becomes_of_callers_whose_queue_is_gone(served: Served) -> None:
    await served.caller_waits()
    served.path.write_text(ANN_LEARNS.replace("main", "other"))
    done = await served.live.reload_floor()
    assert done["message"].endswith("; waiting calls of removed queues: 1 moved to where their numbers lead now")
