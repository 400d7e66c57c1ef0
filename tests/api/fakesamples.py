"""What a service may say of decisions, of an agent without a call, of a floor that is reloaded; hostile on purpose."""

from __future__ import annotations

from typing import Any

NOW = 1_763_740_800.0
HOSTILE = "\x1b[31m[red]Eve\u202e\x9b2J[/red]\r\nacd, \"x\" 'y'"

DECISIONS: list[dict[str, Any]] = [
    {
        "serial": 0, "at": NOW - 99.8, "kind": "waits", "agent": None, "offer": None, "revision": "ab12cd34",
        "detail": {"queue": "support", "requirements": {"english": 50}, "considered": 12,
                   "passed_over": {"talking": 7, "paused": 3, "skill": 2}, "position": 4},
    },
    {
        "serial": 1, "at": NOW - 80.0, "kind": "offered", "agent": "bert", "offer": "o0", "revision": "ab12cd34",
        "detail": {"rule": "longest_idle", "queue": "support", "requirements": {"english": 50},
                   "chosen": {"agent": "bert", "idle_s": 3.25, "skills": {"english": 70}}, "considered": 12,
                   "passed_over": {"talking": 9},
                   "best": [{"agent": "bert", "idle_s": 3.25}, {"agent": "anna", "idle_s": 1.0}],
                   "call_wait_s": 20.0, "trigger": "agent_free"},
    },
    {
        "serial": 2, "at": NOW - 75.0, "kind": "offer_failed", "agent": "bert", "offer": "o0", "revision": "ab12cd34",
        "detail": {"outcome": "no_answer", "detail": "rang 20 s", "consequence": "agent paused (rona)"},
    },
    {
        "serial": 3, "at": NOW - 74.0, "kind": "overflowed", "agent": None, "offer": None, "revision": "ab12cd34",
        "detail": {"after_s": 300.0, "to": "queue sales"},
    },
    {
        "serial": 4, "at": NOW - 73.0, "kind": "adopted", "agent": None, "offer": None, "revision": "ab12cd34",
        "detail": {"phase": "held", "node": "pbx1", "odd": {"deep": [1, 2]}, "name": HOSTILE},
    },
    {
        "serial": 5, "at": NOW - 72.0, "kind": "blessed", "agent": "anna", "offer": None, "revision": "ab12cd34",
        "detail": {"by": "moon"},
    },
]  # fmt: skip

OFFER: dict[str, Any] = {
    "rule": "weighted", "trigger": "stage", "queue": "support", "requirement": "english >= 50 or german in (90, 100)",
    "call_wait_s": 12.5,
    "chosen": {"agent": "bert", "idle_s": 3.25, "work_today_s": 7200.0, "skills": {"english": 70}},
    "stage": 1, "stage_after_s": 10.0, "agents": ["bert", "anna"],
    "best": [{"agent": "bert", "idle_s": 3.25}, {"agent": "anna", "idle_s": 90.0}],
    "call_score": {"score": 145.0, "rate": 2.0, "waited_s": 12.5, "head_start_s": 60.0},
    "members": 40, "able": 25, "free": 2,
    "passed_over": {"TALKING": 15, "PAUSED (lunch)": 7, "behind address 10.0.0.7, which cannot be reached": 1},
}  # fmt: skip


def _decision(serial: int, kind: str, agent: str | None = None, **detail: Any) -> dict[str, Any]:
    return {
        "serial": serial, "at": NOW - 100 + serial, "kind": kind, "agent": agent, "offer": None, "revision": "ab12cd34",
        "detail": detail,
    }  # fmt: skip


ROUTED: list[dict[str, Any]] = [
    _decision(0, "attributes", tier="gold", vip_level="3", language=HOSTILE),
    _decision(1, "preferred", queue="support", agent="anna", until_s=10.0),
    _decision(2, "waits", queue="support", requirement="billing >= 60 and english >= 80", members=40, able=3, free=0,
              passed_over={"TALKING": 3}, waiting=7, preferred="anna"),
    _decision(3, "preferred_over", queue="support", agent="anna"),
    _decision(4, "stage", queue="support", stage=1, after_s=10.0, needs="english >= 50 or german in (90, 100)"),
    _decision(5, "offered", "bert", **OFFER),
    _decision(6, "offer_failed", "bert", outcome="no_answer", detail="rang 20 s", consequence="agent paused (rona)",
              agents={"bert": "agent paused (rona)", "anna": "agent is available again"}),
    _decision(7, "breaker", "bert", group="10.0.0.7", failures=5),
    _decision(8, "overflowed", cause="unsatisfiable", after_s=15.25, to={"queue": "sales"}, **{"from": "support"}),
    _decision(9, "escalated", to="supervisors", waited_s=61.0, **{"from": "sales"}),
    _decision(10, "offered", "zoe", rule="round_robin", chosen="zoe", best="nobody else", passed_over=[1, "x"],
              call_wait_s="long", requirements=["odd"], members={"a": None}, call_score=0, moon=True),
]  # fmt: skip
"""As the routing gives them; the last is of some other service that uses the same words otherwise."""

EXPLANATION: dict[str, Any] = {
    "agent": "", "state": "AVAILABLE", "reason": None, "since": NOW - 61, "why_not": None, "phone": "IDLE",
    "breaker": None, "call": None, "held_for": [], "revision": "ab12cd34",
    "prospects": [
        {"queue": "sales", "requirement": "german >= 60 or english >= 90", "waiting": 3, "why_not": "english is 80"},
        {"queue": HOSTILE, "requirement": "anyone", "waiting": 2, "why_not": "not in the queue"},
        {"queue": "support", "requirement": "billing >= 50", "waiting": 1, "why_not": "lacks billing"},
    ],
}  # fmt: skip
WARNING = {
    "file": "/etc/acd/floor.yaml",
    "line": 3,
    "column": 5,
    "severity": "warning",
    "message": "nobody serves billing",
}
PROBLEMS: list[dict[str, Any]] = [
    {"file": "/etc/acd/floor.yaml", "line": 12, "column": 7, "severity": "error", "message": "there is no skill 'germna'",
     "excerpt": ["    need: germna >= 60", "          ^"]},
    {"file": "/etc/acd/floor.yaml", "line": 20, "column": 3, "severity": "error", "message": f"unknown key {HOSTILE!r}"},
]  # fmt: skip
_SAME: dict[str, Any] = {"added": [], "removed": [], "changed": {}}
NO_CHANGES: dict[str, Any] = {
    "skills": {"added": [], "removed": []}, "queues": _SAME, "agents": _SAME, "entry_points": _SAME, "callers": _SAME,
    "hours": _SAME, "settings": {},
}  # fmt: skip
CHANGES: dict[str, Any] = NO_CHANGES | {
    "skills": {"added": ["dutch"], "removed": []},
    "queues": {"added": [], "removed": ["old"], "changed": {"sales": {
        "stages": {"from": [{"after_s": 0.0, "need": "english >= 50"}],
                   "to": [{"after_s": 0.0, "need": "english >= 60"}, {"after_s": 20.0, "need": "anyone"}]},
        "overflow": {"from": "hangup", "to": "queue:support"}}}},
    "agents": {"added": ["zoe", HOSTILE], "removed": [], "changed": {"anna": {
        "skills": {"from": {"english": 80, "german": 20}, "to": {"english": 90, "dutch": 10}},
        "pin_hash": {"from": "the old one", "to": None}}}},
    "callers": {"added": [f"4930555{n:04}" for n in range(30)], "removed": [], "changed": {}},
    "settings": {"ageing_s": {"from": 60.0, "to": 30.0}},
}  # fmt: skip
