"""The queue_log as a table

Revision: acd_0007, after acd_0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "acd_0007"
down_revision = "acd_0006"
branch_labels = None
depends_on = None


def _time() -> sa.types.TypeEngine[object]:
    return sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    agents = sa.text("callid = 'NONE'")
    op.create_table(
        "queue_log",
        sa.Column("id", sa.BigInteger, autoincrement=False),
        sa.Column("time", _time(), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("callid", "queuename", "agent", "event")),
        *(sa.Column(f"data{n}", sa.Text, nullable=False) for n in range(1, 6)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_log")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_queue_log_time"), "queue_log", ["time"])
    op.create_index("ix_queue_log_agents", "queue_log", ["time"], sqlite_where=agents, postgresql_where=agents)
    op.create_index(op.f("ix_queue_log_callid"), "queue_log", ["callid"])
    op.create_table(
        "queue_log_place",
        sa.Column("place", sa.Integer, autoincrement=False),
        sa.Column("writer", sa.Text, nullable=False),
        sa.Column("upto", _time(), nullable=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("again_from", _time(), nullable=False),
        sa.Column("again_behind", sa.BigInteger, nullable=False),
        sa.Column("numbers", sa.Text, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_queue_log_place")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("queue_log_place")
    op.drop_table("queue_log")
