"""Which status and kind an exception becomes, and the middleware that makes every failure a JSON answer.

The client never sees a traceback: what nobody foresaw is logged with an id, and the client gets the id.

====================  ======  =====================================================================
kind                  status  when
====================  ======  =====================================================================
bad_parameter         400     a query parameter or a field of the body is not what is expected
bad_request           400     the request is not HTTP, or its body is not a JSON object
forbidden             403     understood, and not for this user
unknown_name          404     no queue, agent, call... of that name; ``nearest`` may help
not_found             404     no such path
method_not_allowed    405     the path does not know the method; the Allow header says which it knows
timeout               408     the request's body did not arrive in time
refused               409     understood, and not allowed in the present state
bad_floor             409     floor.yaml cannot be used; ``problems`` says why
too_large             413     the body is over the cap
unsupported_media     415     a body that does not say it is JSON, or is compressed
internal              500     a defect; ``id`` finds it in the log
unavailable           503     Asterisk or the database cannot be asked at the moment
no_answer             504     the floor or the database did not answer in time
====================  ======  =====================================================================
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from acd.api.port import BadFloorError
from acd.api.replies import error_body, reply
from acd.domain.errors import AsteriskError, RefusedError, StoreError, UnknownNameError

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Observer = Callable[[web.Request, int], None]

_HTTP_KINDS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media",
}
_READS = ("GET", "HEAD")


class RequestError(Exception):
    """A request that cannot be served as it stands. ``problems`` is ``[{"name", "expected"}]`` for bad parameters."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        problems: list[dict[str, str]] | None = None,
        nearest: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.problems, self.nearest = status, kind, message, problems, nearest


def _described(error: Exception, method: str) -> web.Response | None:
    """The answer to a foreseen failure, ``None`` for any other."""
    if isinstance(error, RequestError):
        more: dict[str, Any] = {} if error.problems is None else {"problems": error.problems}
        return reply(error_body(error.kind, error.message, error.nearest, **more), error.status)
    if isinstance(error, UnknownNameError):
        return reply(error_body("unknown_name", str(error), error.nearest), 404)
    if isinstance(error, RefusedError):
        return reply(error_body("refused", str(error)), 409)
    if isinstance(error, BadFloorError):
        return reply(error_body("bad_floor", str(error), problems=error.found), 409)
    if isinstance(error, (AsteriskError, StoreError)):
        log.warning("unavailable: %s", error)
        return reply(error_body("unavailable", str(error)), 503)
    if isinstance(error, TimeoutError):
        log.warning("no answer in time")
        message = "no answer in time; what was asked for may still take effect, so look before you ask again"
        if method in _READS:
            message = "no answer in time; nothing was changed: ask again later"
        return reply(error_body("no_answer", message), 504)
    return None


def _of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals, in our shape and with its headers (Allow, Connection)."""
    if error.status == 404:
        message = f"there is no {request.path!r} here"
    elif error.status == 405 and isinstance(error, web.HTTPMethodNotAllowed):
        message = f"{request.path} does not take {request.method}, but {', '.join(sorted(error.allowed_methods))}"
    elif isinstance(error, web.HTTPRequestEntityTooLarge):
        message = f"the body is larger than {request.client_max_size} bytes"
    else:
        message = error.text or error.reason
    response = reply(error_body(_HTTP_KINDS.get(error.status, "bad_request"), message), error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def errors_middleware(observe: Observer) -> Any:
    """A middleware that answers every failure, and tells ``observe(request, status)`` how each request ended."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = _of_http(request, error)
        except Exception as error:
            described = _described(error, request.method)
            if described is None:
                ident = secrets.token_hex(4)
                log.exception("request %s failed: %s %r", ident, request.method, request.path)
                message = f"a defect in acd; its log tells more under the id {ident}"
                described = reply(error_body("internal", message, id=ident), 500)
            response = described
        observe(request, response.status)
        return response

    return middleware
