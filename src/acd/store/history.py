"""What was in force and who did what: the configuration's revisions and the audit log, read as calls are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.domain.errors import MisuseError
from acd.store.looks import Looks
from acd.store.tables import audit, revisions

LIMIT_MAX = 10_000


class History:
    """Every method raises StoreError when the database is away or slow. ``fresh`` as of Looks."""

    def __init__(self, engine: AsyncEngine, name: str, fresh: Callable[[], Awaitable[object]]) -> None:
        self._looks = Looks(engine, name, fresh)

    async def audit(
        self,
        *,
        limit: int = 100,
        since: float | None = None,
        until: float | None = None,
        who: str | None = None,
        action: str | None = None,
    ) -> list[dict[str, Any]]:
        """The newest entries of [``since``, ``until``), newest first: ``{"entry", "at", "who", "action", "subject",
        "detail"}``. ``who`` and ``action`` in full, or up to a colon or an underscore (``user``, ``agent``)."""
        return await self._rows(entries(limit=limit, since=since, until=until, who=who, action=action))

    async def revisions(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """What was put in force, the latest first: ``{"revision", "loaded_at", "who"}``."""
        _check_limit(limit)
        columns = (revisions.c.revision, revisions.c.loaded_at, revisions.c.who)
        query = select(*columns).order_by(revisions.c.loaded_at.desc(), revisions.c.revision).limit(limit)
        return await self._rows(query)

    async def revision(self, name: str) -> dict[str, Any] | None:
        """The latest time that a revision was put in force, as above, with its ``"detail"``; None if it never was."""
        query = select(revisions).where(revisions.c.revision == name)
        found = await self._rows(query.order_by(revisions.c.loaded_at.desc()).limit(1))
        return found[0] if found else None

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
        async def found(connection: AsyncConnection) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in await connection.execute(query)]

        return await self._looks.look(found)


def entries(
    *, limit: int, since: float | None, until: float | None, who: str | None, action: str | None
) -> Select[*tuple[Any, ...]]:
    """The query for entries of the audit log, as `History.audit`."""
    _check_limit(limit)
    wanted: list[ColumnElement[bool]] = []
    if since is not None:
        wanted.append(audit.c.at >= since)
    if until is not None:
        wanted.append(audit.c.at < until)
    for column, value, end in ((audit.c.who, who, ":"), (audit.c.action, action, "_")):
        if value is not None:
            wanted.append((column == value) | column.startswith(value + end, autoescape=True))
    return select(audit).where(*wanted).order_by(audit.c.at.desc(), audit.c.entry.desc()).limit(limit)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= LIMIT_MAX:
        raise MisuseError(f"limit must be between 1 and {LIMIT_MAX}, not {limit}")
