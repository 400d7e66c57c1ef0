"""Messages that campaigns leave on machines, on real calls, while the service comes and goes."""

from __future__ import annotations

import json

import pytest

from callkit import channels
from campaignkit import campaign_rig


@pytest.mark.parametrize("how", ["killed", "ended"])
async def test_a_machine_that_hears_a_message_while_the_service_is_away_is_no_abandoned_person(tmp_path, how):
    campaign = {"mode": "progressive", "amd": {"within": "1.9s"}, "machine_message": "demo-congrats"}
    async with campaign_rig(tmp_path, 2, {"win": campaign}, {"answer+machine": 1.0}) as here:
        here.add_contacts(2)
        await here.rig.acd("campaign", "start", "win")

        async def heard() -> bool:
            plays = [one["context"] for one in channels(here.rig) if one["application"] in ("Playback", "BackGround")]
            return plays == ["acd-machine"] * 2

        await here.rig.until(heard, 40, "both machines to hear the message", every_s=0.2)
        await (here.rig.kill_serve() if how == "killed" else here.rig.stop_serve())
        await here.rig.start_serve()
        after = await here.until_settled(2)
        assert here.outcomes() == {"machine": 2}
        assert after["ledger"]["charged"] == 0
        told = json.loads(await here.rig.acd("campaign", "evidence", "win", "--json"))
        assert (told["abandoned"], told["on_machines"]) == (0, {"played": 2, "cut": 0})
