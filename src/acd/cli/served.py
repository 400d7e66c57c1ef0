"""The service as the API sees it: the engine's live floor, and what only ``acd serve`` knows: its file, its journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from acd.cli.floorfile import FloorFile
from acd.domain.attributes import Value
from acd.domain.definition import ToDialplan
from acd.domain.direction import Direction
from acd.domain.errors import RefusedError, UnknownNameError
from acd.domain.events import CallAction
from acd.domain.ports import Answer, StorePort
from acd.engine import Engine, LagMonitor, LiveFloor
from acd.engine.journal import Journal

JOURNAL_OFF = {"state": "off", "file": None, "events": 0, "waiting": 0, "detail": ""}


class ServedFloor(LiveFloor):
    """Implements ``api.ServicePort``. ``has_place``: whether the dialplan of a node has a place; ``hear``: have heard
    all that a node has said."""

    def __init__(
        self,
        engine: Engine,
        store: StorePort,
        lag: LagMonitor,
        *,
        file: FloorFile,
        journal: Journal | None,
        nodes: Callable[[], list[dict[str, Any]]],
        counters: Callable[[], Mapping[str, int]],
        has_place: Callable[[str, ToDialplan], Awaitable[bool]],
        hear: Callable[[str], Awaitable[None]],
    ) -> None:
        super().__init__(engine, store, lag, nodes=nodes, counters=counters)
        self._file = file
        self._journal = journal
        self._has_place = has_place
        self._hear = hear

    def status(self) -> dict[str, Any]:
        return super().status() | {"journal": self._journal_state()}

    def calls(self) -> list[dict[str, Any]]:
        floor = self._engine.floor
        found = super().calls()
        for one in found:
            one["direction"] = Direction.of(floor.calls[one["call"]].channel).value
            one["campaign"] = one["queue"] if one["queue"] in floor.definition.campaigns else None
        return found

    def health(self) -> tuple[bool, dict[str, Any]]:
        """A journal that stopped keeps nobody from being served."""
        ok, detail = super().health()
        return ok, detail | {"journal": self._journal_state()["state"]}

    def _journal_state(self) -> dict[str, Any]:
        return JOURNAL_OFF if self._journal is None else self._journal.state()

    async def request_call(
        self,
        call: str,
        action: CallAction,
        *,
        queue: str | None = None,
        attributes: Mapping[str, Value] | None = None,
        to: ToDialplan | None = None,
    ) -> Answer:
        floor = self._engine.floor
        if call in floor.calls:
            # Perhaps the agent's phone has just sent the caller elsewhere
            await self._hear(floor.calls[call].node)
        if call not in floor.calls:
            raise UnknownNameError("call", call)
        if queue is not None and queue not in floor.definition.queues:
            raise UnknownNameError("queue", queue)
        if to is not None:
            # The floor cannot know the dialplan, and who is sent to no place is hung up
            node, place = floor.calls[call].node, f"{to.context},{to.exten},{to.priority}"
            if not await self._has_place(node, to):
                raise RefusedError(f"call {call}: the dialplan of {node} has no {place}; the caller stays")
        answer = await self._engine.request_call(call, action, queue=queue, attributes=attributes, to=to)
        if not answer.ok:
            raise RefusedError(f"call {call}: {answer.message}")
        return answer

    def floor_in_force(self) -> dict[str, Any]:
        return self._file.in_force()

    async def compare_floor(self) -> dict[str, Any]:
        return await self._file.compare()

    async def reload_floor(self, who: str = "") -> dict[str, Any]:
        return await self._file.reload(who)
