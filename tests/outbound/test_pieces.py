"""The parts of the dialler: trunks and back-pressure, shares of agents, the kept ledger, what an attempt came to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from acd.domain.campaigns import AttemptOutcome, Trunk
from acd.domain.dialrules import Rule
from acd.domain.outbound import Verdict
from acd.outbound.book import Book
from acd.outbound.flight import Flight
from acd.outbound.recent import KEPT_S, Recent
from acd.outbound.runner import Runner
from acd.outbound.sharing import Part, Sharing
from acd.outbound.trunks import REST_MOST_S, Pressure, TrunkUse
from acd.outbound.words import Remembered, Seat, Stage
from outbound.dialkit import UTC_0, campaign, terms

# -- trunks --------------------------------------------------------------------------------------------------------------


def test_a_trunk_has_room_by_its_lines_and_by_its_rate() -> None:
    trunk, use = Trunk("out", "PJSIP/{number}@x", calls_per_s=3.0, lines=5), TrunkUse()
    assert use.room(trunk, 10.0) == 3
    for at in (10.0, 10.2, 10.4):
        use.lines += 1
        use.began("1", at)
    assert use.room(trunk, 10.9) == 0
    assert use.room(trunk, 11.1) == 1
    assert use.room(trunk, 12.0) == 2
    use.ended("1")
    assert use.room(trunk, 12.0) == 3
    slow = Trunk("slow", "PJSIP/{number}@x", calls_per_s=0.1, lines=5)
    other = TrunkUse()
    other.began("1", 0.0)
    assert [other.room(slow, at) for at in (9.9, 10.1)] == [0, 1]


def test_a_line_is_granted_what_the_trunk_takes_until_it_rings() -> None:
    use = TrunkUse()
    assert use.setup_s == 4.0
    use.rang(0.1)
    assert use.setup_s == pytest.approx(0.35)
    use.rang(3.0)
    use.rang(-0.5)
    assert use.setup_s == pytest.approx(4.7)
    for _ in range(50):
        use.rang(0.02)
    assert use.setup_s == pytest.approx(0.23)
    use.rang(30.0)
    assert use.setup_s == 10.0


def test_after_a_rest_one_line_goes_first() -> None:
    trunk, use = Trunk("out", "PJSIP/{number}@x", calls_per_s=10.0), TrunkUse()
    assert use.room(trunk, 1.0) == 10
    assert [use.came_to(AttemptOutcome.FAILED, None, 1.0) for _ in range(3)] == [False, False, True]
    assert use.room(trunk, 7.0) == 1
    use.began("a", 7.0)
    assert use.room(trunk, 7.0) == use.room(trunk, 30.0) == 0
    use.ended("of before the rest")
    assert use.room(trunk, 30.0) == 0
    # It was never dialled after all: another one goes
    use.ended("a")
    assert use.room(trunk, 30.0) == 1
    use.began("b", 30.0)
    assert use.came_to(AttemptOutcome.WITHDRAWN, None, 31.0)
    use.ended("b")
    assert (use.room(trunk, 40.0), use.room(trunk, 42.0)) == (0, 1)
    use.began("c", 42.0)
    use.rang(0.5)
    assert use.room(trunk, 42.5) == 9


def test_a_trunk_rests_longer_each_time_until_it_gets_through() -> None:
    use, trunk = TrunkUse(), Trunk("out", "PJSIP/{number}@x")
    congestion = AttemptOutcome.CONGESTION
    assert [use.came_to(congestion, 34, 1.0) for _ in range(3)] == [False, False, True]
    assert use.room(trunk, 5.9) == 0
    assert use.room(trunk, 6.1) == 1
    # What was under way when it began to rest says nothing new
    assert not use.came_to(congestion, 34, 5.0)
    rests = []
    now_s = 6.1
    for _ in range(9):
        assert use.came_to(None, 42, now_s)
        assert use.rests_until_s is not None
        rests.append(use.rests_until_s - now_s)
        now_s = use.rests_until_s + 0.1
    assert rests[:3] == pytest.approx([10.0, 20.0, 40.0])
    assert rests[-1] == pytest.approx(REST_MOST_S)
    assert not use.came_to(AttemptOutcome.BUSY, 17, now_s)
    assert [use.came_to(AttemptOutcome.FAILED, None, now_s) for _ in range(3)] == [False, False, True]
    assert use.rests_until_s == pytest.approx(now_s + 5.0)


def test_a_node_takes_more_while_it_is_quick_and_half_when_it_is_slow() -> None:
    node = Pressure()
    assert node.room() == 0
    node.up = True
    first = node.room()
    for _ in range(first):
        node.sent()
    assert node.room() == 0
    for _ in range(first):
        node.taken(0.01, 1.0)
    assert node.room() == first + 1
    for _ in range(4):
        node.sent()
        node.taken(1.5, 2.0)
    # A burst of slow ones counts once
    assert node.room() == (first + 1) // 2
    node.sent()
    node.refused(9.0)
    assert node.window == pytest.approx((first + 1) / 4)
    for at in range(20, 40):
        node.refused(float(at))
    assert node.room() == 1
    node.lost()
    assert (node.room(), node.under_way) == (0, 0)


# -- what was dialled lately ---------------------------------------------------------------------------------------------


def test_an_attempt_counts_until_the_store_has_told_of_it() -> None:
    recent = Recent()
    recent.note("1", "+1", "win", 10.0)
    assert [one.attempt for one in recent.unseen("+1", 9.0)] == ["1"]
    # Read before it was durable, though after it was decided on
    recent.written(["1"], [], 12.0)
    assert [one.attempt for one in recent.unseen("+1", 11.0)] == ["1"]
    assert recent.unseen("+1", 13.1) == []
    (one,) = recent.unseen("+1", 9.0)
    # As the store has it, it was made between then and then
    assert [one.among((at,)) for at in (9.9, 10.0, 12.0, 12.1)] == [False, True, True, False]


def test_what_was_written_and_never_dialled_is_no_attempt_at_whoever_has_the_number() -> None:
    recent = Recent()
    for attempt in ("1", "2"):
        recent.note(attempt, "+4930", "win", 100.0)
    recent.written(("1", "2"), (), 101.0)
    recent.withdraw("1")
    assert [one.attempt for one in recent.unseen("+4930", 99.0)] == ["2"]


def test_an_attempt_that_never_was_does_not_count_and_one_in_doubt_does_until_the_store_answers() -> None:
    recent = Recent()
    for attempt in ("1", "2"):
        recent.note(attempt, "+1", "win", 10.0)
        recent.over(attempt, "+1", 10.5)
    recent.written([], ["1"], 11.0)
    recent.doubt({"2"})
    recent.over("3", "+3", 10.5 + 2 * KEPT_S)
    assert [one.attempt for one in recent.unseen("+1", 99.0)] == ["2"]
    recent.written([], [], 2_000.0)
    assert [one.attempt for one in recent.unseen("+1", 2_000.0)] == ["2"]
    assert recent.unseen("+1", 2_001.1) == []


def test_what_was_dialled_is_forgotten_in_time() -> None:
    recent = Recent()
    for number in range(50):
        at = number * KEPT_S / 10
        recent.note(str(number), f"+{number}", "win", at)
        recent.written([str(number)], [], at)
        recent.abandoned[f"+{number}"] = recent.served[f"+{number}"] = at
        recent.over(str(number), f"+{number}", at)
    assert len(recent.abandoned) == len(recent.served) == 11
    assert sum(bool(recent.unseen(f"+{number}", 0.0)) for number in range(50)) == 11


# -- agents shared -------------------------------------------------------------------------------------------------------


def seats(count: int, *lines: str, stage: Stage = "idle", first: int = 0) -> list[Seat]:
    return [Seat(f"a{n:02}", lines or ("x", "y"), stage, 0.0) for n in range(first, first + count)]


def part(name: str, **more: Any) -> Part:
    return replace(Part(name, 0, 1.0, True, 0), **more)


def shares(found: dict[str, Any]) -> dict[str, int]:
    return {name: len(one.seats) for name, one in found.items()}


def test_agents_are_shared_by_weight_and_nobody_counts_twice() -> None:
    found = Sharing().among(seats(8), [part("x", weight=3.0), part("y")], {})
    assert shares(found) == {"x": 6, "y": 2}
    names = [seat.agent for one in found.values() for seat in one.seats]
    assert len(set(names)) == len(names) == 8


def test_a_share_that_is_no_whole_agent_goes_round() -> None:
    sharing, turns = Sharing(), []
    for _ in range(6):
        found = sharing.among(seats(1), [part("x"), part("y")], {})
        (name,) = [name for name, one in found.items() if one.seats]
        sharing.dialled(name, 1.0)
        turns.append(name)
    assert turns.count("x") == turns.count("y") == 3


def test_agents_of_one_campaign_stay_its_own() -> None:
    found = Sharing().among([*seats(2, "x"), *seats(2, "y", first=2)], [part("x", weight=9.0), part("y")], {})
    assert [seat.agent for seat in found["y"].seats] == ["a02", "a03"]


def test_lines_under_way_keep_their_agents_and_stop_the_rest_from_being_dialled_for() -> None:
    sharing = Sharing()
    assert shares(sharing.among(seats(4), [part("x", wants=False), part("y")], {})) == {"x": 0, "y": 4}
    # A campaign that comes first gets all, but for those that lines in flight may need
    parts = [part("x", priority=1), part("y", in_flight=3)]
    found = sharing.among(seats(4), parts, {})
    assert shares(found) == {"x": 1, "y": 3}
    assert (found["x"].yields, found["y"].yields) == (False, True)
    assert shares(sharing.among(seats(4), [parts[0], part("y", in_flight=1)], {})) == {"x": 3, "y": 1}
    found = sharing.among(seats(4), [parts[0], part("y")], {})
    assert (shares(found), found["y"].yields) == ({"x": 4, "y": 0}, False)


def test_a_stopped_campaign_keeps_agents_for_who_may_still_answer() -> None:
    sharing = Sharing()
    sharing.among(seats(2), [part("x"), part("y", wants=False)], {})
    found = sharing.among(seats(2), [part("x", wants=False, in_flight=1), part("y")], {})
    assert shares(found) == {"x": 1, "y": 1}


def test_where_there_is_one_campaign_it_has_whoever_serves_it() -> None:
    sharing = Sharing()
    assert shares(sharing.among([*seats(2, "x"), *seats(1, "z", first=2)], [part("x")], {})) == {"x": 2}
    # And when another comes, these are still its own until its lines have ended
    assert shares(sharing.among(seats(2), [part("x", in_flight=2), part("y", priority=1)], {})) == {"x": 2, "y": 0}


def test_an_agent_who_works_for_one_is_that_one_s() -> None:
    sharing = Sharing()
    sharing.among(seats(4), [part("x"), part("y")], {})
    busy = {"a00": "y", "a01": "y"}
    found = sharing.among(seats(4), [part("x"), part("y")], busy)
    assert shares(found) == {"x": 2, "y": 2}
    assert [seat.agent for seat in found["y"].seats] == ["a00", "a01"]


# -- the ledger as it is kept ----------------------------------------------------------------------------------------------


def book(**changes: Any) -> Book:
    rules = replace(campaign().rules, caps=(Rule("day", 0.03), Rule("campaign", 0.05)))
    return Book(campaign(rules=rules, **changes), UTC_0)


def test_every_line_is_counted_once() -> None:
    kept = book()
    for _ in range(5):
        kept.dialled(UTC_0)
    kept.unanswered(UTC_0)
    kept.served(UTC_0)
    kept.abandoned(UTC_0)
    kept.lost(UTC_0)
    for one in kept.take():
        assert (one.answered, one.abandoned, one.unknown, one.in_flight) == (2.0, 1.0, 1.0, 1)
    assert not kept.changed


def test_what_was_kept_is_taken_over_by_window_and_under_other_rules() -> None:
    kept = book()
    kept.dialled(UTC_0)
    kept.abandoned(UTC_0)
    fresh = book()
    fresh.restore(kept.windows())
    assert fresh.windows() == kept.windows()
    other = kept.under(campaign(rules=replace(campaign().rules, caps=(Rule("month", 0.03), Rule("campaign", 0.01)))))
    windows = {one.span: one for one in other.windows()}
    # Of a kind that the rules have for the first time, what was counted beside
    assert (windows["campaign"].abandoned, windows["month"].abandoned) == (1.0, 1.0)
    assert other.changed


@pytest.mark.parametrize("restarted", [False, True])
def test_a_kind_of_window_that_is_new_knows_what_was_before(restarted: bool) -> None:
    rules = campaign().rules
    monthly = campaign(rules=replace(rules, caps=(Rule("days30", 0.03),)))
    daily = campaign(rules=replace(rules, caps=(Rule("day", 0.03),)))
    one = Runner(terms(monthly), UTC_0)
    for at_s in (UTC_0 - 86_400, UTC_0):
        for _ in range(3):
            one.book.dialled(at_s)
        one.book.abandoned(at_s)
        one.book.served(at_s)
    assert {window.span for window in one.book.take()} == {"days30"}
    if restarted:
        two = Runner(terms(daily), UTC_0)
        saved = json.loads(json.dumps(one.as_saved()))
        two.remember(Remembered("win", one.state, UTC_0, "", "", saved, one.book.windows(), None), UTC_0)
    else:
        (two := one).redefine(terms(daily))
    slack = two.book.slack(UTC_0)
    assert (slack.span, slack.answered, slack.charged) == ("day", 2.0, 1.0), "of today, not of yesterday"
    two.book.changed = True
    assert {window.span for window in two.book.take()} == {"day", "days30"}


def test_what_was_saved_of_windows_and_cannot_be_read_counts_from_nothing() -> None:
    one = Runner(terms(campaign()), UTC_0)
    saved = {"beside": [{"span": "week", "key": 1}, {"span": "month"}, 7, {"span": "day", "key": "x"}]}
    one.remember(Remembered("win", one.state, UTC_0, "", "", saved, (), None), UTC_0)
    assert all(window.answered == 0.0 for window in one.book.beside())


def test_a_window_that_the_rules_lose_and_get_back_has_missed_nothing() -> None:
    rules = campaign().rules
    both = campaign(rules=replace(rules, caps=(Rule("day", 0.03), Rule("month", 0.03))))
    daily = campaign(rules=replace(rules, caps=(Rule("day", 0.03),)))

    def month(of: Book) -> tuple[float, float, float, int]:
        (one,) = [one for one in of.windows() if one.span == "month"]
        return one.answered, one.abandoned, one.unknown, one.in_flight

    kept = Book(both, UTC_0)
    for _ in range(6):
        kept.dialled(UTC_0)
    kept.abandoned(UTC_0)
    kept.take()
    without = kept.under(daily)
    without.abandoned(UTC_0)
    without.served(UTC_0)
    without.lost(UTC_0)
    without.unanswered(UTC_0)
    assert without.slack(UTC_0).span == "day"
    assert month(without.under(both)) == (3.0, 2.0, 1.0, 1)
    # So it is after a start under the rules that lack it
    later = Book(daily, UTC_0)
    later.restore(without.take())
    later.dialled(UTC_0)
    later.abandoned(UTC_0)
    assert month(later.under(both)) == (4.0, 3.0, 1.0, 0)
    # A month later the window is another one, and the last is written to its end
    later.take()
    later.dialled(UTC_0)
    later.abandoned(UTC_0)
    later.served(UTC_0 + 40 * 86_400.0)
    old, new = [one for one in later.take() if one.span == "month"]
    assert (old.abandoned, new.key - old.key, new.abandoned) == (4.0, 1, 0.0)


def test_a_window_that_turns_before_it_was_written_is_written() -> None:
    kept, day_s = book(), 86_400.0
    kept.dialled(UTC_0)
    kept.abandoned(UTC_0)
    kept.dialled(UTC_0 + day_s)
    first, second = [one for one in kept.take() if one.span == "day"]
    assert (first.key, first.abandoned) == (datetime.fromtimestamp(UTC_0, UTC).toordinal(), 1.0)
    assert (second.key, second.abandoned) == (first.key + 1, 0.0)
    kept.put_back((first, second))
    kept.served(UTC_0 + day_s)
    again = [one for one in kept.take() if one.span == "day"]
    assert [(one.key, one.answered) for one in again] == [(first.key, 1.0), (second.key, 1.0)]
    assert [one.key for one in kept.take() if one.span == "day"] == [second.key]


def test_machine_detection_is_charged_until_it_is_measured() -> None:
    kept = book(amd=True)
    kept.dialled(UTC_0)
    kept.served(UTC_0)
    (count, _) = kept.take()
    assert count.misjudged == pytest.approx(0.05 / 0.95)
    assert kept.slack(UTC_0).slack < 0


# -- what an attempt came to -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        ({"told": AttemptOutcome.BUSY}, AttemptOutcome.BUSY),
        ({}, AttemptOutcome.UNKNOWN),
        ({"answered_s": 1.0, "connected_s": 2.0, "verdict": Verdict.PERSON}, AttemptOutcome.ANSWERED),
        ({"answered_s": 1.0, "connected_s": 5.0, "charged": True}, AttemptOutcome.ANSWERED),
        ({"answered_s": 1.0, "verdict": Verdict.MACHINE}, AttemptOutcome.MACHINE),
        ({"answered_s": 1.0, "verdict": Verdict.FAX}, AttemptOutcome.FAX),
        ({"answered_s": 1.0, "charged": True, "opted_out": True}, AttemptOutcome.OPTED_OUT),
        ({"answered_s": 7.0, "charged": True}, AttemptOutcome.ABANDONED),
        ({"answered_s": 6.0, "person_s": 8.1}, AttemptOutcome.DECLINED),
        ({"answered_s": 6.0, "person_s": 8.0}, AttemptOutcome.ABANDONED),
        ({"answered_s": 8.0}, AttemptOutcome.ABANDONED),
        ({"answered_s": 8.1}, AttemptOutcome.DECLINED),
    ],
)
def test_the_outcome_of_an_attempt(known: dict[str, Any], outcome: AttemptOutcome) -> None:
    flight = Flight("1", "win", 1, None, "+1", "pbx", "out", "power", "", 0.0, over_s=10.0)
    for name, value in known.items():
        setattr(flight, name, value)
    assert flight.outcome(2.0) is outcome
