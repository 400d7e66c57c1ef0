"""Shared by the tests of the pure core: a virtual clock, a small floor definition language and the record book.

The record book is the reference model of what the database makes of a floor's records: it folds them into the memory
of the next life, and raises as soon as a record contradicts an earlier one (a call that opens or closes twice, a gap
between segments, a skipped serial). Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC
from types import MappingProxyType

from acd.domain import records as rec
from acd.domain.definition import (
    AgentDefinition,
    BreakerDefinition,
    Destination,
    EntryPoint,
    FloorDefinition,
    HangUp,
    KnownCaller,
    Preferred,
    QueueDefinition,
    SelectionWeights,
    SkillRequirement,
    Stage,
    ToDialplan,
    ToMessage,
    ToQueue,
    number_key,
)
from acd.domain.events import AgentMemory, CallMemory, MemoryRestored, SegmentMemory
from acd.domain.expression import parse
from acd.domain.hours import WEEKDAYS, OpeningHours
from acd.domain.instant import Instant
from acd.domain.states import AGENT_TRANSITIONS, AgentState, CallOutcome, SegmentKind

UTC_0 = 1_700_000_000.0
MONO_0 = 1_000.0


class Clock:
    """Virtual time: ``s`` seconds since the start, in both its faces."""

    def __init__(self) -> None:
        self.s = 0.0

    @property
    def now(self) -> Instant:
        return Instant(MONO_0 + self.s, UTC_0 + self.s)

    def reach(self, mono: float) -> None:
        """Advance to a monotonic moment; never back."""
        self.s = max(self.s, mono - MONO_0)


# -- definitions in short lines ----------------------------------------------------------------------------------------


def destination(text: str) -> Destination:
    """``queue:NAME``, ``dialplan:CONTEXT,EXTEN``, ``message:SOUND`` or ``hangup``."""
    kind, _, rest = text.partition(":")
    if kind == "queue":
        return ToQueue(rest)
    if kind == "dialplan":
        context, exten = rest.split(",")
        return ToDialplan(context, exten)
    if kind == "hangup":
        return HangUp()
    if kind == "message":
        return ToMessage(sound=rest)
    raise ValueError(f"no destination: {text}")


def define(text: str) -> FloorDefinition:
    """A floor from lines such as these::

    skills english linux
    queue sales ring=20 wrap=10 max=60 overflow=queue:support needs=english:50 hold=jazz sl=20 priority=1
    queue tech rings=2 select=round_robin length=5 full=queue:sales nobody=hangup hours=office closed
    stage tech 0 linux >= 80 and call.tier == gold
    prefer tech last_agent 10
    prefer tech named 10 attribute
    agent ann 101 sales,support english=80 phones=PJSIP/101,PJSIP/102 auto lasting linux@100..200
    did 555 sales priority=5 .tier=gold
    caller 0123 priority=2 owner=ann .tier=gold
    fallback dialplan:operator,s
    cooldown 10
    calls fcfs ageing=60
    breaker 3 within=30 probe=15 group=trunk
    hours office mon-fri 9-17

    A word beginning with a dot is an attribute; ``skill@FROM..UNTIL`` the seconds of the test in which a skill holds.
    """
    skills = {*SKILLS}
    for line in text.splitlines():
        word, *words = line.split("#", 1)[0].split() or [""]
        if word == "skills":
            skills.update(words)
    drafts: dict[str, QueueDefinition] = {}
    agents: dict[str, AgentDefinition] = {}
    entries: dict[str, EntryPoint] = {}
    callers: dict[str, KnownCaller] = {}
    hours: dict[str, OpeningHours] = {}
    rest: dict[str, object] = {}
    for line in text.splitlines():
        word, *words = line.split("#", 1)[0].split() or [""]
        plain = [w for w in words if "=" not in w and "@" not in w]
        keys = dict(w.split("=", 1) for w in words if "=" in w and not w.startswith("."))
        attributes = dict(w[1:].split("=", 1) for w in words if w.startswith("."))
        if word == "queue":
            drafts[plain[0]] = _queue(plain[0], keys, closed="closed" in plain)
        elif word == "stage":
            stage = Stage(float(plain[1]), parse(" ".join(words[2:]), skills))
            drafts[plain[0]] = replace(drafts[plain[0]], stages=(*drafts[plain[0]].stages, stage))
        elif word == "prefer":
            preferred = Preferred(plain[1], float(plain[2]), plain[3] if len(plain) > 3 else None)  # type: ignore[arg-type]
            drafts[plain[0]] = replace(drafts[plain[0]], preferred=(*drafts[plain[0]].preferred, preferred))
        elif word == "agent":
            agents[plain[0]] = _agent(plain, keys, [w for w in words if "@" in w and "=" not in w])
        elif word == "did":
            priority = int(keys.get("priority", 0))
            entries[plain[0]] = EntryPoint(plain[0], plain[1], priority, attributes, keys.get("client"))
        elif word == "caller":
            callers[plain[0]] = KnownCaller(int(keys.get("priority", 0)), keys.get("owner"), attributes)
        elif word == "fallback":
            rest["fallback"] = destination(plain[0])
        elif word == "cooldown":
            rest["cool_down_s"] = float(plain[0])
        elif word == "calls":
            rest["call_selection"] = plain[0]
            rest["ageing_s"] = float(keys.get("ageing", 60))
            rest["preference_s"] = float(keys.get("preference", 30))
        elif word == "breaker":
            rest["breaker"] = BreakerDefinition(
                int(plain[0]),
                float(keys.get("within", 30)),
                float(keys.get("probe", 15)),
                keys.get("group", "host"),  # type: ignore[arg-type]
            )
        elif word == "hours":
            hours[plain[0]] = _hours(plain[1], plain[2])
        elif word not in ("", "skills"):
            raise ValueError(f"no such line in a floor: {line!r}")
    return FloorDefinition(
        drafts,
        agents,
        entries,
        skills=tuple(sorted(skills)),
        revision="rev1",
        callers={number_key(number): caller for number, caller in callers.items()},
        hours=hours,
        **rest,  # type: ignore[arg-type]
    )


SKILLS = ("english", "linux", "nl")


def _agent(plain: list[str], keys: dict[str, str], limited: list[str]) -> AgentDefinition:
    phones = tuple(keys.pop("phones", f"PJSIP/{plain[1]}").split(","))
    preference = {n[7:]: int(keys.pop(n)) for n in list(keys) if n.startswith("prefer-")}
    validity = {}
    for word in limited:
        skill, _, span = word.partition("@")
        start, _, end = span.partition("..")
        validity[skill] = (UTC_0 + float(start) if start else None, UTC_0 + float(end) if end else None)
    skills = MappingProxyType({name: int(value) for name, value in keys.items()})
    return AgentDefinition(
        plain[0],
        plain[1],
        phones,
        tuple(plain[2].split(",")),
        skills,
        auto_answer="auto" in plain[3:],
        lasting_line="default" if "lasting" in plain[3:] else None,
        skill_validity=validity,
        queue_preference=preference,
    )


def _hours(days: str, times: str) -> OpeningHours:
    """``mon-fri 9-17``: UTC, the same every day."""
    first, _, last = days.partition("-")
    opens, closes = (int(hour) * 60 for hour in times.split("-"))
    numbers = range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1)
    return OpeningHours(UTC, tuple(((opens, closes),) if n in numbers else () for n in range(7)), {})


def _queue(name: str, keys: dict[str, str], *, closed: bool) -> QueueDefinition:
    needs = [need.split(":") for need in keys.get("needs", "").split(",") if need]
    hold = keys.get("hold", "default")

    def on(word: str) -> Destination | None:
        return destination(keys[word]) if word in keys else None

    def number(word: str) -> float | None:
        return float(keys[word]) if word in keys else None

    return QueueDefinition(
        name,
        requirements=tuple(SkillRequirement(skill, int(minimum)) for skill, minimum in needs),
        ring_timeout_s=float(keys.get("ring", 20)),
        wrap_up_s=float(keys.get("wrap", 10)),
        max_wait_s=number("max"),
        overflow=destination(keys.get("overflow", "hangup")),
        hold=None if hold == "ringback" else hold,
        service_level_s=float(keys.get("sl", 20)),
        priority=int(keys.get("priority", 0)),
        agent_selection=keys.get("select", "longest_idle"),
        ring_agents=int(keys.get("rings", 1)),
        weights=SelectionWeights(proficiency=1.0) if keys.get("select") == "weighted" else None,
        max_length=int(keys["length"]) if "length" in keys else None,
        on_full=on("full"),
        max_estimated_wait_s=number("estimate"),
        on_long_wait=on("long"),
        on_nobody=on("nobody"),
        closed=closed,
        hours=keys.get("hours"),
        on_closed=on("shut"),
        on_unsatisfiable=on("never"),
        escalation=keys.get("escalation"),
        weight=float(keys.get("weight", 1)),
        ratio=number("ratio"),
        cost=float(keys.get("cost", 1)),
        client=keys.get("client"),
    )


# -- the record book ---------------------------------------------------------------------------------------------------


class BookError(AssertionError):
    """A record contradicts what was recorded before."""


def _must(holds: bool, record: rec.Record, why: str) -> None:
    if not holds:
        raise BookError(f"{why}: {record}")


@dataclass
class SegmentRow:
    """One segment as the database would have it."""

    opened: rec.SegmentOpened
    ended_at: float | None = None
    outcome: str | None = None


@dataclass
class CallRow:
    """One call as the database would have it."""

    opened: rec.CallOpened
    queue: str
    answered: rec.CallAnswered | None = None
    closed: rec.CallClosed | None = None
    segments: list[SegmentRow] = field(default_factory=list)
    decisions: int = 0

    @property
    def line(self) -> list[SegmentRow]:
        """The segments that lie end to end: all but the wrap-ups."""
        return [row for row in self.segments if row.opened.kind is not SegmentKind.WRAPPED]


class RecordBook:
    """Folds records, as the database does; refuses contradictions."""

    def __init__(self) -> None:
        self.calls: dict[str, CallRow] = {}
        self.agents: dict[str, rec.AgentStateChanged] = {}
        self.intents: dict[str, tuple[str | None, str | None]] = {}

    def fold(self, records: Iterable[rec.Record]) -> None:
        """Take in the records of one step. Raises BookError on the first contradiction."""
        for record in records:
            if isinstance(record, rec.AgentStateChanged):
                self._agent(record)
            elif isinstance(record, rec.AgentIntentChanged):
                self.intents[record.agent] = (record.pending, record.phone)
            elif isinstance(record, rec.CallOpened):
                _must(record.call not in self.calls, record, "the call opened twice")
                self.calls[record.call] = CallRow(record, record.queue)
            else:
                self._call(record)

    def _agent(self, record: rec.AgentStateChanged) -> None:
        before = self.agents.get(record.agent)
        serial, at = (before.serial, before.at) if before else (0, 0.0)
        state = before.state if before else AgentState.LOGGED_OUT
        _must(record.serial == serial + 1, record, f"serial after {serial}")
        _must(record.at >= at, record, f"the interval began before the one before it ({at})")
        _must(record.state in AGENT_TRANSITIONS[state], record, f"illegal after {state}")
        self.agents[record.agent] = record
        self.intents[record.agent] = (record.pending, record.phone)

    def _call(self, record: rec.Record) -> None:
        row = self.calls.get(record.call)  # type: ignore[attr-defined]
        _must(row is not None, record, "the call never opened")
        assert row is not None
        if isinstance(record, rec.SegmentOpened):
            wrapped = record.kind is SegmentKind.WRAPPED
            _must(row.closed is None or wrapped, record, "a segment after the call was closed")
            _must(record.serial == len(row.segments), record, f"segment number, expected {len(row.segments)}")
            if not wrapped:
                start = row.line[-1].ended_at if row.line else row.opened.entered_at
                _must(record.started_at == start, record, f"gap or overlap: expected to start at {start}")
            row.segments.append(SegmentRow(record))
        elif isinstance(record, rec.SegmentClosed):
            segment = row.segments[record.serial]
            # Only how a conversation ended is told again: that it was a transfer is heard after who left
            again = segment.ended_at == record.ended_at and record.outcome == "transfer" != segment.outcome
            _must(segment.ended_at is None or again, record, "the segment closed twice")
            _must(record.ended_at >= segment.opened.started_at, record, "the segment ended before it began")
            segment.ended_at, segment.outcome = record.ended_at, record.outcome
        elif isinstance(record, rec.CallClosed):
            _must(row.closed is None, record, "the call closed twice")
            last = row.line[-1].ended_at if row.line else record.ended_at
            _must(last == record.ended_at, record, f"the last segment ended at {last}")
            total = sum((s.ended_at or 0.0) - s.opened.started_at for s in row.line)
            if row.line:
                _must(abs(total - (record.ended_at - row.opened.entered_at)) < 1e-3, record, f"segments sum to {total}")
            _must(record.ended_by in ("caller", "agent", "system", "unknown"), record, "ended_by is none of its words")
            row.closed = record
        elif isinstance(record, rec.CallTargeted):
            assert row.closed is not None, record
            untold = row.closed.outcome is CallOutcome.TRANSFERRED and row.closed.target is None
            _must(untold, record, "the call had not gone anywhere unknown")
            row.closed = replace(row.closed, target=record.target)
        else:
            _must(row.closed is None, record, "after the call was closed")
            if isinstance(record, rec.CallMoved):
                row.queue = record.queue
            elif isinstance(record, rec.CallAnswered):
                _must(row.answered is None, record, "the call was answered twice")
                row.answered = record
            elif isinstance(record, rec.DecisionMade):
                _must(record.serial == row.decisions, record, f"decision number, expected {row.decisions}")
                row.decisions += 1
            else:
                raise BookError(f"unknown record {record}")

    def open_calls(self) -> list[CallRow]:
        """Calls that began and did not end."""
        return [row for row in self.calls.values() if row.closed is None]

    def memory(self, at: float) -> MemoryRestored:
        """What the next life is told."""
        wraps = [
            _remember(segment)
            for row in self.calls.values()
            for segment in row.segments
            if segment.ended_at is None and segment.opened.kind is SegmentKind.WRAPPED
        ]
        agents = [_remember_agent(record, self.intents[name]) for name, record in sorted(self.agents.items())]
        calls = [_remember_call(row) for row in self.open_calls()]
        return MemoryRestored(at, tuple(agents), tuple(calls), tuple(wraps))


def _remember(row: SegmentRow) -> SegmentMemory:
    o = row.opened
    return SegmentMemory(o.call, o.serial, str(o.kind), o.started_at, o.queue, o.agent, o.offer)


def _remember_agent(record: rec.AgentStateChanged, intent: tuple[str | None, str | None]) -> AgentMemory:
    pending, phone = intent
    return AgentMemory(
        agent=record.agent,
        state=record.state,
        reason=record.reason,
        since=record.at,
        idle_since=record.idle_since,
        serial=record.serial,
        phone=phone,
        pending=pending,
        until=record.until,
        call=record.call,
    )


def _remember_call(row: CallRow) -> CallMemory:
    o = row.opened
    return CallMemory(
        call=o.call,
        node=o.node,
        channel=o.channel,
        linkedid=o.linkedid,
        did=o.did,
        caller_number=o.caller_number,
        caller_name=o.caller_name,
        queue=row.queue,
        entered_at=o.entered_at,
        answered_at=row.answered.answered_at if row.answered else None,
        agent=row.answered.agent if row.answered else None,
        next_segment=len(row.segments),
        next_decision=row.decisions,
        open_segments=tuple(_remember(s) for s in row.segments if s.ended_at is None),
    )
