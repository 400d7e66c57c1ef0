"""AGI commands as bytes, and replies as values. Text only: no sockets, no time.

How Asterisk takes a command apart is in res/res_agi.c (``parse_args``): words at white space, quotes group, a backslash
makes the next byte literal.
"""

from __future__ import annotations

import re

from acd.domain.errors import MisuseError
from acd.domain.values import valueclass

MAX_COMMAND_BYTES = 8000
"""Asterisk reads 8,191 bytes a command and would take the rest for another one."""

_VERB = re.compile(r"[A-Za-z]+(?: [A-Za-z]+){0,2}")
FORBIDDEN = re.compile(r"[\r\n\0]")
_LINE = re.compile(r"(\d{3})([ -])(.*)", re.DOTALL)
_RESULT = re.compile(r"result=(\S*)(?: \((.*)\))?(?: endpos=(-?\d+))?", re.DOTALL)
_RESULT_AND_MORE = re.compile(r"result=(\S*)(?: \((.*?)\))?(?: endpos=(-?\d+))?", re.DOTALL)


@valueclass(frozen=True, slots=True)
class AgiReply:
    """One reply. ``code``: 200 done, 510 unknown command, 511 the channel is dead, 520 wrong usage.

    ``result`` is the text after ``result=`` (may be empty or ``-1``), ``value`` the text in parentheses (``timeout``,
    a variable's value) or None without any, ``endpos`` a sample offset or None, ``text`` the reply without its code.
    """

    code: int
    result: str
    value: str | None
    endpos: int | None
    text: str


def encode_command(verb: str, *arguments: str) -> bytes:
    """One command line, every argument quoted. ``verb`` is one to three words such as ``SET VARIABLE``.

    Raises MisuseError for CR, LF or NUL in an argument, another kind of verb, or a line over 8,000 bytes. Lone
    surrogates become ``?``.
    """
    if not _VERB.fullmatch(verb):
        raise MisuseError(f"{verb!r:.60} cannot be an AGI command: one to three words of letters")
    words = [verb]
    for argument in arguments:
        if FORBIDDEN.search(argument):
            raise MisuseError(f"AGI command {verb}: argument {argument!r:.60} holds a CR, LF or NUL; remove it first")
        escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
        words.append(f'"{escaped}"')
    line = " ".join(words).encode(errors="replace")
    if len(line) > MAX_COMMAND_BYTES:
        raise MisuseError(f"AGI command {verb} makes a line of {len(line)} bytes; the most is {MAX_COMMAND_BYTES}")
    return line + b"\n"


def parse_reply(lines: list[str]) -> AgiReply | None:
    """The reply that these lines make, without line ends; None when they make no reply at all."""
    match = _LINE.fullmatch("\n".join(lines))
    if match is None:
        return None
    code, text = int(match[1]), match[3]
    found = _RESULT.fullmatch(text) or _RESULT_AND_MORE.match(text)
    if found is None:
        return AgiReply(code, "", None, None, text)
    return AgiReply(code, found[1], found[2], None if found[3] is None else int(found[3]), text)


def continues(lines: list[str], *, value_expected: bool) -> bool:
    """Whether more lines belong to this reply: usage between ``520-`` and ``520 ``, or a value with a line feed in it.

    ``value_expected``: the command reads a variable, so a reply that opens a parenthesis ends with its closing one.
    """
    first = _LINE.match(lines[0])
    if first is None:
        return False
    if first[2] == "-":
        return len(lines) == 1 or not lines[-1].startswith(f"{first[1]} ")
    return value_expected and " (" in lines[0] and not lines[-1].endswith(")")
