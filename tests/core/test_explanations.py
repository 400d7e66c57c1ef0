"""What explanations rest on: skills as they are now, waiting calls with this one, estimates with their limit."""

from __future__ import annotations

from typing import Any

from floorkit import UTC_0, Clock, define

from acd.domain import events as ev
from acd.domain.events import AgentAction
from acd.domain.records import DecisionMade, Record
from acd.domain.states import OfferOutcome, PhoneState
from acd.floor import Floor, Step, views


class Day:
    """One floor, connected."""

    def __init__(self, text: str) -> None:
        self.clock = Clock()
        self.floor = Floor(define(text), epoch=1, started_at=UTC_0)
        self.go(0, ev.NodeResynced(0.0, "pbx", (), {}))

    def go(self, at_s: float, event: ev.Event) -> Step:
        self.clock.s = at_s
        return self.floor.handle(event, self.clock.now)

    def login(self, agent: str) -> None:
        self.go(self.clock.s, ev.AgentRequested(0.0, agent, AgentAction.LOGIN))

    def arrives(self, at_s: float, channel: str) -> dict[str, dict[str, Any]]:
        """The decisions on a new call, by kind."""
        step = self.go(at_s, ev.CallArrived(0.0, "pbx", channel, f"PJSIP/{channel}", channel, "1"))
        return {record.kind: record.detail for record in step.records if isinstance(record, DecisionMade)}


def test_a_skill_that_has_ended_is_not_shown() -> None:
    day = Day(
        "skills english linux\nqueue sales select=most_proficient\nstage sales 0 english >= 1 or linux >= 1\n"
        "agent ann 101 sales english=50 linux=90 linux@..10\ndid 1 sales"
    )
    day.login("ann")
    told = day.arrives(20, "c1")["offered"]
    assert told["chosen"]["skills"] == {"english": 50}
    assert told["chosen"]["points"] == 50


def test_a_waiting_call_counts_itself() -> None:
    day = Day("queue sales\nagent ann 101 sales\ndid 1 sales")
    day.login("ann")
    day.go(0, ev.PhoneStateChanged(0.0, "PJSIP/101", PhoneState.BUSY))
    assert day.arrives(1, "c1")["waits"]["waiting"] == 1
    assert day.arrives(2, "c2")["waits"]["waiting"] == 2


def test_who_is_cut_off_is_not_free() -> None:
    """The breaker opens: the lists say so, and nobody counts on those behind it."""
    day = Day(
        "breaker 2 within=60 probe=30 group=trunk\nqueue sales wrap=0\ncooldown 1\ndid 1 sales\n"
        + "".join(f"agent {name} 10{n} sales phones=PJSIP/10{n}@site\n" for n, name in enumerate(("ann", "bob", "cid")))
    )
    for name in ("ann", "bob", "cid"):
        day.login(name)
    day.floor.forecast.handled("sales", 60.0)
    day.arrives(1, "c1")
    for _ in range(2):
        offer = next(iter(day.floor.offers))
        day.go(2, ev.OfferFailed(0.0, offer, OfferOutcome.UNREACHABLE))
    now = day.clock.now
    (queue,) = views.queues(day.floor, now.utc)
    assert (queue["agents"], queue["cut_off"], queue["waiting"]) == ({"AVAILABLE": 3}, 3, 1)
    assert queue["expected_wait"] is None
    told = [row["cut_off"] for row in views.agents(day.floor, now)]
    assert told == ["behind trunk site, which cannot be reached"] * 3


def test_how_long_a_call_would_have_waited() -> None:
    day = Day("queue sales wrap=0 estimate=5 long=hangup\nagent ann 101 sales\ndid 1 sales")
    day.login("ann")
    for n in range(12):
        told = day.arrives(100 * n, f"c{n}")
        assert "offered" in told
        offer = next(iter(day.floor.offers))
        day.go(100 * n + 1, ev.AgentAnswered(0.0, offer))
        day.go(100 * n + 81, ev.CallEnded(0.0, "pbx", f"c{n}"))
    assert "offered" in day.arrives(2000, "c20")
    told = day.arrives(2001, "c21")["overflowed"]
    assert told["cause"] == "long_wait"
    assert told["limit_s"] == 5.0
    assert told["expected_wait_s"] > 5.0


def test_whoever_looks_when_a_call_is_kept_sees_for_whom() -> None:
    """At the moment that decision is written down, the call is kept already; and so with a need that changes."""
    text = "queue sales\nprefer sales named 8 manager\nstage sales 0 call.x == 1 and english >= 80 or english >= 10\n"
    day = Day(text + "agent ann 101 sales english=50\nagent cid 103 sales english=50\ndid 1 sales .manager=cid")
    seen: list[tuple[str, str | None, str]] = []
    emit = day.floor.ledger._emit

    def watch(record: Record) -> None:
        if isinstance(record, DecisionMade):
            call = day.floor.calls[record.call]
            seen.append((record.kind, call.kept_for, call.requirement.text))
        emit(record)

    day.floor.ledger._emit = watch
    for name in ("ann", "cid"):
        day.login(name)
    day.go(0, ev.PhoneStateChanged(0.0, "PJSIP/103", PhoneState.BUSY))
    told = day.arrives(1, "c1")
    assert (told["preferred"]["agent"], told["preferred"]["state"]) == ("cid", "phone BUSY")
    assert told["waits"] == {
        "queue": "sales",
        "preferred": "cid",
        "preferred_as": "call.manager",
        "preferred_state": "phone BUSY",
        "waiting": 1,
    }
    assert seen == [("preferred", "cid", "english >= 10"), ("waits", "cid", "english >= 10")]
