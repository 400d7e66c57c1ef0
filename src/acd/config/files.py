"""Opening what the operator named, warily: it may be a folder, a pipe, a device, a giant or no text."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from acd.config.problems import Problems, ProblemsError


class NotPlainFileError(ValueError):
    """A folder, pipe, device or socket stands where a file should be."""


def read_plain_file(path: Path, max_bytes: int) -> tuple[bytes, int]:
    """At most ``max_bytes + 1`` bytes of the file, and its mode. Raises OSError, NotPlainFileError, ValueError (NUL)."""
    # O_NONBLOCK: opening a pipe that nobody writes must not wait for ever
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotPlainFileError("is not a plain file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes + 1), mode
    finally:
        os.close(descriptor)


def read_text(path: Path, problems: Problems, *, max_bytes: int, hint: str = "") -> str:
    """The file's text. Raises ProblemsError if it is missing, unreadable, no plain file, too big or not UTF-8.

    ``hint`` is added where the file is missing.
    """
    try:
        raw, _ = read_plain_file(path, max_bytes)
    except FileNotFoundError:
        message = f"does not exist{hint}"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except ValueError as error:
        message = str(error)
    else:
        if len(raw) <= max_bytes:
            return _decoded(raw, problems)
        message = f"is larger than {max_bytes // 1024} KiB, the most that is read"
    problems.error(None, None, message)
    raise ProblemsError(problems.sorted())


def _decoded(raw: bytes, problems: Problems) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start
    line_start = raw.rfind(b"\n", 0, at) + 1
    message = f"byte 0x{raw[at]:02x} is not UTF-8; save the file as UTF-8"
    problems.error(raw.count(b"\n", 0, at) + 1, at - line_start + 1, message)
    raise ProblemsError(problems.sorted())
