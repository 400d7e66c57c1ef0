"""Records as they are kept where numbers are hashed: whoever reads them finds none, in whatever was said of a call."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from acd.domain.records import (
    Audited,
    CallAnnotated,
    CallClosed,
    CallMoved,
    CallOpened,
    CallTargeted,
    DecisionMade,
    Record,
    SegmentClosed,
    SegmentOpened,
)
from acd.domain.states import CallOutcome, SegmentKind
from acd.store.sealing import is_sealed, without_number

SAID = "ring 0171 1234567"
KEPT: tuple[Record, ...] = (
    CallOpened("00000100000001", "n", "1.1", "1790000000.123456", "4930123456", "0171 1234567", "Ann", "q", 0, 1.0),
    CallClosed("c", 1.0, CallOutcome.TRANSFERRED, "agent", None, "01711234567@out"),
    CallTargeted("c", "01711234567@out"),
    SegmentOpened("c", 0, SegmentKind.CONSULTED, 1.0, target="01711234567"),
    SegmentClosed("c", 0, 1.0, target="01711234567"),
    CallAnnotated("c", SAID, SAID, ("vip", "01711234567")),
    DecisionMade("c", 0, 1.0, "attributes", None, None, "r", {"back": SAID, "list": ["01711234567"], "n": 1}),
    DecisionMade("c", 0, 1.0, "transferred", None, None, "r", {"to": "out,01711234567,1", "talked_s": 1.5}),
    Audited("e", 1.0, "user:x", "call_transfer", "call:00000100000001", {"to": "01711234567"}),
)


def seal(number: str) -> str:
    return f"hmac:{hashlib.md5(number.encode()).hexdigest()}" if number else ""


@pytest.mark.parametrize("record", KEPT, ids=lambda record: type(record).__name__)
def test_no_number_is_kept(record: Record) -> None:
    kept = without_number(record, seal)
    assert "171" in str(record)
    assert "1711234567" not in str(kept).replace(" ", "")
    assert "hmac:" in str(kept)
    # What stands in a number's place is no number itself
    assert isinstance(kept, CallOpened) or without_number(kept, seal) == kept


def test_what_holds_no_number_stays() -> None:
    (joined, empty, moved, offered) = (
        CallClosed("c", 1.0, CallOutcome.TRANSFERRED, "agent", None, "call 00000100000002"),
        CallAnnotated("c", tags=("vip",)),
        CallMoved("c", "q"),
        DecisionMade(
            "c", 0, 1.0, "offered", "a", "00000100000002", "r", {"was": "00000100000001", "to": {"queue": "x"}}
        ),
    )
    for record in (joined, empty, moved, offered, SegmentClosed("c", 0, 1790000000.123456)):
        assert without_number(record, seal) == record
    assert is_sealed(without_number(replace(joined, target="0171 1234567"), seal).target or "")  # type: ignore[attr-defined]
