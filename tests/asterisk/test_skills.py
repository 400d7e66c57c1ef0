"""Skills-based routing with real calls: four services in three languages, sixty agents, stages that ask for less after
5 and 10 seconds, priorities and known callers. That every agent was the right one is judged from the records and floor.yaml
alone, by an evaluation of its own: nothing of the service's own account of its decisions is believed."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from statistics import mean
from typing import Any

import pytest
import yaml

from acd.lab.behaviours import parse_caller_behaviour
from acd.lab.calls import Call
from acd.lab.rig import Rig
from callkit import dial, finish, phone, plan, until, until_idle

LANGUAGES = ("nl", "de", "en")
SERVICES = ("billing", "contracts", "sales", "technical")
AGENTS, CALLS, RATE = 60, 500, 12.0
VIPS = 40
TALK = "answer+talk:uniform(4,7)"
SLOW_S = 2.0
"""Nobody may be free for longer than this while a call waits that he may take: the machine may be that busy."""


# -- what is asked of whom -------------------------------------------------------------------------------------------


def stages_of(service: str) -> list[dict[str, Any]]:
    """Fluent and good at it; then halfway; then whoever knows a little of both. Contracts are signed by experts, and for
    whoever pays much the halfway ones are not good enough."""
    stages = [
        {"need": f"{service} >= 60 and skill(call.language) >= 80"},
        {"after_s": 5, "need": f"{service} >= 40 and skill(call.language) >= 50"},
        {"after_s": 10, "need": f"{service} >= 20 and skill(call.language) >= 20"},
    ]
    if service == "contracts":
        stages[1]["need"] = (
            "(contracts >= 60 and skill(call.language) >= 50) or "
            "(call.tier != 'gold' and contracts >= 40 and skill(call.language) >= 50)"
        )
        stages[2]["need"] = (
            "contracts and skill(call.language) >= 20 and not (call.tier in ('gold', 'silver') and contracts < 30)"
        )
    return stages


def agents(rng: random.Random) -> dict[str, Any]:
    """Everybody speaks a language or two well and the others somehow, and knows two or three of the services."""
    found = {}
    for n in range(AGENTS):
        fluent = rng.sample(LANGUAGES, 2) if n % 3 == 0 else [LANGUAGES[n % len(LANGUAGES)]]
        levels = {one: rng.randint(60, 100) if one in fluent else rng.randint(0, 60) for one in LANGUAGES}
        known = rng.sample(SERVICES, rng.choice((2, 3)))
        levels |= {one: rng.randint(20, 100) for one in known}
        found[f"a{n:02}"] = {
            "number": str(3001 + n),
            "phones": [f"PJSIP/{1001 + n}"],
            "queues": {one: rng.choice((0, 0, 1)) for one in known},
            "skills": levels,
        }
    return found


def the_floor() -> dict[str, Any]:
    rng = random.Random(20)
    usual = {"wrap_up": 0, "ring_timeout": 15, "agent_selection": "most_proficient"}
    entries = {
        f"{s + 1}0{n + 1}": {
            "queue": service,
            "priority": 1 if service == "technical" else 0,
            "attributes": {"language": language},
        }
        for s, service in enumerate(SERVICES)
        for n, language in enumerate(LANGUAGES)
    }
    return {
        "skills": {one: f"{one}, of 100" for one in (*LANGUAGES, *SERVICES)},
        "queues": {service: {**usual, "stages": stages_of(service)} for service in SERVICES},
        "agents": agents(rng),
        "entry_points": entries,
        "ageing_s": 10,
        "callers": {
            f"+49 30 77700{n:02}": {"priority": 10, "attributes": {"tier": "gold" if n % 2 else "silver"}}
            for n in range(VIPS)
        },
    }


def the_calls(entries: Sequence[str]) -> list[Call]:
    """Known callers come amid all others, and write their number as their trunk does."""
    rng = random.Random(21)
    behaviour = parse_caller_behaviour("until-bye")
    known = set(rng.sample(range(CALLS), VIPS))
    vips = iter(range(VIPS))
    numbers = [f"493077700{next(vips):02}" if n in known else f"555{n:05}" for n in range(CALLS)]
    return [Call.drawn(rng.choice(list(entries)), behaviour, rng, number=number) for number in numbers]


# -- the judge -------------------------------------------------------------------------------------------------------


class Level(int):
    """A proficiency: alone in an expression it means that there is some."""

    def __bool__(self) -> bool:
        return int(self) >= 1


class Missing:
    """An attribute the call does not have: no comparison with it holds."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


class Attributes:
    """``call`` in an expression."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> object:
        return self._values.get(name, Missing())


def satisfies(expression: str, skills: Mapping[str, int], call: Mapping[str, str]) -> bool:
    """The expressions of this file are Python's, too: let Python say."""
    names = {one: Level(skills.get(one, -1)) for one in (*LANGUAGES, *SERVICES)}
    there = {"call": Attributes(call), "skill": lambda name: names[name], "__builtins__": {}}
    return bool(eval(expression, there, names))


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Judge:
    """What floor.yaml, as it lies there, asks for a call, and what the records say of it."""

    def __init__(self, rig: Rig) -> None:
        self.floor = yaml.safe_load((rig.directory / "floor.yaml").read_text())
        self.calls = {row["call"]: row for row in rig.rows("SELECT * FROM calls ORDER BY entered_at, call")}
        rows = rig.rows("SELECT * FROM segments ORDER BY call, serial")
        self.segments = {call: list(mine) for call, mine in groupby(rows, lambda row: str(row["call"]))}
        self.tiers = {
            "".join(filter(str.isdigit, number)): known["attributes"]["tier"]
            for number, known in self.floor["callers"].items()
        }

    def attributes(self, call: sqlite3.Row) -> dict[str, str]:
        found = dict(self.floor["entry_points"][call["did"]]["attributes"])
        if call["caller_number"] in self.tiers:
            found["tier"] = self.tiers[call["caller_number"]]
        return found

    def joined_at(self, call: str) -> float:
        """From when on stages count: when the call was first waiting, or offered."""
        return seconds(self.segments[call][1]["started_at"])

    def need(self, call: str, at: float) -> tuple[int, str]:
        """The number of the stage in force at ``at``, and what it asks."""
        waited_s = at - self.joined_at(call)
        stages = self.floor["queues"][self.calls[call]["queue"]]["stages"]
        number = max(n for n, stage in enumerate(stages) if stage.get("after_s", 0) <= waited_s)
        return number, stages[number]["need"]

    def may(self, agent: str, call: str, at: float) -> bool:
        row = self.calls[call]
        who = self.floor["agents"][agent]
        return row["queue"] in who["queues"] and satisfies(self.need(call, at)[1], who["skills"], self.attributes(row))

    def wrong_agents(self) -> Iterator[str]:
        """Every offer to somebody who did not satisfy the stage in force when it was made."""
        for call, mine in self.segments.items():
            for offered in (row for row in mine if row["kind"] == "offered"):
                at = seconds(offered["started_at"])
                if not self.may(offered["agent"], call, at):
                    waited_s = at - self.joined_at(call)
                    yield f"{call} after {waited_s:.6f} s: {offered['agent']} for {self.need(call, at)[1]}"

    def stages_met(self) -> dict[int, int]:
        """How many calls were answered by which stage."""
        met: dict[int, int] = defaultdict(int)
        for call, mine in self.segments.items():
            (offered,) = [row for row in mine if row["kind"] == "offered"]
            met[self.need(call, seconds(offered["started_at"]))[0]] += 1
        return dict(met)

    def idle_beside_waiting(self, states: Sequence[sqlite3.Row]) -> Iterator[str]:
        """Everybody who was free for long while a call waited that he might have taken."""
        free = [
            (row["agent"], seconds(row["started_at"]), seconds(row["ended_at"]))
            for row in states
            if row["state"] == "AVAILABLE" and row["ended_at"] is not None
        ]
        for call, mine in self.segments.items():
            for waited in (row for row in mine if row["kind"] == "waited"):
                begins, ends = seconds(waited["started_at"]), seconds(waited["ended_at"])
                # Within a stage the requirement is the same
                joined_at = self.joined_at(call)
                changes = [joined_at + after_s for after_s in (5, 10) if begins < joined_at + after_s < ends]
                for start, end in zip([begins, *changes], [*changes, ends], strict=True):
                    for agent, since, until_at in free:
                        if min(end, until_at) - max(start, since) > SLOW_S and self.may(agent, call, start):
                            yield f"{agent} was free from {since} to {until_at}, {call} waited from {start} to {end}"

    def waits(self) -> tuple[list[float], list[float]]:
        """Seconds until the answer of known callers, and of all others."""
        vips, others = [], []
        for call in self.calls.values():
            wait_s = seconds(call["answered_at"]) - seconds(call["entered_at"])
            (vips if call["caller_number"] in self.tiers else others).append(wait_s)
        return vips, others


def test_the_judge_knows_right_from_wrong():
    """It says of a few agents what a reader of the expressions would say."""
    first, second, third = (stage["need"] for stage in stages_of("contracts"))
    expert, learner = {"contracts": 60, "nl": 80}, {"contracts": 40, "nl": 50}
    dutch, gold = {"language": "nl"}, {"language": "nl", "tier": "gold"}
    assert satisfies(first, expert, gold)
    assert not satisfies(first, {**expert, "nl": 79}, gold)
    assert not satisfies(first, expert, {"language": "de"})
    # Nobody knows his tier: the comparison with it does not hold
    assert not satisfies(second, learner, dutch)
    assert satisfies(second, learner, {**dutch, "tier": "silver"})
    assert not satisfies(second, learner, gold)
    assert satisfies(third, {"contracts": 1, "nl": 20}, dutch)
    assert not satisfies(third, {"contracts": 0, "nl": 20}, dutch)
    assert not satisfies(third, {"contracts": 29, "nl": 20}, gold)
    assert satisfies(third, {"contracts": 30, "nl": 20}, gold)


@pytest.mark.timeout(300)
async def test_every_agent_satisfies_the_stage_in_force(make_rig):
    floor = the_floor()
    rig = await make_rig(plan([phone(str(1001 + n), TALK) for n in range(AGENTS)], floor))
    await rig.login_all()
    callers = await dial(rig, *the_calls(list(floor["entry_points"])), rate=RATE)
    result = await finish(callers, 180.0)
    assert result.outcome("far_end_hung_up") == CALLS
    await until(rig, "everybody to be free", lambda s: s["agents"]["AVAILABLE"] == AGENTS)
    await until_idle(rig)
    status = await rig.status()
    assert (status["offered"], status["answered"], status["drift"], status["alarms"]) == (CALLS, CALLS, {}, [])
    await rig.stop_serve()

    judge = Judge(rig)
    assert len(judge.calls) == CALLS
    ends = [(row["outcome"], row["ended_by"], row["ended_at"] is not None) for row in judge.calls.values()]
    assert set(ends) == {("answered", "agent", True)}
    assert list(judge.wrong_agents()) == []
    # Of each kind there was enough for the test to mean something
    met = judge.stages_met()
    assert min(met.get(stage, 0) for stage in range(3)) >= 15, met
    states = rig.rows("SELECT * FROM agent_states ORDER BY agent, serial")
    assert list(judge.idle_beside_waiting(states)) == []
    vips, others = judge.waits()
    assert len(vips) == VIPS
    assert mean(vips) < mean(others) / 2, (mean(vips), mean(others))
