"""The floor's file while ``acd serve`` runs: read anew, compared with what is in force, put into force while calls wait.

What is wrong with the file is said all at once, and then nothing changes. Reading happens in a thread; the floor takes
the whole definition as one event, so no call ever sees half of it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acd.api import BadFloorError
from acd.cli import text as say
from acd.cli.floordiff import differences, summary
from acd.config.floor import LoadedFloor, load_floor
from acd.config.problems import ProblemsError
from acd.domain.definition import FloorDefinition
from acd.domain.errors import RefusedError
from acd.engine import Engine

log = logging.getLogger(__name__)


class FloorFile:
    """Exchanges the definition that ``engine``'s floor runs by. ``follow`` is told of every new one, for what else holds
    a definition; it must not fail. ``loaded`` likewise, and who asked for it."""

    def __init__(
        self,
        path: Path,
        engine: Engine,
        follow: Callable[[FloorDefinition], None],
        loaded: Callable[[FloorDefinition, str], None] | None = None,
    ) -> None:
        self._path = path
        self._engine = engine
        self._follow = follow
        self._loaded = loaded
        self._since = engine.floor.started_at
        self._previous: str | None = None
        self._reloads = 0
        self._one_at_a_time = asyncio.Lock()
        self._reloading: set[asyncio.Task[dict[str, Any]]] = set()

    def in_force(self) -> dict[str, Any]:
        """``ServicePort.floor_in_force``."""
        definition = self._engine.floor.definition
        return {
            "file": str(self._path),
            "revision": definition.revision,
            "since": self._since,
            "previous": self._previous,
            "reloads": self._reloads,
            "queues": len(definition.queues),
            "agents": len(definition.agents),
            "entry_points": len(definition.entry_points),
            "callers": len(definition.callers),
            "skills": list(definition.skills),
            "pause_reasons": list(definition.pause_reasons),
        }

    async def compare(self) -> dict[str, Any]:
        """``ServicePort.compare_floor``."""
        return (await self._look())[1]

    async def reload(self, who: str = "") -> dict[str, Any]:
        """``ServicePort.reload_floor``. Once begun it is brought to its end, whether or not anybody still waits."""
        task = asyncio.ensure_future(self._reload(who))
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)
        return await asyncio.shield(task)

    async def _reload(self, who: str) -> dict[str, Any]:
        async with self._one_at_a_time:
            loaded, found = await self._look()
            if found["new_revision"] == found["revision"]:
                message = f"nothing changed: revision {found['revision']} is in force already"
                log.info("asked to reload the floor: %s", message)
                return found | {"message": message, "reloaded": False}
            try:
                answer = await self._engine.edit_floor(loaded.definition)
            finally:
                # Even if it could not be recorded, or nobody answered in time: what counts is what the floor goes by
                if self._engine.floor.definition.revision == loaded.definition.revision:
                    self._exchanged(loaded.definition, found["revision"], who)
            if not answer.ok:
                raise RefusedError(f"{self._path} was not put into force: {answer.message}")
        log.info("floor %s is in force instead of %s: %s", found["new_revision"], found["revision"], found["summary"])
        for warning in loaded.warnings:
            log.warning("%s", warning)
        message = f"revision {found['new_revision']} is in force: {found['summary']}"
        if answer.data.get("calls"):
            message += f"; {answer.data['calls']}"
        return found | {"message": message, "reloaded": True}

    def _exchanged(self, definition: FloorDefinition, previous: str, who: str) -> None:
        self._since, self._previous = self._engine.clock().utc, previous
        self._reloads += 1
        self._follow(definition)
        if self._loaded is not None:
            self._loaded(definition, who)
        # What was defined stays until the next time: the collector need not look at it amid calls
        gc.freeze()

    async def _look(self) -> tuple[LoadedFloor, dict[str, Any]]:
        old = self._engine.floor.definition
        with _without_collecting():
            return await asyncio.to_thread(self._compared, old)

    def _compared(self, old: FloorDefinition) -> tuple[LoadedFloor, dict[str, Any]]:
        try:
            loaded = load_floor(self._path)
        except ProblemsError as error:
            errors = sum(problem.severity == "error" for problem in error.found)
            message = (
                f"{self._path} cannot be used ({say.counted(errors, 'error')}): revision {old.revision} stays in force"
            )
            raise BadFloorError(message, [problem.as_json() for problem in error.found]) from None
        changes = differences(old, loaded.definition)
        same = old.revision == loaded.definition.revision
        return loaded, {
            "file": str(self._path),
            "revision": old.revision,
            "new_revision": loaded.definition.revision,
            "changes": changes,
            "summary": summary(changes) or ("nothing" if same else "the order of things"),
            "warnings": [problem.as_json() for problem in loaded.warnings],
        }


@contextmanager
def _without_collecting() -> Iterator[None]:
    """A large file makes millions of objects, and every collection amid them would hold the event loop up."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
