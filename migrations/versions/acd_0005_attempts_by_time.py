"""Attempts by the time at which they were committed

Revision: acd_0005, after acd_0004
"""

from __future__ import annotations

from alembic import op

revision = "acd_0005"
down_revision = "acd_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_attempts_committed_at", "attempts", ["committed_at"])


def downgrade() -> None:
    op.drop_index("ix_attempts_committed_at", "attempts")
