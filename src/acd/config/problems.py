"""What is wrong with a configuration file, said so that a person finds the place: file, line, column, nearest right name.

Shared by the readers of acd.toml and floor.yaml. No reading of files, no knowledge of any key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

Severity = Literal["error", "warning"]

#: A file with more mistakes than this has one big mistake; the rest is counted, not listed.
MAX_PROBLEMS = 200

_MAX_SHOWN_CHARS = 60
_MAX_NEAREST_CHARS = 80
_MAX_NEAREST_CANDIDATES = 2_000


@valueclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``line`` and ``column`` count from 1; ``None`` where there is no line to point at.

    ``excerpt``: the text at the place, and a line with a caret below it; empty where the place says enough.
    """

    file: str
    line: int | None
    column: int | None
    message: str
    severity: Severity = "error"
    excerpt: tuple[str, ...] = ()

    def __str__(self) -> str:
        """``floor.yaml:12:5: message``; warnings say ``warning:`` before the message."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {'warning: ' if self.severity == 'warning' else ''}{self.message}"

    def as_json(self) -> dict[str, Any]:
        """``{"file", "line", "column", "severity", "message"}``, and ``"excerpt": [line, caret]`` if there is one."""
        body: dict[str, Any] = {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "message": self.message,
        }
        return body | {"excerpt": list(self.excerpt)} if self.excerpt else body


class ProblemsError(ConfigurationError):
    """A configuration file cannot be used. ``found`` holds every Problem, errors and warnings, in the file's order."""

    def __init__(self, found: Sequence[Problem]) -> None:
        self.found: tuple[Problem, ...] = tuple(found)
        super().__init__([str(problem) for problem in self.found])


class Problems:
    """Collects what is wrong with one file. Each problem is kept once, however often a shared part is read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._kept: dict[Problem, None] = {}
        self._errors = 0
        self._dropped = 0

    @property
    def full(self) -> bool:
        """Whether further problems would only be counted: then it is not worth looking for nearest names."""
        return len(self._kept) >= MAX_PROBLEMS

    @property
    def any_error(self) -> bool:
        return self._errors > 0

    @property
    def errors(self) -> int:
        """How many so far, also those that are only counted."""
        return self._errors

    def error(self, line: int | None, column: int | None, message: str, excerpt: tuple[str, ...] = ()) -> None:
        self._errors += 1
        self.keep(Problem(self.file, line, column, message, excerpt=excerpt))

    def error_in(self, file: str, message: str) -> None:
        """An error elsewhere than in the file at hand, such as an environment variable."""
        self._errors += 1
        self.keep(Problem(file, None, None, message))

    def warning(self, line: int | None, column: int | None, message: str) -> None:
        self.keep(Problem(self.file, line, column, message, "warning"))

    def keep(self, problem: Problem) -> None:
        """Add a problem as it is (its file may be another one); errors take the place of warnings when room is short."""
        if not (problem.file.isprintable() and problem.message.isprintable()):
            problem = replace(problem, file=_printable(problem.file), message=_printable(problem.message))
        if problem in self._kept:
            return
        if self.full:
            self._dropped += 1
            if problem.severity == "warning":
                return
            last_warning = next((p for p in reversed(self._kept) if p.severity == "warning"), None)
            if last_warning is None:
                return
            del self._kept[last_warning]
        self._kept[problem] = None

    def sorted(self) -> list[Problem]:
        """By line; what has no line stands first; how many were left out stands last."""
        ordered = sorted(self._kept, key=lambda p: (p.line or 0, p.column or 0))
        if self._dropped:
            severity: Severity = "error" if self.any_error else "warning"
            ordered.append(Problem(self.file, None, None, f"and {self._dropped} more problems, not listed", severity))
        return ordered

    def raise_if_any_error(self) -> None:
        """Raise ProblemsError with everything found, if anything found is an error."""
        if self.any_error:
            raise ProblemsError(self.sorted())


def _printable(text: str) -> str:
    """``text`` (it may hold the name of a file) with escapes for what a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def show(value: object) -> str:
    """``value`` as a person may see it on a terminal: quoted, without control characters, cut when long."""
    text = repr(value[: _MAX_SHOWN_CHARS + 1] if isinstance(value, str) else value)
    return text if len(text) <= _MAX_SHOWN_CHARS + 2 else f"{text[: _MAX_SHOWN_CHARS - 1]}...{text[0]}"


def nearest(word: str, right: Iterable[str]) -> str:
    """`` (nearest right name: x)`` to append to a message; `` (right names: ...)`` if few and none is near; or nothing."""
    known = sorted(right)[:_MAX_NEAREST_CANDIDATES]
    if word and len(word) <= _MAX_NEAREST_CHARS:
        lowered = word.lower().replace("-", "_")
        found = difflib.get_close_matches(word, known, n=1, cutoff=0.6) or difflib.get_close_matches(
            lowered, known, n=1, cutoff=0.6
        )
        if found:
            return f" (nearest right name: {found[0]})"
    if known and len(known) <= 12:
        return f" (right names: {', '.join(known)})"
    return ""
