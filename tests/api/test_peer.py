"""Who is at the other end of a Unix socket, as the kernel tells it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from acd.accounts import user_of
from acd.api.peer import NOBODY, Peer, peer_of

CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as here:
    here.connect(sys.argv[1])
    here.recv(1)
"""


def seen(sock: Any) -> Peer:
    transport = SimpleNamespace(get_extra_info=lambda name: sock)
    return peer_of(SimpleNamespace(transport=transport))  # type: ignore[arg-type]


def test_a_process_is_known_by_its_user_and_all_its_groups(tmp_path: Path) -> None:
    """Root may give it groups that no account has; whoever else runs this sees his own."""
    more = [4_200_001, 4_200_002] if os.geteuid() == 0 else None
    expected = {os.getegid(), *(os.getgroups() if more is None else more)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.settimeout(30)
        with subprocess.Popen([sys.executable, "-c", CONNECT, str(tmp_path / "s")], extra_groups=more) as process:
            connection, _ = listener.accept()
            with connection:
                found = seen(connection)
        assert process.returncode == 0
    assert found == Peer(user_of(os.getuid()), True, os.getuid(), frozenset(expected))


def test_who_does_not_come_by_a_unix_socket_is_nobody() -> None:
    with socket.socket(socket.AF_INET) as other:
        assert seen(other) == NOBODY
    assert seen(None) == NOBODY
    assert NOBODY.groups == frozenset()
