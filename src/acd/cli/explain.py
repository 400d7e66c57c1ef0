"""Decisions told to a person: when, what, who was considered, why the others were not, by which rule. No IO.

A kind of decision this does not know is printed field by field, so that an older client never hides what a newer
service says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from acd.cli import text as say
from acd.cli.floorview import skills_text

_INDENT = "    "
_REASONS = {
    "TALKING": "talking",
    "talking": "talking",
    "skill": "without the skills needed",
    "skills": "without the skills needed",
    "phone": "with a phone that cannot ring",
    "cool_down": "passed over after a failed offer",
}


def explained(decisions: list[dict[str, Any]]) -> Iterator[Text]:
    """The lines of ``acd call explain`` below its heading."""
    if not decisions:
        yield Text("  no decision was recorded for this call", style="dim")
    for decision in decisions:
        yield Text("")
        head = Text(f"{say.clock(decision['at'], 3)}  ", style="dim")
        head.append(_headline(decision), style="bold")
        yield head
        for line in _body(decision):
            yield Text(_INDENT + line)
        yield Text(f"{_INDENT}revision {say.clean(decision['revision'])}", style="dim")


def _headline(decision: Mapping[str, Any]) -> str:
    detail, kind = decision["detail"], decision["kind"]
    agent = say.clean(decision["agent"])
    if kind == "waits":
        return f"waits in {say.clean(detail.get('queue'))}"
    if kind == "offered":
        return f"offered to {agent}"
    if kind == "offer_failed":
        return f"the offer to {agent} failed: {_words(detail.get('outcome'))}"
    if kind == "overflowed":
        return f"overflowed to {_value(detail.get('to'))}"
    if kind == "adopted":
        return "found again after a restart or a lost connection"
    return _words(kind) + (f" ({agent})" if agent else "")


def _body(decision: Mapping[str, Any]) -> Iterator[str]:
    tell = {"waits": _waits, "offered": _offered, "offer_failed": _failed, "overflowed": _overflowed}
    known = tell.get(decision["kind"])
    left = dict(decision["detail"])
    if known is not None:
        yield from known(left)
    yield from (f"{_words(key)}: {_value(value)}" for key, value in left.items())


def _waits(detail: dict[str, Any]) -> Iterator[str]:
    detail.pop("queue", None)
    yield from _needs(detail)
    considered, passed = detail.pop("considered", None), detail.pop("passed_over", None)
    if considered is not None:
        who = (
            "nobody is there to consider"
            if not considered
            else f"none of {say.counted(considered, 'agent')} could take it"
        )
        yield who + (f": {_counts(passed)}" if passed else "")
    position, waiting = detail.pop("position", None), detail.pop("waiting", None)
    if position is not None:
        yield f"number {position} in the queue"
    if waiting is not None:
        yield f"{say.counted(waiting, 'call')} waiting on the whole floor"


def _offered(detail: dict[str, Any]) -> Iterator[str]:
    rule, chosen = detail.pop("rule", None), detail.pop("chosen", None)
    detail.pop("queue", None)
    wait_s, trigger = detail.pop("call_wait_s", None), detail.pop("trigger", None)
    if wait_s is not None or trigger is not None:
        waited = "" if wait_s is None else f"the caller had waited {say.exact(wait_s)}"
        yield waited + ("; " if waited and trigger else "") + (f"decided because: {_words(trigger)}" if trigger else "")
    yield from _needs(detail)
    if isinstance(chosen, Mapping):
        why = "idle the longest, " if rule == "longest_idle" else ""
        skills = f"; skills: {say.clean(skills_text(chosen['skills']))}" if chosen.get("skills") else ""
        yield f"{say.clean(chosen.get('agent'))}: {why}{say.exact(chosen.get('idle_s'))}{skills}"
    considered, passed = detail.pop("considered", None), detail.pop("passed_over", None)
    if considered is not None:
        yield f"considered {say.counted(considered, 'agent')}" + (f"; passed over: {_counts(passed)}" if passed else "")
    best = detail.pop("best", None)
    if isinstance(best, list) and best:
        yield "the best: " + ", ".join(_candidate(one) for one in best)
    if rule is not None:
        yield f"rule: {_words(rule)}"


def _failed(detail: dict[str, Any]) -> Iterator[str]:
    detail.pop("outcome", None)
    said, consequence = detail.pop("detail", None), detail.pop("consequence", None)
    if said:
        yield say.clean(said)
    if consequence:
        yield f"consequence: {say.clean(consequence)}"


def _overflowed(detail: dict[str, Any]) -> Iterator[str]:
    detail.pop("to", None)
    after_s = detail.pop("after_s", None)
    if after_s is not None:
        yield f"after waiting {say.exact(after_s)}"


def _needs(detail: dict[str, Any]) -> Iterator[str]:
    needs = detail.pop("requirements", None)
    if needs:
        wanted = ", ".join(f"{say.clean(skill)} {say.clean(level)} or better" for skill, level in needs.items())
        yield f"needs {wanted}"


def _candidate(one: Any) -> str:
    if not isinstance(one, Mapping):
        return say.clean(one)
    skills = f" ({say.clean(skills_text(one['skills']))})" if one.get("skills") else ""
    return f"{say.clean(one.get('agent'))} idle {say.exact(one.get('idle_s'))}{skills}"


def _counts(passed: Any) -> str:
    """``7 talking, 3 paused``, the most frequent first."""
    if not isinstance(passed, Mapping):
        return _value(passed)
    ordered = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {_REASONS.get(reason) or _words(reason).lower()}" for reason, count in ordered)


def _words(value: object) -> str:
    return say.clean(value).replace("_", " ")


def _value(value: object) -> str:
    """Any JSON value in one harmless line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(key)} {_value(inner)}" for key, inner in value.items()) or "nothing"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(inner) for inner in value) or "nothing"
    return "nothing" if value is None else say.clean(value)
