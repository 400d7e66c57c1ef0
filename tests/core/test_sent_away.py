"""Who was sent on may have asked just before: his old question opens no call. Who comes back is a new one."""

from __future__ import annotations

import pytest
from floorkit import UTC_0, Clock, define

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.definition import ToDialplan
from acd.domain.events import AgentAction
from acd.floor import Floor, core

ELSEWHERE = ToDialplan("voicemail", "s")
FLOOR = define("queue sales max=30 overflow=dialplan:voicemail,s\nagent ann 101 sales\ndid 1 sales")


class Day:
    """One caller; what his channel bears is what he was told when he was told to wait."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.floor = Floor(FLOOR, epoch=1, started_at=UTC_0)
        self.bears: do.HoldCall | None = None
        self.opened: list[str] = []
        self.tell(ev.NodeResynced(UTC_0, "pbx", (), {}))

    def tell(self, event: ev.Event) -> list[do.Command]:
        step = self.floor.handle(event, self.clock.now)
        self.opened += [one.call for one in step.records if isinstance(one, rec.CallOpened)]
        for command in step.commands:
            if isinstance(command, do.HoldCall):
                self.bears = command
        return [one for one in step.commands if isinstance(one, do.SendCall | do.ChannelCommand)]

    def asks(self, asked_at: float, bears: do.HoldCall | None = None) -> list[do.Command]:
        """He came ``asked_at`` seconds from the start, by Asterisk's clock, and bears this."""
        return self.tell(
            ev.CallArrived(
                at=UTC_0 + asked_at,
                node="pbx",
                channel="c1",
                channel_name="PJSIP/x",
                linkedid="c1",
                did="1",
                call=bears and bears.call,
                place=bears and core.arrivals.Place.decode(bears.place),
                asked_at=UTC_0 + asked_at,
            )
        )

    def waits_too_long(self) -> None:
        self.clock.s += 40.0
        (sent,) = self.tell(ev.DeadlinePassed(0.0))
        assert isinstance(sent, do.SendCall)
        assert sent.destination == ELSEWHERE


@pytest.fixture
def day() -> Day:
    return Day()


@pytest.mark.parametrize("ahead_s", [0.0, 0.004, 5.0])
def test_an_old_question_is_answered_as_before(day: Day, ahead_s: float) -> None:
    """``ahead_s``: Asterisk's clock is ahead of ours by so much, so that his entry is dated by ours."""
    day.asks(ahead_s)
    bears = day.bears
    assert bears is not None
    day.waits_too_long()
    day.tell(ev.AgentRequested(0.0, "ann", AgentAction.LOGIN))
    for _ in range(2):
        (sent,) = day.asks(ahead_s, bears)
        assert sent == do.SendCall("pbx", "c1", bears.call, ELSEWHERE)
        day.clock.s += 3.0
    assert day.opened == [bears.call]
    assert not day.floor.calls


@pytest.mark.parametrize("behind_s", [0.0, 39.9])
def test_who_comes_back_is_a_new_call(day: Day, behind_s: float) -> None:
    """He still bears what we wrote on his channel, but he has entered anew: at another time, by whichever clock."""
    day.asks(0.0 - behind_s)
    bears = day.bears
    assert bears is not None
    day.waits_too_long()
    day.clock.s += 1.0
    (held,) = day.asks(day.clock.s - behind_s, bears)
    assert isinstance(held, do.HoldCall)
    assert day.opened == [bears.call, held.call]
    # That one's question is known from the first one's, too
    assert day.asks(day.clock.s - behind_s, held) == [held]
    assert len(day.opened) == 2
    entered_at, second = day.clock.s - behind_s, held
    day.waits_too_long()
    (sent,) = day.asks(entered_at, second)
    assert isinstance(sent, do.SendCall)
    assert sent.call == held.call
    assert len(day.opened) == 2


def test_who_was_taken_over_is_known_by_his_place(day: Day) -> None:
    """Nobody has asked in this life when he was sent on."""
    day.asks(0.0)
    bears = day.bears
    assert bears is not None
    place = core.arrivals.Place.decode(bears.place)
    day.floor = Floor(FLOOR, epoch=2, started_at=UTC_0)
    seen = ev.SeenCall("c1", "PJSIP/x", "c1", ev.Phase.HELD, bears.call, place, did="1")
    day.tell(ev.NodeResynced(UTC_0, "pbx", (seen,), {}))
    (call,) = day.floor.calls.values()
    assert call.place.entered_at == UTC_0
    bears = do.HoldCall("pbx", "c1", call.call, call.place.encode(), "default")
    day.waits_too_long()
    (sent,) = day.asks(0.0, bears)
    assert isinstance(sent, do.SendCall)


def test_only_so_many_are_remembered(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "ENDED_LIMIT", 2)
    for n in range(5):
        channel = f"x{n}"
        day.tell(ev.CallArrived(0.0, "pbx", channel, "PJSIP/x", channel, "1"))
    day.clock.s += 40.0
    assert len(day.tell(ev.DeadlinePassed(0.0))) == 5
    assert list(day.floor.sent) == [("pbx", "x3"), ("pbx", "x4")]
