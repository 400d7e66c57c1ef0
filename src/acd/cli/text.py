"""Words and figures fit for a terminal: hostile text made harmless, durations and times said the way people say them.

Whatever a caller sends can stand in a name: escape sequences, line feeds, characters that turn the line around. All of
it is shown as an escape (``\\x1b``) instead of being obeyed. No colour and no layout here.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence

TEXT_LENGTH_MAX = 200
_MARKS_MAX = 2
#: Cc: controls, Cf: bidirectional and other format characters, Cs: lone surrogates, Zl/Zp: separators; Co/Cn: unassigned.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")


def _escape(char: str) -> str:
    code = ord(char)
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(value: object, length_max: int = TEXT_LENGTH_MAX) -> str:
    """``value`` as one line of printable text, ``None`` as nothing; piled-up marks are dropped, long texts cut."""
    text = "" if value is None else str(value)
    if text.isascii() and text.isprintable() and len(text) <= length_max:
        return text
    parts: list[str] = []
    marks = 0
    for char in text[: length_max + 1]:
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category in _UNSAFE and char not in _JOINERS:
            parts.append(_escape(char))
        elif marks <= _MARKS_MAX:
            parts.append(char)
    shown = "".join(parts)
    if len(text) > length_max:
        shown = shown[:length_max].rstrip() + "…"
    return shown


def clean_lines(text: str) -> str:
    """Several lines, each made harmless; for our own messages, which may quote anything."""
    return "\n".join(clean(line, 2000) for line in text.split("\n"))


def duration(seconds: float | None) -> str:
    """``0:07``, ``12:05``, ``1:02:33``, ``3d 04:05``; nothing if it is not known."""
    if seconds is None:
        return ""
    whole = int(max(seconds, 0) + 0.5)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24}d {hours % 24:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def exact(seconds: float | None) -> str:
    """A duration to the tenth: ``4.0 s``, ``1:01.5``."""
    if seconds is None:
        return ""
    tenths = round(min(max(seconds, 0.0), 1e15) * 10)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, rest = divmod(tenths, 600)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{rest / 10:04.1f}" if hours else f"{minute}:{rest / 10:04.1f}"


def average(seconds: float | None) -> str:
    """A mean: tenths below ten seconds, whole seconds above; ``-`` if there is none yet."""
    if seconds is None:
        return "-"
    return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s" if seconds < 99.5 else duration(seconds)


def percent(share: float | None) -> str:
    """``0.815`` as ``82%``; never ``100%`` unless it is all, never ``0%`` unless it is nothing; ``-`` if unknown."""
    if share is None:
        return "-"
    rounded = int(share * 100 + 0.5)
    if rounded == 100 and share < 1:
        rounded = 99
    if rounded == 0 and share > 0:
        rounded = 1
    return f"{rounded}%"


def moment(at: float | None) -> str:
    """UTC seconds as local date and time."""
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clock(at: float | None, digits: int = 0) -> str:
    """UTC seconds as local time of day; ``digits`` of a second's fraction (not rounded into the next second)."""
    if at is None:
        return ""
    text = time.strftime("%H:%M:%S", time.localtime(at))
    if digits:
        fraction = min(round((at - int(at)) * 10**digits), 10**digits - 1)
        text += f".{fraction:0{digits}}"
    return text


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def shares(parts: Sequence[float], whole: int) -> list[int]:
    """``whole`` cells (or percent) split in proportion to ``parts``, so that they add up to it.

    Largest remainder. What is not zero gets at least one cell while there are cells enough.
    """
    total = sum(part for part in parts if part > 0)
    if total <= 0 or whole <= 0:
        return [0] * len(parts)
    exact_cells = [max(part, 0) * whole / total for part in parts]
    cells = [int(cell) for cell in exact_cells]
    by_remainder = sorted(range(len(parts)), key=lambda i: (cells[i] - exact_cells[i], i))
    for index in by_remainder[: whole - sum(cells)]:
        cells[index] += 1
    for index, part in enumerate(parts):
        largest = max(range(len(parts)), key=lambda i: cells[i])
        if part > 0 and cells[index] == 0 and cells[largest] > 1:
            cells[index], cells[largest] = 1, cells[largest] - 1
    return cells
