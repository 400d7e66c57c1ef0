"""What differs between two floors: nothing is missed, nothing secret is shown, and all of it is JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import date
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from acd.cli.floordiff import PARTS, destination, differences, summary, told
from acd.config.floor import parse_floor
from acd.config.problems import Problems
from acd.domain.blending import Blend, Limits
from acd.domain.definition import (
    AgentDefinition,
    BreakerDefinition,
    FloorDefinition,
    HangUp,
    Preferred,
    QueueDefinition,
    SelectionWeights,
    SkillRequirement,
    ToCallback,
    ToDialplan,
    ToMessage,
    ToQueue,
    ToVoicemail,
)

TEXT = """
skills: [billing, english]
queues:
  service:
    stages: [{need: billing >= 60}, {after_s: 20s, need: anyone}]
    overflow: queue:support
    hours: office
  support: {}
agents:
  ann: {number: 101, phones: [PJSIP/101], queues: [service, support], skills: {billing: 70, english: 50}}
  bob: {number: 102, phones: [PJSIP/102], queues: [support]}
entry_points: {"100": service}
callers: {"+49 30 1": {priority: 5, owner: ann}}
hours: {office: {time_zone: Europe/Berlin, week: {mon-fri: [08:00-12:00, 13:00-18:00]}}}
"""


def floor(text: str = TEXT) -> FloorDefinition:
    return parse_floor(text, Problems("floor.yaml")).definition


def changed(**parts: Any) -> dict[str, Any]:
    """The differences to the floor above with these fields."""
    found = differences(floor(), replace(floor(), **parts))
    json.dumps(found, allow_nan=False)
    return found


def test_a_floor_does_not_differ_from_itself() -> None:
    found = differences(floor(), floor())
    assert summary(found) == ""
    assert [part for part, there in found.items() if part != "settings" and any(there.values())] == []
    assert found["settings"] == {}


def test_added_and_removed_and_changed() -> None:
    text = TEXT.replace("skills: [billing, english]", "skills: [billing, english, dutch]")
    text = text.replace("  support: {}", "  support: {ring_timeout: 9s}\n  extra: {}").replace("  bob:", "  zoe:")
    text = text.replace("billing: 70, english: 50", "billing: 80").replace('"100": service', '"100": support')
    text = text.replace("13:00-18:00]}}}", "13:00-17:00]}, exceptions: {2026-12-25: closed}}}").replace("30 1", "30 2")
    found = differences(floor(), floor(text + "ageing_s: 30\nbreaker: off\n"))
    assert found["skills"] == {"added": ["dutch"], "removed": []}
    assert (found["agents"]["added"], found["agents"]["removed"]) == (["zoe"], ["bob"])
    assert found["agents"]["changed"] == {
        "ann": {"skills": {"from": {"billing": 70, "english": 50}, "to": {"billing": 80}}}
    }
    assert found["queues"] == {
        "added": ["extra"], "removed": [], "changed": {"support": {"ring_timeout_s": {"from": 20.0, "to": 9.0}}}
    }  # fmt: skip
    assert found["entry_points"]["changed"] == {"100": {"queue": {"from": "service", "to": "support"}}}
    assert found["callers"] == {"added": ["49302"], "removed": ["49301"], "changed": {}}
    hours = found["hours"]["changed"]["office"]
    assert (hours["week"]["from"]["mon"], hours["week"]["to"]["mon"]) == (
        "08:00-12:00, 13:00-18:00",
        "08:00-12:00, 13:00-17:00",
    )
    assert hours["week"]["to"]["sun"] == "closed"
    assert hours["exceptions"] == {"from": {}, "to": {"2026-12-25": "closed"}}
    assert found["settings"]["ageing_s"] == {"from": 60.0, "to": 30.0}
    assert found["settings"]["breaker"] == {
        "from": {"failures": 5, "within_s": 30.0, "probe_s": 15.0, "group": "host"}, "to": None
    }  # fmt: skip
    assert summary(found) == (
        "1 skill added, 1 queue added, 1 queue changed, 1 agent added, 1 agent removed, 1 agent changed, "
        "1 entry point changed, 1 known caller added, 1 known caller removed, 1 opening hours changed, 2 settings changed"
    )
    json.dumps(found, allow_nan=False)


QUEUE_VALUES: dict[str, Any] = {
    "agent_selection": "weighted", "ring_timeout_s": 3.0, "wrap_up_s": 4.0, "max_wait_s": 5.0,
    "overflow": ToQueue("other"), "hold": None, "service_level_s": 6.0, "priority": 7, "stages": (),
    "preferred": (Preferred("named", 8.0, "manager"),), "ring_agents": 2, "weights": SelectionWeights(), "max_length": 9,
    "on_full": ToCallback("c", "s"), "max_estimated_wait_s": 10.0, "on_long_wait": HangUp(),
    "on_nobody": ToVoicemail("v", "s"), "closed": True, "hours": None, "on_closed": ToMessage("x"),
    "on_unsatisfiable": ToDialplan("d", "s"), "escalation": "other", "weight": 2.0, "ratio": 0.5, "cost": 3.0,
    "dispositions": ("sold",), "client": "acme", "blend": Blend(recall=Limits(waiting=3)),
}  # fmt: skip
AGENT_VALUES: dict[str, Any] = {
    "number": "9", "phones": ("PJSIP/9",), "queues": (), "skills": MappingProxyType({"billing": 1}),
    "display_name": "Ann", "pin_hash": "scrypt$secret", "auto_answer": True,
    "skill_validity": MappingProxyType({"billing": (1.0, None)}), "queue_preference": MappingProxyType({"service": 2}),
    "lasting_line": "default",
}  # fmt: skip
FLOOR_VALUES: dict[str, Any] = {
    "pause_reasons": ("pause",), "fallback": ToQueue("support"), "cool_down_s": 1.0, "call_selection": "cmu",
    "ageing_s": 2.0, "preference_s": 3.0, "breaker": BreakerDefinition(failures=9), "dispositions": ("sold",),
}  # fmt: skip


def names(cls: type, without: set[str]) -> set[str]:
    return {field.name for field in fields(cls)} - without


@pytest.mark.parametrize("field", QUEUE_VALUES)
def test_a_change_of_any_rule_of_a_queue_is_told(field: str) -> None:
    queue = replace(floor().queues["service"], requirements=(), **{field: QUEUE_VALUES[field]})
    found = changed(queues={**floor().queues, "service": queue})
    assert found["queues"]["changed"]["service"].keys() == {field}


@pytest.mark.parametrize("field", AGENT_VALUES)
def test_a_change_of_anything_about_an_agent_is_told(field: str) -> None:
    agent = replace(floor().agents["ann"], **{field: AGENT_VALUES[field]})
    found = changed(agents={**floor().agents, "ann": agent})
    assert found["agents"]["changed"]["ann"].keys() == {field}
    assert "scrypt" not in json.dumps(found)


@pytest.mark.parametrize("field", FLOOR_VALUES)
def test_a_change_of_any_setting_is_told(field: str) -> None:
    assert changed(**{field: FLOOR_VALUES[field]})["settings"].keys() == {field}


def test_no_field_is_forgotten_above() -> None:
    assert names(QueueDefinition, {"name", "requirements"}) == QUEUE_VALUES.keys()
    assert names(AgentDefinition, {"name"}) == AGENT_VALUES.keys()
    assert names(FloorDefinition, {*PARTS, "skills", "revision"}) == FLOOR_VALUES.keys()


def test_what_a_queue_needs_is_told_in_one_way() -> None:
    short = TEXT.replace("stages: [{need: billing >= 60}, {after_s: 20s, need: anyone}]", "skills: {billing: 50}")
    found = differences(floor(short), floor(short.replace("{billing: 50}", "{billing: 40}")))
    assert found["queues"]["changed"]["service"] == {
        "stages": {
            "from": [{"after_s": 0.0, "need": "billing >= 50"}],
            "to": [{"after_s": 0.0, "need": "billing >= 40"}],
        }
    }


def test_a_pin_is_only_said_to_differ() -> None:
    one, other = (replace(floor().agents["ann"], pin_hash=f"scrypt${n}") for n in (1, 2))
    found = differences(replace(floor(), agents={"ann": one}), replace(floor(), agents={"ann": other}))
    assert found["agents"]["changed"] == {"ann": {"pin_hash": {"from": "the old one", "to": "another one"}}}
    found = differences(replace(floor(), agents={"ann": one}), replace(floor(), agents={"ann": floor().agents["ann"]}))
    assert found["agents"]["changed"] == {"ann": {"pin_hash": {"from": "the old one", "to": None}}}


@pytest.mark.parametrize(
    ("to", "text"),
    [
        (ToQueue("sales"), "queue:sales"),
        (ToDialplan("ctx", "s", 3), "dialplan:ctx,s,3"),
        (ToVoicemail("vm", "s"), "voicemail"),
        (ToVoicemail("vm", "100", 1, "100"), "voicemail:100"),
        (ToCallback("cb", "s"), "callback"),
        (ToMessage("custom/closed"), "message:custom/closed"),
        (HangUp(), "hangup"),
    ],
)
def test_destinations_are_told_in_the_files_own_words(to: Any, text: str) -> None:
    assert destination(to) == told(to) == text


def test_values_become_json() -> None:
    value = {
        "when": date(2026, 12, 24),
        "zone": ZoneInfo("Europe/Berlin"),
        "need": SkillRequirement("x", 5),
        "t": (1, 2),
    }
    assert told(value) == {
        "when": "2026-12-24",
        "zone": "Europe/Berlin",
        "need": {"skill": "x", "minimum": 5},
        "t": [1, 2],
    }
