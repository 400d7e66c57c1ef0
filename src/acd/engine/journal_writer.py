"""Writing a journal's files: lines, parts, checkpoints, and what is deleted. Blocks for the disk; knows no thread.

Every method but ``open`` may raise OSError (the disk) or JournalError; after that nothing more should be written but the
end. What was written before it is whole.
"""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import zlib
from pathlib import Path
from typing import Any

from acd import __version__
from acd.domain.definition import FloorDefinition
from acd.domain.events import Event
from acd.domain.instant import Instant
from acd.domain.values import valueclass
from acd.engine.codec import encode
from acd.engine.journal_lines import FORMAT, JournalError, Part, chain, life_name, parts_in, seal
from acd.floor import Step

log = logging.getLogger(__name__)

FLUSH_BYTES = 256 * 1024


@valueclass(frozen=True, slots=True)
class JournalOptions:
    """``[journal]``: parts of about ``max_mb`` megabytes, at most ``keep`` of them, older lives included.

    ``outputs``: write what the floor gave in full, not its digest alone, so that a difference can be shown from both
    sides. About twice the size.
    """

    directory: Path
    max_mb: float = 100.0
    keep: int = 20
    outputs: bool = True


def output(step: Step, failed: str | None) -> str:
    """What the digest runs over: the commands and records of one step, and the class of what the floor raised."""
    value: dict[str, Any] = {"commands": step.commands, "records": step.records}
    return encode(value if failed is None else {**value, "failed": failed})


class JournalWriter:
    """The files of one life, which began at ``began_at`` (UTC s)."""

    def __init__(self, options: JournalOptions, *, epoch: int, started_at: float, began_at: float) -> None:
        self.events = 0
        self.part = Part.named(options.directory, life_name(began_at, epoch), 0)
        self._options = options
        self._epoch = epoch
        self._started_at = started_at
        self._lock: int | None = None
        self._file: int | None = None
        self._replayable_from = 1
        self._size = 0
        self._lines = bytearray()
        self._digest = ""

    @property
    def is_full(self) -> bool:
        """The part is large enough: ``rotate`` whenever a checkpoint is at hand."""
        return self._size >= self._options.max_mb * 1_000_000

    def open(self, definition: FloorDefinition) -> None:
        """Make or find the directory, take the lock, begin the first part. Raises JournalError."""
        directory = self._options.directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin_part(definition, None)
            self._make_room()
        except BlockingIOError as error:
            self.close()
            raise JournalError(
                f"another acd writes its journal in {directory}: give this one a directory of its own"
            ) from error
        except OSError as error:
            self.close()
            raise JournalError(
                f"the journal cannot be written in {directory}: {error}; give [journal] another directory, or none"
            ) from error

    def add(self, event: Event, now: Instant, step: Step, failed: str | None) -> None:
        """Write one event and what the floor gave (``failed``: the class of what it raised)."""
        out = output(step, failed)
        self._digest = chain(self._digest, out)
        head = encode({"n": self.events, "now": now, "event": event})
        tail = f',"out":{out}' if self._options.outputs else ""
        self._lines += seal(f'{head[:-1]},"digest":"{self._digest}"{tail}}}')
        self.events += 1
        if len(self._lines) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system. On a full disk nothing is left of the line that did not fit."""
        if not self._lines or self._file is None:
            return
        data, done = bytes(self._lines), 0
        self._lines.clear()
        try:
            while done < len(data):
                done += os.write(self._file, data[done:] if done else data)
        except OSError:
            whole = data.rfind(b"\n", 0, done) + 1
            os.ftruncate(self._file, self._size + whole)
            self._size += whole
            raise
        self._size += done

    def rotate(self, definition: FloorDefinition, checkpoint: bytes | None) -> None:
        """Go on in a new part. Without a checkpoint it can only be replayed together with the one before it."""
        self.end("continued", "")
        self._begin_part(definition, checkpoint)
        if checkpoint is not None:
            self._replayable_from = self.part.number
        self._make_room()

    def end(self, end: str, why: str) -> None:
        """Write the last line."""
        self._lines += seal(encode({"end": end, "n": self.events, "why": why}))
        self.flush()

    def close(self) -> None:
        """Let go of the file and the lock; what was not flushed is lost."""
        for descriptor in (self._file, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._lock = None
        self._lines.clear()

    def _begin_part(self, definition: FloorDefinition, checkpoint: bytes | None) -> None:
        part = Part.named(self._options.directory, self.part.life, self.part.number + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(part.path, flags, 0o600)
        if self._file is not None:
            os.close(self._file)
        self._file, self.part, self._size = file, part, 0
        head = {
            "journal": FORMAT,
            "acd": __version__,
            "life": part.life,
            "part": part.number,
            "n": self.events,
            "digest": self._digest,
            "epoch": self._epoch,
            "started_at": self._started_at,
            "revision": definition.revision,
            "definition": definition,
            "checkpoint": None if checkpoint is None else _packed(checkpoint),
        }
        self._lines += seal(encode(head))
        self.flush()

    def _make_room(self) -> None:
        """Delete the oldest parts that are too many. Raises JournalError when all that are left are needed."""
        parts = parts_in(self._options.directory)
        needed = [part for part in parts if part.life == self.part.life and part.number >= self._replayable_from]
        spare = [part for part in parts if part not in needed]
        for part in spare[: max(0, len(parts) - self._options.keep)]:
            part.path.unlink(missing_ok=True)
        if len(needed) > self._options.keep:
            raise JournalError(
                f"{len(needed)} parts of {self._options.max_mb:g} MB are needed to replay this life, and [journal] keep "
                f"allows {self._options.keep}"
            )


def _packed(checkpoint: bytes) -> str:
    return base64.b64encode(zlib.compress(checkpoint, 1)).decode("ascii")
