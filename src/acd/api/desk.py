"""What is said of calls, which configurations were in force, who did what: their routes, and the two things that hold for
every request: a change leaves an entry in the audit log, and who need not know callers' numbers does not see them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection
from typing import Annotated, Any, Protocol

from aiohttp import web
from pydantic import Field

from acd.api.errors import RequestError
from acd.api.parameters import Name, Nothing, Seconds, body, query
from acd.api.peer import peer_of
from acd.api.replies import dumps, error_body, reply
from acd.domain.annotations import NOTES_MAX, TAGS_MAX, Annotation, disposition_fault, notes_fault, tag_fault
from acd.domain.errors import UnknownNameError
from acd.domain.numbers import masked

ANSWER_TIMEOUT_S = 30.0
DETAIL: web.RequestKey[dict[str, Any]] = web.RequestKey("audit_detail", dict)
"""Set by a handler: what the audit log shall say besides who, what and whom. An empty one: there is nothing to say."""
UNCHANGED: web.RequestKey[bool] = web.RequestKey("audit_unchanged", bool)
"""Set by a handler that has changed nothing, or has itself made the entry."""

MASK_HEADER = "Acd-Mask-Numbers"

_CHANGES = re.compile(r"/v1/([a-z]+?)s?(?:/\{[a-z]+\})?/([a-z_-]+)")


class DeskPort(Protocol):
    """What the routes here ask of the running service."""

    mask: bool
    """Whether users other than the service's own, and operators, see callers' numbers masked."""

    def is_operator(self, uid: int, groups: Collection[int]) -> bool:
        """Whether a user of this machine sees callers' numbers though others do not. ``groups``: ids of those of the process
        that asks."""

    async def annotate(self, call: str, said: Annotation) -> dict[str, Any]:
        """Say something of a call that is under way or over: ``{"call", "disposition", "notes", "tags"}`` as they are
        then, durable, and the ``effect`` that a campaign's word has for whom was called. Raises UnknownNameError (call,
        disposition, tag), RefusedError, StoreError."""

    async def revisions(self, *, limit: int) -> list[dict[str, Any]]:
        """The latest first: ``{"revision", "loaded_at", "who"}``."""

    async def revision(self, name: str) -> dict[str, Any] | None:
        """One of them, with its ``"detail"``."""

    async def audit(
        self, *, limit: int, since: float | None, until: float | None, who: str | None, action: str | None
    ) -> list[dict[str, Any]]:
        """The latest first: ``{"entry", "at", "who", "action", "subject", "detail"}``."""

    async def forget(self, number: str) -> dict[str, Any]:
        """Have all records in the database, and a caller out of what the service has in mind and goes on writing:
        ``{"forgotten": bool, "configured": bool (floor.yaml names him), "live": [call], "journal": path|None (the part
        begun since)}``. Raises StoreError."""

    def audited(self, who: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """Make an entry in the audit log."""


Tag = Annotated[str, Field(min_length=1, max_length=200)]


class TagsBody(Nothing):
    """Tags to be added and taken away."""

    add: list[Tag] = Field(default_factory=list, max_length=TAGS_MAX)
    remove: list[Tag] = Field(default_factory=list, max_length=TAGS_MAX)


class AnnotationBody(Nothing):
    """What is to be said of a call; an empty text takes away what was said."""

    disposition: Annotated[str, Field(max_length=200)] | None = None
    notes: Annotated[str, Field(max_length=NOTES_MAX)] | None = None
    append: bool = False
    tags: TagsBody = TagsBody()

    def checked(self) -> Annotation:
        """Raises RequestError 400 ``bad_parameter`` with every problem."""
        problems = []
        if self.disposition:
            problems.append(("disposition", disposition_fault(self.disposition)))
        if self.notes is not None:
            self.notes = self.notes.replace("\r\n", "\n").replace("\r", "\n")
            problems.append(("notes", notes_fault(self.notes)))
        problems += [("tags", fault and f"{tag!r} {fault}") for tag in self.tags.add for fault in (tag_fault(tag),)]
        both = sorted({*self.tags.add} & {*self.tags.remove})
        problems += [("tags", f"{tag!r} is to be added and taken away") for tag in both]
        if self.disposition is None and self.notes is None and not (self.tags.add or self.tags.remove):
            problems.append(("body", "says nothing: give disposition, notes or tags"))
        found = [{"name": name, "expected": fault} for name, fault in problems if fault]
        if found:
            message = "; ".join(f"{one['name']}: {one['expected']}" for one in found)
            raise RequestError(400, "bad_parameter", message, found)
        return Annotation(self.disposition, self.notes, self.append, tuple(self.tags.add), tuple(self.tags.remove))


class NumberBody(Nothing):
    """A caller's number, however written."""

    number: Name


class LimitQuery(Nothing):
    """How many."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class AuditQuery(LimitQuery):
    """Filters of the audit log."""

    since: Seconds | None = None
    until: Seconds | None = None
    who: Name | None = None
    action: Name | None = None


class DeskHandlers:
    """The routes."""

    def __init__(self, desk: DeskPort) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/calls/{call}/annotations", self.annotate),
            web.get("/v1/floor/revisions", self.revisions),
            web.get("/v1/floor/revisions/{revision}", self.revision),
            web.get("/v1/audit", self.audit),
            web.post("/v1/persons/forget", self.forget),
        ]

    async def annotate(self, request: web.Request) -> web.Response:
        """``DeskPort.annotate`` and ``"ok": true``."""
        query(request, Nothing)
        said = (await body(request, AnnotationBody)).checked()
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            found = await self._desk.annotate(request.match_info["call"], said)
        given = {"disposition": said.disposition, "tags_added": said.add_tags, "tags_removed": said.remove_tags}
        # What the notes say is nobody's business here
        length = None if said.notes is None else len(said.notes)
        request[DETAIL] = {
            key: value for key, value in {**given, "notes_length": length}.items() if value not in (None, ())
        }
        return reply({"ok": True, **found})

    async def revisions(self, request: web.Request) -> web.Response:
        """``{"revisions": [...]}``, the latest first."""
        wish = query(request, LimitQuery)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return reply({"revisions": await self._desk.revisions(limit=wish.limit)})

    async def revision(self, request: web.Request) -> web.Response:
        """``DeskPort.revision``; 404 if it was never in force."""
        query(request, Nothing)
        name = request.match_info["revision"]
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            found = await self._desk.revision(name)
            if found is None:
                known = {row["revision"] for row in await self._desk.revisions(limit=1000)}
                begins = sorted(one for one in known if name and one.startswith(name))
                raise UnknownNameError("revision", name, begins[0] if begins else None)
        return reply(found)

    async def audit(self, request: web.Request) -> web.Response:
        """``{"audit": [...]}``, the latest first."""
        wish = query(request, AuditQuery)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            found = await self._desk.audit(
                limit=wish.limit, since=wish.since, until=wish.until, who=wish.who, action=wish.action
            )
        return reply({"audit": found})

    async def forget(self, request: web.Request) -> web.Response:
        """``DeskPort.forget``; for the service's own user alone."""
        query(request, Nothing)
        wish = await body(request, NumberBody)
        if not peer_of(request).is_owner:
            raise RequestError(403, "forbidden", "only the service's own user may have a person forgotten")
        request[UNCHANGED] = True  # who erases the records makes the entry, with what came of it
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return reply({"ok": True, **await self._desk.forget(wish.number)})


def audit_middleware(desk: DeskPort) -> Any:
    """A middleware that makes an entry of every change: ``agent_login``, ``call_escalate``, ``floor_reload``..."""

    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        # After 5xx nobody knows whether it was done
        done = response.status < 400
        if request.method == "POST" and (done or response.status >= 500) and not request.get(UNCHANGED, False):
            resource = request.match_info.route.resource
            found = _CHANGES.fullmatch(resource.canonical) if resource is not None else None
            if found is not None:
                subject = next(iter(request.match_info.values()), "")
                detail = {**request.get(DETAIL, {}), **({} if done else {"outcome": "unknown"})}
                about = f"{found[1]}:{subject}" if subject else found[1]
                desk.audited(peer_of(request).who, f"{found[1]}_{found[2]}", about, detail)
        return response

    return middleware


def _is_kept(desk: DeskPort, request: web.Request) -> bool:
    """Whether numbers are kept from whoever asks."""
    peer = peer_of(request)
    return desk.mask and not peer.is_owner and (peer.uid is None or not desk.is_operator(peer.uid, peer.groups))


def mask_middleware(desk: DeskPort) -> Any:
    """A middleware that masks callers' numbers for all but the service's own user and operators, and for them if they ask
    for it by ``MASK_HEADER: 1``."""

    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        if not isinstance(response, web.Response) or response.content_type != "application/json":
            return response
        if not request.path.startswith("/v1") or not (
            request.headers.get(MASK_HEADER) == "1" or _is_kept(desk, request)
        ):
            return response
        text = response.text
        if text is None:
            return reply(error_body("internal", "an answer that cannot be masked"), 500)
        response.text = dumps(masked(json.loads(text)))
        return response

    return middleware
