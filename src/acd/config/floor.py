"""floor.yaml -> FloorDefinition: which keys there are, what they mean, and whether they fit together.

Everything is checked here, once; nothing inside acd checks it again. All errors are found in one reading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping as AbstractMapping
from dataclasses import fields, is_dataclass, replace
from datetime import tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Any

from acd.config.agent_reader import AGENT_KEYS, AgentReader
from acd.config.blend_reader import check_blends
from acd.config.callers_reader import CALLER_KEYS, ENTRY_KEYS, CallersReader
from acd.config.campaign_reader import CampaignReader, check_campaigns
from acd.config.context import DAY_S, Context
from acd.config.fields import Section, described
from acd.config.files import read_text
from acd.config.floor_checks import check_cycles, check_shares, check_staffing, check_stages
from acd.config.hours_reader import HOURS_KEYS, read_hours
from acd.config.places import Places
from acd.config.problems import Problem, Problems, show
from acd.config.queue_reader import QUEUE_KEYS, QueueReader, dispositions_of
from acd.config.yaml_lines import Mapping, Node, Scalar, compose
from acd.domain.campaignlines import with_lines
from acd.domain.definition import CALL_SELECTIONS, BreakerDefinition, FloorDefinition, HangUp
from acd.domain.expression import RESERVED, Expression
from acd.domain.states import PAUSE_DEFAULT, SYSTEM_PAUSE_REASONS
from acd.domain.values import valueclass

__all__ = (
    "AGENT_KEYS",
    "CALLER_KEYS",
    "ENTRY_KEYS",
    "HOURS_KEYS",
    "MAX_FILE_BYTES",
    "QUEUE_KEYS",
    "TOP_KEYS",
    "LoadedFloor",
    "load_floor",
    "parse_floor",
    "revision_of",
)

TOP_KEYS = (
    "skills",
    "queues",
    "agents",
    "entry_points",
    "ageing_s",
    "breaker",
    "call_selection",
    "callback",
    "caller_ids",
    "callers",
    "campaigns",
    "cool_down_s",
    "dispositions",
    "fallback",
    "hours",
    "pause_reasons",
    "preference_s",
    "trunks",
    "voicemail",
)
BREAKER_KEYS = ("failures", "within", "probe", "group")
BREAKER_GROUPS = ("host", "trunk")

#: Top keys that begin with this hold whatever the operator likes: the place for anchors.
PRIVATE_PREFIX = "x-"
MAX_FILE_BYTES = 16 * 1024 * 1024


@valueclass(frozen=True, slots=True)
class LoadedFloor:
    """A floor that can be used, and what is nevertheless odd about it."""

    definition: FloorDefinition
    warnings: tuple[Problem, ...]


def load_floor(path: Path | str) -> LoadedFloor:
    """Read floor.yaml. Raises ProblemsError (a ConfigurationError) with every problem found; ``path`` names the file
    in them."""
    problems = Problems(str(path))
    hint = "; write one, or let `acd init DIRECTORY` write samples, and name it in acd.toml: [floor] file"
    return parse_floor(read_text(Path(path), problems, max_bytes=MAX_FILE_BYTES, hint=hint), problems)


def parse_floor(text: str, problems: Problems) -> LoadedFloor:
    """The floor that ``text`` describes. Raises ProblemsError."""
    root = compose(text, problems)
    if root is None or (isinstance(root, Scalar) and root.is_null):
        if not problems.any_error:
            problems.error(1, 1, f"is empty; a floor has {', '.join(TOP_KEYS[:4])}")
        problems.raise_if_any_error()
        raise AssertionError("unreachable: an error was noted above")
    definition = _FloorReader(problems, root, text.splitlines()).read()
    problems.raise_if_any_error()
    definition = with_lines(definition)
    return LoadedFloor(replace(definition, revision=revision_of(definition)), tuple(problems.sorted()))


def revision_of(definition: FloorDefinition) -> str:
    """12 hex digits that stand for what the floor means: layout, comments, anchors and order of maps do not matter."""
    meaning = _plain(replace(definition, revision=""))
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, Expression | tzinfo):
        return str(value)
    if is_dataclass(value):
        return [type(value).__name__, {field.name: _plain(getattr(value, field.name)) for field in fields(value)}]
    if isinstance(value, AbstractMapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


class _FloorReader:
    """One reading of one file."""

    def __init__(self, problems: Problems, root: Node, lines: list[str]) -> None:
        self._problems, self._lines = problems, lines
        self._top = Section(problems, root, "the floor", TOP_KEYS, private_prefix=PRIVATE_PREFIX)
        self._readable = isinstance(root, Mapping)

    def read(self) -> FloorDefinition:
        top, problems = self._top, self._problems
        if not self._readable:
            return FloorDefinition({}, {}, {})
        skills = self._skills()
        top.require("queues", "at least one queue, as NAME: {...}")
        # names are known before any part is read: queues, agents and callers refer to each other
        named = self._named("queues", "queue")
        people = self._named("agents", "agent")
        hours = {key.text: read_hours(problems, key, node) for key, node in self._named("hours", "hours")}
        queue_names = frozenset(key.text for key, _ in named)
        agent_names = frozenset(key.text for key, _ in people)
        context = Context(problems, self._lines, skills, queue_names, agent_names, hours, Places(top, queue_names))
        queue_reader, agent_reader = QueueReader(context), AgentReader(context)
        queues = {key.text: queue_reader.queue(key, node) for key, node in named}
        before = problems.errors
        agents = {key.text: agent_reader.agent(key, node) for key, node in people}
        agents_are_right = problems.errors == before
        callers = CallersReader(context, top)
        outbound = CampaignReader(context, top, hours)
        definition = FloorDefinition(
            queues=MappingProxyType(queues),
            agents=MappingProxyType(agents),
            entry_points=MappingProxyType(callers.entry_points()),
            skills=tuple(skills),
            pause_reasons=self._pause_reasons(),
            fallback=context.places.destination(top, "fallback") or HangUp(),
            cool_down_s=top.duration("cool_down_s", 10.0, 0, 3_600),
            call_selection=top.choice("call_selection", CALL_SELECTIONS, "priority"),
            ageing_s=top.duration("ageing_s", 60.0, 0, DAY_S),
            preference_s=top.duration("preference_s", 30.0, 0, DAY_S),
            hours=MappingProxyType(hours),
            callers=MappingProxyType(callers.callers()),
            breaker=self._breaker(),
            dispositions=dispositions_of(top),
            campaigns=MappingProxyType(outbound.campaigns),
            trunks=MappingProxyType(outbound.trunks),
            caller_ids=MappingProxyType(outbound.caller_ids),
        )
        check_cycles(queues, queue_reader.sections, problems)
        check_shares(definition, top, queue_reader.sections)
        # an agent whose skills could not be read would make requirements look impossible that are not
        if agents_are_right:
            check_stages(definition, queue_reader.stage_places, queue_reader.sections)
        # what is merely odd is said when nothing is wrong
        if not problems.any_error:
            check_staffing(definition, queue_reader.sections, agent_reader.keys, problems)
            check_campaigns(definition, outbound)
            check_blends(definition, queue_reader.sections)
            if not definition.entry_points:
                problems.warning(top.line, top.column, "no entry_points: every call takes the fallback")
        return definition

    def _named(self, key: str, what: str) -> list[tuple[Scalar, Node]]:
        """What is defined under ``key``, without those whose names cannot be names."""
        return [(name, node) for name, node in self._top.entries_of(key) if self._top.name_ok(name, what)]

    def _skills(self) -> dict[str, None]:
        top, node = self._top, self._top.get("skills")
        names: list[Scalar] = []
        if isinstance(node, Mapping):
            for key, value in node.entries.values():
                if not isinstance(value, Scalar):
                    top.wrong(
                        value, f"the description of skill {show(key.text)} must be a text, not {described(value)}"
                    )
                names.append(key)
        else:
            names = top.items_of("skills")
        found: dict[str, None] = {}
        for name in names:
            if name.text in RESERVED or name.text.isdigit():
                top.wrong(name, f"a skill cannot be called {show(name.text)}: it means something else in expressions")
            elif top.name_ok(name, "skill"):
                found[name.text] = None
        return found

    def _breaker(self) -> BreakerDefinition | None:
        top, usual = self._top, BreakerDefinition()
        node = top.get("breaker")
        if node is None:
            return usual
        if isinstance(node, Scalar) and node.text == "off":
            return None
        section = Section(self._problems, node, "breaker", BREAKER_KEYS, at=top.key("breaker"))
        return BreakerDefinition(
            failures=section.whole("failures", usual.failures, 2, 1_000),
            within_s=section.duration("within", usual.within_s, 1, 3_600),
            probe_s=section.duration("probe", usual.probe_s, 1, 3_600),
            group="trunk" if section.choice("group", BREAKER_GROUPS, usual.group) == "trunk" else "host",
        )

    def _pause_reasons(self) -> tuple[str, ...]:
        top = self._top
        if top.key("pause_reasons") is None:
            return FloorDefinition({}, {}, {}).pause_reasons
        reasons = []
        for item in top.items_of("pause_reasons"):
            if item.text in SYSTEM_PAUSE_REASONS:
                top.wrong(item, f"pause reason {show(item.text)} is acd's own; choose another word")
            elif top.name_ok(item, "pause reason"):
                reasons.append(item.text)
        return tuple(reasons) if PAUSE_DEFAULT in reasons else (PAUSE_DEFAULT, *reasons)
