"""The actions that await an answer, each with an id, a deadline and a way to be complete.

No IO and no reconnecting; deadlines count the time in which we were awake. Nothing here can be sent again: when the
connection goes, every future fails and is forgotten. panoramisk's table of responses, which replays and never forgets,
is not used.
"""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field
from typing import Any

from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.messages import Message
from acd.asterisk.patience import Patience
from acd.domain.errors import AmiDisconnectedError, AmiTimeoutError, AsteriskError

MAX_LIST_ITEMS = 100_000
_REMEMBERED_IDS = 256


class Completion(enum.Enum):
    """When an action is complete."""

    SINGLE = "single"
    """at its response, whatever the text says"""
    LIST = "list"
    """at an error, or at the event that carries ``EventList: Complete``"""
    ORIGINATE = "originate"
    """at an error, or at its OriginateResponse"""


@dataclass(slots=True)
class _Entry:
    action: str
    completion: Completion
    future: asyncio.Future[Any]
    timer: Patience
    items: list[Message] = field(default_factory=list)


class PendingTable:
    """Action id -> who waits. ``where`` names the connection in messages; ids start with ``prefix``."""

    def __init__(self, *, where: str, prefix: str, counters: AmiCounters) -> None:
        self._loop = asyncio.get_running_loop()
        self._where = where
        self._prefix = prefix
        self._counters = counters
        self._serial = 0
        self._entries: dict[str, _Entry] = {}
        self._expired: dict[str, None] = {}
        self.claimed: dict[str, None] = {}
        """ids whose events belong to an action and not to the event handler; empty most of the time"""

    def __len__(self) -> int:
        return len(self._entries)

    def new_id(self) -> str:
        """An ActionID never used before, not even by another process."""
        self._serial += 1
        return f"{self._prefix}{self._serial}"

    def expect_message(
        self, action_id: str, action: str, *, timeout_s: float, completion: Completion = Completion.SINGLE
    ) -> asyncio.Future[Message]:
        """Enter an action that one message completes; the future resolves to it. ``completion`` is not LIST."""
        future: asyncio.Future[Message] = self._loop.create_future()
        self._enter(action_id, action, future, timeout_s, completion)
        return future

    def expect_list(self, action_id: str, action: str, *, timeout_s: float) -> asyncio.Future[list[Message]]:
        """Enter an action that answers with a list; the future resolves to the list's items."""
        future: asyncio.Future[list[Message]] = self._loop.create_future()
        self._enter(action_id, action, future, timeout_s, Completion.LIST)
        return future

    def response(self, message: Message) -> None:
        """Take a response in: completes its action, or begins its list, or is late, or belongs to nobody."""
        action_id = message.get("ActionID", "")
        entry = self._entries.get(action_id)
        if entry is None:
            self._nobody_waits(action_id)
        elif entry.completion is Completion.SINGLE:
            self._leave(action_id, entry)
            _resolve(entry.future, message)
        elif message["Response"] != "Success":
            self._leave(action_id, entry)
            _fail(entry.future, refusal(entry.action, message, self._where))
        elif entry.completion is Completion.LIST and message.get("EventList", "").lower() != "start":
            self._leave(action_id, entry)
            text = f"{self._where}: action {entry.action} answered without a list; it is not one that lists"
            _fail(entry.future, AsteriskError(text))

    def event(self, name: str, message: Message) -> bool:
        """Take an event in; True when it was part of an action's list and is nobody else's business."""
        action_id = message.get("ActionID", "")
        entry = self._entries.get(action_id)
        if entry is None:
            return action_id in self._expired and self._late_event(action_id, name, message)
        if entry.completion is Completion.ORIGINATE and name == "OriginateResponse":
            self._leave(action_id, entry)
            _resolve(entry.future, message)
            return False
        if entry.completion is not Completion.LIST:
            return False
        if "EventList" in message:
            self._leave(action_id, entry)
            if message["EventList"].lower() == "complete":
                _resolve(entry.future, entry.items)
            else:
                _fail(entry.future, AsteriskError(f"{self._where}: list of {entry.action} was {message['EventList']}"))
        elif len(entry.items) >= MAX_LIST_ITEMS:
            self._leave(action_id, entry)
            _fail(entry.future, AsteriskError(f"{self._where}: {entry.action} lists over {MAX_LIST_ITEMS} items"))
        else:
            entry.items.append(message)
        return True

    def fail_all(self, reason: str) -> None:
        """The connection is gone: everybody who waits gets AmiDisconnectedError, nothing is kept."""
        entries = list(self._entries.values())
        self._entries.clear()
        self._expired.clear()
        self.claimed.clear()
        for entry in entries:
            entry.timer.cancel()
            text = f"{self._where}: {reason} while {entry.action} was under way; whether it was done is not known"
            _fail(entry.future, AmiDisconnectedError(text))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _enter(
        self, action_id: str, action: str, future: asyncio.Future[Any], timeout_s: float, completion: Completion
    ) -> None:
        timer = Patience(timeout_s, self._expire, action_id, timeout_s)
        self._entries[action_id] = _Entry(action, completion, future, timer)
        if completion is not Completion.SINGLE:
            self.claimed[action_id] = None
        future.add_done_callback(lambda done: self._settled(action_id, done))

    def _settled(self, action_id: str, future: asyncio.Future[Any]) -> None:
        """Also marks an exception as seen: who sends without waiting must not be told "never retrieved"."""
        if future.cancelled():
            entry = self._entries.get(action_id)
            if entry is not None:
                self._forget(action_id, entry)
        else:
            future.exception()

    def _expire(self, action_id: str, timeout_s: float) -> None:
        entry = self._entries[action_id]
        self._forget(action_id, entry)
        self._counters.timeouts += 1
        text = f"{self._where}: no answer to {entry.action} within {timeout_s:g} s; whether it was done is not known"
        _fail(entry.future, AmiTimeoutError(text))

    def _forget(self, action_id: str, entry: _Entry) -> None:
        """Nobody waits any more, but the answer may come: remember the id for a while, to know it when it does."""
        entry.timer.cancel()
        del self._entries[action_id]
        self._expired[action_id] = None
        if len(self._expired) > _REMEMBERED_IDS:
            oldest = next(iter(self._expired))
            del self._expired[oldest]
            self.claimed.pop(oldest, None)

    def _leave(self, action_id: str, entry: _Entry) -> None:
        entry.timer.cancel()
        del self._entries[action_id]
        self.claimed.pop(action_id, None)

    def _late_event(self, action_id: str, name: str, message: Message) -> bool:
        """An event of an action whose deadline has passed. An OriginateResponse is news to others all the same."""
        if action_id not in self.claimed:
            return False
        self._counters.late += 1
        if "EventList" in message or name == "OriginateResponse":
            del self._expired[action_id]
            del self.claimed[action_id]
        return name != "OriginateResponse"

    def _nobody_waits(self, action_id: str) -> None:
        if action_id.startswith(self._prefix):
            self._counters.late += 1
            if action_id not in self.claimed:
                self._expired.pop(action_id, None)
        else:
            self._counters.unmatched += 1


def refusal(action: str, message: Message, where: str) -> AsteriskError:
    """What a response that is not ``Success`` says, as an error fit to show."""
    text = message.get("Message", "no reason given")
    return AsteriskError(f"{where}: Asterisk refused {action}: {text} (Response: {message.get('Response', 'none')})")


def _resolve(future: asyncio.Future[Any], result: Message | list[Message]) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: AsteriskError) -> None:
    if not future.done():
        future.set_exception(error)
