"""The file a log is written to, and how far it has come: every line once, whatever ends the program between two of them.

Beside FILE stands FILE.position: up to which time its lines are complete, and how long the file was then. What follows
behind that length was written just before the end: it is compared with what would be written next, and left alone.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from acd.domain.errors import ConfigurationError, StoreError
from acd.queuelog.lines import Line


class LogFile:
    """A log that grows. ``upto`` is the time of the position, None for a log that begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = path.with_name(path.name + ".position")
        self.upto: float | None = None
        self._there: Counter[str] = Counter()
        self._file: BinaryIO | None = None
        size = self._read_position()
        if self.upto is not None:
            self._read_tail(size)

    def _read_position(self) -> int:
        try:
            found = json.loads(self._position.read_text())
            self.upto, size, inode = float(found["upto"]), int(found["size"]), int(found["inode"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{self._position} is damaged ({error}): delete it and say with --from where the log shall go on"
            ) from error
        with suppress(OSError):
            now = self.path.stat()
            # Another file of that name has been begun since: all of it is behind the position
            return size if now.st_ino == inode and now.st_size >= size else 0
        return 0

    def _read_tail(self, start: int) -> None:
        try:
            with self.path.open("r+b") as file:
                file.seek(start)
                tail = file.read()
                whole = tail.rfind(b"\n") + 1
                if whole < len(tail):
                    file.truncate(start + whole)
        except FileNotFoundError:
            return
        self._there = Counter(tail[:whole].decode("utf-8", "replace").splitlines())

    def append(self, lines: Iterable[Line], upto: float) -> int:
        """Write lines, and that all up to ``upto`` are there; how many were new. Raises StoreError."""
        fresh = []
        for line in map(str, lines):
            if self._there[line] > 0:
                self._there[line] -= 1
            else:
                fresh.append(line)
        try:
            file = self._opened()
            if fresh:
                file.write("".join(line + "\n" for line in fresh).encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())
            if fresh or upto != self.upto:
                self._keep(file, upto)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error
        return len(fresh)

    def _opened(self) -> BinaryIO:
        """The file of that name: a new one where it was moved away."""
        if self._file is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                    return self._file
            self._file.close()
        self._file = open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640), "ab")  # noqa: SIM115
        return self._file

    def _keep(self, file: BinaryIO, upto: float) -> None:
        now = os.fstat(file.fileno())
        fresh = self._position.with_name(self._position.name + ".new")
        with fresh.open("w") as position:
            json.dump({"upto": upto, "size": now.st_size, "inode": now.st_ino}, position)
            position.flush()
            os.fsync(position.fileno())
        fresh.replace(self._position)
        self.upto = upto

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None
