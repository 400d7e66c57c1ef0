"""Who asks a database that hangs is told so in time; one that answers is given the time that its work takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acd.domain.errors import StoreError
from acd.store.looks import Looks


class Engine:
    """One that hangs when it is asked for a connection, and does not let go of it at once either."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs, self.freed = hangs, asyncio.Event()
        self.left = 0

    def connect(self) -> Engine:
        return self

    async def __aenter__(self) -> Engine:
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                await self.freed.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left += 1

    async def execute(self, *_: object) -> None:
        return None


def looks(engine: Engine, **times: float) -> Looks:
    made: Any = engine
    return Looks(made, "here", **times)


async def test_a_database_that_hangs_is_not_waited_for() -> None:
    engine = Engine(hangs=True)
    told = looks(engine, answers_s=0.01, query_s=600.0)

    async def never(_: object) -> None:
        raise AssertionError("it never answered")

    with pytest.raises(StoreError, match=r"in here did not answer within 0\.01 s: nothing was changed"):
        await asyncio.wait_for(told.look(never), 60)
    assert len(told._late) == 1, "it is let go of as soon as the driver does"
    engine.freed.set()
    await asyncio.wait(set(told._late), timeout=60)
    assert told._late == set()


async def test_one_that_answers_has_the_time_that_its_work_takes() -> None:
    engine = Engine(hangs=False)
    asked = asyncio.Event()

    async def works(_: object) -> str:
        asked.set()
        await engine.freed.wait()
        return "found"

    slow = asyncio.create_task(looks(engine, answers_s=0.0, query_s=600.0).look(works))
    await asyncio.wait_for(asked.wait(), 60)
    await asyncio.sleep(0)
    engine.freed.set()
    assert await asyncio.wait_for(slow, 60) == "found"
    engine.freed.clear()
    with pytest.raises(StoreError, match=r"did not answer within 0\.01 s"):
        await asyncio.wait_for(looks(engine, answers_s=600.0, query_s=0.01).look(works), 60)
    await asyncio.sleep(0)
    assert engine.left == 2
