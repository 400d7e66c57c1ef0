"""Campaigns on real calls: everybody dialled as often as allowed, everything settled, nobody twice, also after kill -9."""

from __future__ import annotations

from campaignkit import CALLER_ID, campaign_rig

MIX = {
    "answer-after:uniform(0.5,3)": 0.5,
    "busy-after:0.3": 0.2,
    "never": 0.1,
    "decline-after:0.5": 0.1,
    "invalid": 0.1,
}


async def test_a_progressive_campaign_reaches_everybody_once(tmp_path):
    async with campaign_rig(tmp_path, 6, {"win": {"mode": "progressive"}}, MIX) as here:
        here.add_contacts(40)
        assert (await here.campaign())["state"] == "stopped"
        told = await here.rig.acd("campaign", "start", "win", "--reason", "a test")
        assert "win is running" in told
        after = await here.until_settled(40)
        outcomes = here.outcomes()
        assert sum(outcomes.values()) == 40
        assert set(here.dialled().values()) == {1}
        assert {call.caller_id for call in here.customers.calls} == {CALLER_ID}
        assert outcomes["abandoned"] == 0
        assert outcomes["answered"] >= 10
        assert after["ledger"]["answered"] == outcomes["answered"]
        calls = here.rig.rows("SELECT channel, queue, agent, outcome FROM calls")
        assert {row["channel"] for row in calls} == {
            row["attempt"] for row in here.attempts() if row["outcome"] == "answered"
        }
        assert {row["queue"] for row in calls} == {"win"}
