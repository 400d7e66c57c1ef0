"""Entries of the audit log: made here, and written by commands that work without the service.

An entry says who did what to whom, and never a secret, nor what has just been taken away.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

import sqlalchemy as sa

from acd.accounts import user_of
from acd.domain.records import Audited
from acd.store.beside import writing
from acd.store.tables import audit

SUBJECT_MAX = 200


def entry(
    who: str, action: str, subject: str, detail: dict[str, Any] | None = None, at: float | None = None
) -> Audited:
    """A new entry, of now unless ``at`` (UTC s). Its name sorts by time."""
    moment = time.time() if at is None else at
    name = f"{int(moment * 1000):012x}-{secrets.token_hex(5)}"
    return Audited(name, moment, who[:SUBJECT_MAX], action, subject[:SUBJECT_MAX], detail or {})


def me() -> str:
    """Who runs this program."""
    return user_of(os.getuid())


def insert(connection: sa.Connection, made: Audited) -> None:
    """Write an entry within a transaction."""
    row = {name: getattr(made, name) for name in ("entry", "at", "who", "action", "subject", "detail")}
    connection.execute(sa.insert(audit), row)


def write_now(url: str, made: Audited) -> None:
    """Write an entry straight into the database. Raises SchemaError, StoreError."""
    with writing(url) as connection, connection.begin():
        insert(connection, made)
