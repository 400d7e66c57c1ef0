"""Behaviours of phones and callers: their text, their checks, their draws."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.domain.errors import ConfigurationError
from acd.lab.behaviours import (
    LONGEST_S,
    Absent,
    Answers,
    CallerBehaviour,
    Duration,
    PhoneBehaviour,
    Refuses,
    RingsForEver,
    Silent,
    parse_caller_behaviour,
    parse_phone_behaviour,
)

S = Duration.fixed

PHONES: list[tuple[str, PhoneBehaviour]] = [
    ("answer", Answers()),
    ("answer-after:3", Answers(S(3))),
    ("answer+talk:20", Answers(talk=S(20))),
    ("answer-after:uniform(1,4)+talk:exp(30)", Answers(Duration("uniform", (1, 4)), Duration("exp", (30,)))),
    ("answer+talk:2.5+transfer:5551000", Answers(talk=S(2.5), transfer_to="5551000")),
    ("busy", Refuses(486)),
    ("busy-after:2", Refuses(486, S(2))),
    ("decline", Refuses(603)),
    ("unavailable", Refuses(480)),
    ("refuse:404", Refuses(404)),
    ("refuse:503-after:normal(2,1)", Refuses(503, Duration("normal", (2, 1)))),
    ("never", RingsForEver()),
    ("silent", Silent()),
    ("absent", Absent()),
]
CALLERS: list[tuple[str, CallerBehaviour]] = [
    ("until-bye", CallerBehaviour(until_bye=True)),
    ("talk:30", CallerBehaviour(talk=S(30))),
    ("patience:10", CallerBehaviour(patience=S(10))),
    ("patience:10+talk:lognormal(180,90)", CallerBehaviour(S(10), Duration("lognormal", (180, 90)))),
    ("patience:10+until-bye", CallerBehaviour(S(10), until_bye=True)),
    ("dtmf:*45,1234#", CallerBehaviour(dtmf="*45,1234#")),
    ("dtmf:1+talk:2", CallerBehaviour(talk=S(2), dtmf="1")),
    ("refused", CallerBehaviour(expects_refusal=True)),
    ("patience:9+refused", CallerBehaviour(S(9), expects_refusal=True)),
]


@pytest.mark.parametrize(("text", "behaviour"), PHONES)
def test_phone_behaviours_are_read_and_written(text: str, behaviour: PhoneBehaviour) -> None:
    assert parse_phone_behaviour(text) == behaviour
    assert str(behaviour) == text


@pytest.mark.parametrize(("text", "behaviour"), CALLERS)
def test_caller_behaviours_are_read_and_written(text: str, behaviour: CallerBehaviour) -> None:
    assert parse_caller_behaviour(text) == behaviour
    assert str(behaviour) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "known: answer"),
        ("anser", "known: answer"),
        ("answer:3", "known: answer"),
        ("answer+answer-after:2", "known: answer"),
        ("talk:1+talk:2", "twice"),
        ("busy+talk:3", "known: answer"),
        ("answer-after:soon", "no duration"),
        ("answer-after:", "no duration"),
        ("answer+talk:exp(1,2)", "exp(mean_s)"),
        ("answer+talk:poisson(1)", "poisson"),
        ("answer+talk:uniform(4,1)", "lower bound"),
        ("answer+talk:lognormal(0,1)", "above 0"),
        ("answer+talk:fixed(3)", "no duration"),
        ("answer+talk:1e9", "no duration"),
        ("answer+talk:999999999", "86400"),
        ("answer+transfer:a b", "not an extension"),
        ("answer+transfer:", "not an extension"),
        ("refuse:200", "400 to 699"),
        ("refuse:401", "401"),
        ("refuse:4040", "known: answer"),
    ],
)
def test_nonsense_for_a_phone_is_refused_and_named(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_phone_behaviour(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "known:"),
        ("until-bye:3", "known:"),
        ("until-bye+talk:3", "who hangs up"),
        ("dtmf:", "known:"),
        ("dtmf:12x", "0-9"),
        ("dtmf:" + "1" * 65, "64"),
        ("refused+talk:2", "does nothing after an answer"),
        ("patience:", "no duration"),
        ("talk:-3", "no duration"),
    ],
)
def test_nonsense_for_a_caller_is_refused_and_named(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_caller_behaviour(text)
    assert says in str(caught.value)


def test_a_caller_with_patience_alone_leaves_also_when_held() -> None:
    assert parse_caller_behaviour("patience:5").leaves_held
    assert not parse_caller_behaviour("patience:5+talk:3").leaves_held
    assert not parse_caller_behaviour("patience:5+until-bye").leaves_held


DURATIONS = st.one_of(
    st.builds(S, st.floats(0, LONGEST_S)),
    st.builds(lambda mean: Duration("exp", (mean,)), st.floats(0, 10_000)),
    st.builds(lambda a, b: Duration("uniform", (min(a, b), max(a, b))), st.floats(0, 9_000), st.floats(0, 9_000)),
    st.builds(lambda a, b: Duration("normal", (a, b)), st.floats(0, 10_000), st.floats(0, 10_000)),
    st.builds(lambda a, b: Duration("lognormal", (a, b)), st.floats(0.01, 10_000), st.floats(0, 10_000)),
)


@given(DURATIONS, st.integers())
def test_every_draw_is_a_possible_time_and_repeats_with_its_seed(duration: Duration, seed: int) -> None:
    drawn = duration.draw(random.Random(seed))
    assert 0 <= drawn <= LONGEST_S
    assert drawn == duration.draw(random.Random(seed))


@given(DURATIONS)
def test_a_duration_survives_its_text_to_the_microsecond(duration: Duration) -> None:
    again = Duration.parse(str(duration))
    assert again.kind == duration.kind
    assert all(abs(a - b) <= 1e-6 for a, b in zip(again.values, duration.values, strict=True))


@pytest.mark.parametrize(
    ("text", "mean_s", "deviation_s"),
    [
        ("exp(20)", 20, 20),
        ("uniform(10,30)", 20, 5.77),
        ("normal(20,3)", 20, 3),
        ("lognormal(180,90)", 180, 90),
        ("7", 7, 0),
    ],
)
def test_distributions_have_the_mean_and_deviation_they_are_given(text: str, mean_s: float, deviation_s: float) -> None:
    rng, duration = random.Random(20261121), Duration.parse(text)
    draws = [duration.draw(rng) for _ in range(20_000)]
    assert statistics.fmean(draws) == pytest.approx(mean_s, rel=0.03)
    assert statistics.pstdev(draws) == pytest.approx(deviation_s, rel=0.05, abs=0.01)
