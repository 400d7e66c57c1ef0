"""How the store behaves: bounds and times, with defaults that suit one machine. Plain values, nothing else."""

from __future__ import annotations

from typing import Literal

from acd.domain.values import valueclass
from acd.store.spill import DEFAULT_LIMIT_BYTES


@valueclass(frozen=True, slots=True)
class StoreOptions:
    """Times in seconds, sizes in bytes, the others in records or connections."""

    durable_in: Literal["log", "database"] = "log"
    """Where records are durable: in the spill, a log beside the service that the database follows within
    ``database_pace_s``; or only in the database, where somebody on another machine takes over when this one is lost.
    The log is then for a database that is away."""
    pace_s: float = 0.085
    """A record is durable so long after it was written, as far as the disk is as fast as lately: it waits for others,
    unless somebody waits for it or ``batch_max`` is reached. Fewer appends cost less (one of 40 records 1 ms of processor
    time, of which 0.35 are the records'); 99 of 100 records shall be durable within 100 ms, and at 140 calls/s they are
    within 89, or 93 on a machine whose processors and disk are busy."""
    batch_max: int = 1000
    """Records in one batch at most."""
    database_pace_s: float = 1.0
    """Records in the log wait this long for others, unless somebody waits or ``database_batch_max`` is reached.

    A transaction has a price of its own, paid from the processor that Asterisk needs, and fewer hold fewer rows: what
    begins and ends within one is written once. With a commit every pace (``durable_in="database"``), SQLite costs the
    service 1.5 ms a call at 25 calls/s and 0.72 at 140; so, appends included, 0.99 and 0.68. With PostgreSQL service and
    server take 1.3 + 1.4 ms a call at 25 calls/s, and so 0.77 + 0.4. (From the lab's benchmark of records.)"""
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
    callers_max: int = 20_000
    """Answered calls in which a start looks for whom callers talked to last: a tenth of a second of reading."""
    callers_s: float = 30 * 86_400.0
    """How old such a call may be."""
