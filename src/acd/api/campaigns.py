"""Campaigns: their routes, and what is asked of the running service for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Protocol

from aiohttp import web
from pydantic import Field, StrictBool

from acd.api.desk import DETAIL
from acd.api.errors import RequestError
from acd.api.parameters import Nothing, Seconds, body, query
from acd.api.peer import peer_of
from acd.api.replies import reply
from acd.domain.campaigns import CampaignState
from acd.domain.errors import ConfigurationError, UnknownNameError

ANSWER_TIMEOUT_S = 30.0
_STATES = {"start": CampaignState.RUNNING, "pause": CampaignState.PAUSED, "stop": CampaignState.STOPPED}


class CampaignsPort(Protocol):
    """What the routes here ask of the running service. Everywhere UnknownNameError for a campaign that is none, StoreError
    while the database is away.

    A campaign: ``{"name", "mode", "state", "since", "by", "reason", "queue", "trunk", "lists": [name], "profile",
    "priority", "weight", "agents": {"idle", "talking", "wrapping"} (that count for it now), "inbound": {queue: {"level":
    calm|reserve|recall, "for_s", "why", "kept" (of its agents), "waiting", "wait_s", "service_level"}} (queues that may take
    its agents), "previews": {step: n}, "skipped": {reason: n}, "ringing", "waiting" (people who have answered), "connected",
    "machines" (that hear a message),
    "ready" (contacts at hand), "outcomes": {outcome: n}, "settled", "refusals": {reason: n}, "ledger": {"window", "cap",
    "answered", "charged", "slack", "share", "in_flight"} (the tightest window), "answer_rate", "talk_s", "wrap_s",
    "threshold", "because", "because_detail"}``; counts are since the service began, but the ledger's.
    """

    def campaigns(self) -> list[dict[str, Any]]: ...

    def campaign(self, name: str) -> dict[str, Any]: ...

    def explain_campaign(self, name: str) -> dict[str, Any]:
        """Why it dials nobody, or so few: ``{"campaign", "why": [{"what", "detail"}] (the gravest first), "decision",
        "supply", "refusals", "last_refusals", "ready", "trunk", "node"}``."""

    async def set_campaign(
        self, name: str, state: CampaignState, by: str, reason: str, *, hang_up: bool = False
    ) -> dict[str, Any]:
        """Have it run, pause or stop, at once; the campaign as it is then. ``hang_up``: lines that ring, too. Raises
        RefusedError."""

    async def start_warnings(self, name: str) -> list[str]:
        """What a campaign that dials lacks, as far as that is known: a sentence each."""

    def agent_of(self, name: str) -> str:
        """The agent of this name or number. Raises UnknownNameError."""

    def preview(self, agent: str) -> dict[str, Any] | None:
        """The contact that an agent is shown, or that is being dialled for him: ``{"agent", "campaign", "step":
        asked|shown|accepted|called|there|dialling, "manual", "left_s" and "then" (of one that is shown: dial|skip|pause),
        "script", "number", "kind", "contact": {"contact", "list", "key", "name", "language", "country", "numbers":
        [{"number", "kind"}], "fields"}, "attempts": [{"number", "outcome"}] (in this campaign), "last_attempt",
        "attempt", "lasting_line" (he is on one: his phone does not ring)}``."""

    async def accept_preview(self, agent: str) -> dict[str, Any]:
        """Have it dialled, as `preview`. Raises RefusedError: none is shown, or the gate forbids it."""

    def skip_preview(self, agent: str, reason: str) -> dict[str, Any]:
        """Not this one, as `preview`. Raises RefusedError."""

    async def dial(
        self, campaign: str, number: str, agent: str, by: str, *, allow_erased: bool = False
    ) -> dict[str, Any]:
        """Have a number dialled for an agent, as `preview`; ``allow_erased``: also if the person was erased (``acd person
        erase``). Raises RefusedError, and ConfigurationError for what is no number."""

    async def evidence(self, name: str, since: float, until: float) -> dict[str, Any]:
        """What it did from then until then: as ``store.outbound.evidence``; also of one that is no longer defined."""


class StateBody(Nothing):
    """Why, and whether lines that ring are hung up (``stop`` alone)."""

    reason: Annotated[str, Field(max_length=500)] = ""
    now: StrictBool = False


class EvidenceQuery(Nothing):
    """From when until when; by default the last 30 days."""

    since: Seconds | None = None
    until: Seconds | None = None


class SkipBody(Nothing):
    """Why not."""

    reason: Annotated[str, Field(max_length=80)] = ""


class DialBody(Nothing):
    """Whom (a number), for which agent, and whether also if the person was erased."""

    number: Annotated[str, Field(min_length=1, max_length=80)]
    agent: Annotated[str, Field(min_length=1, max_length=80)]
    allow_erased: StrictBool = False


class CampaignHandlers:
    """The routes."""

    def __init__(self, port: CampaignsPort) -> None:
        self._port = port

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/campaigns", self.campaigns),
            web.get("/v1/campaigns/{name}", self.campaign),
            web.get("/v1/campaigns/{name}/explain", self.explain),
            web.get("/v1/campaigns/{name}/evidence", self.evidence),
            web.post("/v1/campaigns/{name}/dial", self.dial),
            web.get("/v1/agents/{name}/preview", self.preview),
            web.post("/v1/agents/{name}/accept", self.accept),
            web.post("/v1/agents/{name}/skip", self.skip),
            *(web.post(f"/v1/campaigns/{{name}}/{action}", self.set_state) for action in _STATES),
        ]

    async def campaigns(self, request: web.Request) -> web.Response:
        """``{"campaigns": [campaign...]}``."""
        query(request, Nothing)
        return reply({"campaigns": self._port.campaigns()})

    async def campaign(self, request: web.Request) -> web.Response:
        """One campaign."""
        query(request, Nothing)
        return reply(self._port.campaign(self._name(request)))

    async def explain(self, request: web.Request) -> web.Response:
        """``CampaignsPort.explain_campaign``."""
        query(request, Nothing)
        return reply(self._port.explain_campaign(self._name(request)))

    async def evidence(self, request: web.Request) -> web.Response:
        """``CampaignsPort.evidence``."""
        wish = query(request, EvidenceQuery)
        until = time.time() if wish.until is None else wish.until
        since = until - 30 * 86_400.0 if wish.since is None else wish.since
        if since >= until:
            raise RequestError(400, "bad_parameter", "since: must be before until")
        name = request.match_info["name"]
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            try:
                return reply(await self._port.evidence(name, since, until))
            except UnknownNameError as error:
                raise self._unknown(error, name) from None

    async def set_state(self, request: web.Request) -> web.Response:
        """``{"ok": true, "campaign": campaign, "warnings": [sentence...]}`` once it is durable; 409 if it is refused. What
        the campaign lacks is a warning when it is started."""
        query(request, Nothing)
        wish = await body(request, StateBody)
        action = request.path.rsplit("/", 1)[1]
        if wish.now and action != "stop":
            raise RequestError(400, "bad_parameter", "now: goes with stop only")
        name = self._name(request)
        request[DETAIL] = wish.model_dump(exclude_defaults=True)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            who = peer_of(request).who
            found = await self._port.set_campaign(name, _STATES[action], who, wish.reason, hang_up=wish.now)
        warnings = await self._port.start_warnings(name) if action == "start" else []
        return reply({"ok": True, "campaign": found, "warnings": warnings})

    async def preview(self, request: web.Request) -> web.Response:
        """``{"preview": preview}``, or null."""
        query(request, Nothing)
        return reply({"preview": self._port.preview(self._port.agent_of(request.match_info["name"]))})

    async def accept(self, request: web.Request) -> web.Response:
        """``{"ok": true, "preview": preview}``; 409 if there is nothing to accept, or the gate refuses."""
        query(request, Nothing)
        await body(request, Nothing)
        agent = self._port.agent_of(request.match_info["name"])
        return reply({"ok": True, "preview": await self._port.accept_preview(agent)})

    async def skip(self, request: web.Request) -> web.Response:
        """``{"ok": true, "preview": preview}``: the contact that is not dialled."""
        query(request, Nothing)
        wish = await body(request, SkipBody)
        agent = self._port.agent_of(request.match_info["name"])
        request[DETAIL] = wish.model_dump(exclude_defaults=True)
        return reply({"ok": True, "preview": self._port.skip_preview(agent, wish.reason)})

    async def dial(self, request: web.Request) -> web.Response:
        """``{"ok": true, "preview": preview}`` once the agent's phone is about to ring (the number to be dialled, if he
        has a lasting line); 400 if it is no number, 409 if it is refused."""
        query(request, Nothing)
        wish = await body(request, DialBody)
        name, agent = self._name(request), self._port.agent_of(wish.agent)
        request[DETAIL] = {"agent": agent} | ({"allow_erased": True} if wish.allow_erased else {})
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            who = peer_of(request).who
            try:
                found = await self._port.dial(name, wish.number, agent, who, allow_erased=wish.allow_erased)
            except ConfigurationError as error:
                raise RequestError(400, "bad_parameter", str(error)) from error
        return reply({"ok": True, "preview": found})

    def _name(self, request: web.Request) -> str:
        """The campaign asked about. Raises UnknownNameError with the nearest right name."""
        name = request.match_info["name"]
        try:
            self._port.campaign(name)
        except UnknownNameError as error:
            raise self._unknown(error, name) from None
        return name

    def _unknown(self, error: UnknownNameError, name: str) -> UnknownNameError:
        known = [one["name"] for one in self._port.campaigns()]
        return UnknownNameError("campaign", name, error.nearest or _nearest(name, known))


def _nearest(name: str, names: Iterable[str]) -> str | None:
    by_lower = {known.lower(): known for known in names}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None
