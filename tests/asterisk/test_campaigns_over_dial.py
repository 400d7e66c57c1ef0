"""Campaigns that dial more than they have agents, on real calls: within the ledger, nobody twice, also after kill -9."""

from __future__ import annotations

import json

from campaignkit import campaign_rig

LOOSE = {"rules": {"caps": {"campaign": 0.2}}}


async def test_a_predictive_campaign_over_dials_within_its_ledger(tmp_path):
    mix = {"answer-after:uniform(1,3)": 0.45, "busy-after:0.5": 0.35, "decline-after:2": 0.2}
    campaign = {"mode": "predictive", **LOOSE}
    async with campaign_rig(tmp_path, 10, {"win": campaign}, mix, phones="answer+talk:uniform(2,4)") as here:
        here.add_contacts(160)
        await here.rig.acd("campaign", "start", "win")
        most = [0]

        async def watch() -> bool:
            now = await here.campaign()
            most[0] = max(most[0], now["ringing"] + now["waiting"] + now["connected"])
            rows = here.attempts()
            return len(rows) >= 160 and all(row["outcome"] for row in rows)

        await here.rig.until(watch, 200, "everybody to be dialled", every_s=0.1)
        after, outcomes = await here.campaign(), here.outcomes()
        assert set(here.dialled().values()) == {1}
        assert most[0] > 10, "never more lines than agents"
        ledger = after["ledger"]
        assert ledger["answered"] == outcomes["answered"] + outcomes["abandoned"]
        assert ledger["charged"] <= max(1.0, 0.2 * ledger["answered"])
        told = json.loads(await here.rig.acd("campaign", "evidence", "win", "--json"))
        assert told["attempts"] == told["dialled"] == 160
        assert (told["outcomes"], told["unsettled"]) == (dict(outcomes), 0)
        assert [one["charged"] for one in told["windows"]] == [ledger["charged"]]
        # Whoever was abandoned has heard who called
        assert told["messages"]["none"] == 0


async def test_nobody_is_dialled_twice_though_the_controller_is_killed_amid_dialling(tmp_path):
    mix = {"answer-after:uniform(1,5)": 0.6, "busy-after:2": 0.3, "never": 0.1}
    campaign = {"mode": "power", "ratio": 3, "ring": "15s", **LOOSE}
    async with campaign_rig(tmp_path, 10, {"win": campaign}, mix, phones="answer+talk:uniform(1,3)") as here:
        here.add_contacts(80)
        await here.rig.acd("campaign", "start", "win")
        for enough in (10, 30, 50):

            async def dialled(enough: int = enough) -> bool:
                return len(here.customers.calls) >= enough and here.customers.up > 3

            await here.rig.until(dialled, 60, f"{enough} to be dialled", every_s=0.01)
            await here.rig.kill_serve()
            await here.rig.start_serve()
        assert (await here.campaign())["state"] == "running"
        assert {row["attempt"][:6] for row in here.attempts()} >= {"000001", "000002", "000003"}
        after = await here.until_settled(80)
        dialled_to, outcomes = here.dialled(), here.outcomes()
        assert set(dialled_to.values()) == {1}
        tried = [row["number"] for row in here.attempts()]
        assert len(set(tried)) == len(tried) == 80
        # Whoever was dialled has an attempt; an attempt that was cut off before its Originate may have reached nobody
        assert {f"+{number}" for number in dialled_to} <= set(tried)
        ledger = after["ledger"]
        assert ledger["charged"] >= outcomes["abandoned"] + outcomes["unknown"]
        assert ledger["in_flight"] == 0
        states = here.rig.rows("SELECT state, count(*) AS n FROM contacts GROUP BY state")
        assert "in_flight" not in {row["state"] for row in states}
        served = here.rig.rows("SELECT count(*) AS n FROM calls WHERE answered_at IS NOT NULL")[0]["n"]
        assert outcomes["answered"] == served
