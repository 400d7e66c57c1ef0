"""Decisions told to a person: when, what, who was considered, why the others were not, by which rule. No IO.

A kind of decision or a detail of it that this does not know is printed field by field, so that an older client never
hides what a newer service says; and a known one that is not of the form expected likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, TypeGuard

from rich.text import Text

from acd.cli import text as say

_INDENT = "    "
_REASONS = {
    "skill": "without the skills needed",
    "skills": "without the skills needed",
    "phone": "with a phone that cannot ring",
    "cool_down": "passed over after a failed offer",
    "cool-down": "passed over after a failed offer",
}
_PREFERENCES = {"last_agent": "the agent who talked with this caller last", "owner": "this caller's own agent"}
_CAUSES = {
    "max_wait": "it had waited as long as the queue lets callers wait",
    "full": "the queue was full",
    "long_wait": "it would have waited too long",
    "nobody": "nobody was logged in who could take it",
    "closed": "the queue was closed",
    "unsatisfiable": "nobody can ever take it",
    "removed": "the queue is no longer defined",
}


def explained(decisions: list[dict[str, Any]]) -> Iterator[Text]:
    """The lines of ``acd call explain`` below its heading."""
    if not decisions:
        yield Text("  no decision was recorded for this call", style="dim")
    for decision in decisions:
        detail = decision["detail"]
        left = dict(detail) if isinstance(detail, Mapping) else {"detail": detail}
        yield Text("")
        head = Text(f"{say.clock(decision['at'], 3)}  ", style="dim")
        head.append(_headline(decision["kind"], say.clean(decision["agent"]), left), style="bold")
        yield head
        for line in (*_BODIES.get(decision["kind"], _nothing)(left), *_rest(left)):
            yield Text(_INDENT + line)
        yield Text(f"{_INDENT}revision {say.clean(decision['revision'])}", style="dim")


# -- the first line ----------------------------------------------------------------------------------------------------


def _headline(kind: str, agent: str, left: dict[str, Any]) -> str:
    """What was decided; takes what it tells out of ``left``."""
    if kind == "waits":
        return f"waits in {said(left.pop('queue', None))}"
    if kind == "offered":
        return f"offered to {agent}"
    if kind == "offer_failed":
        return f"the offer to {agent} failed: {words(left.pop('outcome', None))}"
    if kind == "let_go":
        return f"{said(left.pop('agent', None))} no longer rung: {words(left.pop('outcome', None))}"
    if kind == "answered":
        return f"answered by {said(left.pop('agent', None) or agent)}"
    if kind == "overflowed":
        return f"overflowed to {said(left.pop('to', None))}"
    if kind in ("escalated", "transferred"):
        how = "passed on" if kind == "escalated" else "transferred"
        return f"{how} to {said(left.pop('to', None) or left.pop('queue', None))}" + (f" by {agent}" if agent else "")
    if kind == "joined":
        return f"the agent's phone joined the caller with its own call {said(left.pop('call', 'to a queue'))}"
    if kind == "readmitted":
        return f"nobody else could ever take it, so it may go again to {said(left.pop('agents', 'whoever had it'))}"
    if kind in ("stage", "needs"):
        return f"now needs {said(left.pop('needs', None) or left.pop('requirement', 'what the next stage says'))}"
    if kind in ("preferred", "preferred_over"):
        whom = agent or say.clean(left.pop("agent", None)) or "an agent of its own"
        return f"waits for {whom} alone" if kind == "preferred" else f"waits for {whom} no longer"
    if kind == "attributes":
        told = ", ".join(f"{say.clean(name)} = {said(value)}" for name, value in left.items())
        left.clear()
        return f"attributes set: {told or 'none'}"
    if kind == "breaker":
        return f"a group of phones is left alone: {said(left.pop('group', None))}"
    if kind == "moved":
        return f"moved to {said(left.pop('to', None))}"
    if kind == "adopted":
        return "found again after a restart or a lost connection"
    return words(kind) + (f" ({agent})" if agent else "")


# -- the lines below ---------------------------------------------------------------------------------------------------
# Each takes what it tells out of the detail; what is left is told field by field.


def _waits(left: dict[str, Any]) -> Iterator[str]:
    yield from _needs(left)
    considered = left.get("considered")
    if isinstance(considered, int):
        del left["considered"]
        passed = left.pop("passed_over", None)
        none_of = f"none of {say.counted(considered, 'agent')} could take it"
        yield (none_of if considered else "nobody is there to consider") + (f": {_counts(passed)}" if passed else "")
    yield from _kept_for(left)
    yield from _members(left)
    expected_s = left.pop("expected_wait_s", None)
    if expected_s is not None:
        yield f"expected to wait {_seconds(expected_s)}"
    position, waiting = left.pop("position", None), left.pop("waiting", None)
    if position is not None:
        yield f"number {said(position)} in the queue"
    if waiting is not None:
        yield f"{said(waiting)} {'call' if waiting == 1 else 'calls'} waiting on the whole floor, this one included"


def _offered(left: dict[str, Any]) -> Iterator[str]:
    rule, queue = left.pop("rule", None), left.pop("queue", None)
    wait_s, trigger = left.pop("call_wait_s", None), left.pop("trigger", None)
    because = [] if wait_s is None else [f"the caller had waited {_seconds(wait_s)}"]
    because += [] if trigger is None else [f"decided because: {words(trigger)}"]
    if because:
        yield "; ".join(because)
    yield from _needs(left)
    yield from _kept_for(left)
    chosen = left.pop("chosen", None)
    if isinstance(chosen, Mapping):
        yield _candidate(chosen, "idle the longest, " if rule == "longest_idle" else "idle ")
    elif chosen is not None:
        yield f"chosen: {said(chosen)}"
    together = left.pop("agents", None)
    if together:
        yield f"rung together: {said(together)}"
    considered = left.pop("considered", None)
    if considered is not None:
        passed = left.pop("passed_over", None)
        yield f"considered {said(considered)} {'agent' if considered == 1 else 'agents'}" + (
            f"; passed over: {_counts(passed)}" if passed else ""
        )
    yield from _members(left)
    best = left.pop("best", None)
    if best:
        yield "the best: " + (", ".join(map(_among_best, best)) if isinstance(best, list) else said(best))
    score = left.pop("call_score", None)
    if score is not None:
        yield f"the call's score: {said(score)}"
    if rule is not None:
        yield f"rule: {words(rule)}" + (f" of {said(queue)}" if queue is not None else "")
    elif queue is not None:
        yield f"queue: {said(queue)}"


def _failed(left: dict[str, Any]) -> Iterator[str]:
    what, consequence = left.pop("detail", None), left.pop("consequence", None)
    if what:
        yield said(what)
    if consequence:
        yield f"consequence: {said(consequence)}"


def _let_go(left: dict[str, Any]) -> Iterator[str]:
    consequence, others = left.pop("consequence", None), left.pop("still_rung", None)
    if consequence:
        yield f"consequence: {said(consequence)}"
    if others:
        yield f"still rung: {said(others)}"


def _answered(left: dict[str, Any]) -> Iterator[str]:
    released = left.pop("released", None)
    if released:
        yield f"rung no more, and free: {said(released)}"


def _overflowed(left: dict[str, Any]) -> Iterator[str]:
    cause, after_s = left.pop("cause", None), left.pop("after_s", None)
    if cause is not None:
        yield f"because {_CAUSES.get(str(cause)) or words(cause)}"
    if after_s is not None:
        yield f"after waiting {_seconds(after_s)}"
    expected_s, limit_s = left.pop("expected_wait_s", None), left.pop("limit_s", None)
    if expected_s is not None:
        yield f"its wait was estimated at {_seconds(expected_s)}"
    if limit_s is not None:
        yield f"and may be {_seconds(limit_s)} at most"


def _stage(left: dict[str, Any]) -> Iterator[str]:
    stage, after_s, queue = left.pop("stage", None), left.pop("stage_after_s", None), left.pop("queue", None)
    after_s = left.pop("after_s", None) if after_s is None else after_s
    place = [] if stage is None else [_stage_number(stage)]
    place += [] if queue is None else [f"of {said(queue)}"]
    place += [] if after_s is None else [f"in force from {_seconds(after_s)} of waiting on"]
    if place:
        yield " ".join(place)
    yield from _waits(left)


def _stage_number(stage: Any) -> str:
    """Counted from 1, as the check of a floor does; a service counts from 0."""
    return f"stage {stage + 1}" if isinstance(stage, int) and not isinstance(stage, bool) else f"stage {said(stage)}"


def _preferred(left: dict[str, Any]) -> Iterator[str]:
    how, state = left.pop("as", None), left.pop("state", None)
    if how is not None:
        yield f"as {_PREFERENCES.get(str(how)) or words(how)}"
    if state is not None:
        yield f"who is {_state(state)} now"
    yield from _skipped(left)
    until_s, queue = left.pop("until_s", None), left.pop("queue", None)
    if until_s is not None:
        yield f"at most until it has waited {_seconds(until_s)}"
    if queue is not None:
        yield f"in queue {said(queue)}"


def _escalated(left: dict[str, Any]) -> Iterator[str]:
    source, waited_s, talked_s = left.pop("from", None), left.pop("waited_s", None), left.pop("talked_s", None)
    if source is not None:
        yield f"from {said(source)}, with its place"
    if waited_s is not None:
        yield f"after waiting {_seconds(waited_s)}"
    if talked_s is not None:
        yield f"after a conversation of {_seconds(talked_s)}"


def _joined(left: dict[str, Any]) -> Iterator[str]:
    source, to, found = left.pop("from", None), left.pop("to", None), left.pop("found", None)
    if to is not None:
        yield f"in queue {said(to)}" + (f", from {said(source)}" if source is not None else "")
    elif source is not None:
        yield f"from {said(source)}"
    if found is not None:
        yield f"where that call was {words(found).lower()}"


def _kept_for(left: dict[str, Any]) -> Iterator[str]:
    whom, how, state = left.pop("preferred", None), left.pop("preferred_as", None), left.pop("preferred_state", None)
    if whom is not None:
        yield f"kept for {said(whom)} alone" + (f", as {_PREFERENCES.get(str(how)) or words(how)}" if how else "")
    elif how is not None:
        yield f"preferred as {said(how)}"
    if state is not None:
        yield f"who is {_state(state)} now"
    yield from _skipped(left)


def _skipped(left: dict[str, Any]) -> Iterator[str]:
    """Which of the queue's preferences kept the call for nobody, and why."""
    skipped = left.pop("skipped", None)
    if isinstance(skipped, Mapping):
        for how, why in skipped.items():
            yield f"not kept for {_PREFERENCES.get(str(how)) or words(how)}: {said(why)}"
    elif skipped is not None:
        yield f"not kept: {said(skipped)}"


def _state(state: Any) -> str:
    return words(state).lower() if str(state).isupper() else said(state)


def _nothing(left: dict[str, Any]) -> Iterator[str]:
    yield from ()


_BODIES: Mapping[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "waits": _waits,
    "offered": _offered,
    "offer_failed": _failed,
    "let_go": _let_go,
    "answered": _answered,
    "overflowed": _overflowed,
    "moved": _overflowed,
    "escalated": _escalated,
    "transferred": _escalated,
    "joined": _joined,
    "stage": _stage,
    "needs": _stage,
    "preferred": _preferred,
    "preferred_over": _preferred,
}


def _rest(left: Mapping[str, Any]) -> Iterator[str]:
    yield from (_pair(key, value, ":") for key, value in left.items())


def _needs(left: dict[str, Any]) -> Iterator[str]:
    """The requirement in force, as an expression or as minimum levels, and of which stage it is."""
    needs, levels = left.pop("requirement", None), left.pop("requirements", None)
    stage, after_s = left.pop("stage", None), left.pop("stage_after_s", None)
    if needs is None and isinstance(levels, Mapping) and levels:
        needs = ", ".join(f"{say.clean(skill)} {said(level)} or better" for skill, level in levels.items())
    elif levels:
        yield f"requirements: {said(levels)}"
    place = [] if stage is None else [_stage_number(stage)]
    place += [] if not after_s else [f"from {_seconds(after_s)} of waiting on"]
    if needs is not None or place:
        yield (f"needs {said(needs)}" if needs is not None else "needs nothing") + (
            f" ({', '.join(place)})" if place else ""
        )


def _members(left: dict[str, Any]) -> Iterator[str]:
    """How many agents the queue has, how many of them may take the call, how many are free, and why not the others."""
    members, able, passed = left.get("members"), left.get("able"), left.get("passed_over") or {}
    excluded = left.pop("excluded", None)
    lacking = members - able if _is_number(members) and _is_number(able) else 0
    lacking -= len(excluded) if isinstance(excluded, Mapping) else 0
    if lacking > 0 and isinstance(passed, Mapping):
        left["passed_over"] = {"skill": lacking, **passed}
    parts = [
        f"{said(left.pop(key))} {text}"
        for key, text in (("members", "in the queue"), ("able", "may take it"), ("free", "free"))
        if left.get(key) is not None
    ]
    passed = left.pop("passed_over", None)
    if parts:
        yield f"agents: {', '.join(parts)}" + (f"; passed over: {_counts(passed)}" if passed else "")
    elif passed:
        yield f"passed over: {_counts(passed)}"
    if excluded:
        yield f"not offered it again: {_with_reasons(excluded)}"


def _with_reasons(excluded: Any) -> str:
    """``anna (escalated), bob (declined)``."""
    if not isinstance(excluded, Mapping):
        return said(excluded)
    return ", ".join(f"{say.clean(name)} ({said(reason)})" for name, reason in excluded.items())


def _candidate(one: Mapping[str, Any], idle: str) -> str:
    """An agent, how long without a call, and the terms of his score."""
    left = dict(one)
    text, idle_s = f"{said(left.pop('agent', None))}:", left.pop("idle_s", None)
    parts = [] if idle_s is None else [f"{idle}{_seconds(idle_s)}"]
    parts += _last_offer(left)
    for key in ("skills", "score"):
        value = left.pop(key, None)
        parts += [f"{key}: {said(value)}"] if value else []
    return " ".join((text, "; ".join((*parts, *_rest(left)))))


def _last_offer(left: dict[str, Any]) -> list[str]:
    """How long ago an agent was offered a call of the queue, counted in offers to whomever."""
    if "offers_ago" not in left:
        return []
    ago = left.pop("offers_ago")
    return ["never offered one of this queue"] if ago is None else [f"last offered one {said(ago)} offers ago"]


def _among_best(one: Any) -> str:
    if not isinstance(one, Mapping):
        return said(one)
    left = dict(one)
    agent, idle_s = said(left.pop("agent", None)), left.pop("idle_s", None)
    skills, score = left.pop("skills", None), left.pop("score", None)
    more = [said(skills)] if skills else []
    more += [f"score {said(score)}"] if score is not None else []
    more += [*_last_offer(left), *_rest(left)]
    return agent + ("" if idle_s is None else f" idle {_seconds(idle_s)}") + (f" ({'; '.join(more)})" if more else "")


def _counts(passed: Any) -> str:
    """``7 talking, 3 paused``, the most frequent first."""
    if not isinstance(passed, Mapping) or not all(map(_is_number, passed.values())):
        return said(passed)
    ordered = sorted(passed.items(), key=lambda item: (-item[1], str(item[0])))
    return ", ".join(f"{said(count)} {_REASONS.get(reason) or words(reason).lower()}" for reason, count in ordered)


# -- values ------------------------------------------------------------------------------------------------------------


def _seconds(value: Any) -> str:
    return say.exact(value) if _is_number(value) else said(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _pair(key: object, value: Any, after: str = "") -> str:
    """``idle_s`` and 3.25 as ``idle 3.2 s``."""
    name = str(key)
    if name.endswith("_s") and _is_number(value):
        return f"{words(name[:-2])}{after} {say.exact(value)}"
    return f"{words(name)}{after} {said(value)}"


def words(value: object) -> str:
    """``agent_free`` as ``agent free``."""
    return say.clean(value).replace("_", " ")


def said(value: object) -> str:
    """Any JSON value in one harmless line."""
    if isinstance(value, Mapping):
        if value.keys() == {"after_s", "need"}:
            return f"after {_seconds(value['after_s'])}: {said(value['need'])}"
        return ", ".join(_pair(key, inner) for key, inner in value.items()) or "nothing"
    if isinstance(value, (list, tuple)):
        return ", ".join(said(inner) for inner in value) or "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "nothing" if value is None else say.clean(value)
