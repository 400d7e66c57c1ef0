"""What is said of calls, which configurations were in force, who did what: the running service's side of it.

Everything goes through the store, in order with the calls' own records, and is answered once it is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from acd.cli.masking import is_member
from acd.cli.revisiondetail import detail_of
from acd.domain.annotations import Annotation, changed_tags, checked_disposition, joined_notes
from acd.domain.definition import FloorDefinition
from acd.domain.errors import RefusedError, StoreError, UnknownNameError
from acd.domain.ports import Answer
from acd.domain.records import CallAnnotated, Record, RevisionLoaded
from acd.engine import Engine
from acd.engine.journal import Journal
from acd.records.seal import Seal
from acd.records.trail import entry
from acd.store import Store

log = logging.getLogger(__name__)

WITHIN_S = 10.0


class Tickets:
    """Waits for records to be durable. Belongs to the event loop's thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[tuple[int, asyncio.Future[bool]]] = deque()
        store.on_durable(self._settled)

    async def written(self, records: Sequence[Record]) -> None:
        """Write records and wait for them. Raises StoreError if they could not be kept, or are in memory alone;
        TimeoutError."""
        ticket = self._store.write(records, soon=True)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((ticket, future))
        async with asyncio.timeout(WITHIN_S):
            kept = await future
        if kept:
            return
        state = self._store.state()
        if state["state"] == "full":
            raise StoreError(
                f"this is not on record, but held in memory until something takes records: {state['detail']}"
            )
        raise StoreError("this could not be recorded: the database and the spill are both full or away")

    def _settled(self, ticket: int) -> None:
        while self._waiting and self._waiting[0][0] <= ticket:
            mine, future = self._waiting.popleft()
            if not future.done():
                future.set_result(self._store.durable(mine))


class Desk:
    """Implements ``api.DeskPort`` for a running service."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        seal: Seal,
        *,
        journal: Journal | None,
        mask: bool,
        operators: str | None = None,
    ) -> None:
        self.mask, self._operators = mask, operators
        self._engine, self._store, self._seal, self._journal = engine, store, seal, journal
        self._tickets = Tickets(store)
        self._one_at_a_time = asyncio.Lock()
        self._noting: set[asyncio.Task[None]] = set()
        self.disposed: Callable[[str, str], Awaitable[str | None]] | None = None
        """told what agents say of the call of an attempt; what follows"""

    def is_operator(self, uid: int, groups: Collection[int]) -> bool:
        """``DeskPort.is_operator``."""
        return is_member(uid, self._operators, groups)

    # -- calls -------------------------------------------------------------------------------------------------------

    async def annotate(self, call: str, said: Annotation) -> dict[str, Any]:
        """``DeskPort.annotate``."""
        async with self._one_at_a_time:
            live = self._engine.floor.calls.get(call)
            row = await self._store.records.call(call)
            if row is None:
                if live is None:
                    raise UnknownNameError("call", call)
                raise RefusedError(f"call {call} is not in the database yet: try again when it has caught up")
            queue, definition = row["queue"] if live is None else live.queue.name, self._engine.floor.definition
            words = definition.dispositions_of(queue)
            disposition = None if said.disposition is None else checked_disposition(said.disposition, words)
            notes = None
            if said.notes is not None:
                notes = joined_notes(row["notes"] or "", said.notes, append=said.append)
            tags = None
            if said.add_tags or said.remove_tags:
                tags = changed_tags(row["tags"] or (), said.add_tags, said.remove_tags)
            await self._tickets.written([CallAnnotated(call, disposition, notes, tags)])
            effect = None
            if disposition is not None and queue in definition.campaigns and self.disposed is not None:
                effect = await self.disposed(row["channel"], disposition)
        return {
            "call": call,
            "disposition": (row["disposition"] if disposition is None else disposition) or None,
            "notes": (row["notes"] if notes is None else notes) or None,
            "tags": list(row["tags"] or () if tags is None else tags),
            **({} if effect is None else {"effect": effect}),
        }

    async def forget(self, number: str) -> dict[str, Any]:
        """``DeskPort.forget``."""
        floor, canonical = self._engine.floor, self._seal.numbering.canonical
        wanted = canonical(number)
        remembered = tuple(known for known in floor.last_agents if canonical(known) == wanted)
        if floor.caller_key is not None:
            remembered += (floor.caller_key(number),)
        part = self._part()
        if self._journal is not None and part is not None:
            self._journal.begin_part()
        answer = await self._engine.forget_caller(remembered)
        async with asyncio.timeout(WITHIN_S):
            # The journal's thread says when by its state alone
            while part is not None and self._part() == part:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        if not await self._store.flush():
            raise StoreError(
                "the database is away, and the spill may hold what is to be erased: try again when it is back"
            )
        return {
            "forgotten": bool(answer.data.get("forgotten")),
            "configured": any(canonical(known) == wanted for known in floor.definition.callers),
            "live": [call.call for call in floor.calls.values() if canonical(call.caller_number) == wanted],
            "journal": self._part(),
        }

    def _part(self) -> str | None:
        """The file the journal is written to."""
        if self._journal is None:
            return None
        state = self._journal.state()
        return str(state["file"]) if state["state"] == "writing" else None

    # -- configuration and audit -------------------------------------------------------------------------------------

    async def revisions(self, *, limit: int) -> list[dict[str, Any]]:
        """``DeskPort.revisions``."""
        return await self._store.history.revisions(limit=limit)

    async def revision(self, name: str) -> dict[str, Any] | None:
        """``DeskPort.revision``."""
        return await self._store.history.revision(name)

    async def audit(
        self, *, limit: int, since: float | None, until: float | None, who: str | None, action: str | None
    ) -> list[dict[str, Any]]:
        """``DeskPort.audit``."""
        return await self._store.history.audit(limit=limit, since=since, until=until, who=who, action=action)

    def audited(self, who: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """``DeskPort.audited``."""
        self._store.write([entry(who, action, subject, detail, self._engine.clock().utc)])

    def dial_code(self, device: str, agent: str, action: str, answer: Answer) -> None:
        """An agent did something to himself by a dial code."""
        if answer.ok:
            self.audited(f"phone:{device}", f"agent_{action}", f"agent:{agent}", {})

    def loaded(self, definition: FloorDefinition, who: str, *, unless_last: bool = False) -> None:
        """Note that a definition is in force from now on. ``unless_last``: not if it was before (a start)."""
        at = self._engine.clock().utc
        task = asyncio.get_running_loop().create_task(self._loaded(definition, who, at, unless_last))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _loaded(self, definition: FloorDefinition, who: str, at: float, unless_last: bool) -> None:
        try:
            if unless_last and await self._is_last(definition.revision):
                return
            detail = await asyncio.to_thread(detail_of, definition, self._seal.of)
            self._store.write([RevisionLoaded(definition.revision, at, who, detail)])
        except Exception:
            # Nobody waits for it, and nothing of the floor depends on it
            log.exception("revision %s could not be noted in the records", definition.revision)

    async def _is_last(self, revision: str) -> bool:
        """Whether it was in force before; while the database is away nobody knows, and noting it twice does no harm."""
        try:
            last = await self._store.history.revisions(limit=1)
        except StoreError:
            return False
        return bool(last) and last[0]["revision"] == revision

    async def close(self) -> None:
        """Wait for what is being noted."""
        if self._noting:
            await asyncio.wait(self._noting, timeout=WITHIN_S)
