"""Conferences among the stretches that interrupt a talk

Revision: acd_0004, after acd_0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "acd_0004"
down_revision = "acd_0003"
branch_labels = None
depends_on = None


def _held(condition: str) -> None:
    where = sa.text(condition)
    op.drop_index("ix_segments_held", "segments")
    op.create_index("ix_segments_held", "segments", ["ended_at", "call"], sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    _held("kind IN ('held', 'consulted', 'conferenced')")


def downgrade() -> None:
    # What it was before anybody could tell
    op.execute("UPDATE segments SET kind = 'talked' WHERE kind = 'conferenced'")
    _held("kind IN ('held', 'consulted')")
