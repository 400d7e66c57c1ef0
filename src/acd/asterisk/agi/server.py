"""The FastAGI server: takes connections in, limits them, finds the handler of a path, and survives all the rest.

No call logic. panoramisk's Application contributes routes; its way of reading (spins at EOF, no time limit, no size
limit) and its Request are replaced. Whatever a connection brings, the loop is never blocked, the worst that happens to
a call is that its AGI session ends and the dialplan goes on.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable

from panoramisk.fast_agi import Application

from acd.asterisk.agi.assignments import ArrayTrust
from acd.asterisk.agi.counters import AgiCounters
from acd.asterisk.agi.request import AgiClosedError, AgiRequest, close_writer
from acd.asterisk.ami.quietlog import QuietLog
from acd.domain.errors import MisuseError

Handler = Callable[[AgiRequest], Awaitable[None] | None]

MAX_LINE_BYTES = 8 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 100
_FIRST = frozenset({"agi_network", "agi_network_script", "agi_request", "agi_channel", "agi_uniqueid"})
"""What Asterisk says before anything that a caller can write."""

log = logging.getLogger(__name__)


class _NotAgiError(Exception):
    """The peer does not speak AGI. ``str()`` says what was wrong."""


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
        self._sessions: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def sessions(self) -> int:
        """Connections open now."""
        return len(self._sessions)

    def add_route(self, path: str, endpoint: Handler) -> None:
        """Send sessions on ``path`` (no query, slashes at the ends do not matter) to ``endpoint``.

        It may be a coroutine function or a plain one. Raises MisuseError when it is not callable or the path is taken.
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
        self._server = await asyncio.start_server(self._accept, host, port, limit=MAX_LINE_BYTES, backlog=1024)
        address = self._server.sockets[0].getsockname()
        return int(address[1])

    async def close(self, grace_s: float = 2.0) -> None:
        """Stop listening, give running sessions ``grace_s`` to finish, cancel the rest. Twice does no harm."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=grace_s)
        for session in self._sessions:
            session.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions)

    async def handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first byte to its last. Raises nothing but CancelledError."""
        remote = _host(writer)
        try:
            async with asyncio.timeout(self._header_timeout_s):
                variables = await _read_header(reader)
            await self._serve(variables, reader, writer, remote)
        except TimeoutError:
            self.counters.header_timeouts += 1
            self._say("header timeout", remote, "sent no whole AGI header within %g s", self._header_timeout_s)
        except _NotAgiError as error:
            self.counters.malformed += 1
            self._say("malformed", remote, "does not speak AGI: %s", error)
        except (asyncio.IncompleteReadError, OSError):
            self.counters.probes += 1
            text = "FastAGI: %s closed the connection before a whole AGI header (a port probe?)"
            self._quiet.say(logging.INFO, f"probe {remote}", text, remote)
        except Exception as error:
            self.counters.handler_errors += 1
            self._quiet.say(logging.ERROR, "bug", "FastAGI session of %s failed: %s", remote, error, exc=error)
        finally:
            close_writer(writer)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counters.connections += 1
        if self._server is None or len(self._sessions) >= self._max_connections:
            self.counters.refused += 1
            self._say("refused", _host(writer), "turned away: %d connections are open", len(self._sessions))
            writer.transport.abort()
            return
        session = asyncio.create_task(self.handler(reader, writer), name="agi-session")
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)

    async def _serve(
        self,
        variables: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        remote: str,
    ) -> None:
        request = AgiRequest(
            variables,
            reader,
            writer,
            remote=remote,
            command_timeout_s=self._command_timeout_s,
            counters=self.counters,
            trust=self._trust,
        )
        endpoint = self._route.get(request.path)
        if endpoint is None:
            self.counters.unknown_paths += 1
            self._say("unknown path", remote, "asks for %r, which has no handler", request.path[:100])
            return
        self.counters.sessions += 1
        pump = asyncio.create_task(request.pump(), name="agi-pump")
        try:
            await self._handle(endpoint, request)
        finally:
            pump.cancel()
            request.abort()
            await asyncio.wait([pump])

    async def _handle(self, endpoint: Handler, request: AgiRequest) -> None:
        """Run the handler within its time; whatever it raises ends this session and nothing else."""
        path, channel = request.path[:100], request.channel[:100]
        try:
            async with asyncio.timeout(self._handler_timeout_s) as scope:
                result = endpoint(request)
                if inspect.isawaitable(result):
                    await result
        except AgiClosedError:
            self.counters.ended_early += 1
            log.debug("AGI session %r of %r was ended by Asterisk", path, channel)
        except Exception as error:
            if isinstance(error, TimeoutError) and scope.expired():
                self.counters.handler_timeouts += 1
                text = "AGI handler %r of %r took over %g s; its session is closed, the dialplan goes on"
                self._quiet.say(logging.ERROR, f"timeout {path}", text, path, channel, self._handler_timeout_s)
                return
            self.counters.handler_errors += 1
            text = "AGI handler %r of %r failed; its session is closed, the dialplan goes on: %s"
            kind = f"handler {path} {type(error).__name__}"
            self._quiet.say(logging.ERROR, kind, text, path, channel, error, exc=error)

    def _say(self, kind: str, remote: str, text: str, *args: object) -> None:
        self._quiet.say(logging.WARNING, f"{kind} {remote}", "FastAGI: %s " + text, remote, *args)


async def _read_header(reader: asyncio.StreamReader) -> dict[str, str]:
    """The ``agi_*`` lines up to the empty one. Raises _NotAgiError, or IncompleteReadError at an early end."""
    variables: dict[str, str] = {}
    total_bytes = 0
    while True:
        try:
            raw = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise _NotAgiError(f"a line of over {MAX_LINE_BYTES} bytes") from None
        total_bytes += len(raw)
        # Text of callers may be in any encoding; it must not cost the call.
        line = raw.decode(errors="replace").rstrip("\r\n")
        if not line and variables:
            return variables
        name, separator, value = line.partition(": ")
        if not separator:
            name, separator, value = line.partition(":")
        if not separator or not name.startswith("agi_"):
            raise _NotAgiError(f"{raw[:40]!r} is no AGI header")
        if len(variables) >= MAX_HEADERS or total_bytes > MAX_HEADER_BYTES:
            raise _NotAgiError(f"over {MAX_HEADERS} lines or {MAX_HEADER_BYTES} bytes of header")
        # A number with a line feed in it writes lines of its own here: behind these, and before all others
        if name not in _FIRST or name not in variables:
            variables[name] = value


def _host(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else "somebody"
