"""Whether a row of somebody's list holds a number: in a cell, among others, parted over cells, cut off; however it is
written there. Pure.

Rows that were turned away were not read: their cells are as a spreadsheet, a copied contact or a person left them. So
blanks, dashes, dots, slashes and brackets count for nothing, in whatever script. Where digits go on beyond the number, it
is another, longer one; where a cell was cut off amid digits with which it begins, it may be the number, and counts as it.
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
_CELLS = re.compile(r"[\t;|]")
"""What parts the cells of a row that was kept as one text. A comma joins as a blank does."""
_PARTS_MAX = 4
"""Cells that a number is parted over."""
_KNOWN_MIN = 7
"""Digits that tell a number which is not there in one piece."""
_IN_RUNS = "0123456789 ,"
_NO_DIGITS = {code: None for code in range(128) if chr(code) not in "0123456789"}
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
        self._beginnings = frozenset(form[:length] for form in forms for length in range(_least(form), len(form)))

    @property
    def stems(self) -> frozenset[str]:
        """With what every beginning begins by which a number is known that was cut off."""
        return frozenset(form[: _least(form)] for form in self._forms if len(form) > _least(form))

    def is_in_row(self, cells: Sequence[str], cut_at: int) -> bool:
        """Whether a row holds it, of whose cells so many characters were kept."""
        if any(len(cell) >= cut_at and self.is_cut_off(cell) for cell in cells):
            return True
        text = "\t".join(cells)
        every = _digits(text), _digits(_FRACTION.sub(";", text))
        if not any(form in digits for form in self._forms for digits in every):
            return False
        if any(map(self.is_in, cells)):
            return True
        edges = [_Edges(part) for cell in cells for part in _CELLS.split(cell)]
        return self._is_parted([one for one in edges if not one.is_blank])

    def is_cut_off(self, cell: str) -> bool:
        """Whether a cell ends amid it."""
        for plain in _plains(cell):
            digits, before = "", sum(map(len, groups := _GROUP.findall(_last_run(plain))))
            for group in reversed(groups):
                digits, before = group + digits, before - len(group)
                if len(digits) > self._longest:
                    break
                if digits in self._beginnings and (_is_apart(before) or digits.startswith("0")):
                    return True
        return False

    def _is_parted(self, cells: Sequence[_Edges]) -> bool:
        """Whether it begins at the end of a cell and goes on in the next ones."""
        for place, first in enumerate(cells):
            between = ""
            for last in cells[place + 1 : place + _PARTS_MAX]:
                if self._is_joined(first.last, between, last.first):
                    return True
                between += "".join(last.first)
                if not last.is_run or len(between) > self._longest:
                    break
        return False

    def _is_joined(self, first: Sequence[str], between: str, last: Sequence[str]) -> bool:
        """Whether some groups at the end of ``first``, and at the beginning of ``last``, are it with what is between."""
        begun, before = between, sum(map(len, first))
        for group in reversed(first):
            begun, before = group + begun, before - len(group)
            digits, after = begun, sum(map(len, last))
            for part in last:
                digits, after = digits + part, after - len(part)
                if len(digits) > self._longest:
                    break
                is_it = len(digits) >= _KNOWN_MIN and digits in self._forms
                if is_it and _is_apart(after) and (_is_apart(before) or digits.startswith("0")):
                    return True
            if len(begun) > self._longest:
                break
        return False

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


def _least(form: str) -> int:
    """How many digits of a form tell it: those that are dialled before a country's do not."""
    return _KNOWN_MIN + 2 * form.startswith("00")


class _Edges:
    """The digits at both ends of a cell, group by group."""

    def __init__(self, cell: str) -> None:
        plain = "".join(map(_plain, _FRACTION.sub(";", cell))).strip(" ,")
        self.is_blank = not plain
        self.first = _GROUP.findall(plain[: len(plain) - len(plain.lstrip(_IN_RUNS))])
        self.last = _GROUP.findall(_last_run(plain))
        self.is_run = not plain.strip(_IN_RUNS)


def _digits(text: str) -> str:
    return text.translate(_NO_DIGITS) if text.isascii() else "".join(_GROUP.findall("".join(map(_plain, text))))


def _last_run(plain: str) -> str:
    return plain[len(plain.rstrip(_IN_RUNS)) :]


def _plains(cell: str) -> Iterator[str]:
    """A cell with blanks for what may stand between the digits of one number. A comma may be that, or part two cells."""
    for text in dict.fromkeys((cell, _FRACTION.sub(";", cell))):
        plain = "".join(map(_plain, text))
        yield from dict.fromkeys((plain, plain.replace(",", ";")))


def _runs(cell: str) -> Iterator[str]:
    """Digits with what may stand between those of one number as blanks."""
    for plain in _plains(cell):
        yield from _RUN.findall(plain)


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
