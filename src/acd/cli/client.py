"""A small HTTP client over the service's Unix socket, on the standard library because it starts quickly.

It turns the service's errors back into ours. Only ``NotRunningError`` and AcdErrors leave it.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from acd.cli.context import NotRunningError, Options
from acd.cli.socketpath import socket_path
from acd.domain.errors import AcdError, RefusedError, UnknownNameError

TIMEOUT_S = 40.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
MASK_HEADER = "Acd-Mask-Numbers"
"""By which the service is asked to mask callers' numbers, also from who may see them."""


class ServiceError(AcdError):
    """The service answered with an error that is not about a name or a state."""


class FloorFileError(ServiceError):
    """The service cannot use its floor.yaml. ``problems`` is ``[{"file", "line", "column", "severity", "message"}]``,
    some with an ``"excerpt"``."""

    def __init__(self, message: str, problems: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.problems = problems


class ServiceUnknownNameError(UnknownNameError):
    """The service's own words about an unknown name."""

    def __init__(self, message: str, nearest: str | None) -> None:
        AcdError.__init__(self, message)
        self.kind, self.name, self.nearest = "", "", nearest


class _UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over AF_UNIX."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("acd", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(os.fspath(self._path))
        except BaseException:
            self.sock.close()
            raise


def segment(name: str) -> str:
    """``name`` as one segment of a path, whatever it contains."""
    return quote(name, safe="", errors="replace")


class Client:
    """Requests to the service at ``path``; one connection, reopened when it was lost. Use it in ``with``. ``mask``: callers'
    numbers are wanted masked."""

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S, mask: bool = False) -> None:
        self._path = path
        self._always = {MASK_HEADER: "1"} if mask else {}
        self._connection = _UnixConnection(path, timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str, **query: str | int | float | None) -> dict[str, Any]:
        """The answer's body. ``query`` values of None are left out."""
        given = {key: value for key, value in query.items() if value is not None}
        return self._ask("GET", path + ("?" + urlencode(given, errors="replace") if given else ""))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = self._always | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            raw = response.read(ANSWER_BYTES_MAX + 1)
            if response.length and len(raw) <= ANSWER_BYTES_MAX:
                raise http.client.IncompleteRead(raw, response.length)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._lost(error) from error
        if len(raw) > ANSWER_BYTES_MAX:
            self._connection.close()
            raise ServiceError(f"the answer to {method} {path} is larger than {ANSWER_BYTES_MAX} bytes: ask for less")
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise NotRunningError(f"what answers at {self._path} is not acd: choose another --socket")
        if "error" in answer and response.status >= 400:
            raise self._error(answer["error"])
        return answer

    def _lost(self, error: Exception) -> AcdError:
        """What a failed exchange means to a person."""
        path = self._path
        start = "start it with `acd serve --config acd.toml`, or name its socket with --socket"
        if isinstance(error, FileNotFoundError):
            return NotRunningError(f"acd is not running (no socket at {path}): {start}")
        if isinstance(error, (ConnectionRefusedError, NotADirectoryError)):
            return NotRunningError(f"acd is not running (nobody listens at {path}): {start}")
        if isinstance(error, PermissionError):
            return NotRunningError(f"{path} may not be opened by this user: ask as the user acd runs as")
        if isinstance(error, TimeoutError):
            return NotRunningError(f"acd did not answer at {path} in time: is its machine overloaded?")
        cut_off = isinstance(error, (http.client.RemoteDisconnected, http.client.IncompleteRead))
        if isinstance(error, http.client.HTTPException) and not cut_off:
            return NotRunningError(
                f"what answers at {path} is not acd ({type(error).__name__}): choose another --socket"
            )
        return NotRunningError(f"acd at {path} closed the connection ({error}): is it stopping?")

    @staticmethod
    def _error(error: Any) -> AcdError:
        """The service's error as one of ours."""
        if not isinstance(error, dict):
            return ServiceError(f"the service answered with an error: {error}")
        message = str(error.get("message"))
        if error.get("kind") == "unknown_name":
            return ServiceUnknownNameError(message, error.get("nearest"))
        if error.get("kind") == "refused":
            return RefusedError(message)
        if error.get("kind") == "bad_floor":
            return FloorFileError(message, [one for one in error.get("problems") or () if isinstance(one, dict)])
        return ServiceError(message)


def connect(given: Options, *, timeout_s: float = TIMEOUT_S) -> Client:
    """A client for the service these options mean."""
    return Client(socket_path(given), timeout_s=timeout_s, mask=given.mask_numbers)
