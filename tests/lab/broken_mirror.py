"""A Debian mirror on loopback that passes requests on to the machine's own, and misbehaves as told."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from acd.lab.mirrors import Mirror, mirrors, system_sources


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


@contextmanager
def serve_mirror() -> Iterator[BrokenMirror]:
    """A mirror for as long as the block lasts; what it fetches from the real one it fetches once."""
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
    try:
        yield broken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
