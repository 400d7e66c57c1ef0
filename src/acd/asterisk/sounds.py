"""Whether Asterisk has a sound, by its files. Blocks."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

_HERE = ("localhost", "::1", "127.")


def is_here(host: str) -> bool:
    """Whether the Asterisk at this address has its files on this machine, as far as its address tells."""
    return host.lower().startswith(_HERE)


def lacks(folder: Path, sound: str) -> bool:
    """Whether ``folder`` has no file of a sound, as Playback names it: in no language and no format. Raises OSError where
    that cannot be told, as for want of rights."""
    name = PurePosixPath(sound)
    own = folder / name.parent
    places = {own, *(one / name.parent for one in _folders(folder)), *_folders(own)}
    return not any(entry.startswith(f"{name.name}.") for place in places for entry in _names(place))


def _folders(folder: Path) -> list[Path]:
    """Those in it: a language each, for one."""
    return [folder / name for name in _names(folder) if (folder / name).is_dir()]


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
