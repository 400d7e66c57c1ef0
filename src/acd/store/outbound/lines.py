"""Connections on which a server no longer answers: cut from this side, so that whoever waits learns that it is away."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine


class Lines:
    """An engine's connections. ``limit_s``: how long work may take: longer than the server itself would let it, which then
    is frozen, or out of reach. Files are no servers, and are left alone."""

    def __init__(self, engine: AsyncEngine, limit_s: float) -> None:
        self._limit_s, self._open = limit_s, WeakSet[Any]()
        self._is_server = engine.dialect.name == "postgresql"
        if self._is_server:
            sa.event.listen(engine.sync_engine, "connect", lambda _, record: self._open.add(record.driver_connection))

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Within this, work that takes too long fails as when the server has closed the connection."""
        if not self._is_server:
            yield
            return
        timer = asyncio.get_running_loop().call_later(self._limit_s, self._cut)
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        # All of them: a server that does not answer on one does not on the others
        for connection in list(self._open):
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
