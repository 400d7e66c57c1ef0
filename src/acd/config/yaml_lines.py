"""YAML as a tree of texts with line numbers, safe to build from any bytes.

Built from the parser's events instead of PyYAML's own composer, because we need what that does not give: keys that
stand twice are seen, scalars stay as written (a number 0123 is not octal, a reason "no" is not False), nesting and
alias expansion are bounded, and ten thousand agents load in a second. Knows nothing of what the keys mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as AbstractSequence
from typing import Any, NoReturn

import yaml

from acd.config.problems import Problems, show

MAX_DEPTH = 20
#: Nodes of the tree with every alias written out; 10,000 agents need about 200,000.
MAX_NODES = 1_000_000

#: Characters of a longer one are not looked for.
_MAX_SCALAR_LINES = 200

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
#: PyYAML is built without libyaml on a few systems; the pure reader gives the same events, slowly.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Scalar:
    """A text. ``plain`` = written without quotes. Lines and columns count from 1 in every node."""

    __slots__ = ("column", "line", "plain", "text", "weight")

    def __init__(self, text: str, plain: bool, line: int, column: int) -> None:
        self.text, self.plain, self.line, self.column = text, plain, line, column
        self.weight = 1

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULLS


class Sequence:
    """A list."""

    __slots__ = ("column", "items", "line", "weight")

    def __init__(self, line: int, column: int) -> None:
        self.line, self.column = line, column
        self.items: list[Node] = []
        self.weight = 1


class Mapping:
    """A map; ``entries`` by the key's text, merge keys already merged."""

    __slots__ = ("column", "entries", "line", "weight")

    def __init__(self, line: int, column: int) -> None:
        self.line, self.column = line, column
        self.entries: dict[str, tuple[Scalar, Node]] = {}
        self.weight = 1


Node = Scalar | Sequence | Mapping
Lines = AbstractSequence[str]


class _FatalError(Exception):
    """The rest of the file cannot be read; the problem is already noted."""


def place_within(lines: Lines, node: Scalar, position: int) -> tuple[int, int]:
    """Line and column of a character of the node's text, ``lines`` being those of the document.

    Follows folded and literal blocks, long lines that are continued, and quotes; where that fails (escapes), the node's
    own place.
    """
    source = "\n".join(lines[node.line - 1 : node.line - 1 + _MAX_SCALAR_LINES])
    at = node.column - 1
    quote = "" if node.plain else source[at : at + 1]
    if quote in ("|", ">"):
        at = source.find("\n", at)
    elif quote:
        at += 1
    for char in node.text[:position]:
        if not char.isspace():
            at = _skip_spaces(source, at)
            if source[at : at + 1] != char:
                return node.line, node.column
            at += 2 if char == quote == "'" else 1
    if position < len(node.text) and not node.text[position].isspace():
        at = _skip_spaces(source, at)
    else:
        at += len(node.text[:position]) - len(node.text[:position].rstrip())
    before = source[:at]
    return node.line + before.count("\n"), at - before.rfind("\n")


def _skip_spaces(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def compose(text: str, problems: Problems) -> Node | None:
    """The document's tree, or ``None`` for an empty one. What is wrong goes to ``problems``; never raises for the text.

    Tags, complex keys, second documents, duplicate keys, wrong merges, deep nesting and too much alias expansion are
    errors. After a syntax error the tree is ``None``.
    """
    composer = _Composer(problems)
    try:
        for event in _events(text, problems):
            composer.take(event)
    except _FatalError:
        return None
    return composer.root


def _events(text: str, problems: Problems) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        what = error.problem or error.context or "not YAML"
        if "'\\t'" in what or "cannot start any token" in what:
            what += "; indent with spaces, not tabs, and put values that begin with @, ` or % in quotes"
        problems.error(line, column, f"not YAML: {what}")
        raise _FatalError from None
    except (yaml.YAMLError, UnicodeError) as error:
        problems.error(*_forbidden_character(text), f"not YAML: {_reason(error)}")
        raise _FatalError from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or "a character that YAML does not allow")


def _forbidden_character(text: str) -> tuple[int | None, int | None]:
    """Where the first character stands that YAML does not allow at all (its reader gives no line)."""
    for line_number, line in enumerate(text.split("\n"), 1):
        for column, char in enumerate(line, 1):
            code = ord(char)
            if (code < 32 and char not in "\t\r") or code == 127 or (128 <= code < 160 and code != 0x85):
                return line_number, column
            if 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
                return line_number, column
    return None, None


class _Frame:
    """A list or map that is still open. A map's keys and values come in turn."""

    __slots__ = ("key", "merges", "node")

    def __init__(self, node: Sequence | Mapping) -> None:
        self.node = node
        self.key: Scalar | None = None
        self.merges: list[Mapping] = []


class _Composer:
    def __init__(self, problems: Problems) -> None:
        self.root: Node | None = None
        self._problems = problems
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            mark = event.start_mark
            node = Scalar(event.value, not event.style, mark.line + 1, mark.column + 1)
            self._begin(event, node)
            self._add(node)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            mark = event.start_mark
            made = Mapping if kind is yaml.MappingStartEvent else Sequence
            container = made(mark.line + 1, mark.column + 1)
            self._begin(event, container)
            if len(self._stack) >= MAX_DEPTH:
                self._fatal(container, f"nested more than {MAX_DEPTH} levels deep")
            self._stack.append(_Frame(container))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                mark = event.start_mark
                self._problems.error(
                    mark.line + 1, mark.column + 1, "a second document begins here (---); there can be only one"
                )
                raise _FatalError

    def _begin(self, event: Any, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._fatal(node, f"more than {MAX_NODES} values in one file")
        if event.tag is not None:
            self._problems.error(
                node.line, node.column, f"the tag {show(event.tag)} is not allowed; write plain values"
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        node = self._anchors.get(event.anchor)
        if node is None:
            self._problems.error(line, column, f"*{event.anchor} refers to an anchor that is not defined above it")
            node = Scalar("", True, line, column)
        elif any(frame.node is node for frame in self._stack):
            self._problems.error(line, column, f"*{event.anchor} stands inside the very thing it refers to")
            raise _FatalError
        self._add(node)

    def _close(self) -> None:
        frame = self._stack.pop()
        node = frame.node
        if isinstance(node, Mapping):
            for source in frame.merges:
                for key, entry in source.entries.items():
                    node.entries.setdefault(key, entry)
        self._add(node)

    def _add(self, node: Node) -> None:
        """Put a finished node into the container around it."""
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        around = frame.node
        around.weight += node.weight
        if around.weight > MAX_NODES:
            self._fatal(around, f"its aliases expand to more than {MAX_NODES} values")
        if isinstance(around, Sequence):
            around.items.append(node)
        elif frame.key is None:
            frame.key = self._as_key(node)
        else:
            key, frame.key = frame.key, None
            self._enter(frame, around, key, node)

    def _as_key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            self._fatal(node, "a key must be a plain text, not a list or a map")
        return node

    def _enter(self, frame: _Frame, around: Mapping, key: Scalar, value: Node) -> None:
        if key.text == "<<" and key.plain:
            if frame.merges:
                self._problems.error(key.line, key.column, "<< stands twice in one map; write <<: [*first, *second]")
            sources = value.items if isinstance(value, Sequence) else [value]
            for source in sources:
                if isinstance(source, Mapping):
                    frame.merges.append(source)
                else:
                    self._problems.error(key.line, key.column, "<< merges maps only: <<: *anchor or <<: [*one, *two]")
            return
        first = around.entries.get(key.text)
        if first is not None:
            self._problems.error(
                key.line, key.column, f"{show(key.text)} stands twice here; first in line {first[0].line}"
            )
            return
        around.entries[key.text] = (key, value)

    def _fatal(self, node: Node, message: str) -> NoReturn:
        self._problems.error(node.line, node.column, message)
        raise _FatalError
