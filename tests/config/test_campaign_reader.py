"""What right campaigns, trunks and caller IDs of floor.yaml mean, and what a change of them looks like."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from acd.cli.floor import changed
from acd.cli.floordiff import differences, summary
from acd.cli.main import cli
from acd.cli.revisiondetail import definition_of, detail_of
from acd.config import write_samples
from acd.config.campaign_reader import unknown_nodes
from acd.config.floor import LoadedFloor, parse_floor
from acd.config.problems import Problems, ProblemsError
from acd.dialer.rules import PROFILES
from acd.domain.blending import Blend, Limits
from acd.domain.campaignlines import without_lines
from acd.domain.campaigns import (
    USUAL_RETRIES,
    AttemptOutcome,
    Disposition,
    Effect,
    Lapse,
    Mix,
    Mode,
    PreviewTerms,
    Retry,
    Trunk,
    machine_words_of,
)
from acd.domain.definition import FloorDefinition
from acd.domain.dialrules import Rule, ShortCalls
from acd.engine.codec import decode, encode

TEXT = """\
queues: {sales: {}}
agents: {anna: {number: 1, phones: [PJSIP/1], queues: [sales]}}
entry_points: {"1": sales}
hours: {office: {time_zone: America/New_York, week: {mon-fri: 09:00-17:00}}}
trunks:
  carrier: {dial: "PJSIP/{number}@carrier", node: pbx2, calls_per_s: 2.5, lines: 10, plus: false}
  plain: {dial: "IAX2/peer/{number}"}
caller_ids:
  berlin: {verified: 2026-03-01, numbers: ["+4930555100", "+4930555101"], local: false}
  other: {numbers: {"+12125550100": 2026-04-01}}
campaigns:
  spring:
    mode: power
    ratio: 2.5
    queue: sales
    trunk: carrier
    caller_ids: berlin
    lists: [one, two]
    hours: office
    profile: us
    message: custom/who-called
    opt_out_key: 8
    cap: 0.02
    connect: 1500ms
    amd: {within: 1.4s}
    attempts: 4
    number_attempts: 2
    retry: {busy: {after: 10m, most: 2, backoff: 1.5, longest: 2h, number: next}, machine: never}
    mix: {new: 5}
    priority: 3
    weight: 0.5
    client: acme
  plain: {mode: progressive, queue: sales, trunk: carrier, caller_ids: other, lists: one, time_zone: Europe/Rome}
"""


def load(text: str = TEXT) -> LoadedFloor:
    return parse_floor(
        text.replace("1500ms", "1.5s").replace("IAX2/peer/{number}", "IAX2/{number}@peer"), Problems("f")
    )


def test_everything_at_once() -> None:
    loaded = load()
    assert loaded.warnings == ()
    floor = loaded.definition
    assert floor.trunks["carrier"] == Trunk("carrier", "PJSIP/{number}@carrier", "pbx2", 2.5, 10, plus=False)
    assert floor.trunks["carrier"].device("+4930555") == "PJSIP/4930555@carrier"
    assert floor.trunks["plain"] == Trunk("plain", "IAX2/{number}@peer")
    berlin = floor.caller_ids["berlin"]
    assert (berlin.numbers, berlin.local) == (("+4930555100", "+4930555101"), False)
    assert berlin.verified == {"+4930555100": "2026-03-01", "+4930555101": "2026-03-01"}
    assert floor.caller_ids["other"].verified == {"+12125550100": "2026-04-01"}
    spring = floor.campaigns["spring"]
    assert (spring.mode, spring.ratio, spring.queue, spring.trunk) == (Mode.POWER, 2.5, "sales", "carrier")
    assert (spring.lists, spring.hours, spring.zone) == (("one", "two"), "office", "America/New_York")
    assert (spring.profile, spring.changed, spring.rules.caps) == ("us", (), (Rule("days30", 0.02),))
    assert replace(spring.rules, caps=PROFILES["us"].rules.caps) == PROFILES["us"].rules
    assert (spring.connect_s, spring.amd, spring.amd_s, spring.ring_s) == (1.5, True, 1.4, 25.0)
    assert (spring.attempts, spring.number_attempts) == (4, 2)
    assert spring.opt_out_key == "8"
    assert spring.retries[AttemptOutcome.BUSY] == Retry(600.0, 2, 1.5, 7_200.0, same_number=False)
    assert spring.retries[AttemptOutcome.MACHINE].most == 0
    assert spring.retries[AttemptOutcome.FAX] == USUAL_RETRIES[AttemptOutcome.FAX]
    assert (spring.mix, spring.priority, spring.weight, spring.client) == (Mix(new=5.0), 3, 0.5, "acme")


AGENTS = """\
skills: [nl, tax]
queues: {sales: {wrap_up: 3s, skills: {tax: 10}}, other: {}}
agents:
  anna: {number: 1, phones: [PJSIP/1], queues: [sales], skills: {nl: 50}}
  bob: {number: 2, phones: [PJSIP/2], queues: [sales, other], skills: {nl: 70, tax: 20}}
  cem: {number: 3, phones: [PJSIP/3], queues: [other], skills: {nl: 90}}
entry_points: {"1": sales, "2": other}
trunks: {carrier: {dial: "PJSIP/{number}@carrier"}}
caller_ids: {berlin: {verified: 2026-03-01, numbers: ["+4930555100"]}}
campaigns:
  win: {mode: progressive, %s, trunk: carrier, caller_ids: berlin, lists: [a], time_zone: UTC}
"""


@pytest.mark.parametrize(
    ("whose", "queue", "agents", "wrap_up_s", "admitted"),
    [
        ("queue: sales", "sales", ["anna", "bob"], 3.0, ["bob"]),
        ("queue: sales, agents: [anna, cem]", "sales", ["anna"], 3.0, []),
        ('queue: sales, need: "nl >= 40"', "sales", ["anna", "bob"], 3.0, ["anna", "bob"]),
        ("agents: [cem, anna]", "", ["anna", "cem"], 10.0, ["anna", "cem"]),
        ('agents: [anna, bob, cem], need: "nl >= 60"', "", ["anna", "bob", "cem"], 10.0, ["bob", "cem"]),
    ],
)
def test_a_campaign_is_served_by_a_queues_agents_or_those_it_names_or_those_with_skills(
    whose: str, queue: str, agents: list[str], wrap_up_s: float, admitted: list[str]
) -> None:
    floor = load(AGENTS % whose).definition
    assert floor.campaigns["win"].queue == queue
    theirs = [agent for agent in floor.agents.values() if "win" in agent.queues]
    assert [agent.name for agent in theirs] == agents
    line = floor.queues["win"]
    assert line.wrap_up_s == wrap_up_s
    asks = line.stages[0].expression if line.stages else None
    assert [one.name for one in theirs if asks is None or asks.could_admit(one.skills)] == admitted
    assert decode(FloorDefinition, json.loads(encode(floor))) == floor
    assert [agent.queues for agent in without_lines(floor).agents.values()] == [
        ("sales",),
        ("sales", "other"),
        ("other",),
    ]


def test_without_a_profile_the_strictest_rules_hold() -> None:
    plain = load().definition.campaigns["plain"]
    assert (plain.profile, plain.rules, plain.zone) == ("strict", PROFILES["strict"].rules, "Europe/Rome")
    assert plain.retries == USUAL_RETRIES
    assert plain.opt_out_key == "9"
    assert (plain.amd, plain.message, plain.connect_s, plain.hours) == (False, None, 2.0, None)


def test_a_classifier_of_one_s_own() -> None:
    found = load(TEXT.replace("amd: {within: 1.4s}", "amd: {context: my-classifier, within: 0.5s}")).definition
    spring = found.campaigns["spring"]
    assert (spring.amd, spring.amd_s, spring.classifier) == (True, 0.5, "my-classifier")
    assert load().definition.campaigns["spring"].classifier == ""


def test_a_message_for_machines_needs_somebody_who_knows_them() -> None:
    machine = load(TEXT.replace("opt_out_key: 8", "machine_message: custom/call-us"))
    assert machine.definition.campaigns["spring"].machine_message == "custom/call-us"
    assert not [one for one in machine.warnings if "machine_message" in one.message]
    (warning,) = [
        one.message
        for one in load(TEXT.replace("amd: {within: 1.4s}", "machine_message: custom/call-us")).warnings
        if "machine_message" in one.message
    ]
    assert "machine_message of campaign 'spring' is never used" in warning
    with pytest.raises(ProblemsError, match=r"machine_message of campaign 'spring': 'a b' is no sound"):
        load(TEXT.replace("opt_out_key: 8", "machine_message: a b"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{context: 'a,s,1', within: 1s}", "context of amd of campaign 'spring': 'a,s,1' cannot be a context"),
        ("{context: '${x}', within: 1s}", "cannot be a context of the dialplan; write its name alone"),
        ("{contxt: a, within: 1s}", "unknown key 'contxt' in amd of campaign 'spring' (nearest right name: context)"),
        ("{within: 0.5s}", "within of amd of campaign 'spring' must be from 1 to 10 seconds"),
        (
            "{context: a, within: 1.6s}",
            "amd of campaign 'spring' takes up to 1.6 s, but an agent must be there within 1.5 s",
        ),
    ],
)
def test_an_amd_that_makes_no_sense(text: str, message: str) -> None:
    with pytest.raises(ProblemsError, match=re.escape(message)):
        load(TEXT.replace("amd: {within: 1.4s}", f"amd: {text}"))


@pytest.mark.parametrize("text", ["0", '"*"', "'#'", '"7"'])
def test_any_key_of_a_telephone_may_opt_out(text: str) -> None:
    found = load(TEXT.replace("opt_out_key: 8", f"opt_out_key: {text}")).definition
    assert found.campaigns["spring"].opt_out_key == text.strip("\"'")


@pytest.mark.parametrize("text", ["10", "A", "''", "\u0668", "[8]", "-1"])
def test_what_is_no_key_of_a_telephone(text: str) -> None:
    with pytest.raises(ProblemsError, match="opt_out_key of campaign 'spring' must be one key of a telephone"):
        load(TEXT.replace("opt_out_key: 8", f"opt_out_key: {text}"))
    with pytest.raises(ProblemsError, match="opt_out_key of campaign 'spring' is empty"):
        load(TEXT.replace("opt_out_key: 8", "opt_out_key: #"))


def test_every_figure_can_be_changed() -> None:
    rules = (
        "rules: {caps: {day: 0.04, month: 0.05}, connect: 3s, ring: 10s, cool_down: 24h, number_day: 9, number_week: none, "
        "contact_day: 5, contact_week: 6, customer_days: 30, consent: true, message: false, false_positives: false, "
        "agent_lifts_cool_down: true, agent_after_abandonment: true, short_calls: {within: 5s, share: 0.5, calls: 100}, "
        "hours: {mon-fri: [08:00-12:00, 13:00-22:00]}, holidays: 10:00-12:00, eves: closed}"
    )
    loaded = load(TEXT.replace("time_zone: Europe/Rome", f"time_zone: Europe/Rome, profile: nl, {rules}"))
    found = loaded.definition.campaigns["plain"].rules
    assert found.caps == (Rule("day", 0.04), Rule("month", 0.05))
    assert (found.connect_s, found.ring_s, found.cool_down_s) == (3.0, 10.0, 86_400.0)
    assert (found.number_day, found.number_week, found.contact_day, found.contact_week) == (9, None, 5, 6)
    assert (found.customer_days, found.consent, found.message, found.false_positives) == (30, True, False, False)
    assert (found.agent_lifts_cool_down, found.agent_after_abandonment) == (True, True)
    assert found.short_calls == ShortCalls(5.0, 0.5, 100)
    assert found.hours.week == (((480, 720), (780, 1_320)),) * 5 + ((), ())
    assert (found.hours.holiday, found.hours.eve) == (((600, 720),), ())
    assert found.hours.special == PROFILES["nl"].rules.hours.special
    said = [warning.message.partition(" of ")[0] for warning in loaded.warnings]
    assert said == [
        "caps",
        "connect",
        "ring",
        "number_day",
        "number_week",
        "contact_day",
        "message",
        "false_positives",
        "hours",
    ]


def test_figures_can_be_lifted_in_words() -> None:
    rules = "rules: {customer_days: none, short_calls: none, holidays: as usual, eves: as usual}"
    found = load(TEXT.replace("time_zone: Europe/Rome", f"time_zone: Europe/Rome, profile: it, {rules}"))
    hours = found.definition.campaigns["plain"].rules.hours
    assert (hours.holiday, hours.eve) == (None, None)
    assert found.definition.campaigns["plain"].changed == ("customer_days", "hours", "short_calls")


def test_a_change_is_told_figure_by_figure() -> None:
    one = load().definition
    other = load(TEXT.replace("profile: us", "profile: ca").replace("lines: 10", "lines: 20")).definition
    assert one.revision != other.revision
    found = differences(one, other)
    assert found["trunks"]["changed"] == {"carrier": {"lines": {"from": 10, "to": 20}}}
    changed = found["campaigns"]["changed"]["spring"]
    assert changed["profile"] == {"from": "us", "to": "ca"}
    assert changed["rules.caps"]["to"] == [{"span": "month", "cap": 0.02}]
    assert changed["rules.hours.week"]["to"]["sat"] == "10:00-18:00"
    assert "rules.connect_s" not in changed
    gone = replace(one, campaigns=MappingProxyType({}), caller_ids=MappingProxyType({}))
    assert "2 campaigns removed" in summary(differences(one, gone))
    assert "2 sets of caller IDs removed" in summary(differences(one, gone))
    assert date.fromisoformat(one.caller_ids["berlin"].verified["+4930555100"]) == date(2026, 3, 1)


def test_nodes_of_trunks_stand_in_acd_toml() -> None:
    floor = load().definition
    assert unknown_nodes(floor, ["pbx1", "pbx2"]) == [
        "trunk 'plain' needs node: there are several in acd.toml (pbx1, pbx2)"
    ]
    assert unknown_nodes(floor, ["pbx2"]) == []
    assert unknown_nodes(floor, ["pbx3"]) == [
        "trunk 'carrier': acd.toml has no node 'pbx2' under asterisk (nearest right name: pbx3)"
    ]


def test_check_names_caller_ids_whose_verification_has_not_come(tmp_path: Path) -> None:
    write_samples(tmp_path)
    floor = TEXT.replace("1500ms", "1.5s").replace("IAX2/peer/{number}", "IAX2/{number}@peer")
    floor = floor.replace("node: pbx2, ", "").replace("2026-04-01", "9998-04-01")
    (tmp_path / "floor.yaml").write_text(floor)
    found = CliRunner().invoke(cli, ["--config", str(tmp_path / "acd.toml"), "check"])
    assert found.exit_code == 1, found.output
    said = "caller ID +12125550100 of 'other' is verified on 9998-04-01, a day that has not come"
    assert said in " ".join(found.output.split())
    assert ("floor.yaml: good" in found.output, "1 error" in found.output) == (False, True)


def test_check_looks_at_both_files(tmp_path: Path) -> None:
    write_samples(tmp_path)
    extra = TEXT[TEXT.index("trunks:") :].replace("1500ms", "1.5s").replace("IAX2/peer/{number}", "IAX2/{number}@peer")
    with (tmp_path / "floor.yaml").open("a") as file:
        file.write(TEXT.splitlines()[3] + "\n" + extra)
    checked = CliRunner().invoke(cli, ["--json", "--config", str(tmp_path / "acd.toml"), "check"])
    found = json.loads(checked.output)
    assert (checked.exit_code, found["ok"], found["campaigns"], found["queues"]) == (1, False, 2, 3)
    assert "no node 'pbx2'" in found["problems"][0]["message"]
    text = (tmp_path / "floor.yaml").read_text().replace("node: pbx2, ", "")
    (tmp_path / "floor.yaml").write_text(text)
    checked = CliRunner().invoke(cli, ["--config", str(tmp_path / "acd.toml"), "check"])
    assert checked.exit_code == 0, checked.output
    assert "3 queues, 4 agents, 4 entry points, 2 campaigns" in checked.output


@pytest.mark.parametrize("profile", PROFILES)
def test_a_floor_with_campaigns_is_journalled_and_kept_with_its_revision(profile: str) -> None:
    text = TEXT.replace("profile: us", f"profile: {profile}").replace("mode: power\n    ratio: 2.5", "mode: preview")
    floor = load(text.replace("    cap: 0.02\n", "")).definition
    assert floor.campaigns["spring"].profile == profile
    assert decode(FloorDefinition, json.loads(encode(floor))) == floor
    assert definition_of(detail_of(floor, str)) == floor
    assert json.loads(json.dumps(differences(FloorDefinition({}, {}, {}), floor)))["campaigns"]["added"]


def blend_of(text: str) -> Blend | None:
    floor = load(TEXT.replace("queues: {sales: {}}", f"queues: {{sales: {{blend: {text}}}}}")).definition
    assert floor.queues["spring"].blend is None, "a campaign's own line takes nothing from campaigns"
    return floor.queues["sales"].blend


def test_what_a_queue_takes_from_campaigns() -> None:
    found = blend_of("{reserve: {agents: 2, below: 0.9}, recall: {wait: 20s, waiting: 3}, over: 5m, hold: 30s}")
    assert found == Blend(Limits(below=0.9), 2, 0.0, Limits(wait_s=20.0, waiting=3), 300.0, 30.0)
    assert blend_of("{reserve: {agents: 25%}}") == Blend(Limits(), 0, 0.25, None)


def test_a_change_of_a_blend_is_told_without_what_it_does_not_say() -> None:
    both = "{reserve: {agents: 25%}, recall: {wait: 20s}}"
    blended = load(TEXT.replace("queues: {sales: {}}", f"queues: {{sales: {{blend: {both}}}}}")).definition
    changes = differences(load().definition, blended)
    assert changes["queues"]["changed"]["sales"]["blend"] == {
        "from": None,
        "to": {"reserve": {"agents": "25%"}, "recall": {"wait": "20 s"}, "over": "600 s", "hold": "60 s"},
    }
    told = "\n".join(line.plain for line in changed(changes))
    assert "blend: none -> reserve agents 25%, recall wait 20 s, over 600 s, hold 60 s" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "keeps nobody; write reserve"),
        ("{recall: {}}", "recall in blend of queue 'sales' has no limit; write below: 0.8"),
        ("{recall: {waiting: 0}}", "waiting of recall in blend of queue 'sales' must be a whole number from 1"),
        ("{recall: {below: 80}}", "below of recall in blend of queue 'sales' must be a number from 0.01 to 0.99"),
        (
            "{recall: {wating: 3}}",
            "unknown key 'wating' in recall in blend of queue 'sales' (nearest right name: waiting)",
        ),
        ("{reserve: {waiting: 1}}", "needs agents: how many agents campaigns do without, such as 2 or 25%"),
        ("{reserve: {agents: 0}}", "agents of reserve in blend of queue 'sales' must be a number from 1"),
        ("{reserve: {agents: 101%}}", "or a share such as 25%"),
        ("{reserve: [1]}", "must be a map"),
        ("3", "blend of queue 'sales' must be a map"),
    ],
)
def test_a_blend_that_means_nothing(text: str, message: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        blend_of(text)
    assert message in str(caught.value)


def previewed(text: str) -> LoadedFloor:
    return load(TEXT.replace("plain: {mode: progressive,", f"plain: {{mode: preview, preview: {text},"))


def test_how_contacts_are_shown_to_agents() -> None:
    found = previewed("{for: 45s, then: skip, again: 2h, script: 'Ask for Ann'}").definition.campaigns["plain"]
    assert (found.mode, found.preview) == (Mode.PREVIEW, PreviewTerms(45.0, Lapse.SKIP, 7_200.0, "Ask for Ann"))
    assert load().definition.campaigns["plain"].preview == PreviewTerms()
    spoken = load(TEXT.replace("    client: acme\n", "    client: acme\n    script: Say who calls\n"))
    assert spoken.definition.campaigns["spring"].script == "Say who calls"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{then: dail}", "then of preview of campaign 'plain': there is no 'dail' (nearest right name: dial)"),
        ("{for: 0s}", "for of preview of campaign 'plain' must be from 1 to 3600 seconds"),
        ("{scrpt: x}", "unknown key 'scrpt' in preview of campaign 'plain'"),
        ('{script: "a\\eb"}', "script of preview of campaign 'plain' must be text"),
        ("5", "preview of campaign 'plain' must be a map"),
    ],
)
def test_a_preview_that_makes_no_sense(text: str, message: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        previewed(text)
    assert message in str(caught.value)


def test_a_preview_of_another_mode_and_a_manual_campaign_without_lists() -> None:
    found = load(
        TEXT.replace("{mode: progressive,", "{mode: power, ratio: 2, message: x, preview: {for: 5s},")
    ).warnings
    assert [one.message for one in found] == ["preview of campaign 'plain' is never used: it needs mode: preview"]
    assert load(TEXT.replace("{mode: progressive,", "{mode: manual,").replace("lists: one, ", "")).warnings == ()


def test_a_blend_without_a_campaign_is_odd() -> None:
    text = TEXT.replace("queues: {sales: {}}", "queues: {sales: {}, other: {blend: {reserve: {agents: 1}}}}")
    assert any("blend of queue 'other' is never used" in one.message for one in load(text).warnings)


def disposed(text: str, amd: str = "{within: 1.4s}") -> LoadedFloor:
    return load(TEXT.replace("amd: {within: 1.4s}", f"amd: {amd}\n    dispositions: {text}"))


def test_dispositions_say_what_follows() -> None:
    text = "{sold: done, call later: {again: 2h}, wrong number: wrong_number, never: opt_out, robot: machine}"
    floor = disposed(text).definition
    assert dict(floor.campaigns["spring"].dispositions) == {
        "sold": Disposition(Effect.DONE),
        "call later": Disposition(Effect.AGAIN, 7_200.0),
        "wrong number": Disposition(Effect.WRONG_NUMBER),
        "never": Disposition(Effect.OPT_OUT),
        "robot": Disposition(Effect.MACHINE),
    }
    assert machine_words_of(floor.campaigns["spring"].dispositions) == {"robot"}
    assert floor.dispositions_of("spring") == ("sold", "call later", "wrong number", "never", "robot")
    assert decode(FloorDefinition, json.loads(encode(floor))) == floor
    assert load().definition.dispositions_of("spring") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{sold: doen}", "disposition 'sold' of campaign 'spring': there is no 'doen' (nearest right name: done)"),
        ("{later: again}", "disposition 'later' of campaign 'spring' must say when: {again: 2h}"),
        ("{later: {after: 2h}}", "unknown key 'after' in disposition 'later' of campaign 'spring'"),
        ("{later: {}}", "disposition 'later' of campaign 'spring' must say what follows, such as {again: 2h}"),
        (
            "{later: {again: 5s}}",
            "again of disposition 'later' of campaign 'spring' must be from 60 to 7776000 seconds",
        ),
        ("{later: {again: soon}}", "again of disposition 'later' of campaign 'spring' must be a duration"),
        ("{' ': done}", "disposition ' ' of campaign 'spring' is empty"),
        ("{sold: [done]}", "disposition 'sold' of campaign 'spring' must be a text"),
        ("[sold]", "dispositions of campaign 'spring' must be a map of names and values"),
    ],
)
def test_dispositions_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        disposed(text)
    assert message in str(caught.value)


def test_a_share_of_the_machines_is_looked_at_by_agents_who_have_a_word_for_them() -> None:
    found = disposed("{robot: machine}", "{within: 1.4s, audit: 0.05}")
    assert found.definition.campaigns["spring"].amd_audit == 0.05
    assert not [one for one in found.warnings if "audited" in one.message]
    (told,) = [one for one in load(TEXT.replace("1.4s}", "1.4s, audit: 0.05}")).warnings if "audited" in one.message]
    assert "agents have no word for a machine: write dispositions: {answering machine: machine}" in told.message
    with pytest.raises(ProblemsError, match="audit of amd of campaign 'spring' must be a number from 0 to"):
        disposed("{robot: machine}", "{within: 1.4s, audit: 0.6}")
