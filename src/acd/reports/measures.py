"""The figures of calls: which whole numbers the database adds up, and what is made of them. docs/reports.md explains
each formula and where it comes from.

The database only counts and adds whole microseconds, and every division is done here: so a report is the same to the last
digit on SQLite, on PostgreSQL, and on paper. ``c`` are a call's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from acd.domain.states import CallOutcome
from acd.domain.values import valueclass
from acd.reports.model import Column, Kind, mean_s, ratio, seconds
from acd.reports.sql import percent_rank_row

Sums = Mapping[str, int | None]
Expression = sa.ColumnElement[Any]

PERCENTS = (50, 80, 90, 95)


@valueclass(frozen=True, slots=True)
class Rules:
    """By which a call is judged: SQL expressions, in microseconds; ``own``: whether it was an agent's own call, in whose
    place he joined his caller."""

    threshold_us: Expression
    short_us: Expression
    own: Expression


def _ended(c: Any) -> Expression:
    ended: Expression = c.ended_at.is_not(None)
    return ended


def answered(c: Any) -> Expression:
    """An agent and the caller talked, and the call is over."""
    return sa.and_(c.ended_at.is_not(None), c.answered_at.is_not(None))


def _outcome(c: Any, outcome: CallOutcome) -> Expression:
    return sa.and_(c.ended_at.is_not(None), c.answered_at.is_(None), c.outcome == outcome.value)


def _abandoned(c: Any) -> Expression:
    return _outcome(c, CallOutcome.ABANDONED)


def _handled(c: Any) -> Expression:
    return sa.and_(answered(c), c.talk_us.is_not(None), c.wrap_us.is_not(None))


def _count(where: Expression) -> Expression:
    return sa.func.count().filter(where)


def _sum(of: Expression, where: Expression) -> Expression:
    return sa.func.sum(of).filter(where)


SUMS: dict[str, Callable[[Any, Rules], Expression]] = {
    "offered": lambda c, rules: sa.func.count(),
    "open": lambda c, rules: _count(c.ended_at.is_(None)),
    "unsummed": lambda c, rules: _count(sa.and_(_ended(c), c.wait_us.is_(None))),
    "answered": lambda c, rules: _count(answered(c)),
    "in_time": lambda c, rules: _count(sa.and_(answered(c), c.wait_us <= rules.threshold_us)),
    "timed": lambda c, rules: _count(sa.and_(answered(c), c.wait_us.is_not(None))),
    "abandoned": lambda c, rules: _count(_abandoned(c)),
    "abandoned_timed": lambda c, rules: _count(sa.and_(_abandoned(c), c.wait_us.is_not(None))),
    "short": lambda c, rules: _count(sa.and_(_abandoned(c), c.wait_us < rules.short_us)),
    "overflowed": lambda c, rules: _count(_outcome(c, CallOutcome.OVERFLOWED)),
    "fallback": lambda c, rules: _count(_outcome(c, CallOutcome.FALLBACK)),
    "lost_track": lambda c, rules: _count(_outcome(c, CallOutcome.LOST_TRACK)),
    "passed_on": lambda c, rules: _count(_outcome(c, CallOutcome.TRANSFERRED)),
    "transferred": lambda c, rules: _count(
        sa.and_(answered(c), c.outcome == CallOutcome.TRANSFERRED.value, sa.not_(rules.own))
    ),
    "wait_answered_us": lambda c, rules: _sum(c.wait_us, answered(c)),
    "wait_abandoned_us": lambda c, rules: _sum(c.wait_us, _abandoned(c)),
    "longest_us": lambda c, rules: sa.func.max(c.wait_us),
    "handled": lambda c, rules: _count(_handled(c)),
    "talk_us": lambda c, rules: _sum(c.talk_us, _handled(c)),
    "hold_us": lambda c, rules: _sum(c.hold_us, _handled(c)),
    "wrap_us": lambda c, rules: _sum(c.wrap_us, _handled(c)),
    "offers": lambda c, rules: sa.func.sum(c.offers),
    "ronas": lambda c, rules: sa.func.sum(c.ronas),
}
"""Name: what the database adds up over a group of calls."""

NEEDED = (*("ended_at", "answered_at", "outcome", "wait_us", "talk_us", "hold_us", "wrap_us", "offers", "ronas"),)
"""The columns of a call that SUMS are made of."""


def percentile_sum(percent: int) -> str:
    """The name among the sums of a percentile of the answered calls' waits."""
    return f"p{percent}_us"


def rank_columns(c: Any, keys: list[Any]) -> list[Any]:
    """SQLite, for percentiles: ``wait_rank`` (from 1) of a wait within its group, and ``waits``, how many there are."""
    order = sa.func.row_number().over(partition_by=keys, order_by=c.wait_us)
    return [order.label("wait_rank"), sa.func.count().over(partition_by=keys).label("waits")]


def percentile_sums(c: Any, percents: tuple[int, ...], *, is_postgres: bool) -> list[Any]:
    """The percentiles of ``c.wait_us``: on PostgreSQL one column, a list (one sort for all); on SQLite one each."""
    if is_postgres:
        shares = sa.cast(sa.literal([percent / 100 for percent in percents], sa.ARRAY(sa.Double)), sa.ARRAY(sa.Double))
        return [sa.func.percentile_disc(shares).within_group(c.wait_us).label("percentiles")]
    return [
        sa.func.max(c.wait_us).filter(c.wait_rank == percent_rank_row(percent, c.waits)).label(percentile_sum(percent))
        for percent in percents
    ]


@valueclass(frozen=True, slots=True)
class Measure:
    """A column of figures: the sums it needs, and what is made of them."""

    column: Column
    needs: tuple[str, ...]
    of: Callable[[Sums], Any]

    @property
    def percents(self) -> tuple[int, ...]:
        """The percentiles it needs."""
        return tuple(percent for percent in PERCENTS if percentile_sum(percent) in self.needs)


def _n(sums: Sums, name: str) -> int:
    return sums[name] or 0


def _judged(sums: Sums) -> int:
    return _n(sums, "answered") + _n(sums, "abandoned")


def _counted(name: str, title: str, meaning: str, needs: str = "") -> Measure:
    source = needs or name
    return Measure(Column(name, title, Kind.COUNT, meaning), (source,), lambda sums: _n(sums, source))


def _mean(name: str, title: str, meaning: str, total: str, count: str) -> Measure:
    column = Column(name, title, Kind.SECONDS, meaning)
    return Measure(column, (total, count), lambda sums: mean_s(sums[total], _n(sums, count)))


def _share(name: str, title: str, meaning: str, part: str, whole: tuple[str, ...], less: str = "") -> Measure:
    column = Column(name, title, Kind.SHARE, meaning)
    return Measure(
        column,
        (part, *whole, *([less] if less else [])),
        lambda sums: ratio(_n(sums, part), sum(_n(sums, name) for name in whole) - (_n(sums, less) if less else 0)),
    )


def _handle_s(sums: Sums) -> float | None:
    total = _n(sums, "talk_us") + _n(sums, "hold_us") + _n(sums, "wrap_us")
    return mean_s(total, _n(sums, "handled"))


def _percentile(percent: int) -> Measure:
    name = percentile_sum(percent)
    meaning = f"{percent} of 100 answered calls waited so long or less"
    return Measure(
        Column(f"wait_p{percent}_s", f"P{percent}", Kind.SECONDS, meaning), (name,), lambda s: seconds(s[name])
    )


_ALL = (
    _counted("offered", "OFFERED", "calls that entered"),
    _counted("answered", "ANSWERED", "an agent and the caller talked, and the call is over"),
    _counted("abandoned", "ABANDONED", "the caller hung up before an agent answered"),
    _counted("short_abandoned", "SHORT", "abandoned calls that waited less than --short", "short"),
    _counted("overflowed", "OVERFLOW", "sent on by the queue, unanswered"),
    _counted("passed_on", "PASSED ON", "unanswered, and its place taken by a caller whom the agent joined with it"),
    _counted("fallback", "FALLBACK", "left to the dialplan's fallback, unanswered"),
    _counted("lost_track", "LOST", "unanswered, and their end was not seen"),
    _counted("open", "OPEN", "not over yet: in no other figure"),
    _share("service_level", "LEVEL", "answered in time / (answered + abandoned)", "in_time", ("answered", "abandoned")),
    _share(
        "service_level_net", "LEVEL NET", "answered in time / (answered + abandoned - short abandoned)",
        "in_time", ("answered", "abandoned"), "short",
    ),
    _share("service_level_gross", "LEVEL GROSS", "answered in time / (offered - open)", "in_time", ("offered",), "open"),
    _counted("answered_in_time", "IN TIME", "answered within the queue's threshold", "in_time"),
    _share("answer_rate", "ANSWERED %", "answered / (offered - open)", "answered", ("offered",), "open"),
    _share("abandon_rate", "ABANDONED %", "abandoned / (offered - open)", "abandoned", ("offered",), "open"),
    _mean("asa_s", "ASA", "mean wait of answered calls", "wait_answered_us", "timed"),
    _mean("abandon_wait_s", "ATA", "mean wait of abandoned calls", "wait_abandoned_us", "abandoned_timed"),
    Measure(
        Column("longest_wait_s", "LONGEST", Kind.SECONDS, "the longest wait, answered or not"),
        ("longest_us",), lambda sums: seconds(sums["longest_us"]),
    ),
    *(_percentile(percent) for percent in PERCENTS),
    Measure(
        Column("aht_s", "AHT", Kind.SECONDS, "(talk + hold + wrap-up) / answered calls that are wrapped up"),
        ("talk_us", "hold_us", "wrap_us", "handled"), _handle_s,
    ),
    _mean("talk_s", "TALK", "mean talk of a handled call", "talk_us", "handled"),
    _mean("hold_s", "HOLD", "mean hold of a handled call", "hold_us", "handled"),
    _mean("wrap_s", "WRAP", "mean wrap-up of a handled call", "wrap_us", "handled"),
    _counted("transferred", "TRANSFERRED", "answered, and passed on by the agent"),
    _share("transfer_rate", "TRANSFERRED %", "transferred / answered", "transferred", ("answered",)),
    _counted("offers", "OFFERS", "times an agent was offered a call"),
    _counted("ronas", "RONA", "offers that rang and were not answered"),
)  # fmt: skip

MEASURES: dict[str, Measure] = {measure.column.name: measure for measure in _ALL}

_OF_STAYS = {
    "offered": "calls that came into the queue",
    "answered": "an agent of the queue and the caller talked, and that is over",
    "abandoned": "the caller hung up waiting there, also after a conversation in a queue before",
    "short_abandoned": "",
    "overflowed": "sent on by the queue, unanswered: to another queue or out of our hands",
    "passed_on": "passed on by somebody, unanswered: escalated, transferred, or joined by an agent's phone",
    "fallback": "",
    "lost_track": "",
    "open": "still there: in no other figure",
    **dict.fromkeys(("service_level", "service_level_net", "service_level_gross", "answered_in_time"), ""),
    "answer_rate": "",
    "abandon_rate": "",
    "asa_s": "mean wait there of answered calls",
    "abandon_wait_s": "mean wait there of abandoned calls",
    "longest_wait_s": "the longest wait there, answered or not",
    **dict.fromkeys((f"wait_p{percent}_s" for percent in PERCENTS), ""),
    "transferred": "answered there, and passed on by the agent: also to another queue",
    "transfer_rate": "",
}
"""What is told of stays, and what it means where that is not what it means for calls."""


def _meaning(measure: Measure, meaning: str) -> Measure:
    return replace(measure, column=replace(measure.column, meaning=meaning or measure.column.meaning))


OF_STAYS: dict[str, Measure] = {name: _meaning(MEASURES[name], meaning) for name, meaning in _OF_STAYS.items()}
