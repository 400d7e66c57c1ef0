"""Numbers as keyed hashes: equal numbers have equal ones, and without the key nobody finds the number behind one.

The key is a file for the service's user alone, made when it is first needed. Whoever has it and the records can try all
numbers there are; whoever has the records alone cannot. Lost, it costs the memory of who talked to whom.
"""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from acd.domain.errors import ConfigurationError
from acd.domain.numbers import WITHHELD, Numbering, is_withheld
from acd.store.sealing import PREFIX

KEY_FILE = "number.key"
_KEY_BYTES = 32


class Seal:
    """Seals numbers with a key; every spelling of one number (``numbering``) gives the same."""

    def __init__(self, key: bytes, numbering: Numbering) -> None:
        self._key, self.numbering = key, numbering

    def of(self, number: str) -> str:
        """``hmac:`` and 32 hex digits. A word for a withheld number stays: all who withhold theirs would be one caller."""
        return number if is_withheld(number) else self._hashed(number)

    def withheld(self) -> frozenset[str]:
        """What older records, which hashed these words like numbers, have in their place."""
        return frozenset(self._hashed(word) for word in WITHHELD if word)

    def _hashed(self, number: str) -> str:
        text = self.numbering.canonical(number).encode("utf-8", "surrogatepass")
        return f"{PREFIX}{hmac.new(self._key, text, sha256).hexdigest()[:32]}"


def load_seal(state_dir: Path, numbering: Numbering) -> Seal:
    """The seal of the service whose state is in ``state_dir``; its key is made if there is none. Raises
    ConfigurationError."""
    path = state_dir / KEY_FILE
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = _read(path) or _make(path)
    except OSError as error:
        raise ConfigurationError(f"the key of hashed numbers, {path}, cannot be used: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"the key of hashed numbers, {path}, {error}") from error
    return Seal(key, numbering)


def found_seal(state_dir: Path, numbering: Numbering) -> Seal | None:
    """As `load_seal`, for whoever only reads: None if there is no key, or none that he may read."""
    try:
        key = _read(state_dir / KEY_FILE)
    except (OSError, ValueError):
        return None
    return None if key is None else Seal(key, numbering)


def _read(path: Path) -> bytes | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with open(file, "rb") as opened:
        if os.fstat(file).st_mode & 0o077:
            raise ValueError(f"can be read by others than acd's user; run: chmod 600 {path}")
        text = opened.read(1000).strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError("holds no key: put the right one back, or move it away for a new one")
    return key


def _make(path: Path) -> bytes:
    """Whole or not at all, also when two begin at once: then the first one's counts."""
    key = secrets.token_bytes(_KEY_BYTES)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(file, "wb") as opened:
            opened.write(key.hex().encode() + b"\n")
            opened.flush()
            os.fsync(file)
        try:
            os.link(fresh, path)
        except FileExistsError:
            return _read(path) or key
    finally:
        fresh.unlink(missing_ok=True)
    return key
