"""What is left of a number beside the rows: in the database's own files, in what the spill set aside, in journals."""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from acd.domain.errors import StoreError
from acd.records.mentions import Mention, lines_without
from acd.records.places import TABLES
from acd.store.location import first_line, locate

CHUNK = 4 * 1024 * 1024
RESIDUE_MIN = 6
"""Numbers shorter than this stand in files by chance."""
SET_ASIDE = ("*.damaged", "*refused.jsonl")
"""In the spill's folder: lines that nobody could read or store, kept for a person to look at."""


def clean_database(url: str, numbers: Iterable[str]) -> tuple[bool, bool]:
    """After an erasure: make what was overwritten unreadable as far as the database lets us. Whether it was compacted,
    and whether one of ``numbers`` can still be read from its files (SQLite; a server's files are its own). Raises
    StoreError."""
    location = locate(url)
    engine = location.bulk_engine(write=True)
    try:
        with engine.connect() as connection:
            own = connection.execution_options(isolation_level="AUTOCOMMIT")
            if location.path is None:
                for table in TABLES:
                    own.execute(sa.text(f"VACUUM {table}"))
                return False, False
            raw = own.connection.dbapi_connection
            assert raw is not None
            wanted = [number.encode() for number in numbers if len(number) >= RESIDUE_MIN]
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            if not _holds(location.path, wanted):
                return False, False
            # Old versions of rows, from before deleted bytes were overwritten
            raw.execute("VACUUM").close()
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            return True, _holds(location.path, wanted)
    except SQLAlchemyError as error:
        raise StoreError(f"{location}: {first_line(error)}") from error
    except Exception as error:
        if type(error).__module__ != "sqlite3":
            raise
        raise StoreError(f"{location}: {error}; stop what holds the database, or try again") from error
    finally:
        engine.dispose()


def _holds(database: Path, wanted: list[bytes]) -> bool:
    files = [database, *(database.with_name(database.name + end) for end in ("-wal", "-journal"))]
    return any(_in_file(path, wanted) for path in files if path.exists())


def _in_file(path: Path, wanted: list[bytes]) -> bool:
    if not wanted:
        return False
    longest, tail = max(map(len, wanted)), b""
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            window = tail + data
            if any(one in window for one in wanted):
                return True
            tail = window[-longest:]
    return False


def clean_spill(directory: Path, mention: Mention, *, dry_run: bool) -> int:
    """Take the lines that mention the number out of what the spill set aside; how many there are. Raises StoreError."""
    count = 0
    if not directory.is_dir():
        return 0
    for pattern in SET_ASIDE:
        for path in sorted(directory.glob(pattern)):
            try:
                count += _filtered(path, mention, dry_run=dry_run)
            except OSError as error:
                raise StoreError(f"{path} cannot be cleaned: {error.strerror}") from error
    return count


def set_aside_before(directory: Path, limit: float) -> list[Path]:
    """What the spill set aside and wrote to last before ``limit`` (UTC s)."""
    found = {path for pattern in SET_ASIDE for path in directory.glob(pattern)} if directory.is_dir() else set()
    return sorted(path for path in found if _is_before(path, limit))


def _is_before(path: Path, limit: float) -> bool:
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(seen.st_mode) and seen.st_mtime < limit


def _filtered(path: Path, mention: Mention, *, dry_run: bool) -> int:
    with path.open("rb") as file:
        found = sum(mention.in_bytes(line) for line in file)
    if not found or dry_run:
        return found
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with path.open("rb") as file, open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        new.writelines(lines_without(file, mention))
        new.flush()
        os.fsync(new.fileno())
    fresh.replace(path)
    return found


def clean_journal(directory: Path | None, mention: Mention, *, keep: Path | None, dry_run: bool) -> int:
    """Delete the parts of journals that mention the number, but for ``keep``, which is written to; how many. A part is
    whole or it repeats nothing, so it goes as a whole. Raises StoreError."""
    count = 0
    if directory is None or not directory.is_dir():
        return 0
    for path in sorted(directory.glob("acd-*.jsonl")):
        if keep is not None and path.name == keep.name:
            continue
        try:
            if _part_mentions(path, mention):
                count += 1
                if not dry_run:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be deleted: {error.strerror}") from error
    return count


def _part_mentions(path: Path, mention: Mention) -> bool:
    with path.open("rb") as file:
        head = file.readline()
        return mention.in_bytes(head) or _checkpoint_mentions(head, mention) or any(map(mention.in_bytes, file))


def _checkpoint_mentions(head: bytes, mention: Mention) -> bool:
    """A part begins with the floor's state, packed. What cannot be read counts as a mention."""
    try:
        packed = json.loads(head).get("checkpoint")
        return packed is not None and mention.in_bytes(zlib.decompress(base64.b64decode(packed)))
    except (ValueError, AttributeError, TypeError, zlib.error):
        return True
