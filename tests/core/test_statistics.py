"""The formulas, with numbers worked out by hand; and that the floor counts what the formulas need."""

from __future__ import annotations

import pytest
from floorkit import UTC_0, Clock, define

from acd.domain import events as ev
from acd.domain.events import AgentAction
from acd.domain.states import AgentState, OfferOutcome
from acd.floor import Floor
from acd.routing.statistics import AgentCounts, QueueCounts


def test_nothing_is_known_of_nothing() -> None:
    counts = QueueCounts()
    assert (counts.service_level, counts.asa_s, counts.aht_s) == (None, None, None)


def test_service_level_is_answered_in_time_by_answered_and_abandoned() -> None:
    assert QueueCounts(answered=8, answered_in_time=6, abandoned=2).service_level == pytest.approx(0.6)
    assert QueueCounts(abandoned=3).service_level == 0.0
    assert QueueCounts(overflowed=3, transferred=1, lost_track=1).service_level is None


def test_asa_is_over_answered_calls_only() -> None:
    assert QueueCounts(answered=4, abandoned=9, wait_sum_s=30.0).asa_s == 7.5


def test_aht_is_talk_and_wrap_up_by_conversation() -> None:
    assert QueueCounts(talks=3, talk_sum_s=300.0, wrap_up_sum_s=60.0).aht_s == 120.0


def test_counts_add_up() -> None:
    total = QueueCounts()
    total.add(QueueCounts(*range(1, 12)))
    total.add(QueueCounts(*range(1, 12)))
    assert total == QueueCounts(*(2 * n for n in range(1, 12)))


def test_an_agents_seconds() -> None:
    counts = AgentCounts()
    for state, seconds in zip(AgentState, (1000, 100, 7, 5, 10, 200, 30, 500), strict=True):
        counts.spend(state, seconds, 50.0)
    counts.spend(AgentState.TALKING, 50, 90_000.0)
    counts.spend(AgentState.TALKING, -7, 90_000.0)
    assert counts.work_s() == 7 + 10 + 250 + 30
    assert counts.present_s() == 100 + 7 + 5 + 10 + 250 + 30


FLOOR = define(
    """
    queue sales ring=20 wrap=10 max=100 overflow=queue:help sl=20
    queue help wrap=0 max=30 overflow=hangup
    agent ann 101 sales
    did 1 sales
    """
)


class Day:
    """A floor and a clock."""

    def __init__(self) -> None:
        self.clock, self.floor = Clock(), Floor(FLOOR, epoch=1, started_at=UTC_0)
        self.go(0, ev.NodeResynced(UTC_0, "pbx", (), {}))

    def go(self, seconds: float, event: ev.Event) -> None:
        self.clock.s = seconds
        object.__setattr__(event, "at", self.clock.now.utc)
        self.floor.handle(event, self.clock.now)

    def arrive(self, seconds: float, channel: str) -> None:
        self.go(seconds, ev.CallArrived(0.0, "pbx", channel, "PJSIP/x", channel, "1"))

    def ask(self, seconds: float, action: AgentAction) -> None:
        self.go(seconds, ev.AgentRequested(0.0, "ann", action))

    def offer(self) -> str:
        return next(iter(self.floor.offers))

    @property
    def sales(self) -> QueueCounts:
        return self.floor.counts["sales"]


def test_a_day_is_counted() -> None:
    day = Day()
    day.ask(0, AgentAction.LOGIN)
    day.arrive(10, "c1")  # answered after 5 s, talks 60 s, wraps up 10 s
    day.go(15, ev.AgentAnswered(0.0, day.offer()))
    day.arrive(20, "c2")  # answered after 65 s, out of time, talks 30 s
    day.arrive(21, "c3")  # abandons
    day.go(30, ev.CallEnded(0.0, "pbx", "c3"))
    day.go(75, ev.CallEnded(0.0, "pbx", "c1"))
    day.go(85, ev.DeadlinePassed(0.0))
    day.go(85, ev.AgentAnswered(0.0, day.offer()))
    day.go(115, ev.CallEnded(0.0, "pbx", "c2"))
    day.ask(121, AgentAction.PAUSE)  # cuts the wrap-up short
    day.arrive(130, "c4")  # overflows to help at 230, and out of there at 260
    day.go(260, ev.DeadlinePassed(0.0))
    s, h = day.sales, day.floor.counts["help"]
    assert (s.offered, s.answered, s.answered_in_time, s.abandoned, s.overflowed) == (4, 2, 1, 1, 1)
    assert (s.wait_sum_s, s.talk_sum_s, s.wrap_up_sum_s, s.talks) == (70.0, 90.0, 16.0, 2)
    assert (s.service_level, s.asa_s, s.aht_s) == (pytest.approx(1 / 3), 35.0, 53.0)
    assert (h.offered, h.overflowed, h.answered) == (1, 1, 0)
    ann = day.floor.roster.agents["ann"].counts
    assert ann.calls_taken == 2
    assert ann.seconds[AgentState.TALKING] == 90.0
    assert ann.seconds[AgentState.WRAP_UP] == 16.0
    assert ann.seconds[AgentState.RESERVED] == 5.0


def test_rona_is_counted() -> None:
    day = Day()
    day.ask(0, AgentAction.LOGIN)
    day.arrive(1, "c1")
    day.go(2, ev.AgentRang(0.0, day.offer()))
    day.go(22, ev.OfferFailed(0.0, day.offer(), OfferOutcome.NO_ANSWER))
    ann = day.floor.roster.agents["ann"].counts
    assert (ann.rona, ann.calls_taken, ann.seconds[AgentState.RINGING]) == (1, 0, 20.0)


def test_each_end_is_counted_once() -> None:
    """A transfer, a lost track, and a return after a conversation."""
    day = Day()
    day.ask(0, AgentAction.LOGIN)
    day.arrive(1, "c1")
    day.go(2, ev.AgentAnswered(0.0, day.offer()))
    day.go(3, ev.CallTransferred(0.0, "pbx", "c1", "blind", "x"))
    day.go(4, ev.CallEnded(0.0, "pbx", "c1"))
    day.arrive(5, "c2")
    day.go(10, ev.NodeResynced(0.0, "pbx", (), {}))
    s = day.sales
    assert (s.offered, s.answered, s.transferred, s.lost_track, s.abandoned) == (2, 1, 1, 1, 0)
