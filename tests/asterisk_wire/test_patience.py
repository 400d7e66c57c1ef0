"""What is concluded from silence by who stood still: nothing, before it has read what was said meanwhile.

Time is the test's: the worst of event loops, which runs timers that are due before it reads.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from agi_fakes import AgiCall, header

from acd.asterisk import patience as patience_module
from acd.asterisk.agi.request import AgiRequest, AgiTimeoutError
from acd.asterisk.agi.server import FastAgiServer
from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.pending import PendingTable
from acd.asterisk.patience import Patience
from acd.domain.errors import AmiTimeoutError


class Timer:
    def __init__(self, what: Callable[[], None]) -> None:
        self.what, self.off = what, False

    def cancel(self) -> None:
        self.off = True

    def cancelled(self) -> bool:
        return self.off


class Loop:
    """A loop's clock and timers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, int, Timer]] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, what: Callable[[], None]) -> Timer:
        self.made += 1
        heapq.heappush(self.timers, (self.now + seconds, self.made, timer := Timer(what)))
        return timer

    def awake(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            due, _, timer = heapq.heappop(self.timers)
            self.now = max(self.now, due)
            if not timer.off:
                timer.what()
        self.now = max(self.now, end)

    def frozen(self, seconds: float) -> None:
        """Stand still for so long; what is due then comes at once, and nothing has been read."""
        self.now += seconds
        self.awake(0.0)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop()
    monkeypatch.setattr(patience_module, "asyncio", SimpleNamespace(get_running_loop=lambda: made))
    return made


@pytest.mark.parametrize("seconds", [0.2, 2.0, 5.0, 60.0])
def test_who_was_awake_waits_as_long_as_asked(loop: Loop, seconds: float) -> None:
    said: list[float] = []
    Patience(seconds, lambda: said.append(loop.now))
    loop.awake(seconds - 0.01)
    assert said == []
    loop.awake(0.02)
    assert said == [pytest.approx(100.0 + seconds)]
    loop.awake(100.0)
    assert len(said) == 1


@pytest.mark.parametrize(("before", "still"), [(0.0, 8.0), (2.9, 2.1), (3.1, 1.9), (3.1, 2.0), (4.4, 0.9), (4.9, 30.0)])
def test_who_stood_still_listens_first(loop: Loop, before: float, still: float) -> None:
    """Whenever it began, and if it ended in the moment when patience would have been over."""
    said: list[float] = []
    Patience(5.0, lambda: said.append(loop.now))
    loop.awake(before)
    loop.frozen(still)
    assert said == []
    loop.awake(1.2)
    assert said == []
    loop.awake(0.9)
    assert len(said) == 1


def test_standing_still_again_and_again(loop: Loop) -> None:
    said: list[float] = []
    Patience(5.0, said.append, 1.0)
    for _ in range(10):
        loop.frozen(6.0)
        loop.awake(1.0)
    assert said == []
    loop.awake(2.0)
    assert said == [1.0]


@pytest.mark.parametrize("when", [1.0, 3.7])
def test_cancelled(loop: Loop, when: float) -> None:
    said: list[float] = []
    patience = Patience(5.0, said.append, 1.0)
    loop.awake(when)
    patience.cancel()
    patience.cancel()
    assert patience.cancelled()
    loop.awake(10.0)
    assert said == []


async def test_an_answer_that_lay_unread_is_one(loop: Loop) -> None:
    counters = AmiCounters()
    pending = PendingTable(where="pbx", prefix="acd-", counters=counters)
    answered = pending.expect_message("acd-1", "Redirect", timeout_s=5.0)
    listed = pending.expect_list("acd-2", "Status", timeout_s=10.0)
    unanswered = pending.expect_message("acd-3", "Redirect", timeout_s=5.0)
    loop.frozen(20.0)
    pending.response({"ActionID": "acd-1", "Response": "Success"})
    pending.response({"ActionID": "acd-2", "Response": "Success", "EventList": "start"})
    pending.event("StatusComplete", {"ActionID": "acd-2", "EventList": "Complete"})
    assert (await answered)["Response"] == "Success"
    assert await listed == []
    assert not unanswered.done()
    loop.awake(2.0)
    with pytest.raises(AmiTimeoutError, match="no answer to Redirect within 5 s"):
        await unanswered
    assert (counters.timeouts, counters.late, len(pending)) == (1, 0, 0)


@pytest.mark.parametrize("replied", [True, False])
async def test_a_reply_of_agi_that_lay_unread_is_one(loop: Loop, agi: FastAgiServer, replied: bool) -> None:
    said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def handler(request: AgiRequest) -> None:
        try:
            said.set_result(await request.command("NOOP"))
        except AgiTimeoutError as error:
            said.set_result(error)

    agi.add_route("inbound", handler)
    call = await AgiCall.open(await agi.start("127.0.0.1", 0), header("inbound"))
    assert await call.command() == "NOOP"
    loop.frozen(40.0)
    if replied:
        call.raw(b"200 result=7\n")
        assert (await said).result == "7"
    else:
        assert not said.done()
        loop.awake(3.0)
        assert isinstance(await said, AgiTimeoutError)
    await call.ended()


async def test_a_question_that_lay_unread_is_asked(loop: Loop, agi: FastAgiServer) -> None:
    """Its connection was made before we stood still, and its words have come meanwhile."""
    agi.add_route("inbound", lambda request: None)
    call = await AgiCall.open(await agi.start("127.0.0.1", 0), header("inbound")[:20])
    async with asyncio.timeout(10):
        while not agi.counters.connections:  # noqa: ASYNC110
            await asyncio.sleep(0)
    loop.frozen(20.0)
    call.raw(header("inbound")[20:])
    await call.ended()
    assert (agi.counters.sessions, agi.counters.header_timeouts) == (1, 0)


async def test_a_handler_is_given_its_time_awake(loop: Loop, agi: FastAgiServer) -> None:
    asked = asyncio.Event()
    go = asyncio.Event()
    done: list[str] = []

    async def handler(request: AgiRequest) -> None:
        asked.set()
        await go.wait()
        done.append(request.path)

    agi.add_route("inbound", handler)
    port = await agi.start("127.0.0.1", 0)
    call = await AgiCall.open(port, header("inbound"))
    await asked.wait()
    loop.frozen(60.0)
    await asyncio.sleep(0)
    go.set()
    await call.ended()
    assert done == ["inbound"]
    asked.clear()
    go.clear()
    call = await AgiCall.open(port, header("inbound"))
    await asked.wait()
    loop.awake(6.0)
    await call.ended()
    assert done == ["inbound"]
    assert agi.counters.handler_timeouts == 1
