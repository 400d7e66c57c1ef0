"""Where the application is reached: a Unix socket for its owner alone, and loopback TCP for /health and /metrics.

Nobody is asked who he is yet, so the socket's file mode is the only lock: mode 0600 from the moment it exists, in a
directory of mode 0700. Who finds the place taken by a living service is refused; what a dead one left is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import logging
import os
import socket
import stat
from pathlib import Path

from aiohttp import web

from acd.api.app import COUNTS, PROBES
from acd.api.metrics import HttpCounts
from acd.api.replies import error_body, reply
from acd.domain.errors import ConfigurationError

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 256
FIRST_REQUEST_TIMEOUT_S = 30.0
KEEPALIVE_TIMEOUT_S = 75.0
SHUTDOWN_TIMEOUT_S = 5.0
_BACKLOG = 128
_PATH_BYTES_MAX = 107
"""sun_path of unix(7) holds 108 bytes with the zero at its end."""


class _Connection(web.RequestHandler):
    """aiohttp's protocol, with three bounds it lacks: connections at once, silence, and noise in the log."""

    __slots__ = ("_counts", "_server", "_silence")

    def __init__(self, server: web.Server, counts: HttpCounts, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            access_log=None,  # type: ignore[arg-type]
            auto_decompress=False,
        )
        self._server, self._counts = server, counts
        self._silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._server.connections) > CONNECTIONS_MAX:
            self._turn_away("too_many")
        else:
            loop = asyncio.get_running_loop()
            self._silence = loop.call_later(FIRST_REQUEST_TIMEOUT_S, self._turn_away, "silent")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages:  # a whole request's head has come
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _turn_away(self, why: str) -> None:
        self._counts.turned_away.labels(why).inc()
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser refused: counted and answered as JSON. Port probes must not fill the log."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        self._counts.malformed.inc()
        text = " ".join((message or str(exc) or "not HTTP").split())[:200]
        log.debug("malformed request: %r", text)
        response = reply(error_body("bad_request", f"this is not HTTP: {text}"), status)
        response.force_close()
        return response


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen_unix(path: Path, mode: int) -> socket.socket:
    """A listening socket at ``path``, of ``mode`` from its first moment. The caller holds the lock beside it."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigurationError(f"{path} exists and is not a socket: move it away or choose another socket path")
        if _answers(path):
            raise ConfigurationError(f"another service answers at {path}: stop it or choose another socket path")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), mode)  # Linux gives the file this mode at bind, so it is never wider
        listener.bind(os.fspath(path))
        path.chmod(mode)  # the umask may have narrowed it
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    """Whether somebody listens at the socket (a full backlog is somebody)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return True
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True


class ApiServer:
    """Serves ``app`` (of `make_app`) at ``socket_path``; ``tcp`` is ``(host, port)`` for the probes alone, or None.

    The host must be a loopback address unless ``tcp_public`` says that others may read health and metrics.
    ``start`` raises ConfigurationError if a place cannot be had; then nothing is left open. ``close`` may be called
    at any time, and twice.
    """

    def __init__(
        self,
        app: web.Application,
        socket_path: Path | str,
        mode: int = 0o600,
        tcp: tuple[str, int] | None = None,
        *,
        tcp_public: bool = False,
    ) -> None:
        self._app, self._path, self._mode, self._tcp = app, Path(socket_path), mode, tcp
        self._tcp_public = tcp_public
        self._runners: list[web.AppRunner] = []
        self._servers: list[asyncio.Server] = []
        self._lock: int | None = None
        self._inode: int | None = None
        self.tcp_port: int | None = None
        """The port in use, once started (the configured one may be 0)."""

    async def start(self) -> None:
        """Begin to serve."""
        if self._tcp and not self._tcp_public and not _loopback(self._tcp[0]):
            raise ConfigurationError(
                f"http listens on {self._tcp[0]}: only a loopback address is allowed, because nobody is asked who he is"
            )
        try:
            await self._serve_unix()
            if self._tcp:
                await self._serve_tcp(*self._tcp)
        except OSError as error:
            await self.close()
            raise ConfigurationError(
                f"cannot listen at {error.filename or self._path}: {error.strerror or error}"
            ) from error
        except BaseException:
            await self.close()
            raise

    async def _serve_unix(self) -> None:
        if len(os.fsencode(self._path)) > _PATH_BYTES_MAX:
            raise ConfigurationError(
                f"socket path {self._path} is longer than {_PATH_BYTES_MAX} bytes: choose a shorter one"
            )
        self._make_directory(self._path.parent)
        self._take_lock()
        listener = _listen_unix(self._path, self._mode)
        self._inode = self._path.lstat().st_ino
        factory = await self._factory(self._app)
        self._servers.append(await asyncio.get_running_loop().create_unix_server(factory, sock=listener))

    async def _serve_tcp(self, host: str, port: int) -> None:
        factory = await self._factory(self._app[PROBES])
        try:
            server = await asyncio.get_running_loop().create_server(factory, host, port, backlog=_BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
        self._servers.append(server)
        self.tcp_port = server.sockets[0].getsockname()[1]

    async def _factory(self, app: web.Application) -> _Factory:
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        self._runners.append(runner)
        await runner.setup()
        if runner.server is None:
            raise AssertionError("aiohttp set an application up without a server")
        return _Factory(runner.server, app[COUNTS])

    def _make_directory(self, directory: Path) -> None:
        """Make the socket's directory if missing, 0700 (0750 for a socket of a group).

        One where anybody may rename files is refused.
        """
        directory.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o750 if self._mode & 0o070 else 0o700)
        mode = directory.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigurationError(
                f"{directory} is writable by everybody: `chmod 700` it or choose another socket path"
            )

    def _take_lock(self) -> None:
        """Hold a lock file beside the socket for life, so that two that start at once cannot both win."""
        path = self._path.with_name(self._path.name + ".lock")
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another acd serves at {self._path}: stop it or choose another socket path"
            ) from None

    async def close(self) -> None:
        """Stop accepting, let requests in progress end (at most 5 s), remove the socket."""
        for server in self._servers:
            server.close()
        if self._inode is not None:
            with contextlib.suppress(OSError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            self._inode = None
        for runner in self._runners:
            await runner.cleanup()
        for server in self._servers:
            await server.wait_closed()
        if self._lock is not None:
            os.close(self._lock)  # the file stays: who removed it would let two hold "the" lock
            self._lock = None
        self._servers.clear()
        self._runners.clear()


class _Factory:
    """Makes the protocol of each connection."""

    def __init__(self, server: web.Server, counts: HttpCounts) -> None:
        self._server, self._counts = server, counts

    def __call__(self) -> _Connection:
        return _Connection(self._server, self._counts, asyncio.get_running_loop())
