"""One manager session as the rest of the adapter sees it: send actions, get answers, be told of events, up and down.

It knows actions, answers and deadlines, not what they mean for calls. Nothing is ever sent twice: what was under way
when the connection went has failed, and only who asked can say whether to ask again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence

from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.encoder import Fields, encode
from acd.asterisk.ami.keeper import AmiAccount, AmiHandlers, AmiTimings, ConnectionKeeper
from acd.asterisk.ami.messages import Message
from acd.asterisk.ami.pending import Completion, PendingTable, refusal
from acd.domain.errors import AmiDisconnectedError, AsteriskError, MisuseError

MAX_UNSENT_BYTES = 1024 * 1024
MAX_PENDING = 20_000
_MAX_TURNS = 1_000
"""Of the loop, so that who waits to have caught up is not kept for ever by an Asterisk that never stops."""

log = logging.getLogger(__name__)


class AmiBusyError(AsteriskError):
    """The connection is up, but Asterisk does not read what we write, or does not answer: no more is accepted."""


class AmiSession:
    """A manager session. Make it inside a running event loop, then ``start``.

    ``on_event`` gets every wanted event in the order of the wire; it must be quick, and may raise without harm.
    ``on_up`` gets the ``FullyBooted`` event (Uptime, LastReload, Status) at its place between the events, or, where
    the session cannot see it, the response to Login; if it returns an awaitable, that is run as a task, and cancelled
    when the connection goes. ``on_down`` gets the reason; every ``on_up`` is followed by one ``on_down``.
    ``wanted`` names the events to hand on, None for all. ``events`` is the Login header: ``on``, ``off`` or classes
    (``call,user,system``); ``FullyBooted`` is of class system, without it the session is up once Login is accepted.
    ``rng`` makes the jitter of pauses. ``tls`` is an SSLContext or None. ``no_hurry``: whether events may be late by
    `GATHER_S` just now; they then come together. ``listen`` ends that at once.
    """

    def __init__(
        self,
        *,
        name: str,
        host: str,
        port: int,
        username: str,
        secret: str,
        on_event: Callable[[Message], None],
        on_up: Callable[[Message], Awaitable[None] | None],
        on_down: Callable[[str], None],
        wanted: frozenset[str] | None = None,
        events: str = "on",
        timings: AmiTimings | None = None,
        rng: random.Random | None = None,
        tls: ssl.SSLContext | None = None,
        no_hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        account = AmiAccount(name, host, port, username, secret, events, tls)
        self.name = name
        self.counters = AmiCounters()
        self._timings = timings or AmiTimings()
        self._where = account.where
        self._pending = PendingTable(
            where=account.where, prefix=f"acd-{name}-{secrets.token_hex(4)}-", counters=self.counters
        )
        self._keeper = ConnectionKeeper(
            account,
            AmiHandlers(on_event, on_up, on_down, wanted, no_hurry),
            timings=self._timings,
            rng=rng or random.Random(),
            pending=self._pending,
            counters=self.counters,
        )
        self._task: asyncio.Task[None] | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether actions can be sent now."""
        return self._keeper.up

    @property
    def last_error(self) -> AsteriskError | None:
        """Why the session is not up; None while it is, and before the first failure."""
        return self._keeper.last_error

    @property
    def waiting(self) -> int:
        """Actions that await an answer now."""
        return len(self._pending)

    def listen(self) -> None:
        """Read on now what ``no_hurry`` has left unread."""
        if self._keeper.link is not None:
            self._keeper.link.listen()

    async def caught_up(self) -> None:
        """Wait until all is handed on that was read up to now."""
        for _ in range(_MAX_TURNS):
            if self._keeper.link is None or not self._keeper.link.unhanded:
                return
            await asyncio.sleep(0)

    @property
    def version(self) -> str | None:
        """Version of the manager interface (not of Asterisk), while there is a connection."""
        return None if self._keeper.link is None else self._keeper.link.version

    async def start(self) -> None:
        """Begin to connect, and go on for ever. Returns at once; ``wait_up`` waits for the first success."""
        if self._task is not None:
            raise MisuseError(f"{self._where}: the session was started already")
        self._task = asyncio.create_task(self._keeper.run(), name=f"ami-{self.name}")
        self._task.add_done_callback(_report_end)

    async def close(self) -> None:
        """Log off and stop, also amid connecting or a pause. Pending actions fail. Doing it twice does no harm."""
        task, self._task = self._task, None
        if task is None:
            return
        if self.up and self._keeper.link is not None:
            self._keeper.link.write(encode("Logoff", ()))
        task.cancel()
        await asyncio.wait([task])

    async def wait_up(self, timeout_s: float) -> None:
        """Wait until the session is up. After ``timeout_s`` raises what went wrong last, or AmiDisconnectedError."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._keeper.came_up.wait()
        except TimeoutError:
            waited = AmiDisconnectedError(f"{self._where}: not connected within {timeout_s:g} s")
            raise (self.last_error or waited) from None

    def drop(self, reason: str) -> None:
        """Give the connection up and make a new one: for who has lost track of events and needs a fresh start."""
        if self._keeper.link is not None:
            self._keeper.link.abort(reason)

    # -- actions --------------------------------------------------------------------------------------------------

    def send(self, action: str, fields: Fields = (), *, timeout_s: float | None = None) -> asyncio.Future[Message]:
        """Send an action that one response completes; the future resolves to it, be it ``Success`` or ``Error``.

        It fails with AmiDisconnectedError (at once while down), AmiTimeoutError or AmiBusyError; nobody needs to
        await it. Raises MisuseError at once for what cannot be sent.
        """
        return self.send_many(((action, fields),), timeout_s=timeout_s)[0]

    def send_many(
        self, batch: Sequence[tuple[str, Fields]], *, timeout_s: float | None = None
    ) -> list[asyncio.Future[Message]]:
        """Send actions in one write, to be done in this order without a wait between them (Setvar, then Redirect).

        One future each, as ``send`` gives. When one raises MisuseError, none is sent.
        """
        limit_s = self._timings.action_timeout_s if timeout_s is None else timeout_s
        prepared = [(action, *self._prepare(action, fields)) for action, fields in batch]
        excuse = self._excuse(len(batch))
        if excuse is not None:
            return [self._failed(excuse) for _ in batch]
        futures = [
            self._pending.expect_message(action_id, action, timeout_s=limit_s) for action, action_id, _ in prepared
        ]
        self._write(b"".join(wire for _, _, wire in prepared))
        return futures

    async def action(self, action: str, fields: Fields = (), *, timeout_s: float | None = None) -> Message:
        """Send an action and return its response. Raises AsteriskError when that is no success, and as ``send``."""
        response = await self.send(action, fields, timeout_s=timeout_s)
        if response["Response"] not in ("Success", "Follows", "Goodbye"):
            raise refusal(action, response, self._where)
        return response

    async def list_action(self, action: str, fields: Fields = (), *, timeout_s: float = 10.0) -> list[Message]:
        """Send an action that lists, and return the items (neither the response nor the closing event).

        The items pass neither ``on_event`` nor ``wanted``. Raises AsteriskError when Asterisk refuses or the action
        does not list, and as ``send``; ``timeout_s`` is for the whole list.
        """
        action_id, wire = self._prepare(action, fields)
        self._raise_excuse()
        items = self._pending.expect_list(action_id, action, timeout_s=timeout_s)
        self._write(wire)
        return await items

    async def originate(self, fields: Fields, *, timeout_s: float = 60.0) -> Message:
        """Originate with ``Async: true`` and return the OriginateResponse: see its ``Response`` and ``Reason``.

        ``timeout_s`` must exceed the call's own Timeout header (in ms). Raises AsteriskError when Asterisk does not
        even queue it, and as ``send``. The event goes to ``on_event`` as well, if wanted. Needs events of class call.
        """
        if not self._keeper.account.sees("call"):
            raise MisuseError(f"{self._where}: no OriginateResponse comes here; log in with events of class call")
        rest = [header for header in fields if header[0].lower() != "async"]
        action_id, wire = self._prepare("Originate", [("Async", "true"), *rest])
        self._raise_excuse()
        answer = self._pending.expect_message(
            action_id, "Originate", timeout_s=timeout_s, completion=Completion.ORIGINATE
        )
        self._write(wire)
        return await answer

    # -- inside ---------------------------------------------------------------------------------------------------

    def _prepare(self, action: str, fields: Fields) -> tuple[str, bytes]:
        action_id = self._pending.new_id()
        return action_id, encode(action, (("ActionID", action_id), *fields))

    def _write(self, wire: bytes) -> None:
        assert self._keeper.link is not None
        self._keeper.link.write(wire)

    def _excuse(self, count: int) -> AsteriskError | None:
        """Why ``count`` more actions cannot be sent now, or None."""
        excuse: AsteriskError
        link = self._keeper.link
        if link is None or not self.up:
            why = f" ({self.last_error})" if self.last_error is not None else ""
            excuse = AmiDisconnectedError(f"{self._where}: not connected; the action was not sent{why}")
        elif link.unsent_bytes() > MAX_UNSENT_BYTES:
            excuse = AmiBusyError(f"{self._where}: is not reading ({link.unsent_bytes()} bytes wait); not sent")
        elif len(self._pending) + count > MAX_PENDING:
            excuse = AmiBusyError(f"{self._where}: is not answering ({len(self._pending)} actions wait); not sent")
        else:
            return None
        self.counters.refused += count
        return excuse

    def _raise_excuse(self) -> None:
        excuse = self._excuse(1)
        if excuse is not None:
            raise excuse

    def _failed(self, error: AsteriskError) -> asyncio.Future[Message]:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        future.set_exception(error)
        future.exception()  # seen: a future nobody awaits must not be reported as forgotten
        return future


def _report_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("manager session %s ended by itself", task.get_name(), exc_info=task.exception())
