"""What one floor has that another has not: compared part by part and field by field, as JSON. Pure; no IO.

Values are told in floor.yaml's own words where it has some. Hashes of PINs are never shown, only that they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, tzinfo
from typing import Any

from acd.domain.blending import Blend, Limits
from acd.domain.campaignlines import without_lines
from acd.domain.definition import (
    FloorDefinition,
    HangUp,
    QueueDefinition,
    Stage,
    ToCallback,
    ToDialplan,
    ToMessage,
    ToQueue,
    ToVoicemail,
)
from acd.domain.dialrules import CallingHours, Rules
from acd.domain.expression import Expression
from acd.domain.hours import WEEKDAYS, OpeningHours, Range

PARTS = ("queues", "agents", "entry_points", "callers", "hours", "campaigns", "trunks", "caller_ids")
"""Fields of a floor that hold things by name."""

_NO_SETTING = frozenset({*PARTS, "skills", "revision"})
_DERIVED = frozenset({"requirements"})
"""Fields that another field says as well: a queue's ``stages`` hold what it needs in either form."""


def differences(old: FloorDefinition, new: FloorDefinition) -> dict[str, Any]:
    """What must change to get from ``old`` to ``new``.

    ``{"skills": {"added": [name], "removed": [name]}, "settings": {field: change}}``, and for each of ``PARTS``
    ``{"added": [name], "removed": [name], "changed": {name: {field: change}}}``; a change is ``{"from", "to"}``.
    What follows from campaigns (their waiting lines, their agents) is not told.
    """
    old, new = without_lines(old), without_lines(new)
    found: dict[str, Any] = {
        "skills": {
            "added": [skill for skill in new.skills if skill not in old.skills],
            "removed": [skill for skill in old.skills if skill not in new.skills],
        }
    }
    for part in PARTS:
        before, after = getattr(old, part), getattr(new, part)
        both = [name for name in before if name in after]
        found[part] = {
            "added": [name for name in after if name not in before],
            "removed": [name for name in before if name not in after],
            "changed": {name: _changes(before[name], after[name]) for name in both if before[name] != after[name]},
        }
    found["settings"] = _changes(old, new, without=_NO_SETTING)
    return found


def _changes(old: Any, new: Any, without: frozenset[str] = _DERIVED) -> dict[str, Any]:
    """``{field: {"from", "to"}}`` of two of a kind."""
    found: dict[str, Any] = {}
    for field in fields(old):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if isinstance(before, Rules | CallingHours) and type(before) is type(after):
            # A figure that has changed, not all of them
            found |= {f"{field.name}.{name}": change for name, change in _changes(before, after).items()}
        elif before != after and field.name not in without and not field.name.startswith("_"):
            tell = _TELL.get((type(old), field.name), told)
            found[field.name] = {"from": tell(before), "to": tell(after)}
    if "pin_hash" in found:
        found["pin_hash"] = {
            "from": None if old.pin_hash is None else "the old one",
            "to": None if new.pin_hash is None else "another one",
        }
    return found


def told(value: Any) -> Any:
    """A value of a floor as JSON, in floor.yaml's words where it has some."""
    if isinstance(value, Expression | tzinfo | date):
        return str(value)
    if isinstance(value, ToQueue | ToDialplan | HangUp):
        return destination(value)
    if isinstance(value, Stage):
        return {"after_s": value.after_s, "need": str(value.expression)}
    if is_dataclass(value):
        return {field.name: told(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): told(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [told(item) for item in value]
    return value


def _week(week: tuple[tuple[Range, ...], ...]) -> dict[str, str]:
    return {day: _ranges(ranges) for day, ranges in zip(WEEKDAYS, week, strict=True)}


def _exceptions(exceptions: Mapping[date, tuple[Range, ...]]) -> dict[str, str]:
    return {str(day): _ranges(ranges) for day, ranges in exceptions.items()}


def _day(ranges: tuple[Range, ...] | None) -> str:
    return "as usual" if ranges is None else _ranges(ranges)


def _ranges(ranges: tuple[Range, ...]) -> str:
    """``08:00-12:00, 13:00-17:00``, or ``closed``."""
    shown = ", ".join(f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in ranges)
    return shown or "closed"


def _blend(blend: Blend | None) -> dict[str, Any] | None:
    """In floor.yaml's words, without what it does not say."""
    if blend is None:
        return None
    found: dict[str, Any] = {}
    if blend.reserve is not None:
        found["reserve"] = {"agents": f"{blend.share:.0%}" if blend.share else blend.agents, **_limits(blend.reserve)}
    if blend.recall is not None:
        found["recall"] = _limits(blend.recall)
    return found | {"over": f"{blend.over_s:g} s", "hold": f"{blend.hold_s:g} s"}


def _limits(limits: Limits) -> dict[str, Any]:
    wait = None if limits.wait_s is None else f"{limits.wait_s:g} s"
    found = {"below": limits.below, "wait": wait, "waiting": limits.waiting}
    return {name: value for name, value in found.items() if value is not None}


_TELL: dict[tuple[type, str], Callable[[Any], Any]] = {
    (OpeningHours, "week"): _week,
    (OpeningHours, "exceptions"): _exceptions,
    (QueueDefinition, "blend"): _blend,
    (CallingHours, "week"): _week,
    (CallingHours, "holiday"): _day,
    (CallingHours, "eve"): _day,
}


def destination(to: ToQueue | ToDialplan | HangUp) -> str:
    """A destination as floor.yaml writes it."""
    if isinstance(to, ToQueue):
        return f"queue:{to.queue}"
    if isinstance(to, ToVoicemail):
        return f"voicemail:{to.box}" if to.box else "voicemail"
    if isinstance(to, ToCallback):
        return "callback"
    if isinstance(to, ToDialplan):
        return f"dialplan:{to.context},{to.exten},{to.priority}"
    return f"message:{to.sound}" if isinstance(to, ToMessage) else "hangup"


def summary(found: Mapping[str, Any]) -> str:
    """``1 queue changed, 2 agents added``; empty if nothing differs."""
    words = []
    for part, (one, many) in _NOUNS.items():
        for kind, names in found[part].items():
            if names:
                words.append(f"{len(names)} {one if len(names) == 1 else many} {kind}")
    settings = len(found["settings"])
    if settings:
        words.append(f"{settings} {'setting' if settings == 1 else 'settings'} changed")
    return ", ".join(words)


_NOUNS: Mapping[str, tuple[str, str]] = {
    "skills": ("skill", "skills"),
    "queues": ("queue", "queues"),
    "agents": ("agent", "agents"),
    "entry_points": ("entry point", "entry points"),
    "callers": ("known caller", "known callers"),
    "hours": ("opening hours", "opening hours"),
    "campaigns": ("campaign", "campaigns"),
    "trunks": ("trunk", "trunks"),
    "caller_ids": ("set of caller IDs", "sets of caller IDs"),
}
