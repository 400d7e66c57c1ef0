"""Engines: what becomes of one whose database cannot be opened."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.store.location import Location, locate

ENGINES = {
    "short": lambda place: place.async_engine(),
    "reading": lambda place: place.async_engine(readers=1),
    "dialling": lambda place: place.outbound_engine(connections=1, query_s=1.0),
}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncEngine:
    place: Location = locate(f"sqlite:///{tmp_path}/it's 100%/a#b.db")
    made: AsyncEngine = request.param(place)
    return made


async def test_a_failed_connection_leaves_no_thread(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would speak to the loop once more when that may be closed."""
    started: list[str] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    with pytest.raises(sa.exc.OperationalError, match="unable to open database file"):
        async with engine.connect():
            raise AssertionError("there is no such database")
    assert [name for name in started if "_connection_worker_thread" in name] == []
    await engine.dispose()


async def test_a_path_of_any_letters_opens(engine: AsyncEngine, tmp_path: Path) -> None:
    (tmp_path / "it's 100%").mkdir()
    (tmp_path / "it's 100%" / "a#b.db").touch()
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT 1")) == 1
    await engine.dispose()
