"""A floor and records that implement the ports with plain data, for tests of what stands on them (HTTP, CLI).

The floor does what it is asked (log in, pause...) so that effects can be seen; hostile caller names are on purpose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fakesamples import CHANGES, DECISIONS, EXPLANATION, HOSTILE, NO_CHANGES, NOW, ROUTED, WARNING

from acd.api import BadFloorError
from acd.domain.attributes import Value
from acd.domain.definition import ToDialplan
from acd.domain.errors import RefusedError, StoreError, UnknownNameError
from acd.domain.events import AgentAction, CallAction
from acd.domain.ports import Answer

STATES = ("LOGGED_OUT", "AVAILABLE", "RESERVED", "RINGING", "TALKING", "WRAP_UP", "PAUSED")


def make_agent(number: int, state: str, **more: Any) -> dict[str, Any]:
    """One agent as FloorPort gives it."""
    names = ("anna", "bert", "carla", "dora", "emil", "frida", "gustav", "hanna", "ida", "jan", "karl", "lena")
    name = names[number % len(names)] + ("" if number < len(names) else str(number // len(names)))
    return {
        "name": name,
        "display_name": name.title(),
        "number": str(1001 + number),
        "state": state,
        "reason": "lunch" if state == "PAUSED" else None,
        "since": NOW - 61 - number,
        "in_state_s": 61.0 + number,
        "phone_state": {"TALKING": "BUSY", "RINGING": "RINGING", "LOGGED_OUT": "UNREACHABLE"}.get(state, "IDLE"),
        "phones": {f"PJSIP/{1001 + number}": "IDLE"},
        "queues": ["support"] if number % 2 else ["support", "sales"],
        "skills": {"english": 80, "billing": 10 + number},
        "call": f"c{number}" if state == "TALKING" else None,
        "pending": "logout" if number == 4 else None,
        "cool_down_s": None,
        "calls_taken": 7 + number,
        "rona": number % 3,
        "occupancy": 0.5,
        **more,
    }


def make_call(number: int, state: str = "WAITING", **more: Any) -> dict[str, Any]:
    """One live call as FloorPort gives it."""
    return {
        "call": f"c{number}",
        "state": state,
        "queue": "support",
        "did": "4001",
        "caller_number": f"+4930123{number:03}",
        "caller_name": HOSTILE if number == 1 else f"Caller {number}",
        "entered_at": NOW - 30 + number,
        "wait_s": 30.0 - number,
        "talk_s": 12.5 if state == "TALKING" else 0.0,
        "priority": 0,
        "position": number if state == "WAITING" else None,
        "requirement": "english >= 50",
        "stage": 0,
        "preferred": None,
        "attributes": {"tier": "gold", "note": HOSTILE},
        "expected_wait": None,
        "agent": "emil" if state == "TALKING" else None,
        "offer": None,
        "node": "pbx1",
        "channel": f"1763740800.{number}",
        "linkedid": f"1763740800.{number}",
        **more,
    }


def make_queue(name: str, **more: Any) -> dict[str, Any]:
    """One queue as FloorPort gives it."""
    return {
        "name": name,
        "agent_selection": "longest_idle",
        "stages": [{"after_s": 0.0, "needs": "english >= 50"}],
        "open": True,
        "max_length": None,
        "ring_timeout_s": 20.0,
        "wrap_up_s": 10.0,
        "max_wait_s": 300.0,
        "overflow": "queue sales",
        "service_level_s": 20.0,
        "priority": 0,
        "waiting": 0,
        "longest_wait_s": 0.0,
        "talking": 0,
        "agents": {"AVAILABLE": 2, "TALKING": 1},
        "expected_wait": None,
        "estimates": {"method": "mean", "measured": 0, "relative_error": None, "held": None, "errors": {}},
        "offered": 0,
        "answered": 0,
        "abandoned": 0,
        "overflowed": 0,
        "transferred": 0,
        "lost_track": 0,
        "service_level": None,
        "asa_s": None,
        "aht_s": None,
        **more,
    }


class FakeFloor:
    """ServicePort over plain lists. ``healthy``, ``broken``, ``journal``, ``floor_problems`` are for tests to set."""

    def __init__(self, agents: int = 12) -> None:
        cycle = (
            "TALKING",
            "AVAILABLE",
            "PAUSED",
            "RINGING",
            "TALKING",
            "WRAP_UP",
            "TALKING",
            "LOGGED_OUT",
            "AVAILABLE",
        )
        self.agent_list = [make_agent(number, cycle[number % len(cycle)]) for number in range(agents)]
        self.call_list = [make_call(1), make_call(2), make_call(4, "TALKING")]
        self.queue_list = [
            make_queue(
                "support", waiting=2, longest_wait_s=29.0, talking=3, offered=120, answered=101, abandoned=9, overflowed=1,
                service_level=0.815, asa_s=11.2, aht_s=203.0, agents={"AVAILABLE": 2, "TALKING": 3, "PAUSED": 1},
                expected_wait={"wait_s": 45.0, "low_s": 20.0, "high_s": 110.0, "method": "head_of_line"},
                estimates={"method": "head_of_line", "measured": 120, "relative_error": 0.234, "held": 0.9,
                           "errors": {"mean": 0.4, "head_of_line": 0.234}},
            ),
            make_queue("sales", waiting=1, longest_wait_s=4.0, talking=1, offered=40, answered=40, service_level=1.0,
                       asa_s=2.0),
            make_queue("billing"),
        ]  # fmt: skip
        self.requests: list[tuple[str, AgentAction, str | None, str | None]] = []
        self.call_requests: list[tuple[str, CallAction, str | None, dict[str, Value]]] = []
        self.sent_to: list[ToDialplan | None] = []
        self.explanation = EXPLANATION
        self.changes: dict[str, Any] = CHANGES
        self.floor_problems: list[dict[str, Any]] = []
        self.reloads = 0
        self.journal: dict[str, Any] = {"state": "off", "file": None, "events": 0, "waiting": 0, "detail": ""}
        self.healthy = True
        self.broken: Exception | None = None
        self.hang: asyncio.Event | None = None

    def status(self) -> dict[str, Any]:
        if self.broken:
            raise self.broken
        agents = dict.fromkeys(STATES, 0)
        for agent in self.agent_list:
            agents[agent["state"]] += 1
        return {
            "now": NOW,
            "started_at": NOW - 8040,
            "revision": "ab12cd34",
            "epoch": 7,
            "nodes": [
                {"name": "pbx1", "state": "up", "version": "22.10.1", "since": NOW - 8000, "detail": ""},
                {
                    "name": "pbx2",
                    "state": "lost",
                    "version": "22.10.1",
                    "since": NOW - 12,
                    "detail": "no answer to ping",
                },
            ],
            "queues": len(self.queue_list),
            "waiting": sum(queue["waiting"] for queue in self.queue_list),
            "longest_wait_s": 29.0,
            "talking": 4,
            "agents": agents,
            "phones": {"IDLE": 7, "BUSY": 3, "RINGING": 1, "UNREACHABLE": 1},
            "offered": 160,
            "answered": 141,
            "abandoned": 9,
            "overflowed": 1,
            "transferred": 2,
            "lost_track": 0,
            "unrouted": 1,
            "service_level": 0.86,
            "asa_s": 8.6,
            "aht_s": 190.4,
            "occupancy": 0.74,
            "alarms": [{"at": NOW - 12, "kind": "node_lost", "detail": "pbx2: no answer to ping", "count": 2}],
            "drift": {"phone_state": 3},
            "database": {"state": "ok", "spilled": 0, "spilled_bytes": 0, "lag_ms": 4.2},
            "loop_lag_ms": {"p99": 1.2, "max": 8.0},
            "counters": {"ami_events": 4711, "agi sessions": 12, "calls_offered": 5},
            "journal": self.journal,
        }

    def queues(self) -> list[dict[str, Any]]:
        return self.queue_list

    def queue(self, name: str) -> dict[str, Any]:
        for queue in self.queue_list:
            if queue["name"] == name:
                calls = [call for call in self.call_list if call["queue"] == name]
                return {**queue, "calls": calls, "members": [a for a in self.agent_list if name in a["queues"]]}
        raise UnknownNameError("queue", name)

    def agents(self) -> list[dict[str, Any]]:
        return self.agent_list

    def agent(self, name: str) -> dict[str, Any]:
        for agent in self.agent_list:
            if name in (agent["name"], agent["number"]):
                return agent
        raise UnknownNameError("agent", name)

    def calls(self) -> list[dict[str, Any]]:
        return self.call_list

    async def request(
        self, agent: str, action: AgentAction, *, reason: str | None = None, phone: str | None = None
    ) -> Answer:
        if self.hang is not None:
            await self.hang.wait()
        found = self.agent(agent)
        self.requests.append((agent, action, reason, phone))
        if action is AgentAction.PAUSE and reason == "holiday":
            raise RefusedError(f"{agent} cannot pause for 'holiday': the reasons are pause, lunch")
        if action is AgentAction.RESUME and found["state"] == "LOGGED_OUT":
            return Answer(False, f"{agent} is logged out: log in first", {})
        if found["state"] == "TALKING":
            found["pending"] = "logout" if action is AgentAction.LOGOUT else f"pause:{reason}"
            return Answer(True, f"{agent}: after this call", {"state": "TALKING", "pending": found["pending"]})
        wanted = {"login": "AVAILABLE", "logout": "LOGGED_OUT", "pause": "PAUSED", "resume": "AVAILABLE"}
        found["state"], found["reason"] = wanted[action], reason
        return Answer(True, f"{agent} is {found['state']}", {"state": found["state"], "pending": None})

    def health(self) -> tuple[bool, dict[str, Any]]:
        return self.healthy, {"nodes": {"pbx1": "up"}, "database": "ok", "journal": self.journal["state"]}

    def agent_explanation(self, name: str) -> dict[str, Any]:
        return {**self.explanation, "agent": self.agent(name)["name"]}

    async def request_call(
        self,
        call: str,
        action: CallAction,
        *,
        queue: str | None = None,
        attributes: Mapping[str, Value] | None = None,
        to: ToDialplan | None = None,
    ) -> Answer:
        found = next((live for live in self.call_list if live["call"] == call), None)
        if found is None:
            raise UnknownNameError("call", call)
        if queue is not None and queue not in {known["name"] for known in self.queue_list}:
            raise UnknownNameError("queue", queue)
        self.call_requests.append((call, action, queue, dict(attributes or {})))
        if action is CallAction.TRANSFER:
            self.sent_to.append(to)
            return Answer(True, f"sent to {to.context},{to.exten},{to.priority}" if to else f"waits in {queue}", {})
        if found["state"] == "TALKING" and action is CallAction.ESCALATE and queue is None:
            return Answer(False, f"queue {found['queue']} escalates to no other: name one", {})
        if action is CallAction.ESCALATE:
            found["queue"] = queue or "sales"
            return Answer(True, f"passed on to {found['queue']}", {"queue": found["queue"]})
        return Answer(True, f"{len(attributes or {})} set", {"attributes": dict(attributes or {})})

    def floor_in_force(self) -> dict[str, Any]:
        return {
            "file": "/etc/acd/floor.yaml",
            "revision": "ab12cd34" if not self.reloads else "ef56ab78",
            "since": NOW - 3600,
            "previous": None if not self.reloads else "ab12cd34",
            "reloads": self.reloads,
            "queues": len(self.queue_list),
            "agents": len(self.agent_list),
            "entry_points": 2,
            "callers": 1,
            "skills": ["billing", "english"],
            "pause_reasons": ["pause", "lunch"],
        }

    async def compare_floor(self) -> dict[str, Any]:
        if self.floor_problems:
            raise BadFloorError("/etc/acd/floor.yaml cannot be used (2 errors)", self.floor_problems)
        return {
            "file": "/etc/acd/floor.yaml",
            "revision": "ab12cd34",
            "new_revision": "ab12cd34" if self.changes is NO_CHANGES else "ef56ab78",
            "changes": self.changes,
            "summary": "nothing" if self.changes is NO_CHANGES else "1 queue changed, 2 agents added",
            "warnings": [WARNING],
        }

    async def reload_floor(self, who: str = "") -> dict[str, Any]:
        if self.hang is not None:
            await self.hang.wait()
        found = await self.compare_floor()
        self.reloads += 1
        return found | {"message": f"revision {found['new_revision']} is in force", "reloaded": True}


def make_row(number: int = 1, **more: Any) -> dict[str, Any]:
    """One call row as RecordsPort gives it: 0.2 s entry, 28.7 s wait, 4.1 s ringing, 61.5 s talk, 0.5 s after."""
    return {
        "call": f"r{number}",
        "node": "pbx1",
        "channel": f"1763740700.{number}",
        "linkedid": f"1763740700.{number}",
        "did": "4001",
        "caller_number": "+4930123456",
        "caller_name": HOSTILE if number == 1 else "Bob",
        "queue": "support",
        "priority": 0,
        "entered_at": NOW - 100.0,
        "answered_at": NOW - 67.0,
        "ended_at": NOW - 5.0,
        "outcome": "answered",
        "ended_by": "caller",
        "cause": 16,
        "target": None,
        "agent": "anna",
        "wait_s": 33.0,
        "talk_s": 61.5,
        "length_s": 95.0,
        **more,
    }


def make_segments() -> list[dict[str, Any]]:
    """The segments of `make_row`, end to end, and the agent's wrap-up behind them."""
    at = NOW - 100.0
    segments = []
    for serial, (kind, length, agent, outcome) in enumerate(
        (
            ("entered", 0.2, None, None),
            ("waited", 28.7, None, None),
            ("offered", 0.1, "anna", None),
            ("rang", 4.0, "anna", "answered"),
            ("talked", 61.5, "anna", None),
            ("after", 0.5, None, None),
            ("wrapped", 10.0, "anna", None),
        )
    ):
        start = at if kind != "wrapped" else NOW - 5.5
        segments.append(
            {"serial": serial, "kind": kind, "queue": "support", "agent": agent, "offer": "o1" if agent else None,
             "started_at": start, "ended_at": start + length, "length_s": length, "outcome": outcome}
        )  # fmt: skip
        at += length
    return segments


class FakeRecords:
    """RecordsPort over plain lists; ``asked`` keeps the filters it was given."""

    def __init__(self) -> None:
        self.rows = [make_row(1), make_row(2, caller_number="+4940999", outcome="abandoned", agent=None, answered_at=None,
                                           wait_s=12.0, talk_s=None, length_s=12.0, ended_at=NOW - 88.0)]  # fmt: skip
        self.asked: list[dict[str, Any]] = []
        self.away = False
        self.hang: asyncio.Event | None = None

    async def calls(self, **filters: Any) -> list[dict[str, Any]]:
        if self.hang is not None:
            await self.hang.wait()
        if self.away:
            raise StoreError("the database does not answer: is its disk full?")
        self.asked.append(filters)
        wanted = {"queue": "queue", "agent": "agent", "outcome": "outcome", "number": "caller_number"}
        rows = [r for r in self.rows if all(filters[k] in (None, r[key]) for k, key in wanted.items())]
        rows = [r for r in rows if filters["since"] is None or r["entered_at"] >= filters["since"]]
        return rows[: filters["limit"]]

    async def call(self, call: str) -> dict[str, Any] | None:
        row = next((row for row in self.rows if row["call"] == call), None)
        return None if row is None else {**row, "segments": make_segments() if call == "r1" else []}

    async def decisions(self, call: str) -> list[dict[str, Any]]:
        return {"r1": DECISIONS, "r2": ROUTED}.get(call, [])
