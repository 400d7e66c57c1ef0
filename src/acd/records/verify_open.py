"""Calls that last, and whose stretches do not: looked at once more, for a look may fall between the two batches in which
one step of the floor is written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from acd.records.call_rules import open_violations
from acd.records.rows import CallRow, SegmentRow, columns
from acd.records.violation import Violation
from acd.store.tables import calls, segments

SETTLES_S = 2.0
"""So long after one batch has the next one come."""


def looked_again(connection: sa.Connection, names: Sequence[str]) -> Iterator[Violation]:
    """What is still wrong with the calls ``names``, of which something was wrong by ``open_violations`` just now."""
    if names:
        time.sleep(SETTLES_S)
    for name in names:
        with connection.begin():
            wanted = sa.select(*columns(calls, CallRow)).where(calls.c.call == name, calls.c.ended_at.is_(None))
            row = connection.execute(wanted).first()
            of = sa.select(*columns(segments, SegmentRow)).where(segments.c.call == name).order_by(segments.c.serial)
            mine = [] if row is None else [SegmentRow._make(one) for one in connection.execute(of)]
        if row is not None:
            yield from open_violations(CallRow._make(row), mine)
