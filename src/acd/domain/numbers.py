"""Telephone numbers in their several spellings, and as those see them who need not know them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from acd.domain.definition import number_key

HIDDEN = "•••"
_HEAD_MAX, _TAIL_MAX, _HIDDEN_MIN = 6, 4, 3
_NUMBER = re.compile(r"\+?[0-9][0-9\s().,/-]*", re.ASCII)

TEXT_KEYS = frozenset({"caller_name", "notes"})
"""What of a call says who called: by the names that it has in answers."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """How numbers are written here. ``country_code`` (``49``) and ``national_prefix`` (``0``) make ``0171...`` and
    ``+49171...`` one number; without a country code they are two."""

    country_code: str = ""
    national_prefix: str = "0"

    def canonical(self, number: str) -> str:
        """The number without the ways to write it: equal for all spellings of one number."""
        bare = number_key(number)
        prefix = self.national_prefix
        # number_key has taken off a + or 00: what it left as it was may be national
        written = re.sub(r"[\s().,/\\-]+", "", number)
        national = self.country_code and prefix and written.startswith(prefix) and not written.startswith(("+", "00"))
        return self.country_code + bare.removeprefix(prefix) if national else bare


def mask_number(number: str) -> str:
    """``+49171•••4567``: enough to tell calls apart, not enough to ring back. What is no number is hidden whole."""
    if not number:
        return ""
    if _NUMBER.fullmatch(number) is None or len(number) <= _HIDDEN_MIN:
        return HIDDEN
    tail = min(_TAIL_MAX, (len(number) - _HIDDEN_MIN) // 2)
    head = min(_HEAD_MAX, len(number) - _HIDDEN_MIN - tail)
    return number[:head] + HIDDEN + (number[-tail:] if tail else "")


def masked(value: Any, key: str = "", within: str = "") -> Any:
    """A JSON-able answer with callers' numbers masked and their names and notes hidden, wherever in it they stand.

    ``number`` is a caller's only among a call's ``attributes``: an agent's is what he logs in with.
    """
    if isinstance(value, dict):
        return {name: masked(item, name, key) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, key, within) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if key == "caller_number" or (key == "number" and within == "attributes"):
        return mask_number(value)
    return HIDDEN if key in TEXT_KEYS else value
