"""Telephone numbers in their several spellings, and as those see them who need not know them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from acd.domain.definition import number_key
from acd.domain.values import valueclass

HIDDEN = "•••"
_HEAD_MAX, _TAIL_MAX, _HIDDEN_MIN = 6, 4, 3
_NUMBER = re.compile(r"\+?[0-9][0-9\s().,/-]*", re.ASCII)

WITHHELD = ("", "anonymous", "unknown", "unavailable", "restricted", "private", "<unknown>")
"""What stands in place of a number that is not known, in lower case."""

DIGITS_MIN = 6
"""Fewer digits in a text are no telephone number."""
_SEALED = re.compile(r"hmac:[0-9a-f]{32}", re.ASCII)
_SPOKEN = re.compile(
    rf"hmac:[0-9a-f]{{32}}|erased:[0-9a-f]{{12}}|\bcall [0-9]{{14}}(?![0-9])|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?![0-9-])"
    rf"|(?P<number>(?<![0-9])\+?[0-9](?:[ ()./-]{{0,3}}[0-9]){{{DIGITS_MIN - 1},}})",
    re.ASCII,
)

TEXT_KEYS = frozenset({"caller_name", "notes"})
"""What of a call says who called: by the names that it has in answers."""
SAID_KEYS = frozenset({"tags", "disposition", "target"})
"""What people said of a call, and where it went: any number may stand in it."""
ID_KEYS = frozenset({"call", "offer", "from_call", "linkedid", "channel", "did", "was", "entry", "revision"})
"""Digits that are no caller's number."""


@valueclass(frozen=True, slots=True)
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


def is_withheld(number: str) -> bool:
    """Whether this says that a number is not known."""
    return number.lower() in WITHHELD


def mask_number(number: str) -> str:
    """``+49171•••4567``: enough to tell calls apart, not enough to ring back. What is no number is hidden whole."""
    if not number:
        return ""
    if _NUMBER.fullmatch(number) is None or len(number) <= _HIDDEN_MIN:
        return HIDDEN
    tail = min(_TAIL_MAX, (len(number) - _HIDDEN_MIN) // 2)
    head = min(_HEAD_MAX, len(number) - _HIDDEN_MIN - tail)
    return number[:head] + HIDDEN + (number[-tail:] if tail else "")


def replaced(text: str, how: Callable[[str], str]) -> str:
    """The text with ``how(number)`` in the place of whatever could be a telephone number: DIGITS_MIN digits or more, with
    blanks, dots, slashes, dashes and brackets between them. Dates, our calls' ids behind ``call``, and what stands in a
    number's place already, stay."""
    return _SPOKEN.sub(lambda found: how(found[0]) if found["number"] else found[0], text)


def masked_text(text: str) -> str:
    """The text with numbers masked in it, and hidden what stands in a number's place."""
    return replaced(_SEALED.sub(HIDDEN, text), lambda number: mask_number(re.sub("[^+0-9]", "", number)))


def masked(value: Any) -> Any:
    """A JSON-able answer with callers' numbers masked and their names and notes hidden, wherever in it they stand.

    In what people and programs set (attributes, tags, dispositions) and in where calls went, whatever could be a number is
    masked; elsewhere within a call, its caller's number. ``number`` is a caller's only among a call's ``attributes``: an
    agent's is what he logs in with.
    """
    return _masked(value, "", _NOT_SAID, "")


_NOT_SAID, _TOLD, _SAID, _SET = range(4)
"""What surrounds a value: nothing of note; what was decided or done, in detail; a text that was said; attributes."""


def _around(name: str, around: int, set_here: bool) -> int:
    if name == "attributes" or (set_here and name == "detail"):
        return _SET
    if name in SAID_KEYS or (name == "to" and around == _TOLD):
        return max(around, _SAID)
    return max(around, _TOLD) if name == "detail" else around


def _masked(value: Any, key: str, around: int, caller: str) -> Any:
    """``caller``: the number of the caller it is about, if that is told."""
    if isinstance(value, dict):
        given = value.get("caller_number")
        caller = given if isinstance(given, str) and given else caller
        set_here = value.get("kind") == "attributes"
        return {name: _masked(item, name, _around(name, around, set_here), caller) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, key, around, caller) for item in value]
    if around == _SET and isinstance(value, int) and not isinstance(value, bool):
        return mask_number(str(abs(value))) if len(str(abs(value))) >= DIGITS_MIN else value
    if not isinstance(value, str) or not value:
        return value
    if key in TEXT_KEYS:
        return HIDDEN
    if key == "caller_number" or (around == _SET and key == "number"):
        return mask_number(value)
    text = masked_text(value) if around >= _SAID else value
    return text.replace(caller, mask_number(caller)) if len(caller) >= DIGITS_MIN and key not in ID_KEYS else text
