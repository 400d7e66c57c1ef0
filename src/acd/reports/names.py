"""Whether a queue, an agent, a client or a number that somebody asks for was ever heard of: in floor.yaml or in the
records. A misspelt name must not look like a quiet day.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from acd.domain.errors import UnknownNameError
from acd.reports.ask import Filters, nearest
from acd.reports.database import Database
from acd.store.tables import agents, calls

RECENT = 100_000
"""Where nothing leads to the names, they are looked for in so many of the latest calls."""

NAMES_MAX = 10_000
_INDEXED = ("queue", "agent")


def check_names(database: Database, filters: Filters, floor: Mapping[str, Collection[str]]) -> None:
    """Raise UnknownNameError for the first name that neither the floor nor any record has. ``floor``: names by kind."""
    for kind, values in filters.given():
        for value in values:
            if value in floor.get(kind, ()) or _recorded(database, kind, value):
                continue
            near = nearest(value, {*floor.get(kind, ()), *names(database, kind)})
            raise UnknownNameError("number dialled (did)" if kind == "did" else kind, value, near)


def _recorded(database: Database, kind: str, value: str) -> bool:
    found: sa.ColumnElement[bool] = sa.exists().where(calls.c[kind] == value)
    if kind == "agent":
        found = sa.or_(found, sa.exists().where(agents.c.agent == value))
    return bool(database.one(sa.select(found))[0])


def names(database: Database, kind: str) -> list[str]:
    """The names in the records: all of queues and agents, by leaps through their index; others as far as they are recent."""
    column = calls.c[kind]
    if kind not in _INDEXED:
        recent = sa.select(column.label("name")).order_by(calls.c.entered_at.desc()).limit(RECENT).subquery()
        found = database.rows(sa.select(recent.c.name).where(recent.c.name.is_not(None)).distinct().limit(NAMES_MAX))
        return [row[0] for row in found]
    listed: list[str] = []
    (least,) = database.one(sa.select(sa.func.min(column)))
    while least is not None and len(listed) < NAMES_MAX:
        listed.append(least)
        (least,) = database.one(sa.select(sa.func.min(column)).where(column > least))
    return listed
