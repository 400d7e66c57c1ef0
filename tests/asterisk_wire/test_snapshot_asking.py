"""Callers whose question has no answer yet, as a look at a node finds them: they are there, and that is all."""

from __future__ import annotations

import pytest

from acd.asterisk.snapshot import asking, read_channels
from acd.asterisk.translate import Translator
from acd.domain.events import Phase


def channel(context: str, **fields: str) -> dict[str, str]:
    return {"Uniqueid": "c", "Channel": "PJSIP/trunk-0001", "Linkedid": "c", "Context": context, "Exten": "s",
            "CallerIDNum": "5551", "ChanVariable(acd_call)": fields.pop("call", ""), **fields}  # fmt: skip


def translator() -> Translator:
    return Translator("pbx", lambda event: None, warn=lambda kind, detail: None)


@pytest.mark.parametrize(
    ("context", "call"),
    [
        ("acd-arrive", ""),
        ("acd-arrive", "7"),  # his answer came this very moment, or it is who he was before
        ("acd-inbound", "7"),
        ("acd-hold", ""),
        ("acd-register", ""),
        ("acd-out", ""),
    ],
)
def test_who_asks_exists_and_is_followed(context: str, call: str) -> None:
    one, follows = channel(context, call=call, **{"ChanVariable(acd_offer)": "8"}), translator()
    assert asking([one]) == ("c",)
    (seen,) = read_channels([one], follows, prime=True, entered={"c": 12.5})
    assert (seen.channel, seen.phase, seen.call, seen.offer, seen.agent) == (
        "c",
        Phase.ASKING,
        call or None,
        None,
        None,
    )
    assert (seen.entered_at, seen.caller_number, seen.target) == (12.5, "5551", "")
    assert "c" in follows.callers


def test_a_comparison_lets_the_translator_be() -> None:
    follows = translator()
    (seen,) = read_channels([channel("acd-arrive")], follows, prime=False)
    assert (seen.phase, seen.entered_at) == (Phase.ASKING, 0.0)
    assert not follows.callers


@pytest.mark.parametrize("context", ["menu", "acd-fallback", "acd-message", "acd-offer", "acd-auto-answer"])
def test_nobody_else_without_a_name_is_ours(context: str) -> None:
    one = channel(context)
    assert asking([one]) == ()
    assert read_channels([one], translator(), prime=True) == ()


@pytest.mark.parametrize("context", ["acd-hold", "acd-register"])
def test_with_a_name_he_waits(context: str) -> None:
    one = channel(context, call="7")
    assert asking([one]) == ()
    (seen,) = read_channels([one], translator(), prime=True)
    assert (seen.phase, seen.call) == (Phase.HELD, "7")


def test_an_agents_line_asks_nothing() -> None:
    one = channel("acd-hold", Application="AppDial")
    assert asking([one]) == ()
    assert read_channels([one], translator(), prime=True) == ()
