"""Pieces of the floor that no dialogue shows well: timers, ids, defects inside, bounds, and a ledger on its own."""

from __future__ import annotations

import dataclasses

import pytest
from floorkit import MONO_0, UTC_0, Clock, define

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.events import AgentAction
from acd.domain.instant import Instant
from acd.domain.place import Place
from acd.domain.states import AgentState, CallOutcome, CallState, SegmentKind
from acd.floor import Floor
from acd.floor.calls import Call, Ledger
from acd.floor.core import ENDED_LIMIT, OFFER_GRACE_S, Step
from acd.floor.silence import LATE_S, SECOND_LOOK_S

FLOOR = define(
    """
    queue sales ring=20 wrap=10 max=60 overflow=hangup
    agent ann 101 sales
    did 1 sales
    """
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def floor(clock: Clock) -> Floor:
    """A floor with a node and an agent who is free."""
    floor = Floor(FLOOR, epoch=3, started_at=UTC_0)
    floor.handle(ev.NodeResynced(UTC_0, "pbx", (), {}), clock.now)
    floor.handle(ev.AgentRequested(UTC_0, "ann", AgentAction.LOGIN), clock.now)
    return floor


def arrives(clock: Clock, channel: str = "c1") -> ev.CallArrived:
    return ev.CallArrived(clock.now.utc, "pbx", channel, f"PJSIP/{channel}", channel, "1")


def passes(floor: Floor, clock: Clock, *moments: float) -> list[Step]:
    """A look at the deadlines at each of these seconds."""
    steps = []
    for clock.s in moments:
        steps.append(floor.handle(ev.DeadlinePassed(clock.now.utc), clock.now))
    return steps


# -- time ----------------------------------------------------------------------------------------------------------------


def test_an_instant_translates_between_its_clocks() -> None:
    now = Instant(50.0, 1_000.0)
    assert (now.mono_of(1_010.0), now.utc_of(45.0)) == (60.0, 995.0)


def test_no_deadline_without_a_cause(clock: Clock) -> None:
    assert Floor(FLOOR, epoch=1, started_at=UTC_0).next_deadline() is None


def test_the_next_deadline_is_the_earliest(floor: Floor, clock: Clock) -> None:
    floor.handle(arrives(clock), clock.now)
    assert floor.next_deadline() == MONO_0 + 20 + OFFER_GRACE_S - SECOND_LOOK_S
    clock.s = 5
    floor.handle(ev.AgentAnswered(clock.now.utc, next(iter(floor.offers))), clock.now)
    clock.s = 10
    floor.handle(ev.CallEnded(clock.now.utc, "pbx", "c1"), clock.now)
    assert floor.next_deadline() == MONO_0 + 20  # the wrap-up's end


def test_nobody_is_woken_for_what_is_over(floor: Floor, clock: Clock) -> None:
    floor.handle(arrives(clock), clock.now)
    (first,) = floor.offers
    floor.handle(arrives(clock, "c2"), clock.now)
    floor.handle(ev.AgentAnswered(clock.now.utc, first), clock.now)
    assert floor.next_deadline() == MONO_0 + 60, "the offer is answered; the one who waits may do so for a minute"
    clock.s = 10
    floor.handle(ev.CallEnded(clock.now.utc, "pbx", "c2"), clock.now)
    assert floor.next_deadline() is None, "he who waited is gone"
    floor.handle(ev.CallEnded(clock.now.utc, "pbx", "c1"), clock.now)
    assert floor.next_deadline() == MONO_0 + 20, "the wrap-up's end"


def test_an_event_comes_after_the_deadlines_that_were_due(floor: Floor, clock: Clock) -> None:
    """The process was held up: the log-out comes before the timer, and yet finds an agent who is free again."""
    floor.handle(arrives(clock), clock.now)
    floor.handle(ev.AgentAnswered(clock.now.utc, next(iter(floor.offers))), clock.now)
    floor.handle(ev.CallEnded(clock.now.utc, "pbx", "c1"), clock.now)
    clock.s = 100
    step = floor.handle(ev.AgentRequested(clock.now.utc, "ann", AgentAction.LOGOUT), clock.now)
    states = [(r.state, r.at - UTC_0) for r in step.records if isinstance(r, rec.AgentStateChanged)]
    assert states == [(AgentState.AVAILABLE, 10.0), (AgentState.LOGGED_OUT, 100.0)]


def test_a_deadline_fires_once(floor: Floor, clock: Clock) -> None:
    floor.handle(arrives(clock), clock.now)
    first, second, third = passes(floor, clock, 23, 25, 25)
    assert second.records
    assert first == third == Step((), ())


# -- silence -------------------------------------------------------------------------------------------------------------


def test_an_offer_of_which_nothing_is_heard_is_given_up_at_its_moment(floor: Floor, clock: Clock) -> None:
    floor.handle(arrives(clock), clock.now)
    before, at = passes(floor, clock, 23, 25)
    assert before == Step((), ())
    assert any(isinstance(command, do.HoldCall) for command in at.commands)
    assert not floor.offers


@pytest.mark.parametrize("woken_at", [23.1, 24.0, 25.0, 25.0 + 2 * LATE_S, 60.0, 4_000.0])
def test_who_slept_through_the_answer_hears_it_before_he_gives_up_the_offer(
    floor: Floor, clock: Clock, woken_at: float
) -> None:
    """The deadline is over at waking, and the answer lies unread in the connection."""
    floor.handle(arrives(clock), clock.now)
    (offer,) = floor.offers
    (step,) = passes(floor, clock, woken_at)
    assert step == Step((), ())
    floor.handle(ev.AgentAnswered(UTC_0 + 12, offer), clock.now)
    for step in passes(floor, clock, woken_at + SECOND_LOOK_S, woken_at + 60):
        assert not any(isinstance(command, do.HoldCall) for command in step.commands)
    assert floor.calls["00000300000001"].state is CallState.TALKING


def test_who_sleeps_between_the_two_looks_looks_once_more(floor: Floor, clock: Clock) -> None:
    floor.handle(arrives(clock), clock.now)
    (offer,) = floor.offers
    assert passes(floor, clock, 23, 40) == [Step((), ()), Step((), ())]
    floor.handle(ev.AgentAnswered(UTC_0 + 24, offer), clock.now)
    assert floor.calls["00000300000001"].state is CallState.TALKING


def test_silence_after_a_sleep_is_believed_in_the_end(floor: Floor, clock: Clock) -> None:
    floor.handle(arrives(clock), clock.now)
    woken, second = passes(floor, clock, 50, 50 + SECOND_LOOK_S)
    assert woken == Step((), ())
    assert any(isinstance(command, do.HoldCall) for command in second.commands)


@pytest.mark.parametrize("at", [float("nan"), float("inf"), float("-inf"), -5.0, 0.0, UTC_0 * 3])
def test_a_time_that_cannot_be_is_now(floor: Floor, clock: Clock, at: float) -> None:
    clock.s = 42
    step = floor.handle(dataclasses.replace(arrives(clock), at=at), clock.now)
    opened = step.records[0]
    assert isinstance(opened, rec.CallOpened)
    assert opened.entered_at == clock.now.utc


# -- ends ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [CallState.WAITING, CallState.OFFERED])
def test_whom_a_stopping_asterisk_hung_up_did_not_give_up(floor: Floor, clock: Clock, state: CallState) -> None:
    floor.handle(arrives(clock), clock.now)
    channel = "c1"
    if state is CallState.WAITING:
        channel = "c2"
        floor.handle(arrives(clock, channel), clock.now)
    clock.s = 3
    step = floor.handle(ev.CallEnded(clock.now.utc, "pbx", channel, 0, stopped=True), clock.now)
    (closed,) = [record for record in step.records if isinstance(record, rec.CallClosed)]
    assert (closed.outcome, closed.ended_by, closed.cause) == (CallOutcome.LOST_TRACK, "unknown", 0)
    assert (floor.counts["sales"].abandoned, floor.counts["sales"].lost_track) == (0, 1)
    busy = state is CallState.WAITING
    assert floor.roster.agents["ann"].state is (AgentState.RESERVED if busy else AgentState.AVAILABLE)


# -- ids -----------------------------------------------------------------------------------------------------------------


def test_ids_have_one_length_and_bear_the_epoch(floor: Floor) -> None:
    ids = [floor.new_id() for _ in range(3)]
    assert ids == ["00000300000001", "00000300000002", "00000300000003"]


def test_tie_breakers_grow_over_lives() -> None:
    first, second = (Floor(FLOOR, epoch=epoch, started_at=UTC_0) for epoch in (7, 8))
    for _ in range(1_000):
        first.new_id()
    second.new_id()
    assert first.serial_of() < second.serial_of()


def test_an_id_that_is_taken_is_passed_over(floor: Floor, clock: Clock) -> None:
    """The database was emptied, so epochs are counted anew; Asterisk still holds an offer of the old epoch 3."""
    place = Place("sales", 0, UTC_0, 1, UTC_0, UTC_0)
    seen = ev.SeenCall("x", "PJSIP/x", "x", ev.Phase.TALKING, "00000300000009", place, "00000300000004", "ann")
    clock.s = 1
    floor.handle(ev.NodeResynced(clock.now.utc, "pbx", (seen,), {}), clock.now)
    assert "00000300000004" in floor.offers
    made = [floor.new_id() for _ in range(5)]
    assert "00000300000004" not in made
    assert len(set(made)) == 5


# -- defects inside ------------------------------------------------------------------------------------------------------


class Unheard(ev.Event):
    """An event nobody handles."""


def test_an_unknown_event_raises_and_loses_nothing_that_was_decided_before(floor: Floor, clock: Clock) -> None:
    floor.handle(arrives(clock), clock.now)
    passes(floor, clock, 23)
    clock.s = 25
    with pytest.raises(KeyError):
        floor.handle(Unheard(clock.now.utc), clock.now)
    step = floor.salvage()
    assert any(isinstance(r, rec.SegmentClosed) and r.outcome == "lost_track" for r in step.records)
    assert any(isinstance(c, do.HoldCall) for c in step.commands)
    assert floor.salvage() == Step((), ())
    assert floor.calls["00000300000001"].state is CallState.WAITING


def test_a_defect_in_a_deadline_does_not_swallow_the_event(
    floor: Floor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    floor.handle(arrives(clock), clock.now)
    monkeypatch.setattr(floor, "_offer_unheard", broken)
    passes(floor, clock, 23)
    clock.s = 25
    with pytest.raises(RuntimeError):
        floor.handle(ev.CallEnded(clock.now.utc, "pbx", "c1"), clock.now)
    assert any(isinstance(r, rec.CallClosed) for r in floor.salvage().records)
    assert not floor.calls
    assert floor.roster.agents["ann"].state is AgentState.AVAILABLE


def test_a_defect_while_comparing_does_not_stop_the_matching_for_ever(
    floor: Floor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(floor.roster, "phone_changed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            floor.handle(ev.NodeResynced(clock.now.utc, "pbx", (), {"PJSIP/101": "x"}), clock.now)  # type: ignore[dict-item]
    step = floor.handle(arrives(clock), clock.now)
    assert any(isinstance(c, do.OfferCall) for c in step.commands)


# -- bounds --------------------------------------------------------------------------------------------------------------


def test_ended_calls_leave_only_a_bounded_trace(floor: Floor, clock: Clock) -> None:
    floor.handle(ev.AgentRequested(UTC_0, "ann", AgentAction.LOGOUT), clock.now)
    for n in range(ENDED_LIMIT + 50):
        floor.handle(arrives(clock, f"c{n}"), clock.now)
        floor.handle(ev.CallEnded(clock.now.utc, "pbx", f"c{n}"), clock.now)
    assert len(floor.ended) == ENDED_LIMIT
    assert ("pbx", "c0") not in floor.ended
    assert ("pbx", f"c{ENDED_LIMIT + 49}") in floor.ended
    assert (len(floor.calls), len(floor.by_channel), len(floor.offers)) == (0, 0, 0)


# -- the ledger ----------------------------------------------------------------------------------------------------------


def ledger_call() -> tuple[Ledger, Call, list[rec.Record]]:
    records: list[rec.Record] = []
    place = Place("sales", 0, UTC_0, 1, UTC_0, UTC_0)
    call = Call("k", "pbx", "c1", "PJSIP/c1", "c1", "1", "", "", place, FLOOR.queues["sales"], 0, segment_at=UTC_0)
    return Ledger(records.append, "rev1"), call, records


def test_segments_lie_end_to_end_whatever_the_clock_says() -> None:
    ledger, call, records = ledger_call()
    kinds = [SegmentKind.ENTERED, SegmentKind.WAITED, SegmentKind.OFFERED, SegmentKind.RANG, SegmentKind.TALKED]
    for kind, at in zip(kinds, [0.0, 5.0, 3.0, 9.0, -100.0], strict=True):
        ledger.turn(call, kind, UTC_0 + at)
    assert ledger.close(call, UTC_0 + 20) == UTC_0 + 20
    opened = [r for r in records if isinstance(r, rec.SegmentOpened)]
    closed = [r for r in records if isinstance(r, rec.SegmentClosed)]
    assert [r.started_at - UTC_0 for r in opened] == [0.0, 5.0, 5.0, 9.0, 9.0]
    assert [r.ended_at - UTC_0 for r in closed] == [5.0, 5.0, 9.0, 9.0, 20.0]
    assert [r.serial for r in opened] == [r.serial for r in closed] == [0, 1, 2, 3, 4]


def test_closing_twice_writes_once() -> None:
    ledger, call, records = ledger_call()
    ledger.turn(call, SegmentKind.ENTERED, UTC_0)
    ledger.close(call, UTC_0 + 1)
    ledger.close(call, UTC_0 + 2)
    assert len([r for r in records if isinstance(r, rec.SegmentClosed)]) == 1


@pytest.mark.parametrize(
    ("kind", "offer", "goes_on"),
    [("waited", None, True), ("waited", "o1", False), ("rang", None, False), ("entered", None, False)],
)
def test_a_remembered_segment_goes_on_only_if_it_is_the_same_stretch(
    kind: str, offer: str | None, goes_on: bool
) -> None:
    ledger, call, records = ledger_call()
    segment = ev.SegmentMemory("k", 4, kind, UTC_0 + 2, "sales", None, offer)
    memory = ev.CallMemory("k", "pbx", "c1", "c1", "1", "", "", "sales", UTC_0, None, None, 5, 7, (segment,))
    assert ledger.resume(call, memory, (SegmentKind.WAITED,), UTC_0 + 9) is goes_on
    assert (call.next_segment, call.next_decision) == (5, 7)
    if goes_on:
        assert (call.segment, call.segment_at) == (4, UTC_0 + 2)
        assert records == []
    else:
        assert (call.segment, call.segment_at) == (None, UTC_0 + 9)
        assert records == [rec.SegmentClosed("k", 4, UTC_0 + 9, "restart")]


def test_an_edit_goes_by_the_order_of_the_definition(clock: Clock) -> None:
    """A set's order differs from process to process, and a replay must not."""
    names = ["ann", "bob", "cid", "dan", "eve", "fay", "gil", "hal"]
    before = "queue sales\n" + "".join(f"agent {name} {n} sales\n" for n, name in enumerate(names, 101))
    floor = Floor(define(before), epoch=1, started_at=UTC_0)
    for name in names:
        floor.handle(ev.AgentRequested(UTC_0, name, AgentAction.LOGIN), clock.now)
    clock.s = 1.0
    step = floor.handle(ev.FloorEdited(clock.now.utc, define("queue sales\nagent ann 101 sales")), clock.now)
    gone = [record.agent for record in step.records if isinstance(record, rec.AgentStateChanged)]
    assert gone == names[1:]
