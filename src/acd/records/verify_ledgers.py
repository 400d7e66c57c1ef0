"""Whether campaigns' ledgers have counted whom attempts reached: one look at both, and at what configurations said.

Memory holds a number for each day of each campaign. The rules: `ledger_rules`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import tzinfo
from itertools import accumulate, groupby
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from acd.domain.campaigns import AttemptOutcome
from acd.records.attempt_rules import BY_A_PERSON
from acd.records.ledger_rules import People, Terms, WindowRow, ledger_violations
from acd.records.rows import Micros
from acd.records.violation import Violation
from acd.records.word_rules import definition_in
from acd.store.outbound.tables import attempts, campaign_ledgers
from acd.store.tables import epochs, revisions

FETCH = 2000
_PEOPLE = (*BY_A_PERSON, AttemptOutcome.OPTED_OUT, AttemptOutcome.UNKNOWN)


def ledgers_wrong(connection: sa.Connection) -> Iterator[Violation]:
    """What is wrong with the ledgers of all campaigns, those included that are gone."""
    with connection.begin():
        windows: defaultdict[str, dict[str, list[WindowRow]]] = defaultdict(dict)
        table = campaign_ledgers
        query = sa.select(*(table.c[name] for name in WindowRow._fields)).order_by(*table.primary_key)
        rows = map(WindowRow._make, connection.execute(query))
        for (campaign, kind), some in groupby(rows, lambda row: (row.campaign, row.window)):
            windows[campaign][kind] = sorted(some, key=lambda row: row.key)
        people = _people(connection)
    for campaign in sorted(people.keys() | windows.keys()):
        yield from ledger_violations(campaign, people.get(campaign, People()), windows[campaign])


def _people(connection: sa.Connection) -> dict[str, People]:
    """Whom each campaign has reached."""
    found = {campaign: People(terms) for campaign, terms in _terms(connection).items()}
    lives = _Lives(connection)
    over: dict[str, int | None] = {}
    times = [sa.type_coerce(attempts.c[name], Micros) for name in ("committed_at", "ended_at")]
    # Whoever opted out before he was known to have answered is in no window
    answered = sa.or_(attempts.c.outcome != AttemptOutcome.OPTED_OUT, attempts.c.answered_at.is_not(None))
    counted = sa.or_(sa.and_(attempts.c.outcome.in_(_PEOPLE), answered), attempts.c.ended_at.is_(None))
    query = sa.select(attempts.c.campaign, attempts.c.attempt, attempts.c.outcome, *times).where(counted)
    with connection.execution_options(yield_per=FETCH).execute(query) as rows:
        for campaign, attempt, outcome, made_at, ended_at in rows:
            life = attempt[:6]
            if life not in over:
                over[life] = lives.over(int(life))
            end = over[life]
            sure = ended_at is not None and outcome is not None and (end is None or ended_at < end)
            found[campaign].take(made_at, ended_at, sure=sure, abandoned=outcome == AttemptOutcome.ABANDONED)
    return found


class _Lives:
    """When the lives of the service began that came after one."""

    def __init__(self, connection: sa.Connection) -> None:
        query = sa.select(epochs.c.epoch, sa.type_coerce(epochs.c.started_at, Micros)).order_by(epochs.c.epoch)
        self._epochs: list[int] = []
        started: list[int] = []
        for epoch, started_at in connection.execute(query):
            self._epochs.append(epoch)
            started.append(started_at)
        self._first = list(accumulate(reversed(started), min))[::-1]

    def over(self, epoch: int) -> int | None:
        """When the first of those after this one began."""
        place = bisect_right(self._epochs, epoch)
        return self._first[place] if place < len(self._first) else None


def _terms(connection: sa.Connection) -> dict[str, Terms]:
    """How the campaigns that have made attempts count, by all configurations that the records keep."""
    made_at = sa.type_coerce(sa.func.min(attempts.c.committed_at), Micros)
    first_made = {row[0]: row[1] for row in connection.execute(
        sa.select(attempts.c.campaign, made_at).group_by(attempts.c.campaign)
    )}  # fmt: skip
    loaded_at = sa.type_coerce(sa.func.min(revisions.c.loaded_at), Micros)
    known = connection.execute(sa.select(loaded_at)).scalar() if first_made else None
    if known is None:
        return dict.fromkeys(first_made, Terms())
    zones: defaultdict[str, set[tzinfo]] = defaultdict(set)
    spans: dict[str, frozenset[str]] = {}
    for name in connection.execute(sa.select(revisions.c.revision).distinct()).scalars().all():
        one = sa.select(revisions.c.detail).where(revisions.c.revision == name).limit(1)
        try:
            told = _told(connection.execute(one).scalar())
        except (AttributeError, KeyError, TypeError, ValueError, OSError):
            # It may have said anything
            return dict.fromkeys(first_made, Terms())
        for campaign, (zone, kinds) in told.items():
            zones[campaign].add(zone)
            spans[campaign] = spans.get(campaign, kinds) & kinds
    return {
        campaign: Terms(tuple(zones[campaign]), spans[campaign]) if campaign in spans and known <= at else Terms()
        for campaign, at in first_made.items()
    }


def _told(detail: Any) -> dict[str, tuple[tzinfo, frozenset[str]]]:
    """Of each campaign of a kept configuration its zone and its kinds of windows. Raises AttributeError, KeyError,
    TypeError, ValueError, OSError on what is none."""
    definition = definition_in(detail)
    if definition is None:
        raise ValueError("no configuration")
    return {
        name: (ZoneInfo(one["zone"]), frozenset(cap["span"] for cap in one["rules"]["caps"]))
        for name, one in definition.get("campaigns", {}).items()
    }
