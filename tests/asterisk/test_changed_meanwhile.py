"""Contacts that are changed while a campaign has them at hand: whoever may not be called any more is not, on real calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from campaignkit import campaign_rig, noon_zone


def midnight_zone() -> str:
    """A zone in which it is about one o'clock at night now."""
    hours = datetime.now(UTC).hour - 1
    return f"Etc/GMT{hours if hours <= 12 else hours - 24:+d}"


def number(serial: int) -> str:
    return f"+4930{1_230_000 + serial}"


def dialled(*serials: int) -> set[str]:
    """As the customers see it: the trunk wants no plus."""
    return {number(one).removeprefix("+") for one in serials}


async def test_what_is_changed_of_contacts_claimed_ahead_counts_from_the_next_attempt_on(tmp_path: Path) -> None:
    """One agent, six who agreed to be called: all are claimed when the first is dialled."""
    campaign = {"mode": "progressive", "rules": {"consent": True}}
    async with campaign_rig(tmp_path, 1, {"win": campaign}, {"answer-after:0.2": 1.0}, phones="answer+talk:2") as here:

        async def take(name: str, serials: range, until: str, *how: str) -> None:
            file = tmp_path / f"{name}.csv"
            rows = [f"{number(n)},{noon_zone()},2026-01-01,{until}" for n in serials]
            file.write_text("\n".join(["phone,zone,consent_at,consent_until", *rows]) + "\n")
            await here.rig.acd("list", "import", str(file), "--list", "people", *how)

        later = datetime.now(UTC) + timedelta(days=30)
        await take("all", range(1, 7), f"{later:%Y-%m-%d}")
        ids = {row["number"]: row["contact"] for row in here.rows("SELECT number, contact FROM contact_numbers")}
        await here.rig.acd("campaign", "start", "win")

        async def at_hand() -> bool:
            claimed = len(here.rows("SELECT contact FROM contacts WHERE state = 'in_flight'"))
            return claimed == 6 and len(here.attempts()) == 1

        await here.rig.until(at_hand, 30, "all to be claimed and the first to be dialled", every_s=0.05)
        # After this talk; what is at hand stays so
        await here.rig.acd("agent", "pause", "a1")
        # Two lose their consent, by a file and by hand, and with one it is night
        await take("gone", range(2, 3), "2026-02-01", "--duplicates", "update")
        await here.rig.acd("contact", "edit", str(ids[number(3)]), "--consent-until", "2026-02-01")
        await here.rig.acd("contact", "edit", str(ids[number(4)]), "--zone", midnight_zone())
        assert len(here.rows("SELECT contact FROM contacts WHERE state = 'in_flight'")) >= 5
        assert set(here.dialled()) == dialled(1)
        await here.rig.acd("agent", "resume", "a1")

        async def settled() -> bool:
            return set(here.dialled()) == dialled(1, 5, 6) and not here.rows(
                "SELECT contact FROM contacts WHERE state = 'in_flight'"
            )

        await here.rig.until(settled, 60, "all who may be called to be served", every_s=0.1)
        state = {row["contact"]: (row["state"], row["refused"]) for row in here.rows("SELECT * FROM contacts")}
        assert [state[ids[number(n)]] for n in (2, 3)] == [("blocked", "consent")] * 2
        assert state[ids[number(4)]] == ("due", "hours")
        assert not here.rows("SELECT attempt FROM attempts WHERE outcome IS NULL")
        # He agrees again
        said = await here.rig.acd("contact", "edit", str(ids[number(3)]), "--consent-until", f"{later:%Y-%m-%d}")
        assert "again" in said

        async def again() -> bool:
            return set(here.dialled()) == dialled(1, 3, 5, 6)

        await here.rig.until(again, 30, "him to be dialled", every_s=0.1)
