"""The demonstration adds up what is true: which customers were lost, and what is callers' and what the campaign's."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import UTC, datetime

import pytest
import yaml

from acd.config.floor import parse_floor
from acd.config.problems import Problems
from acd.lab import demo
from acd.lab import demo_outbound as outbound
from acd.lab.customer_words import parse_customer
from acd.lab.customers import CustomerCall


def call(behaviour: str, ended: str, by: str = "") -> CustomerCall:
    return CustomerCall("4930", "+49", "", behaviour, 1.0, ended=ended, by=by)


@pytest.mark.parametrize(
    ("behaviour", "ended", "by", "lost"),
    [
        ("answer+talk:3", "answered", "customer", False),
        ("answer+talk:3", "answered", "far_end", False),
        ("answer+talk:3", "answered", "", True),
        ("answer+talk:3", "cancelled", "far_end", True),
        ("answer+talk:3", "broken", "", True),
        ("answer+talk:3", "", "", True),
        ("busy-after:0.2", "refused", "", False),
        ("busy-after:0.2", "cancelled", "far_end", True),
        ("never", "cancelled", "far_end", False),
        ("never", "broken", "", True),
    ],
)
def test_a_customer_is_lost_who_did_not_end_as_he_does(behaviour, ended, by, lost):
    found = outbound.lost_customers([call(behaviour, ended, by), call("never", "cancelled")])
    assert found == ([f"customer 4930 ({behaviour}): {ended or 'not ended'}"] if lost else [])


def test_attempts_of_which_nobody_knows_are_lost():
    assert outbound.lost_attempts(Counter(answered=5, busy=2)) == []
    found = outbound.lost_attempts(Counter(answered=5, unsettled=2, unknown=1))
    assert found == ["an attempt is unsettled", "an attempt is unsettled", "an attempt is unknown"]


def test_the_floor_is_one_that_the_service_takes():
    problems = Problems("floor.yaml")
    found = parse_floor(yaml.safe_dump(demo.floor()), problems).definition
    assert not problems.errors
    assert set(found.campaigns) == {outbound.CAMPAIGN}
    assert {name for name, agent in found.agents.items() if outbound.CAMPAIGN in agent.queues} == set(outbound.NAMES)
    assert not set(outbound.NAMES) & set(demo.AGENTS)
    phones = [phone for agent in demo.floor()["agents"].values() for phone in agent["phones"]]
    assert len(set(phones)) == len(phones)
    assert sum(outbound.CUSTOMERS.values()) == pytest.approx(1.0)
    for text in outbound.CUSTOMERS:
        behaviour = parse_customer(text)
        assert behaviour.talk is not None or not behaviour.answers, "nobody else would end it"


def queue(name: str, **figures: object) -> dict[str, object]:
    counts = dict.fromkeys(
        ("offered", "answered", "abandoned", "overflowed", "waiting", "talking", "longest_wait_s"), 0
    )
    usual = {**counts, **dict.fromkeys(("service_level", "asa_s", "aht_s"))}
    return {"name": name, **usual, **figures}


QUEUES = [
    queue("sales", offered=12, answered=8, abandoned=2, service_level=0.9, asa_s=2.0, aht_s=6.0, waiting=2,
          longest_wait_s=4.5, talking=1),
    queue("support", offered=5, answered=2, abandoned=3, overflowed=1, service_level=0.3, asa_s=7.0, aht_s=11.0, waiting=1,
          longest_wait_s=9.5, talking=2),
    queue("billing"),
    queue(outbound.CAMPAIGN, offered=99, answered=99, service_level=1.0, asa_s=0.0, aht_s=1.0, waiting=50,
          longest_wait_s=60.0, talking=70),
    queue(outbound.QUEUE, offered=1),
]  # fmt: skip
AGENTS = [
    {"name": "anna", "occupancy": 0.5}, {"name": "bob", "occupancy": 0.7}, {"name": "carla", "occupancy": None},
    {"name": "mina", "occupancy": 0.1},
]  # fmt: skip
CALLERS = {
    "offered": 17, "answered": 10, "abandoned": 5, "overflowed": 1, "service_level": 0.7, "asa_s": 3.0, "aht_s": 7.0,
    "occupancy": 0.6,
}  # fmt: skip


def test_callers_figures_leave_the_campaign_out():
    assert demo.inbound(demo.of_callers(QUEUES), AGENTS) == CALLERS
    assert set(demo.inbound([], []).values()) == {0, None}
    assert demo.present(demo.of_callers(QUEUES)) == {"waiting": 3, "talking": 3, "longest_wait_s": 9.5}
    assert demo.present([]) == {"waiting": 0, "talking": 0, "longest_wait_s": 0.0}


class FakeRig:
    """The service, as it counts everything together."""

    async def status(self):
        return {"offered": 117, "waiting": 53, "talking": 73, "occupancy": 0.4, "drift": {}, "alarms": []}

    async def api(self, what):
        return {what: {"queues": QUEUES, "agents": AGENTS, "campaigns": [{"name": outbound.CAMPAIGN}]}[what]}


async def test_the_live_table_tells_callers_and_the_campaign_apart(tmp_path):
    show = demo.Demo(tmp_path, 10)
    show._rig = FakeRig()
    seen = await show._look()
    assert [one["name"] for one in seen.queues] == ["sales", "support", "billing"]
    now = {"waiting": 3, "talking": 3, "longest_wait_s": 9.5, "drift": {}, "alarms": []}
    assert seen.status == {**CALLERS, **now}
    assert seen.campaigns == [{"name": outbound.CAMPAIGN, "utilisation": 0.1}]
    assert seen.agents == AGENTS
    show._last, show._rig = seen, None
    assert {name: show.summary()[name] for name in CALLERS} == CALLERS


def test_the_campaign_shows_how_its_own_agents_are_used():
    agents = [
        {"name": "anna", "occupancy": 0.9},
        {"name": "mina", "occupancy": 0.4},
        {"name": "noah", "occupancy": 0.6},
    ]
    assert outbound.live([{"name": "spring"}], agents) == [{"name": "spring", "utilisation": 0.5}]
    assert outbound.live([{"name": "spring"}], []) == [{"name": "spring", "utilisation": None}]


NEVER_DIALLED = 1_000.0
"""Attempts of this time and later were recorded, and not dialled."""


class Kept:
    """A rig's database, with whatever a campaign has left in it."""

    def __init__(
        self, attempts: list[tuple[str | None, float]], segments: list[tuple[str, str, float, float | None]]
    ) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.row_factory = sqlite3.Row
        self._db.executescript(
            "CREATE TABLE attempts (outcome, committed_at, dialled_at); CREATE TABLE calls (call, queue, ended_at);"
            "CREATE TABLE segments (call, queue, kind, started_at, ended_at);"
        )
        self._db.executemany(
            "INSERT INTO attempts VALUES (?, ?, ?)",
            [(outcome, iso(at), iso(at) if at < NEVER_DIALLED else None) for outcome, at in attempts],
        )
        self._db.executemany("INSERT INTO calls VALUES (?, ?, NULL)", [("c", outbound.CAMPAIGN), ("d", "sales")])
        self._db.executemany(
            "INSERT INTO segments VALUES (?, NULL, ?, ?, ?)",
            [(call, kind, iso(since), iso(to)) for call, kind, since, to in segments],
        )

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        return self._db.execute(sql, parameters).fetchall()


def iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def test_figures_are_those_of_the_records():
    attempts = [("answered", 100.0), ("abandoned", 105.0), ("answered", 110.0), ("answered", 120.0), ("busy", 130.0)]
    segments = [
        ("c", "talked", 90.0, 112.0), ("c", "wrapped", 112.0, 118.0), ("c", "rang", 100.0, 101.0),
        ("c", "talked", 121.0, 999.0), ("c", "talked", 122.0, None), ("d", "talked", 100.0, 130.0),
    ]  # fmt: skip
    found = outbound.Outreach(1).figures(Kept(attempts, segments), interrupted=False)  # type: ignore[arg-type]
    assert (found["attempts"], found["answered"], found["abandoned"], found["abandonment"]) == (5, 3, 1, 0.25)
    assert found["by_outcome"] == {"abandoned": 1, "answered": 3, "busy": 1}
    assert found["utilisation"] == round((12 + 6 + 9) / (6 * 30), 4)
    assert found["lost"] == 0


def test_what_was_recorded_as_the_campaign_was_paused_is_no_attempt_and_no_loss():
    kept = Kept([("answered", 100.0), ("withdrawn", NEVER_DIALLED)], [])
    found = outbound.Outreach(1).figures(kept, interrupted=False)  # type: ignore[arg-type]
    assert (found["attempts"], found["by_outcome"], found["lost"]) == (1, {"answered": 1, "not_dialled": 1}, 0)
    kept = Kept([("answered", 100.0), ("failed", 101.0)], [])
    assert outbound.Outreach(1).figures(kept, interrupted=False)["lost_why"] == ["an attempt is failed"]  # type: ignore[arg-type]


def test_what_was_broken_off_is_no_loss_but_what_broke_is():
    kept = Kept([("answered", 100.0), (None, 101.0)], [])
    assert outbound.Outreach(1).figures(kept, interrupted=False)["lost"] == 1  # type: ignore[arg-type]
    assert outbound.Outreach(1).figures(kept, interrupted=True)["lost"] == 0  # type: ignore[arg-type]
    empty = outbound.Outreach(1).figures(None, interrupted=True)
    assert (empty["attempts"], empty["abandonment"], empty["utilisation"]) == (0, None, None)
