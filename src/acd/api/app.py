"""The HTTP application: routes and handlers over the ports. It decides nothing and keeps nothing.

``make_app`` gives the whole application, for the Unix socket. Its ``PROBES`` is a second one with /health and
/metrics alone, for places where anybody may ask: no route is there that could be reached by mistake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from acd.api.campaigns import CampaignHandlers, CampaignsPort
from acd.api.desk import DETAIL, UNCHANGED, DeskHandlers, DeskPort, audit_middleware, mask_middleware
from acd.api.errors import RequestError, errors_middleware
from acd.api.metrics import CampaignCollector, Counters, FloorCollector, HttpCounts
from acd.api.parameters import AgentBody, AttributesBody, CallsQuery, EscalateBody, Nothing, TransferBody, body, query
from acd.api.peer import peer_of
from acd.api.port import ServicePort
from acd.api.replies import reply
from acd.domain.errors import AcdError, RefusedError, UnknownNameError
from acd.domain.events import AgentAction, CallAction
from acd.domain.ports import Answer, FloorPort, RecordsPort

BODY_BYTES_MAX = 64 * 1024
ANSWER_TIMEOUT_S = 30.0

_SERIAL_DIGITS, _ID_DIGITS = 8, 14
"""Of a call's id: its life's number comes first."""

PROBES: web.AppKey[web.Application] = web.AppKey("probes", web.Application)
COUNTS: web.AppKey[HttpCounts] = web.AppKey("counts", HttpCounts)

Result = TypeVar("Result")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name most like ``name``, if any is like it at all; case does not matter."""
    by_lower = {known.lower(): known for known in names}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


class Probes:
    """/health and /metrics."""

    def __init__(self, floor: FloorPort, registry: CollectorRegistry) -> None:
        self._floor, self._registry = floor, registry

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/health", self.health), web.get("/metrics", self.metrics)]

    async def health(self, request: web.Request) -> web.Response:
        """200 if calls can be served, else 503; the body says why."""
        query(request, Nothing)
        ok, detail = self._floor.health()
        return reply({**detail, "ok": ok}, 200 if ok else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


class Handlers:
    """The routes under /v1. Shapes are those of the ports."""

    def __init__(self, floor: ServicePort, records: RecordsPort, version: str) -> None:
        self._floor, self._records, self._version = floor, records, version

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/status", self.status),
            web.get("/v1/queues", self.queues),
            web.get("/v1/queues/{name}", self.queue),
            web.get("/v1/agents", self.agents),
            web.get("/v1/agents/{name}", self.agent),
            web.get("/v1/agents/{name}/explain", self.explain_agent),
            *(web.post(f"/v1/agents/{{name}}/{action}", self.act) for action in AgentAction),
            web.get("/v1/calls", self.calls),
            web.get("/v1/calls/{call}", self.call),
            web.get("/v1/calls/{call}/explain", self.explain),
            web.post("/v1/calls/{call}/escalate", self.escalate),
            web.post("/v1/calls/{call}/transfer", self.transfer),
            web.post("/v1/calls/{call}/attributes", self.set_attributes),
            web.get("/v1/floor", self.floor),
            web.get("/v1/floor/diff", self.compare_floor),
            web.post("/v1/floor/reload", self.reload_floor),
        ]

    async def status(self, request: web.Request) -> web.Response:
        """``FloorPort.status`` and ``"version"``."""
        query(request, Nothing)
        return reply({"version": self._version, **self._floor.status()})

    async def queues(self, request: web.Request) -> web.Response:
        """``{"queues": [queue...]}``."""
        query(request, Nothing)
        return reply({"queues": self._floor.queues()})

    async def queue(self, request: web.Request) -> web.Response:
        """One queue with its calls and members."""
        query(request, Nothing)
        name = request.match_info["name"]
        try:
            return reply(self._floor.queue(name))
        except UnknownNameError as error:
            raise self._helped(error, (queue["name"] for queue in self._floor.queues())) from None

    async def agents(self, request: web.Request) -> web.Response:
        """``{"agents": [agent...]}``."""
        query(request, Nothing)
        return reply({"agents": self._floor.agents()})

    async def agent(self, request: web.Request) -> web.Response:
        """One agent, by name or number."""
        query(request, Nothing)
        return reply(self._agent(request.match_info["name"]))

    async def act(self, request: web.Request) -> web.Response:
        """``{"ok": true, "message", "data"}`` once what was asked for is durable; 409 if it is refused."""
        query(request, Nothing)
        wish = await body(request, AgentBody)
        action = AgentAction(request.path.rsplit("/", 1)[1])
        name = self._agent(request.match_info["name"])["name"]
        request[DETAIL] = wish.model_dump(exclude_none=True)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await self._floor.request(name, action, reason=wish.reason, phone=wish.phone)
        return _answered(answer)

    async def explain_agent(self, request: web.Request) -> web.Response:
        """Why the agent has no call now: ``ServicePort.agent_explanation``."""
        query(request, Nothing)
        name = self._agent(request.match_info["name"])["name"]
        return reply(self._floor.agent_explanation(name))

    async def calls(self, request: web.Request) -> web.Response:
        """``{"calls": [...]}``: live calls of the floor with ``live=1``, else rows of the records."""
        wish = query(request, CallsQuery)
        if wish.live:
            if wish.model_fields_set - {"live", "limit", "queue", "agent", "number"}:
                raise RequestError(400, "bad_parameter", "live: goes with limit, queue, agent and number only")
            return reply({"calls": self._live_calls(wish)})
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            rows = await self._records.calls(
                limit=wish.limit,
                since=wish.since,
                until=wish.until,
                queue=wish.queue,
                agent=self._name_of(wish.agent),
                outcome=wish.outcome,
                number=wish.number,
            )
        return reply({"calls": rows})

    async def call(self, request: web.Request) -> web.Response:
        """``{"call": row with segments or null, "live": live call or null}``; 404 if it is neither. Few digits are a call
        of this life, by the end of its id."""
        query(request, Nothing)
        name = self._whole(request.match_info["call"])
        live = self._live_call(name)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            row = await self._records.call(name)
        if row is None and live is None:
            raise self._unknown_call(name)
        return reply({"call": row, "live": live})

    async def explain(self, request: web.Request) -> web.Response:
        """As ``call``, and ``"decisions": [...]`` in their order."""
        query(request, Nothing)
        name = self._whole(request.match_info["call"])
        live = self._live_call(name)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            row = await self._records.call(name)
            decisions = await self._records.decisions(name)
        if row is None and live is None and not decisions:
            raise self._unknown_call(name)
        return reply({"call": row, "live": live, "decisions": decisions})

    async def escalate(self, request: web.Request) -> web.Response:
        """Pass a call on; answered as an agent's request is."""
        query(request, Nothing)
        wish = await body(request, EscalateBody)
        request[DETAIL] = wish.model_dump(exclude_none=True)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return _answered(await self._of_call(request, CallAction.ESCALATE, queue=wish.queue))

    async def transfer(self, request: web.Request) -> web.Response:
        """Send a call to a queue or to a place in the dialplan; answered as an agent's request is."""
        query(request, Nothing)
        wish = await body(request, TransferBody)
        place = wish.place()
        request[DETAIL] = wish.model_dump(exclude_none=True)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return _answered(await self._of_call(request, CallAction.TRANSFER, queue=wish.queue, to=place))

    async def set_attributes(self, request: web.Request) -> web.Response:
        """Give a call attributes; those of other names stay. Answered as an agent's request is."""
        query(request, Nothing)
        attributes = (await body(request, AttributesBody)).checked()
        request[DETAIL] = {"names": sorted(attributes)}
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return _answered(await self._of_call(request, CallAction.SET_ATTRIBUTES, attributes=attributes))

    async def _of_call(self, request: web.Request, action: CallAction, **what: Any) -> Answer:
        try:
            return await self._floor.request_call(request.match_info["call"], action, **what)
        except UnknownNameError as error:
            of_queue = error.kind == "queue"
            if not of_queue and await self._is_over(error.name):
                raise RefusedError(f"call {error.name} is over: there is nothing left to change") from None
            names = (q["name"] for q in self._floor.queues()) if of_queue else (c["call"] for c in self._floor.calls())
            raise self._helped(error, names) from None

    async def _is_over(self, call: str) -> bool:
        """Whether the records know ``call`` as one that has ended; False if they cannot be asked now."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                row = await self._records.call(call)
        except (AcdError, TimeoutError):
            return False
        return row is not None and row.get("ended_at") is not None

    async def floor(self, request: web.Request) -> web.Response:
        """``ServicePort.floor_in_force``."""
        query(request, Nothing)
        return reply(self._floor.floor_in_force())

    async def compare_floor(self, request: web.Request) -> web.Response:
        """``ServicePort.compare_floor``; 409 ``bad_floor`` if the file cannot be used."""
        query(request, Nothing)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return reply(await self._floor.compare_floor())

    async def reload_floor(self, request: web.Request) -> web.Response:
        """``ServicePort.reload_floor`` and ``"ok": true``; 409 ``bad_floor`` or ``refused`` if it stays as it was."""
        query(request, Nothing)
        await body(request, Nothing)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            found = await self._floor.reload_floor(peer_of(request).who)
        request[DETAIL] = {"from": found["revision"], "to": found["new_revision"], "summary": found["summary"]}
        request[UNCHANGED] = not found["reloaded"]
        return reply({"ok": True, **found})

    def _agent(self, name: str) -> dict[str, Any]:
        try:
            return self._floor.agent(name)
        except UnknownNameError as error:
            raise self._helped(error, (agent["name"] for agent in self._floor.agents())) from None

    def _name_of(self, agent: str | None) -> str | None:
        """The agent's name if this is a number or a name in force; records also know agents that left."""
        if agent is None:
            return None
        try:
            return str(self._floor.agent(agent)["name"])
        except UnknownNameError:
            return agent

    def _whole(self, name: str) -> str:
        """A call's id, of which whoever looks may leave out the number of the life that goes on."""
        if not (name.isascii() and name.isdigit()) or len(name) > _SERIAL_DIGITS:
            return name
        epoch = self._floor.status()["epoch"]
        return f"{epoch:0{_ID_DIGITS - _SERIAL_DIGITS}d}{name:0>{_SERIAL_DIGITS}}"

    def _live_call(self, name: str) -> dict[str, Any] | None:
        return next((call for call in self._floor.calls() if call["call"] == name), None)

    def _live_calls(self, wish: CallsQuery) -> list[dict[str, Any]]:
        wanted = {"queue": wish.queue, "agent": self._name_of(wish.agent), "caller_number": wish.number}
        wanted = {key: value for key, value in wanted.items() if value is not None}
        calls = (call for call in self._floor.calls() if all(call[key] == value for key, value in wanted.items()))
        return [call for _, call in zip(range(wish.limit), calls, strict=False)]

    def _unknown_call(self, name: str) -> UnknownNameError:
        return self._helped(UnknownNameError("call", name), (call["call"] for call in self._floor.calls()))

    @staticmethod
    def _helped(error: UnknownNameError, names: Iterable[str]) -> UnknownNameError:
        """The same error, with the nearest right name."""
        return UnknownNameError(error.kind, error.name, error.nearest or nearest(error.name, names))


def _answered(answer: Answer) -> web.Response:
    """``{"ok": true, "message", "data"}``. Raises RefusedError if it is not."""
    if not answer.ok:
        raise RefusedError(answer.message)
    return reply({"ok": True, "message": answer.message, "data": answer.data})


def make_app(
    floor: ServicePort,
    records: RecordsPort,
    *,
    version: str,
    counters: Counters | None = None,
    registry: CollectorRegistry | None = None,
    desk: DeskPort | None = None,
    campaigns: CampaignsPort | None = None,
) -> web.Application:
    """The application for `ApiServer`. ``counters()`` gives further counters by name, asked at every scrape. ``desk``:
    without it nothing can be said of calls, and nothing is audited or masked. ``campaigns``: what is dialled.

    ``registry`` is the Prometheus registry to use; without one, a new one is made that has the process' figures too.
    """
    if registry is None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
    counts = HttpCounts(registry)
    registry.register(FloorCollector(floor, version, counters))

    def observe(request: web.Request, status: int) -> None:
        resource = request.match_info.route.resource
        counts.request(resource.canonical if resource else "none", request.method, status)

    probes = Probes(floor, registry)
    around = [] if desk is None else [mask_middleware(desk), audit_middleware(desk)]
    app = web.Application(middlewares=[*around, errors_middleware(observe)], client_max_size=BODY_BYTES_MAX)
    app.add_routes([*Handlers(floor, records, version).routes(), *probes.routes()])
    if desk is not None:
        app.add_routes(DeskHandlers(desk).routes())
    if campaigns is not None:
        app.add_routes(CampaignHandlers(campaigns).routes())
        registry.register(CampaignCollector(campaigns.campaigns))
    small = web.Application(middlewares=[errors_middleware(observe)], client_max_size=BODY_BYTES_MAX)
    small.add_routes(probes.routes())
    app[PROBES], app[COUNTS], small[COUNTS] = small, counts, counts
    return app
