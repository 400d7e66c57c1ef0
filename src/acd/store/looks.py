"""Looks at the database from the running service: given up soon where it does not answer at all, later where it does and
takes long. Whoever asked is told in time, though the driver may take longer to let go of a database that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.domain.errors import StoreError
from acd.store.location import first_line

_T = TypeVar("_T")

ANSWERS_S = 5.0
"""A database that does not answer the simplest question in this time is away."""
QUERY_S = 28.0
"""Likewise a query. A little less than those wait who ask the service."""


class Looks:
    """On an engine that cannot write. ``fresh`` is awaited before each: it brings into the database what is on the way
    there, as far as it can."""

    def __init__(
        self,
        engine: AsyncEngine,
        name: str,
        fresh: Callable[[], Awaitable[object]] | None = None,
        *,
        answers_s: float = ANSWERS_S,
        query_s: float = QUERY_S,
    ) -> None:
        self._engine, self._name, self._fresh = engine, name, fresh
        self._answers_s, self._query_s = answers_s, query_s
        self._late: set[asyncio.Task[Any]] = set()

    async def look(self, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        """What ``work`` finds. Raises StoreError when the database is away or slow."""
        if self._fresh is not None:
            await self._fresh()
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._look(work, answered))
        try:
            either: set[asyncio.Future[Any]] = {task, answered}
            await asyncio.wait(either, timeout=self._answers_s, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and answered.done():
                await asyncio.wait({task}, timeout=self._query_s)
            if not task.done():
                given = self._query_s if answered.done() else self._answers_s
                raise StoreError(
                    f"the records in {self._name} did not answer within {given:g} s: nothing was changed, ask again later"
                )
            return task.result()
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the records in {self._name} cannot be read now: {first_line(error)}") from error
        finally:
            if not task.done():
                self._let_go(task)

    async def _look(self, work: Callable[[AsyncConnection], Awaitable[_T]], answered: asyncio.Future[None]) -> _T:
        async with self._engine.connect() as connection:
            await connection.execute(select(literal(1)))
            answered.set_result(None)
            return await work(connection)

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        self._late.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            # Nobody waits for it: what it came to must be taken all the same
            task.exception()
