"""The routes of campaigns, and the commands that ask them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner
from fakedesk import FakeDesk
from fakefloor import FakeFloor, FakeRecords

from acd.api import ApiServer, make_app
from acd.cli.main import cli
from acd.domain.campaigns import CampaignState
from acd.domain.errors import ConfigurationError, RefusedError, StoreError, UnknownNameError

ROW = {
    "name": "win", "mode": "predictive", "state": "running", "since": 1_710_928_800.0, "by": "user:anna", "reason": "",
    "queue": "sales", "trunk": "carrier", "lists": ["a"], "profile": "us", "priority": 0, "weight": 1.0,
    "agents": {"idle": 2, "talking": 5, "wrapping": 1}, "ringing": 7, "waiting": 0, "connected": 5, "machines": 1,
    "ready": 24,
    "inbound": {
        "support": {"level": "reserve", "for_s": 20.0, "why": "1 waiting, 1 being too many", "kept": 2, "waiting": 1,
                    "wait_s": 9.0, "service_level": 0.81},
        "billing": {"level": "calm", "for_s": None, "why": "", "kept": 0, "waiting": 0, "wait_s": 0.0,
                    "service_level": None},
    },
    "outcomes": {"answered": 40, "abandoned": 1, "no_answer": 60}, "settled": 101, "refusals": {"hours": 3},
    "ledger": {"window": "campaign", "cap": 0.03, "answered": 41.0, "charged": 1.0, "slack": 0.23, "share": 0.02439,
               "in_flight": 7},
    "answer_rate": 0.31, "talk_s": 95.0, "wrap_s": 20.0, "threshold": 0.02, "because": "pacer:risk",
    "because_detail": "one more line would too likely reach a person for whom no agent is free",
}  # fmt: skip
EXPLAINED = {
    "campaign": "win",
    "why": [{"what": "state", "detail": "campaign win is stopped\x1b[2J by user:anna"}],
    "decision": {"lines": 2, "because": "risk", "next_risk": 0.05, "threshold": 0.02},
    "supply": {"idle": 2, "waiting": 0, "talking": 5, "wrapping": 1, "ringing": 7, "room": 9},
    "refusals": {"hours": 3},
    "last_refusals": {"hours": {"detail": "it is Sunday 22:10 in Europe/Berlin", "until": None}},
    "ready": 24,
    "trunk": {"name": "carrier", "lines": 12, "lines_most": 60, "calls_per_s": 5.0, "rests_s": None, "rested": 0},
    "node": {"name": "pbx1", "window": 12.0, "under_way": 1, "response_s": 0.004},
}


class FakeCampaigns:
    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fails: Exception | None = None

    def campaigns(self) -> list[dict[str, Any]]:
        if self.fails is not None:
            raise self.fails
        return [ROW]

    def campaign(self, name: str) -> dict[str, Any]:
        if name != "win":
            raise UnknownNameError("campaign", name)
        return self.campaigns()[0]

    def explain_campaign(self, name: str) -> dict[str, Any]:
        return EXPLAINED

    async def set_campaign(
        self, name: str, state: CampaignState, by: str, reason: str, *, hang_up: bool = False
    ) -> dict[str, Any]:
        self.asked.append((name, state, reason, hang_up))
        if state is CampaignState.RUNNING:
            raise RefusedError("campaign win is running already")
        return {**ROW, "state": state.value}

    async def start_warnings(self, name: str) -> list[str]:
        return [f"{name} has no sound"]

    def agent_of(self, name: str) -> str:
        if name not in ("anna", "1001", "bob"):
            raise UnknownNameError("agent", name, "anna")
        return "bob" if name == "bob" else "anna"

    def preview(self, agent: str) -> dict[str, Any] | None:
        return PREVIEW if agent == "anna" else None

    async def accept_preview(self, agent: str) -> dict[str, Any]:
        if agent == "bob":
            raise RefusedError("agent bob is shown no contact")
        return {**PREVIEW, "step": "accepted", "left_s": None}

    def skip_preview(self, agent: str, reason: str) -> dict[str, Any]:
        return {**PREVIEW, "step": "skipped"}

    async def dial(
        self, campaign: str, number: str, agent: str, by: str, *, allow_erased: bool = False
    ) -> dict[str, Any]:
        if number == "+49301230066" and not allow_erased:
            raise RefusedError(f"who has {number} was erased: --allow-erased")
        if number == "12":
            raise ConfigurationError("'12' cannot be dialled")
        return {**PREVIEW, "step": "asked", "manual": True}

    async def evidence(self, name: str, since: float, until: float) -> dict[str, Any]:
        if name not in ("win", "spring"):
            raise UnknownNameError("campaign", name, "spring" if name == "sprnig" else None)
        return {"campaign": name, "since": since, "until": until}


@pytest.fixture
def campaigns() -> FakeCampaigns:
    return FakeCampaigns()


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk([])


@pytest.fixture
async def server(
    floor: FakeFloor, records: FakeRecords, desk: FakeDesk, campaigns: FakeCampaigns, socket_path: Path
) -> AsyncIterator[ApiServer]:
    server = ApiServer(make_app(floor, records, version="9.9", desk=desk, campaigns=campaigns), socket_path)
    await server.start()
    yield server
    await server.close()


async def test_campaigns_are_told(http: aiohttp.ClientSession) -> None:
    async with http.get("/v1/campaigns") as answer:
        assert await answer.json() == {"campaigns": [ROW]}
    async with http.get("/v1/campaigns/win") as answer:
        assert await answer.json() == ROW
    async with http.get("/v1/campaigns/win/explain") as answer:
        assert (await answer.json())["why"] == EXPLAINED["why"]
    async with http.get("/v1/campaigns/win/evidence?since=100&until=200") as answer:
        assert await answer.json() == {"campaign": "win", "since": 100.0, "until": 200.0}
    # One that is no longer defined
    async with http.get("/v1/campaigns/spring/evidence?since=100&until=200") as answer:
        assert (await answer.json())["campaign"] == "spring"
    async with http.get("/v1/campaigns/spring") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("path", ["win/evidence?since=200&until=100", "win/evidence?since=soon", "win?x=1"])
async def test_what_makes_no_sense_is_refused(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(f"/v1/campaigns/{path}") as answer:
        assert answer.status == 400


async def test_an_unknown_campaign_gets_the_nearest_name(http: aiohttp.ClientSession) -> None:
    for path in ("wim", "wim/explain", "wim/evidence"):
        async with http.get(f"/v1/campaigns/{path}") as answer:
            assert answer.status == 404
            assert (await answer.json())["error"]["nearest"] == "win"
    async with http.get("/v1/campaigns/sprnig/evidence") as answer:
        assert (await answer.json())["error"]["nearest"] == "spring"


async def test_a_change_is_asked_for_and_audited(
    http: aiohttp.ClientSession, campaigns: FakeCampaigns, desk: FakeDesk
) -> None:
    async with http.post("/v1/campaigns/win/stop", json={"reason": "complaints", "now": True}) as answer:
        assert (await answer.json())["campaign"]["state"] == "stopped"
    async with http.post("/v1/campaigns/win/start", json={}) as answer:
        assert answer.status == 409
    async with http.post("/v1/campaigns/win/pause", json={"now": True}) as answer:
        assert answer.status == 400
    assert campaigns.asked == [
        ("win", CampaignState.STOPPED, "complaints", True),
        ("win", CampaignState.RUNNING, "", False),
    ]
    (entry,) = desk.entries
    assert (entry["action"], entry["subject"]) == ("campaign_stop", "campaign:win")
    assert entry["detail"] == {"reason": "complaints", "now": True}


async def test_the_database_away_is_no_empty_list(http: aiohttp.ClientSession, campaigns: FakeCampaigns) -> None:
    campaigns.fails = StoreError("what campaigns did before is not known yet")
    async with http.get("/v1/campaigns") as answer:
        assert answer.status == 503
    async with http.get("/metrics") as answer:
        assert answer.status == 200
        assert "acd_campaign_running" not in await answer.text()


async def test_the_metrics_of_campaigns(http: aiohttp.ClientSession) -> None:
    async with http.get("/metrics") as answer:
        text = await answer.text()
    for line in (
        'acd_campaign_running{campaign="win"} 1.0',
        'acd_campaign_lines{campaign="win",state="ringing"} 7.0',
        'acd_campaign_attempts_total{campaign="win",outcome="abandoned"} 1.0',
        'acd_campaign_refusals_total{campaign="win",reason="hours"} 3.0',
        'acd_campaign_abandonment_ratio{campaign="win"} 0.02439',
        'acd_campaign_agents_kept{campaign="win"} 2.0',
        'acd_queue_blend_level{queue="support"} 1.0',
        'acd_queue_blend_level{queue="billing"} 0.0',
    ):
        assert line in text


async def acd(socket_path: Path, *words: str) -> tuple[int, str]:
    """What ``acd campaign`` prints."""
    arguments = ["--socket", str(socket_path), "campaign", *words]
    found = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
    return found.exit_code, found.output


async def test_the_commands(server: ApiServer, socket_path: Path, campaigns: FakeCampaigns) -> None:
    code, text = await acd(socket_path, "list")
    assert code == 0
    assert "predictive" in text
    assert "2.4" in text
    code, text = await acd(socket_path, "show", "win")
    assert "1 of 41 answered" in text
    assert "answered 40, abandoned 1" in text.replace("no answer 60, ", "")
    assert "keeps 2 agents (reserve): 1 waiting, 1 being too many; 1 caller waiting, service level 81% of late" in text
    assert "takes no agents: 0 callers waiting" in text
    code, text = await acd(socket_path, "explain", "win")
    assert "\x1b[2J" not in text
    assert "campaign win is stopped" in text
    assert "Sunday 22:10" in text
    code, text = await acd(socket_path, "stop", "win", "--now", "--reason", "x")
    assert (code, text) == (0, "win is stopped; 7 lines still under way\n")
    code, text = await acd(socket_path, "start", "win")
    assert (code, "already" in text) == (5, True)
    code, text = await acd(socket_path, "show", "wim")
    assert (code, "nearest" in text) == (4, True)
    code, text = await acd(socket_path, "list", "--json")
    assert json.loads(text) == {"campaigns": [ROW]}


PREVIEW = {
    "agent": "anna", "campaign": "win", "step": "shown", "manual": False, "left_s": 41.0, "then": "pause",
    "script": "Ask\x1b[2J how it went", "number": "+49301230001", "kind": "new",
    "contact": {"contact": 7, "list": "a", "key": "k7", "name": "=Bob\x1b[2J", "language": "de", "country": "DE",
                "numbers": [{"number": "+49301230001", "kind": "other"}, {"number": "+49301230009", "kind": "work"}],
                "fields": {"city": "Ulm"}},
    "attempts": [{"number": "+49301230001", "outcome": "no_answer"}], "last_attempt": 1_710_928_800.0, "attempt": None,
    "lasting_line": False,
}  # fmt: skip


async def test_a_preview_is_told_accepted_and_skipped(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    async with http.get("/v1/agents/1001/preview") as answer:
        assert await answer.json() == {"preview": PREVIEW}
    async with http.get("/v1/agents/bob/preview") as answer:
        assert await answer.json() == {"preview": None}
    async with http.get("/v1/agents/ana/preview") as answer:
        assert (answer.status, (await answer.json())["error"]["nearest"]) == (404, "anna")
    async with http.post("/v1/agents/anna/accept", json={}) as answer:
        assert (await answer.json())["preview"]["step"] == "accepted"
    async with http.post("/v1/agents/bob/accept", json={}) as answer:
        assert answer.status == 409
    async with http.post("/v1/agents/anna/skip", json={"reason": "x" * 81}) as answer:
        assert answer.status == 400
    async with http.post("/v1/agents/anna/skip", json={"reason": "later"}) as answer:
        assert answer.status == 200
    for wish in ({"number": "+49301230001"}, {"agent": "anna", "number": ""}):
        async with http.post("/v1/campaigns/win/dial", json=wish) as answer:
            assert answer.status == 400
    async with http.post("/v1/campaigns/wim/dial", json={"number": "+49301230001", "agent": "anna"}) as answer:
        assert answer.status == 404
    async with http.post("/v1/campaigns/win/dial", json={"number": "+49301230001", "agent": "1001"}) as answer:
        assert answer.status == 200
    wish = {"number": "+49301230066", "agent": "anna", "allow_erased": True}
    async with http.post("/v1/campaigns/win/dial", json=wish) as answer:
        assert answer.status == 200
    entries = [(entry["action"], entry["subject"], entry["detail"]) for entry in desk.entries]
    assert entries == [
        ("agent_accept", "agent:anna", {}),
        ("agent_skip", "agent:anna", {"reason": "later"}),
        ("campaign_dial", "campaign:win", {"agent": "anna"}),
        ("campaign_dial", "campaign:win", {"agent": "anna", "allow_erased": True}),
    ]


async def test_the_commands_of_a_preview(server: ApiServer, socket_path: Path) -> None:
    async def agent(*words: str) -> tuple[int, str]:
        arguments = ["--socket", str(socket_path), "agent", "preview", *words]
        found = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
        return found.exit_code, found.output

    code, text = await agent("anna")
    assert code == 0
    for said in (
        "+49301230001 no answer",
        "Ulm",
        "how it went",
        "41 s, then pause",
        "7 of list a, key k7",
        "+49301230009",
    ):
        assert said in text
    assert "\x1b[2J" not in text
    assert await agent("bob") == (0, "bob is shown no contact\n")
    code, text = await agent("anna", "--accept")
    assert (code, "accepted, campaign win" in text) == (0, True)
    assert await agent("anna", "--skip", "later") == (0, "skipped: +49301230001\n")
    code, text = await agent("bob", "--accept")
    assert (code, "is shown no contact" in text) == (5, True)
    code, text = await agent("anna", "--accept", "--skip", "x")
    assert (code, "not both" in text) == (2, True)
    code, text = await acd(socket_path, "dial", "win", "+49301230001", "--agent", "anna")
    assert (code, text) == (0, "anna's phone rings, then +49301230001 is dialled\n")
    code, text = await acd(socket_path, "dial", "win", "12", "--agent", "anna")
    assert (code, "cannot be dialled" in text) == (1, True)
    code, text = await acd(socket_path, "dial", "win", "+49301230066", "--agent", "anna")
    assert (code, "was erased" in text) == (5, True)
    assert (await acd(socket_path, "dial", "win", "+49301230066", "--agent", "anna", "--allow-erased"))[0] == 0
