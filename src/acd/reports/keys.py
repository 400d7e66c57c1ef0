"""What the rows of a report can be told apart by, besides intervals of the calendar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from acd.domain.expression_parser import ExpressionError, tree_of
from acd.domain.expression_tree import Skill, operands_of
from acd.reports.ask import Ask
from acd.reports.cuts import UNITS, order
from acd.reports.model import Column, Kind
from acd.reports.sql import elements, member
from acd.store.tables import calls, decisions

_TEXT = Kind.TEXT
OF_CALLS: dict[str, Column] = {
    "queue": Column("queue", "QUEUE", _TEXT, "the queue the call was in last"),
    "agent": Column("agent", "AGENT", _TEXT, "who answered first; none: nobody did"),
    "client": Column("client", "CLIENT", _TEXT, "for whom the call was handled"),
    "did": Column("did", "DID", _TEXT, "the number that was dialled"),
    "node": Column("node", "NODE", _TEXT, "the Asterisk that had the call"),
    "outcome": Column("outcome", "OUTCOME", _TEXT, "how the call ended; none: it has not"),
    "ended_by": Column("ended_by", "ENDED BY", _TEXT, "caller, agent, system or unknown"),
    "disposition": Column("disposition", "DISPOSITION", _TEXT, "what the agent said became of it"),
    "tag": Column("tag", "TAG", _TEXT, "a call is counted once for each of its tags"),
    "requirement": Column("requirement", "REQUIREMENT", _TEXT, "what was asked of agents when the call came"),
    "skill": Column("skill", "SKILL", _TEXT, "a call is counted once for each skill it asked for"),
}

OF_STAYS: dict[str, Column] = {
    "queue": Column("queue", "QUEUE", _TEXT, "the queue that was entered"),
    "agent": Column("agent", "AGENT", _TEXT, "who answered there; none: nobody did"),
    **{name: OF_CALLS[name] for name in ("client", "did", "node", "requirement", "skill")},
}

_INTERVALS = {
    "15min": "QUARTER HOUR", "30min": "HALF HOUR", "hour": "HOUR", "day": "DAY", "week": "WEEK", "month": "MONTH",
    "weekday": "WEEKDAY", "hour_of_day": "HOUR OF DAY",
}  # fmt: skip

ANYONE = "anyone"
"""The skill of calls that asked for none."""


def column_of(name: str) -> Column:
    """The column of an interval."""
    return Column(name, _INTERVALS[name], Kind.INTERVAL, f"the {_INTERVALS[name].lower()} in which the call entered")


ASKED = ("requirement", "skill")
"""Keys that are told by what was asked for."""


def with_requirement(
    source: sa.FromClause, rows: sa.FromClause, *, is_postgres: bool
) -> tuple[sa.FromClause, sa.ColumnElement[Any]]:
    """``source`` with what was asked of agents for the call of each of its ``rows``, in the first decision that says it;
    found in the decisions, for the call's own row does not tell."""
    text = member(decisions.c.detail, sa.literal_column("'requirement'"))
    first = (
        sa.select(text.label("requirement"))
        .where(decisions.c.call == rows.c.call, text.is_not(None))
        .order_by(decisions.c.serial)
        .limit(1)
        .correlate(rows)
    )
    if not is_postgres:
        return source, first.scalar_subquery()
    # As a column it would be taken for another in every call, and all calls be sorted by it to be grouped
    asked = first.lateral("asked")
    return source.outerjoin(asked, sa.true()), asked.c.requirement


def expression_of(name: str, rows: sa.FromClause, tag: Any, asked: Any) -> sa.ColumnElement[Any]:
    """The SQL of a key of ``rows``; ``tag`` is the column of the joined tags, ``asked`` what was asked of agents."""
    if name == "tag" or name in ASKED:
        value: sa.ColumnElement[Any] = tag if name == "tag" else asked
        return value
    column: sa.ColumnElement[Any] = rows.c[name]
    return column


def with_tags(source: sa.FromClause) -> tuple[sa.FromClause, Any]:
    """``source`` with a row a tag (calls without any stay, with none), and the tag's column."""
    tags = elements(calls.c.tags).table_valued("value", name="tags")
    return source.outerjoin(tags, sa.true()), tags.c.value


def skills_of(requirement: str | None) -> Sequence[str | None]:
    """The skills that a requirement's text names; (ANYONE,) if none, (None,) if there is no text."""
    if requirement is None:
        return (None,)
    try:
        tree = tree_of(requirement, _Any())
    except ExpressionError:
        return (requirement,)
    names = {operand.name for operand in operands_of(tree) if isinstance(operand, Skill)}
    return sorted(names) or (ANYONE,)


def by_skills(by: Sequence[str], groups: Mapping[tuple[Any, ...], Sequence[int]]) -> dict[tuple[Any, ...], list[int]]:
    """Sums of groups that are told by requirement, in the place of the skill, as those of the skills that they name: each
    counts wherever it is named. As they are where nothing is told by skill."""
    found: dict[tuple[Any, ...], list[int]] = {}
    place = by.index("skill") if "skill" in by else None
    for key, sums in groups.items():
        for skill in (None,) if place is None else skills_of(key[place]):
            told = key if place is None else (*key[:place], skill, *key[place + 1 :])
            before = found.get(told, [0] * len(sums))
            found[told] = [one + other for one, other in zip(before, sums, strict=True)]
    return found


class _Any(frozenset[str]):
    """Every word is a skill: the floor of that day may have known others than today's."""

    def __contains__(self, _: object) -> bool:
        return True


def sort_key(by: Sequence[str]) -> Callable[[tuple[Any, ...]], Any]:
    """Orders rows by their keys: intervals as time goes by, texts as texts, what is not known last."""

    def key(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            (value is None, order(value, name) if name in UNITS and value is not None else value or "")
            for name, value in zip(by, row, strict=False)
        )

    return key


def in_order(ask: Ask, labels: tuple[str, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row's keys in the order of ``ask.by``: labels of intervals and the other keys, each in their own order."""
    one, two = iter(labels), iter(others)
    return tuple(next(one) if name in UNITS else next(two) for name in ask.by)
