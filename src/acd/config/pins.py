"""Agents' PINs: hashing, checking, and saying whether a text is a hash.

scrypt takes tens of milliseconds by design and these functions are synchronous: call them in a thread. A PIN is a few
digits, so whoever has the hash finds the PIN in time; hashing keeps it from eyes, the secrecy of the file keeps it safe.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re

from acd.domain.errors import ConfigurationError

PIN_RULE = "3 to 12 digits"

_PIN = re.compile(r"[0-9]{3,12}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
_N, _R, _P = 2**14, 8, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
#: What a hash from a file may make us spend: 64 MiB.
_MAX_MEMORY_BYTES = 64 * 1024 * 1024
_MAX_P = 4


def is_pin(text: str) -> bool:
    """Whether ``text`` is 3 to 12 ASCII digits."""
    return _PIN.fullmatch(text) is not None


def hash_pin(pin: str, *, n: int = _N, salt: bytes | None = None) -> str:
    """``scrypt$n$r$p$salt$hash`` (salt and hash in URL-safe base64). Raises ConfigurationError if it is no PIN."""
    if not is_pin(pin):
        raise ConfigurationError(f"a PIN is {PIN_RULE}")
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    return f"scrypt${n}${_R}${_P}${_encode(salt)}${_encode(_derive(pin, n, _R, _P, salt))}"


def quick_hash(pin: str, owner: str) -> str:
    """The hash of a PIN that stands readable in floor.yaml: nothing to protect, so it costs microseconds.

    The same PIN of the same owner gives the same text, so that reading a file twice gives one revision.
    """
    return hash_pin(pin, n=2, salt=hashlib.sha256(owner.encode()).digest()[:_SALT_BYTES])


def verify_pin(pin: str, stored: str) -> bool:
    """Whether ``pin`` is the one behind ``stored``; compared in constant time. ``False`` for what is no PIN or hash."""
    parts = _parse(stored)
    if parts is None or not is_pin(pin):
        return False
    n, r, p, salt, wanted = parts
    return hmac.compare_digest(_derive(pin, n, r, p, salt), wanted)


def is_pin_hash(text: str) -> bool:
    """Whether ``verify_pin`` could ever say yes to ``text``, within the memory it may take."""
    return _parse(text) is not None


def _parse(text: str) -> tuple[int, int, int, bytes, bytes] | None:
    parts = text.split("$")
    if len(parts) != 6 or parts[0] != "scrypt" or not all(_NUMBER.fullmatch(part) for part in parts[1:4]):
        return None
    n, r, p = (int(part) for part in parts[1:4])
    if n < 2 or n & (n - 1) or not 1 <= r <= 64 or not 1 <= p <= _MAX_P or 128 * n * r > _MAX_MEMORY_BYTES:
        return None
    salt, wanted = _decode(parts[4]), _decode(parts[5])
    if salt is None or wanted is None or not 8 <= len(salt) <= 64 or len(wanted) != _HASH_BYTES:
        return None
    return n, r, p, salt, wanted


def _derive(pin: str, n: int, r: int, p: int, salt: bytes) -> bytes:
    memory = 2 * _MAX_MEMORY_BYTES
    return hashlib.scrypt(pin.encode("ascii"), salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=_HASH_BYTES)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes | None:
    if len(text) > 100:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
