"""The tables, as SQLAlchemy Core metadata. ``migrations/`` makes them; a test holds the two equal.

No foreign keys tie a segment or a decision to its call: a call whose first record was lost (a full spill, a damaged
line) must not make everything that follows it unstorable. Indexes are what lists and reports ask for; each of them
costs a write a row, so there are no others. Statements live elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import JSON

from acd.store.times import UtcTime

REVISION = "acd_0009"
"""The last migration: the schema's version that these tables are. Written down here so that a start need not load the
migrations."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# Small rows that are found by their key: SQLite then needs no second tree for it.
_CLUSTERED: Any = {"sqlite_with_rowid": False}

calls = Table(
    "calls",
    metadata,
    Column("call", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("linkedid", Text, nullable=False),
    Column("did", Text, nullable=False),
    Column("caller_number", Text, nullable=False),
    Column("caller_name", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("entered_at", UtcTime, nullable=False),
    Column("answered_at", UtcTime),
    Column("agent", Text),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
    Column("ended_by", Text),
    Column("cause", Integer),
    Column("target", Text),
    Column("client", Text),
    Column("from_call", Text),
    Column("disposition", Text),
    Column("notes", Text),
    Column("tags", JSON(none_as_null=True)),
    Column("recording", Text),
    # Facts: sums over the call's segments, made when it ends and when its last wrap-up does (null before that)
    Column("wait_us", BigInteger),
    Column("rewait_us", BigInteger),
    Column("talk_us", BigInteger),
    Column("hold_us", BigInteger),
    Column("after_us", BigInteger),
    Column("wrap_us", BigInteger),
    Column("offers", Integer),
    Column("ronas", Integer),
    Column("talks", Integer),
    Column("passages", Integer),
    Index(None, "entered_at"),
    Index(None, "queue", "entered_at"),
    Index(None, "agent", "entered_at"),
    Index(None, "caller_number", "entered_at"),
    # What a start asks for: the few calls that are still open among millions that are not.
    Index(
        "ix_calls_open",
        "entered_at",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

segments = Table(
    "segments",
    metadata,
    Column("call", Text, primary_key=True),
    Column("serial", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("queue", Text),
    Column("agent", Text),
    Column("offer", Text),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
    Column("target", Text),
    Index(
        "ix_segments_agent_started_at",
        "agent",
        "started_at",
        sqlite_where=text("agent IS NOT NULL"),
        postgresql_where=text("agent IS NOT NULL"),
    ),
    # Likewise: wrap-ups outlive their calls.
    Index(
        "ix_segments_wrapping",
        "call",
        sqlite_where=text("kind = 'wrapped' AND ended_at IS NULL"),
        postgresql_where=text("kind = 'wrapped' AND ended_at IS NULL"),
    ),
    # Few rows, by which talks that only went on are told from conversations that began.
    Index(
        "ix_segments_held",
        "ended_at",
        "call",
        sqlite_where=text("kind IN ('held', 'consulted', 'conferenced')"),
        postgresql_where=text("kind IN ('held', 'consulted', 'conferenced')"),
    ),
    # Rows come in the order of time, so ranges of pages know theirs: tiny, and next to nothing to write.
    Index(None, "started_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}).ddl_if("postgresql"),
    **_CLUSTERED,
)

decisions = Table(
    "decisions",
    metadata,
    Column("call", Text, primary_key=True),
    Column("serial", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("agent", Text),
    Column("offer", Text),
    Column("revision", Text, nullable=False),
    Column("detail", JSON, nullable=False),
)

agent_states = Table(
    "agent_states",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("serial", Integer, primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("call", Text),
    Index(None, "agent", "started_at"),
    # As for segments.
    Index(None, "started_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}).ddl_if("postgresql"),
    **_CLUSTERED,
)

agents = Table(
    "agents",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("serial", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("call", Text),
    Column("since", UtcTime, nullable=False),
    Column("idle_since", UtcTime, nullable=False),
    Column("phone", Text),
    Column("pending", Text),
    Column("until", UtcTime),
    **_CLUSTERED,
)
"""The state in force, one row an agent."""

revisions = Table(
    "revisions",
    metadata,
    Column("revision", Text, primary_key=True),
    Column("loaded_at", UtcTime, primary_key=True),
    Column("who", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    **_CLUSTERED,
)
"""Every configuration of the floor that was in force, and from when."""

audit = Table(
    "audit",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "at"),
)
"""Who changed, saw or took away what."""

epochs = Table(
    "epochs",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcTime, nullable=False),
    Column("stopped_at", UtcTime),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    **_CLUSTERED,
)
"""One row a start. ``stopped_at`` stays empty when a life ended without saying so."""

writers = Table(
    "writers",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    **_CLUSTERED,
)
"""The last batch stored of each writer (one random name a start), set in the batch's own transaction: what makes a
replayed batch, or one a thawed server finishes late, take effect exactly once."""

queue_log = Table(
    "queue_log",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("time", UtcTime, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("callid", "queuename", "agent", "event")),
    *(Column(f"data{n}", Text, nullable=False) for n in range(1, 6)),
    Index(None, "time"),
    # Most of the others have a call: these are found by their time alone.
    Index(
        "ix_queue_log_agents", "time", sqlite_where=text("callid = 'NONE'"), postgresql_where=text("callid = 'NONE'")
    ),
    Index(None, "callid"),
    **_CLUSTERED,
)
"""The records as lines in Asterisk's own columns, for programs that read those. ``id``: the order in which they were
written."""

queue_log_place = Table(
    "queue_log_place",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("writer", Text, nullable=False),
    Column("upto", UtcTime, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("again_from", UtcTime, nullable=False),
    Column("again_behind", BigInteger, nullable=False),
    Column("numbers", Text, nullable=False),
    Column("member", Text, nullable=False),
    **_CLUSTERED,
)
"""How far the lines go (one row, 1, or none), the time and line to take them up from, whether their numbers are ``plain``
or ``masked``, and how agents are called in them. ``writer`` is changed by every transaction: who finds another than its own
is the writer no more."""


def is_made(index: Index, dialect: str) -> bool:
    """Whether an index is one of this database's."""
    return index._ddl_if is None or index._ddl_if.dialect == dialect


def compared_on(dialect: str) -> Callable[..., bool]:
    """Alembic's ``include_object``: it does not know by itself that some indexes are one database's only."""
    return lambda item, *_: not isinstance(item, Index) or is_made(item, dialect)
