"""What people say of a call, its sums, configuration revisions, an audit log

Revision: acd_0002, after acd_0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "acd_0002"
down_revision = "acd_0001"
branch_labels = None
depends_on = None

BY_TIME = ("segments", "agent_states")
"""Tables that grow in the order of time."""

AT_ONCE = 5000
"""Calls in one statement."""

CALLS = {
    "client": sa.Text,
    "from_call": sa.Text,
    "disposition": sa.Text,
    "notes": sa.Text,
    "tags": sa.JSON,
    "recording": sa.Text,
    "wait_us": sa.BigInteger,
    "rewait_us": sa.BigInteger,
    "talk_us": sa.BigInteger,
    "hold_us": sa.BigInteger,
    "after_us": sa.BigInteger,
    "wrap_us": sa.BigInteger,
    "offers": sa.Integer,
    "ronas": sa.Integer,
    "talks": sa.Integer,
}


def _time() -> sa.types.TypeEngine[object]:
    return sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


SUMS = {
    "wait_us": "kind IN ('entered', 'waited', 'offered', 'rang') AND fresh",
    "rewait_us": "kind IN ('entered', 'waited', 'offered', 'rang') AND NOT fresh",
    "talk_us": "kind = 'talked'",
    "hold_us": "kind IN ('held', 'consulted')",
    "after_us": "kind = 'after'",
    "wrap_us": "kind = 'wrapped'",
}
"""The segments that each sum is of; fresh: before the first conversation."""


def _facts(dialect: str) -> str:
    """A statement that fills in the facts of all ended calls from their segments, in whole microseconds."""
    if dialect == "postgresql":
        length, whole = "ended_at - started_at", "(extract(epoch FROM {}) * 1000000)::bigint"
        pair = "(quote_nullable(offer) || quote_nullable(agent))"
    else:
        second = "strftime('%s', substr({0}, 1, 19)) * 1000000 + substr({0}, 21, 6)"
        length, whole = f"({second.format('ended_at')}) - ({second.format('started_at')})", "{}"
        pair = "quote(offer) || quote(agent)"
    columns = [
        f"CASE WHEN count(*) FILTER (WHERE length IS NULL AND {which}) = 0 "
        f"THEN coalesce({whole.format(f'sum(length) FILTER (WHERE {which})')}, 0) END"
        for which in SUMS.values()
    ]
    columns += [
        "count(DISTINCT offer)",
        f"count(DISTINCT {pair}) FILTER (WHERE outcome = 'no_answer' AND kind IN ('offered', 'rang'))",
        f"count(DISTINCT {pair}) FILTER (WHERE kind = 'talked')",
    ]
    return (
        f"UPDATE calls SET ({', '.join(SUMS)}, offers, ronas, talks) = (SELECT {', '.join(columns)} FROM "
        f"(SELECT kind, agent, offer, outcome, {length} AS length, "
        "serial < coalesce(min(serial) FILTER (WHERE kind = 'talked') OVER (), 2147483647) AS fresh "
        "FROM segments WHERE segments.call = calls.call LIMIT 1000000) AS s) WHERE ended_at IS NOT NULL"
    )


def _fill_facts() -> None:
    """For the calls there are, some at a time: a year of them takes minutes and no memory."""
    context = op.get_context()
    statement = _facts(context.dialect.name)
    if context.as_sql:
        op.execute(statement)
        return
    connection = op.get_bind()
    tell = context.config.attributes.get("on_progress") if context.config is not None else None
    total = connection.scalar(sa.text("SELECT count(*) FROM calls"))
    following = sa.text(
        "SELECT max(call), count(*) FROM (SELECT call FROM calls WHERE call > :after ORDER BY call LIMIT :n) AS c"
    )
    fill = sa.text(f"{statement} AND call > :after AND call <= :upto")
    after, done = "", 0
    while True:
        upto, count = connection.execute(following, {"after": after, "n": AT_ONCE}).one()
        if not count:
            return
        connection.execute(fill, {"after": after, "upto": upto})
        after, done = upto, done + count
        if tell is not None:
            tell(done, total)


def upgrade() -> None:
    for name, kind in CALLS.items():
        op.add_column("calls", sa.Column(name, kind))
    op.add_column("segments", sa.Column("target", sa.Text))
    op.create_table(
        "revisions",
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("loaded_at", _time(), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("revision", "loaded_at", name="pk_revisions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("entry", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    _index()
    _fill_facts()


def _index() -> None:
    held = sa.text("kind IN ('held', 'consulted')")
    op.create_index("ix_segments_held", "segments", ["ended_at", "call"], sqlite_where=held, postgresql_where=held)
    if op.get_context().dialect.name == "postgresql":
        for table in BY_TIME:
            op.create_index(
                f"ix_{table}_started_at",
                table,
                ["started_at"],
                postgresql_using="brin",
                postgresql_with={"autosummarize": "on"},
            )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in BY_TIME:
            op.drop_index(f"ix_{table}_started_at", table)
    op.drop_index("ix_segments_held", "segments")
    op.drop_table("audit")
    op.drop_table("revisions")
    op.drop_column("segments", "target")
    for name in reversed(CALLS):
        op.drop_column("calls", name)
