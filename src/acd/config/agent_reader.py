"""One agent of floor.yaml -> AgentDefinition. Numbers and phones belong to one agent each."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from acd.config import pins
from acd.config.context import Context
from acd.config.fields import Section
from acd.config.problems import show
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence
from acd.domain.campaignlines import SILENCE
from acd.domain.definition import AgentDefinition

AGENT_KEYS = ("name", "number", "pin", "pin_hash", "phones", "queues", "skills", "auto_answer", "lasting_line")
SKILL_KEYS = ("level", "valid_from", "valid_until")
MAX_PHONES = 10
PREFERENCE_LIMIT = 100

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_DATE = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOMENT = re.compile(
    r"(20[0-9]{2}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII
)

Validity = tuple[float | None, float | None]


class AgentReader:
    """Reads agents one by one. ``keys`` keeps where each stands."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.keys: dict[str, Scalar] = {}
        self._numbers: dict[str, tuple[str, int]] = {}
        self._phones: dict[str, tuple[str, int]] = {}

    def agent(self, key: Scalar, node: Node) -> AgentDefinition:
        section = Section(self._context.problems, node, f"agent {show(key.text)}", AGENT_KEYS, at=key)
        self.keys[key.text] = key
        levels, validity = self._skills(section)
        preference = self._queues(section)
        return AgentDefinition(
            name=key.text,
            number=self._number(section, key.text),
            phones=self._agent_phones(section, key.text),
            queues=tuple(preference),
            skills=MappingProxyType(levels),
            display_name=section.text("name") or key.text,
            pin_hash=self._pin_hash(section, key.text),
            auto_answer=section.flag("auto_answer", False),
            skill_validity=MappingProxyType(validity),
            lasting_line=self._lasting_line(section),
            queue_preference=MappingProxyType({queue: value for queue, value in preference.items() if value}),
        )

    def _queues(self, section: Section) -> dict[str, int]:
        """Queue -> preference; a list stands for 0 each."""
        queues = self._context.queues
        if not section.is_map("queues"):
            items = section.items_of("queues")
            return {item.text: 0 for item in items if section.known(item, "queue", queues, "queues")}
        found = {}
        for key, node in section.entries_of("queues"):
            what = f"preference of queue {show(key.text)}"
            value = section.whole_of(node, what, 0, -PREFERENCE_LIMIT, PREFERENCE_LIMIT)
            if section.known(key, "queue", queues, "queues"):
                found[key.text] = value
        return found

    def _lasting_line(self, section: Section) -> str | None:
        """``true``, ``false``, or what is heard on it between calls."""
        found = section.music_or_flag("lasting_line")
        return found if isinstance(found, str) else SILENCE if found else None

    # -- skills --------------------------------------------------------------------------------------------------------

    def _skills(self, section: Section) -> tuple[dict[str, int], dict[str, Validity]]:
        """``{skill: proficiency}``, a list standing for 100 each; and when they hold, of those that do not always."""
        skills = self._context.skills
        if not section.is_map("skills"):
            items = section.items_of("skills")
            return {item.text: 100 for item in items if section.known(item, "skill", skills, "skills")}, {}
        levels: dict[str, int] = {}
        validity: dict[str, Validity] = {}
        for key, node in section.entries_of("skills"):
            what = f"skill {show(key.text)}"
            if not isinstance(node, Mapping):
                level, holds = section.whole_of(node, what, 100, 0, 100), None
            else:
                part = Section(section.problems, node, f"{what} of {section.label}", SKILL_KEYS, at=key)
                level, holds = part.whole("level", 100, 0, 100), self._validity(part)
            if section.known(key, "skill", skills, "skills"):
                levels[key.text] = level
                if holds is not None and holds != (None, None):
                    validity[key.text] = holds
        return levels, validity

    def _validity(self, part: Section) -> Validity:
        start, end = self._moment(part, "valid_from", 0), self._moment(part, "valid_until", 1)
        until = part.get("valid_until")
        if until is not None and start is not None and end is not None and end <= start:
            part.wrong(until, f"valid_until of {part.label} is not after valid_from")
        return start, end

    def _moment(self, part: Section, key: str, days: int) -> float | None:
        """UTC seconds; a date alone is its beginning, ``days`` later."""
        node = part.get(key)
        if node is None:
            return None
        text = node.text if isinstance(node, Scalar) else ""
        match = _MOMENT.fullmatch(text)
        try:
            if match is not None:
                moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{(match[3] or 'Z').replace('Z', '+00:00')}")
                return moment.timestamp()
            if _DATE.fullmatch(text):
                midnight = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
                return (midnight + timedelta(days=days)).timestamp()
        except ValueError:
            pass
        part.wrong(
            node,
            f"{key} of {part.label} must be a date such as 2026-03-01, or a moment such as 2026-03-01T08:00+01:00, "
            f"not {show(text) if text else 'a list or a map'}",
        )
        return None

    # -- numbers, phones, PINs -----------------------------------------------------------------------------------------

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
            section.problems.warning(
                pin.line,
                pin.column,
                f"pin of {section.label} can be read by whoever reads this file; "
                "put pin_hash in its place, made with `acd agent hash-pin`",
            )
            return pins.quick_hash(pin.text, agent)
        return None
