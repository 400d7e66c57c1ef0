"""Agents whom a queue calls back from its campaigns, on real calls: nobody is dialled for them, though they are free."""

from __future__ import annotations

import pytest

from acd.store.times import from_text
from callkit import caller, dial
from campaignkit import CampaignRig, campaign_rig

HOLD_S = 5.0
AT_ONCE_S = 1.0
"""A level is judged at every event, and twice a second."""


async def until_level(here: CampaignRig, level: str) -> str:
    """Wait until the queue stands so; why it does."""
    said: list[str] = []

    async def there() -> bool:
        inbound = (await here.campaign())["inbound"]["sales"]
        said[:] = [inbound["why"]]
        return inbound["level"] == level

    await here.rig.until(there, 40, f"the queue to be at {level}", every_s=0.05)
    return said[0]


async def until_both_talk(here: CampaignRig) -> None:
    async def talk() -> bool:
        return (await here.campaign())["connected"] == 2

    await here.rig.until(talk, 40, "both agents to talk to people who were dialled", every_s=0.05)


def free_for_s(here: CampaignRig, since: float, until: float) -> float:
    """How long, at most, an agent was free in one piece within a time."""
    rows = here.rows("SELECT started_at, ended_at, state FROM agent_states WHERE state = 'AVAILABLE'")
    longest_s = 0.0
    for row in rows:
        begin = max(from_text(row["started_at"]), since)
        end = min(from_text(row["ended_at"]) if row["ended_at"] else until, until)
        longest_s = max(longest_s, end - begin)
    return longest_s


def dialled_within(here: CampaignRig, since: float, until: float) -> list[float]:
    times = [from_text(row["committed_at"]) for row in here.attempts()]
    return [at - since for at in times if since < at < until]


@pytest.mark.parametrize("limit", [{"waiting": 1}, {"wait": "1s"}], ids=["waiting", "estimated-wait"])
async def test_nobody_is_dialled_for_agents_who_were_recalled(tmp_path, limit):
    async with campaign_rig(
        tmp_path,
        2,
        {"win": {"mode": "progressive", "ring": "15s"}},
        {"answer-after:0.3": 1.0},
        phones="answer+talk:2",
        blend={"recall": limit, "hold": f"{HOLD_S:.0f}s"},
    ) as here:
        here.add_contacts(40)
        await here.rig.acd("campaign", "start", "win")
        await until_both_talk(here)
        on = await dial(here.rig, caller("100"))
        why = await until_level(here, "recall")
        assert why.startswith(
            "somebody who called now would wait" if "wait" in limit else "1 waiting, 1 being too many"
        )
        assert "are recalled to queue sales" in await here.rig.acd("campaign", "explain", "win")
        await on.wait(30)
        await until_level(here, "calm")
        before = len(here.attempts())

        async def goes_on() -> bool:
            return len(here.attempts()) > before

        await here.rig.until(goes_on, 40, "the campaign to go on", every_s=0.1)
        await here.rig.acd("campaign", "stop", "win")
        await here.until_settled(before + 1)
        (row,) = here.rows("SELECT entered_at, answered_at FROM calls WHERE queue = 'sales'")
        came, served = from_text(row["entered_at"]), from_text(row["answered_at"])
        # All was well from when the caller was offered to an agent, a moment before they talked
        given_back = served + HOLD_S - AT_ONCE_S
        assert dialled_within(here, came + AT_ONCE_S, given_back) == []
        assert free_for_s(here, came + AT_ONCE_S, given_back) > 1.0
        assert set(here.outcomes()) == {"answered"}
