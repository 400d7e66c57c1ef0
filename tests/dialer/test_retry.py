"""What follows an attempt: when, at which number, or that it is over."""

from __future__ import annotations

import math
from types import MappingProxyType

import pytest
from gatekit import campaign, contact
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer.retry import DEAD, Again, Over, Tried, decide, next_number, wait_s
from acd.domain.campaigns import AttemptOutcome, ContactNumber, Retry

A, B, C = "+4930555101", "+4930555102", "+4930555103"
IDA = contact(numbers=(ContactNumber(A), ContactNumber(B), ContactNumber(C)))
BY = campaign(
    retries=MappingProxyType(
        {
            AttemptOutcome.BUSY: Retry(600.0, 2, backoff=3.0),
            AttemptOutcome.NO_ANSWER: Retry(3_600.0, 5, same_number=False),
            AttemptOutcome.INVALID: Retry(0.0, 9, same_number=False),
            AttemptOutcome.MACHINE: Retry(60.0, 0),
        }
    ),
    attempts=6,
    number_attempts=2,
)


def after(outcome: AttemptOutcome, tried: dict[str, Tried], number: str = A, seen: int = 1) -> Again | Over:
    return decide(BY, IDA, tried, number, outcome, seen, 1_000.0)


@pytest.mark.parametrize("outcome", [AttemptOutcome.ANSWERED, AttemptOutcome.OPTED_OUT])
def test_whoever_was_reached_or_opted_out_is_left_in_peace(outcome: AttemptOutcome) -> None:
    assert after(outcome, {A: Tried(1, outcome)}) is Over.DONE


def test_waits_grow_and_end() -> None:
    tried = {A: Tried(1, AttemptOutcome.BUSY)}
    assert after(AttemptOutcome.BUSY, tried) == Again(1_600.0, A)
    assert after(AttemptOutcome.BUSY, tried, seen=2) == Again(2_800.0, A)
    assert after(AttemptOutcome.BUSY, tried, seen=3) is Over.OUTCOMES


def test_an_outcome_without_a_rule_is_not_tried_again() -> None:
    assert after(AttemptOutcome.DECLINED, {A: Tried(1, AttemptOutcome.DECLINED)}) is Over.OUTCOMES
    assert after(AttemptOutcome.MACHINE, {A: Tried(1, AttemptOutcome.MACHINE)}) is Over.OUTCOMES


def test_the_next_number_comes_after_this_one_and_round_again() -> None:
    tried = {A: Tried(1, AttemptOutcome.NO_ANSWER)}
    assert after(AttemptOutcome.NO_ANSWER, tried) == Again(4_600.0, B)
    assert after(AttemptOutcome.NO_ANSWER, tried, number=C) == Again(4_600.0, A)
    dead = tried | {B: Tried(1, AttemptOutcome.INVALID)}
    assert after(AttemptOutcome.NO_ANSWER, dead) == Again(4_600.0, C)
    assert after(AttemptOutcome.NO_ANSWER, dead, number="+1") == Again(4_600.0, A), "a number the list has lost"


def test_a_number_tried_often_enough_is_passed_over() -> None:
    tried = {A: Tried(2, AttemptOutcome.BUSY)}
    assert after(AttemptOutcome.BUSY, tried) == Again(1_600.0, B)
    everything = {number: Tried(2, AttemptOutcome.BUSY) for number in (A, B)} | {C: Tried(1, AttemptOutcome.FAX)}
    assert after(AttemptOutcome.BUSY, everything) is Over.NUMBERS


def test_a_campaign_makes_so_many_attempts() -> None:
    tried = {A: Tried(4, AttemptOutcome.BUSY), B: Tried(2, AttemptOutcome.BUSY)}
    assert after(AttemptOutcome.BUSY, tried, number=C) is Over.ATTEMPTS


def test_an_invalid_number_leads_to_the_next_at_once() -> None:
    assert after(AttemptOutcome.INVALID, {A: Tried(1, AttemptOutcome.INVALID)}) == Again(1_000.0, B)
    assert next_number(BY, IDA, {}, after=None) == A
    assert next_number(BY, contact(numbers=()), {}, after=None) is None


@pytest.mark.parametrize("seen", [1, 2, 10, 10**6])
def test_waits_have_a_longest(seen: int) -> None:
    assert wait_s(Retry(10.0, 3, backoff=1e9, longest_s=60.0), seen) == (10.0 if seen == 1 else 60.0)
    assert wait_s(Retry(0.0, 3, backoff=2.0), seen) == 0.0
    assert math.isfinite(wait_s(Retry(1.0, 3, backoff=1.0001), seen))


def test_a_longest_below_the_first_wait_does_not_shorten_it() -> None:
    assert wait_s(Retry(100.0, 3, longest_s=5.0), 1) == 100.0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(list(AttemptOutcome)), min_size=30, max_size=30))
def test_every_contact_comes_to_an_end(outcomes: list[AttemptOutcome]) -> None:
    """Whatever attempts come to: no more than the maxima, no dead number twice, no wait backwards."""
    by = campaign(attempts=7, number_attempts=3)
    tried: dict[str, Tried] = {}
    seen: dict[AttemptOutcome, int] = {}
    now_s, number = 0.0, A
    for attempt, outcome in enumerate(outcomes, 1):
        before = tried.get(number, Tried())
        assert before.last not in DEAD
        tried[number] = Tried(before.attempts + 1, outcome)
        seen[outcome] = seen.get(outcome, 0) + 1
        answer = decide(by, IDA, tried, number, outcome, seen[outcome], now_s)
        assert attempt <= 7
        assert max(one.attempts for one in tried.values()) <= 3
        if isinstance(answer, Over):
            return
        assert answer.due_s >= now_s
        now_s, number = answer.due_s, answer.number
    raise AssertionError("it never ends")
