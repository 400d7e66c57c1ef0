"""A fingerprint of everything the floor decided, and when: equal digests mean equal runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from acd.domain.commands import Command


class Digest:
    """Takes in commands in their order with the virtual time at which they were given."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=8)
        self._values_of: dict[type[Command], Callable[[Any], Any]] = {}

    def take(self, at_s: float, command: Command) -> None:
        """Add one command."""
        kind = type(command)
        values_of = self._values_of.get(kind)
        if values_of is None:
            names = [field.name for field in fields(kind)]
            values_of = self._values_of[kind] = attrgetter(*names) if names else lambda _: ()
        self._hash.update(f"{at_s!r} {kind.__name__} {values_of(command)!r}\n".encode())

    def text(self) -> str:
        """16 hexadecimal digits."""
        return self._hash.hexdigest()


def digest_of(digests: list[str]) -> str:
    """One for several replications."""
    return digests[0] if len(digests) == 1 else blake2b(" ".join(digests).encode(), digest_size=8).hexdigest()
