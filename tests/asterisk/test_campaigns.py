"""Campaigns on real calls: everybody dialled as often as allowed, everything settled, nobody twice, also after kill -9."""

from __future__ import annotations

import json

import pytest

from acd.store.times import from_text
from callkit import caller, channels, dial, until_agent
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
