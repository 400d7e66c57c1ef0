"""What the processes do that prepare rows: a process of its own imports this and nothing of the command line."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from acd.lists.prepare import Reject, Terms, prepared
from acd.lists.rows import Row
from acd.store.outbound.contacts import NewContact

_terms: Terms | None = None


def ready(terms: Terms) -> None:
    """Begin a process: Ctrl-C is for the one that started it."""
    global _terms
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _terms = terms


def work(rows: Sequence[Row]) -> list[NewContact | Reject]:
    """What the rows are."""
    assert _terms is not None
    return [prepared(row, _terms) for row in rows]
