"""What machine detection and agents say of attempts

Revision: acd_0008, after acd_0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "acd_0008"
down_revision = "acd_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("verdict", sa.Text))
    op.add_column("attempts", sa.Column("said", sa.Text))


def downgrade() -> None:
    op.drop_column("attempts", "said")
    op.drop_column("attempts", "verdict")
