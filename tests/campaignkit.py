"""Whole campaigns on real calls: agents at SIPp phones, customers behind a trunk, contacts in the service's database."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import Customers, carrier_conf
from acd.lab.rig import Rig, RigPlan
from acd.records.verify import Verifier
from acd.store.location import locate
from acd.store.outbound import contacts, listed
from acd.store.outbound.contacts import NewContact, NewNumber
from callkit import PATIENT_S, phone

CALLER_ID = "+4930555000"
LIST = "people"


def noon_zone() -> str:
    """A zone in which it is about one o'clock in the afternoon now."""
    return f"Etc/GMT{datetime.now(UTC).hour - 13:+d}" if datetime.now(UTC).hour != 13 else "UTC"


def campaign_floor(agents: int, campaigns: Mapping[str, Mapping[str, Any]], **queue: Any) -> dict[str, Any]:
    """``agents`` named a1, a2... in the queue sales, a trunk (and one that Asterisk does not know), and these campaigns."""
    usual = {
        "queue": "sales", "trunk": "carrier", "caller_ids": "own", "profile": "us", "lists": [LIST],
        "time_zone": "UTC", "message": "demo-thanks",
    }  # fmt: skip
    return {
        "queues": {"sales": {"wrap_up": 1, "ring_timeout": 10, **queue}},
        "agents": {
            f"a{n}": {"number": str(2000 + n), "phones": [f"PJSIP/{1000 + n}"], "queues": ["sales"]}
            for n in range(1, agents + 1)
        },
        "entry_points": {"100": "sales"},
        "trunks": {
            "carrier": {"dial": "PJSIP/{number}@carrier", "lines": 60, "calls_per_s": 20, "plus": False},
            "nowhere": {"dial": "PJSIP/{number}@nowhere"},
        },
        "caller_ids": {"own": {"numbers": [CALLER_ID], "verified": "2026-03-01"}},
        "campaigns": {
            name: {key: value for key, value in {**usual, **given}.items() if value is not None}
            for name, given in campaigns.items()
        },
    }


class CampaignRig:
    """A rig with customers."""

    def __init__(self, rig: Rig, customers: Customers) -> None:
        self.rig, self.customers = rig, customers
        self.url = rig.plan.database_url or f"sqlite:///{rig.database}"

    async def until_everybody_was_dialled_once(self, campaign: str, people: int, *, callers: int) -> None:
        """All that there are, whatever went away meanwhile; each is settled, and the records tell the same. So many callers
        were served beside them."""
        rows: list[dict[str, Any]] = []

        async def settled() -> bool:
            rows[:] = self.attempts()
            return len(self.dialled()) == people and all(row["outcome"] for row in rows)

        # Attempts that nobody could tell to be durable are made again after a minute
        await self.rig.until(settled, 150, "everybody to be dialled and settled", every_s=0.25)
        assert set(self.dialled().values()) == {1}
        tried = [row["number"] for row in rows if row["outcome"] != "withdrawn"]
        assert len(set(tried)) == len(tried) == people
        served = {row["attempt"] for row in rows if row["outcome"] == "answered"}

        async def recorded() -> bool:
            answered = f"SELECT channel FROM calls WHERE queue = '{campaign}' AND answered_at IS NOT NULL"
            return {row["channel"] for row in self.rows(answered)} == served

        await self.rig.until(recorded, PATIENT_S, "the records to tell the same", every_s=0.25)
        inbound = self.rows("SELECT outcome, count(*) AS n FROM calls WHERE queue = 'sales' GROUP BY outcome")
        assert [(row["outcome"], row["n"]) for row in inbound] == [("answered", callers)]
        assert self.rows("SELECT contact FROM contacts WHERE state = 'in_flight'") == []

    def add_contacts(self, count: int, *, zone: str | None = None) -> None:
        """Contacts +49 30 1230001 and on."""
        engine = locate(self.url).bulk_engine(write=True)
        now = datetime.now(UTC).timestamp()
        with engine.begin() as connection:
            listed.create(connection, LIST, "test", now)
            new = [
                NewContact([NewNumber(f"+4930{1_230_000 + n}")], f"k{n}", f"Person {n}", zone or noon_zone())
                for n in range(1, count + 1)
            ]
            contacts.add(connection, LIST, new, now)
        engine.dispose()

    async def campaign(self, name: str = "win") -> dict[str, Any]:
        return dict(await self.rig.api(f"campaigns/{name}"))

    async def until_settled(self, count: int, name: str = "win", timeout_s: float = 200.0) -> dict[str, Any]:
        """Wait until so many attempts are settled and none is in flight."""

        async def settled() -> bool:
            rows = self.attempts()
            return len(rows) >= count and all(row["outcome"] for row in rows)

        await self.rig.until(settled, timeout_s, f"{count} attempts to be settled", every_s=0.2)
        return await self.campaign(name)

    async def until_held_up(self, timeout_s: float, name: str = "win") -> None:
        """Wait until a campaign says that it dials nobody for want of its database."""

        async def told() -> bool:
            why = json.loads(await self.rig.acd("campaign", "explain", name, "--json"))["why"]
            return bool(why) and why[0]["what"] == "database"

        await self.rig.until(told, timeout_s, "the campaign to say that the database is away")

    def attempts(self) -> list[Any]:
        """All rows."""
        return self.rows("SELECT * FROM attempts ORDER BY attempt")

    def rows(self, query: str) -> list[Any]:
        """Read from the database, past the service."""
        engine = locate(self.url).bulk_engine()
        try:
            with engine.connect() as connection:
                return [dict(row._mapping) for row in connection.execute(sa.text(query))]
        finally:
            engine.dispose()

    def outcomes(self) -> Counter[str]:
        return Counter(str(row["outcome"]) for row in self.attempts())

    def dialled(self) -> Counter[str]:
        """How often each number was reached, as the customers saw it."""
        return Counter(call.number for call in self.customers.calls)


@contextlib.asynccontextmanager
async def campaign_rig(
    folder: Path,
    agents: int,
    campaigns: Mapping[str, Mapping[str, Any]],
    mix: Mapping[str, float],
    *,
    numbers: Mapping[str, str] | None = None,
    phones: str = "answer+talk:uniform(1,3)",
    extra: Sequence[Any] = (),
    database_url: str | None = None,
    **queue: Any,
) -> AsyncIterator[CampaignRig]:
    """Everything up, agents logged in, nothing started. Afterwards the records must not contradict themselves."""
    chooser = Chooser(
        {parse_customer(text): weight for text, weight in mix.items()},
        {key: parse_customer(text) for key, text in (numbers or {}).items()},
    )
    customers = await Customers.open(chooser)
    plan = RigPlan(
        [*(phone(str(1000 + n), phones) for n in range(1, agents + 1)), *extra],
        campaign_floor(agents, campaigns, **queue),
        endpoints=carrier_conf(customers.port),
        database_url=database_url,
    )
    rig = Rig(folder, plan)
    try:
        async with rig.running():
            await rig.login_all()
            here = CampaignRig(rig, customers)
            yield here
        wrong = [str(one) for one in Verifier(here.url).violations()]
        assert not wrong, wrong[:20]
    finally:
        customers.close()
        await asyncio.sleep(0)
