"""Lists, contacts, do-not-call, attempts, callbacks, what campaigns are doing

Revision: acd_0003, after acd_0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "acd_0003"
down_revision = "acd_0002"
branch_labels = None
depends_on = None


def _time() -> sa.types.TypeEngine[object]:
    return sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    _lists()
    _contacts()
    _attempts()
    _campaigns()


def _lists() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lists",
        sa.Column("list", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("client", sa.Text),
        sa.Column("country", sa.Text),
        sa.Column("made_at", _time(), nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("list", name="pk_lists"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "list_imports",
        sa.Column("import", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("list", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("how", sa.JSON, nullable=False),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("ended_at", _time()),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("imported", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("import", name="pk_list_imports"),
    )
    op.create_index("ix_list_imports_list", "list_imports", ["list"])
    op.create_table(
        "list_rejects",
        sa.Column("import", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("row", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("cells", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("import", "row", name="pk_list_rejects"),
        sqlite_with_rowid=False,
    )


def _contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("contact", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("list", sa.Text, nullable=False),
        sa.Column("import", sa.BigInteger),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("zone", sa.Text),
        sa.Column("country", sa.Text),
        sa.Column("region", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("consent_at", _time()),
        sa.Column("consent_until", _time()),
        sa.Column("customer_until", _time()),
        sa.Column("best_from", sa.Integer),
        sa.Column("best_to", sa.Integer),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("changed_at", _time(), nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", _time()),
        sa.Column("position", sa.Integer),
        sa.Column("callback", sa.BigInteger),
        sa.Column("callback_agent", sa.Text),
        sa.Column("claimed_epoch", sa.Integer),
        sa.Column("claimed_at", _time()),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_at", _time()),
        sa.Column("last_outcome", sa.Text),
        sa.PrimaryKeyConstraint("contact", name="pk_contacts"),
    )
    op.create_index("ix_contacts_new", "contacts", ["list", "rank", "contact"], **_where("state = 'new'"))
    op.create_index(
        "ix_contacts_retry", "contacts", ["list", "due_at", "contact"], **_where("state = 'due' AND callback IS NULL")
    )
    op.create_index(
        "ix_contacts_queue_callback",
        "contacts",
        ["list", "due_at", "contact"],
        **_where("state = 'due' AND callback IS NOT NULL AND callback_agent IS NULL"),
    )
    op.create_index(
        "ix_contacts_agent_callback",
        "contacts",
        ["callback_agent", "due_at", "contact"],
        **_where("state = 'due' AND callback_agent IS NOT NULL"),
    )
    op.create_index("ix_contacts_in_flight", "contacts", ["claimed_epoch", "contact"], **_where("state = 'in_flight'"))
    op.create_index("ix_contacts_key", "contacts", ["list", "key"], **_where("key <> ''"))
    op.create_index("ix_contacts_list", "contacts", ["list", "contact"])
    op.create_table(
        "contact_numbers",
        sa.Column("contact", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("position", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("zone", sa.Text),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("contact", "position", name="pk_contact_numbers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_contact_numbers_number", "contact_numbers", ["number"])
    op.create_table(
        "do_not_call",
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("added_at", _time(), nullable=False),
        sa.Column("added_by", sa.Text, nullable=False),
        sa.Column("until", _time()),
        sa.Column("seal", sa.Text),
        sa.PrimaryKeyConstraint("number", "scope", name="pk_do_not_call"),
        sqlite_with_rowid=False,
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("attempt", sa.Text, nullable=False),
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("list", sa.Text, nullable=False),
        sa.Column("contact", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("caller_id", sa.Text, nullable=False),
        sa.Column("trunk", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("callback", sa.BigInteger),
        sa.Column("committed_at", _time(), nullable=False),
        sa.Column("dialled_at", _time()),
        sa.Column("rang_at", _time()),
        sa.Column("answered_at", _time()),
        sa.Column("ended_at", _time()),
        sa.Column("outcome", sa.Text),
        sa.Column("cause", sa.Integer),
        sa.Column("call", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("message", sa.Text),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("attempt", name="pk_attempts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attempts_contact_committed_at", "attempts", ["contact", "committed_at"])
    op.create_index("ix_attempts_number_committed_at", "attempts", ["number", "committed_at"])
    op.create_index("ix_attempts_campaign_committed_at", "attempts", ["campaign", "committed_at"])
    op.create_index("ix_attempts_open", "attempts", ["attempt"], **_where("ended_at IS NULL"))
    op.create_table(
        "callbacks",
        sa.Column("callback", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("contact", sa.BigInteger, nullable=False),
        sa.Column("list", sa.Text, nullable=False),
        sa.Column("campaign", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("number", sa.Text),
        sa.Column("due_at", _time(), nullable=False),
        sa.Column("until", _time()),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("made_at", _time(), nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("ended_at", _time()),
        sa.Column("outcome", sa.Text),
        sa.Column("attempt", sa.Text),
        sa.PrimaryKeyConstraint("callback", name="pk_callbacks"),
    )
    op.create_index("ix_callbacks_contact", "callbacks", ["contact"])
    op.create_index("ix_callbacks_open", "callbacks", ["due_at", "callback"], **_where("ended_at IS NULL"))


def _campaigns() -> None:
    op.create_table(
        "campaign_states",
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("statistics", sa.JSON, nullable=False),
        sa.Column("saved_at", _time()),
        sa.PrimaryKeyConstraint("campaign", name="pk_campaign_states"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "campaign_ledgers",
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("window", sa.Text, nullable=False),
        sa.Column("key", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("answered", sa.Float, nullable=False),
        sa.Column("abandoned", sa.Float, nullable=False),
        sa.Column("misjudged", sa.Float, nullable=False),
        sa.Column("unknown", sa.Float, nullable=False),
        sa.Column("in_flight", sa.Integer, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("saved_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "window", "key", name="pk_campaign_ledgers"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("campaign_ledgers")
    op.drop_table("campaign_states")
    op.drop_table("callbacks")
    op.drop_table("attempts")
    op.drop_table("do_not_call")
    op.drop_table("contact_numbers")
    op.drop_table("contacts")
    op.drop_table("list_rejects")
    op.drop_table("list_imports")
    op.drop_table("lists")
    op.drop_table("counters")
