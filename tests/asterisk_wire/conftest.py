"""Fixtures of the wire tests: fakes that are stopped, sessions and servers that are closed, whatever the test does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from wire_fakes import FakeAmi, Witness, make_session

from acd.asterisk.agi.server import FastAgiServer
from acd.asterisk.ami.session import AmiSession


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
async def fake() -> AsyncIterator[FakeAmi]:
    server = await FakeAmi().start()
    yield server
    await server.stop()


@pytest.fixture
async def session_to(witness: Witness) -> AsyncIterator[Callable[..., Awaitable[AmiSession]]]:
    """Starts a session to a fake (or a port) and waits until it is up, unless told ``wait=False``."""
    sessions: list[AmiSession] = []

    async def start(fake: FakeAmi | int, *, wait: bool = True, **changes: Any) -> AmiSession:
        session = make_session(fake if isinstance(fake, int) else fake.port, witness, **changes)
        sessions.append(session)
        await session.start()
        if wait:
            await session.wait_up(5)
        return session

    yield start
    for session in sessions:
        await session.close()


@pytest.fixture
async def agi() -> AsyncIterator[FastAgiServer]:
    """A FastAGI server, not yet listening, with limits that keep tests short."""
    server = FastAgiServer(header_timeout_s=0.2, command_timeout_s=2.0, handler_timeout_s=5.0)
    yield server
    await server.close(grace_s=0)
