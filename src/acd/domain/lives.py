"""Epochs: the numbers of a service's lives, from which the ids of calls and offers are made. Plain numbers."""

from __future__ import annotations

ALONE_FIRST = 900_000
"""Lives that begin while the database is away cannot count on from the last one that it knows. They draw their number
from here on, and know no call of a life before that they find no record of beside the service."""
EPOCH_END = 1_000_000


def began_alone(epoch: int) -> bool:
    """Whether a life of this number began without its database."""
    return epoch >= ALONE_FIRST
