"""How the store behaves: bounds and times, with defaults that suit one machine. Plain values, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acd.store.spill import DEFAULT_LIMIT_BYTES


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Times in seconds, sizes in bytes, the others in records or connections."""

    durable_in: Literal["log", "database"] = "log"
    """Where records are durable: in the spill, a log beside the service that the database follows within
    ``database_pace_s``; or only in the database, where somebody on another machine takes over when this one is lost.
    The log is then for a database that is away."""
    pace_s: float = 0.07
    """A record waits this long for others, unless somebody waits for it or ``batch_max`` is reached."""
    batch_max: int = 1000
    """Records in one batch at most."""
    database_pace_s: float = 1.0
    """Records in the log wait this long for others, unless somebody waits or ``database_batch_max`` is reached."""
    database_batch_max: int = 5000
    """Records that make a transaction begin at once."""
    patience_s: float = 1.0
    """A commit that takes longer counts as failed."""
    connect_s: float = 5.0
    """For the first connection, at start."""
    replay_s: float = 10.0
    """For one transaction of a replay, which holds many batches."""
    replay_bytes: int = 512 * 1024
    """Of the spill in one transaction."""
    retry_min_s: float = 0.25
    retry_max_s: float = 2.0
    """Between attempts to reach the database again."""
    spill_limit_bytes: int = DEFAULT_LIMIT_BYTES
    held_max: int = 50_000
    """Records held in memory while neither the database nor the spill takes them; then the newest are dropped."""
    readers: int = 2
    """Connections for queries."""
    query_s: float = 30.0
    """A query that takes longer is given up."""
    open_calls_max: int = 50_000
    """Calls remembered at a start, the newest ones."""
