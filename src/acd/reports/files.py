"""Files that hold what callers said and did: for their owner's eyes only, and whole or not there at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from acd.domain.errors import ReportError


def check_place(path: Path) -> None:
    """Raises ReportError for a directory."""
    if path.is_dir():
        raise ReportError(f"{path} is a directory: name a file in it")


def _of_system(path: Path) -> bool:
    """Whether it lies where the system's own links are, such as /dev/stdout."""
    parent = Path(os.path.realpath(path.parent))
    return any(parent.is_relative_to(place) for place in ("/dev", "/proc"))


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when all went well, and leaves no trace when not; of a symbolic
    link's, too, whatever it points to stays. Mode 0600, on the disk before it is named. Raises ReportError, also for what is
    there and is no file."""
    check_place(path)
    if (path.exists() and not path.is_file()) or (path.is_symlink() and _of_system(path)):
        raise ReportError(
            f"{path} is no file, and would be replaced by one; write to standard output and redirect it there"
        )
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise ReportError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            beside.unlink()
