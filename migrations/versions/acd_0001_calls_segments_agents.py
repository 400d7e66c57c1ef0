"""Calls with their segments and decisions, agents with their states, starts

Revision: acd_0001, the first
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "acd_0001"
down_revision = None
branch_labels = None
depends_on = None


def _time() -> sa.types.TypeEngine[object]:
    return sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("linkedid", sa.Text, nullable=False),
        sa.Column("did", sa.Text, nullable=False),
        sa.Column("caller_number", sa.Text, nullable=False),
        sa.Column("caller_name", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("entered_at", _time(), nullable=False),
        sa.Column("answered_at", _time()),
        sa.Column("agent", sa.Text),
        sa.Column("ended_at", _time()),
        sa.Column("outcome", sa.Text),
        sa.Column("ended_by", sa.Text),
        sa.Column("cause", sa.Integer),
        sa.Column("target", sa.Text),
        sa.PrimaryKeyConstraint("call", name="pk_calls"),
    )
    op.create_index("ix_calls_entered_at", "calls", ["entered_at"])
    op.create_index("ix_calls_queue_entered_at", "calls", ["queue", "entered_at"])
    op.create_index("ix_calls_agent_entered_at", "calls", ["agent", "entered_at"])
    op.create_index("ix_calls_caller_number_entered_at", "calls", ["caller_number", "entered_at"])
    op.create_index(
        "ix_calls_open",
        "calls",
        ["entered_at"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "segments",
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("queue", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("offer", sa.Text),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("ended_at", _time()),
        sa.Column("outcome", sa.Text),
        sa.PrimaryKeyConstraint("call", "serial", name="pk_segments"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_segments_agent_started_at",
        "segments",
        ["agent", "started_at"],
        sqlite_where=sa.text("agent IS NOT NULL"),
        postgresql_where=sa.text("agent IS NOT NULL"),
    )
    op.create_index(
        "ix_segments_wrapping",
        "segments",
        ["call"],
        sqlite_where=sa.text("kind = 'wrapped' AND ended_at IS NULL"),
        postgresql_where=sa.text("kind = 'wrapped' AND ended_at IS NULL"),
    )
    op.create_table(
        "decisions",
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("agent", sa.Text),
        sa.Column("offer", sa.Text),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("call", "serial", name="pk_decisions"),
    )
    op.create_table(
        "agent_states",
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("ended_at", _time()),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("call", sa.Text),
        sa.PrimaryKeyConstraint("agent", "serial", name="pk_agent_states"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_agent_states_agent_started_at", "agent_states", ["agent", "started_at"])
    op.create_table(
        "agents",
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("call", sa.Text),
        sa.Column("since", _time(), nullable=False),
        sa.Column("idle_since", _time(), nullable=False),
        sa.Column("phone", sa.Text),
        sa.Column("pending", sa.Text),
        sa.Column("until", _time()),
        sa.PrimaryKeyConstraint("agent", name="pk_agents"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "epochs",
        sa.Column("epoch", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("stopped_at", _time()),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("epoch", name="pk_epochs"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "writers",
        sa.Column("writer", sa.Text, nullable=False),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("writer", name="pk_writers"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("writers", "epochs", "agents", "agent_states", "decisions", "segments", "calls"):
        op.drop_table(table)
