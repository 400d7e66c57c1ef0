"""Where in the tables a person can be mentioned: the columns that hold what people, programs and lists said."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from acd.store.outbound import tables as outbound
from acd.store.tables import metadata

CALL_TEXTS = ("target", "disposition", "notes")
"""Of a call, what may mention a number."""
PLACES = {
    "calls": (*CALL_TEXTS, "tags"),
    "segments": ("target",),
    "decisions": ("detail",),
    "revisions": ("detail", "who"),
    "audit": ("detail", "who", "subject"),
    "lists": ("description", "made_by"),
    "list_imports": ("source", "how", "started_by"),
    "contacts": ("key", "name", "fields"),
    "attempts": ("facts",),
    "callbacks": ("number", "note", "made_by"),
    "do_not_call": ("source", "reason", "added_by"),
    "campaign_states": ("by", "reason"),
    "queue_log": ("data1", "data2", "data3", "data4", "data5"),
}
"""Table -> columns in which a mention is looked for, and from which it is taken; other columns of these rows stay."""
OWN = {
    "calls": ("caller_number", "caller_name", "recording"),
    "contacts": (),
    "contact_numbers": ("number", "extension"),
    "callbacks": (),
    "list_rejects": ("cells", "detail"),
    "attempts": ("number",),
    "do_not_call": ("number",),
}
"""Table -> what by itself makes a row the person's, or goes with it."""
TABLES = {name: metadata.tables[name] for name in (*PLACES, *OWN)}
HASH_STAYS = frozenset({"revisions", "audit", outbound.do_not_call.name})
"""Here the number's keyed hash goes on standing for it."""


def key_is(table: sa.Table, key: tuple[Any, ...]) -> list[sa.ColumnElement[bool]]:
    """The condition of one row."""
    return [column == value for column, value in zip(table.primary_key, key, strict=True)]
