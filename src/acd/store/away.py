"""Whether a database is away (later it may be there again) or is not what the configuration says it is."""

from __future__ import annotations

import sqlite3

import psycopg

_SQLITE_AWAY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_INTERRUPT")
_STATES_AWAY = ("08", "53", "57", "55P03", "25006")
"""Of PostgreSQL: connection exceptions, no resources, shut down or starting, a lock, a standby that takes no writes."""
_SAID_AWAY = ("starting up", "shutting down", "in recovery", "not yet accepting", "too many", "connection slots")


def is_away(error: BaseException | None) -> bool:
    """Whether what a driver raised (or SQLAlchemy around it) means that the database cannot be reached or cannot write
    now. A wrong user, password, database, file or option does not."""
    found = getattr(error, "orig", None) or error
    if isinstance(found, sqlite3.Error):
        name = getattr(found, "sqlite_errorname", None) or ""
        return name.startswith(_SQLITE_AWAY)
    if isinstance(found, psycopg.Error):
        if found.sqlstate:
            return found.sqlstate.startswith(_STATES_AWAY)
        # While it connects, the driver has no state, only what the server said, if one answered
        said = str(found)
        return isinstance(found, psycopg.OperationalError) and (
            "FATAL" not in said or any(part in said for part in _SAID_AWAY)
        )
    return isinstance(found, OSError)
