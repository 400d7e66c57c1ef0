"""The dialler in virtual time: what must hold whatever people, the store and the controller do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

import pytest

from acd.domain import outbound as wire
from acd.domain.campaigns import (
    AttemptOutcome,
    CallerIds,
    CampaignState,
    Contact,
    ContactNumber,
    GivenUp,
    Mode,
    Retry,
    Trunk,
)
from acd.domain.dialrules import CallingHours, Rule, ShortCalls
from acd.domain.instant import Instant
from acd.domain.states import AgentState
from acd.outbound import views
from acd.outbound import words as say
from acd.outbound.core import Dialler
from acd.outbound.flight import Phase
from acd.outbound.runner import Runner
from outbound.dialkit import NODE, UTC_0, World, campaign, terms


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.POWER, Mode.PREDICTIVE])
@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_is_dialled_once_at_a_time_and_every_attempt_comes_to_something(mode: Mode, seed: int) -> None:
    world = World(terms(campaign(mode=mode, ratio=2.0)), seed=seed)
    world.run(600.0)
    assert len(world.placed) > 50
    world.stop()
    outcomes = list(world.kept.outcomes.values())
    assert outcomes.count(AttemptOutcome.ANSWERED) == world.truth["served"]
    assert outcomes.count(AttemptOutcome.ABANDONED) == world.truth["abandoned"]
    assert world.charged() == (world.truth["answered"], world.truth["abandoned"])
    assert max(world.by_contact.values()) <= campaign().attempts


def test_progressive_never_has_more_lines_than_idle_agents() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=4)
    most = 0
    for s in range(1, 300):
        world.run(float(s))
        most = max(most, len(world.lines))
    assert most == 4
    assert world.truth["abandoned"] == 0
    world.stop()


def test_predictive_reaches_more_people_and_keeps_to_the_law() -> None:
    served = {}
    for mode in (Mode.PROGRESSIVE, Mode.PREDICTIVE):
        world = World(terms(campaign(mode=mode)), contacts=1_500, agents=10, seed=5)
        world.run(1_800.0)
        served[mode] = world.truth["served"]
        world.stop()
        answered, charged = world.charged()
        assert charged <= max(1.0, 0.03 * answered)
    assert served[Mode.PREDICTIVE] > 1.1 * served[Mode.PROGRESSIVE]


@pytest.mark.parametrize("seed", range(12))
def test_a_crash_at_any_point_loses_and_doubles_nothing(seed: int) -> None:
    world = World(terms(campaign(mode=Mode.POWER, ratio=2.5)), seed=seed, contacts=150)
    at = 0.0
    for _ in range(4):
        at += 20.0 + world.random.random() * 30.0
        world.run(at)
        world.crash()
        at += world.random.choice([0.001, 0.5, 3.0, 40.0])
        world.run(at)
        world.begin()
    world.run(at + 60.0)
    world.stop()
    outcomes = list(world.kept.outcomes.values())
    answered, charged = world.charged()
    # Whoever was abandoned while nobody looked is at least charged as one of whom nobody knows
    assert charged >= outcomes.count(AttemptOutcome.ABANDONED) + outcomes.count(AttemptOutcome.UNKNOWN)
    assert charged >= world.truth["abandoned"] - 1e-9
    assert answered <= world.truth["answered"]
    assert max(world.by_contact.values()) <= campaign().attempts


def test_who_waited_while_nobody_looked_is_charged() -> None:
    """Since when, nobody knows, and so neither whether an agent came in time."""
    world = World(terms(campaign(mode=Mode.POWER, ratio=2.5)), seed=3)
    world.run(1.0)
    for agent in world.agents:
        world._turn(agent, AgentState.PAUSED)
    while not world.waiting and world.s < 60.0:
        world.run(world.s + 0.05)
    waiting = len(world.waiting)
    assert waiting
    assert world.charged()[1] == 0
    world.crash()
    world.run(world.s + 0.001)
    world.begin()
    # A look takes their calls up, and Asterisk shows our own number for theirs
    (attempt, _), *_ = world.waiting
    number = world.kept.attempts[attempt].number
    assert world.core.dialled(attempt) == (number, f"Person {int(number[-6:])}")
    assert world.core.dialled("00009900000001") == ("", "")
    world.core.flights[attempt].number = "hmac:0123"
    assert world.core.dialled(attempt) == ("", ""), "a hash is nobody's number"
    world.run(world.s + 0.5)
    assert world.charged()[1] >= waiting
    world.stop()


@pytest.mark.parametrize("in_doubt", [False, True])
def test_nobody_is_dialled_while_the_store_is_away(in_doubt: bool) -> None:
    world = World(terms(campaign()), failing=lambda s: 40.0 <= s < 70.0 and not in_doubt)
    world.run(40.0)
    world.kept.in_doubt = in_doubt
    world.run(41.0)
    before = len(world.placed)
    assert before > 5
    world.run(70.0)
    assert len(world.placed) == before
    why = world.core.held_up(world.now)
    assert why is not None
    assert why[0] == "database"
    world.kept.in_doubt = False
    world.run(160.0)
    assert len(world.placed) > before
    world.stop()
    assert len(world.placed) + sum(a not in world.placed for a in world.kept.attempts) == len(world.kept.attempts)


def test_nobody_is_dialled_while_the_node_is_away_or_the_loop_lags_or_the_clock_goes_back() -> None:
    world = World(terms(campaign()))
    world.run(20.0)
    world.tell(wire.OutboundLost(UTC_0 + world.s, NODE))
    before = len(world.placed)
    world.run(40.0)
    assert len(world.placed) == before
    world.tell(wire.OutboundSeen(UTC_0 + world.s, NODE, (), True), look=False)
    world.tell(wire.OutboundBack(UTC_0 + world.s, NODE))
    world.run(60.0)
    assert len(world.placed) > before
    world.core.handle(say.Look(world.seats(), 0.3), world.now)
    assert (world.core.held_up(world.now) or ("",))[0] == "lag"
    assert world.core.held_up(world.now._replace(mono=world.now.mono + 2.0)) is None
    assert (world.core.held_up(world.now._replace(utc=world.now.utc - 2.0, mono=world.now.mono + 9)) or ("",))[
        0
    ] == "clock"


def test_who_stands_on_do_not_call_since_is_not_dialled() -> None:
    world = World(terms(campaign()), contacts=60)
    world.kept.do_not_call = {f"+4930{1_000_000 + number}" for number in range(1, 40)}
    world.run(300.0)
    assert world.placed
    world.stop()
    assert {world.kept.attempts[a].contact for a in world.kept.attempts} <= set(range(40, 61))
    assert world.kept.rows[1].state == "blocked"


def test_who_was_changed_while_claimed_ahead_is_judged_anew() -> None:
    world = World(terms(campaign()), contacts=60)
    world.run(2.0)
    ahead = set(world.core.runners["win"].ready)
    assert ahead
    for contact in ahead:
        row = world.kept.rows[contact]
        # There it is the middle of the night
        row.contact = replace(row.contact, zone="Pacific/Auckland")
    dialled = len(world.placed)
    world.run(120.0)
    assert len(world.placed) > dialled
    zones = {one.judged.zone for one in world.kept.attempts.values() if one.judged}
    assert "Pacific/Auckland" not in zones
    assert not ahead & {one.contact for one in list(world.kept.attempts.values())[dialled:]}
    assert {world.kept.rows[contact].state for contact in ahead} <= {"due", "new"}
    # The first one told of the others
    assert 0 < world.core.counters["attempts_changed"] < len(ahead) / 2
    assert world.core.counters["attempts_changed"] == world.core.counters["attempts_not_recorded"]


@pytest.mark.parametrize("write_s", [0.004, 0.6], ids=["fast", "slow"])
@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("limit", ["number_day", "number_attempts"])
def test_a_number_that_several_contacts_share_is_dialled_as_often_as_a_number_may_be(
    limit: str, most: int, write_s: float
) -> None:
    one = campaign(mode=Mode.PROGRESSIVE, retries={AttemptOutcome.BUSY: Retry(1.0, 10)})
    if limit == "number_day":
        one = replace(one, rules=replace(one.rules, number_day=most))
    else:
        one = replace(one, number_attempts=most)
    world = World(terms(one), contacts=66, agents=5, answers=0.0, others=("busy",))
    # With a slow disk contacts are read while attempts at the same number are being written
    world.write_s = write_s
    numbers = [row.contact.numbers for row in world.kept.rows.values()]
    for number, row in world.kept.rows.items():
        row.contact = replace(row.contact, numbers=numbers[(number - 1) % 11])
    world.run(500.0)
    world.stop()
    dialled = Counter(made.number for made in world.kept.attempts.values())
    assert dialled == dict.fromkeys(dialled, most)
    assert len(dialled) == 11


def test_calls_placed_since_they_were_counted_count_as_short() -> None:
    one = campaign(mode=Mode.PROGRESSIVE)
    one = replace(one, rules=replace(one.rules, short_calls=ShortCalls(6.0, 0.85, 100)))
    world = World(terms(one), contacts=60, agents=20)
    claim = world.kept.claim

    def counted(wish: say.Claim, epoch: int, now_s: float) -> say.Claimed | None:
        found = claim(wish, epoch, now_s)
        return found and replace(found, calls_today=95, short_today=90, counted_s=now_s)

    world.kept.claim = counted  # type: ignore[method-assign]
    world.run(100.0)
    # With the hundredth, 95 of 100 would be
    assert len(world.placed) == 4
    world.stop()


def test_a_stopped_campaign_leaves_ringing_lines_to_ring_unless_it_is_to_stop_now() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), answers=0.0)
    world.run(10.0)
    ringing = len(world.lines)
    assert ringing
    world.tell(say.StateSet("win", CampaignState.STOPPED, "anna", ""))
    world.run(11.0)
    assert len(world.lines) >= ringing - 2
    world.tell(say.StateSet("win", CampaignState.RUNNING, "anna", ""))
    world.run(45.0)
    taken_back = list(world.lines)
    assert taken_back
    assert not any(world.kept.given_up.values())
    world.tell(say.StateSet("win", CampaignState.STOPPED, "anna", "", now=True))
    world.run(45.3)
    assert not world.lines
    assert {attempt for attempt, why in world.kept.given_up.items() if why is GivenUp.STOP} == set(taken_back)
    world.stop()


def test_lines_taken_back_before_they_rang_charge_nothing_and_are_no_fault_of_the_trunk() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE), calls_per_s=50.0), answers=0.0)
    world.run(0.9)
    taken_back = list(world.lines)
    assert len(taken_back) >= 3
    assert all(world.core.flights[attempt].rang_s is None for attempt in taken_back)
    world.tell(say.StateSet("win", CampaignState.STOPPED, "anna", "", now=True))
    world.run(3.0)
    assert {world.kept.outcomes[attempt] for attempt in taken_back} == {AttemptOutcome.FAILED}
    assert world.charged() == (0.0, 0.0)
    assert not world.alarms
    world.stop()


@pytest.mark.parametrize("how", ["event", "look"])
def test_a_line_that_a_frozen_asterisk_began_late_is_hung_up(how: str) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2, answers=0.0)
    world.run(0.9)
    late, other = list(world.lines)
    began = world.now.utc + 7.0
    world.run(8.0)
    if how == "event":
        world.tell(wire.AttemptBegan(began, NODE, late), look=False)
    else:
        seen = (
            wire.SeenAttempt(late, wire.SeenState.RINGING, began),
            # Asterisk tells of whole seconds
            wire.SeenAttempt(other, wire.SeenState.RINGING, UTC_0 + world.begun[other] + 3.9),
        )
        for _ in range(2):
            world.tell(wire.OutboundSeen(world.now.utc, NODE, seen, True), look=False)
    assert world.core.counters["attempts_begun_late"] == 1
    assert world.core.flights[late].given_up is GivenUp.LATE
    assert world.core.flights[late].sent_s == began


def test_a_line_begun_after_it_was_taken_for_over_is_hung_up() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=0, answers=0.0)
    world.run(0.9)
    actions = world.core.handle(wire.AttemptBegan(world.now.utc, NODE, "00000100000077"), world.now)
    assert [one.command for one in actions if isinstance(one, say.Do)] == [wire.EndAttempt(NODE, "00000100000077")]


def test_who_has_answered_a_line_that_was_begun_late_is_served() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=1, answers=0.0)
    world.run(0.9)
    (late,) = world.lines
    world.tell(wire.AttemptAnswered(world.now.utc, NODE, late, "PJSIP/1"), look=False)
    actions = world.core.handle(wire.AttemptBegan(world.now.utc + 9.0, NODE, late), world.now)
    assert not [one for one in actions if isinstance(one, say.Do)]


@pytest.mark.parametrize(
    ("given_up", "stayed_s", "outcome"),
    [
        (None, 0.5, AttemptOutcome.DECLINED),
        (None, 2.5, AttemptOutcome.ABANDONED),
        (GivenUp.AGENT, 0.0, AttemptOutcome.ABANDONED),
        (GivenUp.STOP, 0.5, AttemptOutcome.ABANDONED),
    ],
)
def test_who_answers_as_we_hang_up_has_not_declined(
    given_up: GivenUp | None, stayed_s: float, outcome: AttemptOutcome
) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=1, answers=0.0)
    world.run(0.9)
    flight = next(iter(world.core.flights.values()))
    flight.given_up, flight.answered_s, flight.over_s = given_up, world.now.utc, world.now.utc + stayed_s
    assert flight.outcome(2.0) is outcome


def test_a_line_found_ringing_teaches_no_ring_time_and_one_heard_is_noted_at_once() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2, answers=0.0)
    heard, found = "00000100000001", "00000100000002"
    world.run(0.9)
    assert {heard, found} <= set(world.lines)
    use = world.core.trunks["out"]
    world.writing = True
    world.core.batch(world.now)
    world.tell(wire.AttemptRang(world.now.utc, NODE, heard), look=False)
    world.tell(wire.AttemptRang(world.now.utc, NODE, found, heard=False), look=False)
    assert list(use.setups_s) == [pytest.approx(world.now.utc - world.core.flights[heard].sent_s)]
    assert world.core.flights[found].phase is Phase.RINGING
    assert world.core.flights[found].rang_s is None
    batch = world.core.batch(world.now)
    assert batch is not None
    assert dict(batch.progress) == {heard: {"rang_at": world.now.utc}}


def test_a_message_that_could_not_be_played_is_recorded_as_none_and_said_once_a_minute() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2, answers=0.0)
    world.run(0.9)
    (one, other) = list(world.lines)
    for sound in ("custom/a", "custom/a", "custom/b"):
        world.tell(wire.AttemptMessage(world.now.utc, NODE, one, False, sound), look=False)
    world.tell(wire.AttemptMessage(world.now.utc, NODE, other, False), look=False)
    assert world.alarms == ["message_missing"] * 2
    assert [world.core.flights[attempt].message for attempt in (one, other)] == [None, "cut"]
    world.run(62.0)
    world.tell(wire.AttemptMessage(world.now.utc, NODE, "00000100000099", False, "custom/a"), look=False)
    assert world.alarms == ["message_missing"] * 3
    world.stop()


def test_an_endpoint_that_asterisk_does_not_have_costs_nobody_an_attempt() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=3, answers=0.0, others=("no channel",))
    world.run(3.0)
    # Those that were on their way when the third failed are among them
    at_first = len(world.placed)
    assert 3 <= at_first <= 5
    world.run(60.0)
    # One after each rest of 5, 10 and 20 s
    assert len(world.placed) == at_first + 3
    assert set(world.kept.outcomes.values()) == {AttemptOutcome.WITHDRAWN}
    assert world.charged() == (0.0, 0.0)
    assert {row.state for row in world.kept.rows.values()} <= {"new", "due", "in_flight"}
    assert world.alarms.count("trunk_rests") == 4
    world.others = ("nobody",)
    world.run(100.0)
    assert len(world.lines) > 1
    assert world.alarms.count("trunk_rests") == 4
    world.stop()


def test_a_line_is_dialled_by_its_campaign_s_terms() -> None:
    own = campaign(
        mode=Mode.PROGRESSIVE,
        opt_out_key="*",
        message="custom/who",
        connect_s=1.5,
        amd=True,
        amd_s=1.2,
        classifier="mine",
    )
    world = World(terms(own), agents=1, answers=0.0)
    world.run(0.9)
    (command,) = world.lines.values()
    assert (command.opt_out_key, command.message, command.connect_s) == ("*", "custom/who", 1.5)
    assert (command.amd, command.amd_s, command.classifier) == (True, 1.2, "mine")
    for _ in range(2):
        unsure = wire.AttemptClassified(world.now.utc, NODE, command.attempt, wire.Verdict.UNSURE, wire.NO_CLASSIFIER)
        world.tell(unsure, look=False)
    assert world.alarms == ["classifier_missing"]
    world.stop()


@pytest.mark.parametrize("crashes", [False, True])
def test_a_machine_that_a_message_is_left_on_holds_no_agent_and_charges_nobody(crashes: bool) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE, amd=True, machine_message="custom/m")), agents=1, answers=0.0)
    world.run(0.9)
    ((attempt, command),) = world.lines.items()
    assert command.machine_message == "custom/m"
    machine, now = wire.Verdict.MACHINE, world.now.utc
    asked = wire.AttemptAsked(now, NODE, attempt, attempt, "PJSIP/1", attempt, machine)
    assert world.core.asked(asked, world.now) == wire.LeaveMessage()
    assert not world.core.flights[attempt].may_need_agent
    if crashes:
        world.crash()
        world.machines_told = {attempt}
        world.begin()
        assert world.core.flights[attempt].verdict is machine
    world.tell(wire.AttemptMessage(now, NODE, attempt, True), look=False)
    assert world.core.flights[attempt].message == "played"
    world._gone(attempt, None, 16, answered=True)
    world.run(3.0)
    assert world.kept.outcomes[attempt] is AttemptOutcome.MACHINE
    assert world.charged() == (0.0, 0.0)
    world.stop()


@pytest.mark.parametrize("state", [wire.SeenState.MESSAGE, wire.SeenState.ASKING])
def test_who_heard_the_message_while_the_service_was_dead_was_abandoned_when_he_answered(state: wire.SeenState) -> None:
    """The dialplan tells when that was; a look after the start does not."""
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=1, answers=0.0, others=("nobody",))
    world.run(3.0)
    (attempt,) = world.lines
    world.crash()
    world.run(12.0)
    world._state_of = lambda one: state  # type: ignore[method-assign]
    world.begin()
    at = world.now.utc - 6.0
    assert world.core.flights[attempt].answered_s == world.now.utc
    world.run(12.5)
    world.tell(wire.AttemptMessage(world.now.utc, NODE, attempt, True, "", at), look=False)
    (ended,) = _settled(world, attempt)
    assert (ended.outcome, ended.message, ended.answered_s) == (AttemptOutcome.ABANDONED, "played", at)
    assert world.core.runners["win"].book.ledger.counts[0].abandoned == 1.0


def _settled(world: World, attempt: str) -> list[say.Ended]:
    world.core.handle(wire.AttemptOver(world.now.utc, NODE, attempt, None, 16, "", True), world.now)
    world.s += 1.0
    world.core.handle(say.Look(world.seats(), 0.0, {}), world.now)
    batch = world.core.batch(world.now)
    assert batch is not None
    return [one for one in batch.ended if one.attempt == attempt]


def test_a_trunk_that_fails_is_left_alone_and_tried_again() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=3, answers=0.0, others=("congestion",))
    world.run(60.0)
    assert "trunk_rests" in world.alarms
    # 3 fail, then one after each rest of 5, 10, 20... s, as the agents at hand allow
    assert len(world.placed) <= 3 + 3 * 4
    world.stop()


def test_two_campaigns_share_agents_by_weight() -> None:
    fast = terms(campaign("fast", mode=Mode.PROGRESSIVE, weight=3.0))
    slow = terms(campaign("slow", mode=Mode.PROGRESSIVE, weight=1.0))
    world = World(fast, slow, contacts=4_000, agents=8, seed=3)
    world.run(1_200.0)
    dialled = [world.kept.attempts[a].campaign for a in world.placed]
    share = dialled.count("fast") / len(dialled)
    assert 0.68 < share < 0.82
    assert world.truth["abandoned"] == 0
    world.stop()


def test_a_campaign_of_a_higher_priority_comes_first() -> None:
    first = terms(campaign("first", mode=Mode.PROGRESSIVE, priority=1))
    later = terms(campaign("later", mode=Mode.PROGRESSIVE))
    world = World(first, later, contacts=2_000, agents=5)
    world.run(200.0)
    dialled = [world.kept.attempts[a].campaign for a in world.placed]
    assert dialled.count("later") <= 5
    assert dialled.count("first") > 30


def test_outside_the_hours_the_whole_list_is_not_gone_through() -> None:
    rules = campaign().rules
    never = replace(rules, hours=replace(rules.hours, week=(((0, 60),),) * 7))
    world = World(terms(campaign(rules=never)), contacts=2_000)
    world.run(300.0)
    assert not world.placed
    assert {row.state for row in world.kept.rows.values()} == {"new", "due"}
    touched = sum(row.state == "due" for row in world.kept.rows.values())
    assert touched <= 100
    (why,) = views.explain(world.core, "win", world.now)["why"]
    assert why["what"] == "gate:hours"
    assert why["detail"].endswith("outside the calling hours; the next may be called at 2024-03-21 00:00:00 UTC")


def _elsewhere(world: World, first: int, last: int, zone: str) -> None:
    for number in range(first, last + 1):
        row = world.kept.rows[number]
        row.contact = replace(row.contact, zone=zone)


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.PREDICTIVE])
def test_people_who_may_be_called_are_found_behind_any_number_who_may_not(mode: Mode) -> None:
    """Ten o'clock at the end of the list, midnight for the 3,000 at its head: they stay as they are."""
    world = World(terms(campaign(mode=mode)), contacts=3_040, agents=4, answers=0.0, others=("busy",))
    _elsewhere(world, 1, 3_000, "Etc/GMT+10")
    world.run(6.0)
    (why,) = views.explain(world.core, "win", world.now)["why"]
    assert why["detail"].endswith("; its lists are looked through for people who are elsewhere")
    world.run(120.0)
    assert set(world.by_contact) == set(range(3_001, 3_041))
    assert min(world.placed_at) < 15.0
    head = [world.kept.rows[number].state for number in range(1, 3_001)]
    assert head.count("new") >= 2_900


def test_a_place_that_opens_is_called_at_once() -> None:
    rules = campaign().rules
    late = replace(rules, hours=CallingHours((((602, 1_200),),) * 7))
    world = World(terms(campaign(rules=late)), contacts=500, agents=4, answers=0.0, others=("busy",))
    world.run(115.0)
    assert not world.placed
    world.run(135.0)
    assert world.placed
    assert 120.0 <= min(world.placed_at) < 126.0


def test_a_place_that_a_wrong_clock_had_shut_is_open_when_the_clock_is_right() -> None:
    one = Runner(terms(campaign(mode=Mode.PROGRESSIVE)), UTC_0)
    one.state = CampaignState.RUNNING
    ahead = Instant(1_000.0, UTC_0 + 50_000.0)
    one.places[say.Place(("UTC",), None, None)] = ahead.utc, ahead.utc + 40_000.0
    claim = one.wants(4, ahead)
    assert claim is not None
    assert claim.shut
    one.take_in((), True, ahead)
    claim = one.wants(4, Instant(1_001.0, UTC_0))
    assert claim is not None
    assert not claim.shut


def test_who_is_given_back_while_a_list_is_looked_through_is_found_again() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), contacts=400, agents=1, answers=0.0, others=("nobody",))
    _elsewhere(world, 1, 300, "Etc/GMT+10")
    # What was claimed ahead is given back after a minute, and read anew
    world.run(2_400.0)
    assert {*world.by_contact} == set(range(301, 401))


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.PREDICTIVE])
def test_what_becomes_durable_after_the_calling_hours_is_not_dialled(mode: Mode) -> None:
    rules = campaign().rules
    # To 10:01; it is ten o'clock
    short = replace(rules, hours=CallingHours((((0, 601),),) * 7))
    world = World(terms(campaign(mode=mode, rules=short)), contacts=800, agents=4, answers=0.0, others=("busy",))
    world.run(55.0)
    assert world.placed
    world.write_s = 9.0
    world.run(300.0)
    assert max(world.placed_at) < 60.0
    assert world.core.counters["attempts_too_late"] > 0
    world.write_s = 0.004
    world.run(310.0)
    tomorrow = [row.due_s for row in world.kept.rows.values() if row.due_s is not None and row.due_s > UTC_0 + 3_600]
    assert len(tomorrow) >= world.core.counters["attempts_too_late"]
    world.stop()


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.PREDICTIVE])
def test_what_is_permitted_in_the_last_moment_is_not_dialled_after_it(mode: Mode) -> None:
    rules = replace(campaign().rules, hours=CallingHours((((0, 601),),) * 7))
    for delay_s in (0.0, 0.2, 0.4):
        world = World(terms(campaign(mode=mode, rules=rules)), contacts=800, agents=4, answers=0.0, others=("busy",))
        world.run(50.0 + delay_s)
        world.write_s = 0.7
        world.run(80.0)
        assert 50.0 < max(world.placed_at) < 60.0
        world.stop()


@pytest.mark.parametrize("write_s", [0.004, 0.7, 3.0])
@pytest.mark.parametrize("calls_per_s", [1.0, 2.0, 5.0])
def test_a_slow_database_has_no_more_calls_started_at_once_than_the_trunk_takes(
    write_s: float, calls_per_s: float
) -> None:
    one = terms(campaign(mode=Mode.PROGRESSIVE), calls_per_s=calls_per_s)
    world = World(one, agents=30, answers=0.0, others=("busy",))
    world.write_s = write_s
    world.run(60.0)
    world.stop()
    starts, most = world.placed_at, max(1, int(calls_per_s))
    assert all(later - earlier > 0.95 for earlier, later in zip(starts, starts[most:], strict=False))
    # A transaction brings as many as may start in a second, and those after it wait for its end
    assert len(starts) > 0.6 * 60.0 * calls_per_s / (1.0 + 2.0 * write_s)


@pytest.mark.parametrize("changed", ["trunk", "caller ids", "rules", "nothing"])
def test_what_was_permitted_by_other_terms_is_not_dialled(changed: str) -> None:
    """A reload comes while an attempt is becoming durable."""
    before = terms(campaign(mode=Mode.PROGRESSIVE))
    world = World(before, agents=4, answers=0.0, others=("busy",))
    world.write_s = 0.5
    while not any(flight.phase is Phase.COMMITTING for flight in world.core.flights.values()):
        world.run(world.s + 0.1)
    after = replace(before, campaign=replace(before.campaign))
    match changed:
        case "trunk":
            other = replace(campaign(mode=Mode.PROGRESSIVE), trunk="second")
            after = replace(terms(other), trunk=Trunk("second", "PJSIP/{number}@other", calls_per_s=10.0, lines=60))
        case "caller ids":
            after = replace(before, caller_ids=CallerIds("own", ("+4930555200",)))
        case "rules":
            rules = replace(before.rules, hours=CallingHours((((0, 60),),) * 7))
            after = replace(before, campaign=replace(before.campaign, rules=rules))
    committed = list(world.core.flights)
    world.parts = (after,)
    placed: list[wire.PlaceAttempt] = []
    world.place = placed.append
    world.tell(say.Defined((after,), (NODE,)))
    world.run(world.s + 0.6)
    dialled = [one.attempt for one in placed if one.attempt in committed]
    assert dialled == (committed if changed == "nothing" else [])
    if changed != "nothing":
        outcomes = {world.kept.outcomes.get(attempt) for attempt in committed}
        assert outcomes <= {AttemptOutcome.WITHDRAWN, None}


def test_a_list_that_a_reload_takes_from_a_campaign_is_not_dialled_by_a_claim_under_way() -> None:
    before = terms(campaign(mode=Mode.PROGRESSIVE))
    world = World(before, agents=4)
    while not world.core.runners["win"].claiming:
        world.run(world.s + 0.005)
    after = replace(before, campaign=replace(before.campaign, lists=("b",)))
    world.parts = (after,)
    world.tell(say.Defined((after,), (NODE,)))
    world.run(world.s + 0.02)
    assert not world.core.runners["win"].ready
    assert not world.placed


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.PREDICTIVE])
@pytest.mark.parametrize("left", [0, 1, 4])
def test_what_becomes_durable_late_is_dialled_for_agents_who_are_still_there(mode: Mode, left: int) -> None:
    world = World(terms(campaign(mode=mode)), agents=4, answers=0.0, others=("busy",))
    world.write_s = 3.0
    while not any(flight.phase is Phase.COMMITTING for flight in world.core.flights.values()):
        world.run(world.s + 0.1)
    committed = len(world.core.flights)
    assert committed == 4
    for agent in range(left, 4):
        del world.agents[f"a{agent}"]
    world.run(world.s + 3.5)
    assert len(world.placed) == left
    assert world.core.counters["attempts_too_late"] == committed - left
    world.stop()


@pytest.mark.parametrize(("abandoned", "dialled"), [(0.0, 4), (11.5, 3), (12.0, 3)])
def test_what_becomes_durable_late_has_to_fit_into_the_ledger_as_it_is_then(abandoned: float, dialled: int) -> None:
    """Four lines, three agents who are still there; 400 have answered."""
    world = World(terms(campaign(mode=Mode.PREDICTIVE)), agents=4, answers=0.0, others=("busy",))
    world.write_s = 3.0
    while not any(flight.phase is Phase.COMMITTING for flight in world.core.flights.values()):
        world.run(world.s + 0.1)
    assert len(world.core.flights) == 4
    count = world.core.runners["win"].book.ledger.counts[0]
    count.answered, count.abandoned = 400.0, abandoned
    del world.agents["a0"]
    world.run(world.s + 3.5)
    assert len(world.placed) == dialled
    world.stop()


class Late(World):
    """It begins in the last minute of a day."""

    @property
    def now(self) -> Instant:
        return Instant(1_000.0 + self.s, UTC_0 + 14 * 3_600.0 - 30.0 + self.s)


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.POWER, Mode.PREDICTIVE])
def test_what_is_charged_last_before_midnight_is_not_lost_with_the_first_look_after_it(mode: Mode) -> None:
    always = CallingHours((((0, 1_440),),) * 7)
    rules = replace(campaign().rules, caps=(Rule("day", 0.03), Rule("campaign", 0.03)), hours=always)
    world = Late(terms(campaign(mode=mode, rules=rules, zone="UTC")), agents=2, answers=0.0, others=("nobody",))
    world.run(1.0)
    assert world.core.runners["win"].ready
    book = world.core.runners["win"].book
    # A transaction is under way, and takes its time
    world.writing = True
    book.abandoned(world.now.utc)
    today = datetime.fromtimestamp(UTC_0, UTC).toordinal()
    world.s = 30.1
    world.look()
    book.served(world.now.utc)
    found = {(one.span, one.key): (one.answered, one.abandoned) for one in book.take()}
    assert found == {("day", today): (1.0, 1.0), ("day", today + 1): (1.0, 0.0), ("campaign", 0): (2.0, 1.0)}


@pytest.mark.parametrize("gone", ["node", "campaign"])
@pytest.mark.parametrize("agent", [None, "anna"])
def test_what_an_earlier_life_left_where_nothing_is_configured_any_more_leaves_its_contact_to_be_dialled(
    gone: str, agent: str | None
) -> None:
    core, now = Dialler(2), Instant(1_000.0, UTC_0)
    core.handle(say.Defined((terms(campaign()),), ("other" if gone == "node" else NODE,)), now)
    core.handle(say.Remembered("win", CampaignState.RUNNING, UTC_0, "", "", {"began_s": UTC_0}, ()), now)
    person = Contact(7, "a", "k7", "", (ContactNumber("+49301000007"),), "UTC")
    name = "win" if gone == "node" else "lose"
    core.handle(
        say.Left("00000100000001", name, person, 7, "+49301000007", NODE, "out", UTC_0 - 9, UTC_0 - 5, agent), now
    )
    batch = core.batch(now)
    assert batch is not None
    (over,) = batch.ended
    assert not core.flights
    assert over.outcome is (AttemptOutcome.UNKNOWN if agent is None else AttemptOutcome.ANSWERED)
    assert (over.due_s is not None and over.due_s > UTC_0) == (agent is None)
    charged = [(one.unknown, one.in_flight) for one in batch.ledgers.get("win", ())]
    assert charged == ([(1.0, 0)] if gone == "node" and agent is None else [])


def test_lines_of_which_nothing_was_ever_heard_leave_their_places_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=4)
    # Asterisk takes nothing, and says nothing
    monkeypatch.setattr(world, "place", lambda command: world.placed.update([command.attempt]))
    world.run(600.0)
    node = world.core.nodes[NODE]
    assert len(world.placed) > 4
    assert node.under_way == sum(flight.phase is Phase.DIALLED for flight in world.core.flights.values())
    assert node.window == 1.0


@pytest.mark.parametrize("said", ["PJSIP/+49301000001@carrier", "PJSIP/049 30 100-0001@carrier", "(0) 49/301000001"])
def test_an_alarm_of_a_refused_attempt_says_why_and_not_who(said: str) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=1)
    world.run(2.0)
    (attempt,) = world.lines
    told = wire.AttemptRefused(UTC_0 + 2.0, NODE, attempt, f"'{said}' is no device that can be dialled")
    (alarm,) = [one for one in world.core.handle(told, world.now) if isinstance(one, say.Alarm)]
    begins = f"trunk out: attempt {attempt}: "
    assert alarm.detail.startswith(begins)
    assert alarm.detail.endswith("is no device that can be dialled")
    assert not any(part in alarm.detail.removeprefix(begins) for part in ("0001", "301", "49"))


def test_a_machine_is_hung_up_on_and_nobody_is_charged() -> None:
    world = World(terms(campaign(amd=True, mode=Mode.PROGRESSIVE)), answers=0.0, machines=1.0)
    world.run(60.0)
    world.stop()
    assert AttemptOutcome.MACHINE in world.kept.outcomes.values()
    assert world.charged() == (0.0, 0.0)


def test_who_opts_out_is_never_called_again() -> None:
    world = World(terms(campaign(mode=Mode.POWER, ratio=3.0)), agents=2, contacts=50, answers=0.9)
    world.run(8.0)
    attempt = next(iter(world.lines))
    number = world.lines[attempt].number
    world.tell(wire.AttemptOptedOut(UTC_0 + world.s, NODE, attempt, "9"))
    world.run(2_000.0)
    assert number in world.kept.do_not_call
    assert sum(command.number == number for command in world.kept.attempts.values()) == 1
    world.stop()


@pytest.mark.parametrize("client", [None, "acme"])
def test_who_shares_the_number_of_somebody_who_opted_out_is_refused_before_the_store_knows(client: str | None) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE, client=client)), agents=1, contacts=2, answers=1.0)
    numbers = world.kept.rows[1].contact.numbers
    world.kept.rows[2].contact = replace(world.kept.rows[2].contact, numbers=numbers)
    world.run(1.0)
    (attempt,) = world.lines
    world.kept.do_not_call = Deaf()
    world.tell(wire.AttemptOptedOut(UTC_0 + world.s, NODE, attempt, "9"))
    world.run(300.0)
    assert world.core.runners["win"].refusals["opted_out"] == 1
    assert len(world.placed) == 1
    assert [row.state for row in world.kept.rows.values()] == ["blocked", "blocked"]
    world.stop()


class Deaf(set[str]):
    """A list that nothing is added to."""

    def __ior__(self, other: object) -> Self:
        return self


@pytest.mark.parametrize("delay_s", [2.5, 3.6])
def test_an_agent_who_comes_too_late_serves_a_person_who_counts_as_abandoned_once(delay_s: float) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=3, answers=1.0, connect_delay_s=delay_s)
    world.run(60.0)
    world.stop()
    assert world.truth["served"] > 0
    assert set(world.kept.outcomes.values()) <= {AttemptOutcome.ANSWERED, AttemptOutcome.DECLINED}
    answered, charged = world.charged()
    assert answered == charged == world.truth["served"]
