"""The HTTP application over the ports: what people and programs see of the floor and may ask of it.

``make_app(floor, records, version=...)`` gives the application, ``ApiServer(app, socket_path)`` serves it. Nothing
here decides anything about calls; nothing here knows Asterisk or the database.
"""

from __future__ import annotations

from acd.api.app import make_app
from acd.api.port import BadFloorError, ServicePort
from acd.api.server import ApiServer

__all__ = ["ApiServer", "BadFloorError", "ServicePort", "make_app"]
