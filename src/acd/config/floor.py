"""floor.yaml -> FloorDefinition: which keys there are, what they mean, and whether they fit together.

Everything is checked here, once; nothing inside acd checks it again. All errors are found in one reading.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Any

from acd.config import pins
from acd.config.fields import Section, described
from acd.config.files import read_text
from acd.config.floor_checks import check_cycles, check_staffing
from acd.config.problems import Problem, Problems, nearest, show
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence, compose
from acd.domain.definition import (
    AgentDefinition,
    EntryPoint,
    FloorDefinition,
    HangUp,
    QueueDefinition,
    SkillRequirement,
)
from acd.domain.expression import Expression
from acd.domain.states import PAUSE_DEFAULT, SYSTEM_PAUSE_REASONS

TOP_KEYS = ("skills", "queues", "agents", "entry_points", "pause_reasons", "fallback", "cool_down_s")
QUEUE_KEYS = (
    "strategy",
    "skills",
    "ring_timeout",
    "wrap_up",
    "max_wait",
    "overflow",
    "hold",
    "service_level",
    "priority",
)
AGENT_KEYS = ("name", "number", "pin", "pin_hash", "phones", "queues", "skills", "auto_answer")
ENTRY_KEYS = ("queue", "priority")
STRATEGIES = ("longest_idle",)

#: Top keys that begin with this hold whatever the operator likes: the place for anchors.
PRIVATE_PREFIX = "x-"
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_PHONES = 10
PRIORITY_LIMIT = 1_000
DAY_S = 86_400.0

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_DID = re.compile(r"\+?[0-9A-Za-z][0-9A-Za-z*#._-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
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
    definition = _FloorReader(problems, root).read()
    problems.raise_if_any_error()
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

    def __init__(self, problems: Problems, root: Node) -> None:
        self._problems = problems
        self._top = Section(problems, root, "the floor", TOP_KEYS, private_prefix=PRIVATE_PREFIX)
        self._readable = isinstance(root, Mapping)
        self._skills: dict[str, None] = {}
        self._queue_names: frozenset[str] = frozenset()
        self._queue_sections: dict[str, Section] = {}
        self._agent_keys: dict[str, Scalar] = {}
        self._numbers: dict[str, tuple[str, int]] = {}
        self._phones: dict[str, tuple[str, int]] = {}

    def read(self) -> FloorDefinition:
        top = self._top
        if not self._readable:
            return FloorDefinition({}, {}, {})
        self._read_skills()
        top.require("queues", "at least one queue, as NAME: {...}")
        named = [(key, node) for key, node in top.entries_of("queues") if top.name_ok(key, "queue")]
        # known before any is read: queues refer to each other
        self._queue_names = frozenset(key.text for key, _ in named)
        queues = {key.text: self._queue(key, node) for key, node in named}
        agents = {
            key.text: self._agent(key, node) for key, node in top.entries_of("agents") if top.name_ok(key, "agent")
        }
        definition = FloorDefinition(
            queues=MappingProxyType(queues),
            agents=MappingProxyType(agents),
            entry_points=MappingProxyType(self._entry_points()),
            skills=tuple(self._skills),
            pause_reasons=self._pause_reasons(),
            fallback=top.destination("fallback", self._queue_names) or HangUp(),
            cool_down_s=top.duration("cool_down_s", 10.0, 0, 3_600),
        )
        check_cycles(queues, self._queue_sections, self._problems)
        if not self._problems.any_error:
            check_staffing(definition, self._queue_sections, self._agent_keys, self._problems)
            if not definition.entry_points:
                self._problems.warning(top.line, top.column, "no entry_points: every call takes the fallback")
        return definition

    def _read_skills(self) -> None:
        top, node = self._top, self._top.get("skills")
        if isinstance(node, Mapping):
            for key, value in node.entries.values():
                if not isinstance(value, Scalar):
                    top.wrong(
                        value, f"the description of skill {show(key.text)} must be a text, not {described(value)}"
                    )
                if top.name_ok(key, "skill"):
                    self._skills[key.text] = None
        else:
            self._skills = {item.text: None for item in top.items_of("skills") if top.name_ok(item, "skill")}

    def _levels(self, section: Section, least: int) -> dict[str, int]:
        """``{skill: proficiency}`` at the section's ``skills``; a list stands for ``least``."""
        node = section.get("skills")
        if not isinstance(node, Mapping):
            items = section.items_of("skills")
            return {item.text: least for item in items if section.known(item, "skill", self._skills, "skills")}
        levels = {}
        for key, value in node.entries.values():
            level = section.whole_of(value, f"skill {show(key.text)}", least, 0, 100)
            if section.known(key, "skill", self._skills, "skills"):
                levels[key.text] = level
        return levels

    def _queue(self, key: Scalar, node: Node) -> QueueDefinition:
        section = Section(self._problems, node, f"queue {show(key.text)}", QUEUE_KEYS, at=key)
        self._queue_sections[key.text] = section
        strategy = section.get("strategy")
        if strategy is not None:
            text = section.text_of(strategy, "strategy")
            if text is not None and text not in STRATEGIES:
                hint = nearest(text, STRATEGIES)
                section.wrong(strategy, f"strategy of {section.label}: there is no {show(text)}{hint}")
        max_wait_s = section.optional_duration("max_wait", 1, DAY_S)
        overflow = section.destination("overflow", self._queue_names)
        self._check_overflow(section)
        return QueueDefinition(
            name=key.text,
            requirements=tuple(SkillRequirement(skill, level) for skill, level in self._levels(section, 1).items()),
            ring_timeout_s=section.duration("ring_timeout", 20.0, 1, 600),
            wrap_up_s=section.duration("wrap_up", 10.0, 0, DAY_S),
            max_wait_s=max_wait_s,
            overflow=overflow or HangUp(),
            hold=section.hold("hold", "default"),
            service_level_s=section.duration("service_level", 20.0, 1, 3_600),
            priority=section.whole("priority", 0, -PRIORITY_LIMIT, PRIORITY_LIMIT),
        )

    def _check_overflow(self, section: Section) -> None:
        max_wait, overflow = section.key("max_wait"), section.key("overflow")
        if section.get("overflow") is not None and section.get("max_wait") is None and overflow is not None:
            self._problems.warning(
                overflow.line, overflow.column, f"overflow of {section.label} is never used: it needs max_wait"
            )
        if section.get("max_wait") is not None and section.get("overflow") is None and max_wait is not None:
            self._problems.warning(
                max_wait.line,
                max_wait.column,
                f"max_wait of {section.label} hangs up on the caller; write overflow: hangup if that is meant",
            )

    def _agent(self, key: Scalar, node: Node) -> AgentDefinition:
        section = Section(self._problems, node, f"agent {show(key.text)}", AGENT_KEYS, at=key)
        self._agent_keys[key.text] = key
        queues = section.items_of("queues")
        return AgentDefinition(
            name=key.text,
            number=self._number(section, key.text),
            phones=self._agent_phones(section, key.text),
            queues=tuple(q.text for q in queues if section.known(q, "queue", self._queue_names, "queues")),
            skills=MappingProxyType(self._levels(section, 100)),
            display_name=section.text("name") or key.text,
            pin_hash=self._pin_hash(section, key.text),
            auto_answer=section.flag("auto_answer", False),
        )

    def _number(self, section: Section, agent: str) -> str:
        node = section.require("number", "the digits that stand for the agent in dial codes, such as 1001")
        text = section.text_of(node, "number") if node is not None else None
        if node is None or text is None:
            return ""
        if not _NUMBER.fullmatch(text):
            section.wrong(node, f"number of {section.label} must be 1 to 10 digits, not {show(text)}")
            return ""
        other, line = self._numbers.setdefault(text, (agent, node.line))
        if other != agent:
            section.wrong(
                node, f"number {text} of {section.label} is already that of agent {show(other)} (line {line})"
            )
        return text

    def _agent_phones(self, section: Section, agent: str) -> tuple[str, ...]:
        node = section.require("phones", "a list of devices such as [PJSIP/1001]")
        phones = []
        for item in section.items_of("phones"):
            if not section.phone_ok(item):
                continue
            # Asterisk compares device names without regard to case
            other, line = self._phones.setdefault(item.text.lower(), (agent, item.line))
            if other != agent:
                owner = f"agent {show(other)} (line {line})"
                section.wrong(item, f"phone {item.text} of {section.label} is already that of {owner}")
            phones.append(item.text)
        if node is not None and isinstance(node, Sequence) and not node.items:
            section.wrong(node, f"{section.label} needs phones: a list of devices such as [PJSIP/1001]")
        if node is not None and len(phones) > MAX_PHONES:
            section.wrong(node, f"{section.label} has more than {MAX_PHONES} phones")
        return tuple(phones)

    def _pin_hash(self, section: Section, agent: str) -> str | None:
        pin, stored = section.get("pin"), section.get("pin_hash")
        if pin is not None and stored is not None:
            section.wrong(pin, f"{section.label} has pin and pin_hash; keep pin_hash")
        # a wrong PIN may be a right one mistyped, so messages never show it
        if stored is not None:
            if isinstance(stored, Scalar) and pins.is_pin_hash(stored.text):
                return stored.text
            section.wrong(stored, f"pin_hash of {section.label} is no hash; make one with `acd agent hash-pin`")
        if pin is not None:
            if not isinstance(pin, Scalar) or not pins.is_pin(pin.text):
                section.wrong(pin, f"pin of {section.label} must be {pins.PIN_RULE}")
                return None
            self._problems.warning(
                pin.line,
                pin.column,
                f"pin of {section.label} can be read by whoever reads this file; "
                "put pin_hash in its place, made with `acd agent hash-pin`",
            )
            return pins.quick_hash(pin.text, agent)
        return None

    def _entry_points(self) -> dict[str, EntryPoint]:
        found = {}
        for key, node in self._top.entries_of("entry_points"):
            if not _DID.fullmatch(key.text):
                self._top.wrong(
                    key,
                    f"{show(key.text)} cannot be a DID: an optional +, then letters, digits and * # . _ -, "
                    "at most 40 characters",
                )
            # DID: sales is short for DID: {queue: sales}
            long_form = node if isinstance(node, Mapping) else Mapping(node.line, node.column)
            section = Section(self._problems, long_form, f"entry point {show(key.text)}", ENTRY_KEYS, at=key)
            queue = section.require("queue", "the queue its calls enter") if node is long_form else node
            if queue is not None and section.text_of(queue, "queue") is not None and isinstance(queue, Scalar):
                section.known(queue, "queue", self._queue_names, "queues")
                priority = section.whole("priority", 0, -PRIORITY_LIMIT, PRIORITY_LIMIT)
                found[key.text] = EntryPoint(key.text, queue.text, priority)
        return found

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
