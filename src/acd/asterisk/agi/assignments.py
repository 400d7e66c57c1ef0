"""Setting many channel variables in few AGI commands, whatever text they hold.

A round trip a variable is slow (measured, 12 variables: SET VARIABLE 1.7 ms, MSet 0.5 ms, ARRAY() 0.2 ms), and sending
several commands at once would hang the call: Asterisk reads AGI through a buffer and waits on the socket. ARRAY() and
MSet split their argument alike (main/app.c, ``__ast_app_separate_args``), so one escaping serves both. ARRAY() is of
module func_strings, and SET VARIABLE says "done" even where that is missing: it is checked, see ``ArrayTrust``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from acd.asterisk.agi.commands import FORBIDDEN, MAX_COMMAND_BYTES, encode_command
from acd.domain.errors import MisuseError
from acd.domain.values import valueclass

MAX_PAIRS = 60
"""Both look at 99 variables."""
TRUST_S = 60.0
_SURELY_SHORT = 1000
"""Characters that make at most 4,000 bytes of UTF-8, escaped or not: they fit."""
_MAX_RUN_BYTES = MAX_COMMAND_BYTES - 40
_MAX_REMOTES = 64

_PLAIN_NAME = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]*")
_FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\([^\r\n\0]*\)")
_SPECIAL = '\\",()[]'
_ESCAPES = str.maketrans({character: f"\\{character}" for character in _SPECIAL})


class Way(enum.Enum):
    """How a command sets variables."""

    SINGLE = "SET VARIABLE"
    ARRAY = "SET VARIABLE ARRAY()"
    MSET = "EXEC MSet"


@valueclass(frozen=True, slots=True)
class Assignment:
    """One command, and the variables it sets."""

    wire: bytes
    way: Way
    part: Mapping[str, str]


def plan_assignments(values: Mapping[str, str], way: Way) -> Iterator[Assignment]:
    """The commands that set ``values`` in their order; runs of plain variables go together by ``way``.

    Functions (``CALLERID(name)``) go alone; so do, by MSet, values with a dollar sign, which it would see expanded on a
    channel with AGIEXECFULL. Raises MisuseError for an impossible name, CR, LF or NUL, or a value too long to send.
    """
    if way is Way.ARRAY and _is_simple(tuple(values), sum(map(len, values.values()))):
        yield _together(dict(values), way)
        return
    run: dict[str, str] = {}
    size = 0
    for name, value in values.items():
        alone = not _PLAIN_NAME.fullmatch(name) or (way is Way.MSET and "$" in value)
        grown = size + _size(name, value)
        if run and (alone or len(run) >= MAX_PAIRS or grown > _MAX_RUN_BYTES):
            yield _together(run, way)
            run, grown = {}, _size(name, value)
        size = grown
        if alone:
            yield _alone(name, value)
            size = 0
        else:
            run[name] = value
    if run:
        yield _together(run, way)


@lru_cache(maxsize=256)
def _all_plain(names: tuple[str, ...]) -> int:
    """How many characters these names have together, if they are few and plain; else a lot."""
    plain = 1 < len(names) <= MAX_PAIRS and all(_PLAIN_NAME.fullmatch(name) for name in names)
    return sum(map(len, names)) if plain else _SURELY_SHORT


def _is_simple(names: tuple[str, ...], characters: int) -> bool:
    """Whether all of it surely goes into one command: the same few names come with every call."""
    return characters + _all_plain(names) < _SURELY_SHORT


def check_assignments(values: Mapping[str, str]) -> None:
    """Raise MisuseError for what ``plan_assignments`` could not send, before anything is sent."""
    for name, value in values.items():
        if not _PLAIN_NAME.fullmatch(name) and not _FUNCTION_NAME.fullmatch(name):
            raise MisuseError(f"{name!r:.60} cannot be the name of a channel variable")
        if len(name) + len(value) > _SURELY_SHORT or FORBIDDEN.search(value):
            _alone(name, value)


class ArrayTrust:
    """Which Asterisk is known to have ARRAY(), by address: found out by reading back, and again every minute.

    Bounded to 64 addresses; forgetting only costs a round trip. ``now_s`` is a monotonic time in seconds.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[bool, float]] = {}

    def has_array(self, remote: str, now_s: float) -> bool | None:
        """True, False, or None when it has to be found out."""
        works, found_at_s = self._found.get(remote, (None, 0.0))
        return None if now_s - found_at_s >= TRUST_S else works

    def note(self, remote: str, works: bool, now_s: float) -> None:
        if len(self._found) >= _MAX_REMOTES:
            self._found.clear()
        self._found[remote] = (works, now_s)


def _alone(name: str, value: str) -> Assignment:
    return Assignment(encode_command(Way.SINGLE.value, name, value), Way.SINGLE, {name: value})


def _together(run: dict[str, str], way: Way) -> Assignment:
    if len(run) == 1:
        ((name, value),) = run.items()
        return _alone(name, value)
    if way is Way.ARRAY:
        values = ",".join(_escape(value) for value in run.values())
        return Assignment(encode_command("SET VARIABLE", f"ARRAY({','.join(run)})", values), way, run)
    pairs = ",".join(f"{name}={_escape(value)}" for name, value in run.items())
    return Assignment(encode_command("EXEC", "MSet", pairs), way, run)


def _escape(value: str) -> str:
    return value.translate(_ESCAPES)


def _size(name: str, value: str) -> int:
    """Bytes that a variable adds to a command, at most: its special characters become up to four, escaped twice."""
    return len(name) + 2 + len(value.encode(errors="replace")) + 3 * sum(map(value.count, _SPECIAL))
