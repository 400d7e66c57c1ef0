"""Everything durable: calls, their segments and decisions, agents' states, in SQLite or PostgreSQL.

``Store`` is both ports; ``upgrade``, ``downgrade``, ``current`` and ``head`` are the schema's versions. Knows the
domain's words and no other room.
"""

from acd.store.history import History
from acd.store.options import StoreOptions
from acd.store.reader import Reader
from acd.store.schema import current, downgrade, head, upgrade
from acd.store.store import Callers, Store

__all__ = ["Callers", "History", "Reader", "Store", "StoreOptions", "current", "downgrade", "head", "upgrade"]
