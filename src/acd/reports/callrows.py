"""Every call as a row, streamed: memory stays the same whether there are ten or ten million."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from acd.reports.ask import Ask
from acd.reports.database import Database
from acd.reports.model import Column, Kind, Row, seconds
from acd.store.tables import calls

_TEXT = Kind.TEXT
COLUMNS = (
    Column("entered", "ENTERED", Kind.MOMENT, "when the call entered"),
    Column("call", "CALL", _TEXT, "its id"),
    Column("number", "NUMBER", _TEXT, "the caller's"),
    Column("name", "NAME", _TEXT, "the caller's"),
    Column("did", "DID", _TEXT, "the number that was dialled"),
    Column("client", "CLIENT", _TEXT, "for whom"),
    Column("queue", "QUEUE", _TEXT, "the last one it was in"),
    Column("agent", "AGENT", _TEXT, "who answered first"),
    Column("answered", "ANSWERED", Kind.MOMENT, "when"),
    Column("ended", "ENDED", Kind.MOMENT, "when; none: it has not"),
    Column("outcome", "OUTCOME", _TEXT, "how it ended"),
    Column("ended_by", "ENDED BY", _TEXT, "caller, agent, system or unknown"),
    Column("target", "TO", _TEXT, "where it was passed on to"),
    Column("wait_s", "WAIT", Kind.SECONDS, "before anybody talked"),
    Column("talk_s", "TALK", Kind.SECONDS, "talked"),
    Column("hold_s", "HOLD", Kind.SECONDS, "on hold"),
    Column("wrap_s", "WRAP", Kind.SECONDS, "wrap-up; none while it lasts"),
    Column("offers", "OFFERS", Kind.COUNT, "times it was offered"),
    Column("ronas", "RONA", Kind.COUNT, "offers that rang and were not answered"),
    Column("priority", "PRIORITY", Kind.COUNT, "of the call"),
    Column("disposition", "DISPOSITION", _TEXT, "what the agent said became of it"),
    Column("tags", "TAGS", _TEXT, "separated by commas"),
    Column("from_call", "FROM CALL", _TEXT, "the call that a transfer made this one of"),
    Column("node", "NODE", _TEXT, "the Asterisk that had it"),
)


def count(database: Database, ask: Ask) -> int:
    """How many calls there are."""
    wanted = [*ask.in_period(calls.c.entered_at), *ask.filters.of_calls()]
    return int(database.one(sa.select(sa.func.count()).select_from(calls).where(*wanted))[0])


def rows(database: Database, ask: Ask) -> Iterator[Row]:
    """The calls by time of entry."""
    wanted = [*ask.in_period(calls.c.entered_at), *ask.filters.of_calls()]
    statement = sa.select(calls).where(*wanted).order_by(calls.c.entered_at, calls.c.call)
    for row in database.stream(statement):
        said = database.readable(row.tags, f"tags of call {row.call} in table calls")
        tags = None if said is None else ", ".join(map(str, said))
        yield (
            row.entered_at, row.call, row.caller_number, row.caller_name, row.did, row.client, row.queue, row.agent,
            row.answered_at, row.ended_at, row.outcome, row.ended_by, row.target, seconds(row.wait_us),
            seconds(row.talk_us), seconds(row.hold_us), seconds(row.wrap_us), row.offers, row.ronas, row.priority,
            row.disposition, tags, row.from_call, row.node,
        )  # fmt: skip
