"""One line of waiting calls, sorted by a key that does not change while they wait. What the key is, is not known here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

CallKey = tuple[float, int, str]
"""(joined at less the head start, UTC s; serial; name): the smallest is served first."""

SLACK: Final = 64
"""A line drops the room of those who left at its front once that is more than this and more than the rest."""


class Line:
    """Keys in order. Those who leave at the front cost nothing that grows with the line."""

    __slots__ = ("_keys", "_start")

    def __init__(self, keys: Iterable[CallKey] = ()) -> None:
        self._keys = sorted(keys)
        self._start = 0  # whose keys stand before it have left

    def __len__(self) -> int:
        return len(self._keys) - self._start

    def __iter__(self) -> Iterator[CallKey]:
        return iter(self._keys[self._start :])

    @property
    def first(self) -> CallKey:
        """The smallest key; there is one."""
        return self._keys[self._start]

    def add(self, key: CallKey) -> bool:
        """Put ``key`` in its place; whether that is the first."""
        keys, start = self._keys, self._start
        at = len(keys)
        if at > start and key < keys[-1]:
            at = bisect_left(keys, key, start)
        if at == start and at:
            self._start = start - 1
            keys[start - 1] = key
            return True
        keys.insert(at, key)
        return at == start

    def remove(self, key: CallKey) -> bool:
        """Take ``key``, which is there, out; whether it was the first."""
        keys, start = self._keys, self._start
        if keys[start] != key:
            at = bisect_left(keys, key, start)
            assert keys[at] == key, f"{key} does not stand where it should"
            del keys[at]
            return False
        self._start = start = start + 1
        if start > SLACK and 2 * start > len(keys):
            del keys[:start]
            self._start = 0
        return True

    def before(self, key: CallKey) -> int:
        """How many are smaller than ``key``."""
        return bisect_left(self._keys, key, self._start) - self._start
