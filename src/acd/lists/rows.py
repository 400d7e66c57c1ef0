"""Lines as rows of cells, by Python's ``csv``, so that a quotation mark that nobody closed costs its own line and no
other.

``csv`` alone would take everything from such a mark to the next one, or to the end of the file, for one cell. A row that
goes over several lines is believed only if it ends within bounds and has no more cells than the head; else its first line
is turned away and reading goes on with the one after it.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from acd.lists.source import LINE_MAX, SHOWN_MAX, Line

DELIMITERS = ",;\t|"
LINES_MAX = 50
"""Lines in a row."""
_LOOKED_AT = 50
_TOO_LONG = f"the line has more than {LINE_MAX} characters"
_OPEN = "a quotation mark is never closed"
_NUL = "it has a NUL character: is the encoding right?"


class Row(NamedTuple):
    """``line``: where it begins. ``fault``: why it is no row; then ``cells`` is what was written."""

    line: int
    cells: list[str]
    fault: str = ""


class _OpenError(Exception):
    """The row at hand takes more lines than a row may."""


class Rows:
    """The rows of lines; blank ones are passed over. ``width``: how many cells a row has, once it is known."""

    def __init__(self, lines: Iterable[Line], delimiter: str) -> None:
        self._lines, self._delimiter = iter(lines), delimiter
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._ended = False
        self.width: int | None = None

    def __iter__(self) -> Iterator[Row]:
        reader = self._reader()
        while True:
            self._taken.clear()
            self._ended = False
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (_OpenError, csv.Error):
                first = self._give_back()
                reader = self._reader()
                yield Row(first.number, [_shown(first)], _OPEN)
                continue
            first = self._taken[0]
            if first.too_long:
                reader = self._reader()
                yield Row(first.number, [_shown(first)], _TOO_LONG)
            elif len(self._taken) > 1 and (self._ended or (self.width is not None and len(cells) > self.width)):
                self._give_back()
                reader = self._reader()
                yield Row(first.number, [_shown(first)], _OPEN)
            elif self._ended:
                yield Row(first.number, [_shown(first)], _OPEN)
            elif any("\0" in line.text for line in self._taken):
                yield Row(first.number, [cell.replace("\0", "\ufffd") for cell in cells], _NUL)
            elif any(cell.strip() for cell in cells):
                yield Row(first.number, cells)

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed(), delimiter=self._delimiter)

    def _feed(self) -> Iterator[str]:
        while True:
            if self._taken and self._taken[0].too_long:
                return
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                self._ended = bool(self._taken)
                return
            if self._taken and self._is_too_much(line):
                self._again.appendleft(line)
                raise _OpenError
            self._taken.append(line)
            yield line.text

    def _is_too_much(self, line: Line) -> bool:
        length = sum(len(one.text) for one in self._taken) + len(line.text)
        return line.too_long or len(self._taken) >= LINES_MAX or length > LINE_MAX

    def _give_back(self) -> Line:
        """All lines of the row but its first, which is given."""
        self._again.extendleft(reversed(self._taken[1:]))
        return self._taken[0]


def _shown(line: Line) -> str:
    return line.text.rstrip("\r\n")[:SHOWN_MAX].replace("\0", "\ufffd")


def delimiter_of(lines: Sequence[Line]) -> str:
    """The character between cells, by the first lines: the one that gives most of them the same number of cells, and the
    most cells. Excel's ``sep=;`` says it."""
    if lines and lines[0].text.lower().startswith("sep=") and len(lines[0].text.strip()) == 5:
        return lines[0].text.strip()[4]
    best, found = (0.0, 0), ","
    for candidate in DELIMITERS:
        widths = [len(row.cells) for row in Rows(lines[:_LOOKED_AT], candidate) if not row.fault]
        if not widths:
            continue
        width = widths[0]
        if width > 1:
            share = round(sum(one == width for one in widths) / len(widths), 1)
            if (share, width) > best:
                best, found = (share, width), candidate
    return found
