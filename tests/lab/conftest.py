"""What tests of the lab share: the machine's cache of parts, an Asterisk program, and a mirror that can be broken."""

from __future__ import annotations

import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from acd.lab.asterisk import AsteriskProgram, LabAsterisk, find_program
from acd.lab.asterisk_files import AsteriskPorts
from acd.lab.debian import PrivateApt
from acd.lab.mirrors import Mirror, mirrors, system_sources
from acd.lab.parts import list_folder


@pytest.fixture(scope="session")
def asterisk_program() -> AsteriskProgram:
    """The lab's own Asterisk, from the machine's cache; installed there by the first run."""
    return find_program()


@pytest.fixture
def lab_asterisk(asterisk_program: AsteriskProgram, tmp_path: Path) -> Iterator[Callable[..., LabAsterisk]]:
    """Makes instances in folders of their own that end with the test."""
    made: list[LabAsterisk] = []

    def make(name: str = "a", **arguments: object) -> LabAsterisk:
        ports = AsteriskPorts.free(low=15_000, high=15_899, rtp_ports=100)
        instance = LabAsterisk(tmp_path / name, asterisk_program, ports, die_with_parent=True, **arguments)  # type: ignore[arg-type]
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.kill()


@dataclass
class Fault:
    """What the broken mirror does to requests whose path ends so: an HTTP status, bytes after which it hangs up, or a
    change of the content."""

    status: int = 0
    cut_after: int | None = None
    change: Callable[[bytes], bytes] = lambda content: content


@dataclass
class BrokenMirror:
    """A Debian mirror on loopback that passes requests on to the machine's own, and misbehaves as told.

    ``requests`` holds (path, Range header or None) of everything asked for.
    """

    mirror: Mirror
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)

    def debs(self) -> list[str | None]:
        """The Range headers of the requests for packages, in order."""
        return [wanted for path, wanted in self.requests if path.endswith(".deb")]


@pytest.fixture(scope="session")
def mirror_server() -> Iterator[BrokenMirror]:
    upstream = mirrors(system_sources())[0]
    fetched: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            broken.requests.append((self.path, self.headers.get("Range")))
            fault = next((fault for end, fault in broken.faults.items() if self.path.endswith(end)), Fault())
            if self.path not in fetched and not fault.status:
                try:
                    with urllib.request.urlopen(upstream.uri + self.path.removeprefix("/debian"), timeout=60) as answer:
                        fetched[self.path] = answer.read()
                except urllib.error.HTTPError as error:
                    fault = Fault(status=error.code)
            if fault.status:
                self.send_error(fault.status)
                return
            content = fault.change(fetched[self.path])
            wanted = self.headers.get("Range")
            start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            end = len(content) if fault.cut_after is None else start + fault.cut_after
            self.wfile.write(content[start:end])
            if end < len(content):
                self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    broken = BrokenMirror(Mirror(f"http://127.0.0.1:{server.server_address[1]}/debian", upstream.keyring))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield broken
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def broken_mirror(mirror_server: BrokenMirror) -> BrokenMirror:
    """The mirror, as good as new."""
    mirror_server.requests.clear()
    mirror_server.faults.clear()
    return mirror_server


@pytest.fixture(scope="session")
def fetched_lists(mirror_server: BrokenMirror, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has fetched the package lists of bookworm from the mirror, and nothing else."""
    cache = tmp_path_factory.mktemp("lists")
    PrivateApt(list_folder(cache, mirror_server.mirror, "bookworm"), cache, mirror_server.mirror, "bookworm").update()
    return cache


@pytest.fixture
def cache(tmp_path: Path, fetched_lists: Path) -> Path:
    """An empty cache but for fresh lists: what is installed must be downloaded, the lists need not be."""
    shutil.copytree(fetched_lists / "apt", tmp_path / "cache" / "apt")
    return tmp_path / "cache"
