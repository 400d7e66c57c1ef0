"""The live floor as the API sees it: views of the floor plus the state of nodes, store and loop."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from acd.domain.errors import RefusedError, UnknownNameError
from acd.domain.events import AgentAction
from acd.domain.ports import Answer, StorePort
from acd.engine.engine import Engine
from acd.engine.lag import LagMonitor
from acd.floor import views


class LiveFloor:
    """Implements ``domain.ports.FloorPort``. ``nodes`` and ``counters`` are asked for whenever somebody looks."""

    def __init__(
        self,
        engine: Engine,
        store: StorePort,
        lag: LagMonitor,
        *,
        nodes: Callable[[], list[dict[str, Any]]],
        counters: Callable[[], Mapping[str, int]],
    ) -> None:
        self._engine = engine
        self._store = store
        self._lag = lag
        self._nodes = nodes
        self._counters = counters

    def status(self) -> dict[str, Any]:
        engine = self._engine
        return {
            **views.status(engine.floor, engine.clock().utc),
            "nodes": self._nodes(),
            "alarms": [
                {"at": a.at, "kind": a.kind, "detail": a.detail, "count": a.count, "over_at": a.over_at}
                for a in engine.alarms.values()
            ],
            "drift": dict(engine.drift),
            "database": self._store.state(),
            "loop_lag_ms": self._lag.summary_ms(),
            "counters": {**engine.counters, **self._counters()},
        }

    def queues(self) -> list[dict[str, Any]]:
        return views.queues(self._engine.floor, self._engine.clock().utc)

    def queue(self, name: str) -> dict[str, Any]:
        floor = self._engine.floor
        if name not in floor.definition.queues:
            raise UnknownNameError("queue", name, _nearest(name, list(floor.definition.queues)))
        return views.queue(floor, name, self._engine.clock())

    def agents(self) -> list[dict[str, Any]]:
        return views.agents(self._engine.floor, self._engine.clock())

    def agent(self, name: str) -> dict[str, Any]:
        return views.agent(self._engine.floor, self._find(name), self._engine.clock())

    def agent_explanation(self, name: str) -> dict[str, Any]:
        """Why an agent has no call now; raises UnknownNameError."""
        return views.agent_explanation(self._engine.floor, self._find(name))

    def calls(self) -> list[dict[str, Any]]:
        return views.calls(self._engine.floor, self._engine.clock().utc)

    async def request(
        self, agent: str, action: AgentAction, *, reason: str | None = None, phone: str | None = None
    ) -> Answer:
        answer = await self._engine.request(self._find(agent), action, reason=reason, phone=phone)
        if not answer.ok:
            raise RefusedError(f"agent {agent}: {answer.message}")
        return answer

    def health(self) -> tuple[bool, dict[str, Any]]:
        nodes = self._nodes()
        database = self._store.state()
        ok = all(node["state"] == "up" for node in nodes) and database["state"] == "ok"
        return ok, {"nodes": {node["name"]: node["state"] for node in nodes}, "database": database["state"]}

    def _find(self, name: str) -> str:
        floor = self._engine.floor
        found = floor.roster.find(name)
        if found is None:
            known = [*floor.roster.agents, *floor.roster.by_number]
            raise UnknownNameError("agent", name, _nearest(name, known))
        return found.name


def _nearest(name: str, known: list[str]) -> str | None:
    found = difflib.get_close_matches(name, known, n=1)
    return found[0] if found else None
