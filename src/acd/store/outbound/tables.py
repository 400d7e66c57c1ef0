"""The tables of outbound dialling, in the metadata of `acd.store.tables`; migrations make them, acd_0003 the first.

What a dialler asks for at every step stands in a contact's own row, with a partial index for each kind of work, so that the
next contacts of a list are a range of an index however long the list is. A dialler needs the numbers themselves: those of
contacts are kept as they are, whatever ``[records] numbers`` says; those of attempts and of do-not-call follow it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text, text
from sqlalchemy.types import JSON

from acd.store.tables import metadata
from acd.store.times import UtcTime

_CLUSTERED: Any = {"sqlite_with_rowid": False}


def _where(condition: str) -> Any:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


IS_NEW = "state = 'new'"
IS_RETRY = "state = 'due' AND callback IS NULL"
IS_QUEUE_CALLBACK = "state = 'due' AND callback IS NOT NULL AND callback_agent IS NULL"
IS_AGENT_CALLBACK = "state = 'due' AND callback_agent IS NOT NULL"
IS_IN_FLIGHT = "state = 'in_flight'"
HAS_KEY = "key <> ''"
IS_OPEN = "ended_at IS NULL"

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
    **_CLUSTERED,
)
"""The last number given out for contacts, imports and callbacks: one that was taken away is never given again."""

lists = Table(
    "lists",
    metadata,
    Column("list", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("client", Text),
    Column("country", Text),
    Column("made_at", UtcTime, nullable=False),
    Column("made_by", Text, nullable=False),
    **_CLUSTERED,
)

list_imports = Table(
    "list_imports",
    metadata,
    Column("import", BigInteger, primary_key=True, autoincrement=False),
    Column("list", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("how", JSON, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("ended_at", UtcTime),
    Column("rows", BigInteger, nullable=False),
    Column("imported", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Index(None, "list"),
)
"""One row a file. The figures are set in each piece's own transaction: an import that was cut off goes on after them."""

list_rejects = Table(
    "list_rejects",
    metadata,
    Column("import", BigInteger, primary_key=True, autoincrement=False),
    Column("row", BigInteger, primary_key=True, autoincrement=False),
    Column("line", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("cells", JSON, nullable=False),
    **_CLUSTERED,
)
"""Rows of a file that became no contact, as they were written."""

contacts = Table(
    "contacts",
    metadata,
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("list", Text, nullable=False),
    Column("import", BigInteger),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("zone", Text),
    Column("country", Text),
    Column("region", Text),
    Column("language", Text),
    Column("consent_at", UtcTime),
    Column("consent_until", UtcTime),
    Column("customer_until", UtcTime),
    Column("best_from", Integer),
    Column("best_to", Integer),
    Column("fields", JSON, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    # Work
    Column("rank", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", UtcTime),
    Column("position", Integer),
    Column("callback", BigInteger),
    Column("callback_agent", Text),
    Column("claimed_epoch", Integer),
    Column("claimed_at", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("last_at", UtcTime),
    Column("last_outcome", Text),
    Column("refused", Text),
    Column("refused_at", UtcTime),
    Index("ix_contacts_new", "list", "rank", "contact", **_where(IS_NEW)),
    Index("ix_contacts_retry", "list", "due_at", "contact", **_where(IS_RETRY)),
    Index("ix_contacts_queue_callback", "list", "due_at", "contact", **_where(IS_QUEUE_CALLBACK)),
    Index("ix_contacts_agent_callback", "callback_agent", "due_at", "contact", **_where(IS_AGENT_CALLBACK)),
    Index("ix_contacts_in_flight", "claimed_epoch", "contact", **_where(IS_IN_FLIGHT)),
    Index("ix_contacts_key", "list", "key", **_where(HAS_KEY)),
    # All of a list, page by page
    Index("ix_contacts_list", "list", "contact"),
)
"""``state``: new, due (``due_at`` says when), in_flight (taken by the life ``claimed_epoch``), done, blocked.
``position``: of the number to be tried next. ``refused``: the gate's word for why it is put off or blocked, if the gate
said so, at ``refused_at``."""

contact_numbers = Table(
    "contact_numbers",
    metadata,
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("number", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("zone", Text),
    Column("extension", Text, nullable=False),
    Column("state", Text, nullable=False),
    Index(None, "number"),
    **_CLUSTERED,
)
"""``position``: from 0, the order in which they are tried. ``state``: ok, or bad (its network says it is nobody's)."""

do_not_call = Table(
    "do_not_call",
    metadata,
    Column("number", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("until", UtcTime),
    Column("seal", Text),
    **_CLUSTERED,
)
"""``number``: E.164, or ``hmac:`` or ``sha256:`` in its place; ``scope``: ``all``, ``client:NAME`` or ``campaign:NAME``;
``seal``: which key an ``hmac:`` was made with."""

GIVEN_UP = "given_up"
"""Among the facts of an attempt: why it was hung up before anybody answered."""

attempts = Table(
    "attempts",
    metadata,
    Column("attempt", Text, primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("number", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("caller_id", Text, nullable=False),
    Column("trunk", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("callback", BigInteger),
    Column("committed_at", UtcTime, nullable=False),
    Column("dialled_at", UtcTime),
    Column("rang_at", UtcTime),
    Column("answered_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
    Column("cause", Integer),
    Column("call", Text),
    Column("agent", Text),
    Column("message", Text),
    Column("facts", JSON, nullable=False),
    Column("verdict", Text),
    Column("said", Text),
    Index(None, "contact", "committed_at"),
    Index(None, "number", "committed_at"),
    Index(None, "campaign", "committed_at"),
    Index(None, "committed_at"),
    Index("ix_attempts_open", "attempt", **_where(IS_OPEN)),
    **_CLUSTERED,
)
"""One row a number that was dialled, there before it was. ``facts``: what the gate saw when it permitted it, and
`GIVEN_UP`; ``message``: a person without an agent heard one, ``played`` or ``cut``; ``verdict``: who answered, as machine
detection has it (a ``machine`` with a ``call`` was put through to be looked at); ``said``: the agent's word for it."""

callbacks = Table(
    "callbacks",
    metadata,
    Column("callback", BigInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, nullable=False),
    Column("list", Text, nullable=False),
    Column("campaign", Text),
    Column("agent", Text),
    Column("number", Text),
    Column("due_at", UtcTime, nullable=False),
    Column("until", UtcTime),
    Column("note", Text, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
    Column("attempt", Text),
    Index(None, "contact"),
    Index("ix_callbacks_open", "due_at", "callback", **_where(IS_OPEN)),
)
"""Promises to call again: personal ones name their ``agent``, others are the queue's. ``outcome``: kept, cancelled,
replaced or missed."""

campaign_states = Table(
    "campaign_states",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("statistics", JSON, nullable=False),
    Column("saved_at", UtcTime),
    **_CLUSTERED,
)

campaign_ledgers = Table(
    "campaign_ledgers",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("window", Text, primary_key=True),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("answered", Float, nullable=False),
    Column("abandoned", Float, nullable=False),
    Column("misjudged", Float, nullable=False),
    Column("unknown", Float, nullable=False),
    Column("in_flight", Integer, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    **_CLUSTERED,
)
"""The counts of every window that was ever judged: the evidence. ``window``: day, days30, month, campaign; ``key``: which
of them."""

TABLES = (
    counters,
    lists,
    list_imports,
    list_rejects,
    contacts,
    contact_numbers,
    do_not_call,
    attempts,
    callbacks,
    campaign_states,
    campaign_ledgers,
)
