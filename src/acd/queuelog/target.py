"""The file a log is written to, and how far it has come.

Beside FILE stands FILE.position. It names a time some way back (`places`), how long the file was then, and the time up to
which all is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from acd.domain.errors import ConfigurationError, StoreError
from acd.domain.numbers import HIDDEN
from acd.domain.values import valueclass
from acd.queuelog.lines import Line
from acd.queuelog.places import HOLD_S, Trail, Written

_TAIL_BYTES = 64 * 1024


@valueclass(frozen=True, slots=True)
class _Place:
    """All lines behind ``upto`` stand behind ``size`` bytes of the file with that inode, and in files begun since."""

    upto: float
    size: int
    inode: int


class LogFile:
    """A log that grows. ``upto`` is the time to go on from, None for a log that begins: then `begin` says it. ``mode``:
    who may read new files. ``masked``: its lines have numbers masked. Raises ConfigurationError if those that are there are
    otherwise."""

    def __init__(self, path: Path, hold_s: float = HOLD_S, *, mode: int = 0o600, masked: bool = False) -> None:
        self.path = path
        self.holds_back = False
        self._mode, self._masked = mode, masked
        self._hold_s = hold_s
        self._position = path.with_name(path.name + ".position")
        self.upto: float | None = None
        self._written = Written()
        self._file: BinaryIO | None = None
        self._trail: Trail[_Place] | None = None
        self._files: list[int] = []
        """The inodes of all files that lines behind the kept place stand in."""
        self._last: tuple[float, int] | None = None
        self._read_position()

    # -- taking up ---------------------------------------------------------------------------------------------------

    def _read_position(self) -> None:
        try:
            found = json.loads(self._position.read_text())
            last = float(found["upto"]), int(found["size"])
            kept = _Place(**found["since"])
            files = [int(inode) for inode in found["files"]]
            masked = found.get("masked")
            if not all(isinstance(value, int | float) for value in asdict(kept).values()) or files[0] != kept.inode:
                raise ValueError("what stands in it does not fit together")
        except FileNotFoundError:
            self._check(self._seen_masked())
            return
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(
                f"{self._position} is damaged ({error}): delete it and say with --from where the log shall go on"
            ) from error
        self._check(masked if isinstance(masked, bool) else self._seen_masked())
        self._last = last
        tails = self._tails(kept, files)
        if tails is None:
            # Part of what was written is out of sight: go on behind it
            now = self._stat()
            same = now is not None and now.st_ino == files[-1] and now.st_size >= last[1]
            kept = _Place(last[0], last[1] if same else 0, now.st_ino if now is not None else 0)
            files, tails = [kept.inode], [(self.path, kept.size)]
        self.upto, self._trail, self._files = kept.upto, Trail(kept, self._hold_s), files
        for path, start in tails:
            self._read_tail(path, start)

    def _check(self, masked: bool | None) -> None:
        if masked is not None and masked != self._masked:
            how, option = ("masked", "--mask-numbers") if masked else ("as they are", "--no-mask-numbers")
            raise ConfigurationError(
                f"{self.path} has been written with callers' numbers {how}, and goes on so with {option}: to change that, "
                f"name another file, or move {self.path.name} and {self._position.name} away"
            )

    def _seen_masked(self) -> bool | None:
        """Whether numbers are masked in the last line of the file that tells one; None if none near its end does."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                tail = file.read().decode("utf-8", "replace")
        except OSError:
            return None
        for text in reversed(tail.splitlines()):
            fields = text.split("|")
            # epoch|uniqueid|queue|agent|ENTERQUEUE|url|number|position
            if len(fields) == 8 and fields[4] == "ENTERQUEUE" and fields[6]:
                return HIDDEN in fields[6]
        return None

    def _stat(self) -> os.stat_result | None:
        with suppress(FileNotFoundError):
            return self.path.stat()
        return None

    def _tails(self, kept: _Place, files: list[int]) -> list[tuple[Path, int]] | None:
        """The files with all that was written behind ``kept``, and where in each that begins; None if one is gone."""
        named: dict[int, Path] = {}
        with suppress(OSError):
            for path in self.path.parent.iterdir():
                if path.name.startswith(self.path.name) and path.is_file():
                    named[path.stat().st_ino] = path
        now = self._stat()
        if any(inode not in named for inode in files):
            return None
        assert self._last is not None
        found = [(named[inode], kept.size if n == 0 else 0) for n, inode in enumerate(files)]
        sizes = [path.stat().st_size for path, _ in found]
        if sizes[0] < kept.size or (sizes[-1] == 0 < self._last[1]):
            # Emptied, not moved away: what stood in it is elsewhere. What lost its end alone gets it again
            return None
        if now is not None and now.st_ino not in files:
            found.append((self.path, 0))
        return found

    def _read_tail(self, path: Path, start: int) -> None:
        try:
            with path.open("r+b" if path == self.path else "rb") as file:
                file.seek(start)
                tail = file.read()
                whole = tail.rfind(b"\n") + 1
                if whole < len(tail) and path == self.path:
                    file.truncate(start + whole)
        except FileNotFoundError:
            return
        for text in tail[:whole].decode("utf-8", "replace").splitlines():
            self._written.add(text)

    def begin(self, upto: float) -> None:
        """The log begins: all up to that time is no part of it. Raises StoreError."""
        try:
            now = os.fstat(self._opened().fileno())
            self._begin_at(_Place(upto, now.st_size, now.st_ino))
            self._keep(now, upto)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error
        self.upto = upto

    # -- going on ----------------------------------------------------------------------------------------------------

    def append(self, lines: Iterable[Line], upto: float, now: float) -> int:
        """Write lines, and that all up to ``upto`` are there; how many were new. ``now``: any clock in seconds that goes on
        evenly. Raises StoreError."""
        fresh = self._written.fresh(lines, upto)
        try:
            file = self._opened()
            if fresh:
                file.write("".join(f"{line}\n" for line in fresh).encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())
            stat = os.fstat(file.fileno())
            moved = self._advance(_Place(upto, stat.st_size, stat.st_ino), now)
            if fresh or moved or self._last is None or upto != self._last[0]:
                self._keep(stat, upto)
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
        self._file = open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, self._mode), "ab")  # noqa: SIM115
        return self._file

    def _begin_at(self, place: _Place) -> Trail[_Place]:
        self._trail, self._files = Trail(place, self._hold_s), [place.inode]
        return self._trail

    def _advance(self, here: _Place, now: float) -> bool:
        """Note the place, and whether the one to go on from has changed."""
        trail = self._trail or self._begin_at(here)
        if here.inode not in self._files:
            self._files.append(here.inode)
        moved = trail.advance(here, now, settled=self._written.settled(here.upto))
        while self._files[0] != trail.kept.inode:
            self._files.pop(0)
        return moved

    def _keep(self, now: os.stat_result, upto: float) -> None:
        assert self._trail is not None
        since = asdict(self._trail.kept)
        found: dict[str, Any] = {"upto": upto, "size": now.st_size, "since": since, "files": self._files}
        found["masked"] = self._masked
        fresh = self._position.with_name(self._position.name + ".new")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._mode), "w") as position:
            json.dump(found, position)
            position.flush()
            os.fsync(position.fileno())
        fresh.replace(self._position)
        self._last = upto, now.st_size

    def flush(self) -> int:
        """Nothing is held back: what cannot be written ends the log, and it is taken up again from where it was."""
        return 0

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None
