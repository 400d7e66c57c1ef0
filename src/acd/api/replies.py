"""How an answer looks on the wire: JSON bodies, and the one shape every error has.

An error is ``{"error": {"kind": word, "message": text, "nearest": name or null}}``; some kinds add ``"problems"``
(one ``{"name", "expected"}`` a bad parameter; those of floor.yaml say file, line and message) or ``"id"`` (of the log
line that tells more). Nothing here decides which error it is: that is `errors`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

from aiohttp import web


def _plain(value: object) -> object:
    """What json does not know but the ports may hand out: read-only mappings and sets."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON-able")


def dumps(body: object) -> str:
    """Strict JSON in ASCII, so that no control character or lone surrogate reaches anybody. ValueError on NaN."""
    return json.dumps(body, separators=(",", ":"), allow_nan=False, default=_plain)


def reply(body: object, status: int = 200) -> web.Response:
    """A JSON response."""
    return web.Response(text=dumps(body), status=status, content_type="application/json")


def error_body(kind: str, message: str, nearest: str | None = None, **more: Any) -> dict[str, Any]:
    """The body every error has; ``more`` as the module's docstring says."""
    return {"error": {"kind": kind, "message": message, "nearest": nearest, **more}}
