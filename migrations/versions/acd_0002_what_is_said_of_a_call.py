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

CALLS = {
    "client": sa.Text,
    "from_call": sa.Text,
    "disposition": sa.Text,
    "notes": sa.Text,
    "tags": sa.JSON,
    "recording": sa.Text,
    "wait_us": sa.BigInteger,
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


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("revisions")
    op.drop_column("segments", "target")
    for name in reversed(CALLS):
        op.drop_column("calls", name)
