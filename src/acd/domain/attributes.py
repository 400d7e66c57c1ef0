"""Attributes of a call: small named values that routing may look at (``call.language``), and how they compare.

They come from the number dialled, the caller list, channel variables and programs, so any text may stand in them; whoever
takes one in checks it with ``fault_of`` first. Nothing here knows what an attribute is used for.
"""

from __future__ import annotations

import re
from typing import Final

Value = str | int | float | bool

MAX_ATTRIBUTES: Final = 50
"""A call holds at most so many."""
MAX_VALUE_CHARS: Final = 200
ORDERINGS: Final = frozenset({">=", ">", "<=", "<"})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)


def is_attribute_name(text: str) -> bool:
    """Whether ``text`` may name an attribute: a lower-case letter, then letters, digits and _, at most 40 in all."""
    return _NAME.fullmatch(text) is not None


def fault_of(name: str, value: Value) -> str:
    """What is wrong with an attribute, as the rest of a sentence; empty if nothing is."""
    if not is_attribute_name(name):
        return "has a name that is not of lower-case letters, digits and _, a letter first, at most 40 characters"
    if isinstance(value, str):
        if len(value) > MAX_VALUE_CHARS:
            return f"is longer than {MAX_VALUE_CHARS} characters"
        return "" if value.isprintable() else "holds a character that cannot be printed"
    return "" if isinstance(value, int) or value - value == 0 else "is no finite number"


def number_of(text: str) -> int | float | None:
    """``12``, ``-3`` or ``1.5`` as a number (whole ones as int); ``None`` if the text is none."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return int(text.partition(".")[0]) if value.is_integer() else value


def number_in(value: Value) -> int | float | None:
    """The number that ``value`` is or is written as; ``None`` for true, false, words, NaN."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return number_of(value)
    return value if value == value else None


def holds(left: Value, operator: str, right: Value) -> bool:
    """Whether ``left operator right``.

    If one side is a number and the other is one or is written as one (channel variables are texts), numbers compare.
    Else both are taken as texts, true and false as the words, and only ``==`` and ``!=`` can hold; but two texts that are
    written as numbers can also be put in order.
    """
    numbers = number_in(left), number_in(right)
    texts = isinstance(left, str) and isinstance(right, str)
    first, second = numbers
    if first is not None and second is not None and (not texts or operator in ORDERINGS):
        return _compares(first, operator, second)
    if operator in ORDERINGS:
        return False
    return (_text(left) == _text(right)) is (operator == "==")


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _compares(left: float, operator: str, right: float) -> bool:
    if operator == "==":
        return left == right
    if operator == "!=":
        return left != right
    if operator == ">=":
        return left >= right
    if operator == ">":
        return left > right
    return left <= right if operator == "<=" else left < right
