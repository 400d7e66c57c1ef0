"""How the store behaves: bounds and times, with defaults that suit one machine. Plain values, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from acd.store.spill import DEFAULT_LIMIT_BYTES


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Times in seconds, sizes in bytes, the others in records or connections."""

    pace_s: float = 0.06
    """Commits begin at least this far apart, unless somebody waits or ``batch_max`` is reached. A transaction has a
    price of its own, paid from the CPU that Asterisk needs: at 25 calls/s 20 ms would cost twice as much a call."""
    batch_max: int = 1000
    """Records in one batch at most."""
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
