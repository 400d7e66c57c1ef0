"""Records without callers' numbers and names: what is kept in their place, and how it is told from a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from acd.domain.numbers import replaced
from acd.domain.records import (
    Audited,
    CallAnnotated,
    CallClosed,
    CallOpened,
    CallTargeted,
    DecisionMade,
    Record,
    SegmentClosed,
    SegmentOpened,
)

PREFIX = "hmac:"
_SEALED = re.compile(r"hmac:[0-9a-f]{32}", re.ASCII)


def is_sealed(text: str) -> bool:
    """Whether this stands in a number's place."""
    return _SEALED.fullmatch(text) is not None


def without_number(record: Record, sealed: Callable[[str], str]) -> Record:
    """The record as it may be kept: the caller's number sealed, no name; and whatever could be a number in what people and
    programs said of the call, and in where it went, sealed likewise."""
    match record:
        case CallOpened():
            return replace(record, caller_number=sealed(record.caller_number), caller_name="")
        case (
            CallClosed(target=str(target))
            | CallTargeted(target=target)
            | SegmentOpened(target=str(target))
            | SegmentClosed(target=str(target))
        ):
            return replace(record, target=replaced(target, sealed))
        case CallAnnotated(_, disposition, notes, tags):
            return replace(
                record,
                disposition=None if disposition is None else replaced(disposition, sealed),
                notes=None if notes is None else replaced(notes, sealed),
                tags=None if tags is None else tuple(replaced(tag, sealed) for tag in tags),
            )
        case DecisionMade(kind="attributes") | Audited():
            return replace(record, detail=_scrubbed(record.detail, sealed))
        case DecisionMade(detail={"to": str(to)}):
            return replace(record, detail={**record.detail, "to": replaced(to, sealed)})
    return record


def _scrubbed(value: Any, sealed: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {name: _scrubbed(item, sealed) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item, sealed) for item in value]
    return replaced(value, sealed) if isinstance(value, str) else value
