"""What conversations that go on elsewhere count for, in each queue."""

from __future__ import annotations

from floorkit import UTC_0, Clock, define

from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.commands import OfferCall
from acd.domain.events import AgentAction, CallAction
from acd.domain.states import SegmentKind
from acd.floor import Floor, views

FLOOR = """
queue sales wrap=0 sl=5
queue tech wrap=0 sl=5
agent ann 101 sales
agent bob 102 tech
did 1 sales
did 2 tech
"""


class Day:
    """A floor with everybody there; ``tell`` an event ``after_s``."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.floor = Floor(define(FLOOR), epoch=1, started_at=UTC_0)
        self.offers: list[str] = []
        self.opened: list[rec.SegmentOpened] = []
        self.tell(ev.NodeResynced, "pbx", (), {})
        self.tell(ev.AgentRequested, "ann", AgentAction.LOGIN)

    def tell(self, kind: type[ev.Event], *what: object, after_s: float = 0.0) -> None:
        self.clock.s += after_s
        step = self.floor.handle(kind(self.clock.now.utc, *what), self.clock.now)
        self.opened += [record for record in step.records if isinstance(record, rec.SegmentOpened)]
        self.offers += [command.offer for command in step.commands if isinstance(command, OfferCall)]

    def call(self, channel: str, did: str) -> str:
        self.tell(ev.CallArrived, "pbx", channel, f"PJSIP/{channel}", channel, did)
        return self.floor.by_channel["pbx", channel].call

    def counts(self, queue: str) -> tuple[int, int, int, int, float]:
        """Offered, answered, in time, talks, seconds talked."""
        found = self.floor.counts[queue]
        return found.offered, found.answered, found.answered_in_time, found.talks, round(found.talk_sum_s, 3)


def test_each_queue_counts_the_conversation_it_gave() -> None:
    day = Day()
    call = day.call("c", "1")
    day.tell(ev.AgentAnswered, day.offers[-1], after_s=2)
    day.tell(ev.CallHeld, day.offers[-1], after_s=10)
    day.tell(ev.CallRequested, call, CallAction.TRANSFER, "tech", after_s=10)
    assert day.counts("sales") == (1, 1, 1, 1, 20.0)
    assert day.counts("tech") == (1, 0, 0, 0, 0.0)
    (shown,) = views.calls(day.floor, day.clock.now.utc + 3)
    assert (shown["wait_s"], shown["talk_s"], shown["excluded"]) == (3.0, None, {"ann": "transferred"})
    day.tell(ev.AgentRequested, "bob", AgentAction.LOGIN, after_s=7)
    day.tell(ev.AgentAnswered, day.offers[-1], after_s=1)
    (shown,) = views.calls(day.floor, day.clock.now.utc + 4)
    assert (shown["wait_s"], shown["talk_s"], shown["on_hold"]) == (2.0, 4.0, False)
    day.tell(ev.TalkEnded, day.offers[-1], "agent", after_s=30)
    # eight seconds in that queue: not in time
    assert day.counts("tech") == (1, 1, 0, 1, 30.0)
    assert day.counts("sales") == (1, 1, 1, 1, 20.0)


def test_a_colleague_is_counted_once_whoever_he_talks_with() -> None:
    day = Day()
    day.tell(ev.AgentRequested, "bob", AgentAction.LOGIN)
    day.call("c", "1")
    day.tell(ev.AgentAnswered, day.offers[-1], after_s=1)
    day.call("s", "2")
    day.tell(ev.AgentAnswered, day.offers[-1], after_s=1)
    day.tell(ev.CallJoined, "pbx", "c", "s", after_s=10)
    assert day.counts("tech") == (1, 1, 1, 1, 10.0)
    day.tell(ev.TalkEnded, day.offers[-1], "agent", after_s=5)
    assert day.counts("tech") == (1, 1, 1, 2, 15.0)
    assert day.counts("sales") == (1, 1, 1, 1, 11.0)


def test_a_transfer_that_is_told_after_who_left_is_how_the_conversation_ended() -> None:
    day = Day()
    day.tell(ev.AgentRequested, "bob", AgentAction.LOGIN)
    call = day.call("c", "1")
    day.tell(ev.AgentAnswered, day.offers[-1], after_s=2)
    # A wrap-up of the first conversation comes between
    day.tell(ev.CallRequested, call, CallAction.TRANSFER, "tech", after_s=10)
    day.tell(ev.AgentAnswered, day.offers[-1], after_s=1)
    day.tell(ev.CallHeld, day.offers[-1], after_s=1)
    day.tell(ev.TalkEnded, day.offers[-1], "caller", after_s=4)
    ended = day.clock.now.utc
    told = ev.CallTransferred(ended, "pbx", "c", "attended", "1009", day.offers[-1])
    day.clock.s += 1
    records = day.floor.handle(told, day.clock.now).records
    again, closed = (one for one in records if isinstance(one, rec.SegmentClosed))
    assert (again.ended_at, again.outcome) == (ended, "transfer")
    held = [one for one in day.opened if one.kind is SegmentKind.HELD]
    assert [one.serial for one in held] == [again.serial]
    assert closed.serial > again.serial
