"""The spill: batches on disk until the database has them, for a second or as long as it is away. Append-only,
checksummed, bounded, read back in order.

A directory of segments ``spill-00000001.jsonl``, each a run of lines ``crc32 length payload``. The first line of a
segment names the columns, every other holds one batch as JSON. A line that does not match its checksum (half-written
by a crash, damaged by a disk) is moved to ``<segment>.damaged`` and the rest is read. What the database has is cut off
or deleted when that is cheap, and never forced to the disk: batches may be read again, the database knows which it has.

Blocking: every method that touches the disk is meant for a thread, one call at a time.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acd.domain.errors import StoreError
from acd.domain.values import valueclass
from acd.store.operations import BY_NAME, OPERATIONS, Batch, Row

log = logging.getLogger(__name__)

_FORMAT = 1
_FRAME = 18  # "crc32 length " before the payload: 8 + 1 + 8 + 1
_COLUMNS = {operation.name: list(operation.columns) for operation in OPERATIONS}

_SEGMENT_MAX_BYTES = 4 * 1024 * 1024
DEFAULT_LIMIT_BYTES = 64 * 1024 * 1024


class SpillFullError(StoreError):
    """The spill is at its bound."""


@dataclass(slots=True)
class _Segment:
    path: Path
    size: int
    """What is known to be whole; more may lie behind it after a failed append."""


@valueclass(frozen=True, slots=True)
class Mark:
    """A place in the spill, behind the ``total`` batches appended or found so far."""

    segment: int
    position: int
    total: int


@valueclass(frozen=True, slots=True)
class Piece:
    """A run of batches read, the damaged lines met on the way, and where reading goes on."""

    batches: tuple[Batch, ...]
    damaged: tuple[bytes, ...]
    segment: int
    position: int


def frame(payload: bytes) -> bytes:
    """A line around ``payload``, which holds no line feed."""
    return b"%08x %08x " % (zlib.crc32(payload), len(payload)) + payload + b"\n"


def unframe(line: bytes) -> bytes | None:
    """The payload of a line, or None if the line is damaged."""
    if len(line) <= _FRAME or not line.endswith(b"\n"):
        return None
    payload = line[_FRAME:-1]
    return payload if line[:_FRAME] == b"%08x %08x " % (zlib.crc32(payload), len(payload)) else None


_HEAD = frame(json.dumps({"format": _FORMAT, "columns": _COLUMNS}, separators=(",", ":")).encode())
"""A segment's first line."""


class Spill:
    """The spill of one service in ``directory``, at most ``limit_bytes`` of it."""

    def __init__(self, directory: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._directory = directory
        self._limit = limit_bytes
        self._segment_limit = max(min(limit_bytes // 16, _SEGMENT_MAX_BYTES), 4096)
        self._segments: dict[int, _Segment] = {}
        self._read: tuple[int, int] = (0, 0)
        self._columns: Mapping[str, Sequence[str]] = _COLUMNS
        self._file: int | None = None
        self._lock: int | None = None
        self._next = 1
        self._total = 0
        self._gone = 0
        self.size_bytes = 0

    def open(self) -> None:
        """Make or find the directory, take the lock, find what an earlier life left. Raises StoreError."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            for path in sorted(self._directory.glob("spill-*.jsonl")):
                number = path.name[6:-6]
                if number.isdigit():
                    self._segments[int(number)] = _Segment(path, path.stat().st_size)
                    self.size_bytes += path.stat().st_size
                    with path.open("rb") as file:
                        self._total += max(sum(1 for _ in file) - 1, 0)
        except OSError as error:
            self.close()
            raise StoreError(f"the spill directory {self._directory} cannot be used: {error}") from error
        self._next = max(self._segments, default=0) + 1
        self._rewind()

    def _take_lock(self) -> None:
        self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = None
            raise StoreError(
                f"another acd uses {self._directory}: stop it, or give this one a state directory of its own"
            ) from error

    def _rewind(self) -> None:
        self._read = (min(self._segments, default=self._next), 0)
        self._columns = _COLUMNS

    @property
    def batches(self) -> int:
        """Batches appended or found and not yet taken off."""
        return self._total - self._gone

    @property
    def drained(self) -> bool:
        """Nothing is left to be read and taken off."""
        number, position = self._read
        segment = self._segments.get(number)
        return not self._segments or (number == self._next - 1 and segment is not None and position >= segment.size)

    def append(self, payloads: Sequence[bytes]) -> Mark:
        """Append one batch a payload and force them to the disk, all or none; the place behind them. Raises
        SpillFullError, OSError."""
        lines = b"".join(map(frame, payloads))
        current = self._segments.get(self._next - 1)
        if self._file is None or (current is not None and current.size + len(lines) > self._segment_limit):
            current = None
        if self.size_bytes + len(lines) + (0 if current else len(_HEAD)) > self._limit:
            raise SpillFullError(f"the spill {self._directory} is at its bound of {self._limit} bytes")
        current = current or self._new_segment()
        assert self._file is not None
        try:
            _write_all(self._file, lines)
            os.fdatasync(self._file)
        except OSError:
            # What got there may be half a line: never write behind it.
            self._close_file(truncate_to=current.size)
            raise
        current.size += len(lines)
        self.size_bytes += len(lines)
        self._total += len(payloads)
        return Mark(self._next - 1, current.size, self._total)

    def release(self, mark: Mark) -> None:
        """Everything up to ``mark`` is in the database: let go of it. Never raises.

        The segment in use stays: a file that is made anew, and its directory forced to the disk, cost more than a line.
        """
        if (mark.segment, mark.position) <= self._read:
            return
        for number in [number for number in self._segments if number < mark.segment]:
            self._delete(number)
        segment = self._segments.get(mark.segment)
        if segment is not None:
            # What was appended by this life has today's columns.
            self._read, self._columns, self._gone = (mark.segment, mark.position), _COLUMNS, mark.total
            if mark.position >= segment.size:
                self._cut(mark.segment, segment)

    def _cut(self, number: int, segment: _Segment) -> None:
        """Shorten a segment that nobody needs to its first line."""
        if self._file is None or number != self._next - 1:
            self._delete(number)
            return
        try:
            os.ftruncate(self._file, len(_HEAD))
        except OSError as error:
            log.warning("%s is in the database but cannot be shortened: %s", segment.path, error)
            return
        self.size_bytes -= segment.size - len(_HEAD)
        segment.size = len(_HEAD)
        self._read = (number, len(_HEAD))

    def _delete(self, number: int) -> None:
        segment = self._segments.pop(number)
        if number == self._next - 1:
            self._close_file()
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s is in the database but cannot be deleted: %s", segment.path, error)
        self.size_bytes -= segment.size
        if self._read[0] not in self._segments:
            self._rewind()

    def _new_segment(self) -> _Segment:
        self._close_file()
        path = self._directory / f"spill-{self._next:08d}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write_all(self._file, _HEAD)
            self._sync_directory()
        except OSError:
            self._close_file()
            path.unlink(missing_ok=True)
            raise
        segment = self._segments[self._next] = _Segment(path, len(_HEAD))
        self.size_bytes += len(_HEAD)
        if self._read[0] not in self._segments:
            self._read = (self._next, 0)
        self._next += 1
        return segment

    def _close_file(self, truncate_to: int | None = None) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                if truncate_to is not None:
                    os.ftruncate(file, truncate_to)
            except OSError as error:
                log.warning("a half-written line stays in the spill: %s", error)
            finally:
                os.close(file)

    def _sync_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def read(self, at_most_bytes: int = 1024 * 1024) -> Piece:
        """The next batches, at least one if there is any; call ``taken`` once they are in the database. Raises
        OSError."""
        number, position = self._read
        batches: list[Batch] = []
        damaged: list[bytes] = []
        segment = self._segments.get(number)
        if segment is not None:
            with segment.path.open("rb") as file:
                file.seek(position)
                start = position
                while position < segment.size and (not batches or position - start < at_most_bytes):
                    line = file.readline(segment.size - position)
                    if not line:
                        break
                    batch = self._understand(line, head=position == 0)
                    if isinstance(batch, Batch):
                        batches.append(batch)
                    elif not batch:
                        damaged.append(line)
                    position += len(line)
        return Piece(tuple(batches), tuple(damaged), number, position)

    def left(self) -> Iterator[Batch]:
        """All batches that are not taken off, in order; nothing is taken off. Raises OSError."""
        columns, (first, start) = self._columns, self._read
        try:
            for number, segment in sorted(self._segments.items()):
                if number < first:
                    continue
                with segment.path.open("rb") as file:
                    position = start if number == first else 0
                    file.seek(position)
                    while line := file.readline(segment.size - position):
                        batch = self._understand(line, head=position == 0)
                        position += len(line)
                        if isinstance(batch, Batch):
                            yield batch
        finally:
            self._columns = columns

    def _understand(self, line: bytes, head: bool) -> Batch | bool:
        """A batch; True for a segment's first line; False if damaged."""
        if head:
            self._columns = _COLUMNS
        payload = unframe(line)
        if payload is None:
            return False
        try:
            value = json.loads(payload)
            if "columns" in value:
                if value["format"] != _FORMAT:
                    return False
                self._columns = value["columns"]
                return True
            rows = {name: self._fitted(name, rows) for name, rows in value["rows"].items() if name in BY_NAME}
            return Batch(value["writer"], value["batch"], rows)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return False

    def _fitted(self, name: str, rows: list[Row]) -> list[Row]:
        """Rows written by an acd with other columns, in today's: by name, None where it knew none."""
        then, now = list(self._columns[name]), _COLUMNS[name]
        if then == now:
            return rows
        places = [then.index(column) if column in then else None for column in now]
        return [[None if place is None else row[place] for place in places] for row in rows]

    def set_aside(self, lines: Sequence[bytes], name: str) -> Path:
        """Keep lines nobody can store in a file ``name`` beside the spill, for a person. Raises OSError."""
        path = self._directory / name
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write_all(file, b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines))
            os.fsync(file)
        finally:
            os.close(file)
        return path

    def taken(self, piece: Piece) -> None:
        """The piece is in the database: set its damaged lines aside, go on behind it, delete what is no longer needed.

        Never raises: with the disk in trouble a segment may stay and be read again, which the database sees through.
        """
        segment = self._segments.get(piece.segment)
        if segment is None:
            return
        if piece.damaged:
            self._keep_damaged(segment, piece.damaged)
        self._gone = min(self._gone + len(piece.batches) + len(piece.damaged), self._total)
        if piece.position < segment.size:
            self._read = (piece.segment, piece.position)
            return
        self._delete(piece.segment)
        if not self._segments:
            self._gone = self._total

    def _keep_damaged(self, segment: _Segment, lines: Sequence[bytes]) -> None:
        name = segment.path.name + ".damaged"
        try:
            self.set_aside(lines, name)
        except OSError as error:
            log.error("%d damaged lines in %s cannot be set aside (%s) and are lost", len(lines), segment.path, error)
        else:
            log.error("%d damaged lines in %s were set aside in %s", len(lines), segment.path, name)

    def close(self) -> None:
        """Let go of the files and the lock. What is not in the database stays there."""
        if self._lock is not None and self.drained:
            for number in list(self._segments):
                self._delete(number)
        self._close_file()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def payload(batch: Batch, rows: Mapping[str, str]) -> bytes:
    """A batch as a line's payload. ``rows`` holds the JSON of each operation's rows (made slice by slice, so that no
    single step is long)."""
    head: dict[str, Any] = {"writer": batch.writer, "batch": batch.number}
    body = ",".join(f'"{name}":{text}' for name, text in rows.items())
    return (json.dumps(head, separators=(",", ":"))[:-1] + f',"rows":{{{body}}}}}').encode("utf-8")
