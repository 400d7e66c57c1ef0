"""Files with the sound of calls: where one is, and taking it away. Only what lies in the one folder is ever touched."""

from __future__ import annotations

import os
from pathlib import Path


def recording_file(folder: Path, name: str) -> Path | None:
    """The file that a call's ``recording`` names, relative to ``folder``; None if it would lie outside it."""
    if not name or "\0" in name:
        return None
    try:
        base = folder.resolve()
        found = (base / name).resolve()
    except (OSError, RuntimeError):
        return None
    return found if found != base and found.is_relative_to(base) else None


def remove_recording(folder: Path, name: str) -> bool:
    """Delete it, the bytes first: whether it is gone (or never was). Never raises."""
    path = recording_file(folder, name)
    if path is None:
        return False
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "wb") as file:
            os.ftruncate(file.fileno(), 0)
        path.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
