"""Profiles as data: what they hold, that each figure says where it comes from, that looser figures are seen."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from acd.dialer.rules import FIGURES, PROFILES, STRICT, looser, within
from acd.domain.dialrules import SPANS, CallingHours, Rule, Rules, ShortCalls
from acd.domain.errors import ConfigurationError

US = PROFILES["us"].rules


def test_the_figures_of_the_laws() -> None:
    caps = {name: [(rule.span, rule.cap) for rule in profile.rules.caps] for name, profile in PROFILES.items()}
    assert caps["us"] == [("days30", 0.03)]
    assert caps["uk"] == [("day", 0.03)]
    assert caps["it"] == [("campaign", 0.03)]
    assert caps["ca"] == [("month", 0.05)]
    assert {name: profile.rules.connect_s for name, profile in PROFILES.items() if profile.rules.connect_s != 2.0} == {
        "it": 3.0
    }
    assert {profile.rules.ring_s for profile in PROFILES.values()} == {15.0}
    assert [name for name, profile in PROFILES.items() if profile.rules.consent] == ["strict", "nl", "pl"]
    assert (PROFILES["nl"].rules.customer_days, PROFILES["pl"].rules.customer_days) == (1_095, None)
    cool = {name: profile.rules.cool_down_s / 3_600 for name, profile in PROFILES.items() if profile.rules.cool_down_s}
    assert cool == {"strict": 120.0, "uk": 72.0, "it": 120.0}
    assert PROFILES["br"].rules.short_calls == ShortCalls(6.0, 0.85, 100_000)


def test_figures_are_the_fields_of_the_rules() -> None:
    assert set(FIGURES) == {field.name for field in fields(Rules)}


def test_every_figure_has_a_source() -> None:
    for profile in PROFILES.values():
        assert set(profile.sources) <= set(FIGURES)
        assert all(profile.source(figure) for figure in FIGURES)
    assert "310.4" in PROFILES["us"].source("caps")
    assert PROFILES["pl"].source("hours") == "no law: good practice"


@pytest.mark.parametrize("name", PROFILES)
def test_strict_asks_for_no_less_than_any_profile(name: str) -> None:
    found = looser(PROFILES[name].rules, STRICT.rules)
    assert found == ()
    assert {rule.span for rule in STRICT.rules.caps} == set(SPANS)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_not_looser_than_itself(name: str) -> None:
    rules = PROFILES[name].rules
    assert looser(rules, rules) == ()


LOOSER: list[tuple[str, dict[str, object]]] = [
    ("caps", {"caps": (Rule("days30", 0.031),)}),
    ("caps", {"caps": (Rule("day", 0.01),)}),
    ("hours", {"hours": CallingHours((((479, 1_260),),) + (((480, 1_260),),) * 6)}),
    ("connect_s", {"connect_s": 2.1}),
    ("ring_s", {"ring_s": 14.0}),
    ("number_day", {"number_day": 4}),
    ("number_week", {"number_week": None}),
    ("contact_day", {"contact_day": None}),
    ("contact_week", {"contact_week": 8}),
    ("message", {"message": False}),
    ("false_positives", {"false_positives": False}),
]


def test_no_calls_at_all_on_eves_of_holidays_is_no_looser() -> None:
    rules = PROFILES["it"].rules
    assert looser(rules, replace(rules, hours=replace(rules.hours, eve=()))) == ()


@pytest.mark.parametrize(("figure", "change"), LOOSER)
def test_a_looser_figure_is_seen(figure: str, change: dict[str, object]) -> None:
    assert looser(US, replace(US, **change)) == (figure,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("profile", "figure", "change"),
    [
        ("uk", "cool_down_s", {"cool_down_s": 71 * 3_600.0}),
        ("it", "agent_after_abandonment", {"agent_after_abandonment": False}),
        ("it", "agent_lifts_cool_down", {"agent_lifts_cool_down": True}),
        ("pl", "consent", {"consent": False}),
        ("pl", "customer_days", {"customer_days": 0}),
        ("nl", "customer_days", {"customer_days": 1_096}),
        ("br", "short_calls", {"short_calls": None}),
        ("br", "short_calls", {"short_calls": ShortCalls(5.0, 0.85, 100_000)}),
        ("it", "hours", {"hours": replace(PROFILES["it"].rules.hours, holiday=None)}),
        ("it", "hours", {"hours": replace(PROFILES["it"].rules.hours, eve=None)}),
        ("nl", "hours", {"hours": replace(PROFILES["nl"].rules.hours, special={})}),
    ],
)
def test_a_looser_figure_of_a_country_is_seen(profile: str, figure: str, change: dict[str, object]) -> None:
    rules = PROFILES[profile].rules
    assert looser(rules, replace(rules, **change)) == (figure,)  # type: ignore[arg-type]


def test_stricter_figures_are_not_looser() -> None:
    stricter = replace(
        US,
        caps=(Rule("days30", 0.02), Rule("day", 0.5)),
        hours=CallingHours((((480, 600), (600, 1_260)),) * 7, holiday=()),
        connect_s=1.0,
        ring_s=20.0,
        number_day=1,
        cool_down_s=60.0,
        agent_lifts_cool_down=True,
        consent=True,
        customer_days=9_999,
    )
    assert looser(US, stricter) == ()


def test_ranges_that_meet_count_as_one() -> None:
    parts = CallingHours((((480, 600), (600, 1_260)),) * 7)
    assert within(CallingHours((((480, 1_260),),) * 7), parts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"caps": ()}, "need a window"),
        ({"caps": (Rule("day", 0.01), Rule("day", 0.02))}, "one cap"),
        ({"connect_s": -1.0}, "negative"),
        ({"connect_s": 31.0}, "within 30 s"),
        ({"number_day": 0}, "at least one attempt"),
        ({"customer_days": -1}, "negative"),
    ],
)
def test_impossible_figures_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        replace(US, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("day", [((600, 500),), ((0, 1_441),), ((100, 300), (200, 400)), ((-1, 5),)])
def test_impossible_hours_are_refused(day: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ConfigurationError, match="in order and apart"):
        CallingHours((day,) * 7)
    with pytest.raises(ConfigurationError, match="written as 12-24"):
        CallingHours(((),) * 7, special={"24-12": ()})
    with pytest.raises(ConfigurationError, match="seven days"):
        CallingHours(((),))
    with pytest.raises(ConfigurationError, match="short calls"):
        ShortCalls(1.0, 0.0, 5)
