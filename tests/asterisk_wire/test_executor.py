"""What becomes of commands whose words are longer than a line of the manager interface."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from acd.asterisk.ami.encoder import encode
from acd.asterisk.executor import NodeExecutor
from acd.domain.commands import HoldCall, OfferCall
from acd.domain.errors import AmiDisconnectedError, AmiTimeoutError, AsteriskError
from acd.domain.events import CallEnded, Event, OfferFailed
from acd.domain.states import OfferOutcome


class Line:
    """Takes what an Asterisk would take, and never answers."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.events: list[Event] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.executor = NodeExecutor("pbx", self, self.events.append, lambda: 5.0)

    def send_many(self, batch: Sequence[tuple[str, Any]]) -> list[asyncio.Future[Any]]:
        for action, fields in batch:
            encode(action, fields)
        self.sent += [(action, dict(fields)) for action, fields in batch]
        self.futures = [asyncio.get_running_loop().create_future() for _ in batch]
        return self.futures


def offer(phones: tuple[str, ...], place: str = "sales:0") -> OfferCall:
    return OfferCall("pbx", "c1", "call1", place, "000001", "ann", phones, 20.0, "default")


async def test_what_is_short_goes_in_one_action() -> None:
    line = Line()
    line.executor.execute(HoldCall("pbx", "c1", "call1", "sales:0", "default"))
    assert [action for action, _ in line.sent] == ["Setvar", "Redirect"]
    assert line.sent[0][1]["Variable"].startswith("ARRAY(")


async def test_what_is_long_goes_one_by_one() -> None:
    line = Line()
    line.executor.execute(offer(tuple(f"PJSIP/10{n:02}" for n in range(9)), "p" * 900))
    setvars = {fields["Variable"]: fields["Value"] for action, fields in line.sent if action == "Setvar"}
    assert setvars["acd_place"] == "p" * 900
    assert setvars["acd_call"] == "call1"
    # Alone its commas need no backslash
    assert "PJSIP_DIAL_CONTACTS(1008)" in setvars["acd_dial"]
    assert "\\" not in setvars["acd_dial"]
    assert line.sent[-1][0] == "Redirect"
    assert line.events == []


async def test_what_no_line_takes_is_an_offer_that_failed() -> None:
    line = Line()
    line.executor.execute(offer(tuple(f"PJSIP/a-very-long-name-of-a-phone-{n}" for n in range(40))))
    assert line.sent == []
    (event,) = line.events
    assert isinstance(event, OfferFailed)
    assert (event.offer, event.outcome) == ("000001", OfferOutcome.LOST_TRACK)


@pytest.mark.parametrize(
    ("answer", "fails"),
    [
        (AsteriskError("busy: not sent"), OfferFailed),
        ({"Response": "Error", "Message": "Permission denied"}, OfferFailed),
        ({"Response": "Error", "Message": "Channel does not exist."}, CallEnded),
        ({"Response": "Success"}, None),
        # It may have been done, and they may talk: the floor knows what to do about what it never hears of
        (AmiTimeoutError("no answer to Redirect within 5 s"), None),
        (AmiDisconnectedError("gone"), None),
    ],
)
async def test_what_an_answer_to_an_offer_says(answer: Any, fails: type[Event] | None) -> None:
    line = Line()
    line.executor.execute(offer(("PJSIP/101",)))
    if isinstance(answer, Exception):
        line.futures[-1].set_exception(answer)
    else:
        line.futures[-1].set_result(answer)
    await asyncio.sleep(0)
    assert [type(event) for event in line.events] == ([] if fails is None else [fails])


async def test_settled_once_the_last_command_is_answered() -> None:
    line = Line()
    assert not await line.executor.settled("c1")
    line.executor.execute(HoldCall("pbx", "c1", "call1", "sales:0", "default"))
    first = line.futures[-1]
    line.executor.execute(offer(("PJSIP/101",)))
    settled = asyncio.ensure_future(line.executor.settled("c1"))
    assert not await line.executor.settled("c2")
    first.set_result({"Response": "Success"})
    for _ in range(5):
        await asyncio.sleep(0)
    assert not settled.done()
    line.futures[-1].set_exception(AmiDisconnectedError("gone"))
    assert await settled
    assert not await line.executor.settled("c1")
