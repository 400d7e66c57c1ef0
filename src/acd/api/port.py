"""What the API asks of the running service: the live floor, and what concerns calls, the floor's file and the journal.

Only Protocols and the words they need live here. All ``dict`` results are JSON-able.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from acd.domain.attributes import Value
from acd.domain.definition import ToDialplan
from acd.domain.errors import ConfigurationError
from acd.domain.events import CallAction
from acd.domain.ports import Answer, FloorPort


class BadFloorError(ConfigurationError):
    """floor.yaml cannot be used. ``found``: ``[{"file", "line", "column", "severity", "message"[, "excerpt"]}]``."""

    def __init__(self, message: str, found: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.found = found


class ServicePort(FloorPort, Protocol):
    """The live floor of a running service.

    ``status`` has one more key, ``"journal": {"state": "off"|"writing"|"stopped"|"closed", "file", "events", "waiting",
    "detail"}``; the detail of ``health`` has ``"journal": state``. A floor's ``changes`` are::

        {"skills": {"added": [name], "removed": [name]}, "settings": {field: {"from", "to"}},
         "queues"|"agents"|"entry_points"|"callers"|"hours":
            {"added": [name], "removed": [name], "changed": {name: {field: {"from", "to"}}}}}
    """

    def agent_explanation(self, name: str) -> dict[str, Any]:
        """Why an agent has no call now: ``{"agent", "state", "reason", "since", "why_not", "phone", "breaker", "call",
        "prospects": [{"queue", "requirement", "waiting", "why_not", "kept_for"}] (all kinds of calls that
        wait, ``why_not`` empty for what he may take, ``kept_for`` the agent for whom alone they wait), "held_for": [call]
        (that wait for him alone), "revision"}``.

        By name or number. Raises UnknownNameError.
        """

    async def request_call(
        self,
        call: str,
        action: CallAction,
        *,
        queue: str | None = None,
        attributes: Mapping[str, Value] | None = None,
        to: ToDialplan | None = None,
    ) -> Answer:
        """Ask the floor for something about a live call, answered as ``request`` is. Attributes are without fault.
        Raises UnknownNameError for call or queue, RefusedError; also if the dialplan has no such place as ``to``."""

    def floor_in_force(self) -> dict[str, Any]:
        """The definition in force: ``{"file", "revision", "since", "previous": revision|None, "reloads", "queues": n,
        "agents": n, "entry_points": n, "callers": n, "skills": [name], "pause_reasons": [word]}``."""

    async def compare_floor(self) -> dict[str, Any]:
        """What a reload would do: ``{"file", "revision", "new_revision", "changes", "summary", "warnings": [problem]}``.
        Raises BadFloorError."""

    async def reload_floor(self, who: str = "") -> dict[str, Any]:
        """Put floor.yaml as it is now in force, as ``who`` asks (a word of the audit log's): ``compare_floor``'s, and
        ``"message"``, ``"reloaded": bool``. Raises BadFloorError or RefusedError, and then nothing has changed."""
