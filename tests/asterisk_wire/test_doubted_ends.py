"""A caller's end without a cause: by a stopping Asterisk, by an operator, or by a line that knows no causes."""

from __future__ import annotations

import pytest

from acd.asterisk.translate import Translator
from acd.domain import events as ev


def ends(cause: str, *, talks: bool = False) -> tuple[list[ev.Event], list[ev.CallEnded]]:
    """What is told of a caller who asked his way, perhaps talked, and hung up with ``cause``; and what is doubted."""
    told: list[ev.Event] = []
    doubted: list[ev.CallEnded] = []
    translator = Translator("pbx", told.append, warn=lambda kind, detail: None, doubt=doubted.append)
    translator.arrives("c", "PJSIP/trunk-1", "100", 1.0)
    common = {"Privilege": "call,all", "Channel": "PJSIP/trunk-1", "Uniqueid": "c", "Linkedid": "c"}
    leg = common | {"Channel": "PJSIP/1001-2", "Uniqueid": "a"}
    if talks:
        begin = {"Event": "DialBegin", "Context": "acd-offer", "Exten": "00000100000002", "DestChannel": "PJSIP/1001-2"}
        translator.feed(common | begin | {"DestUniqueid": "a", "DestLinkedid": "c", "Timestamp": "2"})
        for number, who in enumerate((leg, common)):
            enter = {"Event": "BridgeEnter", "BridgeUniqueid": "B", "BridgeType": "basic", "Timestamp": f"{3 + number}"}
            translator.feed(who | enter)
    told.clear()
    translator.feed(common | {"Event": "Hangup", "Cause": cause, "Cause-txt": "", "Timestamp": "9"})
    return told, doubted


def test_an_end_without_a_cause_is_doubted() -> None:
    assert ends("0") == ([], [ev.CallEnded(9.0, "pbx", "c", 0)])


@pytest.mark.parametrize("cause", ["16", "31", "127"])
def test_an_end_with_a_cause_is_not(cause: str) -> None:
    assert ends(cause) == ([ev.CallEnded(9.0, "pbx", "c", int(cause))], [])


def test_nor_one_after_a_talk() -> None:
    told, doubted = ends("0", talks=True)
    assert [type(event) for event in told] == [ev.TalkEnded, ev.CallEnded]
    assert doubted == []
