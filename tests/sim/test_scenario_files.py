"""Scenario files: every sample can be run as it stands, and what is wrong is said with its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from simkit import sample

from acd.cli.sim_scenario import LoadedScenario, find_scenario, load_scenario, samples_folder, scenario_files
from acd.config import ProblemsError, load_floor, samples_dir
from acd.domain.errors import UnknownNameError
from acd.sim import simulate
from acd.sim.arrivals import Listed, Poisson, Renewal
from acd.sim.chance import Choice, Exponential, Fixed, Gamma, LogNormal, Mixture, Sample, Uniform, Weibull
from acd.sim.scenario import ConnectionLost, PhonesFail, Shift

GOOD = """\
description: |
  One of
  everything.
simulation:
  {length: 1h, warm_up: 5m, replications: 2, batches: 10, lines: 30, waiting_room: 4, starts_at: 2026-03-02T08:00:00+01:00}
x-own: &people {did: "1", talk: 3m}
floor:
  skills: [nl, en]
  queues: {sales: {skills: {nl: 50}}, help: {}}
  agents:
    anna: {number: 1, phones: [PJSIP/1, PJSIP/2], queues: [sales, help], skills: {nl: 60}}
    bert: {number: 2, phones: PJSIP/3, queues: help}
  entry_points: {"1": sales, "2": help}
callers:
  a: {<<: *people, arrivals: {poisson: 6/min}, patience: {weibull: {mean: 2m, shape: 0.8}}}
  b: {<<: *people, arrivals: {poisson: [{rate: 6/h}, {from: 1h, rate: 0.5/s}], repeats: 24h}, talk: {exponential: 90s}}
  c: {<<: *people, arrivals: {every: 20s}, talk: {uniform: {from: 1s, to: 3s}}, did: "2"}
  d: {<<: *people, arrivals: {every: {gamma: {mean: 20s, cv: 2}}}, talk: {lognormal: {mean: 3m, cv: 0.8}}}
  e: {<<: *people, arrivals: {at: [3s, 1s, 1m]}, talk: {sample: [10s, 1m]}, attributes: {tier: gold, lang: {nl: 3, en: 1}}}
  f:
    {<<: *people, arrivals: {poisson: 1/h}, talk: {mixture: [{weight: 1, of: 10s}, {weight: 3, of: {fixed: 1m}}]},
    numbers: {pool: 3}}
agents:
  temps: {count: 3, queues: {sales: 2, help: 0}, skills: {nl: 70}, phones: "SIM/{agent}@west", answers: {exponential: 4s},
    declines: 0.01, misses: 0.02, returns: 30s, shifts: [{to: 20m}, {from: 30m}], phone_states: no}
  boss: {members: anna, answers: 1s}
faults:
  - phones_fail: {agents: [temps], at: 10m, for: 1m, how: congestion}
  - connection_lost: {at: 20m, for: 10s}
"""


def load(tmp_path: Path, text: str) -> LoadedScenario:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_scenario(path)


def wrong(tmp_path: Path, text: str) -> list[str]:
    """``line:column message`` of everything found wrong."""
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, text)
    return [f"{p.line}:{p.column} {p.message}" for p in caught.value.found if p.severity == "error"]


def test_everything_that_can_be_written(tmp_path: Path) -> None:
    scenario = load(tmp_path, GOOD).scenario
    assert (scenario.name, scenario.description) == ("mine", "One of everything.")
    assert (scenario.length_s, scenario.warm_up_s, scenario.replications, scenario.batches) == (3600.0, 300.0, 2, 10)
    assert (scenario.lines, scenario.waiting_room, scenario.starts_at) == (30, 4, 1772434800.0)
    a, b, c, d, e, f = scenario.callers
    assert (a.arrivals, a.talk, a.patience) == (Poisson.steady(0.1), Fixed(180.0), Weibull(120.0, 0.8))
    assert b.arrivals == Poisson(((0.0, 6 / 3600), (3600.0, 0.5)), 86400.0)
    assert b.talk == Exponential(90.0)
    assert (c.arrivals, c.talk, c.did) == (Renewal(Fixed(20.0)), Uniform(1.0, 3.0), "2")
    assert (d.arrivals, d.talk) == (Renewal(Gamma(20.0, 2.0)), LogNormal(180.0, 0.8))
    assert (e.arrivals, e.talk) == (Listed((1.0, 3.0, 60.0)), Sample((10.0, 60.0)))
    assert dict(e.attributes) == {"tier": Choice({"gold": 1.0}), "lang": Choice({"nl": 3.0, "en": 1.0})}
    assert f.talk == Mixture(((1.0, Fixed(10.0)), (3.0, Fixed(60.0))))
    assert f.numbers == Choice({"7000000": 1.0, "7000001": 1.0, "7000002": 1.0})
    temps, boss, others = scenario.agents
    assert temps.members == ("temps-01", "temps-02", "temps-03")
    assert (temps.answers, temps.declines, temps.misses, temps.returns) == (Exponential(4.0), 0.01, 0.02, Fixed(30.0))
    assert (temps.shifts, temps.phone_states) == ((Shift(0.0, 1200.0), Shift(1800.0)), False)
    assert (boss.members, boss.answers, others.name, others.members) == (("anna",), Fixed(1.0), "others", ("bert",))
    assert scenario.definition.agents["temps-02"].phones == ("SIM/temps-02@west",)
    assert dict(scenario.definition.agents["temps-02"].queue_preference) == {"sales": 2}
    assert dict(scenario.definition.agents["anna"].skills) == {"nl": 60}
    assert scenario.faults == (PhonesFail(temps.members, 600.0, 60.0, "congestion"), ConnectionLost(1200.0, 10.0))
    results = simulate(scenario, 1)
    assert results.total.callers > 400
    assert results.total.stuck == 0


@pytest.mark.parametrize("path", scenario_files(samples_folder()), ids=lambda path: path.stem)
def test_samples_can_be_run_and_say_what_they_are(path: Path) -> None:
    scenario = sample(path.stem)
    assert 20 < len(scenario.description) <= 110
    assert scenario.warm_up_s > 0


def test_samples_are_found_by_name_and_files_by_path(tmp_path: Path) -> None:
    assert find_scenario("erlang-c") == samples_folder() / "erlang-c.yaml"
    assert find_scenario("some/where.yml") == Path("some/where.yml")
    with pytest.raises(UnknownNameError, match=r"no sample scenario named 'erlang-d' \(nearest: erlang-[abc]\)"):
        find_scenario("erlang-d")


def test_a_floor_may_be_a_file_and_is_the_one_that_runs(tmp_path: Path) -> None:
    (tmp_path / "floor.yaml").write_text((samples_dir() / "floor.yaml").read_text())
    text = """
simulation: {length: 10m}
floor: floor.yaml
callers: {all: {did: "4930555200", arrivals: {poisson: 1/min}, talk: 1m}}
agents: {temps: {count: 2, queues: support}}
"""
    scenario = load(tmp_path, text).scenario
    own = load_floor(tmp_path / "floor.yaml").definition
    assert scenario.definition.queues == own.queues
    assert set(scenario.definition.agents) == {*own.agents, "temps-01", "temps-02"}
    assert {agent for group in scenario.agents for agent in group.members} == set(scenario.definition.agents)


def test_mistakes_in_a_floor_file_are_said_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "floor.yaml").write_text("queues:\n  sales:\n    ring_timeout: soon\nagents: {}\n")
    text = "simulation: {length: 10m}\nfloor: floor.yaml\ncallers: {}\nagents:\n  temps: {queues: seles}\n"
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, text)
    found = {(Path(p.file).name, p.line, p.column) for p in caught.value.found}
    assert {("floor.yaml", 3, 19), ("mine.yaml", 5, 19)} <= found
    (tmp_path / "floor.yaml").unlink()
    with pytest.raises(ProblemsError, match=r"floor\.yaml: does not exist"):
        load(tmp_path, text)


BAD = """\
simulation: {lenght: 1h, warm_up: 2h, starts_at: 2026-03-02}
floor:
  skills: [nl]
  queues:
    sales:
      stages:
        - need: "nl >= 50 and
            xx > 3"
callers:
  a: {did: "1", arrivals: {poisson: 6}, talk: {expnential: 3m}}
  b: {did: "1", arrivals: {poisson: 6/min, every: 3s}, talk: {uniform: {from: 3s, to: 1s}}, patience: {}}
  c: {arrivals: {at: []}, talk: {lognormal: {mean: 3m, cv: 0}}, attributes: {x: {a: 0}}}
  d: {did: "1", arrivals: {poisson: [{from: 5s, rate: 1/s}]}, talk: {mixture: [{of: 3s}]}, colour: red}
  e: {did: "1", arrivals: {poisson: 99999/s}, talk: -3}
agents:
  temps: {count: 40, queues: saels, skils: {nl: 3}, declines: 1.2}
fautls: []
"""


def test_everything_wrong_is_said_at_once_and_once(tmp_path: Path) -> None:
    found = wrong(tmp_path, BAD)
    for start in (
        "1:14 unknown key 'lenght' in simulation (nearest right name: length)",
        "1:13 simulation needs length",
        "1:50 starts_at must be a date and time with its zone",
        "8:13 need of stage 1 of queue 'sales'",
        "10:37 poisson of arrivals of callers 'a' must be a rate such as 0.5/s, 48/min or 100/h, not '6'",
        "10:48 talk of callers 'a': there is no 'expnential' (nearest right name: exponential)",
        "11:27 arrivals of callers 'b' must have one of poisson, every, at",
        "11:87 uniform of talk of callers 'b' ends before it begins",
        "11:103 patience of callers 'b' must be a duration or a map of one kind",
        "12:3 callers 'c' needs did",
        "12:22 at of arrivals of callers 'c' must be a list",
        "12:60 cv of lognormal of talk of callers 'c' must be a number from 0.01 to 100",
        "12:81 attribute 'x' of callers 'c' needs a weight above 0",
        "13:38 the pieces of arrivals of callers 'd' must begin at 0 and go up",
        "13:80 a part of mixture of talk of callers 'd' needs weight",
        "13:92 unknown key 'colour' in callers 'd'",
        "14:37 poisson of arrivals of callers 'e' must be at most 10000/s",
        "14:53 talk of callers 'e' must be a duration",
        "16:30 queue 'saels' is not defined under queues (nearest right name: sales)",
        "16:37 unknown key 'skils' in agent 'temps-01' (nearest right name: skills)",
        "16:63 declines of group 'temps' must be",
        "17:1 unknown key 'fautls' in the scenario (nearest right name: faults)",
    ):
        assert any(line.startswith(start) for line in found), (start, found)
    assert len(found) == len(set(found)) < 30


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("warm_up: 5m", "warm_up: 1h", "warm_up must be shorter than length"),
        ("declines: 0.01", "declines: 0.99", "declines and misses of group 'temps' add up to more than 1"),
        ("members: anna", "members: [anna, bob]", "agent 'bob' is not defined"),
        ("members: anna", "members: temps-01", "agent 'temps-01' is already in group 'temps'"),
        ("answers: 1s}", "answers: 1s, queues: help}", "its members have that from the floor"),
        ("{to: 20m}, {from: 30m}", "{to: 20m}, {from: 10m}", "must follow each other"),
        ("[{to: 20m}, {from: 30m}]", "20m", "must be a list of maps"),
        ("agents: [temps]", "agents: [tmps]", "group 'tmps' is not defined under agents (nearest right name: temps)"),
        ("how: congestion", "how: loud", "must be unreachable, congestion or silent"),
        ("at: 20m, for: 10s", "at: 20m", "connection_lost needs for"),
        ("- connection_lost", "- conection_lost", "unknown key 'conection_lost'"),
        ("faults:\n", "faults: none\nx-f:\n", "faults must be a list"),
        ("count: 3", "count: 30000", "must be a whole number from 1 to 20000"),
        ("boss: {members: anna, answers: 1s}", "boss: 3", "group 'boss' must be a map"),
        ("{pool: 3}", "{pool: 0}", "must be a whole number from 1"),
        ("repeats: 24h", "repeats: 30m", "repeats before its last piece begins"),
        ("arrivals: {every: 20s}", "arrivals: {every: 20s, repeats: 1h}", "goes with poisson only"),
        ("arrivals: {every: 20s}", "arrivals: {every: 0}", "at least 0.0001 s"),
        ("arrivals: {poisson: 6/min}", "attributes: {A-b: {a: 1}}, arrivals: {poisson: 6/min}", "'A-b' of callers"),
        ("arrivals: {poisson: 6/min}", "arrivals: often", "must be a map of keys and values"),
    ],
)
def test_one_mistake_each(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert GOOD.count(old) == 1
    found = wrong(tmp_path, GOOD.replace(old, new))
    assert any(message in line for line in found), found


@pytest.mark.parametrize("text", ["", "3", "[]", "floor: {}\n", "a: [\n", "floor: [3]\ncallers: {}\n"])
def test_what_is_no_scenario_at_all(tmp_path: Path, text: str) -> None:
    assert wrong(tmp_path, text)


def test_callers_to_no_entry_point_are_pointed_out(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD.replace('did: "2"', 'did: "3"'))
    assert [warning.message for warning in loaded.warnings if warning.line == 17] == [
        "did '3' of callers 'c' is no entry point: they take the fallback"
    ]
