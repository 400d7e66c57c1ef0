"""Whether a cell of somebody's list is a number, or holds it among others, however it is written there. Pure.

Rows that were turned away were not read: their cells are as a spreadsheet, a copied contact or a person left them. So
blanks, dashes, dots, slashes and brackets count for nothing, in whatever script. Where digits go on beyond the number, it
is another, longer one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from acd.domain.numbers import DIGITS_MIN, Numbering
from acd.records.mentions import Mention

FOREIGN = ("\uff10", "\u0660", "\u06f0", "\u0966")
"""The first digits of other scripts in which lists are written: full width, Arabic, Persian, Devanagari."""
_RUN = re.compile(r"[0-9](?:[0-9 ,]*[0-9])?", re.ASCII)
_FRACTION = re.compile(r"\.0(?![0-9])", re.ASCII)
"""What programs put behind a number that they took for one to reckon with."""
_GROUP = re.compile(r"[0-9]+", re.ASCII)
_BETWEEN = frozenset({"Zs", "Pd", "Ps", "Pe", "Pc"})
_ALSO_BETWEEN = frozenset("./\\'`´’·•*\u2212")


class Written:
    """All ways to write ``mention``'s number as digits, by each of the numberings: a list may be of any country."""

    def __init__(self, mention: Mention, numberings: Sequence[Numbering]) -> None:
        number = mention.canonical
        forms = {number, f"00{number}"}
        for one in numberings:
            code, prefix = one.country_code, one.national_prefix
            if code and number.startswith(code) and len(number) > len(code):
                rest = number.removeprefix(code)
                # +49 (0)171..., and what is left of 0171... where a spreadsheet took it for a sum
                forms |= {prefix + rest, code + prefix + rest, f"00{code}{prefix}{rest}"}
        self._forms = frozenset(forms)
        self._longest = max(map(len, forms))

    def is_in(self, cell: str) -> bool:
        """Whether a cell holds it."""
        return any(self._is_in_run(run) for run in _runs(cell))

    def _is_in_run(self, run: str) -> bool:
        groups = _GROUP.findall(run)
        before, whole = 0, sum(map(len, groups))
        for first, group in enumerate(groups):
            digits = ""
            for part in groups[first:]:
                digits += part
                if len(digits) > self._longest:
                    break
                after = whole - before - len(digits)
                if digits in self._forms and _is_apart(after) and (_is_apart(before) or digits.startswith("0")):
                    return True
            before += len(group)
        return False


def _is_apart(others: int) -> bool:
    """Whether so many more digits are a number of their own, and no part of one."""
    return others == 0 or others >= DIGITS_MIN


def _runs(cell: str) -> Iterator[str]:
    """Digits with what may stand between those of one number as blanks. A comma may be that, or part two cells."""
    for text in dict.fromkeys((cell, _FRACTION.sub(";", cell))):
        plain = "".join(map(_plain, text))
        for one in dict.fromkeys((plain, plain.replace(",", ";"))):
            yield from _RUN.findall(one)


def _plain(char: str) -> str:
    if char.isascii() and (char.isdigit() or char == ","):
        return char
    if char in _ALSO_BETWEEN:
        return " "
    category = unicodedata.category(char)
    if category in _BETWEEN:
        return " "
    if category == "Nd":
        return str(unicodedata.digit(char))
    # Marks of direction, which copied numbers are wrapped in, are not seen
    return "" if category == "Cf" else ";"
