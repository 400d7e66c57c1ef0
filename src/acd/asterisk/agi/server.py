"""The FastAGI server: takes connections in, limits them, finds the handler of a path, and survives all the rest.

No call logic. panoramisk's Application contributes routes; its way of reading (spins at EOF, no time limit, no size
limit) and its Request are replaced. Whatever a connection brings, the loop is never blocked, the worst that happens to
a call is that its AGI session ends and the dialplan goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from panoramisk.fast_agi import Application

from acd.asterisk.agi.assignments import ArrayTrust
from acd.asterisk.agi.counters import AgiCounters
from acd.asterisk.agi.link import AgiLink
from acd.asterisk.agi.request import AgiClosedError, AgiRequest, Ending
from acd.asterisk.ami.quietlog import QuietLog
from acd.asterisk.patience import Patience
from acd.domain.errors import MisuseError

Handler = Callable[[AgiRequest], Awaitable[Ending | None] | Ending | None]

log = logging.getLogger(__name__)


class FastAgiServer(Application):  # type: ignore[misc]  # panoramisk has no types
    """Make it inside a running event loop, ``add_route``, ``start``, ``close``.

    Limits: ``max_connections`` at once (more are closed at once), ``header_timeout_s`` for the whole AGI header,
    ``command_timeout_s`` for each reply unless the command says otherwise, ``handler_timeout_s`` for a whole session.
    """

    def __init__(
        self,
        *,
        max_connections: int = 512,
        header_timeout_s: float = 2.0,
        command_timeout_s: float = 5.0,
        handler_timeout_s: float = 30.0,
    ) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.counters = AgiCounters()
        self._max_connections = max_connections
        self._header_timeout_s = header_timeout_s
        self._command_timeout_s = command_timeout_s
        self._handler_timeout_s = handler_timeout_s
        self._quiet = QuietLog(log)
        self._trust = ArrayTrust()
        self._links: dict[AgiLink, AgiRequest | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_gone = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def sessions(self) -> int:
        """Connections open now."""
        return len(self._links)

    def add_route(self, path: str, endpoint: Handler) -> None:
        """Send sessions on ``path`` (no query, slashes at the ends do not matter) to ``endpoint``.

        It may be a coroutine function or a plain one; the session ends with it, unless it returns
        ``Ending.LATER``. Raises MisuseError when it is not callable or the path is taken.
        """
        key = path.strip("/")
        if not callable(endpoint) or "?" in key:
            raise MisuseError(f"AGI route {path!r}: a path without a query and something callable are needed")
        if key in self._route:
            raise MisuseError(f"AGI route {path!r} exists already")
        self._route[key] = endpoint

    def del_route(self, path: str) -> None:
        """Forget a route. Raises MisuseError when there is none."""
        if self._route.pop(path.strip("/"), None) is None:
            raise MisuseError(f"there is no AGI route {path!r}")

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses when ``port`` is 0. Raises OSError."""
        if self._server is not None:
            raise MisuseError("the FastAGI server was started already")
        self._server = await asyncio.get_running_loop().create_server(
            lambda: AgiLink(self, self._header_timeout_s), host, port, backlog=1024
        )
        address = self._server.sockets[0].getsockname()
        return int(address[1])

    async def close(self, grace_s: float = 2.0) -> None:
        """Stop listening, give running sessions ``grace_s`` to finish, cancel the rest. Twice does no harm."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        if self._links:
            self._all_gone.clear()
            try:
                await asyncio.wait_for(self._all_gone.wait(), grace_s)
            except TimeoutError:
                for link, request in list(self._links.items()):
                    if request is not None:
                        request.abort()
                    link.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task that ends with the server at the latest; what it raises is logged and counted."""
        task = asyncio.get_running_loop().create_task(work, name="agi-session")
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    # -- what the links tell --------------------------------------------------------------------------------------

    def opened(self, link: AgiLink) -> bool:
        self.counters.connections += 1
        if self._server is None or len(self._links) >= self._max_connections:
            self.counters.refused += 1
            self._say("refused", link.remote, "turned away: %d connections are open", len(self._links))
            return False
        self._links[link] = None
        return True

    def late(self, link: AgiLink) -> None:
        self.counters.header_timeouts += 1
        self._say("header timeout", link.remote, "sent no whole AGI header within %g s", self._header_timeout_s)
        self._drop(link)

    def refused(self, link: AgiLink, reason: str) -> None:
        self.counters.malformed += 1
        self._say("malformed", link.remote, "does not speak AGI: %s", reason)
        self._drop(link)

    def gone(self, link: AgiLink) -> None:
        if link in self._links and not link.asked:
            self.counters.probes += 1
            text = "FastAGI: %s closed the connection before a whole AGI header (a port probe?)"
            self._quiet.say(logging.INFO, f"probe {link.remote}", text, link.remote)
        request = self._links.get(link)
        self._drop(link)
        if request is not None:
            request.ended()

    def asked(self, link: AgiLink, variables: dict[str, str]) -> None:
        request = AgiRequest(
            variables,
            link,
            command_timeout_s=self._command_timeout_s,
            counters=self.counters,
            trust=self._trust,
            spawn=self.spawn,
        )
        endpoint = self._route.get(request.path)
        if endpoint is None:
            self.counters.unknown_paths += 1
            self._say("unknown path", link.remote, "asks for %r, which has no handler", request.path[:100])
            link.close()
            return
        self.counters.sessions += 1
        self._links[link] = request
        try:
            result = endpoint(request)
        except Exception as error:
            self._handler_failed(request, error)
            request.abort()
            return
        if result is None:
            request.abort()
        elif result is not Ending.LATER:
            self.spawn(self._handle(result, request))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _drop(self, link: AgiLink) -> None:
        self._links.pop(link, None)
        if not self._links:
            self._all_gone.set()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.counters.handler_errors += 1
            self._quiet.say(logging.ERROR, "bug", "a FastAGI session failed: %s", error, exc=error)

    async def _handle(self, result: Awaitable[Ending | None], request: AgiRequest) -> None:
        """Run the handler within its time; whatever it raises ends this session and nothing else."""
        path, channel = request.path[:100], request.channel[:100]
        ending: Ending | None = None
        loop = asyncio.get_running_loop()
        scope = asyncio.timeout(None)
        patience = Patience(self._handler_timeout_s, lambda: scope.reschedule(loop.time()))
        try:
            async with scope:
                try:
                    ending = await result
                finally:
                    patience.cancel()
        except AgiClosedError:
            self.counters.ended_early += 1
            log.debug("AGI session %r of %r was ended by Asterisk", path, channel)
        except Exception as error:
            if isinstance(error, TimeoutError) and scope.expired():
                self.counters.handler_timeouts += 1
                text = "AGI handler %r of %r took over %g s; its session is closed, the dialplan goes on"
                self._quiet.say(logging.ERROR, f"timeout {path}", text, path, channel, self._handler_timeout_s)
                return
            self._handler_failed(request, error)
        finally:
            if ending is not Ending.LATER:
                request.abort()

    def _handler_failed(self, request: AgiRequest, error: Exception) -> None:
        if isinstance(error, AgiClosedError):
            self.counters.ended_early += 1
            return
        self.counters.handler_errors += 1
        path, channel = request.path[:100], request.channel[:100]
        text = "AGI handler %r of %r failed; its session is closed, the dialplan goes on: %s"
        kind = f"handler {path} {type(error).__name__}"
        self._quiet.say(logging.ERROR, kind, text, path, channel, error, exc=error)

    def _say(self, kind: str, remote: str, text: str, *args: object) -> None:
        self._quiet.say(logging.WARNING, f"{kind} {remote}", "FastAGI: %s " + text, remote, *args)
