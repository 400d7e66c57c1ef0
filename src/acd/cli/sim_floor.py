"""A scenario's floor: its ``floor:`` section with the agents of its groups put in, as floor.yaml text and back.

The floor is read by the same reader as floor.yaml. It is handed a text of one node a line, and what it finds wrong is led
back to the place in the scenario file that the line came from; so a group of ninety agents is wrong once, where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from acd.config import LoadedFloor, Problem, ProblemsError
from acd.config.floor import parse_floor
from acd.config.problems import Problems
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence, place_within

_LINE = re.compile(r"\bline (\d+)\b")


@dataclass(slots=True)
class _Line:
    """Where the key and the value of a written line came from, and in which column the value begins."""

    file: str
    key: Node
    value: Node
    value_column: int


@dataclass(slots=True)
class FloorText:
    """A floor written anew. ``sources``: the lines of the files it comes from, ``file`` being that of most of its nodes;
    ``own``: the file of keys, by identity, that come from another."""

    file: str
    sources: dict[str, list[str]] = field(default_factory=dict)
    own: dict[int, str] = field(default_factory=dict)
    _text: list[str] = field(default_factory=list)
    _lines: list[_Line] = field(default_factory=list)

    def read(self, root: Mapping) -> LoadedFloor:
        """The floor that ``root`` describes. Raises ProblemsError with places in the files its nodes came from."""
        self._map(root, 0, self.file)
        problems = Problems(self.file)
        try:
            loaded = parse_floor("\n".join([*self._text, ""]) if self._text else "{}\n", problems)
        except ProblemsError as error:
            raise ProblemsError(self._led_back(error.found)) from None
        return replace(loaded, warnings=tuple(self._led_back(loaded.warnings)))

    # -- writing -----------------------------------------------------------------------------------------------------

    def _map(self, node: Mapping, depth: int, file: str) -> None:
        for key, value in node.entries.values():
            self._entry(f"{_written(key)}:", key, value, depth, self.own.get(id(key), file))

    def _entry(self, head: str, key: Node, value: Node, depth: int, file: str) -> None:
        lead = " " * depth + head
        text, deeper = "", False
        if isinstance(value, Scalar):
            text = _written(value)
        elif isinstance(value, Mapping):
            deeper = bool(value.entries)
            text = "" if deeper else "{}"
        else:
            deeper = bool(value.items)
            text = "" if deeper else "[]"
        self._text.append(f"{lead} {text}" if text else lead)
        self._lines.append(_Line(file, key, value, len(lead) + 2))
        if deeper and isinstance(value, Mapping):
            self._map(value, depth + 2, file)
        elif deeper and isinstance(value, Sequence):
            for item in value.items:
                self._entry("-", item, item, depth + 2, file)

    # -- leading back ------------------------------------------------------------------------------------------------

    def _led_back(self, problems: Iterable[Problem]) -> list[Problem]:
        found: dict[tuple[str, int | None, int | None], Problem] = {}
        for problem in problems:
            back = self._back(problem)
            # What is wrong with a group is wrong with each of its agents
            found.setdefault((back.file, back.line, back.column), back)
        return list(found.values())

    def _back(self, problem: Problem) -> Problem:
        line = self._at(problem.line)
        message = _LINE.sub(self._line_back, problem.message)
        if line is None:
            return replace(problem, message=message)
        column = problem.column or 1
        node = line.value if column >= line.value_column else line.key
        place = node.line, node.column
        if isinstance(node, Scalar) and column > line.value_column:
            # A place within a text, which may go over several lines in the file
            position = column - line.value_column - (0 if node.plain else 1)
            place = place_within(self.sources.get(line.file, []), node, position)
        return replace(problem, file=line.file, line=place[0], column=place[1], message=message)

    def _at(self, number: int | None) -> _Line | None:
        return self._lines[number - 1] if number is not None and 0 < number <= len(self._lines) else None

    def _line_back(self, match: re.Match[str]) -> str:
        line = self._at(int(match[1]))
        return match[0] if line is None else f"line {line.key.line}"


def _written(node: Scalar | Node) -> str:
    """A scalar on one line, plain if it was."""
    if not isinstance(node, Scalar):
        return ""
    text = node.text
    if node.plain and "\n" not in text:
        return text
    escaped = "".join(
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text
    )  # fmt: skip
    return f'"{escaped}"'


def scalar(text: str, like: Node, *, plain: bool = True) -> Scalar:
    """A scalar that stands, for messages, where ``like`` stands."""
    return Scalar(text, plain, like.line, like.column)
