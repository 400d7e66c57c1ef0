"""One queue of floor.yaml -> QueueDefinition: its stages, whom it prefers, and where callers go who leave it."""

from __future__ import annotations

from acd.config.blend_reader import read_blend
from acd.config.context import DAY_S, PRIORITY_LIMIT, Context
from acd.config.fields import Section, described
from acd.config.problems import show
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence
from acd.domain.annotations import disposition_fault
from acd.domain.attributes import is_attribute_name
from acd.domain.definition import (
    AGENT_SELECTIONS,
    HangUp,
    Preferred,
    QueueDefinition,
    SelectionWeights,
    SkillRequirement,
    Stage,
)
from acd.domain.expression import at_least_all

QUEUE_KEYS = (
    "agent_selection",
    "blend",
    "client",
    "closed",
    "cost",
    "dispositions",
    "escalation",
    "hold",
    "hours",
    "max_estimated_wait",
    "max_length",
    "max_wait",
    "on_closed",
    "on_full",
    "on_long_wait",
    "on_nobody",
    "on_unsatisfiable",
    "overflow",
    "preferred",
    "priority",
    "ratio",
    "ring_agents",
    "ring_timeout",
    "service_level",
    "skills",
    "stages",
    "weight",
    "weights",
    "wrap_up",
)
STAGE_KEYS = ("after_s", "need")
WEIGHT_KEYS = ("idle", "proficiency", "skills", "occupied")
PREFERRED_KINDS = ("last_agent", "owner")
FORMER_KEYS = {"strategy": "agent_selection"}
MAX_STAGES = 20
MAX_PREFERRED = 5
MAX_RING_AGENTS = 20
MAX_LENGTH = 100_000
#: Key of a destination -> the keys that lead there; without one of them it is never used.
DESTINATION_KEYS = {
    "on_full": ("max_length",),
    "on_long_wait": ("max_estimated_wait",),
    "on_nobody": (),
    "on_closed": ("hours", "closed"),
    "on_unsatisfiable": (),
}


def dispositions_of(section: Section) -> tuple[str, ...]:
    """The words that a call may come to."""
    found = []
    for item in section.items_of("dispositions"):
        fault = disposition_fault(item.text)
        if fault:
            section.wrong(item, f"disposition {show(item.text)} of {section.label} {fault}")
        else:
            found.append(item.text)
    return tuple(found)


class QueueReader:
    """Reads queues one by one. Keeps for what is checked of all together: where each stands (``sections``), and what each
    of its stages is called and where that stands (``stage_places``, in the order of the definition's ``stages``).
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.sections: dict[str, Section] = {}
        self.stage_places: dict[str, list[tuple[str, Node]]] = {}

    def queue(self, key: Scalar, node: Node) -> QueueDefinition:
        context = self._context
        section = Section(
            context.problems, node, f"queue {show(key.text)}", QUEUE_KEYS, at=key, former_keys=FORMER_KEYS
        )
        self.sections[key.text] = section
        minimums = levels_of(context, section, 1)
        stages = self._stages(section, self.stage_places.setdefault(key.text, []))
        skills = section.get("skills")
        if minimums and not stages and skills is not None:
            stages = (Stage(0.0, at_least_all(minimums)),)
            self.stage_places[key.text] = [(f"the skills of {section.label}", skills)]
        selection = section.choice("agent_selection", AGENT_SELECTIONS, "longest_idle")
        definition = QueueDefinition(
            name=key.text,
            agent_selection=selection,
            requirements=tuple(SkillRequirement(skill, level) for skill, level in minimums.items()),
            ring_timeout_s=section.duration("ring_timeout", 20.0, 1, 600),
            wrap_up_s=section.duration("wrap_up", 10.0, 0, DAY_S),
            max_wait_s=section.optional_duration("max_wait", 1, DAY_S),
            overflow=context.places.destination(section, "overflow") or HangUp(),
            hold=section.hold("hold", "default"),
            service_level_s=section.duration("service_level", 20.0, 1, 3_600),
            priority=section.whole("priority", 0, -PRIORITY_LIMIT, PRIORITY_LIMIT),
            stages=stages,
            preferred=self._preferred(section),
            ring_agents=section.whole("ring_agents", 1, 1, MAX_RING_AGENTS),
            weights=self._weights(section, selection),
            max_length=section.whole("max_length", 0, 0, MAX_LENGTH) if section.get("max_length") else None,
            max_estimated_wait_s=section.optional_duration("max_estimated_wait", 1, DAY_S),
            on_full=context.places.destination(section, "on_full"),
            on_long_wait=context.places.destination(section, "on_long_wait"),
            on_nobody=context.places.destination(section, "on_nobody"),
            on_closed=context.places.destination(section, "on_closed"),
            on_unsatisfiable=context.places.destination(section, "on_unsatisfiable"),
            closed=section.flag("closed", False),
            hours=self._hours(section),
            escalation=self._escalation(section, key.text),
            weight=_or(section.number("weight", 0.001, 1_000), 1.0),
            ratio=section.number("ratio", 0, 1),
            cost=_or(section.number("cost", 0.001, 1_000), 1.0),
            client=section.client(),
            dispositions=dispositions_of(section),
            blend=read_blend(section),
        )
        self._warn_of_unused(section, definition)
        return definition

    # -- who may serve -------------------------------------------------------------------------------------------------

    def _stages(self, section: Section, places: list[tuple[str, Node]]) -> tuple[Stage, ...]:
        node = section.get("stages")
        if node is None:
            return ()
        if section.get("skills") is not None:
            section.wrong(node, f"{section.label} has skills and stages; write the skills into the first stage")
        if not isinstance(node, Sequence) or not node.items:
            section.wrong(
                node,
                f"stages of {section.label} must be a list such as [{{need: billing >= 60}}], "
                f"not {described(node) if not isinstance(node, Sequence) else 'an empty one'}",
            )
            return ()
        if len(node.items) > MAX_STAGES:
            section.wrong(node, f"{section.label} has more than {MAX_STAGES} stages")
            return ()
        stages = []
        last_s = -1.0
        for number, item in enumerate(node.items, 1):
            part = Section(section.problems, item, f"stage {number} of {section.label}", STAGE_KEYS)
            after_s = part.optional_duration("after_s", 0, DAY_S)
            place = part.get("after_s") or item
            if number == 1:
                if after_s:
                    part.wrong(place, f"{part.label} must apply from the start: no after_s, or 0")
                after_s = 0.0
            elif after_s is None:
                if part.get("after_s") is None:
                    part.require("after_s", "when it takes over from the stage before, such as 20s")
            elif after_s <= last_s:
                part.wrong(
                    place, f"stages out of order: {part.label} follows one after {last_s:g} s, so it must be later"
                )
            last_s = max(last_s, after_s or 0.0)
            need = part.require("need", "an expression such as billing >= 60, or anyone")
            expression = self._context.expression(part, need, "need") if need is not None else None
            if need is not None and expression is None and _was_cut(item):
                part.wrong(need, f"need of {part.label} ends at a comma; inside {{...}} put the expression in quotes")
            if need is not None and expression is not None:
                stages.append(Stage(last_s, expression))
                places.append((part.label, need))
        return tuple(stages)

    def _preferred(self, section: Section) -> tuple[Preferred, ...]:
        found: list[Preferred] = []
        last_s = 0.0
        for key, node in section.entries_of("preferred"):
            limit_s = section.duration_of(node, f"preferred {show(key.text)}", 1, DAY_S)
            attribute = key.text.removeprefix("call.")
            if key.text.startswith("call.") and is_attribute_name(attribute):
                kept = Preferred("named", limit_s or 1.0, attribute)
            elif key.text in PREFERRED_KINDS:
                kept = Preferred("owner" if key.text == "owner" else "last_agent", limit_s or 1.0)
            else:
                section.wrong(
                    key,
                    f"preferred of {section.label}: {show(key.text)} is nobody; write last_agent, owner or call.NAME"
                    + section.hint(key.text, PREFERRED_KINDS),
                )
                continue
            if limit_s is not None and limit_s <= last_s:
                section.wrong(
                    node,
                    f"preferred of {section.label}: limits count from when the call joined, so {show(key.text)} needs more "
                    f"than the {last_s:g} s before it",
                )
            last_s = max(last_s, limit_s or 0.0)
            if len(found) == MAX_PREFERRED:
                section.wrong(key, f"preferred of {section.label} has more than {MAX_PREFERRED} entries")
                break
            found.append(kept)
        return tuple(found)

    def _weights(self, section: Section, selection: str) -> SelectionWeights | None:
        node = section.get("weights")
        if node is None:
            if selection == "weighted":
                section.require(
                    "weights", "a map such as {idle: 1, proficiency: 10}, because it selects agents by weight"
                )
            return None
        part = Section(section.problems, node, f"weights of {section.label}", WEIGHT_KEYS)
        values = {key: _or(part.number(key, 0, 10_000), 1.0 if key == "idle" else 0.0) for key in WEIGHT_KEYS}
        if selection != "weighted":
            key = section.key("weights") or node
            section.problems.warning(
                key.line, key.column, f"weights of {section.label} are never used: they need agent_selection: weighted"
            )
        return SelectionWeights(**values)

    # -- where calls go ------------------------------------------------------------------------------------------------

    def _hours(self, section: Section) -> str | None:
        node = section.get("hours")
        text = section.text_of(node, "hours") if node is not None else None
        if text is None or not isinstance(node, Scalar):
            return None
        return text if section.known(node, "hours", self._context.hours, "hours") else None

    def _escalation(self, section: Section, name: str) -> str | None:
        node = section.get("escalation")
        text = section.text_of(node, "escalation") if node is not None else None
        if text is None or not isinstance(node, Scalar):
            return None
        if text == name:
            section.wrong(node, f"{section.label} escalates to itself; name the queue of those who help out")
            return None
        return text if section.known(node, "queue", self._context.queues, "queues") else None

    def _warn_of_unused(self, section: Section, queue: QueueDefinition) -> None:
        def warn(key: str, message: str) -> None:
            place = section.key(key)
            if place is not None:
                section.problems.warning(place.line, place.column, message)

        has = {key for key in QUEUE_KEYS if section.get(key) is not None}
        for key, causes in DESTINATION_KEYS.items():
            if key in has and causes and not has.intersection(causes):
                warn(key, f"{key} of {section.label} is never used: it needs {' or '.join(causes)}")
        to_overflow = [key for key, causes in DESTINATION_KEYS.items() if key not in has and has.intersection(causes)]
        if "overflow" in has and "max_wait" not in has and not to_overflow and not queue.stages:
            warn("overflow", f"overflow of {section.label} is never used: it needs max_wait")
        if "overflow" not in has:
            if "max_wait" in has:
                warn(
                    "max_wait",
                    f"max_wait of {section.label} hangs up on the caller; write overflow: hangup if that is meant",
                )
            for key in to_overflow:
                cause = next(cause for cause in DESTINATION_KEYS[key] if cause in has)
                warn(cause, f"{cause} of {section.label} hangs up on the caller; write {key}: hangup if that is meant")
        late = [stage.after_s for stage in queue.stages if stage.after_s >= (queue.max_wait_s or DAY_S + 1)]
        if late:
            warn(
                "stages",
                f"the stage after {late[0]:g} s of {section.label} never comes into force: its max_wait is less",
            )


def levels_of(context: Context, section: Section, least: int) -> dict[str, int]:
    """``{skill: proficiency}`` at the section's ``skills``; a list stands for ``least``."""
    node = section.get("skills")
    if node is None or not section.is_map("skills"):
        items = section.items_of("skills")
        return {item.text: least for item in items if section.known(item, "skill", context.skills, "skills")}
    levels = {}
    for key, value in section.entries_of("skills"):
        level = section.whole_of(value, f"skill {show(key.text)}", least, 0, 100)
        if section.known(key, "skill", context.skills, "skills"):
            levels[key.text] = level
    return levels


def _was_cut(stage: Node) -> bool:
    """Whether a plain text in braces was cut at its commas, which leaves the rest as keys without values."""
    return isinstance(stage, Mapping) and any(
        isinstance(value, Scalar) and value.is_null and ")" in name for name, (_, value) in stage.entries.items()
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
