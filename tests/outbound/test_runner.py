"""One campaign: what it claims, what it has ready, whom the gate lets it dial."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from acd.dialer.gate import TrunkState
from acd.dialer.ledger import Count
from acd.dialer.work import Kind, Piece
from acd.domain.campaigns import CampaignState, Contact, ContactNumber, Mode
from acd.domain.dialrules import Rule
from acd.domain.instant import Instant
from acd.outbound.recent import Recent
from acd.outbound.runner import BUSY_S, EMPTY_S, READY_LEAST, Chosen, Runner
from acd.outbound.words import Claim, Counted, Ready, Remembered
from outbound.dialkit import UTC_0, campaign, terms


def runner() -> Runner:
    found = Runner(terms(campaign(mode=Mode.PROGRESSIVE)), UTC_0)
    found.state = CampaignState.RUNNING
    return found


def ready(number: int, agent: str | None = None, abandoned_s: float | None = None) -> Ready:
    person = Contact(number, "a", f"k{number}", "", (ContactNumber(f"+4930{1_000_000 + number}"),), "UTC")
    kind = Kind.NEW if agent is None else Kind.CALLBACK
    piece = Piece(person, person.numbers[0].number, kind, 0.0, number, agent, "a")
    return Ready(piece, UTC_0, {}, abandoned_s=abandoned_s)


def at(s: float) -> Instant:
    return Instant(1_000.0 + s, UTC_0 + s)


def chosen(of: Runner, s: float) -> Chosen | None:
    slack = of.book.slack(UTC_0)
    return of.choose(TrunkState(), slack, (0.0, 0.0), Recent(), {}, of.free, agent_held=True, now=at(s))


OTHERS = (Kind.QUEUE_CALLBACK, Kind.RETRY, Kind.NEW)


def test_promises_of_agents_who_talk_keep_nobody_else_from_being_claimed() -> None:
    one = runner()
    one.free = frozenset({"anna", "bob"})
    claim = one.wants(6, at(0.0))
    assert claim is not None
    assert claim.agents == ("anna", "bob")
    assert claim.wanted == {**dict.fromkeys(OTHERS, READY_LEAST), Kind.CALLBACK: 2}
    one.take_in(tuple(ready(number, "anna") for number in range(READY_LEAST)), True, at(0.0))
    one.free = frozenset({"bob"})
    assert (one.dialable, one.part({}, able=True).wants) == (0, False)
    claim = one.wants(6, at(1.0))
    assert claim is not None
    assert claim.agents == ("bob",)
    assert claim.wanted == {**dict.fromkeys(OTHERS, READY_LEAST), Kind.CALLBACK: 1}
    one.take_in((ready(100), ready(101, "bob")), True, at(1.0))
    assert (one.dialable, one.part({}, able=True).wants) == (2, True)
    picked = chosen(one, 1.0)
    assert picked is not None
    assert picked.ready.piece.agent == "bob"
    assert one.promised == {"anna": READY_LEAST}
    one.let_go()
    assert not one.promised


def test_promises_are_looked_for_though_enough_others_are_ready() -> None:
    one = runner()
    one.free = frozenset({"anna"})
    assert one.wants(6, at(0.0)) is not None
    one.take_in(tuple(ready(number) for number in range(READY_LEAST)), True, at(0.0))
    assert one.wants(6, at(EMPTY_S - 0.1)) is None
    claim = one.wants(6, at(EMPTY_S))
    assert claim is not None
    # And for others that come before new ones
    assert claim.wanted == {Kind.CALLBACK: 1, Kind.QUEUE_CALLBACK: 5, Kind.RETRY: 5}
    one.take_in((), False, at(EMPTY_S))
    # It found none, which says nothing of others
    while one.ready:
        one.drop(next(iter(one.ready)))
    claim = one.wants(6, at(EMPTY_S + 0.1))
    assert claim is not None
    assert set(claim.wanted) == {*OTHERS, Kind.CALLBACK}


def test_retries_are_looked_for_no_more_than_a_few_at_a_time() -> None:
    one = runner()
    assert one.wants(6, at(0.0)) is not None
    one.take_in(tuple(ready(number) for number in range(READY_LEAST)), True, at(0.0))
    for turn in range(1, 4):
        claim = one.wants(6, at(turn * EMPTY_S))
        held = one.work.held(Kind.RETRY)
        if held < 5:
            assert claim is not None
            assert claim.wanted[Kind.RETRY] == 5
            due = [
                replace(ready(100 * turn + n), piece=replace(ready(100 * turn + n).piece, kind=Kind.RETRY))
                for n in range(5)
            ]
            one.take_in(tuple(due), True, at(turn * EMPTY_S))
        else:
            assert claim is None or Kind.RETRY not in claim.wanted


@pytest.mark.parametrize("older_than_s", [UTC_0 + 1.0, float("inf")], ids=["read long ago", "all"])
def test_who_is_given_back_is_claimed_before_those_behind_him(older_than_s: float) -> None:
    one = runner()
    assert one.wants(6, at(0.0)) is not None
    one.take_in(tuple(ready(number) for number in range(READY_LEAST)), True, at(0.0))
    one.let_go(older_than_s)
    assert one.renews is (older_than_s < float("inf"))
    assert one.wants(6, at(61.0)) is None
    assert len(one.given_back()[0]) == READY_LEAST
    assert one.wants(6, at(61.0)) is None, "it is not durable yet"
    one.returning = False
    assert one.wants(6, at(61.0)) is not None


def test_who_has_a_history_ahead_of_the_clock_stands_in_nobody_s_way() -> None:
    one = runner()
    one.take_in((ready(1, abandoned_s=UTC_0 + 40.0), ready(2), ready(3)), True, at(0.0))
    picked = [chosen(one, 0.0) for _ in range(3)]
    assert [found and found.ready.contact.contact for found in picked] == [2, 3, None]
    assert one.given_back() == ([(1, UTC_0 + BUSY_S)], [])
    assert one.refusals == {"clock": 1}


def wider(of: Runner) -> Runner:
    """The same campaign with other hours, not told yet."""
    rules = of.campaign.rules
    hours = replace(rules.hours, week=(((0, 1440),),) * 7)
    return Runner(replace(of.terms, campaign=replace(of.campaign, rules=replace(rules, hours=hours))), UTC_0)


def asked(of: Runner, s: float) -> tuple[bool, bool]:
    claim = of.wants(6, at(s))
    assert claim is not None
    return claim.anew, claim.rules


def test_other_hours_are_told_by_the_next_claim_until_one_succeeds() -> None:
    one = runner()
    # Put off by a clock that was ahead, in an earlier life
    assert asked(one, 0.0) == (True, False)
    one.take_in((), False, at(0.0))
    one.redefine(replace(one.terms))
    assert asked(one, EMPTY_S) == (False, False)
    one.take_in((), False, at(EMPTY_S))
    one.redefine(wider(one).terms)
    # At once
    assert asked(one, EMPTY_S + 0.1) == (False, True)
    one.asks_anew()
    assert asked(one, EMPTY_S + 1.1) == (False, True)
    one.take_in((), False, at(EMPTY_S + 1.1))
    assert asked(one, 2 * EMPTY_S + 1.1) == (False, False)


@pytest.mark.parametrize("changed", [False, True])
def test_hours_that_were_changed_before_the_start_are_told_of(changed: bool) -> None:
    before = runner()
    after = wider(before) if changed else runner()
    after.remember(Remembered("win", CampaignState.RUNNING, UTC_0, "", "", before.as_saved(), ()), UTC_0)
    assert asked(after, 0.0) == (True, changed)


@pytest.mark.parametrize("state", [CampaignState.RUNNING, CampaignState.PAUSED])
def test_a_campaign_killed_before_it_was_kept_when_it_began_counts_its_30_days_on(state: CampaignState) -> None:
    """Forty days later, by a life that knows of a state and of a window, and of nothing that was learnt."""
    one, now_s = runner(), UTC_0 + 40 * 86_400.0
    counted = Counted("days30", 0, 100.0, 3.0, 0.0, 0.0, 0)
    one.remember(Remembered("win", state, UTC_0, "", "", {}, (counted,)), now_s)
    assert (one.began_s, one.as_saved()["began_s"], one.learnt) == (UTC_0, UTC_0, True)
    one.book.served(now_s)
    assert [(window.key, window.answered) for window in one.book.windows()] == [(1, 1.0)]


def test_a_window_that_a_clock_ahead_began_does_not_hide_today_s() -> None:
    """What an earlier life had left in flight was settled by the next one, whose clock was a day ahead until a restart."""
    rules = replace(campaign().rules, caps=(Rule("day", 0.03),))
    one = Runner(terms(campaign(rules=rules, zone="UTC")), UTC_0)
    today = datetime.fromtimestamp(UTC_0, UTC).toordinal()
    windows = (
        Counted("day", today - 1, 50.0, 1.0, 0.0, 0.0, 0),
        Counted("day", today, 100.0, 4.0, 0.0, 0.0, 0),
        Counted("day", today + 1, 0.0, 0.0, 0.0, 2.0, 0),
    )
    saved = {"began_s": UTC_0 - 9 * 86_400.0}
    one.remember(Remembered("win", CampaignState.RUNNING, UTC_0, "", "", saved, windows), UTC_0)
    slack = one.book.slack(UTC_0)
    assert (slack.answered, slack.charged) == (100.0, 4.0)
    one.book.served(UTC_0)
    one.book.served(UTC_0 + 86_400.0)
    found = {window.key: (window.answered, window.charged) for window in map(_count, one.book.take())}
    assert found == {today: (101.0, 4.0), today + 1: (1.0, 2.0)}
    assert one.book.slack(UTC_0 + 2 * 86_400.0).charged == 0.0


def test_what_is_charged_by_a_clock_that_is_behind_is_charged_to_the_last_window() -> None:
    rules = replace(campaign().rules, caps=(Rule("day", 0.03),))
    one = Runner(terms(campaign(rules=rules, zone="UTC")), 0.0)
    today = datetime.fromtimestamp(UTC_0, UTC).toordinal()
    windows = (Counted("day", today - 1, 50.0, 1.0, 0.0, 0.0, 0), Counted("day", today, 100.0, 2.0, 0.0, 0.0, 0))
    saved = {"began_s": UTC_0}
    one.remember(Remembered("win", CampaignState.RUNNING, UTC_0, "", "", saved, windows, UTC_0), 100.0)
    one.book.lost(101.0)
    assert [(window.key, window.charged) for window in map(_count, one.book.take())] == [(today, 3.0)]
    assert one.book.slack(UTC_0).charged == 3.0


def _count(one: Counted) -> Count:
    return Count(one.key, one.answered, one.abandoned, one.misjudged, one.unknown)


def test_a_campaign_that_never_ran_begins_when_it_is_started() -> None:
    one = runner()
    one.remember(Remembered("win", CampaignState.STOPPED, UTC_0, "", "", {}, ()), UTC_0)
    assert one.began_s is None


def test_whom_the_gate_put_off_is_given_back_with_its_word() -> None:
    one = runner()
    asleep = ready(1)
    person = replace(asleep.contact, zone="Pacific/Auckland")
    one.take_in((replace(asleep, piece=replace(asleep.piece, contact=person)), ready(2)), True, at(0.0))
    picked = chosen(one, 0.0)
    assert picked is not None
    assert picked.ready.contact.contact == 2
    (said,) = one.said_of_them().items()
    assert (said[0], said[1].reason, said[1].at_s, said[1].contact) == (1, "hours", UTC_0, person)
    assert [contact for contact, _ in one.given_back()[0]] == [1]
    assert not one.said_of_them()


EDITS = [
    ({"number_day": 2}, True),
    ({"contact_week": 9}, True),
    ({"consent": True}, True),
    ({"customer_days": 30}, True),
    ({"cool_down_s": 60.0}, True),
    ({"ring_s": 25.0}, False),
    ({"message": False}, False),
]


@pytest.mark.parametrize(("edit", "anew"), EDITS)
@pytest.mark.parametrize("restarted", [False, True])
def test_who_was_put_off_or_blocked_is_asked_about_anew_once_when_the_rules_are_others(
    edit: dict[str, object], anew: bool, restarted: bool
) -> None:
    one = runner()
    assert (one.wants(6, at(0.0)) or fail()).rules is False
    one.take_in((), True, at(0.0))
    before = one.campaign
    other = terms(replace(before, rules=replace(before.rules, **edit)))
    if restarted:
        two = Runner(other, UTC_0)
        two.remember(Remembered("win", CampaignState.RUNNING, UTC_0, "", "", one.as_saved(), {}, None), UTC_0)
        one = two
    else:
        one.redefine(other)
    assert (one.wants(6, at(10.0)) or fail()).rules is anew
    one.take_in((), True, at(10.0))
    assert (one.wants(6, at(30.0)) or fail()).rules is False


def fail() -> Claim:
    raise AssertionError("nothing is claimed")
