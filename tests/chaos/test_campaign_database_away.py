"""The database goes away amid a campaign on real calls: nothing new is dialled, what is under way goes on and is settled
once, callers are served all the while, and nobody is dialled twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acd.lab.postgres import LabPostgres
from callkit import PATIENT_S, caller, dial, finish
from campaignkit import CampaignRig, campaign_rig

PEOPLE = 60
LONG_S = 2 * PATIENT_S
"""For what waits itself until the server is known to be away, or back."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabPostgres]:
    found = LabPostgres(tmp_path / "postgres", die_with_parent=True)
    found.start()
    yield found
    found.remove()


async def until_dialled(here: CampaignRig, count: int) -> None:
    async def enough() -> bool:
        return len(here.customers.calls) >= count and here.customers.up >= 3

    await here.rig.until(enough, LONG_S, f"{count} to be dialled, and three lines up", every_s=0.01)


async def away(here: CampaignRig) -> None:
    """Nobody is dialled; whoever was goes on to the natural end; callers are served."""
    await here.until_held_up(LONG_S)
    reached = len(here.customers.calls)

    async def over() -> bool:
        return not here.customers.up

    callers = await dial(here.rig, *(caller("100", number=f"555{n}") for n in range(3)))
    await finish(callers)
    await here.rig.until(over, PATIENT_S, "those who were dialled to be done")
    assert len(here.customers.calls) == reached


async def test_a_server_that_freezes_and_is_killed(tmp_path: Path, server: LabPostgres) -> None:
    mix = {"answer-after:uniform(0.5,2)": 0.7, "busy-after:0.5": 0.3}
    campaign = {"mode": "power", "ratio": 1.5, "ring": "15s", "rules": {"caps": {"campaign": 0.5}}}
    url = server.create_database("campaign")
    async with campaign_rig(tmp_path, 8, {"win": campaign}, mix, database_url=url) as here:
        here.add_contacts(PEOPLE)
        await here.rig.acd("campaign", "start", "win")
        await until_dialled(here, 10)
        server.freeze()
        await away(here)
        so_far = len(here.customers.calls)
        server.thaw()
        await until_dialled(here, so_far + 10)
        server.kill()
        await away(here)
        server.start()
        await here.until_everybody_was_dialled_once("win", PEOPLE, callers=6)
