"""The gate: what it permits, what it refuses, in which order, until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from gatekit import DAY_S, FACTS, HOUR_S, NO_ROOM, NOON, NUMBER, ask, at, contact, refused, terms

from acd.dialer.gate import Permit, Reason, Refusal, Terms, TrunkState, caller_id
from acd.dialer.retry import Other, wait_s
from acd.dialer.rules import PROFILES
from acd.domain.campaigns import USUAL_RETRIES, AttemptOutcome, CallerIds, CampaignState, ContactNumber
from acd.domain.dialrules import CallingHours, ShortCalls
from acd.domain.hours import OpeningHours

US = PROFILES["us"].rules


def test_what_nothing_speaks_against_is_permitted() -> None:
    assert ask() == Permit("+4930555000", False, ("Europe/Berlin",))


@pytest.mark.parametrize("state", [CampaignState.STOPPED, CampaignState.PAUSED])
def test_a_campaign_that_does_not_run_dials_nobody(state: CampaignState) -> None:
    assert refused(ask(state=state)) == ("campaign", None)


@pytest.mark.parametrize("where", ["latest_s", "abandoned_s", "served_s", "number_s", "contact_s"])
def test_a_clock_that_went_back_refuses_until_it_has_caught_up(where: str) -> None:
    later = NOON + 90.0
    given = {where: (NOON - 5.0, later)} if where in ("number_s", "contact_s") else {where: later}
    assert refused(ask(**given)) == ("clock", later)


def test_a_clock_that_shows_no_number_is_refused() -> None:
    assert refused(ask(now_s=float("nan"), latest_s=NOON))[0] == "clock"


def test_whoever_is_not_to_be_called_is_not() -> None:
    answer = ask(do_not_call=("own", "register"))
    assert refused(answer) == ("do_not_call", None)
    assert isinstance(answer, Refusal)
    assert "own and register" in answer.detail
    assert refused(ask(opted_out_s=NOON - 1e8)) == ("opted_out", None)


@pytest.mark.parametrize(
    ("profile", "facts", "allowed"),
    [
        ("us", {}, True),
        ("nl", {}, False),
        ("nl", {"consent_at": NOON - 1.0}, True),
        ("nl", {"consent_at": NOON + 1.0}, False),
        ("nl", {"consent_at": 0.0, "consent_until": NOON}, False),
        ("nl", {"consent_at": NOON + 9.0, "consent_until": NOON + 10.0}, False),
        ("nl", {"consent_at": 0.0, "consent_until": NOON - 1.0}, False),
        ("nl", {"consent_at": 0.0, "consent_until": NOON + 1.0}, True),
        ("nl", {"customer_until": NOON - 1_094 * DAY_S}, True),
        ("nl", {"customer_until": NOON - 1_095 * DAY_S}, False),
        ("nl", {"customer_until": NOON + DAY_S}, True),
        ("pl", {"customer_until": NOON + DAY_S}, False),
        ("pl", {"consent_at": 0.0}, True),
        ("strict", {"customer_until": NOON + DAY_S}, False),
    ],
)
def test_consent(profile: str, facts: dict[str, float], allowed: bool) -> None:
    answer = ask(terms(profile), contact=contact(**facts))
    assert isinstance(answer, Permit) is allowed
    if not allowed:
        later = facts.get("consent_at", 0.0)
        assert refused(answer) == ("consent", later if later > NOON else None)


def test_nobody_is_called_twice_at_a_time_nor_too_often() -> None:
    assert refused(ask(in_progress=True)) == ("in_progress", NOON + 1.0)
    by = terms(attempts=4, number_attempts=2)
    assert refused(ask(by, contact_attempts=4)) == ("exhausted", None)
    assert refused(ask(by, number_attempts=2)) == ("exhausted", None)
    assert isinstance(ask(by, contact_attempts=3, number_attempts=1), Permit)


# -- when --------------------------------------------------------------------------------------------------------------


def test_calls_are_allowed_from_eight_to_nine_where_the_person_is() -> None:
    assert refused(ask(now_s=at("2026-06-10T07:59:59"))) == ("hours", at("2026-06-10T08:00"))
    assert isinstance(ask(now_s=at("2026-06-10T08:00")), Permit)
    assert isinstance(ask(now_s=at("2026-06-10T20:59:59.999999")), Permit)
    assert refused(ask(now_s=at("2026-06-10T21:00"))) == ("hours", at("2026-06-11T08:00"))


def test_a_number_that_may_be_in_several_zones_is_called_when_all_allow_it() -> None:
    zones = ("America/New_York", "America/Los_Angeles")
    eight_in_new_york = at("2026-06-10T08:00", "America/New_York")
    assert refused(ask(zones=zones, now_s=eight_in_new_york)) == (
        "hours",
        at("2026-06-10T08:00", "America/Los_Angeles"),
    )
    assert isinstance(ask(zones=zones, now_s=at("2026-06-10T17:59", "America/Los_Angeles")), Permit)
    assert refused(ask(zones=zones, now_s=at("2026-06-10T18:00", "America/Los_Angeles")))[0] == "hours"


def test_zones_that_never_agree_are_never_called() -> None:
    assert refused(ask(terms("it"), zones=("Etc/GMT-12", "Etc/GMT"))) == ("hours", None)


def test_the_contacts_own_zone_counts_before_the_numbers_and_the_prefix() -> None:
    now_s = at("2026-06-10T07:00", "America/New_York")
    assert refused(ask(now_s=now_s, zones=("America/New_York",)))[0] == "hours"
    inside = ContactNumber(NUMBER, zone="Europe/Berlin")
    assert isinstance(ask(now_s=now_s, zones=("America/New_York",), number=inside), Permit)
    assert isinstance(ask(now_s=now_s, contact=contact(zone="Europe/Berlin"), zones=("America/New_York",)), Permit)
    elsewhere = contact(zone="America/New_York")
    assert refused(ask(now_s=now_s, contact=elsewhere, number=inside))[0] == "hours"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "\x00", "x" * 5_000])
def test_a_place_that_nobody_knows_is_not_called(zone: str) -> None:
    assert refused(ask(zones=())) == ("place_unknown", None)
    assert refused(ask(contact=contact(zone=zone))) == ("place_unknown", None)


def test_where_holidays_count_it_must_be_known_whose() -> None:
    nowhere = contact(country=None)
    assert refused(ask(terms("it"), contact=nowhere)) == ("place_unknown", None)
    assert isinstance(ask(contact=nowhere), Permit), "no rule of the United States"
    # ``holidays: as usual`` leaves the hours of their eves
    rules = terms("it").rules
    eves = terms(rules=replace(rules, hours=replace(rules.hours, holiday=None)))
    assert refused(ask(eves, contact=nowhere)) == ("place_unknown", None)


def test_public_holidays_of_the_place() -> None:
    def holidays(day: date) -> bool:
        return day == date(2026, 6, 10)

    by = terms("it")
    assert refused(ask(by, holidays=holidays)) == ("holiday", at("2026-06-11T09:00"))
    assert refused(ask(by, holidays=holidays, now_s=at("2026-06-10T22:00"))) == ("hours", at("2026-06-11T09:00"))
    eve = at("2026-06-09T19:30")
    assert refused(ask(by, holidays=holidays, now_s=eve)) == ("hours", at("2026-06-11T09:00"))
    assert isinstance(ask(by, now_s=eve), Permit), "an hour earlier on the eve of a holiday only"
    assert isinstance(ask(holidays=holidays), Permit), "no rule of the United States"


def test_days_of_the_year_with_hours_of_their_own() -> None:
    by = terms("nl")
    given = contact(consent_at=0.0)
    now_s = at("2026-12-24T18:30")
    assert refused(ask(by, contact=given, now_s=now_s)) == ("hours", at("2026-12-25T09:00"))
    assert isinstance(ask(by, contact=given, now_s=now_s - 1), Permit)
    assert refused(ask(by, contact=given, now_s=at("2026-12-24T08:00"))) == ("hours", at("2026-12-24T09:00"))
    sunday = at("2025-05-04T12:00")
    assert refused(ask(by, contact=given, now_s=sunday)) == ("hours", at("2025-05-05T09:00"))


def test_the_campaigns_own_hours() -> None:
    office = OpeningHours(ZoneInfo("Europe/Berlin"), (((600, 660),),) * 5 + ((), ()), {date(2026, 6, 11): ()})
    assert refused(ask(terms(schedule=office))) == ("schedule", at("2026-06-12T10:00"))
    assert isinstance(ask(terms(schedule=office), now_s=at("2026-06-10T10:30")), Permit)


def test_the_next_moment_is_one_that_everything_allows() -> None:
    """The campaign opens at 6 in Berlin, people there may be called from 8 on."""
    late = OpeningHours(ZoneInfo("Europe/Berlin"), (((600, 660),),) * 7, {})
    assert refused(ask(terms(schedule=late), now_s=at("2026-06-10T22:00"))) == ("hours", at("2026-06-11T10:00"))
    early = OpeningHours(ZoneInfo("Europe/Berlin"), (((360, 540),),) * 7, {})
    assert refused(ask(terms(schedule=early))) == ("schedule", at("2026-06-11T08:00"))


# -- history -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "where", "span_s"),
    [
        ("number_day", "number_s", DAY_S),
        ("number_week", "number_s", 7 * DAY_S),
        ("contact_day", "contact_s", DAY_S),
        ("contact_week", "contact_s", 7 * DAY_S),
    ],
)
def test_attempts_within_a_day_and_a_week(figure: str, where: str, span_s: float) -> None:
    free = replace(US, number_day=None, number_week=None, contact_day=None, contact_week=None)
    by = terms(rules=replace(free, **{figure: 2}))
    past = (NOON - span_s + 60.0, NOON - span_s + 10.0, NOON - 5 * span_s)
    assert refused(ask(by, **{where: past})) == (figure, NOON + 10.0)
    assert isinstance(ask(by, now_s=NOON + 10.0, **{where: past}), Permit)
    assert refused(ask(by, **{where: (*past, NOON - 1.0)})) == (figure, NOON + 60.0)


def test_a_retry_waits_until_it_is_due() -> None:
    assert refused(ask(due_s=NOON + 0.5)) == ("retry", NOON + 0.5)
    assert isinstance(ask(due_s=NOON), Permit)


def as_another(outcome: AttemptOutcome | None, ago_s: float = 60.0, seen: int = 1) -> Other:
    return Other(7, NOON - ago_s, outcome, seen)


@pytest.mark.parametrize("outcome", sorted(USUAL_RETRIES.keys() - {AttemptOutcome.INVALID, AttemptOutcome.FAX}))
def test_a_number_dialled_as_another_contact_waits_as_that_one_does(outcome: AttemptOutcome) -> None:
    retry = USUAL_RETRIES[outcome]
    for seen in range(1, retry.most + 1):
        wait = wait_s(retry, seen)
        assert refused(ask(others=(as_another(outcome, 60.0, seen),))) == ("retry", NOON - 60.0 + wait)
        assert isinstance(ask(others=(as_another(outcome, wait, seen),)), Permit)
    answer = ask(others=(as_another(outcome, 1e8, retry.most + 1),))
    assert refused(answer) == ("done", None)
    assert isinstance(answer, Refusal)
    assert "contact 7" in answer.detail
    assert outcome.replace("_", " ") in answer.detail


@pytest.mark.parametrize("outcome", [AttemptOutcome.ANSWERED, AttemptOutcome.OPTED_OUT])
def test_who_was_reached_as_another_contact_is_done_whatever_came_after(outcome: AttemptOutcome) -> None:
    assert refused(ask(others=(as_another(outcome, 1e8),))) == ("done", None)
    later = as_another(AttemptOutcome.BUSY, 1e7)
    assert refused(ask(others=(as_another(outcome, 1e8), later))) == ("done", None)


def test_what_is_not_tried_again_as_another_contact_is_not_as_this_one() -> None:
    by = terms(retries={})
    assert refused(ask(by, others=(as_another(AttemptOutcome.DECLINED),))) == ("done", None)


@pytest.mark.parametrize("outcome", [AttemptOutcome.INVALID, AttemptOutcome.FAX])
def test_a_dead_number_is_tried_once_more_only_on_the_way_to_the_next(outcome: AttemptOutcome) -> None:
    assert refused(ask(others=(as_another(outcome),))) == ("done", None)
    more = contact(numbers=(ContactNumber(NUMBER), ContactNumber("+4930555101")))
    assert isinstance(ask(others=(as_another(outcome),), contact=more), Permit)


def test_a_number_of_which_nobody_knows_yet_what_it_came_to_waits_a_moment() -> None:
    assert refused(ask(others=(as_another(None),))) == ("retry", NOON + 10.0)


@pytest.mark.parametrize(
    ("profile", "hours", "answer"),
    [
        ("us", 0.1, False),
        ("uk", 71.9, True),
        ("uk", 72.0, False),
        ("it", 119.9, "cool_down"),
        ("it", 120.0, True),
        ("it", 5_000.0, True),
        ("strict", 119.9, "cool_down"),
    ],
)
def test_after_an_abandonment(profile: str, hours: float, answer: bool | str) -> None:
    given = contact(consent_at=0.0)
    since = NOON - hours * HOUR_S
    found = ask(terms(profile), contact=given, abandoned_s=since, agent_held=True)
    if isinstance(answer, str):
        assert refused(found) == (answer, pytest.approx(since + 120 * HOUR_S))
    else:
        assert isinstance(found, Permit)
        assert found.needs_agent is answer


def test_whoever_was_served_since_needs_no_agent_held() -> None:
    since = NOON - 6 * DAY_S
    found = ask(terms("it"), abandoned_s=since, served_s=since + DAY_S)
    assert isinstance(found, Permit)
    assert not found.needs_agent
    again = ask(terms("it"), abandoned_s=since, served_s=since - 1)
    assert isinstance(again, Permit)
    assert again.needs_agent


def test_short_calls_count_against_the_caller() -> None:
    by = terms(rules=replace(US, short_calls=ShortCalls(6.0, 0.85, 1_000)), zone="America/Sao_Paulo")
    assert refused(ask(by, calls_today=999, short_today=850)) == (
        "short_calls",
        at("2026-06-11T00:00", "America/Sao_Paulo"),
    )
    assert isinstance(ask(by, calls_today=998, short_today=998), Permit)
    assert isinstance(ask(by, calls_today=999, short_today=848), Permit)


def test_the_day_after_begins_where_clocks_leave_midnight_out() -> None:
    by = terms(rules=replace(US, short_calls=ShortCalls(6.0, 0.85, 10)), zone="America/Santiago")
    found = ask(by, now_s=at("2026-09-05T10:00", "America/Santiago"), calls_today=99, short_today=99)
    assert refused(found) == ("short_calls", at("2026-09-06T01:00", "America/Santiago"))


# -- what is shown, and the way out ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+4989123456", "+4989555000"),
        ("+4930999999", "+4930555000"),
        ("+12129999999", "+12125550100"),
        ("+3312345678", "+4930555000"),
    ],
)
def test_local_presence_takes_the_number_most_alike(number: str, shown: str) -> None:
    own = CallerIds("shown", ("+4930555000", "+4989555000", "+12125550100"))
    assert caller_id(own, number) == shown
    assert caller_id(replace(own, local=False), number) == "+4930555000"


def test_no_number_is_shown_that_is_not_verified() -> None:
    by = terms()
    assert refused(ask(by, caller_id="+4930555001")) == ("caller_id", None)
    found = ask(by, caller_id="+4989555000")
    assert isinstance(found, Permit)
    assert found.caller_id == "+4989555000"
    assert refused(ask(replace(by, caller_ids=CallerIds("none", ())))) == ("caller_id", None)


def test_whose_do_not_call_list_it_is_is_said() -> None:
    answer = ask(do_not_call=("all", "client:acme"))
    assert isinstance(answer, Refusal)
    assert answer.detail == "the number is on the do-not-call list of all callers and client acme"


def test_a_number_that_is_verified_in_the_future_is_not_shown_before() -> None:
    numbers, other = ("+4930555000", "+4989555000"), "+4989123456"
    dates = {"+4930555000": "2026-06-10", "+4989555000": "2026-06-12"}
    by = replace(terms(), caller_ids=CallerIds("shown", numbers, verified=dates))
    begins_s = at("2026-06-12T00:00", "Pacific/Kiritimati")
    facts = replace(FACTS, number=ContactNumber(other), contact=contact(numbers=(ContactNumber(other),)))
    found = ask(by, facts=facts)
    assert isinstance(found, Permit)
    assert found.caller_id == "+4930555000"
    assert refused(ask(by, caller_id="+4989555000")) == ("caller_id", begins_s)
    late = replace(by, caller_ids=replace(by.caller_ids, verified=dict.fromkeys(numbers, "2026-06-12")))
    assert refused(ask(late)) == ("caller_id", begins_s)
    assert refused(ask(late, now_s=begins_s - 1.0)) == ("caller_id", begins_s)
    assert isinstance(ask(late, now_s=begins_s), Permit)


def test_the_trunk() -> None:
    assert refused(ask(trunk=TrunkState(rests_until_s=NOON + 30.0))) == ("trunk", NOON + 30.0)
    assert refused(ask(trunk=TrunkState(lines=30))) == ("trunk", NOON + 1.0)
    started = [NOON - 0.9, NOON - 0.5, NOON - 0.4, NOON - 0.3, NOON - 0.2]
    assert refused(ask(trunk=TrunkState(started_s=started))) == ("trunk", pytest.approx(NOON + 0.1))
    assert isinstance(ask(trunk=TrunkState(started_s=started[1:])), Permit)
    assert isinstance(ask(trunk=TrunkState(lines=29, rests_until_s=NOON)), Permit)


def test_a_trunk_of_less_than_a_call_a_second() -> None:
    by = terms()
    slow = replace(by, trunk=replace(by.trunk, calls_per_s=0.2))
    assert refused(ask(slow, trunk=TrunkState(started_s=[NOON - 4.0]))) == ("trunk", NOON + 1.0)
    assert isinstance(ask(slow, trunk=TrunkState(started_s=[NOON - 5.0])), Permit)


def test_a_line_without_an_agent_needs_room_in_the_ledger() -> None:
    assert refused(ask(slack=NO_ROOM)) == ("ledger", NOON + 1.0)
    assert isinstance(ask(slack=NO_ROOM, agent_held=True), Permit)
    assert refused(ask(exceeded=0.0007))[0] == "ledger"
    needed = ask(terms("it"), slack=NO_ROOM, abandoned_s=NOON - 6 * DAY_S)
    assert isinstance(needed, Permit), "it is placed with an agent held, or not at all"
    assert needed.needs_agent


def test_the_order_of_the_checks_is_that_of_the_documentation() -> None:
    """Everything is wrong at once; what speaks is put right, one after another."""

    def holiday(day: date) -> bool:
        return day == date(2026, 6, 10)

    rules = replace(
        PROFILES["it"].rules,
        hours=CallingHours((((600, 1200),),) * 7, holiday=()),
        consent=True,
        number_day=1,
        number_week=2,
        contact_day=1,
        contact_week=2,
        short_calls=ShortCalls(6.0, 0.5, 10),
    )
    shut = OpeningHours(ZoneInfo("Europe/Berlin"), (((0, 1),),) * 7, {})
    by: Terms = replace(terms(rules=rules, schedule=shut, attempts=3), caller_ids=CallerIds("none", ()))
    day, week = (NOON - 60.0,), (NOON - 3 * DAY_S, NOON - 4 * DAY_S)
    wrong = {
        "state": CampaignState.PAUSED,
        "latest_s": NOON + 5.0,
        "do_not_call": ("own",),
        "opted_out_s": NOON - 1.0,
        "in_progress": True,
        "contact_attempts": 3,
        "others": (Other(2, NOON - 60.0, AttemptOutcome.ANSWERED),),
        "zones": (),
        "number_s": day,
        "contact_s": day,
        "due_s": NOON + 60.0,
        "abandoned_s": NOON - DAY_S,
        "calls_today": 100,
        "short_today": 100,
        "trunk": TrunkState(lines=30),
        "slack": NO_ROOM,
    }
    right = [
        ("campaign", {"state": CampaignState.RUNNING}, {}),
        ("clock", {"latest_s": None}, {}),
        ("do_not_call", {"do_not_call": ()}, {}),
        ("opted_out", {"opted_out_s": None}, {}),
        ("consent", {"contact": contact(consent_at=0.0)}, {}),
        ("in_progress", {"in_progress": False}, {}),
        ("exhausted", {"contact_attempts": 0}, {}),
        ("done", {"others": (Other(2, NOON - 60.0, AttemptOutcome.BUSY),)}, {}),
        ("place_unknown", {"zones": ("America/New_York",)}, {}),
        ("hours", {"zones": ("Europe/Berlin",)}, {}),
        ("holiday", {}, {"holiday": None}),
        ("schedule", {}, {"schedule": None}),
        ("number_day", {"number_s": week}, {}),
        ("number_week", {"number_s": ()}, {}),
        ("contact_day", {"contact_s": week}, {}),
        ("contact_week", {"contact_s": ()}, {}),
        ("retry", {"due_s": None, "others": ()}, {}),
        ("cool_down", {"abandoned_s": None}, {}),
        ("short_calls", {"calls_today": 0}, {}),
        ("caller_id", {}, {"caller_ids": CallerIds("shown", (NUMBER,))}),
        ("trunk", {"trunk": TrunkState()}, {}),
        ("ledger", {"agent_held": True}, {}),
    ]
    assert [reason for reason, _, _ in right] == [reason.value for reason in Reason]
    holidays = holiday
    for reason, facts, of_terms in right:
        assert refused(ask(by, holidays=holidays, **wrong))[0] == reason
        wrong |= facts
        if "holiday" in of_terms:
            holidays = lambda day: False  # noqa: E731
        else:
            by = replace(by, **of_terms)
    assert isinstance(ask(by, holidays=holidays, **wrong), Permit)


def test_every_reason_is_documented_in_its_place() -> None:
    from acd.dialer import gate

    said = gate.__doc__ or ""
    places = [said.index(f"``{reason.value}``") for reason in Reason]
    assert places == sorted(places)
    assert FACTS.slack.slack == 30.0
