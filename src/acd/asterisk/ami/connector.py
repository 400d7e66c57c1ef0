"""panoramisk's Manager reduced to what we use of it: its configuration and its way of connecting.

A stock Manager acts on its own: logs in, pings without listening for the answer, reconnects every two seconds, sends
unanswered actions again. All that starts in its ``connection_made`` or with its protocol, and ends with them here:
``AmiProtocol`` never calls back into the Manager. Deciding when to connect is the keeper's matter.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from panoramisk.manager import Manager

from acd.asterisk.ami.protocol import AmiProtocol
from acd.domain.errors import MisuseError


class Connector(Manager):  # type: ignore[misc]  # panoramisk has no types
    """Opens connections of ``AmiProtocol`` to one address. ``tls`` is an SSLContext, or None for plain TCP."""

    def __init__(self, *, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        if tls is not None and not isinstance(tls, ssl.SSLContext):
            raise MisuseError(f"tls must be an ssl.SSLContext or None, not {tls!r:.40}: text like 'no' would mean yes")
        super().__init__(host=host, port=port, ssl=tls, loop=asyncio.get_running_loop())

    async def open(self, make_protocol: Callable[[], AmiProtocol]) -> None:
        """Connect once, to a protocol that ``make_protocol`` makes. Raises OSError; never tries again."""
        self.config["protocol_factory"] = make_protocol
        await self.connect()

    def connection_made(self, f: asyncio.Future[object]) -> None:
        """Called when connecting has ended in any way; who awaits ``open`` has the outcome, nothing is started."""
        if not f.cancelled():
            f.exception()

    def send_action(self, action: object, as_list: object = None, **kwargs: object) -> object:
        """Closed: panoramisk's futures have no deadline. AmiSession sends."""
        raise MisuseError("Manager.send_action is not available; send through AmiSession")
