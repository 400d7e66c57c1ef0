"""What the operator defined: skills, queues, agents, entry points. Already checked; nothing inside checks it again.

Built by ``config`` from floor.yaml; immutable; identified by ``revision`` (a hash of the file's meaning).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from acd.domain.attributes import Value
from acd.domain.blending import Blend
from acd.domain.campaigns import CallerIds, Campaign, Trunk
from acd.domain.expression import Expression, at_least_all
from acd.domain.hours import OpeningHours
from acd.domain.values import valueclass


def _nothing() -> MappingProxyType[str, Any]:
    return MappingProxyType({})


@valueclass(frozen=True, slots=True)
class ToQueue:
    """Go on waiting in another queue."""

    queue: str


@valueclass(frozen=True, slots=True)
class ToDialplan:
    """Leave for a place in the operator's own dialplan."""

    context: str
    exten: str
    priority: int = 1


@valueclass(frozen=True, slots=True)
class ToVoicemail(ToDialplan):
    """Leave a message. The place in the operator's dialplan does it; ``box`` is empty for the one that it names."""

    box: str = ""


@valueclass(frozen=True, slots=True)
class ToCallback(ToDialplan):
    """Be called back. The place in the operator's dialplan takes the number."""


@valueclass(frozen=True, slots=True)
class HangUp:
    """Say goodbye."""


@valueclass(frozen=True, slots=True)
class ToMessage(HangUp):
    """Hear ``sound`` (as Asterisk's Playback names it), then goodbye. A HangUp, so ask for this first."""

    sound: str = ""


Destination = ToQueue | ToDialplan | HangUp


@valueclass(frozen=True, slots=True)
class SkillRequirement:
    """``skill`` at ``minimum`` proficiency (0-100) or better."""

    skill: str
    minimum: int


@valueclass(frozen=True, slots=True)
class Stage:
    """What a queue asks for from ``after_s`` on (since the call joined it) until the next stage takes over."""

    after_s: float
    expression: Expression


@valueclass(frozen=True, slots=True)
class Preferred:
    """Before its first stage a call is held for one agent alone, until ``limit_s`` have passed since it joined.

    ``last_agent``: who talked to the caller last; ``owner``: the known caller's; ``named``: whose name stands in the call's
    ``attribute``. Skipped at once when there is no such agent, or he is logged out or not in the queue.
    """

    kind: Literal["last_agent", "owner", "named"]
    limit_s: float
    attribute: str | None = None


@valueclass(frozen=True, slots=True)
class SelectionWeights:
    """Of ``agent_selection: weighted``: an agent's score is what these add up to, the highest is taken.

    ``idle`` a second without a call; ``proficiency`` a point of the skills that the requirement names, summed; ``skills``
    off for every skill the agent has; ``occupied`` off for every second of work today.
    """

    idle: float = 1.0
    proficiency: float = 0.0
    skills: float = 0.0
    occupied: float = 0.0


class Cause(StrEnum):
    """Why a call leaves a queue without an agent."""

    MAX_WAIT = "max_wait"
    FULL = "full"
    LONG_WAIT = "long_wait"
    NOBODY = "nobody"
    CLOSED = "closed"
    UNSATISFIABLE = "unsatisfiable"


AGENT_SELECTIONS = ("longest_idle", "least_occupied", "most_proficient", "least_skilled", "round_robin", "weighted")
CALL_SELECTIONS = ("fcfs", "priority", "deadline", "ratio", "cmu")


@valueclass(frozen=True, slots=True)
class QueueDefinition:
    """One queue. ``hold`` is a music class, or ``None`` for ringback. Times in seconds, ``None`` = without limit.

    ``stages`` are in order, the first at 0 s; none = anyone of the queue. ``requirements`` are a shorthand for one stage.
    ``ratio`` is the target share of the ``ratio`` call selection, ``cost`` the c of c-mu, ``weight`` that among queues.
    Where calls go is asked of ``destination``; of the fields ``on_*``, ``None`` means ``overflow``. ``client``: for whom
    calls are handled, where one centre works for several. ``blend``: what it takes from campaigns that share its agents.
    """

    name: str
    agent_selection: str = "longest_idle"
    requirements: tuple[SkillRequirement, ...] = ()
    ring_timeout_s: float = 20.0
    wrap_up_s: float = 10.0
    max_wait_s: float | None = None
    overflow: Destination = HangUp()
    hold: str | None = "default"
    service_level_s: float = 20.0
    priority: int = 0
    stages: tuple[Stage, ...] = ()
    preferred: tuple[Preferred, ...] = ()
    ring_agents: int = 1
    weights: SelectionWeights | None = None
    max_length: int | None = None
    on_full: Destination | None = None
    max_estimated_wait_s: float | None = None
    on_long_wait: Destination | None = None
    on_nobody: Destination | None = None
    closed: bool = False
    hours: str | None = None
    on_closed: Destination | None = None
    on_unsatisfiable: Destination | None = None
    escalation: str | None = None
    weight: float = 1.0
    ratio: float | None = None
    cost: float = 1.0
    client: str | None = None
    dispositions: tuple[str, ...] = ()
    blend: Blend | None = None

    def __post_init__(self) -> None:
        if self.requirements and not self.stages:
            shorthand = at_least_all({need.skill: need.minimum for need in self.requirements})
            object.__setattr__(self, "stages", (Stage(0.0, shorthand),))

    @property
    def strategy(self) -> str:
        """The former name of ``agent_selection``."""
        return self.agent_selection

    def destination(self, cause: Cause) -> Destination | None:
        """Where a call goes for this cause; ``None``: it stays (only when nobody is logged in, and none is named)."""
        if cause is Cause.NOBODY:
            return self.on_nobody
        chosen = {
            Cause.FULL: self.on_full,
            Cause.LONG_WAIT: self.on_long_wait,
            Cause.CLOSED: self.on_closed,
            Cause.UNSATISFIABLE: self.on_unsatisfiable,
        }.get(cause)
        return self.overflow if chosen is None else chosen


@valueclass(frozen=True, slots=True)
class AgentDefinition:
    """One person. ``phones`` are Asterisk devices that ring together (``PJSIP/1001``); ``number`` is for dial codes.

    ``skill_validity``: skill -> (from, until) in UTC s, either may be ``None``; outside it the agent does not have the
    skill. ``queue_preference``: queue -> how much rather he serves it than others (0 = as much). ``lasting_line``: his
    phone stays on one call for the whole shift, with this class of music between conversations (SILENCE: none); ``None``:
    it is rung for each call.
    """

    name: str
    number: str
    phones: tuple[str, ...]
    queues: tuple[str, ...]
    skills: Mapping[str, int] = field(default_factory=_nothing)
    display_name: str = ""
    pin_hash: str | None = None
    auto_answer: bool = False
    skill_validity: Mapping[str, tuple[float | None, float | None]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    queue_preference: Mapping[str, int] = field(default_factory=_nothing)
    lasting_line: str | None = None

    def skills_at(self, at: float) -> dict[str, int]:
        """What he is good at, at UTC second ``at``."""
        validity = self.skill_validity
        if not validity:
            return dict(self.skills)
        return {skill: level for skill, level in self.skills.items() if _holds(validity.get(skill), at)}

    def hoped_for(self, at: float) -> dict[str, int]:
        """What he is good at now or will be: without what has run out by UTC second ``at``."""
        ends = {skill: until for skill, (_, until) in self.skill_validity.items()}
        return {s: level for s, level in self.skills.items() if (end := ends.get(s)) is None or at < end}

    def next_skill_change(self, at: float) -> float | None:
        """The first UTC second after ``at`` when a skill begins or ends to be valid; ``None`` if none will."""
        edges = (edge for validity in self.skill_validity.values() for edge in validity)
        return min((edge for edge in edges if edge is not None and edge > at), default=None)


def _holds(validity: tuple[float | None, float | None] | None, at: float) -> bool:
    if validity is None:
        return True
    start, end = validity
    return (start is None or start <= at) and (end is None or at < end)


@valueclass(frozen=True, slots=True)
class EntryPoint:
    """Calls to ``did`` enter ``queue``; ``priority`` is added to the queue's. ``attributes`` become those of the call.
    ``client`` counts before the queue's."""

    did: str
    queue: str
    priority: int = 0
    attributes: Mapping[str, Value] = field(default_factory=_nothing)
    client: str | None = None


@valueclass(frozen=True, slots=True)
class KnownCaller:
    """A caller the operator knows. ``priority`` is added; ``owner`` is an agent; ``attributes`` become the call's."""

    priority: int = 0
    owner: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=_nothing)


@valueclass(frozen=True, slots=True)
class BreakerDefinition:
    """When ``failures`` offers to different phones of one ``group`` fail ``within_s``, the group is left alone.

    ``group``: the ``host`` a phone is reached at, or its ``trunk``. It is tried again with one offer every ``probe_s``.
    """

    failures: int = 5
    within_s: float = 30.0
    probe_s: float = 15.0
    group: Literal["host", "trunk"] = "host"


_NOT_SPOKEN = re.compile(r"[\s().,/\\-]+")


def number_key(number: str) -> str:
    """A telephone number without the ways to write it: blanks, punctuation, a leading + or 00, upper case."""
    bare = _NOT_SPOKEN.sub("", number).casefold()
    return (bare.removeprefix("+") if bare.startswith("+") else bare.removeprefix("00")) or bare


@valueclass(frozen=True, slots=True)
class FloorDefinition:
    """The whole floor. ``fallback`` takes callers whose DID has no entry point.

    ``ageing_s``: one step of priority is worth so many seconds of waiting; ``preference_s``: so is one step of an agent's
    preference among queues. ``callers`` by ``number_key``: ask ``known_caller``. ``breaker``: ``None`` = off.
    ``dispositions``: what a call may be said to have come to, in queues that have no such words of their own.
    ``campaigns``, ``trunks``, ``caller_ids``: outbound, each by name.
    """

    queues: Mapping[str, QueueDefinition]
    agents: Mapping[str, AgentDefinition]
    entry_points: Mapping[str, EntryPoint]
    skills: tuple[str, ...] = ()
    pause_reasons: tuple[str, ...] = ("pause", "break", "lunch", "meeting", "training")
    fallback: Destination = HangUp()
    cool_down_s: float = 10.0
    revision: str = ""
    call_selection: str = "priority"
    ageing_s: float = 60.0
    preference_s: float = 30.0
    hours: Mapping[str, OpeningHours] = field(default_factory=_nothing)
    callers: Mapping[str, KnownCaller] = field(default_factory=_nothing)
    breaker: BreakerDefinition | None = BreakerDefinition()
    dispositions: tuple[str, ...] = ()
    campaigns: Mapping[str, Campaign] = field(default_factory=_nothing)
    trunks: Mapping[str, Trunk] = field(default_factory=_nothing)
    caller_ids: Mapping[str, CallerIds] = field(default_factory=_nothing)

    def dispositions_of(self, queue: str) -> tuple[str, ...]:
        """What a call of ``queue`` may be said to have come to; none: any word."""
        found = self.queues.get(queue)
        return (found.dispositions if found is not None else ()) or self.dispositions

    def known_caller(self, number: str) -> KnownCaller | None:
        """Who calls from ``number``, however it is written; ``None`` for a stranger."""
        return self.callers.get(number_key(number)) if number else None
