"""Who has opted out and is not on the do-not-call list yet: a file in the spill's folder, for while the database is away.

A person says so once. So it is forced to the disk as soon as it is heard, and taken away once the database has it; what is
still there at a start is told to the dialler before anybody is dialled. A line is eight hex digits of checksum, a space,
and JSON: of what a kill tore, or something else spoiled, the good lines are used and the whole file is set aside.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from acd.outbound.words import OptOut
from acd.store.thread import WorkThread

log = logging.getLogger(__name__)

FILE: Final = "optouts.jsonl"
MOST: Final = 100_000
_CLOSE_S: Final = 5.0


class OptOutFile:
    """The file; every method blocks, and raises OSError. Numbers stand in it as they are given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, OptOut] = {}
        self._torn = False

    def read(self) -> tuple[list[OptOut], Path | None]:
        """What earlier lives left, and where a file that is spoiled was set aside."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return [], None
        with open(file, "rb") as opened:
            lines = opened.read().splitlines()
        found = [_decoded(line) for line in lines if line]
        self._kept = {one.attempt: one for one in found if one is not None} | self._kept
        aside: Path | None = None
        if None in found:
            aside = self._path.with_name(f"{self._path.stem}-{secrets.token_hex(4)}.damaged")
            os.link(self._path, aside)
            self._write_all()
        return list(self._kept.values()), aside

    def add(self, one: OptOut) -> None:
        """On the disk when it returns."""
        if len(self._kept) >= MOST:
            raise OSError(f"{self._path} holds {MOST} opt-outs that the database does not have")
        new = not self._path.exists()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(self._path, flags, 0o600), "wb", buffering=0) as opened:
            # What was begun before and failed ends where this begins
            text, self._torn = (b"\n" if self._torn else b"") + _encoded(one), True
            if opened.write(text) != len(text):
                raise OSError(f"{self._path} cannot take an opt-out: the disk is full")
            os.fsync(opened.fileno())
        self._torn = False
        self._kept[one.attempt] = one
        if new:
            _force(self._path.parent)

    def drop(self, attempts: Sequence[str]) -> None:
        """The database has these."""
        if self._kept.keys().isdisjoint(attempts):
            return
        for attempt in attempts:
            self._kept.pop(attempt, None)
        if self._kept:
            self._write_all()
        else:
            self._path.unlink(missing_ok=True)
            self._torn = False
            _force(self._path.parent)

    def _write_all(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        try:
            file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(file, "wb") as opened:
                opened.writelines(_encoded(one) for one in self._kept.values())
                opened.flush()
                os.fsync(opened.fileno())
            fresh.replace(self._path)
        finally:
            fresh.unlink(missing_ok=True)
        self._torn = False
        _force(self._path.parent)


def _force(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _encoded(one: OptOut) -> bytes:
    body = json.dumps(asdict(one), separators=(",", ":")).encode()
    return b"%08x %s\n" % (crc32(body), body)


def _decoded(line: bytes) -> OptOut | None:
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % crc32(body):
        return None
    try:
        found: Mapping[str, Any] = json.loads(body)
        return OptOut(str(found["number"]), str(found["scope"]), str(found["attempt"]), float(found["at_s"]))
    except (ValueError, KeyError, TypeError):
        return None


class OptOuts:
    """The file beside the event loop, in the order in which things are said. ``sealed``: numbers are kept as these hashes
    (None: as they are). ``alarm(kind, detail)``."""

    def __init__(
        self, path: Path, sealed: Callable[[str], str] | None = None, alarm: Callable[[str, str], None] | None = None
    ) -> None:
        self._file, self._sealed, self._alarm = OptOutFile(path), sealed, alarm
        self._thread = WorkThread("acd-opt-outs")
        self._last: asyncio.Future[None] | None = None

    async def read(self) -> list[OptOut]:
        """What earlier lives heard and the database does not have. A file that cannot be read is alarmed about."""
        try:
            found, aside = await self._thread.submit(self._file.read)
        except OSError as error:
            self._say(f"who opted out before the start cannot be read: {error}")
            return []
        if aside is not None:
            self._say(f"some of who opted out before the start cannot be read; what there was is in {aside}")
        return found

    def keep(self, one: OptOut) -> None:
        """Have it on the disk, soon."""
        if self._sealed is not None and one.number.startswith("+"):
            one = replace(one, number=self._sealed(one.number))
        self._do(self._file.add, one)

    def drop(self, attempts: Sequence[str]) -> None:
        """The database has these."""
        self._do(self._file.drop, list(attempts))

    async def close(self) -> None:
        """End, once what was said is on the disk."""
        if self._last is not None:
            await asyncio.wait({self._last}, timeout=_CLOSE_S)
        self._thread.close()

    def _do(self, work: Callable[..., None], *arguments: Any) -> None:
        self._last = self._thread.submit(work, *arguments)
        self._last.add_done_callback(self._done)

    def _done(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._say(f"who opted out cannot be kept beside the database: {error}")

    def _say(self, detail: str) -> None:
        log.error("%s", detail)
        if self._alarm is not None:
            self._alarm("opt_outs", detail)
