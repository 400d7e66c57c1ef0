"""Rows -> the interval they lie in, worked out by the database: on PostgreSQL by a binary search among the borders
(width_bucket), on SQLite by a seek in a table of them.

Both are given the borders that `cuts` found, so that neither has to know a time zone.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from acd.domain.values import valueclass
from acd.reports.cuts import Cuts
from acd.reports.database import Database
from acd.reports.sql import earlier, later, pick
from acd.store.times import UtcTime, to_datetime

_MOMENT = sa.TIMESTAMP(timezone=True)


@valueclass(frozen=True, slots=True)
class Overlap:
    """Rows with a beginning and an end, cut at the borders: ``source`` has one row a piece of each, in ``part``, from
    ``begins`` to ``ends``; ``where`` must hold."""

    source: sa.FromClause
    part: sa.ColumnElement[int]
    begins: sa.ColumnElement[Any]
    ends: sa.ColumnElement[Any]
    where: tuple[sa.ColumnElement[bool], ...]


def part_of(
    database: Database, cuts: Cuts, source: sa.FromClause, at: sa.ColumnElement[Any]
) -> tuple[sa.FromClause, sa.ColumnElement[int]]:
    """(``source``, joined with what is needed; the group of the moment ``at``, which must lie in the period)."""
    if database.is_postgres:
        piece = _piece(cuts, at)
        return source, _picked(list(cuts.groups), sa.Integer(), piece)
    pieces = database.lay_out(cuts)
    # A seek for each row; as a join SQLite would rather go through all borders before it
    part: sa.ColumnElement[int] = (
        sa.select(pieces.c.part)
        .where(pieces.c.begins <= at)
        .order_by(pieces.c.begins.desc())
        .limit(sa.literal_column("1"))
        .correlate_except(pieces)
        .scalar_subquery()
    )
    return source, part


def overlap(
    database: Database, cuts: Cuts, source: sa.FromClause, begins: sa.ColumnElement[Any], ends: sa.ColumnElement[Any]
) -> Overlap:
    """Cut rows that last from ``begins`` to ``ends``, both within the period."""
    if database.is_postgres:
        numbers = (
            sa.func.generate_series(_piece(cuts, begins), _piece(cuts, ends))
            .table_valued(sa.column("n", sa.Integer), name="piece")
            .render_derived()
            .lateral()
        )
        starts = _picked([to_datetime(at) for at in cuts.borders], _MOMENT, numbers.c.n)
        stops = _picked([to_datetime(at) for at in (*cuts.borders[1:], cuts.end)], _MOMENT, numbers.c.n)
        part = _picked(list(cuts.groups), sa.Integer(), numbers.c.n)
        joined: sa.FromClause = source.join(numbers, sa.true())
        where: tuple[sa.ColumnElement[bool], ...] = ()
    else:
        pieces = database.lay_out(cuts)
        before = pieces.alias("before")
        first = (
            sa.select(sa.func.max(before.c.begins))
            .where(before.c.begins <= begins)
            .correlate_except(before)
            .scalar_subquery()
        )
        joined = source.join(pieces, sa.and_(pieces.c.begins >= first, pieces.c.begins < ends))
        starts, stops, part, where = pieces.c.begins, pieces.c.ends, pieces.c.part, ()
    low, high = later(begins, starts, type_=UtcTime()), earlier(ends, stops, type_=UtcTime())
    return Overlap(joined, part, low, high, (*where, low < high))


def split(
    database: Database, cuts: Cuts, source: sa.FromClause, begins: sa.ColumnElement[Any], ends: sa.ColumnElement[Any]
) -> list[Overlap]:
    """As `overlap`, in parts that make up the whole: on PostgreSQL the many rows that lie in one interval by themselves, for
    cutting takes long."""
    if not database.is_postgres:
        return [overlap(database, cuts, source, begins, ends)]
    first, last = _piece(cuts, begins), _piece(cuts, ends)
    part = _picked(list(cuts.groups), sa.Integer(), first)
    cut_up = overlap(database, cuts, source, begins, ends)
    # PostgreSQL expects few of what it cannot see through, as it is
    crosses = sa.case((first != last, 1), else_=0) == 1
    return [
        Overlap(source, part, begins, ends, (first == last,)),
        Overlap(cut_up.source, cut_up.part, cut_up.begins, cut_up.ends, (*cut_up.where, crosses)),
    ]


def _piece(cuts: Cuts, at: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    borders = sa.literal([to_datetime(border) for border in cuts.borders], sa.ARRAY(_MOMENT))
    return sa.func.width_bucket(at, borders, type_=sa.Integer())


def _picked(values: list[Any], of: Any, piece: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    return pick(sa.literal(values, sa.ARRAY(of)), piece, type_=UtcTime() if of is _MOMENT else of)
