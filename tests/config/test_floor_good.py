"""What a right floor.yaml means."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType

import pytest

from acd.config import load_floor, verify_pin
from acd.config.fields import seconds_of
from acd.config.floor import parse_floor
from acd.config.problems import Problems
from acd.domain.definition import (
    AgentDefinition,
    EntryPoint,
    FloorDefinition,
    HangUp,
    QueueDefinition,
    SkillRequirement,
    ToDialplan,
    ToQueue,
)

FULL = """\
skills: {billing: invoices, german: ""}
x-common: &common {ring_timeout: 15s, wrap_up: 1m, hold: ringback}
queues:
  sales:
    <<: *common
    wrap_up: 5
    skills: {german: 60}
    max_wait: 2m30s
    overflow: queue:support
    service_level: 30s
    priority: -5
  support: {<<: *common, skills: [billing], max_wait: 1h, overflow: "dialplan:night,100,3"}
  plain:
agents:
  anna: {name: Änna "A" Berg, number: 0017, phones: [PJSIP/1001, PJSIP/a.b@c+d-e_f], queues: [sales, support, plain],
         skills: {german: 100, billing: 1}, auto_answer: yes}
  bob: {number: "1002", phones: PJSIP/1002, queues: plain}
entry_points: {+4930123: sales, 030.1#*: {queue: plain, priority: 7}, info: plain}
pause_reasons: [tea, no]
fallback: dialplan:closed,s
cool_down_s: 5
"""


def parse(text: str) -> FloorDefinition:
    loaded = parse_floor(text, Problems("floor.yaml"))
    assert loaded.warnings == ()
    return loaded.definition


def test_everything_at_once() -> None:
    floor = parse(FULL)
    assert floor == FloorDefinition(
        queues={
            "sales": QueueDefinition(
                name="sales",
                requirements=(SkillRequirement("german", 60),),
                ring_timeout_s=15.0,
                wrap_up_s=5.0,
                max_wait_s=150.0,
                overflow=ToQueue("support"),
                hold=None,
                service_level_s=30.0,
                priority=-5,
            ),
            "support": QueueDefinition(
                name="support",
                requirements=(SkillRequirement("billing", 1),),
                ring_timeout_s=15.0,
                wrap_up_s=60.0,
                max_wait_s=3600.0,
                overflow=ToDialplan("night", "100", 3),
                hold=None,
            ),
            "plain": QueueDefinition(name="plain"),
        },
        agents={
            "anna": AgentDefinition(
                name="anna",
                number="0017",
                phones=("PJSIP/1001", "PJSIP/a.b@c+d-e_f"),
                queues=("sales", "support", "plain"),
                skills={"german": 100, "billing": 1},
                display_name='Änna "A" Berg',
                auto_answer=True,
            ),
            "bob": AgentDefinition(
                name="bob", number="1002", phones=("PJSIP/1002",), queues=("plain",), display_name="bob"
            ),
        },
        entry_points={
            "+4930123": EntryPoint("+4930123", "sales"),
            "030.1#*": EntryPoint("030.1#*", "plain", 7),
            "info": EntryPoint("info", "plain"),
        },
        skills=("billing", "german"),
        pause_reasons=("pause", "tea", "no"),
        fallback=ToDialplan("closed", "s"),
        cool_down_s=5.0,
        revision=floor.revision,
    )


def test_nothing_in_it_can_be_changed() -> None:
    floor = parse(FULL)
    maps = (floor.queues, floor.agents, floor.entry_points, floor.agents["anna"].skills)
    assert all(isinstance(part, MappingProxyType) for part in maps)


SMALL = """\
queues: {a: {wrap_up: 60}, b: {}}
agents: {x: {number: 1, phones: [PJSIP/1], queues: [a, b]}}
entry_points: {"1": a, "2": b}
"""


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\n" + SMALL,
        SMALL.replace("60", "1m"),
        "x-1: &q {wrap_up: 60s}\n" + SMALL.replace("{wrap_up: 60}", "*q"),
        SMALL.replace('"1": a, "2": b', '"2": {queue: b}, "1": a'),
        SMALL + "cool_down_s: 10\n",
        "\ufeff" + SMALL.replace("\n", "\r\n"),
    ],
)
def test_revision_stands_for_the_meaning(same: str, tmp_path: Path) -> None:
    path = tmp_path / "floor.yaml"
    path.write_text(same, encoding="utf-8", newline="")
    assert load_floor(path).definition.revision == parse(SMALL).revision


@pytest.mark.parametrize(
    "other",
    [
        SMALL.replace("60", "61"),
        SMALL.replace('"2": b', '"2": a'),
        SMALL.replace("PJSIP/1", "PJSIP/2"),
        SMALL.replace("[a, b]", "[b, a]"),
        SMALL + "fallback: queue:a\n",
    ],
)
def test_another_meaning_is_another_revision(other: str) -> None:
    revision = parse(SMALL).revision
    assert len(revision) == 12
    assert int(revision, 16) >= 0
    assert parse(other).revision != revision


def test_defaults_of_the_top_keys() -> None:
    floor = parse(SMALL)
    assert floor.fallback == HangUp()
    assert floor.pause_reasons == ("pause", "break", "lunch", "meeting", "training")
    assert floor.cool_down_s == 10.0


def test_a_readable_pin_works_with_a_warning_and_one_revision() -> None:
    text = SMALL.replace("number: 1,", "number: 1, pin: 0815,")
    first, second = (parse_floor(text, Problems("floor.yaml")) for _ in range(2))
    (warning,) = first.warnings
    assert str(warning) == (
        "floor.yaml:2:30: warning: pin of agent 'x' can be read by whoever reads this file; "
        "put pin_hash in its place, made with `acd agent hash-pin`"
    )
    stored = first.definition.agents["x"].pin_hash
    assert stored is not None
    assert "0815" not in stored
    assert verify_pin("0815", stored)
    assert not verify_pin("0816", stored)
    assert first.definition.revision == second.definition.revision


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20", 20.0),
        ("0", 0.0),
        ("2.5", 2.5),
        ("20s", 20.0),
        ("2.5s", 2.5),
        ("2m", 120.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("1h1m1s", 3661.0),
        ("", None),
        ("s", None),
        ("-1", None),
        ("1 m", None),
        ("30s1m", None),
        ("1d", None),
        ("nan", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 50, None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def test_ten_thousand_agents_load_quickly(tmp_path: Path) -> None:
    path = tmp_path / "floor.yaml"
    agents = "".join(
        f"  agent{i:05}:\n    name: Agent {i}\n    number: {10000 + i}\n    phones: [PJSIP/{i}]\n"
        f"    queues: [q{i % 25}, q{25 + i % 25}]\n    skills: {{s1: {i % 101}, s2: 80}}\n"
        for i in range(1, 10_001)
    )
    queues = "".join(f"  q{i}: {{skills: {{s1: {i}}}}}\n" for i in range(50))
    entries = "".join(f"  '{i}': q{i}\n" for i in range(50))
    path.write_text(f"skills: [s1, s2]\nqueues:\n{queues}agents:\n{agents}entry_points:\n{entries}")
    started = time.process_time()
    try:
        loaded = load_floor(path)
    finally:
        took_s = time.process_time() - started
    assert len(loaded.definition.agents) == 10_000
    assert took_s < 3.0


def test_hours_whose_days_are_over_are_told() -> None:
    def told(day: str) -> list[str]:
        hours = f"hours: {{past: {{time_zone: UTC, week: {{}}, exceptions: {{{day}: 10:00-12:00}}}}}}\n"
        found = parse_floor(SMALL + hours, Problems("floor.yaml"))
        return [one.message for one in found.warnings if "hours" in one.message]

    assert told("2024-01-01") == ["hours 'past' never open again: the week is empty, and its exceptions are over"]
    assert told("2999-01-01") == []
