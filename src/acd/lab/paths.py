"""Where the lab keeps things on this machine: the cache shared by all runs, and short paths for Unix sockets.

Standard library only (the bootstrap imports it before anything is installed). No installing, no processes.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from acd.domain.errors import LabError

#: Room for a Unix socket's path: sun_path holds 108 bytes, and PostgreSQL and Asterisk append names of their own.
SOCKET_PATH_MAX_BYTES = 100


def cache_dir(environ: Mapping[str, str] = os.environ, *, uid: int | None = None) -> Path:
    """The folder for downloads and unpacked parts: ``$ACD_LAB_CACHE``, else a place that suits this user.

    For root it lies under /var/cache, because PostgreSQL refuses to run as root and the user it runs as instead could
    not read programs below root's home.
    """
    chosen = environ.get("ACD_LAB_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if (os.getuid() if uid is None else uid) == 0:
        return Path("/var/cache/acd/lab")
    base = environ.get("XDG_CACHE_HOME")
    if base and os.path.isabs(base):
        return Path(base) / "acd" / "lab"
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(home) / ".cache" / "acd" / "lab"


def make_dir(path: Path, mode: int = 0o755) -> Path:
    """Create ``path`` with its parents, readable by the users parts run as; LabError says what is in the way."""
    missing: list[Path] = []
    current = path
    while not current.exists() and current != current.parent:
        missing.append(current)
        current = current.parent
    try:
        for directory in reversed(missing):
            directory.mkdir(exist_ok=True)
            directory.chmod(mode)
    except OSError as error:
        raise LabError(
            f"cannot create {path}: {error.strerror}; set ACD_LAB_CACHE (or --dir) to a folder you may write"
        ) from error
    if not path.is_dir():
        raise LabError(f"{path} is in the way: it is not a folder; move it or choose another place")
    return path


def readable_by_others(path: Path) -> bool:
    """Whether a user other than the owner can reach ``path``: every folder on the way lets others pass."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def socket_dir(wanted: Path, longest_name: str) -> Path:
    """``wanted`` if a socket called ``longest_name`` fits there, else a private short folder below the temporary one.

    The short folder is the same each time for the same ``wanted`` and user, so a later command finds the socket again.
    """
    if len(os.fsencode(wanted / longest_name)) <= SOCKET_PATH_MAX_BYTES:
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"acd-lab-{os.getuid()}-{digest}"
    if len(os.fsencode(short / longest_name)) > SOCKET_PATH_MAX_BYTES:
        short = Path("/tmp") / short.name
    return short


def shared_file(name: str) -> Path:
    """A file that comes with acd, such as ``dialplan/extensions_acd.conf``: from the package, else the source tree."""
    package = Path(__file__).resolve().parent.parent
    for root in (package / "_share", package.parent.parent):
        if (root / name).is_file():
            return root / name
    raise LabError(f"{name} is missing from this installation of acd; install it again")
