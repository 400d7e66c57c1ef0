"""The client against services that are away, strange or slow."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cliservice import Service, serve_in_thread
from fakefloor import FakeFloor, FakeRecords

from acd.cli.client import Client
from acd.cli.context import NotRunningError
from acd.domain.errors import AcdError

Stranger = Callable[[bytes], Path]


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    """A listener that reads a request and says these bytes."""
    closing: list[Callable[[], None]] = []

    def listen(answer: bytes) -> Path:
        path = tmp_path / "strange.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        closing.extend((lambda: thread.join(5), listener.close))
        return path

    yield listen
    for close in closing:
        close()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no socket at"):
        Client(tmp_path / "none.sock").get("/v1/status")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "dead.sock"))
    dead.close()
    with pytest.raises(NotRunningError, match="nobody listens at"):
        Client(tmp_path / "dead.sock").get("/v1/status")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not acd"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "is not acd"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "is not acd"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", "closed the connection"),
        (b"", "closed the connection"),
    ],
)
def test_somebody_else_there(stranger: Stranger, answer: bytes, word: str) -> None:
    with pytest.raises(NotRunningError, match=word):
        Client(stranger(answer)).get("/v1/status")


def test_an_answer_without_end_is_refused(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acd.cli.client.ANSWER_BYTES_MAX", 100)
    path = stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b" " * 5000)
    with pytest.raises(AcdError, match="larger than 100 bytes"):
        Client(path).get("/v1/status")


def test_an_odd_error_is_still_an_error(stranger: Stranger) -> None:
    body = b'{"error": "teapot"}'
    path = stranger(b"HTTP/1.1 418 Teapot\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    with pytest.raises(AcdError, match="teapot"):
        Client(path).get("/v1/status")


def test_silence_has_an_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "slow.sock"))
        listener.listen()
        with pytest.raises(NotRunningError, match="did not answer"):
            Client(tmp_path / "slow.sock", timeout_s=0.1).get("/v1/status")


def test_a_restarted_service_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "acd.sock"
    stop = serve_in_thread(FakeFloor(), FakeRecords(), path)
    with Client(path) as client:
        assert client.get("/v1/status")["version"] == "9.9"
        stop()
        with pytest.raises(NotRunningError):
            client.get("/v1/status")
        stop = serve_in_thread(FakeFloor(), FakeRecords(), path)
        assert client.get("/v1/status")["version"] == "9.9"
        stop()


def test_one_connection_serves_many_requests(service: Service) -> None:
    with Client(service.socket) as client:
        client.get("/v1/status")
        before = client._connection.sock
        client.get("/v1/calls", live=1, queue=None, number="+49 & 1")
        assert client._connection.sock is before
