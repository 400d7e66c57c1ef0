"""What the operator defined: skills, queues, agents, entry points. Already checked; nothing inside checks it again.

Built by ``config`` from floor.yaml; immutable; identified by ``revision`` (a hash of the file's meaning).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ToQueue:
    """Go on waiting in another queue."""

    queue: str


@dataclass(frozen=True, slots=True)
class ToDialplan:
    """Leave for a place in the operator's own dialplan."""

    context: str
    exten: str
    priority: int = 1


@dataclass(frozen=True, slots=True)
class HangUp:
    """Say goodbye."""


Destination = ToQueue | ToDialplan | HangUp


@dataclass(frozen=True, slots=True)
class SkillRequirement:
    """``skill`` at ``minimum`` proficiency (0-100) or better."""

    skill: str
    minimum: int


@dataclass(frozen=True, slots=True)
class QueueDefinition:
    """One queue. ``hold`` is a music class, or ``None`` for ringback. Times in seconds, ``None`` = without limit."""

    name: str
    strategy: str = "longest_idle"
    requirements: tuple[SkillRequirement, ...] = ()
    ring_timeout_s: float = 20.0
    wrap_up_s: float = 10.0
    max_wait_s: float | None = None
    overflow: Destination = HangUp()
    hold: str | None = "default"
    service_level_s: float = 20.0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """One person. ``phones`` are Asterisk devices that ring together (``PJSIP/1001``); ``number`` is for dial codes."""

    name: str
    number: str
    phones: tuple[str, ...]
    queues: tuple[str, ...]
    skills: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    display_name: str = ""
    pin_hash: str | None = None
    auto_answer: bool = False


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """Calls to ``did`` enter ``queue``; ``priority`` is added to the queue's."""

    did: str
    queue: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class FloorDefinition:
    """The whole floor. ``fallback`` takes callers whose DID has no entry point."""

    queues: Mapping[str, QueueDefinition]
    agents: Mapping[str, AgentDefinition]
    entry_points: Mapping[str, EntryPoint]
    skills: tuple[str, ...] = ()
    pause_reasons: tuple[str, ...] = ("pause", "break", "lunch", "meeting", "training")
    fallback: Destination = HangUp()
    cool_down_s: float = 10.0
    revision: str = ""
