"""Folding: many records become few rows. A segment that opens and closes within one batch is one INSERT.

Pure: no database, no clock. Folding changes nothing of the outcome: storing the folded rows equals storing the records
one by one. Where an order cannot be folded (a call is changed before it is opened), another stage begins; stages are
stored one after the other in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acd.domain.records import (
    AgentIntentChanged,
    AgentStateChanged,
    Audited,
    CallAnnotated,
    CallAnswered,
    CallClosed,
    CallMoved,
    CallOpened,
    CallTargeted,
    DecisionMade,
    Record,
    RevisionLoaded,
    SegmentClosed,
    SegmentOpened,
)
from acd.store.operations import OPERATIONS, Row
from acd.store.text import NOTES_MAX, storable

# Positions within the rows of operations.py.
_CALL_QUEUE = 7
_CALL_OPENING = slice(0, 10)
_CALL_ANSWERED_AT, _CALL_AGENT, _CALL_ENDED_AT = 10, 11, 12
_CALL_TARGET = 16
_CALL_CLIENT = slice(17, 19)
_SEGMENT_OPENING = slice(0, 7)
_SEGMENT_AGENT = 4
_SEGMENT_ENDED_AT = 7
_STATE_ENDED_AT = 3
_AGENT_PHONE, _AGENT_PENDING = 7, 8


class Stage:
    """Rows that can be stored together, by operation and key."""

    __slots__ = (
        "agent_states",
        "agent_states_end",
        "agents",
        "agents_patch",
        "audit",
        "calls",
        "calls_patch",
        "calls_said",
        "decisions",
        "latest",
        "revisions",
        "segments",
        "segments_patch",
    )

    def __init__(self) -> None:
        self.calls: dict[str, Row] = {}
        self.calls_patch: dict[str, Row] = {}
        self.calls_said: dict[str, Row] = {}
        self.segments: dict[tuple[str, int], Row] = {}
        self.segments_patch: dict[tuple[str, int], Row] = {}
        self.decisions: dict[tuple[str, int], Row] = {}
        self.agent_states: dict[tuple[str, int], Row] = {}
        self.agent_states_end: dict[str, Row] = {}
        self.agents: dict[str, Row] = {}
        self.agents_patch: dict[str, Row] = {}
        self.revisions: dict[tuple[str, float], Row] = {}
        self.audit: dict[str, Row] = {}
        self.latest: dict[str, int] = {}

    def rows(self) -> dict[str, list[Row]]:
        """The rows by operation, in the order of OPERATIONS, without empty ones."""
        by_name = ((operation.name, getattr(self, operation.name)) for operation in OPERATIONS)
        return {name: list(rows.values()) for name, rows in by_name if rows}

    def add(self, record: Record) -> bool:
        """Fold a record in. False: it does not fit behind what is here, nothing was changed. Raises KeyError on a kind
        of record nobody taught the store."""
        return _FOLDS[type(record)](self, record)


def _call_opened(stage: Stage, record: CallOpened) -> bool:
    if record.call in stage.calls_patch or record.call in stage.calls_said:
        return False
    opening: Row = [
        record.call,
        record.node,
        record.channel,
        record.linkedid,
        storable(record.did),
        storable(record.caller_number),
        storable(record.caller_name),
        record.queue,
        record.priority,
        record.entered_at,
    ]
    row = stage.calls.get(record.call)
    if row is None:
        stage.calls[record.call] = [*opening, *[None] * 7, record.client, record.from_call]
    else:
        row[_CALL_OPENING] = opening
        row[_CALL_CLIENT] = [record.client, record.from_call]
    return True


def _patch(stage: Stage, call: str) -> Row:
    row = stage.calls_patch.get(call)
    if row is None:
        row = stage.calls_patch[call] = [call, None, None, None, None, None, None, None, None]
    return row


def _call_moved(stage: Stage, record: CallMoved) -> bool:
    if record.call in stage.calls_said:
        return False
    row = stage.calls.get(record.call)
    if row is not None:
        row[_CALL_QUEUE] = record.queue
    else:
        _patch(stage, record.call)[1] = record.queue
    return True


def _call_answered(stage: Stage, record: CallAnswered) -> bool:
    if record.call in stage.calls_said:
        return False
    row = stage.calls.get(record.call)
    if row is not None:
        row[_CALL_ANSWERED_AT], row[_CALL_AGENT] = record.answered_at, record.agent
    else:
        row = _patch(stage, record.call)
        row[2], row[3] = record.answered_at, record.agent
    return True


def _call_closed(stage: Stage, record: CallClosed) -> bool:
    if record.call in stage.calls_said:
        return False
    row = stage.calls.get(record.call)
    at = _CALL_ENDED_AT
    if row is None:
        row, at = _patch(stage, record.call), 4
    row[at], row[at + 1], row[at + 2] = record.ended_at, record.outcome.value, record.ended_by
    if record.cause is not None:
        row[at + 3] = record.cause
    if record.target is not None:
        row[at + 4] = storable(record.target)
    return True


def _call_targeted(stage: Stage, record: CallTargeted) -> bool:
    if record.call in stage.calls_said:
        return False
    row = stage.calls.get(record.call)
    if row is not None:
        row[_CALL_TARGET] = storable(record.target)
    else:
        _patch(stage, record.call)[8] = storable(record.target)
    return True


def _segment_opened(stage: Stage, record: SegmentOpened) -> bool:
    key = (record.call, record.serial)
    if key in stage.segments_patch:
        return False
    opening: Row = [
        record.call,
        record.serial,
        record.kind.value,
        record.queue,
        record.agent,
        record.offer,
        record.started_at,
    ]
    row = stage.segments.get(key)
    if row is None:
        stage.segments[key] = [*opening, None, None, _text(record.target)]
    else:
        row[_SEGMENT_OPENING] = opening
        if record.target is not None:
            row[_SEGMENT_ENDED_AT + 2] = storable(record.target)
    return True


def _segment_closed(stage: Stage, record: SegmentClosed) -> bool:
    key = (record.call, record.serial)
    row = stage.segments.get(key)
    at = _SEGMENT_ENDED_AT
    if row is None:
        at = 2
        row = stage.segments_patch.get(key)
        if row is None:
            row = stage.segments_patch[key] = [record.call, record.serial, None, None, None, None]
    row[at] = record.ended_at
    if record.outcome is not None:
        row[at + 1] = record.outcome
    if record.target is not None:
        row[at + 2] = storable(record.target)
    if record.agent is not None:
        row[_SEGMENT_AGENT if at == _SEGMENT_ENDED_AT else at + 3] = record.agent
    return True


def _decision_made(stage: Stage, record: DecisionMade) -> bool:
    stage.decisions[record.call, record.serial] = [
        record.call,
        record.serial,
        record.at,
        record.kind,
        record.agent,
        record.offer,
        record.revision,
        record.detail,
    ]
    return True


def _agent_state_changed(stage: Stage, record: AgentStateChanged) -> bool:
    agent, serial, at = record.agent, record.serial, record.at
    state = record.state.value
    key = (agent, serial)
    latest = stage.latest.get(agent)
    if latest is None:
        # The interval before is not in this batch: whichever is the last one stored ends here.
        stage.agent_states_end[agent] = [agent, serial, at]
    elif serial < latest:
        return False
    elif serial > latest:
        before = stage.agent_states[agent, latest]
        if before[_STATE_ENDED_AT] is None:
            before[_STATE_ENDED_AT] = at
    row = stage.agent_states.get(key)
    ended_at = None if row is None else row[_STATE_ENDED_AT]
    stage.agent_states[key] = [agent, serial, at, ended_at, state, record.reason, record.call]
    stage.latest[agent] = serial
    stage.agents_patch.pop(agent, None)
    stage.agents[agent] = [
        agent,
        serial,
        state,
        record.reason,
        record.call,
        at,
        record.idle_since,
        record.phone,
        record.pending,
        record.until,
    ]
    return True


def _agent_intent_changed(stage: Stage, record: AgentIntentChanged) -> bool:
    row = stage.agents.get(record.agent)
    if row is not None:
        row[_AGENT_PHONE], row[_AGENT_PENDING] = record.phone, record.pending
    else:
        stage.agents_patch[record.agent] = [record.agent, record.phone, record.pending]
    return True


def _call_annotated(stage: Stage, record: CallAnnotated) -> bool:
    # PostgreSQL takes a stage as one statement, which changes a row but once
    if record.call in stage.calls or record.call in stage.calls_patch:
        return False
    row = stage.calls_said.get(record.call)
    if row is None:
        row = stage.calls_said[record.call] = [record.call, None, None, None, None]
    tags = None if record.tags is None else [storable(tag) for tag in record.tags]
    notes = None if record.notes is None else storable(record.notes, NOTES_MAX)
    said = (_text(record.disposition), notes, tags, _text(record.recording))
    for n, value in enumerate(said, 1):
        if value is not None:
            row[n] = value
    return True


def _revision_loaded(stage: Stage, record: RevisionLoaded) -> bool:
    row = [record.revision, record.at, storable(record.who), record.detail]
    stage.revisions[record.revision, record.at] = row
    return True


def _audited(stage: Stage, record: Audited) -> bool:
    stage.audit[record.entry] = [
        record.entry,
        record.at,
        storable(record.who),
        record.action,
        storable(record.subject),
        record.detail,
    ]
    return True


def _text(value: str | None) -> str | None:
    return None if value is None else storable(value)


_FOLDS: dict[type[Record], Callable[[Stage, Any], bool]] = {
    CallOpened: _call_opened,
    CallMoved: _call_moved,
    CallAnswered: _call_answered,
    CallClosed: _call_closed,
    CallTargeted: _call_targeted,
    SegmentOpened: _segment_opened,
    SegmentClosed: _segment_closed,
    DecisionMade: _decision_made,
    AgentStateChanged: _agent_state_changed,
    AgentIntentChanged: _agent_intent_changed,
    CallAnnotated: _call_annotated,
    RevisionLoaded: _revision_loaded,
    Audited: _audited,
}
