"""What tests with real calls share: rigs (a private Asterisk, phones and the service), each in a folder of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from acd.lab.rig import Rig, RigPlan

RigFactory = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def make_rig(tmp_path: Path) -> AsyncIterator[RigFactory]:
    """``await make_rig(plan, serve=True)``: a started rig; everything is stopped at the end of the test."""
    rigs: list[Rig] = []

    async def make(plan: RigPlan, **how: Any) -> Rig:
        rig = Rig(tmp_path / f"rig{len(rigs)}", plan)
        rigs.append(rig)
        return await rig.start(**how)

    yield make
    for rig in rigs:
        await rig.stop()
