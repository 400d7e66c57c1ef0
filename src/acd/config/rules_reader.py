"""The figures of the law that a campaign goes by: its profile's, with what the operator changed (``rules:``).

Every figure can be changed, but none in silence: one that asks for less than the profile is a warning of `acd check`.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from acd.config.fields import Section, described
from acd.config.hours_reader import read_ranges, read_week
from acd.config.problems import show
from acd.config.yaml_lines import Scalar
from acd.dialer.rules import PROFILES, Profile, looser
from acd.domain.dialrules import SPANS, CallingHours, Rule, Rules, ShortCalls
from acd.domain.hours import Range

#: Key of floor.yaml -> figure of `Rules`.
RULE_FIGURES = {
    "agent_after_abandonment": "agent_after_abandonment",
    "agent_lifts_cool_down": "agent_lifts_cool_down",
    "caps": "caps",
    "connect": "connect_s",
    "consent": "consent",
    "contact_day": "contact_day",
    "contact_week": "contact_week",
    "cool_down": "cool_down_s",
    "customer_days": "customer_days",
    "eves": "hours",
    "false_positives": "false_positives",
    "holidays": "hours",
    "hours": "hours",
    "message": "message",
    "number_day": "number_day",
    "number_week": "number_week",
    "ring": "ring_s",
    "short_calls": "short_calls",
}
SHORT_CALL_KEYS = ("calls", "share", "within")
NONE = "none"
USUAL = "as usual"
MAX_DAYS = 36_500
_COOL_DOWN_MAX_S = 366 * 86_400.0


def read_rules(campaign: Section) -> tuple[Profile, Rules, tuple[str, ...]]:
    """The profile that the campaign names (``strict`` if none), the figures in force, and which of them were changed."""
    name = campaign.choice("profile", tuple(PROFILES), "strict")
    profile = PROFILES.get(name, PROFILES["strict"])
    node = campaign.get("rules")
    if node is None:
        return profile, profile.rules, ()
    section = Section(
        campaign.problems, node, f"rules of {campaign.label}", tuple(RULE_FIGURES), at=campaign.key("rules")
    )
    errors = campaign.problems.errors
    changes = _changes(section, profile.rules)
    rules = replace(profile.rules, **changes)
    changed = tuple(figure for figure in dict.fromkeys(RULE_FIGURES.values()) if figure in changes)
    # What could not be read stands at its loosest
    for figure in looser(profile.rules, rules) if campaign.problems.errors == errors else ():
        keys = [key for key, of in RULE_FIGURES.items() if of == figure and section.get(key) is not None]
        key = figure if figure in keys else next(iter(keys), None)
        place = section.key(key) if key is not None else None
        campaign.problems.warning(
            place.line if place else section.line,
            place.column if place else section.column,
            f"{key or figure} of {section.label} asks for less than profile {profile.name}: {profile.source(figure)}",
        )
    return profile, rules, changed


def _changes(section: Section, usual: Rules) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def put(key: str, value: Any) -> None:
        if section.get(key) is not None and value is not None:
            found[RULE_FIGURES[key]] = value

    put("caps", _caps(section))
    put("connect", section.optional_duration("connect", 0, 30))
    put("ring", section.optional_duration("ring", 0, 120))
    put("cool_down", section.optional_duration("cool_down", 0, _COOL_DOWN_MAX_S))
    for key in ("number_day", "number_week", "contact_day", "contact_week", "customer_days"):
        least, most = (0, MAX_DAYS) if key == "customer_days" else (1, 1_000)
        node = section.get(key)
        if isinstance(node, Scalar) and node.text == NONE:
            found[RULE_FIGURES[key]] = None
        elif node is not None:
            found[RULE_FIGURES[key]] = section.whole_of(node, f"{key} (or {NONE})", most, least, most)
    for key in ("agent_lifts_cool_down", "agent_after_abandonment", "consent", "message", "false_positives"):
        put(key, section.flag(key, getattr(usual, RULE_FIGURES[key])))
    node = section.get("short_calls")
    if isinstance(node, Scalar) and node.text == NONE:
        found["short_calls"] = None
    elif node is not None:
        found["short_calls"] = _short_calls(section, usual.short_calls)
    if any(section.get(key) is not None for key in ("hours", "holidays", "eves")):
        found["hours"] = _hours(section, usual.hours)
    return found


def _caps(section: Section) -> tuple[Rule, ...] | None:
    node = section.get("caps")
    if node is None:
        return None
    part = Section(section.problems, node, f"caps of {section.label}", SPANS, at=section.key("caps"))
    rules = []
    for span in SPANS:
        share = part.number(span, 0.001, 0.5)
        if share is not None:
            rules.append(Rule(span, share))
    if not rules and section.is_map("caps") and not any(part.get(span) for span in SPANS):
        section.wrong(node, f"{part.label} needs a window, such as {{day: 0.03}} (windows: {', '.join(SPANS)})")
    return tuple(rules) or None


def _short_calls(section: Section, usual: ShortCalls | None) -> ShortCalls | None:
    node = section.get("short_calls")
    assert node is not None
    part = Section(section.problems, node, f"short_calls of {section.label}", SHORT_CALL_KEYS)
    known = usual or ShortCalls(6.0, 0.85, 100_000)
    share = part.number("share", 0.01, 1)
    return ShortCalls(
        part.duration("within", known.short_s, 0, 60),
        known.share if share is None else share,
        part.whole("calls", known.calls, 1, 999_999_999),
    )


def _hours(section: Section, usual: CallingHours) -> CallingHours:
    """Days that are not named are closed, as in opening hours; special days of the profile stay."""
    errors = section.problems.errors
    week = read_week(section, "hours") if section.get("hours") is not None else usual.week
    if section.problems.errors == errors and not any(week):
        place = section.key("hours") or section
        section.problems.error(place.line, place.column, f"hours of {section.label} never open: nobody could be called")
    return CallingHours(
        week,
        holiday=_day(section, "holidays", usual.holiday),
        eve=_day(section, "eves", usual.eve),
        special=MappingProxyType(dict(usual.special)),
    )


def _day(section: Section, key: str, usual: tuple[Range, ...] | None) -> tuple[Range, ...] | None:
    """Ranges, ``closed``, or ``as usual``: as on any other day."""
    node = section.get(key)
    if node is None:
        return usual
    if isinstance(node, Scalar) and node.text == USUAL:
        return None
    if isinstance(node, Scalar) and not any(letter.isdigit() for letter in node.text) and node.text != "closed":
        section.wrong(
            node,
            f"{key} of {section.label} must be such as 10:00-16:00, closed, or {show(USUAL)}, not {described(node)}",
        )
        return usual
    return read_ranges(section, key, node)
