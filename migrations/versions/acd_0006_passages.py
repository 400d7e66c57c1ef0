"""Whether a call was in several queues, among its sums

Revision: acd_0006, after acd_0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "acd_0006"
down_revision = "acd_0005"
branch_labels = None
depends_on = None

AT_ONCE = 5000
"""Calls in one statement."""


def _fill() -> None:
    """For the calls there are, some at a time: a year of them takes minutes and no memory."""
    context = op.get_context()
    differs = "IS DISTINCT FROM" if context.dialect.name == "postgresql" else "IS NOT"
    statement = (
        "UPDATE calls SET passages = (SELECT count(*) FROM segments WHERE segments.call = calls.call AND "
        f"(segments.queue {differs} calls.queue "
        "OR segments.outcome IN ('escalated', 'transferred', 'joined', 'overflowed', 'moved'))) "
        "WHERE ended_at IS NOT NULL"
    )
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
    op.add_column("calls", sa.Column("passages", sa.Integer))
    _fill()


def downgrade() -> None:
    op.drop_column("calls", "passages")
