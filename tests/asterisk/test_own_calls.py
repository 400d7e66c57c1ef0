"""Agents who have contacts dialled themselves, on real calls: shown and accepted or skipped, and dialled by number."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import Any

from callkit import caller, channels, dial, dials, finish, live, phone, until_agent, until_idle
from campaignkit import CampaignRig, campaign_rig

PREVIEW = {"mode": "preview", "preview": {"for": "60s", "then": "pause", "again": "2h", "script": "Ask how it went"}}
NUMBERS = [f"+4930123000{n}" for n in range(1, 10)]


async def until_shown(here: CampaignRig, number: str) -> dict[str, Any]:
    """Wait until a1 is shown the contact of a number."""
    found: dict[str, Any] = {}

    async def there() -> bool:
        found.update((await here.rig.api("agents/a1/preview"))["preview"] or {})
        return (found.get("step"), found.get("number")) == ("shown", number)

    await here.rig.until(there, 30, f"{number} to be shown", every_s=0.1)
    return found


async def recorded(here: CampaignRig, count: int) -> list[tuple[Any, ...]]:
    """Wait until so many calls are over in the records: queue, agent, outcome of each."""

    async def over() -> bool:
        return here.rig.rows("SELECT count(*) AS n FROM calls WHERE outcome IS NOT NULL")[0]["n"] >= count

    await here.rig.until(over, 30, f"{count} calls to be recorded", every_s=0.1)
    return [tuple(row) for row in here.rig.rows("SELECT queue, agent, outcome FROM calls WHERE outcome IS NOT NULL")]


def forget_calls(here: CampaignRig) -> None:
    """Have nothing of a call be durable, as if the service had been killed within milliseconds of the answer."""
    shutil.rmtree(here.rig.directory / "state" / "spill")
    with contextlib.closing(sqlite3.connect(here.rig.database)) as connection, connection:
        for table in ("segments", "calls"):
            connection.execute(f"DELETE FROM {table}")


async def test_an_agent_accepts_one_contact_skips_another_and_talks_to_who_answers(tmp_path):
    numbers = {NUMBERS[1].removeprefix("+"): "busy-after:0.3"}
    async with campaign_rig(
        tmp_path, 1, {"win": PREVIEW}, {"answer-after:1": 1.0}, numbers=numbers, phones="answer+talk:3"
    ) as here:
        here.add_contacts(3)

        assert "is shown no contact" in await here.rig.acd("agent", "preview", "a1")
        await here.rig.acd("campaign", "start", "win")
        first = await until_shown(here, NUMBERS[0])
        assert (first["contact"]["name"], first["script"], first["attempts"]) == ("Person 1", "Ask how it went", [])
        assert not here.attempts(), "nobody is dialled whom no agent has accepted"
        assert (await here.rig.api("agents/a1/explain"))["why_not"] == "PREVIEW (shown)"
        assert (await here.rig.api("status"))["agents"]["PREVIEW"] == 1
        assert "accepted" in await here.rig.acd("agent", "preview", "a1", "--accept")
        await until_shown(here, NUMBERS[1])
        (row,) = here.attempts()
        assert (row["mode"], row["number"], row["outcome"], row["agent"]) == ("preview", NUMBERS[0], "answered", "a1")
        assert await recorded(here, 1) == [("win", "a1", "answered")]
        assert here.rig.rows("SELECT channel FROM calls")[0]["channel"] == row["attempt"]
        segments = here.rig.rows("SELECT kind FROM segments ORDER BY serial")
        assert [one["kind"] for one in segments] == ["entered", "offered", "talked", "after", "wrapped"]
        # Accepted at the phone, which rings once it is free again. Busy: the agent is shown the next one at once
        code = await dial(here.rig, dials(phone("1001"), "*15"))
        await finish(code)
        await until_shown(here, NUMBERS[2])
        assert "skipped" in await here.rig.acd("agent", "preview", "a1", "--skip", "has called us")

        async def skipped() -> bool:
            told = await here.campaign()
            return told["skipped"] == {"has called us": 1} and not told["previews"]

        await here.rig.until(skipped, 10, "nobody to be shown any more")
        assert here.outcomes() == {"answered": 1, "busy": 1}
        (last,) = here.rig.rows("SELECT state, due_at FROM contacts WHERE contact = 3")
        assert last["state"] == "due"
        ledger = (await here.campaign())["ledger"]
        assert (ledger["answered"], ledger["charged"], ledger["in_flight"]) == (1, 0, 0)


async def test_nothing_is_lost_when_the_controller_is_killed_over_a_preview_and_over_its_call(tmp_path):
    campaign = {**PREVIEW, "ring": "15s"}
    numbers = {NUMBERS[1].removeprefix("+"): "answer-after:0.5+talk:60"}
    async with campaign_rig(tmp_path, 1, {"win": campaign}, {"never": 1.0}, numbers=numbers, phones="answer") as here:
        here.add_contacts(2)
        await here.rig.acd("campaign", "start", "win")
        await until_shown(here, NUMBERS[0])
        await here.rig.kill_serve()
        assert [row["state"] for row in here.rig.rows("SELECT state FROM contacts")] == ["in_flight", "in_flight"]
        await here.rig.start_serve()
        await until_shown(here, NUMBERS[0])
        assert not here.attempts()
        await here.rig.acd("agent", "preview", "a1", "--accept")

        async def rings() -> bool:
            return here.customers.up == 1

        await here.rig.until(rings, 30, "the customer's line to ring", every_s=0.02)
        await here.rig.kill_serve()
        await here.rig.start_serve()
        await here.until_settled(1)
        assert here.outcomes() == {"no_answer": 1}
        # Killed again while they talk, so soon that nothing of the call was written down: it goes on, and the look at the
        # start finds who talks with whom
        await until_shown(here, NUMBERS[1])
        await here.rig.acd("agent", "preview", "a1", "--accept")
        await until_agent(here.rig, "a1", "TALKING")
        await here.rig.kill_serve()
        forget_calls(here)
        await here.rig.start_serve()
        await until_agent(here.rig, "a1", "TALKING")
        (talks,) = await live(here.rig)
        assert (talks["state"], talks["agent"], talks["caller_number"]) == ("TALKING", "a1", NUMBERS[1])
        (customer,) = [row["name"] for row in channels(here.rig) if row["context"] == "acd-offer"]
        here.rig.asterisk.cli(f"channel request hangup {customer}")
        assert await recorded(here, 1) == [("win", "a1", "answered")]
        await here.until_settled(2)
        assert here.outcomes() == {"no_answer": 1, "answered": 1}
        assert set(here.dialled().values()) == {1}
        # Nobody waits on a line that nobody knows of
        await until_idle(here.rig)


async def test_an_agent_dials_by_number_through_the_same_gate(tmp_path):
    campaign = {"mode": "manual", "ring": "15s", "rules": {"hours": {"mon-sun": "00:00-24:00"}}}
    numbers = {NUMBERS[2].removeprefix("+"): "never"}
    async with campaign_rig(
        tmp_path, 1, {"win": campaign}, {"answer-after:3": 1.0}, numbers=numbers, phones="answer+talk:5"
    ) as here:
        here.add_contacts(3)

        async def acd(number: str) -> str:
            return await here.rig.acd("campaign", "dial", "win", number, "--agent", "a1", check=False)

        async def free() -> bool:
            return (await here.rig.api("agents/a1"))["state"] == "AVAILABLE" and not (await here.campaign())["previews"]

        assert "dials nobody before it is started" in await acd(NUMBERS[0])
        await here.rig.acd("campaign", "start", "win")
        await here.rig.acd("dnc", "add", NUMBERS[1])
        assert "is not dialled" in await acd(NUMBERS[1])
        assert "cannot be dialled" in await acd("12 34")
        assert not here.attempts()
        assert f"a1's phone rings, then {NUMBERS[0]} is dialled" in await acd(NUMBERS[0])
        assert "has a contact already" in await acd("+49309876543")
        await here.until_settled(1)
        await here.rig.until(free, 30, "the agent to be free")
        # A number of nobody's list
        assert "is dialled" in await acd("0049 30 9876543")
        await here.until_settled(2)
        await here.rig.until(free, 30, "the agent to be free")
        # He hangs up while it rings
        assert "is dialled" in await acd(NUMBERS[2])
        await here.until_settled(3)
        rows = [(row["mode"], row["number"], row["outcome"]) for row in here.attempts()]
        assert rows == [
            ("manual", NUMBERS[0], "answered"), ("manual", "+49309876543", "answered"), ("manual", NUMBERS[2], "no_answer")
        ]  # fmt: skip
        lists = {row["list"] for row in here.rig.rows("SELECT list FROM contacts")}
        assert lists == {"people", "dialled-win"}
        assert await recorded(here, 2) == [("win", "a1", "answered")] * 2


async def test_a_caller_finds_an_agent_who_is_kept_and_who_answers_meanwhile_has_him_first(tmp_path):
    campaign = {"mode": "progressive", "ring": "25s"}
    async with campaign_rig(
        tmp_path,
        2,
        {"win": campaign},
        {"answer-after:6": 1.0},
        phones="answer+talk:4",
        blend={"reserve": {"agents": 1}},
    ) as here:
        here.add_contacts(4)
        await here.rig.acd("campaign", "start", "win")

        async def rings() -> bool:
            return here.customers.up == 1

        await here.rig.until(rings, 30, "a line to ring", every_s=0.02)
        on = await dial(here.rig, caller("100"))
        told = await here.rig.acd("campaign", "explain", "win")
        assert "1 agent is reserved for queue sales: always so many" in told
        assert "keeps 1 agent (reserve)" in await here.rig.acd("campaign", "show", "win")
        await here.until_settled(2)
        await here.rig.acd("campaign", "stop", "win")
        await here.until_settled(2)
        await on.wait(30)
        await recorded(here, 1 + here.outcomes()["answered"])
        over = here.rig.rows("SELECT DISTINCT queue, outcome FROM calls")
        assert {tuple(row) for row in over} == {("sales", "answered"), ("win", "answered")}
        assert set(here.outcomes()) == {"answered"}
        assert (await here.rig.metrics()).count('acd_campaign_agents_kept{campaign="win"} 1.0') == 1
