"""Events in no sensible order, about things that do not exist, at impossible times: the floor takes them all.

No event raises, no record contradicts an earlier one, and what is promised between events holds even then.
"""

from __future__ import annotations

import math
import os
import random

import pytest
from floorkit import UTC_0, Clock, RecordBook
from promises import check_promises
from world import FLOOR, PHONES

from acd.domain import events as ev
from acd.domain.definition import ToDialplan
from acd.domain.events import AgentAction, CallAction, Phase, SeenCall
from acd.domain.place import Place
from acd.domain.states import AgentState, OfferOutcome, PhoneState
from acd.floor import Floor

RUNS = int(os.environ.get("ACD_NONSENSE", "100"))
CHANNELS = ("c1", "c2", "c3")
NODES = ("east", "west", "nowhere")
QUEUES = ("sales", "help", "tech", "vip", "gone")


class Nonsense:
    """Makes events. Ids are of the few the floor will use itself, so that they often hit."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.clock = Clock()

    def identity(self) -> str:
        return f"{self.r.choice([1, 2]):06d}{self.r.randint(1, 12):08d}"

    def at(self) -> float:
        now = self.clock.now.utc
        return self.r.choice([now, now, now - 1, now - 1e6, now + 1e6, 0.0, -1.0, math.nan, math.inf, -math.inf])

    def place(self) -> Place | None:
        r, t = self.r, lambda: UTC_0 + self.r.choice([-100.0, 0.0, self.clock.s, 1e5])
        text = f"{r.choice(QUEUES)}:{r.randint(-3, 9)}:{t()}:{r.randint(0, 5)}:{t()}:{t()}"
        barred = f"{text}::{r.choice([*FLOOR.agents, 'nobody'])}=escalated"
        return Place.decode(r.choice([text, text, barred, "", "sales", "sales:x:1:1:1:1"]))

    def seen(self) -> SeenCall:
        r = self.r
        return SeenCall(
            channel=r.choice(CHANNELS),
            channel_name="PJSIP/x",
            linkedid="x",
            phase=r.choice(list(Phase)),
            call=r.choice([None, self.identity(), self.identity()]),
            place=self.place(),
            offer=r.choice([None, self.identity(), self.identity()]),
            agent=r.choice([None, "nobody", *FLOOR.agents]),
        )

    def memory(self) -> ev.MemoryRestored:
        r = self.r
        agents = tuple(
            ev.AgentMemory(
                agent=name,
                state=r.choice(list(AgentState)),
                reason=None,
                since=UTC_0 - 50,
                idle_since=UTC_0 - 100,
                serial=r.randint(1, 9),
                phone=r.choice([None, *PHONES]),
                pending=r.choice([None, "logout", "pause:lunch"]),
                until=r.choice([None, UTC_0 - 1, UTC_0 + 5]),
                call=r.choice([None, self.identity()]),
            )
            for name in ("ann", "bob", "nobody")
        )
        return ev.MemoryRestored(self.at(), agents, ())

    def event(self) -> ev.Event:
        r, at = self.r, self.at()
        node, channel, offer = r.choice(NODES), r.choice(CHANNELS), self.identity()
        kind = r.randrange(15)
        if kind == 0:
            did, call = r.choice(["1", "2", "3", "4", "none"]), r.choice([None, self.identity()])
            return ev.CallArrived(at, node, channel, "PJSIP/x", "x", did, "\r\n\x00'\"", "", call, self.place())
        if kind == 1:
            return ev.CallEnded(at, node, channel, r.choice([None, 16]))
        if kind == 2:
            return ev.CallTransferred(at, node, channel, "blind", "x")
        if kind == 3:
            return ev.CallLeft(at, node, channel)
        if kind == 4:
            return ev.AgentRang(at, offer)
        if kind == 5:
            return ev.AgentAnswered(at, offer)
        if kind == 6:
            outcome, phone = r.choice(list(OfferOutcome)), r.choice(PHONES)
            if r.random() < 0.5:
                return ev.LegFailed(at, offer, phone, outcome)
            return ev.OfferFailed(at, offer, outcome, "", r.choice([{}, {phone: outcome}]))
        if kind == 7:
            return ev.TalkEnded(at, offer, r.choice(["agent", "caller", "transfer"]))
        if kind == 8:
            return ev.PhoneStateChanged(at, r.choice(PHONES), r.choice(list(PhoneState)))
        if kind == 9:
            looks = {phone: r.choice(list(PhoneState)) for phone in r.sample(PHONES, 2)}
            calls = tuple(self.seen() for _ in range(r.randint(0, 4)))
            return ev.NodeResynced(at, node, calls, looks, r.choice([0.0, 3.0]), r.random() < 0.2)
        if kind == 10:
            return r.choice([ev.NodeLost(at, node), ev.DeadlinePassed(at)])
        if kind == 11:
            held = [ev.CallHeld(at, offer), ev.CallRetrieved(at, offer), ev.ConsultEnded(at, offer)]
            held.append(ev.ConsultChanged(at, offer, "", r.random() < 0.8, r.random() < 0.3))
            joined = ev.CallJoined(at, node, channel, r.choice(CHANNELS))
            return r.choice([*held, ev.ConsultBegan(at, offer, r.choice(["", "602"])), joined, joined])
        if kind == 12:
            queue, to = r.choice([None, *QUEUES]), r.choice([None, ToDialplan("phones", "600")])
            return ev.CallRequested(at, self.identity(), r.choice(list(CallAction)), queue, {}, "r", to)
        agent = r.choice(["ann", "bob", "cid", "dan", "102", "", "nobody"])
        phone = r.choice([None, None, *PHONES])
        return ev.AgentRequested(at, agent, r.choice(list(AgentAction)), r.choice([None, "lunch", "x"]), phone, "r")


@pytest.mark.parametrize("seed", range(RUNS))
def test_nonsense(seed: int) -> None:
    nonsense = Nonsense(seed)
    floor, book = Floor(FLOOR, epoch=1, started_at=UTC_0), RecordBook()
    for _ in range(300):
        nonsense.clock.s += nonsense.r.choice([0.0, 0.0, 0.5, 3.0, 30.0])
        step = floor.handle(nonsense.event(), nonsense.clock.now)
        book.fold(step.records)
        check_promises(floor, nonsense.clock.now)
    assert {row.opened.call for row in book.open_calls()} == set(floor.calls)


@pytest.mark.parametrize("seed", range(RUNS // 2))
def test_nonsense_after_a_nonsensical_memory(seed: int) -> None:
    """The memory of a floor that is no longer the same: nothing raises, and everybody can be served in the end."""
    nonsense = Nonsense(seed)
    floor = Floor(FLOOR, epoch=2, started_at=UTC_0)
    floor.handle(nonsense.memory(), nonsense.clock.now)
    for _ in range(200):
        nonsense.clock.s += nonsense.r.choice([0.0, 0.5, 3.0])
        floor.handle(nonsense.event(), nonsense.clock.now)
        check_promises(floor, nonsense.clock.now)
