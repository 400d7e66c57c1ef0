"""Where a number is mentioned in a text: in any of its spellings, with blanks and punctuation between its digits. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from acd.domain.errors import ConfigurationError
from acd.domain.numbers import Numbering

DIGITS_MIN = 3
CORE = 4
ERASED = "[erased]"
_BETWEEN = r"[\s().,/\\-]{0,3}"


class Mention:
    """Finds one number. ``canonical`` is what all its spellings have in common; ``core`` its last digits. ``sealed`` is what
    may stand in its place.

    Raises ConfigurationError on what is no number.
    """

    def __init__(self, number: str, numbering: Numbering, sealed: str = "") -> None:
        bare = number.strip()
        if numbering.national_prefix and bare.startswith(("+", "00")):
            # +49 (0)171...: dialled from within the country or without it, never both
            number = bare.replace(f"({numbering.national_prefix})", " ", 1)
        self.numbering, self.canonical = numbering, numbering.canonical(number)
        if len(self.canonical) < DIGITS_MIN or not (self.canonical.isascii() and self.canonical.isdigit()):
            raise ConfigurationError(f"{number!r} is no telephone number: write at least {DIGITS_MIN} digits")
        code, prefix = numbering.country_code, numbering.national_prefix
        spelled = [r"(?:\+|00)?" + _spaced(self.canonical)]
        if code and self.canonical.startswith(code) and len(self.canonical) > len(code):
            rest = self.canonical.removeprefix(code)
            spelled.append(_spaced(prefix + rest))
            spelled.append(rf"(?:\+|00)?{_spaced(code)}{_BETWEEN}\(?{prefix}\)?{_BETWEEN}{_spaced(rest)}")
        self.sealed = sealed
        self.pattern = rf"(?<![0-9])(?:{'|'.join(spelled)})(?![0-9])" + (f"|{re.escape(sealed)}" if sealed else "")
        self._in_text = re.compile(self.pattern)
        self._in_bytes = re.compile(self.pattern.encode("ascii"))
        self.core = self.canonical[-CORE:]

    def is_it(self, number: str) -> bool:
        """Whether this is the number, however it is written."""
        return number != "" and self.numbering.canonical(number) == self.canonical

    def in_text(self, text: str | None) -> bool:
        """Whether a text mentions it."""
        return bool(text) and self._in_text.search(text or "") is not None

    def in_bytes(self, data: bytes) -> bool:
        """Whether bytes mention it."""
        return self._in_bytes.search(data) is not None

    def without(self, text: str) -> str:
        """The text without it."""
        return self._in_text.sub(ERASED, text)

    def scrubbed(self, value: Any, names: frozenset[str] = frozenset()) -> Any:
        """A JSON value without it, and without texts that are one of ``names``."""
        if isinstance(value, str):
            return ERASED if value in names else self.without(value)
        if isinstance(value, dict):
            return {self.without(key): self.scrubbed(item, names) for key, item in value.items()}
        if isinstance(value, list):
            return [self.scrubbed(item, names) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and self.is_it(str(value)):
            return ERASED
        return value


def _spaced(digits: str) -> str:
    return _BETWEEN.join(digits)


def lines_without(data: Iterator[bytes], mention: Mention) -> Iterator[bytes]:
    """The lines that do not mention it."""
    return (line for line in data if not mention.in_bytes(line))
