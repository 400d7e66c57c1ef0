"""A recorded life once more: the same events into a fresh floor must give the same commands and records, byte for byte.

The first difference ends the replay, since nothing after it can be compared. On the way the story of one call can be
told in full: at each decision every agent by name, as he was at that moment, which the live floor only counts.
No output here, and nothing is carried out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from acd.domain.definition import FloorDefinition
from acd.domain.records import DecisionMade, Record
from acd.domain.values import valueclass
from acd.engine.checkpoint import thaw
from acd.engine.codec import encode
from acd.engine.journal_lines import chain
from acd.engine.journal_reader import Noted, Recording
from acd.engine.journal_writer import output
from acd.floor import Floor, Step

CHOSEN, FREE, BUSY, UNFIT = "chosen", "free", "busy", "unfit"
_ORDER = (CHOSEN, FREE, BUSY, UNFIT)
_NO_CHOICE = frozenset({"offer_failed", "let_go", "answered"})
"""Kinds of decisions that choose nobody."""


@valueclass(frozen=True, slots=True)
class Difference:
    """The first thing that came out otherwise. ``where`` is a path such as ``commands[0].agent``; None: not known, as
    the journal holds digests alone. ``recorded`` and ``replayed`` are JSON values, None where one side has nothing."""

    n: int
    at: float
    event: Any
    where: str | None
    recorded: Any
    replayed: Any


@dataclass(slots=True)
class Outcome:
    """What a replay found. Times are UTC s."""

    floor: Floor
    events: int = 0
    commands: int = 0
    records: int = 0
    first_at: float | None = None
    last_at: float | None = None
    difference: Difference | None = None


@dataclass(slots=True)
class Story:
    """Everything that was done with one call: ``{"n", "at", "event", "commands", "records", "candidates"}`` an event
    that touched it; ``candidates`` holds, a decision's serial, every agent in the order he was considered."""

    call: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    _candidates: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def decided(self, floor: Floor, record: DecisionMade) -> None:
        """A decision is being taken: look around before anything changes."""
        if record.call == self.call and record.kind not in _NO_CHOICE:
            self._candidates[record.serial] = list(candidates(floor, record))

    def add(self, noted: Noted, step: Step) -> None:
        """Keep what this event did to the call."""
        records = [record for record in step.records if getattr(record, "call", None) == self.call]
        commands = [command for command in step.commands if getattr(command, "call", None) == self.call]
        if records or commands:
            self.steps.append(
                {
                    "n": noted.n,
                    "at": noted.now.utc,
                    "event": _json(noted.event),
                    "commands": _json(commands),
                    "records": _json(records),
                    "candidates": self._candidates,
                }
            )
        self._candidates = {}


def candidates(floor: Floor, record: DecisionMade) -> Iterator[dict[str, Any]]:
    """Every agent at the moment of a decision: ``{"agent", "fit", "why", "idle_s"}``, the chosen one first, then who was
    free (the longest idle first), who may serve the call and could not then, and who may not."""
    call = floor.calls.get(record.call)
    if call is None:
        return
    rows, rung = [], list(record.detail.get("agents") or [record.agent])
    for agent in floor.roster.agents.values():
        unfit = floor.matcher.why_not(agent.name, call.queue.name, call.requirement)
        if call.kept_for is not None:
            unfit = "" if agent.name == call.kept_for else f"the call waits for {call.kept_for} alone"
        idle_s = None
        if unfit:
            fit, why = UNFIT, unfit
        elif agent.why_not is not None and agent.name not in rung:
            fit, why = BUSY, agent.why_not
        else:
            fit, why = (CHOSEN if agent.name in rung else FREE), ""
            idle_s = round(max(0.0, record.at - agent.idle_since), 3)
        place = rung.index(agent.name) if fit == CHOSEN else agent.idle_since if idle_s is not None else 0.0
        key = (_ORDER.index(fit), place, agent.serial, agent.name)
        rows.append((key, {"agent": agent.name, "fit": fit, "why": why, "idle_s": idle_s}))
    yield from (row for _, row in sorted(rows, key=lambda item: item[0]))


class _Watched(Floor):
    """A floor that shows its decisions while it takes them."""

    def __init__(
        self,
        definition: FloorDefinition,
        *,
        epoch: int,
        started_at: float,
        decided: Callable[[Floor, DecisionMade], None],
    ) -> None:
        self._decided = decided
        super().__init__(definition, epoch=epoch, started_at=started_at)

    def emit(self, record: Record) -> None:
        if isinstance(record, DecisionMade):
            self._decided(self, record)
        super().emit(record)


def replay(recording: Recording, *, until: float = float("inf"), story: Story | None = None) -> Outcome:
    """Feed a recording to a fresh floor: up to ``until`` (UTC s) or the first difference. Raises JournalError."""
    head = recording.header
    floor: Floor
    if story is None:
        floor = Floor(head.definition, epoch=head.epoch, started_at=head.started_at)
    else:
        floor = _Watched(head.definition, epoch=head.epoch, started_at=head.started_at, decided=story.decided)
    if head.checkpoint is not None:
        thaw(floor, head.checkpoint)
    outcome, digest = Outcome(floor), head.digest
    for noted in recording.events():
        if noted.now.utc > until:
            break
        step, failed = take(floor, noted)
        out = output(step, failed)
        digest = chain(digest, out)
        outcome.events += 1
        outcome.commands += len(step.commands)
        outcome.records += len(step.records)
        outcome.first_at = noted.now.utc if outcome.first_at is None else outcome.first_at
        outcome.last_at = noted.now.utc
        if story is not None:
            story.add(noted, step)
        if digest != noted.digest:
            outcome.difference = _difference(noted, json.loads(out))
            break
    return outcome


def take(floor: Floor, noted: Noted) -> tuple[Step, str | None]:
    """Handle one event as the engine does: what a handler that raised had done until then counts."""
    try:
        return floor.handle(noted.event, noted.now), None
    except Exception as error:
        return floor.salvage(), type(error).__name__


def _json(value: Any) -> Any:
    return json.loads(encode(value))


def _difference(noted: Noted, replayed: Any) -> Difference:
    event = _json(noted.event)
    if noted.out is None:
        return Difference(noted.n, noted.now.utc, event, None, None, replayed)
    where, old, new = _first(noted.out, replayed, "")
    return Difference(noted.n, noted.now.utc, event, where, old, new)


def _first(old: Any, new: Any, where: str) -> tuple[str, Any, Any]:
    """The place at which two JSON values that are not the same text begin to differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            if encode(old.get(name)) != encode(new.get(name)) or (name in old) != (name in new):
                return _first(old.get(name), new.get(name), f"{where}.{name}" if where else name)
        return f"order of {where or 'all'}", list(old), list(new)
    if isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            mine = old[index] if index < len(old) else None
            theirs = new[index] if index < len(new) else None
            if encode(mine) != encode(theirs):
                # Two things of different kinds are told whole
                same_kind = isinstance(mine, dict) and isinstance(theirs, dict) and mine.get("_") == theirs.get("_")
                there = f"{where}[{index}]"
                return _first(mine, theirs, there) if same_kind else (there, mine, theirs)
    return where, old, new
