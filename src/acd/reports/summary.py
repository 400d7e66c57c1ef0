"""Calls, counted and added up by whatever tells them apart, in one pass over ``calls`` and its facts; and their stays in
queues in the same way.

A call belongs to the interval in which it entered, wherever it ends. The total's percentiles are asked for by themselves,
and all of the total where a call has several rows: with two tags it is one call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import sqlalchemy as sa

from acd.domain.errors import ReportError
from acd.domain.values import valueclass
from acd.reports import keys
from acd.reports.ask import Ask
from acd.reports.cuts import UNITS, cut
from acd.reports.database import Database
from acd.reports.intervals import part_of
from acd.reports.measures import (
    MEASURES,
    NEEDED,
    SUMS,
    Measure,
    Rules,
    Sums,
    answered,
    percentile_sum,
    percentile_sums,
    rank_columns,
)
from acd.reports.model import Column, Row
from acd.reports.stays import was_own
from acd.store.tables import calls

Groups = dict[tuple[Any, ...], dict[str, int | None]]
"""Sums by keys."""

_ZERO = frozenset({"longest_us", *(name for name in SUMS if name.endswith("_us"))})
"""Sums that are None where there is nothing to add."""


@valueclass(frozen=True, slots=True)
class Subject:
    """What is counted: ``rows`` with the columns of calls that ``measures`` need and ``keys`` name."""

    rows: sa.FromClause
    keys: Mapping[str, Column]
    measures: Mapping[str, Measure]
    own: sa.ColumnElement[bool] = field(default_factory=sa.false)
    """Whether a row is `transferred` though nobody passed anybody on (`was_own`)."""


CALLS = Subject(calls, keys.OF_CALLS, MEASURES, was_own())


def tellable(measures: Sequence[str], by: Sequence[str]) -> tuple[str, ...]:
    """Those of some columns that can be told by these keys: a percentile of several groups cannot be made from theirs, and
    by skill a call is in as many groups as it asked for skills."""
    return tuple(name for name in measures if "skill" not in by or name not in MEASURES or not MEASURES[name].percents)


class Summary:
    """One such question, being answered."""

    def __init__(self, database: Database, ask: Ask, measures: Sequence[str], subject: Subject = CALLS) -> None:
        self._database, self._ask, self._subject = database, ask, subject
        self._measures = [subject.measures[name] for name in measures]
        needed = dict.fromkeys(need for measure in self._measures for need in measure.needs)
        self._sums = [*(name for name in needed if name in SUMS), *(["unsummed"] if "unsummed" not in needed else [])]
        self._percents = tuple(sorted({percent for measure in self._measures for percent in measure.percents}))
        self._cuts = cut(ask.period, ask.zone, ask.units) if ask.units else None
        if self._percents and "skill" in ask.by:
            raise ReportError("percentiles cannot be told by skill: leave wait_p... out of --columns")

    @property
    def columns(self) -> tuple[Column, ...]:
        """Keys first."""
        by = [keys.column_of(name) if name in UNITS else self._subject.keys[name] for name in self._ask.by]
        return (*by, *(measure.column for measure in self._measures))

    def rows(self) -> tuple[list[Row], Row, int]:
        """The rows in order, the total, and how many calls have ended and were not summed up."""
        groups = self._groups(self._ask.by)
        total = self._total(groups)
        if "skill" in self._ask.by:
            groups = self._by_skill(groups)
        if self._cuts is not None and len(self._ask.units) == len(self._ask.by):
            for label in self._cuts.labels:
                groups.setdefault(label, self._nothing())
        rows = [(*key, *self._figures(groups[key])) for key in sorted(groups, key=keys.sort_key(self._ask.by))]
        return rows, (*(None for _ in self._ask.by), *self._figures(total)), total["unsummed"] or 0

    def _figures(self, sums: Sums) -> list[Any]:
        return [measure.of(sums) for measure in self._measures]

    def _nothing(self) -> dict[str, int | None]:
        nothing: dict[str, int | None] = {name: None if name in _ZERO else 0 for name in self._sums}
        return nothing | {percentile_sum(percent): None for percent in self._percents}

    def _groups(self, by: Sequence[str]) -> Groups:
        found: Groups = {}
        for row in self._database.rows(self.sums_statement(by)):
            values = row._mapping
            sums = {name: None if values[name] is None else int(values[name]) for name in self._sums}
            found[self._key(row, by)] = self._nothing() | sums
        for key, percentiles in self._percentiles(by).items():
            found[key] |= percentiles
        return found

    def _percentiles(self, by: Sequence[str]) -> Groups:
        if not self._percents:
            return {}
        names = [percentile_sum(percent) for percent in self._percents]
        found: Groups = {}
        for row in self._database.rows(self.percentiles_statement(by)):
            waits = row.percentiles if self._database.is_postgres else [row._mapping[name] for name in names]
            found[self._key(row, by)] = dict(zip(names, waits or [None] * len(names), strict=True))
        return found

    def _total(self, groups: Groups) -> dict[str, int | None]:
        """Of all calls. Sums are added up, unless a call is in several groups; no percentile can be made from others."""
        if not self._ask.by:
            return groups[()]
        if "tag" in self._ask.by:
            return self._groups(())[()]
        total = self._nothing()
        for sums in groups.values():
            self._add(total, sums)
        return total | self._percentiles(()).get((), {})

    def _add(self, whole: dict[str, int | None], sums: Sums) -> None:
        for name in self._sums:
            before, value = whole[name], sums[name]
            if value is not None and before is not None:
                value = max(before, value) if name == "longest_us" else before + value
            whole[name] = before if value is None else value

    def _key(self, row: Any, by: Sequence[str]) -> tuple[Any, ...]:
        if not by:
            return ()
        labels = self._cuts.labels[row.part] if self._cuts is not None else ()
        return keys.in_order(self._ask, labels, tuple(row._mapping[f"by_{name}"] for name in by if name not in UNITS))

    def sums_statement(self, by: Sequence[str]) -> sa.Select[Any]:
        """What is counted and added, by these keys; none: in all."""
        rules = self._rules()
        columns = [column for column in self._subject.rows.c if column.name in NEEDED]
        names, one = self._chosen(by, [*columns, rules.threshold_us.label("threshold_us"), rules.own.label("own")])
        judged = Rules(one.c.threshold_us, rules.short_us, one.c.own)
        figures = [SUMS[name](one.c, judged).label(name) for name in self._sums]
        groups = [one.c[name] for name in names]
        return sa.select(*groups, *figures).group_by(*groups)

    def percentiles_statement(self, by: Sequence[str]) -> sa.Select[Any]:
        """The percentiles by these keys. By itself, for it needs sorting: of few columns, while sums need none and are
        made by several processes at once."""
        of = self._subject.rows.c
        names, one = self._chosen(by, [of.wait_us], answered(of), of.wait_us.is_not(None))
        if not self._database.is_postgres:
            one = sa.select(one, *rank_columns(one.c, [one.c[name] for name in names])).subquery("ranked")
        groups = [one.c[name] for name in names]
        figures = percentile_sums(one.c, self._percents, is_postgres=self._database.is_postgres)
        return sa.select(*groups, *figures).group_by(*groups)

    def _chosen(
        self, by: Sequence[str], columns: Sequence[Any], *more: sa.ColumnElement[bool]
    ) -> tuple[list[str], sa.Subquery]:
        """(names of the keys' columns, the rows asked for, with keys and ``columns``)."""
        source = rows = self._subject.rows
        picked: list[Any] = []
        tag: Any = None
        asked: Any = None
        if by and self._cuts is not None:
            source, part = part_of(self._database, self._cuts, source, rows.c.entered_at)
            picked.append(part.label("part"))
        if "tag" in by:
            source, tag = keys.with_tags(source)
        if any(name in keys.ASKED for name in by):
            source, asked = keys.with_requirement(source, rows, is_postgres=self._database.is_postgres)
        picked += [keys.expression_of(name, rows, tag, asked).label(f"by_{name}") for name in by if name not in UNITS]
        names = [column.name for column in picked]
        where = [*self._ask.in_period(rows.c.entered_at), *self._ask.filters.of(rows), *more]
        return names, sa.select(*picked, *columns).select_from(source).where(*where).subquery("one")

    def _rules(self) -> Rules:
        def us(given_s: float) -> Any:
            return sa.literal(round(given_s * 1_000_000), sa.BigInteger)

        queue = self._subject.rows.c.queue
        thresholds = [(queue == name, us(given)) for name, given in sorted(self._ask.thresholds_s.items())]
        threshold = sa.case(*thresholds, else_=us(self._ask.threshold_s)) if thresholds else us(self._ask.threshold_s)
        return Rules(threshold, us(self._ask.short_s), self._subject.own)

    def _by_skill(self, groups: Groups) -> Groups:
        """From requirements to the skills they name: each counts wherever it is named."""
        place = self._ask.by.index("skill")
        found: Groups = {}
        for key, sums in groups.items():
            for skill in keys.skills_of(key[place]):
                self._add(found.setdefault((*key[:place], skill, *key[place + 1 :]), self._nothing()), sums)
        return found


def summarize(
    database: Database, ask: Ask, measures: Sequence[str], subject: Subject = CALLS
) -> tuple[tuple[Column, ...], list[Row], Row, int]:
    """(columns, rows, total, calls without facts)."""
    summary = Summary(database, ask, measures, subject)
    return (summary.columns, *summary.rows())
