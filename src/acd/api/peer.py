"""Who asks: the user at the other end of a Unix socket, as the kernel tells it."""

from __future__ import annotations

import os
import socket
import struct

from aiohttp import web

from acd.accounts import user_of
from acd.domain.values import valueclass

_UCRED = struct.Struct("3i")
_SO_PEERGROUPS = 59
"""Of Linux; Python has no name for it."""
_GROUPS_BYTES_MAX = 1024
"""What Python reads of an option at most: 256 groups."""


@valueclass(frozen=True, slots=True)
class Peer:
    """``who`` as the audit log writes it. ``is_owner``: the service's own user, or root; nobody else is, nor is anybody who
    does not come by the Unix socket: ``uid`` is None then. ``groups``: ids of those that the process had when it connected,
    as far as they can be told."""

    who: str
    is_owner: bool
    uid: int | None = None
    groups: frozenset[int] = frozenset()


NOBODY = Peer("unknown", False)


def peer_of(request: web.Request) -> Peer:
    """Who sent a request. Never raises."""
    transport = request.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return NOBODY
    try:
        # uvloop's sockets know no options: one of our own on the same connection does
        with socket.socket(fileno=os.dup(sock.fileno())) as own:
            _, uid, gid = _UCRED.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            groups = frozenset({gid, *_more_groups(own)})
    except (OSError, struct.error):
        return NOBODY
    return Peer(user_of(uid), uid in (0, os.getuid()), uid, groups)


def _more_groups(sock: socket.socket) -> tuple[int, ...]:
    """The supplementary groups at the other end; none where there are too many of them, or the kernel does not tell."""
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES_MAX)
    except OSError:
        return ()
    return struct.unpack(f"{len(found) // 4}I", found)
