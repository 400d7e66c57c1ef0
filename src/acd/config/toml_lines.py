"""In which line of a TOML file each key stands; tomllib does not tell.

Only for text that tomllib has accepted: it follows keys, strings and brackets, and checks nothing.
"""

from __future__ import annotations

import re

from acd.domain.values import valueclass

Path = tuple[str, ...]

_KEY_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")


@valueclass(frozen=True, slots=True)
class Spot:
    """Line and column, from 1."""

    line: int
    column: int


def locate_keys(text: str) -> dict[Path, Spot]:
    """Where each table and key is first written, by its full path, for example ``("http", "port")``."""
    scanner = _Scanner(text)
    scanner.run()
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found: dict[Path, Spot] = {}
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._table: Path = ()

    def run(self) -> None:
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            if char in " \t\n":
                self._step()
            elif char == "#":
                self._skip_comment()
            elif char == "[":
                self._header()
            else:
                self._pair(self._table, "\n")

    def _step(self) -> None:
        if self._text[self._at] == "\n":
            self._line += 1
            self._line_start = self._at + 1
        self._at += 1

    def _skip_comment(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _note(self, path: Path, spot: Spot) -> None:
        for length in range(1, len(path) + 1):
            self.found.setdefault(path[:length], spot)

    def _here(self) -> Spot:
        return Spot(self._line, self._at - self._line_start + 1)

    def _key(self) -> Path:
        parts = []
        while match := _KEY_PART.match(self._text, self._at):
            parts.append(next(group for group in match.groups() if group is not None))
            self._at = match.end()
            if self._text[self._at : self._at + 1] != ".":
                break
            self._at += 1
        return tuple(parts)

    def _header(self) -> None:
        spot = self._here()
        while self._text[self._at : self._at + 1] == "[":
            self._at += 1
        self._table = self._key()
        self._note(self._table, spot)
        while self._text[self._at : self._at + 1] == "]":
            self._at += 1

    def _pair(self, table: Path, end: str) -> None:
        """``key = value`` up to ``end`` (a line feed, or what closes an inline table)."""
        start, spot = self._at, self._here()
        path = table + self._key()
        self._note(path, spot)
        self._at = max(self._at, start + 1)
        while self._at < len(self._text) and self._text[self._at] not in "=\n":
            self._at += 1
        if self._text[self._at : self._at + 1] == "=":
            self._at += 1
        self._value(path, end)

    def _value(self, path: Path, end: str) -> None:
        """Skip one value; ``end`` may hold several characters, each of which ends it."""
        brackets = 0
        while self._at < len(self._text):
            char = self._text[self._at]
            if brackets == 0 and char in end:
                return
            if char in "\"'":
                self._skip_string(char)
            elif char == "#":
                self._skip_comment()
            elif char == "{" and brackets == 0:
                self._inline_table(path)
            else:
                brackets += (char in "[{") - (char in "]}")
                self._step()

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "}":
                self._at += 1
                return
            if char in " \t\n,":
                self._step()
            else:
                self._pair(path, ",}")

    def _skip_string(self, quote: str) -> None:
        triple = self._text.startswith(quote * 3, self._at)
        closing = quote * 3 if triple else quote
        for _ in closing:
            self._at += 1
        while self._at < len(self._text) and not self._text.startswith(closing, self._at):
            if self._text[self._at] == "\\" and quote == '"':
                self._step()
            if self._at < len(self._text):
                self._step()
        self._at = min(len(self._text), self._at + len(closing))
        # up to two further quotes belong to the end of a triple-quoted string
        while triple and self._text.startswith(quote, self._at):
            self._at += 1
