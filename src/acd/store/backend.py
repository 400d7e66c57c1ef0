"""What the writer needs of a database, whichever it is, and the two ways in which one may say no."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any, Protocol

from acd.domain.errors import StoreError
from acd.store.operations import Batch

_SLICE_S = 0.001


class UnavailableError(StoreError):
    """The database did not take a batch now: away, frozen, locked, full, too slow. The outcome is unknown; later the
    same batch may be tried again."""


class UnfitError(UnavailableError):
    """What answers is not a database to write to: of another schema, or with another life of our number. A person must
    act; until then nothing is brought into it."""


class UnstorableError(StoreError):
    """The database (or the way to it) will never take this batch as it is: a value it cannot hold."""


class Backend(Protocol):
    """One connection for writing. Calls never overlap."""

    async def connect(self, within_s: float) -> None:
        """(Re)connect. Raises UnavailableError."""

    async def prove(self, within_s: float) -> None:
        """Have it shown that a transaction could write now: a connection alone proves little. Raises UnavailableError."""

    async def apply(self, batches: Sequence[Batch], within_s: float) -> None:
        """Make batches durable, in order, in one transaction; one that took effect before is passed over. Raises
        UnavailableError at the latest a little after ``within_s``, or UnstorableError."""

    def abort(self) -> None:
        """Make a call in progress fail soon with UnavailableError."""

    async def close(self) -> None: ...


class Breather:
    """Lets the event loop have its turn once a millisecond of a long computation has gone by."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def rest(self) -> None:
        if time.perf_counter() - self._since > _SLICE_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def dumps(value: Any) -> str:
    """Compact JSON. Raises TypeError, ValueError or RecursionError on what is not JSON-able."""
    return _encoder.encode(value)
