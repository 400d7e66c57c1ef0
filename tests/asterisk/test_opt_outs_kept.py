"""Who opts out while no service listens is called no more: Asterisk keeps it until there is one."""

from __future__ import annotations

import asyncio

from campaignkit import campaign_rig

TREE = "database show acd-optouts"


async def test_a_key_pressed_while_the_service_is_dead_counts_from_the_next_start_on(tmp_path):
    mix = {"answer-after:4+press:9+talk:30": 1.0}
    campaign = {"mode": "progressive", "ring": "15s", "retry": {"unknown": {"after": "1s", "most": 3}}}
    async with campaign_rig(tmp_path, 1, {"win": campaign}, mix) as here:
        here.add_contacts(1)
        await here.rig.acd("campaign", "start", "win")

        async def ringing() -> bool:
            return bool(here.customers.calls)

        await here.rig.until(ringing, 30, "the customer's phone to ring", every_s=0.05)
        await here.rig.kill_serve()

        async def kept() -> bool:
            return "/acd-optouts/0000" in await asyncio.to_thread(here.rig.asterisk.cli, TREE)

        await here.rig.until(kept, 30, "Asterisk to keep who opted out", every_s=0.2)

        async def gone() -> bool:
            return here.customers.up == 0

        await here.rig.until(gone, 30, "the customer to be hung up", every_s=0.1)
        await here.rig.start_serve()
        await here.until_settled(1)
        (row,) = here.attempts()
        assert row["outcome"] == "opted_out"
        assert [one["number"] for one in here.rows("SELECT number FROM do_not_call")] == [row["number"]]
        assert [one["state"] for one in here.rows("SELECT state FROM contacts")] == ["blocked"]
        ledger = (await here.campaign())["ledger"]
        assert (ledger["charged"], ledger["in_flight"]) == (1, 0)
        assert here.dialled() == {row["number"].removeprefix("+"): 1}
