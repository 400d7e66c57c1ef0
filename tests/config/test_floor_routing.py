"""What floor.yaml says about routing, in full; and that errors in expressions are found at their character."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.cli.main import cli
from acd.config import ProblemsError, load_floor
from acd.config.context import value_of
from acd.config.floor import parse_floor
from acd.config.problems import Problems
from acd.config.yaml_lines import Mapping, Scalar, compose, place_within
from acd.domain.definition import (
    AgentDefinition,
    BreakerDefinition,
    EntryPoint,
    FloorDefinition,
    HangUp,
    KnownCaller,
    Preferred,
    QueueDefinition,
    SelectionWeights,
    Stage,
    ToCallback,
    ToDialplan,
    ToMessage,
    ToQueue,
    ToVoicemail,
)
from acd.domain.expression import parse as expression
from acd.domain.hours import OpeningHours

SAMPLE = Path(__file__).parents[2] / "config" / "floor.yaml"

FULL = """\
skills: [billing, nl, en]
queues:
  main:
    stages:
      - need: billing >= 60 and skill(call.language) >= 80
      - after_s: 5
        need: >
          billing >= 60 and
          (nl >= 50 or en)
      - {after_s: 1m30s, need: anyone}
    preferred: {last_agent: 10s, owner: 20s, call.manager: 1m}
    agent_selection: weighted
    weights: {idle: 0.5, proficiency: 2, occupied: 0.25}
    ring_agents: 3
    weight: 2.5
    cost: 4
    ratio: 0.75
    max_wait: 5m
    overflow: queue:other
    max_length: 50
    on_full: callback
    max_estimated_wait: 10m
    on_long_wait: voicemail
    on_nobody: voicemail:77
    hours: office
    on_closed: message:custom/closed
    on_unsatisfiable: dialplan:desk,s,2
    escalation: other
  other: {ratio: 0.25, closed: true, on_closed: hangup, max_length: 0, on_full: 'number:0201555'}
agents:
  anna:
    number: 1
    phones: [PJSIP/1]
    queues: {main: 5, other: 0}
    skills:
      billing: {level: 70, valid_from: 2026-03-01, valid_until: 2026-03-31}
      nl: {level: 80, valid_until: 2026-03-01T08:00+01:00}
      en: {valid_from: 2026-03-01 08:00:30}
hours:
  office:
    time_zone: Europe/Berlin
    week: {mon-thu: [13:00-18:00, 08:00-12:00], "fri,sun": 09:00-24:00, sat: closed}
    exceptions: {2026-12-24: 08:00-12:00, 2026-12-25: closed}
  week-end: {time_zone: UTC, week: {sat-mon: 00:00-24:00}}
callers:
  "+49 30 555-100": {priority: 100, owner: anna, attributes: {tier: gold, vip: true, level: 3, share: 0.5, zip: 01234}}
  "0049170": {attributes: {code: "7"}}
entry_points:
  "100": {queue: main, priority: 5, attributes: {language: nl}}
  "+4908..+4911": other
call_selection: ratio
ageing_s: 2m
preference_s: 15
voicemail: vm,100
callback: cb,s,3
breaker: {failures: 3, within: 1m, probe: 5s, group: trunk}
"""


def parse(text: str) -> FloorDefinition:
    loaded = parse_floor(text, Problems("floor.yaml"))
    assert loaded.warnings == ()
    return loaded.definition


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_everything_about_routing() -> None:
    floor = parse(FULL)
    skills = ("billing", "nl", "en")
    morning, afternoon = (480, 720), (780, 1080)
    assert floor == FloorDefinition(
        queues={
            "main": QueueDefinition(
                name="main",
                agent_selection="weighted",
                max_wait_s=300.0,
                overflow=ToQueue("other"),
                stages=(
                    Stage(0.0, expression("billing >= 60 and skill(call.language) >= 80", skills)),
                    Stage(5.0, expression("billing >= 60 and (nl >= 50 or en >= 1)", skills)),
                    Stage(90.0, expression("anyone", skills)),
                ),
                preferred=(
                    Preferred("last_agent", 10.0),
                    Preferred("owner", 20.0),
                    Preferred("named", 60.0, "manager"),
                ),
                ring_agents=3,
                weights=SelectionWeights(0.5, 2.0, 0.0, 0.25),
                max_length=50,
                on_full=ToCallback("cb", "s", 3),
                max_estimated_wait_s=600.0,
                on_long_wait=ToVoicemail("vm", "100"),
                on_nobody=ToVoicemail("vm", "77", 1, "77"),
                hours="office",
                on_closed=ToMessage("custom/closed"),
                on_unsatisfiable=ToDialplan("desk", "s", 2),
                escalation="other",
                weight=2.5,
                ratio=0.75,
                cost=4.0,
            ),
            "other": QueueDefinition(
                name="other",
                closed=True,
                on_closed=HangUp(),
                max_length=0,
                on_full=ToDialplan("acd-transfer", "0201555"),
                ratio=0.25,
            ),
        },
        agents={
            "anna": AgentDefinition(
                name="anna",
                number="1",
                phones=("PJSIP/1",),
                queues=("main", "other"),
                skills={"billing": 70, "nl": 80, "en": 100},
                display_name="anna",
                skill_validity={
                    "billing": (utc("2026-03-01"), utc("2026-04-01")),
                    "nl": (None, utc("2026-03-01 07:00")),
                    "en": (utc("2026-03-01 08:00:30"), None),
                },
                queue_preference={"main": 5},
            )
        },
        entry_points={
            "100": EntryPoint("100", "main", 5, {"language": "nl"}),
            **{f"+49{n:02}": EntryPoint(f"+49{n:02}", "other") for n in range(8, 12)},
        },
        skills=skills,
        call_selection="ratio",
        ageing_s=120.0,
        preference_s=15.0,
        hours={
            "office": OpeningHours(
                ZoneInfo("Europe/Berlin"),
                (*((morning, afternoon),) * 4, ((540, 1440),), (), ((540, 1440),)),
                {date(2026, 12, 24): ((480, 720),), date(2026, 12, 25): ()},
            ),
            "week-end": OpeningHours(ZoneInfo("UTC"), (((0, 1440),), *((),) * 4, ((0, 1440),), ((0, 1440),)), {}),
        },
        callers={
            "4930555100": KnownCaller(
                100, "anna", {"tier": "gold", "vip": True, "level": 3, "share": 0.5, "zip": "01234"}
            ),
            "49170": KnownCaller(attributes={"code": "7"}),
        },
        breaker=BreakerDefinition(3, 60.0, 5.0, "trunk"),
        revision=floor.revision,
    )


def test_a_floor_that_says_nothing_of_routing() -> None:
    floor = parse("queues: {a: }\nagents: {x: {number: 1, phones: [PJSIP/1], queues: [a]}}\nentry_points: {'1': a}\n")
    assert floor.queues["a"] == QueueDefinition("a")
    assert floor == FloorDefinition(floor.queues, floor.agents, floor.entry_points, revision=floor.revision)


def test_for_whom_calls_are_handled() -> None:
    """Of queues and entry points, also of every number of a range; another client is another revision."""
    text = """\
queues: {main: {client: acme}, other: {}}
agents: {ann: {number: 1, phones: [PJSIP/1], queues: [main, other]}}
entry_points:
  "1": main
  "20..21": {queue: main, client: umbrella}
  "3": other
"""
    floor = parse(text)
    assert {name: queue.client for name, queue in floor.queues.items()} == {"main": "acme", "other": None}
    clients = {did: entry.client for did, entry in floor.entry_points.items()}
    assert clients == {"1": None, "20": "umbrella", "21": "umbrella", "3": None}
    assert parse(text.replace("umbrella", "acme")).revision != floor.revision


def test_the_breaker_can_be_off() -> None:
    text = "queues: {a: }\nagents: {x: {number: 1, phones: [PJSIP/1], queues: [a]}}\nentry_points: {'1': a}\n"
    assert parse(f"{text}breaker: off\n").breaker is None


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("billing >= 60 and skill", "60<=billing and skill", True),
        ("billing >= 60 and skill", "billing >= 61 and skill", False),
        ("need: anyone", "need: nl >= -1", False),
        ("sat: closed", "sat: []", True),
        ("mon-thu: [13:00-18:00, 08:00-12:00]", "'mon,tue,wed,thu': [08:00-12:00, 13:00-18:00]", True),
        ("Europe/Berlin", "Europe/Paris", False),
        ("tier: gold", "tier: 'gold'", True),
        ("level: 3", "level: '3'", False),
        ("level: 3", "level: 4", False),
        ("queues: {main: 5", "queues: {main: 6", False),
        ("valid_until: 2026-03-31", "valid_until: 2026-03-30", False),
        ('"0049170"', '"+49170"', True),
    ],
)
def test_revision_stands_for_the_meaning_of_routing_too(before: str, after: str, same: bool) -> None:
    assert before in FULL
    assert (parse(FULL.replace(before, after)).revision == parse(FULL).revision) is same


def test_a_revision_does_not_depend_on_what_was_asked_of_it() -> None:
    floor = parse(FULL)
    floor.queues["main"].stages[0].expression.bind({"language": "nl"}, floor.skills)
    assert parse(FULL) == floor
    assert parse(FULL).revision == floor.revision


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("gold", "gold"),
        ("3", 3),
        ("-3", -3),
        ("0", 0),
        ("2.50", 2.5),
        ("007", "007"),
        ("'3'", "3"),
        ("true", True),
        ("'true'", "true"),
        ("yes", "yes"),
        ("+49", "+49"),
        ("1e5", "1e5"),
    ],
)
def test_what_attributes_are(written: str, value: object) -> None:
    node = compose(written, Problems("f"))
    assert isinstance(node, Scalar)
    assert (value_of(node), type(value_of(node))) == (value, type(value))


# -- the sample --------------------------------------------------------------------------------------------------------


def with_examples() -> str:
    """The sample with every example in use, each put under the key it says it belongs to."""
    text = SAMPLE.read_text(encoding="utf-8")
    start, *parts = re.split(r"^# --- (?:under (\w+)|at the top) ---$\n", text, flags=re.MULTILINE)
    for key, part in zip(parts[::2], parts[1::2], strict=True):
        examples = "".join(line[2:] for line in part.splitlines(keepends=True) if line.startswith("#:"))
        assert examples
        start = start.replace(f"\n{key}:\n", f"\n{key}:\n{examples}", 1) if key else start + examples
    return start


def test_the_examples_of_the_sample_are_right() -> None:
    floor = parse(with_examples())
    assert {*floor.queues} - {*floor.campaigns} == {"sales", "support", "billing", "service"}
    assert len(floor.queues["service"].stages) == 3
    assert floor.agents["erik"].skill_validity
    assert floor.entry_points["4930555450"].attributes == {"language": "german"}
    assert floor.known_caller("0049 170 5550100") is not None
    assert floor.hours["office"].exceptions
    assert floor.campaigns["spring"].rules.cap == 0.02
    assert floor.trunks["carrier"].device("+4930") == "PJSIP/+4930@carrier"


def test_examples_of_what_has_a_default_say_it() -> None:
    usual, floor = load_floor(SAMPLE).definition, parse(with_examples())
    for name in ("call_selection", "ageing_s", "preference_s", "breaker"):
        assert getattr(usual, name) == getattr(floor, name)


def test_every_key_stands_in_the_sample() -> None:
    from acd.config import (
        agent_reader,
        blend_reader,
        callers_reader,
        campaign_reader,
        floor,
        hours_reader,
        queue_reader,
        trunk_reader,
    )

    text = with_examples()
    keys = {
        *floor.TOP_KEYS,
        *floor.BREAKER_KEYS,
        *queue_reader.QUEUE_KEYS,
        *queue_reader.STAGE_KEYS,
        *queue_reader.WEIGHT_KEYS,
        *blend_reader.BLEND_KEYS,
        *blend_reader.RESERVE_KEYS,
        *agent_reader.AGENT_KEYS,
        *agent_reader.SKILL_KEYS,
        *callers_reader.ENTRY_KEYS,
        *callers_reader.CALLER_KEYS,
        *hours_reader.HOURS_KEYS,
        *trunk_reader.TRUNK_KEYS,
        *trunk_reader.CALLER_ID_KEYS,
        *campaign_reader.CAMPAIGN_KEYS,
        *campaign_reader.RETRY_KEYS,
        *campaign_reader.MIX_KEYS,
        *campaign_reader.AMD_KEYS,
        *campaign_reader.PREVIEW_KEYS,
    }
    shown = set(re.findall(r"(?<![\w-])([a-z_]+):", text)) | set(re.findall(r"`([a-z_]+)`", text))
    # a PIN in plain text gives a warning, so the sample has none
    assert keys - shown == {"pin"}


# -- places ------------------------------------------------------------------------------------------------------------


def characters(node: Scalar, lines: list[str]) -> str:
    """What stands where each character of the node is said to stand."""
    found = ""
    for position in range(len(node.text)):
        line, column = place_within(lines, node, position)
        found += lines[line - 1][column - 1 : column] or " "
    return found


@pytest.mark.parametrize(
    "written",
    [
        "billing >= 60 and nl",
        "billing >= 60\n    and   nl",
        "'billing == 60 and call.x == ''a b'' or nl'",
        "'billing\n   and\n  nl'",
        '"billing and nl"',
        ">\n    billing >= 60\n      and\n    nl\n",
        "|\n    billing >= 60\n    and   nl\n",
        ">-\n      billing   and nl\n",
    ],
)
@pytest.mark.parametrize("around", ["need: {}", "a:\n  need: {}", "- x\n- need: {}"])
def test_every_character_is_found_in_the_source(written: str, around: str) -> None:
    text = around.format(written)
    problems = Problems("f")
    node = compose(text, problems)
    assert not problems.any_error
    while not isinstance(node, Scalar):
        node = next(iter(node.entries.values()))[1] if isinstance(node, Mapping) else node.items[-1]
    assert characters(node, text.splitlines()) == re.sub(r"\s", " ", node.text)


@given(st.text(max_size=30), st.sampled_from(["'", '"', "|", ">", None]), st.integers(0, 40))
@settings(max_examples=500, deadline=None)
def test_places_of_anything_lie_in_the_file(text: str, style: str | None, position: int) -> None:
    document = yaml.safe_dump({"need": text}, default_style=style, allow_unicode=True, width=12)
    problems = Problems("f")
    tree = compose(document, problems)
    if not isinstance(tree, Mapping):
        return
    ((_, node),) = tree.entries.values()
    assert isinstance(node, Scalar)
    lines = document.splitlines()
    line, column = place_within(lines, node, min(position, len(node.text)))
    assert 1 <= line <= len(lines) + 1
    assert column >= 1


def test_check_shows_the_expression_and_points_at_the_character(tmp_path: Path) -> None:
    (tmp_path / "acd.toml").write_text("")
    floor = tmp_path / "floor.yaml"
    floor.write_text("skills: [billing]\nqueues:\n  a:\n    stages:\n      - need: billing >= 3 and biling\n")
    message = "need of stage 1 of queue 'a': there is no skill 'biling' (nearest right name: billing)"
    result = CliRunner().invoke(cli, ["--config", str(tmp_path / "acd.toml"), "check"])
    assert result.exit_code == 1
    shown = result.output.split(f"{floor}:5:32: ")[1].split("\n")
    assert shown[:3] == [message, "    billing >= 3 and biling", "                     ^"]
    with pytest.raises(ProblemsError) as caught:
        load_floor(floor)
    assert caught.value.problems == [f"{floor}:5:32: {message}"]
    assert caught.value.found[0].as_json()["excerpt"] == ["billing >= 3 and biling", " " * 17 + "^"]


# -- much of it --------------------------------------------------------------------------------------------------------


def test_ten_thousand_agents_and_stages_nobody_meets_are_checked_quickly() -> None:
    agents = "".join(
        f"  a{i}: {{number: {i}, phones: [PJSIP/{i}], queues: [q{i % 100}], skills: {{s1: {i % 90}, s2: 80}}}}\n"
        for i in range(10_000)
    )
    stages = "[{need: s1 >= 90}, {after_s: 5, need: s1 >= 90 and s2}, {after_s: 9, need: s2 >= 81 or s1 > 89}]"
    queues = "".join(f"  q{i}: {{stages: {stages}}}\n" for i in range(100))
    started = time.process_time()
    with pytest.raises(ProblemsError) as caught:
        parse_floor(f"skills: [s1, s2]\nqueues:\n{queues}agents:\n{agents}", Problems("f"))
    assert time.process_time() - started < 5.0
    assert caught.value.problems[0] == (
        "f:3:24: no agent of the queue can ever meet stage 1 of queue 'q0': s1 >= 90 (best among them: s1 80)"
    )


def test_ranges_are_bounded() -> None:
    ranges = "".join(f"  '{n}0000..{n}9999': a\n" for n in range(100, 112))
    started = time.process_time()
    with pytest.raises(ProblemsError) as caught:
        parse_floor(f"queues: {{a: }}\nentry_points:\n{ranges}", Problems("f"))
    assert time.process_time() - started < 5.0
    assert caught.value.problems == ["f:13:3: more than 100000 entry points in all, counting those of ranges"]


# -- the floor as a whole, against slow readings -------------------------------------------------------------------------

DESTINATION_KEYS = ("overflow", "on_full", "on_long_wait", "on_nobody", "on_closed", "on_unsatisfiable")
NAMES = "abcdef"
ways_out = st.dictionaries(st.sampled_from(DESTINATION_KEYS), st.sampled_from(NAMES), max_size=3)


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, ways_out)))
@settings(max_examples=400, deadline=None)
def test_a_circle_is_said_if_and_only_if_there_is_one(ways: dict[str, dict[str, str]]) -> None:
    reached = {name: set(ways[name].values()) for name in NAMES}
    for _ in NAMES:
        reached = {name: far.union(*(reached[other] for other in far)) for name, far in reached.items()}
    queues = {name: {key: f"queue:{other}" for key, other in out.items()} for name, out in ways.items()}
    text = yaml.safe_dump({"queues": queues}, sort_keys=False)
    try:
        parse_floor(text, Problems("f"))
        said = []
    except ProblemsError as error:
        said = [line for line in error.problems if ": warning: " not in line]
    assert bool(said) is any(name in reached[name] for name in NAMES)
    for line in said:
        circle = line.split("overflow goes in a circle: ")[1].removesuffix("; end it elsewhere")
        first, *steps = re.split(r" -(?:(\w+)-)?> ", circle)
        for key, target in zip(steps[::2], steps[1::2], strict=True):
            assert ways[first][key or "overflow"] == target
            first = target
        assert first == circle[0]


def level_expressions() -> st.SearchStrategy[str]:
    term = st.builds(
        lambda skill, symbol, level: f"{skill} {symbol} {level}",
        st.sampled_from(["nl", "en"]),
        st.sampled_from([">=", "<", "==", "!="]),
        st.integers(0, 4),
    )
    return st.recursive(
        term,
        lambda inner: st.one_of(
            inner.map(lambda text: f"not ({text})"),
            st.builds(lambda a, word, b: f"({a}) {word} ({b})", inner, st.sampled_from(["and", "or"]), inner),
        ),
        max_leaves=5,
    )


@given(
    st.lists(level_expressions(), min_size=1, max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["nl", "en"]), st.integers(0, 4)), min_size=1, max_size=4),
)
@settings(max_examples=400, deadline=None)
def test_a_stage_is_refused_if_and_only_if_no_agent_meets_it(needs: list[str], of_agents: list[dict[str, int]]) -> None:
    floor = {
        "skills": ["nl", "en"],
        "queues": {"q": {"stages": [{"after_s": n, "need": need} for n, need in enumerate(needs)]}},
        "agents": {
            f"a{n}": {"number": n, "phones": [f"PJSIP/{n}"], "queues": ["q"], "skills": skills}
            for n, skills in enumerate(of_agents)
        },
        "entry_points": {"1": "q"},
    }
    met = [any(expression(need, ("nl", "en")).bind({}, ()).admits(skills) for skills in of_agents) for need in needs]
    try:
        parse_floor(yaml.safe_dump(floor, sort_keys=False), Problems("f"))
        said = ""
    except ProblemsError as error:
        said = str(error)
    for number, is_met in enumerate(met, 1):
        assert (f"ever meet stage {number} of" in said) is not is_met
