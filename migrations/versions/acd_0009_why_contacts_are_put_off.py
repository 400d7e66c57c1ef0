"""Why a contact is put off or blocked, if the gate said so

Revision: acd_0009, after acd_0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from acd.store.times import UtcTime

revision = "acd_0009"
down_revision = "acd_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contacts", sa.Column("refused", sa.Text))
    op.add_column("contacts", sa.Column("refused_at", UtcTime))


def downgrade() -> None:
    op.drop_column("contacts", "refused_at")
    op.drop_column("contacts", "refused")
