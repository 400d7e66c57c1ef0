"""What a request may carry: query parameters and bodies, checked at the edge. Nothing behind this checks them again.

A bad parameter is answered with its name and what is expected, all of them at once.
"""

from __future__ import annotations

import asyncio
import json
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import TransferEncodingError
from aiohttp.web_protocol import RequestPayloadError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from acd.api.errors import RequestError
from acd.domain.attributes import MAX_ATTRIBUTES, Value, fault_of
from acd.domain.definition import ToDialplan
from acd.domain.dialplan import place_of
from acd.domain.states import CallOutcome

BODY_TIMEOUT_S = 10.0
NAME_LENGTH_MAX = 100
CALLS_LIMIT_MAX = 1000
NUMBER_MAX = 10**15


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("text without control characters")
    return value


Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX), AfterValidator(_printable)]
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]


class Nothing(BaseModel):
    """No query parameters at all."""

    model_config = ConfigDict(extra="forbid")


class CallsQuery(Nothing):
    """Filters of finished and running calls (``since``/``until`` in UTC seconds), or ``live=1`` for the floor's own."""

    live: bool = False
    limit: Annotated[int, Field(ge=1, le=CALLS_LIMIT_MAX)] = 50
    since: Seconds | None = None
    until: Seconds | None = None
    queue: Name | None = None
    agent: Name | None = None
    outcome: CallOutcome | None = None
    number: Name | None = None


class AgentBody(Nothing):
    """What comes with an agent's request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Name | None = None
    phone: Name | None = None


class EscalateBody(Nothing):
    """Where a call is to be passed on to; without ``queue``, where its queue escalates to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    queue: Name | None = None


class TransferBody(Nothing):
    """Where a call is to be sent: to a queue, or to a place in the dialplan (see ``domain.dialplan``)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    queue: Name | None = None
    to: Name | None = None

    def place(self) -> ToDialplan | None:
        """The place in the dialplan, if that is what was asked for. Raises RequestError 400 ``bad_parameter``."""
        if (self.queue is None) is (self.to is None):
            raise RequestError(400, "bad_parameter", "queue, to: say one of them, where the call is to go")
        if self.to is None:
            return None
        try:
            return place_of(self.to)
        except ValueError as error:
            expected = str(error)
        problem = {"name": "to", "expected": expected}
        raise RequestError(400, "bad_parameter", f"to: {self.to[:80]!r} {expected}", [problem])


class AttributesBody(Nothing):
    """Attributes for a call, by name. ``checked`` says whether they can be any."""

    model_config = ConfigDict(extra="forbid", strict=True)

    attributes: Annotated[dict[str, Any], Field(min_length=1, max_length=MAX_ATTRIBUTES)]

    def checked(self) -> dict[str, Value]:
        """The attributes. Raises RequestError 400 ``bad_parameter`` with every problem."""
        faults = {name: _fault(name, value) for name, value in self.attributes.items()}
        problems = [
            {"name": f"attributes.{name[:NAME_LENGTH_MAX]}", "expected": fault}
            for name, fault in faults.items()
            if fault
        ]
        if problems:
            message = "; ".join(f"{problem['name']}: {problem['expected']}" for problem in problems)
            raise RequestError(400, "bad_parameter", message, problems)
        return self.attributes


def _fault(name: str, value: Any) -> str:
    """Why this can be no attribute; empty if it can."""
    if not isinstance(value, str | int | float):
        return "should be a text, a number, true or false"
    if not isinstance(value, str) and abs(value) >= NUMBER_MAX:
        return "has more than 15 digits"
    return fault_of(name, value)


Model = TypeVar("Model", bound=BaseModel)


def _expected(model: type[BaseModel], problem: Any) -> dict[str, str]:
    """One pydantic error as ``{"name", "expected"}``."""
    name = ".".join(str(part) for part in problem["loc"]) or "body"
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(name, list(model.model_fields), n=1)
        known = ", ".join(model.model_fields) or "none"
        hint = f"; nearest: {near[0]}" if near else ""
        return {"name": name[:NAME_LENGTH_MAX], "expected": f"no such parameter (known: {known}{hint})"}
    if problem["type"] == "value_error":
        return {"name": name, "expected": str(problem["ctx"]["error"])}
    return {"name": name, "expected": problem["msg"][0].lower() + problem["msg"][1:]}


def check(model: type[Model], values: dict[str, Any]) -> Model:
    """``values`` as a ``model``. Raises RequestError 400 ``bad_parameter`` with every problem."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [_expected(model, problem) for problem in error.errors(include_url=False)][:20]
        message = "; ".join(f"{p['name']}: {p['expected']}" for p in problems)
        raise RequestError(400, "bad_parameter", message, problems) from None


def query(request: web.Request, model: type[Model]) -> Model:
    """The request's query parameters as a ``model``; each may be given once."""
    twice = sorted({name for name in request.query if len(request.query.getall(name)) > 1})
    if twice:
        problems = [{"name": name[:NAME_LENGTH_MAX], "expected": "given once"} for name in twice[:20]]
        raise RequestError(400, "bad_parameter", f"given more than once: {', '.join(twice)[:200]}", problems)
    return check(model, dict(request.query))


async def body(request: web.Request, model: type[Model]) -> Model:
    """The request's JSON body as a ``model``; no body is an empty object. Raises RequestError 400, 408 or 415."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await request.read()
    except TimeoutError:
        raise RequestError(408, "timeout", f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None
    except (RequestPayloadError, TransferEncodingError) as error:
        raise RequestError(400, "bad_request", f"the body is broken: {str(error)[:200]}") from None
    if not raw:
        return check(model, {})
    if request.content_type != "application/json" or request.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestError(415, "unsupported_media", "send the body as plain application/json")
    try:
        values = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "bad_request", f"the body is not JSON in UTF-8: {str(error)[:200]}") from None
    if not isinstance(values, dict):
        raise RequestError(400, "bad_request", f"the body must be a JSON object, not {type(values).__name__}")
    return check(model, values)
