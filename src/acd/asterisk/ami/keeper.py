"""Keeps one manager connection alive for ever: connect, log in, watch, and after a loss do it again.

Time and connections only; sending actions is the session's part. Life of a connection: TCP (and TLS) and greeting
within ``connect_timeout_s``; Login; ``FullyBooted``, where the user may see it; up. Then a ping every
``ping_interval_s``; ``silence_limit_s`` without a byte, or a ping unanswered for thrice that while other bytes come,
and it is dropped. After a loss comes a pause: exponential with jitter, long after a refused password.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import field

from acd.asterisk.ami.connector import Connector
from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.encoder import encode
from acd.asterisk.ami.messages import Message
from acd.asterisk.ami.pending import PendingTable, refusal
from acd.asterisk.ami.protocol import AT_ONCE, AT_ONCE_OF_LISTS, AmiProtocol
from acd.asterisk.ami.quietlog import QuietLog
from acd.asterisk.patience import LATE_S
from acd.domain.errors import AmiAuthenticationError, AmiTimeoutError, AsteriskError, MisuseError
from acd.domain.values import valueclass

_IN_USE_PAUSE_S = 1.0
_STABLE_AFTER_S = 10.0
_SECOND_LOOK_S = 0.25
_BOOT_PATIENCE_S = 10.0

log = logging.getLogger(__name__)


@valueclass(frozen=True, slots=True)
class AmiTimings:
    """Seconds, all of them."""

    ping_interval_s: float = 2.0
    silence_limit_s: float = 4.0
    connect_timeout_s: float = 3.0
    action_timeout_s: float = 5.0
    backoff_min_s: float = 0.2
    backoff_max_s: float = 10.0
    auth_pause_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.ping_interval_s < self.silence_limit_s:
            raise MisuseError(
                f"ping_interval_s ({self.ping_interval_s:g}) must be over 0 and under silence_limit_s "
                f"({self.silence_limit_s:g}), or a quiet Asterisk would seem dead"
            )
        if not 0 < self.backoff_min_s <= self.backoff_max_s:
            raise MisuseError("backoff_min_s must be over 0 and not over backoff_max_s")


@valueclass(frozen=True, slots=True)
class AmiAccount:
    """Where to log in, and as whom. ``events`` is the Login header: ``on``, ``off``, or classes (``call,system``)."""

    name: str
    host: str
    port: int
    username: str
    secret: str = field(repr=False)
    events: str = "on"
    tls: ssl.SSLContext | None = None

    @property
    def where(self) -> str:
        return f"Asterisk {self.name} ({self.host}:{self.port})"

    def sees(self, event_class: str) -> bool:
        """Whether the Login header asks for that class of events; the user's read= may still forbid it."""
        return bool({part.strip().lower() for part in self.events.split(",")} & {"on", "all", event_class})


@valueclass(frozen=True, slots=True)
class AmiHandlers:
    """Whom to tell; see AmiSession."""

    on_event: Callable[[Message], None]
    on_up: Callable[[Message], Awaitable[None] | None]
    on_down: Callable[[str], None]
    wanted: frozenset[str] | None
    no_hurry: Callable[[], bool]


class _LoginInUseError(AsteriskError):
    """Another session holds this user, and manager.conf allows one (allowmultiplelogin=no)."""


class ConnectionKeeper:
    """See the module. ``run`` is its one task; ``link`` is the connection to write to while ``up``."""

    def __init__(
        self,
        account: AmiAccount,
        handlers: AmiHandlers,
        *,
        timings: AmiTimings,
        rng: random.Random,
        pending: PendingTable,
        counters: AmiCounters,
    ) -> None:
        self.account = account
        self.link: AmiProtocol | None = None
        self.last_error: AsteriskError | None = None
        self.came_up = asyncio.Event()
        self._handlers = handlers
        self._timings = timings
        self._rng = rng
        self._pending = pending
        self._counters = counters
        self._quiet = QuietLog(log)
        self._loop = asyncio.get_running_loop()
        self._connector = Connector(host=account.host, port=account.port, tls=account.tls)
        self._wire_wanted = None if handlers.wanted is None else handlers.wanted | {"FullyBooted"}
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._up_task: asyncio.Future[None] | None = None
        self._up_since = 0.0
        self._failures = 0
        self._ever_up = False

    @property
    def up(self) -> bool:
        return self.came_up.is_set()

    async def run(self) -> None:
        """For ever, until cancelled; whatever goes wrong only leads to the next attempt."""
        while True:
            try:
                await self._one_connection()
                pause_s = self._backoff_s()
            except AmiAuthenticationError as error:
                self._counters.auth_failures += 1
                pause_s = self._timings.auth_pause_s
                self.last_error = error
                log.error("%s; next attempt in %g s", error, pause_s)
            except _LoginInUseError as error:
                pause_s = _IN_USE_PAUSE_S
                self._failed("in use", error)
            except AsteriskError as error:
                self._failed("connect", error)
                pause_s = self._backoff_s()
            except Exception as error:
                self.last_error = AsteriskError(f"{self.account.where}: {error}")
                self._quiet.say(logging.ERROR, "bug", "%s: unexpected failure", self.account.where, exc=error)
                pause_s = self._backoff_s()
            await asyncio.sleep(pause_s)

    # -- one connection -------------------------------------------------------------------------------------------

    async def _one_connection(self) -> None:
        """Returns when a connection that was logged in is lost; raises AsteriskError when it did not get so far."""
        self._counters.attempts += 1
        self._lost = self._loop.create_future()
        link = self.link = AmiProtocol(
            on_event=self._event,
            on_response=self._pending.response,
            on_lost=self._link_lost,
            counters=self._counters,
            quiet=self._quiet,
            wanted=self._wire_wanted,
            claimed=self._pending.claimed,
            no_hurry=self._no_hurry,
            at_once=AT_ONCE_OF_LISTS if self._handlers.wanted == frozenset() else AT_ONCE,
        )
        try:
            await self._connect(link)
            response = await self._log_in(link)
            self._watch(link)
            if not self.account.sees("system") and not link.closed:
                self._is_up(response)
            reason = await self._lost
        finally:
            link.close()
            self.link = None
        self._failed("lost", AsteriskError(f"{self.account.where}: {reason}"))

    async def _connect(self, link: AmiProtocol) -> None:
        where, limit_s = self.account.where, self._timings.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._connector.open(lambda: link)
                await link.banner
        except TimeoutError:
            raise AsteriskError(f"{where}: no greeting of a manager interface within {limit_s:g} s") from None
        except OSError as error:
            raise AsteriskError(f"{where}: cannot connect: {error}") from error
        except AsteriskError as error:
            raise AsteriskError(f"{where}: {error}") from error

    async def _log_in(self, link: AmiProtocol) -> Message:
        account, action_id = self.account, self._pending.new_id()
        fields = (
            ("ActionID", action_id),
            ("Username", account.username),
            ("Secret", account.secret),
            ("Events", account.events),
        )
        wire = encode("Login", fields)
        answer = self._pending.expect_message(action_id, "Login", timeout_s=self._timings.action_timeout_s)
        link.write(wire)
        response = await answer
        if response["Response"] == "Success":
            return response
        text = response.get("Message", "")
        if text == "Authentication failed":
            raise AmiAuthenticationError(
                f"{account.where}: manager user {account.username!r} was refused: wrong name or secret, or its "
                "permit/deny list excludes this machine; compare manager.conf with the configured secret"
            )
        if text == "Login Already In Use":
            raise _LoginInUseError(
                f"{account.where}: manager user {account.username!r} is logged in elsewhere and allowmultiplelogin=no: "
                "another controller is running, or Asterisk has not yet noticed that one is gone"
            )
        raise refusal("Login", response, account.where)

    def _no_hurry(self) -> bool:
        """Whether what comes may wait a moment: nobody awaits an answer, and whoever the events are for has said so."""
        return self.up and not self._pending and self._handlers.no_hurry()

    def _event(self, name: str, message: Message) -> None:
        if self._pending.event(name, message):
            return
        if name == "FullyBooted" and not self.up and self.account.sees("system"):
            self._is_up(message)
        if self._handlers.wanted is None or name in self._handlers.wanted:
            self._handlers.on_event(message)

    def _is_up(self, message: Message) -> None:
        self.came_up.set()
        self.last_error = None
        if (boot := self._timers.pop("boot", None)) is not None:
            boot.cancel()
        self._up_since = self._loop.time()
        self._counters.reconnects += self._ever_up
        self._ever_up = True
        version = "?" if self.link is None else self.link.version
        # A session without events is one of seconds, made again and again
        level = logging.DEBUG if self.account.events == "off" else logging.INFO
        log.log(level, "%s: up as %s (manager interface %s)", self.account.where, self.account.username, version)
        try:
            awaitable = self._handlers.on_up(message)
            if awaitable is not None:
                self._up_task = asyncio.ensure_future(awaitable)
                self._up_task.add_done_callback(self._up_task_done)
        except Exception as error:
            self._handler_failed("on_up", error)

    def _link_lost(self, reason: str) -> None:
        """Called once a connection, at the moment it is gone: whoever waits must learn it now, not a turn later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._pending.fail_all(reason)
        if not self._lost.done():
            self._lost.set_result(reason)
        if not self.up:
            return
        self.came_up.clear()
        if self._loop.time() - self._up_since >= _STABLE_AFTER_S:
            self._failures = 0
        if self._up_task is not None:
            self._up_task.cancel()
        try:
            self._handlers.on_down(reason)
        except Exception as error:
            self._handler_failed("on_down", error)

    # -- watch-dog ------------------------------------------------------------------------------------------------

    def _watch(self, link: AmiProtocol) -> None:
        if link.closed:
            return
        self._arm("ping", self._timings.ping_interval_s, lambda: self._ping(link))
        self._arm_silence(link, self._timings.silence_limit_s)
        if self.account.sees("system") and not self.up:
            self._arm("boot", _BOOT_PATIENCE_S, self._still_booting)

    def _arm(self, name: str, delay_s: float, callback: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(delay_s, callback)

    def _ping(self, link: AmiProtocol) -> None:
        self._arm("ping", self._timings.ping_interval_s, lambda: self._ping(link))
        action_id = self._pending.new_id()
        pong = self._pending.expect_message(action_id, "Ping", timeout_s=3 * self._timings.silence_limit_s)
        pong.add_done_callback(lambda done: self._ponged(link, done))
        link.write(encode("Ping", (("ActionID", action_id),)))

    def _ponged(self, link: AmiProtocol, pong: asyncio.Future[Message]) -> None:
        """Bytes come, yet no answer to what we say: our half of the connection is dead, or Asterisk's thread is."""
        if not pong.cancelled() and isinstance(pong.exception(), AmiTimeoutError):
            link.abort(f"no answer to a ping within {3 * self._timings.silence_limit_s:g} s")

    def _arm_silence(self, link: AmiProtocol, delay_s: float, *, second: bool = False) -> None:
        due_at = self._loop.time() + delay_s
        self._arm("silence", delay_s, lambda: self._check_silence(link, due_at, second=second))

    def _check_silence(self, link: AmiProtocol, due_at: float, *, second: bool = False) -> None:
        now, limit_s = self._loop.time(), self._timings.silence_limit_s
        remaining_s = link.last_bytes_at + limit_s - now
        if remaining_s > 0:
            self._arm_silence(link, remaining_s)
        elif not second or now - due_at > LATE_S:
            # It may be us who stood still. Some event loops run timers before they read: let them read first.
            self._arm_silence(link, _SECOND_LOOK_S, second=True)
        else:
            link.abort(f"nothing came for {now - link.last_bytes_at:.1f} s, not even answers to pings")

    def _still_booting(self) -> None:
        self._arm("boot", _BOOT_PATIENCE_S, self._still_booting)
        text = (
            f"{self.account.where}: logged in, but FullyBooted does not come: Asterisk is still starting, or manager "
            f"user {self.account.username!r} lacks read=system, or an eventfilter hides FullyBooted"
        )
        self.last_error = AsteriskError(text)
        self._quiet.say(logging.WARNING, "boot", "%s", text)

    # -- odds and ends --------------------------------------------------------------------------------------------

    def _backoff_s(self) -> float:
        ceiling_s = min(self._timings.backoff_max_s, self._timings.backoff_min_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return ceiling_s * self._rng.uniform(0.5, 1.0)

    def _failed(self, kind: str, error: AsteriskError) -> None:
        self.last_error = error
        self._quiet.say(logging.WARNING, kind, "%s", error)

    def _up_task_done(self, task: asyncio.Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._handler_failed("on_up", error)

    def _handler_failed(self, which: str, error: BaseException) -> None:
        self._counters.handler_errors += 1
        kind = f"{which} {type(error).__name__}"
        self._quiet.say(logging.ERROR, kind, "%s: %s failed: %s", self.account.where, which, error, exc=error)
