"""Campaigns on real calls: everybody dialled as often as allowed, everything settled, agents as named."""

from __future__ import annotations

import json

from acd.store.times import from_text
from callkit import caller, dial, until_agent
from campaignkit import CALLER_ID, campaign_rig

MIX = {
    "answer-after:uniform(0.5,3)": 0.5,
    "busy-after:0.3": 0.2,
    "never": 0.1,
    "decline-after:0.5": 0.1,
    "invalid": 0.1,
}


async def test_a_progressive_campaign_reaches_everybody_once(tmp_path):
    silent = {
        "mode": "manual",
        "trunk": "nowhere",
        "message": "custom/not-there",
        "amd": {"within": "1.5s"},
        "machine_message": "tt-weasels",
    }
    async with campaign_rig(
        tmp_path, 6, {"win": {"mode": "progressive", "ring": "15s"}, "silent": silent}, MIX
    ) as here:
        here.add_contacts(40)
        assert (await here.campaign())["state"] == "stopped"
        told = json.loads(await here.rig.acd("campaign", "start", "win", "--reason", "a test", "--json"))
        assert (told["campaign"]["state"], told["warnings"]) == ("running", [])
        no_trunk, no_sound = json.loads(await here.rig.acd("campaign", "start", "silent", "--json"))["warnings"]
        assert no_trunk == "Asterisk pbx1 has no endpoint PJSIP/nowhere: no call of trunk nowhere can go out"
        assert no_sound.startswith("Asterisk pbx1 has no sound custom/not-there under /")
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


async def test_who_is_dialled_hears_who_called_in_time_though_a_phone_rings_on(tmp_path):
    """An agent who does not pick up costs one person an agent, and nobody is dialled for him again."""
    campaign = {"mode": "progressive", "ring": "15s"}
    async with campaign_rig(tmp_path, 1, {"win": campaign}, {"answer-after:0.5": 1.0}, phones="never") as here:
        here.add_contacts(6)
        await here.rig.acd("campaign", "start", "win")
        await here.until_settled(1)
        await until_agent(here.rig, "a1", "PAUSED", reason="rona")
        assert "no agent who serves win is there" in await here.rig.acd("campaign", "explain", "win")
        (row,) = here.attempts()
        assert (row["outcome"], row["message"]) == ("abandoned", "played")
        (call,) = here.rows("SELECT call, ended_at, outcome FROM calls")
        rang = here.rows("SELECT started_at, ended_at, outcome FROM segments WHERE kind = 'rang'")
        waited_s = from_text(call["ended_at"]) - from_text(row["answered_at"])
        assert call["outcome"] == "overflowed"
        assert [one["outcome"] for one in rang] == ["no_answer"]
        # The law's two seconds; Asterisk alone would have let the phone ring for two more
        assert 1.9 < waited_s < 3.5


async def test_a_campaign_of_named_agents_has_them_and_nobody_else(tmp_path):
    named = {"mode": "progressive", "queue": None, "agents": ["a2"]}
    mix = {"answer-after:0.3": 1.0}
    async with campaign_rig(tmp_path, 3, {"win": named}, mix, phones="answer+talk:0.5") as here:
        here.add_contacts(4)
        await here.rig.acd("campaign", "start", "win")
        await here.until_settled(4)
        assert set(here.outcomes()) == {"answered"}
        assert {row["agent"] for row in here.attempts()} == {"a2"}
        on = await dial(here.rig, caller("100"))
        await on.wait(30)
